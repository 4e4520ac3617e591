//! Moving a node to another machine: who keeps its backup, and where it goes.

use near_sdk::{near, AccountId};

use crate::encodings::NodeKey;
use crate::participants::ParticipantInfo;
use crate::tables::Table;

#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupServiceInfo {
    pub public_key: NodeKey,
}

#[near(serializers = [borsh, json])]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationNodeInfo {
    pub signer_account_pk: NodeKey,
    pub destination_node_info: ParticipantInfo,
}

/// By account.
#[near(serializers = [borsh])]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migrations {
    pub backups: Table<AccountId, BackupServiceInfo>,
    pub destinations: Table<AccountId, DestinationNodeInfo>,
}

/// What `migration_info` shows of each account.
pub type MigrationInfo = Table<AccountId, (Option<BackupServiceInfo>, Option<DestinationNodeInfo>)>;

impl Migrations {
    pub fn list(&self) -> MigrationInfo {
        let accounts = self.backups.keys().chain(self.destinations.keys());
        accounts
            .map(|account| {
                let entry = (self.backups.get(account).cloned(), self.destinations.get(account).cloned());
                (account.clone(), entry)
            })
            .collect()
    }

    /// Forget accounts that have no part in the network.
    pub fn retain(&mut self, has_part: impl Fn(&AccountId) -> bool) {
        self.backups.retain(&has_part);
        self.destinations.retain(&has_part);
    }
}
