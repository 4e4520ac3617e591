//! Robust ECDSA: the algebra of its presignatures, its signatures, and what a lie or another view does.

use std::collections::{BTreeMap, BTreeSet};

use k256::{ProjectivePoint, Scalar};

use super::ecdsa::recover;
use super::{flip_last_bit, make_key, rng, run_with_liar, Boxed};
use crate::derivation::compute_tweak;
use crate::ecdsa::{EcdsaSignature, SigningRequest};
use crate::group::{Group, Secp256k1};
use crate::keygen::KeyShare;
use crate::local::run_locally;
use crate::polynomial::lagrange;
use crate::protocol::{Action, ParticipantId, Protocol};
use crate::robust::{presign, sign, Presignature};

type Shares = BTreeMap<ParticipantId, KeyShare<Secp256k1>>;
type Stock = BTreeMap<ParticipantId, Presignature>;

fn start_presign(
    shares: &Shares,
    signers: &[ParticipantId],
    seed: u64,
) -> BTreeMap<ParticipantId, Boxed<Presignature>> {
    let run = |id: &ParticipantId| {
        Box::new(presign(&shares[id], signers, rng(seed + u64::from(*id))).unwrap()) as Boxed<_>
    };
    signers.iter().map(|id| (*id, run(id))).collect()
}

fn make_stock(shares: &Shares, signers: &[ParticipantId], seed: u64) -> Stock {
    run_locally(start_presign(shares, signers, seed)).unwrap()
}

fn copy(presignature: &Presignature) -> Presignature {
    Presignature::decode(&presignature.encode()).unwrap()
}

fn request(signers: &[ParticipantId], number: u8) -> SigningRequest {
    SigningRequest {
        signers: signers.to_vec(),
        tweak: compute_tweak("alice.near", "ethereum-1"),
        message_hash: [number; 32],
        entropy: [number ^ 0x55; 32],
    }
}

fn start_sign(
    shares: &Shares,
    stock: &Stock,
    request: &SigningRequest,
    coordinator: ParticipantId,
) -> BTreeMap<ParticipantId, Boxed<Option<EcdsaSignature>>> {
    let run = |id: &ParticipantId| {
        Box::new(sign(&shares[id], coordinator, request, copy(&stock[id])).unwrap()) as Boxed<_>
    };
    request.signers.iter().map(|id| (*id, run(id))).collect()
}

fn derived_key(shares: &Shares) -> ProjectivePoint {
    let tweak = Secp256k1::decode_scalar(&compute_tweak("alice.near", "ethereum-1")).unwrap();
    shares.values().next().unwrap().public_key + Secp256k1::base(&tweak)
}

#[test]
fn signatures_recover_the_derived_key_with_either_parity_for_every_size() {
    let mut recovery_ids = BTreeSet::new();
    for (ids, threshold) in [(&[0, 1, 2][..], 2), (&[1, 4, 7, 9, 60000], 3), (&[0, 1, 2, 3, 4, 5, 6], 4)] {
        let shares = make_key::<Secp256k1>(ids, threshold, 3);
        for number in 1..8 {
            let stock = make_stock(&shares, ids, 100 * u64::from(number));
            let request = request(ids, number);
            let coordinator = ids[usize::from(number) % ids.len()];
            let mut signatures = run_locally(start_sign(&shares, &stock, &request, coordinator)).unwrap();
            let signature = signatures.remove(&coordinator).unwrap().unwrap();
            assert!(signatures.values().all(Option::is_none), "the coordinator alone has the signature");
            assert!(
                *recover(&signature, &request.message_hash).as_affine() == derived_key(&shares).to_affine()
            );
            recovery_ids.insert(signature.recovery_id);
        }
    }
    assert_eq!(recovery_ids.into_iter().collect::<Vec<_>>(), [0, 1]);
}

/// The value at zero of the polynomial through these values.
fn interpolate(values: &BTreeMap<ParticipantId, Scalar>) -> Scalar {
    let set: Vec<_> = values.keys().copied().collect();
    values.iter().fold(Scalar::ZERO, |sum, (id, value)| sum + lagrange::<Secp256k1>(&set, *id) * value)
}

