"""The Python client at a running node, blocking and asynchronous."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, derive_development_key
from hither.chain.reader import BlockMode
from hither.client import (
    AsyncClient,
    Client,
    ContractFailed,
    ExecutionFailed,
    Finality,
    InvalidTransaction,
    RetryPolicy,
    Signer,
    TransactionTimeout,
    TransportError,
    UnknownAccessKey,
    UnknownAccount,
    UnknownBlock,
    UnknownTransaction,
    WaitUntil,
    Yocto,
    actions,
)
from hither.node.node import NodeOptions
from hither.rpc.context import RpcSettings
from tests.rpc.activity import PING_PONG, TOKEN, get_public_key
from tests.rpc.running import RunningNode, run_node

pytestmark = pytest.mark.slow
NEAR = 10**24


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Three shards at 88."""
    home = tmp_path_factory.mktemp("home")
    with run_node(home, boundary_accounts=DEVELOPMENT_BOUNDARIES, protocol_version=88) as node:
        yield node


@pytest.fixture(scope="module")
def alice(running: RunningNode) -> Iterator[Client]:
    """Signs as alice.near."""
    with running.connect("alice.near") as client:
        yield client


def make_signer(name: str) -> Signer:
    """For an account whose key is derived from its name."""
    return Signer(name, derive_development_key(name))


def test_token_from_deployment_to_transfer(alice: Client) -> None:
    """Accounts, code, calls, views, state."""
    owner = make_signer("token.alice.near")
    alice.create_account(owner.account_id, owner.public_key, "10 N")
    assert not alice.get_account(owner.account_id).has_contract
    supply = {"owner_id": "alice.near", "total_supply": "1000"}
    result = alice.send(
        owner.account_id,
        actions.deploy(TOKEN),
        actions.function_call("new_default", supply),
        signer=owner,
        wait_until=WaitUntil.FINAL,
    )
    assert result.status == "FINAL"
    assert result.logs and result.gas_burnt > 0
    assert alice.get_code(owner.account_id).code == TOKEN
    assert alice.get_account(owner.account_id).has_contract
    assert b"STATE" in alice.get_state(owner.account_id)
    alice.call(owner.account_id, "storage_deposit", {"account_id": "sybil.near"}, deposit="0.1 N")
    moved = {"receiver_id": "sybil.near", "amount": "7"}
    alice.call(owner.account_id, "ft_transfer", moved, deposit=Yocto(1))
    view = alice.view(owner.account_id, "ft_balance_of", {"account_id": "sybil.near"})
    assert view.json() == "7"
    with pytest.raises(ExecutionFailed) as failed:
        alice.call(owner.account_id, "ft_transfer", moved | {"amount": "9999"}, deposit=Yocto(1))
    assert "enough balance" in (failed.value.panic_message or "")


def test_keys_are_added_listed_and_deleted(alice: Client) -> None:
    """Of both kinds, with an allowance."""
    full, call = get_public_key("full"), get_public_key("call")
    alice.send(
        "alice.near",
        actions.add_full_access_key(full),
        actions.add_call_key(call, "token.near", ["one", "two"], "0.5 N"),
    )
    keys = alice.get_access_keys("alice.near")
    assert {full, call} < set(keys)
    found = alice.get_access_key("alice.near", call)
    assert found.permission == keys[call].permission
    alice.send("alice.near", actions.delete_key(full), actions.delete_key(call))
    assert not {full, call} & set(alice.get_access_keys("alice.near"))
    with pytest.raises(UnknownAccessKey):
        alice.get_access_key("alice.near", full)


def test_money_moves_between_shards(alice: Client) -> None:
    """What arrives is what was sent; the sender pays gas as told."""
    before = alice.get_account("trent.near").amount
    mine = alice.get_account("alice.near").amount
    result = alice.transfer("trent.near", "1.25 N")
    assert alice.get_account("trent.near").amount - before == 125 * NEAR // 100
    later = alice.wait_for(result.hash, "alice.near", wait_until=WaitUntil.FINAL)
    assert mine - alice.get_account("alice.near").amount == 125 * NEAR // 100 + later.tokens_burnt


