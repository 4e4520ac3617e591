"""Who signs, with which key and nonce.

A signer has *lanes*: a key, or one of a gas key's independent nonces. Transactions of one lane must
arrive in the order of their nonces; those of different lanes may overtake each other.
Nonces are handed out here and never twice; what the chain says corrects them upwards only.
"""

import secrets
import threading
from collections.abc import Iterable, Sequence
from typing import Final

from hither.client.actions import parse_account_id
from hither.client.errors import InvalidRequest
from hither.crypto.hashing import sha256
from hither.crypto.keys import (
    ED25519,
    InvalidKey,
    PublicKey,
    SecretKey,
    secret_key_from_str,
    secret_key_to_str,
)
from hither.crypto.signing import compute_public_key, secret_key_from_seed, sign
from hither.primitives.action import (
    Action,
    Delegate,
    DelegateAction,
    compute_delegate_hash,
)
from hither.primitives.transaction import (
    SignedTransaction,
    Transaction,
    encode_transaction,
    sign_transaction_form,
)
from hither.primitives.types import AccountId, CryptoHash, Nonce, Signature

_NO_SIGNATURE: Final = Signature(0, bytes(64))


class Lane:
    """A key and its nonce. ``nonce`` is the last one used or seen; None until the chain was asked.

    ``is_ordered``: transactions on their way have overtaken each other, so that now each is brought to the
    node before the next one is signed.
    """

    def __init__(self, secret: SecretKey, nonce_index: int | None = None) -> None:
        self.secret = secret
        self.public_key = compute_public_key(secret)
        self.nonce_index = nonce_index
        self.nonce: int | None = None
        self.in_flight = 0
        self.is_ordered = False
        self.turn = threading.Lock()
        self._lock = threading.Lock()

    def observe(self, nonce: int) -> None:
        """The chain has used this nonce: the next one is beyond it."""
        with self._lock:
            self.nonce = nonce if self.nonce is None else max(self.nonce, nonce)

    def take(self) -> Nonce:
        """A nonce that nobody else gets."""
        with self._lock:
            assert self.nonce is not None, "the chain is asked first"
            self.nonce += 1
            return Nonce(self.nonce)

    def forget(self) -> None:
        """Ask the chain again before the next one: it went back, or the key was replaced."""
        with self._lock:
            self.nonce = None


def _parse_secret(secret: SecretKey | str) -> SecretKey:
    if isinstance(secret, SecretKey):
        return secret
    try:
        return secret_key_from_str(secret)
    except InvalidKey as error:
        # The text itself is a secret and must not reach a message.
        raise InvalidRequest(f"this is not a secret key: {error}") from None


class Signer:
    """An account and its keys.

    Several keys sign in turn, so that transactions sent at once do not wait for each other.
    ``gas_key_nonces``: the keys are gas keys with so many nonces each.
    """

    def __init__(
        self,
        account_id: str,
        secrets: SecretKey | str | Sequence[SecretKey | str],
        *,
        gas_key_nonces: int = 0,
    ) -> None:
        self.account_id: AccountId = parse_account_id(account_id)
        given: Iterable[SecretKey | str] = [secrets] if isinstance(secrets, SecretKey | str) else secrets
        parsed = [_parse_secret(secret) for secret in given]
        if not parsed:
            raise InvalidRequest("a signer needs a key")
        indices: Sequence[int | None] = range(gas_key_nonces) if gas_key_nonces else (None,)
        self.lanes = [Lane(secret, index) for index in indices for secret in parsed]

    @classmethod
    def generate(cls, account_id: str | None = None) -> "Signer":
        """With a new ed25519 key, for an account that is to have it; without a name for the key's implicit account."""
        secret = secret_key_from_seed(ED25519, secrets.token_bytes(32))
        return cls(account_id or compute_public_key(secret).data.hex(), secret)

    @property
    def secret_key(self) -> str:
        """The first key, as text that can be kept and given to ``Signer`` again. Whoever reads it has the account."""
        return secret_key_to_str(self.lanes[0].secret)

    def __repr__(self) -> str:
        return f"Signer({self.account_id}, {len(self.lanes)} lanes)"

    @property
    def public_key(self) -> PublicKey:
        """The first key's public half."""
        return self.lanes[0].public_key

    def choose_lane(self) -> Lane:
        """The one with the fewest transactions on their way, the first of equals."""
        return min(self.lanes, key=lambda lane: lane.in_flight)

    def forget_nonces(self) -> None:
        """Ask the chain again, for example after a development chain was reverted."""
        for lane in self.lanes:
            lane.forget()

    def sign_transaction(
        self,
        lane: Lane,
        nonce: Nonce,
        receiver_id: AccountId,
        block_hash: CryptoHash,
        actions: Sequence[Action],
    ) -> SignedTransaction:
        """A transaction by this lane; version 1 only where the nonce has an index."""
        transaction = Transaction(
            signer_id=self.account_id,
            public_key=lane.public_key,
            nonce=nonce,
            receiver_id=receiver_id,
            block_hash=block_hash,
            actions=tuple(actions),
            version=0 if lane.nonce_index is None else 1,
            nonce_index=lane.nonce_index,
        )
        signature = sign(lane.secret, sha256(encode_transaction(transaction)))
        return sign_transaction_form(transaction, signature)

    def sign_delegate(
        self,
        lane: Lane,
        nonce: Nonce,
        receiver_id: AccountId,
        actions: Sequence[Action],
        max_block_height: int,
    ) -> Delegate:
        """Actions for somebody else to submit and pay for (NEP-366)."""
        inner = DelegateAction(
            sender_id=self.account_id,
            receiver_id=receiver_id,
            actions=tuple(actions),
            nonce=nonce,
            max_block_height=max_block_height,
            public_key=lane.public_key,
        )
        message = compute_delegate_hash(Delegate(inner, _NO_SIGNATURE))
        return Delegate(inner, sign(lane.secret, message))
