//! The signer contract: accounts and contracts ask for signatures, the network's nodes answer.
//!
//! The interface is that of NEAR's own signer contract. A request yields; a node's `respond` resumes it after the
//! signature has been verified here. Equal requests that wait share one answer.

mod domains;
mod errors;
mod keys;
mod participants;
mod protocol_state;
mod requests;
mod views;

use near_sdk::serde_json::{self, json, Value};
use near_sdk::store::LookupMap;
use near_sdk::{
    env, near, AccountId, BorshStorageKey, CryptoHash, Gas, GasWeight, NearToken, PanicOnDefault, Promise,
    PromiseError, PromiseOrValue,
};

use domains::{DomainConfig, DomainId, DomainPurpose};
use errors::{unwrap_or_panic, Refusal, REQUEST_NOT_FOUND, TIMED_OUT};
use keys::{compute_tweak, Curve, Key};
use participants::Parameters;
use protocol_state::{KeyEventId, ProtocolState};
use requests::{SignArguments, SignatureRequest, SignatureResponse};

/// How many equal requests one answer serves.
const EQUAL_REQUESTS_MAX: usize = 128;
const DEPOSIT: NearToken = NearToken::from_yoctonear(1);
const DATA_ID_REGISTER: u64 = 0;

#[derive(BorshStorageKey)]
#[near(serializers = [borsh])]
enum StorageKey {
    Requests,
}

/// What the network may tune. Units are in the names.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub key_event_timeout_blocks: u64,
    pub sign_call_gas_attachment_requirement_tera_gas: u64,
    pub return_signature_and_clean_state_on_success_call_tera_gas: u64,
    pub fail_on_timeout_tera_gas: u64,
}

/// The same with every field optional: absent fields keep their default.
#[near(serializers = [json])]
#[derive(Debug, Clone, Default)]
#[serde(default)]
pub struct InitConfig {
    pub key_event_timeout_blocks: Option<u64>,
    pub sign_call_gas_attachment_requirement_tera_gas: Option<u64>,
    pub return_signature_and_clean_state_on_success_call_tera_gas: Option<u64>,
    pub fail_on_timeout_tera_gas: Option<u64>,
}

/// What a waiting request's view answers.
#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YieldIndex {
    pub data_id: CryptoHash,
}

#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct SignerContract {
    protocol: ProtocolState,
    requests: LookupMap<SignatureRequest, Vec<YieldIndex>>,
    config: Config,
}

impl From<InitConfig> for Config {
    fn from(init: InitConfig) -> Self {
        Self {
            key_event_timeout_blocks: init.key_event_timeout_blocks.unwrap_or(30),
            sign_call_gas_attachment_requirement_tera_gas: init
                .sign_call_gas_attachment_requirement_tera_gas
                .unwrap_or(15),
            return_signature_and_clean_state_on_success_call_tera_gas: init
                .return_signature_and_clean_state_on_success_call_tera_gas
                .unwrap_or(7),
            fail_on_timeout_tera_gas: init.fail_on_timeout_tera_gas.unwrap_or(2),
        }
    }
}

#[near]
impl SignerContract {
    /// Begin with these participants and no domains.
    #[init]
    pub fn init(parameters: Parameters, init_config: Option<InitConfig>) -> Self {
        Self {
            protocol: unwrap_or_panic(ProtocolState::new(parameters)),
            requests: LookupMap::new(StorageKey::Requests),
            config: init_config.unwrap_or_default().into(),
        }
    }

    /// Ask for a signature under the caller's derived key; the result is the signature.
    #[payable]
    pub fn sign(&mut self, request: SignArguments) {
        let (payload, domain_id) = unwrap_or_panic(request.resolve());
        let domain = unwrap_or_panic(
            self.protocol.get_key(domain_id).and_then(|_| self.protocol.get_domain(domain_id)),
        );
        if domain.purpose != DomainPurpose::Sign {
            env::panic_str(&format!("Domain {domain_id} is for {:?}, not for Sign.", domain.purpose));
        }
        self.check_gas_and_deposit();
        unwrap_or_panic(payload.validate(domain.protocol));
        let predecessor_id = env::predecessor_account_id();
        let tweak = compute_tweak(&predecessor_id, &request.path);
        let request = SignatureRequest { tweak, payload, domain_id };
        env::log_str(&format!("sign: predecessor={predecessor_id}, domain_id={domain_id}"));
        self.yield_request(request);
    }

