//! Who runs the network.

use std::collections::BTreeSet;

use near_sdk::{near, AccountId};

use crate::errors::Refusal;

pub type ParticipantId = u32;

#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantInfo {
    pub url: String,
    pub tls_public_key: String,
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

impl Participants {
    pub fn count(&self) -> u64 {
        self.participants.len() as u64
    }

    pub fn get_id(&self, account_id: &AccountId) -> Result<ParticipantId, Refusal> {
        let found = self.participants.iter().find(|(account, _, _)| account == account_id);
        found.map(|(_, id, _)| *id).ok_or_else(|| Refusal::new(format!("Not a participant: {account_id}")))
    }

    /// The lowest id starts key events.
    pub fn leader_id(&self) -> Option<ParticipantId> {
        self.participants.iter().map(|(_, id, _)| *id).min()
    }
}

impl Parameters {
    pub fn validate(&self) -> Result<(), Refusal> {
        let entries = &self.participants.participants;
        let count = self.participants.count();
        let unique = |what: &str, is_unique: bool| {
            if is_unique {
                Ok(())
            } else {
                Err(Refusal::new(format!("Two participants have the same {what}.")))
            }
        };
        unique("id", entries.iter().map(|(_, id, _)| id).collect::<BTreeSet<_>>().len() == entries.len())?;
        unique(
            "account",
            entries.iter().map(|(account, _, _)| account).collect::<BTreeSet<_>>().len() == entries.len(),
        )?;
        let tls_keys: BTreeSet<_> = entries.iter().map(|(_, _, info)| &info.tls_public_key).collect();
        unique("TLS key", tls_keys.len() == entries.len())?;
        if entries.iter().any(|(_, id, _)| *id >= self.participants.next_id) {
            return Err(Refusal::new("A participant's id is not below next_id."));
        }
        if self.threshold > count {
            return Err(Refusal::new(format!(
                "The threshold {} exceeds the {count} participants.",
                self.threshold
            )));
        }
        if self.threshold < 2 {
            return Err(Refusal::new("The threshold must be at least 2."));
        }
        if 5 * self.threshold < 3 * count {
            return Err(Refusal::new(format!(
                "The threshold must be at least 60 % of the {count} participants."
            )));
        }
        Ok(())
    }
}
