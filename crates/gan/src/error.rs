//! Errors of training, sampling and scoring.

use ganforge_tensor::words;
use std::path::PathBuf;

use ganforge_kernels::cuda;

use crate::config::ConfigError;
use crate::data::DataError;
use crate::data::pictures::PictureError;
use crate::files::FileError;
use crate::metrics::{self, parzen::ParzenError};

pub use crate::data::Kind;

/// An error of this crate, by where it comes from.
#[derive(thiserror::Error)]
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
    Picture(#[from] PictureError),
    /// A plot.
    #[cfg(feature = "plots")]
    #[error(transparent)]
    Plot(#[from] ganforge_plots::Error),
    /// A checkpoint that does not fit its run.
    #[error("{}: {reason}", .file.display())]
    Checkpoint {
        /// The file.
        file: PathBuf,
        /// What was expected and what is there.
        reason: String,
    },
    /// A checkpoint that cannot be read, where an older one is left.
    #[error("{error}; to use {} instead, delete {}", .older.display(), .newest.display())]
    Damaged {
        /// What is wrong with it.
        error: Box<Error>,
        /// The checkpoint.
        newest: PathBuf,
        /// The one before.
        older: PathBuf,
    },
    /// A run folder that cannot be used as asked.
    #[error("{}: {reason}", .folder.display())]
    Run {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// The data do not fit the configuration, or a program's own metric refuses them.
    #[error("{0}")]
    Mismatch(String),
    /// More memory than there is.
    #[error("{what}: needs {} of memory, more than is available", size(*.gib))]
    Memory {
        /// What was asked for.
        what: String,
        /// What it takes, in units of 2^30 bytes.
        gib: f64,
    },
    /// Ranks that have trained to different parameters: a machine computes something else, or the memory of one is faulty.
    #[error(
        "after step {steps}: rank {rank} has other values of {tensor} than rank 0; do all machines have processors of one family, \
         and does each take the same kernels (GANFORGE_ISA)?"
    )]
    Diverged {
        /// The first rank that differs from rank 0.
        rank: usize,
        /// The first tensor that does.
        tensor: String,
        /// Completed steps.
        steps: u64,
    },
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

ganforge_kernels::debug_as_display!(Error);

impl From<metrics::Error> for Error {
    fn from(error: metrics::Error) -> Error {
        match error {
            metrics::Error::Parzen(error) => error.into(),
            metrics::Error::Data(error) => error.into(),
            other => Error::Mismatch(other.to_string()),
        }
    }
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        match self {
            Error::NotFinite { .. } | Error::Diverged { .. } => Kind::Work,
            Error::Tensor(ganforge_tensor::Error::Comm(_)) => Kind::System,
            Error::Tensor(ganforge_tensor::Error::Device(error))
            | Error::Parzen(ParzenError::Device(error)) => of_device(error),
            Error::Memory { .. } => Kind::System,
            Error::Config(error) => error.refused.map_or(Kind::Input, Kind::of_io),
            Error::Data(error) => error.kind(),
            Error::File(error) | Error::Picture(PictureError::File(error)) => error.kind(),
            #[cfg(feature = "plots")]
            Error::Plot(ganforge_plots::Error::Picture(PictureError::File(e))) => e.kind(),
            #[cfg(feature = "plots")]
            Error::Plot(_) => Kind::Input,
            Error::Damaged { error, .. } => error.kind(),
            Error::Tensor(_)
            | Error::Parzen(_)
            | Error::Picture(_)
            | Error::Checkpoint { .. }
            | Error::Run { .. }
            | Error::Mismatch(_) => Kind::Input,
        }
    }
}

impl From<cuda::Error> for Error {
    fn from(error: cuda::Error) -> Error {
        ganforge_tensor::Error::from(error).into()
    }
}

fn of_device(error: &cuda::Error) -> Kind {
    match error {
        cuda::Error::Kernel { .. } | cuda::Error::Examples { .. } => Kind::Work,
        _ => Kind::System,
    }
}

/// Units of 2^30 bytes as people read them.
fn size(gib: f64) -> String {
    words::size((gib * f64::from(1_u32 << 30)) as u64)
}

/// Refuses work on `floats` values of f32 that this machine has no memory for: a sentence now
/// instead of an abort later.
pub fn room_for(what: &str, floats: u64) -> Result<()> {
    let count = usize::try_from(floats).unwrap_or(usize::MAX);
    let found = Vec::<f32>::new().try_reserve_exact(count);
    found.map_err(|_| Error::Memory {
        what: what.to_string(),
        gib: floats as f64 * 4.0 / f64::from(1 << 30),
    })
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Attempt, DataError};
    use crate::files::FileError;

    /// `fn main() -> Result<(), Error>` prints an error's `Debug`.
    #[test]
    fn main_prints_the_message() {
        let unknown = DataError::Unknown {
            name: "mnits".into(),
            reason: "no such data set".into(),
            hint: ": mnist?".into(),
        };
        let name = "a".into();
        let tensor = ganforge_tensor::Error::MissingParam { name };
        for error in [
            Error::from(unknown),
            tensor.into(),
            ganforge_plots::Error::Draw("narrow".into()).into(),
        ] {
            assert_eq!(format!("{error:?}"), error.to_string());
        }
    }

    #[test]
    fn devices_networks_and_memory_are_the_system_s_and_failed_kernels_the_work_s() {
        let device = |error| Error::from(ganforge_tensor::Error::from(error)).kind();
        let reason = String::new;
        let missing = cuda::Error::NoDevice { reason: reason() };
        assert_eq!(device(missing), Kind::System);
        let name = reason();
        let kernel = cuda::Error::Kernel {
            name,
            reason: reason(),
        };
        assert_eq!(device(kernel.clone()), Kind::Work);
        assert_eq!(Error::from(ParzenError::from(kernel)).kind(), Kind::Work);
        let (what, gib) = (reason(), 1e6);
        assert_eq!(Error::Memory { what, gib }.kind(), Kind::System);
        let array = Error::from(FileError::memory("a.npy", "shape [9]"));
        assert_eq!(array.kind(), Kind::System);
        let attempt = |kind| Attempt {
            source: reason(),
            reason: reason(),
            kind,
        };
        let fetched = |attempts| {
            Error::from(DataError::NotFetched {
                name: reason(),
                attempts,
            })
            .kind()
        };
        assert_eq!(fetched(vec![attempt(Kind::Input)]), Kind::Input);
        let tried = vec![attempt(Kind::Input), attempt(Kind::System)];
        assert_eq!(fetched(tried), Kind::System);
    }
}
