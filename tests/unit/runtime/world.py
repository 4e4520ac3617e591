"""A small chain of shards for tests of the runtime: accounts with keys, and chunks applied by hand.

No blocks: what shards know of each other is made up from the last results. After
every height the whole money in state and in flight is counted again.
"""

import tempfile
from collections.abc import Sequence
from functools import cache
from typing import Any

from hither.crypto.hashing import sha256
from hither.crypto.keys import ED25519, PublicKey, SecretKey, compute_key_handle
from hither.crypto.signing import compute_public_key, secret_key_from_seed, sign
from hither.params import get_runtime_config
from hither.primitives.account import (
    AccessKey,
    AccessKeyPermission,
    Account,
    FullAccess,
    LocalContract,
    UninitialisedAccount,
    encode_access_key,
    encode_account,
)
from hither.primitives.action import Action
from hither.primitives.outcome import Failure, Outcome
from hither.primitives.receipt import Receipt
from hither.primitives.sharding import (
    BandwidthRequest,
    CongestionInfo,
    ExtendedCongestionInfo,
    ShardLayout,
)
from hither.primitives.transaction import (
    NonceMode,
    SignedTransaction,
    Transaction,
    encode_transaction,
    sign_transaction_form,
)
from hither.primitives.types import (
    ZERO_HASH,
    AccountId,
    Balance,
    CryptoHash,
    EpochHeight,
    Gas,
    Nonce,
    ShardId,
)
from hither.runtime.apply import apply_chunk
from hither.runtime.balance_checker import compute_receipt_balance, sum_state_balance
from hither.runtime.fees import get_fees
from hither.runtime.routing import group_by_shard
from hither.runtime.types import ApplyContext, ApplyResult
from hither.state import Trie, keys, records
from hither.vm import Vm

NEAR = 10**24
TGAS = 10**12
GAS_PRICE = 100_000_000


@cache
def get_vm() -> Vm:
    """One VM for all tests, so that each contract is compiled once."""
    return Vm(tempfile.mkdtemp(prefix="hither-test-vm-"))


@cache
def make_secret(name: str, kind: int = ED25519) -> SecretKey:
    """The secret key that belongs to a text."""
    return secret_key_from_seed(kind, sha256(name.encode()))


@cache
def make_key(name: str, kind: int = ED25519) -> PublicKey:
    """Its public key."""
    return compute_public_key(make_secret(name, kind))


