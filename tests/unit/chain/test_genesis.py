"""genesis.json in NEAR's format, and the genesis of a development chain."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from hither.chain.genesis import (
    DEVELOPMENT_ACCOUNTS,
    DEVELOPMENT_BOUNDARIES,
    DevelopmentOptions,
    Genesis,
    InvalidGenesis,
    compute_total_supply,
    format_genesis_time,
    get_epoch_config,
    get_genesis_time_ns,
    get_shard_layout,
    make_development_genesis,
    parse_genesis,
    with_supply_of_records,
)
from hither.chain.genesis_file import read_genesis, write_genesis
from tests.unit.chain.recordings import read_genesis as read_recorded

TIME_NS = 1_767_225_600_123_456_789


def must_read(path: Path) -> Genesis:
    """With its records at hand."""
    genesis = read_genesis(path)
    return Genesis(genesis.config, list(genesis.records))


@pytest.mark.parametrize("chain", ["", "three-shards"])
def test_near_s_genesis_comes_back_as_it_was(chain: str, tmp_path: Path) -> None:
    """Field by field, in order: what NEAR's node wrote is what we write."""
    recorded = read_recorded(chain)
    path = tmp_path / "genesis.json"
    write_genesis(path, parse_genesis(recorded))
    written = json.loads(path.read_text())
    assert written == recorded
    assert [key for key in written if key != "records"] == [key for key in recorded if key != "records"]
    assert must_read(path) == parse_genesis(recorded)


def test_records_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    recorded = dict(read_recorded())
    (tmp_path / "records.json").write_text(json.dumps(recorded.pop("records")))
    (tmp_path / "genesis.json").write_text(json.dumps(recorded | {"records_file": "records.json"}))
    assert must_read(tmp_path / "genesis.json") == parse_genesis(read_recorded())


def test_genesis_time_keeps_its_nanoseconds() -> None:
    config = make_development_genesis(TIME_NS).config
    assert get_genesis_time_ns(config) == TIME_NS
    assert get_genesis_time_ns(parse_genesis(read_recorded()).config) == 1_767_225_600 * 10**9
    assert format_genesis_time(1_767_225_600 * 10**9).startswith("2026-01-01T00:00:00")


def test_a_development_genesis_is_sound() -> None:
    """Three accounts a shard at least, the stated supply, the protocol asked for."""
    options = DevelopmentOptions(boundary_accounts=DEVELOPMENT_BOUNDARIES, protocol_version=86)
    genesis = parse_genesis(json.loads(json.dumps(_to_json(make_development_genesis(TIME_NS, options)))))
    layout = get_shard_layout(genesis.config)
    shards = [layout.get_shard_id(account) for account in DEVELOPMENT_ACCOUNTS]
    assert min(shards.count(shard) for shard in layout.shard_ids) >= 3
    assert int(genesis.config.total_supply) == compute_total_supply(genesis.records)
    assert genesis.config.protocol_version == 86
    assert len(DEVELOPMENT_ACCOUNTS) == 10


def test_supply_is_summed_again_when_records_were_added() -> None:
    genesis = make_development_genesis(TIME_NS)
    records = list(genesis.records)
    record = copy.deepcopy(records[0])
    record["Account"]["account_id"] = "sandbox"
    record["Account"]["account"] |= {"amount": "5", "locked": "0"}
    before = int(genesis.config.total_supply)
    with_record = Genesis(genesis.config, [*records, record])
    assert int(with_supply_of_records(with_record).config.total_supply) == before + 5


def test_gas_keys_count_in_the_supply() -> None:
    """Those with a restriction are written as a list of two."""
    gas_key = {"balance": "7", "num_nonces": 1}
    call = {"allowance": None, "receiver_id": "bob.near", "method_names": []}
    for permission in ({"GasKeyFullAccess": gas_key}, {"GasKeyFunctionCall": [gas_key, call]}):
        assert compute_total_supply([{"AccessKey": {"access_key": {"permission": permission}}}]) == 7
    for other in ("FullAccess", {"FunctionCall": call}):
        assert compute_total_supply([{"AccessKey": {"access_key": {"permission": other}}}]) == 0


def test_only_test_chains_take_their_epoch_rules_from_the_genesis() -> None:
    """As NEAR's node: a private chain has fixed figures but for seats and length."""
    config = parse_genesis(read_recorded()).config
    assert get_epoch_config(config).max_inflation_rate == (1, 40)
    import msgspec

    test_chain = msgspec.structs.replace(config, chain_id="test-chain-x")
    assert get_epoch_config(test_chain).max_inflation_rate == (1, 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol_version": 83}, "protocol_version 83"),
        ({"protocol_version": 89}, "protocol_version 89"),
        ({"validators": []}, "validators: at least one"),
        ({"epoch_length": "x"}, "epoch_length"),
        ({"chain_id": None}, "chain_id"),
        ({"shard_layout": {"V1": {}}}, "shard_layout: only the form V2"),
        (
            {"shard_layout": {"V2": {"boundary_accounts": ["b", "a"], "shard_ids": [0, 1, 2], "version": 0}}},
            "sorted boundary_accounts",
        ),
        (
            {"shard_layout": {"V2": {"boundary_accounts": ["a"], "shard_ids": [0], "version": 0}}},
            "one shard id more",
        ),
    ],
)
def test_a_bad_genesis_is_refused_with_what_to_change(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidGenesis, match=message):
        parse_genesis(read_recorded() | change)


def test_a_validator_without_its_locked_stake_is_refused() -> None:
    data = copy.deepcopy(read_recorded())
    data["records"][0]["Account"]["account"]["locked"] = "1"
    with pytest.raises(InvalidGenesis, match=r"must have locked its stake"):
        parse_genesis(data)


def test_a_file_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    for text in ("{", "", json.dumps(read_recorded())[:-10], '{"chain_id": "\udcff"}'):
        path.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(InvalidGenesis, match="not JSON"):
            read_genesis(path)


@pytest.mark.parametrize(
    "record",
    ["x", {"Account": {"account_id": "a"}}, {"Account": {"account_id": "a", "account": {"amount": "x"}}}],
)
def test_a_record_that_is_none_is_refused(record: Any, tmp_path: Path) -> None:
    """It is shown, as there may be a million others."""
    path = tmp_path / "genesis.json"
    recorded = read_recorded()
    path.write_text(json.dumps(recorded | {"records": [*recorded["records"], record]}))
    with pytest.raises(InvalidGenesis, match="records"):
        with_supply_of_records(read_genesis(path))


def _to_json(genesis: Any) -> dict[str, Any]:
    import msgspec

    config: dict[str, Any] = msgspec.to_builtins(genesis.config)
    return config | {"records": genesis.records}
