"""Proofs of a light client: taken from a chain of three shards, and refused when anything in them was changed."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hither.client import Finality
from hither.client.proof import InvalidProof, verify_outcome_proof
from hither.testing import Chain, reverts
from hither.testing.network import LocalNetwork

pytestmark = pytest.mark.slow
TOKEN = Path(__file__).resolve().parents[3] / "contracts/fungible_token/fungible_token.wasm"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """With a transfer of tokens, which logs, and one that fails."""
    with LocalNetwork(shards=3) as network:
        chain = Chain(network.url)
        token = chain.deploy(TOKEN, init=("new_default", {"owner_id": "alice.near", "total_supply": "9"}))
        alice = chain.account("alice")
        transfer = {"receiver_id": "trent.near", "amount": "1"}
        with reverts("is not registered"):
            alice.call(token, "ft_transfer", transfer, deposit="1 yoctonear")
        alice.call(token, "storage_deposit", {"account_id": "trent.near"}, deposit="0.01 N")
        alice.call(token, "ft_transfer", transfer, deposit="1 yoctonear")
        chain.advance(blocks=4)
        yield chain
        chain.close()


def list_proofs(chain: Chain) -> Iterator[tuple[Json, str]]:
    """Of every transaction and receipt so far, against the newest final block."""
    known = chain.client.get_block(Finality.FINAL).hash
    root = chain.client.request("block", {"block_id": known})["header"]["block_merkle_root"]
    for result in chain.results:
        first = {"type": "transaction", "transaction_hash": result.hash}
        first["sender_id"] = result.json["transaction"]["signer_id"]
        questions = [first]
        for one in chain.get_whole(result)["receipts_outcome"]:
            receiver = one["outcome"]["executor_id"]
            questions.append({"type": "receipt", "receipt_id": one["id"], "receiver_id": receiver})
        for question in questions:
            answer = chain.client.request(
                "EXPERIMENTAL_light_client_proof", question | {"light_client_head": known}
            )
            yield answer, root


def test_every_outcome_is_proven(chain: Chain) -> None:
    """With logs and without, of success and failure, in all shards."""
    kinds = set()
    count = 0
    for proof, root in list_proofs(chain):
        verify_outcome_proof(proof, root)
        kinds |= set(proof["outcome_proof"]["outcome"]["status"])
        count += 1
    assert kinds == {"SuccessReceiptId", "SuccessValue", "Failure"}
    assert count >= 9


def change_gas(proof: Json) -> None:
    """Another outcome."""
    proof["outcome_proof"]["outcome"]["gas_burnt"] += 1


def change_logs(proof: Json) -> None:
    """Another log."""
    proof["outcome_proof"]["outcome"]["logs"] = ["EVENT_JSON:{}"]


def change_height(proof: Json) -> None:
    """Another block."""
    proof["block_header_lite"]["inner_lite"]["height"] += 1


def cut_path(proof: Json) -> None:
    """A path that ends too early."""
    proof["block_proof"].pop()


def name_other_block(proof: Json) -> None:
    """An outcome of elsewhere."""
    proof["outcome_proof"]["block_hash"] = "1" * 32


def leave_out(proof: Json) -> None:
    """Not a proof at all."""
    del proof["outcome_root_proof"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (change_gas, "not among those of the block"),
        (change_logs, "not among those of the block"),
        (change_height, "names another block"),
        (cut_path, "not among those before"),
        (name_other_block, "names another block"),
        (leave_out, "not a proof: KeyError"),
    ],
)
def test_what_was_changed_is_refused(chain: Chain, change: Callable[[Json], None], complaint: str) -> None:
    """And says at which step."""
    proof, root = next(list_proofs(chain))
    forged = copy.deepcopy(proof)
    change(forged)
    with pytest.raises(InvalidProof, match=complaint):
        verify_outcome_proof(forged, root)
    with pytest.raises(InvalidProof, match="not among those before"):
        verify_outcome_proof(proof, "1" * 32)
