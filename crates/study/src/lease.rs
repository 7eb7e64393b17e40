//! Who works in a folder: a file lock, and beside it a file that says who holds it and is renewed.
//!
//! The lock alone does not do: on disks that several machines share, a lock of one may not be seen by another. The file alone
//! does not do either: after a crash it would keep everybody out until it is stale.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ganforge_data::files::durable::has_no_locks;
use ganforge_data::files::{FileError, write_atomic};
use serde::{Deserialize, Serialize};

/// Time between two renewals.
pub const RENEWED_EVERY: Duration = Duration::from_secs(60);
/// After so long without one nobody is there any more.
pub const STALE_AFTER: Duration = Duration::from_secs(300);
/// How often a lock is asked for again, and how long after.
const ASKED_AGAIN: usize = 5;
const A_MOMENT: Duration = Duration::from_millis(20);

/// Who works in a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The machine.
    pub host: String,
    /// The process there.
    pub pid: u32,
    /// The engine's number of the job it runs in, if it is known.
    pub job: Option<String>,
    /// Drawn when it took the folder: tells it from all others.
    pub token: u64,
}

impl Holder {
    /// This process.
    pub fn this(job: Option<String>) -> Holder {
        Holder {
            host: host(),
            pid: std::process::id(),
            job,
            token: drawn(),
        }
    }
}

/// "process 4711 on node3, job 12_7".
impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)?;
        match &self.job {
            Some(job) => write!(f, ", job {job}"),
            None => Ok(()),
        }
    }
}

/// A number that no other process has: of the generator by which maps hash.
fn drawn() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// The name of this machine.
pub fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "this machine".to_owned(), |n| n.trim().to_owned())
}

/// A folder that this process works in, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    file: PathBuf,
    token: u64,
    /// Dropped to end the thread that renews.
    stop: Option<Sender<()>>,
    renewing: Option<JoinHandle<()>>,
    _lock: Option<File>,
}

/// Why a folder cannot be had.
#[derive(Debug)]
pub enum Refused {
    /// Somebody else has it; who, if that can be read.
    Held(Option<Holder>),
    /// The system's answer.
    File(FileError),
}

impl Lease {
    /// Takes `folder` under a name, such as "driver", for `holder`. `lost` is called, on another thread, where somebody else has
    /// taken it meanwhile, as from a machine that was suspended: this process must not write there any more.
    ///
    /// # Errors
    ///
    /// Somebody else has it and has renewed it within [`STALE_AFTER`]; a file that cannot be written.
    pub fn take(
        folder: &Path,
        name: &str,
        holder: Holder,
        lost: impl FnOnce() + Send + 'static,
    ) -> Result<Lease, Refused> {
        let lock = locked(&folder.join(lock_name(name)))?;
        let file = folder.join(format!("{name}.json"));
        // A lock on this machine that is free says that the one who held it is gone.
        let is_gone = |other: &Holder| lock.is_some() && other.host == holder.host;
        if let Some(other) = read(&file).filter(|other| !is_gone(other) && is_fresh(&file)) {
            return Err(Refused::Held(Some(other)));
        }
        write(&file, &holder).map_err(Refused::File)?;
        // Of two machines that do not see each other's locks, the one that wrote last has it.
        std::thread::sleep(A_MOMENT);
        if let Some(other) = read(&file).filter(|other| other.token != holder.token) {
            return Err(Refused::Held(Some(other)));
        }
        let (stop, stopped) = channel();
        let (path, token) = (file.clone(), holder.token);
        let renewing = std::thread::spawn(move || {
            while stopped.recv_timeout(RENEWED_EVERY) == Err(RecvTimeoutError::Timeout) {
                match read(&path) {
                    Some(other) if other.token != holder.token => return lost(),
                    // Where it cannot be written now, it may be a minute later.
                    _ => drop(write(&path, &holder)),
                }
            }
        });
        Ok(Lease {
            file,
            token,
            stop: Some(stop),
            renewing: Some(renewing),
            _lock: lock,
        })
    }

    /// When who works in `folder` under that name last said so, by the clock of the disk.
    pub fn renewed(folder: &Path, name: &str) -> Option<SystemTime> {
        let file = fs::metadata(folder.join(format!("{name}.json")));
        file.and_then(|m| m.modified()).ok()
    }

