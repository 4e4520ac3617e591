//! What the contract refuses, in words that tell a caller what to change.
//!
//! The short texts are those that clients of NEAR's signer contract match on.

use near_sdk::env;

/// A refusal: the transaction fails with this text and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

impl Refusal {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The value, or a panic with the refusal's text.
pub fn unwrap_or_panic<T>(result: Result<T, Refusal>) -> T {
    result.unwrap_or_else(|refusal| env::panic_str(&refusal.0))
}

pub const NO_KEYS_YET: &str = "The protocol has no key yet: it is neither Running nor Resharing.";
pub const REQUEST_NOT_FOUND: &str = "This sign request has timed out, was completed, or never existed.";
pub const INVALID_SIGNATURE: &str = "The provided signature is invalid.";
pub const TIMED_OUT: &str = "Request has timed out.";
