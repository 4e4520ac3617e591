//! Actions that contracts make, in NEAR's borsh form.
//!
//! The tags are those of NEAR's `Action`; the tags a contract cannot make (8 delegate,
//! 13 withdraw from gas key, 14 delegate version 2) are absent.

use std::collections::BTreeMap;

use borsh::BorshSerialize;
use near_crypto::PublicKey;
use near_primitives_core::account::AccessKey;
use near_primitives_core::global_contract::GlobalContractIdentifier;
use near_primitives_core::types::{AccountId, Balance, Gas};
use near_primitives_core::universal_state_init::RawStateInit;

#[derive(BorshSerialize, Clone, Debug, PartialEq)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Action {
    CreateAccount = 0,
    DeployContract { code: Vec<u8> } = 1,
    FunctionCall(FunctionCall) = 2,
    Transfer { deposit: Balance } = 3,
    Stake { stake: Balance, public_key: PublicKey } = 4,
    AddKey { public_key: PublicKey, access_key: AccessKey } = 5,
    DeleteKey { public_key: PublicKey } = 6,
    DeleteAccount { beneficiary_id: AccountId } = 7,
    DeployGlobalContract { code: Vec<u8>, mode: DeployMode } = 9,
    UseGlobalContract { contract: GlobalContractIdentifier } = 10,
    DeterministicStateInit { state_init: DeterministicStateInit, deposit: Balance } = 11,
    TransferToGasKey { public_key: PublicKey, deposit: Balance } = 12,
    UniversalStateInit { state_init: RawStateInit, deposit: Balance } = 15,
}

#[derive(BorshSerialize, Clone, Debug, PartialEq)]
pub struct FunctionCall {
    pub method_name: String,
    pub args: Vec<u8>,
    pub gas: Gas,
    pub deposit: Balance,
}

#[derive(BorshSerialize, Clone, Copy, Debug, PartialEq)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum DeployMode {
    CodeHash = 0,
    AccountId = 1,
}

#[derive(BorshSerialize, Clone, Debug, PartialEq)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum DeterministicStateInit {
    V1 { code: GlobalContractIdentifier, data: BTreeMap<Vec<u8>, Vec<u8>> } = 0,
}
