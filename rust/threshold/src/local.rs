//! Running all participants of a protocol in one process.

use std::collections::BTreeMap;

use crate::protocol::{Action, Failure, ParticipantId, Protocol};

/// Deliver messages among the participants until all have a result; the first failure ends it.
///
/// # Errors
/// A participant's failure, or that all wait for messages that nobody sends.
pub fn run_locally<T>(
    mut protocols: BTreeMap<ParticipantId, Box<dyn Protocol<Output = T> + '_>>,
) -> Result<BTreeMap<ParticipantId, T>, (ParticipantId, Failure)> {
    let ids: Vec<_> = protocols.keys().copied().collect();
    let mut results = BTreeMap::new();
    while results.len() < ids.len() {
        let mut has_moved = false;
        for id in &ids {
            while !results.contains_key(id) {
                let action =
                    protocols.get_mut(id).expect("every id runs").poke().map_err(|failure| (*id, failure))?;
                let receivers = match &action {
                    Action::SendMany(_) => ids.iter().copied().filter(|other| other != id).collect(),
                    Action::SendPrivate(to, _) => vec![*to],
                    Action::Wait | Action::Return(_) => vec![],
                };
                match action {
                    Action::Wait => break,
                    Action::Return(result) => {
                        results.insert(*id, result);
                    }
                    Action::SendMany(data) | Action::SendPrivate(_, data) => {
                        for to in receivers.into_iter().filter(|to| !results.contains_key(to)) {
                            if let Some(receiver) = protocols.get_mut(&to) {
                                // An honest participant's message is refused only when it is no longer needed.
                                let _ = receiver.message(*id, &data);
                            }
                        }
                    }
                }
                has_moved = true;
            }
        }
        if !has_moved {
            return Err((ids[0], Failure { reason: "every participant waits".into(), culprit: None }));
        }
    }
    Ok(results)
}
