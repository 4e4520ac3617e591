"""TON, XRP, Stellar, Aptos, Sui, Tron and Cosmos fit the interface of adapters as it is.

The account, its journal and the real signing network work with a module of each family, whose only door is one row in
the table of families.
"""

from collections.abc import Iterator

import pytest

from hither import BlockingAccount, Payment
from hither.foreign.adapter import Adapter
from hither.foreign.errors import InsufficientFunds, InvalidAmount, WrongNetwork
from hither.sdk import network as networks
from hither.sdk.events import Event
from hither.sdk.network import make_endpoint
from tests.e2e.cli.running import Network, network
from tests.e2e.sdk.other_families import FAMILIES, FEE, LIFE, Family, Ledger, LedgerAdapter

pytestmark = pytest.mark.slow
SENDER = "carol.near"
PREFIXES = {
    "tvm": "EQ",
    "xrpl": "r",
    "stellar": "G",
    "aptos": "0x",
    "sui": "0x",
    "tron": "T",
    "cosmos": "cosmos1",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain and the signing network; the other chains are this module's."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", "--evm", "8453", is_alone=False) as everything:
        yield everything


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: f"{family.chain}")
def test_account_sends_on_a_family_that_has_only_an_adapter(
    running: Network, family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses, balance, transfers that are paid once, bytes that grew too old, batches, and mistakes."""
    ledger = Ledger(family)
    adapter: Adapter = LedgerAdapter(ledger)
    monkeypatch.setitem(networks._MAKERS, family.chain.namespace, lambda _endpoint: adapter)
    known = networks.Network.load(running.home)
    extended = known.with_endpoints([make_endpoint(str(family.chain), ["http://127.0.0.1:1"])])
    with BlockingAccount.load(SENDER, home=running.home, network=extended) as carol:
        on = carol.on(family.chain)
        own, symbol = on.address(), family.coin.symbol
        assert own.startswith(PREFIXES[family.chain.namespace])
        assert own in [row.address for row in carol.list_addresses() if row.chain == str(family.chain)]
        receiver = carol.on(family.chain, path="another").address()
        assert receiver != own

        with pytest.raises(InsufficientFunds, match="too little") as caught:
            on.send(receiver, f"0.5 {symbol}")
        assert f"{symbol} more are needed on {own}" in str(caught.value.hint)
        with pytest.raises(WrongNetwork):
            on.send("?" + receiver[1:], f"0.5 {symbol}")
        with pytest.raises(InvalidAmount, match="is not a unit of this chain"):
            on.send(receiver, "0.5 ETH")
        assert carol.list_transfers() == []

        ledger.balances[own] = 3 * 10**family.coin.decimals
        half = 5 * 10 ** (family.coin.decimals - 1)
        events: list[Event] = []
        sent = on.send(receiver, f"0.5 {symbol}", reference=f"once {family.chain}", progress=events.append)
        assert [event.step.value for event in events] == [
            "built",
            "asked",
            "signed",
            "ready",
            "broadcast",
            "final",
        ]
        assert f"Send 0.5 {symbol} from {own} to {receiver}" in str(events[0])
        assert (sent.address, sent.amount, sent.fee, len(sent.sign_transactions)) == (own, half, FEE, 1)
        assert on.send(receiver, f"0.5 {symbol}", reference=f"once {family.chain}") == sent
        assert (ledger.balances[receiver], on.nonce()) == (half, 1)

        ledger.delay = LIFE + 1  # So long that the first bytes are too old: others are built, and paid once.
        events.clear()
        assert on.send(receiver, f"0.5 {symbol}", progress=events.append).fee == FEE
        assert [event.step.value for event in events].count("built") == 2
        assert (ledger.balances[receiver], on.nonce()) == (2 * half, 2)
        assert len(on.batch([Payment(receiver, f"0.1 {symbol}")] * 2)) == 2
        assert on.balance() == 3 * 10**family.coin.decimals - sum([half, half, half // 5 * 2]) - 4 * FEE
        assert carol.list_transfers() == []
