//! Which foreign chains the network confirms. Older and newer registration write the same reports; both lists of
//! chains answer from the same rule.

use near_sdk::{near, AccountId};

use crate::domains::DomainPurpose;
use crate::encodings::NodeKey;
use crate::errors::Refusal;
use crate::foreign::ForeignChain;
use crate::providers::{ChainEntry, RpcProvider, SupportByNode};
use crate::tables::{Set, Table};
use crate::{SignerContract, SignerContractExt};

#[near]
impl SignerContract {
    /// Report the chains that the caller's node serves, by the participant's account.
    #[handle_result]
    pub fn register_foreign_chain_support(
        &mut self,
        foreign_chain_support: Set<ForeignChain>,
    ) -> Result<(), Refusal> {
        let (account_id, _) = self.get_voter()?;
        let found = self.protocol.acting().participants.find(&account_id);
        let tls_key =
            found.map(|(_, info)| info.tls_public_key).ok_or(Refusal::NotParticipant { account_id })?;
        self.foreign.get_mut().reports.insert(tls_key, foreign_chain_support);
        Ok(())
    }

    /// The same in the oldest form, which names addresses too.
    #[handle_result]
    pub fn register_foreign_chain_config(
        &mut self,
        foreign_chain_configuration: Table<ForeignChain, Vec<RpcProvider>>,
    ) -> Result<(), Refusal> {
        self.register_foreign_chain_support(foreign_chain_configuration.keys().copied().collect())
    }

    /// Report the chains that the calling node serves, by its own key: also before it takes part.
    #[handle_result]
    pub fn register_foreign_chains_config(
        &mut self,
        foreign_chains_config: Set<ForeignChain>,
    ) -> Result<(), Refusal> {
        let account_id = Self::get_signer()?;
        let signer_key = Self::get_signer_key().ok_or(Refusal::SignerKeyNotEd25519)?;
        let mut nodes = self.attestations.stored.values().map(|entry| &entry.node);
        let node = nodes.find(|node| node.account_public_key == signer_key && node.account_id == account_id);
        match node.filter(|node| self.protocol.is_present_or_prospective(&node.account_id)) {
            Some(node) => {
                self.foreign.get_mut().reports.insert(node.tls_public_key, foreign_chains_config);
                Ok(())
            }
            None => Err(Refusal::NotParticipant { account_id }),
        }
    }

    /// Vote for the providers of chains; gives the chains whose providers this vote replaces.
    #[handle_result]
    pub fn vote_update_foreign_chain_providers(
        &mut self,
        #[serializer(borsh)] votes: Table<ForeignChain, ChainEntry>,
    ) -> Result<Vec<ForeignChain>, Refusal> {
        let (_, id) = self.get_voter()?;
        let acting = self.protocol.acting();
        self.foreign.get_mut().vote(id, votes, &acting.participants, acting.threshold)
    }

    /// Forget reports and votes of those who left.
    #[private]
    #[handle_result]
    pub fn clean_foreign_chain_data(&mut self) -> Result<(), Refusal> {
        let participants = &self.protocol.running()?.parameters.participants;
        self.foreign.get_mut().retain(participants);
        Ok(())
    }

    /// The voted providers.
    #[result_serializer(borsh)]
    pub fn allowed_foreign_chain_providers(&self) -> Table<ForeignChain, ChainEntry> {
        self.foreign.providers.clone()
    }

    /// The chains that `verify_foreign_transaction` takes.
    pub fn get_available_foreign_chains(&self) -> Vec<ForeignChain> {
        self.list_foreign_chains()
    }

    /// The same, by its older name.
    pub fn get_supported_foreign_chains(&self) -> Vec<ForeignChain> {
        self.list_foreign_chains()
    }

    /// What each participant's node reports, by account.
    pub fn get_foreign_chain_support_by_node(&self) -> SupportByNode {
        let participants = &self.protocol.active().participants.participants;
        let reports: Table<AccountId, Set<ForeignChain>> = participants
            .iter()
            .filter_map(|(account, _, info)| {
                let chains = self.foreign.reports.get(&info.tls_public_key)?;
                Some((account.clone(), chains.clone()))
            })
            .collect();
        SupportByNode { foreign_chain_support_by_node: reports }
    }

    /// The same by TLS key, also of nodes that do not take part yet.
    pub fn get_foreign_chains_configs(&self) -> Table<NodeKey, Set<ForeignChain>> {
        self.foreign.reports.clone()
    }
}

impl SignerContract {
    /// Chains with voted providers that as many active nodes serve as sign for them.
    pub(crate) fn list_foreign_chains(&self) -> Vec<ForeignChain> {
        let domains = self.protocol.domains().domains.iter();
        let required = domains
            .filter(|domain| domain.purpose == DomainPurpose::ForeignTx)
            .map(|domain| domain.reconstruction_threshold)
            .max();
        self.foreign.list_available(&self.protocol.active().participants.tls_keys(), required)
    }
}
