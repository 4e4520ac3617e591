//! Domains: one key each, with the protocol that signs with it.

use near_sdk::near;

use crate::errors::Refusal;
use crate::keys::{Curve, Key, KeyExtended};
use crate::tables::Table;

pub type DomainId = u64;

/// How a domain's signatures are made. The order is the wire order.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    CaitSith,
    Frost,
    ConfidentialKeyDerivation,
    DamgardEtAl,
}

/// What a domain's key may be used for.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainPurpose {
    Sign,
    ForeignTx,
    CKD,
}

#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainConfig {
    pub id: DomainId,
    pub protocol: Protocol,
    pub reconstruction_threshold: u64,
    pub purpose: DomainPurpose,
}

/// All domains ever agreed upon, oldest first.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Domains {
    pub domains: Vec<DomainConfig>,
    pub next_domain_id: DomainId,
}

/// A finished key.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyForDomain {
    pub domain_id: DomainId,
    #[serde(with = "KeyExtended")]
    pub key: Key,
    pub attempt: u64,
}

/// The keys of an epoch, oldest domain first.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyset {
    pub epoch_id: u64,
    pub domains: Vec<KeyForDomain>,
}

impl Protocol {
    pub fn curve(self) -> Curve {
        match self {
            Self::CaitSith | Self::DamgardEtAl => Curve::Secp256k1,
            Self::Frost => Curve::Edwards25519,
            Self::ConfidentialKeyDerivation => Curve::Bls12381,
        }
    }

    /// How many participants must take part, with shares of which so many give the key.
    pub fn signers_required(self, threshold: u64) -> u64 {
        match self {
            Self::DamgardEtAl => threshold.saturating_mul(2).saturating_sub(1),
            Self::CaitSith | Self::Frost | Self::ConfidentialKeyDerivation => threshold,
        }
    }
}

impl DomainConfig {
    /// Whether the protocol serves the purpose, and so many participants can run it.
    pub fn validate(&self, participants: u64) -> Result<(), Refusal> {
        let fits = matches!(
            (self.purpose, self.protocol),
            (DomainPurpose::Sign, Protocol::CaitSith | Protocol::DamgardEtAl | Protocol::Frost)
                | (DomainPurpose::ForeignTx, Protocol::CaitSith)
                | (DomainPurpose::CKD, Protocol::ConfidentialKeyDerivation)
        );
        if !fits {
            return Err(Refusal::InvalidProtocolPurposeCombination {
                protocol: self.protocol,
                purpose: self.purpose,
            });
        }
        self.validate_threshold(participants)
    }

    /// Whether so many participants can run it.
    pub fn validate_threshold(&self, participants: u64) -> Result<(), Refusal> {
        let threshold = self.reconstruction_threshold;
        if threshold < 2 {
            return Err(Refusal::ReconstructionThresholdTooLow { domain_id: self.id });
        }
        if threshold > participants {
            return Err(Refusal::ReconstructionThresholdExceedsParticipants { threshold, participants });
        }
        let required = self.protocol.signers_required(threshold);
        if required > participants {
            return Err(Refusal::InsufficientParticipantsForProtocol {
                protocol: self.protocol,
                required,
                participants,
            });
        }
        Ok(())
    }
}

/// The largest reconstruction threshold of these domains; 0 without any.
pub fn max_threshold<'a>(domains: impl IntoIterator<Item = &'a DomainConfig>) -> u64 {
    domains.into_iter().map(|domain| domain.reconstruction_threshold).max().unwrap_or(0)
}

impl Domains {
    pub fn find(&self, id: DomainId) -> Option<&DomainConfig> {
        self.domains.iter().find(|domain| domain.id == id)
    }

    /// These and the new ones, whose ids must follow without a gap.
    pub fn extend(&self, new: &[DomainConfig]) -> Result<Self, Refusal> {
        let mut extended = self.clone();
        for domain in new {
            if domain.id != extended.next_domain_id {
                return Err(Refusal::NewDomainIdsNotContiguous { expected_id: extended.next_domain_id });
            }
            extended.next_domain_id += 1;
            extended.domains.push(domain.clone());
        }
        Ok(extended)
    }

    /// The same domains with other reconstruction thresholds. All ids must be known.
    pub fn with_thresholds(&self, thresholds: &Table<DomainId, u64>) -> Result<Self, Refusal> {
        let mut changed = self.clone();
        for (domain_id, threshold) in thresholds.iter() {
            let found = changed.domains.iter_mut().find(|domain| domain.id == *domain_id);
            let domain = found.ok_or(Refusal::UnknownDomainInProposal { domain_id: *domain_id })?;
            domain.reconstruction_threshold = *threshold;
        }
        Ok(changed)
    }

    /// Whether ids increase, stay below the next one, and are those of the keyset.
    pub fn validate_keyset(&self, keyset: &Keyset) -> Result<(), Refusal> {
        let ids: Vec<_> = self.domains.iter().map(|domain| domain.id).collect();
        let is_increasing = ids.windows(2).all(|pair| pair[0] < pair[1]);
        if !is_increasing || ids.last().is_some_and(|last| *last >= self.next_domain_id) {
            return Err(Refusal::InvalidDomains);
        }
        let matches = self.domains.len() == keyset.domains.len()
            && self.domains.iter().zip(&keyset.domains).all(|(domain, entry)| {
                domain.id == entry.domain_id && domain.protocol.curve() == entry.key.curve()
            });
        matches.then_some(()).ok_or(Refusal::DomainsMismatch)
    }
}
