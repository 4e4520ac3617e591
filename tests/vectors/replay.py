"""Make a recorded chain again, block by block, and compare everything that was recorded.

Taken from the recording, because nothing determines them: when each block was
made, at which height, and which transactions its chunks hold in which order.
The validator's key is known, so everything else is ours: state, receipts and the
way they take, chunks, blocks with their hashes and signatures, and epochs.

People run ``python -m tests.vectors.replay FOLDER [--group NAME] [--stop-at HEIGHT]``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hither.chain.application import AppliedBlock, ShardWork, apply_block
from hither.chain.epochs.sampling import sample_block_producer, sample_chunk_producer
from hither.chain.genesis import parse_genesis
from hither.chain.genesis_block import make_genesis_chunks, make_genesis_head, make_genesis_tries
from hither.chain.head import ChainHead
from hither.chain.parameters import Signers, make_parameters
from hither.chain.production import BlockPlan, include_chunk, make_block, make_chunk
from hither.codec import base58
from hither.codec.borsh import InvalidBorsh
from hither.crypto.hashing import sha256
from hither.crypto.keys import ED25519
from hither.crypto.signing import secret_key_from_seed
from hither.primitives.block import Block
from hither.primitives.chunk import Chunk
from hither.primitives.merkle import MerklePath, merklize
from hither.primitives.outcome import Outcome
from hither.primitives.receipt import Receipt
from hither.primitives.transaction import SignedTransaction, decode_signed_transaction
from hither.primitives.types import BlockHeight, CryptoHash, ShardId
from hither.primitives.views.blocks import view_block, view_chunk
from hither.primitives.views.execution import (
    view_final_status,
    view_outcome_with_proof,
    view_receipt,
    view_transaction,
)
from hither.runtime.apply import apply_chunk
from hither.runtime.types import ApplyResult
from hither.state import Trie
from hither.vm import Vm
from tests.vectors.comparison import (
    MISSING,
    CausedChanges,
    Difference,
    compare,
    group_our_changes,
    group_recorded_changes,
    list_our_touched,
)
from tests.vectors.coverage import Coverage, LineCheck
from tests.vectors.queries import answer_query
from tests.vectors.recording import CHAINS, Group, RecordedChain, list_sent_transactions

Json = dict[str, Any]

PROTOCOL_VERSION = 84
VALIDATOR = "test.near"
VALIDATOR_SECRET = b"nearcore-84 test.near/0"


@dataclass(frozen=True, slots=True)
class ExecutedOutcome:
    """An outcome, the block it was executed in, and its path to the outcome root of its chunk."""

    id: CryptoHash
    block_hash: CryptoHash
    outcome: Outcome
    proof: MerklePath


class Replay:
    """A recorded chain in progress."""

    def __init__(
        self,
        chain: RecordedChain,
        vm: Vm,
        keep: Callable[[ChainHead, AppliedBlock], None] | None = None,
    ) -> None:
        """``keep`` is given every head and what its block brought."""
        genesis = parse_genesis(chain.genesis)
        self.chain = chain
        self._vm = vm
        self._keep = keep
        self.parameters = make_parameters(genesis)
        self._signers = Signers({VALIDATOR: secret_key_from_seed(ED25519, sha256(VALIDATOR_SECRET))})
        self.head = make_genesis_head(self.parameters, make_genesis_tries(genesis, self.parameters))
        self._transactions: dict[str, SignedTransaction] = {}
        self._receipts: dict[str, Receipt] = {}
        self._outcomes: dict[str, ExecutedOutcome] = {}
        self._tries: dict[str, tuple[int, list[Trie]]] = {}
        self.coverage: dict[str, Coverage] = {}

    # One group

    def run_group(self, group: Group, stop_at: int | None = None) -> Iterator[Difference]:
        """Make the group's blocks and compare; stops after the first height that differs."""
        coverage = self.coverage[group.name] = Coverage()
        for kind in ("group", "send", "case", "rpc"):
            for line in group.get(kind):
                LineCheck(coverage, line, kind)
        for raw in list_sent_transactions(group):
            self._remember_transaction(raw)
        for line in group.get("height"):
            if stop_at is not None and line["height"] > stop_at:
                return
            check = LineCheck(coverage, line, f"height {line['height']}")
            if "block" in line:
                self._compare_height(line, check)
            yield from check.differences
            if check.differences:
                return
        for line in group.get("tx_status"):
            check = LineCheck(coverage, line, line["case"])
            self._compare_tx_status(line, check)
            yield from check.differences
        for line in group.get("query"):
            check = LineCheck(coverage, line, f"{group.name} {line['method']} {line['params']}")
            self._compare_query(line, check)
            yield from check.differences

    def _remember_transaction(self, raw: bytes) -> None:
        try:
            signed = decode_signed_transaction(raw)
        except InvalidBorsh:
            return  # Sent on purpose: the node refused it too.
        self._transactions[base58.encode(signed.hash)] = signed

    # One height

    def _compare_height(self, line: Json, check: LineCheck) -> None:
        """The block and its chunks say what the chunks before them did; the changes what these do."""
        height = line["height"]
        changes: CausedChanges = []
        if height == 0:
            block = self.head.block
            chunks = dict(enumerate(make_genesis_chunks(self.head)))
        else:
            chunks = self._make_chunks(line)
            block = self._make_block(line, chunks)
        self._compare_block(block, chunks, check)
        if check.differences:
            return
        if height > 0:
            own = {chunk.header.shard_id: chunk for chunk in chunks.values()}
            self.head, applied = apply_block(self.head, self.parameters, block, own, self._apply)
            self._remember(applied)
            if self._keep is not None:
                self._keep(self.head, applied)
            changes = [change for shard in applied.shards for change in shard.result.sealed.caused_changes]
        self._compare_changes(changes, check)
        self._tries[base58.encode(block.hash)] = (height, [shard.trie for shard in self.head.shards])

    def _make_chunks(self, line: Json) -> dict[int, Chunk]:
        """Our chunks with the recorded transactions, by position; none where the recording has none."""
        chunks = {}
        for index, recorded in enumerate(line["chunks"]):
            if recorded is None:
                continue
            transactions = [self._transactions[view["hash"]] for view in recorded["transactions"]]
            shard_id = self.head.shards[index].shard_id
            chunk = make_chunk(self.head, self.parameters, shard_id, transactions, self._signers)
            chunks[index] = include_chunk(chunk, line["height"])
        return chunks

    def _make_block(self, line: Json, chunks: dict[int, Chunk]) -> Block:
        """Our block at the recorded time. A fast-forward is known by its block, which nobody approves."""
        header = line["block"]["header"]
        by_shard = {chunk.header.shard_id: chunk for chunk in chunks.values()}
        is_fast_forward = header["approvals"] == [None]
        plan = BlockPlan(
            BlockHeight(line["height"]), int(header["timestamp_nanosec"]), by_shard, is_fast_forward
        )
        return make_block(self.head, self.parameters, plan, self._signers)

    def _apply(self, work: Sequence[ShardWork]) -> list[ApplyResult]:
        return [
            apply_chunk(part.trie, part.context, part.transactions, part.incoming_receipts, self._vm)
            for part in work
        ]

    def _remember(self, applied: AppliedBlock) -> None:
        for shard in applied.shards:
            _, paths = merklize(shard.leaves)
            for outcome, path in zip(shard.result.outcomes, paths, strict=True):
                executed = ExecutedOutcome(outcome.id, applied.block.hash, outcome, path)
                self._outcomes[base58.encode(outcome.id)] = executed
            for receipt in shard.result.processed_receipts:
                self._receipts[base58.encode(receipt.receipt_id)] = receipt

    # Comparing

    def _compare_block(self, block: Block, chunks: dict[int, Chunk], check: LineCheck) -> None:
        """Chunk headers first: what differs there differs in every hash above it."""
        epoch = self.head.epochs[block.header.epoch_id]
        author = epoch.validators[sample_block_producer(epoch, block.header.height)].account_id
        shown = view_block(block, author)
        check.expect(shown["chunks"], "block", "chunks")
        for index, header in enumerate(block.chunks):
            if index not in chunks:
                check.expect(None, "chunks", index)
                continue
            producer = sample_chunk_producer(
                epoch, ShardId(header.shard_id), BlockHeight(header.height_created)
            )
            author = epoch.validators[producer].account_id
            check.expect(view_chunk(chunks[index], author, PROTOCOL_VERSION), "chunks", index)
        check.expect(shown["author"], "block", "author")
        check.expect(shown["header"], "block", "header")

    def _compare_changes(self, caused: CausedChanges, check: LineCheck) -> None:
        """All writes to accounts, keys, code and data, each with its cause, in the order of each record."""
        ours_by_key = group_our_changes(caused)
        if ours_by_key:
            check.expect(list_our_touched(caused), "changes_in_block")
        recorded = check.take("changes")
        recorded_by_key = {} if recorded is MISSING else group_recorded_changes(recorded)
        for key in [*recorded_by_key, *(key for key in ours_by_key if key not in recorded_by_key)]:
            where = f"{check.where} change of {' '.join(key)}"
            check.add(compare(where, ours_by_key.get(key, []), recorded_by_key.get(key, [])))

    def _compare_tx_status(self, line: Json, check: LineCheck) -> None:
        """The transaction, its receipts, and every outcome: gas, logs, profile, status, proof, block."""
        if "result" not in line:
            return  # The node itself timed out.
        result = line["result"]
        ids = [result["transaction_outcome"]["id"], *(one["id"] for one in result["receipts_outcome"])]
        outcomes = [self._outcomes[id_] for id_ in ids if id_ in self._outcomes]
        shown = {base58.encode(outcome.id): view_outcome_with_proof(outcome) for outcome in outcomes}
        check.expect(shown.get(ids[0], MISSING), "result", "transaction_outcome")
        for index, id_ in enumerate(ids[1:]):
            check.expect(shown.get(id_, MISSING), "result", "receipts_outcome", index)
        check.expect(view_final_status(outcomes), "result", "status")
        transaction = self._transactions[line["tx_hash"]]
        check.expect(view_transaction(transaction, PROTOCOL_VERSION), "result", "transaction")
        for index, recorded in enumerate(result["receipts"]):
            receipt = self._receipts.get(recorded["receipt_id"])
            ours = MISSING if receipt is None else view_receipt(receipt, PROTOCOL_VERSION)
            check.expect(ours, "result", "receipts", index)

    def _compare_query(self, line: Json, check: LineCheck) -> None:
        """Accounts, keys and data with proofs, read from the trie of the block that was asked for."""
        if line["method"] != "query":
            return
        params = line["params"]
        height, tries = self._tries[params["block_id"]]
        trie = tries[self.parameters.shard_layout.get_shard_index(params["account_id"])]
        name, ours = answer_query(params, params["block_id"], height, trie)
        if name == "result":
            check.expect(ours, "result")
        else:
            body = check.take("body")
            recorded = MISSING if body is MISSING else json.loads(body)["error"]
            check.add(compare(f"{check.where} error", ours, recorded))


