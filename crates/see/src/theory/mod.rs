//! The paper's theory as small games that run on the engine.
//!
//! | fact | where |
//! |---|---|
//! | for a fixed G the optimal D is p_data / (p_data + p_g) | [`best_d`] |
//! | with the optimal D, descent in p_g ends at p_g = p_data with cost -log 4 | [`tabular`] |
//! | G trained for long against a fixed D maps all z to one x | [`helvetica`] |
//! | simultaneous gradient steps can diverge from the equilibrium | [`dirac`] |
//!
//! The divergences themselves are in [`metrics::density`](ganforge_gan::metrics::density).

pub mod best_d;
pub mod dirac;
pub mod helvetica;
pub mod tabular;
