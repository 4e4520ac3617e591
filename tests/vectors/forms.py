"""Recorded JSON back to the product's types: headers, receipts, actions.

Written against NEAR's JSON alone, so that a test that encodes the result does
not lean on the product's own views. Code of deployments is shown by its hash;
``codes`` maps the hash to the code.
"""

import base64
from collections.abc import Mapping
from typing import Any

from hither.codec import base58
from hither.crypto.keys import public_key_from_str, signature_from_str
from hither.primitives import account as accounts
from hither.primitives import action as actions
from hither.primitives.block import BlockHeader
from hither.primitives.chunk import ChunkHeader
from hither.primitives.receipt import (
    ActionReceipt,
    DataReceipt,
    DataReceiver,
    GlobalContractDistribution,
    Receipt,
)
from hither.primitives.sharding import BandwidthRequest, CongestionInfo, ValidatorStake
from hither.primitives.types import AccountId, Balance, CryptoHash, PublicKey, ShardId

Json = Mapping[str, Any]
Codes = Mapping[bytes, bytes]


def read_hash(text: str) -> CryptoHash:
    return CryptoHash(base58.decode(text, 32))


def read_stake(json: Json) -> ValidatorStake:
    key = public_key_from_str(json["public_key"])
    return ValidatorStake(AccountId(json["account_id"]), key, int(json["stake"]))


def read_block_header(json: Json) -> BlockHeader:
    """A header of version 5, with the recorded hash and signature."""
    split = json["epoch_sync_data_hash"]
    return BlockHeader(
        prev_hash=read_hash(json["prev_hash"]),
        height=json["height"],
        epoch_id=read_hash(json["epoch_id"]),
        next_epoch_id=read_hash(json["next_epoch_id"]),
        prev_state_root=read_hash(json["prev_state_root"]),
        prev_outcome_root=read_hash(json["outcome_root"]),
        timestamp_ns=int(json["timestamp_nanosec"]),
        next_bp_hash=read_hash(json["next_bp_hash"]),
        block_merkle_root=read_hash(json["block_merkle_root"]),
        block_body_hash=read_hash(json["block_body_hash"]),
        prev_outgoing_receipts_root=read_hash(json["chunk_receipts_root"]),
        chunk_headers_root=read_hash(json["chunk_headers_root"]),
        chunk_tx_root=read_hash(json["chunk_tx_root"]),
        random_value=read_hash(json["random_value"]),
        prev_validator_proposals=tuple(map(read_stake, json["validator_proposals"])),
        chunk_mask=tuple(json["chunk_mask"]),
        next_gas_price=Balance(int(json["gas_price"])),
        total_supply=Balance(int(json["total_supply"])),
        last_final_block=read_hash(json["last_final_block"]),
        last_ds_final_block=read_hash(json["last_ds_final_block"]),
        block_ordinal=json["block_ordinal"],
        prev_height=json["prev_height"],
        epoch_sync_data_hash=None if split is None else read_hash(split),
        approvals=tuple(text and signature_from_str(text) for text in json["approvals"]),
        latest_protocol_version=json["latest_protocol_version"],
        chunk_endorsements=tuple(map(bytes, json["chunk_endorsements"])),
        signature=signature_from_str(json["signature"]),
        hash=read_hash(json["hash"]),
        version=5,
    )


def read_congestion(json: Json) -> CongestionInfo:
    return CongestionInfo(
        int(json["delayed_receipts_gas"]),
        int(json["buffered_receipts_gas"]),
        json["receipt_bytes"],
        json["allowed_shard"],
    )


def read_bandwidth(json: Json) -> tuple[BandwidthRequest, ...]:
    return tuple(
        BandwidthRequest(request["to_shard"], bytes(request["requested_values_bitmap"]["data"]))
        for request in json["V1"]["requests"]
    )


def read_chunk_header(json: Json) -> ChunkHeader:
    """A header with an inner part of version 4, with the recorded hash and signature."""
    return ChunkHeader(
        prev_block_hash=read_hash(json["prev_block_hash"]),
        prev_state_root=read_hash(json["prev_state_root"]),
        prev_outcome_root=read_hash(json["outcome_root"]),
        encoded_merkle_root=read_hash(json["encoded_merkle_root"]),
        encoded_length=json["encoded_length"],
        height_created=json["height_created"],
        shard_id=ShardId(json["shard_id"]),
        prev_gas_used=json["gas_used"],
        gas_limit=json["gas_limit"],
        prev_balance_burnt=int(json["balance_burnt"]),
        prev_outgoing_receipts_root=read_hash(json["outgoing_receipts_root"]),
        tx_root=read_hash(json["tx_root"]),
        prev_validator_proposals=tuple(map(read_stake, json["validator_proposals"])),
        congestion_info=read_congestion(json["congestion_info"]),
        bandwidth_requests=read_bandwidth(json["bandwidth_requests"]),
        height_included=json["height_included"],
        signature=signature_from_str(json["signature"]),
        hash=read_hash(json["chunk_hash"]),
        version=4,
    )


def _read_key(json: Json) -> PublicKey:
    return public_key_from_str(json["public_key"])


def _read_code(text: str, codes: Codes) -> bytes:
    return codes[base64.b64decode(text)]


def _read_access_key(json: Json) -> accounts.AccessKey:
    permission = json["permission"]
    if permission == "FullAccess":
        return accounts.AccessKey(json["nonce"], accounts.FullAccess())
    call = permission["FunctionCall"]
    allowance = None if call["allowance"] is None else Balance(int(call["allowance"]))
    return accounts.AccessKey(
        json["nonce"],
        accounts.FunctionCallPermission(allowance, call["receiver_id"], tuple(call["method_names"])),
    )


