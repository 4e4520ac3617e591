//! The trie keys that a running contract reaches: column, account, comma, rest.

const CONTRACT_DATA: u8 = 9;
const PROMISE_YIELD_RECEIPT: u8 = 12;
const PROMISE_YIELD_STATUS: u8 = 20;
const YIELD_ID_TO_DATA_ID: u8 = 22;
const DATA_ID_TO_YIELD_ID: u8 = 23;
const SEPARATOR: u8 = b',';

fn account_key(column: u8, account_id: &str, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + account_id.len() + rest.len());
    key.push(column);
    key.extend_from_slice(account_id.as_bytes());
    key.push(SEPARATOR);
    key.extend_from_slice(rest);
    key
}

pub(crate) fn contract_data(account_id: &str, key: &[u8]) -> Vec<u8> {
    account_key(CONTRACT_DATA, account_id, key)
}

pub(crate) fn promise_yield_receipt(account_id: &str, data_id: &[u8]) -> Vec<u8> {
    account_key(PROMISE_YIELD_RECEIPT, account_id, data_id)
}

pub(crate) fn promise_yield_status(account_id: &str, data_id: &[u8]) -> Vec<u8> {
    account_key(PROMISE_YIELD_STATUS, account_id, data_id)
}

pub(crate) fn yield_id_to_data_id(account_id: &str, yield_id: &[u8]) -> Vec<u8> {
    account_key(YIELD_ID_TO_DATA_ID, account_id, yield_id)
}

pub(crate) fn data_id_to_yield_id(account_id: &str, data_id: &[u8]) -> Vec<u8> {
    account_key(DATA_ID_TO_YIELD_ID, account_id, data_id)
}
