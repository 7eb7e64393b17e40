//! Fréchet distance of two Gaussians: FID, with the features of an Inception network.
//!
//! Its root needs no root of a matrix. With factors S = Fᵀ F of both covariances, S₁ S₂ has the eigenvalues of
//! F₁ F₂ᵀ (F₁ F₂ᵀ)ᵀ, whose roots are the singular values of F₁ F₂ᵀ. Those are exact to rounding where covariances are singular,
//! and none is the root of a negative number.

use super::linear::{Matrix, factor, nuclear_norm, product_by_rows};
use super::moments::check_memory;
use super::{Component, Features, SetError, Statistics, same_width};

/// How far, relative to the trace, a factor's squares may be from it: single precision in a singular covariance stays below.
const INDEFINITE: f64 = 1e-3;

/// ‖μ₁ - μ₂‖² + tr S₁ + tr S₂ - 2 tr (S₁ S₂)^½
///
/// Zero for equal statistics but for rounding, about 1e-15 of the traces; never below zero.
///
/// source: Heusel et al. 2017, section 2; Dowson and Landau 1982
/// cost: about 9 · d³ flops, 8/3 of them in a bidiagonalisation on one thread
/// errors: features of different widths; a covariance that is not positive semidefinite (its factor's squares are its trace to 1e-3);
/// statistics so large that their products leave the range of f64, or that there is no memory for a distance
pub fn distance(a: &Statistics, b: &Statistics) -> Result<f64, SetError> {
    let d = a.d();
    same_width((&a.name, d), (&b.name, b.d()))?;
    check_memory(&a.name, d)?;
    let means = a.mean.iter().zip(&b.mean);
    let means: f64 = means.map(|(a, b)| (a - b).powi(2)).sum();
    let (f, g) = rayon::join(|| factor(&a.covariance, d), || factor(&b.covariance, d));
    for (s, factor) in [(a, &f), (b, &g)] {
        let squares: f64 = factor.iter().map(|x| x * x).sum();
        if (squares - s.trace()).abs() > INDEFINITE * s.trace() {
            return Err(SetError::Setting(format!(
                "{}: its sigma is no covariance: it is not positive semidefinite",
                s.name
            )));
        }
    }
    let columns = g.len() / d;
    let mut products = vec![0.0; f.len() / d * columns];
    let g = Matrix::new(&g, d).transposed();
    let (f, g) = (Matrix::new(&f, d), Matrix::new(&g, columns));
    product_by_rows(1.0, f, g, 0.0, &mut products);
    let large = || SetError::Large {
        name: a.name.clone(),
    };
    if !products.iter().all(|x| x.is_finite()) {
        return Err(large());
    }
    let root = nuclear_norm(products, columns).ok_or_else(large)?;
    let distance = means + (a.trace() + b.trace() - 2.0 * root);
    match distance.is_finite() {
        true if distance > 0.0 => Ok(distance),
        true => Ok(0.0),
        false => Err(large()),
    }
}

/// The [`distance`] of two sets that are all there.
///
/// errors: fewer than two rows; those of [`distance`]
pub fn score<T: Component>(a: Features<'_, T>, b: Features<'_, T>) -> Result<f64, SetError> {
    a.same_width(&b)?;
    distance(&Statistics::of(a)?, &Statistics::of(b)?)
}
