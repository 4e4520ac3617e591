//! Keys of ours in the libraries' own code, and keys of theirs in ours.

use std::collections::BTreeMap;

use cait_sith::protocol::{run_protocol, Participant, Protocol as Theirs};
use frost_ed25519 as frost;
use k256::Scalar;
use rand_core::OsRng;

use super::keygen::start_reshare;
use super::{make_key, reconstruct, rng, Boxed};
use crate::derivation::{compute_tweak, tweak_scalar_ed25519, tweak_scalar_secp256k1};
use crate::ecdsa::{EcdsaSignature, SigningRequest};
use crate::group::{Ed25519, Group, Secp256k1};
use crate::keygen::KeyShare;
use crate::local::run_locally;
use crate::protocol::ParticipantId;
use crate::robust;

const IDS: [ParticipantId; 3] = [0, 1, 2];

type KeygenOutput = cait_sith::KeygenOutput<k256::Secp256k1>;

fn frost_identifier(id: ParticipantId) -> frost::Identifier {
    frost::Identifier::try_from(u16::try_from(id).unwrap() + 1).unwrap()
}

/// FROST's own key generation among three, two of whom sign.
fn frost_keys() -> BTreeMap<ParticipantId, (frost::keys::KeyPackage, frost::keys::PublicKeyPackage)> {
    let first: BTreeMap<_, _> =
        IDS.map(|id| (id, frost::keys::dkg::part1(frost_identifier(id), 3, 2, OsRng).unwrap())).into();
    let said_to = |id: ParticipantId| {
        let others = first.iter().filter(move |(other, _)| **other != id);
        others
            .map(|(other, (_, package))| (frost_identifier(*other), package.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let second: BTreeMap<_, _> = first
        .iter()
        .map(|(id, (secret, _))| (*id, frost::keys::dkg::part2(secret.clone(), &said_to(*id)).unwrap()))
        .collect();
    let dealt_to = |id: ParticipantId| {
        let others = second.iter().filter(move |(other, _)| **other != id);
        others
            .map(|(other, (_, packages))| (frost_identifier(*other), packages[&frost_identifier(id)].clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let third = |id| frost::keys::dkg::part3(&second[&id].0, &said_to(id), &dealt_to(id)).unwrap();
    IDS.map(|id| (id, third(id))).into()
}

#[test]
fn a_key_of_frosts_own_generation_is_reshared_and_signs_here() {
    let point = |bytes: Vec<u8>| Ed25519::decode_point(&bytes).unwrap();
    let shares: BTreeMap<_, _> = frost_keys()
        .into_iter()
        .map(|(id, (package, public))| {
            let public_shares = IDS
                .map(|id| (id, point(public.verifying_shares()[&frost_identifier(id)].serialize().unwrap())));
            let share = KeyShare::<Ed25519> {
                participant: id,
                threshold: 2,
                secret_share: Ed25519::decode_scalar(&package.signing_share().serialize()).unwrap(),
                public_key: point(package.verifying_key().serialize().unwrap()),
                public_shares: public_shares.into(),
            };
            (id, KeyShare::decode(&share.encode()).unwrap())
        })
        .collect();
    let key = shares[&0].public_key;
    let reshared = run_locally(start_reshare(&shares, &[1, 2, 5], 2)).unwrap();
    let tweak = compute_tweak("alice.near", "solana-1");
    for (shares, signers) in [(&shares, [0, 2]), (&reshared, [1, 5])] {
        let runs = signers.map(|me| {
            let request = crate::frost::SigningRequest {
                signers: signers.to_vec(),
                me,
                tweak,
                message: b"message".to_vec(),
            };
            let run = crate::frost::sign(&shares[&me], request, rng(u64::from(me))).unwrap();
            (me, Box::new(run) as Boxed<[u8; 64]>)
        });
        let signature = run_locally(runs.into()).unwrap()[&signers[0]];
        let derived = Ed25519::encode_point(&(key + Ed25519::base(&tweak_scalar_ed25519(&tweak))));
        let derived = ed25519_dalek::VerifyingKey::from_bytes(&derived.try_into().unwrap()).unwrap();
        derived.verify_strict(b"message", &ed25519_dalek::Signature::from_bytes(&signature)).unwrap();
    }
}

#[test]
fn a_key_of_ours_signs_and_is_reconstructed_in_frosts_own_code() {
    let shares = make_key::<Ed25519>(&IDS, 2, 11);
    let key = frost::VerifyingKey::deserialize(&Ed25519::encode_point(&shares[&0].public_key)).unwrap();
    let verifying = |id: &ParticipantId| {
        frost::keys::VerifyingShare::deserialize(&Ed25519::encode_point(&shares[&0].public_shares[id]))
            .unwrap()
    };
    let packages: Vec<_> = [0, 2]
        .iter()
        .map(|id| {
            let secret = Ed25519::encode_scalar(&shares[id].secret_share);
            let secret = frost::keys::SigningShare::deserialize(&secret).unwrap();
            frost::keys::KeyPackage::new(frost_identifier(*id), secret, verifying(id), key, 2)
        })
        .collect();
    let (nonces, commitments): (Vec<_>, BTreeMap<_, _>) = packages
        .iter()
        .map(|package| {
            let (nonces, commitments) = frost::round1::commit(package.signing_share(), &mut OsRng);
            (nonces, (*package.identifier(), commitments))
        })
        .unzip();
    let signing = frost::SigningPackage::new(commitments, b"message");
    let signature_shares = packages.iter().zip(&nonces).map(|(package, nonces)| {
        (*package.identifier(), frost::round2::sign(&signing, nonces, package).unwrap())
    });
    let verifying_shares = IDS.iter().map(|id| (frost_identifier(*id), verifying(id))).collect();
    let public = frost::keys::PublicKeyPackage::new(verifying_shares, key, Some(2));
    let signature = frost::aggregate(&signing, &signature_shares.collect(), &public).unwrap();
    key.verify(b"message", &signature).unwrap();
    let whole = frost::keys::reconstruct(&packages).unwrap();
    assert_eq!(frost::VerifyingKey::from(whole), key);
}

fn theirs(ids: &[ParticipantId]) -> Vec<Participant> {
    ids.iter().map(|id| Participant::from(*id)).collect()
}

type Their<T> = Box<dyn Theirs<Output = T>>;

#[test]
fn a_key_of_cait_siths_own_generation_is_refreshed_and_signs_here() {
    let runs = IDS.map(|id| {
        let run = cait_sith::keygen::<k256::Secp256k1>(&theirs(&IDS), id.into(), 2).unwrap();
        (Participant::from(id), Box::new(run) as Their<KeygenOutput>)
    });
    let outputs = run_protocol(runs.into()).unwrap();
    let public_shares: BTreeMap<_, _> =
        outputs.iter().map(|(id, output)| (u32::from(*id), Secp256k1::base(&output.private_share))).collect();
    let shares: BTreeMap<ParticipantId, _> = outputs
        .iter()
        .map(|(id, output)| {
            let share = KeyShare::<Secp256k1> {
                participant: (*id).into(),
                threshold: 2,
                secret_share: output.private_share,
                public_key: output.public_key.into(),
                public_shares: public_shares.clone(),
            };
            (share.participant, share)
        })
        .collect();
    let refreshed = run_locally(start_reshare(&shares, &IDS, 2)).unwrap();
    let request = SigningRequest {
        signers: IDS.to_vec(),
        tweak: compute_tweak("alice.near", "ethereum-1"),
        message_hash: [7; 32],
        entropy: [9; 32],
    };
    let derived = shares[&0].public_key
        + Secp256k1::base(&tweak_scalar_secp256k1(&compute_tweak("alice.near", "ethereum-1")).unwrap());
    for shares in [&shares, &refreshed] {
        let runs = IDS.map(|id| {
            let run = robust::presign(&shares[&id], &IDS, rng(u64::from(id))).unwrap();
            (id, Box::new(run) as Boxed<robust::Presignature>)
        });
        let stock = run_locally(runs.into()).unwrap().into_iter();
        let runs = stock.map(|(id, presignature)| {
            let run = robust::sign(&shares[&id], 0, &request, presignature).unwrap();
            (id, Box::new(run) as Boxed<Option<EcdsaSignature>>)
        });
        let signature = run_locally(runs.collect()).unwrap().remove(&0).unwrap().unwrap();
        assert!(*super::ecdsa::recover(&signature, &[7; 32]).as_affine() == derived.to_affine());
    }
}

#[test]
fn a_key_of_ours_is_refreshed_and_reshared_by_cait_siths_own_code() {
    let shares = make_key::<Secp256k1>(&IDS, 2, 11);
    let key = shares[&0].public_key;
    let refreshed = IDS.map(|id| {
        let old = shares[&id].secret_share;
        let run =
            cait_sith::refresh::<k256::Secp256k1>(&theirs(&IDS), 2, id.into(), old, key.to_affine()).unwrap();
        (Participant::from(id), Box::new(run) as Their<Scalar>)
    });
    let members = [1, 2, 4];
    let reshared = members.map(|id| {
        let old = shares.contains_key(&id).then(|| shares[&id].secret_share);
        let run = cait_sith::reshare::<k256::Secp256k1>(
            &theirs(&IDS),
            2,
            &theirs(&members),
            3,
            id.into(),
            old,
            key.to_affine(),
        );
        (Participant::from(id), Box::new(run.unwrap()) as Their<Scalar>)
    });
    for (runs, threshold) in [(refreshed, 2), (reshared, 3)] {
        let outputs = run_protocol(runs.into()).unwrap();
        let shares: Vec<_> = outputs
            .iter()
            .map(|(id, output)| KeyShare::<Secp256k1> {
                participant: (*id).into(),
                threshold,
                secret_share: *output,
                public_key: key,
                public_shares: BTreeMap::new(),
            })
            .collect();
        assert!(Secp256k1::base(&reconstruct(&shares.iter().take(threshold).collect::<Vec<_>>())) == key);
    }
}
