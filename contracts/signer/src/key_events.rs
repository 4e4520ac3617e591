//! One key being made or handed on: attempts, their votes, their end.

use near_sdk::near;
use near_sdk::serde::Serializer;

use crate::domains::{DomainConfig, DomainId};
use crate::errors::Refusal;
use crate::keys::{Key, KeyExtended};
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
#[derive(Debug, Clone, PartialEq, Eq, near_sdk::serde::Serialize)]
#[serde(crate = "near_sdk::serde")]
pub struct KeyEventInstance {
    pub attempt_id: u64,
    pub started_in: u64,
    pub expires_on: u64,
    pub completed: Vec<ParticipantId>,
    #[serde(serialize_with = "serialize_key")]
    pub public_key: Option<Key>,
}

/// The domain whose key is being made or handed on, and who takes part.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, near_sdk::serde::Serialize)]
#[serde(crate = "near_sdk::serde")]
pub struct KeyEvent {
    pub epoch_id: u64,
    pub domain: DomainConfig,
    pub parameters: Parameters,
    pub instance: Option<KeyEventInstance>,
    pub next_attempt_id: u64,
}

/// What a vote came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoteResult {
    /// Others have yet to vote, or the attempt is over because they differ.
    Waiting,
    /// All said the same.
    Unanimous,
}

fn serialize_key<S: Serializer>(key: &Option<Key>, serializer: S) -> Result<S::Ok, S::Error> {
    match key {
        Some(key) => KeyExtended::serialize(key, serializer),
        None => serializer.serialize_none(),
    }
}

impl KeyEvent {
    pub fn new(epoch_id: u64, domain: DomainConfig, parameters: Parameters) -> Self {
        Self { epoch_id, domain, parameters, instance: None, next_attempt_id: 0 }
    }

    /// The leader starts an attempt.
    pub fn start(
        &mut self,
        id: ParticipantId,
        event: KeyEventId,
        height: u64,
        blocks: u64,
    ) -> Result<(), Refusal> {
        if self.parameters.participants.leader_id() != Some(id) {
            return Err(Refusal::VoterNotLeader);
        }
        if self.instance.as_ref().is_some_and(|instance| height < instance.expires_on) {
            return Err(Refusal::ActiveKeyEvent);
        }
        let expected = KeyEventId {
            epoch_id: self.epoch_id,
            domain_id: self.domain.id,
            attempt_id: self.next_attempt_id,
        };
        if event != expected {
            return Err(mismatch(expected));
        }
        self.next_attempt_id += 1;
        self.instance = Some(KeyEventInstance {
            attempt_id: event.attempt_id,
            started_in: height,
            expires_on: height.saturating_add(blocks).saturating_add(1),
            completed: Vec::new(),
            public_key: None,
        });
        Ok(())
    }

    /// The attempt of that name, if it is under way and this participant has not voted on it.
    fn open_ballot(
        &mut self,
        id: ParticipantId,
        event: KeyEventId,
        height: u64,
    ) -> Result<&mut KeyEventInstance, Refusal> {
        let (epoch_id, domain_id) = (self.epoch_id, self.domain.id);
        let live = self.instance.as_mut().filter(|instance| height < instance.expires_on);
        let instance = live.ok_or(Refusal::NoActiveKeyEvent)?;
        let expected = KeyEventId { epoch_id, domain_id, attempt_id: instance.attempt_id };
        if event != expected {
            return Err(mismatch(expected));
        }
        if instance.completed.contains(&id) {
            return Err(Refusal::VoteAlreadySubmitted);
        }
        Ok(instance)
    }

    /// A participant says which key the attempt gave. All must say the same, else the attempt is over.
    pub fn vote_success(
        &mut self,
        id: ParticipantId,
        event: KeyEventId,
        key: &Key,
        height: u64,
    ) -> Result<VoteResult, Refusal> {
        let participants = self.parameters.participants.count();
        if key.curve() != self.domain.protocol.curve() {
            return Err(Refusal::KeyOfOtherCurve);
        }
        let instance = self.open_ballot(id, event, height)?;
        if instance.public_key.as_ref().is_some_and(|other| other != key) {
            self.instance = None;
            near_sdk::env::log_str("Public key disagreement; aborting key event instance.");
            return Ok(VoteResult::Waiting);
        }
        instance.completed.push(id);
        instance.public_key = Some(key.clone());
        let is_unanimous = instance.completed.len() as u64 == participants;
        Ok(if is_unanimous { VoteResult::Unanimous } else { VoteResult::Waiting })
    }

    /// One participant whose attempt failed ends it for all; the leader starts the next.
    pub fn vote_abort(&mut self, id: ParticipantId, event: KeyEventId, height: u64) -> Result<(), Refusal> {
        self.open_ballot(id, event, height)?;
        self.instance = None;
        Ok(())
    }
}

fn mismatch(expected: KeyEventId) -> Refusal {
    let KeyEventId { epoch_id, domain_id, attempt_id } = expected;
    Refusal::KeyEventIdMismatch { epoch_id, domain_id, attempt_id }
}
