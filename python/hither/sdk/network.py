"""A network: our chain, its signer contract, and an endpoint for each other chain, or several that must agree."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from hither.foreign.adapter import Adapter
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_agreement import BITCOIN_READING
from hither.foreign.caip import ChainId, parse_chain_id
from hither.foreign.engines.faucet import fund
from hither.foreign.errors import InvalidAmount, InvalidChainId, InvalidInput
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_agreement import EVM_READING
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.quorum import STRICT, Quorum
from hither.foreign.solana import SolanaAdapter
from hither.foreign.solana_agreement import SOLANA_READING
from hither.foreign.transport import JsonRpc, Rpc
from hither.sdk.amounts import Amount, parse_amount
from hither.sdk.endpoints import TRANSFERS_FOLDER, NoNetwork, read_endpoints, resolve_home

CHAINS_FILE_NAME: Final = "chains.toml"


class InvalidEndpoints(InvalidInput):
    """What is said of a chain's endpoints cannot be."""

    code = "INVALID_ENDPOINTS"
    hint = 'write ["eip155:8453"], then urls = ["https://…", "https://…", "https://…"] and agree = 2'


class UnknownChain(Exception):
    """The network has no endpoint for that chain, or no adapter for its family. ``hint`` says what to do."""

    hint = (
        "start it with `hither up --evm NAME,…`, or name its endpoints in chains.toml of the home "
        "(docs/guides/send_everywhere.md)"
    )


_READINGS: Final = {"bip122": BITCOIN_READING, "eip155": EVM_READING, "solana": SOLANA_READING}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a chain answers.

    With ``confirmations`` a transaction is final when so many blocks hold it or follow; a development chain, which
    nobody reorganises, needs one. Without, the chain's own finality decides.

    ``others`` are further endpoints of the chain, of other people best. All are asked, and what ``agree`` of them say
    alike counts: more than half of them, unless that says otherwise. A transaction is sent to all.

    A chain of `hither up` ``has_faucet``: coins there cost nothing, and who has too few is told how to get some.
    """

    chain: ChainId
    """Which one; an endpoint that serves another is a ``LyingEndpoint`` before anything is sent."""
    url: str
    """JSON-RPC over HTTP. The messages of errors have its host alone, as its path may hold a key."""
    confirmations: int | None = None
    """From 1, the transaction's own block included."""
    others: tuple[str, ...] = ()
    """Further ones."""
    agree: int | None = None
    """How many of all must say the same."""
    has_faucet: bool = False
    """Whether ``fund`` works there."""

    @property
    def urls(self) -> tuple[str, ...]:
        """All of them."""
        return self.url, *self.others

    def open(self) -> Rpc:
        """A client of the one, or of all with their agreement; close it after use."""
        if not self.others:
            return JsonRpc(self.url)
        agree = self.agree or len(self.urls) // 2 + 1
        reading = _READINGS.get(self.chain.namespace, STRICT)
        return Quorum([JsonRpc(url) for url in self.urls], agree, reading)


