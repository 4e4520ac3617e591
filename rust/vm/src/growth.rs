//! Protocol 84: growing a memory or table costs one instruction, whatever the size.
//!
//! NEAR's own node at 84 (the recordings show it) does not charge for what is grown; the
//! published VM charges growth like the other linear operations, at every version. Its
//! configuration has one price for all of them, so a module that grows but has no other
//! linear operation gets a configuration in which that price is one instruction. A
//! module that has both is charged as the published VM does.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use hither_state::ChunkState;
use near_parameters::vm::Config;
use near_primitives_core::hash::CryptoHash;
use parking_lot::Mutex;
use wasmparser::{Operator, Parser, Payload};

use crate::error::Error;
use crate::parameters::runtime_config;

/// The only version with this rule.
const PROTOCOL_VERSION: u32 = 84;

/// Answers kept; all are forgotten when there are more, as they are quick to find again.
const REMEMBERED_MAX: usize = 10_000;

static REMEMBERED: LazyLock<Mutex<HashMap<CryptoHash, bool>>> = LazyLock::new(Mutex::default);

static CONFIG: LazyLock<Result<Arc<Config>, Error>> = LazyLock::new(|| {
    let mut config = Config::clone(&runtime_config(PROTOCOL_VERSION)?.wasm_config);
    config.linear_op_base_cost = u64::from(config.regular_op_cost);
    config.linear_op_unit_cost = 0;
    Ok(Arc::new(config))
});

/// The configuration for code that is at hand.
pub(crate) fn config_for_code(protocol_version: u32, code: &[u8]) -> Option<Arc<Config>> {
    if protocol_version != PROTOCOL_VERSION || !only_grows(code) {
        return None;
    }
    CONFIG.as_ref().ok().cloned()
}

/// The configuration for the code at a trie key, read once a process.
pub(crate) fn config_for_key(
    protocol_version: u32,
    hash: CryptoHash,
    state: &ChunkState,
    key: &[u8],
) -> Option<Arc<Config>> {
    if protocol_version != PROTOCOL_VERSION {
        return None;
    }
    let known = REMEMBERED.lock().get(&hash).copied();
    let only_grows = known.unwrap_or_else(|| {
        let answer = state.get_unrecorded(key).is_some_and(|code| only_grows(&code));
        let mut remembered = REMEMBERED.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, answer);
        answer
    });
    CONFIG.as_ref().ok().filter(|_| only_grows).cloned()
}

/// Whether the module grows something and does nothing else of cost by size. Garbage does not.
fn only_grows(code: &[u8]) -> bool {
    let mut grows = false;
    for payload in Parser::new(0).parse_all(code) {
        let Ok(payload) = payload else {
            return false;
        };
        let Payload::CodeSectionEntry(body) = payload else {
            continue;
        };
        let Ok(operators) = body.get_operators_reader() else {
            return false;
        };
        for operator in operators {
            match operator {
                Ok(Operator::MemoryGrow { .. } | Operator::TableGrow { .. }) => grows = true,
                Ok(
                    Operator::MemoryInit { .. }
                    | Operator::MemoryCopy { .. }
                    | Operator::MemoryFill { .. }
                    | Operator::TableInit { .. }
                    | Operator::TableCopy { .. }
                    | Operator::TableFill { .. },
                )
                | Err(_) => return false,
                Ok(_) => {}
            }
        }
    }
    grows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with one function of these instructions (its end included) and a memory.
    fn module(body: &[u8]) -> Vec<u8> {
        let mut code = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\x0a".to_vec();
        code.extend([body.len() as u8 + 3, 1, body.len() as u8 + 1, 0]);
        code.extend(body);
        code
    }

    const GROW: &[u8] = &[0x41, 1, 0x40, 0, 0x1a];
    const FILL: &[u8] = &[0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0b, 0];
    const END: &[u8] = &[0x0b];

    #[test]
    fn a_module_that_only_grows_is_found() {
        assert!(only_grows(&module(&[GROW, END].concat())));
        assert!(!only_grows(&module(END)));
        assert!(!only_grows(&module(&[FILL, END].concat())));
        assert!(!only_grows(&module(&[GROW, FILL, END].concat())));
        assert!(!only_grows(b"garbage"));
        let whole = module(&[GROW, END].concat());
        assert!(!only_grows(&whole[..whole.len() - 2]), "truncated");
    }

    #[test]
    fn the_rule_ends_at_85() {
        let code = module(&[GROW, END].concat());
        assert_eq!(config_for_code(84, &code).map(|config| config.linear_op_unit_cost), Some(0));
        assert_eq!(config_for_code(85, &code), None);
    }
}
