//! The protocols as the attacks see them: how they start, what each round carries, what a right result is.

mod cait_sith;
mod ckd;
mod frost;
mod keygen;
mod robust;

use std::collections::BTreeMap;

use super::super::keygen::start_reshare;
use super::super::{reconstruct, rng};
use super::network::{simulate, Nobody, Wire};
use crate::derivation::{compute_tweak, tweak_scalar_secp256k1};
use crate::ecdsa::SigningRequest;
use crate::group::{Bls12381, Ed25519, Group, Secp256k1};
use crate::keygen::KeyShare;
use crate::local::run_locally;
use crate::protocol::ParticipantId;
use crate::run::Run;

pub(in crate::tests::attacks) type Results = BTreeMap<ParticipantId, Vec<u8>>;
type Change = Box<dyn Fn(&[u8]) -> Vec<u8>>;
type Secrets = Vec<Vec<u8>>;
type Places = Box<dyn Fn(&[u8]) -> Secrets>;
type Start = Box<dyn Fn() -> Run>;
type Runs = BTreeMap<ParticipantId, Run>;

/// What came of a run that nobody ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tests::attacks) enum Verdict {
    Right,
    /// It is wrong, and the next protocol fails on it before anything leaves.
    FailsLater,
}

/// A round, and a lie in it that is well-formed.
pub(in crate::tests::attacks) struct Round {
    pub(in crate::tests::attacks) name: &'static str,
    pub(in crate::tests::attacks) matches: Box<dyn Fn(&Wire) -> bool>,
    pub(in crate::tests::attacks) lie: Change,
}

/// A protocol with one liar among its participants.
pub(in crate::tests::attacks) struct Case {
    pub(in crate::tests::attacks) name: &'static str,
    pub(in crate::tests::attacks) ids: Vec<ParticipantId>,
    pub(in crate::tests::attacks) liar: ParticipantId,
    /// In front of each message.
    pub(in crate::tests::attacks) header_bytes: usize,
    /// The same message under the next round's number.
    pub(in crate::tests::attacks) renumber: Change,
    pub(in crate::tests::attacks) rounds: Vec<Round>,
    pub(in crate::tests::attacks) start: Box<dyn Fn(u64) -> Runs>,
    /// Panics at a result that is wrong for good.
    pub(in crate::tests::attacks) check: Box<dyn Fn(&Results) -> Verdict>,
    /// What nobody may read on the wire, in what goes into a run and what comes out of it.
    pub(in crate::tests::attacks) inputs: Secrets,
    pub(in crate::tests::attacks) secrets_of: Places,
    /// Messages that are many, alike, and of which one is walked.
    pub(in crate::tests::attacks) is_like_another: fn(&Wire) -> bool,
    /// The liar's run with one input that is not the others'.
    pub(in crate::tests::attacks) views: Vec<(&'static str, Start)>,
}

const IDS: [ParticipantId; 3] = [0, 1, 2];
const LIAR: ParticipantId = 1;
const COORDINATOR: ParticipantId = 0;

fn flip(payload: &[u8]) -> Vec<u8> {
    super::super::flip_last_bit(payload.to_vec())
}

/// Another scalar at an offset.
fn next_scalar<G: Group>(offset: usize) -> impl Fn(&[u8]) -> Vec<u8> {
    move |payload| {
        let mut payload = payload.to_vec();
        let at = offset..offset + 32;
        let scalar = G::decode_scalar(&payload[at.clone()]).unwrap() + G::scalar_from_u64(1);
        payload[at].copy_from_slice(&G::encode_scalar(&scalar));
        payload
    }
}

/// Another point at an offset.
fn next_point<G: Group>(offset: usize) -> impl Fn(&[u8]) -> Vec<u8> {
    move |payload| {
        let mut payload = payload.to_vec();
        let at = offset..offset + G::POINT_BYTES;
        let point = G::decode_point(&payload[at.clone()]).unwrap() + G::generator();
        payload[at].copy_from_slice(&G::encode_point(&point));
        payload
    }
}

/// A round of our own protocols: its number is the first byte.
fn round(number: u8, name: &'static str, lie: impl Fn(&[u8]) -> Vec<u8> + 'static) -> Round {
    Round { name, matches: Box::new(move |wire| wire.data[0] == number), lie: Box::new(lie) }
}

/// A point in the library's channels: the first two bytes of the channel's tag, and the number in it.
fn point(channel: [u8; 2], number: u8, name: &'static str) -> Round {
    let matches = move |wire: &Wire| wire.data[..2] == channel && wire.data[20] == number;
    Round { name, matches: Box::new(matches), lie: Box::new(flip) }
}

/// The library's channel that all share.
const SHARED: [u8; 2] = [0x4f, 0xf8];

impl Case {
    /// Whether the same happens every time: the library takes the system's randomness.
    pub(in crate::tests::attacks) fn is_seeded(&self) -> bool {
        self.header_bytes == 1
    }

    pub(in crate::tests::attacks) fn has_views(&self) -> bool {
        !self.views.is_empty()
    }

    fn own(name: &'static str, rounds: Vec<Round>) -> Self {
        let count = rounds.last().map_or(1, |last| (0..9).find(|n| (last.matches)(&probe(*n))).unwrap() + 1);
        Self {
            name,
            ids: IDS.to_vec(),
            liar: LIAR,
            header_bytes: 1,
            renumber: Box::new(move |data| [&[(data[0] + 1) % count.max(2)], &data[1..]].concat()),
            rounds,
            start: Box::new(|_| BTreeMap::new()),
            check: Box::new(|_| Verdict::Right),
            inputs: vec![],
            secrets_of: Box::new(|_| vec![]),
            is_like_another: |_| false,
            views: vec![],
        }
    }

