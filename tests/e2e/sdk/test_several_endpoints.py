"""An account whose chains have three endpoints each, of which one lies, stalls or limits: what two say counts."""

import asyncio
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from solders.hash import Hash

from hither import BlockingAccount
from hither import Network as SdkNetwork
from hither.foreign.engines.faucet import fund
from hither.foreign.errors import EndpointsDisagree, LyingEndpoint
from hither.sdk.network import make_endpoint
from tests.e2e.cli.running import Network, network
from tests.e2e.sdk.odd_endpoints import odd_endpoint
from tests.e2e.sdk.receivers import make_address

pytestmark = pytest.mark.slow
SENDER = "carol.near"
FAMILIES = ["eip155", "bip122", "solana"]
AMOUNTS = {"eip155": "5 gwei", "bip122": "1_000 sat", "solana": "0.002 SOL"}
UNITS = {"eip155": 5 * 10**9, "bip122": 1_000, "solana": 2 * 10**6}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network, Bitcoin, one EVM chain and Solana; carol has money everywhere."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", "--evm", "8453", is_alone=False) as everything:
        with BlockingAccount.load(SENDER, home=everything.home) as account:
            for row in everything.endpoints["foreign"]:
                on = account.on(row["caip2"])
                amount = {"eip155": 10**18, "bip122": 10**8, "solana": 10**10}[on.chain.namespace]
                asyncio.run(fund(on.chain, row["rpc_url"], on.address(), amount))
        yield everything


def get_row(running: Network, family: str) -> dict[str, Any]:
    (row,) = [row for row in running.endpoints["foreign"] if row["caip2"].startswith(family)]
    return row


def load(running: Network, family: str, urls: list[str]) -> BlockingAccount:
    """carol, with these endpoints for a chain, of which two must agree."""
    row = get_row(running, family)
    chosen = make_endpoint(row["caip2"], urls, 2, row["confirmations"])
    sdk_network = SdkNetwork.load(running.home).with_endpoints([chosen])
    return BlockingAccount.load(SENDER, home=running.home, network=sdk_network)


def lie(method: str, result: Any) -> Any:
    """About everything that money depends on."""
    match method:
        case "eth_getBalance" | "eth_getTransactionCount" | "eth_gasPrice" | "eth_blockNumber":
            return hex(int(result, 16) + 7)
        case "eth_chainId":
            return "0x1"
        case "eth_getTransactionReceipt":
            return {**result, "status": "0x0"}
        case "eth_sendRawTransaction" | "sendrawtransaction":
            return "0x" + "ab" * 32
        case "scantxoutset":
            return {**result, "total_amount": 5_000, "unspents": []}
        case "getrawtransaction" if isinstance(result, dict):
            return {**result, "confirmations": 100}
        case "getblockcount" | "getSlot":
            return result + 1_000
        case "getblockhash":
            return "11" * 32
        case "getBalance":
            return {**result, "value": 1}
        case "getLatestBlockhash":
            value = {**result["value"], "blockhash": str(Hash.new_unique())}
            return {**result, "value": value}
        case "getSignatureStatuses":
            error = {
                "slot": 1,
                "err": {"InstructionError": [0, "GenericError"]},
                "confirmationStatus": "finalized",
            }
            return {**result, "value": [error | {"confirmations": None}]}
        case "getGenesisHash" | "sendTransaction":
            return "1" * 32
    return result


def must_pay_once(account: BlockingAccount, running: Network, family: str) -> None:
    """A transfer is final and its receiver has it, says the chain itself."""
    row, receiver = get_row(running, family), make_address(family)
    on = account.on(row["caip2"])
    sent = on.send(receiver, AMOUNTS[family], reference=receiver)
    assert on.send(receiver, AMOUNTS[family], reference=receiver) == sent
    with BlockingAccount.load(SENDER, home=running.home) as honest:
        adapter = honest._inner.get_adapter(on.chain)
        assert honest._loop.run(adapter.fetch_balance(receiver)) == UNITS[family]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("oddity", ["lies", "stalls", "limits its rate"])
