"""Every hash of the recorded chains, computed again: transactions, blocks, chunks, their roots and parts.

Also the JSON of every recorded block and chunk, printed again from our types
key by key in the order of the recording.
"""

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hither.codec import base58
from hither.codec.borsh import InvalidBorsh
from hither.crypto.hashing import sha256
from hither.crypto.signing import are_valid_signatures
from hither.primitives import action as actions
from hither.primitives import block, chunk, views
from hither.primitives.receipt import ActionReceipt, Receipt
from hither.primitives.transaction import (
    SignedTransaction,
    decode_signed_transaction,
    decode_signed_transaction_of_84,
    encode_signed_transaction,
)
from tests.vectors import forms
from tests.vectors.recording import CHAINS, Group, Line, RecordedChain

pytestmark = pytest.mark.slow


SENDING_METHODS = ("send_tx", "broadcast_tx_async", "broadcast_tx_commit")


def list_sent(group: Group) -> Iterator[tuple[bytes, Line]]:
    """All transactions that were sent, by ``send`` lines and by other requests, with their lines."""
    for line in group.get("send"):
        yield base64.b64decode(line["signed_tx_base64"]), line
    for line in group.get("rpc"):
        request = line.get("request") or {}
        if request.get("method") not in SENDING_METHODS:
            continue
        parameters = request.get("params")
        if isinstance(parameters, dict):
            parameters = [parameters.get("signed_tx_base64")]
        if isinstance(parameters, list) and parameters and isinstance(parameters[0], str):
            try:
                yield base64.b64decode(parameters[0], validate=True), line
            except binascii.Error:
                continue


def collect_codes(performed: tuple[actions.Action, ...], codes: dict[bytes, bytes]) -> None:
    for action in performed:
        if isinstance(action, actions.DeployContract | actions.DeployGlobalContract):
            codes[sha256(action.code)] = action.code
        if isinstance(action, actions.Delegate):
            collect_codes(action.delegate_action.actions, codes)


def get_error(body: str) -> str:
    data = json.loads(body).get("error", {}).get("data") if body.startswith("{") else None
    return data if isinstance(data, str) else ""


def check_sent(data: bytes, line: Line, counts: Counter[str]) -> SignedTransaction | None:
    """Our hash is the recorded one; what NEAR could not read we cannot read either, in the same words."""
    body = line.get("body") or ""
    refusal = re.search("(?:decoded from borsh due to|Failed to decode transaction): (.*)", get_error(body))
    if refusal is not None:
        expected = refusal[1]
        with pytest.raises(InvalidBorsh) as caught:
            decode_signed_transaction_of_84(data)
        assert str(caught.value) == expected
        counts["refused"] += 1
        return None
    try:
        signed = decode_signed_transaction(data)
    except InvalidBorsh:
        # Version 1 had another form at 84; the node took it apart only to refuse it.
        assert decode_signed_transaction_of_84(data).transaction.version == 1
        assert "InvalidTransactionVersion" in body
        counts["version 1"] += 1
        return None
    assert encode_signed_transaction(signed) == data
    assert "tx_hash" not in line or base58.encode(signed.hash) == line["tx_hash"]
    counts["transactions"] += 1
    return signed


def check_block(line: Line, counts: Counter[str]) -> list[chunk.ChunkHeader]:
    """Header hash, roots over chunk headers, JSON."""
    recorded = line["block"]
    header = forms.read_block_header(recorded["header"])
    assert block.compute_block_hash(header) == header.hash
    assert block.decode_block_header(block.encode_block_header(header)) == header
    headers = [forms.read_chunk_header(json_) for json_ in recorded["chunks"]]
    for chunk_header in headers:
        assert chunk.compute_chunk_hash(chunk_header) == chunk_header.hash
        assert chunk.decode_chunk_header(chunk.encode_chunk_header(chunk_header)) == chunk_header
    assert block.compute_chunk_headers_root(headers) == header.chunk_headers_root
    assert block.compute_state_root(headers) == header.prev_state_root
    assert block.compute_chunk_tx_root(headers) == header.chunk_tx_root
    assert block.compute_chunk_outgoing_receipts_root(headers) == header.prev_outgoing_receipts_root
    if header.is_genesis:
        body_hash = block.compute_body_hash(tuple(headers), bytes(32), bytes(64), ())
        assert body_hash == header.block_body_hash
    else:
        assert block.compute_block_outcome_root(headers) == header.prev_outcome_root
    whole = block.Block(header, tuple(headers), b"", b"", ())
    assert json.dumps(views.view_block(whole, recorded["author"])) == json.dumps(recorded)
    counts["blocks"] += 1
    return headers


