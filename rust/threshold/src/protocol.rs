//! What every protocol looks like from outside: poked, given messages, it hands out messages and at last a result.
//!
//! A protocol knows no socket, no clock and no disk. Its caller delivers each
//! message from an authenticated sender, bounds the time, and keeps the result.

use std::collections::{BTreeMap, VecDeque};

use zeroize::{Zeroize, Zeroizing};

/// A member of the network, as the contract numbers it. Its x-coordinate in every polynomial is the number plus one.
pub type ParticipantId = u32;

/// What a protocol wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<T> {
    /// Nothing until another message arrives.
    Wait,
    /// Send to all other participants.
    SendMany(Vec<u8>),
    /// Send to one participant over a confidential channel.
    SendPrivate(ParticipantId, Vec<u8>),
    /// The result. Poking again is an error.
    Return(T),
}

/// The protocol cannot give a result. Everything it made must be thrown away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", culprit.map(|id| format!(" (participant {id})")).unwrap_or_default())]
pub struct Failure {
    /// What was wrong.
    pub reason: String,
    /// Whose fault the transcript proves it to be.
    pub culprit: Option<ParticipantId>,
}

impl Failure {
    pub(crate) fn of(culprit: ParticipantId, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), culprit: Some(culprit) }
    }

    pub(crate) fn unattributed(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), culprit: None }
    }
}

/// The arguments do not describe a run of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadParameters(pub String);

/// A message that was not taken. The run goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("participant {0} does not take part")]
    NotAParticipant(ParticipantId),
    #[error("participant {0} already sent this")]
    Duplicate(ParticipantId),
    #[error("participant {from} sent {size_bytes} bytes where at most {size_bytes_max} are expected")]
    TooLarge { from: ParticipantId, size_bytes: usize, size_bytes_max: usize },
    #[error("participant {0} sent a message of no round of this protocol")]
    NoSuchRound(ParticipantId),
    #[error("participant {0} sent what is meant for another participant alone")]
    NotForMe(ParticipantId),
}

/// One participant's side of a protocol run.
pub trait Protocol: Send {
    type Output;

    /// Go on as far as possible and say what is wanted; repeat until `Wait` or `Return`.
    fn poke(&mut self) -> Result<Action<Self::Output>, Failure>;

    /// Take a message of a sender that the channel has authenticated.
    fn message(&mut self, from: ParticipantId, data: &[u8]) -> Result<(), Refused>;
}

/// What one round hands out.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) to_all: Option<Vec<u8>>,
    pub(crate) private: BTreeMap<ParticipantId, Vec<u8>>,
}

impl Outgoing {
    pub(crate) fn to_all(data: Vec<u8>) -> Self {
        Self { to_all: Some(data), private: BTreeMap::new() }
    }
}

pub(crate) enum Step<T> {
    Next(Outgoing),
    Done(T),
}

/// What the others sent in one round, by sender.
pub(crate) type Inbox = BTreeMap<ParticipantId, Vec<u8>>;

/// A message of another size than its round's proves that its sender does not follow the protocol.
pub(crate) fn check_sizes(inbox: &Inbox, size_bytes: usize) -> Result<(), Failure> {
    match inbox.iter().find(|(_, data)| data.len() != size_bytes) {
        Some((id, data)) => Err(Failure::of(*id, format!("{} bytes where {size_bytes} belong", data.len()))),
        None => Ok(()),
    }
}

/// A protocol in rounds: in each, everyone sends to everyone that listens, and nobody goes on before all have sent.
pub(crate) trait Rounds: Send {
    type Output: Send;

    /// How many rounds of messages there are.
    fn rounds(&self) -> u8;
    /// The largest message of a round; larger ones are not even stored.
    fn size_bytes_max(&self, round: u8) -> usize;
    /// Whether the others send me something in this round. False for what only a coordinator gets.
    fn listens(&self, _round: u8) -> bool {
        true
    }
    /// The messages of round 0.
    fn start(&mut self) -> Result<Outgoing, Failure>;
    /// All messages of `round` are here: the messages of the next, or the result after the last.
    fn finish_round(&mut self, round: u8, inbox: Inbox) -> Result<Step<Self::Output>, Failure>;
}

/// Runs `Rounds`: numbers messages, keeps those that come early, takes each sender's first of a round only.
///
/// At most one message a sender and round is kept, so memory is bounded.
pub(crate) struct RoundDriver<R: Rounds> {
    rounds: R,
    others: Vec<ParticipantId>,
    inboxes: Vec<Inbox>,
    outgoing: VecDeque<Action<R::Output>>,
    current: Option<u8>,
    is_over: bool,
}

