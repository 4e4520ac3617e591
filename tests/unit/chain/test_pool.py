"""Waiting transactions: order, limits, what is refused at the door and what is dropped later."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hither.chain.admission import choose_transactions, compute_congestion_errors
from hither.chain.engine import check_and_admit
from hither.chain.genesis import DevelopmentOptions, derive_development_key
from hither.chain.pool import InsertResult, TransactionPool
from hither.chain.reader import InvalidTransaction
from hither.crypto.hashing import sha256
from hither.crypto.signing import compute_public_key, secret_key_from_seed
from hither.primitives.account import AccessKey, FullAccess
from hither.primitives.action import AddKey, FunctionCall, Transfer
from hither.primitives.sharding import CongestionInfo, ExtendedCongestionInfo
from hither.primitives.transaction import SignedTransaction
from tests.unit.chain.chains import SmallChain


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[SmallChain]:
    chain = SmallChain(tmp_path, DevelopmentOptions(epoch_length=50, transaction_validity_period=20))
    chain.produce(3)
    yield chain
    chain.close()


def fill(chain: SmallChain, *transactions: SignedTransaction) -> TransactionPool:
    context, pool = chain.engine.make_admission_context(), TransactionPool()
    for transaction in transactions:
        assert pool.insert(check_and_admit(transaction, context)) is InsertResult.ADDED
    return pool


def choose(chain: SmallChain, pool: TransactionPool) -> tuple[list[int], int]:
    """Nonces of what the next chunk takes, and how many are dropped."""
    chosen, dropped = choose_transactions(pool, 0, chain.engine.make_admission_context())
    return [signed.transaction.nonce for signed in chosen], len(dropped)


def refuse(chain: SmallChain, transaction: SignedTransaction) -> object:
    with pytest.raises(InvalidTransaction) as caught:
        check_and_admit(transaction, chain.engine.make_admission_context())
    return caught.value.error


def test_a_sender_s_transactions_go_by_nonce_and_senders_take_turns(chain: SmallChain) -> None:
    """Whatever the order of arrival: first nonce of each sender, then the second of each."""
    pool = fill(
        chain,
        *(chain.transfer("alice.near", "bob.near", nonce=nonce) for nonce in (1003, 1001, 1002)),
        *(chain.transfer("carol.near", "bob.near", nonce=nonce) for nonce in (2002, 2001)),
    )
    assert choose(chain, pool) == ([1001, 2001, 1002, 2002, 1003], 0)


def test_the_same_transaction_is_taken_once(chain: SmallChain) -> None:
    transfer = chain.transfer("alice.near", "bob.near")
    pool = fill(chain, transfer)
    entry = check_and_admit(transfer, chain.engine.make_admission_context())
    assert pool.insert(entry) is InsertResult.DUPLICATE
    assert len(pool) == 1


def test_a_full_pool_takes_nothing_more(chain: SmallChain) -> None:
    context = chain.engine.make_admission_context()
    first, second = (chain.transfer("alice.near", "bob.near", nonce=nonce) for nonce in (1001, 1002))
    pool = TransactionPool(size_bytes_max=first.size + second.size - 1)
    assert pool.insert(check_and_admit(first, context)) is InsertResult.ADDED
    assert pool.insert(check_and_admit(second, context)) is InsertResult.FULL
    pool.remove([first.hash])
    assert pool.size_bytes == 0
    assert pool.insert(check_and_admit(second, context)) is InsertResult.ADDED


def test_of_two_with_one_nonce_the_second_is_dropped(chain: SmallChain) -> None:
    """Both are good by themselves; in one chunk only the first can be."""
    pool = fill(
        chain,
        chain.transfer("alice.near", "bob.near", 1, nonce=1001),
        chain.transfer("alice.near", "bob.near", 2, nonce=1001),
    )
    assert choose(chain, pool) == ([1001], 1)


def test_a_double_spend_is_dropped(chain: SmallChain) -> None:
    """Each fits the balance alone, not both."""
    most = chain.get_balance("alice.near") * 3 // 5
    pool = fill(
        chain,
        chain.transfer("alice.near", "bob.near", most, nonce=1001),
        chain.transfer("alice.near", "bob.near", most, nonce=1002),
    )
    assert choose(chain, pool) == ([1001], 1)


def test_two_keys_of_one_account_share_its_balance(chain: SmallChain) -> None:
    """What the first key spends is gone for the second."""
    other = secret_key_from_seed(0, sha256(b"another key"))
    key = AddKey(compute_public_key(other), AccessKey(0, FullAccess()))
    chain.submit([chain.sign("alice.near", "alice.near", (key,))])
    chain.produce(3)
    most = chain.get_balance("alice.near") * 3 // 5
    first = chain.transfer("alice.near", "bob.near", most)
    second = chain.transfer("alice.near", "bob.near", most, nonce=5_000_001)
    second = chain.sign_with(other, second.transaction)
    assert choose(chain, fill(chain, first, second))[1] == 1


def test_a_nonce_too_far_ahead_is_taken_but_dropped(chain: SmallChain) -> None:
    """NEAR's pool does not look at the upper bound; its chunk producer does."""
    bound = (chain.engine.head.height + 1) * 1_000_000
    pool = fill(
        chain,
        chain.transfer("alice.near", "bob.near", nonce=bound),
        chain.transfer("carol.near", "bob.near", nonce=bound - 1),
    )
    assert choose(chain, pool) == ([bound - 1], 1)