fn first(values: &BTreeMap<ParticipantId, Scalar>, count: usize) -> BTreeMap<ParticipantId, Scalar> {
    values.iter().take(count).map(|(id, value)| (*id, *value)).collect()
}

#[test]
fn a_presignatures_shares_hold_the_relations_that_signing_rests_on() {
    for (ids, threshold, seed) in
        [(&[0, 1, 2][..], 2, 1), (&[2, 3, 5, 7, 11], 3, 2), (&[0, 1, 2, 3, 4, 5, 8], 4, 3)]
    {
        let shares = make_key::<Secp256k1>(ids, threshold, seed);
        let stock = make_stock(&shares, ids, 50 + seed);
        let of = |read: fn(&Presignature) -> Scalar| {
            stock.iter().map(|(id, presignature)| (*id, read(presignature))).collect::<BTreeMap<_, _>>()
        };
        let (a, w, u, e) = (of(|p| p.a), of(|p| p.w), of(|p| p.u), of(|p| p.e));
        let x = interpolate(&shares.iter().map(|(id, share)| (*id, share.secret_share)).collect());
        // a has the degree of a key: t shares give the same as all.
        let secret_a = interpolate(&a);
        assert!(interpolate(&first(&a, threshold)) == secret_a && secret_a != Scalar::ZERO);
        // w = a·k, so k = w / a, and R is its point; u = a·x; e = 0. Their degree is twice as high.
        let k = interpolate(&w) * secret_a.invert().unwrap();
        assert!(stock.values().all(|presignature| presignature.big_r == Secp256k1::base(&k)));
        assert!(interpolate(&u) == secret_a * x);
        assert!(interpolate(&e) == Scalar::ZERO);
        for masked in [&w, &u, &e] {
            let fewer = first(masked, 2 * threshold - 2);
            assert!(interpolate(&fewer) != interpolate(masked), "all shares but one say nothing");
        }
        let different: BTreeSet<_> = e.values().map(Secp256k1::encode_scalar).collect();
        assert_eq!(different.len(), ids.len(), "the mask of zero hides every share");
    }
}

#[test]
fn two_presignatures_have_nothing_in_common() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let (one, other) = (make_stock(&shares, &[0, 1, 2], 1), make_stock(&shares, &[0, 1, 2], 2));
    for id in 0..3 {
        let (one, other) = (&one[&id], &other[&id]);
        assert!(one.big_r != other.big_r && one.a != other.a && one.w != other.w && one.e != other.e);
        assert_ne!(one.id, other.id);
    }
}

#[test]
fn a_presignature_used_twice_gives_the_key_away() {
    // Why it is deleted before its use: the difference of the two nonces is public.
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let stock = make_stock(&shares, &[0, 1, 2], 1);
    let secret = interpolate(&shares.iter().map(|(id, share)| (*id, share.secret_share)).collect());
    let sign = |number| {
        let request = request(&[0, 1, 2], number);
        let signature =
            run_locally(start_sign(&shares, &stock, &request, 0)).unwrap().remove(&0).unwrap().unwrap();
        let delta = crate::robust::compute_nonce_shift(&shares[&0], &request, &stock[&0]);
        (signature, delta, Secp256k1::decode_scalar(&request.message_hash).unwrap())
    };
    let tweak = Secp256k1::decode_scalar(&compute_tweak("alice.near", "ethereum-1")).unwrap();
    let (one, other) = (sign(1), sign(2));
    let mut found = false;
    // s was lowered in either: four cases.
    for signs in 0..4 {
        let numbers = |(signature, delta, message): &(EcdsaSignature, Scalar, Scalar), is_negated: bool| {
            let s = Secp256k1::decode_scalar(&signature.s).unwrap();
            let r = Secp256k1::decode_scalar(&signature.big_r[1..]).unwrap();
            (if is_negated { -s } else { s }, r, *delta, *message)
        };
        let (s1, r1, delta1, message1) = numbers(&one, signs & 1 == 1);
        let (s2, r2, delta2, message2) = numbers(&other, signs & 2 == 2);
        // s·(k + δ) = h + r·y for both: two equations, two unknowns.
        let determinant = r1 * s2 - r2 * s1;
        let y =
            (s1 * (s2 * delta2 - message2) - s2 * (s1 * delta1 - message1)) * determinant.invert().unwrap();
        found |= y - tweak == secret || -y - tweak == secret;
    }
    assert!(found);
}

