"""The native module: cryptography, state and the contract VM.

Only the doors import it: ``hither.crypto``, ``hither.params``, ``hither.state``,
``hither.vm``, ``hither.mpc.protocols``. Long work releases the interpreter lock.
"""

from collections.abc import Callable
from typing import final

class InvalidInput(ValueError):
    """The caller's bytes or numbers are malformed. Nothing was written."""

class StoreError(RuntimeError):
    """The database failed or is damaged. The node must stop."""

class StateGone(LookupError):
    """The process that has the states does not keep this one."""

class VmError(RuntimeError):
    """The VM itself failed (not the contract). The node must stop."""

# crypto

def sha256(data: bytes, /) -> bytes: ...
def keccak256(data: bytes, /) -> bytes: ...
def sha3_256(data: bytes, /) -> bytes: ...
def compute_parts_root(data: bytes, data_parts: int, total_parts: int, /) -> bytes:
    """Cut ``data`` into Reed-Solomon parts over GF(2^8) as NEAR's chunks are cut; the Merkle root over the parts."""

def verify_signature(key_kind: int, key: bytes, message: bytes, signature: bytes, /) -> bool:
    """Verify as NEAR does (ed25519: non-strict, no batch)."""

def verify_signatures(items: list[tuple[int, bytes, bytes, bytes]], /) -> list[bool]:
    """The same for many (kind, key, message, signature), on all cores, lock released."""

def recover_secp256k1(digest: bytes, signature: bytes, /) -> bytes | None:
    """The key (64 bytes) that made a signature (r, s, recovery id: 65 bytes) over a digest; None when none did."""

def secret_from_seed(key_kind: int, seed: bytes, /) -> bytes:
    """The raw secret key of a 32-byte seed.

    ed25519: seed and key (64 bytes); secp256k1: scalar; ML-DSA-65: 4,032 bytes.
    """

def public_key_from_secret(key_kind: int, secret: bytes, /) -> bytes: ...
def sign(key_kind: int, secret: bytes, message: bytes, /) -> bytes: ...
def is_staking_key(key_kind: int, key: bytes, /) -> bool:
    """Ed25519 and good for verifiable randomness."""

def vrf_prove(secret: bytes, data: bytes, /) -> tuple[bytes, bytes]:
    """NEAR's verifiable random value (32 bytes) and proof (64) of a raw ed25519 secret key."""

def vrf_verify(key: bytes, data: bytes, value: bytes, proof: bytes, /) -> bool: ...

# params

def runtime_config_json(protocol_version: int, /) -> str:
    """Every figure of ``RuntimeConfig`` at this version, compute costs included, as JSON."""

def protocol_config_view_json(protocol_version: int, /) -> str:
    """``RuntimeConfigView``: the part of EXPERIMENTAL_protocol_config that these figures make."""

def protocol_features() -> list[tuple[str, int]]:
    """NEAR's names of the features of 84 and later, with the version that starts each."""

# state

@final
class Trie:
    """An immutable state: nodes are shared between versions."""

    def __new__(cls) -> Trie: ...
    @property
    def root(self) -> bytes: ...
    @property
    def memory_usage(self) -> int:
        """NEAR's memory usage of the root node (part of its hash)."""
    def get(self, key: bytes, /) -> bytes | None: ...
    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """Pairs whose key starts with ``prefix``, in key order, strictly after ``after``."""
    def prove(self, prefix: bytes, /) -> list[bytes]:
        """Raw nodes in the order that ``view_state`` with ``include_proof`` lists them."""
    def update(self, changes: list[tuple[bytes, bytes | None]], /) -> Trie: ...

@final
class StateDesk:
    """Answers questions about states to another process, on threads that never take the interpreter lock.

    ``resolve(block_hash, shard_index)`` finds a state that was not published lately; it does take the lock.
    """

    def __new__(cls, vm: Vm, resolve: Callable[[bytes, int], Trie | None]) -> StateDesk: ...
    def publish(self, block: bytes, tries: list[Trie], /) -> None:
        """Have the states of all shards after the newest block at hand."""
    def forget(self) -> None:
        """Forget what is at hand: the chain goes back."""
    def serve(self, descriptor: int, /) -> None:
        """Begin to answer over a connected socket, which belongs to the desk from now on."""

@final
class StateClient:
    """Asks a ``StateDesk`` in another process over connected sockets, which belong to it from now on.

    As many threads may ask at once as there are sockets; more wait.
    """

    def __new__(cls, descriptors: list[int]) -> StateClient: ...
    def trie(self, block: bytes, shard_index: int, /) -> DistantTrie:
        """The state of a shard after a block; nothing is asked yet."""

