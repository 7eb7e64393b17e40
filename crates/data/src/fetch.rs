//! Getting a published data set into the cache.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};

use super::hash;
use super::known::{self, Check, Known, KnownFile};
use super::sources::{Fault, Source};
use super::{Attempt, Cache, DataError, FetchPolicy};
use crate::error::Kind;
use crate::files::FileError;
use crate::files::atomic::AtomicFile;
use crate::files::gunzip::{Gunzip, is_gzip};
use crate::nearest;

/// How a data set came into the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchReport {
    /// The data set.
    pub name: String,
    /// The folder that now holds its files, uncompressed, each checked.
    pub folder: PathBuf,
    /// The files in it.
    pub files: Vec<PathBuf>,
    /// Where they came from: the cache, a folder, a URL, a package.
    pub source: String,
    /// What was tried before, in order.
    pub attempts: Vec<Attempt>,
}

/// [`Cache::fetch`] into the cache of [`Cache::from_env`], under the policy of [`FetchPolicy::from_env`].
///
/// errors: as [`Cache::fetch`]
pub fn fetch(
    name: &str,
    from: Option<&str>,
    progress: &mut dyn FnMut(&str),
) -> Result<FetchReport, DataError> {
    Cache::from_env()?.fetch(name, from, FetchPolicy::from_env(), progress)
}

impl Cache {
    /// Brings the data set `name` into the cache, saying to `progress` what it does, one line at a time.
    ///
    /// Without `from` what is in the cache will do; what is missing comes from the public places, tried in order. `from`, a
    /// folder with the files, plain or .gz, or a URL prefix of them, or the URL of a .tar.gz with them, means all files from
    /// there and from nowhere else. No file is used before its published sum is right (of the
    /// Toronto Face Database, which has none, before it is found to be readable), and it takes its name only then, so
    /// that fetches at the same time, or one that is killed, do no harm.
    ///
    /// errors: [`DataError::Unknown`]; [`DataError::NotFetched`] with the reason of every attempt; a cache folder that
    /// cannot be made
    pub fn fetch(
        &self,
        name: &str,
        from: Option<&str>,
        policy: FetchPolicy,
        progress: &mut dyn FnMut(&str),
    ) -> Result<FetchReport, DataError> {
        let known = known::find(name);
        let known = known.ok_or_else(|| {
            unknown(name, |known| {
                format!("no data set that can be fetched, which are {known}")
            })
        })?;
        self.fetch_known(known, from, policy, progress)
    }

    fn fetch_known(
        &self,
        known: &Known,
        from: Option<&str>,
        policy: FetchPolicy,
        progress: &mut dyn FnMut(&str),
    ) -> Result<FetchReport, DataError> {
        let name = known.name;
        let folder = self.folder(known);
        let files = known.files.iter().map(|file| folder.join(file.name));
        let files = files.collect();
        let report = |source, attempts| FetchReport {
            name: name.to_string(),
            folder: folder.clone(),
            files,
            source,
            attempts,
        };
        let mut attempts = Vec::new();
        let wanted = match from {
            Some(_) => known.files.iter().collect(),
            None => {
                let cache = format!("cache {}", folder.display());
                progress(&format!("{name}: looking into the {cache}"));
                let (missing, reason) = missing(known, &folder);
                if missing.is_empty() {
                    progress(&format!("{name}: all files are there and checked"));
                    return Ok(report(cache, attempts));
                }
                attempts.push(Attempt::new(cache, reason, Kind::Input));
                missing
            }
        };
        fs::create_dir_all(&folder).map_err(|reason| FileError::io(&folder, "create", reason))?;
        for source in Source::of(known, from) {
            let text = source.to_string();
            let delivered = match policy == FetchPolicy::Offline && source.needs_network() {
                true => Err(Fault::system("not tried: offline")),
                false => {
                    progress(&format!("{name}: trying {text}"));
                    source.deliver(&wanted, &folder, progress)
                }
            };
            let Err(Fault { reason, kind }) = delivered else {
                tell(name, &attempts, &text, progress);
                return Ok(report(text, attempts));
            };
            attempts.push(Attempt::new(text, reason, kind));
        }
        Err(DataError::NotFetched {
            name: name.to_string(),
            attempts,
        })
    }
}

/// What did not have the files, and at last what had. After a failure the error tells the attempts.
fn tell(name: &str, attempts: &[Attempt], source: &str, progress: &mut dyn FnMut(&str)) {
    for attempt in attempts {
        progress(&format!("{name}: not from {attempt}"));
    }
    progress(&format!("{name}: all files are from {source}"));
}

impl Cache {
    /// Every known data set with what keeps it from being used; `None` where all its files are in the cache and have
    /// their published sums.
    pub fn list(&self) -> Vec<(&'static str, Option<String>)> {
        let problem = |known: &Known| {
            let (missing, reason) = missing(known, &self.folder(known));
            (!missing.is_empty()).then_some(reason)
        };
        known::KNOWN.iter().map(|k| (k.name, problem(k))).collect()
    }
}

/// `name` is not known, which `reason` says of the names there are.
pub(super) fn unknown(name: &str, reason: impl Fn(&str) -> String) -> DataError {
    let known: Vec<&str> = known::names().collect();
    let hint = nearest(name, &known).map(|known| format!(", did you mean {known}?"));
    DataError::Unknown {
        name: name.to_string(),
        reason: reason(&known.join(", ")),
        hint: hint.unwrap_or_default(),
    }
}

