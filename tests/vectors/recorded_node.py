"""A recorded chain behind our own JSON-RPC server, at any height of its past.

The chain is replayed into our storage. The server then sees the head that it is
told to see; waiting for a transaction moves that head forward over heights that
are already there, as time did for the node that was recorded.
"""

import asyncio
from pathlib import Path
from typing import Any

from hither.chain.application import AppliedBlock
from hither.chain.engine import check_and_admit, make_admission_context
from hither.chain.genesis import parse_genesis
from hither.chain.genesis_block import make_genesis_chunks
from hither.chain.head import ChainHead
from hither.chain.reader import (
    ExecutionStatus,
    InvalidTransaction,
    PooledTransaction,
    Tip,
    TransactionStatus,
    UnknownTransactionOrReceipt,
)
from hither.chain.rows import TABLES
from hither.chain.storage import ChainStorage
from hither.chain.stored_chain import PoolView, StoredChain
from hither.crypto.keys import public_key_from_str
from hither.crypto.signing import is_valid_signature
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import AccountId, CryptoHash
from hither.rpc.context import Context, RpcSettings
from hither.rpc.dispatch import Dispatcher
from hither.rpc.http import Application
from hither.rpc.methods import make_methods
from hither.state import Store
from hither.vm import Vm
from tests.vectors.comparison import Difference
from tests.vectors.recording import Group, RecordedChain
from tests.vectors.replay import PROTOCOL_VERSION, VALIDATOR, Replay


class RecordedNode:
    """Replays a chain group by group and answers for any head so far."""

    def __init__(self, chain: RecordedChain, vm: Vm, folder: Path) -> None:
        genesis = parse_genesis(chain.genesis)
        self.replay = Replay(chain, vm, self._keep)
        parameters, head = self.replay.parameters, self.replay.head
        self.storage = ChainStorage(Store(str(folder), tables=TABLES), parameters)
        self.storage.start(head, make_genesis_chunks(head))
        self.heads: dict[int, ChainHead] = {head.height: head}
        pool = PoolView(lambda _: None, lambda: 0)
        key = public_key_from_str(genesis.config.validators[0].public_key)
        self.reader = StoredChain(genesis, parameters, self.storage, head, pool, (AccountId(VALIDATOR), key))
        self.control = RecordedControl(self)
        context = Context(self.reader, self.control, vm, RpcSettings())
        methods = make_methods(PROTOCOL_VERSION, is_development=True)
        self.application = Application(context, Dispatcher(context, methods))
        self._context = context
        self.height = 0
        self.last_height = 0

    def _keep(self, head: ChainHead, applied: AppliedBlock) -> None:
        self.storage.append(head, applied)
        self.heads[head.height] = head

    def run_group(self, group: Group) -> list[Difference]:
        """Replay one more group; what differs."""
        found = list(self.replay.run_group(group))
        self.last_height = group.last_height
        return found

    def list_heights(self, low: int, high: int) -> list[int]:
        """Heights with a block."""
        return [height for height in range(low, high + 1) if height in self.heads]

    def look_at(self, height: int) -> None:
        """Make this the newest block that the server knows."""
        self.height = height
        self.reader.publish(self.heads[height], is_revert=True)
        self._context.states.states.clear()

    @property
    def head(self) -> ChainHead:
        """The newest block that the server knows."""
        return self.heads[self.height]


class RecordedControl:
    """Transactions are checked but change nothing: what they did is already there."""

    is_development = True

    def __init__(self, node: RecordedNode) -> None:
        self._node = node

    async def submit(self, transaction: SignedTransaction) -> PooledTransaction:
        """Accept or refuse at the present head."""
        node = self._node
        if node.reader.get_transaction(transaction.hash) is not None:
            return PooledTransaction(transaction.hash, is_new=False)
        await self.check(transaction)
        return PooledTransaction(transaction.hash, is_new=True)

    async def check(self, transaction: SignedTransaction) -> None:
        """Refuse at the present head."""
        node = self._node
        context = make_admission_context(node.replay.parameters, node.head, node.storage)
        check_and_admit(transaction, context)
        fields = transaction.transaction
        if not is_valid_signature(fields.public_key, transaction.hash, transaction.signature):
            raise InvalidTransaction("InvalidSignature")

    async def wait_for_transaction(
        self, transaction_hash: CryptoHash, until: ExecutionStatus, timeout_ms: int
    ) -> TransactionStatus | None:
        """Go forward until it has come so far; None when the recording ends before."""
        del timeout_ms
        node = self._node
        for height in node.list_heights(node.height, node.last_height):
            node.look_at(height)
            try:
                status = node.reader.get_transaction_status(transaction_hash)
            except UnknownTransactionOrReceipt:
                continue
            if status.execution.is_at_least(until):
                return status
        return None

    async def fast_forward(self, delta_height: int) -> Tip:
        """Done in the recording."""
        del delta_height
        return self._node.reader.get_head()

    async def patch_state(self, records: Any) -> Tip:
        """No recorded patch has records."""
        assert records == []
        return self._node.reader.get_head()


def run(coroutine: Any) -> Any:
    """Run a request to its end."""
    return asyncio.run(coroutine)
