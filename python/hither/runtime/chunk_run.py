"""What grows while one chunk is applied: totals, outcomes, new receipts, and where they go."""

from collections import deque

from hither.params import ProtocolFeature
from hither.primitives.outcome import Outcome
from hither.primitives.receipt import Receipt
from hither.primitives.sharding import ValidatorStake
from hither.runtime.bandwidth_scheduler import BandwidthGrants
from hither.runtime.fees import Fees
from hither.runtime.receipt_sink import DelayedReceipts, ReceiptSink
from hither.runtime.types import ApplyContext
from hither.state import ChunkState
from hither.vm import Vm


class ChunkRun:
    """One chunk's application: the surroundings, and everything that accumulates.

    The only mutable object that receipts share. ``gas_burnt`` and
    ``compute_usage`` are of this chunk; refunds count though they cost nothing.
    ``tokens_burnt`` leaves the supply, ``minted`` and ``subsidized_amount`` enter it. The
    switches are read for each receipt, so they are looked up once here.
    """

    __slots__ = (
        "compute_limit",
        "compute_usage",
        "config",
        "context",
        "delayed",
        "fees",
        "gas_burnt",
        "instant_receipts",
        "is_burn_price_clamped",
        "is_contract_listed",
        "is_proof_limited_per_action",
        "is_proof_limited_per_receipt",
        "minted",
        "outcomes",
        "processed_receipts",
        "proof_size_max",
        "sink",
        "state",
        "subsidized_amount",
        "tokens_burnt",
        "validator_proposals",
        "version",
        "vm",
    )

    def __init__(
        self, context: ApplyContext, fees: Fees, state: ChunkState, grants: BandwidthGrants, vm: Vm
    ) -> None:
        version = context.protocol_version
        self.context = context
        self.config = context.config
        self.version = version
        self.fees = fees
        self.state = state
        self.vm = vm
        self.sink = ReceiptSink(context, fees, state, grants)
        self.delayed = DelayedReceipts(state, context.config, fees)
        self.compute_limit = context.gas_limit
        self.proof_size_max = context.config.witness.main_storage_proof_size_soft_limit
        self.gas_burnt = 0
        self.compute_usage = 0
        self.minted = 0
        self.tokens_burnt = 0
        self.subsidized_amount = 0
        self.outcomes: list[Outcome] = []
        self.processed_receipts: list[Receipt] = []
        self.validator_proposals: list[ValidatorStake] = []
        self.instant_receipts: deque[Receipt] = deque()
        self.is_burn_price_clamped = ProtocolFeature.ACCOUNT_COST_INCREASE.is_enabled(version)
        self.is_contract_listed = ProtocolFeature.EXECUTION_METADATA_V4.is_enabled(version)
        self.is_proof_limited_per_receipt = (
            ProtocolFeature.ENFORCE_PER_RECEIPT_STORAGE_PROOF_LIMIT.is_enabled(version)
        )
        self.is_proof_limited_per_action = (
            ProtocolFeature.ENFORCE_STORAGE_PROOF_LIMIT_FOR_ALL_ACTIONS.is_enabled(version)
        )

    def is_full(self) -> bool:
        """Whether the chunk has no room for another receipt: by compute, or by the size of its proof."""
        return self.compute_usage >= self.compute_limit or self.state.recorded_size > self.proof_size_max

    def add_outcome(self, outcome: Outcome) -> None:
        """Count what was executed and keep its outcome."""
        self.gas_burnt += outcome.gas_burnt
        self.compute_usage += outcome.compute_usage
        self.outcomes.append(outcome)
