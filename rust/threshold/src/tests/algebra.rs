//! What the shares of every protocol are to each other: a protocol can succeed with shares that mean nothing.

use std::collections::BTreeMap;

use k256::{ProjectivePoint, Scalar};
use rand_core::RngCore;

use super::ecdsa::{make_presignatures, make_triples};
use super::keygen::start_reshare;
use super::{make_key, reconstruct, rng, Boxed};
use crate::frost::{presign, Presignature};
use crate::group::{Bls12381, Ed25519, Group, Secp256k1};
use crate::keygen::KeyShare;
use crate::local::run_locally;
use crate::polynomial::lagrange;
use crate::protocol::ParticipantId;

type Shares<G> = BTreeMap<ParticipantId, KeyShare<G>>;

/// Every way to pick some.
fn subsets<T>(items: &[T]) -> impl Iterator<Item = Vec<&T>> {
    (1_u32..1 << items.len()).map(move |mask| {
        items.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, item)| item).collect()
    })
}

/// The threshold reconstructs and fewer do not; public shares are those of the secret ones.
fn check_sharing<G: Group>(shares: &Shares<G>) {
    let all: Vec<_> = shares.values().collect();
    for subset in subsets(&all) {
        let subset: Vec<_> = subset.into_iter().copied().collect();
        let is_key = G::base(&reconstruct(&subset)) == all[0].public_key;
        assert_eq!(is_key, subset.len() >= all[0].threshold);
    }
    for share in &all {
        assert_eq!(share.fingerprint(), all[0].fingerprint());
        assert!(G::base(&share.secret_share) == all[0].public_shares[&share.participant]);
    }
}

/// Shares of two epochs in any mixture that has too few of either.
///
/// With enough of one epoch the key is there anyway: old shares are erased, mathematics does not make them useless.
fn check_mixtures_fail<G: Group>(old: &Shares<G>, new: &Shares<G>) {
    let ids: Vec<_> = old.keys().filter(|id| new.contains_key(id)).copied().collect();
    let any = new.values().next().unwrap();
    let old_threshold = old.values().next().unwrap().threshold;
    for subset in subsets(&ids) {
        for mask in 1_u32..(1 << subset.len()) - 1 {
            let is_old = |i: usize| mask >> i & 1 == 1;
            let count = (0..subset.len()).filter(|i| is_old(*i)).count();
            if count >= old_threshold || subset.len() - count >= any.threshold {
                continue;
            }
            let mixed =
                subset.iter().enumerate().map(|(i, id)| if is_old(i) { &old[*id] } else { &new[*id] });
            assert!(G::base(&reconstruct(&mixed.collect::<Vec<_>>())) != any.public_key, "epochs combine");
        }
    }
}

fn check_epochs<G: Group>(seed: u64) {
    let mut random = rng(seed);
    let mut below = |bound: usize| random.next_u32() as usize % bound;
    let size = 2 + below(4);
    let ids: Vec<_> = (0..size as u32).map(|i| i * 3 + 1).collect();
    let threshold = 2 + below(size - 1);
    let first = make_key::<G>(&ids, threshold, seed);
    check_sharing(&first);
    // A refresh: the same set, another polynomial, every share new.
    let second = run_locally(start_reshare(&first, &ids, threshold)).unwrap();
    check_sharing(&second);
    assert!(second[&ids[0]].public_key == first[&ids[0]].public_key, "the key stays");
    assert!(ids.iter().all(|id| first[id].secret_share != second[id].secret_share));
    check_mixtures_fail(&first, &second);
    // A reshare: some leave, some join, another threshold.
    let staying = threshold + below(size - threshold + 1);
    let mut members = ids[size - staying..].to_vec();
    members.extend((0..1 + below(2) as u32).map(|i| 100 + i));
    let next_threshold = 2 + below(members.len() - 1);
    let third = run_locally(start_reshare(&second, &members, next_threshold)).unwrap();
    check_sharing(&third);
    assert!(third[&members[0]].public_key == first[&ids[0]].public_key, "the key stays");
    assert!(third
        .iter()
        .all(|(id, share)| second.get(id).is_none_or(|old| old.secret_share != share.secret_share)));
    check_mixtures_fail(&second, &third);
}

