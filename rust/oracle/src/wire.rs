//! Borsh of NEAR's types by name.

use crate::{to_base64, Answer};
use borsh::{BorshDeserialize, BorshSerialize};
use near_crypto::{PublicKey, PublicKeyHandle, Signature};
use near_primitives::account::{AccessKey, Account, AccountContract};
use near_primitives::action::delegate::{SignedDelegateAction, VersionedSignedDelegateAction};
use near_primitives::action::{Action, GlobalContractIdentifier};
use near_primitives::bandwidth_scheduler::BandwidthRequests;
use near_primitives::block::{Block, BlockHeader};
use near_primitives::congestion_info::CongestionInfo;
use near_primitives::epoch_block_info::BlockInfo;
use near_primitives::epoch_info::EpochInfo;
use near_primitives::hash::CryptoHash;
use near_primitives::receipt::{Receipt, ReceiptOrStateStoredReceipt, ReceivedData, StateStoredReceipt};
use near_primitives::sharding::{ShardChunk, ShardChunkHeader};
use near_primitives::transaction::{SignedTransaction, Transaction};
use near_primitives::types::validator_stake::ValidatorStake;
use near_primitives::types::AccountId;
use near_primitives::universal_state_init::UniversalStateInit;
use near_primitives::views::{
    AccessKeyView, AccountView, ActionView, BlockHeaderView, BlockView, ChunkHeaderView, ChunkView,
    ReceiptView, SignedTransactionView,
};
use serde_json::{json, to_value, Value};

/// What is known of a decoded value besides its bytes.
struct Facts {
    hash: Option<CryptoHash>,
    view: Option<Value>,
}

fn nothing<T>(_: T) -> Facts {
    Facts { hash: None, view: None }
}

fn view<V: serde::Serialize>(value: V) -> Facts {
    Facts { hash: None, view: Some(to_value(value).expect("views are JSON")) }
}

fn hashed<V: serde::Serialize>(hash: CryptoHash, value: V) -> Facts {
    Facts { hash: Some(hash), ..view(value) }
}

fn with<T: BorshDeserialize + BorshSerialize>(bytes: &[u8], facts: impl FnOnce(T) -> Facts) -> Answer {
    let value = borsh::from_slice::<T>(bytes).map_err(|error| error.to_string())?;
    let again = borsh::to_vec(&value).map_err(|error| error.to_string())?;
    let facts = facts(value);
    Ok(json!({
        "bytes": to_base64(&again),
        "hash": facts.hash.map(|hash| hash.to_string()),
        "view": facts.view,
    }))
}

fn author() -> AccountId {
    "author.near".parse().expect("this is an account id")
}

pub fn decode(name: &str, bytes: &[u8]) -> Answer {
    match name {
        "AccountId" => with::<AccountId>(bytes, nothing),
        "PublicKey" => with::<PublicKey>(bytes, |key| view(key.to_string())),
        "PublicKeyHandle" => with::<PublicKeyHandle>(bytes, |handle| view(handle.to_string())),
        "Signature" => with::<Signature>(bytes, |signature| view(signature.to_string())),
        "Account" => with::<Account>(bytes, |account| view(AccountView::from(account))),
        "AccountContract" => with::<AccountContract>(bytes, nothing),
        "AccessKey" => with::<AccessKey>(bytes, |key| view(AccessKeyView::from(key))),
        "GlobalContractIdentifier" => with::<GlobalContractIdentifier>(bytes, view),
        "UniversalStateInit" => with::<UniversalStateInit>(bytes, nothing),
        "Action" => with::<Action>(bytes, |action| view(ActionView::from(action))),
        "Actions" => with::<Vec<Action>>(bytes, nothing),
        "SignedDelegateAction" => with::<SignedDelegateAction>(bytes, |delegate| {
            hashed(delegate.delegate_action.get_nep461_hash(), json!(null))
        }),
        "VersionedSignedDelegateAction" => with::<VersionedSignedDelegateAction>(bytes, |delegate| {
            hashed(delegate.delegate_action.get_nep461_hash(), json!(null))
        }),
        "Transaction" => with::<Transaction>(bytes, nothing),
        "SignedTransaction" => with::<SignedTransaction>(bytes, |signed| {
            hashed(signed.get_hash(), SignedTransactionView::from(signed))
        }),
        "Receipt" => with::<Receipt>(bytes, |receipt| view(ReceiptView::from(receipt))),
        "Receipts" => with::<Vec<Receipt>>(bytes, nothing),
        "StateStoredReceipt" => with::<StateStoredReceipt>(bytes, nothing),
        "ReceiptOrStateStoredReceipt" => with::<ReceiptOrStateStoredReceipt>(bytes, nothing),
        "ReceivedData" => with::<ReceivedData>(bytes, nothing),
        "CongestionInfo" => with::<CongestionInfo>(bytes, nothing),
        "BandwidthRequests" => with::<BandwidthRequests>(bytes, view),
        "BlockInfo" => with::<BlockInfo>(bytes, nothing),
        "EpochInfo" => with::<EpochInfo>(bytes, nothing),
        "ValidatorStake" => with::<ValidatorStake>(bytes, nothing),
        "ShardChunkHeader" => with::<ShardChunkHeader>(bytes, |header| {
            hashed(header.chunk_hash().0, ChunkHeaderView::from(header))
        }),
        "ShardChunk" => with::<ShardChunk>(bytes, |chunk| {
            hashed(chunk.header_hash().0, ChunkView::from_author_chunk(author(), chunk))
        }),
        "BlockHeader" => {
            with::<BlockHeader>(bytes, |header| hashed(*header.hash(), BlockHeaderView::from(&header)))
        }
        "Block" => with::<Block>(bytes, |block| {
            let body = block.compute_block_body_hash().expect("this version has one");
            hashed(body, BlockView::from_author_block(author(), &block))
        }),
        other => Err(format!("no type {other}")),
    }
}
