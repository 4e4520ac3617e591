//! The chain as a contract sees it: NEAR's `External` over the overlay of a chunk.
//!
//! Source of the rules: nearcore `runtime/runtime/src/ext.rs`.

use std::time::Instant;

use hither_state::{ChunkState, LookupMode, TrieAccesses, ValueHandle};
use near_crypto::PublicKey;
use near_primitives_core::account::{AccessKey, AccessKeyPermission, FunctionCallPermission};
use near_primitives_core::hash::{CryptoHash, YieldId};
use near_primitives_core::types::{AccountId, Balance, Gas, GasWeight, Nonce, NonceIndex};
use near_primitives_core::universal_state_init::{
    DecodeMode, RawStateInit, StateInitError, UniversalStateInitCounts,
};
use near_vm_runner::logic::errors::AnyError;
use near_vm_runner::logic::types::{GlobalContractDeployMode, GlobalContractIdentifier};
use near_vm_runner::logic::{External, HostError, StorageAccessTracker, VMLogicError, ValuePtr};

use crate::actions::{Action, DeployMode, DeterministicStateInit, FunctionCall};
use crate::receipts::{NewData, Receipts};
use crate::{state_init, trie_keys};

/// Borsh of NEAR's `PromiseYieldStatus`.
const STATUS_YIELDED: &[u8] = &[0];
const STATUS_RESUME_INITIATED: &[u8] = &[1];

type Result<T> = std::result::Result<T, VMLogicError>;

/// Travels through the VM when a view has run out of time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interrupted;

/// What the contract may ask about that is not in the VM's own context.
pub(crate) struct Surroundings<'a> {
    pub account_id: &'a AccountId,
    pub chain_id: &'a str,
    pub action_hash: CryptoHash,
    pub block_height: u64,
    pub validators: &'a [(AccountId, Balance)],
    /// None where the limit counts from the beginning of the call (before 86).
    pub recorded_size_before_receipt: Option<usize>,
    pub has_post_quantum_keys: bool,
    /// A view records no proof and has none to limit.
    pub is_view: bool,
    /// After this a view stops at its next call of the host.
    pub deadline: Option<Instant>,
}

pub(crate) struct CallExternal<'a> {
    state: &'a ChunkState,
    surroundings: Surroundings<'a>,
    pub receipts: Receipts,
    data_ids_made: u64,
}

struct Value<'a> {
    state: &'a ChunkState,
    handle: ValueHandle,
}

impl ValuePtr for Value<'_> {
    fn len(&self) -> u32 {
        self.handle.len()
    }

    fn deref(&self, tracker: &mut dyn StorageAccessTracker) -> Result<Vec<u8>> {
        let (value, accesses) = self.state.deref(&self.handle);
        charge(tracker, accesses)?;
        Ok(value)
    }
}

fn charge(tracker: &mut dyn StorageAccessTracker, accesses: TrieAccesses) -> Result<()> {
    tracker.trie_node_touched(accesses.touched)?;
    tracker.cached_trie_node_access(accesses.cached)
}

fn function_call_permission(
    allowance: Option<Balance>,
    receiver_id: AccountId,
    method_names: Vec<Vec<u8>>,
) -> Result<FunctionCallPermission> {
    let method_names = method_names
        .into_iter()
        .map(|name| String::from_utf8(name).map_err(|_| HostError::InvalidMethodName))
        .collect::<std::result::Result<_, _>>()?;
    Ok(FunctionCallPermission { allowance, receiver_id: receiver_id.into(), method_names })
}

impl<'a> CallExternal<'a> {
    pub fn new(state: &'a ChunkState, surroundings: Surroundings<'a>) -> Self {
        CallExternal { state, surroundings, receipts: Receipts::default(), data_ids_made: 0 }
    }