@dataclass(frozen=True, slots=True)
class Network:
    """Where everything answers. ``contract_id`` is the signer contract on our chain, which is ``chain``.

    ``journal_folder`` keeps the transfers of its accounts [default: ``transfers`` in the home]. So long one that was
    sent is waited for until it is final; on Bitcoin's main network that takes an hour.
    """

    rpc_url: str
    """Of our chain, or of any NEAR network."""
    contract_id: str
    """The account of the signer contract there."""
    endpoints: Mapping[ChainId, Endpoint]
    """Of every other chain."""
    chain: ChainId
    """Ours, by its CAIP-2 id."""
    journal_folder: Path | None = None
    """A folder an account in it."""
    final_timeout_seconds: float = 60.0
    """Then ``FinalityTimeout``, which ends nothing: ``resume`` follows it further."""

    @classmethod
    def load(cls, home: str | Path | None = None) -> "Network":
        """What runs in a home (else $HITHER_HOME, else ~/.hither), with the endpoints that its owner has set.

        Raises ``NoNetwork``, ``InvalidEndpoints``.
        """
        folder = resolve_home(None if home is None else str(home))
        content = read_endpoints(folder)
        if "mpc" not in content:
            raise NoNetwork(
                f"no signing network runs in {folder}; start it with `hither up`, without `--alone`"
            )
        network = cls.from_endpoints(content, folder / TRANSFERS_FOLDER)
        chosen = read_chosen_endpoints(folder)
        return network if not chosen else network.with_endpoints(chosen)

    @classmethod
    def from_endpoints(cls, content: Mapping[str, Any], journal_folder: Path | None = None) -> "Network":
        """From the content of endpoints.json. Raises KeyError when no signing network runs."""
        rows = (
            Endpoint(parse_chain_id(row["caip2"]), row["rpc_url"], row.get("confirmations"), has_faucet=True)
            for row in content.get("foreign", ())
        )
        return cls(
            rpc_url=content["near"]["rpc_url"],
            contract_id=content["mpc"]["contract_id"],
            endpoints={row.chain: row for row in rows},
            chain=parse_chain_id(content["near"]["caip2"]),
            journal_folder=journal_folder,
        )

    def with_endpoints(self, chosen: Sequence[Endpoint]) -> "Network":
        """The same with other endpoints for some chains, or with more chains."""
        return replace(self, endpoints={**self.endpoints, **{one.chain: one for one in chosen}})

    def open_adapter(self, chain: ChainId) -> Adapter:
        """An adapter for a chain of this network; close it after use. Raises UnknownChain."""
        endpoint = self.endpoints.get(chain)
        if endpoint is None:
            known = ", ".join(str(one) for one in self.endpoints) or "none"
            raise UnknownChain(f"this network has no endpoint for {chain}; it has {known}")
        maker = _MAKERS.get(chain.namespace)
        if maker is None:
            raise UnknownChain(f"no adapter for the family {chain.namespace}")
        return maker(endpoint)

    async def fund(self, chain: ChainId, receiver: str, amount: Amount) -> str:
        """Coins for nothing at an address, from the faucet of a development chain; the transaction's id.

        Returns when they are there. Raises ``UnknownChain``, ``InvalidAddress``, ``InvalidAmount``, and
        ``EngineError`` when the chain has no faucet or it refuses.
        """
        adapter = self.open_adapter(chain)
        try:
            address, units = (
                adapter.parse_address(receiver),
                parse_amount(amount, chain.namespace, adapter.coin),
            )
        finally:
            await adapter.close()
        if units < 1:
            raise InvalidAmount(f"{amount!r} is nothing")
        return await fund(chain, self.endpoints[chain].url, address, units)


def _open_bitcoin(endpoint: Endpoint) -> Adapter:
    rpc = endpoint.open()
    return BitcoinAdapter(endpoint.chain, rpc, confirmations=endpoint.confirmations)


def _open_evm(endpoint: Endpoint) -> Adapter:
    info = get_evm_chain(endpoint.chain, confirmations=endpoint.confirmations)
    return EvmAdapter(info, endpoint.open())


def _open_solana(endpoint: Endpoint) -> Adapter:
    return SolanaAdapter(endpoint.chain, endpoint.open())


_MAKERS: Final[Mapping[str, Callable[[Endpoint], Adapter]]] = {
    "bip122": _open_bitcoin,
    "eip155": _open_evm,
    "solana": _open_solana,
}


def read_chosen_endpoints(home: Path) -> list[Endpoint]:
    """From ``HOME/chains.toml``, which its owner writes; none without it. Raises ``InvalidEndpoints``.

    ::

        ["eip155:8453"]
        urls = ["https://one.example", "https://two.example", "https://three.example"]
        agree = 2
        confirmations = 5
    """
    path = home / CHAINS_FILE_NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidEndpoints(f"{path} is not TOML: {error}") from None
    try:
        return [_read_endpoint(name, row) for name, row in content.items()]
    except (InvalidChainId, InvalidEndpoints) as error:
        raise InvalidEndpoints(f"{path}: {error}", hint=error.hint) from None


def _read_endpoint(name: str, row: Any) -> Endpoint:
    if not isinstance(row, dict):
        raise InvalidEndpoints(f"{name!r} stands outside a chain's section")
    unknown = set(row) - {"urls", "agree", "confirmations"}
    if unknown:
        raise InvalidEndpoints(f"{name}: unknown: {', '.join(sorted(unknown))}")
    return make_endpoint(name, row.get("urls", ()), row.get("agree"), row.get("confirmations"))


def make_endpoint(
    chain: str, urls: Sequence[str], agree: int | None = None, confirmations: int | None = None
) -> Endpoint:
    """Endpoints of a chain of which ``agree`` must say alike what matters [default: more than half].

    Raises ``InvalidEndpoints``, ``InvalidChainId``.
    """
    parsed = parse_chain_id(chain)
    if isinstance(urls, str) or not urls or not all(_is_url(url) for url in urls):
        raise InvalidEndpoints(f"{chain}: urls is not a list of http or https addresses")
    if len(set(urls)) < len(urls):
        raise InvalidEndpoints(f"{chain}: an address stands twice", hint="one that lies would count twice")
    for title, number in (("agree", agree), ("confirmations", confirmations)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
            raise InvalidEndpoints(f"{chain}: {title} is not a number from 1")
    if agree is not None and agree > len(urls):
        raise InvalidEndpoints(f"{chain}: {agree} of {len(urls)} endpoints cannot agree")
    return Endpoint(parsed, urls[0], confirmations, tuple(urls[1:]), agree)


def _is_url(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)
