"""The account on every chain of a running network: what is sent is sent once, whatever ends the program that sends."""

import asyncio
import dataclasses
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hither import Account, BlockingAccount, Call, Payment, Units
from hither.client import UnknownAccount
from hither.client.actions import delete_account
from hither.foreign.engines.faucet import fund
from hither.foreign.errors import FinalityTimeout, InsufficientFunds, InvalidAddress, InvalidAmount
from hither.foreign.transport import JsonRpc
from hither.sdk.endpoints import NoKey, NoNetwork
from hither.sdk.journal import DifferentIntent, TransferBusy, UnknownTransfer
from hither.sdk.network import UnknownChain
from hither.sdk.work import NotOnThisChain
from tests.e2e.cli.running import Network, hither, must_hither, network
from tests.e2e.sdk.receivers import make_address

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
SENDER = "carol.near"
STEPS = ["intended", "built", "asked", "signed", "ready", "broadcast", "final"]
HOME_STEPS = ["intended", "ready", "broadcast", "final"]
AMOUNTS = {"eip155": "5 gwei", "bip122": "1_000 sat", "solana": "0.002 SOL", "near": "7 yoctonear"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network, Bitcoin, one EVM chain and Solana."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", "--evm", "8453", is_alone=False) as everything:
        yield everything


@pytest.fixture(scope="module")
def chains(running: Network) -> dict[str, str]:
    """By family."""
    foreign = {row["caip2"].partition(":")[0]: row["caip2"] for row in running.endpoints["foreign"]}
    return {"near": running.endpoints["near"]["caip2"], **foreign}


@pytest.fixture(scope="module")
def carol(running: Network, chains: dict[str, str]) -> Iterator[BlockingAccount]:
    """An account with money everywhere."""
    with BlockingAccount.load(SENDER, home=running.home) as account:
        for row in running.endpoints["foreign"]:
            on = account.on(row["caip2"])
            amount = {"eip155": 10**18, "bip122": 10**8, "solana": 10**10}[on.chain.namespace]
            asyncio.run(fund(on.chain, row["rpc_url"], on.address(), amount))
        yield account


def read_balance(running: Network, account: BlockingAccount, chain: str, address: str) -> int:
    inner = account._inner
    if chain.startswith("near:"):

        async def ask() -> int:
            try:
                return (await inner.client.get_account(address)).amount
            except UnknownAccount:
                return 0

        return account._loop.run(ask())
    on = inner.on(chain)
    return account._loop.run(inner.get_adapter(on.chain).fetch_balance(address))


