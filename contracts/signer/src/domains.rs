//! Domains: one key each, with the protocol that signs with it.

use near_sdk::near;

use crate::errors::Refusal;
use crate::keys::{Curve, Key};

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
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyForDomain {
    pub domain_id: DomainId,
    pub key: Key,
    pub attempt: u64,
}

impl Protocol {
    pub fn curve(self) -> Curve {
        match self {
            Self::CaitSith | Self::DamgardEtAl => Curve::Secp256k1,
            Self::Frost => Curve::Edwards25519,
            Self::ConfidentialKeyDerivation => Curve::Bls12381,
        }
    }
}

impl DomainConfig {
    /// Whether so many participants can run it.
    pub fn validate(&self, participants: u64) -> Result<(), Refusal> {
        let threshold = self.reconstruction_threshold;
        let fits = matches!(
            (self.purpose, self.protocol),
            (DomainPurpose::Sign, Protocol::CaitSith | Protocol::DamgardEtAl | Protocol::Frost)
                | (DomainPurpose::ForeignTx, Protocol::CaitSith)
        );
        if !fits {
            return Err(Refusal::new(format!(
                "Domain {}: {:?} cannot serve the purpose {:?} here.",
                self.id, self.protocol, self.purpose
            )));
        }
        if threshold < 2 {
            return Err(Refusal::new(format!(
                "Domain {}: the reconstruction threshold must be at least 2.",
                self.id
            )));
        }
        if threshold > participants {
            return Err(Refusal::new(format!(
                "Domain {}: the reconstruction threshold {threshold} exceeds the {participants} participants.",
                self.id
            )));
        }
        if self.protocol == Protocol::DamgardEtAl && 2 * threshold - 1 > participants {
            return Err(Refusal::new(format!(
                "Domain {}: DamgardEtAl with threshold {threshold} needs {} participants.",
                self.id,
                2 * threshold - 1
            )));
        }
        Ok(())
    }
}

impl Domains {
    pub fn get(&self, id: DomainId) -> Result<&DomainConfig, Refusal> {
        let found = self.domains.iter().find(|domain| domain.id == id);
        found.ok_or_else(|| Refusal::new(format!("Domain {id} does not exist.")))
    }

    /// These and the new ones, whose ids must follow without a gap.
    pub fn extend(&self, new: &[DomainConfig]) -> Result<Self, Refusal> {
        let mut extended = self.clone();
        for domain in new {
            if domain.id != extended.next_domain_id {
                return Err(Refusal::new(format!(
                    "New domain ids must continue at {}, but one is {}.",
                    extended.next_domain_id, domain.id
                )));
            }
            extended.next_domain_id += 1;
            extended.domains.push(domain.clone());
        }
        Ok(extended)
    }
}
