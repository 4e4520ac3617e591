//! What the network may tune by vote. Units are in the names; the order is the wire order of `propose_update`.

use near_sdk::near;

use crate::errors::Refusal;

/// An attestation lives no longer than this; a launcher image must outlive it.
pub const ATTESTATION_LIFE_SECONDS: u64 = 604_800;

/// Declares the settings once, for both the whole and the partial form.
macro_rules! settings {
    ($($name:ident = $default:literal;)+) => {
        /// All settings.
        #[near(serializers = [borsh, json])]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config { $(pub $name: u64),+ }

        /// Settings of which any may be absent: those keep their default.
        #[near(serializers = [json])]
        #[derive(Debug, Clone, Default)]
        #[serde(default)]
        pub struct InitConfig { $(pub $name: Option<u64>),+ }

        impl From<InitConfig> for Config {
            fn from(init: InitConfig) -> Self {
                Self { $($name: init.$name.unwrap_or($default)),+ }
            }
        }
    };
}

settings! {
    key_event_timeout_blocks = 30;
    tee_upgrade_deadline_duration_seconds = 604_800;
    contract_upgrade_deposit_tera_gas = 50;
    sign_call_gas_attachment_requirement_tera_gas = 15;
    ckd_call_gas_attachment_requirement_tera_gas = 15;
    return_signature_and_clean_state_on_success_call_tera_gas = 7;
    return_ck_and_clean_state_on_success_call_tera_gas = 7;
    fail_on_timeout_tera_gas = 2;
    fail_attestation_submission_tera_gas = 2;
    clean_tee_status_tera_gas = 10;
    clean_invalid_attestations_tera_gas = 15;
    cleanup_orphaned_node_migrations_tera_gas = 4;
    remove_non_participant_update_votes_tera_gas = 5;
    clean_foreign_chain_data_tera_gas = 5;
    remove_non_participant_tee_verifier_votes_tera_gas = 5;
    verifier_tera_gas = 200;
    resolve_verification_tera_gas = 60;
    launcher_hash_unused_ttl_seconds = 1_209_600;
    attestation_storage_fee_millinear = 20;
}

impl Config {
    /// Refuses what would let an attestation outlive the launcher image it names.
    pub fn validate(self) -> Result<Self, Refusal> {
        if self.launcher_hash_unused_ttl_seconds < ATTESTATION_LIFE_SECONDS {
            return Err(Refusal::InvalidConfig { required: ATTESTATION_LIFE_SECONDS });
        }
        Ok(self)
    }
}