def test_somebody_else_pays(running: RunningNode, alice: Client) -> None:
    """A meta-transaction costs the user nothing; the relayer pays gas and what is sent."""
    user = make_signer("user.alice.near")
    alice.create_account(user.account_id, user.public_key, "1 N")
    before = alice.get_account(user.account_id).amount, alice.get_account("sybil.near").amount
    delegate = alice.delegate("sybil.near", actions.transfer("0.25 N"), signer=user)
    result = alice.relay(delegate, signer=running.get_signer("carol.near"))
    assert result.failure is None
    after = alice.get_account(user.account_id).amount, alice.get_account("sybil.near").amount
    assert (after[0] - before[0], after[1] - before[1]) == (0, NEAR // 4)


def test_gas_key_has_independent_nonces(alice: Client) -> None:
    """Transactions of its lanes do not wait for each other."""
    key = derive_development_key("gas of bob")
    bob = make_signer("bob.near")
    public_key = get_public_key("gas of bob")
    alice.send("bob.near", actions.add_gas_key(public_key, 4), signer=bob)
    alice.send("bob.near", actions.fund_gas_key(public_key, "2 N"), signer=bob)
    signer = Signer("bob.near", key, gas_key_nonces=4)
    before = alice.get_account("ivan.near").amount
    for _ in range(8):
        alice.transfer("ivan.near", Yocto(1), signer=signer)
    assert alice.get_account("ivan.near").amount - before == 8
    assert len({lane.nonce_index for lane in signer.lanes}) == 4


def test_past_is_read_by_height_and_hash(alice: Client) -> None:
    """A block, and an account as it was then."""
    before = alice.get_block()
    amount = alice.get_account("judy.near").amount
    alice.transfer("judy.near", "1 N")
    assert alice.get_account("judy.near").amount - amount == NEAR
    assert alice.get_account("judy.near", at=before.height).amount == amount
    assert alice.get_account("judy.near", at=before.hash).amount == amount
    assert alice.get_block(before.height) == before
    assert alice.get_block(Finality.FINAL).height <= alice.get_block().height
    with pytest.raises(UnknownBlock):
        alice.get_block(10**9)


def test_errors_say_what_is_wrong(alice: Client) -> None:
    """Each of its own type, with a code, and none of these is worth a retry."""
    with pytest.raises(UnknownAccount) as unknown:
        alice.get_account("missing.near")
    assert (unknown.value.account_id, unknown.value.retryable) == ("missing.near", False)
    with pytest.raises(ContractFailed, match="CodeDoesNotExist"):
        alice.view("heidi.near", "anything")
    with pytest.raises(UnknownTransaction):
        alice.wait_for("7" * 43, "alice.near")
    with pytest.raises(InvalidTransaction) as poor:
        alice.transfer("bob.near", "900000000 N")
    assert (poor.value.kind, poor.value.retryable) == ("NotEnoughBalance", False)
    with pytest.raises(UnknownAccessKey):
        alice.transfer("bob.near", Yocto(1), signer=Signer("alice.near", derive_development_key("other")))
    with pytest.raises(ExecutionFailed, match="AccountDoesNotExist"):
        alice.transfer("missing.near", Yocto(1))
    assert alice.transfer("bob.near", Yocto(1)).failure is None


def test_nonce_that_somebody_else_used_is_replaced(running: RunningNode, alice: Client) -> None:
    """Two clients with one key."""
    with running.connect("heidi.near") as first, running.connect("heidi.near") as second:
        first.transfer("alice.near", Yocto(1))
        second.transfer("alice.near", Yocto(1))
        assert first.transfer("alice.near", Yocto(1)).failure is None
        assert first.transfer("alice.near", Yocto(1)).failure is None


def test_transaction_that_nobody_includes_times_out(tmp_path: Path) -> None:
    """The error has the hash; the transaction may still happen."""
    options, settings = NodeOptions(mode=BlockMode.MANUAL), RpcSettings(wait_timeout_ms=50)
    with run_node(tmp_path, options=options, settings=settings) as running:
        policy = RetryPolicy(attempts=1)
        client = Client(running.url, signer=running.get_signer("alice.near"), policy=policy)
        with client, pytest.raises(TransactionTimeout) as late:
            client.send("bob.near", actions.transfer("1 N"), timeout_seconds=0.2)
        running.must("hither_mine", {"count": 3})
        with running.connect() as later:
            result = later.wait_for(late.value.transaction_hash, "alice.near")
        assert result.failure is None


def test_node_that_is_not_there(running: RunningNode) -> None:
    """A transport error after the policy's attempts."""
    client = Client("http://127.0.0.1:1", policy=RetryPolicy(attempts=2, first_pause_seconds=0.01))
    with client, pytest.raises(TransportError) as error:
        client.get_account("alice.near")
    assert error.value.retryable


def test_asynchronous_client_does_the_same(running: RunningNode) -> None:
    """Deploy, call, view, batches, many at once."""

    async def use(client: AsyncClient) -> None:
        await client.deploy(PING_PONG)
        result = await client.call("carol.near", "ping", {"other_id": "carol.near", "rounds": 0})
        assert result.value_json() == 1
        assert (await client.view("carol.near", "counts")).json()[0] == 1
        accounts = await asyncio.gather(*(client.get_account("carol.near") for _ in range(50)))
        assert len({account.amount for account in accounts}) == 1
        with pytest.raises(UnknownAccount):
            await client.get_account("missing.near")
        sent = await client.send("bob.near", actions.transfer("1 N"), wait_until=WaitUntil.NONE)
        assert (await client.wait_for(sent.hash, "carol.near")).failure is None
        delegate = await client.delegate("sybil.near", actions.transfer(Yocto(1)))
        assert (await client.relay(delegate, signer=running.get_signer("trent.near"))).failure is None
        await client.create_account("sub.carol.near", get_public_key("sub"), "1 N")
        assert (await client.get_access_keys("sub.carol.near")).keys() == {get_public_key("sub")}
        assert (await client.get_block()).height > 0
        assert (await client.get_code("carol.near")).code == PING_PONG

    async def main() -> None:
        async with running.connect_async("carol.near") as client:
            await use(client)

    asyncio.run(main())


def test_interrupted_sender_leaves_its_turn(running: RunningNode) -> None:
    """Cancelling one of several that wait in turn does not stop the others."""

    async def main() -> None:
        async with running.connect_async("mallory.near") as client:
            tasks = [asyncio.create_task(client.transfer("bob.near", Yocto(1))) for _ in range(20)]
            await asyncio.sleep(0.01)
            for task in tasks[::2]:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(
                isinstance(result, asyncio.CancelledError) or result.failure is None for result in done
            )
            assert (await client.transfer("bob.near", Yocto(1))).failure is None

    asyncio.run(main())
