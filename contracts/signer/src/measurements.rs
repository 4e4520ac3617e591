//! What participants have voted to trust: node images, launchers, operating systems.
//!
//! A newer node image ends the older ones after a grace period. A launcher that no participant's attestation names
//! for long enough ends too; the last one stays.

use near_sdk::{env, near};

use crate::encodings::{encode_hex, Hash256, Hash384, Hex};
use crate::participants::{ParticipantId, Participants};
use crate::tables::{Set, Table};

/// What identifies an operating system as trusted hardware measures it.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurement {
    pub mrtd: Hash384,
    pub rtmr0: Hash384,
    pub rtmr1: Hash384,
    pub rtmr2: Hash384,
    pub key_provider_event_digest: Hash384,
}

/// A node image, and when a newer one ends it.
#[near(serializers = [json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedImage {
    pub image_hash: Hash256,
    pub expiry_timestamp_seconds: Option<u64>,
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
struct StoredImage {
    image_hash: Hash256,
    added_at_seconds: u64,
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
struct StoredLauncher {
    launcher_hash: Hash256,
    expires_at_seconds: u64,
}

#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoteAction<T> {
    Add(T),
    Remove(T),
}

/// One open vote a participant.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Votes<T> {
    pub by_participant: Table<ParticipantId, T>,
}

/// Open votes about images, as they are shown.
#[near(serializers = [json])]
#[derive(Debug, Clone)]
pub struct Proposals {
    pub proposal_by_account: Table<ParticipantId, Hash256>,
}

/// Open votes about launchers or systems, as they are shown.
#[derive(Debug, Clone, near_sdk::serde::Serialize)]
#[serde(crate = "near_sdk::serde")]
pub struct Actions<T> {
    pub vote_by_account: Table<ParticipantId, VoteAction<T>>,
}

/// All that is trusted and all votes about it.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measurements {
    images: Vec<StoredImage>,
    launchers: Vec<StoredLauncher>,
    pub systems: Vec<Measurement>,
    pub image_votes: Votes<Hash256>,
    pub launcher_votes: Votes<VoteAction<Hash256>>,
    pub system_votes: Votes<VoteAction<Measurement>>,
}

impl<T> Default for Votes<T> {
    fn default() -> Self {
        Self { by_participant: Table::default() }
    }
}

impl<T: PartialEq> Votes<T> {
    /// Record a vote in place of the participant's former one; gives how many of these participants say the same.
    pub fn vote(&mut self, id: ParticipantId, choice: T, participants: &Participants) -> u64 {
        let votes = self.by_participant.iter();
        let others = votes
            .filter(|(other, vote)| **other != id && **vote == choice && participants.contains_id(**other));
        let agreeing = others.count() as u64 + 1;
        self.by_participant.insert(id, choice);
        agreeing
    }

    pub fn retain(&mut self, participants: &Participants) {
        self.by_participant.retain(|id| participants.contains_id(*id));
    }
}

/// The time of this block.
pub fn now_seconds() -> u64 {
    env::block_timestamp_ms() / 1000
}

/// The hash of the compose file that runs one node image under one launcher. The file is ours, byte for byte as
/// docs/reference/signer_contract.md has it.
pub fn compute_compose_hash(launcher_hash: Hash256, image_hash: Hash256) -> Hash256 {
    let file = format!(
        "services:\n  launcher:\n    image: hither-launcher@sha256:{}\n    environment:\n      \
         - NODE_IMAGE=sha256:{}\n    volumes:\n      - /var/run/docker.sock:/var/run/docker.sock\n      \
         - /var/run/dstack.sock:/var/run/dstack.sock\n",
        encode_hex(&launcher_hash.0),
        encode_hex(&image_hash.0)
    );
    Hex(env::sha256_array(file))
}

impl Measurements {
    /// Images in force, oldest first: from the newest one whose grace for its elders is over.
    pub fn images(&self, grace_seconds: u64) -> Vec<AllowedImage> {
        let ends = |image: &StoredImage| image.added_at_seconds.saturating_add(grace_seconds);
        let now = now_seconds();
        let first = self.images.iter().rposition(|image| ends(image) < now).unwrap_or(0);
        let live = &self.images[first.min(self.images.len())..];
        live.iter()
            .enumerate()
            .map(|(index, image)| AllowedImage {
                image_hash: image.image_hash,
                expiry_timestamp_seconds: live.get(index + 1).map(ends),
            })
            .collect()
    }

    pub fn add_image(&mut self, image_hash: Hash256, grace_seconds: u64) {
        let live: Set<_> = self.images(grace_seconds).iter().map(|image| image.image_hash).collect();
        self.images.retain(|image| live.contains(&image.image_hash) && image.image_hash != image_hash);
        self.images.push(StoredImage { image_hash, added_at_seconds: now_seconds() });
        self.image_votes = Votes::default();
    }

    /// Launchers in force; where all are past their time, the one that lasted longest.
    pub fn launchers(&self) -> Vec<Hash256> {
        let now = now_seconds();
        let last = self.launchers.iter().map(|launcher| launcher.expires_at_seconds).max();
        let is_live = |expires: u64| expires >= now || Some(expires) == last;
        let live = self.launchers.iter().filter(|launcher| is_live(launcher.expires_at_seconds));
        live.map(|launcher| launcher.launcher_hash).collect()
    }

    pub fn add_launcher(&mut self, launcher_hash: Hash256, life_seconds: u64) {
        self.remove_launcher(launcher_hash);
        let expires_at_seconds = now_seconds().saturating_add(life_seconds);
        self.launchers.push(StoredLauncher { launcher_hash, expires_at_seconds });
    }

    pub fn remove_launcher(&mut self, launcher_hash: Hash256) {
        self.launchers.retain(|launcher| launcher.launcher_hash != launcher_hash);
        self.launcher_votes = Votes::default();
    }

    /// A participant's attestation names this compose file: its launcher is in use.
    pub fn refresh_launcher(&mut self, compose_hash: Hash256, life_seconds: u64, grace_seconds: u64) {
        let images = self.images(grace_seconds);
        let expires_at_seconds = now_seconds().saturating_add(life_seconds);
        for launcher in &mut self.launchers {
            let hash = launcher.launcher_hash;
            if images.iter().any(|image| compute_compose_hash(hash, image.image_hash) == compose_hash) {
                launcher.expires_at_seconds = expires_at_seconds;
            }
        }
    }

    /// Of every launcher with every image.
    pub fn compose_hashes(&self, grace_seconds: u64) -> Vec<Hash256> {
        let images = self.images(grace_seconds);
        let pairs = self.launchers().into_iter();
        pairs
            .flat_map(|launcher| {
                images.iter().map(move |image| compute_compose_hash(launcher, image.image_hash))
            })
            .collect()
    }

    /// Forget what has ended.
    pub fn clean_expired(&mut self, grace_seconds: u64) {
        let images: Set<_> = self.images(grace_seconds).iter().map(|image| image.image_hash).collect();
        self.images.retain(|image| images.contains(&image.image_hash));
        let launchers = self.launchers();
        self.launchers.retain(|launcher| launchers.contains(&launcher.launcher_hash));
    }

    pub fn clean_votes(&mut self, participants: &Participants) {
        self.image_votes.retain(participants);
        self.launcher_votes.retain(participants);
        self.system_votes.retain(participants);
    }
}
