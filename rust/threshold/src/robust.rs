//! Robust ECDSA on secp256k1, after DamgardEtAl (eprint 2020/501), with additive rerandomisation.
//!
//! Two orders cheaper than Cait-Sith, at a price: exactly 2t − 1 signers make a presignature, the same sign with it,
//! and a fault of any of them ends the run. Fewer than t of them learn nothing. That argument is informal, and NEAR
//! redesigns its own version: a domain of this protocol is somebody's choice, never the default.
//!
//! With m = t − 1: k, a are shared by polynomials of degree m, b, d, e are sharings of zero of degree 2m.
//! Presigning gives R = k·G and each signer its w = a·k + b and u = a·x + d; neither a nor w is ever opened. With δ
//! from the block's entropy the signature's nonce is k + δ; the coordinator gets μ = a·(k + δ) and
//! ν = a·(h + r·(x + ε)), shared with degree 2m and masked by b, d and e, and s = ν / μ.
//!
//! A presignature used twice gives the key away. Its owner deletes it durably before it starts to sign, also when
//! the run then fails, and drops all stock when a store was restored or shares changed.

use std::collections::BTreeMap;

use k256::{ProjectivePoint, Scalar};
use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::ecdsa::{
    compute_delta, finish_signature, read_target, x_scalar, EcdsaSignature, SigningRequest, Target,
};
use crate::encoding::{write_ids, Malformed, Reader};
use crate::group::{Group, Secp256k1};
use crate::keygen::KeyShare;
use crate::polynomial::{lagrange, x_coordinate, Polynomial};
use crate::protocol::{
    check_sizes, validate_participants, BadParameters, Failure, Inbox, Outgoing, ParticipantId, Protocol,
    RoundDriver, Rounds, Step,
};

const RERANDOMISATION: &[u8] = b"hither robust ECDSA rerandomisation v1";

const OTHER_VIEW: &str = "the signers see different requests";

type Hash = [u8; 32];

/// Everything of a signature but the message, shared. Used once, by exactly the signers that made it.
pub struct Presignature {
    pub(crate) big_r: ProjectivePoint,
    pub(crate) a: Scalar,
    pub(crate) w: Scalar,
    pub(crate) u: Scalar,
    pub(crate) e: Scalar,
    signers: Vec<ParticipantId>,
    /// Of all that was said in public while it was made: the same at every signer.
    pub(crate) id: Hash,
    /// Of the shares that it was made with. A reshare makes it worthless.
    key_fingerprint: Hash,
}

impl Drop for Presignature {
    fn drop(&mut self) {
        for scalar in [&mut self.a, &mut self.w, &mut self.u, &mut self.e] {
            scalar.zeroize();
        }
    }
}

impl Presignature {
    /// For the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Secp256k1::encode_point(&self.big_r);
        for scalar in [&self.a, &self.w, &self.u, &self.e] {
            bytes.extend(Secp256k1::encode_scalar(scalar));
        }
        bytes.extend(self.id);
        bytes.extend(self.key_fingerprint);
        write_ids(&mut bytes, &self.signers);
        bytes
    }

    /// # Errors
    /// When the bytes are not a presignature.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "presignature");
        let big_r = reader.point::<Secp256k1>()?;
        let mut scalar = || reader.scalar::<Secp256k1>();
        let (a, w, u, e) = (scalar()?, scalar()?, scalar()?, scalar()?);
        let (id, key_fingerprint) = (reader.hash()?, reader.hash()?);
        let signers = reader.ids()?;
        reader.finish(Self { big_r, a, w, u, e, signers, id, key_fingerprint })
    }
}

/// The set is exact: a larger one would let two subsets sign two messages with one presignature.
fn validate_signers(
    share: &KeyShare<Secp256k1>,
    signers: &[ParticipantId],
) -> Result<Vec<ParticipantId>, BadParameters> {
    let signers = validate_participants(signers, share.participant)?;
    let wanted = 2 * share.threshold - 1;
    if signers.len() != wanted {
        return Err(BadParameters(format!("exactly {wanted} signers are needed, not {}", signers.len())));
    }
    if let Some(id) = signers.iter().find(|id| !share.public_shares.contains_key(id)) {
        return Err(BadParameters(format!("participant {id} has no share")));
    }
    Ok(signers)
}