def _read_identifier(json: Json) -> accounts.GlobalContractIdentifier:
    [(name, value)] = json.items()
    if name in ("hash", "CodeHash"):
        return accounts.GlobalContractByHash(read_hash(value))
    assert name in ("account_id", "AccountId")
    return accounts.GlobalContractByAccount(AccountId(value))


def _read_state_init(json: Json, codes: Codes) -> actions.Action:
    code, data = json["code"], json["data"]
    pairs = sorted((base64.b64decode(key), base64.b64decode(value)) for key, value in data.items())
    return actions.DeterministicStateInit(_read_identifier(code), tuple(pairs), Balance(int(json["deposit"])))


def _read_delegate(json: Json, codes: Codes) -> actions.Action:
    inner = json["delegate_action"]
    return actions.Delegate(
        actions.DelegateAction(
            AccountId(inner["sender_id"]),
            AccountId(inner["receiver_id"]),
            tuple(read_raw_action(action) for action in inner["actions"]),
            inner["nonce"],
            inner["max_block_height"],
            _read_key(inner),
        ),
        signature_from_str(json["signature"]),
    )


def read_raw_action(json: Json | str) -> actions.Action:
    """An action in the form inside delegate actions: the action's own JSON, not its view."""
    if isinstance(json, str):
        return actions.CreateAccount()
    [(name, fields)] = json.items()
    if name == "DeployContract":
        return actions.DeployContract(base64.b64decode(fields["code"]))
    if name == "CreateAccount":
        return actions.CreateAccount()
    if name == "DeployGlobalContract":
        mode = {"CodeHash": 0, "AccountId": 1}[fields["deploy_mode"]]
        return actions.DeployGlobalContract(base64.b64decode(fields["code"]), accounts.DeployMode(mode))
    if name == "UseGlobalContract":
        return actions.UseGlobalContract(_read_identifier(fields["contract_identifier"]))
    if name == "DeterministicStateInit":
        inner = fields["state_init"]["V1"]
        return _read_state_init({**inner, "deposit": fields["deposit"]}, {})
    return read_action(json, {})


def read_action(json: Json | str, codes: Codes) -> actions.Action:
    """An action as blocks and receipts show it."""
    if isinstance(json, str):
        assert json == "CreateAccount"
        return actions.CreateAccount()
    [(name, fields)] = json.items()
    match name:
        case "DeployContract":
            return actions.DeployContract(_read_code(fields["code"], codes))
        case "FunctionCall":
            args = base64.b64decode(fields["args"])
            deposit = Balance(int(fields["deposit"]))
            return actions.FunctionCall(fields["method_name"], args, fields["gas"], deposit)
        case "Transfer":
            return actions.Transfer(Balance(int(fields["deposit"])))
        case "Stake":
            return actions.Stake(Balance(int(fields["stake"])), _read_key(fields))
        case "AddKey":
            return actions.AddKey(_read_key(fields), _read_access_key(fields["access_key"]))
        case "DeleteKey":
            return actions.DeleteKey(_read_key(fields))
        case "DeleteAccount":
            return actions.DeleteAccount(AccountId(fields["beneficiary_id"]))
        case "Delegate":
            return _read_delegate(fields, codes)
        case "DeployGlobalContract":
            code = _read_code(fields["code"], codes)
            return actions.DeployGlobalContract(code, accounts.DeployMode.CODE_HASH)
        case "DeployGlobalContractByAccountId":
            code = _read_code(fields["code"], codes)
            return actions.DeployGlobalContract(code, accounts.DeployMode.ACCOUNT_ID)
        case "UseGlobalContract":
            return actions.UseGlobalContract(accounts.GlobalContractByHash(read_hash(fields["code_hash"])))
        case "UseGlobalContractByAccountId":
            return actions.UseGlobalContract(accounts.GlobalContractByAccount(fields["account_id"]))
        case "DeterministicStateInit":
            return _read_state_init(fields, codes)
    raise AssertionError(f"no action {name} was recorded")


def _read_action_receipt(json: Json, codes: Codes) -> ActionReceipt:
    refund_to = json.get("refund_to")
    return ActionReceipt(
        AccountId(json["signer_id"]),
        public_key_from_str(json["signer_public_key"]),
        Balance(int(json["gas_price"])),
        tuple(
            DataReceiver(read_hash(item["data_id"]), AccountId(item["receiver_id"]))
            for item in json["output_data_receivers"]
        ),
        tuple(map(read_hash, json["input_data_ids"])),
        tuple(read_action(action, codes) for action in json["actions"]),
        refund_to,
        1 if refund_to is None else 2,
        json["is_promise_yield"],
    )


def read_receipt(json: Json, codes: Codes) -> Receipt:
    """A receipt. Version 2 of an action receipt shows only by its ``refund_to``."""
    [(name, fields)] = json["receipt"].items()
    body: ActionReceipt | DataReceipt | GlobalContractDistribution
    if name == "Action":
        body = _read_action_receipt(fields, codes)
    elif name == "Data":
        data = None if fields["data"] is None else base64.b64decode(fields["data"])
        body = DataReceipt(read_hash(fields["data_id"]), data, fields["is_promise_resume"])
    else:
        assert name == "GlobalContractDistribution"
        body = GlobalContractDistribution(
            _read_identifier(fields["id"]),
            ShardId(fields["target_shard"]),
            tuple(map(ShardId, fields["already_delivered_shards"])),
            _read_code(fields["code"], codes),
            fields.get("nonce"),
        )
    return Receipt(
        AccountId(json["predecessor_id"]), AccountId(json["receiver_id"]), read_hash(json["receipt_id"]), body
    )
