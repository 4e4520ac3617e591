//! Public keys of both curves: their text, and those derived for an account and path.

use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::{EdwardsPoint, Scalar as EdwardsScalar};
use k256::elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint};
use k256::elliptic_curve::PrimeField;
use k256::{AffinePoint, EncodedPoint, ProjectivePoint};
use near_sdk::{bs58, near, AccountId};
use sha3::{Digest, Sha3_256};

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

/// A root or derived key: 64 bytes (x and y) on secp256k1, 32 on ed25519.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Secp256k1([u8; 64]),
    Ed25519([u8; 32]),
}

/// What a derivation adds to the root key: bound to the caller and its path.
pub fn compute_tweak(predecessor_id: &AccountId, path: &str) -> [u8; 32] {
    Sha3_256::digest(format!("{TWEAK_PREFIX}{predecessor_id},{path}")).into()
}

impl Key {
    /// From `secp256k1:` or `ed25519:` and base58. The point must lie on its curve.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::new(format!("Malformed public key: {text}"));
        let (kind, data) = text.split_once(':').ok_or_else(malformed)?;
        let bytes = bs58::decode(data).into_vec().map_err(|_| malformed())?;
        let key = match kind {
            "secp256k1" => Self::Secp256k1(bytes.try_into().map_err(|_| malformed())?),
            "ed25519" => Self::Ed25519(bytes.try_into().map_err(|_| malformed())?),
            _ => return Err(malformed()),
        };
        let is_point = match &key {
            Self::Secp256k1(bytes) => secp256k1_point(bytes).is_some(),
            Self::Ed25519(bytes) => edwards_point(bytes).is_some(),
        };
        if is_point {
            Ok(key)
        } else {
            Err(malformed())
        }
    }

    /// The text that `parse` reads.
    pub fn to_text(&self) -> String {
        match self {
            Self::Secp256k1(bytes) => format!("secp256k1:{}", bs58::encode(bytes).into_string()),
            Self::Ed25519(bytes) => format!("ed25519:{}", bs58::encode(bytes).into_string()),
        }
    }

    /// The curve it lies on.
    pub fn curve(&self) -> Curve {
        match self {
            Self::Secp256k1(_) => Curve::Secp256k1,
            Self::Ed25519(_) => Curve::Edwards25519,
        }
    }

    /// Root key + tweak · generator. A tweak at or above the order of secp256k1 is refused, never reduced.
    pub fn derive(&self, tweak: &[u8; 32]) -> Result<Self, Refusal> {
        let not_on_curve = || Refusal::new("The tweak gives no key on this curve; choose another path.");
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
        }
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