#[test]
fn the_set_is_exact_in_both_phases() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2, 3], 2, 7);
    let refused = |signers: &[ParticipantId]| presign(&shares[&0], signers, rng(1)).err().unwrap().0;
    assert_eq!(refused(&[0, 1]), "exactly 3 signers are needed, not 2");
    assert_eq!(refused(&[0, 1, 2, 3]), "exactly 3 signers are needed, not 4");
    assert_eq!(refused(&[0, 1, 1]), "a participant is listed twice");
    assert_eq!(refused(&[1, 2, 3]), "participant 0 is not in the list");
    assert_eq!(refused(&[0, 1, 9]), "participant 9 has no share");
    let stock = make_stock(&shares, &[0, 1, 2], 1);
    let refused = |signers: &[ParticipantId], coordinator| {
        sign(&shares[&0], coordinator, &request(signers, 1), copy(&stock[&0])).err().unwrap().0
    };
    assert_eq!(refused(&[0, 1], 0), "exactly 3 signers are needed, not 2");
    assert_eq!(refused(&[0, 1, 2, 3], 0), "exactly 3 signers are needed, not 4");
    assert_eq!(refused(&[0, 1, 3], 0), "the presignature is of other signers");
    assert_eq!(refused(&[0, 1, 2], 3), "the coordinator 3 is not among the signers");
}

#[test]
fn what_must_not_be_signed_is_refused_before_anything_is_sent() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let stock = make_stock(&shares, &[0, 1, 2], 1);
    let refused = |request: &SigningRequest| sign(&shares[&0], 0, request, copy(&stock[&0])).err().unwrap().0;
    assert_eq!(refused(&request(&[0, 1, 2], 0)), "the message hash must be above zero and below the order");
    assert_eq!(
        refused(&request(&[0, 1, 2], 0xff)),
        "the message hash must be above zero and below the order"
    );
    let tweak = SigningRequest { tweak: [0xff; 32], ..request(&[0, 1, 2], 1) };
    assert_eq!(refused(&tweak), "the tweak is not below the order");
}

#[test]
fn shares_of_another_epoch_are_refused() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let stock = make_stock(&shares, &[0, 1, 2], 1);
    let refreshed = run_locally(super::keygen::start_reshare(&shares, &[0, 1, 2], 2)).unwrap();
    let refused = sign(&refreshed[&0], 0, &request(&[0, 1, 2], 1), copy(&stock[&0])).err().unwrap().0;
    assert_eq!(refused, "the presignature was made with other key shares");
    // Who does not notice: one signer presigns with its old share. Only the last check can tell, and it does.
    let mut mixed = refreshed.clone();
    mixed.insert(1, KeyShare { public_shares: refreshed[&1].public_shares.clone(), ..shares[&1].clone() });
    let stock = make_stock(&mixed, &[0, 1, 2], 2);
    let (_, failure) = run_locally(start_sign(&mixed, &stock, &request(&[0, 1, 2], 1), 0)).err().unwrap();
    assert_eq!(failure.reason, "the signature does not verify under the derived key");
    // With the old sharing's name as well, it is caught while presigning.
    mixed.insert(1, shares[&1].clone());
    let (_, failure) = run_locally(start_presign(&mixed, &[0, 1, 2], 3)).err().unwrap();
    assert_eq!(failure.reason, "the signers did not all receive the same nonce points");
}

