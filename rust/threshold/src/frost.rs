//! EdDSA on ed25519 by FROST (RFC 9591), under a key derived from the shared one.
//!
//! Two rounds: commitments to nonces, then signature shares. With nonces made
//! beforehand only the second is left. Nonces are used once: the caller deletes
//! them durably before it starts to sign.

use std::collections::BTreeMap;

use frost_ed25519 as frost;
use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::encoding::{write_number, Malformed, Reader};
use crate::group::{Ed25519, Group};
use crate::keygen::KeyShare;
use crate::protocol::{
    check_sizes, validate_participants, BadParameters, Failure, Inbox, Outgoing, ParticipantId, Protocol,
    RoundDriver, Rounds, Step,
};

const COMMITMENTS_BYTES_MAX: usize = 128;
/// The view, then the share.
const SHARE_BYTES: usize = 32 + 32;

type Hash = [u8; 32];

/// What is to be signed and by whom; the same at every signer.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    pub signers: Vec<ParticipantId>,
    pub me: ParticipantId,
    /// Added to the root key; see [`crate::derivation`].
    pub tweak: [u8; 32],
    pub message: Vec<u8>,
}

/// Secret nonces for one signature, and everyone's commitments to theirs.
pub struct Presignature {
    pub(crate) nonces: frost::round1::SigningNonces,
    pub(crate) commitments: BTreeMap<frost::Identifier, frost::round1::SigningCommitments>,
}

impl Presignature {
    /// For the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let nonces = self.nonces.serialize().expect("nonces are scalars");
        write_number(&mut bytes, nonces.len());
        bytes.extend(nonces);
        write_number(&mut bytes, self.commitments.len());
        for (identifier, commitments) in &self.commitments {
            bytes.extend(participant(*identifier).expect("made from a participant").to_le_bytes());
            let commitments = commitments.serialize().expect("commitments are points");
            write_number(&mut bytes, commitments.len());
            bytes.extend(commitments);
        }
        bytes
    }

    /// # Errors
    /// When the bytes are not a presignature.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "presignature");
        let malformed = |_| Malformed("presignature");
        let size = reader.count(1)?;
        let nonces = frost::round1::SigningNonces::deserialize(reader.take(size)?).map_err(malformed)?;
        let mut commitments = BTreeMap::new();
        for _ in 0..reader.count(8)? {
            let id = reader.number()?;
            let size = reader.count(1)?;
            let theirs =
                frost::round1::SigningCommitments::deserialize(reader.take(size)?).map_err(malformed)?;
            commitments.insert(checked_identifier(id).ok_or_else(|| reader.malformed())?, theirs);
        }
        reader.finish(Self { nonces, commitments })
    }
}

/// Exchange commitments now, so that signing takes one round later.
pub fn presign(
    share: &KeyShare<Ed25519>,
    signers: &[ParticipantId],
    mut rng: Box<dyn CryptoRngCore + Send>,
) -> Result<impl Protocol<Output = Presignature>, BadParameters> {
    let me = share.participant;
    let signers = validate_signers(share, signers, me)?;
    let rounds = Presign { nonces: Some(commit(share, &mut *rng)), me };
    Ok(RoundDriver::new(rounds, me, &signers))
}

/// Sign from the start, in two rounds.
pub fn sign(
    share: &KeyShare<Ed25519>,
    request: SigningRequest,
    mut rng: Box<dyn CryptoRngCore + Send>,
) -> Result<impl Protocol<Output = [u8; 64]>, BadParameters> {
    let (me, signers, key) = validate_request(share, &request)?;
    let first = Presign { nonces: Some(commit(share, &mut *rng)), me };
    let rounds = Sign { first: Some(first), presignature: None, key, message: request.message, sent: None };
    Ok(RoundDriver::new(rounds, me, &signers))
}

/// Sign with a presignature of exactly these signers, in one round.
pub fn sign_presigned(
    share: &KeyShare<Ed25519>,
    request: SigningRequest,
    presignature: Presignature,
) -> Result<impl Protocol<Output = [u8; 64]>, BadParameters> {
    let (me, signers, key) = validate_request(share, &request)?;
    if !signers.iter().map(|id| identifier(*id)).eq(presignature.commitments.keys().copied()) {
        return Err(BadParameters("the presignature is of other signers".into()));
    }
    let rounds =
        Sign { first: None, presignature: Some(presignature), key, message: request.message, sent: None };
    Ok(RoundDriver::new(rounds, me, &signers))
}

