//! What both ways to sign with ECDSA share: the request, the rerandomisation, and the check of the result.

use elliptic_curve::ops::{MulByGenerator, Reduce};
use elliptic_curve::point::AffineCoordinates;
use elliptic_curve::scalar::IsHigh;
use hkdf::Hkdf;
use k256::{ProjectivePoint, Scalar};
use sha3::Sha3_256;

use crate::group::{Group, Secp256k1};
use crate::protocol::{BadParameters, Failure, ParticipantId};

/// What is to be signed; the same at every signer.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    pub signers: Vec<ParticipantId>,
    /// Added to the root key; see [`crate::derivation`].
    pub tweak: [u8; 32],
    /// A digest as a scalar: above zero and below the order.
    pub message_hash: [u8; 32],
    /// Public randomness that was unknown when the presignature was made (the block's random value).
    pub entropy: [u8; 32],
}

/// An ECDSA signature: low s, and the number that recovers the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcdsaSignature {
    /// Compressed.
    pub big_r: [u8; 33],
    pub s: [u8; 32],
    pub recovery_id: u8,
}

impl EcdsaSignature {
    /// Nonce point, s, recovery id.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&self.big_r[..], &self.s, &[self.recovery_id]].concat()
    }
}

/// A request in numbers.
pub(crate) struct Target {
    pub(crate) tweak: Scalar,
    pub(crate) message: Scalar,
    pub(crate) derived_key: ProjectivePoint,
}

/// A message hash of zero would make a signature say nothing of the message, and helps attacks on stored presignatures.
pub(crate) fn read_target(root: &ProjectivePoint, request: &SigningRequest) -> Result<Target, BadParameters> {
    let tweak = crate::derivation::tweak_scalar_secp256k1(&request.tweak)
        .ok_or_else(|| BadParameters("the tweak is not below the order".into()))?;
    let message = Secp256k1::decode_scalar(&request.message_hash)
        .filter(|scalar| *scalar != Scalar::ZERO)
        .ok_or_else(|| BadParameters("the message hash must be above zero and below the order".into()))?;
    let derived_key = root + &ProjectivePoint::mul_by_generator(&tweak);
    if derived_key == ProjectivePoint::IDENTITY {
        return Err(BadParameters("the derived key is zero".into()));
    }
    Ok(Target { tweak, message, derived_key })
}

/// The number of rerandomisation: HKDF-SHA3-256 of the entropy, bound to key, tweak, message, nonce point and signers.
///
/// `salt` names the protocol, so that one presignature's numbers never serve two.
pub(crate) fn compute_delta(
    salt: &[u8],
    public_key: &ProjectivePoint,
    request: &SigningRequest,
    big_r: &ProjectivePoint,
    signers: &[ParticipantId],
) -> Scalar {
    let kdf = Hkdf::<Sha3_256>::new(Some(salt), &request.entropy);
    let mut info = vec![0];
    info.extend(Secp256k1::encode_point(public_key));
    info.extend(request.tweak);
    info.extend(request.message_hash);
    info.extend(Secp256k1::encode_point(big_r));
    info.extend(signers.iter().flat_map(|id| id.to_le_bytes()));
    loop {
        let mut output = [0; 32];
        kdf.expand(&info, &mut output).expect("32 bytes are few enough");
        match Secp256k1::decode_scalar(&output) {
            Some(delta) if delta != Scalar::ZERO => return delta,
            _ => info[0] += 1,
        }
    }
}

/// The x-coordinate of a nonce point as a scalar, and whether it had to be reduced.
pub(crate) fn x_scalar(big_r: &ProjectivePoint) -> (Scalar, bool) {
    let x = big_r.to_affine().x();
    let r = <Scalar as Reduce<k256::U256>>::reduce_bytes(&x);
    (r, r.to_bytes() != x)
}

/// Lower s, verify, and find the recovery id. Nothing that does not verify leaves.
pub(crate) fn finish_signature(
    big_r: &ProjectivePoint,
    s: &Scalar,
    key: &ProjectivePoint,
    message: &Scalar,
) -> Result<EcdsaSignature, Failure> {
    let (r, x_is_reduced) = x_scalar(big_r);
    if r == Scalar::ZERO || *s == Scalar::ZERO {
        return Err(Failure::unattributed("the signature has a zero"));
    }
    let s = if bool::from(s.is_high()) { -*s } else { *s };
    // With s negated the nonce is too: the signature fits one of the two points with this x, or none.
    let expected = ProjectivePoint::mul_by_generator(message) + key * &r;
    let product = big_r * &s;
    let nonce = if product == expected {
        *big_r
    } else if product == -expected {
        -*big_r
    } else {
        return Err(Failure::unattributed("the signature does not verify under the derived key"));
    };
    let parity = bool::from(nonce.to_affine().y_is_odd());
    let mut compressed: [u8; 33] =
        Secp256k1::encode_point(big_r).try_into().expect("a compressed point has 33 bytes");
    compressed[0] = if parity { 3 } else { 2 };
    Ok(EcdsaSignature {
        big_r: compressed,
        s: s.to_bytes().into(),
        recovery_id: u8::from(parity) + if x_is_reduced { 2 } else { 0 },
    })
}
