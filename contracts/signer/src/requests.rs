//! What is to be signed, and what comes back.

use near_sdk::{env, near};

use crate::domains::{DomainId, Protocol};
use crate::encodings::{decode_hex, decode_hex_bytes, encode_hex};
use crate::errors::Refusal;
use crate::keys::{is_nonzero_scalar, Key};

pub const EDDSA_PAYLOAD_BYTES_MAX: usize = 1232;

/// Bytes to sign: a digest for ECDSA, a message for EdDSA. In JSON: hex.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payload {
    Ecdsa([u8; 32]),
    Eddsa(Vec<u8>),
}

/// The arguments of `sign`. `payload` and `key_version` are the older names.
#[near(serializers = [json])]
#[derive(Debug, Clone)]
pub struct SignArguments {
    pub path: String,
    #[serde(default)]
    pub payload_v2: Option<Payload>,
    #[serde(default)]
    pub payload: Option<[u8; 32]>,
    #[serde(default)]
    pub domain_id: Option<DomainId>,
    #[serde(default)]
    pub key_version: Option<u32>,
}

/// A request as the contract stores it and the nodes answer it: the caller is inside the tweak.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignatureRequest {
    pub tweak: [u8; 32],
    pub payload: Payload,
    pub domain_id: DomainId,
}

#[near(serializers = [json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffinePointText {
    pub affine_point: String,
}

#[near(serializers = [json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalarText {
    pub scalar: String,
}

/// A signature as callers receive it.
#[near(serializers = [json])]
#[derive(Debug, Clone, PartialEq, Eq)]
#[serde(tag = "scheme")]
pub enum SignatureResponse {
    Secp256k1 { big_r: AffinePointText, s: ScalarText, recovery_id: u8 },
    Ed25519 { signature: Vec<u8> },
}

impl SignArguments {
    /// The payload and the domain, whichever names they came under.
    pub fn resolve(&self) -> Result<(Payload, DomainId), Refusal> {
        let payload = match (&self.payload_v2, self.payload) {
            (Some(payload), None) => payload.clone(),
            (None, Some(digest)) => Payload::Ecdsa(digest),
            (Some(_), Some(_)) => {
                return Err(Refusal::ExclusiveFields { first: "payload", second: "payload_v2" });
            }
            (None, None) => return Err(Refusal::MissingField { name: "payload_v2" }),
        };
        let domain_id = match (self.domain_id, self.key_version) {
            (Some(id), None) => id,
            (None, Some(version)) => u64::from(version),
            (Some(_), Some(_)) => {
                return Err(Refusal::ExclusiveFields { first: "domain_id", second: "key_version" });
            }
            (None, None) => return Err(Refusal::MissingField { name: "domain_id" }),
        };
        Ok((payload, domain_id))
    }
}

impl Payload {
    /// Whether a domain of this protocol can sign it. Zero is refused in every protocol: anybody can forge a signature
    /// of zero from the public key alone, so none is worth anything.
    pub fn validate(&self, protocol: Protocol) -> Result<(), Refusal> {
        match (protocol, self) {
            (Protocol::CaitSith | Protocol::DamgardEtAl, Self::Ecdsa(digest)) => {
                if is_nonzero_scalar(digest) {
                    return Ok(());
                }
                Err(Refusal::PayloadNotScalar)
            }
            (Protocol::Frost, Self::Eddsa(_)) => Ok(()),
            (Protocol::CaitSith | Protocol::DamgardEtAl, Self::Eddsa(_)) => Err(Refusal::PayloadNotEcdsa),
            (Protocol::Frost, Self::Ecdsa(_)) => Err(Refusal::PayloadNotEddsa),
            (Protocol::ConfidentialKeyDerivation, _) => {
                unreachable!("such a domain's purpose is never Sign")
            }
        }
    }
}

impl SignatureResponse {
    /// Whether it signs the payload under this key.
    pub fn verify(&self, payload: &Payload, key: &Key) -> Result<(), Refusal> {
        let invalid = || Refusal::InvalidSignature;
        match (self, payload, key) {
            (Self::Secp256k1 { big_r, s, recovery_id }, Payload::Ecdsa(digest), Key::Secp256k1(key)) => {
                let big_r: [u8; 33] = decode_hex(&big_r.affine_point).ok_or_else(invalid)?;
                let s: [u8; 32] = decode_hex(&s.scalar).ok_or_else(invalid)?;
                // The prefix of the point is the parity that the recovery id holds too.
                if *recovery_id > 3 || big_r[0] != 2 + (recovery_id & 1) {
                    return Err(invalid());
                }
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&big_r[1..]);
                signature[32..].copy_from_slice(&s);
                let recovered = env::ecrecover(digest, &signature, *recovery_id, true).ok_or_else(invalid)?;
                if recovered == *key {
                    Ok(())
                } else {
                    Err(invalid())
                }
            }
            (Self::Ed25519 { signature }, Payload::Eddsa(message), Key::Ed25519(key)) => {
                let signature: &[u8; 64] = signature.as_slice().try_into().map_err(|_| invalid())?;
                if env::ed25519_verify(signature, message, key) {
                    Ok(())
                } else {
                    Err(invalid())
                }
            }
            _ => Err(Refusal::SignatureSchemeMismatch),
        }
    }
}

/// The JSON form of a payload: one field, hex inside.
#[near(serializers = [json])]
enum PayloadText {
    Ecdsa(String),
    Eddsa(String),
}

impl near_sdk::serde::Serialize for Payload {
    fn serialize<S: near_sdk::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self {
            Self::Ecdsa(digest) => PayloadText::Ecdsa(encode_hex(digest)),
            Self::Eddsa(message) => PayloadText::Eddsa(encode_hex(message)),
        };
        near_sdk::serde::Serialize::serialize(&text, serializer)
    }
}

impl<'de> near_sdk::serde::Deserialize<'de> for Payload {
    fn deserialize<D: near_sdk::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use near_sdk::serde::de::Error;
        match PayloadText::deserialize(deserializer)? {
            PayloadText::Ecdsa(text) => decode_hex(&text)
                .map(Self::Ecdsa)
                .ok_or_else(|| D::Error::custom("an Ecdsa payload must be 32 bytes in hex, without 0x")),
            PayloadText::Eddsa(text) => decode_hex_bytes(&text)
                .filter(|message| message.len() <= EDDSA_PAYLOAD_BYTES_MAX)
                .map(Self::Eddsa)
                .ok_or_else(|| {
                    D::Error::custom("an Eddsa payload must be 0 to 1232 bytes in hex, without 0x")
                }),
        }
    }
}