#[test]
fn epochs_keep_the_key_and_never_combine() {
    for seed in 0..12 {
        check_epochs::<Secp256k1>(seed);
        check_epochs::<Ed25519>(100 + seed);
    }
    for seed in 0..4 {
        check_epochs::<Bls12381>(200 + seed);
    }
}

fn interpolate(values: impl IntoIterator<Item = (ParticipantId, Scalar)>) -> Scalar {
    let values: Vec<_> = values.into_iter().collect();
    let set: Vec<_> = values.iter().map(|(id, _)| *id).collect();
    values.iter().fold(Scalar::ZERO, |sum, (id, value)| sum + lagrange::<Secp256k1>(&set, *id) * value)
}

#[test]
fn a_triples_shares_multiply() {
    for (ids, threshold) in [(&[0, 1, 2][..], 2), (&[0, 1, 2], 3), (&[4, 9], 2)] {
        let triples = make_triples(ids, threshold);
        for count in threshold..=ids.len() {
            let of = |read: fn(&crate::cait_sith::Triple) -> Scalar| {
                interpolate(triples.iter().take(count).map(|(id, triple)| (*id, read(triple))))
            };
            let (a, b, c) = (of(|t| t.share.a), of(|t| t.share.b), of(|t| t.share.c));
            assert!(a * b == c && a != Scalar::ZERO && b != Scalar::ZERO && a != b);
            let public = &triples[&ids[0]].public;
            assert!(Secp256k1::base(&a) == ProjectivePoint::from(public.big_a));
            assert!(Secp256k1::base(&b) == ProjectivePoint::from(public.big_b));
            assert!(Secp256k1::base(&c) == ProjectivePoint::from(public.big_c));
        }
    }
}

#[test]
fn a_cait_sith_presignature_holds_nonce_and_nonce_times_key() {
    for (ids, signers, threshold) in [(&[0, 1, 2][..], &[0, 2][..], 2), (&[0, 1, 2], &[0, 1, 2], 3)] {
        let shares = make_key::<Secp256k1>(ids, threshold, 7);
        let stock = make_presignatures(&shares, signers);
        let k = interpolate(stock.iter().map(|(id, presignature)| (*id, presignature.k)));
        let sigma = interpolate(stock.iter().map(|(id, presignature)| (*id, presignature.sigma)));
        let key = reconstruct(&shares.values().collect::<Vec<_>>());
        assert!(sigma == k * key);
        // The library's R is the generator over k.
        assert!(stock.values().all(|presignature| presignature.big_r * k == ProjectivePoint::GENERATOR));
    }
}

#[test]
fn frost_nonces_are_their_commitments_and_all_see_the_same() {
    let shares = make_key::<Ed25519>(&[0, 1, 2], 2, 4);
    let make = |seed: u64| {
        let run = |id| {
            Box::new(presign(&shares[&id], &[0, 1, 2], rng(seed + u64::from(id))).unwrap())
                as Boxed<Presignature>
        };
        run_locally([0, 1, 2].map(|id| (id, run(id))).into()).unwrap()
    };
    let (stock, other) = (make(1), make(50));
    for (id, presignature) in &stock {
        assert!(presignature.commitments == stock[&0].commitments);
        let own = presignature.commitments.values().nth(*id as usize).unwrap();
        let point =
            |nonce: Vec<u8>| Ed25519::encode_point(&Ed25519::base(&Ed25519::decode_scalar(&nonce).unwrap()));
        let nonces = &presignature.nonces;
        assert_eq!(point(nonces.hiding().serialize()), own.hiding().serialize().unwrap());
        assert_eq!(point(nonces.binding().serialize()), own.binding().serialize().unwrap());
        assert_ne!(point(nonces.hiding().serialize()), point(nonces.binding().serialize()));
        assert_ne!(point(nonces.hiding().serialize()), point(other[id].nonces.hiding().serialize()));
    }
}
