//! Ids, trees and keys that are computed from others; text forms.

use crate::{get, get_bytes, get_number, get_text, parse, to_base64, Answer};
use near_crypto::{PublicKey, PublicKeyHandle, SecretKey, Signature};
use near_primitives::hash::{hash, CryptoHash};
use near_primitives::merkle::{merklize, PartialMerkleTree};
use near_primitives::receipt::Receipt;
use near_primitives::sharding::{EncodedShardChunkBody, ReceiptList};
use near_primitives::trie_key::TrieKey;
use near_primitives::types::{AccountId, ShardId};
use near_primitives::utils;
use near_primitives::views::ExecutionOutcomeWithIdView;
use serde_json::{json, Value};

pub fn parse_text(name: &str, text: &str) -> Answer {
    fn print<T: std::str::FromStr + ToString>(text: &str) -> Answer
    where
        T::Err: ToString,
    {
        let value = text.parse::<T>().map_err(|error| error.to_string())?;
        Ok(json!(value.to_string()))
    }
    match name {
        "PublicKey" => print::<PublicKey>(text),
        "PublicKeyHandle" => print::<PublicKeyHandle>(text),
        "Signature" => print::<Signature>(text),
        "SecretKey" => print::<SecretKey>(text),
        "CryptoHash" => print::<CryptoHash>(text),
        "AccountId" => print::<AccountId>(text),
        other => Err(format!("no type {other}")),
    }
}

fn get_hash(question: &Value, name: &str) -> Result<CryptoHash, String> {
    get_text(question, name)?.parse().map_err(|_| format!("{name} is no hash"))
}

fn get_hashes(question: &Value, name: &str) -> Result<Vec<CryptoHash>, String> {
    parse(get(question, name)?)
}

fn get_parts(question: &Value) -> Result<Vec<Option<Box<[u8]>>>, String> {
    let bytes = get_bytes(question, "bytes")?;
    let data_parts = get_number(question, "data_parts")? as usize;
    let total_parts = get_number(question, "total_parts")? as usize;
    let code = reed_solomon_erasure::galois_8::ReedSolomon::new(data_parts, total_parts - data_parts)
        .map_err(|error| error.to_string())?;
    Ok(near_primitives::reed_solomon::reed_solomon_encode(&code, &Raw(bytes)).0)
}

/// Bytes that are their own borsh form.
struct Raw(Vec<u8>);

impl borsh::BorshSerialize for Raw {
    fn serialize<W: std::io::Write>(&self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(&self.0)
    }
}

/// The trie key of a column named as in `TrieKey`.
fn get_trie_key(column: &str, question: &Value) -> Result<TrieKey, String> {
    let account = || parse::<AccountId>(get(question, "account_id")?);
    let handle = || get_text(question, "key")?.parse::<PublicKeyHandle>().map_err(|e| e.to_string());
    let id = || get_hash(question, "id");
    let index = || get_number(question, "index");
    let shard = || Ok::<_, String>(ShardId::new(get_number(question, "shard")?));
    let identifier = || {
        parse::<near_primitives::action::GlobalContractIdentifier>(get(question, "identifier")?)
            .map(Into::into)
    };
    Ok(match column {
        "Account" => TrieKey::Account { account_id: account()? },
        "ContractCode" => TrieKey::ContractCode { account_id: account()? },
        "AccessKey" => TrieKey::AccessKey { account_id: account()?, key_handle: handle()? },
        "GasKeyNonce" => {
            let index = u16::try_from(index()?).map_err(|error| error.to_string())?;
            TrieKey::GasKeyNonce { account_id: account()?, key_handle: handle()?, index }
        }
        "ReceivedData" => TrieKey::ReceivedData { receiver_id: account()?, data_id: id()? },
        "PostponedReceiptId" => TrieKey::PostponedReceiptId { receiver_id: account()?, data_id: id()? },
        "PendingDataCount" => TrieKey::PendingDataCount { receiver_id: account()?, receipt_id: id()? },
        "PostponedReceipt" => TrieKey::PostponedReceipt { receiver_id: account()?, receipt_id: id()? },
        "DelayedReceiptIndices" => TrieKey::DelayedReceiptIndices,
        "DelayedReceipt" => TrieKey::DelayedReceipt { index: index()? },
        "ContractData" => {
            TrieKey::ContractData { account_id: account()?, key: get_bytes(question, "data_key")? }
        }
        "PromiseYieldIndices" => TrieKey::PromiseYieldIndices,
        "PromiseYieldTimeout" => TrieKey::PromiseYieldTimeout { index: index()? },
        "PromiseYieldReceipt" => TrieKey::PromiseYieldReceipt { receiver_id: account()?, data_id: id()? },
        "BufferedReceiptIndices" => TrieKey::BufferedReceiptIndices,
        "BufferedReceipt" => TrieKey::BufferedReceipt { receiving_shard: shard()?, index: index()? },
        "BandwidthSchedulerState" => TrieKey::BandwidthSchedulerState,
        "BufferedReceiptGroupsQueueData" => {
            TrieKey::BufferedReceiptGroupsQueueData { receiving_shard: shard()? }
        }
        "BufferedReceiptGroupsQueueItem" => {
            TrieKey::BufferedReceiptGroupsQueueItem { receiving_shard: shard()?, index: index()? }
        }
        "GlobalContractCode" => TrieKey::GlobalContractCode { identifier: identifier()? },
        "GlobalContractNonce" => TrieKey::GlobalContractNonce { identifier: identifier()? },
        "PromiseYieldStatus" => TrieKey::PromiseYieldStatus { receiver_id: account()?, data_id: id()? },
        "DataIdToYieldId" => TrieKey::DataIdToYieldId { receiver_id: account()?, data_id: id()? },
        "YieldIdToDataId" => {
            let yield_id = near_primitives::hash::YieldId(id()?);
            TrieKey::YieldIdToDataId { receiver_id: account()?, yield_id }
        }
        other => return Err(format!("no column {other}")),
    })
}

