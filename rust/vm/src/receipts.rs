//! The receipts that one contract call makes (nearcore's `receipt_manager.rs`).

use near_primitives_core::hash::CryptoHash;
use near_primitives_core::types::{AccountId, Gas, GasWeight};
use near_vm_runner::logic::HostError;

use crate::actions::{Action, DeterministicStateInit, FunctionCall};
use crate::error::Error;

/// A receipt to make: everything but the parts it shares with the receipt being executed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewReceipt {
    pub receiver_id: AccountId,
    pub refund_to: Option<AccountId>,
    pub output_data_receivers: Vec<(CryptoHash, AccountId)>,
    pub input_data_ids: Vec<CryptoHash>,
    pub actions: Vec<Action>,
    pub is_promise_yield: bool,
}

impl NewReceipt {
    /// Borsh of the list of actions.
    pub fn encoded_actions(&self) -> Vec<u8> {
        borsh::to_vec(&self.actions).expect("writing to memory does not fail")
    }
}

/// The answer to a yield.
#[derive(Clone, Debug, PartialEq)]
pub struct NewData {
    pub data_id: CryptoHash,
    pub data: Vec<u8>,
}

struct Weighted {
    receipt: usize,
    action: usize,
    weight: GasWeight,
}

#[derive(Default)]
pub(crate) struct Receipts {
    pub receipts: Vec<NewReceipt>,
    pub data: Vec<NewData>,
    weights: Vec<Weighted>,
}

impl Receipts {
    /// The VM hands over indices it got from here, so a wrong one is a broken VM.
    pub fn get(&self, index: u64) -> &NewReceipt {
        &self.receipts[index as usize]
    }

    pub fn get_mut(&mut self, index: u64) -> &mut NewReceipt {
        &mut self.receipts[index as usize]
    }

    /// A receipt that waits for those of `dependencies`, each of which sends it one of `data_ids`.
    pub fn create(
        &mut self,
        data_ids: Vec<CryptoHash>,
        dependencies: &[u64],
        receiver_id: AccountId,
    ) -> Result<u64, HostError> {
        for (data_id, &receipt_index) in data_ids.iter().zip(dependencies) {
            self.receipts
                .get_mut(receipt_index as usize)
                .ok_or(HostError::InvalidReceiptIndex { receipt_index })?
                .output_data_receivers
                .push((*data_id, receiver_id.clone()));
        }
        Ok(self.push(receiver_id, data_ids, false))
    }

    /// A receipt that waits for data sent by a later `promise_yield_resume`.
    pub fn create_yield(&mut self, data_id: CryptoHash, receiver_id: AccountId) -> u64 {
        self.push(receiver_id, vec![data_id], true)
    }

    fn push(
        &mut self,
        receiver_id: AccountId,
        input_data_ids: Vec<CryptoHash>,
        is_promise_yield: bool,
    ) -> u64 {
        self.receipts.push(NewReceipt {
            receiver_id,
            refund_to: None,
            output_data_receivers: Vec::new(),
            input_data_ids,
            actions: Vec::new(),
            is_promise_yield,
        });
        self.receipts.len() as u64 - 1
    }

    pub fn append(&mut self, index: u64, action: Action) -> u64 {
        let actions = &mut self.get_mut(index).actions;
        actions.push(action);
        actions.len() as u64 - 1
    }

    pub fn append_function_call(&mut self, index: u64, call: FunctionCall, weight: GasWeight) {
        let action = self.append(index, Action::FunctionCall(call));
        if weight.0 > 0 {
            self.weights.push(Weighted { receipt: index as usize, action: action as usize, weight });
        }
    }

