//! The cache of fetched data.

use std::path::{Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};

use super::DataError;

/// Whether the network may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchPolicy {
    /// Fetch what is missing.
    Online,
    /// Only the cache, folders of this machine and the bundled sample.
    Offline,
}

impl FetchPolicy {
    /// [`FetchPolicy::Offline`] where the environment has `GANFORGE_OFFLINE` set to anything but nothing or 0.
    pub fn from_env() -> Self {
        match std::env::var_os("GANFORGE_OFFLINE") {
            Some(value) if !value.is_empty() && value != "0" => Self::Offline,
            _ => Self::Online,
        }
    }
}

/// The folder of fetched data sets, one folder for each, holding the uncompressed IDX files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `GANFORGE_DATA`, or `ganforge` in the platform's cache folder.
    ///
    /// errors: [`DataError::NoCacheFolder`] where the user has no home, [`DataError::NotAFolder`]
    pub fn from_env() -> Result<Self, DataError> {
        match std::env::var_os("GANFORGE_DATA") {
            Some(root) if !root.is_empty() => {
                let root = PathBuf::from(root);
                match root.exists() && !root.is_dir() {
                    true => Err(DataError::NotAFolder {
                        folder: root.display().to_string(),
                    }),
                    false => Ok(Self::at(root)),
                }
            }
            _ => {
                let platform = choose_native_strategy();
                let platform = platform.map_err(|e| DataError::NoCacheFolder {
                    reason: e.to_string(),
                })?;
                Ok(Self::at(platform.cache_dir().join("ganforge")))
            }
        }
    }

    /// A cache in a folder of your choice; it need not exist.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the files of a data set are.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}