/// Make a presignature of these signers.
///
/// One signer may finish while another fails in the last round: use it once every signer has told that it has it.
pub fn presign(
    share: &KeyShare<Secp256k1>,
    signers: &[ParticipantId],
    rng: Box<dyn CryptoRngCore + Send>,
) -> Result<impl Protocol<Output = Presignature>, BadParameters> {
    let signers = validate_signers(share, signers)?;
    let me = share.participant;
    let rounds = Presign {
        share: share.clone(),
        signers: signers.clone(),
        rng,
        sums: Sums::default(),
        own_point: ProjectivePoint::IDENTITY,
        presignature: None,
    };
    Ok(RoundDriver::new(rounds, me, &signers))
}

/// Sign. The presignature is used up, whatever comes of it. Only the coordinator gets the signature.
pub fn sign(
    share: &KeyShare<Secp256k1>,
    coordinator: ParticipantId,
    request: &SigningRequest,
    presignature: Presignature,
) -> Result<impl Protocol<Output = Option<EcdsaSignature>>, BadParameters> {
    let signers = validate_signers(share, &request.signers)?;
    if signers != presignature.signers {
        return Err(BadParameters("the presignature is of other signers".into()));
    }
    if presignature.key_fingerprint != share.fingerprint() {
        return Err(BadParameters("the presignature was made with other key shares".into()));
    }
    if !signers.contains(&coordinator) {
        return Err(BadParameters(format!("the coordinator {coordinator} is not among the signers")));
    }
    let target = read_target(&share.public_key, request)?;
    let delta = compute_nonce_shift(share, request, &presignature);
    let big_r = presignature.big_r + Secp256k1::base(&delta);
    if big_r == ProjectivePoint::IDENTITY {
        return Err(BadParameters("the nonce is zero".into()));
    }
    let me = share.participant;
    let weight = lagrange::<Secp256k1>(&signers, me);
    let (r, _) = x_scalar(&big_r);
    let numerator = target.message * presignature.a
        + r * (presignature.u + target.tweak * presignature.a)
        + presignature.e;
    let rounds = Sign {
        view: hash_view(coordinator, request, &presignature),
        parts: Parts { mu: weight * (presignature.w + delta * presignature.a), nu: weight * numerator },
        big_r,
        target,
        coordinator,
        is_coordinator: coordinator == me,
    };
    Ok(RoundDriver::new(rounds, me, &signers))
}

/// δ, which everybody can compute once the block is there, and nobody before.
pub(crate) fn compute_nonce_shift(
    share: &KeyShare<Secp256k1>,
    request: &SigningRequest,
    presignature: &Presignature,
) -> Scalar {
    let Presignature { big_r, signers, .. } = presignature;
    compute_delta(RERANDOMISATION, &share.public_key, request, big_r, signers)
}

/// What a signer agrees to when it sends its part: it is compared before anything secret leaves.
fn hash_view(coordinator: ParticipantId, request: &SigningRequest, presignature: &Presignature) -> Hash {
    let mut hasher = Sha256::new_with_prefix(b"hither robust ECDSA view v1");
    hasher.update(presignature.id);
    hasher.update(presignature.key_fingerprint);
    hasher.update(coordinator.to_be_bytes());
    hasher.update(request.tweak);
    hasher.update(request.message_hash);
    hasher.update(request.entropy);
    hasher.finalize().into()
}

/// What everybody dealt to me, summed: a value of each of the five polynomials.
#[derive(Default)]
struct Sums([Scalar; 5]);

impl Drop for Sums {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Sums {
    const BYTES: usize = 5 * 32;

    fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(Secp256k1::encode_scalar).collect()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::BYTES {
            return None;
        }
        let mut values = Self::default();
        for (value, chunk) in values.0.iter_mut().zip(bytes.chunks(32)) {
            *value = Secp256k1::decode_scalar(chunk)?;
        }
        Some(values)
    }

    fn add(&mut self, dealt: &Self) {
        for (sum, value) in self.0.iter_mut().zip(&dealt.0) {
            *sum += value;
        }
    }
}

struct Presign {
    share: KeyShare<Secp256k1>,
    signers: Vec<ParticipantId>,
    rng: Box<dyn CryptoRngCore + Send>,
    sums: Sums,
    own_point: ProjectivePoint,
    presignature: Option<Presignature>,
}

