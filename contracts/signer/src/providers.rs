//! Which foreign chains the network confirms: one set, by one rule.
//!
//! A chain is available when the participants have voted for its providers, and as many active nodes as sign
//! report that they serve it.

use near_sdk::borsh;
use near_sdk::{env, near, AccountId};

use crate::encodings::{Hash256, Hex, NodeKey};
use crate::errors::Refusal;
use crate::foreign::ForeignChain;
use crate::participants::{ParticipantId, Participants};
use crate::tables::{Set, Table};

/// How a provider is told who asks.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    Header { name: String, scheme: Option<String> },
    Path { placeholder: String },
    Query { name: String },
    None,
}

/// How a provider is told which chain is meant.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routing {
    Embedded,
    PathSegment { segment: String },
    QueryParam { name: String, value: String },
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderConfig {
    pub base_url: String,
    pub authentication: Authentication,
    pub routing: Routing,
}

/// The providers of a chain, and how many of them must agree.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEntry {
    pub providers: Table<String, ProviderConfig>,
    pub quorum: u64,
}

/// An address as the older registration names it.
#[near(serializers = [json])]
#[derive(Debug, Clone)]
pub struct RpcProvider {
    pub rpc_url: String,
}

/// What each participant's node serves, as it is shown.
#[near(serializers = [json])]
#[derive(Debug, Clone)]
pub struct SupportByNode {
    pub foreign_chain_support_by_node: Table<AccountId, Set<ForeignChain>>,
}

/// Reports of nodes by TLS key, the voted providers, and open votes as hashes of what they ask for.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignChains {
    pub reports: Table<NodeKey, Set<ForeignChain>>,
    pub providers: Table<ForeignChain, ChainEntry>,
    pub votes: Table<(ParticipantId, ForeignChain), Hash256>,
}

impl ChainEntry {
    pub fn validate(&self) -> Result<(), Refusal> {
        let count = self.providers.keys().count() as u64;
        if self.quorum == 0 {
            return Err(Refusal::malformed("ChainEntry.quorum must be >= 1"));
        }
        if self.quorum > count {
            return Err(Refusal::malformed(format!(
                "ChainEntry.quorum ({}) exceeds providers.len() ({count})",
                self.quorum
            )));
        }
        self.providers.iter().try_for_each(|(id, provider)| provider.validate(id))
    }
}

impl ProviderConfig {
    fn validate(&self, id: &str) -> Result<(), Refusal> {
        match (&self.routing, &self.authentication) {
            (Routing::PathSegment { segment }, _) if segment.contains('/') => {
                Err(Refusal::malformed(format!("the path segment of provider {id} must not contain '/'")))
            }
            (Routing::QueryParam { name, .. }, Authentication::Query { name: other }) if name == other => {
                Err(Refusal::malformed(format!("provider {id} uses the query name {name} twice")))
            }
            _ => Ok(()),
        }
    }
}

impl ForeignChains {
    /// Record votes; gives the chains whose providers are replaced by them.
    pub fn vote(
        &mut self,
        id: ParticipantId,
        votes: Table<ForeignChain, ChainEntry>,
        participants: &Participants,
        threshold: u64,
    ) -> Result<Vec<ForeignChain>, Refusal> {
        if votes.is_empty() {
            return Err(Refusal::malformed("vote for at least one chain"));
        }
        votes.values().try_for_each(ChainEntry::validate)?;
        let mut applied = Vec::new();
        for (chain, entry) in votes.into_entries() {
            let bytes = borsh::to_vec(&entry).unwrap_or_else(|_| env::panic_str("an entry has a borsh form"));
            let hash = Hex(env::sha256_array(bytes));
            self.votes.insert((id, chain), hash);
            let agreeing = self.votes.iter().filter(|((voter, other), vote)| {
                *other == chain && **vote == hash && participants.contains_id(*voter)
            });
            if agreeing.count() as u64 >= threshold {
                self.votes.retain(|(_, other)| *other != chain);
                self.providers.insert(chain, entry);
                applied.push(chain);
            }
        }
        Ok(applied)
    }

    /// Chains with providers that at least so many of these nodes serve; none where the network signs for no chain.
    pub fn list_available(&self, tls_keys: &Set<NodeKey>, required: Option<u64>) -> Vec<ForeignChain> {
        let Some(required) = required else {
            return Vec::new();
        };
        let count = |chain: &ForeignChain| {
            let reports = self.reports.iter().filter(|(key, _)| tls_keys.contains(key));
            reports.filter(|(_, chains)| chains.contains(chain)).count() as u64
        };
        self.providers.keys().filter(|chain| count(chain) >= required).copied().collect()
    }

    /// Forget who no longer takes part.
    pub fn retain(&mut self, participants: &Participants) {
        let keys = participants.tls_keys();
        self.reports.retain(|key| keys.contains(key));
        self.votes.retain(|(id, _)| participants.contains_id(*id));
    }
}
