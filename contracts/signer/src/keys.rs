//! Public keys of the three curves: their text, and those derived for an account and path.

use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::{EdwardsPoint, Scalar as EdwardsScalar};
use k256::elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint};
use k256::elliptic_curve::PrimeField;
use k256::{AffinePoint, EncodedPoint, ProjectivePoint};
use near_sdk::serde::de::Error;
use near_sdk::serde::{Deserialize, Deserializer, Serialize, Serializer};
use near_sdk::{near, AccountId};
use sha3::{Digest, Sha3_256};

use crate::bls;
use crate::encodings::{decode_base58, encode_base58};
use crate::errors::Refusal;

const TWEAK_PREFIX: &str = "near-mpc-recovery v0.1.0 epsilon derivation:";

/// The curve that a domain's keys live on.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    Secp256k1,
    Edwards25519,
    Bls12381,
}

/// A root or derived key: 64 bytes (x and y) on secp256k1, 32 on ed25519, 96 (compressed, G2) on BLS12-381.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Secp256k1([u8; 64]),
    Ed25519([u8; 32]),
    Bls12381([u8; 96]),
}

/// What a derivation adds to the root key: bound to the caller and its path.
pub fn compute_tweak(predecessor_id: &AccountId, path: &str) -> [u8; 32] {
    Sha3_256::digest(format!("{TWEAK_PREFIX}{predecessor_id},{path}")).into()
}

impl Key {
    /// From `secp256k1:`, `ed25519:` or `bls12381g2:` and base58. The point must lie on its curve.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let key = Self::read(text).ok_or_else(|| Refusal::MalformedKey { text: text.to_string() })?;
        let is_point = match &key {
            Self::Secp256k1(bytes) => secp256k1_point(bytes).is_some(),
            Self::Ed25519(bytes) => edwards_point(bytes).is_some(),
            Self::Bls12381(bytes) => bls::is_g2(bytes),
        };
        is_point.then_some(key).ok_or_else(|| Refusal::MalformedKey { text: text.to_string() })
    }

    /// The same without asking whether it is a point.
    fn read(text: &str) -> Option<Self> {
        decode_base58(text, "secp256k1")
            .map(Self::Secp256k1)
            .or_else(|| decode_base58(text, "ed25519").map(Self::Ed25519))
            .or_else(|| decode_base58(text, "bls12381g2").map(Self::Bls12381))
    }

    /// The text that `parse` reads.
    pub fn to_text(&self) -> String {
        match self {
            Self::Secp256k1(bytes) => encode_base58(bytes, "secp256k1"),
            Self::Ed25519(bytes) => encode_base58(bytes, "ed25519"),
            Self::Bls12381(bytes) => encode_base58(bytes, "bls12381g2"),
        }
    }

    /// The curve it lies on.
    pub fn curve(&self) -> Curve {
        match self {
            Self::Secp256k1(_) => Curve::Secp256k1,
            Self::Ed25519(_) => Curve::Edwards25519,
            Self::Bls12381(_) => Curve::Bls12381,
        }
    }

    /// Root key + tweak · generator. A tweak at or above the order of secp256k1 is refused, never reduced.
    /// On BLS12-381 nothing is derived: an app's key comes of a signature under the root key.
    pub fn derive(&self, tweak: &[u8; 32]) -> Result<Self, Refusal> {
        let not_on_curve = || Refusal::TweakNotOnCurve;
        match self {
            Self::Secp256k1(bytes) => {
                let root = secp256k1_point(bytes).ok_or_else(not_on_curve)?;
                let scalar: Option<k256::Scalar> = k256::Scalar::from_repr((*tweak).into()).into();
                let derived = root + ProjectivePoint::GENERATOR * scalar.ok_or_else(not_on_curve)?;
                let encoded = derived.to_affine().to_encoded_point(false);
                let bytes = encoded.as_bytes().get(1..).ok_or_else(not_on_curve)?;
                Ok(Self::Secp256k1(bytes.try_into().map_err(|_| not_on_curve())?))
            }
            Self::Ed25519(bytes) => {
                let root = edwards_point(bytes).ok_or_else(not_on_curve)?;
                let scalar = EdwardsScalar::from_bytes_mod_order(*tweak);
                Ok(Self::Ed25519((root + EdwardsPoint::mul_base(&scalar)).compress().to_bytes()))
            }
            Self::Bls12381(_) => Ok(self.clone()),
        }
    }
}

/// A key as states and keysets show it.
#[derive(Serialize, Deserialize)]
#[serde(crate = "near_sdk::serde")]
pub enum KeyExtended {
    Secp256k1 { near_public_key: String },
    Ed25519 { near_public_key_compressed: String, edwards_point: [u8; 32] },
    Bls12381 { public_key: String },
}

impl KeyExtended {
    pub fn serialize<S: Serializer>(key: &Key, serializer: S) -> Result<S::Ok, S::Error> {
        let text = key.to_text();
        let extended = match key {
            Key::Secp256k1(_) => Self::Secp256k1 { near_public_key: text },
            Key::Ed25519(bytes) => Self::Ed25519 { near_public_key_compressed: text, edwards_point: *bytes },
            Key::Bls12381(_) => Self::Bls12381 { public_key: text },
        };
        Serialize::serialize(&extended, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        let (Self::Secp256k1 { near_public_key: text }
        | Self::Ed25519 { near_public_key_compressed: text, .. }
        | Self::Bls12381 { public_key: text }) = Deserialize::deserialize(deserializer)?;
        Key::read(&text).ok_or_else(|| D::Error::custom(format!("no public key: {text}")))
    }
}

/// Whether 32 big-endian bytes are a scalar of secp256k1 above zero.
pub fn is_nonzero_scalar(bytes: &[u8; 32]) -> bool {
    let scalar: Option<k256::Scalar> = k256::Scalar::from_repr((*bytes).into()).into();
    scalar.is_some_and(|scalar| scalar != k256::Scalar::ZERO)
}

fn secp256k1_point(bytes: &[u8; 64]) -> Option<ProjectivePoint> {
    let encoded = EncodedPoint::from_untagged_bytes(bytes.into());
    Option::<AffinePoint>::from(AffinePoint::from_encoded_point(&encoded)).map(ProjectivePoint::from)
}

fn edwards_point(bytes: &[u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(*bytes).decompress().filter(EdwardsPoint::is_torsion_free)
}
