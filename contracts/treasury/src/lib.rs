//! A treasury of several owners that pays on other chains: bitcoin, ether and SOL under its own derived keys.
//!
//! An owner proposes a payment, owners vote, and once enough agree any of them has it signed: the contract builds the
//! transaction itself, so that a signature can only ever be for what was voted on. It asks the signer contract, puts
//! the signatures in place and returns the transaction as it is sent; whoever likes may send it.
//!
//! Who executes brings what a contract cannot know: prices, coins, a recent blockhash. None of it can pay anybody
//! else or more than the voted fee. Nonces on EVM chains are counted here, since nobody else can use these addresses;
//! a bitcoin coin is spent by one payment alone. So a payment can be signed again with a higher fee, but never paid
//! twice.

mod payment;

use near_sdk::json_types::Base64VecU8;
use near_sdk::serde_json::{json, Value};
use near_sdk::store::LookupMap;
use near_sdk::{env, near, require, AccountId, Gas, NearToken, PanicOnDefault, Promise, PublicKey};

use payment::{Draft, Keys, Means, Payment, Signature};

const GAS_OF_SIGN: Gas = Gas::from_tgas(20);
const GAS_OF_KEY: Gas = Gas::from_tgas(50);
const GAS_OF_CALLBACK: Gas = Gas::from_tgas(30);
const COINS_MAX: usize = 8;
const OWNERS_MAX: usize = 32;
const ANSWER_BYTES_MAX: usize = 1024;
const ETHEREUM_PATH: &str = "ethereum-1";
const BITCOIN_PATH: &str = "bitcoin-1";
const SOLANA_PATH: &str = "solana-1";
const ECDSA_DOMAIN: u64 = 0;
const EDDSA_DOMAIN: u64 = 1;

/// How far a payment is. `Signed` may be signed again, with other prices.
#[near(serializers = [borsh, json])]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Voting,
    Approved,
    Signing,
    Signed,
}

#[near(serializers = [borsh, json])]
#[derive(Clone, Debug)]
pub struct Proposal {
    pub proposer_id: AccountId,
    pub payment: Payment,
    pub votes: Vec<AccountId>,
    pub status: Status,
    /// What it is being signed with, or was last.
    pub means: Option<Means>,
    /// Its nonce on an EVM chain, from the first attempt on.
    pub nonce: Option<u64>,
    /// The transaction as it is sent.
    pub transaction: Option<Base64VecU8>,
}

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct Treasury {
    owners: Vec<AccountId>,
    votes_needed: u32,
    signer_id: AccountId,
    keys: Option<Keys>,
    proposals: LookupMap<u64, Proposal>,
    next_id: u64,
    next_nonces: LookupMap<u64, u64>,
    coins: LookupMap<(String, u32), u64>,
}

#[near]
impl Treasury {
    #[init]
    pub fn new(owners: Vec<AccountId>, votes_needed: u32, signer_id: AccountId) -> Self {
        let distinct: std::collections::BTreeSet<_> = owners.iter().collect();
        require!(distinct.len() == owners.len(), "an owner is named twice");
        require!(owners.len() <= OWNERS_MAX, "too many owners");
        let is_possible = votes_needed >= 1 && votes_needed as usize <= owners.len();
        require!(is_possible, "the votes needed are from one to the number of owners");
        Self {
            owners,
            votes_needed,
            signer_id,
            keys: None,
            proposals: LookupMap::new(b"p"),
            next_id: 0,
            next_nonces: LookupMap::new(b"n"),
            coins: LookupMap::new(b"c"),
        }
    }

    /// Ask the signer contract for this contract's keys, once.
    pub fn learn_keys(&mut self) -> Promise {
        let ask = |path: &str, domain_id: u64| {
            let account_id = env::current_account_id();
            let arguments = json!({"path": path, "predecessor": account_id, "domain_id": domain_id});
            self.call_signer("derived_public_key", &arguments, NearToken::from_yoctonear(0), GAS_OF_KEY)
        };
        ask(ETHEREUM_PATH, ECDSA_DOMAIN)
            .and(ask(BITCOIN_PATH, ECDSA_DOMAIN))
            .and(ask(SOLANA_PATH, EDDSA_DOMAIN))
            .then(Self::ext(env::current_account_id()).with_static_gas(GAS_OF_CALLBACK).on_keys())
    }

