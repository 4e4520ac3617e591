//! What shows that a node runs what the participants have agreed to run.
//!
//! A mock is judged at once and says nothing about hardware. A Dstack quote goes to the verifier account that the
//! participants voted for; what it reports is held here against the measurements they trust.

use near_sdk::store::IterableMap;
use near_sdk::{near, AccountId};

use crate::config::ATTESTATION_LIFE_SECONDS;
use crate::dstack::DstackAttestation;
use crate::encodings::{encode_hex, Hash256, NodeKey};
use crate::errors::Refusal;
use crate::measurements::{now_seconds, Measurement, Measurements};
use crate::participants::{ParticipantId, Participants};
use crate::tables::Records;

/// A node: its account, the key of its TLS certificate, and the key that signs its transactions.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeId {
    pub account_id: AccountId,
    pub tls_public_key: NodeKey,
    pub account_public_key: NodeKey,
}

/// For networks without trusted hardware: passes, fails, or passes within these bounds.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MockAttestation {
    Valid,
    Invalid,
    WithConstraints {
        #[serde(default)]
        mpc_docker_image_hash: Option<Hash256>,
        #[serde(default)]
        launcher_docker_compose_hash: Option<Hash256>,
        #[serde(default)]
        expiry_timestamp_seconds: Option<u64>,
        #[serde(default)]
        expected_measurements: Option<Measurement>,
    },
}

/// What a node submits.
#[near(serializers = [json])]
#[derive(Debug, Clone)]
pub enum Attestation {
    Dstack(DstackAttestation),
    Mock(MockAttestation),
}

/// What remains of a quote that was verified.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDstack {
    pub mpc_image_hash: Hash256,
    pub launcher_compose_hash: Hash256,
    pub expiry_timestamp_seconds: u64,
    pub measurements: Measurement,
}

/// What is stored; judged again whenever the participants are.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifiedAttestation {
    Dstack(VerifiedDstack),
    Mock(MockAttestation),
}

#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAttestation {
    pub node: NodeId,
    pub attestation: VerifiedAttestation,
}

/// Attestations by TLS key, and the grants that pay for storing new ones.
#[near(serializers = [borsh])]
pub struct Attestations {
    pub stored: IterableMap<NodeKey, NodeAttestation>,
    grants: Records<AccountId, u32>,
}

/// What an attestation must keep to.
pub struct Rules<'a> {
    pub measurements: &'a Measurements,
    pub grace_seconds: u64,
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::InvalidAttestation { reason: reason.into() })
}

impl Rules<'_> {
    pub fn check_image(&self, hash: Hash256) -> Result<(), Refusal> {
        if self.measurements.images(self.grace_seconds).iter().any(|image| image.image_hash == hash) {
            return Ok(());
        }
        refuse(format!("MPC image hash {} is not in the allowed hashes list", encode_hex(&hash.0)))
    }

    pub fn check_compose(&self, hash: Hash256) -> Result<(), Refusal> {
        if self.measurements.compose_hashes(self.grace_seconds).contains(&hash) {
            return Ok(());
        }
        refuse(format!("launcher compose hash {} is not in the allowed hashes list", encode_hex(&hash.0)))
    }

    pub fn check_measurement(&self, measurement: &Measurement) -> Result<(), Refusal> {
        if self.measurements.systems.contains(measurement) {
            return Ok(());
        }
        refuse("the attestation's measurements are not in the allowed set")
    }

    fn check_expiry(&self, expiry_seconds: u64) -> Result<(), Refusal> {
        let now = now_seconds();
        if now < expiry_seconds {
            return Ok(());
        }
        refuse(format!("it expired at {expiry_seconds}, and it is {now}"))
    }
}

impl MockAttestation {
    fn check(&self, rules: &Rules) -> Result<(), Refusal> {
        let Self::WithConstraints {
            mpc_docker_image_hash,
            launcher_docker_compose_hash,
            expiry_timestamp_seconds,
            expected_measurements,
        } = self
        else {
            return match self {
                Self::Invalid => refuse("the mock attestation is invalid per definition"),
                _ => Ok(()),
            };
        };
        mpc_docker_image_hash.map_or(Ok(()), |hash| rules.check_image(hash))?;
        launcher_docker_compose_hash.map_or(Ok(()), |hash| rules.check_compose(hash))?;
        expiry_timestamp_seconds.map_or(Ok(()), |expiry| rules.check_expiry(expiry))?;
        expected_measurements.as_ref().map_or(Ok(()), |measurement| rules.check_measurement(measurement))
    }

    /// The same, ending at the latest when a submitted attestation ends.
    fn capped(self) -> Self {
        let latest = now_seconds() + ATTESTATION_LIFE_SECONDS;
        match self {
            Self::Invalid => Self::Invalid,
            Self::Valid => Self::WithConstraints {
                mpc_docker_image_hash: None,
                launcher_docker_compose_hash: None,
                expiry_timestamp_seconds: Some(latest),
                expected_measurements: None,
            },
            Self::WithConstraints {
                mpc_docker_image_hash,
                launcher_docker_compose_hash,
                expiry_timestamp_seconds,
                expected_measurements,
            } => Self::WithConstraints {
                mpc_docker_image_hash,
                launcher_docker_compose_hash,
                expiry_timestamp_seconds: Some(expiry_timestamp_seconds.unwrap_or(latest).min(latest)),
                expected_measurements,
            },
        }
    }