@final
class DistantTrie:
    """A ``Trie`` in another process. Each question raises ``StateGone`` where it is not kept."""

    @property
    def root(self) -> bytes: ...
    def get(self, key: bytes, /) -> bytes | None: ...
    def scan(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]: ...
    def prove(self, prefix: bytes, /) -> list[bytes]: ...
    def view(self, call: Call, interrupt_after_ms: int | None = None, /) -> CallOutcome:
        """``Vm.view`` on this state, in the process that has it."""

def read_ahead(wanted: list[tuple[DistantTrie, bytes]], /) -> None:
    """Ask for all of these records in one message: their ``get``s come next, and are answered by what came back.

    Nothing is raised here; what has no answer is asked again by its ``get``, which says why.
    """

@final
class ChunkState:
    """The overlay for applying one chunk: trie, committed changes, and the current ones.

    ``set`` and ``remove`` are seen by ``get`` at once; ``commit`` makes them part of
    the chunk under a cause, ``rollback`` forgets them. What was read stays recorded
    in either case: the size of the storage proof and the per-chunk set of touched
    nodes survive rollback, as in NEAR's node.
    """

    def __new__(cls, trie: Trie) -> ChunkState: ...
    def get(self, key: bytes, /) -> bytes | None: ...
    def has(self, key: bytes, /) -> bool:
        """Whether the key has a value; only the way to it is recorded, not the value."""
    def get_reference(self, key: bytes, /) -> tuple[int, bytes] | None:
        """Length and sha256 of the value; only the way to it is recorded, not the value."""
    def get_unrecorded(self, key: bytes, /) -> bytes | None:
        """The value, counted nowhere: for contract code, which is no part of the storage proof."""
    def get_before_chunk(self, key: bytes, /) -> bytes | None:
        """The value that the chunk started from, counted nowhere."""
    def set(self, key: bytes, value: bytes, /) -> None: ...
    def remove(self, key: bytes, /) -> None:
        """Removing contract data (column 9) adds 2,000 bytes to ``recorded_size``, as in NEAR's node."""
    def scan_keys(self, prefix: bytes, /) -> list[bytes]:
        """Keys with this prefix, uncommitted changes included, in key order, recorded as reads."""
    def commit(self, cause: bytes, /) -> None:
        """Move the current changes into the chunk; ``cause`` comes back from ``seal``."""
    def rollback(self) -> None: ...
    @property
    def recorded_size(self) -> int:
        """Upper bound of the storage proof so far, in bytes (NEAR's ``recorded_storage_size_upper_bound``)."""
    @property
    def trie_accesses(self) -> tuple[int, int]:
        """Trie nodes and values that contracts touched first in this chunk, and met again."""
    def record_code_size(self, size: int, /) -> None: ...
    def seal(self) -> Sealed:
        """The resulting state. Raises if there are uncommitted changes; the object is used up."""

@final
class Sealed:
    @property
    def trie(self) -> Trie: ...
    @property
    def changes(self) -> list[tuple[bytes, bytes | None, bytes | None]]:
        """(key, old value, new value), in key order, each key once; keys written back unchanged included."""
    @property
    def changed_keys(self) -> int:
        """How many ``changes`` there are."""
    @property
    def caused_changes(self) -> list[tuple[bytes, list[tuple[bytes, bytes | None]]]]:
        """(key, [(cause, value)]) in key order: every committed write."""

@final
class Store:
    """LMDB at ``path``: tables of sorted bytes, one synced atomic commit at a time.

    One process may hold a directory open for writing; another one is refused with
    the first one's process id. ``read_only`` opens what another process writes.
    ``throwaway``: for a folder that nobody opens again; the system writes to disk when it likes, so that commits
    outlive the process and not the machine.
    Keys have 1 to 511 bytes. Any failure is ``StoreError``; what was committed before is kept.
    """

    def __new__(
        cls, path: str, *, tables: list[str], read_only: bool = False, throwaway: bool = False
    ) -> Store: ...
    def get(self, table: str, key: bytes, /) -> bytes | None: ...
    def scan(
        self,
        table: str,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        limit: int | None = None,
        reverse: bool = False,
    ) -> list[tuple[bytes, bytes]]:
        """Pairs with start <= key < end; from the end when ``reverse``."""
    def commit(self, writes: list[tuple[str, bytes, bytes | None]], *, sync: bool = True) -> None:
        """All of it or nothing; on return it is on disk. None deletes.

        With ``sync`` false it waits in memory, seen by this object alone, and becomes
        part of the next synced commit.
        """
    def size_bytes(self) -> int: ...
    def close(self) -> None:
        """Commit what waits and let go of the files."""

def encode_changes(sealed: Sealed, /) -> bytes:
    """The change record of a chunk: the root after it, and per key the old value and every write."""

