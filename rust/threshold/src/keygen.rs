//! Distributed key generation, refresh and reshare: one procedure for every group.
//!
//! Pedersen's key generation with proofs of possession (PedPop, eprint 2020/852), and
//! an agreed broadcast: every value that must be the same for everyone is sent, then a hash
//! of all values received is exchanged, and nobody goes on unless all hashes are equal. So a
//! dealer who shows different commitments to different participants is caught at any
//! number of participants. Nobody holds the secret key at any moment.
//!
//! Rounds: 0 session randomness, 1 its agreement, 2 hashed commitments, 3 commitments and
//! proofs, 4 their agreement, 5 private shares, 6 confirmation of the whole transcript.

use std::collections::BTreeMap;

use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::group::Group;
use crate::polynomial::{evaluate_commitment, lagrange, x_coordinate, Polynomial};
use crate::protocol::{
    check_sizes, validate_participants, BadParameters, Failure, Inbox, Outgoing, ParticipantId, Protocol,
    RoundDriver, Rounds, Step,
};

type Hash = [u8; 32];

/// One participant's result: its share of the key, and what everyone may know.
#[derive(Clone)]
pub struct KeyShare<G: Group> {
    pub participant: ParticipantId,
    pub threshold: usize,
    pub secret_share: G::Scalar,
    pub public_key: G::Point,
    /// Each participant's share times the generator: what a signature share is checked against.
    pub public_shares: BTreeMap<ParticipantId, G::Point>,
}

impl<G: Group> KeyShare<G> {
    /// Names the sharing, not the share: the same at every participant, another after every refresh and reshare.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        let mut hasher = Sha256::new_with_prefix(b"hither key sharing v1");
        hasher.update((self.threshold as u64).to_be_bytes());
        hasher.update(G::encode_point(&self.public_key));
        for (id, point) in &self.public_shares {
            hasher.update(id.to_be_bytes());
            hasher.update(G::encode_point(point));
        }
        hasher.finalize().into()
    }
}

impl<G: Group> Drop for KeyShare<G> {
    fn drop(&mut self) {
        self.secret_share.zeroize();
    }
}

/// What a run is about. Everything here is bound into the session, so runs cannot be mixed.
#[derive(Debug, Clone)]
pub struct KeygenParameters {
    /// Names the key event (epoch, domain, attempt), the same bytes at every participant.
    pub context: Vec<u8>,
    pub participants: Vec<ParticipantId>,
    pub me: ParticipantId,
    /// How many participants sign.
    pub threshold: usize,
}

/// The key that a reshare keeps.
pub struct OldKey<G: Group> {
    pub participants: Vec<ParticipantId>,
    pub threshold: usize,
    pub public_key: G::Point,
    /// None for a participant that joins.
    pub secret_share: Option<G::Scalar>,
    /// What its own old share tells about the others': empty for a participant that joins.
    pub public_shares: BTreeMap<ParticipantId, G::Point>,
}

/// Make a new key.
pub fn keygen<G: Group>(
    parameters: KeygenParameters,
    mut rng: Box<dyn CryptoRngCore + Send>,
) -> Result<impl Protocol<Output = KeyShare<G>>, BadParameters> {
    let (participants, threshold) = validate_parameters(&parameters)?;
    let constant = loop {
        let candidate = G::random_scalar(&mut *rng);
        if candidate != G::scalar_from_u64(0) {
            break candidate;
        }
    };
    let me = parameters.me;
    let rounds = Keygen::<G>::new(parameters.context, &participants, me, threshold, constant, None, rng);
    Ok(RoundDriver::new(rounds, me, &participants))
}

/// Share the same key anew: other participants, another threshold, or just fresh shares.
///
/// Participants that leave do not take part. Old shares stay valid together; they must be erased once the new ones are
/// in force.
pub fn reshare<G: Group>(
    parameters: KeygenParameters,
    old: OldKey<G>,
    rng: Box<dyn CryptoRngCore + Send>,
) -> Result<impl Protocol<Output = KeyShare<G>>, BadParameters> {
    let (participants, threshold) = validate_parameters(&parameters)?;
    let me = parameters.me;
    let mut staying: Vec<_> =
        old.participants.iter().copied().filter(|id| participants.contains(id)).collect();
    staying.sort_unstable();
    staying.dedup();
    if staying.len() < old.threshold {
        return Err(BadParameters("fewer than the old threshold of participants stay".into()));
    }
    if staying.contains(&me) != old.secret_share.is_some() {
        return Err(BadParameters("an old share is given by exactly those who held one".into()));
    }
    if staying.len() == participants.len()
        && old.participants.len() == staying.len()
        && threshold < old.threshold
    {
        return Err(BadParameters("a refresh must not lower the threshold".into()));
    }
    let constant =
        old.secret_share.map_or(G::scalar_from_u64(0), |share| share * lagrange::<G>(&staying, me));
    let constants = staying
        .iter()
        .filter_map(|id| Some((*id, G::multiply(old.public_shares.get(id)?, &lagrange::<G>(&staying, *id)))))
        .collect();
    let public = OldPublic { staying, threshold: old.threshold, public_key: old.public_key, constants };
    let rounds =
        Keygen::<G>::new(parameters.context, &participants, me, threshold, constant, Some(public), rng);
    Ok(RoundDriver::new(rounds, me, &participants))
}

