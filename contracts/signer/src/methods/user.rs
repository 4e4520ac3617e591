//! Requests of accounts and contracts, and how each of them ends.

use near_sdk::serde::de::DeserializeOwned;
use near_sdk::{env, near, Gas, NearToken, PromiseOrValue};

use crate::confidential::{compute_app_id, CkdArguments, CkdRequest, CkdResponse};
use crate::domains::{DomainConfig, DomainId, DomainPurpose};
use crate::errors::{unwrap_or_panic, Refusal};
use crate::foreign::{ForeignRequest, ForeignResponse};
use crate::keys::compute_tweak;
use crate::queue;
use crate::refusals::{AnyRequest, RefusalReason, TimeOut};
use crate::requests::{SignArguments, SignatureRequest, SignatureResponse};
use crate::{SignerContract, SignerContractExt};

/// It makes a full-access key sign: a function-call key cannot attach any.
pub const DEPOSIT: NearToken = NearToken::from_yoctonear(1);

#[near]
impl SignerContract {
    /// Ask for a signature under the caller's derived key; the result is the signature.
    #[payable]
    pub fn sign(&mut self, request: SignArguments) {
        let (payload, domain_id) = unwrap_or_panic(request.resolve());
        let gas = self.config.sign_call_gas_attachment_requirement_tera_gas;
        let domain = unwrap_or_panic(self.admit(domain_id, DomainPurpose::Sign, gas));
        unwrap_or_panic(payload.validate(domain.protocol));
        let predecessor_id = env::predecessor_account_id();
        let tweak = compute_tweak(&predecessor_id, &request.path);
        env::log_str(&format!("sign: predecessor={predecessor_id}, domain_id={domain_id}"));
        let callback_gas = self.config.return_signature_and_clean_state_on_success_call_tera_gas;
        let promise = queue::wait(
            &mut self.requests,
            &SignatureRequest { tweak, payload, domain_id },
            "return_signature_and_clean_state_on_success",
            Gas::from_tgas(callback_gas),
        );
        env::promise_return(promise);
    }

    /// Ask for a key that only the caller can read; the result is that key, hidden under `app_public_key`.
    #[payable]
    pub fn request_app_private_key(&mut self, request: CkdArguments) {
        let CkdArguments { derivation_path, app_public_key, domain_id } = request;
        let gas = self.config.ckd_call_gas_attachment_requirement_tera_gas;
        unwrap_or_panic(self.admit(domain_id, DomainPurpose::CKD, gas));
        unwrap_or_panic(app_public_key.validate());
        let predecessor_id = env::predecessor_account_id();
        let app_id = compute_app_id(&predecessor_id, &derivation_path);
        env::log_str(&format!(
            "request_app_private_key: predecessor={predecessor_id}, domain_id={domain_id}"
        ));
        let promise = queue::wait(
            &mut self.ckd_requests,
            &CkdRequest { app_public_key, app_id, domain_id },
            "return_ck_and_clean_state_on_success",
            Gas::from_tgas(self.config.return_ck_and_clean_state_on_success_call_tera_gas),
        );
        env::promise_return(promise);
    }

    /// Ask the network to confirm a transaction of another chain; the result is a signed hash of what it saw.
    #[payable]
    pub fn verify_foreign_transaction(&mut self, request: ForeignRequest) {
        let domain_id = request.domain_id;
        let gas = self.config.sign_call_gas_attachment_requirement_tera_gas;
        unwrap_or_panic(self.admit(domain_id, DomainPurpose::ForeignTx, gas));
        let chain = unwrap_or_panic(request.validate());
        if !self.list_foreign_chains().contains(&chain) {
            unwrap_or_panic::<()>(Err(Refusal::ForeignChainNotSupported { chain }));
        }
        let predecessor_id = env::predecessor_account_id();
        env::log_str(&format!("verify_foreign_transaction: predecessor={predecessor_id}, chain={chain:?}"));
        let callback_gas = self.config.return_signature_and_clean_state_on_success_call_tera_gas;
        let promise = queue::wait(
            &mut self.foreign_requests,
            &request,
            "return_verify_foreign_tx_and_clean_state_on_success",
            Gas::from_tgas(callback_gas),
        );
        env::promise_return(promise);
    }