    #[private]
    pub fn on_keys(&mut self) -> Keys {
        let read = |index: u64| -> PublicKey {
            let answer =
                read_answer(index).unwrap_or_else(|| env::panic_str("the signer contract gave no key"));
            near_sdk::serde_json::from_value(answer).unwrap_or_else(|_| env::panic_str("not a key"))
        };
        let keys = Keys::new(&read(0), &read(1), &read(2));
        self.keys = Some(keys.clone());
        keys
    }

    /// Propose a payment, which counts as a vote for it; returns its id. The receiver's address is checked now.
    pub fn propose(&mut self, payment: Payment) -> u64 {
        let proposer_id = self.must_be_owner();
        payment.validate().unwrap_or_else(|error| env::panic_str(&error.0));
        let id = self.next_id;
        self.next_id += 1;
        let votes = vec![proposer_id.clone()];
        let status = self.count(&votes);
        let (means, nonce, transaction) = (None, None, None);
        self.proposals
            .insert(id, Proposal { proposer_id, payment, votes, status, means, nonce, transaction });
        id
    }

    /// Agree to a payment. A vote cannot be taken back once enough agree.
    pub fn vote(&mut self, id: u64) -> Status {
        let owner_id = self.must_be_owner();
        let mut proposal = self.must_get(id);
        require!(proposal.status == Status::Voting, "the vote is over");
        require!(!proposal.votes.contains(&owner_id), "an owner votes once");
        proposal.votes.push(owner_id);
        proposal.status = self.count(&proposal.votes);
        let status = proposal.status;
        self.proposals.insert(id, proposal);
        status
    }

    /// Have a payment signed that was agreed to; returns the transaction as it is sent, in base64.
    pub fn execute(&mut self, id: u64, means: Means) -> Promise {
        self.must_be_owner();
        let mut proposal = self.must_get(id);
        match proposal.status {
            Status::Approved => {}
            Status::Signed => require!(
                !matches!(proposal.payment, Payment::Solana { .. }),
                "it is signed; another blockhash would pay again"
            ),
            Status::Voting => env::panic_str("not enough owners have agreed"),
            Status::Signing => env::panic_str("it is being signed"),
        }
        self.take_nonce(&mut proposal);
        self.take_coins(id, &proposal, &means);
        let draft = self.must_draft(&proposal, &means);
        proposal.status = Status::Signing;
        proposal.means = Some(means);
        self.proposals.insert(id, proposal);
        let asked = draft.payloads().into_iter().map(|(path, domain_id, payload)| {
            let request = json!({"path": path, "payload_v2": payload, "domain_id": domain_id});
            let deposit = NearToken::from_yoctonear(1);
            self.call_signer("sign", &json!({ "request": request }), deposit, GAS_OF_SIGN)
        });
        let all = asked.reduce(Promise::and).unwrap_or_else(|| env::panic_str("nothing to sign"));
        all.then(Self::ext(env::current_account_id()).with_static_gas(GAS_OF_CALLBACK).on_signed(id))
    }

    /// Put the signatures in place. Without them the payment waits for another attempt, with the same nonce and coins.
    #[private]
    pub fn on_signed(&mut self, id: u64) -> Option<Base64VecU8> {
        let mut proposal = self.must_get(id);
        let means = proposal.means.clone().unwrap_or_else(|| env::panic_str("it is not being signed"));
        let draft = self.must_draft(&proposal, &means);
        let answers =
            (0..env::promise_results_count()).map(|index| read_answer(index).and_then(Signature::read));
        let signed = answers.collect::<Option<Vec<_>>>().and_then(|signatures| draft.attach(&signatures));
        match signed {
            Some(bytes) => {
                proposal.status = Status::Signed;
                proposal.transaction = Some(Base64VecU8(bytes));
            }
            None if proposal.transaction.is_some() => proposal.status = Status::Signed,
            None => proposal.status = Status::Approved,
        }
        let data = json!([{"id": id, "status": proposal.status, "transaction": proposal.transaction}]);
        let event = json!({"standard": "treasury", "version": "1.0.0", "event": "payment", "data": data});
        env::log_str(&format!("EVENT_JSON:{event}"));
        let transaction = proposal.transaction.clone();
        self.proposals.insert(id, proposal);
        transaction
    }

