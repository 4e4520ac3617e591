//! The network's life: running, making keys for new domains, handing keys on to another set of participants.
//!
//! Running → (all vote for the same domains) → Initializing → (all vote the same key, domain by domain) → Running.
//! Running → (all of the proposed set vote for it) → Resharing → (all vote, domain by domain) → Running, next epoch.
//! Keys that exist go on signing meanwhile: neither changes them.

use near_sdk::serde::Serialize;
use near_sdk::{near, AccountId};

use crate::domains::{max_threshold, DomainConfig, DomainId, Domains, KeyForDomain, Keyset};
use crate::errors::Refusal;
use crate::key_events::{KeyEvent, KeyEventId, VoteResult};
use crate::keys::Key;
use crate::participants::{validate_threshold, Parameters, ParticipantId, Participants, ProposedParameters};
use crate::tables::{Set, Table};

/// Votes by account, in the shape of `state`.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(crate = "near_sdk::serde")]
pub struct ParametersVotes {
    pub proposal_by_account: Table<AccountId, ProposedParameters>,
}

/// Votes by participant, in the shape of `state`.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(crate = "near_sdk::serde")]
pub struct AddDomainsVotes {
    pub proposal_by_account: Table<ParticipantId, Vec<DomainConfig>>,
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(crate = "near_sdk::serde")]
pub struct Running {
    pub domains: Domains,
    pub keyset: Keyset,
    pub parameters: Parameters,
    pub parameters_votes: ParametersVotes,
    pub add_domains_votes: AddDomainsVotes,
    pub previously_cancelled_resharing_epoch_id: Option<u64>,
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(crate = "near_sdk::serde")]
pub struct Initializing {
    pub domains: Domains,
    pub epoch_id: u64,
    pub generated_keys: Vec<KeyForDomain>,
    pub generating_key: KeyEvent,
    pub cancel_votes: Set<ParticipantId>,
    /// Carried through, so that no epoch that was ever tried is tried again.
    #[serde(skip)]
    pub cancelled_epoch_id: Option<u64>,
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(crate = "near_sdk::serde")]
pub struct Resharing {
    pub previous_running_state: Running,
    pub reshared_keys: Vec<KeyForDomain>,
    pub resharing_key: KeyEvent,
    pub cancellation_requests: Set<AccountId>,
    pub per_domain_thresholds: Table<DomainId, u64>,
}

/// Everything that the participants agree about; serialised, it is what `state` answers.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(crate = "near_sdk::serde")]
#[allow(clippy::large_enum_variant)]
pub enum ProtocolState {
    Running(Running),
    Initializing(Initializing),
    Resharing(Resharing),
}

impl Running {
    pub fn new(domains: Domains, keyset: Keyset, parameters: Parameters) -> Self {
        Self {
            domains,
            keyset,
            parameters,
            parameters_votes: ParametersVotes::default(),
            add_domains_votes: AddDomainsVotes::default(),
            previously_cancelled_resharing_epoch_id: None,
        }
    }

    fn next_epoch_id(&self) -> u64 {
        self.previously_cancelled_resharing_epoch_id.unwrap_or(self.keyset.epoch_id) + 1
    }

    /// Record a vote for other parameters; true once the whole proposed set asks for the same.
    fn vote_parameters(&mut self, voter: &AccountId, proposal: &ProposedParameters) -> Result<bool, Refusal> {
        let next = &proposal.parameters;
        self.parameters.validate_successor(next)?;
        let count = next.participants.count();
        let domains = self.domains.with_thresholds(&proposal.per_domain_thresholds)?;
        for domain in &domains.domains {
            domain.validate_threshold(count)?;
        }
        validate_threshold(count, next.threshold, max_threshold(&domains.domains))?;
        next.participants.get_id(voter)?;
        let votes = &mut self.parameters_votes.proposal_by_account;
        let current = &self.parameters.participants;
        if !current.contains(voter) {
            let admitting =
                votes.iter().filter(|(account, vote)| *vote == proposal && current.contains(account));
            if (admitting.count() as u64) < self.parameters.threshold {
                return Err(Refusal::VoterPending);
            }
        }
        votes.insert(voter.clone(), proposal.clone());
        let agreeing =
            votes.iter().filter(|(account, vote)| *vote == proposal && next.participants.contains(account));
        Ok(agreeing.count() as u64 == count)
    }

