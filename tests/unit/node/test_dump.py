"""Records of state as a genesis holds them."""

from typing import Any

from hither.chain.genesis import DevelopmentOptions, make_development_genesis
from hither.chain.genesis_block import make_genesis_tries
from hither.chain.parameters import make_parameters
from hither.node.dump import iterate_records
from hither.state import Trie, keys


def test_what_a_genesis_cannot_hold_is_left_out() -> None:
    """Queues of receipts are the shard's own business."""
    trie = Trie().update([(keys.DELAYED_RECEIPT_INDICES, bytes(16)), (keys.BANDWIDTH_SCHEDULER_STATE, b"x")])
    assert list(iterate_records(trie)) == []


def test_contract_data_keeps_its_key() -> None:
    """Keys may hold any bytes, commas too."""
    key = keys.contract_data("bob.near", b"a,\x00")  # type: ignore[arg-type]
    record = {"account_id": "bob.near", "data_key": "YSwA", "value": "dg=="}
    assert list(iterate_records(Trie().update([(key, b"v")]))) == [{"Data": record}]


def test_genesis_comes_back_from_its_state() -> None:
    """Accounts and keys of a development genesis survive the way through the trie."""
    genesis = make_development_genesis(1, DevelopmentOptions(boundary_accounts=("h0", "p0")))
    tries = make_genesis_tries(genesis, make_parameters(genesis))
    records = [record for trie in tries.values() for record in iterate_records(trie)]
    assert len(records) == len(list(genesis.records))
    # Genesis computes storage usage itself, whatever the file says; all else is the same.
    for record in genesis.records:
        found = next(other for other in records if _name(other) == _name(record))
        if "Account" in record:
            amount = record["Account"]["account"]["amount"]
            assert found["Account"]["account"]["amount"] == amount
        else:
            assert found == record


def _name(record: dict[str, Any]) -> tuple[str, str]:
    kind, fields = next(iter(record.items()))
    return kind, fields["account_id"]
