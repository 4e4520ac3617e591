"""From proposals to the validators of an epoch.

Sources: nearcore chain/epoch-manager/src/{validator_selection,shard_assignment}.rs.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle

import msgspec

from hither.chain.epochs.sampling import compute_mandates, compute_stake_weighted_index
from hither.chain.epochs.types import EpochConfig, EpochInfo, KickoutReason, Ratio
from hither.crypto.hashing import sha256
from hither.crypto.shuffle import SeededRandom
from hither.primitives.sharding import ShardLayout, ValidatorStake
from hither.primitives.types import AccountId, Balance, EpochHeight, ProtocolVersion


class NotEnoughValidators(Exception):
    """Fewer chunk producers than one shard must have: the set stays as it was."""


class EpochResults(msgspec.Struct, frozen=True):
    """What the end of an epoch says about its validators, before seats are given out."""

    proposals: tuple[ValidatorStake, ...] = ()
    validator_kickout: Mapping[AccountId, KickoutReason] = {}
    validator_reward: Mapping[AccountId, Balance] = {}
    minted_amount: Balance = Balance(0)


class EpochPlace(msgspec.Struct, frozen=True):
    """The epoch to choose for: its height, version, seed and shards."""

    epoch_height: EpochHeight
    protocol_version: ProtocolVersion
    rng_seed: bytes
    shard_layout: ShardLayout
    keeps_shard_assignment: bool = False


class _Roles(msgspec.Struct, frozen=True):
    chunk_producers: list[ValidatorStake]
    block_producers: list[ValidatorStake]
    chunk_validators: list[ValidatorStake]
    unselected: list[ValidatorStake]
    threshold: int


def compute_epoch_info(
    config: EpochConfig, previous: EpochInfo | None, results: EpochResults, place: EpochPlace
) -> EpochInfo:
    """The validators of an epoch; ``previous`` are those of the epoch before it (None at genesis).

    Raises NotEnoughValidators.
    """
    kickout = dict(results.validator_kickout)
    stake_change: dict[AccountId, Balance] = {}
    proposals = _apply_results(previous, results, stake_change)
    roles = _select_roles(config, proposals)
    for proposal in roles.unselected:
        stake_change[proposal.account_id] = Balance(0)
        if previous is not None and previous.get_validator_index(proposal.account_id) is not None:
            reason = {"stake_u128": str(proposal.stake), "threshold_u128": str(roles.threshold)}
            kickout[proposal.account_id] = {"NotEnoughStake": reason}
    validators, positions = _number_validators(roles)
    settlement = _assign_chunk_producers(config, previous, roles.chunk_producers, place)
    chunk_producers = tuple(tuple(positions[v.account_id] for v in shard) for shard in settlement)
    block_producers = tuple(positions[v.account_id] for v in roles.block_producers)
    stakes = [v.stake for v in validators]
    return EpochInfo(
        epoch_height=place.epoch_height,
        validators=tuple(validators),
        block_producers_settlement=block_producers,
        chunk_producers_settlement=chunk_producers,
        stake_change=dict(sorted(stake_change.items())),
        validator_reward=dict(results.validator_reward),
        validator_kickout=kickout,
        minted_amount=results.minted_amount,
        seat_price=Balance(roles.threshold),
        protocol_version=place.protocol_version,
        shard_layout=place.shard_layout,
        rng_seed=place.rng_seed,
        block_producers_sampler=compute_stake_weighted_index([stakes[i] for i in block_producers]),
        chunk_producers_sampler=tuple(
            compute_stake_weighted_index([stakes[i] for i in shard]) for shard in chunk_producers
        ),
        validator_mandates=compute_mandates(
            config.target_validator_mandates_per_shard, len(place.shard_layout.shard_ids), stakes
        ),
    )


def _apply_results(
    previous: EpochInfo | None, results: EpochResults, stake_change: dict[AccountId, Balance]
) -> dict[AccountId, ValidatorStake]:
    """Everyone who wants to go on: new proposals first, then last epoch's validators, with rewards."""
    kickout = results.validator_kickout
    proposals: dict[AccountId, ValidatorStake] = {}
    for proposal in results.proposals:
        account_id = proposal.account_id
        if account_id in kickout:
            stake_change[account_id] = Balance(0)
        elif previous is not None and _is_too_old(previous.validator_kickout.get(account_id)):
            continue  # Kicked out for an old version an epoch ago: not let back in at once.
        else:
            stake_change[account_id] = Balance(proposal.stake)
            proposals[account_id] = proposal
    for validator in previous.validators if previous is not None else ():
        account_id = validator.account_id
        if account_id in kickout:
            stake_change[account_id] = Balance(0)
            continue
        proposal = proposals.get(account_id, validator)
        reward = results.validator_reward.get(account_id, 0)
        proposals[account_id] = ValidatorStake(account_id, proposal.public_key, proposal.stake + reward)
        stake_change[account_id] = Balance(proposal.stake + reward)
    return proposals


def _is_too_old(reason: KickoutReason | None) -> bool:
    return isinstance(reason, dict) and "ProtocolVersionTooOld" in reason


def _select_roles(config: EpochConfig, proposals: Mapping[AccountId, ValidatorStake]) -> _Roles:
    """Give each role its seats, from the largest stake down; ties go to the smaller account id."""
    ordered = sorted(proposals.values(), key=lambda v: (-v.stake, v.account_id))
    ratio = config.minimum_stake_ratio
    chunk_producers, chunk_threshold = _select(ordered, config.num_chunk_producer_seats, ratio)
    block_producers, block_threshold = _select(ordered, config.num_block_producer_seats, ratio)
    chunk_validators, validator_threshold = _select(ordered, config.num_chunk_validator_seats, ratio)
    # Each selection is a prefix of the same order.
    selected = max(len(chunk_producers), len(block_producers), len(chunk_validators))
    threshold = min(block_threshold, chunk_threshold, validator_threshold)
    return _Roles(chunk_producers, block_producers, chunk_validators, ordered[selected:], threshold)


