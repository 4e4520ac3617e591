//! What nodes refuse to answer, so that a caller learns it at once and not by a time-out. An extension of ours.
//!
//! A request fails once so many holders of shares have refused it that the others are too few to answer. They could
//! have caused as much by silence. It fails as well when one says again what it said a while before, and nobody has
//! answered meanwhile: where too few are left to refuse in that number, the one that is left can still tell the caller.

use std::fmt;

use near_sdk::borsh;
use near_sdk::{env, near};

use crate::confidential::CkdRequest;
use crate::domains::{DomainConfig, DomainId};
use crate::errors::Refusal;
use crate::foreign::ForeignRequest;
use crate::participants::{ParticipantId, Participants};
use crate::requests::SignatureRequest;
use crate::tables::Table;

pub const DETAIL_BYTES_MAX: usize = 256;
/// So long others have to answer what one has refused.
pub const STANDS_NANOSECONDS: u64 = 10_000_000_000;

/// Why a node refuses, in a word that programs can match on.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
    /// A protocol that needs an exact set of signers lacks one of them.
    RobustSetIncomplete,
    /// Too few signers are reachable.
    SignersUnavailable,
    /// The call came in a receipt with other actions, which this network does not serve.
    MultiActionReceipt,
    /// The nodes have no provider of that chain.
    UnsupportedForeignChain,
    /// The chain does not have that transaction, or not as it was described.
    ForeignTransactionNotConfirmed,
    /// Providers of that chain contradict each other or do not answer.
    ForeignProvidersDisagree,
    /// The request cannot be answered as it stands.
    InvalidRequest,
}

/// A node's reason.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalReason {
    pub code: RefusalCode,
    #[serde(default)]
    pub detail: String,
}

/// Any request that waits.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyRequest {
    Sign(SignatureRequest),
    #[serde(rename = "CKD")]
    Ckd(CkdRequest),
    ForeignTx(ForeignRequest),
}

/// What resumes a request that was refused, in place of an answer.
#[near(serializers = [json])]
#[derive(Debug, Clone)]
pub struct Refused {
    pub refused: RefusalReason,
}

/// The argument of what ends a request that timed out after a refusal.
#[near(serializers = [json])]
#[derive(Debug, Clone)]
pub struct TimeOut {
    pub reason: RefusalReason,
}

/// What a participant says of a request, and since when it has refused it.
#[near(serializers = [borsh])]
#[derive(Debug, Clone)]
pub struct Standing {
    pub since_nanoseconds: u64,
    pub reason: RefusalReason,
}

/// Who refused a request and why.
pub type Refusals = Table<ParticipantId, Standing>;

impl fmt::Display for RefusalReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.code)?;
        if self.detail.is_empty() {
            return Ok(());
        }
        write!(formatter, ": {}", self.detail)
    }
}

impl RefusalReason {
    /// The text travels to the caller in what resumes the call (at most 1,024 bytes), so it is short and plain.
    pub fn validate(&self) -> Result<(), Refusal> {
        if self.detail.len() > DETAIL_BYTES_MAX || self.detail.chars().any(char::is_control) {
            return Err(Refusal::RefusalTooLong { limit: DETAIL_BYTES_MAX });
        }
        Ok(())
    }
}

impl Standing {
    /// Whether others have had their time to answer.
    pub fn is_old(&self) -> bool {
        env::block_timestamp() >= self.since_nanoseconds.saturating_add(STANDS_NANOSECONDS)
    }
}

/// Another word of the same participant; its first keeps its time.
pub fn note(refusals: &mut Refusals, id: ParticipantId, reason: RefusalReason) -> Standing {
    let since_nanoseconds =
        refusals.get(&id).map_or_else(env::block_timestamp, |earlier| earlier.since_nanoseconds);
    let standing = Standing { since_nanoseconds, reason };
    refusals.insert(id, standing.clone());
    standing
}

impl AnyRequest {
    pub fn domain_id(&self) -> DomainId {
        match self {
            Self::Sign(request) => request.domain_id,
            Self::Ckd(request) => request.domain_id,
            Self::ForeignTx(request) => request.domain_id,
        }
    }

    /// What names it among the refusals.
    pub fn compute_id(&self) -> [u8; 32] {
        let bytes = borsh::to_vec(self).unwrap_or_else(|_| env::panic_str("a request has a borsh form"));
        env::sha256_array(bytes)
    }
}

/// Whether those who have not refused are too few to answer.
pub fn is_final(refusals: &Refusals, domain: &DomainConfig, holders: &Participants) -> bool {
    let refused = refusals.keys().filter(|id| holders.contains_id(**id)).count() as u64;
    let required = domain.protocol.signers_required(domain.reconstruction_threshold);
    holders.count().saturating_sub(refused) < required
}
