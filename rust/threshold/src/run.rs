//! Every protocol behind one type: bytes in, bytes out, so that a node can hold runs of all kinds in one table.

use rand_core::{CryptoRngCore, OsRng};

use crate::ecdsa::SigningRequest;
use crate::encoding::Malformed;
use crate::group::{Bls12381, Ed25519, Group, Secp256k1};
use crate::keygen::{KeyShare, KeygenParameters, OldKey};
use crate::protocol::{Action, BadParameters, Failure, ParticipantId, Protocol, Refused};
use crate::{cait_sith, ckd, derivation, frost, keygen, robust};

/// A protocol run of any kind. Its result is what `encode` of the result's type writes; signatures are
/// 33 + 32 + 1 bytes (nonce point, s, recovery id) or 64.
pub type Run = Box<dyn Protocol<Output = Vec<u8>>>;

/// A run cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    BadParameters(#[from] BadParameters),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Which group a key lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    Secp256k1,
    Ed25519,
    /// Keys in the second group.
    Bls12381,
}

struct Encoded<P, F> {
    inner: P,
    encode: F,
}

impl<P: Protocol, F: Fn(P::Output) -> Vec<u8> + Send> Protocol for Encoded<P, F> {
    type Output = Vec<u8>;

    fn poke(&mut self) -> Result<Action<Vec<u8>>, Failure> {
        Ok(match self.inner.poke()? {
            Action::Wait => Action::Wait,
            Action::SendMany(data) => Action::SendMany(data),
            Action::SendPrivate(to, data) => Action::SendPrivate(to, data),
            Action::Return(output) => Action::Return((self.encode)(output)),
        })
    }

    fn message(&mut self, from: ParticipantId, data: &[u8]) -> Result<(), Refused> {
        self.inner.message(from, data)
    }
}

pub(crate) fn encoded<P, F>(inner: P, encode: F) -> Run
where
    P: Protocol + 'static,
    F: Fn(P::Output) -> Vec<u8> + Send + 'static,
{
    Box::new(Encoded { inner, encode })
}

fn system_randomness() -> Box<dyn CryptoRngCore + Send> {
    Box::new(OsRng)
}

/// The key that a reshare keeps, as bytes.
pub struct OldKeyBytes<'a> {
    pub participants: Vec<ParticipantId>,
    pub threshold: usize,
    pub public_key: &'a [u8],
    /// The encoded share; None for a participant that joins.
    pub share: Option<&'a [u8]>,
}

/// Make or reshare a key; the result is an encoded share.
///
/// # Errors
/// When the parameters or the old key do not fit together.
pub fn start_keygen(
    curve: Curve,
    parameters: KeygenParameters,
    old: Option<OldKeyBytes<'_>>,
) -> Result<Run, StartError> {
    match curve {
        Curve::Secp256k1 => start_keygen_in::<Secp256k1>(parameters, old),
        Curve::Ed25519 => start_keygen_in::<Ed25519>(parameters, old),
        Curve::Bls12381 => start_keygen_in::<Bls12381>(parameters, old),
    }
}

fn start_keygen_in<G: Group>(
    parameters: KeygenParameters,
    old: Option<OldKeyBytes<'_>>,
) -> Result<Run, StartError> {
    let encode = |share: KeyShare<G>| share.encode();
    let Some(old) = old else {
        return Ok(encoded(keygen::keygen::<G>(parameters, system_randomness())?, encode));
    };
    let share = old.share.map(KeyShare::<G>::decode).transpose()?;
    let old = OldKey {
        participants: old.participants,
        threshold: old.threshold,
        public_key: G::decode_point(old.public_key).ok_or(Malformed("public key"))?,
        secret_share: share.as_ref().map(|share| share.secret_share),
        public_shares: share.as_ref().map(|share| share.public_shares.clone()).unwrap_or_default(),
    };
    Ok(encoded(keygen::reshare::<G>(parameters, old, system_randomness())?, encode))
}

/// The public key of an encoded share.
///
/// # Errors
/// When it is not a share of that curve.
pub fn public_key_of(curve: Curve, share: &[u8]) -> Result<Vec<u8>, Malformed> {
    fn read<G: Group>(share: &[u8]) -> Result<Vec<u8>, Malformed> {
        Ok(G::encode_point(&KeyShare::<G>::decode(share)?.public_key))
    }
    match curve {
        Curve::Secp256k1 => read::<Secp256k1>(share),
        Curve::Ed25519 => read::<Ed25519>(share),
        Curve::Bls12381 => read::<Bls12381>(share),
    }
}

/// The key of an account and path. None when the tweak is no scalar or the key would be zero.
///
/// # Errors
/// When the public key is malformed, or of a curve whose keys are not derived by a tweak.
pub fn derive_public_key(
    curve: Curve,
    public_key: &[u8],
    tweak: &[u8; 32],
) -> Result<Option<Vec<u8>>, StartError> {
    fn add<G: Group>(public_key: &[u8], tweak: Option<G::Scalar>) -> Result<Option<Vec<u8>>, StartError> {
        let root = G::decode_point(public_key).ok_or(Malformed("public key"))?;
        let derived = tweak.map(|tweak| root + G::base(&tweak));
        Ok(derived.filter(|point| *point != G::identity()).map(|point| G::encode_point(&point)))
    }
    match curve {
        Curve::Secp256k1 => add::<Secp256k1>(public_key, derivation::tweak_scalar_secp256k1(tweak)),
        Curve::Ed25519 => add::<Ed25519>(public_key, Some(derivation::tweak_scalar_ed25519(tweak))),
        Curve::Bls12381 => Err(BadParameters("keys on bls12381 are not derived by a tweak".into()).into()),
    }
}