class World:
    """Shards at one height. Every account ``name`` has full access with the key of the text ``name``."""

    def __init__(
        self,
        version: int = 88,
        accounts: Sequence[str] = ("alice.near", "bob.near"),
        *,
        boundaries: Sequence[str] = (),
        gas_price: int = GAS_PRICE,
        balance: int = 1000 * NEAR,
    ) -> None:
        self.version = version
        self.config = get_runtime_config(version)
        self.fees = get_fees(self.config)
        self.gas_price = gas_price
        self.height = 10
        self.gas_limit = 10**15
        shard_ids = tuple(ShardId(index) for index in range(len(boundaries) + 1))
        self.layout = ShardLayout(tuple(AccountId(name) for name in boundaries), shard_ids, 3)
        self.tries = {shard_id: Trie() for shard_id in shard_ids}
        self.incoming: dict[ShardId, list[Receipt]] = {shard_id: [] for shard_id in shard_ids}
        self.congestion = {shard_id: CongestionInfo() for shard_id in shard_ids}
        self.requests: dict[ShardId, tuple[BandwidthRequest, ...]] = {}
        self.nonces: dict[tuple[str, str], int] = {}
        for name in accounts:
            self.put_account(name, Account(Balance(balance), Balance(0), 182))
            self.put_key(name, make_key(name), FullAccess())
        self.supply = self.count_money()

    # Making and reading state

    def _write(self, name: str, key: bytes, value: bytes) -> None:
        shard_id = self.layout.get_shard_id(name)
        self.tries[shard_id] = self.tries[shard_id].update([(key, value)])

    def put_account(self, name: str, account: Account) -> None:
        """Write an account before the chain starts."""
        self._write(name, keys.account(AccountId(name)), encode_account(account))

    def put_key(self, name: str, key: PublicKey, permission: AccessKeyPermission) -> None:
        """Give an account a key before the chain starts."""
        raw = encode_access_key(AccessKey(Nonce(0), permission))
        self._write(name, keys.access_key(AccountId(name), compute_key_handle(key)), raw)

    def put_contract(self, name: str, code: bytes, balance: int = 1000 * NEAR) -> None:
        """Write an account that has code, and a key, before the chain starts."""
        contract = LocalContract(CryptoHash(sha256(code)))
        self.put_account(name, Account(Balance(balance), Balance(0), 182 + len(code), contract))
        self.put_key(name, make_key(name), FullAccess())
        self._write(name, keys.contract_code(AccountId(name)), code)
        self.supply = self.count_money()

    def get_trie(self, name: str) -> Trie:
        """The state of the shard where the account lives."""
        return self.tries[self.layout.get_shard_id(name)]

    def get_account(self, name: str) -> Account | UninitialisedAccount | None:
        """The account, if it exists."""
        return records.get_account_record_optional(self.get_trie(name), AccountId(name))

    def must_account(self, name: str) -> Account:
        """The account, which exists and is set up."""
        account = self.get_account(name)
        assert isinstance(account, Account)
        return account

    def get_key(self, name: str, key: PublicKey | None = None) -> AccessKey | None:
        """One of the account's keys; its own if none is given."""
        handle = compute_key_handle(key if key is not None else make_key(name))
        return records.get_access_key_optional(self.get_trie(name), AccountId(name), handle)

    def count_money(self) -> int:
        """All money, in state and in flight."""
        flying = sum(
            compute_receipt_balance(self.fees, receipt)
            for receipts in self.incoming.values()
            for receipt in receipts
        )
        return flying + sum(sum_state_balance(self.fees, trie) for trie in self.tries.values())

    # Acting

    def sign(
        self,
        signer: str,
        receiver: str,
        *actions: Action,
        key: str | None = None,
        kind: int = ED25519,
        nonce: int | None = None,
        **fields: Any,
    ) -> SignedTransaction:
        """A transaction with the account's key, or that of the text ``key``; nonces count up."""
        key = signer if key is None else key
        if nonce is None:
            nonce = self.nonces.get((signer, key), (self.height - 1) * 1_000_000) + 1
            self.nonces[signer, key] = nonce
        public_key = make_key(key, kind)
        transaction = Transaction(
            AccountId(signer),
            public_key,
            Nonce(nonce),
            AccountId(receiver),
            ZERO_HASH,
            actions,
            **fields,
        )
        signature = sign(make_secret(key, kind), sha256(encode_transaction(transaction)))
        return sign_transaction_form(transaction, signature)

    def make_context(self, shard_id: ShardId) -> ApplyContext:
        """The surroundings of a shard's chunk at this height."""
        return ApplyContext(
            chain_id="localnet",
            protocol_version=self.version,
            config=self.config,
            shard_layout=self.layout,
            shard_id=shard_id,
            block_height=self.height,
            prev_block_hash=CryptoHash(sha256(self.height.to_bytes(8, "little"))),
            block_timestamp_ns=self.height * 600_000_000,
            epoch_id=ZERO_HASH,
            epoch_height=EpochHeight(1),
            gas_price=Balance(self.gas_price),
            gas_limit=Gas(self.gas_limit),
            random_value=CryptoHash(sha256(b"random" + self.height.to_bytes(8, "little"))),
            congestion={shard_id: ExtendedCongestionInfo(info) for shard_id, info in self.congestion.items()},
            bandwidth_requests=self.requests,
            validators=((AccountId("test.near"), Balance(NEAR)),),
            minimum_stake=Balance(NEAR),
        )

    def step(self, *transactions: SignedTransaction) -> list[Outcome]:
        """One height in every shard; the outcomes of all, shard by shard."""
        self.height += 1
        results: dict[ShardId, ApplyResult] = {}
        for shard_id in self.layout.shard_ids:
            own = [
                signed
                for signed in transactions
                if self.layout.get_shard_id(signed.transaction.signer_id) == shard_id
            ]
            context, incoming = self.make_context(shard_id), self.incoming[shard_id]
            results[shard_id] = apply_chunk(self.tries[shard_id], context, own, incoming, get_vm())
        self.incoming = {shard_id: [] for shard_id in self.layout.shard_ids}
        outcomes: list[Outcome] = []
        for shard_id, result in results.items():
            self.tries[shard_id] = result.sealed.trie
            self.congestion[shard_id] = result.congestion_info
            self.requests[shard_id] = result.bandwidth_requests
            for target, receipts in group_by_shard(self.layout, result.outgoing_receipts).items():
                self.incoming[target] += receipts
            self.supply -= result.balance_burnt
            outcomes += result.outcomes
        assert self.count_money() == self.supply
        return outcomes

    def run(self, *transactions: SignedTransaction, heights: int = 40) -> list[Outcome]:
        """As many heights as it takes until no receipt is in flight; all outcomes."""
        outcomes = self.step(*transactions)
        for _ in range(heights):
            if not any(self.incoming.values()):
                return outcomes
            outcomes += self.step()
        raise AssertionError("receipts are still in flight")

    def act(self, signer: str, receiver: str, *actions: Action, **fields: Any) -> list[Outcome]:
        """Sign, send, and run until all is done."""
        return self.run(self.sign(signer, receiver, *actions, **fields))


def get_errors(outcomes: Sequence[Outcome]) -> list[Any]:
    """What failed: kinds of action errors, and errors of transactions."""
    errors = []
    for outcome in outcomes:
        if isinstance(outcome.status, Failure):
            error = outcome.status.error
            errors.append(error["ActionError"]["kind"] if "ActionError" in error else error["InvalidTxError"])
    return errors


STRICT = NonceMode.STRICT
