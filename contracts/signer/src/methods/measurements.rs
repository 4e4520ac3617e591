//! Votes about what nodes may run, and about who judges their hardware.

use near_sdk::borsh;
use near_sdk::{env, near, AccountId};

use crate::encodings::{Hash256, Hex};
use crate::errors::Refusal;
use crate::measurements::{Actions, AllowedImage, Measurement, Proposals, VoteAction, Votes};
use crate::participants::{Parameters, ParticipantId};
use crate::tables::Table;
use crate::{SignerContract, SignerContractExt};

#[near]
impl SignerContract {
    /// Trust a node image; it ends the older ones after their grace.
    #[handle_result]
    pub fn vote_code_hash(&mut self, code_hash: Hash256) -> Result<(), Refusal> {
        let (id, Parameters { participants, threshold }) = self.get_ballot()?;
        let grace_seconds = self.config.tee_upgrade_deadline_duration_seconds;
        let measurements = self.measurements.get_mut();
        if measurements.image_votes.vote(id, code_hash, &participants) >= threshold {
            measurements.add_image(code_hash, grace_seconds);
        }
        Ok(())
    }

    /// Trust a launcher.
    #[handle_result]
    pub fn vote_add_launcher_hash(&mut self, launcher_hash: Hash256) -> Result<(), Refusal> {
        let (id, Parameters { participants, threshold }) = self.get_ballot()?;
        let life_seconds = self.config.launcher_hash_unused_ttl_seconds;
        let measurements = self.measurements.get_mut();
        let choice = VoteAction::Add(launcher_hash);
        if measurements.launcher_votes.vote(id, choice, &participants) >= threshold {
            measurements.add_launcher(launcher_hash, life_seconds);
        }
        Ok(())
    }

    /// Trust a launcher no more: all participants must say so.
    #[handle_result]
    pub fn vote_remove_launcher_hash(&mut self, launcher_hash: Hash256) -> Result<(), Refusal> {
        let (id, Parameters { participants, .. }) = self.get_ballot()?;
        let measurements = self.measurements.get_mut();
        let choice = VoteAction::Remove(launcher_hash);
        if measurements.launcher_votes.vote(id, choice, &participants) == participants.count() {
            measurements.remove_launcher(launcher_hash);
        }
        Ok(())
    }

    /// Trust an operating system.
    #[handle_result]
    pub fn vote_add_os_measurement(&mut self, measurement: Measurement) -> Result<(), Refusal> {
        let (id, Parameters { participants, threshold }) = self.get_ballot()?;
        let measurements = self.measurements.get_mut();
        let choice = VoteAction::Add(measurement);
        if measurements.system_votes.vote(id, choice, &participants) >= threshold {
            measurements.system_votes = Votes::default();
            if !measurements.systems.contains(&measurement) {
                measurements.systems.push(measurement);
            }
        }
        Ok(())
    }

    /// Trust an operating system no more: all participants must say so.
    #[handle_result]
    pub fn vote_remove_os_measurement(&mut self, measurement: Measurement) -> Result<(), Refusal> {
        let (id, Parameters { participants, .. }) = self.get_ballot()?;
        let measurements = self.measurements.get_mut();
        let choice = VoteAction::Remove(measurement);
        if measurements.system_votes.vote(id, choice, &participants) == participants.count() {
            measurements.system_votes = Votes::default();
            measurements.systems.retain(|other| *other != measurement);
        }
        Ok(())
    }

    /// Let another account judge quotes of trusted hardware.
    #[handle_result]
    pub fn vote_tee_verifier_change(
        &mut self,
        candidate_account_id: AccountId,
        expected_code_hash: Hash256,
    ) -> Result<(), Refusal> {
        let (id, Parameters { participants, threshold }) = self.get_ballot()?;
        let candidate = (candidate_account_id, expected_code_hash);
        if self.verifier.current.as_ref() == Some(&candidate) {
            return Ok(());
        }
        let bytes = borsh::to_vec(&candidate);
        let bytes = bytes.unwrap_or_else(|_| env::panic_str("a candidate has a borsh form"));
        let verifier = self.verifier.get_mut();
        if verifier.votes.vote(id, Hex(env::sha256_array(bytes)), &participants) >= threshold {
            verifier.current = Some(candidate);
            verifier.votes = Votes::default();
        }
        Ok(())
    }

    /// Take one's vote about the verifier back.
    #[handle_result]
    pub fn withdraw_tee_verifier_vote(&mut self) -> Result<(), Refusal> {
        let (_, id) = self.get_voter()?;
        self.verifier.get_mut().votes.by_participant.remove(&id);
        Ok(())
    }

    /// Forget votes of those who left.
    #[private]
    #[handle_result]
    pub fn clean_tee_status(&mut self) -> Result<(), Refusal> {
        let participants = &self.protocol.running()?.parameters.participants;
        self.measurements.get_mut().clean_votes(participants);
        Ok(())
    }

    /// The same for votes about the verifier.
    #[private]
    #[handle_result]
    pub fn remove_non_participant_tee_verifier_votes(&mut self) -> Result<(), Refusal> {
        let participants = &self.protocol.running()?.parameters.participants;
        self.verifier.get_mut().votes.retain(participants);
        Ok(())
    }

    /// Node images in force, newest first.
    pub fn allowed_docker_image_hashes(&self) -> Vec<AllowedImage> {
        let mut images = self.measurements.images(self.config.tee_upgrade_deadline_duration_seconds);
        images.reverse();
        images
    }

    pub fn allowed_launcher_image_hashes(&self) -> Vec<Hash256> {
        self.measurements.launchers()
    }

    pub fn allowed_launcher_compose_hashes(&self) -> Vec<Hash256> {
        self.measurements.compose_hashes(self.config.tee_upgrade_deadline_duration_seconds)
    }

    pub fn allowed_os_measurements(&self) -> Vec<Measurement> {
        self.measurements.systems.clone()
    }

    pub fn code_hash_votes(&self) -> Proposals {
        Proposals { proposal_by_account: self.measurements.image_votes.by_participant.clone() }
    }

    pub fn launcher_hash_votes(&self) -> Actions<Hash256> {
        Actions { vote_by_account: self.measurements.launcher_votes.by_participant.clone() }
    }

    pub fn os_measurement_votes(&self) -> Actions<Measurement> {
        Actions { vote_by_account: self.measurements.system_votes.by_participant.clone() }
    }

    pub fn tee_verifier_account_id(&self) -> Option<AccountId> {
        self.verifier.current.as_ref().map(|(account_id, _)| account_id.clone())
    }

    /// Who voted for which candidate, by the hash of account and code hash.
    pub fn tee_verifier_votes(&self) -> Table<Hash256, Vec<ParticipantId>> {
        let votes = &self.verifier.votes.by_participant;
        let voters_of =
            |hash: &Hash256| votes.iter().filter(|(_, vote)| *vote == hash).map(|(id, _)| *id).collect();
        votes.values().map(|hash| (*hash, voters_of(hash))).collect()
    }
}

impl SignerContract {
    /// The voter, and those among whom it votes.
    fn get_ballot(&self) -> Result<(ParticipantId, Parameters), Refusal> {
        let (_, id) = self.get_voter()?;
        Ok((id, self.protocol.acting().clone()))
    }
}
