"""A network: our chain, its signer contract, and an endpoint for each other chain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hither.foreign.adapter import Adapter
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.caip import ChainId, parse_chain_id
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.solana import SolanaAdapter
from hither.foreign.transport import JsonRpc
from hither.sdk.endpoints import TRANSFERS_FOLDER, NoNetwork, read_endpoints, resolve_home


class UnknownChain(Exception):
    """The network has no endpoint for that chain, or no adapter for its family."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a chain answers.

    With ``confirmations`` a transaction is final when so many blocks hold it or follow; a development chain, which
    nobody reorganises, needs one. Without, the chain's own finality decides.
    """

    chain: ChainId
    url: str
    confirmations: int | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Where everything answers. ``contract_id`` is the signer contract on our chain, which is ``chain``.

    ``journal_folder`` keeps the transfers of its accounts [default: ``transfers`` in the home]. So long one that was
    sent is waited for until it is final; on Bitcoin's main network that takes an hour.
    """

    rpc_url: str
    contract_id: str
    endpoints: Mapping[ChainId, Endpoint]
    chain: ChainId
    journal_folder: Path | None = None
    final_timeout_seconds: float = 60.0

    @classmethod
    def load(cls, home: str | Path | None = None) -> "Network":
        """What runs in a home (else $HITHER_HOME, else ~/.hither). Raises ``NoNetwork``."""
        folder = resolve_home(None if home is None else str(home))
        content = read_endpoints(folder)
        if "mpc" not in content:
            raise NoNetwork(
                f"no signing network runs in {folder}; start it with `hither up`, without `--alone`"
            )
        return cls.from_endpoints(content, folder / TRANSFERS_FOLDER)

    @classmethod
    def from_endpoints(cls, content: Mapping[str, Any], journal_folder: Path | None = None) -> "Network":
        """From the content of endpoints.json. Raises KeyError when no signing network runs."""
        rows = (
            Endpoint(parse_chain_id(row["caip2"]), row["rpc_url"], row.get("confirmations"))
            for row in content.get("foreign", ())
        )
        return cls(
            rpc_url=content["near"]["rpc_url"],
            contract_id=content["mpc"]["contract_id"],
            endpoints={row.chain: row for row in rows},
            chain=parse_chain_id(content["near"]["caip2"]),
            journal_folder=journal_folder,
        )

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


def _open_bitcoin(endpoint: Endpoint) -> Adapter:
    return BitcoinAdapter(endpoint.chain, JsonRpc(endpoint.url), confirmations=endpoint.confirmations)


def _open_evm(endpoint: Endpoint) -> Adapter:
    info = get_evm_chain(endpoint.chain, confirmations=endpoint.confirmations)
    return EvmAdapter(info, JsonRpc(endpoint.url))


def _open_solana(endpoint: Endpoint) -> Adapter:
    return SolanaAdapter(endpoint.chain, JsonRpc(endpoint.url))


_MAKERS: Final[Mapping[str, Callable[[Endpoint], Adapter]]] = {
    "bip122": _open_bitcoin,
    "eip155": _open_evm,
    "solana": _open_solana,
}
