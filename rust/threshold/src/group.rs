//! The groups that keys live in, behind one small trait: fixed-length bytes, sums, products.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use elliptic_curve::bigint::{Encoding, U512};
use elliptic_curve::group::{Group as _, GroupEncoding};
use elliptic_curve::ops::{MulByGenerator, Reduce};
use elliptic_curve::{Field, PrimeField};
use rand_core::CryptoRngCore;
use sha2::{Digest, Sha512};
use zeroize::{DefaultIsZeroes, Zeroize};

/// A prime-order group with canonical encodings.
pub trait Group: Copy + Send + Sync + 'static {
    /// Part of every transcript.
    const NAME: &'static str;
    const POINT_BYTES: usize;
    type Scalar: Copy
        + Eq
        + Send
        + Sync
        + Zeroize
        + std::ops::Add<Output = Self::Scalar>
        + std::ops::Mul<Output = Self::Scalar>
        + std::ops::Sub<Output = Self::Scalar>;
    type Point: Copy
        + Eq
        + Send
        + Sync
        + std::ops::Add<Output = Self::Point>
        + std::ops::Sub<Output = Self::Point>;

    fn generator() -> Self::Point;
    fn identity() -> Self::Point;
    fn multiply(point: &Self::Point, scalar: &Self::Scalar) -> Self::Point;
    fn scalar_from_u64(number: u64) -> Self::Scalar;
    fn invert(scalar: &Self::Scalar) -> Option<Self::Scalar>;
    /// A scalar from 64 uniform bytes, reduced.
    fn scalar_from_wide(bytes: &[u8; 64]) -> Self::Scalar;
    fn encode_scalar(scalar: &Self::Scalar) -> [u8; 32];
    /// None unless canonical.
    fn decode_scalar(bytes: &[u8]) -> Option<Self::Scalar>;
    fn encode_point(point: &Self::Point) -> Vec<u8>;
    /// None unless canonical and in the prime-order group.
    fn decode_point(bytes: &[u8]) -> Option<Self::Point>;

    fn random_scalar(rng: &mut dyn CryptoRngCore) -> Self::Scalar {
        let mut wide = [0; 64];
        rng.fill_bytes(&mut wide);
        let scalar = Self::scalar_from_wide(&wide);
        wide.zeroize();
        scalar
    }

    /// generator · scalar
    fn base(scalar: &Self::Scalar) -> Self::Point {
        Self::multiply(&Self::generator(), scalar)
    }

    /// A challenge scalar from domain-separated, length-prefixed parts.
    fn hash_to_scalar(label: &str, parts: &[&[u8]]) -> Self::Scalar {
        let mut hasher = Sha512::new();
        for part in
            std::iter::once(&label.as_bytes()).chain(std::iter::once(&Self::NAME.as_bytes())).chain(parts)
        {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self::scalar_from_wide(&hasher.finalize().into())
    }
}

/// secp256k1: scalars big-endian, points compressed to 33 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Secp256k1;

impl Group for Secp256k1 {
    const NAME: &'static str = "secp256k1";
    const POINT_BYTES: usize = 33;
    type Scalar = k256::Scalar;
    type Point = k256::ProjectivePoint;

    fn generator() -> Self::Point {
        k256::ProjectivePoint::GENERATOR
    }

    fn identity() -> Self::Point {
        k256::ProjectivePoint::IDENTITY
    }

    fn multiply(point: &Self::Point, scalar: &Self::Scalar) -> Self::Point {
        point * scalar
    }

    fn base(scalar: &Self::Scalar) -> Self::Point {
        k256::ProjectivePoint::mul_by_generator(scalar)
    }

    fn scalar_from_u64(number: u64) -> Self::Scalar {
        k256::Scalar::from(number)
    }

    fn invert(scalar: &Self::Scalar) -> Option<Self::Scalar> {
        scalar.invert().into()
    }

    fn scalar_from_wide(bytes: &[u8; 64]) -> Self::Scalar {
        <k256::Scalar as Reduce<U512>>::reduce(U512::from_be_bytes(*bytes))
    }

    fn encode_scalar(scalar: &Self::Scalar) -> [u8; 32] {
        scalar.to_bytes().into()
    }

    fn decode_scalar(bytes: &[u8]) -> Option<Self::Scalar> {
        let bytes: [u8; 32] = bytes.try_into().ok()?;
        k256::Scalar::from_repr(bytes.into()).into()
    }

    fn encode_point(point: &Self::Point) -> Vec<u8> {
        point.to_affine().to_bytes().to_vec()
    }

