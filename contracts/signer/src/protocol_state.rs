//! The network's life: running, and making keys for new domains.
//!
//! Running → (all vote for the same domains) → Initializing → (all vote the same key, domain by domain) → Running.
//! Keys that exist go on signing meanwhile: making another changes none of them.

use std::collections::BTreeMap;

use near_sdk::{near, AccountId};

use crate::domains::{DomainConfig, DomainId, Domains, KeyForDomain, Protocol};
use crate::errors::{Refusal, NO_KEYS_YET};
use crate::keys::Key;
use crate::participants::{Parameters, ParticipantId};

/// Names one attempt at one domain's key.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyEventId {
    pub epoch_id: u64,
    pub domain_id: DomainId,
    pub attempt_id: u64,
}

/// An attempt under way. Dead from `expires_on` on, whether or not anybody noticed.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEventInstance {
    pub attempt_id: u64,
    pub started_in: u64,
    pub expires_on: u64,
    pub completed: Vec<ParticipantId>,
    pub public_key: Option<Key>,
}

/// The domain whose key is being made.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generating {
    pub target: Domains,
    pub domain: DomainConfig,
    pub instance: Option<KeyEventInstance>,
    pub next_attempt_id: u64,
    pub cancel_votes: Vec<ParticipantId>,
}

/// Everything that the participants agree about.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolState {
    pub epoch_id: u64,
    pub parameters: Parameters,
    pub domains: Domains,
    pub keys: Vec<KeyForDomain>,
    pub add_domains_votes: BTreeMap<ParticipantId, Vec<DomainConfig>>,
    pub generating: Option<Generating>,
}

impl ProtocolState {
    pub fn new(parameters: Parameters) -> Result<Self, Refusal> {
        parameters.validate()?;
        Ok(Self {
            epoch_id: 0,
            parameters,
            domains: Domains::default(),
            keys: Vec::new(),
            add_domains_votes: BTreeMap::new(),
            generating: None,
        })
    }

    /// The key of a domain that has one, also while another domain's is being made.
    pub fn get_key(&self, domain_id: DomainId) -> Result<&Key, Refusal> {
        if self.keys.is_empty() {
            return Err(Refusal::new(NO_KEYS_YET));
        }
        let found = self.keys.iter().find(|entry| entry.domain_id == domain_id);
        found.map(|entry| &entry.key).ok_or_else(|| Refusal::new(format!("Domain {domain_id} has no key.")))
    }

    /// A participant asks for new domains. Once all ask for the same, making their keys begins.
    pub fn vote_add_domains(&mut self, voter: &AccountId, domains: Vec<DomainConfig>) -> Result<(), Refusal> {
        let id = self.parameters.participants.get_id(voter)?;
        if self.generating.is_some() {
            return Err(Refusal::new("Keys of new domains are being made; finish or cancel that first."));
        }
        if domains.is_empty() {
            return Err(Refusal::new("At least one domain must be added."));
        }
        let participants = self.parameters.participants.count();
        for domain in &domains {
            domain.validate(participants)?;
            if domain.reconstruction_threshold > self.parameters.threshold {
                return Err(Refusal::new(format!(
                    "Domain {}: the reconstruction threshold exceeds the network's threshold {}.",
                    domain.id, self.parameters.threshold
                )));
            }
        }
        self.add_domains_votes.insert(id, domains.clone());
        let agreeing = self.add_domains_votes.values().filter(|vote| **vote == domains).count() as u64;
        if agreeing == participants {
            let target = self.domains.extend(&domains)?;
            self.add_domains_votes.clear();
            self.begin_generating(target);
        }
        Ok(())
    }

    /// The next domain without a key, or none left: then the target is in force.
    fn begin_generating(&mut self, target: Domains) {
        let waiting =
            target.domains.iter().find(|domain| self.keys.iter().all(|entry| entry.domain_id != domain.id));
        match waiting.cloned() {
            Some(domain) => {
                self.generating = Some(Generating {
                    target,
                    domain,
                    instance: None,
                    next_attempt_id: 0,
                    cancel_votes: Vec::new(),
                });
            }
            None => {
                self.domains = target;
                self.generating = None;
            }
        }
    }

    fn get_generating(&mut self, event: KeyEventId) -> Result<&mut Generating, Refusal> {
        let epoch_id = self.epoch_id;
        let generating = self.generating.as_mut().ok_or_else(|| Refusal::new("No key is being made."))?;
        if event.epoch_id != epoch_id || event.domain_id != generating.domain.id {
            return Err(Refusal::new(format!(
                "The key being made is of epoch {epoch_id}, domain {}.",
                generating.domain.id
            )));
        }
        Ok(generating)
    }

