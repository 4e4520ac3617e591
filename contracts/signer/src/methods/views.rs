//! Keys, waiting requests and the network's state. Nothing here writes.

use near_sdk::{env, near, AccountId};

use crate::confidential::CkdRequest;
use crate::config::Config;
use crate::domains::{DomainId, DomainPurpose};
use crate::errors::Refusal;
use crate::foreign::ForeignRequest;
use crate::keys::{compute_tweak, Curve};
use crate::participants::ParticipantId;
use crate::protocol_state::ProtocolState;
use crate::queue::{self, YieldIndex};
use crate::refusals::{AnyRequest, RefusalReason};
use crate::requests::SignatureRequest;
use crate::tables::Table;
use crate::{SignerContract, SignerContractExt};

#[near]
impl SignerContract {
    /// A domain's root key; domain 0 unless told otherwise.
    #[handle_result]
    pub fn public_key(&self, domain_id: Option<DomainId>) -> Result<String, Refusal> {
        let (_, key) = self.protocol.get_domain(domain_id.unwrap_or(0))?;
        Ok(key.to_text())
    }

    /// The key of an account and path. Give `predecessor` in a view call: there is no caller.
    #[handle_result]
    pub fn derived_public_key(
        &self,
        path: String,
        predecessor: Option<AccountId>,
        domain_id: Option<DomainId>,
    ) -> Result<String, Refusal> {
        let predecessor_id = predecessor.unwrap_or_else(env::predecessor_account_id);
        let (_, root) = self.protocol.get_domain(domain_id.unwrap_or(0))?;
        Ok(root.derive(&compute_tweak(&predecessor_id, &path))?.to_text())
    }

    /// The `key_version` for clients of the older interface: the **oldest** domain that signs on that curve.
    ///
    /// A domain that is added later never moves them to another key.
    #[handle_result]
    pub fn latest_key_version(&self, signature_scheme: Option<Curve>) -> Result<u32, Refusal> {
        let curve = signature_scheme.unwrap_or(Curve::Secp256k1);
        let keys = self.protocol.keys().iter();
        let mut domains = keys.filter_map(|entry| self.protocol.domains().find(entry.domain_id));
        let found =
            domains.find(|domain| domain.purpose == DomainPurpose::Sign && domain.protocol.curve() == curve);
        found.and_then(|domain| u32::try_from(domain.id).ok()).ok_or(Refusal::NoDomainOfCurve)
    }

    /// Whether such a request waits; only presence means anything.
    pub fn get_pending_request(&self, request: SignatureRequest) -> Option<YieldIndex> {
        queue::first(&self.requests, &request)
    }

    /// The same for confidential keys.
    pub fn get_pending_ckd_request(&self, request: CkdRequest) -> Option<YieldIndex> {
        queue::first(&self.ckd_requests, &request)
    }

    /// The same for transactions of other chains.
    pub fn get_pending_verify_foreign_tx_request(&self, request: ForeignRequest) -> Option<YieldIndex> {
        queue::first(&self.foreign_requests, &request)
    }

    /// Which participants have refused a request that waits, and why.
    pub fn get_refusals(&self, request: AnyRequest) -> Table<ParticipantId, RefusalReason> {
        let refusals = self.refusals.get(&request.compute_id()).unwrap_or_default();
        refusals.into_entries().into_iter().map(|(id, standing)| (id, standing.reason)).collect()
    }

    /// The network's state, in the shape of NEAR's signer contract.
    pub fn state(&self) -> &ProtocolState {
        &self.protocol
    }

    /// What the network may tune.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The contract's version.
    pub fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_string()
    }
}
