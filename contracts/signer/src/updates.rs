//! Proposed updates of code and settings, and the votes about them.

use near_sdk::{env, near, AccountId, NearToken};

use crate::config::Config;
use crate::errors::Refusal;
use crate::queue::to_json;
use crate::tables::{Records, Table};

pub type UpdateId = u64;

/// What a byte of a proposal costs its proposer: a byte of state.
const YOCTONEAR_PER_BYTE: u128 = 10_000_000_000_000_000_000;
/// Counted for the rest of a proposal's records.
const OVERHEAD_BYTES: u128 = 32_768;

/// The argument of `propose_update`: exactly one of the two.
#[near(serializers = [borsh])]
#[derive(Debug, Clone)]
pub struct ProposeUpdateArguments {
    pub code: Option<Vec<u8>>,
    pub config: Option<Config>,
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    Code(Vec<u8>),
    Config(Config),
}

/// What an update is known by before it is launched: SHA-256 of the code, or of the settings as JSON.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateHash {
    Code([u8; 32]),
    Config([u8; 32]),
}

/// All open proposals and votes.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateList {
    pub votes: Table<AccountId, UpdateId>,
    pub updates: Table<UpdateId, UpdateHash>,
}

/// The list in one record, each update's content in its own.
#[near(serializers = [borsh])]
pub struct Updates {
    pub next_id: UpdateId,
    pub list: UpdateList,
    contents: Records<UpdateId, Update>,
    /// Contents that nobody can vote for any more, still to be removed.
    orphans: Vec<UpdateId>,
}

impl ProposeUpdateArguments {
    /// The update, and how many bytes it counts for.
    pub fn validate(self) -> Result<(Update, usize), Refusal> {
        match (self.code, self.config) {
            (Some(code), None) => {
                let size = code.len();
                Ok((Update::Code(code), size))
            }
            (None, Some(config)) => {
                let config = config.validate()?;
                let size = to_json(&config).len();
                Ok((Update::Config(config), size))
            }
            _ => Err(Refusal::malformed("propose exactly one of code and config")),
        }
    }
}

/// The deposit that a proposal of so many bytes needs.
pub fn compute_deposit(size: usize) -> NearToken {
    NearToken::from_yoctonear(YOCTONEAR_PER_BYTE * (OVERHEAD_BYTES + size as u128))
}

impl Updates {
    pub fn new(prefix: crate::StorageKey) -> Self {
        Self { next_id: 0, list: UpdateList::default(), contents: Records::new(prefix), orphans: Vec::new() }
    }

    pub fn propose(&mut self, update: Update) -> UpdateId {
        let id = self.next_id;
        self.next_id += 1;
        let hash = match &update {
            Update::Code(code) => UpdateHash::Code(env::sha256_array(code)),
            Update::Config(config) => UpdateHash::Config(env::sha256_array(to_json(config))),
        };
        self.list.updates.insert(id, hash);
        self.contents.insert(&id, &update);
        id
    }

    /// One vote an account at a time.
    pub fn vote(&mut self, voter: &AccountId, id: UpdateId) -> Result<(), Refusal> {
        if !self.list.updates.contains_key(&id) {
            return Err(Refusal::UpdateNotFound);
        }
        self.list.votes.insert(voter.clone(), id);
        Ok(())
    }

    /// Take an update out for launching; all other proposals and votes go with it.
    pub fn take(&mut self, id: UpdateId) -> Result<Update, Refusal> {
        let update = self.contents.take(&id).ok_or(Refusal::UpdateNotFound)?;
        self.orphans.extend(self.list.updates.keys().filter(|other| **other != id));
        self.list = UpdateList::default();
        Ok(update)
    }

    /// Remove one content that nobody can vote for. One a call: a call may touch 4 MB of state, and however many were
    /// proposed, none shall keep an update from being launched.
    pub fn sweep(&mut self) {
        if let Some(id) = self.orphans.pop() {
            self.contents.remove(&id);
        }
    }
}
