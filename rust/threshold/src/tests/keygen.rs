//! Key generation, refresh and reshare: the algebra of the shares, and what a lie does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};

use super::{flip_last_bit, make_key, parameters, reconstruct, rng, run_with_liar, start_keygen, Boxed};
use crate::group::{Bls12381, Ed25519, Group, Secp256k1};
use crate::keygen::{reshare, KeyShare, OldKey};
use crate::local::run_locally;
use crate::protocol::{Action, BadParameters, Failure, ParticipantId, Protocol, Refused};

fn check_every_subset<G: Group>(ids: &[ParticipantId], threshold: usize) {
    let shares = make_key::<G>(ids, threshold, 1);
    for mask in 0_u32..1 << ids.len() {
        let subset: Vec<_> =
            shares.values().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, s)| s).collect();
        let key = G::base(&reconstruct(&subset));
        assert_eq!(key == shares[&ids[0]].public_key, subset.len() >= threshold, "subset {mask:b}");
    }
    for (id, share) in &shares {
        assert!(G::base(&share.secret_share) == shares[&ids[0]].public_shares[id]);
    }
}

#[test]
fn exactly_the_threshold_reconstructs() {
    check_every_subset::<Secp256k1>(&[0, 1, 2], 2);
    check_every_subset::<Ed25519>(&[3, 7, 11, 60000], 3);
    check_every_subset::<Ed25519>(&[0, 1], 2);
    check_every_subset::<Bls12381>(&[0, 1, 2], 2);
    check_every_subset::<Bls12381>(&[1, 2, 5, 6], 3);
}

#[test]
fn cait_siths_own_key_generation_agrees_about_coordinates() {
    use cait_sith::protocol::{run_protocol, Participant, Protocol as Theirs};
    type Output = cait_sith::KeygenOutput<k256::Secp256k1>;
    let ids: Vec<Participant> = [0_u32, 1, 2].map(Participant::from).to_vec();
    let runs = ids.iter().map(|id| {
        let run = cait_sith::keygen::<k256::Secp256k1>(&ids, *id, 2).unwrap();
        (*id, Box::new(run) as Box<dyn Theirs<Output = Output>>)
    });
    let outputs = run_protocol(runs.collect()).unwrap();
    let shares: Vec<KeyShare<Secp256k1>> = outputs
        .iter()
        .map(|(id, output)| KeyShare {
            participant: (*id).into(),
            threshold: 2,
            secret_share: output.private_share,
            public_key: output.public_key.into(),
            public_shares: BTreeMap::new(),
        })
        .collect();
    assert!(Secp256k1::base(&reconstruct(&[&shares[0], &shares[2]])) == shares[0].public_key);
}

pub(super) fn start_reshare<G: Group>(
    old: &BTreeMap<ParticipantId, KeyShare<G>>,
    ids: &[ParticipantId],
    threshold: usize,
) -> BTreeMap<ParticipantId, Boxed<KeyShare<G>>> {
    let any = old.values().next().unwrap();
    ids.iter()
        .map(|id| {
            let old_key = OldKey {
                participants: old.keys().copied().collect(),
                threshold: any.threshold,
                public_key: any.public_key,
                secret_share: old.get(id).map(|share| share.secret_share),
                public_shares: old.get(id).map(|share| share.public_shares.clone()).unwrap_or_default(),
            };
            let run =
                reshare::<G>(parameters(ids, *id, threshold), old_key, rng(100 + u64::from(*id))).unwrap();
            (*id, Box::new(run) as Boxed<KeyShare<G>>)
        })
        .collect()
}

#[test]
fn resharing_keeps_the_key_and_makes_epochs_incompatible() {
    let first = make_key::<Secp256k1>(&[0, 1, 2], 2, 5);
    let second = run_locally(start_reshare(&first, &[0, 2, 3, 4], 3)).unwrap();
    let third = run_locally(start_reshare(&second, &[2, 3, 4], 2)).unwrap();
    let key = first[&0].public_key;
    assert!(second.values().chain(third.values()).all(|share| share.public_key == key));
    assert!(Secp256k1::base(&reconstruct(&[&second[&0], &second[&3], &second[&4]])) == key);
    assert!(Secp256k1::base(&reconstruct(&[&third[&2], &third[&4]])) == key);
    // The new polynomial has another threshold, and old and new shares lie on different ones.
    assert!(Secp256k1::base(&reconstruct(&[&second[&0], &second[&3]])) != key);
    assert!(Secp256k1::base(&reconstruct(&[&first[&1], &third[&2]])) != key);
}

