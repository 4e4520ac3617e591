//! The signer contract: accounts and contracts ask for signatures, the network's nodes answer.
//!
//! The interface is that of NEAR's own signer contract. A request yields; a node's response resumes it after it has
//! been verified here. Equal requests that wait share one answer. The rules are in modules of their own, without the
//! host where that is possible; `methods` has what can be called.

mod attestations;
mod bls;
mod confidential;
mod config;
mod domains;
mod dstack;
mod encodings;
mod errors;
mod foreign;
mod key_events;
mod keys;
mod measurements;
mod methods;
mod migrations;
mod participants;
mod protocol_state;
mod providers;
mod queue;
mod refusals;
mod requests;
mod tables;
mod updates;

use near_sdk::borsh::BorshDeserialize;
use near_sdk::store::Lazy;
use near_sdk::{env, near, AccountId, BorshStorageKey, Gas, NearToken, PanicOnDefault, Promise, PublicKey};

use attestations::{Attestations, Rules};
use confidential::CkdRequest;
use config::{Config, InitConfig};
use domains::{DomainConfig, DomainId, Domains, Keyset};
use encodings::{Hash256, NodeKey};
use errors::{unwrap_or_panic, Refusal};
use foreign::ForeignRequest;
use measurements::{Measurements, Votes};
use migrations::Migrations;
use participants::{Parameters, ParticipantId};
use protocol_state::{ProtocolState, Running};
use providers::ForeignChains;
use queue::Queue;
use refusals::Refusals;
use requests::SignatureRequest;
use tables::Records;
use updates::Updates;

const STATE_KEY: &[u8] = b"STATE";

/// The first byte of every storage key. Nodes read the records of the first three.
#[derive(BorshStorageKey)]
#[near(serializers = [borsh])]
enum StorageKey {
    Requests,
    CkdRequests,
    ForeignRequests,
    Refusals,
    Attestations,
    Grants,
    Measurements,
    Verifier,
    Updates,
    UpdateContents,
    Migrations,
    ForeignChains,
}

/// The account that judges quotes of trusted hardware, and votes for another.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verifier {
    current: Option<(AccountId, Hash256)>,
    votes: Votes<Hash256>,
}

/// What every call needs is in the one record; the rest is read where it is needed.
#[near(contract_state)]
#[derive(PanicOnDefault)]
pub struct SignerContract {
    protocol: ProtocolState,
    config: Config,
    accept_requests: bool,
    requests: Queue<SignatureRequest>,
    ckd_requests: Queue<CkdRequest>,
    foreign_requests: Queue<ForeignRequest>,
    refusals: Records<[u8; 32], Refusals>,
    attestations: Attestations,
    measurements: Lazy<Measurements>,
    verifier: Lazy<Verifier>,
    updates: Lazy<Updates>,
    migrations: Lazy<Migrations>,
    foreign: Lazy<ForeignChains>,
}

#[near]
impl SignerContract {
    /// Begin with these participants and no domains.
    #[init]
    pub fn init(parameters: Parameters, init_config: Option<InitConfig>) -> Self {
        Self::begin(unwrap_or_panic(ProtocolState::new(parameters)), init_config)
    }

    /// Begin with keys that exist.
    #[private]
    #[init]
    pub fn init_running(
        domains: Vec<DomainConfig>,
        next_domain_id: DomainId,
        keyset: Keyset,
        parameters: Parameters,
        init_config: Option<InitConfig>,
    ) -> Self {
        unwrap_or_panic(parameters.validate());
        let domains = Domains { domains, next_domain_id };
        unwrap_or_panic(domains.validate_keyset(&keyset));
        let count = parameters.participants.count();
        unwrap_or_panic(domains.domains.iter().try_for_each(|domain| domain.validate(count)));
        Self::begin(ProtocolState::Running(Running::new(domains, keyset, parameters)), init_config)
    }

    /// Go on with the state that the code before this one left.
    #[private]
    #[init(ignore_state)]
    pub fn migrate() -> Self {
        let state = env::storage_read(STATE_KEY).ok_or(Refusal::ContractStateIsMissing);
        let state = Self::try_from_slice(&unwrap_or_panic(state));
        unwrap_or_panic(state.map_err(|_| Refusal::ContractStateUnknown))
    }
}

