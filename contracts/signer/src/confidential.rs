//! Confidential key derivation: an app gets a key that only it can read.
//!
//! The network signs the app's id with its BLS key and hides the signature under the app's own key. With the
//! verifiable form of that key (`AppPublicKeyPV`) the answer is checked here by pairings; the plain form is not.

use near_sdk::serde::de::Error;
use near_sdk::serde::{Deserialize, Deserializer, Serialize, Serializer};
use near_sdk::{near, AccountId};
use sha3::{Digest, Sha3_256};

use crate::bls::{self, G1, G2};
use crate::domains::DomainId;
use crate::encodings::{decode_base58, encode_base58};
use crate::errors::Refusal;
use crate::keys::Key;

const APP_ID_PREFIX: &str = "near-mpc v0.1.0 app_id derivation:";
const G1_PREFIX: &str = "bls12381g1";
const G2_PREFIX: &str = "bls12381g2";

/// A point of G1: in JSON `bls12381g1:` and base58 of the compressed form.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct G1Key(pub G1);

/// A point of G2, likewise with `bls12381g2:`.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct G2Key(pub G2);

/// The app's key for one request. A bare string stands for the plain form.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(crate = "near_sdk::serde")]
pub enum AppPublicKey {
    AppPublicKey(G1Key),
    AppPublicKeyPV { pk1: G1Key, pk2: G2Key },
}

/// The arguments of `request_app_private_key`.
#[near(serializers = [json])]
#[derive(Debug, Clone)]
pub struct CkdArguments {
    pub derivation_path: String,
    pub app_public_key: AppPublicKey,
    pub domain_id: DomainId,
}

/// A request as the contract stores it and the nodes answer it: the caller is inside the id.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CkdRequest {
    pub app_public_key: AppPublicKey,
    pub app_id: [u8; 32],
    pub domain_id: DomainId,
}

/// The answer, hidden for the app: C − a·Y is the network's signature.
#[near(serializers = [json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CkdResponse {
    pub big_y: G1Key,
    pub big_c: G1Key,
}

/// What the network signs for this account and path.
pub fn compute_app_id(predecessor_id: &AccountId, path: &str) -> [u8; 32] {
    Sha3_256::digest(format!("{APP_ID_PREFIX}{predecessor_id},{path}")).into()
}

impl AppPublicKey {
    /// Whether it is a key at all, and both halves of a verifiable one belong together.
    pub fn validate(&self) -> Result<(), Refusal> {
        match self {
            Self::AppPublicKey(key) if bls::is_g1(&key.0) => Ok(()),
            Self::AppPublicKey(_) => Err(Refusal::AppPublicKeyMalformed),
            Self::AppPublicKeyPV { pk1, pk2 } if bls::is_app_key_consistent(&pk1.0, &pk2.0) => Ok(()),
            Self::AppPublicKeyPV { .. } => Err(Refusal::AppPublicKeyCheckFailed),
        }
    }
}

impl CkdResponse {
    /// Whether it answers this request under that key; for the plain form nobody but the app can tell.
    pub fn verify(&self, request: &CkdRequest, key: &Key) -> Result<(), Refusal> {
        let Key::Bls12381(network_key) = key else {
            return Err(Refusal::DomainNotBls { domain_id: request.domain_id });
        };
        let is_valid = match &request.app_public_key {
            AppPublicKey::AppPublicKey(_) => bls::is_g1(&self.big_c.0) && bls::is_g1(&self.big_y.0),
            AppPublicKey::AppPublicKeyPV { pk2, .. } => {
                bls::is_output_valid(&self.big_c.0, &self.big_y.0, &pk2.0, network_key, &request.app_id)
            }
        };
        is_valid.then_some(()).ok_or(Refusal::CkdOutputCheckFailed)
    }
}

impl Serialize for G1Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode_base58(&self.0, G1_PREFIX))
    }
}

impl Serialize for G2Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode_base58(&self.0, G2_PREFIX))
    }
}

fn read_point<'de, D: Deserializer<'de>, const SIZE: usize>(
    deserializer: D,
    prefix: &str,
) -> Result<[u8; SIZE], D::Error> {
    let text = String::deserialize(deserializer)?;
    decode_base58(&text, prefix)
        .ok_or_else(|| D::Error::custom(format!("expected {prefix}: and {SIZE} bytes in base58, not {text}")))
}

impl<'de> Deserialize<'de> for G1Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_point(deserializer, G1_PREFIX).map(Self)
    }
}

impl<'de> Deserialize<'de> for G2Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_point(deserializer, G2_PREFIX).map(Self)
    }
}

/// The forms that are read: named, or a bare string for the plain key.
#[derive(Deserialize)]
#[serde(crate = "near_sdk::serde", untagged)]
enum AppPublicKeyText {
    Bare(G1Key),
    Plain {
        #[serde(rename = "AppPublicKey")]
        key: G1Key,
    },
    Verifiable {
        #[serde(rename = "AppPublicKeyPV")]
        keys: VerifiableText,
    },
}

#[derive(Deserialize)]
#[serde(crate = "near_sdk::serde")]
struct VerifiableText {
    pk1: G1Key,
    pk2: G2Key,
}

impl<'de> Deserialize<'de> for AppPublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = AppPublicKeyText::deserialize(deserializer).map_err(|_| {
            D::Error::custom(
                "app_public_key must be bls12381g1:…, {\"AppPublicKey\": …} or {\"AppPublicKeyPV\": {pk1, pk2}}",
            )
        })?;
        Ok(match text {
            AppPublicKeyText::Bare(key) | AppPublicKeyText::Plain { key } => Self::AppPublicKey(key),
            AppPublicKeyText::Verifiable { keys } => Self::AppPublicKeyPV { pk1: keys.pk1, pk2: keys.pk2 },
        })
    }
}