#[test]
fn a_refresh_changes_every_share_and_may_not_lower_the_threshold() {
    let old = make_key::<Ed25519>(&[0, 1, 2], 3, 9);
    let new = run_locally(start_reshare(&old, &[0, 1, 2], 3)).unwrap();
    assert!(old.iter().all(|(id, share)| share.secret_share != new[id].secret_share));
    let old_key = OldKey {
        participants: vec![0, 1, 2],
        threshold: 3,
        public_key: old[&0].public_key,
        secret_share: Some(old[&0].secret_share),
        public_shares: BTreeMap::new(),
    };
    let refused = reshare::<Ed25519>(parameters(&[0, 1, 2], 0, 2), old_key, rng(1)).err();
    assert_eq!(refused, Some(BadParameters("a refresh must not lower the threshold".into())));
}

#[test]
fn bad_parameters_are_refused() {
    let refused = |participants: &[u32], me, threshold| {
        crate::keygen::keygen::<Ed25519>(parameters(participants, me, threshold), rng(1)).err().unwrap().0
    };
    assert_eq!(refused(&[0, 1, 1], 0, 2), "a participant is listed twice");
    assert_eq!(refused(&[0, 1], 2, 2), "participant 2 is not in the list");
    assert_eq!(refused(&[0, 1, 2], 0, 1), "the threshold must be between 2 and 3, not 1");
    assert_eq!(refused(&[0, 1, 2], 0, 4), "the threshold must be between 2 and 3, not 4");
    assert_eq!(refused(&[0], 0, 1), "at least two participants are needed");
}

/// (message index, what the others say, whom they blame). Indices: 0 randomness, 1 agreement, 2 hash,
/// 3 commitments, 4 agreement, 5 and 6 shares, 7 confirmation.
const LIES: [(usize, &str, Option<ParticipantId>); 8] = [
    (0, "participants did not all receive the same broadcast", None),
    (1, "participants did not all receive the same broadcast", None),
    (2, "commitments differ from their hash", Some(2)),
    (3, "commitments are malformed", Some(2)),
    (4, "participants did not all receive the same broadcast", None),
    (5, "the share does not fit the commitments", Some(2)),
    (6, "the share does not fit the commitments", Some(2)),
    (7, "participants did not all finish with the same key", None),
];

#[test]
fn one_changed_bit_in_any_message_ends_the_run() {
    for (lie, reason, culprit) in LIES {
        let change = move |index, _to, data| if index == lie { flip_last_bit(data) } else { data };
        let (_, failure) = run_with_liar(start_keygen::<Ed25519>(&[0, 1, 2], 2, 3), 2, change).err().unwrap();
        assert_eq!((failure.reason.as_str(), failure.culprit), (reason, culprit), "message {lie}");
    }
}

/// Randomness whose first draw (a reshare's one higher coefficient at threshold two) is another than the rest tells.
struct Forked {
    first: Option<u64>,
    rest: ChaCha20Rng,
}