/// The derived key in the forms that FROST asks for.
struct DerivedKey {
    package: frost::keys::KeyPackage,
    public: frost::keys::PublicKeyPackage,
}

fn checked_identifier(id: ParticipantId) -> Option<frost::Identifier> {
    u16::try_from(id.checked_add(1)?).ok()?.try_into().ok()
}

fn identifier(id: ParticipantId) -> frost::Identifier {
    checked_identifier(id).expect("participant numbers were checked")
}

fn participant(identifier: frost::Identifier) -> Option<ParticipantId> {
    let bytes = identifier.serialize();
    let number = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    number.checked_sub(1)
}

fn validate_signers(
    share: &KeyShare<Ed25519>,
    signers: &[ParticipantId],
    me: ParticipantId,
) -> Result<Vec<ParticipantId>, BadParameters> {
    let signers = validate_participants(signers, me)?;
    if signers.len() < share.threshold {
        return Err(BadParameters(format!("{} signers are needed, not {}", share.threshold, signers.len())));
    }
    if let Some(id) = signers.iter().find(|id| !share.public_shares.contains_key(id)) {
        return Err(BadParameters(format!("participant {id} has no share")));
    }
    Ok(signers)
}

fn validate_request(
    share: &KeyShare<Ed25519>,
    request: &SigningRequest,
) -> Result<(ParticipantId, Vec<ParticipantId>, DerivedKey), BadParameters> {
    if request.me != share.participant {
        return Err(BadParameters("the share is another participant's".into()));
    }
    let signers = validate_signers(share, &request.signers, request.me)?;
    let key = derive_key(share, &request.tweak)
        .ok_or_else(|| BadParameters("the key share is malformed".into()))?;
    Ok((request.me, signers, key))
}

fn derive_key(share: &KeyShare<Ed25519>, tweak: &[u8; 32]) -> Option<DerivedKey> {
    let tweak = crate::derivation::tweak_scalar_ed25519(tweak);
    let shift = Ed25519::base(&tweak);
    let mut secret = share.secret_share + tweak;
    let mut secret_bytes = Ed25519::encode_scalar(&secret);
    secret.zeroize();
    let signing_share = frost::keys::SigningShare::deserialize(&secret_bytes).ok()?;
    secret_bytes.zeroize();
    let verifying_shares: Option<BTreeMap<_, _>> = share
        .public_shares
        .iter()
        .map(|(id, point)| {
            let bytes = Ed25519::encode_point(&(*point + shift));
            Some((identifier(*id), frost::keys::VerifyingShare::deserialize(&bytes).ok()?))
        })
        .collect();
    let verifying_shares = verifying_shares?;
    let key_bytes = Ed25519::encode_point(&(share.public_key + shift));
    let verifying_key = frost::VerifyingKey::deserialize(&key_bytes).ok()?;
    let min_signers = u16::try_from(share.threshold).ok()?;
    let me = identifier(share.participant);
    let verifying_share = *verifying_shares.get(&me)?;
    Some(DerivedKey {
        package: frost::keys::KeyPackage::new(me, signing_share, verifying_share, verifying_key, min_signers),
        public: frost::keys::PublicKeyPackage::new(verifying_shares, verifying_key, Some(min_signers)),
    })
}

fn commit(share: &KeyShare<Ed25519>, rng: &mut dyn CryptoRngCore) -> frost::round1::SigningNonces {
    let bytes = Ed25519::encode_scalar(&share.secret_share);
    let signing_share =
        frost::keys::SigningShare::deserialize(&bytes).expect("a share is a canonical scalar");
    let mut rng = Random(rng);
    frost::round1::commit(&signing_share, &mut rng).0
}

/// frost wants a sized generator.
struct Random<'a>(&'a mut dyn CryptoRngCore);

impl rand_core::RngCore for Random<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.try_fill_bytes(bytes)
    }
}

impl rand_core::CryptoRng for Random<'_> {}

struct Presign {
    nonces: Option<frost::round1::SigningNonces>,
    me: ParticipantId,
}

impl Presign {
    fn commitments(&self) -> frost::round1::SigningCommitments {
        *self.nonces.as_ref().expect("taken only at the end").commitments()
    }

    fn finish(&mut self, inbox: &Inbox) -> Result<Presignature, Failure> {
        let mut commitments = BTreeMap::from([(identifier(self.me), self.commitments())]);
        for (id, bytes) in inbox {
            let theirs = frost::round1::SigningCommitments::deserialize(bytes)
                .map_err(|_| Failure::of(*id, "nonce commitments are malformed"))?;
            commitments.insert(identifier(*id), theirs);
        }
        Ok(Presignature { nonces: self.nonces.take().expect("finished once"), commitments })
    }

