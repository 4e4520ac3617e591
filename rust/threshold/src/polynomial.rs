//! Shamir's sharing: polynomials, their commitments, and interpolation at zero.

use rand_core::CryptoRngCore;
use zeroize::Zeroize;

use crate::group::Group;
use crate::protocol::ParticipantId;

/// The point at which a participant's share lies.
pub fn x_coordinate<G: Group>(id: ParticipantId) -> G::Scalar {
    G::scalar_from_u64(u64::from(id) + 1)
}

/// Coefficients, constant first. Forgotten when dropped.
pub(crate) struct Polynomial<G: Group>(Vec<G::Scalar>);

impl<G: Group> Drop for Polynomial<G> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<G: Group> Polynomial<G> {
    /// A random polynomial of `threshold` coefficients with this constant.
    pub(crate) fn random(constant: G::Scalar, threshold: usize, rng: &mut dyn CryptoRngCore) -> Self {
        let rest = (1..threshold).map(|_| G::random_scalar(rng));
        Self(std::iter::once(constant).chain(rest).collect())
    }

    pub(crate) fn evaluate(&self, x: &G::Scalar) -> G::Scalar {
        self.0.iter().rev().fold(G::scalar_from_u64(0), |sum, coefficient| sum * *x + *coefficient)
    }

    pub(crate) fn commit(&self) -> Vec<G::Point> {
        self.0.iter().map(G::base).collect()
    }
}

/// The value at `x` of the polynomial behind the commitments, times the generator.
pub(crate) fn evaluate_commitment<G: Group>(commitment: &[G::Point], x: &G::Scalar) -> G::Point {
    commitment.iter().rev().fold(G::identity(), |sum, point| G::multiply(&sum, x) + *point)
}

/// The Lagrange coefficient of `me` for interpolation at zero from the shares of `set`.
///
/// # Panics
/// When `set` lists a participant twice.
pub fn lagrange<G: Group>(set: &[ParticipantId], me: ParticipantId) -> G::Scalar {
    let x = x_coordinate::<G>(me);
    let one = G::scalar_from_u64(1);
    let (numerator, denominator) =
        set.iter().filter(|id| **id != me).fold((one, one), |(numerator, denominator), id| {
            let other = x_coordinate::<G>(*id);
            (numerator * other, denominator * (other - x))
        });
    numerator * G::invert(&denominator).expect("participants are distinct")
}
