//! A counter that asks other counters, and that signs for other chains.

use near_sdk::serde_json::json;
use near_sdk::{env, ext_contract, log, near, require, AccountId, Gas, NearToken, Promise, PromiseError};

const STEP_MAX: u64 = 100;

#[near(contract_state)]
#[derive(Default)]
pub struct Counter {
    count: u64,
}

#[ext_contract(other_counter)]
pub trait OtherCounter {
    fn get(&self) -> u64;
}

#[near]
impl Counter {
    /// Storage, JSON, an event, and a case that fails.
    pub fn increment(&mut self, by: Option<u64>) -> u64 {
        let by = by.unwrap_or(1);
        require!(by <= STEP_MAX, "by is at most 100");
        self.count += by;
        let event = json!({
            "standard": "counter",
            "version": "1.0.0",
            "event": "increment",
            "data": [{ "by": by, "count": self.count }],
        });
        log!("EVENT_JSON:{}", event);
        self.count
    }

    pub fn get(&self) -> u64 {
        self.count
    }

    /// A call of another contract, and a callback that adds what it answers.
    pub fn add_from(&self, other: AccountId) -> Promise {
        other_counter::ext(other).with_static_gas(Gas::from_tgas(10)).get().then(
            Self::ext(env::current_account_id()).with_static_gas(Gas::from_tgas(10)).on_answer(),
        )
    }

    #[private]
    pub fn on_answer(&mut self, #[callback_result] answer: Result<u64, PromiseError>) -> u64 {
        let answer = answer.unwrap_or_else(|_| env::panic_str("the other contract did not answer"));
        self.count += answer;
        self.count
    }

    /// A signature for another chain, under a key of this contract's own. Whoever may ask for it has what is there.
    pub fn sign(&self, signer: AccountId, path: String, payload: String) -> Promise {
        let is_own = env::predecessor_account_id() == env::current_account_id();
        require!(is_own, "only the contract's own account may ask for a signature");
        let request = json!({ "path": path, "payload_v2": { "Ecdsa": payload }, "domain_id": 0 });
        Promise::new(signer).function_call(
            "sign".to_string(),
            json!({ "request": request }).to_string().into_bytes(),
            NearToken::from_yoctonear(1),
            Gas::from_tgas(50),
        )
    }
}
