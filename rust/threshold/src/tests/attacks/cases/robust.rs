//! Robust ECDSA as the attacks see it.

use super::super::super::make_key;
use super::super::network::{simulate, Nobody};
use super::*;
use crate::group::Secp256k1;
use crate::robust;
use crate::run::encoded;

pub(super) fn robust_cases() -> Vec<Case> {
    let shares = make_key::<Secp256k1>(&[0, 1, 2, 3], 2, 5);
    let keys = shares.clone();
    let other_shares = other_epoch(&shares);
    let root = shares[&0].public_key;
    let presign = |share: &KeyShare<Secp256k1>, signers: &[ParticipantId], seed| {
        let run = robust::presign(share, signers, seeded(seed, share.participant)).unwrap();
        encoded(run, |presignature| presignature.encode())
    };
    let stock_of = |signers: [ParticipantId; 3]| {
        simulate(signers.map(|me| (me, presign(&shares[&me], &signers, 8))).into(), &mut Nobody).results
    };
    let (stock, other_set) = (stock_of(IDS), stock_of([0, 1, 3]));
    let sign = {
        let shares = shares.clone();
        move |me: ParticipantId, coordinator, request: &SigningRequest, presignature: &[u8]| {
            let presignature = robust::Presignature::decode(presignature).unwrap();
            let run = robust::sign(&shares[&me], coordinator, request, presignature).unwrap();
            encoded(run, |signature| signature.map_or(vec![], |signature| signature.encode()))
        }
    };
    let can_sign = {
        let sign = sign.clone();
        move |stock: &Results| {
            succeeds(IDS.map(|me| (me, sign(me, COORDINATOR, &request(&IDS), &stock[&me]))).into())
        }
    };
    let (old_share, four) = (other_shares[&LIAR].clone(), shares[&LIAR].clone());
    let presigning = Case::own(
        "robust presigning",
        vec![
            round(0, "shares", next_scalar::<Secp256k1>(0)),
            round(0, "shares of a", next_scalar::<Secp256k1>(32)),
            round(0, "shares of zero", next_scalar::<Secp256k1>(128)),
            round(1, "nonce points", next_point::<Secp256k1>(0)),
            round(2, "confirmation", flip),
        ],
    )
    .hiding(&shares, &[33, 65, 97, 129])
    .starting(move |seed, me| presign(&shares[&me], &IDS, seed))
    .checking(move |results| verdict(results.len() < 3 || can_sign(results)))
    .seeing("another epoch's share", move || presign(&old_share, &IDS, 1))
    .seeing("another set", move || presign(&four, &[0, 1, 3], 1));
    let mut signing = Case::own(
        "robust signing",
        vec![
            round(0, "view of the request", flip),
            round(1, "signature shares", next_scalar::<Secp256k1>(32)),
        ],
    )
    .starting({
        let (sign, stock) = (sign.clone(), stock.clone());
        move |seed, me| sign(me, COORDINATOR, &request_of(seed), &stock[&me])
    })
    .checking(move |results| check_ecdsa(results, &root))
    .hiding(&keys, &[]);
    for (name, other) in other_requests() {
        let (sign, stock) = (sign.clone(), stock.clone());
        signing = signing.seeing(name, move || sign(LIAR, COORDINATOR, &other, &stock[&LIAR]));
    }
    let other_coordinator = sign.clone();
    let signing = signing
        .seeing("another coordinator", move || other_coordinator(LIAR, 2, &request(&IDS), &stock[&LIAR]))
        .seeing("another set", move || sign(LIAR, COORDINATOR, &request(&[0, 1, 3]), &other_set[&LIAR]));
    vec![presigning, signing]
}