def test_one_odd_endpoint_of_three_changes_nothing(running: Network, family: str, oddity: str) -> None:
    """It stands first, where its word would count most."""
    url = get_row(running, family)["rpc_url"]
    kinds: dict[str, Any] = {
        "lies": {"lie": lie},
        "stalls": {"stalls": True},
        "limits its rate": {"limits": True},
    }
    with (
        odd_endpoint(url, **kinds[oddity]) as odd,
        odd_endpoint(url) as other,
        load(running, family, [odd, url, other]) as carol,
    ):
        must_pay_once(carol, running, family)
        assert carol.list_transfers() == []


@pytest.mark.parametrize("family", FAMILIES)
def test_endpoints_that_all_differ_stop_it_before_anything_is_signed(running: Network, family: str) -> None:
    """Told with a code and what to do; with honest ones the same transfer goes on, once."""
    row, receiver = get_row(running, family), make_address(family)
    numbers = itertools.count(1)

    def differ(method: str, result: Any) -> Any:
        match method:
            case "eth_getBalance":
                return hex(next(numbers))
            case "scantxoutset":
                return {**result, "total_amount": next(numbers), "unspents": []}
            case "getBalance":
                return {**result, "value": next(numbers)}
        return result

    with (
        odd_endpoint(row["rpc_url"], differ) as one,
        odd_endpoint(row["rpc_url"], differ) as two,
        load(running, family, [row["rpc_url"], one, two]) as carol,
    ):
        with pytest.raises(EndpointsDisagree, match="2 of 3 endpoints must agree") as caught:
            carol.on(row["caip2"]).send(receiver, AMOUNTS[family], reference=f"told {family}")
        assert (caught.value.code, caught.value.retryable) == ("ENDPOINTS_DISAGREE", True)
        assert "remove the one that differs" in str(caught.value.hint)
        (record,) = carol.list_transfers()
        assert (record.step, record.asked) == ("intended", {})
    with BlockingAccount.load(SENDER, home=running.home) as carol:
        (sent,) = carol.resume()
        assert (sent.receiver, sent.amount) == (receiver, UNITS[family])
        assert carol.on(row["caip2"]).send(receiver, AMOUNTS[family], reference=f"told {family}") == sent
        assert carol.list_transfers() == []


@pytest.mark.parametrize(
    ("family", "method", "false"),
    [
        ("eip155", "eth_chainId", "0x1"),
        ("bip122", "getblockhash", "11" * 32),
        ("solana", "getGenesisHash", "1" * 32),
    ],
)
def test_single_endpoint_of_another_chain_is_found_out(
    running: Network, family: str, method: str, false: str
) -> None:
    """Before anything is built: nothing is left in the journal but that it failed."""
    row = get_row(running, family)
    with odd_endpoint(row["rpc_url"], lambda asked, result: false if asked == method else result) as url:
        chain = SdkNetwork.load(running.home).endpoints
        (endpoint,) = [one for one in chain.values() if str(one.chain) == row["caip2"]]
        chosen = dataclasses.replace(endpoint, url=url)
        sdk_network = SdkNetwork.load(running.home).with_endpoints([chosen])
        with (
            BlockingAccount.load(SENDER, home=running.home, network=sdk_network) as carol,
            pytest.raises(LyingEndpoint, match="serves"),
        ):
            carol.on(row["caip2"]).send(make_address(family), AMOUNTS[family])
        with BlockingAccount.load(SENDER, home=running.home) as carol:
            assert carol.list_transfers() == []


def test_owner_of_a_home_names_endpoints_in_a_file(running: Network) -> None:
    """chains.toml takes the place of what runs there, for that chain alone."""
    row = get_row(running, "eip155")
    path = running.home / "chains.toml"
    with odd_endpoint(row["rpc_url"], lie) as odd, odd_endpoint(row["rpc_url"]) as other:
        urls = [odd, row["rpc_url"], other]
        path.write_text(f'["{row["caip2"]}"]\nurls = {urls}\nagree = 2\nconfirmations = 1\n')
        try:
            with BlockingAccount.load(SENDER, home=running.home) as carol:
                chosen = carol._inner.network.endpoints[carol.on(row["caip2"]).chain]
                assert (chosen.urls, chosen.agree) == (tuple(urls), 2)
                must_pay_once(carol, running, "eip155")
        finally:
            path.unlink()