fn validate_parameters(parameters: &KeygenParameters) -> Result<(Vec<ParticipantId>, usize), BadParameters> {
    let participants = validate_participants(&parameters.participants, parameters.me)?;
    if parameters.threshold < 2 || parameters.threshold > participants.len() {
        return Err(BadParameters(format!(
            "the threshold must be between 2 and {}, not {}",
            participants.len(),
            parameters.threshold
        )));
    }
    Ok((participants, parameters.threshold))
}

struct OldPublic<G: Group> {
    staying: Vec<ParticipantId>,
    threshold: usize,
    public_key: G::Point,
    /// What each old member must deal, as far as one knows.
    constants: BTreeMap<ParticipantId, G::Point>,
}

/// A dealer's public part: commitments to all coefficients, and that it knows the constant.
struct Dealing<G: Group> {
    commitment: Vec<G::Point>,
    proof: Option<(G::Point, G::Scalar)>,
}

struct Keygen<G: Group> {
    context: Vec<u8>,
    participants: Vec<ParticipantId>,
    me: ParticipantId,
    threshold: usize,
    old: Option<OldPublic<G>>,
    rng: Box<dyn CryptoRngCore + Send>,
    polynomial: Polynomial<G>,
    /// My own value of the current broadcast, then all of them.
    values: BTreeMap<ParticipantId, Vec<u8>>,
    session: Hash,
    commitment_hashes: BTreeMap<ParticipantId, Vec<u8>>,
    dealings: BTreeMap<ParticipantId, Dealing<G>>,
    public_key: G::Point,
    transcript: Hash,
    share: Option<KeyShare<G>>,
}

impl<G: Group> Keygen<G> {
    fn new(
        context: Vec<u8>,
        participants: &[ParticipantId],
        me: ParticipantId,
        threshold: usize,
        mut constant: G::Scalar,
        old: Option<OldPublic<G>>,
        mut rng: Box<dyn CryptoRngCore + Send>,
    ) -> Self {
        let polynomial = Polynomial::random(constant, threshold, &mut *rng);
        constant.zeroize();
        Self {
            context,
            participants: participants.to_vec(),
            me,
            threshold,
            old,
            rng,
            polynomial,
            values: BTreeMap::new(),
            session: [0; 32],
            commitment_hashes: BTreeMap::new(),
            dealings: BTreeMap::new(),
            public_key: G::identity(),
            transcript: [0; 32],
            share: None,
        }
    }

    /// Whether a dealer's constant is the part of a secret: always in a new key, of the staying ones in a reshare.
    fn deals_secret(&self, id: ParticipantId) -> bool {
        self.old.as_ref().is_none_or(|old| old.staying.contains(&id))
    }

    fn encode_dealing(&mut self) -> Vec<u8> {
        let commitment = self.polynomial.commit();
        let mut bytes = Vec::new();
        if self.deals_secret(self.me) {
            let mut nonce = G::random_scalar(&mut *self.rng);
            let nonce_point = G::base(&nonce);
            let challenge = compute_challenge::<G>(&self.session, self.me, &commitment[0], &nonce_point);
            let response = nonce + challenge * self.polynomial.evaluate(&G::scalar_from_u64(0));
            nonce.zeroize();
            bytes.extend(G::encode_point(&nonce_point));
            bytes.extend(G::encode_scalar(&response));
            bytes.extend(G::encode_point(&commitment[0]));
        }
        // A joiner's constant is zero: its commitment is the identity, and not sent.
        bytes.extend(commitment[1..].iter().flat_map(G::encode_point));
        bytes
    }