    /// Add an entry to a state init; a key that is there already is an error, after it was replaced.
    pub fn set_state_init_entry(
        &mut self,
        receipt_index: u64,
        action_index: u64,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> Result<(), HostError> {
        match self.get_mut(receipt_index).actions.get_mut(action_index as usize) {
            Some(Action::DeterministicStateInit { state_init, .. }) => {
                let DeterministicStateInit::V1 { data, .. } = state_init;
                match data.insert(key, value) {
                    Some(_) => Err(HostError::DataEntryAlreadyExists),
                    None => Ok(()),
                }
            }
            _ => Err(HostError::InvalidActionIndex { receipt_index, action_index }),
        }
    }

    /// Spread unused gas over the calls with a weight: each gets its floor share, the last
    /// one the remainder too. Returns what was spread: all, or nothing without weights.
    pub fn distribute_gas(&mut self, unused: Gas) -> Result<Gas, Error> {
        let unused = unused.as_gas();
        let weight_sum: u128 = self.weights.iter().map(|entry| u128::from(entry.weight.0)).sum();
        let Some(last) = self.weights.len().checked_sub(1).filter(|_| unused > 0) else {
            return Ok(Gas::ZERO);
        };
        let mut remaining = unused;
        for (position, entry) in self.weights.iter().enumerate() {
            let share = u128::from(unused) * u128::from(entry.weight.0) / weight_sum;
            let mut share = u64::try_from(share).expect("a share is no more than the whole");
            if position == last {
                share = remaining;
            }
            remaining -= share;
            let Action::FunctionCall(call) = &mut self.receipts[entry.receipt].actions[entry.action] else {
                unreachable!("weights belong to function calls");
            };
            call.gas = call
                .gas
                .checked_add(Gas::from_gas(share))
                .ok_or_else(|| Error::Vm("gas of a function call overflows".into()))?;
        }
        Ok(Gas::from_gas(unused))
    }
}

#[cfg(test)]
mod tests {
    use near_primitives_core::types::Balance;

    use super::*;

    fn call(gas: u64) -> FunctionCall {
        FunctionCall {
            method_name: "m".into(),
            args: vec![],
            gas: Gas::from_gas(gas),
            deposit: Balance::ZERO,
        }
    }

    /// Gas of each call after spreading `unused`; input is (own gas, weight).
    fn spread(calls: &[(u64, u64)], unused: u64) -> Vec<u64> {
        let mut receipts = Receipts::default();
        for (gas, weight) in calls {
            let index = receipts.create(vec![], &[], "bob.near".parse().unwrap()).unwrap();
            receipts.append_function_call(index, call(*gas), GasWeight(*weight));
        }
        receipts.distribute_gas(Gas::from_gas(unused)).unwrap();
        let gas = |receipt: &NewReceipt| match &receipt.actions[0] {
            Action::FunctionCall(call) => call.gas.as_gas(),
            _ => unreachable!(),
        };
        receipts.receipts.iter().map(gas).collect()
    }

    #[test]
    fn gas_is_spread_by_weight_and_the_last_gets_the_remainder() {
        assert_eq!(spread(&[(0, 1)], 10), [10]);
        assert_eq!(spread(&[(5, 0), (5, 0)], 10), [5, 5]);
        assert_eq!(spread(&[(0, 1), (0, 1), (7, 1)], 10), [3, 3, 11]);
        assert_eq!(spread(&[(1, 3), (0, 0), (0, 1)], 10), [8, 0, 3]);
        assert_eq!(spread(&[(0, u64::MAX), (0, 1)], 10), [9, 1]);
        assert_eq!(spread(&[(4, 9)], 0), [4]);
    }

    #[test]
    fn the_last_with_a_weight_gets_the_remainder_not_the_last_call() {
        assert_eq!(spread(&[(0, 1), (0, 2), (6, 0)], 10), [3, 7, 6]);
    }

    #[test]
    fn overflow_is_an_error_of_the_node() {
        let mut receipts = Receipts::default();
        let index = receipts.create(vec![], &[], "bob.near".parse().unwrap()).unwrap();
        receipts.append_function_call(index, call(u64::MAX), GasWeight(1));
        assert!(receipts.distribute_gas(Gas::from_gas(1)).is_err());
    }
}
