//! Contracts: NEAR's VM over the chunk overlay, and the tables that price it.

mod error;
mod parameters;

pub use error::Error;
pub use parameters::{protocol_config_view_json, protocol_features, runtime_config, runtime_config_json};
