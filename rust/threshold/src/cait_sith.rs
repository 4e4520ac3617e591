//! ECDSA on secp256k1 by Cait-Sith: triples, presignatures, signatures.
//!
//! Any t of the participants of a triple make a presignature and a signature; up to all but one may be
//! dishonest: a bad signature never comes out. What the library lacks is added here: bounded buffers, senders
//! checked, the account's tweak, and rerandomisation with entropy that nobody knew when the presignature was
//! made (eprint 2021/1330), so that a stock of presignatures does not help a forger who chooses what is signed.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{catch_unwind, AssertUnwindSafe};

use cait_sith::protocol::{Action as TheirAction, Participant, Protocol as TheirProtocol};
use cait_sith::triples::{TripleGenerationOutput, TriplePub, TripleShare};
use k256::{AffinePoint, ProjectivePoint, Scalar};
use zeroize::Zeroize;

use crate::ecdsa::{compute_delta, finish_signature, read_target, EcdsaSignature, SigningRequest, Target};
use crate::encoding::{write_ids, write_number, Malformed, Reader};
use crate::group::{Group, Secp256k1};
use crate::keygen::KeyShare;
use crate::protocol::{
    validate_participants, Action, BadParameters, Failure, ParticipantId, Protocol, Refused,
};

type TheirCurve = k256::Secp256k1;

const RERANDOMISATION: &[u8] = b"hither presignature rerandomisation v1";

/// In front of every message: the library's channel (20 bytes) and the point in it. Each is used once by each sender.
const HEADER_BYTES: usize = 28;

/// What one participant may send another in one run.
#[derive(Clone, Copy)]
struct Limits {
    messages_max: usize,
    bytes_max: usize,
}

impl Limits {
    /// 128 base transfers, and ten more; 91 kB, of which only the commitments grow with the participants.
    fn of_triple(participants: usize) -> Self {
        Self { messages_max: 138, bytes_max: (128 << 10) + 1024 * participants }
    }

    const OF_PRESIGN: Self = Self { messages_max: 2, bytes_max: 1024 };
    const OF_SIGN: Self = Self { messages_max: 1, bytes_max: 256 };
}

/// A multiplication made beforehand, shared. Two make a presignature.
#[derive(Clone)]
pub struct Triple {
    pub(crate) share: TripleShare<TheirCurve>,
    pub(crate) public: TriplePub<TheirCurve>,
}

/// Everything of a signature but the message, shared. Used once.
#[derive(Clone)]
pub struct Presignature {
    pub(crate) big_r: AffinePoint,
    pub(crate) k: Scalar,
    pub(crate) sigma: Scalar,
    signers: Vec<ParticipantId>,
}

impl Drop for Triple {
    fn drop(&mut self) {
        for scalar in [&mut self.share.a, &mut self.share.b, &mut self.share.c] {
            scalar.zeroize();
        }
    }
}

impl Drop for Presignature {
    fn drop(&mut self) {
        self.k.zeroize();
        self.sigma.zeroize();
    }
}

impl Triple {
    /// For the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for scalar in [&self.share.a, &self.share.b, &self.share.c] {
            bytes.extend(Secp256k1::encode_scalar(scalar));
        }
        for point in [self.public.big_a, self.public.big_b, self.public.big_c] {
            bytes.extend(Secp256k1::encode_point(&point.into()));
        }
        write_number(&mut bytes, self.public.threshold);
        let participants: Vec<u32> = self.public.participants.iter().map(|id| (*id).into()).collect();
        write_ids(&mut bytes, &participants);
        bytes
    }

    /// # Errors
    /// When the bytes are not a triple.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "triple");
        let mut scalar = || reader.scalar::<Secp256k1>();
        let share = TripleShare { a: scalar()?, b: scalar()?, c: scalar()? };
        let mut point = || reader.point::<Secp256k1>().map(|point| point.to_affine());
        let (big_a, big_b, big_c) = (point()?, point()?, point()?);
        let threshold = reader.number()? as usize;
        let participants = theirs(&reader.ids()?);
        reader.finish(Self { share, public: TriplePub { big_a, big_b, big_c, participants, threshold } })
    }
}

impl Presignature {
    /// For the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Secp256k1::encode_point(&self.big_r.into());
        bytes.extend(Secp256k1::encode_scalar(&self.k));
        bytes.extend(Secp256k1::encode_scalar(&self.sigma));
        write_ids(&mut bytes, &self.signers);
        bytes
    }

    /// # Errors
    /// When the bytes are not a presignature.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "presignature");
        let big_r = reader.point::<Secp256k1>()?.to_affine();
        let (k, sigma) = (reader.scalar::<Secp256k1>()?, reader.scalar::<Secp256k1>()?);
        let signers = reader.ids()?;
        reader.finish(Self { big_r, k, sigma, signers })
    }
}

/// Make a triple.
pub fn generate_triple(
    participants: &[ParticipantId],
    me: ParticipantId,
    threshold: usize,
) -> Result<impl Protocol<Output = Triple>, BadParameters> {
    let participants = validate_participants(participants, me)?;
    let inner =
        cait_sith::triples::generate_triple::<TheirCurve>(&theirs(&participants), me.into(), threshold)
            .map_err(|error| BadParameters(error.to_string()))?;
    let finish = |(share, public): TripleGenerationOutput<TheirCurve>| Ok(Triple { share, public });
    Ok(Adapter::new(inner, &participants, me, Limits::of_triple(participants.len()), finish))
}

