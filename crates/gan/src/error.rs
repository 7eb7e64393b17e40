//! What can go wrong while training, sampling or scoring.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::data::DataError;
use crate::figures::grid::GridError;
use crate::files::FileError;
use crate::metrics::parzen::ParzenError;

/// An error of this crate, by where it comes from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The engine.
    #[error(transparent)]
    Tensor(#[from] ganforge_tensor::Error),
    /// A Parzen score.
    #[error(transparent)]
    Parzen(#[from] ParzenError),
    /// A picture.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// A checkpoint that does not fit its run.
    #[error("{}: {reason}", .file.display())]
    Checkpoint {
        /// The file.
        file: PathBuf,
        /// What was expected and what is there.
        reason: String,
    },
    /// A run folder that cannot be used as asked.
    #[error("{}: {reason}", .folder.display())]
    Run {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// The data do not fit the configuration.
    #[error("{0}")]
    Mismatch(String),
    /// A value that is not finite.
    #[error(
        "step {step}: {what} is not finite; the first node that went bad is {node}; \
         the last good state is {last_good}"
    )]
    NotFinite {
        /// The step, from 0.
        step: u64,
        /// What was noticed.
        what: String,
        /// The first bad node of that step with its inputs.
        node: String,
        /// The last good checkpoint, or that there is none.
        last_good: String,
    },
}

impl Error {
    /// Whether the caller gave something wrong (exit code 2), or else the work failed (1).
    pub fn is_bad_input(&self) -> bool {
        !matches!(self, Error::NotFinite { .. })
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
