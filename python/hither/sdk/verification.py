"""What an adapter claims of a transaction is read again by a client that is not ours, and compared.

The witnesses share no line with the adapters: web3.py for EVM chains, @solana/web3.js for Solana and near-api-js for
our chain, in programs of their own (``witnesses/``); for Bitcoin a full node, Knots, that is fed the blocks of ours. A
claim that no witness confirms is not confirmed by silence: it raises ``NotVerified``.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hither.foreign.cache import find_cache
from hither.foreign.caip import ChainId
from hither.foreign.engines.full_nodes import read_payments
from hither.foreign.errors import ForeignError

WITNESSES: Final = Path(__file__).parent / "witnesses"
TIMEOUT_SECONDS: Final = 120.0
_ERROR_SHOWN: Final = 500
_TRANSFER_TOPIC: Final = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Of ERC-20's event ``Transfer(address,address,uint256)``."""


class NotVerified(Exception):
    """No independent client confirms a claim; the message names the chain."""


@dataclass(frozen=True, slots=True)
class TokenGain:
    """That an owner has so much more of a token by a transaction, in the token's smallest unit."""

    token: str
    owner: str
    amount: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said of a transaction. Amounts are in the chain's smallest unit; None is not compared.

    ``deed`` is a word for it, which a refusal names beside chain and id.
    """

    chain: ChainId
    url: str
    transaction_id: str
    sender: str
    receiver: str | None
    amount: int | None
    fee: int | None
    confirmations: int
    nonce: int | None = None
    height: int | None = None
    gain: TokenGain | None = None
    deed: str = "transaction"

    @property
    def name(self) -> str:
        """Which row it is of several, also on one chain."""
        return f"{self.chain}: {self.deed} {self.transaction_id}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a witness read. ``details`` is all of it."""

    verified_by: str
    details: dict[str, Any]


def compare(claim: Claim, found: dict[str, Any]) -> Facts:
    """The facts, if they bear the claim out. Raises ``NotVerified``."""
    if "error" in found:
        raise NotVerified(f"{claim.name} is not confirmed: {found['error']}")
    if not found["has_succeeded"]:
        raise NotVerified(f"{claim.name} failed, says {found['by']}")
    wanted: dict[str, Any] = {
        "sender": claim.sender,
        "receiver": claim.receiver,
        "amount": claim.amount,
        "fee": claim.fee,
        "nonce": claim.nonce,
        "height": claim.height,
    }
    for name, value in wanted.items():
        if value is None:
            continue
        if name not in found:
            raise NotVerified(f"{claim.name}: {found['by']} does not say the {name}")
        read = int(found[name]) if isinstance(value, int) else found[name]
        if read != value:
            raise NotVerified(f"{claim.name}: the {name} is {read}, not {value}, says {found['by']}")
    if claim.gain is not None:
        gained = compute_token_gain(claim.gain, found)
        if gained != claim.gain.amount:
            raise NotVerified(
                f"{claim.name}: {claim.gain.owner} gained {gained} units of {claim.gain.token}, "
                f"not {claim.gain.amount}, says {found['by']}"
            )
    if found["confirmations"] < claim.confirmations:
        raise NotVerified(
            f"{claim.name}: {found['confirmations']} confirmations, not {claim.confirmations}, says {found['by']}"
        )
    return Facts(found["by"], found)


def compute_token_gain(gain: TokenGain, found: dict[str, Any]) -> int:
    """How much of the token the owner has more: from an EVM receipt's logs, or a Solana transaction's balances."""
    if "token_changes" in found:
        rows = found["token_changes"]
        return sum(
            int(row["change"]) for row in rows if (row["mint"], row["owner"]) == (gain.token, gain.owner)
        )
    own, total = gain.owner[2:].lower().rjust(64, "0"), 0
    for log in found.get("logs", ()):
        topics = log["topics"]
        if log["address"] != gain.token or len(topics) != 3 or topics[0] != _TRANSFER_TOPIC:
            continue
        amount = int(log["data"], 16)
        total += amount * (topics[2] == own) - amount * (topics[1] == own)
    return total


async def verify(claims: Sequence[Claim]) -> list[Facts]:
    """Each claim read again by its family's witness, all at the same time. Raises ``NotVerified``."""
    groups: dict[str, list[int]] = {}
    for index, claim in enumerate(claims):
        groups.setdefault(_WITNESS_OF.get(claim.chain.namespace, claim.chain.namespace), []).append(index)
    answers = await asyncio.gather(
        *(_ask(witness, [claims[index] for index in indexes]) for witness, indexes in groups.items())
    )
    found: dict[int, dict[str, Any]] = {}
    for indexes, answer in zip(groups.values(), answers, strict=True):
        found |= dict(zip(indexes, answer, strict=True))
    return [compare(claim, found[index]) for index, claim in enumerate(claims)]


_WITNESS_OF: Final = {"eip155": "evm", "bip122": "bitcoin", "solana": "node", "near": "node"}


async def _ask(witness: str, claims: Sequence[Claim]) -> list[dict[str, Any]]:
    names = ", ".join(str(claim.chain) for claim in claims)
    match witness:
        case "bitcoin":
            return [await _ask_full_node(claim) for claim in claims]
        case "node":
            command = ["node", str(WITNESSES / "node_witness.mjs"), str(find_packages())]
        case "evm":
            command = [sys.executable, str(WITNESSES / "evm_witness.py")]
        case _:
            raise NotVerified(f"{names}: no independent client is known for this family")
    return await _ask_program(names, command, witness, claims)


async def _ask_full_node(claim: Claim) -> dict[str, Any]:
    """What Knots says: who paid, who got how much, and how deep it lies in the chain that it checked itself."""
    try:
        (payment,) = await read_payments(claim.url, [claim.transaction_id])
    except ForeignError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    others = {address: amount for address, amount in payment.paid.items() if address not in payment.taken}
    return {
        "by": "Bitcoin Knots",
        "sender": ", ".join(payment.taken),
        "receiver": ", ".join(others),
        "amount": sum(others.values()),
        "fee": payment.fee,
        "has_succeeded": True,
        "confirmations": payment.confirmations,
        "height": payment.height,
    }


async def _ask_program(
    names: str, command: Sequence[str], witness: str, claims: Sequence[Claim]
) -> list[dict[str, Any]]:
    questions = [
        {
            "family": claim.chain.namespace,
            "url": claim.url,
            "transaction_id": claim.transaction_id,
            "sender": claim.sender,
            **({"chain_id": int(claim.chain.reference)} if witness == "evm" else {}),
        }
        for claim in claims
    ]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise NotVerified(f"{names}: the independent client does not start: {error}") from error
    try:
        output, errors = await asyncio.wait_for(
            process.communicate(json.dumps(questions).encode()), TIMEOUT_SECONDS
        )
    except TimeoutError:
        raise NotVerified(f"{names}: the independent client took more than {TIMEOUT_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        reason = errors.decode(errors="replace").strip()[-_ERROR_SHOWN:]
        raise NotVerified(f"{names}: the independent client failed: {reason}")
    answer: list[dict[str, Any]] = json.loads(output)
    return answer


def find_packages() -> Path:
    """The folder in the cache that set-up left for the witnesses' packages. Raises ``NotVerified``."""
    lock = hashlib.sha256((WITNESSES / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = find_cache().expanduser() / "witnesses" / lock
    if not (folder / "complete").exists():
        raise NotVerified(f"the independent clients are not at {folder}; `make setup` installs them")
    return folder