/// Turn two triples into a presignature of these signers.
pub fn presign(
    share: &KeyShare<Secp256k1>,
    signers: &[ParticipantId],
    triples: (Triple, Triple),
) -> Result<impl Protocol<Output = Presignature>, BadParameters> {
    let me = share.participant;
    let signers = validate_participants(signers, me)?;
    for triple in [&triples.0, &triples.1] {
        if signers.iter().any(|id| !triple.public.participants.contains(&Participant::from(*id))) {
            return Err(BadParameters("a signer has no share of the triple".into()));
        }
    }
    let arguments = cait_sith::PresignArguments {
        triple0: (triples.0.share.clone(), triples.0.public.clone()),
        triple1: (triples.1.share.clone(), triples.1.public.clone()),
        keygen_out: cait_sith::KeygenOutput {
            private_share: share.secret_share,
            public_key: share.public_key.to_affine(),
        },
        threshold: share.threshold,
    };
    let inner = cait_sith::presign::<TheirCurve>(&theirs(&signers), me.into(), arguments)
        .map_err(|error| BadParameters(error.to_string()))?;
    let set = signers.clone();
    let finish = move |output: cait_sith::PresignOutput<TheirCurve>| {
        Ok(Presignature { big_r: output.big_r, k: output.k, sigma: output.sigma, signers: set.clone() })
    };
    Ok(Adapter::new(inner, &signers, me, Limits::OF_PRESIGN, finish))
}

/// Sign. The presignature is used up, whatever comes of it.
pub fn sign(
    share: &KeyShare<Secp256k1>,
    request: &SigningRequest,
    presignature: Presignature,
) -> Result<impl Protocol<Output = EcdsaSignature>, BadParameters> {
    let me = share.participant;
    let signers = validate_participants(&request.signers, me)?;
    if signers != presignature.signers {
        return Err(BadParameters("the presignature is of other signers".into()));
    }
    let Target { tweak, message, derived_key } = read_target(&share.public_key, request)?;
    let big_r = ProjectivePoint::from(presignature.big_r);
    let delta = compute_delta(RERANDOMISATION, &share.public_key, request, &big_r, &signers);
    let inverse = Option::<Scalar>::from(delta.invert()).expect("delta is not zero");
    let rerandomised = cait_sith::PresignOutput {
        big_r: (big_r * delta).to_affine(),
        k: presignature.k * inverse,
        sigma: (presignature.sigma + tweak * presignature.k) * inverse,
    };
    let inner = cait_sith::sign::<TheirCurve>(
        &theirs(&signers),
        me.into(),
        derived_key.to_affine(),
        rerandomised,
        message,
    )
    .map_err(|error| BadParameters(error.to_string()))?;
    let finish = move |full: cait_sith::FullSignature<TheirCurve>| {
        finish_signature(&full.big_r.into(), &full.s, &derived_key, &message)
    };
    Ok(Adapter::new(inner, &signers, me, Limits::OF_SIGN, finish))
}

fn theirs(ids: &[ParticipantId]) -> Vec<Participant> {
    ids.iter().map(|id| Participant::from(*id)).collect()
}

/// The library's protocol behind our trait: who may send is checked, what twice, and how much.
struct Adapter<P, F> {
    inner: P,
    finish: F,
    limits: Limits,
    received: BTreeMap<ParticipantId, Received>,
    is_over: bool,
}

#[derive(Default)]
struct Received {
    bytes: usize,
    headers: BTreeSet<[u8; HEADER_BYTES]>,
}

impl<P, F> Adapter<P, F> {
    fn new(inner: P, participants: &[ParticipantId], me: ParticipantId, limits: Limits, finish: F) -> Self {
        let others = participants.iter().filter(|id| **id != me);
        let received = others.map(|id| (*id, Received::default())).collect();
        Self { inner, finish, limits, received, is_over: false }
    }
}

impl<P, F, T> Protocol for Adapter<P, F>
where
    P: TheirProtocol + Send,
    F: FnMut(P::Output) -> Result<T, Failure> + Send,
{
    type Output = T;

    fn poke(&mut self) -> Result<Action<T>, Failure> {
        if self.is_over {
            return Err(Failure::unattributed("the protocol run is over"));
        }
        // Over unless it says otherwise, also when the library panics at what somebody sent.
        self.is_over = true;
        let poked = catch_unwind(AssertUnwindSafe(|| self.inner.poke()))
            .map_err(|_| Failure::unattributed("a message made the library panic"))?;
        let action = match poked.map_err(|error| Failure::unattributed(error.to_string()))? {
            TheirAction::Wait => Action::Wait,
            TheirAction::SendMany(data) => Action::SendMany(data),
            TheirAction::SendPrivate(to, data) => Action::SendPrivate(to.into(), data),
            TheirAction::Return(output) => return Ok(Action::Return((self.finish)(output)?)),
        };
        self.is_over = false;
        Ok(action)
    }

    fn message(&mut self, from: ParticipantId, data: &[u8]) -> Result<(), Refused> {
        let Limits { messages_max, bytes_max } = self.limits;
        let received = self.received.get_mut(&from).ok_or(Refused::NotAParticipant(from))?;
        let Some((header, _)) = data.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Refused::NoSuchRound(from));
        };
        if received.headers.contains(header) {
            return Err(Refused::Duplicate(from));
        }
        if received.headers.len() == messages_max {
            return Err(Refused::NoSuchRound(from));
        }
        let left = bytes_max - received.bytes;
        if data.len() > left {
            return Err(Refused::TooLarge { from, size_bytes: data.len(), size_bytes_max: left });
        }
        received.bytes += data.len();
        received.headers.insert(*header);
        self.inner.message(from.into(), data.to_vec());
        Ok(())
    }
}