/// # Errors
/// When the parameters do not describe a run.
pub fn start_triple(
    participants: &[ParticipantId],
    me: ParticipantId,
    threshold: usize,
) -> Result<Run, StartError> {
    Ok(encoded(cait_sith::generate_triple(participants, me, threshold)?, |triple| triple.encode()))
}

/// # Errors
/// When share, triples and signers do not fit together.
pub fn start_ecdsa_presign(
    share: &[u8],
    signers: &[ParticipantId],
    triples: (&[u8], &[u8]),
) -> Result<Run, StartError> {
    let share = KeyShare::<Secp256k1>::decode(share)?;
    let triples = (cait_sith::Triple::decode(triples.0)?, cait_sith::Triple::decode(triples.1)?);
    Ok(encoded(cait_sith::presign(&share, signers, triples)?, |presignature| presignature.encode()))
}

/// # Errors
/// When share, presignature and request do not fit together.
pub fn start_ecdsa_sign(
    share: &[u8],
    request: &SigningRequest,
    presignature: &[u8],
) -> Result<Run, StartError> {
    let share = KeyShare::<Secp256k1>::decode(share)?;
    let run = cait_sith::sign(&share, request, cait_sith::Presignature::decode(presignature)?)?;
    Ok(encoded(run, |signature| signature.encode()))
}

/// Make a presignature of exactly 2t − 1 signers.
///
/// # Errors
/// When share and signers do not fit together.
pub fn start_robust_presign(share: &[u8], signers: &[ParticipantId]) -> Result<Run, StartError> {
    let share = KeyShare::<Secp256k1>::decode(share)?;
    let run = robust::presign(&share, signers, system_randomness())?;
    Ok(encoded(run, |presignature| presignature.encode()))
}

/// Sign with such a presignature. The result is the coordinator's alone; the others' is empty.
///
/// # Errors
/// When share, presignature and request do not fit together.
pub fn start_robust_sign(
    share: &[u8],
    coordinator: ParticipantId,
    request: &SigningRequest,
    presignature: &[u8],
) -> Result<Run, StartError> {
    let share = KeyShare::<Secp256k1>::decode(share)?;
    let run = robust::sign(&share, coordinator, request, robust::Presignature::decode(presignature)?)?;
    Ok(encoded(run, |signature| signature.map_or(vec![], |signature| signature.encode())))
}

/// Derive an app's key, blinded. The result is the coordinator's alone; the others' is empty.
///
/// # Errors
/// When share and request do not fit together.
pub fn start_app_key(share: &[u8], request: &ckd::KeyRequest) -> Result<Run, StartError> {
    let share = KeyShare::<Bls12381>::decode(share)?;
    let run = ckd::derive_app_key(&share, request, system_randomness())?;
    Ok(encoded(run, |blinded| blinded.map_or(vec![], |blinded| blinded.encode())))
}

/// A fresh secret of an app, and both halves of its public key.
#[must_use]
pub fn make_app_secret() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let secret = ckd::AppSecret::random(&mut OsRng);
    let (first, second) = secret.public_key();
    (secret.encode().to_vec(), first, second)
}

/// Whether a blinded key answers a request whose app public key has both halves.
///
/// # Errors
/// When something is malformed.
pub fn answers_app_key_request(
    blinded: &[u8],
    network_key: &[u8],
    app_id: &[u8; 32],
    app_public_key: &ckd::AppPublicKey,
) -> Result<bool, Malformed> {
    let network_key = Bls12381::decode_point(network_key).ok_or(Malformed("public key"))?;
    Ok(ckd::BlindedKey::decode(blinded)?.answers(&network_key, app_id, app_public_key))
}

/// The app's key, or None when this is no answer for it.
///
/// # Errors
/// When something is malformed.
pub fn unmask_app_key(
    blinded: &[u8],
    network_key: &[u8],
    app_id: &[u8; 32],
    app_secret: &[u8],
) -> Result<Option<Vec<u8>>, Malformed> {
    let network_key = Bls12381::decode_point(network_key).ok_or(Malformed("public key"))?;
    let app_secret = ckd::AppSecret::decode(app_secret).ok_or(Malformed("secret of an app"))?;
    Ok(ckd::BlindedKey::decode(blinded)?.unmask(&network_key, app_id, &app_secret))
}

/// # Errors
/// When share and signers do not fit together.
pub fn start_eddsa_presign(share: &[u8], signers: &[ParticipantId]) -> Result<Run, StartError> {
    let share = KeyShare::<Ed25519>::decode(share)?;
    let run = frost::presign(&share, signers, system_randomness())?;
    Ok(encoded(run, |presignature| presignature.encode()))
}

/// Sign with a presignature in one round, or without in two.
///
/// # Errors
/// When share, presignature and request do not fit together.
pub fn start_eddsa_sign(
    share: &[u8],
    request: frost::SigningRequest,
    presignature: Option<&[u8]>,
) -> Result<Run, StartError> {
    let share = KeyShare::<Ed25519>::decode(share)?;
    let encode = |signature: [u8; 64]| signature.to_vec();
    let Some(presignature) = presignature else {
        return Ok(encoded(frost::sign(&share, request, system_randomness())?, encode));
    };
    let presignature = frost::Presignature::decode(presignature)?;
    Ok(encoded(frost::sign_presigned(&share, request, presignature)?, encode))
}