    /// The state in which these keys are handed on to the proposed set; with no keys it is simply in force.
    fn reshare(mut self, proposal: ProposedParameters, epoch_id: u64) -> ProtocolState {
        self.parameters_votes = ParametersVotes::default();
        self.previously_cancelled_resharing_epoch_id = None;
        let Some(first) = self.domains.domains.first().cloned() else {
            let keyset = Keyset { epoch_id, domains: Vec::new() };
            return ProtocolState::Running(self.succeed(self.domains.clone(), keyset, proposal.parameters));
        };
        ProtocolState::Resharing(Resharing {
            resharing_key: KeyEvent::new(epoch_id, first, proposal.parameters),
            reshared_keys: Vec::new(),
            cancellation_requests: Set::default(),
            per_domain_thresholds: proposal.per_domain_thresholds,
            previous_running_state: self,
        })
    }

    /// The next epoch: votes for domains stay with those who stay.
    fn succeed(&self, domains: Domains, keyset: Keyset, parameters: Parameters) -> Running {
        let mut next = Running::new(domains, keyset, parameters);
        next.add_domains_votes = self.add_domains_votes.clone();
        let participants = &next.parameters.participants;
        next.add_domains_votes.proposal_by_account.retain(|id| participants.contains_id(*id));
        next
    }
}

impl ProtocolState {
    pub fn new(parameters: Parameters) -> Result<Self, Refusal> {
        parameters.validate()?;
        let keyset = Keyset { epoch_id: 0, domains: Vec::new() };
        Ok(Self::Running(Running::new(Domains::default(), keyset, parameters)))
    }

    pub fn running(&self) -> Result<&Running, Refusal> {
        match self {
            Self::Running(running) => Ok(running),
            _ => Err(Refusal::ProtocolStateNotRunning),
        }
    }

    pub fn running_mut(&mut self) -> Result<&mut Running, Refusal> {
        match self {
            Self::Running(running) => Ok(running),
            _ => Err(Refusal::ProtocolStateNotRunning),
        }
    }

    /// Those who hold the shares of the keys in use, and who decide by vote.
    pub fn acting(&self) -> &Parameters {
        match self {
            Self::Running(running) => &running.parameters,
            Self::Initializing(initializing) => &initializing.generating_key.parameters,
            Self::Resharing(resharing) => &resharing.previous_running_state.parameters,
        }
    }

    /// Those who run key events: while keys are handed on, the set that is to have them.
    pub fn active(&self) -> &Parameters {
        match self {
            Self::Resharing(resharing) => &resharing.resharing_key.parameters,
            _ => self.acting(),
        }
    }

    /// Whether an account takes part now or is to take part.
    pub fn is_present_or_prospective(&self, account_id: &AccountId) -> bool {
        self.acting().participants.contains(account_id) || self.active().participants.contains(account_id)
    }

    /// All domains that were agreed upon, also those without a key yet.
    pub fn domains(&self) -> &Domains {
        match self {
            Self::Running(running) => &running.domains,
            Self::Initializing(initializing) => &initializing.domains,
            Self::Resharing(resharing) => &resharing.previous_running_state.domains,
        }
    }

    /// The keys in use.
    pub fn keys(&self) -> &[KeyForDomain] {
        match self {
            Self::Running(running) => &running.keyset.domains,
            Self::Initializing(initializing) => &initializing.generated_keys,
            Self::Resharing(resharing) => &resharing.previous_running_state.keyset.domains,
        }
    }

    /// A domain that has a key, and the key: also while another domain's is being made.
    pub fn get_domain(&self, domain_id: DomainId) -> Result<(&DomainConfig, &Key), Refusal> {
        let entry = self.keys().iter().find(|entry| entry.domain_id == domain_id);
        match (self.domains().find(domain_id), entry) {
            (Some(domain), Some(entry)) => Ok((domain, &entry.key)),
            _ if self.keys().is_empty() && matches!(self, Self::Initializing(_)) => {
                Err(Refusal::ProtocolStateNotRunningNorResharing)
            }
            _ => Err(Refusal::DomainNotFound { domain_id }),
        }
    }

