"""Every block and chunk of the recorded chains, made by our own producer, has the recorded hash.

The recorded node's validator key is known, and signatures and random values are deterministic.
So from genesis, the timestamps, and the choice of transactions all else follows: header
fields, roots, encoded parts, approvals, endorsements, signatures, epochs and state.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hither.chain.application import ShardWork, apply_block
from hither.chain.genesis import parse_genesis
from hither.chain.genesis_block import make_genesis_head, make_genesis_tries
from hither.chain.head import ChainHead
from hither.chain.parameters import ChainParameters, Signers, make_parameters
from hither.chain.production import BlockPlan, include_chunk, make_block, make_chunk
from hither.codec import base58
from hither.codec.borsh import InvalidBorsh
from hither.crypto.hashing import sha256
from hither.crypto.signing import secret_key_from_seed
from hither.primitives.transaction import SignedTransaction, decode_signed_transaction
from hither.runtime.apply import apply_chunk
from hither.runtime.types import ApplyResult
from hither.vm import Vm
from tests.vectors.recording import CHAINS, RecordedChain, list_sent_transactions

FAST_HEIGHTS = 120
"""Enough for transfers, delayed chunks of genesis, and cross-shard receipts."""


class Producer:
    """Makes a recorded chain again."""

    def __init__(self, chain: RecordedChain, vm: Vm) -> None:
        genesis = parse_genesis(chain.genesis)
        self._chain, self._vm = chain, vm
        self.parameters: ChainParameters = make_parameters(genesis)
        key = secret_key_from_seed(0, sha256(b"nearcore-84 test.near/0"))
        self._signers = Signers({"test.near": key})
        self.head: ChainHead = make_genesis_head(
            self.parameters, make_genesis_tries(genesis, self.parameters)
        )
        self._transactions: dict[str, SignedTransaction] = {}

    def run(self, height_max: int | None) -> int:
        """Make blocks up to a height, comparing each; how many there were."""
        count = 0
        for line in self._read_heights():
            header = line["block"]["header"]
            if height_max is not None and header["height"] > height_max:
                break
            if header["height"] == 0:
                assert base58.encode(self.head.hash) == header["hash"]
                continue
            self._make_block(line)
            count += 1
        return count

    def _read_heights(self) -> Iterator[Any]:
        for name in self._chain.group_names:
            group = self._chain.read_group(name)
            for data in list_sent_transactions(group):
                try:
                    transaction = decode_signed_transaction(data)
                except InvalidBorsh:
                    continue
                self._transactions[base58.encode(transaction.hash)] = transaction
            yield from (line for line in group.get("height") if "block" in line)

    def _make_block(self, line: Any) -> None:
        recorded, height = line["block"], line["block"]["header"]["height"]
        chunks = {}
        for view, whole in zip(recorded["chunks"], line["chunks"], strict=True):
            if view["height_included"] != height:
                continue
            transactions = [self._transactions[t["hash"]] for t in whole["transactions"]]
            chunk = make_chunk(self.head, self.parameters, view["shard_id"], transactions, self._signers)
            assert base58.encode(chunk.header.hash) == view["chunk_hash"], (height, chunk.header)
            assert str(chunk.header.signature) == view["signature"], height
            chunks[chunk.header.shard_id] = include_chunk(chunk, height)
        header = recorded["header"]
        # Only the block of sandbox_fast_forward is approved by nobody.
        is_fast_forward = header["approvals"] == [None]
        plan = BlockPlan(height, int(header["timestamp_nanosec"]), chunks, is_fast_forward)
        block = make_block(self.head, self.parameters, plan, self._signers)
        assert base58.encode(block.hash) == header["hash"], (height, block.header)
        assert str(block.header.signature) == header["signature"], height
        self.head, _ = apply_block(self.head, self.parameters, block, chunks, self._apply)

    def _apply(self, work: Sequence[ShardWork]) -> list[ApplyResult]:
        return [
            apply_chunk(part.trie, part.context, part.transactions, part.incoming_receipts, self._vm)
            for part in work
        ]


@pytest.mark.parametrize("folder", CHAINS.values(), ids=CHAINS.keys())
def test_the_first_blocks_are_those_recorded(folder: Path, tmp_path: Path) -> None:
    producer = Producer(RecordedChain(folder), Vm(str(tmp_path)))
    assert producer.run(FAST_HEIGHTS) >= FAST_HEIGHTS - 10


@pytest.mark.slow
@pytest.mark.parametrize("folder", CHAINS.values(), ids=CHAINS.keys())
def test_every_block_is_the_one_recorded(folder: Path, tmp_path: Path) -> None:
    chain = RecordedChain(folder)
    producer = Producer(chain, Vm(str(tmp_path)))
    heights = sum(
        "block" in line for name in chain.group_names for line in chain.read_group(name).get("height")
    )
    assert producer.run(None) == heights - 1
