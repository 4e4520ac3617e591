"""Global code on its way: who stores it, who comes next, and what a late receipt may not undo."""

import hashlib

import pytest

from hither.primitives.account import (
    Account,
    DeployMode,
    GlobalContractByAccount,
    GlobalContractByHash,
    LocalContract,
)
from hither.primitives.action import DeployGlobalContract, UseGlobalContract
from hither.primitives.receipt import GlobalContractDistribution, Receipt
from hither.primitives.types import ZERO_HASH, AccountId, Balance, CryptoHash, Nonce, ShardId
from hither.runtime.action_result import ActionResult
from hither.runtime.global_contracts import (
    compute_distribution_compute,
    make_next_distribution_optional,
    store_distributed_contract,
    use_global_contract,
)
from hither.state import ChunkState, Trie, keys
from tests.unit.runtime.world import NEAR, World, get_errors

CODE = b"\0asm\1\0\0\0"
BY_HASH = GlobalContractByHash(CryptoHash(hashlib.sha256(CODE).digest()))
BY_ALICE = GlobalContractByAccount(AccountId("alice.near"))
ALICE = AccountId("alice.near")


def make_distribution(nonce: int, *delivered: int, code: bytes = CODE) -> GlobalContractDistribution:
    shards = tuple(ShardId(shard_id) for shard_id in delivered)
    return GlobalContractDistribution(BY_ALICE, ShardId(0), shards, code, Nonce(nonce))


def test_an_older_deployment_does_not_undo_a_newer_one() -> None:
    state = ChunkState(Trie())
    assert store_distributed_contract(state, make_distribution(2, code=b"new"))
    assert not store_distributed_contract(state, make_distribution(1, code=b"old"))
    assert state.get(keys.global_contract_code(BY_ALICE)) == b"new"
    assert store_distributed_contract(state, make_distribution(2, code=b"same number"))


def test_the_next_receipt_goes_to_the_first_shard_without_the_code() -> None:
    """In the order of the layout, each shard once, the delivered ones sorted."""
    world = World(boundaries=("h0", "p0"))
    context = world.make_context(ShardId(2))
    receipt = Receipt(ALICE, AccountId("system"), ZERO_HASH, make_distribution(1))
    following = make_next_distribution_optional(context, receipt)
    assert following is not None
    assert isinstance(following.body, GlobalContractDistribution)
    assert (following.body.target_shard, following.body.already_delivered_shards) == (0, (2,))
    assert following.predecessor_id == ALICE
    assert following.receipt_id != receipt.receipt_id
    last = Receipt(ALICE, AccountId("system"), ZERO_HASH, make_distribution(1, 0, 1))
    assert make_next_distribution_optional(context, last) is None


def test_storing_weighs_on_the_chunk_by_the_byte() -> None:
    context = World().make_context(ShardId(0))
    weight = compute_distribution_compute(context, make_distribution(1))
    assert weight == 20_000_000_000_000 + 250_000_000 * len(CODE)


@pytest.mark.parametrize(("identifier", "usage"), [(BY_HASH, 32), (BY_ALICE, len("alice.near"))])
def test_using_a_global_contract_replaces_the_local_one(
    identifier: GlobalContractByHash | GlobalContractByAccount, usage: int
) -> None:
    """The code's bytes leave the account, those of the identifier come; the account becomes version 2."""
    state = ChunkState(Trie())
    state.set(keys.contract_code(ALICE), b"local code")
    state.set(keys.global_contract_code(identifier), CODE)
    account = Account(Balance(1), Balance(0), 110, LocalContract(CryptoHash(bytes([1]) * 32)))
    result = ActionResult(0, 0)
    after = use_global_contract(state, ALICE, account, identifier, result, 88)
    assert result.error is None
    assert after == Account(Balance(1), Balance(0), 100 + usage, identifier, 2)
    assert state.get(keys.contract_code(ALICE)) is None
    other = BY_HASH if identifier is BY_ALICE else BY_ALICE
    state.set(keys.global_contract_code(other), CODE)
    assert use_global_contract(state, ALICE, after, other, result, 88).contract == other


def test_a_global_contract_that_is_not_here_cannot_be_used() -> None:
    account = Account(Balance(1), Balance(0), 100)
    result = ActionResult(0, 0)
    assert use_global_contract(ChunkState(Trie()), ALICE, account, BY_HASH, result, 84) == account
    assert isinstance(result.error, dict)
    assert list(result.error) == ["GlobalContractDoesNotExist"]


@pytest.mark.parametrize("mode", [DeployMode.CODE_HASH, DeployMode.ACCOUNT_ID])
def test_a_deployment_reaches_every_shard_and_burns_its_price(mode: DeployMode) -> None:
    world = World(boundaries=("h0", "p0"), accounts=("alice.near", "ivan.near", "trent.near"))
    before = world.supply
    world.act("alice.near", "alice.near", DeployGlobalContract(CODE, mode))
    identifier = BY_HASH if mode is DeployMode.CODE_HASH else BY_ALICE
    for trie in world.tries.values():
        assert trie.get(keys.global_contract_code(identifier)) == CODE
    assert before - world.supply >= 10**20 * len(CODE)
    world.act("trent.near", "trent.near", UseGlobalContract(identifier))
    assert world.must_account("trent.near").contract == identifier


def test_a_deployment_that_costs_more_than_there_is_fails() -> None:
    world = World(balance=NEAR)
    code = bytes(20_000)
    outcomes = world.act("alice.near", "alice.near", DeployGlobalContract(code, DeployMode.ACCOUNT_ID))
    assert [list(error) for error in get_errors(outcomes)] == [["LackBalanceForState"]]
    assert world.get_trie("alice.near").get(keys.global_contract_code(BY_ALICE)) is None
    assert world.get_trie("alice.near").get(keys.global_contract_nonce(BY_ALICE)) is None