def decode_changes(
    record: bytes, /
) -> tuple[bytes, list[tuple[bytes, bytes | None, list[tuple[bytes, bytes | None]]]]]:
    """Root after the chunk, and (key, old value, [(cause, value)]) in key order."""

def image_slice(trie: Trie, after: bytes | None, size_max: int, /) -> tuple[bytes, bytes | None]:
    """Pairs behind ``after`` until ``size_max`` bytes are reached, and the last key; None at the end."""

def apply_pairs(trie: Trie, pairs: bytes, /) -> Trie:
    """The state after an image slice or a patch."""

def apply_image(trie: Trie, store: Store, table: str, start: bytes, end: bytes, /) -> Trie:
    """The state after every image slice in this range of keys."""

def apply_changes(
    trie: Trie, store: Store, table: str, start: bytes, end: bytes, *, suffix: bytes, backwards: bool
) -> Trie:
    """The state after (or, backwards, before) the change records of this range whose keys end in ``suffix``."""

def old_values(records: list[bytes], below: bytes, /) -> bytes:
    """The patch that undoes change records, given oldest first, on top of the patch ``below``."""

# vm

@final
class Vm:
    """NEAR's contract VM with a bounded cache of compiled code in memory and on disk."""

    def __new__(cls, cache_dir: str, *, memory_entries: int = 128, disk_bytes: int = 4_000_000_000) -> Vm: ...
    def precompile(self, code: bytes, protocol_version: int, /) -> None:
        """Compile and cache; a contract that does not compile is remembered as such, not raised."""
    def call(self, state: ChunkState, call: Call, /) -> CallOutcome:
        """Run a method over the overlay. Writes stay uncommitted in ``state`` even when it fails."""
    def view(self, trie: Trie, call: Call, interrupt_after_ms: int | None = None, /) -> CallOutcome:
        """Run a method that cannot write; ``call.view_gas_limit`` bounds it (None: the limit of calls).

        One that takes longer than ``interrupt_after_ms`` fails with an ``ExecutionError`` that says so.
        """

@final
class Call:
    """Everything a contract can ask about its surroundings (NEAR's ``VMContext``)."""

    def __new__(
        cls,
        *,
        protocol_version: int,
        chain_id: str,
        current_account_id: str,
        signer_account_id: str,
        signer_public_key: bytes,
        predecessor_account_id: str,
        refund_to_account_id: str,
        method_name: str,
        args: bytes,
        promise_results: list[bytes | bool | None],
        block_height: int,
        block_timestamp: int,
        epoch_height: int,
        account_balance: int,
        account_locked_balance: int,
        storage_usage: int,
        account_contract: bytes,
        code_hash: bytes,
        code_key: bytes | None,
        attached_deposit: int,
        prepaid_gas: int,
        random_seed: bytes,
        output_data_receivers: list[str],
        action_hash: bytes,
        validators: list[tuple[str, int]],
        recorded_size_before_receipt: int,
        view_gas_limit: int | None = None,
    ) -> Call:
        """``signer_public_key`` and ``account_contract`` are borsh.

        ``code_key`` is the trie key that holds the code; it is read only when the
        compiled code is not cached, and never recorded. None: no contract.

        A promise result is its bytes, None when it failed, False when not ready.
        ``action_hash`` seeds the data ids that the call makes.
        """

