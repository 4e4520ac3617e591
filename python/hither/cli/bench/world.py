"""A development chain with many accounts, and signed transfers between them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hither.chain.genesis import (
    DEVELOPMENT_VALIDATOR,
    DevelopmentOptions,
    derive_development_key,
    make_development_genesis,
)
from hither.chain.genesis_file import write_genesis
from hither.cli.bench.options import BenchOptions
from hither.crypto.hashing import sha256
from hither.crypto.keys import PublicKey, SecretKey
from hither.crypto.signing import compute_public_key, sign
from hither.node.home import Home, init_home, read_home
from hither.primitives.action import Action, Transfer
from hither.primitives.transaction import (
    Transaction,
    encode_signed_transaction,
    encode_transaction,
    sign_transaction_form,
)
from hither.primitives.types import AccountId, Balance, CryptoHash, Nonce

GENESIS_TIME_NS = 1_700_000_000_000_000_000
SEED = 1


@dataclass(frozen=True, slots=True)
class Keyring:
    """Who signs: an account, its key, and the key's public half."""

    account_id: AccountId
    secret: SecretKey
    public: PublicKey


@dataclass(frozen=True, slots=True)
class Payment:
    """One transfer as it was signed."""

    raw: bytes
    hash: CryptoHash
    signer_id: AccountId
    receiver_id: AccountId
    amount: int
    nonce: int


def name_account(index: int) -> AccountId:
    """The name of the account with that number: of one length, and spread over the alphabet."""
    letter = "abcdefghijklmnopqrstuvwxyz"[index % 26]
    return AccountId(f"{letter}{index:07d}.near")


def make_home(path: Path, options: BenchOptions) -> Home:
    """A home whose genesis has so many accounts, each with a key of its own."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    boundaries = tuple(letters[26 * at // options.shards] for at in range(1, options.shards))
    development = DevelopmentOptions(
        chain_id="bench", protocol_version=options.protocol_version, boundary_accounts=boundaries
    )
    init_home(path, development, GENESIS_TIME_NS)
    names = tuple(map(name_account, range(options.accounts)))
    development = DevelopmentOptions(
        chain_id="bench",
        protocol_version=options.protocol_version,
        boundary_accounts=boundaries,
        accounts=names,
        validator_public_key=compute_public_key(derive_development_key(DEVELOPMENT_VALIDATOR)),
    )
    write_genesis(path / "genesis.json", make_development_genesis(GENESIS_TIME_NS, development))
    return read_home(path)


def make_keyrings(count: int) -> list[Keyring]:
    """The first accounts, as signers."""
    rings = []
    for account_id in map(name_account, range(count)):
        secret = derive_development_key(account_id)
        rings.append(Keyring(account_id, secret, compute_public_key(secret)))
    return rings


def sign_actions(
    ring: Keyring, receiver_id: AccountId, nonce: int, block_hash: CryptoHash, actions: tuple[Action, ...]
) -> tuple[bytes, CryptoHash]:
    """A signed transaction as bytes, and its hash."""
    transaction = Transaction(ring.account_id, ring.public, Nonce(nonce), receiver_id, block_hash, actions)
    signature = sign(ring.secret, sha256(encode_transaction(transaction)))
    signed = sign_transaction_form(transaction, signature)
    return encode_signed_transaction(signed), signed.hash


def iterate_payments(
    options: BenchOptions, block_hash: CryptoHash, *, first_nonce: int = 1
) -> Iterator[Payment]:
    """Transfers without end: the senders in turn, each to some other account, each of some amount."""
    choose = random.Random(SEED)
    rings = make_keyrings(options.senders)
    nonce = first_nonce
    while True:
        for ring in rings:
            receiver_id = ring.account_id
            while receiver_id == ring.account_id:
                receiver_id = name_account(choose.randrange(options.accounts))
            amount = choose.randrange(1, 10**18)
            raw, hash_ = sign_actions(ring, receiver_id, nonce, block_hash, (Transfer(Balance(amount)),))
            yield Payment(raw, hash_, ring.account_id, receiver_id, amount, nonce)
        nonce += 1
