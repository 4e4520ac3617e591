"""When attestations are renewed."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from hither.client import Signer
from hither.crypto.signing import secret_key_from_seed
from hither.mpc import attestations as attestations_module
from hither.mpc.attestations import FOR_EVER, LIFE_S, MOCK, Keeper, NoAttestation, get_end_s
from hither.mpc.contract import tls_key_to_text
from hither.primitives.types import ED25519

ACCOUNT = Signer("node.near", secret_key_from_seed(ED25519, bytes(32)))
TLS_KEY = bytes([7]) * 32


@dataclass
class Answer:
    value: Any

    def json(self) -> Any:
        return self.value


@dataclass
class Contract:
    """Answers as the contract does; every attestation lives a week."""

    now_s: int = 1_000_000
    end_s: int | None = None
    submitted: list[Any] = field(default_factory=list)
    is_stored: bool = True

    @property
    def timestamp_ns(self) -> int:
        return self.now_s * 10**9

    async def get_block(self) -> "Contract":
        return self

    async def view(self, _contract_id: str, method: str, _arguments: Any = None) -> Answer:
        if method == "get_attestation":
            return Answer({"Mock": {"WithConstraints": {"expiry_timestamp_seconds": self.end_s}}})
        entry = {
            "account_id": "node.near",
            "tls_public_key": tls_key_to_text(TLS_KEY),
            "account_public_key": str(ACCOUNT.public_key),
        }
        return Answer([] if self.end_s is None else [entry])

    async def call(self, _contract_id: str, method: str, arguments: Any, **_options: Any) -> None:
        assert method == "submit_participant_info"
        self.submitted.append(arguments["proposed_participant_attestation"])
        if self.is_stored:
            self.end_s = self.now_s + LIFE_S


def keep(keeper: Keeper, contract: Contract) -> None:
    asyncio.run(keeper.keep([(ACCOUNT, TLS_KEY)], contract.now_s))


def test_half_of_its_life_over_it_is_renewed_at_once() -> None:
    """Also when the chain's clock was set by weeks, again and again."""
    contract = Contract()
    keeper = Keeper(contract, "signer.near", lambda: MOCK)  # type: ignore[arg-type]
    for renewals, passed_s in enumerate((0, LIFE_S // 2 - 1, 1, 30 * LIFE_S, 30 * LIFE_S)):
        contract.now_s += passed_s
        keep(keeper, contract)
        keep(keeper, contract)
        assert len(contract.submitted) == (renewals + 1 if renewals < 1 else renewals)
        assert keeper.get_end_s(TLS_KEY) == contract.end_s


def test_what_fails_is_tried_again_later_and_not_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contract that stores nothing, or a file that cannot be read, costs one attempt a minute."""
    contract = Contract(is_stored=False)
    keeper = Keeper(contract, "signer.near", lambda: MOCK)  # type: ignore[arg-type]
    for _ in range(3):
        keep(keeper, contract)
    assert len(contract.submitted) == 1
    monkeypatch.setattr(attestations_module, "RETRY_S", -1.0)
    keeper.forget()
    for _ in range(3):
        keep(keeper, contract)
    assert len(contract.submitted) == 4

    def fail() -> Any:
        raise NoAttestation("no file")

    failing = Keeper(contract, "signer.near", fail)  # type: ignore[arg-type]
    keep(failing, contract)
    assert failing.get_end_s(TLS_KEY) is None


def test_without_anything_to_submit_the_end_is_known() -> None:
    """So that the operator can be told."""
    contract = Contract(end_s=1_000_100)
    keeper = Keeper(contract, "signer.near", None)  # type: ignore[arg-type]
    keep(keeper, contract)
    assert (keeper.get_end_s(TLS_KEY), contract.submitted) == (1_000_100, [])


@pytest.mark.parametrize(
    ("stored", "end_s"),
    [
        ({"Mock": {"WithConstraints": {"expiry_timestamp_seconds": 5}}}, 5),
        ({"Dstack": {"expiry_timestamp_seconds": 6, "mpc_image_hash": "00"}}, 6),
        ({"Mock": "Valid"}, FOR_EVER),
        ({"Mock": {"WithConstraints": {"expiry_timestamp_seconds": None}}}, FOR_EVER),
    ],
)
def test_the_end_is_read(stored: Any, end_s: int) -> None:
    """Of each kind that the contract stores."""
    assert get_end_s(stored) == end_s


@pytest.mark.parametrize("stored", [None, {"Mock": "Invalid"}, {"Other": 1}])
def test_what_is_not_in_force_is_told(stored: Any) -> None:
    """It is as good as none."""
    with pytest.raises(ValueError, match="not an attestation"):
        get_end_s(stored)