def main() -> int:
    """Print the first differences of a chain; 1 when there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help=f"a folder, or one of {', '.join(CHAINS)}")
    parser.add_argument("--group", help="stop after this group")
    parser.add_argument("--stop-at", type=int, metavar="HEIGHT", help="stop after this height")
    parser.add_argument("--differences", type=int, default=20, help="how many to print")
    parser.add_argument("--table", action="store_true", help="print what is compared and what not")
    arguments = parser.parse_args()
    chain = RecordedChain(CHAINS.get(arguments.folder, Path(arguments.folder)))
    with tempfile.TemporaryDirectory() as cache:
        replay = Replay(chain, Vm(cache))
        for name in chain.group_names:
            group = chain.read_group(name)
            found = list(replay.run_group(group, arguments.stop_at))
            print(f"{name}: heights {group.first_height} to {group.last_height}: {len(found)} differences")
            for difference in found[: arguments.differences]:
                print(difference)
            if found:
                return 1
            if name == arguments.group:
                break
            if arguments.stop_at is not None and group.last_height >= arguments.stop_at:
                return 0
    if arguments.table:
        for name, coverage in replay.coverage.items():
            for what, count in sorted(coverage.summarise().items(), key=lambda item: -item[1]):
                print(f"{name}: {count} {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