    fn decode_dealing(&self, id: ParticipantId, bytes: &[u8]) -> Result<Dealing<G>, Failure> {
        let malformed = || Failure::of(id, "commitments are malformed");
        let point = G::POINT_BYTES;
        let deals_secret = self.deals_secret(id);
        let head = if deals_secret { point + 32 } else { 0 };
        let points = if deals_secret { self.threshold } else { self.threshold - 1 };
        if bytes.len() != head + points * point {
            return Err(Failure::of(id, "the polynomial has another degree"));
        }
        let mut commitment = if deals_secret { Vec::new() } else { vec![G::identity()] };
        for chunk in bytes[head..].chunks(point) {
            commitment.push(G::decode_point(chunk).ok_or_else(malformed)?);
        }
        let proof = if deals_secret {
            let nonce_point = G::decode_point(&bytes[..point]).ok_or_else(malformed)?;
            let response = G::decode_scalar(&bytes[point..head]).ok_or_else(malformed)?;
            Some((nonce_point, response))
        } else {
            None
        };
        Ok(Dealing { commitment, proof })
    }

    fn check_dealing(&self, id: ParticipantId, bytes: &[u8]) -> Result<Dealing<G>, Failure> {
        let dealing = self.decode_dealing(id, bytes)?;
        if self.commitment_hashes[&id] != hash_commitments(&self.session, id, bytes) {
            return Err(Failure::of(id, "commitments differ from their hash"));
        }
        if let Some((nonce_point, response)) = &dealing.proof {
            let constant = &dealing.commitment[0];
            let challenge = compute_challenge::<G>(&self.session, id, constant, nonce_point);
            if G::base(response) - G::multiply(constant, &challenge) != *nonce_point {
                return Err(Failure::of(id, "the proof of knowledge is wrong"));
            }
            if self.old.is_none() && *constant == G::identity() {
                return Err(Failure::of(id, "the dealt secret is zero"));
            }
            let expected = self.old.as_ref().and_then(|old| old.constants.get(&id));
            if expected.is_some_and(|expected| expected != constant) {
                return Err(Failure::of(id, "the dealt secret is not of the old share"));
            }
        }
        Ok(dealing)
    }

    fn bind_session(&self) -> Hash {
        let mut hasher = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        part(b"hither key generation v1");
        part(G::NAME.as_bytes());
        part(&self.context);
        part(&(self.threshold as u64).to_be_bytes());
        part(&encode_ids(&self.participants));
        if let Some(old) = &self.old {
            part(&encode_ids(&old.staying));
            part(&(old.threshold as u64).to_be_bytes());
            part(&G::encode_point(&old.public_key));
        }
        for value in self.values.values() {
            part(value);
        }
        hasher.finalize().into()
    }

    /// What is wrong with a dealing by itself proves who dealt it, so that is looked at before agreement.
    fn read_dealings(&mut self) -> Result<(), Failure> {
        for (id, bytes) in &self.values {
            let dealing = self.check_dealing(*id, bytes)?;
            self.public_key = self.public_key + dealing.commitment[0];
            self.dealings.insert(*id, dealing);
        }
        Ok(())
    }

    fn deal_shares(&mut self) -> Result<Outgoing, Failure> {
        self.transcript = hash_values(&self.session, &std::mem::take(&mut self.values));
        if self.public_key == G::identity() {
            return Err(Failure::unattributed("the key would be zero"));
        }
        if self.old.as_ref().is_some_and(|old| old.public_key != self.public_key) {
            return Err(Failure::unattributed("the shares dealt are not of the old key"));
        }
        let mut outgoing = Outgoing::default();
        for id in self.participants.iter().filter(|id| **id != self.me) {
            let mut share = self.polynomial.evaluate(&x_coordinate::<G>(*id));
            outgoing.private.insert(*id, G::encode_scalar(&share).to_vec());
            share.zeroize();
        }
        Ok(outgoing)
    }

    fn finish_shares(&mut self, mut inbox: Inbox) -> Result<Outgoing, Failure> {
        let x = x_coordinate::<G>(self.me);
        let mut secret_share = self.polynomial.evaluate(&x);
        for (id, bytes) in &mut inbox {
            let dealt = G::decode_scalar(bytes).ok_or_else(|| Failure::of(*id, "the share is malformed"))?;
            bytes.zeroize();
            if G::base(&dealt) != evaluate_commitment::<G>(&self.dealings[id].commitment, &x) {
                return Err(Failure::of(*id, "the share does not fit the commitments"));
            }
            secret_share = secret_share + dealt;
        }
        let public_share_of = |id: &ParticipantId| {
            let x = x_coordinate::<G>(*id);
            let shares =
                self.dealings.values().map(|dealing| evaluate_commitment::<G>(&dealing.commitment, &x));
            (*id, shares.fold(G::identity(), |sum, share| sum + share))
        };
        self.share = Some(KeyShare {
            participant: self.me,
            threshold: self.threshold,
            secret_share,
            public_key: self.public_key,
            public_shares: self.participants.iter().map(public_share_of).collect(),
        });
        secret_share.zeroize();
        Ok(Outgoing::to_all(self.encode_confirmation()))
    }