    fn encode(&self) -> Result<Outgoing, Failure> {
        Ok(Outgoing::to_all(self.commitments().serialize().map_err(unattributed)?))
    }
}

impl Rounds for Presign {
    type Output = Presignature;

    fn rounds(&self) -> u8 {
        1
    }

    fn size_bytes_max(&self, _round: u8) -> usize {
        COMMITMENTS_BYTES_MAX
    }

    fn start(&mut self) -> Result<Outgoing, Failure> {
        self.encode()
    }

    fn finish_round(&mut self, _round: u8, inbox: Inbox) -> Result<Step<Presignature>, Failure> {
        Ok(Step::Done(self.finish(&inbox)?))
    }
}

struct Sign {
    /// The first round, unless the presignature was made before.
    first: Option<Presign>,
    presignature: Option<Presignature>,
    key: DerivedKey,
    message: Vec<u8>,
    sent: Option<SentShare>,
}

/// What was signed, and a name for it: a share that was made for something else proves nothing against its sender.
struct SentShare {
    package: frost::SigningPackage,
    share: frost::round2::SignatureShare,
    view: Hash,
}

impl Sign {
    fn send_share(&mut self) -> Result<Outgoing, Failure> {
        let Presignature { nonces, commitments } =
            self.presignature.take().expect("made in the round before");
        let package = frost::SigningPackage::new(commitments, &self.message);
        let share = frost::round2::sign(&package, &nonces, &self.key.package).map_err(unattributed)?;
        let view = self.hash_view(&package)?;
        let message = [view.as_slice(), &share.serialize()].concat();
        self.sent = Some(SentShare { package, share, view });
        Ok(Outgoing::to_all(message))
    }

    fn hash_view(&self, package: &frost::SigningPackage) -> Result<Hash, Failure> {
        let mut hasher = Sha256::new_with_prefix(b"hither EdDSA view v1");
        hasher.update(self.key.package.verifying_key().serialize().map_err(unattributed)?);
        hasher.update(package.serialize().map_err(unattributed)?);
        Ok(hasher.finalize().into())
    }

    fn aggregate(&self, inbox: &Inbox) -> Result<[u8; 64], Failure> {
        let SentShare { package, share: own, view } = self.sent.as_ref().expect("made in the round before");
        check_sizes(inbox, SHARE_BYTES)?;
        if inbox.values().any(|bytes| bytes[..32] != *view) {
            return Err(Failure::unattributed("the signers see different requests or commitments"));
        }
        let mut shares = BTreeMap::from([(*self.key.package.identifier(), *own)]);
        for (id, bytes) in inbox {
            let share = frost::round2::SignatureShare::deserialize(&bytes[32..])
                .map_err(|_| Failure::of(*id, "the signature share is malformed"))?;
            shares.insert(identifier(*id), share);
        }
        let signature = frost::aggregate(package, &shares, &self.key.public).map_err(|error| Failure {
            culprit: error.culprits().first().copied().and_then(participant),
            reason: format!("the signature shares do not fit: {error}"),
        })?;
        let bytes = signature.serialize().map_err(unattributed)?;
        bytes.try_into().map_err(|_| Failure::unattributed("a signature is not 64 bytes"))
    }
}

fn unattributed(error: frost::Error) -> Failure {
    Failure::unattributed(error.to_string())
}

impl Rounds for Sign {
    type Output = [u8; 64];

    fn rounds(&self) -> u8 {
        if self.first.is_some() {
            2
        } else {
            1
        }
    }

    fn size_bytes_max(&self, round: u8) -> usize {
        if round + 1 == self.rounds() {
            SHARE_BYTES
        } else {
            COMMITMENTS_BYTES_MAX
        }
    }

    fn start(&mut self) -> Result<Outgoing, Failure> {
        match &self.first {
            Some(first) => first.encode(),
            None => self.send_share(),
        }
    }

    fn finish_round(&mut self, round: u8, inbox: Inbox) -> Result<Step<[u8; 64]>, Failure> {
        match &mut self.first {
            Some(first) if round == 0 => {
                self.presignature = Some(first.finish(&inbox)?);
                Ok(Step::Next(self.send_share()?))
            }
            _ => Ok(Step::Done(self.aggregate(&inbox)?)),
        }
    }
}