def run_cases(running: Network, cases: list[dict[str, Any]]) -> list[Any]:
    """What ``crash.py`` says of each."""
    result = subprocess.run(
        [sys.executable, str(HERE / "crash.py")],
        input="\n".join(json.dumps(case) for case in cases),
        env=os.environ | {"HITHER_HOME": str(running.home)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    for case, answer in zip(cases, answers, strict=True):
        assert answer["ended_by"] == 9, case
        assert answer["recovered"] is not None, (case, result.stderr)
    return answers


@pytest.mark.parametrize("family", ["eip155", "bip122", "solana", "near"])
def test_killed_at_every_step_it_is_sent_once(
    running: Network, chains: dict[str, str], carol: BlockingAccount, family: str
) -> None:
    """Before and after each write to the journal; afterwards the next process finishes it, and only once."""
    steps = HOME_STEPS if family == "near" else STEPS
    on = carol.on(chains[family])
    cases = [
        {
            "account_id": SENDER,
            "chain": chains[family],
            "receiver": make_address(family),
            "amount": AMOUNTS[family],
            "reference": f"{family} {number} {is_before}",
            "write": number,
            "is_before": is_before,
        }
        for number in range(1, len(steps) + 1)
        for is_before in (True, False)
    ]
    nonce_before = on.nonce()
    answers = run_cases(running, cases)
    amount = int(AMOUNTS[family].split()[0].replace("_", "")) if family != "solana" else 2_000_000
    amount *= 10**9 if family == "eip155" else 1
    for case, answer in zip(cases, answers, strict=True):
        recovered = answer["recovered"]
        # What had been noted is resumed without being asked for; all else happens when it is asked for again.
        was_noted = (case["write"], case["is_before"]) > (1, True)
        was_final = (case["write"], case["is_before"]) == (len(steps), False)
        expected = [recovered["transaction_id"]] if was_noted or was_final else []
        assert recovered["resumed"] == expected, case
        assert recovered["left"] == 0
        assert recovered["steps"] == steps, case
        assert read_balance(running, carol, chains[family], case["receiver"]) == amount, case
    if family == "eip155":
        assert on.nonce() - nonce_before == len(cases)


def test_interrupted_transfer_keeps_its_nonce_before_a_later_one(
    running: Network, chains: dict[str, str], carol: BlockingAccount
) -> None:
    """What was built before the crash reaches the chain first, and both arrive."""
    chain, receivers = chains["eip155"], [make_address("eip155"), make_address("eip155")]
    nonce = carol.on(chain).nonce()
    case = {"account_id": SENDER, "chain": chain, "receiver": receivers[0], "amount": "5 gwei"}
    case |= {"reference": "interrupted", "write": 2, "is_before": False}
    code = """
import asyncio, json, sys, crash
case = json.load(sys.stdin)
crash.arm(2, is_before=False)
asyncio.run(crash.send(case))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE,
        input=json.dumps(case),
        env=os.environ | {"HITHER_HOME": str(running.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == -9, result.stderr
    later = carol.on(chain).send(receivers[1], "6 gwei")
    assert carol.on(chain).nonce() == nonce + 2
    assert [sent.receiver for sent in carol.resume()] == [receivers[0]]
    for receiver, amount in zip(receivers, (5 * 10**9, 6 * 10**9), strict=True):
        assert read_balance(running, carol, chain, receiver) == amount
    assert later.receiver == receivers[1]


def ask(running: Network, chain: str, method: str, *params: Any) -> Any:
    """The chain's own JSON-RPC."""

    async def run() -> Any:
        (url,) = [row["rpc_url"] for row in running.endpoints["foreign"] if row["caip2"] == chain]
        rpc = JsonRpc(url)
        try:
            return await rpc.call(method, params, is_repeatable=False)
        finally:
            await rpc.close()

    return asyncio.run(run())


@pytest.fixture
def waiting(running: Network, chains: dict[str, str]) -> Iterator[None]:
    """Chains that make no block for a transaction."""
    ask(running, chains["eip155"], "evm_setAutomine", False)
    ask(running, chains["bip122"], "hither_instant", False)
    yield
    ask(running, chains["eip155"], "evm_setAutomine", True)
    ask(running, chains["bip122"], "hither_instant", True)


def make_block(running: Network, chains: dict[str, str], family: str) -> None:
    if family == "eip155":
        ask(running, chains[family], "evm_mine")
    else:
        ask(running, chains[family], "generatetoaddress", 1, make_address("bip122"))


@pytest.fixture
def impatient(running: Network, carol: BlockingAccount) -> Iterator[BlockingAccount]:
    """Looks once whether a transfer is final."""
    sdk_network = dataclasses.replace(carol._inner.network, final_timeout_seconds=0.0)
    with BlockingAccount.load(SENDER, home=running.home, network=sdk_network) as account:
        yield account


@pytest.mark.parametrize("family", ["eip155", "bip122"])
@pytest.mark.usefixtures("waiting")
def test_fee_is_raised_and_one_of_both_comes(
    running: Network, chains: dict[str, str], carol: BlockingAccount, impatient: BlockingAccount, family: str
) -> None:
    """For more than before; the first is gone, and the receiver is paid once."""
    receiver = make_address(family)
    with pytest.raises(FinalityTimeout, match="is pending") as caught:
        impatient.on(chains[family]).send(receiver, AMOUNTS[family], reference=f"slow {family}")
    (record,) = carol.list_transfers()
    assert f"bump('{record.id}')" in str(caught.value.hint)
    with pytest.raises(FinalityTimeout):
        impatient.bump(record.id)
    (bumped,) = carol.list_transfers()
    first, second = bumped.attempts
    assert first.transaction_id == record.transaction_id != second.transaction_id
    make_block(running, chains, family)
    (sent,) = carol.resume()
    assert sent.transaction_id == second.transaction_id
    assert sent.sign_transactions == tuple(second.sign_transactions.values())
    amount = 5 * 10**9 if family == "eip155" else 1_000
    assert read_balance(running, carol, chains[family], receiver) == sent.amount == amount
    # Asking again with the reference gives the one that came; so does another bump.
    assert carol.on(chains[family]).send(receiver, AMOUNTS[family], reference=f"slow {family}") == sent
    assert carol.bump(sent.transfer_id) == sent


@pytest.mark.parametrize("family", ["eip155", "bip122"])
@pytest.mark.usefixtures("waiting")
def test_killed_while_the_fee_is_raised_it_is_sent_once(
    running: Network, chains: dict[str, str], carol: BlockingAccount, family: str
) -> None:
    """Before and after each write; what was noted goes on, and in the end one of both was included."""
    steps = ["bumped", "asked", "signed", "ready", "broadcast"]
    cases = [
        {
            "account_id": SENDER,
            "chain": chains[family],
            "receiver": make_address(family),
            "amount": AMOUNTS[family],
            "write": number,
            "is_before": is_before,
            "is_bump": True,
        }
        for number in range(1, len(steps) + 1)
        for is_before in (True, False)
    ]
    nonce_before = carol.on(chains[family]).nonce()
    answers = run_cases(running, cases)
    amount = 5 * 10**9 if family == "eip155" else 1_000
    for case, answer in zip(cases, answers, strict=True):
        recovered = answer["recovered"]
        was_noted = (case["write"], case["is_before"]) != (1, True)
        assert len(recovered["attempts"]) == (2 if was_noted else 1), case
        assert recovered["transaction_id"] == recovered["attempts"][-1], case
        assert recovered["left"] == 0
        assert read_balance(running, carol, chains[family], case["receiver"]) == amount, case
    if family == "eip155":
        assert carol.on(chains[family]).nonce() - nonce_before == len(cases)


def test_fee_is_not_raised_where_nothing_waits(
    chains: dict[str, str], carol: BlockingAccount, impatient: BlockingAccount
) -> None:
    """Unknown ones, and those of somebody who works on them now, are told."""
    with pytest.raises(UnknownTransfer):
        carol.bump("0" * 16)
    entry = carol._inner.journal.begin(
        carol.on(chains["eip155"]).chain, "ethereum-1", {"kind": "send", "receiver": "0x", "amount": 1}, None
    )
    with pytest.raises(TransferBusy):
        impatient.bump(entry.record.id)
    entry.write("abandoned", outcome={"message": "a test"})
    entry.close()


@pytest.mark.parametrize("family", ["eip155", "bip122", "solana", "near"])
def test_reference_is_for_one_transfer(chains: dict[str, str], carol: BlockingAccount, family: str) -> None:
    """Asking twice pays once; the same reference for something else is refused."""
    on, receiver = carol.on(chains[family]), make_address(family)
    first = on.send(receiver, AMOUNTS[family], reference=f"invoice {family}")
    before = on.balance()
    assert on.send(receiver, AMOUNTS[family], reference=f"invoice {family}") == first
    assert on.balance() == before
    with pytest.raises(DifferentIntent, match="stands for another transfer"):
        on.send(make_address(family), AMOUNTS[family], reference=f"invoice {family}")


@pytest.mark.parametrize(
    ("family", "too_much"),
    [
        ("eip155", "1_000_000 ETH"),
        ("bip122", "1_000_000 BTC"),
        ("solana", "1_000_000 SOL"),
        ("near", "9_000_000 N"),
    ],
)
def test_what_could_not_be_paid_may_be_tried_again(
    chains: dict[str, str], carol: BlockingAccount, family: str, too_much: str
) -> None:
    """Nothing was built, so nothing hangs; the same reference asks again. What is missing is told in coins."""
    on, receiver = carol.on(chains[family]), make_address(family)
    symbol = too_much.split()[1]
    for _ in range(2):
        with pytest.raises(InsufficientFunds, match=rf" [0-9.]+ {symbol} are needed") as caught:
            on.send(receiver, too_much, reference=f"too much {family}")
        error = caught.value
        assert error.address == on.address()
        assert f"{on.format(error.needed - error.balance)} more are needed" in str(error.hint)
        assert on.address() in str(error)
    assert carol.list_transfers() == []


@pytest.mark.parametrize("family", ["eip155", "bip122", "solana"])
def test_command_that_is_named_pays_what_is_missing(
    running: Network, chains: dict[str, str], family: str
) -> None:
    """An account without coins is told a command; after that the same transfer passes."""
    words = ["send", chains[family], make_address(family), AMOUNTS[family], "--from", "erin.near"]
    if not any(row["account_id"] == "erin.near" for row in running.endpoints["near"]["accounts"]):
        hither("accounts", "create", "erin.near", home=running.home)
    poor = hither(*words, home=running.home)
    assert poor.returncode == 1, poor.stdout
    _, _, named = poor.stderr.partition("`hither ")
    command = shlex.split(named.partition("`")[0])
    assert command[0] == "fund", poor.stderr
    row = json.loads(must_hither(*command, "--json", home=running.home))
    assert row["address"] == command[-1]
    assert row["balance"] == command[2]
    sent = json.loads(must_hither(*words, "--json", home=running.home))
    assert sent["address"] == row["address"]
    # The usual way to say it: a chain's name and whose address.
    shown = must_hither(
        "fund", chains[family], command[2], "--account", "erin.near", "--path", "savings", home=running.home
    )
    assert row["address"] not in shown
    assert f"balance       {command[2]}" in shown


@pytest.mark.parametrize("family", ["eip155", "bip122", "solana", "near"])
def test_bare_number_is_refused_with_advice(
    chains: dict[str, str], carol: BlockingAccount, family: str
) -> None:
    """Nobody can tell which unit it is in. Nothing is written."""
    on = carol.on(chains[family])
    for amount in (5, 5.0, "5"):
        with pytest.raises(InvalidAmount, match="has no unit") as caught:
            on.send(make_address(family), amount)  # type: ignore[arg-type]
        assert "Units(5)" in str(caught.value.hint)
    with pytest.raises(InvalidAmount, match="is not a unit of this chain"):
        on.send(make_address(family), "5 doubloons")
    assert carol.list_transfers() == []


def test_mistakes_are_told_before_anything_is_written(
    running: Network, chains: dict[str, str], carol: BlockingAccount
) -> None:
    """Addresses, chains, accounts, keys, homes."""
    with pytest.raises(InvalidAddress):
        carol.on(chains["eip155"]).send("0x1234", "5 gwei")
    with pytest.raises(UnknownChain, match="it has"):
        carol.on("eip155:10")
    with pytest.raises(NotOnThisChain):
        carol.on(chains["bip122"]).call("bcrt1", "transfer(address,uint256)")
    with pytest.raises(NoKey):
        BlockingAccount.load("nobody.near", home=running.home)
    with pytest.raises(NoNetwork):
        BlockingAccount.load(SENDER, home=running.home / "elsewhere")
    assert carol.list_transfers() == []


def test_batch_is_one_payment_on_bitcoin_and_several_elsewhere(
    running: Network, chains: dict[str, str], carol: BlockingAccount
) -> None:
    """All receivers get theirs."""
    for family, count in [("bip122", 1), ("eip155", 2), ("solana", 2)]:
        on, receivers = carol.on(chains[family]), [make_address(family), make_address(family)]
        sent = on.batch([Payment(one, AMOUNTS[family]) for one in receivers], reference=f"batch {family}")
        assert len(sent) == count
        assert (
            on.batch([Payment(one, AMOUNTS[family]) for one in receivers], reference=f"batch {family}")
            == sent
        )
        for receiver in receivers:
            assert read_balance(running, carol, chains[family], receiver) > 0


@pytest.mark.parametrize(("family", "write"), [("eip155", 9), ("eip155", 15), ("solana", 12), ("bip122", 4)])
def test_batch_that_died_in_the_middle_goes_on_with_what_is_missing(
    running: Network, chains: dict[str, str], carol: BlockingAccount, family: str, write: int
) -> None:
    """The first had arrived when the program was killed in the second or third; in the end each is paid once."""
    receivers = [make_address(family) for _ in range(3)]
    reference = f"batch of {family} {write}"
    code = """
import asyncio, json, sys, crash
from hither import Account, Payment
account_id, chain, receivers, amount, reference, write = json.load(sys.stdin)
async def run():
    async with await Account.load(account_id) as account:
        crash.arm(write, is_before=False)
        await account.on(chain).batch([Payment(one, amount) for one in receivers], reference=reference)
asyncio.run(run())
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE,
        input=json.dumps([SENDER, chains[family], receivers, AMOUNTS[family], reference, write]),
        env=os.environ | {"HITHER_HOME": str(running.home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == -9, result.stderr
    parts = [Payment(one, AMOUNTS[family]) for one in receivers]
    sent = carol.on(chains[family]).batch(parts, reference=reference)
    assert len(sent) == (1 if family == "bip122" else 3)
    each = sent[0].amount // (3 if family == "bip122" else 1)
    assert [read_balance(running, carol, chains[family], one) for one in receivers] == [each] * 3
    assert carol.list_transfers() == []


def test_progress_tells_each_step(running: Network, chains: dict[str, str], carol: BlockingAccount) -> None:
    """In order, each with a line for a person."""
    events = []
    # A client of its own: one that does not know of what other programs asked with the key asks a second time.
    with BlockingAccount.load(carol.account_id, home=running.home) as account:
        sent = account.on(chains["eip155"]).send(make_address("eip155"), Units(5), progress=events.append)
    assert [event.step.value for event in events] == STEPS[1:]
    assert {event.transfer_id for event in events} == {sent.transfer_id}
    assert "Send 0.000000000000000005 ETH from" in str(events[0])


def test_contract_of_our_chain_is_called(chains: dict[str, str], carol: BlockingAccount) -> None:
    """A token from contracts/, by the same interface."""
    wasm = Path(__file__).resolve().parents[3] / "contracts/fungible_token/fungible_token.wasm"

    async def deploy() -> None:
        await carol._inner.client.deploy(wasm.read_bytes(), signer=carol._inner.signer)

    carol._loop.run(deploy())
    on = carol.on(chains["near"])
    on.call(SENDER, "new_default", {"owner_id": SENDER, "total_supply": "9"})
    on.batch([Call(SENDER, "storage_deposit", ({"account_id": "bob.near"},), "0.1 N")])
    assert on.view(SENDER, "ft_balance_of", {"account_id": SENDER}) == "9"


def test_addresses_follow_account_and_path(chains: dict[str, str], carol: BlockingAccount) -> None:
    """The list has what `on` gives; another path is another address."""
    listed = {(row.chain, row.path): row.address for row in carol.list_addresses(["savings"])}
    for family in ("eip155", "bip122", "solana"):
        on, other = carol.on(chains[family]), carol.on(chains[family], path="savings")
        assert listed[(chains[family], on.path)] == on.address()
        assert listed[(chains[family], "savings")] == other.address() != on.address()


def test_both_forms_give_the_same(running: Network, chains: dict[str, str], carol: BlockingAccount) -> None:
    """With ``await`` and without."""

    async def read() -> tuple[str, int]:
        async with await Account.load(SENDER, home=running.home) as account:
            on = account.on(chains["eip155"])
            return await on.address(), await on.balance()

    on = carol.on(chains["eip155"])
    assert asyncio.run(read()) == (on.address(), on.balance())


def test_name_that_is_made_again_is_warned_about(running: Network, chains: dict[str, str]) -> None:
    """Its addresses are those of whoever had the name before, and so is what is left on them."""
    quiet = hither("accounts", "create", "phoenix.near", home=running.home)
    assert quiet.returncode == 0, quiet.stderr
    assert "warning" not in quiet.stderr
    with BlockingAccount.load("phoenix.near", home=running.home) as first:
        address = first.on(chains["eip155"]).address()
        (url,) = [row["rpc_url"] for row in running.endpoints["foreign"] if row["caip2"] == chains["eip155"]]
        asyncio.run(fund(first.on(chains["eip155"]).chain, url, address, 10**18))
        inner = first._inner
        first._loop.run(inner.client.send("phoenix.near", delete_account("alice.near"), signer=inner.signer))
    again = hither("accounts", "create", "phoenix.near", home=running.home)
    assert again.returncode == 0, again.stderr
    assert "warning: phoenix.near was made from this home before" in again.stderr
    assert f"{chains['eip155']}: {address} has 1 ETH and nonce 0" in again.stderr
    assert "Addresses follow the name" in again.stderr
    with BlockingAccount.load("phoenix.near", home=running.home) as second:
        assert second.on(chains["eip155"]).address() == address


def test_all_derived_addresses_are_exported(
    running: Network, chains: dict[str, str], carol: BlockingAccount
) -> None:
    """By the command as by the account; of one account, or of all whose keys the home holds."""
    rows = json.loads(
        must_hither("accounts", "addresses", SENDER, "--path", "savings", "--json", home=running.home)
    )
    assert [(row["chain"], row["path"], row["address"]) for row in rows] == [
        (row.chain, row.path, row.address) for row in carol.list_addresses(["savings"])
    ]
    listed = must_hither("accounts", "addresses", home=running.home)
    assert len(listed.splitlines()) >= (len(chains) - 1) * 10
    assert all(chain in listed for family, chain in chains.items() if family != "near")


def test_person_sends_and_looks_without_a_program(
    running: Network, chains: dict[str, str], carol: BlockingAccount
) -> None:
    """By a chain's name, to an account's name; asking again with the reference pays nothing; then the list has it."""
    with BlockingAccount.load("bob.near", home=running.home) as bob:
        address, before = bob.on(chains["eip155"]).address(), bob.on(chains["eip155"]).balance()
        words = ["send", "base", "bob.near", "7 gwei", "--from", SENDER, "--reference", "typed", "--json"]
        first, again = (json.loads(must_hither(*words, home=running.home)) for _ in range(2))
        assert first == again
        assert (first["receiver"], first["chain"]) == (address, chains["eip155"])
        assert bob.on(chains["eip155"]).balance() == before + 7 * 10**9
    receiver = make_address("bip122")
    shown = must_hither("send", "bitcoin", receiver, "2000 sat", "--from", SENDER, home=running.home)
    assert receiver in shown
    assert read_balance(running, carol, chains["bip122"], receiver) == 2_000
    must_hither("send", "near", "bob.near", "1 yoctonear", "--from", SENDER, home=running.home)
    assert must_hither("transfers", "--json", home=running.home) == "[]"
    ended = json.loads(must_hither("transfers", "--ended", "--json", home=running.home))
    assert (first["transfer_id"], "typed", "final") in [
        (row["id"], row["reference"], row["step"]) for row in ended
    ]
    assert must_hither("transfers", "resume", "--of", SENDER, home=running.home) == ""


@pytest.mark.usefixtures("waiting")
def test_person_raises_a_fee_without_a_program(
    running: Network, chains: dict[str, str], impatient: BlockingAccount
) -> None:
    """The list names what waits; the command pays more for it and returns when a block has it."""
    receiver = make_address("eip155")
    with pytest.raises(FinalityTimeout):
        impatient.on(chains["eip155"]).send(receiver, "5 gwei")
    (row,) = json.loads(must_hither("transfers", "--json", home=running.home))
    assert (row["step"], row["account_id"], row["receiver"]) == ("broadcast", SENDER, receiver)
    # The command waits for a block, which comes once the second transaction is there.
    with ThreadPoolExecutor() as threads:
        bumping = threads.submit(
            must_hither, "transfers", "bump", row["id"], "--of", SENDER, "--json", home=running.home
        )
        journal = impatient._inner.journal
        running.must_become(
            lambda: (
                bumping.done()
                or any(one.step == "broadcast" and one.earlier for one in journal.list(is_open=True))
            ),
            "sent for more",
        )
        make_block(running, chains, "eip155")
        sent = json.loads(bumping.result())
    assert (sent["transfer_id"], sent["receiver"]) == (row["id"], receiver)
    assert sent["transaction_id"] != row["transaction_id"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["base", "0x1234", "1 ETH", "--from", SENDER], "address"),
        (["base", "bob.near", "1", "--from", SENDER], "has no unit"),
        (["base", "nobody.near", "1 gwei", "--from", SENDER], "nobody.near"),
        (["base", "bob.near", "1 gwei", "--from", "nobody.near"], "no key of nobody.near"),
        (["atlantis", "bob.near", "1 gwei", "--from", SENDER], "no EVM chain is named 'atlantis'"),
        (["optimism", "bob.near", "1 gwei", "--from", SENDER], "this network has no endpoint for eip155:10"),
    ],
)
def test_mistake_of_a_person_is_one_sentence(running: Network, words: list[str], reason: str) -> None:
    """With exit code 1, no traceback, and nothing in the journal."""
    result = hither("send", *words, home=running.home)
    assert (result.returncode, "Traceback" in result.stderr) == (1, False), result.stderr
    assert reason in result.stderr
    assert must_hither("transfers", home=running.home) == ""


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["base", "1 ETH"], 2, "name an account"),
        (["base", "1 ETH", "--to", "0x1234"], 1, "not an EVM address"),
        (["base", "1 ETH", "--account", "nobody.near"], 1, "nobody.near"),
        (["base", "1", "--account", SENDER], 1, "has no unit"),
        (["base", "0 ETH", "--account", SENDER], 1, "is nothing"),
        (["bitcoin", "1_000_000 BTC", "--account", SENDER], 1, "satoshis ready"),
        (["near", "1 N", "--account", SENDER], 1, "has no faucet"),
        (["optimism", "1 ETH", "--account", SENDER], 1, "has no endpoint for eip155:10"),
    ],
)
def test_mistake_in_funding_is_one_sentence(
    running: Network, words: list[str], code: int, reason: str
) -> None:
    """With what to do."""
    result = hither("fund", *words, home=running.home)
    assert (result.returncode, "Traceback" in result.stderr) == (code, False), result.stderr
    assert reason in result.stderr
    assert code == 2 or "hint: " in result.stderr
