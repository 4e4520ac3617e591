//! From a root key to the key of an account and path.
//!
//! The tweak is SHA3-256 of a fixed prefix, the predecessor, a comma and the path. It is a scalar that is added to the
//! root key, so that whoever knows the root public key knows every derived one.

use sha3::{Digest, Sha3_256};

use crate::group::{Ed25519, Group, Secp256k1};

const PREFIX: &str = "near-mpc-recovery v0.1.0 epsilon derivation:";

const APP_ID_PREFIX: &str = "near-mpc v0.1.0 app_id derivation:";

/// The 32 bytes that the contract stores with a request.
pub fn compute_tweak(predecessor_id: &str, path: &str) -> [u8; 32] {
    Sha3_256::digest(format!("{PREFIX}{predecessor_id},{path}")).into()
}

/// Whose confidential key a request is about.
pub fn compute_app_id(predecessor_id: &str, path: &str) -> [u8; 32] {
    Sha3_256::digest(format!("{APP_ID_PREFIX}{predecessor_id},{path}")).into()
}

/// A tweak as a scalar: big-endian and refused at or above the order on secp256k1.
pub fn tweak_scalar_secp256k1(tweak: &[u8; 32]) -> Option<<Secp256k1 as Group>::Scalar> {
    Secp256k1::decode_scalar(tweak)
}

/// A tweak as a scalar: little-endian and reduced on ed25519.
pub fn tweak_scalar_ed25519(tweak: &[u8; 32]) -> <Ed25519 as Group>::Scalar {
    curve25519_dalek::Scalar::from_bytes_mod_order(*tweak)
}
