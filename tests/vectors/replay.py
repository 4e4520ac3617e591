"""Apply a recorded chain chunk by chunk with our runtime and compare everything that was recorded.

Taken from the recording, because nothing determines them: block hashes,
timestamps, random values, and which transactions a chunk holds in which order.
Everything else is ours: state, receipts and the way they take, validators.

People run ``python -m tests.vectors.replay FOLDER [--group NAME] [--stop-at HEIGHT]``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hither.chain.genesis import get_shard_layout, get_validators, parse_genesis
from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.crypto.shuffle import SeededRandom
from hither.params import get_runtime_config
from hither.primitives.merkle import compute_merkle_root, hash_items
from hither.primitives.outcome import compute_outcome_proofs, compute_outcome_root
from hither.primitives.receipt import Receipt, encode_receipts
from hither.primitives.sharding import (
    BandwidthRequest,
    CongestionInfo,
    ExtendedCongestionInfo,
    ShardLayout,
)
from hither.primitives.state_record import state_record_from_json
from hither.primitives.transaction import (
    SignedTransaction,
    decode_signed_transaction,
    encode_signed_transaction,
)
from hither.primitives.types import Balance, Gas, ShardId
from hither.runtime.apply import apply_chunk
from hither.runtime.genesis import make_genesis_state
from hither.runtime.routing import group_by_shard
from hither.runtime.types import ApplyContext, ApplyResult
from hither.state import Trie
from hither.vm import Vm
from tests.vectors.comparison import (
    MISSING,
    Difference,
    compare,
    group_our_changes,
    group_recorded_changes,
    show_bandwidth_requests,
    show_congestion_info,
    show_outcome,
    show_proof,
    show_validator_stake,
)
from tests.vectors.coverage import Coverage, LineCheck
from tests.vectors.epochs import RecordedEpochs, parse_hash
from tests.vectors.queries import answer_query
from tests.vectors.recording import CHAINS, Group, RecordedChain, list_sent_transactions

Json = dict[str, Any]


def compute_outgoing_receipts_root(layout: ShardLayout, receipts: list[Receipt]) -> bytes:
    """Root over one hash per receiving shard: of its id and its receipts."""
    hashes = [
        sha256(shard_id.to_bytes(8, "little") + encode_receipts(tuple(shard_receipts)))
        for shard_id, shard_receipts in group_by_shard(layout, receipts).items()
    ]
    return compute_merkle_root(hash_items(hashes))


EMPTY_RESULT: Json = {
    "outcome_root": base58.encode(bytes(32)),
    "outgoing_receipts_root": base58.encode(bytes(32)),
    "gas_used": 0,
    "balance_burnt": "0",
    "validator_proposals": [],
    "bandwidth_requests": {"V1": {"requests": []}},
}
"""What a chunk header says when no chunk of its shard was applied before it."""


@dataclass
class Shard:
    """One shard between two blocks.

    ``result`` is the newest application of a chunk of its own; ``waiting`` the
    receipts of blocks in which it had none, newest block first, by sender.
    """

    shard_id: ShardId
    trie: Trie
    result: ApplyResult | None = None
    waiting: list[list[list[Receipt]]] = field(default_factory=list)


class Replay:
    """A recorded chain in progress."""

    def __init__(self, chain: RecordedChain, vm: Vm) -> None:
        self.chain = chain
        self._vm = vm
        genesis = parse_genesis(chain.genesis)
        self._genesis = genesis.config
        self.layout = get_shard_layout(genesis.config)
        self._config = get_runtime_config(84)
        self.epochs = RecordedEpochs(genesis.config)
        tries = make_genesis_state(
            self._config,
            self.layout,
            [state_record_from_json(record) for record in genesis.records],
            [(one.account_id, Balance(one.stake)) for one in get_validators(genesis.config)],
        )
        self.shards = [Shard(shard_id, tries[shard_id]) for shard_id in self.layout.shard_ids]
        self._transactions: dict[str, SignedTransaction] = {}
        self._prev_block: Json = {}
        self.tries_by_block: dict[str, tuple[int, list[Trie]]] = {}
        self.outcomes: dict[str, Json] = {}
        self.coverage: dict[str, Coverage] = {}

    # One group

    def run_group(self, group: Group, stop_at: int | None = None) -> Iterator[Difference]:
        """Apply the group's heights and compare; stops after the first height that differs."""
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
                self.apply_height(line, check)
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
        except ValueError:
            return  # Sent on purpose: the node refused it too.
        self._transactions[base58.encode(signed.hash)] = signed

    # One height

    def apply_height(self, line: Json, check: LineCheck) -> None:
        """Compare what the headers say of the chunks before, then apply the block's chunks."""
        block, header = line["block"], line["block"]["header"]
        height = header["height"]
        for index in range(len(self.shards)):
            self._compare_chunk_header(block, index, check)
        if check.differences:
            return
        changes: list[Any] = []
        if height == 0:
            self.epochs.start(header)
            for index in range(len(self.shards)):
                self._take_transactions(line, index, check)
        else:
            incoming = self._route_receipts(block)
            for index, shard in enumerate(self.shards):
                context = self._make_context(block, index)
                transactions = self._take_transactions(line, index, check) if context.is_new_chunk else []
                result = apply_chunk(shard.trie, context, transactions, incoming[index], self._vm)
                changes += result.sealed.caused_changes
                shard.trie = result.sealed.trie
                if context.is_new_chunk:
                    shard.result = result
                    self._remember_outcomes(header["hash"], result)
            self.epochs.add_block(header)
        self._compare_changes(changes, check)
        self.tries_by_block[header["hash"]] = (height, [shard.trie for shard in self.shards])
        self._prev_block = block

    def _take_transactions(self, line: Json, index: int, check: LineCheck) -> list[SignedTransaction]:
        """The chunk's transactions, from the bytes that were sent."""
        views = line["chunks"][index]["transactions"]
        transactions = [self._transactions[view["hash"]] for view in views]
        root = compute_merkle_root(hash_items(encode_signed_transaction(one) for one in transactions))
        for path in (("block", "chunks", index, "tx_root"), ("chunks", index, "header", "tx_root")):
            check.expect(base58.encode(root), *path)
        return transactions

    def _route_receipts(self, block: Json) -> list[list[Receipt]]:
        """What each shard takes in now: from this block's new chunks, then from blocks it missed, newest first."""
        height, prev_hash = block["header"]["height"], parse_hash(block["header"]["prev_hash"])
        senders = [
            shard
            for shard, chunk in zip(self.shards, block["chunks"], strict=True)
            if chunk["height_included"] == height
        ]
        sent = [
            group_by_shard(self.layout, shard.result.outgoing_receipts if shard.result else ())
            for shard in senders
        ]
        incoming: list[list[Receipt]] = []
        for shard, chunk in zip(self.shards, block["chunks"], strict=True):
            lists = [groups[shard.shard_id] for groups in sent]
            SeededRandom(prev_hash).shuffle(lists)
            shard.waiting.insert(0, lists)
            if chunk["height_included"] != height:
                incoming.append([])
                continue
            incoming.append(
                [receipt for block_lists in shard.waiting for one in block_lists for receipt in one]
            )
            shard.waiting.clear()
        return incoming

    def _make_context(self, block: Json, index: int) -> ApplyContext:
        header, chunk = block["header"], block["chunks"][index]
        height = header["height"]
        epoch_id, epoch, following = self.epochs.get_epoch_of_next_block()
        assert epoch_id == parse_hash(header["epoch_id"])
        is_new = chunk["height_included"] == height
        result = self.shards[index].result
        proposals = result.validator_proposals if result is not None else ()
        update = self.epochs.get_update_at_start(tuple(proposals), self.shards[index].shard_id)
        return ApplyContext(
            chain_id=self._genesis.chain_id,
            protocol_version=84,
            config=self._config,
            shard_layout=self.layout,
            shard_id=self.shards[index].shard_id,
            block_height=height,
            prev_block_hash=parse_hash(header["prev_hash"]),
            block_timestamp_ns=int(header["timestamp_nanosec"]),
            epoch_id=epoch_id,
            epoch_height=epoch.epoch_height,
            gas_price=Balance(int(self._prev_block["header"]["gas_price"])),
            gas_limit=Gas(chunk["gas_limit"]),
            random_value=parse_hash(header["random_value"]),
            congestion={
                ShardId(one["shard_id"]): ExtendedCongestionInfo(
                    parse_congestion_info(one["congestion_info"]), height - one["height_included"]
                )
                for one in block["chunks"]
            },
            bandwidth_requests={
                ShardId(one["shard_id"]): parse_bandwidth_requests(one["bandwidth_requests"])
                for one in block["chunks"]
            },
            validators=tuple((v.account_id, Balance(v.stake)) for v in epoch.validators),
            validator_update=update,
            is_new_chunk=is_new,
            minimum_stake=Balance(following.seat_price // self.epochs.config.minimum_stake_divisor),
        )

    def _remember_outcomes(self, block_hash: str, result: ApplyResult) -> None:
        _, proofs = compute_outcome_proofs(result.outcomes)
        for outcome, path in zip(result.outcomes, proofs, strict=True):
            self.outcomes[base58.encode(outcome.id)] = {
                "block_hash": block_hash,
                "id": base58.encode(outcome.id),
                "outcome": show_outcome(outcome),
                "proof": show_proof(path),
            }

    # Comparing

    def _compare_chunk_header(self, block: Json, index: int, check: LineCheck) -> None:
        """A new chunk's header commits to the application of the chunk before it in its shard.

        A missing chunk is the chunk before, repeated.
        """
        shard, chunk = self.shards[index], block["chunks"][index]
        if chunk["height_included"] != block["header"]["height"]:
            check.expect(self._prev_block["chunks"][index], "block", "chunks", index)
            return
        ours = {"prev_state_root": base58.encode(shard.trie.root)}
        ours |= EMPTY_RESULT if shard.result is None else self._show_result(shard.result)
        if shard.result is None:
            ours["congestion_info"] = show_congestion_info(CongestionInfo(allowed_shard=shard.shard_id))
            if block["header"]["height"] > 0:
                empty = compute_outgoing_receipts_root(self.layout, [])
                ours["outgoing_receipts_root"] = base58.encode(empty)
        for name, value in ours.items():
            check.expect(value, "block", "chunks", index, name)
            check.expect(value, "chunks", index, "header", name)

    def _show_result(self, result: ApplyResult) -> Json:
        receipts_root = compute_outgoing_receipts_root(self.layout, list(result.outgoing_receipts))
        outcome_root = compute_outcome_root(result.outcomes)
        return {
            "outcome_root": base58.encode(outcome_root),
            "outgoing_receipts_root": base58.encode(receipts_root),
            "gas_used": result.gas_burnt,
            "balance_burnt": str(result.balance_burnt),
            "validator_proposals": [show_validator_stake(stake) for stake in result.validator_proposals],
            "congestion_info": show_congestion_info(result.congestion_info),
            "bandwidth_requests": show_bandwidth_requests(result.bandwidth_requests),
        }

    def _compare_changes(self, caused: list[Any], check: LineCheck) -> None:
        """All writes to accounts, keys, code and data, each with its cause, in the order of each record."""
        ours_by_key = group_our_changes(caused)
        recorded = check.take("changes")
        recorded_by_key = {} if recorded is MISSING else group_recorded_changes(recorded)
        for key in [*recorded_by_key, *(key for key in ours_by_key if key not in recorded_by_key)]:
            where = f"{check.where} change of {' '.join(key)}"
            check.add(compare(where, ours_by_key.get(key, []), recorded_by_key.get(key, [])))

    def _compare_tx_status(self, line: Json, check: LineCheck) -> None:
        """Every outcome of a transaction: gas, tokens, logs, profile, receipt ids, status, proof, block."""
        if "result" not in line:
            return  # The node itself timed out.
        result = line["result"]
        ours = self.outcomes.get(result["transaction_outcome"]["id"], MISSING)
        check.expect(ours, "result", "transaction_outcome")
        for index, recorded in enumerate(result["receipts_outcome"]):
            check.expect(self.outcomes.get(recorded["id"], MISSING), "result", "receipts_outcome", index)

    def _compare_query(self, line: Json, check: LineCheck) -> None:
        """Accounts, keys and data with proofs, read from the trie of the block that was asked for."""
        if line["method"] != "query":
            return
        params = line["params"]
        height, tries = self.tries_by_block[params["block_id"]]
        trie = tries[self.layout.get_shard_index(params["account_id"])]
        name, ours = answer_query(params, params["block_id"], height, trie)
        if name == "result":
            check.expect(ours, "result")
        else:
            body = check.take("body")
            recorded = MISSING if body is MISSING else json.loads(body)["error"]
            check.add(compare(f"{check.where} error", ours, recorded))


def parse_congestion_info(fields: Json) -> CongestionInfo:
    """From a chunk header."""
    return CongestionInfo(
        int(fields["delayed_receipts_gas"]),
        int(fields["buffered_receipts_gas"]),
        fields["receipt_bytes"],
        fields["allowed_shard"],
    )


def parse_bandwidth_requests(fields: Json) -> tuple[BandwidthRequest, ...]:
    """From a chunk header."""
    return tuple(
        BandwidthRequest(request["to_shard"], bytes(request["requested_values_bitmap"]["data"]))
        for request in fields["V1"]["requests"]
    )


def main() -> int:
    """Print the first differences of a chain; 1 when there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help=f"a folder, or one of {', '.join(CHAINS)}")
    parser.add_argument("--group", help="stop after this group")
    parser.add_argument("--stop-at", type=int, metavar="HEIGHT", help="stop after this height")
    parser.add_argument("--differences", type=int, default=20, help="how many to print")
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
            is_last = name == arguments.group
            if is_last or (arguments.stop_at is not None and group.last_height >= arguments.stop_at):
                break
    for name, coverage in replay.coverage.items():
        summary = sorted(coverage.summarise().items(), key=lambda item: -item[1])
        print(f"{name}: " + "; ".join(f"{count} {what}" for what, count in summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
