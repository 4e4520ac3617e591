"""Apply a recorded chain chunk by chunk with our runtime and compare everything that was recorded.

Taken from the recording, because nothing determines them: block hashes,
timestamps, random values, and which transactions a chunk holds in which order.
Everything else is ours: state, receipts and the way they take, validators.

People run ``python -m tests.vectors.replay FOLDER [--group NAME] [--stop-at HEIGHT]``.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from hither.runtime.apply import apply_chunk
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
from tests.vectors.epochs import RecordedEpochs, parse_hash
from tests.vectors.recording import CHAINS, Group, RecordedChain, list_sent_transactions

from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.crypto.shuffle import SeededRandom
from hither.params import RuntimeConfig, get_runtime_config
from hither.primitives.merkle import compute_merkle_root
from hither.primitives.outcome import compute_outcome_proofs, compute_outcome_root
from hither.primitives.receipt import Receipt, encode_receipts
from hither.primitives.sharding import (
    BandwidthRequest,
    CongestionInfo,
    ExtendedCongestionInfo,
    ShardLayout,
)
from hither.primitives.state_record import state_record_from_json
from hither.primitives.transaction import SignedTransaction, decode_signed_transaction
from hither.primitives.types import AccountId, Balance, Gas, ShardId
from hither.runtime.genesis import make_genesis_state
from hither.runtime.routing import group_by_shard
from hither.runtime.types import ApplyContext, ApplyResult
from hither.state import Trie
from hither.vm import Vm

Json = dict[str, Any]


def get_recorded_config() -> RuntimeConfig:
    """The figures of protocol 84 as the recorded node had them.

    The published figures of 84 are a little younger: they weigh deployments by
    compute and limit them to ten a receipt.
    """
    config = get_runtime_config(84)
    fees = msgspec.structs.replace(
        config.fees,
        deploy_global_contract_execution_base=0,
        deploy_global_contract_execution_per_byte=0,
        actions=_without_deploy_compute(config),
    )
    limits = msgspec.structs.replace(config.wasm.limits, max_deploy_actions_per_receipt=100)
    return msgspec.structs.replace(
        config, fees=fees, wasm=msgspec.structs.replace(config.wasm, limits=limits)
    )


def _without_deploy_compute(config: RuntimeConfig) -> Any:
    actions = config.fees.actions
    plain = {}
    for name in ("deploy_contract_base", "deploy_contract_byte"):
        fee = getattr(actions, name)
        execution = msgspec.structs.replace(fee.execution, compute=fee.execution.gas)
        plain[name] = msgspec.structs.replace(fee, execution=execution)
    return msgspec.structs.replace(actions, **plain)


def compute_outgoing_receipts_root(layout: ShardLayout, receipts: list[Receipt]) -> bytes:
    """Root over one hash per receiving shard: of its id and its receipts."""
    hashes = [
        sha256(shard_id.to_bytes(8, "little") + encode_receipts(tuple(shard_receipts)))
        for shard_id, shard_receipts in group_by_shard(layout, receipts).items()
    ]
    return compute_merkle_root([sha256(item) for item in hashes])


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


@dataclass
class Tally:
    """How many values of each kind were compared."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, count: int = 1) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + count


