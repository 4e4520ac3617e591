"""What readers are told: blocks, transactions, proofs, epochs, light-client blocks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, DevelopmentOptions
from hither.chain.reader import (
    BlockAheadOfHead,
    ExecutionStatus,
    Finality,
    InvalidShardId,
    LightClientBlock,
    NotConfirmed,
    NotFinal,
    UnknownBlock,
    UnknownChunk,
    UnknownEpoch,
    UnknownTransactionOrReceipt,
    ValidatorInfoUnavailable,
)
from hither.crypto.hashing import combine_hashes, sha256
from hither.crypto.signing import is_valid_signature
from hither.primitives.block import (
    compute_approval_message,
    compute_block_producers_hash,
    compute_inner_hash,
    compute_lite_hash,
)
from hither.primitives.merkle import compute_root_from_path
from hither.primitives.outcome import SuccessReceiptId, SuccessValue, compute_outcome_leaf
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import CryptoHash
from tests.unit.chain.chains import SmallChain


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[SmallChain]:
    chain = SmallChain(
        tmp_path, DevelopmentOptions(boundary_accounts=DEVELOPMENT_BOUNDARIES, epoch_length=12)
    )
    chain.produce(3)
    yield chain
    chain.close()


def get_level(chain: SmallChain, hash_: CryptoHash) -> ExecutionStatus:
    return chain.reader.get_transaction_status(hash_).execution


def test_a_transaction_advances_by_the_protocol_s_steps(chain: SmallChain) -> None:
    """Included, receipt one block later, refund another one later, final two blocks after that."""
    transfer = chain.transfer("alice.near", "peggy.near")
    with pytest.raises(UnknownTransactionOrReceipt):
        chain.reader.get_transaction_status(transfer.hash)
    chain.submit([transfer])
    assert get_level(chain, transfer.hash) is ExecutionStatus.NONE
    levels = []
    for _ in range(6):
        chain.produce()
        levels.append(get_level(chain, transfer.hash))
    assert levels == [
        ExecutionStatus.INCLUDED,
        ExecutionStatus.EXECUTED_OPTIMISTIC,
        # The block of the transaction is final; its refund has just been executed.
        ExecutionStatus.EXECUTED,
        ExecutionStatus.EXECUTED,
        ExecutionStatus.FINAL,
        ExecutionStatus.FINAL,
    ]


def test_a_finished_transaction_is_told_whole(chain: SmallChain) -> None:
    """Its outcomes in order, its receipts, and where each was executed."""
    transfer = chain.transfer("alice.near", "peggy.near")
    chain.submit([transfer])
    chain.produce(5)
    status = chain.reader.get_transaction_status(transfer.hash, with_receipts=True)
    assert status.outcome is not None
    assert isinstance(status.outcome.outcome.status, SuccessReceiptId)
    receipt, refund = status.receipt_outcomes
    assert isinstance(receipt.outcome.status, SuccessValue)
    assert (status.outcome.shard_id, receipt.shard_id, refund.shard_id) == (0, 2, 0)
    assert [r.receiver_id for r in status.receipts] == ["peggy.near", "alice.near"]
    assert status.transaction == transfer


def test_a_transfer_to_oneself_has_a_local_receipt_that_is_not_listed(chain: SmallChain) -> None:
    """NEAR leaves the local first receipt out of ``receipts``; it can be asked for by its id."""
    transfer = chain.transfer("alice.near", "alice.near")
    chain.submit([transfer])
    chain.produce(5)
    status = chain.reader.get_transaction_status(transfer.hash, with_receipts=True)
    local, refund = status.receipt_outcomes
    assert local.block_height == status.outcome.block_height if status.outcome else False
    assert [r.receipt_id for r in status.receipts] == [refund.id]
    receipt = chain.reader.get_receipt(local.id)
    assert receipt is not None
    assert receipt.receiver_id == "alice.near"


def test_every_outcome_is_proved_up_to_a_block_header(chain: SmallChain) -> None:
    """Leaf to the chunk's outcome root, that to the header's: for all outcomes of several blocks."""
    accounts = ("alice.near", "bob.near", "heidi.near", "ivan.near", "sybil.near")
    chain.submit(chain.transfer(a, b) for a, b in zip(accounts, accounts[::-1], strict=True) if a != b)
    first = chain.engine.head.height + 1
    chain.produce(6)
    checked = 0
    for height in range(first, chain.engine.head.height):
        for outcome in chain.reader.get_block_outcomes(chain.reader.get_header(height).hash):
            shard = chain.parameters.shard_layout.shard_ids[outcome.shard_id]
            account = outcome.outcome.executor_id
            assert chain.parameters.shard_layout.get_shard_id(account) == shard
            proof = chain.reader.get_outcome_proof(outcome.id, account)
            header = chain.reader.get_header(proof.block_hash)
            chunk_root = compute_root_from_path(compute_outcome_leaf(outcome.outcome), outcome.proof)
            root = compute_root_from_path(sha256(chunk_root), proof.outcome_root_proof)
            assert root == header.prev_outcome_root
            checked += 1
    assert checked >= 12


def test_an_outcome_without_a_later_chunk_is_not_confirmed(chain: SmallChain) -> None:
    transfer = chain.transfer("alice.near", "peggy.near")
    chain.submit([transfer])
    chain.produce()
    with pytest.raises(NotConfirmed):
        chain.reader.get_outcome_proof(transfer.hash, "alice.near")
    with pytest.raises(UnknownTransactionOrReceipt):
        chain.reader.get_outcome_proof(CryptoHash(bytes(32)), "alice.near")


def test_every_block_is_proved_under_every_later_final_one(chain: SmallChain) -> None:
    """Paths lead from a block's hash to the later block's Merkle root; skipped heights have no leaf."""
    chain.produce(7)
    chain.produce(1, skip=5)
    chain.produce(9)
    final = chain.engine.head.final_height
    heights = [h for h in range(final + 1) if chain.storage.get_block(h) is not None]
    for at, height in enumerate(heights):
        for earlier in heights[:at]:
            head, block = chain.reader.get_header(height), chain.reader.get_header(earlier)
            path = chain.reader.get_block_proof(block.hash, head.hash)
            assert compute_root_from_path(block.hash, path) == head.block_merkle_root


def test_proofs_are_refused_where_there_is_none(chain: SmallChain) -> None:
    chain.produce(5)
    final = chain.reader.get_header(Finality.FINAL)
    with pytest.raises(NotFinal):
        chain.reader.get_block_proof(final.hash, chain.engine.head.hash)
    with pytest.raises(BlockAheadOfHead):
        chain.reader.get_block_proof(final.hash, final.prev_hash)
    with pytest.raises(UnknownBlock):
        chain.reader.get_block_proof(CryptoHash(bytes(32)), final.hash)


def test_finality_follows_two_consecutive_heights(chain: SmallChain) -> None:
    """A skipped height holds finality up until three blocks follow each other again."""
    assert chain.engine.head.height == 3

    def heights() -> list[int]:
        finalities = (Finality.OPTIMISTIC, Finality.NEAR_FINAL, Finality.FINAL)
        return [chain.reader.get_head(finality).height for finality in finalities]

    assert heights() == [3, 2, 1]
    chain.produce(1, skip=4)
    assert heights() == [8, 2, 1]
    chain.produce()
    assert heights() == [9, 8, 1]
    chain.produce()
    assert heights() == [10, 9, 8]


class LightClient:
    """Follows the chain by NEAR's specification, from one trusted block."""

    def __init__(self, block: LightClientBlock) -> None:
        self.head = block
        self.producers: dict[CryptoHash, tuple[ValidatorStake, ...]] = {}
        self._remember(block)

    def _remember(self, block: LightClientBlock) -> None:
        assert block.next_block_producers is not None
        assert compute_block_producers_hash(block.next_block_producers) == block.header.next_bp_hash
        self.producers[block.header.next_epoch_id] = block.next_block_producers

    def accept(self, block: LightClientBlock) -> None:
        header, known = block.header, self.head.header
        current_hash = combine_hashes(
            combine_hashes(compute_lite_hash(header), block.inner_rest_hash), header.prev_hash
        )
        next_hash = combine_hashes(block.next_block_inner_hash, current_hash)
        message = compute_approval_message(next_hash, header.height + 1, header.height + 2)
        assert header.height > known.height
        assert header.epoch_id in (known.epoch_id, known.next_epoch_id)
        producers = self.producers[header.epoch_id]
        approved = 0
        for producer, signature in zip(producers, block.approvals_after_next, strict=False):
            if signature is not None:
                assert is_valid_signature(producer.public_key, message, signature)
                approved += producer.stake
        assert approved * 3 > 2 * sum(producer.stake for producer in producers)
        self.head = block
        self._remember(block)


