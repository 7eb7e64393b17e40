//! What the paper's theory says, as small games that run on the engine.
//!
//! | fact | where |
//! |---|---|
//! | for a fixed G the best D is p_data / (p_data + p_g) | [`best_d`] |
//! | with D at its best, descent of p_g ends at p_g = p_data with cost -log 4 | [`tabular`] |
//! | G trained long against an unchanging D puts all z on one x | [`helvetica`] |
//! | simultaneous gradient steps can run away from the equilibrium | [`dirac`] |
//!
//! The divergences themselves are in [`metrics::density`](ganforge_gan::metrics::density).

pub mod best_d;
pub mod dirac;
pub mod helvetica;
pub mod tabular;
