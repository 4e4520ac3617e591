//! The protocols run among participants of one process, and liars among them.

mod algebra;
mod attacks;
mod ckd;
mod crosscheck;
mod ecdsa;
mod eddsa;
mod keygen;
mod public_items;
mod robust;

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRngCore, SeedableRng};

use crate::group::Group;
use crate::keygen::{keygen, KeyShare, KeygenParameters};
use crate::local::run_locally;
use crate::polynomial::lagrange;
use crate::protocol::{Action, Failure, ParticipantId, Protocol, Refused};

pub(crate) type Boxed<T> = Box<dyn Protocol<Output = T>>;

pub(crate) fn rng(seed: u64) -> Box<dyn CryptoRngCore + Send> {
    Box::new(ChaCha20Rng::seed_from_u64(seed))
}

pub(crate) fn parameters(
    participants: &[ParticipantId],
    me: ParticipantId,
    threshold: usize,
) -> KeygenParameters {
    KeygenParameters {
        context: b"epoch 0, domain 0, attempt 0".to_vec(),
        participants: participants.to_vec(),
        me,
        threshold,
    }
}

pub(crate) fn start_keygen<G: Group>(
    ids: &[ParticipantId],
    threshold: usize,
    seed: u64,
) -> BTreeMap<ParticipantId, Boxed<KeyShare<G>>> {
    ids.iter()
        .map(|id| {
            let run = keygen::<G>(parameters(ids, *id, threshold), rng(seed + u64::from(*id))).unwrap();
            (*id, Box::new(run) as Boxed<KeyShare<G>>)
        })
        .collect()
}

pub(crate) fn make_key<G: Group>(
    ids: &[ParticipantId],
    threshold: usize,
    seed: u64,
) -> BTreeMap<ParticipantId, KeyShare<G>> {
    run_locally(start_keygen::<G>(ids, threshold, seed)).unwrap()
}

/// The secret that these shares hold together: only a test may know it.
pub(crate) fn reconstruct<G: Group>(shares: &[&KeyShare<G>]) -> G::Scalar {
    let set: Vec<_> = shares.iter().map(|share| share.participant).collect();
    shares.iter().fold(G::scalar_from_u64(0), |sum, share| {
        sum + lagrange::<G>(&set, share.participant) * share.secret_share
    })
}

/// An honest run whose outgoing messages a test may change: (index of the message, receiver or None, bytes).
pub(crate) struct Liar<T, F> {
    pub(crate) inner: Boxed<T>,
    pub(crate) sent: usize,
    pub(crate) change: F,
}

impl<T, F: FnMut(usize, Option<ParticipantId>, Vec<u8>) -> Vec<u8> + Send> Protocol for Liar<T, F> {
    type Output = T;

    fn poke(&mut self) -> Result<Action<T>, Failure> {
        let action = match self.inner.poke()? {
            Action::SendMany(data) => Action::SendMany((self.change)(self.sent, None, data)),
            Action::SendPrivate(to, data) => {
                Action::SendPrivate(to, (self.change)(self.sent, Some(to), data))
            }
            other => return Ok(other),
        };
        self.sent += 1;
        Ok(action)
    }

    fn message(&mut self, from: ParticipantId, data: &[u8]) -> Result<(), Refused> {
        self.inner.message(from, data)
    }
}

/// Run with participant `liar` changing what it sends.
pub(crate) fn run_with_liar<T: 'static>(
    mut protocols: BTreeMap<ParticipantId, Boxed<T>>,
    liar: ParticipantId,
    change: impl FnMut(usize, Option<ParticipantId>, Vec<u8>) -> Vec<u8> + Send + 'static,
) -> Result<BTreeMap<ParticipantId, T>, (ParticipantId, Failure)> {
    let inner = protocols.remove(&liar).unwrap();
    protocols.insert(liar, Box::new(Liar { inner, sent: 0, change }));
    run_locally(protocols)
}

pub(crate) fn flip_last_bit(mut data: Vec<u8>) -> Vec<u8> {
    *data.last_mut().unwrap() ^= 1;
    data
}
