//! Confidential key derivation on BLS12-381: an app gets a key of its own that depends on the network's, and that
//! nobody else learns.
//!
//! With the network's key pk = x·G2 and a point H of the first group, hashed from pk and the app's id, the app's key
//! is the BLS signature x·H. The app sends A = a·G1; each of at least t participants gives Y_i = y_i·G1 and
//! C_i = x_i·H + y_i·A; the coordinator interpolates both to Y and C, and the app takes C − a·Y. With A2 = a·G2
//! anybody can check the answer: e(C, G2) = e(H, pk) · e(Y, A2).
//!
//! Each contribution carries a proof that it was made with the share whose public half everyone knows, so a wrong one
//! names its sender, whichever form the request has.

use std::collections::BTreeMap;

use blstrs::{G1Projective, G2Projective};
use elliptic_curve::group::Group as _;
use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::encoding::{Malformed, Reader};
use crate::group::{Bls12381, BlsScalar, Group};
use crate::keygen::KeyShare;
use crate::polynomial::lagrange;
use crate::protocol::{
    validate_participants, BadParameters, Failure, Inbox, Outgoing, ParticipantId, Protocol, RoundDriver,
    Rounds, Step,
};

/// RFC 9380, BLS12381G1_XMD:SHA-256_SSWU_RO_, with the tag of NEAR's network.
const HASH_TO_CURVE_TAG: &[u8] = b"NEAR BLS12381G1_XMD:SHA-256_SSWU_RO_";
const G1_BYTES: usize = 48;

type Hash = [u8; 32];

/// What an app blinds the answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppPublicKey {
    first: G1Projective,
    /// The same multiple of the second generator: with it everybody can check the answer.
    second: Option<G2Projective>,
}

impl AppPublicKey {
    /// # Errors
    /// When a point is none of its group or zero (the answer would show the app's key), or when the two are different
    /// multiples.
    pub fn new(first: &[u8], second: Option<&[u8]>) -> Result<Self, BadParameters> {
        let bad = || BadParameters("the app's public key is no point of its group".into());
        let first = decode_g1(first).ok_or_else(bad)?;
        let second = second.map(|bytes| Bls12381::decode_point(bytes).ok_or_else(bad)).transpose()?;
        if bool::from(first.is_identity()) {
            return Err(BadParameters("the app's public key is zero".into()));
        }
        if second.is_some_and(|second| {
            pair(&first, &G2Projective::generator()) != pair(&G1Projective::generator(), &second)
        }) {
            return Err(BadParameters("the two halves of the app's public key differ".into()));
        }
        Ok(Self { first, second })
    }
}

/// Whose key, for whom, by whom; the same at every participant.
#[derive(Debug, Clone)]
pub struct KeyRequest {
    pub signers: Vec<ParticipantId>,
    pub coordinator: ParticipantId,
    /// See [`crate::derivation::compute_app_id`].
    pub app_id: [u8; 32],
    pub app_public_key: AppPublicKey,
}

/// The app's key, blinded for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlindedKey {
    big_y: G1Projective,
    big_c: G1Projective,
}

impl BlindedKey {
    /// Y, then C, compressed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.big_y.to_compressed(), self.big_c.to_compressed()].concat()
    }

    /// # Errors
    /// When the bytes are not two points of the group.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "blinded key");
        let mut point = || decode_g1(reader.take(G1_BYTES)?).ok_or(Malformed("blinded key"));
        let (big_y, big_c) = (point()?, point()?);
        reader.finish(Self { big_y, big_c })
    }

    /// Whether this answers a request with both halves: what the contract checks.
    #[must_use]
    pub fn answers(
        &self,
        network_key: &G2Projective,
        app_id: &[u8; 32],
        app_public_key: &AppPublicKey,
    ) -> bool {
        app_public_key.second.is_some_and(|second| {
            pair(&self.big_c, &G2Projective::generator())
                == pair(&hash_to_point(network_key, app_id), network_key) + pair(&self.big_y, &second)
        })
    }

    /// The app's key, if this is an answer for it.
    #[must_use]
    pub fn unmask(
        &self,
        network_key: &G2Projective,
        app_id: &[u8; 32],
        app_secret: &AppSecret,
    ) -> Option<Vec<u8>> {
        let key = self.big_c - self.big_y * app_secret.0 .0;
        let fits =
            pair(&key, &G2Projective::generator()) == pair(&hash_to_point(network_key, app_id), network_key);
        fits.then(|| key.to_compressed().to_vec())
    }
}

/// The app's own secret: fresh for each request.
pub struct AppSecret(BlsScalar);

impl Drop for AppSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl AppSecret {
    pub fn random(rng: &mut dyn CryptoRngCore) -> Self {
        Self(Bls12381::random_scalar(rng))
    }