impl Presign {
    fn deal(&mut self) -> Outgoing {
        let threshold = self.share.threshold;
        let rng = &mut *self.rng;
        let secret = |rng: &mut dyn CryptoRngCore| {
            let mut constant = Secp256k1::random_scalar(rng);
            let polynomial = Polynomial::<Secp256k1>::random(constant, threshold, rng);
            constant.zeroize();
            polynomial
        };
        let zero = |rng: &mut dyn CryptoRngCore| {
            Polynomial::<Secp256k1>::random(Scalar::ZERO, 2 * threshold - 1, rng)
        };
        let polynomials = [secret(rng), secret(rng), zero(rng), zero(rng), zero(rng)];
        let values_at = |id| {
            let x = x_coordinate::<Secp256k1>(id);
            Sums(polynomials.each_ref().map(|polynomial| polynomial.evaluate(&x)))
        };
        self.sums = values_at(self.share.participant);
        let mut outgoing = Outgoing::default();
        for id in self.signers.iter().filter(|id| **id != self.share.participant) {
            outgoing.private.insert(*id, values_at(*id).encode());
        }
        outgoing
    }

    fn finish_dealing(&mut self, inbox: Inbox) -> Result<Outgoing, Failure> {
        for (id, bytes) in inbox {
            let bytes = Zeroizing::new(bytes);
            let dealt =
                Sums::decode(&bytes).ok_or_else(|| Failure::of(id, "the dealt shares are malformed"))?;
            self.sums.add(&dealt);
        }
        self.own_point = Secp256k1::base(&self.sums.0[0]);
        Ok(Outgoing::to_all(Secp256k1::encode_point(&self.own_point)))
    }

    fn finish_points(&mut self, inbox: &Inbox) -> Result<Outgoing, Failure> {
        let mut points = BTreeMap::from([(self.share.participant, self.own_point)]);
        for (id, bytes) in inbox {
            let point = Secp256k1::decode_point(bytes)
                .filter(|point| *point != ProjectivePoint::IDENTITY)
                .ok_or_else(|| Failure::of(*id, "the nonce point is malformed"))?;
            points.insert(*id, point);
        }
        if !self.has_degree_of_sharing(&points) {
            // A dealer of bad shares and a liar about its own sum look alike.
            return Err(Failure::unattributed("the nonce points do not lie on one polynomial"));
        }
        let base = &self.signers[..self.share.threshold];
        let big_r = base
            .iter()
            .fold(ProjectivePoint::IDENTITY, |sum, id| sum + points[id] * lagrange::<Secp256k1>(base, *id));
        if big_r == ProjectivePoint::IDENTITY {
            return Err(Failure::unattributed("the nonce would be zero"));
        }
        let [k, a, b, d, e] = &self.sums.0;
        let id = self.hash_points(&points);
        self.presignature = Some(Presignature {
            big_r,
            a: *a,
            w: a * k + b,
            u: a * &self.share.secret_share + d,
            e: *e,
            signers: self.signers.clone(),
            id,
            key_fingerprint: self.share.fingerprint(),
        });
        Ok(Outgoing::to_all(id.to_vec()))
    }

    /// Whether the points lie on a polynomial of degree t − 1, all 2t − 1 of them.
    ///
    /// Values of such a polynomial are a code word: their sum, weighted by a random word of the dual code, is zero,
    /// as it is for one in the group's order of all other points. The words of the dual code are q(x)·Π 1/(x − x_j)
    /// with q of degree t − 2.
    fn has_degree_of_sharing(&mut self, points: &BTreeMap<ParticipantId, ProjectivePoint>) -> bool {
        let degree = self.share.threshold - 2;
        let constant = if degree == 0 { Scalar::ONE } else { Secp256k1::random_scalar(&mut *self.rng) };
        let random = Polynomial::<Secp256k1>::random(constant, degree + 1, &mut *self.rng);
        let sum = points.iter().fold(ProjectivePoint::IDENTITY, |sum, (id, point)| {
            let x = x_coordinate::<Secp256k1>(*id);
            let product = points
                .keys()
                .filter(|other| *other != id)
                .fold(Scalar::ONE, |product, other| product * (x - x_coordinate::<Secp256k1>(*other)));
            let weight = Secp256k1::invert(&product).expect("participants are distinct");
            sum + *point * (weight * random.evaluate(&x))
        });
        sum == ProjectivePoint::IDENTITY
    }

    fn hash_points(&self, points: &BTreeMap<ParticipantId, ProjectivePoint>) -> Hash {
        let mut hasher = Sha256::new_with_prefix(b"hither robust ECDSA presignature v1");
        hasher.update(self.share.fingerprint());
        for (id, point) in points {
            hasher.update(id.to_be_bytes());
            hasher.update(Secp256k1::encode_point(point));
        }
        hasher.finalize().into()
    }
}

