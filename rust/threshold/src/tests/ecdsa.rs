//! Cait-Sith: signatures that recover the derived key, and the presignature's algebra.

use std::collections::BTreeMap;

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use super::{flip_last_bit, make_key, run_with_liar, Boxed};
use crate::cait_sith::{generate_triple, presign, sign, Presignature, Triple};
use crate::derivation::compute_tweak;
use crate::ecdsa::{EcdsaSignature, SigningRequest};
use crate::group::{Group, Secp256k1};
use crate::keygen::KeyShare;
use crate::local::run_locally;
use crate::protocol::ParticipantId;

type Shares = BTreeMap<ParticipantId, KeyShare<Secp256k1>>;

pub(super) fn make_triples(ids: &[ParticipantId], threshold: usize) -> BTreeMap<ParticipantId, Triple> {
    let runs =
        ids.iter().map(|id| (*id, Box::new(generate_triple(ids, *id, threshold).unwrap()) as Boxed<Triple>));
    run_locally(runs.collect()).unwrap()
}

pub(super) fn make_presignatures(
    shares: &Shares,
    signers: &[ParticipantId],
) -> BTreeMap<ParticipantId, Presignature> {
    let ids: Vec<_> = shares.keys().copied().collect();
    let (first, second) =
        (make_triples(&ids, shares[&ids[0]].threshold), make_triples(&ids, shares[&ids[0]].threshold));
    let runs = signers.iter().map(|id| {
        let triples = (first[id].clone(), second[id].clone());
        (*id, Box::new(presign(&shares[id], signers, triples).unwrap()) as Boxed<Presignature>)
    });
    run_locally(runs.collect()).unwrap()
}

fn request(signers: &[ParticipantId], number: u8) -> SigningRequest {
    SigningRequest {
        signers: signers.to_vec(),
        tweak: compute_tweak("alice.near", "ethereum-1"),
        message_hash: [number; 32],
        entropy: [number ^ 0x55; 32],
    }
}

fn start(
    shares: &Shares,
    stock: &BTreeMap<ParticipantId, Presignature>,
    request: &SigningRequest,
) -> BTreeMap<ParticipantId, Boxed<EcdsaSignature>> {
    let run =
        |id: &ParticipantId| Box::new(sign(&shares[id], request, stock[id].clone()).unwrap()) as Boxed<_>;
    request.signers.iter().map(|id| (*id, run(id))).collect()
}

pub(super) fn recover(signature: &EcdsaSignature, message_hash: &[u8; 32]) -> VerifyingKey {
    let parsed =
        Signature::from_scalars(<[u8; 32]>::try_from(&signature.big_r[1..]).unwrap(), signature.s).unwrap();
    assert!(parsed.normalize_s().is_none(), "s is low");
    let id = RecoveryId::from_byte(signature.recovery_id).unwrap();
    VerifyingKey::recover_from_prehash(message_hash, &parsed, id).unwrap()
}