/// The files that are not in the cache as they should be, and why the first of them is not.
fn missing<'a>(known: &'a Known, folder: &Path) -> (Vec<&'a KnownFile>, String) {
    let mut missing = Vec::new();
    let mut first = String::new();
    for file in known.files {
        let path = folder.join(file.name);
        let reason = match file.check.of_file(&path) {
            Ok(()) => continue,
            Err(_) if !path.exists() => format!("{} is not there", file.name),
            Err(error) => error.to_string(),
        };
        if missing.is_empty() {
            first = reason;
        }
        missing.push(file);
    }
    (missing, first)
}

/// Takes one file from `source`, gzipped or not, into `folder`, if it is the right one. `place` names the source.
pub(super) fn install(
    file: &KnownFile,
    folder: &Path,
    mut source: impl BufRead,
    place: &str,
) -> Result<(), DataError> {
    let gzip = is_gzip(&mut source).map_err(|e| FileError::read(place, e, file.name, 0))?;
    let mut content: Box<dyn Read + '_> = if gzip {
        Box::new(Gunzip::new(source))
    } else {
        Box::new(source)
    };
    let target = folder.join(file.name);
    let mut out = AtomicFile::create(&target)?;
    match &file.check {
        Check::Sum { kind, size, sum } => {
            let mut digest = kind.digest();
            let announced = format!("{size} bytes");
            let mut content = content.as_mut().take(size + 1);
            let found = copy(&mut content, &mut out, (place, &announced), |piece| {
                digest.update(piece)
            })?;
            let file = place.to_string();
            if found < *size {
                return Err(FileError::Truncated {
                    file,
                    announced,
                    found,
                }
                .into());
            }
            if found > *size {
                let (expected, extra) = (*size, None);
                return Err(FileError::TrailingBytes {
                    file,
                    expected,
                    extra,
                }
                .into());
            }
            kind.compare(file, sum, hash::hex_of(&digest.finalize()))?;
        }
        Check::Content(check) => {
            copy(&mut content, &mut out, (place, file.name), |_| {})?;
            check(out.flushed()?, place)?;
        }
    }
    Ok(out.commit()?)
}

/// Copies all of `content`, showing each piece to `see`; the number of bytes. `named` are its place and what it is.
fn copy(
    content: &mut dyn Read,
    out: &mut AtomicFile,
    named: (&str, &str),
    mut see: impl FnMut(&[u8]),
) -> Result<u64, FileError> {
    let mut buffer = vec![0; 1 << 16];
    let mut found = 0;
    loop {
        let count = match content.read(&mut buffer) {
            Ok(0) => return Ok(found),
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(FileError::read(named.0, e, named.1, found)),
        };
        see(&buffer[..count]);
        out.write_all(&buffer[..count])
            .map_err(|reason| FileError::io(out.target(), "write", reason))?;
        found += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::Sum;
    use super::super::known::Format;
    use super::*;

    /// A data set of one file, "hello", in one of these folders.
    fn hello(folders: &[&Path]) -> Known {
        let folders = folders.iter().map(|f| Source::Folder(f.to_path_buf()));
        Known {
            name: "greeting",
            format: Format::Cifar,
            files: &[KnownFile {
                name: "hello",
                check: Check::Sum {
                    kind: Sum::Md5,
                    size: 5,
                    sum: "5d41402abc4b2a76b9719d911017c592",
                },
            }],
            sources: folders.collect::<Vec<_>>().leak(),
            has_sample: false,
        }
    }

    #[test]
    fn the_last_word_of_a_fetch_that_succeeds_is_its_success() {
        let folder = tempfile::tempdir().unwrap();
        let [bad, good] = ["bad", "good"].map(|name| folder.path().join(name));
        fs::create_dir(&good).unwrap();
        fs::write(good.join("hello"), "hello").unwrap();
        let known = hello(&[&bad, &good]);
        let cache = Cache::at(folder.path().join("cache"));
        let mut said = Vec::new();
        let mut progress = |line: &str| said.push(line.to_string());
        let fetched = cache.fetch_known(&known, None, FetchPolicy::Offline, &mut progress);
        assert_eq!(fetched.unwrap().attempts.len(), 2, "cache and bad");
        let last = said.pop().unwrap();
        assert!(
            last.ends_with(&format!("all files are from folder {}", good.display())),
            "{last}"
        );
        assert!(
            said.iter().any(|line| line.contains("not from folder")),
            "{said:?}"
        );
    }

    #[test]
    fn from_means_from_there_also_where_the_cache_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good");
        fs::create_dir(&good).unwrap();
        fs::write(good.join("hello"), "hello").unwrap();
        let known = hello(&[&good]);
        let cache = Cache::at(folder.path().join("cache"));
        let fetch =
            |from: Option<&str>| cache.fetch_known(&known, from, FetchPolicy::Offline, &mut |_| {});
        fetch(None).unwrap();
        assert!(fetch(None).unwrap().source.starts_with("cache"));
        let Err(DataError::NotFetched { attempts, .. }) = fetch(Some("nowhere")) else {
            panic!("fetched from nowhere")
        };
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0].source, "folder nowhere");
        let report = fetch(good.to_str()).unwrap();
        assert_eq!(report.source, format!("folder {}", good.display()));
    }
}
