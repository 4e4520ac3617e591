//! Hashes, keys, signatures and verifiable randomness, exactly as NEAR's own node computes them.
//!
//! Keys and signatures are (kind, raw bytes): kind 0 ed25519, 1 secp256k1, 2 ML-DSA-65. Verification is
//! `near_crypto`'s, so that no signature is taken or refused that NEAR judges otherwise: ed25519 is
//! checked without the strict rules and never in batches.

use ed25519_dalek::SigningKey;
use near_crypto::key_conversion::{convert_public_key, convert_secret_key, is_valid_staking_key};
use near_crypto::{
    ml_dsa_65_from_seed, vrf, ED25519PublicKey, ED25519SecretKey, KeyType, PublicKey, Secp256K1Signature,
    SecretKey, Signature,
};
use rayon::prelude::*;
use reed_solomon_erasure::galois_8::ReedSolomon;
use sha2::{Digest, Sha256};
use sha3::{Keccak256, Sha3_256};
use std::str::FromStr;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CryptoError {
    #[error("{0} is not a kind of key")]
    UnknownKind(u8),
    #[error("these are not the bytes of a {0}")]
    Malformed(&'static str),
    #[error("this kind of key signs messages of 32 bytes, not {0}")]
    MessageLength(usize),
}

type Result<T> = std::result::Result<T, CryptoError>;

pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

pub fn keccak256(data: &[u8]) -> [u8; 32] {
    Keccak256::digest(data).into()
}

pub fn sha3_256(data: &[u8]) -> [u8; 32] {
    Sha3_256::digest(data).into()
}

/// The Merkle root over the parts into which a chunk's bytes are cut for distribution.
///
/// The bytes are filled up with zeros to `data_parts` equal parts, `total_parts - data_parts` parity parts
/// are added; a leaf is the hash of a part's length and bytes.
pub fn compute_parts_root(data: &[u8], data_parts: usize, total_parts: usize) -> Result<[u8; 32]> {
    let code = ReedSolomon::new(data_parts, total_parts.saturating_sub(data_parts))
        .map_err(|_| CryptoError::Malformed("number of parts"))?;
    let part_length = data.len().div_ceil(data_parts);
    if part_length == 0 {
        return Err(CryptoError::Malformed("chunk"));
    }
    let mut parts: Vec<Vec<u8>> = data.chunks(part_length).map(<[u8]>::to_vec).collect();
    parts.resize(total_parts, Vec::new());
    for part in &mut parts {
        part.resize(part_length, 0);
    }
    code.encode(&mut parts).map_err(|_| CryptoError::Malformed("chunk"))?;
    let mut level: Vec<[u8; 32]> = parts
        .iter()
        .map(|part| {
            let length = u32::try_from(part_length).expect("a chunk has less than 4 GB");
            Sha256::new().chain_update(length.to_le_bytes()).chain_update(part).finalize().into()
        })
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| if pair.len() == 2 { sha256(&pair.concat()) } else { pair[0] })
            .collect();
    }
    Ok(level[0])
}

fn key_type(kind: u8) -> Result<KeyType> {
    KeyType::try_from(kind).map_err(|_| CryptoError::UnknownKind(kind))
}

fn public_key(kind: u8, key: &[u8]) -> Result<PublicKey> {
    let malformed = |_| CryptoError::Malformed("public key");
    Ok(match key_type(kind)? {
        KeyType::ED25519 => PublicKey::ED25519(key.try_into().map_err(malformed)?),
        KeyType::SECP256K1 => PublicKey::SECP256K1(key.try_into().map_err(malformed)?),
        KeyType::MLDSA65 => PublicKey::MLDSA65(key.try_into().map_err(malformed)?),
    })
}

fn signing_key(secret: &[u8]) -> Result<SigningKey> {
    let pair: &[u8; 64] = secret.try_into().map_err(|_| CryptoError::Malformed("secret key"))?;
    SigningKey::from_keypair_bytes(pair).map_err(|_| CryptoError::Malformed("secret key"))
}

fn secret_key(kind: u8, secret: &[u8]) -> Result<SecretKey> {
    // `near_crypto` checks raw secrets only where it reads their text form.
    let malformed = |_| CryptoError::Malformed("secret key");
    Ok(match key_type(kind)? {
        KeyType::ED25519 => SecretKey::ED25519(ED25519SecretKey(signing_key(secret)?.to_keypair_bytes())),
        kind @ (KeyType::SECP256K1 | KeyType::MLDSA65) => {
            let text = format!("{kind}:{}", bs58::encode(secret).into_string());
            SecretKey::from_str(&text).map_err(malformed)?
        }
    })
}

