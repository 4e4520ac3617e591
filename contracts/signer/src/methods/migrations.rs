//! Moving a node to another machine. What an operator decides costs a yoctoNEAR, so that the node's own key, which
//! may be stolen with the machine, cannot decide it.

use near_sdk::near;

use crate::domains::Keyset;
use crate::encodings::NodeKey;
use crate::errors::Refusal;
use crate::methods::user::DEPOSIT;
use crate::migrations::{BackupServiceInfo, DestinationNodeInfo, MigrationInfo};
use crate::participants::ParticipantInfo;
use crate::{SignerContract, SignerContractExt};

#[near]
impl SignerContract {
    /// Name the service that may fetch a backup of the node.
    #[payable]
    #[handle_result]
    pub fn register_backup_service(&mut self, backup_service_info: BackupServiceInfo) -> Result<(), Refusal> {
        let account_id = Self::get_signer()?;
        if !self.protocol.is_present_or_prospective(&account_id) {
            return Err(Refusal::NotParticipant { account_id });
        }
        Self::take_deposit(DEPOSIT)?;
        self.migrations.get_mut().backups.insert(account_id, backup_service_info);
        Ok(())
    }

    /// Announce the machine that the node is to move to.
    #[payable]
    #[handle_result]
    pub fn start_node_migration(
        &mut self,
        destination_node_info: DestinationNodeInfo,
    ) -> Result<(), Refusal> {
        let account_id = Self::get_signer()?;
        self.protocol.running()?.parameters.participants.get_id(&account_id)?;
        Self::take_deposit(DEPOSIT)?;
        self.migrations.get_mut().destinations.insert(account_id, destination_node_info);
        Ok(())
    }

    /// Another address of the same machine.
    #[payable]
    #[handle_result]
    pub fn update_participant_url(&mut self, url: String) -> Result<(), Refusal> {
        let account_id = Self::get_signer()?;
        let participants = &mut self.protocol.running_mut()?.parameters.participants;
        let found = participants.find(&account_id).map(|(_, info)| info.tls_public_key);
        let tls_public_key =
            found.ok_or_else(|| Refusal::NotParticipant { account_id: account_id.clone() })?;
        participants.update_info(&account_id, ParticipantInfo { url, tls_public_key })?;
        Self::take_deposit(DEPOSIT)
    }

    /// Called by the new machine once it has the keys: from now on it is the participant's node.
    #[handle_result]
    pub fn conclude_node_migration(&mut self, keyset: Keyset) -> Result<(), Refusal> {
        let account_id = Self::get_signer()?;
        let running = self.protocol.running()?;
        let (_, info) = running
            .parameters
            .participants
            .find(&account_id)
            .ok_or_else(|| Refusal::NotParticipant { account_id: account_id.clone() })?;
        let old_key = info.tls_public_key;
        if keyset != running.keyset {
            return Err(Refusal::KeysetMismatch);
        }
        let destination = self.migrations.get_mut().destinations.remove(&account_id);
        let DestinationNodeInfo { signer_account_pk, destination_node_info } =
            destination.ok_or(Refusal::MigrationNotFound)?;
        let found = Self::get_signer_key();
        if found != Some(signer_account_pk) {
            let found = found.map_or_else(|| "no ed25519 key".to_string(), NodeKey::to_text);
            return Err(Refusal::AccountPublicKeyMismatch { found, expected: signer_account_pk.to_text() });
        }
        let new_key = destination_node_info.tls_public_key;
        let attested = self.attestations.check(&account_id, &new_key, &self.rules());
        attested.map_err(|refusal| Refusal::InvalidTeeRemoteAttestation { reason: refusal.to_string() })?;
        self.protocol
            .running_mut()?
            .parameters
            .participants
            .update_info(&account_id, destination_node_info)?;
        // The other machine's report is no longer this participant's.
        if old_key != new_key {
            self.foreign.get_mut().reports.remove(&old_key);
        }
        Ok(())
    }

    /// Forget those who have no part in the network.
    #[private]
    #[handle_result]
    pub fn cleanup_orphaned_node_migrations(&mut self) -> Result<(), Refusal> {
        self.protocol.running()?;
        let protocol = &self.protocol;
        self.migrations.get_mut().retain(|account_id| protocol.is_present_or_prospective(account_id));
        Ok(())
    }

    /// Backup services and announced machines, by account.
    pub fn migration_info(&self) -> MigrationInfo {
        self.migrations.list()
    }
}
