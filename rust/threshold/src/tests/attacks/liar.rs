//! What a liar can do with a message of one round.

use std::collections::{BTreeMap, BTreeSet};

use super::cases::{Case, Round};
use super::network::{Tamper, Wire};
use crate::protocol::ParticipantId;

/// Attacks on one message. Their order is that of the table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attack {
    /// A well-formed share, point or hash that is not the right one, the same to everybody.
    WrongValue,
    /// The truth to all but one.
    TwoFaces,
    /// In what one participant gets.
    FlippedBit,
    Truncated,
    Oversized,
    Duplicated,
    /// The message of this round of another run.
    Replayed,
    /// It comes after the next one, or after everything.
    Late,
    /// Somebody who does not take part sends the same as well.
    Outsider,
    /// Another participant's message, as one's own.
    Borrowed,
    /// Under the number of another round.
    WrongRound,
    Silent,
}

pub(super) const ATTACKS: [Attack; 12] = [
    Attack::WrongValue,
    Attack::TwoFaces,
    Attack::FlippedBit,
    Attack::Truncated,
    Attack::Oversized,
    Attack::Duplicated,
    Attack::Replayed,
    Attack::Late,
    Attack::Outsider,
    Attack::Borrowed,
    Attack::WrongRound,
    Attack::Silent,
];

pub(super) const OUTSIDER: ParticipantId = 77;

/// Does one attack on one round; tells the truth otherwise.
pub(super) struct Liar<'a> {
    pub(super) case: &'a Case,
    pub(super) round: &'a Round,
    pub(super) attack: Attack,
    /// Which of several ways to do it (bits to flip).
    pub(super) variant: usize,
    /// What the liar sent in another run, by receiver and index.
    pub(super) recorded: &'a BTreeMap<(ParticipantId, usize), Vec<u8>>,
    pub(super) held: Vec<Wire>,
    pub(super) borrowed: Option<Vec<u8>>,
    /// Whom there was anything to tell.
    pub(super) victims: BTreeSet<ParticipantId>,
}

impl Liar<'_> {
    /// Whether there is such an attack: two faces need two that see them, and borrowing needs somebody's message.
    pub(super) fn is_possible(&self) -> bool {
        match self.attack {
            Attack::TwoFaces => self.victims.len() > 1,
            Attack::Borrowed => self.borrowed.is_some(),
            _ => !self.victims.is_empty(),
        }
    }

    fn strike(&mut self, wire: Wire) -> Vec<Wire> {
        let with = |data: Vec<u8>| vec![Wire { data, ..wire.clone() }];
        let (header, payload) = wire.data.split_at(self.case.header_bytes);
        let first_victim = self.case.ids.iter().find(|id| **id != self.case.liar);
        match self.attack {
            Attack::WrongValue => with([header, &(self.round.lie)(payload)].concat()),
            Attack::TwoFaces if first_victim == Some(&wire.to) => {
                with([header, &(self.round.lie)(payload)].concat())
            }
            Attack::FlippedBit if first_victim == Some(&wire.to) => {
                let mut data = wire.data.clone();
                let bits = 8 * payload.len();
                let bit = 8 * header.len() + (bits - 1) * self.variant / (FLIPS - 1);
                data[bit / 8] ^= 1 << (bit % 8);
                with(data)
            }
            Attack::TwoFaces | Attack::FlippedBit => vec![wire],
            Attack::Truncated => with(wire.data[..wire.data.len() - 1].to_vec()),
            Attack::Oversized => with([wire.data.as_slice(), &[0; 1 << 18]].concat()),
            Attack::Duplicated => vec![wire.clone(), wire],
            Attack::Replayed => with(self.recorded[&(wire.to, wire.index)].clone()),
            Attack::Outsider => vec![Wire { from: OUTSIDER, ..wire.clone() }, wire],
            Attack::WrongRound => with((self.case.renumber)(&wire.data)),
            Attack::Silent => vec![],
            Attack::Late => {
                self.held.push(wire);
                vec![]
            }
            Attack::Borrowed => match &self.borrowed {
                Some(data) => with(data.clone()),
                None => {
                    self.held.push(wire);
                    vec![]
                }
            },
        }
    }
}

/// How many bits are tried, from the first to the last.
pub(super) const FLIPS: usize = 7;

impl Tamper for Liar<'_> {
    fn send(&mut self, wire: Wire) -> Vec<Wire> {
        let is_target = (self.round.matches)(&wire);
        if wire.from == self.case.liar {
            if is_target {
                self.victims.insert(wire.to);
                return self.strike(wire);
            }
            let mut wires = vec![wire];
            if self.attack == Attack::Late {
                let (released, held) = self.held.drain(..).partition(|held| held.to == wires[0].to);
                self.held = held;
                wires.extend::<Vec<_>>(released);
            }
            return wires;
        }
        if is_target && self.attack == Attack::Borrowed {
            self.borrowed = Some(wire.data.clone());
            let mut wires = vec![wire.clone()];
            wires.extend(self.held.drain(..).map(|held| Wire { data: wire.data.clone(), ..held }));
            return wires;
        }
        vec![wire]
    }

    fn idle(&mut self) -> Vec<Wire> {
        std::mem::take(&mut self.held)
    }
}