def list_versions(receipts: list[Receipt]) -> Iterator[list[Receipt]]:
    """JSON does not tell receipts of version 2 without ``refund_to`` from version 1.

    What contracts make is of version 2, what delegate actions make of version 1.
    """

    def set_version(receipt: Receipt) -> Receipt:
        body = receipt.body
        if not isinstance(body, ActionReceipt) or receipt.predecessor_id in ("system", body.signer_id):
            return receipt
        return msgspec.structs.replace(receipt, body=msgspec.structs.replace(body, version=2))

    yield [set_version(receipt) for receipt in receipts]
    yield receipts


def check_chunk(
    header: chunk.ChunkHeader,
    recorded: Any,
    sent: dict[str, SignedTransaction],
    codes: dict[bytes, bytes],
    counts: Counter[str],
) -> None:
    """Roots over transactions and receipts, the encoded parts, JSON."""
    transactions = tuple(sent[json_["hash"]] for json_ in recorded["transactions"])
    assert chunk.compute_transactions_root(transactions) == header.tx_root
    try:
        receipts = [forms.read_receipt(json_, codes) for json_ in recorded["receipts"]]
    except KeyError:
        counts[CODE] += 1
        return
    total_parts = chunk.GENESIS_PARTS if header.is_genesis else 2
    encoded = [
        chunk.compute_encoded_root(transactions, tried, total_parts) for tried in list_versions(receipts)
    ]
    assert (header.encoded_merkle_root, header.encoded_length) in encoded
    whole = chunk.Chunk(header, transactions, tuple(receipts))
    assert json.dumps(views.view_chunk(whole, recorded["author"], 84)) == json.dumps(recorded)
    counts["chunks"] += 1


CODE = "chunks with code that only a contract held"
EXPECTED = {
    "one-shard": {
        "transactions": 836,
        "refused": 30,
        "version 1": 2,
        "blocks": 2884,
        "heights without block": 20,
        "chunks": 2882,
        "missing chunks": 1,
        CODE: 1,
    },
    "three-shards": {
        "transactions": 565,
        "refused": 8,
        "version 1": 2,
        "blocks": 2035,
        "heights without block": 2,
        "chunks": 6101,
        "missing chunks": 3,
        CODE: 1,
    },
    "congestion": {
        "transactions": 122,
        "blocks": 158,
        "heights without block": 3,
        "chunks": 157,
        "missing chunks": 1,
    },
    "congestion-three-shards": {
        "transactions": 122,
        "blocks": 141,
        "chunks": 420,
        "missing chunks": 3,
    },
}
"""What each chain holds."""


@pytest.mark.parametrize("name", CHAINS)
def test_recorded_hashes_are_computed_again(name: str) -> None:
    """All of one chain. The counts say that nothing was skipped."""
    chain = RecordedChain(CHAINS[name])
    groups = [chain.read_group(group) for group in chain.group_names]
    counts: Counter[str] = Counter()
    sent: dict[str, SignedTransaction] = {}
    codes: dict[bytes, bytes] = {}
    for group in groups:
        for data, line in list_sent(group):
            signed = check_sent(data, line, counts)
            if signed is not None:
                sent[base58.encode(signed.hash)] = signed
                collect_codes(signed.transaction.actions, codes)
    for group in groups:
        for line in group.get("height"):
            if line.get("block") is None:
                counts["heights without block"] += 1
                continue
            for header, recorded in zip(check_block(line, counts), line["chunks"], strict=True):
                if recorded is None:
                    counts["missing chunks"] += 1
                else:
                    check_chunk(header, recorded, sent, codes, counts)
    assert dict(counts) == EXPECTED[name]


def test_accepted_transactions_have_good_signatures() -> None:
    """All transactions that the node took, and none that it refused for the signature."""
    chain = RecordedChain(CHAINS["one-shard"])
    checks, expected = [], []
    for name in chain.group_names:
        for data, line in list_sent(chain.read_group(name)):
            body = line.get("body") or ""
            if "InvalidSignature" not in body and not line.get("accepted"):
                continue
            signed = decode_signed_transaction(data)
            checks.append((signed.transaction.public_key, signed.hash, signed.signature))
            expected.append("InvalidSignature" not in body)
    assert are_valid_signatures(checks) == expected
    assert expected.count(False) > 3
