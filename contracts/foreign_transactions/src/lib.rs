//! Transactions of other chains, built inside a contract: bytes in, bytes out.
//!
//! `evm`, `bitcoin` and `solana` each give what is to be signed and, with the signatures, what is to be sent; addresses
//! are read and checked where they come in. The bytes are those of the Python adapters, which tests compare.
//!
//! Nothing here hashes by itself: a contract passes the host's functions (`Hashing`), which cost a tenth of what the
//! same hash costs in wasm.

pub mod bitcoin;
pub mod evm;
pub mod solana;
mod text;

/// What was given is no such thing; the text says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub String);

impl Invalid {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The hash functions of whoever calls.
pub trait Hashing {
    fn keccak256(data: &[u8]) -> [u8; 32];
    fn sha256(data: &[u8]) -> [u8; 32];
    fn ripemd160(data: &[u8]) -> [u8; 20];
}

/// A signature on secp256k1: `s` is low, `is_odd` tells the parity of the nonce point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcdsaSignature {
    pub r: [u8; 32],
    pub s: [u8; 32],
    pub is_odd: bool,
}