@final
class CallOutcome:
    @property
    def gas_burnt(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def compute_usage(self) -> int: ...
    @property
    def balance(self) -> int:
        """The account's balance after the call."""
    @property
    def storage_usage(self) -> int: ...
    @property
    def logs(self) -> list[str]: ...
    @property
    def return_value(self) -> bytes | int | None:
        """Bytes, or the index of the receipt in ``receipts`` whose result it is, or None."""
    @property
    def error_json(self) -> str | None:
        """None, or NEAR's ``FunctionCallError`` as RPC shows it (inside ``ActionErrorKind``)."""
    @property
    def error_text(self) -> str | None:
        """None, or the VM's ``FunctionCallError`` in Rust's debug form, as ``query`` tells a failed view call."""
    @property
    def profile(self) -> list[tuple[str, str, int]]:
        """(category, NEAR's cost name, gas), as ``gas_profile`` lists it; zero entries left out."""
    @property
    def subsidized_amount(self) -> int: ...
    @property
    def receipts(self) -> list[NewReceipt]:
        """In the order of creation; gas weights already spread."""
    @property
    def data_receipts(self) -> list[tuple[bytes, bytes]]:
        """(data id, payload) of resumed yields, in order."""

@final
class NewReceipt:
    @property
    def receiver_id(self) -> str: ...
    @property
    def refund_to(self) -> str | None: ...
    @property
    def output_data_receivers(self) -> list[tuple[bytes, str]]: ...
    @property
    def input_data_ids(self) -> list[bytes]: ...
    @property
    def actions(self) -> bytes:
        """Borsh of the list of actions."""
    @property
    def is_promise_yield(self) -> bool: ...

# threshold protocols

class ProtocolFailure(RuntimeError):
    """A threshold protocol run gave no result. Arguments: the reason, and the culprit's number or None."""

@final
class Secret:
    """Key shares, triples, presignatures: bytes that do not show in a log. Encrypt what ``expose`` gives."""

    def __new__(cls, data: bytes, /) -> Secret: ...
    def expose(self) -> bytes: ...

@final
class ProtocolRun:
    """One participant's side of a protocol run. Poke it until it waits; poke again after each message."""

    def poke(self) -> tuple[int | None, bool, bytes | Secret] | None:
        """None: wait. (receiver, False, message): send it, to all others when the receiver is None.

        (None, True, result): the run is over. Raises ProtocolFailure, after which the run is over too.
        """
    def message(self, sender: int, data: bytes, /) -> None:
        """A message of an authenticated sender. Raises InvalidInput for what nobody should send; the run goes on."""

def run_protocols(runs: list[tuple[int, ProtocolRun]], /) -> list[tuple[int, Secret]]:
    """Run all participants in this process, lock released. The runs are used up. Raises ProtocolFailure."""

def start_keygen(
    curve_name: str, context: bytes, participants: list[int], me: int, threshold: int, /
) -> ProtocolRun:
    """``curve_name`` is secp256k1, ed25519 or bls12381; ``context`` names the key event. Result: the share."""

def start_reshare(
    curve_name: str,
    context: bytes,
    participants: list[int],
    me: int,
    threshold: int,
    /,
    *,
    old_participants: list[int],
    old_threshold: int,
    old_public_key: bytes,
    old_share: Secret | None,
) -> ProtocolRun: ...
def start_triple(participants: list[int], me: int, threshold: int, /) -> ProtocolRun: ...
def start_ecdsa_presign(
    share: Secret, signers: list[int], first: Secret, second: Secret, /
) -> ProtocolRun: ...
def start_ecdsa_sign(
    share: Secret,
    signers: list[int],
    tweak: bytes,
    message_hash: bytes,
    entropy: bytes,
    presignature: Secret,
    /,
) -> ProtocolRun:
    """Result: compressed nonce point (33 bytes), s (32), recovery id (1). The presignature is used up."""

def start_robust_presign(share: Secret, signers: list[int], /) -> ProtocolRun:
    """Exactly 2t - 1 signers. Usable once every signer has told that it has it."""

def start_robust_sign(
    share: Secret,
    signers: list[int],
    coordinator: int,
    tweak: bytes,
    message_hash: bytes,
    entropy: bytes,
    presignature: Secret,
    /,
) -> ProtocolRun:
    """Result: as of ``start_ecdsa_sign`` at the coordinator, empty at the others. The presignature is used up."""

def start_app_key(
    share: Secret,
    signers: list[int],
    coordinator: int,
    app_id: bytes,
    app_public_key: tuple[bytes, bytes | None],
    /,
) -> ProtocolRun:
    """Result at the coordinator: Y and C, 48 bytes each; empty at the others. A second half of the app's public key
    (in G2) makes the answer verifiable by everybody.
    """

def make_app_secret() -> tuple[Secret, tuple[bytes, bytes]]:
    """A fresh secret of an app, 32 bytes big-endian, and both halves of its public key."""

def answers_app_key_request(
    blinded: bytes, network_key: bytes, app_id: bytes, app_public_key: tuple[bytes, bytes | None], /
) -> bool:
    """Whether Y and C answer the request; False without the second half of the app's public key."""

def unmask_app_key(blinded: bytes, network_key: bytes, app_id: bytes, app_secret: Secret, /) -> Secret | None:
    """The app's key, 48 bytes; None when Y and C are no answer for it."""

def compute_app_id(predecessor_id: str, path: str, /) -> bytes: ...
def start_eddsa_presign(share: Secret, signers: list[int], /) -> ProtocolRun: ...
def start_eddsa_sign(
    share: Secret,
    signers: list[int],
    me: int,
    tweak: bytes,
    message: bytes,
    presignature: Secret | None = None,
    /,
) -> ProtocolRun:
    """Result: 64 bytes. With a presignature in one round, else in two."""

def public_key_of_share(curve_name: str, share: Secret, /) -> bytes: ...
def compute_tweak(predecessor_id: str, path: str, /) -> bytes: ...
def derive_public_key(curve_name: str, public_key: bytes, tweak: bytes, /) -> bytes | None:
    """Compressed keys. None when the tweak is no scalar (secp256k1) or the key would be zero."""
