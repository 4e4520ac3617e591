//! Mints on proof that something happened on another chain: a bitcoin payment, or a token's transfer on an EVM chain.
//!
//! Each account has deposit addresses of its own, which follow from this contract's keys. Who claims brings what
//! happened; the contract checks that it pays the account's address, computes the one payload that the signing network
//! would sign if it were true, final and canonical, and asks for exactly that. Nothing is minted on anybody's word.

mod facts;

use foreign_transactions::{bitcoin, evm, Hashing};
use near_sdk::json_types::U128;
use near_sdk::serde_json::{json, Value};
use near_sdk::store::{LookupMap, LookupSet};
use near_sdk::{env, near, require, AccountId, Gas, NearToken, PanicOnDefault, Promise, PublicKey};

use facts::{parse_hex, Log};

const GAS_OF_KEY: Gas = Gas::from_tgas(50);
const GAS_OF_QUESTION: Gas = Gas::from_tgas(30);
const GAS_OF_CALLBACK: Gas = Gas::from_tgas(30);
const ANSWER_BYTES_MAX: usize = 1024;
const ECDSA_DOMAIN: u64 = 0;

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

/// Where an account's deposits go: a bitcoin script (P2WPKH) and an EVM address, of one key.
#[near(serializers = [borsh])]
#[derive(Clone)]
struct Addresses {
    public_key: PublicKey,
    script: Vec<u8>,
    evm: [u8; 20],
}

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Deposits {
    signer_id: AccountId,
    domain_id: u64,
    confirmations: u64,
    chain: String,
    token: [u8; 20],
    addresses: LookupMap<AccountId, Addresses>,
    balances: LookupMap<(AccountId, String), u128>,
    claimed: LookupSet<String>,
}

#[near]
impl Deposits {
    /// `domain_id` signs facts; bitcoin needs so many confirmations; `token` is an ERC-20 on `chain`, by the signer
    /// contract's name of it.
    #[init]
    pub fn new(
        signer_id: AccountId,
        domain_id: u64,
        confirmations: u64,
        chain: String,
        token: String,
    ) -> Self {
        require!(confirmations >= 1, "a payment outside any block proves nothing");
        require!(facts::is_known(&chain), "the signer contract knows no such EVM chain");
        Self {
            signer_id,
            domain_id,
            confirmations,
            chain,
            token: evm::parse_address::<Host>(&token).unwrap_or_else(|error| env::panic_str(&error.0)),
            addresses: LookupMap::new(b"a"),
            balances: LookupMap::new(b"b"),
            claimed: LookupSet::new(b"c"),
        }
    }

    /// Give an account deposit addresses: they follow from its name, so anybody may ask for them.
    pub fn register(&mut self, account_id: AccountId) -> Promise {
        let own = env::current_account_id();
        let arguments = json!({"path": account_id, "predecessor": own, "domain_id": ECDSA_DOMAIN});
        self.call_signer("derived_public_key", &arguments, NearToken::from_yoctonear(0), GAS_OF_KEY)
            .then(Self::ext(own).with_static_gas(GAS_OF_CALLBACK).on_registered(account_id))
    }

    #[private]
    pub fn on_registered(&mut self, account_id: AccountId) -> Value {
        let answer = read_answer().unwrap_or_else(|| env::panic_str("the signer contract gave no key"));
        let public_key: PublicKey =
            near_sdk::serde_json::from_value(answer).unwrap_or_else(|_| env::panic_str("not a key"));
        let full: [u8; 64] = public_key.as_bytes()[1..]
            .try_into()
            .unwrap_or_else(|_| env::panic_str("not a key of secp256k1"));
        let mut compressed = [2 + (full[63] & 1); 33];
        compressed[1..].copy_from_slice(&full[..32]);
        let script = bitcoin::derive_script::<Host>(&compressed);
        let addresses = Addresses { public_key, script, evm: evm::derive_address::<Host>(&full) };
        self.addresses.insert(account_id.clone(), addresses);
        self.get_addresses(account_id)
    }

