//! Studies: what to train with next, given what came of it so far.
//!
//! A [`Study`] is a file: a configuration, the keys of it that are searched, and a [`Design`] that chooses their values. Its
//! [trials](Trial) come in rounds, and [`propose`] says what the next round is: a pure function of the file and of the
//! trials that are finished. To add a design, see [`designs`].
//!
//! [`drive`] does a study: it writes down what is proposed in the study's [`folder`], hands it to an [engine](engines) and waits
//! for the results. What a trial is, it does not know: the program's command `study work` trains it.
//!
//! ```
//! use ganforge_study::{Finished, Study, propose};
//!
//! let text = r#"
//!     base = "mnist"
//!     score = "fid"
//!     score_scale = "log10"
//!     [design]
//!     kind = "gp-ucb"
//!     rounds = 3
//!     batch = 4
//!     [space.optimizer.lr]
//!     lo = 1e-5
//!     hi = 1e-2
//!     scale = "log10"
//!     [space.train.k]
//!     kind = "choice"
//!     values = [1, 5]
//! "#;
//! let study = Study::from_toml(text, "study.toml")?;
//! let mut finished = Vec::new();
//! while let Some(trials) = propose(&study, &finished)? {
//!     for trial in trials {
//!         assert!(trial.options[0].starts_with("optimizer.lr="));
//!         // Train with its options and its seed; here the FID is a formula.
//!         let fid = 20.0 + 50.0 * (trial.point[0] - 0.6).powi(2) + 5.0 * trial.point[1];
//!         finished.push(Finished { trial, score: Some(fid) });
//!     }
//! }
//! let fids = finished.iter().filter_map(|f| f.score);
//! assert!(finished.len() == 12 && fids.fold(f64::INFINITY, f64::min) < 22.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

use std::fmt;

pub mod designs;
pub mod drive;
pub mod engines;
mod fingerprint;
pub mod folder;
pub mod gp;
pub mod journal;
pub mod lease;
mod propose;
mod record;
pub mod report;
mod space;
mod study;

#[cfg(test)]
mod tests;

pub use designs::Design;
pub use propose::{Finished, Trial, propose};
pub use record::{Record, State};
pub use space::{Cases, Choice, Dimension, Range, Real, Scale, Whole};
pub use study::{Chosen, Direction, RunBy, Study, keys_page};

/// What draws all random numbers: a generator by name, whose numbers `rand` keeps the same in all versions and on all
/// machines, which it does not promise of its default.
pub type Random = rand::rngs::Xoshiro256PlusPlus;

/// Why there is no proposal.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number that two trials have.
    #[error("trial {number} is there twice")]
    Twice {
        /// Its number.
        number: usize,
    },
    /// A trial of a round that cannot have begun.
    #[error(
        "trial {number} is finished, but trial {missing} of a round before it is not: is this the folder of another study?"
    )]
    OutOfTurn {
        /// Its number.
        number: usize,
        /// The first that is not finished.
        missing: usize,
    },
    /// A trial after the last.
    #[error(
        "trial {number} is finished, but the study has only {n} trials, from 0 on: is this the folder of another study?"
    )]
    Beyond {
        /// Its number.
        number: usize,
        /// How many there are.
        n: usize,
    },
    /// A trial of another space.
    #[error(
        "trial {number} is not at a point of this study's space, {d} numbers from 0 to 1: is this the folder of another study?"
    )]
    Point {
        /// Its number.
        number: usize,
        /// Dimensions of the space.
        d: usize,
    },
    /// Arrays that do not belong together.
    #[error(
        "a Gaussian process needs a value for each point, and {d} coordinates, one for each of its lengths"
    )]
    Lengths {
        /// How many lengths there are.
        d: usize,
    },
    /// Numbers that make no process.
    #[error(
        "the covariance of a Gaussian process has no Cholesky factor: its points, values, lengths and variances must be finite, the last two above 0"
    )]
    NoFactor,
}

/// As [`fmt::Display`]: what `fn main() -> Result` prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
