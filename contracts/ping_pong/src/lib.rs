//! Calls that go back and forth between two accounts, for tests of receipts between shards.
//!
//! `ping` calls `pong` of the other account, which calls back, until the rounds are used up; then the number
//! of calls made comes back as the value of the first, through every promise in between.

use near_sdk::{env, ext_contract, near, AccountId, Gas, NearToken, PromiseOrValue};

const GAS_KEPT: Gas = Gas::from_tgas(6);
const GAS_OF_CALLBACK: Gas = Gas::from_tgas(3);

/// The same contract on the other account.
#[ext_contract(ext_ping_pong)]
pub trait PingPong {
    fn ping(&mut self, other_id: AccountId, rounds: u32) -> PromiseOrValue<u32>;
    fn fail(&self);
}

/// How often this account was called, and what its callbacks were told.
#[near(contract_state)]
#[derive(Default)]
pub struct Contract {
    calls: u32,
    callbacks: u32,
    failures: u32,
}

#[near]
impl Contract {
    /// Call the other account `rounds` more times; the attached deposit travels along.
    #[payable]
    pub fn ping(&mut self, other_id: AccountId, rounds: u32) -> PromiseOrValue<u32> {
        self.calls += 1;
        env::log_str(&format!("{} rounds to go", rounds));
        if rounds == 0 {
            return PromiseOrValue::Value(1);
        }
        let gas = env::prepaid_gas().saturating_sub(env::used_gas()).saturating_sub(GAS_KEPT);
        ext_ping_pong::ext(other_id)
            .with_attached_deposit(env::attached_deposit())
            .with_static_gas(gas.saturating_sub(GAS_OF_CALLBACK))
            .with_unused_gas_weight(0)
            .ping(env::current_account_id(), rounds - 1)
            .then(
                Self::ext(env::current_account_id())
                    .with_static_gas(GAS_OF_CALLBACK)
                    .with_unused_gas_weight(0)
                    .count_up(),
            )
            .into()
    }

    /// Call the other account's `fail`, and survive it.
    pub fn ping_failure(&mut self, other_id: AccountId) -> PromiseOrValue<u32> {
        ext_ping_pong::ext(other_id)
            .with_attached_deposit(NearToken::from_yoctonear(0))
            .with_static_gas(GAS_OF_CALLBACK)
            .fail()
            .then(Self::ext(env::current_account_id()).with_static_gas(GAS_OF_CALLBACK).count_up())
            .into()
    }

    /// Panics.
    pub fn fail(&self) {
        env::panic_str("asked to fail");
    }

    /// One more than what the other account counted; zero if it failed.
    #[private]
    pub fn count_up(&mut self, #[callback_result] count: Result<u32, near_sdk::PromiseError>) -> u32 {
        self.callbacks += 1;
        match count {
            Ok(count) => count + 1,
            Err(_) => {
                self.failures += 1;
                0
            }
        }
    }

    /// Calls, callbacks and failures seen by this account.
    pub fn counts(&self) -> (u32, u32, u32) {
        (self.calls, self.callbacks, self.failures)
    }
}