/// The raw secret key that a 32-byte seed gives: an ed25519 seed, a secp256k1 scalar, an ML-DSA-65 seed.
pub fn secret_from_seed(kind: u8, seed: &[u8]) -> Result<Vec<u8>> {
    let seed: &[u8; 32] = seed.try_into().map_err(|_| CryptoError::Malformed("seed"))?;
    Ok(match key_type(kind)? {
        KeyType::ED25519 => SigningKey::from_bytes(seed).to_keypair_bytes().to_vec(),
        KeyType::SECP256K1 => {
            secret_key(kind, seed)?;
            seed.to_vec()
        }
        KeyType::MLDSA65 => {
            let secret = ml_dsa_65_from_seed(seed).map_err(|_| CryptoError::Malformed("seed"))?;
            match secret {
                SecretKey::MLDSA65(secret) => secret.0.to_vec(),
                _ => unreachable!("the seed of one kind gives a key of that kind"),
            }
        }
    })
}

pub fn public_key_from_secret(kind: u8, secret: &[u8]) -> Result<Vec<u8>> {
    Ok(secret_key(kind, secret)?.public_key().key_data().to_vec())
}

pub fn sign(kind: u8, secret: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    let secret = secret_key(kind, secret)?;
    if matches!(secret, SecretKey::SECP256K1(_)) && message.len() != 32 {
        return Err(CryptoError::MessageLength(message.len()));
    }
    Ok(match secret.sign(message) {
        Signature::ED25519(signature) => signature.to_bytes().to_vec(),
        Signature::SECP256K1(signature) => <[u8; 65]>::from(signature).to_vec(),
        Signature::MLDSA65(signature) => signature.0.to_vec(),
    })
}

/// Whether the signature is good. Bytes of a wrong length, and keys that are no point, are not good.
pub fn verify(kind: u8, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key_type), Ok(key)) = (key_type(kind), public_key(kind, key)) else {
        return false;
    };
    match Signature::from_parts(key_type, signature) {
        Ok(signature) => signature.verify(message, &key),
        Err(_) => false,
    }
}

/// The secp256k1 key (64 bytes) that made a signature (r, s, recovery id) over a digest; none when there is none.
pub fn recover(digest: &[u8], signature: &[u8]) -> Option<[u8; 64]> {
    let digest = <[u8; 32]>::try_from(digest).ok()?;
    let signature = <[u8; 65]>::try_from(signature).ok()?;
    if signature[64] > 3 {
        return None;
    }
    let key = Secp256K1Signature::from(signature).recover(digest).ok()?;
    key.as_ref().try_into().ok()
}

/// One signature to check.
pub struct Check<B> {
    pub kind: u8,
    pub key: B,
    pub message: B,
    pub signature: B,
}

/// The same for many, on all cores, each by itself.
pub fn verify_many<B: AsRef<[u8]> + Sync>(checks: &[Check<B>]) -> Vec<bool> {
    checks
        .par_iter()
        .with_min_len(8)
        .map(|c| verify(c.kind, c.key.as_ref(), c.message.as_ref(), c.signature.as_ref()))
        .collect()
}

/// Whether a key may be a validator's: ed25519, and good for verifiable randomness.
pub fn is_staking_key(kind: u8, key: &[u8]) -> bool {
    public_key(kind, key).is_ok_and(|key| is_valid_staking_key(&key))
}

/// The verifiable random value (32 bytes) and its proof (64 bytes) of an ed25519 secret key for this input.
pub fn vrf_prove(secret: &[u8], input: &[u8]) -> Result<([u8; 32], [u8; 64])> {
    let secret = ED25519SecretKey(signing_key(secret)?.to_keypair_bytes());
    let (value, proof) = convert_secret_key(&secret).compute_vrf_with_proof(&input);
    Ok((value.0, proof.0))
}

pub fn vrf_verify(key: &[u8], input: &[u8], value: &[u8], proof: &[u8]) -> bool {
    let Ok(key) = ED25519PublicKey::try_from(key) else {
        return false;
    };
    let (Some(key), Ok(value), Ok(proof)) =
        (convert_public_key(&key), value.try_into().map(vrf::Value), proof.try_into().map(vrf::Proof))
    else {
        return false;
    };
    key.is_vrf_valid(&input, &value, &proof)
}
