//! Attempts at keys: made for new domains, handed on to another set.

use near_sdk::{env, near};

use crate::domains::DomainId;
use crate::errors::Refusal;
use crate::key_events::KeyEventId;
use crate::keys::Key;
use crate::{SignerContract, SignerContractExt};

/// How many attestations are looked at after a resharing.
const SCAN_MAX: u32 = 30;

#[near]
impl SignerContract {
    /// The leader starts an attempt at the key that is to be made.
    #[handle_result]
    pub fn start_keygen_instance(&mut self, key_event_id: KeyEventId) -> Result<(), Refusal> {
        let id = self.get_attested()?;
        let blocks = self.config.key_event_timeout_blocks;
        self.protocol.start_keygen(id, key_event_id, env::block_height(), blocks)
    }

    /// Say which key the attempt gave.
    #[handle_result]
    pub fn vote_pk(&mut self, key_event_id: KeyEventId, public_key: String) -> Result<(), Refusal> {
        let id = self.get_attested()?;
        let key = Key::parse(&public_key)?;
        self.protocol.vote_public_key(id, key_event_id, key, env::block_height())
    }

    /// The leader of the proposed set starts an attempt at handing a key on to it.
    #[handle_result]
    pub fn start_reshare_instance(&mut self, key_event_id: KeyEventId) -> Result<(), Refusal> {
        let id = self.get_attested()?;
        let blocks = self.config.key_event_timeout_blocks;
        self.protocol.start_reshare(id, key_event_id, env::block_height(), blocks)
    }

    /// Say that the new share is there. After the last key the next epoch begins, and what belonged to those who left
    /// is cleaned up.
    #[handle_result]
    pub fn vote_reshared(&mut self, key_event_id: KeyEventId) -> Result<(), Refusal> {
        let id = self.get_attested()?;
        if self.protocol.vote_reshared(id, key_event_id, env::block_height())? {
            self.clean_up_later();
        }
        Ok(())
    }

    /// Say that the attempt failed.
    #[handle_result]
    pub fn vote_abort_key_event_instance(&mut self, key_event_id: KeyEventId) -> Result<(), Refusal> {
        let id = self.get_attested()?;
        self.protocol.vote_abort(id, key_event_id, env::block_height())
    }

    /// Give up making keys; at the threshold the finished ones stay and the others are dropped.
    #[handle_result]
    pub fn vote_cancel_keygen(&mut self, next_domain_id: DomainId) -> Result<(), Refusal> {
        let (voter, _) = self.get_voter()?;
        self.protocol.vote_cancel_keygen(&voter, next_domain_id)
    }

    /// Give up handing keys on; at the threshold of the previous set everything is as before.
    #[handle_result]
    pub fn vote_cancel_resharing(&mut self) -> Result<(), Refusal> {
        let (voter, _) = self.get_voter()?;
        self.protocol.vote_cancel_resharing(&voter)
    }
}

impl SignerContract {
    /// Calls of their own, so that none of them can undo the resharing.
    fn clean_up_later(&self) {
        let scan = format!("{{\"max_scan\":{SCAN_MAX}}}").into_bytes();
        let config = &self.config;
        let calls = [
            (
                "remove_non_participant_update_votes",
                vec![],
                config.remove_non_participant_update_votes_tera_gas,
            ),
            ("clean_tee_status", vec![], config.clean_tee_status_tera_gas),
            ("clean_invalid_attestations", scan, config.clean_invalid_attestations_tera_gas),
            ("cleanup_orphaned_node_migrations", vec![], config.cleanup_orphaned_node_migrations_tera_gas),
            ("clean_foreign_chain_data", vec![], config.clean_foreign_chain_data_tera_gas),
            (
                "remove_non_participant_tee_verifier_votes",
                vec![],
                config.remove_non_participant_tee_verifier_votes_tera_gas,
            ),
        ];
        for (method, arguments, tera_gas) in calls {
            Self::call_self(method, arguments, tera_gas).detach();
        }
    }
}