    fn check_gas_and_deposit(&self) {
        let required = Gas::from_tgas(self.config.sign_call_gas_attachment_requirement_tera_gas);
        let attached = env::prepaid_gas();
        if attached < required {
            env::panic_str(&format!(
                "Provided gas is lower than required. Attached {} Tgas, required {} Tgas.",
                attached.as_tgas(),
                required.as_tgas()
            ));
        }
        let deposit = env::attached_deposit();
        if deposit < DEPOSIT {
            env::panic_str(&format!(
                "Attached deposit is lower than required. Attached {deposit}, required 1 yoctoNEAR."
            ));
        }
        let excess = deposit.saturating_sub(DEPOSIT);
        if !excess.is_zero() {
            env::log_str(&format!("refund {excess} to {}", env::predecessor_account_id()));
            Promise::new(env::predecessor_account_id()).transfer(excess).detach();
        }
    }

    fn yield_request(&mut self, request: SignatureRequest) {
        let mut waiting = self.requests.get(&request).cloned().unwrap_or_default();
        if waiting.len() >= EQUAL_REQUESTS_MAX {
            env::panic_str(&format!(
                "{EQUAL_REQUESTS_MAX} equal requests are waiting (the limit); \
                 wait for their answer, or change the path or payload."
            ));
        }
        let arguments =
            serde_json::to_vec(&(&request,)).unwrap_or_else(|_| env::panic_str("the request is not JSON"));
        let promise = env::promise_yield_create(
            "return_signature_and_clean_state_on_success",
            &arguments,
            Gas::from_tgas(self.config.return_signature_and_clean_state_on_success_call_tera_gas),
            GasWeight(0),
            DATA_ID_REGISTER,
        );
        let data_id = env::read_register(DATA_ID_REGISTER)
            .and_then(|bytes| bytes.try_into().ok())
            .unwrap_or_else(|| env::panic_str("the yield has no data id"));
        waiting.push(YieldIndex { data_id });
        self.requests.insert(request, waiting);
        env::promise_return(promise);
    }

    /// A node's answer. Verified under the derived key, then given to all who wait for it.
    pub fn respond(&mut self, request: SignatureRequest, response: SignatureResponse) {
        self.check_participant();
        let key = unwrap_or_panic(
            self.protocol.get_key(request.domain_id).and_then(|root| root.derive(&request.tweak)),
        );
        unwrap_or_panic(response.verify(&request.payload, &key));
        let waiting = self.requests.remove(&request).unwrap_or_else(|| env::panic_str(REQUEST_NOT_FOUND));
        let bytes =
            serde_json::to_vec(&response).unwrap_or_else(|_| env::panic_str("the response is not JSON"));
        for index in waiting {
            // One that lapsed in this very block is answered by its time-out.
            env::promise_yield_resume(&index.data_id, &bytes);
        }
    }

    /// The end of a request: the signature, or the failure of a request that nobody answered.
    #[private]
    pub fn return_signature_and_clean_state_on_success(
        &mut self,
        request: SignatureRequest,
        #[callback_result] signature: Result<SignatureResponse, PromiseError>,
    ) -> PromiseOrValue<SignatureResponse> {
        if let Ok(signature) = signature {
            return PromiseOrValue::Value(signature);
        }
        // Equal requests time out in the order in which they came.
        if let Some(mut waiting) = self.requests.remove(&request) {
            waiting.remove(0);
            if !waiting.is_empty() {
                self.requests.insert(request, waiting);
            }
        }
        // A failure of its own receipt, so that this clean-up is not undone by it.
        let gas = Gas::from_tgas(self.config.fail_on_timeout_tera_gas);
        PromiseOrValue::Promise(Promise::new(env::current_account_id()).function_call(
            "fail_on_timeout".to_string(),
            vec![],
            NearToken::from_yoctonear(0),
            gas,
        ))
    }

