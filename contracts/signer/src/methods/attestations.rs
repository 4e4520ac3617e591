//! Attestations of nodes: submitted, judged, paid for, judged again.

use near_sdk::borsh;
use near_sdk::{env, near, AccountId, Gas, NearToken, Promise, PromiseError, PromiseOrValue};

use crate::attestations::{Attestation, NodeId, VerifiedAttestation};
use crate::dstack::{DstackAttestation, VerificationContext, VerificationResult, VerifierError};
use crate::encodings::NodeKey;
use crate::errors::Refusal;
use crate::participants::Participants;
use crate::{SignerContract, SignerContractExt};

#[near]
impl SignerContract {
    /// Show that the node behind the calling account and this TLS key runs what it should. Anybody may.
    #[handle_result]
    pub fn submit_participant_info(
        &mut self,
        proposed_participant_attestation: Attestation,
        tls_public_key: NodeKey,
    ) -> Result<PromiseOrValue<()>, Refusal> {
        let account_id = Self::get_signer()?;
        let account_public_key = Self::get_signer_key().ok_or(Refusal::SignerKeyNotEd25519)?;
        let node = NodeId { account_id, tls_public_key, account_public_key };
        self.attestations.check_storable(&node)?;
        match proposed_participant_attestation {
            Attestation::Mock(mock) => {
                let attestation = mock.verify(&self.rules())?;
                self.store_attestation(node, attestation)?;
                Ok(PromiseOrValue::Value(()))
            }
            Attestation::Dstack(attestation) => {
                self.ask_verifier(node, attestation).map(PromiseOrValue::Promise)
            }
        }
    }

    /// What the verifier answered. A failure is told in a receipt of its own.
    #[private]
    pub fn resolve_verification(
        &mut self,
        #[serializer(borsh)] context: VerificationContext,
        #[serializer(borsh)]
        #[callback_result]
        result: Result<VerificationResult, PromiseError>,
    ) -> PromiseOrValue<()> {
        let stored = match result {
            Ok(VerificationResult::Verified(report)) => {
                let VerificationContext { node, attestation } = context;
                let verified = attestation.verify(&node, &report, &self.rules());
                verified.and_then(|attestation| self.store_attestation(node, attestation))
            }
            Ok(VerificationResult::Rejected(VerifierError::DcapVerification(reason))) => {
                Err(Refusal::QuoteRejected { reason })
            }
            Err(_) => Err(Refusal::VerifierUnavailable),
        };
        let Err(refusal) = stored else {
            return PromiseOrValue::Value(());
        };
        let reason = borsh::to_vec(&refusal.to_string());
        let reason = reason.unwrap_or_else(|_| env::panic_str("a text has a borsh form"));
        let gas = self.config.fail_attestation_submission_tera_gas;
        PromiseOrValue::Promise(Self::call_self("fail_attestation_submission", reason, gas))
    }

    /// Fails, so that the submitter learns why.
    #[private]
    pub fn fail_attestation_submission(&self, #[serializer(borsh)] reason: String) {
        env::panic_str(&reason);
    }

    /// Pay for storing so many new attestations of an account: exactly so many times the fee. Nothing comes back.
    #[payable]
    #[handle_result]
    pub fn prepay_attestation_storage(&mut self, account_id: AccountId, grants: u32) -> Result<(), Refusal> {
        if grants == 0 {
            return Err(Refusal::malformed("grants must be greater than zero"));
        }
        let fee = NearToken::from_millinear(u128::from(self.config.attestation_storage_fee_millinear));
        let required = fee.as_yoctonear().saturating_mul(u128::from(grants));
        let attached = env::attached_deposit().as_yoctonear();
        if attached != required {
            return Err(Refusal::UnexpectedDeposit { attached, required });
        }
        self.attestations.add_grants(&account_id, grants)
    }

    /// How many new attestations of an account are paid for.
    pub fn available_attestation_grants(&self, account_id: AccountId) -> u32 {
        self.attestations.grants(&account_id)
    }

    /// Judge all participants again. True when all hold, or when the others can go on: then keys are handed on to
    /// those. False when too few hold: then nothing is asked or answered until they renew.
    #[handle_result]
    pub fn verify_tee(&mut self) -> Result<bool, Refusal> {
        self.get_voter()?;
        let current = self.protocol.running()?.parameters.participants.clone();
        self.measurements.get_mut().clean_expired(self.config.tee_upgrade_deadline_duration_seconds);
        let mut holding = current.clone();
        let rules = self.rules();
        holding.participants.retain(|(account, _, info)| {
            self.attestations.check(account, &info.tls_public_key, &rules).is_ok()
        });
        self.accept_requests = holding == current || self.exclude_others(holding).is_ok();
        if !self.accept_requests {
            env::log_str("too few participants hold a valid attestation: requests are not accepted");
        }
        Ok(self.accept_requests)
    }

    /// Remove attestations that no longer hold, among the first so many. Anybody may. Returns how many.
    #[handle_result]
    pub fn clean_invalid_attestations(&mut self, max_scan: u32) -> Result<u32, Refusal> {
        self.protocol.running()?;
        let rules = crate::Rules {
            measurements: self.measurements.get(),
            grace_seconds: self.config.tee_upgrade_deadline_duration_seconds,
        };
        Ok(self.attestations.clean_invalid(max_scan, &rules))
    }

    /// The attestation under a TLS key.
    pub fn get_attestation(&self, tls_public_key: NodeKey) -> Option<VerifiedAttestation> {
        self.attestations.stored.get(&tls_public_key).map(|entry| entry.attestation.clone())
    }

    /// All nodes with attestations, whether or not they take part.
    pub fn get_tee_accounts(&self) -> Vec<NodeId> {
        self.attestations.stored.values().map(|entry| entry.node.clone()).collect()
    }
}

impl SignerContract {
    fn ask_verifier(&self, node: NodeId, attestation: DstackAttestation) -> Result<Promise, Refusal> {
        let (verifier_id, _) = self.verifier.current.clone().ok_or(Refusal::VerifierNotConfigured)?;
        let to_bytes =
            |bytes: Result<Vec<u8>, _>| bytes.map_err(|_| Refusal::malformed("attestation too large"));
        let question = to_bytes(borsh::to_vec(&(&attestation.quote, &attestation.collateral)))?;
        let context = to_bytes(borsh::to_vec(&VerificationContext { node, attestation }))?;
        let gas = Gas::from_tgas(self.config.verifier_tera_gas);
        let nothing = NearToken::from_yoctonear(0);
        let verification =
            Promise::new(verifier_id).function_call("verify_quote".to_string(), question, nothing, gas);
        let callback_gas = self.config.resolve_verification_tera_gas;
        Ok(verification.then(Self::call_self("resolve_verification", context, callback_gas)))
    }

    /// Store, and keep the launcher alive that a participant's attestation names.
    fn store_attestation(&mut self, node: NodeId, attestation: VerifiedAttestation) -> Result<(), Refusal> {
        let is_participant = self.protocol.acting().participants.contains(&node.account_id);
        if let Some(compose_hash) = attestation.compose_hash().filter(|_| is_participant) {
            self.measurements.get_mut().refresh_launcher(
                compose_hash,
                self.config.launcher_hash_unused_ttl_seconds,
                self.config.tee_upgrade_deadline_duration_seconds,
            );
        }
        self.attestations.store(node, attestation)
    }

    fn exclude_others(&mut self, holding: Participants) -> Result<(), Refusal> {
        self.protocol.reshare_without_votes(holding)
    }
}