    /// Who works in `folder` under that name.
    pub fn holder(folder: &Path, name: &str) -> Option<Holder> {
        let file = folder.join(format!("{name}.json"));
        let holder = read(&file)?;
        let is_here = match holder.host == host() {
            false => None,
            // A shared lock is enough to know, and keeps others from it for a moment only.
            true => File::open(folder.join(lock_name(name))).ok().and_then(|f| {
                match f.try_lock_shared() {
                    Ok(()) => Some(false),
                    Err(TryLockError::WouldBlock) => Some(true),
                    Err(TryLockError::Error(_)) => None,
                }
            }),
        };
        is_here.unwrap_or_else(|| is_fresh(&file)).then_some(holder)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
        if read(&self.file).is_some_and(|holder| holder.token == self.token) {
            let _ = fs::remove_file(&self.file);
        }
    }
}

fn lock_name(name: &str) -> String {
    format!(".ganforge-{name}")
}

/// The lock in a file; none where the file system has no locks.
fn locked(path: &Path) -> Result<Option<File>, Refused> {
    let io = |action, e| Refused::File(FileError::io(path, action, e));
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|e| io("open", e))?;
    let mut answer = file.try_lock();
    // Who asks whether it is held has it for a moment, see `holder`.
    for _ in 0..ASKED_AGAIN {
        if matches!(answer, Err(TryLockError::WouldBlock)) {
            std::thread::sleep(A_MOMENT);
            answer = file.try_lock();
        }
    }
    match answer {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::Error(e)) if has_no_locks(&e) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.trim_start_matches(".ganforge-");
            Err(Refused::Held(read(
                &path.with_file_name(format!("{name}.json")),
            )))
        }
        Err(TryLockError::Error(e)) => Err(io("lock", e)),
    }
}

/// Whether a file was written within [`STALE_AFTER`]: by the clock of the disk, which gives a new file its time as well, so that
/// the clocks of machines need not agree.
fn is_fresh(file: &Path) -> bool {
    let Ok(written) = fs::metadata(file).and_then(|m| m.modified()) else {
        return false;
    };
    let mut probe = tempfile::Builder::new();
    let probe = probe.prefix(".ganforge-").suffix(".part");
    let probe = file
        .parent()
        .and_then(|folder| probe.tempfile_in(folder).ok());
    let now = probe.and_then(|p| p.as_file().metadata().ok()?.modified().ok());
    let age = now.unwrap_or_else(SystemTime::now).duration_since(written);
    // A file of the future is one that was written this moment.
    age.unwrap_or_default() < STALE_AFTER
}

fn read(file: &Path) -> Option<Holder> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

fn write(file: &Path, holder: &Holder) -> Result<(), FileError> {
    let text = serde_json::to_string(holder).unwrap_or_default();
    write_atomic(file, |w| w.write_all(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &str) -> Holder {
        Holder {
            host: host.to_owned(),
            ..Holder::this(Some("12_7".to_owned()))
        }
    }

    fn take(path: &Path, name: &str) -> Result<Lease, Refused> {
        Lease::take(path, name, Holder::this(None), || {})
    }

    /// Makes a file as old as that.
    fn age(file: &Path, age: Duration) {
        let old = File::options().write(true).open(file).unwrap();
        old.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn a_folder_is_held_once_and_free_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(Lease::holder(path, "driver"), None);
        let first = take(path, "driver").unwrap();
        let holder = Lease::holder(path, "driver").expect("it is held");
        assert_eq!(holder.pid, std::process::id());
        match take(path, "driver") {
            Err(Refused::Held(other)) => assert_eq!(other, Some(holder)),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert_eq!(Lease::holder(path, "driver"), None);
        drop(take(path, "driver").unwrap());
    }

    #[test]
    fn who_is_gone_keeps_nobody_out_and_who_renews_elsewhere_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let file = path.join("trial.json");
        // A process of this machine that was killed.
        write(&file, &of(&host())).unwrap();
        fs::write(path.join(lock_name("trial")), "").unwrap();
        assert_eq!(Lease::holder(path, "trial"), None);
        drop(take(path, "trial").unwrap());
        // One of another machine: there or not, as its last word is young or old.
        write(&file, &of("another")).unwrap();
        assert!(Lease::holder(path, "trial").is_some());
        match take(path, "trial") {
            Err(Refused::Held(Some(other))) => {
                let told = other.to_string();
                assert!(told.ends_with("on another, job 12_7"), "{told}");
            }
            other => panic!("{other:?}"),
        }
        age(&file, STALE_AFTER + Duration::from_secs(1));
        assert_eq!(Lease::holder(path, "trial"), None);
        drop(take(path, "trial").unwrap());
        let left: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, [lock_name("trial").as_str()], "no probe is left");
    }

    #[test]
    fn what_another_has_taken_meanwhile_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let file = path.join("driver.json");
        let first = take(path, "driver").unwrap();
        let other = of("another");
        write(&file, &other).unwrap();
        drop(first);
        assert_eq!(read(&file), Some(other));
    }
}
