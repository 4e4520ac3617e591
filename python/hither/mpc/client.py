"""Asking the signing network: the keys of an account on other chains, and signatures under them.

Keys are derived here from the contract's root keys, without a round trip. A signature is
returned only after it has been verified here, under the derived key.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hither.client import AsyncClient, Signer, TransactionResult
from hither.client.actions import function_call
from hither.client.operations import tell_nobody
from hither.crypto.signing import is_valid_signature, recover_secp256k1
from hither.foreign.secp256k1 import decompress_key
from hither.mpc.contract import parse_public_key as parse_public_key
from hither.mpc.foreign_requests import ForeignTxRequest, Question, foreign_request_to_json
from hither.mpc.protocols import Curve, compute_tweak, derive_public_key
from hither.mpc.requests import (
    EcdsaPayload,
    EcdsaSignature,
    EddsaSignature,
    Payload,
    Signature,
    payload_to_json,
    signature_from_json,
)
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import ED25519, SECP256K1, PublicKey
from hither.primitives.types import Signature as NearSignature

SIGN_GAS = "60 Tgas"
SIGN_DEPOSIT = "1 yoctonear"
CURVES: Mapping[int, Curve] = MappingProxyType({33: "secp256k1", 32: "ed25519"})
"""Those that sign, by the length of a compressed key."""


class SigningFailed(Exception):
    """The network gave no signature that holds; the message says why."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A verified signature, and the transaction on our chain that asked for it."""

    signature: Signature
    transaction_hash: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """One signature of many that are asked for together."""

    path: str
    payload: Payload
    domain_id: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the network saw on another chain, as a hash, with its verified signature."""

    payload_hash: bytes
    signature: Signature
    transaction_hash: str


class SigningClient:
    """One signer contract, read through a client of its chain."""

    def __init__(self, client: AsyncClient, contract_id: str) -> None:
        self._client = client
        self.contract_id = contract_id
        self._roots: dict[int, bytes] = {}

    async def fetch_root_key(self, domain_id: int) -> bytes:
        """The compressed root key of a domain, asked for once: it never changes."""
        if domain_id not in self._roots:
            view = await self._client.view(self.contract_id, "public_key", {"domain_id": domain_id})
            self._roots[domain_id] = parse_public_key(view.json())
        return self._roots[domain_id]

    async def derive_key(self, account_id: str, path: str, domain_id: int) -> bytes:
        """The compressed public key of an account and path."""
        root = await self.fetch_root_key(domain_id)
        curve = CURVES.get(len(root))
        if curve is None:
            raise SigningFailed(f"domain {domain_id} has keys that do not sign")
        key = derive_public_key(curve, root, compute_tweak(account_id, path))
        if key is None:
            raise SigningFailed(f"the path {path!r} has no key on this curve; choose another")
        return key

    async def sign(
        self,
        signer: Signer,
        path: str,
        payload: Payload,
        domain_id: int,
        on_signed: Callable[[SignedTransaction], None] = tell_nobody,
    ) -> Signed:
        """Ask for a signature under the signer's derived key, and verify it. Raises SigningFailed, ClientError.

        ``on_signed`` gets the transaction that asks, before it leaves.
        """
        request = {"path": path, "payload_v2": payload_to_json(payload), "domain_id": domain_id}
        action = function_call("sign", {"request": request}, gas=SIGN_GAS, deposit=SIGN_DEPOSIT)
        result = await self._client.send(self.contract_id, action, signer=signer, on_signed=on_signed)
        return await self.read_answer(result, signer.account_id, path, payload, domain_id)

    async def sign_all(self, signer: Signer, wanted: Sequence[Wanted]) -> list[Signed]:
        """Ask for all of these at once, and wait until all are there and verified. Raises SigningFailed, ClientError.

        A transaction each: what was signed before one of them failed stays signed.
        """
        return list(
            await asyncio.gather(*(self.sign(signer, one.path, one.payload, one.domain_id) for one in wanted))
        )

    async def confirm(
        self, signer: Signer, question: Question, domain_id: int, expected_payload_hash: bytes | None = None
    ) -> Confirmed:
        """Have the network look at a transaction of another chain. Raises SigningFailed, ClientError.

        What it saw is a hash of question and values (``compute_payload_hash``): compare it with what you take for
        true, or give that as ``expected_payload_hash``, and nothing else is signed.
        """
        request = ForeignTxRequest(question, domain_id, expected_payload_hash=expected_payload_hash)
        arguments = {"request": foreign_request_to_json(request)}
        action = function_call("verify_foreign_transaction", arguments, gas=SIGN_GAS, deposit=SIGN_DEPOSIT)
        result = await self._client.send(self.contract_id, action, signer=signer)
        answer = result.value_json()
        try:
            payload_hash = bytes.fromhex(answer["payload_hash"])
            signature = signature_from_json(answer["signature"])
        except (KeyError, TypeError, ValueError) as problem:
            raise SigningFailed(f"the answer to {result.hash} is no confirmation: {answer}") from problem
        if not is_valid(await self.fetch_root_key(domain_id), EcdsaPayload(payload_hash), signature):
            raise SigningFailed(f"the answer to {result.hash} is not signed by the network")
        if expected_payload_hash not in (None, payload_hash):
            raise SigningFailed(f"the answer to {result.hash} is signed for something else than was expected")
        return Confirmed(payload_hash, signature, result.hash)

    async def read_answer(
        self, result: TransactionResult, account_id: str, path: str, payload: Payload, domain_id: int
    ) -> Signed:
        """The signature that a call of ``sign`` returned, verified. Raises SigningFailed."""
        answer = result.value_json()
        try:
            signature = signature_from_json(answer)
        except (KeyError, TypeError, ValueError) as problem:
            raise SigningFailed(f"the answer to {result.hash} is no signature: {answer}") from problem
        if not is_valid(await self.derive_key(account_id, path, domain_id), payload, signature):
            raise SigningFailed(f"the answer to {result.hash} is no signature under the derived key")
        return Signed(signature, result.hash)


def is_valid(key: bytes, payload: Payload, signature: Signature) -> bool:
    """Whether a signature of the network holds under a compressed key."""
    if isinstance(payload, EcdsaPayload):
        if not isinstance(signature, EcdsaSignature):
            return False
        packed = signature.r + signature.s + bytes([signature.recovery_id])
        recovered = recover_secp256k1(payload.digest, NearSignature(SECP256K1, packed))
        return recovered is not None and recovered == decompress_key(key)
    if not isinstance(signature, EddsaSignature):
        return False
    near_signature = NearSignature(ED25519, signature.signature)
    return is_valid_signature(PublicKey(ED25519, key), payload.message, near_signature)
