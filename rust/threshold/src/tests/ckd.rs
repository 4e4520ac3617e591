//! Confidential keys: published vectors, the direct computation, and what a lie does.

use std::collections::BTreeMap;

use blstrs::{G1Affine, G1Projective};
use elliptic_curve::group::Group as _;
use sha2::Sha256;

use super::{make_key, reconstruct, rng, run_with_liar, Boxed};
use crate::ckd::{derive_app_key, hash_to_point, AppPublicKey, AppSecret, BlindedKey, KeyRequest};
use crate::derivation::compute_app_id;
use crate::group::{Bls12381, BlsScalar, Group};
use crate::keygen::KeyShare;
use crate::local::run_locally;
use crate::protocol::{Failure, ParticipantId};

type Shares = BTreeMap<ParticipantId, KeyShare<Bls12381>>;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

/// A case of near/mpc's ckd_test_vectors.json: all in hexadecimal.
struct Vector {
    network_secret: &'static str,
    network_key: &'static str,
    app_id: &'static str,
    app_secret: &'static str,
    app_key_first: &'static str,
    app_key_second: &'static str,
    hashed: &'static str,
    big_y: &'static str,
    big_c: &'static str,
    key: &'static str,
    expanded: &'static str,
}

const VECTORS: [Vector; 4] = [
    Vector {
        network_secret: "13e0c575c3ac888bf8815e0ed50166ed3560ffbe9fcf5917551d3bd56be291f8",
        network_key:
            "acd353f38a555fa11a929f391a19240d6b24d4f721db16db3fad73a3d29ce7220142cd69b8665d510af239b91f8c9814\
            0f651de3bd6be6061f03c9b21438f444f965fd6e1d0afdc44b66f16cd217fb02ad2f0409b51b98af54551781a48a6707",
        app_id: "c7dba29ba7ae16fd28796c2f508bc11d571c38341ce55d243b3c72cf02e0a2fd",
        app_secret: "03eb678530e40762c0e94bad392207830268e73379c460f09ae7a621c9120bfd",
        app_key_first:
            "863b7e3f9a763be4adbe64f9b52ba862c615339dfbaf0fb9bbf5e971c21a7d8eed17b1b16ff88fde7bac8aa6eee77360",
        app_key_second:
            "98d17141587188804194d33c8cf0796807c13e4f0c9210eeed84ce36acce75c07b4a2ccf348a9238dc9c013434ce10ff\
            0a99ac62280c8583ff2cc7675431fac6fac71974be1c2d9e67efdf46a92feb92444bad2ce6be7d6adf5410a5f0aa6a4f",
        hashed:
            "98b23f055df341e3695cb2f4da75e5b7354b2a0b90e9df5483823c1bc02476ca897afddb4615e630715c6c0d463d744b",
        big_y:
            "8c17ae06c27665ea865ab90226fa869c442238451f3cfc8e15ed49e8843c0a69a9949faecd0291c2849893b386ae2d12",
        big_c:
            "8967b5a379290b42c371a312d5c824f47c4c1b0ab09cc09da60fe4155448e6fbd77f134c5f66ca7545e4457baffd269e",
        key:
            "b7a83185c068fe7098766c005cef35a794e37311cdf989e183e0364262953e58eb225cd31e0d8c2c166aa3276e668362",
        expanded: "33822e831b341a7ea0d87eb08db77155327776e9ec7dd569d52fd202fe0f9c27",
    },
    Vector {
        network_secret: "1ee0729668b57795835ac73858caaea42fe55bffaff87858c8660e25e9aa82f9",
        network_key:
            "a1e12f26474ae475cd6ce1907495c55fc378155584a15d6fd01afd7dbbad6f4696cb23825c33e7e7f5329fd2a0af6338\
            08123f1462f38ee537296b78a844bf664a11fb9a7180e7474aa52a7c0afd8bbad9dd6bacde24ea2b7edcd84f3f94f1c0",
        app_id: "2fe536e8d0e35b933b8fc4671a3cd2e299f6c819b76059a4edeac6d7846b0baa",
        app_secret: "2fd63125daad01d7ab684bd9d609239a916e830b9d267dd79e9cd6329fa3bc74",
        app_key_first:
            "a4d0167bbe6c2da369532014e6381afd7a60956579040e3dadba57c3aa42dfd40b3f6b91d75ec3458560b3d025896f15",
        app_key_second:
            "91df2fb777ebd4cfabe1dafc90e49cf278cd5895e0b9bf8f4cd3f2363ea2b6ce105737a281212c87160eeabe9cc597f4\
            00f4b019a991acf4ed56972ead9aee331f9bb31bc066980a6507cf49dbf60170cdd9714caa3aa758d3bb0f041a3542c4",
        hashed:
            "abc29db80d99dd83cb457de7622377159493eb913331216461f804ce4cdf06c9a78936c1d58876b18232f601734e2fc4",
        big_y:
            "a6700fa718604d1274f2a2db5d66e4d71857b63b03f7849e978807a17ef366d08fecd7c405c95a2fef92ed2ed5129844",
        big_c:
            "822bcacf234432650628f0323acc9cbeffc98c2f7c3de5cefb9942751f9601d77cebf2eab82156a7cd6b4099e2e99365",
        key:
            "ad2c30aaf5b3b5933c39b05d6c6998718f06794b1175026596f04e3437bac38003463a20000adc3699b5447a2db9b758",
        expanded: "e75949a1c93d247c9b106159d3f14a2dcd49b99785e0b7a58d810fe1ba19a993",
    },
    Vector {
        network_secret: "0000000000000000000000000000000000000000000000000000000000000001",
        network_key:
            "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e\
            024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8",
        app_id: "58ce3721caa04d083ef9772913645ff629150785940980c8a8acebcd7c6c758e",
        app_secret: "0000000000000000000000000000000000000000000000000000000000000001",
        app_key_first:
            "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb",
        app_key_second:
            "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e\
            024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8",
        hashed:
            "a7c7fb7c53fab570eede125656aa63f43d71ad23575b72597b113088180158b8ffd29a7cf1d3482d0076cfc90063cd98",
        big_y:
            "ac36ca9d17dee36633c2143455fa0733d50a9c46a9a9695b6e8824ce02a8c1f41bcc005a8c57e464aed7a6f0a9f92e5f",
        big_c:
            "945e879dfbd73484ecd132cb82a541166c9feefde17e31f519f2642e875f17e962bcfcd9349320e6d1f6c5997c7f1b86",
        key:
            "a7c7fb7c53fab570eede125656aa63f43d71ad23575b72597b113088180158b8ffd29a7cf1d3482d0076cfc90063cd98",
        expanded: "9b2f121054a04deba51d49fd6d97c55812d312643744e63ac9c022dcece9806c",
    },
    Vector {
        network_secret: "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000",
        network_key:
            "b3e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e\
            024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8",
        app_id: "95bbca4fb3a1779c7a65c009f20ed43b6a9f010ad104622587d7688bfa11e5a9",
        app_secret: "6fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        app_key_first:
            "a7f551e0604db27e8cee10742ba2d4a2f5677e82e6eeb76e5370b6983c32598b69809d989d1052ffbd497435b9c12632",
        app_key_second:
            "89d810c5e27dc2bd9b36c411eaae9b5b3efc241fd8072d465a47b512a32f372561cb648d6e8151fc2fef3e8ecf9af37b\
            0109feddee5a7f7c91e1252adda25b3face9e4dde22f7bd3974f183354d9dfd40b8987883c8a4c78cf496fa05279a199",
        hashed:
            "8a669fc02e7e1b7573a90a4773bb7d01e7f03f85743d782faff6079782cb7c342b235cac201e5b0cd3abcf52017f389b",
        big_y:
            "97afb64cb3e15a24abbcda409d9e618a3af8b195b2ead79a6b079f5b3d577ea5230581881da902168d4bf2f3fa7d504b",
        big_c:
            "8759d40af0b24a066eedb33a26863aefcc1f896d0a01d2993978ab4f6ff36c810afd4cf923b4b67785026d462486aafe",
        key:
            "aa669fc02e7e1b7573a90a4773bb7d01e7f03f85743d782faff6079782cb7c342b235cac201e5b0cd3abcf52017f389b",
        expanded: "4a0704466f3205a526dabad39bc19bc37cdde4e79ee68b415dc6c9455e67e911",
    },
];

