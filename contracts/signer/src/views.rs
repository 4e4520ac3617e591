//! The state as JSON, in the shape of NEAR's signer contract.

use near_sdk::serde_json::{json, Value};

use crate::domains::KeyForDomain;
use crate::keys::Key;
use crate::protocol_state::{Generating, ProtocolState};

fn show_key(entry: &KeyForDomain) -> Value {
    let key = match &entry.key {
        Key::Secp256k1(_) => json!({"Secp256k1": {"near_public_key": entry.key.to_text()}}),
        Key::Ed25519(bytes) => json!({"Ed25519": {
            "near_public_key_compressed": entry.key.to_text(),
            "edwards_point": bytes.to_vec(),
        }}),
    };
    json!({"domain_id": entry.domain_id, "key": key, "attempt": entry.attempt})
}

fn show_generating(state: &ProtocolState, generating: &Generating) -> Value {
    let instance = generating.instance.as_ref().map(|instance| {
        json!({
            "attempt_id": instance.attempt_id,
            "started_in": instance.started_in,
            "expires_on": instance.expires_on,
            "completed": instance.completed,
            "public_key": instance.public_key.as_ref().map(Key::to_text),
        })
    });
    json!({"Initializing": {
        "domains": generating.target,
        "epoch_id": state.epoch_id,
        "generated_keys": state.keys.iter().map(show_key).collect::<Vec<_>>(),
        "generating_key": {
            "epoch_id": state.epoch_id,
            "domain": generating.domain,
            "parameters": state.parameters,
            "instance": instance,
            "next_attempt_id": generating.next_attempt_id,
        },
        "cancel_votes": generating.cancel_votes,
    }})
}

/// What `state` answers.
pub fn show_state(state: &ProtocolState) -> Value {
    if let Some(generating) = &state.generating {
        return show_generating(state, generating);
    }
    json!({"Running": {
        "domains": state.domains,
        "keyset": {
            "epoch_id": state.epoch_id,
            "domains": state.keys.iter().map(show_key).collect::<Vec<_>>(),
        },
        "parameters": state.parameters,
        "parameters_votes": {"proposal_by_account": {}},
        "add_domains_votes": {"proposal_by_account": state.add_domains_votes},
        "previously_cancelled_resharing_epoch_id": null,
    }})
}