    /// A participant asks for new domains. Once all ask for the same, making their keys begins.
    pub fn vote_add_domains(&mut self, voter: &AccountId, domains: Vec<DomainConfig>) -> Result<(), Refusal> {
        let running = self.running_mut()?;
        let id = running.parameters.participants.get_id(voter)?;
        let count = running.parameters.participants.count();
        for domain in &domains {
            domain.validate(count)?;
        }
        let first = domains.first().cloned().ok_or(Refusal::AddDomainsMustAddAtLeastOneDomain)?;
        validate_threshold(count, running.parameters.threshold, max_threshold(&domains))?;
        let votes = &mut running.add_domains_votes.proposal_by_account;
        votes.insert(id, domains.clone());
        if votes.values().filter(|vote| **vote == domains).count() as u64 == count {
            let epoch_id = running.keyset.epoch_id;
            *self = Self::Initializing(Initializing {
                domains: running.domains.extend(&domains)?,
                epoch_id,
                generated_keys: running.keyset.domains.clone(),
                generating_key: KeyEvent::new(epoch_id, first, running.parameters.clone()),
                cancel_votes: Set::default(),
                cancelled_epoch_id: running.previously_cancelled_resharing_epoch_id,
            });
        }
        Ok(())
    }

    fn initializing_mut(&mut self) -> Result<&mut Initializing, Refusal> {
        match self {
            Self::Initializing(initializing) => Ok(initializing),
            _ => Err(Refusal::ProtocolStateNotInitializing),
        }
    }

    fn resharing_mut(&mut self) -> Result<&mut Resharing, Refusal> {
        match self {
            Self::Resharing(resharing) => Ok(resharing),
            _ => Err(Refusal::ProtocolStateNotResharing),
        }
    }

    /// The leader starts an attempt at a new key.
    pub fn start_keygen(
        &mut self,
        id: ParticipantId,
        event: KeyEventId,
        height: u64,
        blocks: u64,
    ) -> Result<(), Refusal> {
        self.initializing_mut()?.generating_key.start(id, event, height, blocks)
    }

    /// The leader of the proposed set starts an attempt at handing a key on.
    pub fn start_reshare(
        &mut self,
        id: ParticipantId,
        event: KeyEventId,
        height: u64,
        blocks: u64,
    ) -> Result<(), Refusal> {
        self.resharing_mut()?.resharing_key.start(id, event, height, blocks)
    }

    /// A participant says which key the attempt gave; after the last one the next domain's is made.
    pub fn vote_public_key(
        &mut self,
        id: ParticipantId,
        event: KeyEventId,
        key: Key,
        height: u64,
    ) -> Result<(), Refusal> {
        let initializing = self.initializing_mut()?;
        if initializing.generating_key.vote_success(id, event, &key, height)? == VoteResult::Waiting {
            return Ok(());
        }
        let entry = KeyForDomain { domain_id: event.domain_id, key, attempt: event.attempt_id };
        initializing.generated_keys.push(entry);
        let finished = initializing.generated_keys.len();
        match initializing.domains.domains.get(finished).cloned() {
            Some(domain) => {
                let parameters = initializing.generating_key.parameters.clone();
                initializing.generating_key = KeyEvent::new(initializing.epoch_id, domain, parameters);
                initializing.cancel_votes = Set::default();
            }
            None => *self = Self::Running(initializing.finish()),
        }
        Ok(())
    }

    /// A participant of the proposed set says that it has its new share. True once all keys are handed on.
    pub fn vote_reshared(
        &mut self,
        id: ParticipantId,
        event: KeyEventId,
        height: u64,
    ) -> Result<bool, Refusal> {
        let resharing = self.resharing_mut()?;
        let previous = &resharing.previous_running_state;
        let key = previous.keyset.domains[resharing.reshared_keys.len()].key.clone();
        if resharing.resharing_key.vote_success(id, event, &key, height)? == VoteResult::Waiting {
            return Ok(false);
        }
        let entry = KeyForDomain { domain_id: event.domain_id, key, attempt: event.attempt_id };
        resharing.reshared_keys.push(entry);
        let KeyEvent { epoch_id, parameters, .. } = resharing.resharing_key.clone();
        if let Some(domain) = previous.domains.domains.get(resharing.reshared_keys.len()).cloned() {
            resharing.resharing_key = KeyEvent::new(epoch_id, domain, parameters);
            return Ok(false);
        }
        let domains = previous.domains.with_thresholds(&resharing.per_domain_thresholds)?;
        let keyset = Keyset { epoch_id, domains: resharing.reshared_keys.clone() };
        *self = Self::Running(previous.succeed(domains, keyset, parameters));
        Ok(true)
    }