impl Rounds for Presign {
    type Output = Presignature;

    /// 0 shares of the five polynomials, 1 nonce points, 2 confirmation that all saw the same.
    fn rounds(&self) -> u8 {
        3
    }

    fn size_bytes_max(&self, round: u8) -> usize {
        match round {
            0 => Sums::BYTES,
            1 => Secp256k1::POINT_BYTES,
            _ => 32,
        }
    }

    fn start(&mut self) -> Result<Outgoing, Failure> {
        Ok(self.deal())
    }

    fn finish_round(&mut self, round: u8, inbox: Inbox) -> Result<Step<Presignature>, Failure> {
        match round {
            0 => Ok(Step::Next(self.finish_dealing(inbox)?)),
            1 => Ok(Step::Next(self.finish_points(&inbox)?)),
            _ => {
                check_sizes(&inbox, 32)?;
                let presignature = self.presignature.take().expect("made in the round before");
                if inbox.values().any(|id| *id != presignature.id) {
                    return Err(Failure::unattributed(
                        "the signers did not all receive the same nonce points",
                    ));
                }
                Ok(Step::Done(presignature))
            }
        }
    }
}

/// One signer's parts of denominator and numerator, weighted: sums, not polynomials, are what the coordinator makes.
#[derive(Default)]
struct Parts {
    mu: Scalar,
    nu: Scalar,
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.mu.zeroize();
        self.nu.zeroize();
    }
}

impl Parts {
    const BYTES: usize = 64;

    fn encode(&self) -> Vec<u8> {
        [Secp256k1::encode_scalar(&self.mu), Secp256k1::encode_scalar(&self.nu)].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::BYTES {
            return None;
        }
        Some(Self {
            mu: Secp256k1::decode_scalar(&bytes[..32])?,
            nu: Secp256k1::decode_scalar(&bytes[32..])?,
        })
    }
}

struct Sign {
    view: Hash,
    parts: Parts,
    big_r: ProjectivePoint,
    target: Target,
    coordinator: ParticipantId,
    is_coordinator: bool,
}

impl Sign {
    fn finish_views(&self, inbox: &Inbox) -> Result<Outgoing, Failure> {
        check_sizes(inbox, 32)?;
        // Which of the two is wrong, only the chain can tell.
        if inbox.values().any(|view| *view != self.view) {
            return Err(Failure::unattributed(OTHER_VIEW));
        }
        let mut outgoing = Outgoing::default();
        if !self.is_coordinator {
            outgoing.private.insert(self.coordinator, self.parts.encode());
        }
        Ok(outgoing)
    }

    fn combine(&self, inbox: Inbox) -> Result<EcdsaSignature, Failure> {
        let mut sum = Parts { mu: self.parts.mu, nu: self.parts.nu };
        for (id, bytes) in inbox {
            let bytes = Zeroizing::new(bytes);
            let parts =
                Parts::decode(&bytes).ok_or_else(|| Failure::of(id, "the signature share is malformed"))?;
            sum.mu += parts.mu;
            sum.nu += parts.nu;
        }
        let mut inverse =
            Secp256k1::invert(&sum.mu).ok_or_else(|| Failure::unattributed("the denominator is zero"))?;
        let s = sum.nu * inverse;
        inverse.zeroize();
        finish_signature(&self.big_r, &s, &self.target.derived_key, &self.target.message)
    }
}

impl Rounds for Sign {
    type Output = Option<EcdsaSignature>;

    /// 0 everybody's view of the request, 1 shares to the coordinator.
    fn rounds(&self) -> u8 {
        2
    }

    fn size_bytes_max(&self, round: u8) -> usize {
        match round {
            0 => 32,
            _ => Parts::BYTES,
        }
    }

    fn listens(&self, round: u8) -> bool {
        round == 0 || self.is_coordinator
    }

    fn start(&mut self) -> Result<Outgoing, Failure> {
        Ok(Outgoing::to_all(self.view.to_vec()))
    }

    fn finish_round(&mut self, round: u8, inbox: Inbox) -> Result<Step<Self::Output>, Failure> {
        match round {
            0 => Ok(Step::Next(self.finish_views(&inbox)?)),
            _ if self.is_coordinator => Ok(Step::Done(Some(self.combine(inbox)?))),
            _ => Ok(Step::Done(None)),
        }
    }
}