    fn encode_confirmation(&self) -> Vec<u8> {
        [self.session.as_slice(), &self.transcript, &G::encode_point(&self.public_key)].concat()
    }

    /// Second step of a broadcast: everyone must have received the same values.
    fn check_agreement(&self, inbox: &Inbox) -> Result<(), Failure> {
        check_sizes(inbox, 32)?;
        let own = hash_values(&self.session, &self.values);
        // A differing hash proves that somebody lied, not who: the value's author or the hash's.
        if inbox.values().any(|hash| *hash != own) {
            return Err(Failure::unattributed("participants did not all receive the same broadcast"));
        }
        Ok(())
    }

    fn collect(&mut self, inbox: Inbox) -> Outgoing {
        self.values.extend(inbox);
        Outgoing::to_all(hash_values(&self.session, &self.values).to_vec())
    }
}

impl<G: Group> Rounds for Keygen<G> {
    type Output = KeyShare<G>;

    fn rounds(&self) -> u8 {
        7
    }

    fn size_bytes_max(&self, round: u8) -> usize {
        match round {
            3 => (self.threshold + 1) * G::POINT_BYTES + 32,
            6 => 64 + G::POINT_BYTES,
            _ => 32,
        }
    }

    fn start(&mut self) -> Result<Outgoing, Failure> {
        let mut randomness = [0; 32];
        self.rng.fill_bytes(&mut randomness);
        self.values.insert(self.me, randomness.to_vec());
        Ok(Outgoing::to_all(randomness.to_vec()))
    }

    fn finish_round(&mut self, round: u8, inbox: Inbox) -> Result<Step<KeyShare<G>>, Failure> {
        let outgoing = match round {
            0 => {
                check_sizes(&inbox, 32)?;
                self.values.extend(inbox);
                // From here on everything is bound to what the run is about: who takes it for another run is no liar.
                self.session = self.bind_session();
                Outgoing::to_all(hash_values(&self.session, &self.values).to_vec())
            }
            1 => {
                self.check_agreement(&inbox)?;
                let dealing = self.encode_dealing();
                let hash = hash_commitments(&self.session, self.me, &dealing);
                self.commitment_hashes.insert(self.me, hash.to_vec());
                self.values = BTreeMap::from([(self.me, dealing)]);
                Outgoing::to_all(hash.to_vec())
            }
            2 => {
                check_sizes(&inbox, 32)?;
                self.commitment_hashes.extend(inbox);
                Outgoing::to_all(self.values[&self.me].clone())
            }
            3 => {
                let agreement = self.collect(inbox);
                self.read_dealings()?;
                agreement
            }
            4 => {
                self.check_agreement(&inbox)?;
                self.deal_shares()?
            }
            5 => self.finish_shares(inbox)?,
            _ => {
                let own = self.encode_confirmation();
                check_sizes(&inbox, own.len())?;
                if inbox.values().any(|confirmation| *confirmation != own) {
                    return Err(Failure::unattributed("participants did not all finish with the same key"));
                }
                return Ok(Step::Done(self.share.take().expect("made in round 5")));
            }
        };
        Ok(Step::Next(outgoing))
    }
}

fn compute_challenge<G: Group>(
    session: &Hash,
    id: ParticipantId,
    constant: &G::Point,
    nonce: &G::Point,
) -> G::Scalar {
    let parts: [&[u8]; 4] = [session, &id.to_be_bytes(), &G::encode_point(constant), &G::encode_point(nonce)];
    G::hash_to_scalar("hither key generation proof v1", &parts)
}

fn hash_commitments(session: &Hash, id: ParticipantId, dealing: &[u8]) -> Hash {
    let mut hasher = Sha256::new_with_prefix(b"hither key generation commitments v1");
    hasher.update(session);
    hasher.update(id.to_be_bytes());
    hasher.update(dealing);
    hasher.finalize().into()
}

fn hash_values(session: &Hash, values: &BTreeMap<ParticipantId, Vec<u8>>) -> Hash {
    let mut hasher = Sha256::new_with_prefix(b"hither key generation agreement v1");
    hasher.update(session);
    for (id, value) in values {
        hasher.update(id.to_be_bytes());
        hasher.update((value.len() as u64).to_be_bytes());
        hasher.update(value);
    }
    hasher.finalize().into()
}

fn encode_ids(ids: &[ParticipantId]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_be_bytes()).collect()
}
