//! State reads and view calls for another process, over connected sockets.
//!
//! The process that has the states runs a [`Desk`] and one thread a socket; the other asks through a [`Client`].
//! A state is named by the block after which it was and the shard's position in blocks. Neither side knows
//! Python: what is not at hand is asked of a closure that the owner gives.

mod client;
mod desk;
mod frames;
#[cfg(test)]
mod tests;
mod wire;

pub use client::Client;
pub use desk::{Desk, Resolve};
pub use wire::{BlockHash, StateName};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The state is not kept, or there is no such block.
    #[error("the state is not kept")]
    Gone,
    /// The caller's mistake.
    #[error("{0}")]
    InvalidInput(String),
    /// The VM failed, or the other process does not answer.
    #[error("{0}")]
    Failed(String),
}