#[test]
fn signatures_recover_the_derived_key_with_either_parity() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let tweak = Secp256k1::decode_scalar(&compute_tweak("alice.near", "ethereum-1")).unwrap();
    let derived = (shares[&0].public_key + Secp256k1::base(&tweak)).to_affine();
    let mut parities = std::collections::BTreeSet::new();
    for (signers, offset) in [(&[0, 1][..], 0), (&[1, 2], 20), (&[0, 1, 2], 40)] {
        // One presignature signs many messages here to see both parities: fit for a test's throw-away key alone.
        let stock = make_presignatures(&shares, signers);
        for number in 1..12 {
            let request = request(signers, offset + number);
            let signatures = run_locally(start(&shares, &stock, &request)).unwrap();
            for signature in signatures.values() {
                assert!(*recover(signature, &request.message_hash).as_affine() == derived);
                assert_eq!(signature.big_r[0] - 2, signature.recovery_id & 1);
                parities.insert(signature.recovery_id);
            }
        }
    }
    assert_eq!(parities.into_iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn fresh_entropy_moves_the_nonce() {
    let shares = make_key::<Secp256k1>(&[0, 1], 2, 7);
    let stock = make_presignatures(&shares, &[0, 1]);
    let first = request(&[0, 1], 1);
    let second = SigningRequest { entropy: [9; 32], ..first.clone() };
    let sign = |request| run_locally(start(&shares, &stock, request)).unwrap().remove(&0).unwrap();
    assert_ne!(sign(&first).big_r, sign(&second).big_r);
}

#[test]
fn signers_with_different_views_get_no_signature() {
    let shares = make_key::<Secp256k1>(&[0, 1], 2, 7);
    let stock = make_presignatures(&shares, &[0, 1]);
    let changes: [fn(&mut SigningRequest); 3] = [
        |r| r.entropy[0] ^= 1,
        |r| r.message_hash[5] ^= 1,
        |r| r.tweak = compute_tweak("eve.near", "ethereum-1"),
    ];
    for change in changes {
        let mut other = request(&[0, 1], 1);
        change(&mut other);
        let mut runs = start(&shares, &stock, &request(&[0, 1], 1));
        runs.insert(1, Box::new(sign(&shares[&1], &other, stock[&1].clone()).unwrap()));
        let (_, failure) = run_locally(runs).err().unwrap();
        assert_eq!(failure.reason, "assertion failed signature failed to verify");
    }
}

#[test]
fn a_wrong_share_in_presigning_or_signing_gives_nothing() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let (first, second) = (make_triples(&[0, 1, 2], 2), make_triples(&[0, 1, 2], 2));
    for lie in 0..2 {
        let runs: BTreeMap<_, _> = [0, 1]
            .map(|id| {
                let triples = (first[&id].clone(), second[&id].clone());
                (id, Box::new(presign(&shares[&id], &[0, 1], triples).unwrap()) as Boxed<Presignature>)
            })
            .into();
        let change = move |index, _to, data| if index == lie { flip_last_bit(data) } else { data };
        assert!(run_with_liar(runs, 1, change).is_err(), "message {lie}");
    }
    let stock = make_presignatures(&shares, &[0, 1]);
    let change = |_index, _to, data| flip_last_bit(data);
    assert!(run_with_liar(start(&shares, &stock, &request(&[0, 1], 3)), 1, change).is_err());
}

#[test]
fn what_cannot_be_signed_is_refused_before_anything_is_sent() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let stock = make_presignatures(&shares, &[0, 1]);
    let refused = |request: &SigningRequest| sign(&shares[&0], request, stock[&0].clone()).err().unwrap().0;
    assert_eq!(refused(&request(&[0, 2], 1)), "the presignature is of other signers");
    assert_eq!(refused(&request(&[0, 1], 0)), "the message hash must be above zero and below the order");
    assert_eq!(refused(&request(&[0, 1], 0xff)), "the message hash must be above zero and below the order");
    let tweak = SigningRequest { tweak: [0xff; 32], ..request(&[0, 1], 1) };
    assert_eq!(refused(&tweak), "the tweak is not below the order");
}

#[test]
fn the_published_tweak_is_reproduced() {
    let expected = "7a4d7e6dcdef70e890bc9531c1118224d3efcdfe19491d1ac7b2a8ffaccc42c0";
    let tweak: String = compute_tweak("derivation-test.testnet", "unit-test")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(tweak, expected);
}

#[test]
fn what_is_stored_comes_back_and_damage_is_noticed() {
    let shares = make_key::<Secp256k1>(&[0, 1, 2], 2, 7);
    let triple = make_triples(&[0, 1, 2], 2).remove(&1).unwrap().encode();
    let presignature = make_presignatures(&shares, &[0, 1]).remove(&1).unwrap().encode();
    let share = shares[&1].encode();
    assert_eq!(Triple::decode(&triple).unwrap().encode(), triple);
    assert_eq!(Presignature::decode(&presignature).unwrap().encode(), presignature);
    assert_eq!(KeyShare::<Secp256k1>::decode(&share).unwrap().encode(), share);
    for size in 0..triple.len() {
        assert!(Triple::decode(&triple[..size]).is_err());
    }
    assert!(Presignature::decode(&[presignature.as_slice(), &[0]].concat()).is_err());
    // Another secret than the public share tells.
    let mut other = share.clone();
    other[8 + 31] ^= 1;
    assert!(KeyShare::<Secp256k1>::decode(&other).is_err());
}
