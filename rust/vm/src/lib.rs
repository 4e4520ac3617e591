//! Contracts: NEAR's VM over the chunk overlay, and the tables that price it.
//!
//! * [`Vm`] runs a [`Call`] and gives a [`CallOutcome`]; storage is `hither_state`'s overlay.
//! * [`runtime_config_json`] hands over NEAR's fees, limits and switches.
//!
//! Fees, gas counting and host functions are `near-vm-runner`'s. Here are the rules around it:
//! what a storage access costs, which receipts come of a call, how errors and profiles look.

mod actions;
mod call;
mod error;
mod external;
mod growth;
mod memory;
mod outcome;
mod parameters;
mod receipts;
mod state_init;
mod trie_keys;
mod vm;

pub use call::{decode_account_contract, Call, PromiseInput};
pub use error::Error;
pub use near_primitives_core::hash::CryptoHash;
pub use near_primitives_core::types::{AccountId, Balance, Gas};
pub use near_vm_runner::logic::ReturnData;
pub use outcome::{CallOutcome, Failure, ProfileEntry};
pub use parameters::{protocol_config_view_json, protocol_features, runtime_config, runtime_config_json};
pub use receipts::{NewData, NewReceipt};
pub use vm::Vm;
