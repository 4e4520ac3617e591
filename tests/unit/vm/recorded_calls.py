"""Single contract calls cut out of the recordings of NEAR's own node at protocol 84.

The state before each block is put together from the recorded changes. What the
record does not show (queues, yields) stays out: it never shares a trie node with
contract data below the second half byte, so node counts come out the same.
"""

import base64
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hither_native import Call, ChunkState, Trie

from hither.codec import base58
from hither.params import get_runtime_config
from hither.primitives.ids import compute_action_hash, compute_random_seed
from tests.vectors.recording import CHAINS, RecordedChain

# The one validator and its stake in the epoch of group ``host``, as the group itself logs it
# (the stake of genesis with the rewards of two epochs).
VALIDATOR = "test.near"
VALIDATOR_STAKE = 51_973_202_742_307_432_513_390_300_309_394
PROTOCOL_VERSION = 84

# How many calls a group has that can be cut out, so that a broken reader cannot pass.
GROUPS = {
    "accounts": 4,
    "deploy": 11,
    "host": 130,
    "keys": 7,
    "limits": 39,
    "promise_actions": 33,
    "promises": 114,
    "trie": 69,
    "yields": 23,
}

Json = dict[str, Any]

KEY_KINDS = {"ed25519": 0, "secp256k1": 1}


def account_key(account_id: str) -> bytes:
    """Trie key of an account."""
    return b"\x00" + account_id.encode()


def code_key(account_id: str) -> bytes:
    """Trie key of an account's own code."""
    return b"\x01" + account_id.encode()


def data_key(account_id: str, key: bytes) -> bytes:
    """Trie key of one of a contract's own keys."""
    return b"\x09" + account_id.encode() + b"," + key


def encode_public_key(text: str) -> bytes:
    """Borsh of a key in its text form."""
    kind, _, data = text.partition(":")
    return bytes([KEY_KINDS[kind]]) + base58.decode(data)


@dataclass
class RecordedState:
    """What the recorded changes leave behind, as a trie and as account views."""

    trie: Trie = field(default_factory=Trie)
    accounts: dict[str, Json] = field(default_factory=dict)
    pending: dict[bytes, bytes | None] = field(default_factory=dict)

    def commit(self) -> None:
        """Make the changes of one height part of the trie."""
        self.trie = self.trie.update(list(self.pending.items()))
        self.pending.clear()

    def load_genesis(self, records: list[Json]) -> None:
        """Start from the records of genesis."""
        for record in records:
            ((kind, fields),) = record.items()
            match kind:
                case "Account":
                    self.set_account(fields["account_id"], fields["account"])
                case "AccessKey":
                    self.pending[self.access_key(fields)] = b"key"
                case "Contract":
                    self.pending[code_key(fields["account_id"])] = base64.b64decode(fields["code"])
                case "Data":
                    key = data_key(fields["account_id"], base64.b64decode(fields["data_key"]))
                    self.pending[key] = base64.b64decode(fields["value"])

    @staticmethod
    def access_key(fields: Json) -> bytes:
        """Trie key of an access key."""
        handle = encode_public_key(fields["public_key"])
        return b"\x02" + fields["account_id"].encode() + b"\x02" + handle

    def set_account(self, account_id: str, account: Json) -> None:
        """Remember the view; the record itself only has to be some distinct bytes."""
        self.accounts[account_id] = account
        self.pending[account_key(account_id)] = b"account " + account_id.encode()

    def apply(self, change: Json) -> None:
        """Apply one line of a height's ``changes``."""
        fields = change["change"]
        account_id = fields["account_id"]
        match change["type"]:
            case "account_update":
                self.set_account(account_id, fields)
            case "account_deletion":
                self.accounts.pop(account_id, None)
                self.pending[account_key(account_id)] = None
            case "access_key_update":
                self.pending[self.access_key(fields)] = b"key"
            case "access_key_deletion":
                self.pending[self.access_key(fields)] = None
            case "contract_code_update":
                self.pending[code_key(account_id)] = base64.b64decode(fields["code_base64"])
            case "contract_code_deletion":
                self.pending[code_key(account_id)] = None
            case "data_update":
                key = data_key(account_id, base64.b64decode(fields["key_base64"]))
                self.pending[key] = base64.b64decode(fields["value_base64"])
            case "data_deletion":
                self.pending[data_key(account_id, base64.b64decode(fields["key_base64"]))] = None