    /// Big-endian. None unless canonical.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let scalar: Option<blstrs::Scalar> = blstrs::Scalar::from_bytes_be(bytes.try_into().ok()?).into();
        scalar.map(|scalar| Self(BlsScalar(scalar)))
    }

    #[must_use]
    pub fn encode(&self) -> [u8; 32] {
        self.0 .0.to_bytes_be()
    }

    /// Both halves of the public key, compressed.
    #[must_use]
    pub fn public_key(&self) -> (Vec<u8>, Vec<u8>) {
        let first = G1Projective::generator() * self.0 .0;
        (first.to_compressed().to_vec(), Bls12381::encode_point(&Bls12381::base(&self.0)))
    }
}

/// The point whose multiple by the network's key is the app's key.
#[must_use]
pub fn hash_to_point(network_key: &G2Projective, app_id: &[u8; 32]) -> G1Projective {
    let message = [Bls12381::encode_point(network_key).as_slice(), app_id].concat();
    G1Projective::hash_to_curve(&message, HASH_TO_CURVE_TAG, &[])
}

fn pair(left: &G1Projective, right: &G2Projective) -> blstrs::Gt {
    blstrs::pairing(&left.into(), &right.into())
}

fn decode_g1(bytes: &[u8]) -> Option<G1Projective> {
    // Checked to be on the curve and in the subgroup.
    G1Projective::from_compressed(bytes.try_into().ok()?).into()
}

/// Derive an app's key. Only the coordinator gets it, blinded.
pub fn derive_app_key(
    share: &KeyShare<Bls12381>,
    request: &KeyRequest,
    mut rng: Box<dyn CryptoRngCore + Send>,
) -> Result<impl Protocol<Output = Option<BlindedKey>>, BadParameters> {
    let me = share.participant;
    let signers = validate_participants(&request.signers, me)?;
    if signers.len() < share.threshold {
        return Err(BadParameters(format!("{} signers are needed, not {}", share.threshold, signers.len())));
    }
    if let Some(id) = signers.iter().find(|id| !share.public_shares.contains_key(id)) {
        return Err(BadParameters(format!("participant {id} has no share")));
    }
    if !signers.contains(&request.coordinator) {
        return Err(BadParameters(format!(
            "the coordinator {} is not among the signers",
            request.coordinator
        )));
    }
    let statement = Statement {
        view: hash_view(share, request, &signers),
        hashed: hash_to_point(&share.public_key, &request.app_id),
        blinding: request.app_public_key.first,
    };
    let contribution = statement.contribute(share, &mut *rng);
    let rounds = Derive {
        statement,
        contribution,
        me,
        signers: signers.clone(),
        public_shares: share.public_shares.clone(),
        network_key: share.public_key,
        request: request.clone(),
    };
    Ok(RoundDriver::new(rounds, me, &signers))
}

fn hash_view(share: &KeyShare<Bls12381>, request: &KeyRequest, signers: &[ParticipantId]) -> Hash {
    let mut hasher = Sha256::new_with_prefix(b"hither key derivation view v1");
    hasher.update(share.fingerprint());
    hasher.update((signers.len() as u64).to_be_bytes());
    signers.iter().for_each(|id| hasher.update(id.to_be_bytes()));
    hasher.update(request.coordinator.to_be_bytes());
    hasher.update(request.app_id);
    hasher.update(request.app_public_key.first.to_compressed());
    hasher.update(request.app_public_key.second.map_or(vec![], |second| Bls12381::encode_point(&second)));
    hasher.finalize().into()
}

/// What a contribution is about.
struct Statement {
    view: Hash,
    /// H, whose multiple is the key.
    hashed: G1Projective,
    /// A, whose multiple hides it.
    blinding: G1Projective,
}

/// One participant's Y_i and C_i, unweighted, and that x_i and y_i are known that fit both and the public share.
struct Contribution {
    big_y: G1Projective,
    big_c: G1Projective,
    challenge: BlsScalar,
    response_x: BlsScalar,
    response_y: BlsScalar,
}

impl Contribution {
    const BYTES: usize = 32 + 2 * G1_BYTES + 3 * 32;

