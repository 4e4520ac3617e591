//! A network of participants in one process whose messages a test may change, hold back, double or invent.

use std::collections::{BTreeMap, VecDeque};

use crate::protocol::{Action, Failure, ParticipantId, Refused};
use crate::run::Run;

/// One message on its way: number `index` of this sender to this receiver.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) from: ParticipantId,
    pub(super) to: ParticipantId,
    pub(super) index: usize,
    pub(super) data: Vec<u8>,
}

/// What the network ended with. Who is in neither map waits.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) results: BTreeMap<ParticipantId, Vec<u8>>,
    pub(super) failures: BTreeMap<ParticipantId, Failure>,
    pub(super) refused: Vec<(ParticipantId, Refused)>,
    /// Everything that was sent, as it was before anybody changed it.
    pub(super) sent: Vec<Wire>,
}

/// Who sits on the wire.
pub(super) trait Tamper {
    /// What reaches the network in place of this message.
    fn send(&mut self, wire: Wire) -> Vec<Wire>;
    /// Nobody has anything to say: what was held back.
    fn idle(&mut self) -> Vec<Wire>;
}

/// Leaves everything as it is.
pub(super) struct Nobody;

impl Tamper for Nobody {
    fn send(&mut self, wire: Wire) -> Vec<Wire> {
        vec![wire]
    }

    fn idle(&mut self) -> Vec<Wire> {
        vec![]
    }
}

/// Deliver until nobody moves.
pub(super) fn simulate(mut runs: BTreeMap<ParticipantId, Run>, tamper: &mut dyn Tamper) -> Outcome {
    let ids: Vec<_> = runs.keys().copied().collect();
    let mut outcome = Outcome::default();
    let mut queue = VecDeque::new();
    loop {
        for id in &ids {
            for wire in poke(*id, &ids, &mut runs, &mut outcome) {
                outcome.sent.push(wire.clone());
                queue.extend(tamper.send(wire));
            }
        }
        if queue.is_empty() {
            queue.extend(tamper.idle());
        }
        let Some(wire) = queue.pop_front() else { return outcome };
        if let Some(run) = runs.get_mut(&wire.to) {
            if let Err(refused) = run.message(wire.from, &wire.data) {
                outcome.refused.push((wire.to, refused));
            }
        }
    }
}

/// Poke until it waits or is over.
fn poke(
    id: ParticipantId,
    ids: &[ParticipantId],
    runs: &mut BTreeMap<ParticipantId, Run>,
    outcome: &mut Outcome,
) -> Vec<Wire> {
    let mut wires = Vec::new();
    while let Some(run) = runs.get_mut(&id) {
        let (receivers, data) = match run.poke() {
            Ok(Action::Wait) => break,
            Ok(Action::SendMany(data)) => {
                (ids.iter().copied().filter(|to| *to != id).collect::<Vec<_>>(), data)
            }
            Ok(Action::SendPrivate(to, data)) => (vec![to], data),
            Ok(Action::Return(result)) => {
                outcome.results.insert(id, result);
                runs.remove(&id);
                break;
            }
            Err(failure) => {
                assert!(run.poke().is_err(), "participant {id} goes on after {failure}");
                outcome.failures.insert(id, failure);
                runs.remove(&id);
                break;
            }
        };
        for to in receivers {
            let sent = outcome.sent.iter().chain(&wires).filter(|wire| (wire.from, wire.to) == (id, to));
            let index = sent.count();
            wires.push(Wire { from: id, to, index, data: data.clone() });
        }
    }
    wires
}
