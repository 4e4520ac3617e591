//! Updates of code and settings, by vote.

use near_sdk::{env, near, Gas, NearToken, Promise};

use crate::config::Config;
use crate::errors::{unwrap_or_panic, Refusal};
use crate::queue::to_json;
use crate::updates::{compute_deposit, ProposeUpdateArguments, Update, UpdateId, UpdateList};
use crate::{SignerContract, SignerContractExt};

/// For a change of settings, which is one small write.
const UPDATE_CONFIG_TERA_GAS: u64 = 10;

#[near]
impl SignerContract {
    /// Put other code or settings up for a vote; the deposit pays for their storage.
    #[payable]
    #[handle_result]
    pub fn propose_update(
        &mut self,
        #[serializer(borsh)] args: ProposeUpdateArguments,
    ) -> Result<UpdateId, Refusal> {
        let (proposer, _) = self.get_voter()?;
        let (update, size) = args.validate()?;
        Self::take_deposit(compute_deposit(size))?;
        let updates = self.updates.get_mut();
        let id = updates.propose(update);
        updates.sweep();
        env::log_str(&format!("propose_update: signer={proposer}, id={id}"));
        Ok(id)
    }

    /// True when this vote launches the update.
    #[handle_result]
    pub fn vote_update(&mut self, id: UpdateId) -> Result<bool, Refusal> {
        let (voter, _) = self.get_voter()?;
        let running = self.protocol.running().map_err(|_| Refusal::UpdateNeedsRunning)?;
        let updates = self.updates.get_mut();
        updates.vote(&voter, id)?;
        updates.sweep();
        let participants = &running.parameters.participants;
        let votes = updates.list.votes.iter();
        let agreeing = votes.filter(|(account, vote)| **vote == id && participants.contains(account));
        if (agreeing.count() as u64) < running.parameters.threshold {
            return Ok(false);
        }
        let update = updates.take(id)?;
        self.launch(update);
        Ok(true)
    }

    /// Take one's vote back.
    #[handle_result]
    pub fn remove_update_vote(&mut self) -> Result<(), Refusal> {
        let (voter, _) = self.get_voter()?;
        self.protocol.running().map_err(|_| Refusal::UpdateNeedsRunning)?;
        self.updates.get_mut().list.votes.remove(&voter);
        Ok(())
    }

    /// Forget votes of those who left. For the contract itself and for participants.
    #[handle_result]
    pub fn remove_non_participant_update_votes(&mut self) -> Result<(), Refusal> {
        let participants = &self.protocol.running()?.parameters.participants;
        let account_id = env::predecessor_account_id();
        if account_id != env::current_account_id() && !participants.contains(&account_id) {
            return Err(Refusal::NotParticipant { account_id });
        }
        self.updates.get_mut().list.votes.retain(|account| participants.contains(account));
        Ok(())
    }

    /// Open proposals by their hashes, and who votes for which.
    pub fn proposed_updates(&self) -> UpdateList {
        self.updates.list.clone()
    }

    /// What a vote for other settings ends in.
    #[private]
    pub fn update_config(&mut self, config: Config) {
        self.config = unwrap_or_panic(config.validate());
    }
}

/// The arguments of `update_config`.
#[near(serializers = [json])]
struct UpdateConfigArguments {
    config: Config,
}

impl SignerContract {
    /// Deploy and migrate in one receipt: code whose migration fails is not deployed.
    fn launch(&self, update: Update) {
        let promise = Promise::new(env::current_account_id());
        let (promise, method, arguments, tera_gas) = match update {
            Update::Code(code) => {
                let tera_gas = self.config.contract_upgrade_deposit_tera_gas;
                (promise.deploy_contract(code), "migrate", Vec::new(), tera_gas)
            }
            Update::Config(config) => {
                let arguments = to_json(&UpdateConfigArguments { config });
                (promise, "update_config", arguments, UPDATE_CONFIG_TERA_GAS)
            }
        };
        let gas = Gas::from_tgas(tera_gas);
        promise.function_call(method.to_string(), arguments, NearToken::from_yoctonear(0), gas).detach();
    }
}