class Replay:
    """A recorded chain in progress."""

    def __init__(self, chain: RecordedChain, vm: Vm) -> None:
        self.chain = chain
        self._vm = vm
        genesis = chain.genesis
        layout = genesis["shard_layout"]["V2"]
        self.layout = ShardLayout(
            tuple(layout["boundary_accounts"]), tuple(layout["shard_ids"]), layout["version"]
        )
        self._config = get_recorded_config()
        self.epochs = RecordedEpochs(genesis, self.layout)
        tries = make_genesis_state(
            self._config,
            self.layout,
            [state_record_from_json(record) for record in genesis["records"]],
            [(AccountId(v["account_id"]), Balance(int(v["amount"]))) for v in genesis["validators"]],
        )
        self.shards = [Shard(shard_id, tries[shard_id]) for shard_id in self.layout.shard_ids]
        self._transactions: dict[str, SignedTransaction] = {}
        self._prev_header: Json = {}
        self.tries_by_block: dict[str, tuple[int, list[Trie]]] = {}
        self.outcomes: dict[str, Json] = {}
        self.tally = Tally()

    # One group

    def run_group(self, group: Group, stop_at: int | None = None) -> Iterator[Difference]:
        """Apply the group's heights and compare; stops after the first height that differs."""
        for raw in list_sent_transactions(group):
            self._remember_transaction(raw)
        for line in group.get("height"):
            if stop_at is not None and line["height"] > stop_at:
                return
            if "block" not in line:
                self.tally.add("missing block")
                continue
            found = self.apply_height(line)
            yield from found
            if found:
                return
        for line in group.get("tx_status"):
            yield from self.compare_tx_status(line)

    def _remember_transaction(self, raw: bytes) -> None:
        try:
            signed = decode_signed_transaction(raw)
        except ValueError:
            return  # Sent on purpose: the node refused it too.
        self._transactions[base58.encode(signed.hash)] = signed

    # One height

    def apply_height(self, line: Json) -> list[Difference]:
        """Compare what the headers say of the chunks before, then apply the block's chunks."""
        block, header = line["block"], line["block"]["header"]
        height = header["height"]
        found = self._compare_headers(block)
        if found:
            return found
        if height == 0:
            self.epochs.start(header)
        else:
            incoming = self._route_receipts(block)
            changes: list[Any] = []
            for index, shard in enumerate(self.shards):
                chunk_header = block["chunks"][index]
                context = self._make_context(block, index)
                transactions = []
                if context.is_new_chunk:
                    transactions = [
                        self._transactions[view["hash"]] for view in line["chunks"][index]["transactions"]
                    ]
                result = apply_chunk(context, shard.trie, self._vm, transactions, incoming[index])
                changes += result.sealed.caused_changes
                shard.trie = result.sealed.trie
                if context.is_new_chunk:
                    shard.result = result
                    self._remember_outcomes(header["hash"], result)
                    assert chunk_header["height_included"] == height
            found = self._compare_changes(height, changes, line.get("changes") or {})
            self.epochs.add_block(header)
        self.tries_by_block[header["hash"]] = (height, [shard.trie for shard in self.shards])
        self._prev_header = header
        return found

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
            chain_id=self.chain.genesis["chain_id"],
            protocol_version=84,
            config=self._config,
            shard_layout=self.layout,
            shard_id=self.shards[index].shard_id,
            block_height=height,
            prev_block_hash=parse_hash(header["prev_hash"]),
            block_timestamp_ns=int(header["timestamp_nanosec"]),
            epoch_id=epoch_id,
            epoch_height=epoch.epoch_height,
            gas_price=Balance(int(self._prev_header["gas_price"])),
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

    def _compare_headers(self, block: Json) -> list[Difference]:
        """A new chunk's header commits to the application of the chunk before it in its shard."""
        height = block["header"]["height"]
        found: list[Difference] = []
        for shard, chunk in zip(self.shards, block["chunks"], strict=True):
            if chunk["height_included"] != height:
                continue
            ours: Json = {"prev_state_root": base58.encode(shard.trie.root)}
            if shard.result is not None:
                ours |= self._show_result(shard.result)
            self.tally.add("chunk header", len(ours))
            where = f"height {height} shard {shard.shard_id} (result of the chunk before)"
            found += compare(where, ours, {name: chunk[name] for name in ours})
        return found

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

    def _compare_changes(self, height: int, caused: list[Any], recorded: Json) -> list[Difference]:
        ours_by_key = group_our_changes(caused)
        recorded_by_key = group_recorded_changes(recorded)
        found: list[Difference] = []
        for key in [*recorded_by_key, *(key for key in ours_by_key if key not in recorded_by_key)]:
            where = f"height {height} change of {' '.join(key)}"
            recorded_list = recorded_by_key.get(key, [])
            self.tally.add("state change", len(recorded_list))
            found += compare(where, ours_by_key.get(key, []), recorded_list)
        return found

    def compare_tx_status(self, line: Json) -> list[Difference]:
        """Every outcome of a transaction: gas, tokens, logs, profile, receipt ids, status, block."""
        result = line.get("result")
        if result is None:
            return []  # The node itself timed out.
        found = []
        for recorded in [result["transaction_outcome"], *result["receipts_outcome"]]:
            self.tally.add("outcome")
            where = f"{line['case']} outcome {recorded['id']}"
            found += compare(where, self.outcomes.get(recorded["id"], MISSING), recorded)
        return found


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
    print(", ".join(f"{count} × {kind}" for kind, count in sorted(replay.tally.counts.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
