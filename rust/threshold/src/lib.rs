//! Threshold signatures: n participants hold shares of a key, t of them sign, fewer learn nothing.
//!
//! Every protocol is a [`protocol::Protocol`]: poked, given messages, it hands out messages and at last
//! a result. Transport, storage, time and retries are the caller's.

pub mod cait_sith;
pub mod ckd;
pub mod derivation;
pub mod ecdsa;
pub mod encoding;
pub mod frost;
pub mod group;
pub mod keygen;
pub mod local;
pub mod polynomial;
pub mod protocol;
pub mod robust;
pub mod run;

#[cfg(test)]
mod tests;
