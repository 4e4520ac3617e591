//! What owners vote on, what it takes to carry it out, and the transaction that follows from both. No state.

use foreign_transactions::{bitcoin, evm, solana, EcdsaSignature, Hashing, Invalid};
use near_sdk::json_types::{U128, U64};
use near_sdk::serde_json::{json, Value};
use near_sdk::{env, near, PublicKey};

use crate::{BITCOIN_PATH, ECDSA_DOMAIN, EDDSA_DOMAIN, ETHEREUM_PATH, SOLANA_PATH};

/// Below this, nodes do not relay an output of any type.
const DUST_SATOSHIS: u64 = 546;

/// The host's hash functions.
struct Host;

impl Hashing for Host {
    fn keccak256(data: &[u8]) -> [u8; 32] {
        env::keccak256_array(data)
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        env::sha256_array(data)
    }

    fn ripemd160(data: &[u8]) -> [u8; 20] {
        env::ripemd160_array(data)
    }
}

/// A payment of a chain's own coin, in its smallest unit. `fee_max` is the most that carrying it out may cost.
#[near(serializers = [borsh, json])]
#[derive(Clone, Debug)]
pub enum Payment {
    Evm { chain_id: u64, receiver: String, amount: U128, fee_max: U128 },
    Bitcoin { network: String, receiver: String, amount: U64, fee_max: U64 },
    Solana { receiver: String, amount: U64 },
}

#[near(serializers = [borsh, json])]
#[derive(Clone, Debug)]
pub struct Coin {
    pub transaction_id: String,
    pub index: u32,
    pub amount: U64,
}

impl Coin {
    pub fn is_same(&self, other: &Coin) -> bool {
        self.transaction_id.eq_ignore_ascii_case(&other.transaction_id) && self.index == other.index
    }
}

/// What a contract cannot know, from whoever executes.
#[near(serializers = [borsh, json])]
#[derive(Clone, Debug)]
pub enum Means {
    Evm { gas_limit: u64, gas_price_max: U128, priority_fee_max: U128 },
    Bitcoin { coins: Vec<Coin>, fee: U64 },
    Solana { blockhash: String },
}

/// On secp256k1 uncompressed without the first byte 4, for EVM chains and bitcoin; on ed25519 for Solana.
#[near(serializers = [borsh, json])]
#[derive(Clone, Debug)]
pub struct Keys {
    pub ethereum: PublicKey,
    pub bitcoin: PublicKey,
    pub solana: PublicKey,
}

impl Keys {
    pub fn new(ethereum: &PublicKey, bitcoin: &PublicKey, solana: &PublicKey) -> Self {
        Self { ethereum: ethereum.clone(), bitcoin: bitcoin.clone(), solana: solana.clone() }
    }

    fn bitcoin_compressed(&self) -> Result<[u8; 33], Invalid> {
        let full: [u8; 64] = read_key(&self.bitcoin)?;
        let mut key = [2 + (full[63] & 1); 33];
        key[1..].copy_from_slice(&full[..32]);
        Ok(key)
    }
}

fn read_key<const SIZE: usize>(key: &PublicKey) -> Result<[u8; SIZE], Invalid> {
    key.as_bytes()[1..].try_into().map_err(|_| Invalid("not a key of this curve".to_owned()))
}

/// A transaction that is ready to be signed.
pub enum Draft {
    Evm(evm::Transaction),
    Bitcoin(bitcoin::Transaction, [u8; 33]),
    Solana(solana::Transfer),
}

/// A signature as the signer contract returns it.
pub enum Signature {
    Ecdsa(EcdsaSignature),
    Eddsa([u8; 64]),
}

impl Signature {
    pub fn read(value: Value) -> Option<Self> {
        if value["scheme"] == "Ed25519" {
            let bytes: Vec<u8> = near_sdk::serde_json::from_value(value["signature"].clone()).ok()?;
            return Some(Self::Eddsa(bytes.try_into().ok()?));
        }
        let point: [u8; 33] = read_hex(value["big_r"]["affine_point"].as_str()?)?;
        let s = read_hex(value["s"]["scalar"].as_str()?)?;
        let r = point[1..].try_into().ok()?;
        Some(Self::Ecdsa(EcdsaSignature { r, s, is_odd: value["recovery_id"].as_u64()? & 1 == 1 }))
    }
}

impl Payment {
    /// What can be told before anybody votes: addresses, networks, amounts.
    pub fn validate(&self) -> Result<(), Invalid> {
        match self {
            Self::Evm { receiver, .. } => evm::parse_address::<Host>(receiver).map(|_| ()),
            Self::Bitcoin { network, receiver, amount, .. } => {
                if amount.0 < DUST_SATOSHIS {
                    return Err(Invalid(format!("{} satoshis are too little to be sent", amount.0)));
                }
                bitcoin::parse_address::<Host>(receiver, read_network(network)?).map(|_| ())
            }
            Self::Solana { receiver, .. } => parse_solana_receiver(receiver).map(|_| ()),
        }
    }

