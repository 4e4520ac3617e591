"""A node's attestation, kept in force: an attestation lives a week, and the answers of a node without one do not count.

What is submitted is a plug: an operator's file, or a mock in a development network, which has no trusted hardware. It
is submitted anew when half of its life is over, by the chain's clock.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from hither.client import AsyncClient, ClientError, Signer
from hither.mpc.contract import tls_key_to_text

logger = logging.getLogger(__name__)

MOCK: Final[Mapping[str, Any]] = {"Mock": "Valid"}
LIFE_S: Final = 604_800
"""The contract lets none live longer."""
FOR_EVER: Final = 2**63
RETRY_S: Final = 60.0
SUBMIT_GAS: Final = "300 Tgas"
_NS_PER_S: Final = 10**9

Attest = Callable[[], Any]
"""What to submit now, as ``submit_participant_info`` takes it. Raises NoAttestation."""


class NoAttestation(Exception):
    """There is nothing to submit; the message says why."""


def attest_by_mock() -> Any:
    """Says nothing about hardware."""
    return MOCK


def get_end_s(attestation: Any) -> int:
    """When what ``get_attestation`` answered ends, by the chain's clock. Raises ValueError."""
    match attestation:
        case {"Mock": {"WithConstraints": {"expiry_timestamp_seconds": int(end_s)}}}:
            return end_s
        case {"Dstack": {"expiry_timestamp_seconds": int(end_s)}}:
            return end_s
        case {"Mock": "Valid" | {"WithConstraints": {}}}:
            return FOR_EVER
    raise ValueError(f"not an attestation that is in force: {attestation!r}")


async def fetch_end_s(client: AsyncClient, contract_id: str, account: Signer, tls_key: bytes) -> int:
    """When the attestation ends by which this account's key may act; 0 if there is none. Raises ClientError."""
    text = tls_key_to_text(tls_key)
    entry = {
        "account_id": account.account_id,
        "tls_public_key": text,
        "account_public_key": str(account.public_key),
    }
    if entry not in (await client.view(contract_id, "get_tee_accounts")).json():
        return 0
    stored = (await client.view(contract_id, "get_attestation", {"tls_public_key": text})).json()
    try:
        return get_end_s(stored)
    except ValueError:
        return 0


async def submit(
    client: AsyncClient, contract_id: str, account: Signer, tls_key: bytes, attestation: Any
) -> None:
    """Raises ClientError when the contract does not take it."""
    args = {"proposed_participant_attestation": attestation, "tls_public_key": tls_key_to_text(tls_key)}
    await client.call(contract_id, "submit_participant_info", args, gas=SUBMIT_GAS, signer=account)


async def ensure_attested(
    client: AsyncClient, contract_id: str, account: Signer, tls_key: bytes, attest: Attest = attest_by_mock
) -> int:
    """Submit if nothing is in force for long enough; when it ends. Raises ClientError, NoAttestation."""
    now_s = (await client.get_block()).timestamp_ns // _NS_PER_S
    end_s = await fetch_end_s(client, contract_id, account, tls_key)
    if end_s - now_s > LIFE_S // 2:
        return end_s
    await submit(client, contract_id, account, tls_key, attest())
    return await fetch_end_s(client, contract_id, account, tls_key)


class Keeper:
    """Keeps the attestations of this process's nodes in force. Without ``attest`` it only knows when they end."""

    def __init__(self, client: AsyncClient, contract_id: str, attest: Attest | None) -> None:
        self._client = client
        self._contract_id = contract_id
        self._attest = attest
        self._ends_s: dict[bytes, int] = {}
        self._retry_s: dict[bytes, float] = {}

    def forget(self) -> None:
        """The chain went back: what was stored may be gone."""
        self._ends_s.clear()
        self._retry_s.clear()

    def get_end_s(self, tls_key: bytes) -> int | None:
        """When a node's attestation ends, by the chain's clock; None while that is not known."""
        return self._ends_s.get(tls_key)

    async def keep(self, nodes: Iterable[tuple[Signer, bytes]], now_s: int) -> None:
        """Look after these accounts with their TLS keys. ``now_s``: of the chain. What fails is tried again later."""
        due = [
            (account, tls_key)
            for account, tls_key in nodes
            if self._ends_s.get(tls_key, 0) - now_s <= LIFE_S // 2
            and self._retry_s.get(tls_key, 0.0) <= time.monotonic()
        ]
        await asyncio.gather(*(self._keep_one(account, tls_key, now_s) for account, tls_key in due))

    async def _keep_one(self, account: Signer, tls_key: bytes, now_s: int) -> None:
        self._retry_s[tls_key] = time.monotonic() + RETRY_S
        try:
            if self._attest is None:
                end_s = await fetch_end_s(self._client, self._contract_id, account, tls_key)
            else:
                end_s = await ensure_attested(self._client, self._contract_id, account, tls_key, self._attest)
        except (ClientError, NoAttestation) as error:
            logger.warning("the attestation of %s was not renewed: %s", account.account_id, error)
            return
        self._ends_s[tls_key] = end_s
        if end_s - now_s > LIFE_S // 2:
            # The chain's clock may be set by days: then the next is due at once.
            del self._retry_s[tls_key]
