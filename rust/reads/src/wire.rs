//! What is asked and answered, as borsh.

use borsh::{BorshDeserialize, BorshSerialize};
use hither_state::{Hash, Pair};
use hither_vm::{Call, CallOutcome, Failure, ReturnData};

pub type BlockHash = [u8; 32];

/// The state of a shard after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct StateName {
    pub block: BlockHash,
    pub shard_index: u16,
}

/// A message holds some of these, and its answer as many `Answer`s, in their order.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(crate) struct Request {
    pub state: StateName,
    pub question: Question,
}

#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(crate) enum Question {
    Root,
    Get { key: Vec<u8> },
    Scan { prefix: Vec<u8>, after: Option<Vec<u8>>, limit: Option<u64> },
    Prove { prefix: Vec<u8> },
    View { call: Box<Call>, interrupt_after_ms: Option<u64> },
}

#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(crate) enum Answer {
    Root(Hash),
    Value(Option<Vec<u8>>),
    Pairs(Vec<Pair>),
    Nodes(Vec<Vec<u8>>),
    Outcome(ViewOutcome),
    Gone,
    InvalidInput(String),
    Failed(String),
}

/// A `CallOutcome` of a view: it makes no receipts, and nobody asks for its profile.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub(crate) struct ViewOutcome {
    gas_burnt: u64,
    gas_used: u64,
    compute_usage: u64,
    balance: u128,
    storage_usage: u64,
    logs: Vec<String>,
    value: Option<Vec<u8>>,
    failure: Option<(String, String)>,
}

impl From<CallOutcome> for ViewOutcome {
    fn from(outcome: CallOutcome) -> Self {
        ViewOutcome {
            gas_burnt: outcome.gas_burnt,
            gas_used: outcome.gas_used,
            compute_usage: outcome.compute_usage,
            balance: outcome.balance,
            storage_usage: outcome.storage_usage,
            logs: outcome.logs,
            value: match outcome.return_value {
                ReturnData::Value(value) => Some(value),
                ReturnData::ReceiptIndex(_) | ReturnData::None => None,
            },
            failure: outcome.failure.map(|failure| (failure.json, failure.debug)),
        }
    }
}

impl From<ViewOutcome> for CallOutcome {
    fn from(outcome: ViewOutcome) -> Self {
        CallOutcome {
            gas_burnt: outcome.gas_burnt,
            gas_used: outcome.gas_used,
            compute_usage: outcome.compute_usage,
            balance: outcome.balance,
            storage_usage: outcome.storage_usage,
            logs: outcome.logs,
            return_value: outcome.value.map_or(ReturnData::None, ReturnData::Value),
            failure: outcome.failure.map(|(json, debug)| Failure { json, debug }),
            profile: Vec::new(),
            subsidized_amount: 0,
            receipts: Vec::new(),
            data_receipts: Vec::new(),
        }
    }
}