def test_a_light_client_follows_the_chain_over_epochs(chain: SmallChain) -> None:
    """Each answer is accepted, asked for every few blocks and after a long absence."""
    chain.produce(20)
    first = chain.reader.get_light_client_block(chain.reader.get_header(1).hash)
    assert first is not None
    client = LightClient(first)
    for _ in range(12):
        chain.produce(4)
        block = chain.reader.get_light_client_block(client.head.header.hash)
        assert block is not None
        client.accept(block)
    chain.produce(60)
    steps = 0
    while (block := chain.reader.get_light_client_block(client.head.header.hash)) is not None:
        client.accept(block)
        steps += 1
    assert steps >= 4
    assert client.head.header.height == chain.engine.head.final_height
    assert compute_inner_hash(client.head.header) != bytes(32)


def test_a_light_client_that_knows_the_newest_final_block_gets_nothing(chain: SmallChain) -> None:
    chain.produce(5)
    assert chain.reader.get_light_client_block(chain.reader.get_header(Finality.FINAL).hash) is None
    with pytest.raises(UnknownBlock):
        chain.reader.get_light_client_block(CryptoHash(bytes(32)))


def test_chunks_are_found_by_hash_and_by_block(chain: SmallChain) -> None:
    """By hash a chunk is outside of any block; its receipts are those of the chunk before."""
    chain.submit([chain.transfer("alice.near", "peggy.near")])
    chain.produce(2)
    head = chain.engine.head
    in_block = chain.reader.get_chunk_of_block(head.height, 0)
    alone = chain.reader.get_chunk(in_block.header.hash)
    assert (in_block.header.height_included, alone.header.height_included) == (head.height, 0)
    assert [r.receiver_id for r in in_block.prev_outgoing_receipts] == ["peggy.near"]
    assert chain.reader.get_chunk_producer(in_block.header) == "test.near"
    assert len(chain.reader.get_chunk_of_block(head.height - 1, 0).transactions) == 1
    assert chain.reader.get_chunk_of_block(0, 2).transactions == ()
    assert chain.reader.get_chunk_of_block(1, 2).header.height_included == 0
    with pytest.raises(InvalidShardId):
        chain.reader.get_chunk_of_block(head.height, 3)
    with pytest.raises(UnknownChunk):
        chain.reader.get_chunk(CryptoHash(bytes(32)))


