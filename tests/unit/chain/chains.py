"""Small development chains for tests: an engine over a store in a folder, and transactions for it."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from hither.chain.application import AppliedBlock
from hither.chain.engine import ChainEngine, check_and_admit
from hither.chain.genesis import (
    DEVELOPMENT_BOUNDARIES,
    DEVELOPMENT_VALIDATOR,
    DevelopmentOptions,
    Genesis,
    derive_development_key,
    make_development_genesis,
)
from hither.chain.genesis_block import make_genesis_chunks, make_genesis_head, make_genesis_tries
from hither.chain.parameters import ChainParameters, Signers, make_parameters
from hither.chain.rows import TABLES
from hither.chain.storage import ChainStorage
from hither.chain.stored_chain import PoolView, StoredChain
from hither.crypto.hashing import sha256
from hither.crypto.keys import SecretKey
from hither.crypto.signing import compute_public_key, sign
from hither.primitives.action import Action, Transfer
from hither.primitives.transaction import (
    SignedTransaction,
    Transaction,
    encode_transaction,
    sign_transaction_form,
)
from hither.state import Store
from hither.vm import Vm

START_NS = 1_700_000_000_000_000_000
BLOCK_NS = 600_000_000


def sign_transfer(
    sender: str, receiver: str, block_hash: bytes, nonce: int, amount: int = 10**20
) -> SignedTransaction:
    """A transfer under the sender's well-known key."""
    key = derive_development_key(sender)
    transaction = Transaction(
        sender, compute_public_key(key), nonce, receiver, block_hash, (Transfer(amount),)
    )
    return sign_transaction_form(transaction, sign(key, sha256(encode_transaction(transaction))))


class SmallChain:
    """An engine, its storage and a reader; blocks are made by hand."""

    def __init__(self, folder: Path, options: DevelopmentOptions | None = None) -> None:
        self.folder = folder
        self.genesis: Genesis = make_development_genesis(
            START_NS, options or DevelopmentOptions(boundary_accounts=DEVELOPMENT_BOUNDARIES, epoch_length=50)
        )
        self.parameters: ChainParameters = make_parameters(self.genesis)
        self.vm = Vm(str(folder / "contracts"))
        self._open()

    def _open(self) -> None:
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.store = Store(str(self.folder / "data"), tables=TABLES)
        self.storage = ChainStorage(self.store, self.parameters)
        if self.storage.get_genesis_hash() is None:
            head = make_genesis_head(self.parameters, make_genesis_tries(self.genesis, self.parameters))
            self.storage.start(head, make_genesis_chunks(head))
        else:
            head = self.storage.load()
        key = derive_development_key(DEVELOPMENT_VALIDATOR)
        signers = Signers({DEVELOPMENT_VALIDATOR: key})
        self.engine = ChainEngine(self.parameters, self.storage, head, signers, self.vm)
        pool = PoolView(self.engine.get_pooled, lambda: 0)
        validator = (DEVELOPMENT_VALIDATOR, compute_public_key(key))
        self.reader = StoredChain(self.genesis, self.parameters, self.storage, head, pool, validator)

    def reopen(self) -> None:
        """Close the store and start again from what is on disk."""
        self.store.close()
        self._open()

    def lose_power(self) -> None:
        """Start again from what is on disk, as if the process had been killed."""
        copy = self.folder / "after"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder / "data", copy)
        self.store.close()
        shutil.rmtree(self.folder / "data")
        copy.rename(self.folder / "data")
        self._open()

    def close(self) -> None:
        self.store.close()

    def produce(self, count: int = 1, *, skip: int = 0) -> AppliedBlock:
        """Make so many blocks, the first after ``skip`` heights; the last one."""
        for _ in range(count):
            head = self.engine.head
            applied = self.engine.produce(
                head.height + 1 + skip, head.block.header.timestamp_ns + BLOCK_NS * (1 + skip)
            )
            skip = 0
        self.reader.publish(self.engine.head)
        return applied

    def submit(self, transactions: Iterable[SignedTransaction]) -> None:
        """Put valid transactions into the pool."""
        context = self.engine.make_admission_context()
        self.engine.insert([check_and_admit(transaction, context) for transaction in transactions])

    def sign(
        self, signer_id: str, receiver_id: str, actions: tuple[Action, ...], nonce: int | None = None
    ) -> SignedTransaction:
        """A transaction of an account with a well-known key; the nonce grows with the height."""
        key = derive_development_key(signer_id)
        if nonce is None:
            nonce = self.engine.head.height * 1000 + 1
        transaction = Transaction(
            signer_id, compute_public_key(key), nonce, receiver_id, self.engine.head.hash, actions
        )
        return self.sign_with(key, transaction)

    @staticmethod
    def sign_with(key: SecretKey, transaction: Transaction) -> SignedTransaction:
        """The transaction under that key, whatever it named."""
        transaction = msgspec.structs.replace(transaction, public_key=compute_public_key(key))
        return sign_transaction_form(transaction, sign(key, sha256(encode_transaction(transaction))))

    def transfer(
        self, sender: str, receiver: str, amount: int = 10**24, nonce: int | None = None
    ) -> SignedTransaction:
        return self.sign(sender, receiver, (Transfer(amount),), nonce)

    def get_balance(self, account_id: str) -> int:
        from hither.state.records import get_account_optional

        shard_id = self.parameters.shard_layout.get_shard_id(account_id)
        account = get_account_optional(self.engine.head.get_shard(shard_id).trie, account_id)
        assert account is not None
        return account.amount


def describe_head(chain: SmallChain) -> dict[str, object]:
    """Everything of a head that must survive a restart, tries by their roots."""
    head = chain.engine.head
    described = {
        name: getattr(head, name) for name in head.__struct_fields__ if name not in ("shards", "epochs")
    }
    ids = head.position.get_epoch_ids_of_next_block(chain.parameters.epoch_config)
    described["epochs"] = [head.epochs[id_] for id_ in (head.block.header.epoch_id, *ids)]
    described["shards"] = [
        (shard.trie.root, msgspec.structs.replace(shard, trie=None)) for shard in head.shards
    ]
    return described