/// What an account id is, and whose sub-account.
fn describe_account(question: &Value) -> Answer {
    let account_id: AccountId = parse(get(question, "account_id")?)?;
    let parent: AccountId = parse(get(question, "parent_id")?)?;
    Ok(json!({
        "kind": format!("{:?}", account_id.get_account_type()),
        "is_top_level": account_id.is_top_level(),
        "is_sub_account": account_id.is_sub_account_of(&parent),
    }))
}

fn derive_accounts(question: &Value) -> Answer {
    let bytes = get_bytes(question, "bytes")?;
    let raw = near_primitives::universal_state_init::RawStateInit(bytes.clone());
    let deterministic = borsh::from_slice(&bytes)
        .ok()
        .map(|init| utils::derive_near_deterministic_account_id(&init).to_string());
    let eth = <[u8; 64]>::try_from(bytes.as_slice())
        .ok()
        .map(|key| utils::derive_eth_implicit_account_id(&key.into()).to_string());
    Ok(json!({
        "universal": utils::derive_universal_account_id(&raw).to_string(),
        "deterministic": deterministic,
        "eth_implicit": eth,
    }))
}

pub fn derive(what: &str, question: &Value) -> Answer {
    match what {
        "receipt_id" => {
            let (parent, height) = (get_hash(question, "parent")?, get_number(question, "height")?);
            let index = get_number(question, "index")? as usize;
            Ok(json!({
                "transaction": utils::create_receipt_id_from_transaction(&parent, height).to_string(),
                "receipt": utils::create_receipt_id_from_receipt_id(&parent, height, index).to_string(),
                "action": utils::create_action_hash_from_receipt_id(&parent, height, index).to_string(),
                "seed": to_base64(&utils::create_random_seed(parent, hash(&[1]))),
            }))
        }
        "account" => describe_account(question),
        "account_ids" => derive_accounts(question),
        "merkle" => {
            let (root, paths) = merklize(&get_hashes(question, "hashes")?);
            Ok(json!({"root": root.to_string(), "paths": paths}))
        }
        "partial_merkle" => {
            let mut tree = PartialMerkleTree::default();
            for leaf in get_hashes(question, "hashes")? {
                tree.insert(leaf);
            }
            Ok(json!({"root": tree.root().to_string(), "path": tree.get_path(), "size": tree.size()}))
        }
        "outcome_hashes" => {
            let outcome: ExecutionOutcomeWithIdView = parse(get(question, "json")?)?;
            let hashes = outcome.to_hashes();
            Ok(json!({"hashes": hashes, "root": merklize(std::slice::from_ref(&hashes)).0}))
        }
        "receipt_list" => {
            let receipts: Vec<Receipt> =
                borsh::from_slice(&get_bytes(question, "bytes")?).map_err(|error| error.to_string())?;
            let shard_id = ShardId::new(get_number(question, "shard")?);
            Ok(json!(CryptoHash::hash_borsh(ReceiptList(shard_id, &receipts))))
        }
        "parts_root" => {
            let body = EncodedShardChunkBody { parts: get_parts(question)? };
            Ok(json!(body.get_merkle_hash_and_paths().0))
        }
        "trie_key" => {
            let key = get_trie_key(get_text(question, "column")?, question)?;
            Ok(json!(to_base64(&key.to_vec())))
        }
        other => Err(format!("nothing called {other} is derived")),
    }
}
