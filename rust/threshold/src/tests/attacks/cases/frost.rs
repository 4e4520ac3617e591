//! FROST as the attacks see it.

use super::super::super::make_key;
use super::super::network::{simulate, Nobody};
use super::*;
use crate::derivation::tweak_scalar_ed25519;
use crate::frost;
use crate::group::Ed25519;
use crate::run::encoded;

type StartWith = Box<dyn Fn(&KeyShare<Ed25519>, frost::SigningRequest) -> Run>;

const MESSAGE: &[u8] = b"a whole transaction";

fn frost_request(me: ParticipantId, signers: &[ParticipantId]) -> frost::SigningRequest {
    frost::SigningRequest {
        signers: signers.to_vec(),
        me,
        tweak: compute_tweak("alice.near", "solana-1"),
        message: MESSAGE.to_vec(),
    }
}

fn check_eddsa(results: &Results, root: &<Ed25519 as Group>::Point) -> Verdict {
    let tweak = tweak_scalar_ed25519(&compute_tweak("alice.near", "solana-1"));
    let key = Ed25519::encode_point(&(*root + Ed25519::base(&tweak))).try_into().unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    for bytes in results.values() {
        let signature = ed25519_dalek::Signature::from_slice(bytes).unwrap();
        key.verify_strict(MESSAGE, &signature).expect("a bad signature left");
    }
    Verdict::Right
}

pub(super) fn frost_cases() -> Vec<Case> {
    let shares = make_key::<Ed25519>(&[0, 1, 2, 3], 2, 5);
    let keys = shares.clone();
    let other_shares = other_epoch(&shares);
    let root = shares[&0].public_key;
    let commitments = || flip_point_of_commitments;
    let presign = |share: &KeyShare<Ed25519>, seed| {
        let run = frost::presign(share, &IDS, seeded(seed, share.participant)).unwrap();
        encoded(run, |presignature| presignature.encode())
    };
    let stock = simulate(IDS.map(|me| (me, presign(&shares[&me], 8))).into(), &mut Nobody).results;
    let sign = |share: &KeyShare<Ed25519>, request: frost::SigningRequest, seed| {
        let run = frost::sign(share, request, seeded(seed, share.participant)).unwrap();
        encoded(run, |signature| signature.to_vec())
    };
    let sign_presigned = |share: &KeyShare<Ed25519>, request, presignature: &[u8]| {
        let presignature = frost::Presignature::decode(presignature).unwrap();
        encoded(frost::sign_presigned(share, request, presignature).unwrap(), |signature| signature.to_vec())
    };
    let can_sign = {
        let shares = shares.clone();
        move |stock: &Results| {
            let run = |me| sign_presigned(&shares[&me], frost_request(me, &IDS), &stock[&me]);
            succeeds(IDS.map(|me| (me, run(me))).into())
        }
    };
    let (mine, others) = (shares[&LIAR].clone(), other_shares[&LIAR].clone());
    let with_views = |case: Case, start: StartWith| {
        let start = std::rc::Rc::new(start);
        let request = frost_request(LIAR, &IDS);
        let changed = [
            ("another message", frost::SigningRequest { message: b"another".to_vec(), ..request.clone() }),
            ("another tweak", frost::SigningRequest { tweak: [1; 32], ..request.clone() }),
        ];
        let (run, share) = (start.clone(), others.clone());
        let mut case = case.seeing("another epoch's share", move || run(&share, request.clone()));
        for (name, request) in changed {
            let (run, share) = (start.clone(), mine.clone());
            case = case.seeing(name, move || run(&share, request.clone()));
        }
        case
    };
    let presigning = Case::own("FROST presigning", vec![round(0, "nonce commitments", commitments())])
        .starting({
            let shares = shares.clone();
            move |seed, me| presign(&shares[&me], seed)
        })
        .checking(move |results| verdict(results.len() < 3 || can_sign(results)))
        .hiding(&keys, &[]);
    let one_shot = Case::own(
        "FROST signing",
        vec![
            round(0, "nonce commitments", commitments()),
            round(1, "signature shares", next_scalar::<Ed25519>(32)),
            round(1, "view of the request", |payload| flip_at(payload, 0)),
        ],
    )
    .starting({
        let shares = shares.clone();
        move |seed, me| sign(&shares[&me], frost_request(me, &IDS), seed)
    })
    .checking(move |results| check_eddsa(results, &root))
    .hiding(&keys, &[]);
    let four = shares[&LIAR].clone();
    let one_shot = with_views(one_shot, Box::new(move |share, request| sign(share, request, 1)))
        .seeing("another set", move || sign(&four, frost_request(LIAR, &[0, 1, 3]), 1));
    let presigned_stock = stock.clone();
    let presigned = Case::own(
        "FROST signing from stock",
        vec![
            round(0, "signature shares", next_scalar::<Ed25519>(32)),
            round(0, "view of the request", |payload| flip_at(payload, 0)),
        ],
    )
    .starting(move |seed, me| {
        let message = if seed == 1 { MESSAGE } else { b"of another run" };
        let request = frost::SigningRequest { message: message.to_vec(), ..frost_request(me, &IDS) };
        sign_presigned(&shares[&me], request, &stock[&me])
    })
    .checking(move |results| check_eddsa(results, &root))
    .hiding(&keys, &[]);
    let presigned = with_views(
        presigned,
        Box::new(move |share, request| sign_presigned(share, request, &presigned_stock[&LIAR])),
    );
    vec![presigning, one_shot, presigned]
}

fn flip_at(payload: &[u8], at: usize) -> Vec<u8> {
    let mut payload = payload.to_vec();
    payload[at] ^= 1;
    payload
}

/// The last 32 bytes are the binding commitment.
fn flip_point_of_commitments(payload: &[u8]) -> Vec<u8> {
    next_point::<Ed25519>(payload.len() - 32)(payload)
}