def test_state_is_read_as_it_was_at_each_block(chain: SmallChain) -> None:
    """Balances at past heights stay what they were."""
    from hither.state.records import get_account_optional

    balances = {}
    for _ in range(5):
        chain.submit([chain.transfer("alice.near", "bob.near")])
        chain.produce()
        balances[chain.engine.head.hash] = chain.get_balance("bob.near")
    assert len(set(balances.values())) == 5
    for block_hash, balance in balances.items():
        account = get_account_optional(chain.reader.get_trie(block_hash, 0), "bob.near")
        assert account is not None
        assert account.amount == balance


def test_validators_of_running_and_finished_epochs(chain: SmallChain) -> None:
    """Counts of the running epoch grow; a finished one is told by its id or its last block."""
    running = chain.reader.get_validator_info()
    assert running.epoch_start_height == 1
    # The first block of a chain has no chunks.
    assert running.current_validators[0].num_produced_chunks_per_shard == (2, 2, 2)
    assert running.current_validators[0].num_expected_chunks_per_shard == (3, 3, 3)
    chain.produce(12)
    first_epoch = chain.reader.get_header(1).epoch_id
    finished = chain.reader.get_validator_info(first_epoch)
    assert finished.current_validators[0].num_produced_blocks == 12
    assert chain.reader.get_validator_info_at_block(12) == finished
    with pytest.raises(ValidatorInfoUnavailable):
        chain.reader.get_validator_info_at_block(11)
    with pytest.raises(UnknownEpoch):
        chain.reader.get_validator_info(CryptoHash(bytes([7]) * 32))


def test_the_reader_shows_nothing_above_the_published_head(chain: SmallChain) -> None:
    """Rows of blocks that are not published yet are there, but not told of."""
    published = chain.engine.head
    transfer = chain.transfer("alice.near", "bob.near")
    chain.submit([transfer])
    for _ in range(3):
        head = chain.engine.head
        chain.engine.produce(head.height + 1, head.block.header.timestamp_ns + 1)
    assert chain.reader.get_head().height == published.height
    with pytest.raises(UnknownBlock):
        chain.reader.get_header(published.height + 1)
    with pytest.raises(UnknownBlock):
        chain.reader.get_header(chain.engine.head.hash)
    assert chain.reader.get_outcome(transfer.hash) is None
    assert chain.reader.get_next_block_hash(published.hash) is None
    chain.reader.publish(chain.engine.head)
    assert chain.reader.get_outcome(transfer.hash) is not None
