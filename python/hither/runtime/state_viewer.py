"""Reading state for queries: accounts, keys, contract data and code, and calls that cannot write.

Pure functions over a trie. Whatever is asked for and is not there raises a ``ViewError``; what a
query answers then is the caller's matter. Nothing here knows blocks, JSON or a socket.

Source: nearcore ``runtime/runtime/src/state_viewer``.
"""

from typing import Any, Final

import msgspec

from hither.crypto.hashing import sha256
from hither.crypto.keys import ED25519, KeyHandle, PublicKey, compute_key_handle, encode_public_key
from hither.params import get_runtime_config
from hither.primitives.account import (
    AccessKey,
    Account,
    Contract,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GlobalContractByAccount,
    GlobalContractByHash,
    GlobalContractIdentifier,
    LocalContract,
    UninitialisedAccount,
    decode_access_key,
    encode_contract,
)
from hither.primitives.ids import compute_random_seed
from hither.primitives.types import ZERO_HASH, AccountId, Balance, Nonce
from hither.state import AnyTrie, keys
from hither.state.records import (
    get_access_key_optional,
    get_account_record_optional,
    get_gas_key_nonce_optional,
)
from hither.vm import Call, Vm, run_view

PAGE_ITEMS_MAX: Final = 10_000
PAGE_SIZE_BYTES_MAX: Final = 50_000
LAST_VERSION_WITH_LIMIT_AS_LINK_ERROR: Final = 84
"""The release of this version words it so where instructions exceed the gas limit of a view."""

_LIMIT_EXCEEDED: Final = "HostError(GasLimitExceeded)"
NO_KEY: Final = encode_public_key(PublicKey(ED25519, bytes(32)))


class ViewError(Exception):
    """The question has no answer in this state."""


class AccountDoesNotExist(ViewError):
    """There is no such account."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} does not exist")
        self.account_id = account_id


class NoContractCode(ViewError):
    """The account has no contract, or names one that is not published here."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"account {account_id} has no contract code")
        self.account_id = account_id


class NoGlobalContractCode(ViewError):
    """No global contract was published under this identifier."""

    def __init__(self, identifier: GlobalContractIdentifier) -> None:
        super().__init__("no such global contract")
        self.identifier = identifier


class AccessKeyDoesNotExist(ViewError):
    """The account has no such key."""

    def __init__(self, public_key: PublicKey) -> None:
        super().__init__(f"access key {public_key} does not exist")
        self.public_key = public_key


class GasKeyDoesNotExist(ViewError):
    """The account has no such key, or it is not a gas key."""

    def __init__(self, public_key: PublicKey) -> None:
        super().__init__(f"gas key {public_key} does not exist")
        self.public_key = public_key


class TooManyAccessKeys(ViewError):
    """More keys than are listed without pages."""

    def __init__(self, account_id: str, limit: int) -> None:
        super().__init__(f"account {account_id} has more than {limit} access keys")
        self.account_id = account_id
        self.limit = limit


class StateTooLarge(ViewError):
    """The contract's data is larger than is shown without pages."""

    def __init__(self, account_id: str) -> None:
        super().__init__(f"the state of {account_id} is too large")
        self.account_id = account_id


class InvalidPage(ViewError):
    """The parts of the question do not go together."""


class ContractFailed(ViewError):
    """The call failed. ``text`` is the VM's description, ``error`` NEAR's ``FunctionCallError`` as JSON."""

    def __init__(self, text: str, error: Any) -> None:
        super().__init__(text)
        self.text = text
        self.error = error


class StateRange(msgspec.Struct, frozen=True, gc=False):
    """Which of a contract's records. With ``after_key`` or ``limit`` it is a page."""

    prefix: bytes
    after_key: bytes | None = None
    limit: int | None = None
    include_proof: bool = False

    @property
    def is_page(self) -> bool:
        """Whether the answer may be cut off and continued."""
        return self.after_key is not None or self.limit is not None


class StatePage(msgspec.Struct, frozen=True, gc=False):
    """Records in key order. ``last_key`` is where to continue, when there is more."""

    values: tuple[tuple[bytes, bytes], ...]
    proof: tuple[bytes, ...] = ()
    last_key: bytes | None = None


class AccessKeyPage(msgspec.Struct, frozen=True, gc=False):
    """Keys in the order of the trie. ``last_key`` is where to continue, when there is more."""

    keys: tuple[tuple[KeyHandle, AccessKey], ...]
    last_key: KeyHandle | None = None