def _select(ordered: Sequence[ValidatorStake], seats: int, ratio: Ratio) -> tuple[list[ValidatorStake], int]:
    """The first so many whose share of the stake so far exceeds ``ratio``; what stake one more would need."""
    selected: list[ValidatorStake] = []
    total = 0
    for proposal in ordered[:seats]:
        total_with = total + proposal.stake
        if total_with == 0 or proposal.stake * ratio[1] <= ratio[0] * total_with:
            break
        selected.append(proposal)
        total = total_with
    if len(selected) == seats:
        return selected, selected[-1].stake + 1 if selected else 1
    return selected, -(-ratio[0] * total // (ratio[1] - ratio[0]))


def _number_validators(roles: _Roles) -> tuple[list[ValidatorStake], dict[AccountId, int]]:
    """Positions in the epoch: by role, then by stake."""
    validators: list[ValidatorStake] = []
    positions: dict[AccountId, int] = {}
    for validator in (*roles.chunk_producers, *roles.block_producers, *roles.chunk_validators):
        if validator.account_id not in positions:
            positions[validator.account_id] = len(validators)
            validators.append(validator)
    return validators, positions


def _compute_assignment_seed(rng_seed: bytes) -> bytes:
    return sha256(rng_seed + b"shard_assignment_shuffling_rng")


def _assign_chunk_producers(
    config: EpochConfig, previous: EpochInfo | None, producers: list[ValidatorStake], place: EpochPlace
) -> list[list[ValidatorStake]]:
    """Which chunk producers serve which shard."""
    num_shards = len(place.shard_layout.shard_ids)
    minimum = config.minimum_validators_per_shard
    if len(producers) < minimum:
        raise NotEnoughValidators(f"{len(producers)} chunk producers for {num_shards} shards")
    if len(producers) < minimum * num_shards:
        positions = _assign_with_repeats([v.stake for v in producers], num_shards, minimum)
    else:
        initial: list[list[int]] = [[] for _ in range(num_shards)]
        if place.keeps_shard_assignment and previous is not None:
            initial = _get_initial_assignment(producers, previous, num_shards)
        positions = _balance(
            initial, len(producers), config, SeededRandom(_compute_assignment_seed(place.rng_seed))
        )
    assignment = [[producers[position] for position in shard] for shard in positions]
    if config.shuffle_shard_assignment_for_chunk_producers:
        SeededRandom(_compute_assignment_seed(place.rng_seed)).shuffle(assignment)
    return assignment


def _assign_with_repeats(stakes: Sequence[int], num_shards: int, minimum: int) -> list[list[int]]:
    """Too few producers: deal them round and round to the shard with the fewest, never twice to one."""
    result: list[list[int]] = [[] for _ in range(num_shards)]
    heap = [(0, 0, shard) for shard in range(num_shards)]
    seen: set[tuple[int, int]] = set()
    producers = cycle(enumerate(stakes))
    while heap[0][0] < minimum:
        position, stake = next(producers)
        skipped = []
        while heap and heap[0][0] < minimum:
            count, sum_, shard = heap[0]
            if (shard, position) not in seen:
                seen.add((shard, position))
                heapq.heapreplace(heap, (count + 1, sum_ + stake, shard))
                result[shard].append(position)
                break
            skipped.append(heapq.heappop(heap))
        for item in skipped:
            heapq.heappush(heap, item)
    return result


def _get_initial_assignment(
    producers: Iterable[ValidatorStake], previous: EpochInfo, num_shards: int
) -> list[list[int]]:
    """Where last epoch's chunk producers were, as far as they still are some."""
    positions = {validator.account_id: index for index, validator in enumerate(producers)}
    assignment: list[list[int]] = [[] for _ in range(num_shards)]
    for shard, settlement in enumerate(previous.chunk_producers_settlement[:num_shards]):
        accounts = [previous.validators[index].account_id for index in settlement]
        assignment[shard] = [positions[account] for account in accounts if account in positions]
    return assignment


def _balance(
    assignment: list[list[int]], num_producers: int, config: EpochConfig, random: SeededRandom
) -> list[list[int]]:
    """Give newcomers to the emptiest shards, then move some from the fullest to the emptiest."""
    minimum, limit = config.minimum_validators_per_shard, config.chunk_producer_assignment_changes_limit
    assigned = {position for shard in assignment for position in shard}
    newcomers = [position for position in range(num_producers) if position not in assigned]
    for position in newcomers:
        emptiest = min(range(len(assignment)), key=lambda shard: (len(assignment[shard]), shard))
        assignment[emptiest].append(position)
    changes = len(newcomers)
    while True:
        order = sorted(range(len(assignment)), key=lambda shard: (len(assignment[shard]), shard))
        emptiest, fullest = order[0], order[-1]
        is_balanced = len(assignment[fullest]) - len(assignment[emptiest]) <= 1
        if len(assignment[emptiest]) >= minimum and (is_balanced or changes >= limit):
            break
        assert emptiest != fullest, "there are enough chunk producers for each shard's minimum"
        source = assignment[fullest]
        chosen = random.next_below_wide(len(source))
        source[chosen], source[-1] = source[-1], source[chosen]
        assignment[emptiest].append(source.pop())
        changes += 1
    return [sorted(shard) for shard in assignment]
