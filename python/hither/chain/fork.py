"""What a fork has yet to copy: pure functions of transactions, of a head and of states.

A fork is a development chain that takes accounts over from another network when they are first touched. An
account is known when the state holds it, or a mark that it was copied or does not exist there. The mark stays when
the account is deleted or changed here, so nothing is taken over twice, and it goes when the chain goes back to before
it was written.

Nothing here asks anybody; the edge is ``hither.node.fork``.
"""

from collections.abc import Callable, Iterable

from hither.chain.head import ChainHead
from hither.primitives.action import Action, Delegate, DelegateV2, DeleteAccount
from hither.primitives.sharding import ShardLayout
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import SYSTEM_ACCOUNT, AccountId, ShardId
from hither.state import keys
from hither.state.records import Readable


def is_known(state: Readable, account_id: AccountId) -> bool:
    """Whether nothing has to be copied for this account. ``state`` is that of its shard."""
    if account_id == SYSTEM_ACCOUNT or state.get(keys.account(account_id)) is not None:
        return True
    return state.get(keys.fork_mark(account_id)) is not None


def list_missing(
    account_ids: Iterable[AccountId], get_state: Callable[[AccountId], Readable]
) -> list[AccountId]:
    """Those that have to be copied, each once, in their order."""
    wanted = dict.fromkeys(account_ids)
    return [account_id for account_id in wanted if not is_known(get_state(account_id), account_id)]


def list_accounts(signed: SignedTransaction) -> list[AccountId]:
    """Whom a transaction names: its signer and receiver, those of what it delegates, and who inherits."""
    transaction = signed.transaction
    found = [transaction.signer_id, transaction.receiver_id]
    for action in transaction.actions:
        found += _list_of_action(action)
    return found


def _list_of_action(action: Action) -> list[AccountId]:
    match action:
        case Delegate(delegate_action=inner) | DelegateV2(delegate_action=inner):
            nested = [account_id for part in inner.actions for account_id in _list_of_action(part)]
            return [inner.sender_id, inner.receiver_id, *nested]
        case DeleteAccount(beneficiary_id=beneficiary_id):
            return [beneficiary_id]
    return []


def list_awaited(head: ChainHead, layout: ShardLayout) -> dict[ShardId, list[AccountId]]:
    """By shard, whom the receipts that the next block would process are for and the shard does not know.

    Receipts that were put off or wait for data came in once before, when their receiver became known.
    """
    states = {shard.shard_id: shard.trie for shard in head.shards}
    awaited: dict[ShardId, dict[AccountId, None]] = {}
    for shard in head.shards:
        arrived = (receipt for receipts in shard.waiting for receipt in receipts)
        for receipt in (*arrived, *shard.result.outgoing_receipts):
            receiver_id = AccountId(receipt.receiver_id)
            shard_id = layout.get_shard_id(receiver_id)
            if not is_known(states[shard_id], receiver_id):
                awaited.setdefault(shard_id, {})[receiver_id] = None
    return {shard_id: list(account_ids) for shard_id, account_ids in awaited.items()}


def has_work(head: ChainHead, held: frozenset[ShardId]) -> bool:
    """Whether the next block has receipts to process when these shards have no chunk in it.

    While any shard waits, receipts that others have in buffers are none: they may be for the one that waits, and
    blocks would be made without end.
    """
    for shard in head.shards:
        if shard.shard_id in held:
            continue
        info = shard.result.congestion_info
        if shard.result.outgoing_receipts or shard.waiting:
            return True
        if info.delayed_receipts_gas or (not held and (info.buffered_receipts_gas or info.receipt_bytes)):
            return True
    return False