    /// One participant whose attempt failed ends it for all.
    pub fn vote_abort(&mut self, id: ParticipantId, event: KeyEventId, height: u64) -> Result<(), Refusal> {
        match self {
            Self::Initializing(initializing) => initializing.generating_key.vote_abort(id, event, height),
            Self::Resharing(resharing) => resharing.resharing_key.vote_abort(id, event, height),
            Self::Running(_) => Err(Refusal::NoActiveKeyEvent),
        }
    }

    /// At the threshold, making keys ends: finished domains stay, the ids of the others are never used again.
    pub fn vote_cancel_keygen(&mut self, voter: &AccountId, next_domain_id: DomainId) -> Result<(), Refusal> {
        let initializing = self.initializing_mut()?;
        let parameters = &initializing.generating_key.parameters;
        let id = parameters.participants.get_id(voter)?;
        let expected_id = initializing.domains.next_domain_id;
        if next_domain_id != expected_id {
            return Err(Refusal::NextDomainIdMismatch { expected_id });
        }
        initializing.cancel_votes.insert(id);
        if initializing.cancel_votes.len() as u64 >= parameters.threshold {
            let finished = initializing.generated_keys.len();
            initializing.domains.domains.truncate(finished);
            *self = Self::Running(initializing.finish());
        }
        Ok(())
    }

    /// A member of a proposed set asks for it. Once all of them do, keys are handed on to it.
    pub fn vote_new_parameters(
        &mut self,
        voter: &AccountId,
        epoch_id: u64,
        proposal: ProposedParameters,
    ) -> Result<(), Refusal> {
        let (previous, expected) = match self {
            Self::Running(running) => {
                let expected = running.next_epoch_id();
                (running, expected)
            }
            Self::Resharing(resharing) => {
                let expected = resharing.resharing_key.epoch_id + 1;
                (&mut resharing.previous_running_state, expected)
            }
            Self::Initializing(_) => return Err(Refusal::ProtocolStateNotRunningNorResharing),
        };
        if epoch_id != expected {
            return Err(Refusal::EpochMismatch { provided: epoch_id, expected });
        }
        if previous.vote_parameters(voter, &proposal)? {
            *self = previous.clone().reshare(proposal, epoch_id);
        }
        Ok(())
    }

    /// Hand keys on to these of the participants without a vote, by the thresholds in force.
    pub fn reshare_without_votes(&mut self, participants: Participants) -> Result<(), Refusal> {
        let running = self.running_mut()?;
        let threshold = running.parameters.threshold;
        let parameters = Parameters { participants, threshold };
        running.parameters.validate_successor(&parameters)?;
        let count = parameters.participants.count();
        for domain in &running.domains.domains {
            domain.validate_threshold(count)?;
        }
        validate_threshold(count, threshold, max_threshold(&running.domains.domains))?;
        let epoch_id = running.next_epoch_id();
        let proposal = ProposedParameters { parameters, per_domain_thresholds: Table::default() };
        *self = running.clone().reshare(proposal, epoch_id);
        Ok(())
    }

    /// At the threshold of the previous set, handing on ends and everything is as before; its epoch is never tried
    /// again.
    pub fn vote_cancel_resharing(&mut self, voter: &AccountId) -> Result<(), Refusal> {
        let resharing = self.resharing_mut()?;
        let previous = &resharing.previous_running_state;
        previous.parameters.participants.get_id(voter)?;
        resharing.cancellation_requests.insert(voter.clone());
        if resharing.cancellation_requests.len() as u64 >= previous.parameters.threshold {
            let mut running = previous.clone();
            running.parameters_votes = ParametersVotes::default();
            running.previously_cancelled_resharing_epoch_id = Some(resharing.resharing_key.epoch_id);
            *self = Self::Running(running);
        }
        Ok(())
    }
}

impl Initializing {
    /// Running with the domains whose keys are made.
    fn finish(&self) -> Running {
        let keyset = Keyset { epoch_id: self.epoch_id, domains: self.generated_keys.clone() };
        let mut running = Running::new(self.domains.clone(), keyset, self.generating_key.parameters.clone());
        running.previously_cancelled_resharing_epoch_id = self.cancelled_epoch_id;
        running
    }
}