impl<R: Rounds> RoundDriver<R> {
    pub(crate) fn new(rounds: R, me: ParticipantId, participants: &[ParticipantId]) -> Self {
        let inboxes = (0..rounds.rounds()).map(|_| Inbox::new()).collect();
        let others = participants.iter().copied().filter(|id| *id != me).collect();
        Self { rounds, others, inboxes, outgoing: VecDeque::new(), current: None, is_over: false }
    }

    fn queue(&mut self, round: u8, outgoing: Outgoing) {
        let numbered = |data: Vec<u8>| [&[round], Zeroizing::new(data).as_slice()].concat();
        if let Some(data) = outgoing.to_all {
            self.outgoing.push_back(Action::SendMany(numbered(data)));
        }
        for (to, data) in outgoing.private {
            self.outgoing.push_back(Action::SendPrivate(to, numbered(data)));
        }
    }

    fn advance(&mut self) -> Result<Action<R::Output>, Failure> {
        let Some(round) = self.current else {
            let first = self.rounds.start()?;
            self.queue(0, first);
            self.current = Some(0);
            return Ok(self.outgoing.pop_front().unwrap_or(Action::Wait));
        };
        if self.rounds.listens(round) && self.inboxes[usize::from(round)].len() < self.others.len() {
            return Ok(Action::Wait);
        }
        let inbox = std::mem::take(&mut self.inboxes[usize::from(round)]);
        self.current = Some(round + 1);
        match self.rounds.finish_round(round, inbox)? {
            Step::Next(outgoing) => {
                self.queue(round + 1, outgoing);
                self.poke_inner()
            }
            Step::Done(output) => {
                self.is_over = true;
                Ok(Action::Return(output))
            }
        }
    }

    fn poke_inner(&mut self) -> Result<Action<R::Output>, Failure> {
        match self.outgoing.pop_front() {
            Some(action) => Ok(action),
            None => self.advance(),
        }
    }
}

impl<R: Rounds> Drop for RoundDriver<R> {
    fn drop(&mut self) {
        // Private messages are shares: a run that ended early forgets what it got and what it did not hand out.
        self.inboxes.iter_mut().flat_map(BTreeMap::values_mut).for_each(Zeroize::zeroize);
        for action in &mut self.outgoing {
            if let Action::SendMany(data) | Action::SendPrivate(_, data) = action {
                data.zeroize();
            }
        }
    }
}

impl<R: Rounds> Protocol for RoundDriver<R> {
    type Output = R::Output;

    fn poke(&mut self) -> Result<Action<Self::Output>, Failure> {
        if self.is_over {
            return Err(Failure::unattributed("the protocol run is over"));
        }
        let action = self.poke_inner();
        // A failed run must not be continued with the messages that come after the bad one.
        self.is_over |= action.is_err();
        action
    }

    fn message(&mut self, from: ParticipantId, data: &[u8]) -> Result<(), Refused> {
        if !self.others.contains(&from) {
            return Err(Refused::NotAParticipant(from));
        }
        let Some((&round, payload)) = data.split_first() else {
            return Err(Refused::NoSuchRound(from));
        };
        let current = self.current.unwrap_or(0);
        let Some(inbox) = self.inboxes.get_mut(usize::from(round)) else {
            return Err(Refused::NoSuchRound(from));
        };
        if !self.rounds.listens(round) {
            return Err(Refused::NotForMe(from));
        }
        let size_bytes_max = self.rounds.size_bytes_max(round);
        if payload.len() > size_bytes_max {
            return Err(Refused::TooLarge { from, size_bytes: payload.len(), size_bytes_max });
        }
        if round < current || inbox.contains_key(&from) {
            return Err(Refused::Duplicate(from));
        }
        inbox.insert(from, payload.to_vec());
        Ok(())
    }
}

/// Check that a list of participants can run a protocol and that `me` is among them; returns it sorted.
pub(crate) fn validate_participants(
    participants: &[ParticipantId],
    me: ParticipantId,
) -> Result<Vec<ParticipantId>, BadParameters> {
    let mut sorted = participants.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != participants.len() {
        return Err(BadParameters("a participant is listed twice".into()));
    }
    if sorted.len() < 2 {
        return Err(BadParameters("at least two participants are needed".into()));
    }
    if !sorted.contains(&me) {
        return Err(BadParameters(format!("participant {me} is not in the list")));
    }
    // FROST numbers participants with 16 bits; x-coordinates are the number plus one.
    if sorted.iter().any(|id| *id >= u32::from(u16::MAX)) {
        return Err(BadParameters("participant numbers must be below 65535".into()));
    }
    Ok(sorted)
}
