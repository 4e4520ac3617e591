"""Which rule starts at which protocol version (NEAR's ``ProtocolFeature``).

The supported versions are 84 to 88. Features that begin later are named too,
so that code can say what it leaves out.
"""

import enum
from typing import Final

from hither.primitives.types import ProtocolVersion

OLDEST_PROTOCOL_VERSION: Final = ProtocolVersion(84)
NEWEST_PROTOCOL_VERSION: Final = ProtocolVersion(88)
DEFAULT_PROTOCOL_VERSION: Final = NEWEST_PROTOCOL_VERSION
SANDBOX_PROTOCOL_VERSION: Final = ProtocolVersion(86)


class ProtocolFeature(enum.Enum):
    """A change of the protocol: NEAR's name and the version from which it holds."""

    WASMTIME = ("Wasmtime", 84)

    GAS_KEYS = ("GasKeys", 85)
    STRICT_NONCE = ("StrictNonce", 85)
    DELEGATE_V2 = ("DelegateV2", 85)
    POST_QUANTUM_SIGNATURES = ("PostQuantumSignatures", 85)
    ACCOUNT_COST_INCREASE = ("AccountCostIncrease", 85)
    EXECUTION_METADATA_V4 = ("ExecutionMetadataV4", 85)
    YIELD_WITH_ID = ("YieldWithId", 85)
    UNIQUE_CHUNK_TRANSACTIONS = ("UniqueChunkTransactions", 85)
    CLAMP_OUTGOING_GAS_ADMISSION = ("ClampOutgoingGasAdmission", 85)
    DYNAMIC_RESHARDING = ("DynamicResharding", 85)
    STICKY_RESHARDING_VALIDATOR_ASSIGNMENT = ("StickyReshardingValidatorAssignment", 85)
    CONTINUOUS_EPOCH_SYNC = ("ContinuousEpochSync", 85)
    VALIDATE_BLOCK_ORDINAL_AND_EPOCH_SYNC_DATA_HASH = ("ValidateBlockOrdinalAndEpochSyncDataHash", 85)
    SIGNED_CONTRACT_CODE_RESPONSE = ("SignedContractCodeResponse", 85)
    FIX_DELEGATE_ACTION_DEPOSIT_WITH_FUNCTION_CALL_ERROR = (
        "FixDelegateActionDepositWithFunctionCallError",
        85,
    )
    FIX_DELEGATED_DETERMINISTIC_STATE_INIT = ("FixDelegatedDeterministicStateInit", 85)
    FIX_DELETE_ACCOUNT_GLOBAL_CONTRACT_STORAGE_USAGE = ("FixDeleteAccountGlobalContractStorageUsage", 85)

    ENFORCE_PER_RECEIPT_STORAGE_PROOF_LIMIT = ("EnforcePerReceiptStorageProofLimit", 86)

    REMOVE_GAS_REWARDS = ("RemoveGasRewards", 87)
    REJECT_DELEGATE_V2 = ("RejectDelegateV2", 87)
    REJECT_WITHDRAW_FROM_GAS_KEY_IN_DELEGATE = ("RejectWithdrawFromGasKeyInDelegate", 87)
    REJECT_EMPTY_METHOD_NAME = ("RejectEmptyMethodName", 87)
    REJECT_UNIVERSAL_ACCOUNT_TRANSFERS = ("RejectUniversalAccountTransfers", 87)
    ENFORCE_STORAGE_PROOF_LIMIT_FOR_ALL_ACTIONS = ("EnforceStorageProofLimitForAllActions", 87)
    FIX_CONTRACT_LOADING_ERROR = ("FixContractLoadingError", 87)
    GLOBAL_CONTRACT_SAME_CHUNK_CALL_FIX = ("GlobalContractSameChunkCallFix", 87)
    EARLY_KICKOUT = ("EarlyKickout", 87)
    REJECT_BLOCK_HEADER_V7_BEFORE_SPICE = ("RejectBlockHeaderV7BeforeSpice", 87)

    UNIVERSAL_ACCOUNTS = ("UniversalAccounts", 88)
    CANONICAL_UNIVERSAL_STATE_INIT = ("CanonicalUniversalStateInit", 88)
    REFUND_REPEATED_UNIVERSAL_STATE_INIT_DEPOSIT = ("RefundRepeatedUniversalStateInitDeposit", 88)

    FIX_CONTRACT_LOADING_COST = ("FixContractLoadingCost", 129)
    SHUFFLE_SHARD_ASSIGNMENTS = ("ShuffleShardAssignments", 143)
    FIX_ML_DSA_COST_CHARGING = ("FixMlDsaCostCharging", 157)
    RECEIPT_PROMISE_INPUT_SIZE_LIMIT = ("ReceiptPromiseInputSizeLimit", 157)
    SPICE = ("Spice", 180)

    def __init__(self, near_name: str, version: int) -> None:
        """Take the pair apart once: the check is made for each receipt."""
        self.near_name = near_name
        self.version = version

    def is_enabled(self, version: int) -> bool:
        """Whether the rule holds at this protocol version."""
        return version >= self.version