    /// Judge a submission; gives what is to be stored.
    pub fn verify(self, rules: &Rules) -> Result<VerifiedAttestation, Refusal> {
        self.check(rules)?;
        Ok(VerifiedAttestation::Mock(self.capped()))
    }
}

impl VerifiedAttestation {
    /// Judge again by what is trusted now.
    pub fn check(&self, rules: &Rules) -> Result<(), Refusal> {
        match self {
            Self::Mock(mock) => mock.check(rules),
            Self::Dstack(dstack) => {
                rules.check_expiry(dstack.expiry_timestamp_seconds)?;
                rules.check_image(dstack.mpc_image_hash)?;
                rules.check_compose(dstack.launcher_compose_hash)?;
                rules.check_measurement(&dstack.measurements)
            }
        }
    }

    pub fn compose_hash(&self) -> Option<Hash256> {
        match self {
            Self::Dstack(dstack) => Some(dstack.launcher_compose_hash),
            Self::Mock(MockAttestation::WithConstraints { launcher_docker_compose_hash, .. }) => {
                *launcher_docker_compose_hash
            }
            Self::Mock(_) => None,
        }
    }
}

impl Attestations {
    pub fn new(stored_prefix: crate::StorageKey, grants_prefix: crate::StorageKey) -> Self {
        Self { stored: IterableMap::new(stored_prefix), grants: Records::new(grants_prefix) }
    }

    /// The founders' own, which never end. Their account keys are unknown: each is to submit one of its own before
    /// it may act, and pays no grant for that.
    pub fn store_founders(&mut self, participants: &Participants) {
        for (account_id, _, info) in &participants.participants {
            let node = NodeId {
                account_id: account_id.clone(),
                tls_public_key: info.tls_public_key,
                account_public_key: info.tls_public_key,
            };
            let attestation = VerifiedAttestation::Mock(MockAttestation::Valid);
            self.stored.insert(info.tls_public_key, NodeAttestation { node, attestation });
        }
    }

    pub fn grants(&self, account_id: &AccountId) -> u32 {
        self.grants.get(account_id).unwrap_or(0)
    }

    pub fn add_grants(&mut self, account_id: &AccountId, grants: u32) -> Result<(), Refusal> {
        let sum = self.grants(account_id).checked_add(grants);
        let sum = sum.ok_or_else(|| Refusal::malformed("grant counter would overflow"))?;
        self.grants.insert(account_id, &sum);
        Ok(())
    }

    /// Whether this node may store an attestation: an entry of its own, or a grant for a new one.
    pub fn check_storable(&self, node: &NodeId) -> Result<(), Refusal> {
        match self.stored.get(&node.tls_public_key) {
            Some(entry) if entry.node.account_id == node.account_id => Ok(()),
            Some(_) => Err(Refusal::TlsKeyOwnedByOtherAccount),
            None if self.grants(&node.account_id) > 0 => Ok(()),
            None => Err(Refusal::NoAttestationStorageGrant { account_id: node.account_id.clone() }),
        }
    }

    pub fn store(&mut self, node: NodeId, attestation: VerifiedAttestation) -> Result<(), Refusal> {
        self.check_storable(&node)?;
        if self.stored.get(&node.tls_public_key).is_none() {
            match self.grants(&node.account_id) {
                1 => self.grants.remove(&node.account_id),
                grants => self.grants.insert(&node.account_id, &(grants - 1)),
            };
        }
        self.stored.insert(node.tls_public_key, NodeAttestation { node, attestation });
        Ok(())
    }

    /// Whether this account has an attestation under this TLS key that holds now.
    pub fn check(&self, account_id: &AccountId, tls_key: &NodeKey, rules: &Rules) -> Result<(), Refusal> {
        match self.stored.get(tls_key) {
            Some(entry) if entry.node.account_id == *account_id => entry.attestation.check(rules),
            Some(_) => refuse("the TLS key was attested by another account"),
            None => refuse("participant has no attestation"),
        }
    }

    /// The id of the participant that this account and key act for. Whether the attestation still holds is not asked
    /// again: `verify_tee` is for that.
    pub fn authenticate(
        &self,
        account_id: &AccountId,
        signer_key: Option<NodeKey>,
        participants: &Participants,
    ) -> Result<ParticipantId, Refusal> {
        let account_id = account_id.clone();
        let Some((id, info)) = participants.find(&account_id) else {
            return Err(Refusal::CallerNotParticipant { account_id });
        };
        let Some(entry) = self.stored.get(&info.tls_public_key) else {
            return Err(Refusal::AttestationNotFound { account_id });
        };
        if entry.node.account_id != account_id {
            return Err(Refusal::AttestationOwnerMismatch { account_id });
        }
        if signer_key != Some(entry.node.account_public_key) {
            return Err(Refusal::AttestationKeyMismatch { account_id });
        }
        Ok(id)
    }

    /// Remove those of the first entries that do not hold; each gives its grant back. Returns how many.
    pub fn clean_invalid(&mut self, scan_max: u32, rules: &Rules) -> u32 {
        let invalid: Vec<NodeId> = self
            .stored
            .values()
            .take(scan_max as usize)
            .filter(|entry| entry.attestation.check(rules).is_err())
            .map(|entry| entry.node.clone())
            .collect();
        for node in &invalid {
            self.stored.remove(&node.tls_public_key);
            // A counter that is full keeps what it has.
            let _ = self.add_grants(&node.account_id, 1);
        }
        invalid.len() as u32
    }
}