    /// The end of a request: the signature, or the failure of a request that was refused or not answered.
    #[private]
    pub fn return_signature_and_clean_state_on_success(
        &mut self,
        request: SignatureRequest,
    ) -> PromiseOrValue<SignatureResponse> {
        let answer = queue::read_answer();
        if answer.is_some() {
            return self.end(answer, None);
        }
        let is_last = queue::drop_oldest(&mut self.requests, &request);
        let reason = self.take_refusal(AnyRequest::Sign(request), is_last);
        self.end(answer, reason)
    }

    /// The same for a confidential key.
    #[private]
    pub fn return_ck_and_clean_state_on_success(
        &mut self,
        request: CkdRequest,
    ) -> PromiseOrValue<CkdResponse> {
        let answer = queue::read_answer();
        if answer.is_some() {
            return self.end(answer, None);
        }
        let is_last = queue::drop_oldest(&mut self.ckd_requests, &request);
        let reason = self.take_refusal(AnyRequest::Ckd(request), is_last);
        self.end(answer, reason)
    }

    /// The same for a transaction of another chain.
    #[private]
    pub fn return_verify_foreign_tx_and_clean_state_on_success(
        &mut self,
        request: ForeignRequest,
    ) -> PromiseOrValue<ForeignResponse> {
        let answer = queue::read_answer();
        if answer.is_some() {
            return self.end(answer, None);
        }
        let is_last = queue::drop_oldest(&mut self.foreign_requests, &request);
        let reason = self.take_refusal(AnyRequest::ForeignTx(request), is_last);
        self.end(answer, reason)
    }

    /// Fails, so that the caller of a request that was not answered learns it.
    #[private]
    #[handle_result]
    pub fn fail_on_timeout(&self) -> Result<(), Refusal> {
        Err(Refusal::TimedOut)
    }

    /// The same where a node has said why, though others could still have answered.
    #[private]
    #[handle_result]
    pub fn fail_on_timeout_after_refusal(&self, reason: RefusalReason) -> Result<(), Refusal> {
        Err(Refusal::TimedOutRefused { reason })
    }
}

impl SignerContract {
    /// What all three kinds of request must pass, in this order.
    fn admit(
        &self,
        domain_id: DomainId,
        expected: DomainPurpose,
        gas_tera: u64,
    ) -> Result<DomainConfig, Refusal> {
        let (domain, _) = self.protocol.get_domain(domain_id)?;
        if domain.purpose != expected {
            return Err(Refusal::WrongDomainPurpose { domain_id, actual: domain.purpose, expected });
        }
        let provided = env::prepaid_gas();
        if provided < Gas::from_tgas(gas_tera) {
            return Err(Refusal::InsufficientGas { provided: provided.as_tgas(), required: gas_tera });
        }
        Self::take_deposit(DEPOSIT)?;
        self.check_accepting()?;
        Ok(domain.clone())
    }

    pub(crate) fn forget_refusals(&mut self, request: AnyRequest) {
        self.refusals.remove(&request.compute_id());
    }

    /// What one of those who refused a request has said; with its last waiting call all of it is forgotten.
    fn take_refusal(&mut self, request: AnyRequest, is_last: bool) -> Option<RefusalReason> {
        let id = request.compute_id();
        let refusals = self.refusals.get(&id)?;
        if is_last {
            self.refusals.remove(&id);
        }
        let reason = refusals.values().next().map(|standing| standing.reason.clone());
        reason
    }

    /// Give the answer back, or fail in a receipt of its own, so that the clean-up is not undone by the failure.
    fn end<T: DeserializeOwned>(
        &self,
        answer: Option<T>,
        reason: Option<RefusalReason>,
    ) -> PromiseOrValue<T> {
        match answer {
            Some(answer) => PromiseOrValue::Value(answer),
            None => {
                let gas = self.config.fail_on_timeout_tera_gas;
                let (method, arguments) = match reason {
                    Some(reason) => ("fail_on_timeout_after_refusal", queue::to_json(&TimeOut { reason })),
                    None => ("fail_on_timeout", Vec::new()),
                };
                PromiseOrValue::Promise(Self::call_self(method, arguments, gas))
            }
        }
    }
}
