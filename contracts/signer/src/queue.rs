//! Waiting requests: equal ones share a queue, and an answer serves all of it.

use near_sdk::borsh::BorshSerialize;
use near_sdk::serde::{de::DeserializeOwned, Serialize};
use near_sdk::serde_json;
use near_sdk::{env, near, CryptoHash, Gas, GasWeight, PromiseIndex};

use crate::errors::{unwrap_or_panic, Refusal};
use crate::refusals::Refused;
use crate::tables::Records;

/// How many equal requests one answer serves.
pub const EQUAL_REQUESTS_MAX: usize = 128;
const DATA_ID_REGISTER: u64 = 0;
/// Of an answer: a foreign transaction's is the longest, well below this.
const ANSWER_BYTES_MAX: usize = 4096;

/// What a waiting request's view answers.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YieldIndex {
    pub data_id: CryptoHash,
}

/// The yields that wait for an answer to each request, oldest first. Nodes read these records from the state: their
/// key is the map's prefix and the request.
pub type Queue<K> = Records<K, Vec<YieldIndex>>;

/// JSON of what always has one.
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| env::panic_str("this value has a JSON form"))
}

/// Suspend the caller until the request is answered.
pub fn wait<K>(queue: &mut Queue<K>, request: &K, callback: &str, callback_gas: Gas) -> PromiseIndex
where
    K: BorshSerialize + Serialize,
{
    let mut waiting = queue.get(request).unwrap_or_default();
    if waiting.len() >= EQUAL_REQUESTS_MAX {
        env::panic_str(&Refusal::PendingRequestQueueFull { limit: EQUAL_REQUESTS_MAX }.to_string());
    }
    let arguments = to_json(&(request,));
    let promise =
        env::promise_yield_create(callback, &arguments, callback_gas, GasWeight(0), DATA_ID_REGISTER);
    let data_id = env::read_register(DATA_ID_REGISTER)
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_else(|| env::panic_str("the yield has no data id"));
    waiting.push(YieldIndex { data_id });
    queue.insert(request, &waiting);
    promise
}

/// Resume all who wait for this with the same bytes.
pub fn answer<K>(queue: &mut Queue<K>, request: &K, bytes: &[u8]) -> Result<(), Refusal>
where
    K: BorshSerialize,
{
    let waiting = queue.take(request).ok_or(Refusal::RequestNotFound)?;
    for index in waiting {
        // One that lapsed in this very block is answered by its time-out.
        env::promise_yield_resume(&index.data_id, bytes);
    }
    Ok(())
}

/// The first of those who wait.
pub fn first<K>(queue: &Queue<K>, request: &K) -> Option<YieldIndex>
where
    K: BorshSerialize,
{
    queue.get(request).and_then(|waiting| waiting.first().cloned())
}

/// Forget the oldest: equal requests time out in the order in which they came. True when none is left.
pub fn drop_oldest<K>(queue: &mut Queue<K>, request: &K) -> bool
where
    K: BorshSerialize,
{
    let Some(mut waiting) = queue.take(request) else {
        return true;
    };
    waiting.remove(0);
    let is_empty = waiting.is_empty();
    if !is_empty {
        queue.insert(request, &waiting);
    }
    is_empty
}

/// What the yield was resumed with: an answer, or None where nobody answered in time. Fails where it was refused.
pub fn read_answer<T: DeserializeOwned>() -> Option<T> {
    let bytes = env::promise_result_checked(0, ANSWER_BYTES_MAX).ok()?;
    if let Ok(Refused { refused }) = serde_json::from_slice(&bytes) {
        unwrap_or_panic::<()>(Err(Refusal::Refused { reason: refused }));
    }
    serde_json::from_slice(&bytes).ok()
}