    fn of_library(
        name: &'static str,
        ids: &[ParticipantId],
        liar: ParticipantId,
        rounds: Vec<Round>,
    ) -> Self {
        let renumber = |data: &[u8]| {
            let mut data = data.to_vec();
            data[20] += 1;
            data
        };
        let base = Self::own(name, vec![]);
        Self { ids: ids.to_vec(), liar, header_bytes: 28, renumber: Box::new(renumber), rounds, ..base }
    }

    fn starting(mut self, start: impl Fn(u64, ParticipantId) -> Run + 'static) -> Self {
        let ids = self.ids.clone();
        self.start = Box::new(move |seed| ids.iter().map(|id| (*id, start(seed, *id))).collect());
        self
    }

    fn checking(mut self, check: impl Fn(&Results) -> Verdict + 'static) -> Self {
        self.check = Box::new(check);
        self
    }

    /// Which key shares go in, and where secrets lie in what comes out.
    fn hiding<G: Group>(
        mut self,
        shares: &BTreeMap<ParticipantId, KeyShare<G>>,
        places: &'static [usize],
    ) -> Self {
        self.inputs = shares.values().map(|share| G::encode_scalar(&share.secret_share).to_vec()).collect();
        if !shares.is_empty() {
            let key = reconstruct(&shares.values().collect::<Vec<_>>());
            self.inputs.push(G::encode_scalar(&key).to_vec());
        }
        self.secrets_of =
            Box::new(move |bytes| places.iter().map(|at| bytes[*at..at + 32].to_vec()).collect());
        self
    }

    fn seeing(mut self, name: &'static str, run: impl Fn() -> Run + 'static) -> Self {
        self.views.push((name, Box::new(run)));
        self
    }
}

fn probe(number: u8) -> Wire {
    Wire { from: 0, to: 0, index: 0, data: vec![number] }
}

fn seeded(seed: u64, id: ParticipantId) -> Box<dyn rand_core::CryptoRngCore + Send> {
    rng(1000 * seed + u64::from(id))
}

/// Other shares of the same key.
fn other_epoch<G: Group>(
    shares: &BTreeMap<ParticipantId, KeyShare<G>>,
) -> BTreeMap<ParticipantId, KeyShare<G>> {
    let ids: Vec<_> = shares.keys().copied().collect();
    run_locally(start_reshare(shares, &ids, 2)).unwrap()
}

/// Every protocol.
pub(in crate::tests::attacks) fn cases() -> Vec<Case> {
    let mut cases = vec![];
    cases.extend(keygen::keygen_cases::<Secp256k1>(["key generation, secp256k1", "reshare, secp256k1"]));
    cases.extend(keygen::keygen_cases::<Ed25519>(["key generation, ed25519", "reshare, ed25519"]));
    cases.extend(keygen::keygen_cases::<Bls12381>(["key generation, bls12381", "reshare, bls12381"]));
    cases.extend(cait_sith::cait_sith_cases());
    cases.extend(robust::robust_cases());
    cases.extend(frost::frost_cases());
    cases.extend([false, true].map(ckd::ckd_case));
    cases
}

fn request(signers: &[ParticipantId]) -> SigningRequest {
    SigningRequest {
        signers: signers.to_vec(),
        tweak: compute_tweak("alice.near", "ethereum-1"),
        message_hash: [7; 32],
        entropy: [9; 32],
    }
}

/// What is replayed is of another request.
fn request_of(seed: u64) -> SigningRequest {
    SigningRequest { entropy: [8 + seed as u8; 32], ..request(&IDS) }
}

/// The ways to see another request.
fn other_requests() -> [(&'static str, SigningRequest); 3] {
    let request = request(&IDS);
    [
        ("another message", SigningRequest { message_hash: [8; 32], ..request.clone() }),
        (
            "another tweak",
            SigningRequest { tweak: compute_tweak("eve.near", "ethereum-1"), ..request.clone() },
        ),
        ("another entropy", SigningRequest { entropy: [10; 32], ..request }),
    ]
}

fn check_ecdsa(results: &Results, root: &<Secp256k1 as Group>::Point) -> Verdict {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
    let derived = *root + Secp256k1::base(&tweak_scalar_secp256k1(&request(&IDS).tweak).unwrap());
    for bytes in results.values().filter(|bytes| !bytes.is_empty()) {
        let signature = Signature::from_slice(&bytes[1..65]).unwrap();
        let recovery_id = RecoveryId::from_byte(bytes[65]).unwrap();
        let key = VerifyingKey::recover_from_prehash(&request(&IDS).message_hash, &signature, recovery_id);
        assert!(*key.unwrap().as_affine() == derived.to_affine(), "a bad signature left");
    }
    Verdict::Right
}

/// Whether these runs, told the truth, all end with a result.
fn succeeds(runs: Runs) -> bool {
    simulate(runs, &mut Nobody).failures.is_empty()
}

fn encode_all<G: Group>(shares: &BTreeMap<ParticipantId, KeyShare<G>>) -> Results {
    shares.iter().map(|(id, share)| (*id, share.encode())).collect()
}

fn verdict(is_right: bool) -> Verdict {
    if is_right {
        Verdict::Right
    } else {
        Verdict::FailsLater
    }
}
