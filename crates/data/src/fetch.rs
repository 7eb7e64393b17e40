//! Fetching a published data set into the cache.

use std::fs;
use std::path::{Path, PathBuf};

use super::published::PublishedFile;
use super::sets::{Published, published};
use super::sources::{Fault, Source};
use super::{Attempt, Cache, DataError, DataSet, FetchPolicy};
use crate::error::Kind;
use crate::files::FileError;
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
        let known = published().find(|set| set.name == name);
        let known = known.ok_or_else(|| {
            unknown(name, |known| {
                format!("no data set that can be fetched, which are {known}")
            })
        })?;
        self.fetch_set(known, from, policy, progress)
    }

    fn fetch_set(
        &self,
        set: &Published,
        from: Option<&str>,
        policy: FetchPolicy,
        progress: &mut dyn FnMut(&str),
    ) -> Result<FetchReport, DataError> {
        let name = set.name;
        let folder = self.folder(name);
        let files = set.files.iter().map(|file| folder.join(file.name));
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
            Some(_) => set.files.iter().collect(),
            None => {
                let cache = format!("cache {}", folder.display());
                progress(&format!("{name}: looking into the {cache}"));
                let (missing, reason) = missing(set, &folder);
                if missing.is_empty() {
                    progress(&format!("{name}: all files are there and checked"));
                    return Ok(report(cache, attempts));
                }
                attempts.push(Attempt::new(cache, reason, Kind::Input));
                missing
            }
        };
        fs::create_dir_all(&folder).map_err(|reason| FileError::io(&folder, "create", reason))?;
        let sources = match from {
            Some(from) => vec![Source::given(from)],
            None => set.sources.to_vec(),
        };
        for source in sources {
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
    /// Every data set that has a name, with what keeps it from being used; `None` where all its files are in the cache and
    /// have their published sums, and where there is nothing to fetch.
    pub fn list(&self) -> Vec<(DataSet, Option<String>)> {
        let problem = |set: &Published| {
            let (missing, reason) = missing(set, &self.folder(set.name));
            (!missing.is_empty()).then_some(reason)
        };
        let with_problem = |set: DataSet| match set {
            DataSet::Published(known) => (set, problem(known)),
            _ => (set, None),
        };
        DataSet::all().map(with_problem).collect()
    }
}

/// `name` is not known, which `reason` says of the names there are.
pub(super) fn unknown(name: &str, reason: impl Fn(&str) -> String) -> DataError {
    let known: Vec<&str> = published().map(|set| set.name).collect();
    let hint = nearest(name, &known).map(|known| format!(", did you mean {known}?"));
    DataError::Unknown {
        name: name.to_string(),
        reason: reason(&known.join(", ")),
        hint: hint.unwrap_or_default(),
    }
}

/// The files that are not in the cache as they should be, and why the first of them is not.
fn missing<'a>(set: &'a Published, folder: &Path) -> (Vec<&'a PublishedFile>, String) {
    let mut missing = Vec::new();
    let mut first = String::new();
    for file in set.files {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Sum;
    use crate::sets::CIFAR10;

    static HELLO: [PublishedFile; 1] = [PublishedFile::new(
        "hello",
        5,
        Sum::Md5,
        "5d41402abc4b2a76b9719d911017c592",
    )];

    /// A data set of one file, "hello", in one of these folders.
    fn hello(folders: &[&Path]) -> Published {
        let folders = folders.iter().map(|f| Source::Folder(f.to_path_buf()));
        Published {
            name: "greeting",
            files: &HELLO,
            sources: folders.collect::<Vec<_>>().leak(),
            ..CIFAR10
        }
    }

    #[test]
    fn the_last_word_of_a_fetch_that_succeeds_is_its_success() {
        let folder = tempfile::tempdir().unwrap();
        let [bad, good] = ["bad", "good"].map(|name| folder.path().join(name));
        fs::create_dir(&good).unwrap();
        fs::write(good.join("hello"), "hello").unwrap();
        let set = hello(&[&bad, &good]);
        let cache = Cache::at(folder.path().join("cache"));
        let mut said = Vec::new();
        let mut progress = |line: &str| said.push(line.to_string());
        let fetched = cache.fetch_set(&set, None, FetchPolicy::Offline, &mut progress);
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
        let set = hello(&[&good]);
        let cache = Cache::at(folder.path().join("cache"));
        let fetch =
            |from: Option<&str>| cache.fetch_set(&set, from, FetchPolicy::Offline, &mut |_| {});
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