    /// The account's key on other chains, its output script and its EVM address.
    pub fn get_addresses(&self, account_id: AccountId) -> Value {
        let found = self.must_have_addresses(&account_id);
        let script: String = found.script.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"public_key": found.public_key, "script": script, "evm": evm::format_address::<Host>(&found.evm)})
    }

    /// Mint for an output of a bitcoin transaction (in hex, as it is sent) that a block of this hash holds.
    pub fn claim_bitcoin(
        &mut self,
        account_id: AccountId,
        transaction: String,
        output: u32,
        block_hash: String,
    ) -> Promise {
        let raw = facts::parse_bytes(&transaction);
        let (mut id, outputs) =
            bitcoin::read_transaction::<Host>(&raw).unwrap_or_else(|error| env::panic_str(&error.0));
        id.reverse(); // As people write it.
        let paid = outputs.get(output as usize).unwrap_or_else(|| env::panic_str("there is no such output"));
        let own = self.must_have_addresses(&account_id);
        require!(paid.script == own.script, "the output does not pay this account's deposit address");
        let fact = facts::bitcoin(&id, self.confirmations, &parse_hex(&block_hash));
        let claim = format!("bitcoin {} {output}", facts::write_hex(&id));
        self.ask(account_id, "bitcoin".to_owned(), u128::from(paid.amount), claim, fact)
    }

    /// Mint for a transfer of the token to the account's EVM address, by its event in a finalized block.
    pub fn claim_token(&mut self, account_id: AccountId, log: Log) -> Promise {
        let own = self.must_have_addresses(&account_id);
        let amount = log.read_transfer(&own.evm).unwrap_or_else(|error| env::panic_str(error));
        let fact = facts::evm_log(&self.chain, &self.token, &log);
        let claim = format!("{} {} {}", self.chain, log.transaction_hash.to_ascii_lowercase(), log.log_index);
        self.ask(account_id, "token".to_owned(), amount, claim, fact)
    }

    /// Mint if the network signed exactly what was asked for.
    #[private]
    pub fn on_confirmed(
        &mut self,
        account_id: AccountId,
        asset: String,
        amount: U128,
        claim: String,
        payload_hash: String,
    ) -> bool {
        let is_true = read_answer().is_some_and(|answer| answer["payload_hash"] == payload_hash.as_str());
        if is_true {
            let key = (account_id, asset);
            let before = self.balances.get(&key).copied().unwrap_or_default();
            let after = before.checked_add(amount.0).unwrap_or_else(|| env::panic_str("too much"));
            self.balances.insert(key, after);
        } else {
            self.claimed.remove(&claim); // It may become true.
        }
        is_true
    }

    pub fn balance_of(&self, account_id: AccountId, asset: String) -> U128 {
        U128(self.balances.get(&(account_id, asset)).copied().unwrap_or_default())
    }
}

impl Deposits {
    /// Each output and each event mints once; a claim that waits for its answer counts.
    fn ask(
        &mut self,
        account_id: AccountId,
        asset: String,
        amount: u128,
        claim: String,
        fact: facts::Fact,
    ) -> Promise {
        require!(self.claimed.insert(claim.clone()), "it was claimed before");
        let payload_hash = facts::write_hex(&env::sha256_array(&fact.payload));
        let request = json!({
            "request": fact.question,
            "domain_id": self.domain_id,
            "payload_version": 1,
            "expected_payload_hash": payload_hash,
        });
        let arguments = json!({ "request": request });
        let deposit = NearToken::from_yoctonear(1);
        self.call_signer("verify_foreign_transaction", &arguments, deposit, GAS_OF_QUESTION).then(
            Self::ext(env::current_account_id()).with_static_gas(GAS_OF_CALLBACK).on_confirmed(
                account_id,
                asset,
                U128(amount),
                claim,
                payload_hash,
            ),
        )
    }

    fn must_have_addresses(&self, account_id: &AccountId) -> Addresses {
        self.addresses
            .get(account_id)
            .cloned()
            .unwrap_or_else(|| env::panic_str("register the account first"))
    }

    fn call_signer(&self, method: &str, arguments: &Value, deposit: NearToken, gas: Gas) -> Promise {
        let arguments = arguments.to_string().into_bytes();
        Promise::new(self.signer_id.clone()).function_call(method.to_owned(), arguments, deposit, gas)
    }
}

fn read_answer() -> Option<Value> {
    let bytes = env::promise_result_checked(0, ANSWER_BYTES_MAX).ok()?;
    near_sdk::serde_json::from_slice(&bytes).ok()
}
