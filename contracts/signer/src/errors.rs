//! What the contract refuses, in words that tell a caller what to change.
//!
//! The words that clients of NEAR's signer contract match on are kept; advice follows them. A test reads this table
//! and asks for every text once.

use std::fmt;

use near_sdk::{env, AccountId};

use crate::domains::{DomainId, DomainPurpose, Protocol};
use crate::foreign::ForeignChain;
use crate::refusals::RefusalReason;

/// Declares the refusals: a name, what it tells, and its words.
macro_rules! refusals {
    ($($name:ident $({ $($field:ident: $type:ty),+ })? => $text:literal;)+) => {
        /// A refusal: the transaction fails with this text and changes nothing.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Refusal { $($name $({ $($field: $type),+ })?),+ }

        impl fmt::Display for Refusal {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name $({ $($field),+ })? => write!(formatter, $text),)+
                }
            }
        }
    };
}

refusals! {
    // Who calls.
    CallerNotSigner { signer: AccountId, predecessor: AccountId } =>
        "Caller must be the signer account (signer: {signer}, predecessor: {predecessor}): call this contract \
         directly.";
    NotVoter { account_id: AccountId } => "not a voter. Not a participant: {account_id}";
    NotParticipant { account_id: AccountId } => "Not a participant: {account_id}";
    CallerNotParticipant { account_id: AccountId } =>
        "Caller must be an attested participant: CallerNotParticipant. Not a participant: {account_id}";
    AttestationNotFound { account_id: AccountId } =>
        "Caller must be an attested participant: AttestationNotFound. Let {account_id} call \
         submit_participant_info with the TLS key it is listed with.";
    AttestationOwnerMismatch { account_id: AccountId } =>
        "Caller must be an attested participant: AttestationOwnerMismatch. The TLS key of {account_id} was \
         attested by another account.";
    AttestationKeyMismatch { account_id: AccountId } =>
        "Caller must be an attested participant: AttestationKeyMismatch. Sign with the key that submitted the \
         attestation of {account_id}, or submit it again with this key.";
    SignerKeyNotEd25519 => "Invalid TEE Remote Attestation: signer account key must be Ed25519";

    // Requests.
    ExclusiveFields { first: &'static str, second: &'static str } => "{first} and {second} are mutually exclusive";
    MissingField { name: &'static str } => "missing field {name}";
    DomainNotFound { domain_id: DomainId } =>
        "The provided domain ID, {domain_id}, was not found. Domain {domain_id} has no key; `state` lists \
         those that have one.";
    WrongDomainPurpose { domain_id: DomainId, actual: DomainPurpose, expected: DomainPurpose } =>
        "Domain {domain_id} has purpose {actual:?}, but this method requires {expected:?}.";
    InsufficientGas { provided: u64, required: u64 } =>
        "Provided gas is lower than required. Provided: {provided} Tgas, required {required} Tgas.";
    InsufficientDeposit { attached: u128, required: u128 } =>
        "Attached deposit is lower than required. Attached: {attached} yoctoNEAR, required {required} \
         yoctoNEAR.";
    TeeValidationFailed =>
        "Due to previously failed TEE validation, the network is not accepting new requests at this point in \
         time. Try again later, when its participants have renewed their attestations.";
    PayloadNotEcdsa => "Payload is not Ecdsa: this domain signs 32 bytes, {{\"Ecdsa\": hex}}.";
    PayloadNotEddsa => "Payload is not EdDSA: this domain signs a message, {{\"Eddsa\": hex}}.";
    PayloadNotScalar =>
        "Ecdsa payload cannot be converted to Scalar: it must be above zero and below the order of secp256k1.";
    PendingRequestQueueFull { limit: usize } =>
        "Pending-request queue is full for this request key (limit: {limit}). Wait for the answer, or change \
         the path or the payload.";
    AppPublicKeyMalformed => "app public key check failed: it is no point of its curve in compressed form.";
    AppPublicKeyCheckFailed =>
        "app public key check failed: pk1 and pk2 must be the same secret times both generators.";
    ForeignChainNotSupported { chain: ForeignChain } =>
        "Requested foreign chain, {chain:?}, is not supported: get_available_foreign_chains lists those that \
         are.";
    TooManyExtractors { found: usize, limit: usize } =>
        "Malformed payload: {found} extractors; at most {limit} are answered in one request.";
    PayloadVersionUnknown { version: u8 } =>
        "Malformed payload: payload_version {version} is unknown; 1 is the only one.";
    TimedOut => "Request has timed out.";
    TimedOutRefused { reason: RefusalReason } => "Request has timed out. A node said: {reason}";
    Refused { reason: RefusalReason } => "Request was refused: {reason}";

    // Responses.
    RequestNotFound => "This sign request has timed out, was completed, or never existed.";
    InvalidSignature => "The provided signature is invalid.";
    SignatureSchemeMismatch => "The provided signature scheme does not match that of the request's domain.";
    TweakNotOnCurve => "The provided tweak is not on the curve of the public key: choose another path.";
    DomainNotBls { domain_id: DomainId } => "Domain {domain_id} derives no confidential keys.";
    CkdOutputCheckFailed => "CKD output check failed";
    UnexpectedPayloadHash => "The response payload hash does not match the hash expected by the request.";
    RefusalTooLong { limit: usize } =>
        "Malformed payload: the detail of a refusal is one line of at most {limit} bytes.";
    NotKeyHolder { account_id: AccountId } =>
        "{account_id} holds no share of the keys in use, so its refusal counts for nothing.";

    // State.
    ProtocolStateNotRunning => "The protocol is not Running.";
    ProtocolStateNotInitializing => "Protocol state is not initializing.";
    ProtocolStateNotResharing => "Protocol state is not resharing.";
    ProtocolStateNotRunningNorResharing => "Protocol state is not running, nor resharing.";
    UpdateNeedsRunning => "protocol must be in running state";

    // Key events.
    KeyEventIdMismatch { epoch_id: u64, domain_id: DomainId, attempt_id: u64 } =>
        "Key event Id mismatch: epoch {epoch_id}, domain {domain_id}, attempt {attempt_id} is next.";
    ActiveKeyEvent => "Can not start a new reshare or keygen instance while the current instance is still active.";
    NoActiveKeyEvent => "Expected ongoing reshare or keygen: this attempt is not under way; it ended, or expired.";
    VoterNotLeader =>
        "Voting account is not the leader of the current reshare or keygen instance: the participant with the \
         lowest id is.";
    VoteAlreadySubmitted => "Vote already casted.";
    MalformedKey { text: String } => "Malformed payload: {text} is no public key.";
    KeyOfOtherCurve => "Malformed payload: the key is not on the domain's curve.";

    // Domains.
    AddDomainsMustAddAtLeastOneDomain => "vote_add_domains must add at least one domain";
    InvalidProtocolPurposeCombination { protocol: Protocol, purpose: DomainPurpose } =>
        "Invalid protocol-purpose combination: protocol {protocol:?} is not compatible with purpose \
         {purpose:?}";
    ReconstructionThresholdTooLow { domain_id: DomainId } =>
        "Reconstruction threshold must be at least 2. Domain {domain_id}";
    ReconstructionThresholdExceedsParticipants { threshold: u64, participants: u64 } =>
        "Reconstruction threshold {threshold} exceeds participant count {participants}.";
    InsufficientParticipantsForProtocol { protocol: Protocol, required: u64, participants: u64 } =>
        "Protocol {protocol:?} requires at least {required} participants, found {participants}.";
    NewDomainIdsNotContiguous { expected_id: DomainId } =>
        "Newly proposed domain IDs are not contiguous. Expected id: {expected_id}";
    NextDomainIdMismatch { expected_id: DomainId } => "Next domain ID mismatch: it is {expected_id}.";
    UnknownDomainInProposal { domain_id: DomainId } =>
        "Resharing proposal references domain ID {domain_id}, which is not in the current registry.";
    DomainsMismatch => "Domains from keyset do not match the provided domains";
    InvalidDomains => "Invalid list of domains provided: ids must increase and stay below next_domain_id.";
    NoDomainOfCurve => "No domain signs on this curve.";

    // Participants and thresholds.
    MinAbsRequirementFailed => "GovernanceThreshold does not meet the minimum absolute requirement of 2";
    MinRelRequirementFailed { required: u64, found: u64 } =>
        "GovernanceThreshold is below the minimum required relative to the participant count: require at \
         least {required}, found {found}";
    MaxRequirementFailed { max: u64, found: u64 } =>
        "GovernanceThreshold must not exceed number of participants: max {max}, found {found}";
    BelowReconstructionThreshold { threshold: u64, reconstruction_threshold: u64 } =>
        "GovernanceThreshold {threshold} is below the largest ReconstructionThreshold \
         {reconstruction_threshold}";
    ParticipantIdNotLessThanNextId { id: u32, next_id: u32 } =>
        "Participant ID {id} is not less than next_id {next_id}.";
    DuplicateParticipantIds => "Duplicate participant IDs found.";
    DuplicateAccountIds => "Duplicate account IDs found.";
    DuplicateTlsKeys => "Duplicate TLS public keys found: each participant needs its own.";
    InsufficientOldParticipants { required: u64 } =>
        "Set of proposed participants must contain at least `threshold` old participants: {required}.";
    ParticipantIdChanged { account_id: AccountId, old_id: u32, new_id: u32 } =>
        "Existing participant {account_id} changed ID from {old_id} to {new_id}.";
    ParticipantInfoChanged { account_id: AccountId } =>
        "Existing participant {account_id} changed info (url or tls_public_key).";
    NewParticipantReusesOldId { account_id: AccountId, new_id: u32 } =>
        "New participant {account_id} reuses ID {new_id} already assigned to an existing participant.";
    NewParticipantIdsNotContiguous { expected_id: u32 } =>
        "New Participant ids need to be unique and contiguous, from {expected_id} on.";
    NewParticipantIdsTooHigh { expected_id: u32 } =>
        "New Participant ids need to not skip any unused participant ids: next_id must be {expected_id}.";
    EpochMismatch { provided: u64, expected: u64 } =>
        "Provided Epoch Id, {provided}, does not match expected, {expected}.";
    VoterPending => "Candidates can only cast a vote after `threshold` participants casted one to admit them";
    InvalidTeeRemoteAttestation { reason: String } => "Invalid TEE Remote Attestation: {reason}";

    // Attestations.
    MalformedPayload { reason: String } => "Malformed payload: {reason}";
    InvalidAttestation { reason: String } => "the submitted attestation failed verification, reason: {reason}";
    TlsKeyOwnedByOtherAccount =>
        "TLS public key is already registered to a different account; only the owning account may update it";
    NoAttestationStorageGrant { account_id: AccountId } =>
        "no attestation storage grant available for {account_id}; prepay one with prepay_attestation_storage";
    UnexpectedDeposit { attached: u128, required: u128 } =>
        "attached deposit {attached} must be exactly the attestation storage fee times the requested grants, \
         {required}";
    VerifierNotConfigured =>
        "No TEE verifier is configured yet. Participants must vote one in via vote_tee_verifier_change before \
         Dstack attestations can be submitted.";
    QuoteRejected { reason: String } => "The TEE verifier rejected the quote: {reason}";
    VerifierUnavailable => "The TEE verifier did not answer the verify_quote call.";

    // Updates and migrations.
    UpdateNotFound => "Update not found.";
    InvalidConfig { required: u64 } =>
        "Malformed payload: launcher_hash_unused_ttl_seconds must be at least {required}, the life of an \
         attestation.";
    ContractStateIsMissing => "Cannot load in contract due to missing state";
    ContractStateUnknown => "Cannot load in contract: its state is of a version that this code does not know";
    MigrationNotFound => "Node does not have an ongoing recovery: call start_node_migration first.";
    AccountPublicKeyMismatch { found: String, expected: String } =>
        "The transaction was submitted by a different public key than expected. Found: {found}, expected: \
         {expected}";
    KeysetMismatch => "The submitted keyset differs from the expected keyset: send the one that `state` shows.";
}

impl Refusal {
    /// For a payload that parses but cannot be meant.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::MalformedPayload { reason: reason.into() }
    }
}

impl near_sdk::FunctionError for Refusal {
    fn panic(&self) -> ! {
        env::panic_str(&self.to_string())
    }
}

/// The value, or a panic with the refusal's text.
pub fn unwrap_or_panic<T>(result: Result<T, Refusal>) -> T {
    result.unwrap_or_else(|refusal| env::panic_str(&refusal.to_string()))
}
