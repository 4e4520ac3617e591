//! What can go wrong outside a contract.

/// A failure of the caller or of the VM. A contract's own failure is a value in the outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("protocol version {version} is not supported: it must be from {oldest} to {newest}")]
    ProtocolVersion { version: u32, oldest: u32, newest: u32 },
    #[error("{0}")]
    InvalidInput(String),
    #[error("the VM failed: {0}")]
    Vm(String),
}

impl Error {
    pub(crate) fn json(error: serde_json::Error) -> Self {
        Error::Vm(error.to_string())
    }

    /// Whether the caller is to blame rather than the machine.
    pub fn is_invalid_input(&self) -> bool {
        !matches!(self, Error::Vm(_))
    }
}
