"""Epochs of the recorded chains: our computation holds at every height and every epoch start."""

import json
from typing import Any

import pytest

from hither.chain.epochs.tracker import advance_position, record_block, start_position
from hither.chain.epochs.types import BlockInfo, EpochInfo, EpochStatistics
from hither.chain.epochs.update import EpochEnd, compute_epoch_update, compute_genesis_epoch
from hither.chain.epochs.wire import compute_epoch_sync_data_hash, encode_block_info
from hither.chain.genesis import (
    get_epoch_config,
    get_reward_config,
    get_shard_layout,
    get_validators,
    parse_genesis,
)
from hither.codec import base58
from hither.crypto.keys import public_key_from_str
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import ZERO_HASH
from tests.unit.chain.recordings import read_genesis, read_heights, read_lines

CHAINS = ("", "three-shards", "congestion", "congestion-three-shards")


def _hash(text: str) -> bytes:
    return base58.decode(text, 32)


def _block_info(header: dict[str, Any], heights: dict[bytes, int]) -> BlockInfo:
    last_final = _hash(header["last_final_block"])
    return BlockInfo(
        hash=_hash(header["hash"]),
        height=header["height"],
        last_finalized_height=heights.get(last_final, 0),
        last_final_block_hash=last_final,
        prev_hash=_hash(header["prev_hash"]),
        epoch_first_block=ZERO_HASH,
        epoch_id=ZERO_HASH,
        proposals=tuple(
            ValidatorStake(p["account_id"], public_key_from_str(p["public_key"]), int(p["stake"]))
            for p in header["validator_proposals"]
        ),
        chunk_mask=tuple(header["chunk_mask"]),
        latest_protocol_version=header["latest_protocol_version"],
        total_supply=int(header["total_supply"]),
        timestamp_ns=int(header["timestamp_nanosec"]),
        chunk_endorsements=tuple(bytes(shard) for shard in header["chunk_endorsements"]),
    )


class RecordedEpochs:
    """Walks a recorded chain and compares what its headers say about epochs."""

    def __init__(self, chain: str) -> None:
        self.lines = read_heights(chain)
        config = parse_genesis(read_genesis(chain)).config
        self.config, self.rewards = get_epoch_config(config), get_reward_config(config)
        epoch = compute_genesis_epoch(
            self.config,
            self.rewards,
            get_validators(config),
            config.protocol_version,
            get_shard_layout(config),
        )
        genesis = _block_info(self.lines[0]["block"]["header"], {})
        self.epochs: dict[bytes, EpochInfo] = {ZERO_HASH: epoch, genesis.hash: epoch}
        self.heights = {genesis.hash: genesis.height}
        self.position = start_position(genesis)
        self.statistics = EpochStatistics()
        self.epoch_starts = 0

    def walk(self) -> None:
        for line in self.lines[1:]:
            self._check_block(line["block"])

    def _check_block(self, recorded: dict[str, Any]) -> None:
        header = recorded["header"]
        block = _block_info(header, self.heights)
        self.heights[block.hash] = block.height
        ids = self.position.get_epoch_ids_of_next_block(self.config)
        assert ids == (_hash(header["epoch_id"]), _hash(header["next_epoch_id"])), block.height
        if self.position.is_last_in_epoch(self.config):
            self._check_start(recorded, block, ids)
        else:
            assert header["epoch_sync_data_hash"] is None
        prev_height = self.position.block.height
        self.position = advance_position(self.position, block, self.config)
        self.statistics = record_block(self.statistics, self.position.block, prev_height, self.epochs[ids[0]])
        if self.position.is_last_in_epoch(self.config):
            end = EpochEnd(
                current=self.epochs[ids[0]],
                following=self.epochs[ids[1]],
                statistics=self.statistics,
                total_supply=block.total_supply,
                duration_ns=block.timestamp_ns - self.position.prev_epoch_last_timestamp_ns,
                rng_seed=_hash(header["random_value"]),
                prev_epoch_last_block_hash=self.position.first.prev_hash,
            )
            self.epochs[block.hash], _ = compute_epoch_update(end, self.config, self.rewards)

    def _check_start(self, recorded: dict[str, Any], block: BlockInfo, ids: tuple[bytes, bytes]) -> None:
        self.epoch_starts += 1
        position = self.position
        blocks = tuple(
            encode_block_info(info, 4 if info.hash == ZERO_HASH else 3)
            for info in (position.first, position.parent, position.block)
        )
        epochs = (self.epochs[position.block.epoch_id], self.epochs[ids[0]], self.epochs[ids[1]])
        expected = _hash(recorded["header"]["epoch_sync_data_hash"])
        assert compute_epoch_sync_data_hash(blocks, epochs) == expected, block.height
        burnt = sum(
            int(c["balance_burnt"]) for c in recorded["chunks"] if c["height_included"] == block.height
        )
        minted = self.epochs[ids[1]].minted_amount
        assert block.total_supply == position.block.total_supply + minted - burnt, block.height
        self.statistics = EpochStatistics()


@pytest.mark.parametrize("chain", CHAINS)
def test_epoch_ids_rewards_and_data_hashes_are_those_of_the_recording(chain: str) -> None:
    """The data hash of an epoch's first block covers seats, stakes, rewards, kickouts, samplers, mandates."""
    epochs = RecordedEpochs(chain)
    epochs.walk()
    assert epochs.epoch_starts == {"": 6, "three-shards": 5}.get(chain, 1)


def test_next_validators_are_those_that_the_recorded_node_told() -> None:
    """Stakes and heights of epochs as NEAR's node answered them."""
    epochs = RecordedEpochs("")
    epochs.walk()
    checked = 0
    for line in read_lines(""):
        if line["t"] == "rpc" and str(line["case"]).startswith("rpc/validators_of_epoch_"):
            answer = json.loads(line["body"])["result"]
            epoch = epochs.epochs[_hash(line["request"]["params"]["epoch_id"])]
            assert answer["epoch_height"] == epoch.epoch_height
            stakes = [(v["account_id"], int(v["stake"])) for v in answer["current_validators"]]
            assert stakes == [(v.account_id, v.stake) for v in epoch.validators]
            checked += 1
    assert checked == 6