#[test]
fn the_published_vectors_are_reproduced() {
    for vector in &VECTORS {
        let mut network_secret = bytes(vector.network_secret);
        network_secret.reverse();
        let network_secret = Bls12381::decode_scalar(&network_secret).unwrap();
        let network_key = Bls12381::base(&network_secret);
        assert_eq!(Bls12381::encode_point(&network_key), bytes(vector.network_key));
        let app_id = bytes(vector.app_id).try_into().unwrap();
        let hashed = hash_to_point(&network_key, &app_id);
        assert_eq!(hashed.to_compressed().to_vec(), bytes(vector.hashed));
        assert_eq!((hashed * network_secret.0).to_compressed().to_vec(), bytes(vector.key));
        let app_secret = AppSecret::decode(&bytes(vector.app_secret)).unwrap();
        let (first, second) = app_secret.public_key();
        assert_eq!((&first, &second), (&bytes(vector.app_key_first), &bytes(vector.app_key_second)));
        let blinded = BlindedKey::decode(&bytes(&[vector.big_y, vector.big_c].concat())).unwrap();
        let app_public_key = AppPublicKey::new(&first, Some(&second)).unwrap();
        assert!(blinded.answers(&network_key, &app_id, &app_public_key));
        let key = blinded.unmask(&network_key, &app_id, &app_secret).unwrap();
        assert_eq!(key, bytes(vector.key));
        let mut expanded = [0; 32];
        hkdf::Hkdf::<Sha256>::new(None, &key).expand(&[], &mut expanded).unwrap();
        assert_eq!(expanded.to_vec(), bytes(vector.expanded));
        // Another app's answer is none.
        assert!(!blinded.answers(&network_key, &[7; 32], &app_public_key));
        assert!(blinded.unmask(&network_key, &[7; 32], &app_secret).is_none());
    }
}