    /// The transaction. Whatever the means are, it pays the receiver the amount and costs no more than was voted on.
    pub fn draft(&self, means: &Means, nonce: u64, keys: &Keys) -> Result<Draft, Invalid> {
        match (self, means) {
            (
                Self::Evm { chain_id, receiver, amount, fee_max },
                Means::Evm { gas_limit, gas_price_max, priority_fee_max },
            ) => {
                let fee = u128::from(*gas_limit).checked_mul(gas_price_max.0);
                must_be_at_most(fee, fee_max.0)?;
                Ok(Draft::Evm(evm::Transaction {
                    chain_id: *chain_id,
                    nonce,
                    priority_fee_max: Some(priority_fee_max.0),
                    gas_price_max: gas_price_max.0,
                    gas_limit: *gas_limit,
                    receiver: Some(evm::parse_address::<Host>(receiver)?),
                    amount: amount.0,
                    data: Vec::new(),
                }))
            }
            (Self::Bitcoin { network, receiver, amount, fee_max }, Means::Bitcoin { coins, fee }) => {
                let key = keys.bitcoin_compressed()?;
                let paid = bitcoin::Output {
                    amount: amount.0,
                    script: bitcoin::parse_address::<Host>(receiver, read_network(network)?)?,
                };
                let transaction = draft_bitcoin(coins, paid, fee.0, bitcoin::derive_script::<Host>(&key))?;
                let spent: u128 = coins.iter().map(|coin| u128::from(coin.amount.0)).sum();
                let kept: u128 = transaction.outputs.iter().map(|output| u128::from(output.amount)).sum();
                must_be_at_most(spent.checked_sub(kept), u128::from(fee_max.0))?;
                Ok(Draft::Bitcoin(transaction, key))
            }
            (Self::Solana { receiver, amount }, Means::Solana { blockhash }) => {
                Ok(Draft::Solana(solana::Transfer {
                    sender: read_key(&keys.solana)?,
                    receiver: parse_solana_receiver(receiver)?,
                    lamports: amount.0,
                    blockhash: solana::parse_key(blockhash)?,
                }))
            }
            _ => Err(Invalid("these means are another chain's".to_owned())),
        }
    }
}

impl Draft {
    /// What the signer contract is asked for, in order: path, domain, payload.
    pub fn payloads(&self) -> Vec<(&'static str, u64, Value)> {
        match self {
            Self::Evm(transaction) => {
                let digest = env::keccak256_array(transaction.encode_unsigned());
                vec![(ETHEREUM_PATH, ECDSA_DOMAIN, json!({"Ecdsa": write_hex(&digest)}))]
            }
            Self::Bitcoin(transaction, key) => transaction
                .compute_digests::<Host>(key)
                .iter()
                .map(|digest| (BITCOIN_PATH, ECDSA_DOMAIN, json!({"Ecdsa": write_hex(digest)})))
                .collect(),
            Self::Solana(transfer) => {
                vec![(SOLANA_PATH, EDDSA_DOMAIN, json!({"Eddsa": write_hex(&transfer.encode_message())}))]
            }
        }
    }

    /// The transaction as it is sent; None when these are not the signatures that it needs.
    pub fn attach(&self, signatures: &[Signature]) -> Option<Vec<u8>> {
        match (self, signatures) {
            (Self::Evm(transaction), [Signature::Ecdsa(signature)]) => {
                Some(transaction.encode_signed(signature))
            }
            (Self::Bitcoin(transaction, key), _) if signatures.len() == transaction.coins.len() => {
                let all = signatures.iter().map(|signature| match signature {
                    Signature::Ecdsa(one) => Some(*one),
                    Signature::Eddsa(_) => None,
                });
                Some(transaction.encode_signed(key, &all.collect::<Option<Vec<_>>>()?))
            }
            (Self::Solana(transfer), [Signature::Eddsa(signature)]) => {
                Some(transfer.encode_signed(signature))
            }
            _ => None,
        }
    }
}

/// What the payment and the fee leave of the coins comes back, unless it is dust, which goes to the miners.
fn draft_bitcoin(
    coins: &[Coin],
    paid: bitcoin::Output,
    fee: u64,
    own: Vec<u8>,
) -> Result<bitcoin::Transaction, Invalid> {
    let total = coins.iter().try_fold(0u64, |sum, coin| sum.checked_add(coin.amount.0));
    let rest = total.and_then(|total| total.checked_sub(paid.amount)?.checked_sub(fee));
    let rest = rest.ok_or_else(|| Invalid("the coins do not cover payment and fee".to_owned()))?;
    let mut outputs = vec![paid];
    if rest >= DUST_SATOSHIS {
        outputs.push(bitcoin::Output { amount: rest, script: own });
    }
    let coins = coins.iter().map(|coin| {
        Ok(bitcoin::Coin {
            transaction_id: bitcoin::parse_transaction_id(&coin.transaction_id)?,
            index: coin.index,
            amount: coin.amount.0,
        })
    });
    Ok(bitcoin::Transaction { coins: coins.collect::<Result<_, Invalid>>()?, outputs })
}

fn must_be_at_most(fee: Option<u128>, fee_max: u128) -> Result<(), Invalid> {
    match fee {
        Some(fee) if fee <= fee_max => Ok(()),
        _ => Err(Invalid(format!("the fee exceeds the {fee_max} that were voted on"))),
    }
}

fn read_network(name: &str) -> Result<&'static bitcoin::Network, Invalid> {
    match name {
        "main" => Ok(&bitcoin::MAIN),
        "test" => Ok(&bitcoin::TEST),
        "regtest" => Ok(&bitcoin::REGTEST),
        _ => Err(Invalid(format!("no such network: {name}; main, test and regtest are known"))),
    }
}

/// The system program's own address is all zeros and can hold nothing.
fn parse_solana_receiver(text: &str) -> Result<solana::Key, Invalid> {
    let key = solana::parse_key(text)?;
    if key == [0; 32] {
        return Err(Invalid("the system program cannot be paid".to_owned()));
    }
    Ok(key)
}

fn write_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_hex<const SIZE: usize>(text: &str) -> Option<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    if text.len() != 2 * SIZE || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}