#[test]
fn signers_with_different_views_send_no_share() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let stock = make_stock(&shares, &[0, 1, 2], 1);
    let changes: [fn(&mut SigningRequest); 3] = [
        |r| r.entropy[0] ^= 1,
        |r| r.message_hash[5] ^= 1,
        |r| r.tweak = compute_tweak("eve.near", "ethereum-1"),
    ];
    let check = |mut other: Box<dyn Protocol<Output = Option<EcdsaSignature>>>,
                 coordinator: ParticipantId| {
        let mut honest =
            start_sign(&shares, &stock, &request(&[0, 1, 2], 1), 0).remove(&coordinator).unwrap();
        let (Action::SendMany(view), Action::SendMany(theirs)) =
            (honest.poke().unwrap(), other.poke().unwrap())
        else {
            panic!("both begin with their view");
        };
        honest.message(1, &theirs).unwrap();
        honest.message(if coordinator == 0 { 2 } else { 0 }, &view).unwrap();
        // It fails without having sent its share.
        assert_eq!(honest.poke().err().unwrap().reason, "the signers see different requests");
    };
    for change in changes {
        let mut other = request(&[0, 1, 2], 1);
        change(&mut other);
        for coordinator in [0, 2] {
            check(Box::new(sign(&shares[&1], 0, &other, copy(&stock[&1])).unwrap()), coordinator);
        }
    }
    // Another coordinator, or another presignature of the same set.
    let request = request(&[0, 1, 2], 1);
    check(Box::new(sign(&shares[&1], 1, &request, copy(&stock[&1])).unwrap()), 2);
    let others = make_stock(&shares, &[0, 1, 2], 9);
    check(Box::new(sign(&shares[&1], 0, &request, copy(&others[&1])).unwrap()), 2);
}

#[test]
fn one_changed_bit_in_any_message_ends_the_run() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    // Messages of one signer: shares to each of the others, its nonce point, its confirmation.
    for lie in 0..4 {
        let change = move |index, _to, data| if index == lie { flip_last_bit(data) } else { data };
        let presigned = run_with_liar(start_presign(&shares, &[0, 1, 2], 4), 1, change);
        let Ok(stock) = presigned else { continue };
        // The last of the five values dealt is the mask of zero, which nothing but the signature shows.
        assert!(lie < 2, "message {lie} went unnoticed");
        let signed = run_locally(start_sign(&shares, &stock, &request(&[0, 1, 2], 1), 0));
        assert_eq!(signed.err().unwrap().1.reason, "the signature does not verify under the derived key");
    }
    let stock = make_stock(&shares, &[0, 1, 2], 1);
    for lie in 0..2 {
        let change = move |index, _to, data| if index == lie { flip_last_bit(data) } else { data };
        assert!(run_with_liar(start_sign(&shares, &stock, &request(&[0, 1, 2], 1), 0), 1, change).is_err());
    }
}

#[test]
fn each_dealt_value_that_is_wrong_gives_no_signature() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    for value in 0..5 {
        let change = move |index: usize, _to, mut data: Vec<u8>| {
            if index == 0 {
                data[1 + 32 * value + 31] ^= 1;
            }
            data
        };
        let presigned = run_with_liar(start_presign(&shares, &[0, 1, 2], 4), 1, change);
        let failure = match presigned {
            Err((_, failure)) => failure,
            Ok(stock) => {
                run_locally(start_sign(&shares, &stock, &request(&[0, 1, 2], 1), 0)).err().unwrap().1
            }
        };
        let expected = match value {
            0 => "the nonce points do not lie on one polynomial",
            _ => "the signature does not verify under the derived key",
        };
        assert_eq!(failure.reason, expected, "value {value}");
        assert_eq!(failure.culprit, None);
    }
}

#[test]
fn what_is_stored_comes_back_and_damage_is_noticed() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let bytes = make_stock(&shares, &[0, 1, 2], 1)[&1].encode();
    assert_eq!(Presignature::decode(&bytes).unwrap().encode(), bytes);
    assert!((0..bytes.len()).all(|size| Presignature::decode(&bytes[..size]).is_err()));
    assert!(Presignature::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}