    /// The leader starts an attempt.
    pub fn start_keygen(
        &mut self,
        voter: &AccountId,
        event: KeyEventId,
        height: u64,
        blocks: u64,
    ) -> Result<(), Refusal> {
        let id = self.parameters.participants.get_id(voter)?;
        if self.parameters.participants.leader_id() != Some(id) {
            return Err(Refusal::new("Only the participant with the lowest id starts a key event."));
        }
        let generating = self.get_generating(event)?;
        if generating.instance.as_ref().is_some_and(|instance| height < instance.expires_on) {
            return Err(Refusal::new("An attempt is under way."));
        }
        if event.attempt_id != generating.next_attempt_id {
            return Err(Refusal::new(format!("The next attempt is {}.", generating.next_attempt_id)));
        }
        generating.next_attempt_id += 1;
        generating.instance = Some(KeyEventInstance {
            attempt_id: event.attempt_id,
            started_in: height,
            expires_on: height + 1 + blocks,
            completed: Vec::new(),
            public_key: None,
        });
        Ok(())
    }

    fn get_live_instance(
        &mut self,
        event: KeyEventId,
        height: u64,
    ) -> Result<&mut KeyEventInstance, Refusal> {
        let instance = self.get_generating(event)?.instance.as_mut();
        instance
            .filter(|instance| instance.attempt_id == event.attempt_id && height < instance.expires_on)
            .ok_or_else(|| Refusal::new("No such attempt is under way."))
    }

    /// A participant says which key the attempt gave. All must say the same, else the attempt is over.
    pub fn vote_public_key(
        &mut self,
        voter: &AccountId,
        event: KeyEventId,
        key: Key,
        height: u64,
    ) -> Result<(), Refusal> {
        let id = self.parameters.participants.get_id(voter)?;
        let participants = self.parameters.participants.count();
        let protocol = self.get_generating(event)?.domain.protocol;
        if key.curve() != protocol.curve() {
            return Err(Refusal::new("The key is not on the domain's curve."));
        }
        let instance = self.get_live_instance(event, height)?;
        if instance.completed.contains(&id) {
            return Err(Refusal::new("This participant has voted on this attempt."));
        }
        if instance.public_key.as_ref().is_some_and(|other| *other != key) {
            self.get_generating(event)?.instance = None;
            near_sdk::env::log_str("Public key disagreement; aborting key event instance.");
            return Ok(());
        }
        instance.completed.push(id);
        instance.public_key = Some(key.clone());
        if instance.completed.len() as u64 == participants {
            self.keys.push(KeyForDomain { domain_id: event.domain_id, key, attempt: event.attempt_id });
            let target = self.get_generating(event)?.target.clone();
            self.begin_generating(target);
        }
        Ok(())
    }

    /// One participant whose attempt failed ends it for all; the leader starts the next.
    pub fn vote_abort(&mut self, voter: &AccountId, event: KeyEventId, height: u64) -> Result<(), Refusal> {
        let id = self.parameters.participants.get_id(voter)?;
        let instance = self.get_live_instance(event, height)?;
        if instance.completed.contains(&id) {
            return Err(Refusal::new("This participant has voted on this attempt."));
        }
        self.get_generating(event)?.instance = None;
        Ok(())
    }

    /// At the threshold, making keys ends: finished domains stay, the ids of the others are never used again.
    pub fn vote_cancel_keygen(&mut self, voter: &AccountId, next_domain_id: DomainId) -> Result<(), Refusal> {
        let id = self.parameters.participants.get_id(voter)?;
        let threshold = self.parameters.threshold;
        let generating = self.generating.as_mut().ok_or_else(|| Refusal::new("No key is being made."))?;
        if next_domain_id != generating.target.next_domain_id {
            return Err(Refusal::new(format!("next_domain_id is {}.", generating.target.next_domain_id)));
        }
        if !generating.cancel_votes.contains(&id) {
            generating.cancel_votes.push(id);
        }
        if generating.cancel_votes.len() as u64 >= threshold {
            let mut target = generating.target.clone();
            target.domains.retain(|domain| self.keys.iter().any(|entry| entry.domain_id == domain.id));
            self.domains = target;
            self.generating = None;
        }
        Ok(())
    }

    /// The configuration of a domain that has a key.
    pub fn get_domain(&self, id: DomainId) -> Result<&DomainConfig, Refusal> {
        match &self.generating {
            Some(generating) => generating.target.get(id),
            None => self.domains.get(id),
        }
    }

    /// Protocols of domains with keys, oldest first.
    pub fn signing_domains(&self) -> impl Iterator<Item = (&DomainConfig, Protocol)> {
        self.keys
            .iter()
            .filter_map(|entry| self.get_domain(entry.domain_id).ok())
            .map(|domain| (domain, domain.protocol))
    }
}
