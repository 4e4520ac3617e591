//! Checking and counting the bytes of a universal state init (NEAR's `universal_state_init`).

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use near_crypto::PublicKeyHandle;
use near_primitives_core::global_contract::GlobalContractIdentifier;
use near_primitives_core::universal_state_init::{
    DecodeMode, RawStateInit, StateInitError, UniversalStateInitCounts,
};

/// The smallest forms: the fixed part before the entries (variant, no code, map length), an
/// entry (two lengths), a key (tag and 32 bytes).
const FIXED_SIZE: u64 = 6;
const ENTRY_SIZE_MIN: u64 = 8;
const KEY_SET_LENGTH_SIZE: u64 = 4;
const KEY_SIZE_MIN: u64 = 33;

#[derive(BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
enum UniversalStateInit {
    V1 {
        code: Option<GlobalContractIdentifier>,
        data: BTreeMap<Vec<u8>, Vec<u8>>,
        access_keys: BTreeSet<PublicKeyHandle>,
    } = 0,
}

fn decode(raw: &RawStateInit) -> Result<UniversalStateInit, StateInitError> {
    borsh::from_slice(&raw.0).map_err(|_| StateInitError::Malformed)
}

/// Decode, and accept only the bytes that encoding gives again.
fn decode_canonical(raw: &RawStateInit) -> Result<UniversalStateInit, StateInitError> {
    let decoded = decode(raw)?;
    match borsh::to_vec(&decoded) {
        Ok(bytes) if bytes == raw.0 => Ok(decoded),
        _ => Err(StateInitError::NonCanonical),
    }
}

pub(crate) fn check(raw: &RawStateInit) -> Result<(), StateInitError> {
    decode_canonical(raw).map(|_| ())
}

/// What a contract is charged for sending: the real counts, else (strict) the most that
/// so many bytes could hold, or (lenient) none.
pub(crate) fn send_counts(raw: &RawStateInit, mode: DecodeMode) -> UniversalStateInitCounts {
    let num_bytes = raw.0.len() as u64;
    let decoded = match mode {
        DecodeMode::Lenient => decode(raw),
        DecodeMode::Strict => decode_canonical(raw),
    };
    match (decoded, mode) {
        (Ok(UniversalStateInit::V1 { data, access_keys, .. }), _) => UniversalStateInitCounts {
            num_bytes,
            num_entries: data.len() as u64,
            num_keys: access_keys.len() as u64,
        },
        (Err(_), DecodeMode::Lenient) => UniversalStateInitCounts { num_bytes, num_entries: 0, num_keys: 0 },
        (Err(_), DecodeMode::Strict) => UniversalStateInitCounts {
            num_bytes,
            num_entries: num_bytes.saturating_sub(FIXED_SIZE).div_ceil(ENTRY_SIZE_MIN),
            num_keys: num_bytes.saturating_sub(FIXED_SIZE + KEY_SET_LENGTH_SIZE).div_ceil(KEY_SIZE_MIN),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bytes: &[u8], mode: DecodeMode) -> (u64, u64, u64) {
        let counts = send_counts(&RawStateInit(bytes.to_vec()), mode);
        (counts.num_bytes, counts.num_entries, counts.num_keys)
    }

    /// No code; entries "b" → "" and "a" → "" in this (wrong) order; one ed25519 key.
    fn unsorted() -> Vec<u8> {
        let mut bytes = vec![0, 0, 2, 0, 0, 0];
        for key in *b"ba" {
            bytes.extend([1, 0, 0, 0, key, 0, 0, 0, 0]);
        }
        bytes.extend([1, 0, 0, 0, 0]);
        bytes.extend([7; 32]);
        bytes
    }

    #[test]
    fn canonical_bytes_are_counted_as_they_are() {
        let mut bytes = unsorted();
        (bytes[10], bytes[19]) = (b'a', b'b');
        assert_eq!(check(&RawStateInit(bytes.clone())), Ok(()));
        assert_eq!(counts(&bytes, DecodeMode::Strict), (61, 2, 1));
        assert_eq!(counts(&bytes, DecodeMode::Lenient), (61, 2, 1));
    }

    #[test]
    fn other_encodings_of_the_same_are_charged_as_the_worst() {
        let bytes = unsorted();
        assert_eq!(check(&RawStateInit(bytes.clone())), Err(StateInitError::NonCanonical));
        assert_eq!(counts(&bytes, DecodeMode::Strict), (61, 7, 2));
        assert_eq!(counts(&bytes, DecodeMode::Lenient), (61, 2, 1));
    }

    #[test]
    fn garbage_is_malformed() {
        for bytes in [&[][..], &[0], &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0; 11]] {
            assert_eq!(check(&RawStateInit(bytes.to_vec())), Err(StateInitError::Malformed));
        }
        assert_eq!(counts(&[0; 11], DecodeMode::Strict), (11, 1, 1));
        assert_eq!(counts(&[0; 11], DecodeMode::Lenient), (11, 0, 0));
    }
}