def test_what_waited_too_long_is_dropped(chain: SmallChain) -> None:
    """The block hash may be 20 heights old, not 21."""
    pool = fill(chain, chain.transfer("alice.near", "bob.near"))
    chain.produce(20)
    assert choose(chain, pool)[1] == 0
    chain.produce()
    assert choose(chain, pool)[1] == 1


def test_a_chunk_takes_transactions_up_to_its_gas(tmp_path: Path) -> None:
    """500 Tgas of conversions, so 2,242 transfers (223,182,562,500 gas each); the rest waits."""
    accounts = tuple(f"user{at}.near" for at in range(2300))
    chain = SmallChain(tmp_path, DevelopmentOptions(accounts=accounts))
    chain.produce(2)
    pool = fill(chain, *(chain.transfer(account, "near", 1, nonce=1) for account in accounts))
    chosen, dropped = choose_transactions(pool, 0, chain.engine.make_admission_context())
    assert (len(chosen), len(dropped)) == (-(-500_000_000_000_000 // 223_182_562_500), 0)
    chain.close()


def test_expired_and_unknown_block_hashes_are_refused(chain: SmallChain) -> None:
    old = chain.transfer("alice.near", "bob.near")
    chain.produce(21)
    assert refuse(chain, old) == "Expired"
    transaction = msgspec.structs.replace(old.transaction, block_hash=bytes(32))
    unknown = chain.sign_with(derive_development_key("alice.near"), transaction)
    assert refuse(chain, unknown) == "Expired"


def test_bad_transactions_are_refused_in_near_s_words(chain: SmallChain) -> None:
    chain.submit([chain.transfer("alice.near", "bob.near", nonce=5000)])
    chain.produce(2)
    low = chain.transfer("alice.near", "bob.near", nonce=5000)
    assert refuse(chain, low) == {"InvalidNonce": {"tx_nonce": 5000, "ak_nonce": 5000}}
    nobody = chain.transfer("nobody.near", "bob.near")
    assert refuse(chain, nobody) == {"SignerDoesNotExist": {"signer_id": "nobody.near"}}
    stranger = chain.sign_with(
        secret_key_from_seed(0, sha256(b"stranger")), chain.transfer("alice.near", "bob.near").transaction
    )
    error = refuse(chain, stranger)
    assert isinstance(error, dict)
    assert list(error["InvalidAccessKeyError"]) == ["AccessKeyNotFound"]
    rich = chain.transfer("alice.near", "bob.near", 10**36)
    assert list(refuse(chain, rich)) == ["NotEnoughBalance"]  # type: ignore[call-overload]
    costly = chain.sign("alice.near", "bob.near", (FunctionCall("f", b"", 10**15 + 1, 0),))
    assert list(refuse(chain, costly)) == ["ActionsValidation"]  # type: ignore[call-overload]
    huge = chain.sign("alice.near", "bob.near", (Transfer(2**128 - 1),))
    assert refuse(chain, huge) == "CostOverflow"


def test_a_congested_shard_refuses_transactions(chain: SmallChain) -> None:
    """From 80 % on, with the level that NEAR tells; at less it takes them."""
    config = chain.parameters.config

    def errors(delayed_gas: int) -> dict[int, object]:
        congestion = {0: ExtendedCongestionInfo(CongestionInfo(delayed_receipts_gas=delayed_gas))}
        return compute_congestion_errors(config, congestion)

    assert errors(319 * 10**15) == {}
    assert errors(320 * 10**15) == {0: {"ShardCongested": {"shard_id": 0, "congestion_level": 0.8}}}
    context = msgspec.structs.replace(
        chain.engine.make_admission_context(), congestion_errors=errors(400 * 10**15)
    )
    with pytest.raises(InvalidTransaction) as caught:
        check_and_admit(chain.transfer("alice.near", "bob.near"), context)
    assert caught.value.error["ShardCongested"]["congestion_level"] == 1.0


def test_a_shard_that_missed_its_chunks_is_stuck(chain: SmallChain) -> None:
    missed = {0: ExtendedCongestionInfo(CongestionInfo(), 125)}
    errors = compute_congestion_errors(chain.parameters.config, missed)
    assert errors == {0: {"ShardStuck": {"shard_id": 0, "missed_chunks": 125}}}


def test_a_producer_takes_less_while_receipts_wait(tmp_path: Path) -> None:
    """Of 6,000 transfers that came at once, later chunks take what they can execute, and all are done."""
    accounts = tuple(f"user{at}.near" for at in range(1500))
    chain = SmallChain(tmp_path, DevelopmentOptions(accounts=accounts))
    chain.produce(2)
    chain.submit(chain.transfer(a, "near", 1, nonce) for a in accounts for nonce in range(1, 5))
    taken = []
    while chain.engine.has_transactions():
        taken.append(len(chain.produce().chunks[0].transactions))
    assert sum(taken) == 6000
    assert taken[0] == 2241
    assert min(taken[1:3]) < 2000
    chain.produce(8)
    assert not chain.engine.head.has_waiting_receipts()
    chain.close()
