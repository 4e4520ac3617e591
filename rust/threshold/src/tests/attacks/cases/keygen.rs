//! Key generation and reshare as the attacks see them.

use std::collections::BTreeMap;

use super::super::super::{make_key, reconstruct};
use super::*;
use crate::group::Group;
use crate::keygen::{self, KeyShare, KeygenParameters, OldKey};
use crate::protocol::ParticipantId;
use crate::run::encoded;

fn keygen_rounds<G: Group>() -> Vec<Round> {
    let point = G::POINT_BYTES;
    vec![
        round(0, "session randomness", flip),
        round(1, "agreement on it", flip),
        round(2, "hash of the commitments", flip),
        round(3, "commitments", next_point::<G>(point + 32 + point)),
        round(3, "proof of knowledge", next_scalar::<G>(point)),
        round(4, "agreement on them", flip),
        round(5, "shares", next_scalar::<G>(0)),
        round(6, "confirmation", flip),
    ]
}

fn check_shares<G: Group>(results: &Results, key: Option<G::Point>) -> Verdict {
    let shares: Vec<_> = results.values().map(|bytes| KeyShare::<G>::decode(bytes).unwrap()).collect();
    for share in &shares {
        assert_eq!(share.fingerprint(), shares[0].fingerprint(), "all have a share of one key");
        assert!(key.is_none_or(|key| key == share.public_key), "the key stays");
    }
    if shares.len() >= 2 {
        let subset = [&shares[0], &shares[1]];
        assert!(G::base(&reconstruct(&subset)) == shares[0].public_key, "two shares make the key");
    }
    Verdict::Right
}

pub(super) fn keygen_cases<G: Group>(names: [&'static str; 2]) -> [Case; 2] {
    let parameters = |context: &[u8], participants: &[ParticipantId], me, threshold| KeygenParameters {
        context: context.to_vec(),
        participants: participants.to_vec(),
        me,
        threshold,
    };
    let keygen = move |seed, me, parameters| {
        let run = keygen::keygen::<G>(parameters, seeded(seed, me)).unwrap();
        encoded(run, |share: KeyShare<G>| share.encode())
    };
    let old = make_key::<G>(&IDS, 2, 5);
    let older = other_epoch(&old);
    let reshare = move |seed, me, parameters, share: &KeyShare<G>, key: &KeyShare<G>| {
        let old_key = OldKey {
            participants: IDS.to_vec(),
            threshold: 2,
            public_key: key.public_key,
            secret_share: Some(share.secret_share),
            public_shares: share.public_shares.clone(),
        };
        let run = keygen::reshare::<G>(parameters, old_key, seeded(seed, me)).unwrap();
        encoded(run, |share: KeyShare<G>| share.encode())
    };
    let (any, shares, wrong) = (old[&LIAR].clone(), old.clone(), older[&LIAR].clone());
    let refresh = move |parameters| reshare(1, LIAR, parameters, &any, &any);
    let key = old[&0].public_key;
    let reshared = Case::own(names[1], keygen_rounds::<G>())
        .starting(move |seed, me| {
            reshare(seed, me, parameters(b"event", &IDS, me, 2), &shares[&me], &shares[&me])
        })
        .checking(move |results| check_shares::<G>(results, Some(key)))
        .hiding(&old, &[8])
        .seeing("another epoch's share", {
            let right = old[&LIAR].clone();
            move || reshare(1, LIAR, parameters(b"event", &IDS, LIAR, 2), &wrong, &right)
        })
        .seeing("another key event", {
            let refresh = refresh.clone();
            move || refresh(parameters(b"other", &IDS, LIAR, 2))
        })
        .seeing("another threshold", {
            let refresh = refresh.clone();
            move || refresh(parameters(b"event", &IDS, LIAR, 3))
        })
        .seeing("another set", move || refresh(parameters(b"event", &[0, 1, 2, 3], LIAR, 2)));
    let generated = Case::own(names[0], keygen_rounds::<G>())
        .starting(move |seed, me| keygen(seed, me, parameters(b"event", &IDS, me, 2)))
        .checking(|results| check_shares::<G>(results, None))
        .hiding::<G>(&BTreeMap::new(), &[8])
        .seeing("another key event", move || keygen(1, LIAR, parameters(b"other", &IDS, LIAR, 2)))
        .seeing("another threshold", move || keygen(1, LIAR, parameters(b"event", &IDS, LIAR, 3)))
        .seeing("another set", move || keygen(1, LIAR, parameters(b"event", &[0, 1, 3], LIAR, 2)));
    [generated, reshared]
}
