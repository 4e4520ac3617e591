//! FROST: signatures that an independent library accepts under the derived key.

use std::collections::BTreeMap;

use super::{flip_last_bit, make_key, rng, run_with_liar, Boxed};
use crate::derivation::{compute_tweak, tweak_scalar_ed25519};
use crate::frost::{presign, sign, sign_presigned, Presignature, SigningRequest};
use crate::group::{Ed25519, Group};
use crate::keygen::KeyShare;
use crate::local::run_locally;
use crate::protocol::ParticipantId;

fn request(signers: &[ParticipantId], me: ParticipantId) -> SigningRequest {
    SigningRequest {
        signers: signers.to_vec(),
        me,
        tweak: compute_tweak("alice.near", "solana-1"),
        message: b"a whole transaction, not its hash".to_vec(),
    }
}

fn start(
    shares: &BTreeMap<ParticipantId, KeyShare<Ed25519>>,
    signers: &[ParticipantId],
) -> BTreeMap<ParticipantId, Boxed<[u8; 64]>> {
    signers
        .iter()
        .map(|id| {
            (
                *id,
                Box::new(sign(&shares[id], request(signers, *id), rng(50 + u64::from(*id))).unwrap())
                    as Boxed<_>,
            )
        })
        .collect()
}

fn is_valid(shares: &BTreeMap<ParticipantId, KeyShare<Ed25519>>, signature: &[u8; 64]) -> bool {
    let tweak = tweak_scalar_ed25519(&compute_tweak("alice.near", "solana-1"));
    let key = Ed25519::encode_point(&(shares[&0].public_key + Ed25519::base(&tweak)));
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap();
    key.verify_strict(&request(&[0, 1], 0).message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
}

#[test]
fn any_threshold_of_participants_signs_for_the_derived_key() {
    let shares = make_key::<Ed25519>(&[0, 1, 2], 2, 4);
    for signers in [&[0, 1][..], &[0, 2], &[1, 2], &[0, 1, 2]] {
        let signatures = run_locally(start(&shares, signers)).unwrap();
        assert!(signatures.values().all(|signature| is_valid(&shares, signature)), "{signers:?}");
        let mut other = *signatures.values().next().unwrap();
        other[3] ^= 1;
        assert!(!is_valid(&shares, &other));
    }
}

#[test]
fn too_few_or_unknown_signers_are_refused() {
    let shares = make_key::<Ed25519>(&[0, 1, 2], 3, 4);
    assert_eq!(
        sign(&shares[&0], request(&[0, 1], 0), rng(1)).err().unwrap().0,
        "3 signers are needed, not 2"
    );
    assert_eq!(
        sign(&shares[&0], request(&[0, 1, 5], 0), rng(1)).err().unwrap().0,
        "participant 5 has no share"
    );
}

#[test]
fn a_presigned_signature_takes_one_round_and_only_the_presigned_set() {
    let shares = make_key::<Ed25519>(&[0, 1, 2], 2, 4);
    let runs = [0, 2].map(|id| {
        (id, Box::new(presign(&shares[&id], &[0, 2], rng(9 + u64::from(id))).unwrap()) as Boxed<Presignature>)
    });
    let mut stock = run_locally(BTreeMap::from(runs)).unwrap();
    let wrong = presign(&shares[&0], &[0, 1], rng(3));
    assert!(wrong.is_ok());
    let runs: BTreeMap<_, _> = [0, 2]
        .map(|id| {
            let stored = Presignature::decode(&stock.remove(&id).unwrap().encode()).unwrap();
            let run = sign_presigned(&shares[&id], request(&[0, 2], id), stored).unwrap();
            (id, Box::new(run) as Boxed<[u8; 64]>)
        })
        .into();
    let signatures = run_locally(runs).unwrap();
    assert!(is_valid(&shares, &signatures[&0]) && signatures[&0] == signatures[&2]);

    let runs = [0, 2]
        .map(|id| (id, Box::new(presign(&shares[&id], &[0, 2], rng(9)).unwrap()) as Boxed<Presignature>));
    let mut stock = run_locally(BTreeMap::from(runs)).unwrap();
    let refused = sign_presigned(&shares[&0], request(&[0, 1], 0), stock.remove(&0).unwrap()).err().unwrap();
    assert_eq!(refused.0, "the presignature is of other signers");
}

#[test]
fn a_wrong_signature_share_names_its_sender() {
    let shares = make_key::<Ed25519>(&[0, 1, 2], 2, 4);
    let change = |index, _to, mut data: Vec<u8>| {
        if index == 1 {
            data[1 + 32] ^= 1;
        }
        data
    };
    let (_, failure) = run_with_liar(start(&shares, &[0, 1, 2]), 1, change).err().unwrap();
    assert_eq!(failure.culprit, Some(1), "{failure}");
    let malformed = |index, _to, data| if index == 0 { flip_last_bit(data) } else { data };
    assert!(run_with_liar(start(&shares, &[0, 1, 2]), 1, malformed).is_err());
}
