//! Who runs the network, and how many of them decide.

use near_sdk::{near, AccountId};

use crate::domains::DomainId;
use crate::encodings::NodeKey;
use crate::errors::Refusal;
use crate::tables::{Set, Table};

pub type ParticipantId = u32;

#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantInfo {
    pub url: String,
    pub tls_public_key: NodeKey,
}

#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participants {
    pub next_id: ParticipantId,
    pub participants: Vec<(AccountId, ParticipantId, ParticipantInfo)>,
}

/// The participants, and how many of them decide.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    pub participants: Participants,
    pub threshold: u64,
}

/// What `vote_new_parameters` proposes: domains that are not named keep their reconstruction threshold.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedParameters {
    pub parameters: Parameters,
    #[serde(default)]
    pub per_domain_thresholds: Table<DomainId, u64>,
}

impl Participants {
    pub fn count(&self) -> u64 {
        self.participants.len() as u64
    }

    pub fn find(&self, account_id: &AccountId) -> Option<(ParticipantId, &ParticipantInfo)> {
        let found = self.participants.iter().find(|(account, _, _)| account == account_id);
        found.map(|(_, id, info)| (*id, info))
    }

    pub fn get_id(&self, account_id: &AccountId) -> Result<ParticipantId, Refusal> {
        let found = self.find(account_id).map(|(id, _)| id);
        found.ok_or_else(|| Refusal::NotParticipant { account_id: account_id.clone() })
    }

    pub fn contains(&self, account_id: &AccountId) -> bool {
        self.find(account_id).is_some()
    }

    pub fn contains_id(&self, id: ParticipantId) -> bool {
        self.participants.iter().any(|(_, other, _)| *other == id)
    }

    /// The lowest id starts key events.
    pub fn leader_id(&self) -> Option<ParticipantId> {
        self.participants.iter().map(|(_, id, _)| *id).min()
    }

    pub fn tls_keys(&self) -> Set<NodeKey> {
        self.participants.iter().map(|(_, _, info)| info.tls_public_key).collect()
    }

    /// Another url or TLS key of a participant, which keeps its id.
    pub fn update_info(&mut self, account_id: &AccountId, info: ParticipantInfo) -> Result<(), Refusal> {
        let mut entries = self.participants.iter_mut();
        let entry = entries.find(|(account, _, _)| account == account_id);
        let entry = entry.ok_or_else(|| Refusal::NotParticipant { account_id: account_id.clone() })?;
        entry.2 = info;
        self.validate()
    }

    /// Whether ids, accounts and TLS keys are unique, and ids below the next one.
    pub fn validate(&self) -> Result<(), Refusal> {
        let entries = &self.participants;
        if entries.iter().map(|(_, id, _)| id).collect::<Set<_>>().len() != entries.len() {
            return Err(Refusal::DuplicateParticipantIds);
        }
        if entries.iter().map(|(account, _, _)| account).collect::<Set<_>>().len() != entries.len() {
            return Err(Refusal::DuplicateAccountIds);
        }
        if self.tls_keys().len() != entries.len() {
            return Err(Refusal::DuplicateTlsKeys);
        }
        match entries.iter().find(|(_, id, _)| *id >= self.next_id) {
            Some((_, id, _)) => {
                Err(Refusal::ParticipantIdNotLessThanNextId { id: *id, next_id: self.next_id })
            }
            None => Ok(()),
        }
    }
}

/// Whether so many participants may decide by this threshold, given the largest share count of a domain.
pub fn validate_threshold(count: u64, threshold: u64, reconstruction_max: u64) -> Result<(), Refusal> {
    if threshold > count {
        return Err(Refusal::MaxRequirementFailed { max: count, found: threshold });
    }
    if threshold < 2 {
        return Err(Refusal::MinAbsRequirementFailed);
    }
    let required = count.saturating_mul(3).div_ceil(5);
    if threshold < required {
        return Err(Refusal::MinRelRequirementFailed { required, found: threshold });
    }
    if threshold < reconstruction_max {
        return Err(Refusal::BelowReconstructionThreshold {
            threshold,
            reconstruction_threshold: reconstruction_max,
        });
    }
    Ok(())
}

impl Parameters {
    pub fn validate(&self) -> Result<(), Refusal> {
        self.participants.validate()?;
        validate_threshold(self.participants.count(), self.threshold, 0)
    }

    /// Whether these may be followed by those: enough stay, they stay as they are, and newcomers get new ids.
    pub fn validate_successor(&self, next: &Parameters) -> Result<(), Refusal> {
        next.validate()?;
        let old = &self.participants;
        let mut kept = 0;
        let mut new_ids = Set::default();
        for (account_id, id, info) in &next.participants.participants {
            let account_id = account_id.clone();
            match old.find(&account_id) {
                Some((old_id, _)) if old_id != *id => {
                    return Err(Refusal::ParticipantIdChanged { account_id, old_id, new_id: *id });
                }
                Some((_, old_info)) if old_info != info => {
                    return Err(Refusal::ParticipantInfoChanged { account_id });
                }
                Some(_) => kept += 1,
                None if old.contains_id(*id) => {
                    return Err(Refusal::NewParticipantReusesOldId { account_id, new_id: *id });
                }
                None => {
                    new_ids.insert(*id);
                }
            }
        }
        if kept < self.threshold {
            return Err(Refusal::InsufficientOldParticipants { required: self.threshold });
        }
        if !new_ids.iter().copied().eq(old.next_id..old.next_id.saturating_add(new_ids.len() as u32)) {
            return Err(Refusal::NewParticipantIdsNotContiguous { expected_id: old.next_id });
        }
        let expected_id = old.next_id + new_ids.len() as u32;
        if next.participants.next_id != expected_id {
            return Err(Refusal::NewParticipantIdsTooHigh { expected_id });
        }
        Ok(())
    }
}
