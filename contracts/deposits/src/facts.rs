//! Questions to the signing network, and the payload that it signs when the answer is what a claim says. No state.
//!
//! The payload is the borsh form of version, question and values, as near/mpc defines it.

use near_sdk::serde_json::{json, Value};
use near_sdk::{env, near};

const FINALIZED: u8 = 2;
const BITCOIN_TAG: u8 = 3;
/// `Transfer(address,address,uint256)` of ERC-20.
const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const EVM_TAGS: [(&str, u8); 9] = [
    ("Abstract", 0),
    ("Ethereum", 1),
    ("Bnb", 5),
    ("Base", 6),
    ("Arbitrum", 7),
    ("Polygon", 8),
    ("HyperEvm", 9),
    ("Avalanche", 13),
    ("Adi", 14),
];

/// A question, and the bytes whose hash is signed when the claim is true.
pub struct Fact {
    pub question: Value,
    pub payload: Vec<u8>,
}

/// An event as nodes tell it, in hexadecimal with or without `0x`.
#[near(serializers = [json])]
pub struct Log {
    pub transaction_hash: String,
    pub transaction_index: u64,
    pub log_index: u64,
    pub block_hash: String,
    pub block_number: u64,
    pub data: String,
    pub topics: Vec<String>,
}

impl Log {
    /// The amount, if it is a transfer to this address.
    pub fn read_transfer(&self, receiver: &[u8; 20]) -> Result<u128, &'static str> {
        let topics: Vec<[u8; 32]> = self.topics.iter().map(|topic| parse_hex(topic)).collect();
        let [kind, _, to] = topics[..] else { return Err("not a transfer of an ERC-20 token") };
        if kind != parse_hex(TRANSFER) {
            return Err("not a transfer of an ERC-20 token");
        }
        if to[..12] != [0; 12] || to[12..] != receiver[..] {
            return Err("the transfer is not to this account's deposit address");
        }
        let amount: [u8; 32] = parse_hex(&self.data);
        if amount[..16] != [0; 16] {
            return Err("more than can be counted");
        }
        Ok(u128::from_be_bytes(amount[16..].try_into().expect("sixteen are left")))
    }
}

pub fn is_known(chain: &str) -> bool {
    EVM_TAGS.iter().any(|(name, _)| *name == chain)
}

/// That a block of this hash holds a transaction, so deep. The id is as people write it.
pub fn bitcoin(id: &[u8; 32], confirmations: u64, block_hash: &[u8; 32]) -> Fact {
    let question = json!({
        "Bitcoin": {"tx_id": write_hex(id), "confirmations": confirmations, "extractors": ["BlockHash"]}
    });
    let mut payload = vec![0, BITCOIN_TAG];
    payload.extend(id);
    payload.extend(confirmations.to_le_bytes());
    payload.extend([1, 0, 0, 0, 0]); // One extractor: the block hash.
    payload.extend([1, 0, 0, 0, 0, 0]); // One value: Bitcoin's block hash.
    payload.extend(block_hash);
    Fact { question, payload }
}

/// That a finalized block of an EVM chain holds this event of the contract.
pub fn evm_log(chain: &str, contract: &[u8; 20], log: &Log) -> Fact {
    let tag = EVM_TAGS.iter().find(|(name, _)| *name == chain).map(|(_, tag)| *tag);
    let tag = tag.unwrap_or_else(|| env::panic_str("the chain was checked when the contract was made"));
    let transaction_hash: [u8; 32] = parse_hex(&log.transaction_hash);
    let question = json!({
        chain: {
            "tx_id": write_hex(&transaction_hash),
            "extractors": [{"Log": {"log_index": log.log_index}}],
            "finality": "Finalized",
        }
    });
    let mut payload = vec![0, tag];
    payload.extend(transaction_hash);
    payload.extend([1, 0, 0, 0, 1]); // One extractor: an event.
    payload.extend(log.log_index.to_le_bytes());
    payload.push(FINALIZED);
    payload.extend([1, 0, 0, 0, 1, 1]); // One value: an event of an EVM chain,
    payload.push(0); // not removed.
    payload.extend(log.log_index.to_le_bytes());
    payload.extend(log.transaction_index.to_le_bytes());
    payload.extend(transaction_hash);
    payload.extend(parse_hex::<32>(&log.block_hash));
    payload.extend(log.block_number.to_le_bytes());
    payload.extend(contract);
    // The nodes' own text of it, in lower case.
    let data = format!("0x{}", strip(&log.data).to_ascii_lowercase());
    payload.extend((data.len() as u32).to_le_bytes());
    payload.extend(data.as_bytes());
    payload.extend((log.topics.len() as u32).to_le_bytes());
    payload.extend(log.topics.iter().flat_map(|topic| parse_hex::<32>(topic)));
    Fact { question, payload }
}

pub fn write_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn parse_bytes(text: &str) -> Vec<u8> {
    let digits = strip(text);
    if digits.len() % 2 != 0 || !digits.is_ascii() {
        env::panic_str("not hexadecimal");
    }
    let pairs = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().unwrap_or_else(|_| env::panic_str("not hexadecimal"))
}

pub fn parse_hex<const SIZE: usize>(text: &str) -> [u8; SIZE] {
    parse_bytes(text).try_into().unwrap_or_else(|_| env::panic_str("hexadecimal of another length"))
}

fn strip(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}