impl RngCore for Forked {
    fn next_u32(&mut self) -> u32 {
        self.rest.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.rest.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.rest.fill_bytes(bytes);
        if let Some(seed) = self.first.take() {
            ChaCha20Rng::seed_from_u64(seed).fill_bytes(bytes);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Forked {}

/// A dealer that shows participant 0 other commitments than participant 1, with shares that fit each view.
///
/// Both views have the same constant and session randomness, so the session and the key are the same: only agreement
/// on the commitments can tell.
struct Equivocator {
    views: [Boxed<KeyShare<Secp256k1>>; 2],
}

impl Protocol for Equivocator {
    type Output = KeyShare<Secp256k1>;

    fn poke(&mut self) -> Result<Action<Self::Output>, Failure> {
        let mut actions = self.views.iter_mut().map(|view| view.poke());
        let (left, right) = (actions.next().unwrap()?, actions.next().unwrap()?);
        match (left, right) {
            (Action::SendMany(left), Action::SendMany(right)) => {
                // The runner knows one message for all: mark it, and let the test's network split it.
                let mut both = (left.len() as u32).to_be_bytes().to_vec();
                both.extend(left);
                both.extend(right);
                Ok(Action::SendMany(both))
            }
            (Action::SendPrivate(0, data), _) => Ok(Action::SendPrivate(0, data)),
            (_, Action::SendPrivate(to, data)) => Ok(Action::SendPrivate(to, data)),
            (other, _) => Ok(other),
        }
    }

    fn message(&mut self, from: ParticipantId, data: &[u8]) -> Result<(), Refused> {
        self.views[0].message(from, data)?;
        self.views[1].message(from, data)
    }
}

/// Takes the half of an equivocator's broadcast that is meant for it.
struct Half {
    inner: Boxed<KeyShare<Secp256k1>>,
    is_left: bool,
    liar: ParticipantId,
    broadcasts: Arc<AtomicUsize>,
}

impl Protocol for Half {
    type Output = KeyShare<Secp256k1>;

    fn poke(&mut self) -> Result<Action<Self::Output>, Failure> {
        self.inner.poke()
    }

    fn message(&mut self, from: ParticipantId, data: &[u8]) -> Result<(), Refused> {
        // A private share is 33 bytes with its round number; everything else of the liar comes in two halves.
        if from != self.liar || data.len() == 33 && data[0] == 5 {
            return self.inner.message(from, data);
        }
        self.broadcasts.fetch_add(1, Ordering::Relaxed);
        let split = u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
        self.inner.message(from, if self.is_left { &data[4..4 + split] } else { &data[4 + split..] })
    }
}

#[test]
fn a_dealer_with_two_faces_cannot_spoil_a_reshare_of_three() {
    let old = make_key::<Secp256k1>(&[0, 1, 2], 2, 21);
    let mut runs = start_reshare(&old, &[0, 1, 2], 2);
    let view = |seed| {
        let rng = Forked { first: Some(seed), rest: ChaCha20Rng::seed_from_u64(33) };
        let old_key = OldKey {
            participants: vec![0, 1, 2],
            threshold: 2,
            public_key: old[&2].public_key,
            secret_share: Some(old[&2].secret_share),
            public_shares: old[&2].public_shares.clone(),
        };
        Box::new(reshare::<Secp256k1>(parameters(&[0, 1, 2], 2, 2), old_key, Box::new(rng)).unwrap())
            as Boxed<_>
    };
    runs.remove(&2);
    let broadcasts = Arc::new(AtomicUsize::new(0));
    let mut runs: BTreeMap<_, Boxed<_>> = runs
        .into_iter()
        .map(|(id, inner)| {
            let broadcasts = Arc::clone(&broadcasts);
            (id, Box::new(Half { inner, is_left: id == 0, liar: 2, broadcasts }) as Boxed<_>)
        })
        .collect();
    runs.insert(2, Box::new(Equivocator { views: [view(1), view(2)] }));
    let (_, failure) = run_locally(runs).err().unwrap();
    assert_eq!(failure.reason, "participants did not all receive the same broadcast");
    // Randomness, its agreement, the hash and the commitments went through at both: the lie lies in the last.
    assert!(broadcasts.load(Ordering::Relaxed) >= 8);
}

#[test]
fn messages_that_nobody_should_send_are_not_even_stored() {
    let mut run = start_keygen::<Ed25519>(&[0, 1, 2], 2, 1).remove(&0).unwrap();
    run.poke().unwrap();
    assert_eq!(run.message(9, &[0; 33]), Err(Refused::NotAParticipant(9)));
    assert_eq!(run.message(0, &[0; 33]), Err(Refused::NotAParticipant(0)));
    assert_eq!(run.message(1, &[]), Err(Refused::NoSuchRound(1)));
    assert_eq!(run.message(1, &[7; 33]), Err(Refused::NoSuchRound(1)));
    assert_eq!(
        run.message(1, &[0; 34]),
        Err(Refused::TooLarge { from: 1, size_bytes: 33, size_bytes_max: 32 })
    );
    assert_eq!(run.message(1, &[0; 33]), Ok(()));
    assert_eq!(run.message(1, &[0; 33]), Err(Refused::Duplicate(1)));
}

#[test]
fn a_run_that_failed_does_not_go_on() {
    let mut run = start_keygen::<Ed25519>(&[0, 1], 2, 1).remove(&0).unwrap();
    run.poke().unwrap();
    run.message(1, &[0; 33]).unwrap();
    run.poke().unwrap();
    run.message(1, &[[1].as_slice(), &[0; 32]].concat()).unwrap();
    assert!(run.poke().is_err());
    assert_eq!(run.poke().err().unwrap().reason, "the protocol run is over");
}
