"""Who is on duty at a height: choices that every node makes alike from the epoch's seed.

Sources: nearcore core/primitives/src/{rand,epoch_info}.rs and validator_mandates.
"""

from collections.abc import Sequence

from hither.chain.epochs.types import EpochInfo, StakeWeightedIndex, ValidatorMandates
from hither.crypto.hashing import sha256
from hither.crypto.shuffle import SeededRandom
from hither.primitives.types import BlockHeight, ShardId


def compute_stake_weighted_index(stakes: Sequence[int]) -> StakeWeightedIndex:
    """Alias tables over the stakes, built in NEAR's order of pairing."""
    count = len(stakes)
    total = sum(stakes)
    odds = [stake * count for stake in stakes]
    aliases = [0] * count
    small = [index for index, odd in enumerate(odds) if odd < total]
    big = [index for index, odd in enumerate(odds) if odd >= total]
    while small and big:
        low, high = small.pop(), big.pop()
        aliases[low] = high
        odds[high] = odds[high] - total + odds[low]
        (small if odds[high] < total else big).append(high)
    for index in (*small, *big):
        odds[index] = total
    return StakeWeightedIndex(total, tuple(aliases), tuple(odds))


def sample_index(index: StakeWeightedIndex, seed: bytes) -> int:
    """The position that a 32-byte seed chooses."""
    position = int.from_bytes(seed[:8], "little") % len(index.aliases)
    stake = int.from_bytes(seed[8:24], "little") % index.stake_sum
    return position if stake < index.no_alias_odds[position] else index.aliases[position]


def sample_block_producer(epoch: EpochInfo, height: BlockHeight) -> int:
    """The validator whose turn it is to make the block at ``height``."""
    seed = sha256(epoch.rng_seed + height.to_bytes(8, "little"))
    return epoch.block_producers_settlement[sample_index(epoch.block_producers_sampler, seed)]


def sample_chunk_producer(epoch: EpochInfo, shard_id: ShardId, height: BlockHeight) -> int:
    """The validator whose turn it is to make the shard's chunk at ``height``."""
    shard_index = epoch.shard_layout.shard_ids.index(shard_id)
    seed = sha256(epoch.rng_seed + height.to_bytes(8, "little") + shard_id.to_bytes(8, "little"))
    settlement = epoch.chunk_producers_settlement[shard_index]
    return settlement[sample_index(epoch.chunk_producers_sampler[shard_index], seed)]


def compute_mandate_price(target_mandates: int, stakes: Sequence[int]) -> int:
    """The largest price at which the whole mandates number ``target_mandates``, or the last above it."""
    low, high = 1, sum(stakes)
    target = min(target_mandates, high)

    def count(price: int) -> int:
        return sum(stake // price for stake in stakes)

    if count(low) != target and count(high) == target:
        return high
    # Counts never grow with the price: keep count(low) >= target > count(high).
    while high - low > 1:
        middle = (low + high) // 2
        if count(middle) >= target:
            low = middle
        else:
            high = middle
    return low


def compute_mandates(target_per_shard: int, num_shards: int, stakes: Sequence[int]) -> ValidatorMandates:
    """Cut the validators' stakes into mandates and remainders."""
    price = compute_mandate_price(target_per_shard * num_shards, stakes)
    mandates = [index for index, stake in enumerate(stakes) for _ in range(stake // price)]
    partials = [(index, stake % price) for index, stake in enumerate(stakes) if stake % price]
    return ValidatorMandates(target_per_shard, num_shards, price, tuple(mandates), tuple(partials))


def sample_chunk_validators(epoch: EpochInfo, height: BlockHeight) -> tuple[tuple[int, ...], ...]:
    """The validators that endorse each shard's chunk at ``height``, in the order of the endorsements."""
    mandates = epoch.validator_mandates
    if len(epoch.validators) == 1:
        # Every shard gets some of the only validator's mandates as long as there are enough of them.
        count = len(mandates.mandates)
        if count >= mandates.num_shards:
            return ((0,),) * mandates.num_shards
    seed = sha256(epoch.rng_seed + height.to_bytes(8, "little"))
    return _distribute_mandates(mandates, SeededRandom(seed))


def _distribute_mandates(mandates: ValidatorMandates, random: SeededRandom) -> tuple[tuple[int, ...], ...]:
    """Deal shuffled mandates over shuffled shards, then shuffle each shard's validators."""
    count = mandates.num_shards
    shards_for_whole = list(range(count))
    random.shuffle(shards_for_whole)
    shards_for_partial = list(range(count))
    random.shuffle(shards_for_partial)
    whole = list(mandates.mandates)
    random.shuffle(whole)
    partial = [index for index, _ in mandates.partials]
    random.shuffle(partial)
    assigned: list[dict[int, None]] = [{} for _ in range(count)]
    for shard in range(count):
        assigned[shards_for_whole[shard]].update(dict.fromkeys(whole[shard::count]))
        assigned[shards_for_partial[shard]].update(dict.fromkeys(partial[shard::count]))
    ordered = []
    for validators in assigned:
        order = sorted(validators)
        random.shuffle(order)
        ordered.append(tuple(order))
    return tuple(ordered)