#[test]
fn the_hash_of_a_fixed_point_is_the_published_one() {
    let hashed = hash_to_point(&Bls12381::generator(), &[0; 32]).to_compressed().to_vec();
    let expected =
        "91a9e23bb0a79b6c542b80e8ee10c102a4903ffb8e8bd5592bc4aba557742dd352417b686c0d067714818275c22c886a";
    assert_eq!(hashed, bytes(expected));
}

fn request(signers: &[ParticipantId], secret: &AppSecret, is_verifiable: bool) -> KeyRequest {
    let (first, second) = secret.public_key();
    KeyRequest {
        signers: signers.to_vec(),
        coordinator: *signers.last().unwrap(),
        app_id: compute_app_id("alice.near", "vault"),
        app_public_key: AppPublicKey::new(&first, is_verifiable.then_some(second.as_slice())).unwrap(),
    }
}

fn start(shares: &Shares, request: &KeyRequest) -> BTreeMap<ParticipantId, Boxed<Option<BlindedKey>>> {
    let run = |id: &ParticipantId| {
        Box::new(derive_app_key(&shares[id], request, rng(40 + u64::from(*id))).unwrap()) as Boxed<_>
    };
    request.signers.iter().map(|id| (*id, run(id))).collect()
}

#[test]
fn any_threshold_of_participants_makes_the_key_that_the_secret_would() {
    let shares = make_key::<Bls12381>(&[0, 1, 2, 6], 2, 4);
    let network_key = shares[&0].public_key;
    let app_id = compute_app_id("alice.near", "vault");
    let network_secret = reconstruct(&shares.values().collect::<Vec<_>>());
    let expected = (hash_to_point(&network_key, &app_id) * network_secret.0).to_compressed().to_vec();
    for signers in [&[0, 1][..], &[2, 0], &[1, 2, 6], &[0, 1, 2, 6]] {
        for is_verifiable in [false, true] {
            let app_secret = AppSecret::random(&mut *rng(9));
            let request = request(signers, &app_secret, is_verifiable);
            let mut results = run_locally(start(&shares, &request)).unwrap();
            let blinded = results.remove(&request.coordinator).unwrap().unwrap();
            assert!(results.values().all(Option::is_none), "the coordinator alone has the answer");
            assert_eq!(blinded.unmask(&network_key, &app_id, &app_secret), Some(expected.clone()));
            assert_eq!(blinded.answers(&network_key, &app_id, &request.app_public_key), is_verifiable);
            // Nobody else can read it.
            assert_eq!(blinded.unmask(&network_key, &app_id, &AppSecret::random(&mut *rng(10))), None);
        }
    }
}