class ViewSurroundings(msgspec.Struct, frozen=True):
    """What a view call can learn of its block."""

    chain_id: str
    protocol_version: int
    block_height: int
    block_timestamp_ns: int
    epoch_height: int
    validators: tuple[tuple[AccountId, Balance], ...]
    gas_max: int | None = None
    interrupt_after_ms: int | None = None


class ViewCall(msgspec.Struct, frozen=True, gc=False):
    """A method to call."""

    account_id: AccountId
    method_name: str
    args: bytes


class ViewResult(msgspec.Struct, frozen=True, gc=False):
    """What it returned and said."""

    result: bytes
    logs: tuple[str, ...]


def view_account(trie: AnyTrie, account_id: AccountId) -> Account | UninitialisedAccount:
    """The account, also one that waits for its state."""
    account = get_account_record_optional(trie, account_id)
    if account is None:
        raise AccountDoesNotExist(account_id)
    return account


def _get_contract(account: Account | UninitialisedAccount) -> Contract:
    return account.contract if isinstance(account, Account) else None


def _get_code_key(account_id: AccountId, contract: Contract) -> bytes | None:
    """Where the code is kept; None if there is no contract."""
    if contract is None:
        return None
    if isinstance(contract, LocalContract):
        return keys.contract_code(account_id)
    return keys.global_contract_code(contract)


def view_code(trie: AnyTrie, account_id: AccountId) -> bytes:
    """The code that the account runs, its own or a global one."""
    key = _get_code_key(account_id, _get_contract(view_account(trie, account_id)))
    code = None if key is None else trie.get(key)
    if code is None:
        raise NoContractCode(account_id)
    return code


def view_global_code(trie: AnyTrie, identifier: GlobalContractIdentifier) -> bytes:
    """The code of a global contract."""
    code = trie.get(keys.global_contract_code(identifier))
    if code is None:
        raise NoGlobalContractCode(identifier)
    return code


def view_access_key(trie: AnyTrie, account_id: AccountId, public_key: PublicKey) -> AccessKey:
    """One key of an account."""
    access_key = get_access_key_optional(trie, account_id, compute_key_handle(public_key))
    if access_key is None:
        raise AccessKeyDoesNotExist(public_key)
    return access_key


def view_access_keys(
    trie: AnyTrie,
    account_id: AccountId,
    after: KeyHandle | None,
    limit: int | None,
    count_max: int | None,
) -> AccessKeyPage:
    """The keys of an account. Without ``after`` and ``limit`` all of them, but no more than ``count_max``."""
    is_page = after is not None or limit is not None
    cap = count_max if limit is None else limit if count_max is None else min(limit, count_max)
    prefix = keys.access_key_prefix(account_id)
    # The nonces of a gas key stand right behind it; the largest index is the place after all of them.
    start = None if after is None else keys.gas_key_nonce(account_id, after, 0xFFFF)
    found: list[tuple[KeyHandle, AccessKey]] = []
    for raw_key, value in trie.scan(prefix, start):
        name = keys.parse_access_key(raw_key)
        if name.nonce_index is not None:
            continue
        if cap is not None and len(found) >= cap:
            if not is_page:
                raise TooManyAccessKeys(account_id, cap)
            return AccessKeyPage(tuple(found), found[-1][0])
        found.append((name.handle, decode_access_key(value)))
    return AccessKeyPage(tuple(found))


def view_gas_key_nonces(trie: AnyTrie, account_id: AccountId, public_key: PublicKey) -> tuple[Nonce, ...]:
    """All nonces of a gas key."""
    handle = compute_key_handle(public_key)
    access_key = get_access_key_optional(trie, account_id, handle)
    permission = None if access_key is None else access_key.permission
    if not isinstance(permission, GasKeyFunctionCall | GasKeyFullAccess):
        raise GasKeyDoesNotExist(public_key)
    nonces = []
    for index in range(permission.gas_key.num_nonces):
        nonce = get_gas_key_nonce_optional(trie, account_id, handle, index)
        assert nonce is not None, "a gas key has all its nonces"
        nonces.append(nonce)
    return tuple(nonces)