    pub fn get_proposal(&self, id: u64) -> Option<Proposal> {
        self.proposals.get(&id).cloned()
    }

    pub fn get_owners(&self) -> (Vec<AccountId>, u32) {
        (self.owners.clone(), self.votes_needed)
    }

    /// This contract's keys on other chains, once they were learnt: its addresses follow from them.
    pub fn get_keys(&self) -> Option<Keys> {
        self.keys.clone()
    }

    /// What would be signed for a payment, in order, and with signatures what would be sent. Changes nothing.
    pub fn preview(
        &self,
        payment: Payment,
        means: Means,
        nonce: u64,
        keys: Keys,
        signatures: Option<Vec<Value>>,
    ) -> Value {
        let draft = payment.draft(&means, nonce, &keys).unwrap_or_else(|error| env::panic_str(&error.0));
        let payloads: Vec<Value> = draft.payloads().into_iter().map(|(_, _, payload)| payload).collect();
        let read = |values: Vec<Value>| values.into_iter().map(Signature::read).collect::<Option<Vec<_>>>();
        let signed = signatures.and_then(read).and_then(|signatures| draft.attach(&signatures));
        json!({"payloads": payloads, "transaction": signed.map(Base64VecU8)})
    }
}

impl Treasury {
    fn must_be_owner(&self) -> AccountId {
        let caller_id = env::predecessor_account_id();
        require!(self.owners.contains(&caller_id), "only owners may do that");
        caller_id
    }

    fn must_get(&self, id: u64) -> Proposal {
        self.get_proposal(id).unwrap_or_else(|| env::panic_str("no such payment"))
    }

    fn must_draft(&self, proposal: &Proposal, means: &Means) -> Draft {
        let keys = self.keys.as_ref().unwrap_or_else(|| env::panic_str("call learn_keys first"));
        let draft = proposal.payment.draft(means, proposal.nonce.unwrap_or_default(), keys);
        draft.unwrap_or_else(|error| env::panic_str(&error.0))
    }

    fn count(&self, votes: &[AccountId]) -> Status {
        if votes.len() >= self.votes_needed as usize {
            Status::Approved
        } else {
            Status::Voting
        }
    }

    /// A payment on an EVM chain keeps the nonce of its first attempt, so that at most one of them is ever included.
    fn take_nonce(&mut self, proposal: &mut Proposal) {
        if let (Payment::Evm { chain_id, .. }, None) = (&proposal.payment, proposal.nonce) {
            let nonce = self.next_nonces.get(chain_id).copied().unwrap_or_default();
            self.next_nonces.insert(*chain_id, nonce + 1);
            proposal.nonce = Some(nonce);
        }
    }

    /// A coin belongs to the first payment that was signed with it, and another attempt spends one of the same.
    fn take_coins(&mut self, id: u64, proposal: &Proposal, means: &Means) {
        let Means::Bitcoin { coins, .. } = means else { return };
        require!(coins.len() <= COINS_MAX, "too many coins for one transaction");
        for coin in coins {
            let point = (coin.transaction_id.to_ascii_lowercase(), coin.index);
            let owner = self.coins.get(&point).copied();
            require!(owner.unwrap_or(id) == id, "another payment spends that coin");
            self.coins.insert(point, id);
        }
        if let Some(Means::Bitcoin { coins: before, .. }) = &proposal.means {
            let is_conflicting =
                before.first().is_some_and(|first| coins.iter().any(|coin| coin.is_same(first)));
            require!(is_conflicting, "another attempt spends the first coin of the one before");
        }
    }

    fn call_signer(&self, method: &str, arguments: &Value, deposit: NearToken, gas: Gas) -> Promise {
        let arguments = arguments.to_string().into_bytes();
        Promise::new(self.signer_id.clone()).function_call(method.to_owned(), arguments, deposit, gas)
    }
}

fn read_answer(index: u64) -> Option<Value> {
    let bytes = env::promise_result_checked(index, ANSWER_BYTES_MAX).ok()?;
    near_sdk::serde_json::from_slice(&bytes).ok()
}
