//! Key derivation as the attacks see it.

use super::super::super::{make_key, rng};
use super::*;
use crate::ckd::{self, AppPublicKey, AppSecret, BlindedKey, KeyRequest};
use crate::derivation::compute_app_id;
use crate::group::Bls12381;
use crate::run::encoded;

pub(super) fn ckd_case(is_verifiable: bool) -> Case {
    let shares = make_key::<Bls12381>(&[0, 1, 2, 3], 2, 5);
    let other_shares = other_epoch(&shares);
    let secret_of = |seed| AppSecret::random(&mut *rng(seed));
    let request = move |seed| {
        let (first, second) = secret_of(seed).public_key();
        KeyRequest {
            signers: IDS.to_vec(),
            coordinator: COORDINATOR,
            app_id: compute_app_id("alice.near", "vault"),
            app_public_key: AppPublicKey::new(&first, is_verifiable.then_some(second.as_slice())).unwrap(),
        }
    };
    let derive = |share: &KeyShare<Bls12381>, request: &KeyRequest, seed| {
        let run = ckd::derive_app_key(share, request, seeded(seed, share.participant)).unwrap();
        encoded(run, |blinded| blinded.map_or(vec![], |blinded| blinded.encode()))
    };
    let network_key = shares[&0].public_key;
    let (name, rounds) = if is_verifiable {
        ("key derivation, verifiable", vec![round(0, "contributions", flip)])
    } else {
        ("key derivation, plain", vec![round(0, "contributions", flip)])
    };
    let mut case = Case::own(name, rounds)
        .hiding(&shares, &[])
        .starting({
            let shares = shares.clone();
            move |seed, me| derive(&shares[&me], &request(2 + seed), seed)
        })
        .checking(move |results| {
            for bytes in results.values().filter(|bytes| !bytes.is_empty()) {
                let key = BlindedKey::decode(bytes).unwrap();
                let app_id = compute_app_id("alice.near", "vault");
                assert!(key.unmask(&network_key, &app_id, &secret_of(3)).is_some(), "a bad key left");
            }
            Verdict::Right
        });
    let mine = shares[&LIAR].clone();
    // Its own word for what it has: the others know better.
    let mut old = other_shares[&LIAR].clone();
    old.public_shares = mine.public_shares.clone();
    case = case.seeing("another epoch's share", move || derive(&old, &request(3), 1));
    let views = [
        ("another app id", KeyRequest { app_id: [1; 32], ..request(3) }),
        ("another app key", request(4)),
        ("another coordinator", KeyRequest { coordinator: 2, ..request(3) }),
        ("another set", KeyRequest { signers: vec![0, 1, 3], ..request(3) }),
    ];
    for (name, other) in views {
        let mine = mine.clone();
        case = case.seeing(name, move || derive(&mine, &other, 1));
    }
    case
}