    /// Fails, so that the caller of a request that was not answered learns it.
    #[private]
    pub fn fail_on_timeout(&self) {
        env::panic_str(TIMED_OUT);
    }

    fn check_participant(&self) -> AccountId {
        let signer_id = env::signer_account_id();
        if signer_id != env::predecessor_account_id() {
            env::panic_str(&format!(
                "Caller must be the signer account (signer: {signer_id}, predecessor: {}).",
                env::predecessor_account_id()
            ));
        }
        unwrap_or_panic(self.protocol.parameters.participants.get_id(&signer_id));
        signer_id
    }

    /// Ask for new domains; once all participants ask for the same list, their keys are made.
    pub fn vote_add_domains(&mut self, domains: Vec<DomainConfig>) {
        let voter = self.check_participant();
        unwrap_or_panic(self.protocol.vote_add_domains(&voter, domains));
    }

    /// The leader starts an attempt at the key that is to be made.
    pub fn start_keygen_instance(&mut self, key_event_id: KeyEventId) {
        let voter = self.check_participant();
        let blocks = self.config.key_event_timeout_blocks;
        unwrap_or_panic(self.protocol.start_keygen(&voter, key_event_id, env::block_height(), blocks));
    }

    /// Say which key the attempt gave.
    pub fn vote_pk(&mut self, key_event_id: KeyEventId, public_key: String) {
        let voter = self.check_participant();
        let key = unwrap_or_panic(Key::parse(&public_key));
        unwrap_or_panic(self.protocol.vote_public_key(&voter, key_event_id, key, env::block_height()));
    }

    /// Say that the attempt failed.
    pub fn vote_abort_key_event_instance(&mut self, key_event_id: KeyEventId) {
        let voter = self.check_participant();
        unwrap_or_panic(self.protocol.vote_abort(&voter, key_event_id, env::block_height()));
    }

    /// Give up making keys; at the threshold the finished ones stay and the others are dropped.
    pub fn vote_cancel_keygen(&mut self, next_domain_id: DomainId) {
        let voter = self.check_participant();
        unwrap_or_panic(self.protocol.vote_cancel_keygen(&voter, next_domain_id));
    }

    /// A domain's root key; domain 0 unless told otherwise.
    pub fn public_key(&self, domain_id: Option<DomainId>) -> String {
        unwrap_or_panic(self.protocol.get_key(domain_id.unwrap_or(0))).to_text()
    }

    /// The key of an account and path. Give `predecessor` in a view call: there is no caller.
    pub fn derived_public_key(
        &self,
        path: String,
        predecessor: Option<AccountId>,
        domain_id: Option<DomainId>,
    ) -> String {
        let predecessor_id = predecessor.unwrap_or_else(env::predecessor_account_id);
        let tweak = compute_tweak(&predecessor_id, &path);
        let root = self.protocol.get_key(domain_id.unwrap_or(0));
        unwrap_or_panic(root.and_then(|key| key.derive(&tweak))).to_text()
    }

    /// The `key_version` for clients of the older interface: the **oldest** domain that signs on that curve.
    ///
    /// A domain that is added later never moves them to another key.
    pub fn latest_key_version(&self, signature_scheme: Option<Curve>) -> u32 {
        let curve = signature_scheme.unwrap_or(Curve::Secp256k1);
        let mut signing = self.protocol.signing_domains();
        let found = signing
            .find(|(domain, protocol)| domain.purpose == DomainPurpose::Sign && protocol.curve() == curve);
        let id = found.map(|(domain, _)| domain.id).and_then(|id| u32::try_from(id).ok());
        id.unwrap_or_else(|| env::panic_str("No domain signs on this curve."))
    }

    /// Whether such a request waits; only presence means anything.
    pub fn get_pending_request(&self, request: SignatureRequest) -> Option<YieldIndex> {
        self.requests.get(&request).and_then(|waiting| waiting.first()).cloned()
    }

    /// The network's state, in the shape of NEAR's signer contract.
    pub fn state(&self) -> Value {
        views::show_state(&self.protocol)
    }

    /// What the network may tune.
    pub fn config(&self) -> Value {
        json!(self.config)
    }

    /// The contract's version.
    pub fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_string()
    }
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> Self {
        refusal.0
    }
}