    /// The view goes in front, so that an honest participant with another view is told from a liar.
    fn encode(&self, view: &Hash) -> Vec<u8> {
        let mut bytes = view.to_vec();
        bytes.extend(self.big_y.to_compressed());
        bytes.extend(self.big_c.to_compressed());
        for scalar in [&self.challenge, &self.response_x, &self.response_y] {
            bytes.extend(Bls12381::encode_scalar(scalar));
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<(Hash, Self), Malformed> {
        let mut reader = Reader::new(bytes, "contribution");
        let view = reader.hash()?;
        let mut point = || decode_g1(reader.take(G1_BYTES)?).ok_or(Malformed("contribution"));
        let (big_y, big_c) = (point()?, point()?);
        let mut scalar = || reader.scalar::<Bls12381>();
        let (challenge, response_x, response_y) = (scalar()?, scalar()?, scalar()?);
        reader.finish((view, Self { big_y, big_c, challenge, response_x, response_y }))
    }
}

impl Statement {
    fn contribute(&self, share: &KeyShare<Bls12381>, rng: &mut dyn CryptoRngCore) -> Contribution {
        let generator = G1Projective::generator();
        let secrets = Zeroizing::new([(); 3].map(|()| Bls12381::random_scalar(rng)));
        let [y, nonce_x, nonce_y] = *secrets;
        let big_y = generator * y.0;
        let big_c = self.hashed * share.secret_share.0 + self.blinding * y.0;
        let nonces = Nonces {
            big_y: generator * nonce_y.0,
            big_c: self.hashed * nonce_x.0 + self.blinding * nonce_y.0,
            public_share: Bls12381::base(&nonce_x),
        };
        let public_share = Bls12381::base(&share.secret_share);
        let challenge = self.challenge(share.participant, &big_y, &big_c, &public_share, &nonces);
        Contribution {
            big_y,
            big_c,
            challenge,
            response_x: nonce_x + challenge * share.secret_share,
            response_y: nonce_y + challenge * y,
        }
    }

    fn is_proven(&self, id: ParticipantId, public_share: &G2Projective, given: &Contribution) -> bool {
        let Contribution { big_y, big_c, challenge, response_x, response_y } = given;
        let nonces = Nonces {
            big_y: G1Projective::generator() * response_y.0 - big_y * challenge.0,
            big_c: self.hashed * response_x.0 + self.blinding * response_y.0 - big_c * challenge.0,
            public_share: Bls12381::base(response_x) - public_share * challenge.0,
        };
        self.challenge(id, big_y, big_c, public_share, &nonces) == *challenge
    }

    fn challenge(
        &self,
        id: ParticipantId,
        big_y: &G1Projective,
        big_c: &G1Projective,
        public_share: &G2Projective,
        nonces: &Nonces,
    ) -> BlsScalar {
        Bls12381::hash_to_scalar(
            "hither key derivation proof v1",
            &[
                &self.view,
                &id.to_be_bytes(),
                &self.hashed.to_compressed(),
                &self.blinding.to_compressed(),
                &big_y.to_compressed(),
                &big_c.to_compressed(),
                &Bls12381::encode_point(public_share),
                &nonces.big_y.to_compressed(),
                &nonces.big_c.to_compressed(),
                &Bls12381::encode_point(&nonces.public_share),
            ],
        )
    }
}

/// A proof's first move: the three relations at random x and y.
struct Nonces {
    big_y: G1Projective,
    big_c: G1Projective,
    public_share: G2Projective,
}

struct Derive {
    statement: Statement,
    contribution: Contribution,
    me: ParticipantId,
    signers: Vec<ParticipantId>,
    public_shares: BTreeMap<ParticipantId, G2Projective>,
    network_key: G2Projective,
    request: KeyRequest,
}

impl Derive {
    fn is_coordinator(&self) -> bool {
        self.request.coordinator == self.me
    }

    fn combine(&self, inbox: Inbox) -> Result<BlindedKey, Failure> {
        let mut contributions = BTreeMap::new();
        for (id, bytes) in inbox {
            let (view, given) =
                Contribution::decode(&bytes).map_err(|_| Failure::of(id, "the contribution is malformed"))?;
            if view != self.statement.view {
                return Err(Failure::unattributed("the signers see different requests"));
            }
            if !self.statement.is_proven(id, &self.public_shares[&id], &given) {
                return Err(Failure::of(id, "the contribution does not fit the public share"));
            }
            contributions.insert(id, (given.big_y, given.big_c));
        }
        contributions.insert(self.me, (self.contribution.big_y, self.contribution.big_c));
        let zero = (G1Projective::identity(), G1Projective::identity());
        let (big_y, big_c) = contributions.into_iter().fold(zero, |(sum_y, sum_c), (id, (big_y, big_c))| {
            let weight = lagrange::<Bls12381>(&self.signers, id).0;
            (sum_y + big_y * weight, sum_c + big_c * weight)
        });
        let blinded = BlindedKey { big_y, big_c };
        let key = &self.request.app_public_key;
        if key.second.is_some() && !blinded.answers(&self.network_key, &self.request.app_id, key) {
            return Err(Failure::unattributed("the contributions do not make the app's key"));
        }
        Ok(blinded)
    }
}

impl Rounds for Derive {
    type Output = Option<BlindedKey>;

    /// 0 contributions to the coordinator.
    fn rounds(&self) -> u8 {
        1
    }

    fn size_bytes_max(&self, _round: u8) -> usize {
        Contribution::BYTES
    }

    fn listens(&self, _round: u8) -> bool {
        self.is_coordinator()
    }

    fn start(&mut self) -> Result<Outgoing, Failure> {
        let mut outgoing = Outgoing::default();
        if !self.is_coordinator() {
            let bytes = self.contribution.encode(&self.statement.view);
            outgoing.private.insert(self.request.coordinator, bytes);
        }
        Ok(outgoing)
    }

    fn finish_round(&mut self, _round: u8, inbox: Inbox) -> Result<Step<Self::Output>, Failure> {
        Ok(Step::Done(if self.is_coordinator() { Some(self.combine(inbox)?) } else { None }))
    }
}