#[test]
fn the_key_survives_a_reshare_and_old_shares_do_not_fit_new_ones() {
    let old = make_key::<Bls12381>(&[0, 1, 2], 2, 4);
    let new = run_locally(super::keygen::start_reshare(&old, &[1, 2, 3], 2)).unwrap();
    let app_secret = AppSecret::random(&mut *rng(9));
    let request = request(&[1, 2], &app_secret, true);
    let derive = |shares: &Shares| {
        let blinded = run_locally(start(shares, &request)).unwrap().remove(&2).unwrap().unwrap();
        blinded.unmask(&shares[&1].public_key, &request.app_id, &app_secret).unwrap()
    };
    assert_eq!(derive(&old), derive(&new));
    let mut mixed = new.clone();
    mixed.insert(1, old[&1].clone());
    let (_, failure) = run_locally(start(&mixed, &request)).err().unwrap();
    assert_eq!(failure, Failure { reason: "the signers see different requests".into(), culprit: None });
    // Under the new sharing's name, the old share is a lie.
    mixed.insert(1, KeyShare { public_shares: new[&1].public_shares.clone(), ..old[&1].clone() });
    let (_, failure) = run_locally(start(&mixed, &request)).err().unwrap();
    assert_eq!(failure.reason, "the contribution does not fit the public share");
    assert_eq!(failure.culprit, Some(1));
}

#[test]
fn a_wrong_contribution_names_its_sender() {
    let shares = make_key::<Bls12381>(&[0, 1, 2], 2, 4);
    for is_verifiable in [false, true] {
        let request = request(&[0, 1, 2], &AppSecret::random(&mut *rng(9)), is_verifiable);
        // Another Y or C of the group, another response: each is well-formed.
        for part in 0..4 {
            let change = move |_index, _to, mut data: Vec<u8>| {
                let at = 1 + 32 + 48 * part;
                if part < 2 {
                    let point = G1Projective::from_compressed(data[at..at + 48].try_into().unwrap()).unwrap();
                    let other = point + G1Projective::generator();
                    data[at..at + 48].copy_from_slice(&other.to_compressed());
                } else {
                    data[1 + 32 + 96 + 32 * (part - 1)] ^= 1;
                }
                data
            };
            let (_, failure) = run_with_liar(start(&shares, &request), 1, change).err().unwrap();
            assert_eq!(failure.reason, "the contribution does not fit the public share");
            assert_eq!(failure.culprit, Some(1), "{failure}");
        }
    }
}

#[test]
fn bad_requests_are_refused_before_anything_is_sent() {
    let refused = |first: &[u8], second: Option<&[u8]>| AppPublicKey::new(first, second).err().unwrap().0;
    let (first, second) = AppSecret::random(&mut *rng(9)).public_key();
    let (_, other) = AppSecret::random(&mut *rng(8)).public_key();
    let zero = G1Projective::identity().to_compressed();
    assert_eq!(refused(&zero, None), "the app's public key is zero");
    assert_eq!(refused(&first, Some(&other)), "the two halves of the app's public key differ");
    assert_eq!(refused(&first[1..], None), "the app's public key is no point of its group");
    assert_eq!(refused(&first, Some(&second[1..])), "the app's public key is no point of its group");
    assert_eq!(refused(&outside_the_subgroup(), None), "the app's public key is no point of its group");
    let shares = make_key::<Bls12381>(&[0, 1, 2], 3, 4);
    let refused = |signers: &[ParticipantId], coordinator| {
        let request = KeyRequest { coordinator, ..request(signers, &AppSecret::random(&mut *rng(9)), true) };
        derive_app_key(&shares[&0], &request, rng(1)).err().unwrap().0
    };
    assert_eq!(refused(&[0, 1], 1), "3 signers are needed, not 2");
    assert_eq!(refused(&[0, 1, 4], 1), "participant 4 has no share");
    assert_eq!(refused(&[0, 1, 2], 4), "the coordinator 4 is not among the signers");
}

/// A point of the curve that is no multiple of the generator.
fn outside_the_subgroup() -> [u8; 48] {
    let mut encoded = [0; 48];
    encoded[0] = 0x80;
    loop {
        encoded[47] += 1;
        let point: Option<G1Affine> = G1Affine::from_compressed_unchecked(&encoded).into();
        if point.is_some_and(|point| !bool::from(point.is_torsion_free())) {
            return encoded;
        }
    }
}

#[test]
fn scalars_are_reduced_from_wide_bytes() {
    // 2^256 − 1 = 1 · (2^256 mod r) − 1, and the order itself is zero.
    let mut wide = [0; 64];
    wide[32..].fill(0xff);
    let all_ones = Bls12381::scalar_from_wide(&wide);
    let mut next = [0; 64];
    next[31] = 1;
    let one = Bls12381::scalar_from_u64(1);
    assert!(all_ones + one == Bls12381::scalar_from_wide(&next));
    let mut order = [0; 64];
    order[32..].copy_from_slice(&bytes("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001"));
    assert!(Bls12381::scalar_from_wide(&order) == BlsScalar::default());
    assert!(Bls12381::decode_scalar(&order[32..].iter().rev().copied().collect::<Vec<_>>()).is_none());
}