    fn account_id(&self) -> &'a str {
        self.surroundings.account_id.as_str()
    }

    fn data_key(&self, key: &[u8]) -> Result<Vec<u8>> {
        if self.surroundings.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(VMLogicError::ExternalError(AnyError::new(Interrupted)));
        }
        Ok(trie_keys::contract_data(self.account_id(), key))
    }

    /// The old value of a key that is about to be written: always found through the trie, its
    /// length charged before it is read, the nodes after.
    fn take_old_value(
        &self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
        charge_length: fn(&mut dyn StorageAccessTracker, u64) -> Result<()>,
    ) -> Result<(Option<Vec<u8>>, TrieAccesses)> {
        let (handle, accesses) = self.state.lookup(key, LookupMode::Trie);
        let Some(handle) = handle else {
            return Ok((None, accesses));
        };
        charge_length(tracker, u64::from(handle.len()))?;
        let (value, value_accesses) = self.state.deref(&handle);
        Ok((Some(value), accesses + value_accesses))
    }

    fn add_key(&mut self, receipt_index: u64, public_key: PublicKey, access_key: AccessKey) {
        self.receipts.append(receipt_index, Action::AddKey { public_key, access_key });
    }

    fn create_yield(&mut self, receiver_id: AccountId, data_id: CryptoHash) -> u64 {
        let status_key = trie_keys::promise_yield_status(receiver_id.as_str(), data_id.as_bytes());
        self.state.set(status_key, STATUS_YIELDED);
        self.receipts.create_yield(data_id, receiver_id)
    }
}

