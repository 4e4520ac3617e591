//! Cait-Sith as the attacks see it.

use super::super::super::make_key;
use super::super::network::{simulate, Nobody};
use super::*;
use crate::group::Secp256k1;
use crate::run::{start_ecdsa_presign, start_ecdsa_sign, start_triple};

pub(super) fn cait_sith_cases() -> Vec<Case> {
    let shares = make_key::<Secp256k1>(&IDS, 2, 5);
    let root = shares[&0].public_key;
    let keys = shares.clone();
    let (shares, other_shares) = (encode_all(&shares), encode_all(&other_epoch(&shares)));
    let triples = |ids: &[ParticipantId]| {
        let runs = ids.iter().map(|id| (*id, start_triple(ids, *id, 2).unwrap()));
        simulate(runs.collect(), &mut Nobody).results
    };
    let (first, second) = (triples(&IDS), triples(&IDS));
    let presign = {
        let (first, second) = (first.clone(), second.clone());
        move |share: &[u8], signers: &[ParticipantId], me: ParticipantId, seed| {
            let triples = (first[&me].as_slice(), second[&me].as_slice());
            let triples = if seed == 1 { triples } else { (triples.1, triples.0) };
            start_ecdsa_presign(share, signers, triples).unwrap()
        }
    };
    let stock = {
        let runs = IDS.map(|me| (me, presign(&shares[&me], &IDS, me, 1)));
        simulate(runs.into(), &mut Nobody).results
    };
    let can_sign = {
        let shares = shares.clone();
        move |stock: &Results| {
            let ids: Vec<_> = stock.keys().copied().collect();
            let run = |me: &ParticipantId| start_ecdsa_sign(&shares[me], &request(&ids), &stock[me]).unwrap();
            succeeds(ids.iter().map(|me| (*me, run(me))).collect())
        }
    };
    let check_triple = {
        let (shares, second) = (shares.clone(), [triples(&[0, 1]), second.clone()]);
        move |results: &Results| {
            let ids: Vec<_> = results.keys().copied().collect();
            let Some(second) = second.iter().find(|second| second.keys().eq(ids.iter())) else {
                return Verdict::Right;
            };
            let run = |me: &ParticipantId| {
                start_ecdsa_presign(&shares[me], &ids, (&results[me], &second[me])).unwrap()
            };
            verdict(succeeds(ids.iter().map(|me| (*me, run(me))).collect()))
        }
    };
    let triple = |name, ids: &'static [ParticipantId], liar, rounds| {
        // The shared channel has rows of its own; transfers of one bit are 128, and two numbers are multiplied.
        let is_like_another: fn(&Wire) -> bool = match ids {
            [_, _] => |wire| {
                let channel = &wire.data[..2];
                channel == SHARED || channel == [0x69, 0x98] || wire.data[20] == 0 && wire.data.len() < 100
            },
            _ => |wire| wire.data[..2] != SHARED,
        };
        let case = Case::of_library(name, ids, liar, rounds);
        Case { is_like_another, ..case }
            .starting(move |_, me| start_triple(ids, me, 2).unwrap())
            .checking(check_triple.clone())
    };
    let sign = {
        let (shares, stock) = (shares.clone(), stock.clone());
        move |share: Option<&[u8]>, request: &SigningRequest, me: ParticipantId| {
            start_ecdsa_sign(share.unwrap_or(&shares[&me]), request, &stock[&me]).unwrap()
        }
    };
    let mut signing =
        Case::of_library("Cait-Sith signing", &IDS, LIAR, vec![point(SHARED, 0, "signature shares")])
            .starting({
                let sign = sign.clone();
                move |seed, me| sign(None, &request_of(seed), me)
            })
            .checking(move |results| check_ecdsa(results, &root))
            .hiding(&keys, &[])
            .seeing("another epoch's share", {
                let (sign, share) = (sign.clone(), other_shares[&LIAR].clone());
                move || sign(Some(&share), &request(&IDS), LIAR)
            });
    for (name, other) in other_requests() {
        let sign = sign.clone();
        signing = signing.seeing(name, move || sign(None, &other, LIAR));
    }
    let presigning = Case::of_library(
        "Cait-Sith presigning",
        &IDS,
        LIAR,
        vec![point(SHARED, 0, "nonce shares"), point(SHARED, 1, "masked shares")],
    )
    .starting({
        let (presign, shares) = (presign.clone(), shares.clone());
        move |seed, me| presign(&shares[&me], &IDS, me, seed)
    })
    .checking(move |results| verdict(results.len() < 3 || can_sign(results)))
    .hiding(&keys, &[33, 65])
    .seeing("another epoch's share", {
        let (presign, share) = (presign.clone(), other_shares[&LIAR].clone());
        move || presign(&share, &IDS, LIAR, 1)
    })
    .seeing("another set", move || presign(&shares[&LIAR], &[0, 1], LIAR, 1));
    vec![
        triple(
            "Cait-Sith triple",
            &IDS,
            LIAR,
            vec![
                point(SHARED, 0, "commitments"),
                point(SHARED, 1, "agreement on them"),
                point(SHARED, 2, "polynomials and proofs"),
                point(SHARED, 3, "shares"),
                point(SHARED, 4, "product and its proof"),
                point(SHARED, 5, "product's constant and its proof"),
                point(SHARED, 6, "product's shares"),
            ],
        ),
        triple(
            "Cait-Sith triple, transfers, lower number",
            &[0, 1],
            0,
            vec![
                point([0x70, 0x84], 0, "base transfer, sender"),
                point([0x07, 0xac], 0, "extension, matrix"),
                point([0x89, 0x06], 1, "extension, check"),
                point([0x5f, 0x56], 1, "multiplication, check"),
            ],
        ),
        triple(
            "Cait-Sith triple, transfers, higher number",
            &[0, 1],
            1,
            vec![
                point([0xc3, 0x70], 0, "base transfer, choice"),
                point([0x89, 0x06], 0, "extension, seed"),
                point([0x5f, 0x56], 0, "multiplication, corrections"),
            ],
        ),
        presigning,
        signing,
    ]
}
