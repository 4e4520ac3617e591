//! Giving back the memory of finished calls.
//!
//! The engine hands pages back to the system in batches of 500 regions, so up to that
//! many finished calls keep all that they touched, and a contract may touch 128 MiB for
//! very little gas. The engine is out of reach, but small calls fill its batch as well
//! as large ones: when the process has grown, a few hundred calls of an empty contract
//! (some milliseconds) make it let go. Results do not depend on any of this.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hither_state::Trie;
use near_primitives_core::account::AccountContract;
use near_primitives_core::hash::CryptoHash;
use near_primitives_core::types::{AccountId, Balance, Gas};
use near_vm_runner::ContractRuntimeCache;
use parking_lot::Mutex;

use crate::call::{self, Call};
use crate::error::Error;

/// Growth of the process after which the engine is made to let go.
const GROWTH_BYTES_MAX: u64 = 128 << 20;

/// Time spent in contracts between two looks at the process: too short to touch much.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A call leaves one region or more, so this many fill any batch.
const CALLS_A_BATCH: u32 = 500;
const CALLS_A_STEP: u32 = 50;

/// `(module (memory 1) (func (export "m") (drop (memory.grow (i32.const 0)))))`, and without the growing:
/// at 84 the two run on engines of their own.
const GROWING_CONTRACT: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\
    \x07\x05\x01\x01m\0\0\x0a\x09\x01\x07\0\x41\0\x40\0\x1a\x0b";
const EMPTY_CONTRACT: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\
    \x07\x05\x01\x01m\0\0\x0a\x04\x01\x02\0\x0b";
const CODE_KEY: &[u8] = b"\x01system";

#[derive(Default)]
pub(crate) struct MemoryWatch {
    nanoseconds: AtomicU64,
    /// What the process held after the last time that the engine let go.
    baseline_bytes: Mutex<Option<u64>>,
}

impl MemoryWatch {
    /// Called after each call of a contract with the time that it took.
    pub fn after_call(
        &self,
        took: Duration,
        cache: &dyn ContractRuntimeCache,
        protocol_version: u32,
    ) -> Result<(), Error> {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let spent = self.nanoseconds.fetch_add(took, Ordering::Relaxed).saturating_add(took);
        if u128::from(spent) < LOOK_INTERVAL.as_nanos() {
            return Ok(());
        }
        self.nanoseconds.store(0, Ordering::Relaxed);
        // One thread looks; the others have better things to do.
        let Some(mut baseline) = self.baseline_bytes.try_lock() else {
            return Ok(());
        };
        let Some(now) = resident_bytes() else {
            return Ok(());
        };
        let before = baseline.unwrap_or(now).min(now);
        *baseline = Some(before);
        if now - before > GROWTH_BYTES_MAX {
            release(cache, protocol_version, before)?;
            *baseline = resident_bytes();
        }
        Ok(())
    }
}

fn release(cache: &dyn ContractRuntimeCache, protocol_version: u32, enough: u64) -> Result<(), Error> {
    for code in [EMPTY_CONTRACT, GROWING_CONTRACT] {
        let trie = Trie::new().update(&[(CODE_KEY, Some(code))]);
        let call = call_of(code, protocol_version);
        for count in 0..CALLS_A_BATCH {
            let is_time_to_look = count % CALLS_A_STEP == 0;
            if is_time_to_look && resident_bytes().is_none_or(|now| now <= enough + GROWTH_BYTES_MAX / 2) {
                return Ok(());
            }
            call::view(cache, &trie, &call, None)?;
        }
    }
    Ok(())
}

fn call_of(code: &[u8], protocol_version: u32) -> Call {
    let account_id: AccountId = "system".parse().expect("a valid id");
    let code_hash = CryptoHash::hash_bytes(code);
    Call {
        protocol_version,
        chain_id: String::new(),
        current_account_id: account_id.clone(),
        signer_account_id: account_id.clone(),
        signer_public_key: Vec::new(),
        predecessor_account_id: account_id.clone(),
        refund_to_account_id: account_id,
        method_name: "m".into(),
        args: Vec::new(),
        promise_results: Vec::new(),
        block_height: 0,
        block_timestamp: 0,
        epoch_height: 0,
        account_balance: Balance::ZERO,
        account_locked_balance: Balance::ZERO,
        storage_usage: 0,
        account_contract: AccountContract::Local(code_hash),
        code_hash,
        code_key: Some(CODE_KEY.to_vec()),
        attached_deposit: Balance::ZERO,
        prepaid_gas: Gas::ZERO,
        random_seed: Vec::new(),
        output_data_receivers: Vec::new(),
        action_hash: CryptoHash::default(),
        validators: Vec::new(),
        recorded_size_before_receipt: 0,
        view_gas_limit: Some(Gas::from_teragas(1)),
    }
}

/// What the process holds of memory; None where the system does not say.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use near_vm_runner::NoContractRuntimeCache;

    use super::*;

    #[test]
    fn the_contracts_that_make_room_run() {
        for code in [EMPTY_CONTRACT, GROWING_CONTRACT] {
            let trie = Trie::new().update(&[(CODE_KEY, Some(code))]);
            for version in [84, 88] {
                let outcome = call::view(&NoContractRuntimeCache, &trie, &call_of(code, version), None);
                assert_eq!(outcome.unwrap().failure, None);
            }
        }
    }

    #[test]
    fn the_process_says_what_it_holds() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