impl External for CallExternal<'_> {
    fn storage_set(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let key = self.data_key(key)?;
        let (old, accesses) = self.take_old_value(tracker, &key, |tracker, length| {
            tracker.deref_write_evicted_value_bytes(length)
        })?;
        charge(tracker, accesses)?;
        self.state.set(key, value);
        Ok(old)
    }

    fn storage_get<'b>(
        &'b self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> Result<Option<Box<dyn ValuePtr + 'b>>> {
        let key = self.data_key(key)?;
        let (handle, accesses) = self.state.lookup(&key, LookupMode::Flat);
        charge(tracker, accesses)?;
        Ok(handle.map(|handle| Box::new(Value { state: self.state, handle }) as Box<dyn ValuePtr>))
    }

    fn storage_remove(
        &mut self,
        tracker: &mut dyn StorageAccessTracker,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let key = self.data_key(key)?;
        let (old, accesses) =
            self.take_old_value(tracker, &key, |tracker, length| tracker.deref_removed_value_bytes(length))?;
        self.state.remove(key);
        charge(tracker, accesses)?;
        Ok(old)
    }

    fn storage_has_key(&mut self, tracker: &mut dyn StorageAccessTracker, key: &[u8]) -> Result<bool> {
        let key = self.data_key(key)?;
        let (handle, accesses) = self.state.lookup(&key, LookupMode::Flat);
        charge(tracker, accesses)?;
        Ok(handle.is_some())
    }

    fn generate_data_id(&mut self) -> CryptoHash {
        let mut seed = [0; 48];
        seed[..32].copy_from_slice(self.surroundings.action_hash.as_bytes());
        seed[32..40].copy_from_slice(&self.surroundings.block_height.to_le_bytes());
        seed[40..].copy_from_slice(&self.data_ids_made.to_le_bytes());
        self.data_ids_made += 1;
        CryptoHash::hash_bytes(&seed)
    }

    fn get_recorded_storage_size(&self) -> usize {
        if self.surroundings.is_view {
            0
        } else {
            self.state.recorded_size()
        }
    }

    fn storage_proof_size_before_receipt(&self) -> usize {
        if self.surroundings.is_view {
            return 0;
        }
        self.surroundings.recorded_size_before_receipt.unwrap_or_else(|| self.state.recorded_size())
    }

    fn validator_stake(&self, account_id: &AccountId) -> Result<Option<Balance>> {
        let mut validators = self.surroundings.validators.iter();
        Ok(validators.find(|(validator, _)| validator == account_id).map(|(_, stake)| *stake))
    }

    fn validator_total_stake(&self) -> Result<Balance> {
        let total: u128 = self.surroundings.validators.iter().map(|(_, stake)| stake.as_yoctonear()).sum();
        Ok(Balance::from_yoctonear(total))
    }

    fn chain_id(&self) -> String {
        self.surroundings.chain_id.to_owned()
    }

    fn post_quantum_keys_enabled(&self) -> bool {
        self.surroundings.has_post_quantum_keys
    }

    fn create_action_receipt(&mut self, dependencies: Vec<u64>, receiver_id: AccountId) -> Result<u64> {
        let data_ids = dependencies.iter().map(|_| self.generate_data_id()).collect();
        Ok(self.receipts.create(data_ids, &dependencies, receiver_id)?)
    }

    fn create_promise_yield_receipt(&mut self, receiver_id: AccountId) -> Result<(u64, CryptoHash)> {
        let data_id = self.generate_data_id();
        Ok((self.create_yield(receiver_id, data_id), data_id))
    }

    fn create_promise_yield_receipt_with_id(
        &mut self,
        receiver_id: AccountId,
        yield_id: YieldId,
    ) -> Result<Option<(u64, CryptoHash)>> {
        let account_id = receiver_id.as_str();
        let key = trie_keys::yield_id_to_data_id(account_id, yield_id.as_ref());
        if self.state.has(&key) {
            return Ok(None);
        }
        let data_id = self.generate_data_id();
        self.state.set(key, data_id.as_bytes());
        let back = trie_keys::data_id_to_yield_id(account_id, data_id.as_bytes());
        self.state.set(back, yield_id.as_ref());
        Ok(Some((self.create_yield(receiver_id, data_id), data_id)))
    }

    fn submit_promise_resume_data(&mut self, data_id: CryptoHash, data: Vec<u8>) -> Result<bool> {
        let account_id = self.account_id();
        let status_key = trie_keys::promise_yield_status(account_id, data_id.as_bytes());
        // Both are looked up whatever the first one says: each leaves its nodes in the proof.
        let has_receipt = self.state.has(&trie_keys::promise_yield_receipt(account_id, data_id.as_bytes()));
        let has_status = self.state.has(&status_key);
        let is_pending = has_receipt || has_status;
        if is_pending {
            self.receipts.data.push(NewData { data_id, data });
            self.state.set(status_key, STATUS_RESUME_INITIATED);
        }
        Ok(is_pending)
    }

    fn submit_promise_resume_data_with_yield_id(&mut self, yield_id: YieldId, data: Vec<u8>) -> Result<bool> {
        let key = trie_keys::yield_id_to_data_id(self.account_id(), yield_id.as_ref());
        let Some(data_id) = self.state.get(&key) else {
            return Ok(false);
        };
        let data_id = CryptoHash::try_from(data_id.as_slice()).expect("only data ids are stored there");
        self.submit_promise_resume_data(data_id, data)
    }

    fn append_action_create_account(&mut self, receipt_index: u64) {
        self.receipts.append(receipt_index, Action::CreateAccount);
    }

    fn append_action_deploy_contract(&mut self, receipt_index: u64, code: Vec<u8>) {
        self.receipts.append(receipt_index, Action::DeployContract { code });
    }

    fn append_action_deploy_global_contract(
        &mut self,
        receipt_index: u64,
        code: Vec<u8>,
        mode: GlobalContractDeployMode,
    ) {
        let mode = match mode {
            GlobalContractDeployMode::CodeHash => DeployMode::CodeHash,
            GlobalContractDeployMode::AccountId => DeployMode::AccountId,
        };
        self.receipts.append(receipt_index, Action::DeployGlobalContract { code, mode });
    }

    fn append_action_use_global_contract(&mut self, receipt_index: u64, contract: GlobalContractIdentifier) {
        self.receipts.append(receipt_index, Action::UseGlobalContract { contract: contract.into() });
    }

    fn append_action_deterministic_state_init(
        &mut self,
        receipt_index: u64,
        contract: GlobalContractIdentifier,
        deposit: Balance,
    ) -> u64 {
        let state_init = DeterministicStateInit::V1 { code: contract.into(), data: Default::default() };
        self.receipts.append(receipt_index, Action::DeterministicStateInit { state_init, deposit })
    }

    fn set_deterministic_state_init_data_entry(
        &mut self,
        receipt_index: u64,
        action_index: u64,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> Result<()> {
        Ok(self.receipts.set_state_init_entry(receipt_index, action_index, key, value)?)
    }

    fn check_state_init(&self, state_init: &RawStateInit) -> std::result::Result<(), StateInitError> {
        state_init::check(state_init)
    }

    fn state_init_send_counts(
        &self,
        state_init: &RawStateInit,
        mode: DecodeMode,
    ) -> UniversalStateInitCounts {
        state_init::send_counts(state_init, mode)
    }

    fn append_action_universal_state_init(
        &mut self,
        receipt_index: u64,
        state_init: RawStateInit,
        deposit: Balance,
    ) {
        self.receipts.append(receipt_index, Action::UniversalStateInit { state_init, deposit });
    }

    fn append_action_function_call_weight(
        &mut self,
        receipt_index: u64,
        method_name: Vec<u8>,
        args: Vec<u8>,
        deposit: Balance,
        gas: Gas,
        weight: GasWeight,
    ) -> Result<()> {
        let method_name = String::from_utf8(method_name).map_err(|_| HostError::InvalidMethodName)?;
        let call = FunctionCall { method_name, args, gas, deposit };
        self.receipts.append_function_call(receipt_index, call, weight);
        Ok(())
    }

    fn append_action_transfer(&mut self, receipt_index: u64, deposit: Balance) {
        self.receipts.append(receipt_index, Action::Transfer { deposit });
    }

    fn append_action_transfer_to_gas_key(
        &mut self,
        receipt_index: u64,
        public_key: PublicKey,
        deposit: Balance,
    ) {
        self.receipts.append(receipt_index, Action::TransferToGasKey { public_key, deposit });
    }

    fn append_action_add_gas_key_with_full_access(
        &mut self,
        receipt_index: u64,
        public_key: PublicKey,
        num_nonces: NonceIndex,
    ) {
        self.add_key(receipt_index, public_key, AccessKey::gas_key_full_access(num_nonces));
    }

    fn append_action_add_gas_key_with_function_call(
        &mut self,
        receipt_index: u64,
        public_key: PublicKey,
        num_nonces: NonceIndex,
        allowance: Option<Balance>,
        receiver_id: AccountId,
        method_names: Vec<Vec<u8>>,
    ) -> Result<()> {
        let permission = function_call_permission(allowance, receiver_id, method_names)?;
        self.add_key(receipt_index, public_key, AccessKey::gas_key_function_call(num_nonces, permission));
        Ok(())
    }

    fn append_action_stake(&mut self, receipt_index: u64, stake: Balance, public_key: PublicKey) {
        self.receipts.append(receipt_index, Action::Stake { stake, public_key });
    }

    fn append_action_add_key_with_full_access(
        &mut self,
        receipt_index: u64,
        public_key: PublicKey,
        nonce: Nonce,
    ) {
        let access_key = AccessKey { nonce, permission: AccessKeyPermission::FullAccess };
        self.add_key(receipt_index, public_key, access_key);
    }

    fn append_action_add_key_with_function_call(
        &mut self,
        receipt_index: u64,
        public_key: PublicKey,
        nonce: Nonce,
        allowance: Option<Balance>,
        receiver_id: AccountId,
        method_names: Vec<Vec<u8>>,
    ) -> Result<()> {
        let permission = function_call_permission(allowance, receiver_id, method_names)?;
        let permission = AccessKeyPermission::FunctionCall(permission);
        self.add_key(receipt_index, public_key, AccessKey { nonce, permission });
        Ok(())
    }

    fn append_action_delete_key(&mut self, receipt_index: u64, public_key: PublicKey) {
        self.receipts.append(receipt_index, Action::DeleteKey { public_key });
    }

    fn append_action_delete_account(&mut self, receipt_index: u64, beneficiary_id: AccountId) {
        self.receipts.append(receipt_index, Action::DeleteAccount { beneficiary_id });
    }

    fn get_receipt_receiver(&self, receipt_index: u64) -> &AccountId {
        &self.receipts.get(receipt_index).receiver_id
    }

    fn set_refund_to(&mut self, receipt_index: u64, refund_to: AccountId) {
        self.receipts.get_mut(receipt_index).refund_to = Some(refund_to);
    }
}