    fn decode_point(bytes: &[u8]) -> Option<Self::Point> {
        let bytes: [u8; 33] = bytes.try_into().ok()?;
        k256::ProjectivePoint::from_bytes(&bytes.into()).into()
    }
}

/// The prime-order subgroup of edwards25519: scalars little-endian, points compressed to 32 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Ed25519;

impl Group for Ed25519 {
    const NAME: &'static str = "ed25519";
    const POINT_BYTES: usize = 32;
    type Scalar = curve25519_dalek::Scalar;
    type Point = EdwardsPoint;

    fn generator() -> Self::Point {
        curve25519_dalek::constants::ED25519_BASEPOINT_POINT
    }

    fn identity() -> Self::Point {
        EdwardsPoint::default()
    }

    fn multiply(point: &Self::Point, scalar: &Self::Scalar) -> Self::Point {
        point * scalar
    }

    fn base(scalar: &Self::Scalar) -> Self::Point {
        EdwardsPoint::mul_base(scalar)
    }

    fn scalar_from_u64(number: u64) -> Self::Scalar {
        curve25519_dalek::Scalar::from(number)
    }

    fn invert(scalar: &Self::Scalar) -> Option<Self::Scalar> {
        (*scalar != curve25519_dalek::Scalar::ZERO).then(|| scalar.invert())
    }

    fn scalar_from_wide(bytes: &[u8; 64]) -> Self::Scalar {
        curve25519_dalek::Scalar::from_bytes_mod_order_wide(bytes)
    }

    fn encode_scalar(scalar: &Self::Scalar) -> [u8; 32] {
        scalar.to_bytes()
    }

    fn decode_scalar(bytes: &[u8]) -> Option<Self::Scalar> {
        let bytes: [u8; 32] = bytes.try_into().ok()?;
        curve25519_dalek::Scalar::from_canonical_bytes(bytes).into()
    }

    fn encode_point(point: &Self::Point) -> Vec<u8> {
        point.compress().to_bytes().to_vec()
    }

    fn decode_point(bytes: &[u8]) -> Option<Self::Point> {
        let compressed = CompressedEdwardsY::from_slice(bytes).ok()?;
        let point = compressed.decompress()?;
        // Decompression takes non-canonical y and points with a torsion part; neither is one of ours.
        (point.is_torsion_free() && point.compress() == compressed).then_some(point)
    }
}

/// The second group of BLS12-381: scalars little-endian, points compressed to 96 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Bls12381;

/// A scalar of BLS12-381 that can be forgotten, which the library's own cannot.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct BlsScalar(pub(crate) blstrs::Scalar);

impl DefaultIsZeroes for BlsScalar {}

impl std::ops::Add for BlsScalar {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for BlsScalar {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl std::ops::Mul for BlsScalar {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}

impl Group for Bls12381 {
    const NAME: &'static str = "bls12381";
    const POINT_BYTES: usize = 96;
    type Scalar = BlsScalar;
    type Point = blstrs::G2Projective;

    fn generator() -> Self::Point {
        blstrs::G2Projective::generator()
    }

    fn identity() -> Self::Point {
        blstrs::G2Projective::identity()
    }

    fn multiply(point: &Self::Point, scalar: &Self::Scalar) -> Self::Point {
        point * scalar.0
    }

    fn scalar_from_u64(number: u64) -> Self::Scalar {
        BlsScalar(blstrs::Scalar::from(number))
    }

    fn invert(scalar: &Self::Scalar) -> Option<Self::Scalar> {
        Option::from(scalar.0.invert()).map(BlsScalar)
    }

    fn scalar_from_wide(bytes: &[u8; 64]) -> Self::Scalar {
        let shift = blstrs::Scalar::from(1 << 32).square();
        let limb = |limb: &[u8]| u64::from_be_bytes(limb.try_into().expect("limbs have eight bytes"));
        BlsScalar(
            bytes
                .chunks(8)
                .fold(blstrs::Scalar::ZERO, |sum, bytes| sum * shift + blstrs::Scalar::from(limb(bytes))),
        )
    }

    fn encode_scalar(scalar: &Self::Scalar) -> [u8; 32] {
        scalar.0.to_bytes_le()
    }

    fn decode_scalar(bytes: &[u8]) -> Option<Self::Scalar> {
        Option::from(blstrs::Scalar::from_bytes_le(bytes.try_into().ok()?)).map(BlsScalar)
    }

    fn encode_point(point: &Self::Point) -> Vec<u8> {
        point.to_compressed().to_vec()
    }

    fn decode_point(bytes: &[u8]) -> Option<Self::Point> {
        // Checked to be on the curve and in the subgroup.
        Option::from(blstrs::G2Projective::from_compressed(bytes.try_into().ok()?))
    }
}
