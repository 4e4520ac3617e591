//! What nodes refuse to answer, so that a caller learns it at once and not by a time-out. An extension of ours.
//!
//! A request fails once so many holders of shares have refused it that the others are too few to answer. They could
//! have caused as much by silence: a refusal gives nobody a power that it did not have.

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

/// Who refused a request and why.
pub type Refusals = Table<ParticipantId, RefusalReason>;

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
