//! Answers of nodes. Each is verified before anybody gets it.

use near_sdk::near;

use crate::confidential::{CkdRequest, CkdResponse};
use crate::errors::Refusal;
use crate::foreign::{ForeignRequest, ForeignResponse};
use crate::queue::{self, to_json};
use crate::refusals::{self, AnyRequest, RefusalReason, Refused};
use crate::requests::{Payload, SignatureRequest, SignatureResponse};
use crate::{SignerContract, SignerContractExt};

#[near]
impl SignerContract {
    /// A signature. Verified under the derived key, then given to all who wait for it.
    #[handle_result]
    pub fn respond(&mut self, request: SignatureRequest, response: SignatureResponse) -> Result<(), Refusal> {
        self.get_responder()?;
        let (_, root) = self.protocol.get_domain(request.domain_id)?;
        response.verify(&request.payload, &root.derive(&request.tweak)?)?;
        queue::answer(&mut self.requests, &request, &to_json(&response))?;
        self.forget_refusals(AnyRequest::Sign(request));
        Ok(())
    }

    /// A confidential key. Verified where the app gave a key that allows it.
    #[handle_result]
    pub fn respond_ckd(&mut self, request: CkdRequest, response: CkdResponse) -> Result<(), Refusal> {
        self.get_responder()?;
        let (_, root) = self.protocol.get_domain(request.domain_id)?;
        response.verify(&request, root)?;
        queue::answer(&mut self.ckd_requests, &request, &to_json(&response))?;
        self.forget_refusals(AnyRequest::Ckd(request));
        Ok(())
    }

    /// A confirmed transaction of another chain, signed under the domain's root key.
    #[handle_result]
    pub fn respond_verify_foreign_tx(
        &mut self,
        request: ForeignRequest,
        response: ForeignResponse,
    ) -> Result<(), Refusal> {
        self.get_responder()?;
        if request.expected_payload_hash.is_some_and(|expected| expected != response.payload_hash) {
            return Err(Refusal::UnexpectedPayloadHash);
        }
        let (_, root) = self.protocol.get_domain(request.domain_id)?;
        response.signature.verify(&Payload::Ecdsa(response.payload_hash.0), root)?;
        queue::answer(&mut self.foreign_requests, &request, &to_json(&response))?;
        self.forget_refusals(AnyRequest::ForeignTx(request));
        Ok(())
    }

    /// A refusal. Once those who have not refused are too few to answer, or have not answered within ten seconds of
    /// this participant's first refusal, the request fails with this reason; the result says whether it did.
    #[handle_result]
    pub fn respond_failure(&mut self, request: AnyRequest, reason: RefusalReason) -> Result<bool, Refusal> {
        let account_id = self.get_responder()?;
        reason.validate()?;
        let holders = &self.protocol.acting().participants;
        let Some((id, _)) = holders.find(&account_id) else {
            return Err(Refusal::NotKeyHolder { account_id });
        };
        let (domain, _) = self.protocol.get_domain(request.domain_id())?;
        if !self.is_pending(&request) {
            return Err(Refusal::RequestNotFound);
        }
        let key = request.compute_id();
        let mut refusals = self.refusals.get(&key).unwrap_or_default();
        let standing = refusals::note(&mut refusals, id, reason.clone());
        if !refusals::is_final(&refusals, domain, holders) && !standing.is_old() {
            self.refusals.insert(&key, &refusals);
            return Ok(false);
        }
        self.refusals.remove(&key);
        let bytes = to_json(&Refused { refused: reason });
        match &request {
            AnyRequest::Sign(request) => queue::answer(&mut self.requests, request, &bytes)?,
            AnyRequest::Ckd(request) => queue::answer(&mut self.ckd_requests, request, &bytes)?,
            AnyRequest::ForeignTx(request) => queue::answer(&mut self.foreign_requests, request, &bytes)?,
        }
        Ok(true)
    }
}

impl SignerContract {
    fn is_pending(&self, request: &AnyRequest) -> bool {
        match request {
            AnyRequest::Sign(request) => self.requests.contains(request),
            AnyRequest::Ckd(request) => self.ckd_requests.contains(request),
            AnyRequest::ForeignTx(request) => self.foreign_requests.contains(request),
        }
    }
}