impl SignerContract {
    fn begin(protocol: ProtocolState, init_config: Option<InitConfig>) -> Self {
        let mut attestations = Attestations::new(StorageKey::Attestations, StorageKey::Grants);
        attestations.store_founders(&protocol.acting().participants);
        Self {
            protocol,
            config: unwrap_or_panic(Config::from(init_config.unwrap_or_default()).validate()),
            accept_requests: true,
            requests: Records::new(StorageKey::Requests),
            ckd_requests: Records::new(StorageKey::CkdRequests),
            foreign_requests: Records::new(StorageKey::ForeignRequests),
            refusals: Records::new(StorageKey::Refusals),
            attestations,
            measurements: Lazy::new(StorageKey::Measurements, Measurements::default()),
            verifier: Lazy::new(StorageKey::Verifier, Verifier::default()),
            updates: Lazy::new(StorageKey::Updates, Updates::new(StorageKey::UpdateContents)),
            migrations: Lazy::new(StorageKey::Migrations, Migrations::default()),
            foreign: Lazy::new(StorageKey::ForeignChains, ForeignChains::default()),
        }
    }

    /// Who signed the transaction, if they call directly: no contract speaks for a participant.
    fn get_signer() -> Result<AccountId, Refusal> {
        let (signer, predecessor) = (env::signer_account_id(), env::predecessor_account_id());
        if signer != predecessor {
            return Err(Refusal::CallerNotSigner { signer, predecessor });
        }
        Ok(signer)
    }

    /// The ed25519 key that signed the transaction.
    fn get_signer_key() -> Option<NodeKey> {
        let key: PublicKey = env::signer_account_pk();
        NodeKey::from_public_key(&key)
    }

    /// A participant that decides.
    fn get_voter(&self) -> Result<(AccountId, ParticipantId), Refusal> {
        let account_id = Self::get_signer()?;
        match self.protocol.acting().participants.find(&account_id) {
            Some((id, _)) => Ok((account_id, id)),
            None => Err(Refusal::NotVoter { account_id }),
        }
    }

    /// A node of those that run key events.
    fn get_attested(&self) -> Result<ParticipantId, Refusal> {
        let participants = &self.protocol.active().participants;
        self.attestations.authenticate(&Self::get_signer()?, Self::get_signer_key(), participants)
    }

    /// A node that may answer requests: while keys are handed on, of either set. What it answers is verified.
    fn get_responder(&self) -> Result<AccountId, Refusal> {
        if let Err(refusal) = self.get_attested() {
            let participants = &self.protocol.acting().participants;
            let found =
                self.attestations.authenticate(&Self::get_signer()?, Self::get_signer_key(), participants);
            found.map_err(|_| refusal)?;
        }
        self.check_accepting()?;
        Ok(env::signer_account_id())
    }

    fn check_accepting(&self) -> Result<(), Refusal> {
        self.accept_requests.then_some(()).ok_or(Refusal::TeeValidationFailed)
    }

    /// What attestations are judged by.
    fn rules(&self) -> Rules<'_> {
        Rules {
            measurements: self.measurements.get(),
            grace_seconds: self.config.tee_upgrade_deadline_duration_seconds,
        }
    }

    /// Take a fee of a call and give the rest back.
    fn take_deposit(required: NearToken) -> Result<(), Refusal> {
        let attached = env::attached_deposit();
        if attached < required {
            return Err(Refusal::InsufficientDeposit {
                attached: attached.as_yoctonear(),
                required: required.as_yoctonear(),
            });
        }
        let excess = attached.saturating_sub(required);
        if !excess.is_zero() {
            env::log_str(&format!("refund {excess} to {}", env::predecessor_account_id()));
            Promise::new(env::predecessor_account_id()).transfer(excess).detach();
        }
        Ok(())
    }

    /// A call of this contract to itself.
    fn call_self(method: &str, arguments: Vec<u8>, tera_gas: u64) -> Promise {
        let gas = Gas::from_tgas(tera_gas);
        Promise::new(env::current_account_id()).function_call(
            method.to_string(),
            arguments,
            NearToken::from_yoctonear(0),
            gas,
        )
    }
}