def view_state(
    trie: AnyTrie, account_id: AccountId, asked: StateRange, size_max_bytes: int | None
) -> StatePage:
    """A contract's own records. ``size_max_bytes`` bounds the whole account, code aside, unless by pages."""
    if asked.is_page and asked.include_proof:
        raise InvalidPage("include_proof is not supported together with after_key_base64 or limit")
    if asked.after_key is not None and not asked.after_key.startswith(asked.prefix):
        raise InvalidPage("after_key_base64 must start with prefix_base64")
    account = view_account(trie, account_id)
    if not asked.is_page and size_max_bytes is not None:
        code_size = len(trie.get(keys.contract_code(account_id)) or b"")
        if max(0, account.storage_usage - code_size) > size_max_bytes:
            raise StateTooLarge(account_id)
    return _scan_state(trie, account_id, asked)


def _scan_state(trie: AnyTrie, account_id: AccountId, asked: StateRange) -> StatePage:
    prefix = keys.contract_data_prefix(account_id, asked.prefix)
    own_start = len(prefix) - len(asked.prefix)
    if not asked.is_page:
        values = tuple((key[own_start:], value) for key, value in trie.scan(prefix))
        return StatePage(values, tuple(trie.prove(prefix)) if asked.include_proof else ())
    cap = min(asked.limit or PAGE_ITEMS_MAX, PAGE_ITEMS_MAX)
    start = None if asked.after_key is None else keys.contract_data(account_id, asked.after_key)
    page: list[tuple[bytes, bytes]] = []
    size = 0
    for key, value in trie.scan(prefix, start, cap + 1):
        if len(page) >= cap or size >= PAGE_SIZE_BYTES_MAX:
            return StatePage(tuple(page), last_key=page[-1][0])
        size += len(key) + len(value)
        page.append((key[own_start:], value))
    return StatePage(tuple(page))


def _compute_code_hash(trie: AnyTrie, contract: Contract, code_key: bytes | None) -> bytes:
    """The hash of the code; a global contract by account does not carry it."""
    if isinstance(contract, LocalContract | GlobalContractByHash):
        return contract.code_hash
    code = None if code_key is None else trie.get(code_key)
    return ZERO_HASH if code is None else sha256(code)


def call_function(vm: Vm | None, trie: AnyTrie, surroundings: ViewSurroundings, call: ViewCall) -> ViewResult:
    """Run a method that cannot write. Caller, signer and predecessor are the contract itself."""
    account = view_account(trie, call.account_id)
    contract = _get_contract(account)
    code_key = _get_code_key(call.account_id, contract)
    is_global = isinstance(contract, GlobalContractByHash | GlobalContractByAccount)
    if is_global and code_key is not None and trie.get(code_key) is None:
        code_key = None  # Named, but not published on this chain.
    limits = get_runtime_config(surroundings.protocol_version).wasm.limits
    gas = limits.max_gas_burnt if surroundings.gas_max is None else surroundings.gas_max
    outcome = run_view(
        vm,
        trie,
        Call(
            protocol_version=surroundings.protocol_version,
            chain_id=surroundings.chain_id,
            current_account_id=call.account_id,
            signer_account_id=call.account_id,
            signer_public_key=NO_KEY,
            predecessor_account_id=call.account_id,
            refund_to_account_id=call.account_id,
            method_name=call.method_name,
            args=call.args,
            promise_results=[],
            block_height=surroundings.block_height,
            block_timestamp=surroundings.block_timestamp_ns,
            epoch_height=surroundings.epoch_height,
            account_balance=account.amount,
            account_locked_balance=account.locked if isinstance(account, Account) else 0,
            storage_usage=account.storage_usage,
            account_contract=encode_contract(contract),
            code_hash=_compute_code_hash(trie, contract, code_key),
            code_key=code_key,
            attached_deposit=0,
            prepaid_gas=gas,
            random_seed=compute_random_seed(ZERO_HASH, trie.root),
            output_data_receivers=[],
            action_hash=ZERO_HASH,
            validators=list(surroundings.validators),
            recorded_size_before_receipt=0,
            view_gas_limit=gas,
        ),
        surroundings.interrupt_after_ms,
    )
    if outcome.error_text is not None or outcome.error_json is not None:
        text, error = outcome.error_text, msgspec.json.decode(outcome.error_json or "null")
        is_old = surroundings.protocol_version <= LAST_VERSION_WITH_LIMIT_AS_LINK_ERROR
        if is_old and text == _LIMIT_EXCEEDED:
            text, error = f'LinkError {{ msg: "{text}" }}', {"LinkError": {"msg": text}}
        raise ContractFailed(f"wasm execution failed with error: {text}", error)
    value = outcome.return_value
    return ViewResult(value if isinstance(value, bytes) else b"", tuple(outcome.logs))
