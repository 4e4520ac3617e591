//! Votes about domains and about who takes part.

use near_sdk::near;

use crate::domains::DomainConfig;
use crate::errors::Refusal;
use crate::participants::ProposedParameters;
use crate::{SignerContract, SignerContractExt};

#[near]
impl SignerContract {
    /// Ask for new domains; once all participants ask for the same list, their keys are made.
    #[handle_result]
    pub fn vote_add_domains(&mut self, domains: Vec<DomainConfig>) -> Result<(), Refusal> {
        let (voter, _) = self.get_voter()?;
        self.protocol.vote_add_domains(&voter, domains)
    }

    /// Ask for other participants or thresholds; once the whole proposed set does, keys are handed on to it.
    #[handle_result]
    pub fn vote_new_parameters(
        &mut self,
        prospective_epoch_id: u64,
        proposal: ProposedParameters,
    ) -> Result<(), Refusal> {
        let voter = Self::get_signer()?;
        proposal.parameters.participants.validate()?;
        for (account_id, _, info) in &proposal.parameters.participants.participants {
            let found = self.attestations.check(account_id, &info.tls_public_key, &self.rules());
            found.map_err(|refusal| Refusal::InvalidTeeRemoteAttestation {
                reason: format!("{account_id}: {refusal}"),
            })?;
        }
        self.protocol.vote_new_parameters(&voter, prospective_epoch_id, proposal)
    }
}