@dataclass(frozen=True)
class RecordedCall:
    """One receipt with a single call, the outcome that NEAR's node gave it, and where it ran."""

    case: str
    receipt: Json
    outcome: Json
    block: Json
    trie: Trie
    account: Json | None
    made_receipts: tuple[Json, ...]

    @property
    def state(self) -> ChunkState:
        """A chunk that begins with this call."""
        return ChunkState(self.trie)

    @property
    def action(self) -> Json:
        """The call itself."""
        return self.receipt["receipt"]["Action"]["actions"][0]["FunctionCall"]

    def build(self, protocol_version: int = PROTOCOL_VERSION) -> Call:
        """The call as the runtime would describe it."""
        header, body, action = self.block["header"], self.receipt["receipt"]["Action"], self.action
        receipt_id = base58.decode(self.receipt["receipt_id"])
        action_hash = compute_action_hash(receipt_id, header["height"], 0)
        account = self.account or {"amount": 0, "locked": 0, "storage_usage": 0, "code_hash": "1" * 32}
        code_hash = base58.decode(account["code_hash"])
        receiver_id = self.receipt["receiver_id"]
        return Call(
            protocol_version=protocol_version,
            chain_id="localnet",
            current_account_id=receiver_id,
            signer_account_id=body["signer_id"],
            signer_public_key=encode_public_key(body["signer_public_key"]),
            predecessor_account_id=self.receipt["predecessor_id"],
            refund_to_account_id=body.get("refund_to") or self.receipt["predecessor_id"],
            method_name=action["method_name"],
            args=base64.b64decode(action["args"]),
            promise_results=[],
            block_height=header["height"],
            block_timestamp=header["timestamp"],
            epoch_height=1,
            account_balance=int(account["amount"]),
            account_locked_balance=int(account["locked"]),
            storage_usage=account["storage_usage"],
            account_contract=b"\x01" + code_hash if any(code_hash) else b"\x00",
            code_hash=code_hash,
            code_key=code_key(receiver_id) if any(code_hash) else None,
            attached_deposit=int(action["deposit"]),
            prepaid_gas=action["gas"],
            random_seed=compute_random_seed(action_hash, base58.decode(header["random_value"])),
            output_data_receivers=[item["receiver_id"] for item in body["output_data_receivers"]],
            action_hash=action_hash,
            validators=[(VALIDATOR, VALIDATOR_STAKE)],
            recorded_size_before_receipt=0,
        )

    @property
    def execution_fee(self) -> int:
        """What the receipt itself burns before the call begins."""
        fees = get_runtime_config(PROTOCOL_VERSION).fees.actions
        size = len(self.action["method_name"].encode()) + len(base64.b64decode(self.action["args"]))
        return (
            fees.new_action_receipt.execution.gas
            + fees.function_call_base.execution.gas
            + fees.function_call_byte.execution.gas * size
        )


def _collect_outcomes(statuses: list[Json]) -> dict[str, list[tuple[str, Json, Json, Json]]]:
    """(case, receipt, outcome, all receipts of the transaction by id) by block hash."""
    by_block: dict[str, list[tuple[str, Json, Json, Json]]] = {}
    for line in statuses:
        result = line.get("result")
        if result is None:
            continue
        receipts = {receipt["receipt_id"]: receipt for receipt in result["receipts"]}
        for entry in result["receipts_outcome"]:
            receipt = receipts.get(entry["id"])
            if receipt is not None:
                item = (line["case"], receipt, entry["outcome"], receipts)
                by_block.setdefault(entry["block_hash"], []).append(item)
    return by_block


def _is_single_call(receipt: Json) -> bool:
    body = receipt["receipt"].get("Action")
    if body is None or body["input_data_ids"] or len(body["actions"]) != 1:
        return False
    action = body["actions"][0]
    return isinstance(action, dict) and "FunctionCall" in action


@functools.cache
def read_recorded_calls() -> dict[str, tuple[RecordedCall, ...]]:
    """By group, the single calls that ran alone on their account in their block."""
    chain = RecordedChain(CHAINS["one-shard"])
    state = RecordedState()
    state.load_genesis(chain.genesis["records"])
    state.commit()
    calls: dict[str, tuple[RecordedCall, ...]] = {}
    for name in chain.group_names:
        if len(calls) == len(GROUPS):
            break
        group = chain.read_group(name)
        found: list[RecordedCall] = []
        outcomes = _collect_outcomes(group.get("tx_status")) if name in GROUPS else {}
        for line in group.get("height"):
            if "block" not in line:
                continue
            changes = line.get("changes") or {}
            executed = outcomes.get(line["block"]["header"]["hash"], [])
            found.extend(_calls_of_block(line["block"], changes, executed, state))
            for items in changes.values():
                for change in items:
                    state.apply(change)
            state.commit()
        if name in GROUPS:
            calls[name] = tuple(found)
    return calls


def _calls_of_block(
    block: Json, changes: Json, executed: list[tuple[str, Json, Json, Json]], state: RecordedState
) -> Iterator[RecordedCall]:
    calls = [item for item in executed if _is_single_call(item[1])]
    if len(calls) != 1:
        return
    case, receipt, outcome, receipts = calls[0]
    receiver_id = receipt["receiver_id"]
    account = state.accounts.get(receiver_id)
    for change in changes.get("account_changes", []):
        if change["cause"]["type"] == "transaction_processing":
            account = change["change"] if change["change"]["account_id"] == receiver_id else account
    if any(item[1]["receiver_id"] == receiver_id for item in executed if item[1] is not receipt):
        return
    made = tuple(receipts[id_] for id_ in outcome["receipt_ids"] if id_ in receipts)
    yield RecordedCall(case, receipt, outcome, block, state.trie, account, made)
