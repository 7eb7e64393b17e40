//! Who works in a folder: a file lock, and beside it a file that says who holds it and is renewed.
//!
//! The lock alone does not do: on disks that several machines share, a lock of one may not be seen by another. The file alone
//! does not do either: after a crash it would keep everybody out until it is stale.

use std::fs::{self, File, OpenOptions, TryLockError};
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
    /// When it last said that it is there, in seconds since 1970.
    pub renewed: u64,
}

impl Holder {
    /// This process.
    pub fn this(job: Option<String>) -> Holder {
        Holder {
            host: host(),
            pid: std::process::id(),
            job,
            renewed: now(),
        }
    }

    fn is_fresh(&self) -> bool {
        now().saturating_sub(self.renewed) < STALE_AFTER.as_secs()
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
    /// Dropped to end the thread that renews.
    stop: Option<Sender<()>>,
    renewing: Option<JoinHandle<()>>,
    _lock: Option<File>,
}

/// Why a folder cannot be had.
#[derive(Debug)]
pub enum Refused {
    /// Somebody else has it.
    Held(Holder),
    /// The system's answer.
    File(FileError),
}

impl Lease {
    /// Takes `folder` under a name, such as "driver", for `holder`.
    ///
    /// # Errors
    ///
    /// Somebody else has it and has renewed it within [`STALE_AFTER`]; a file that cannot be written.
    pub fn take(folder: &Path, name: &str, holder: Holder) -> Result<Lease, Refused> {
        let io = |action, path: &Path, e| Refused::File(FileError::io(path, action, e));
        let locked = lock_path(folder, name);
        let open = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&locked);
        let lock = open.map_err(|e| io("open", &locked, e))?;
        let file = folder.join(format!("{name}.json"));
        let other = read(&file);
        // Who asks whether it is held has it for a moment, see `holder`.
        let mut locked_now = lock.try_lock();
        for _ in 0..ASKED_AGAIN {
            if matches!(locked_now, Err(TryLockError::WouldBlock)) {
                std::thread::sleep(A_MOMENT);
                locked_now = lock.try_lock();
            }
        }
        let lock = match locked_now {
            Ok(()) => Some(lock),
            Err(TryLockError::Error(e)) if has_no_locks(&e) => None,
            Err(TryLockError::WouldBlock) => {
                return Err(Refused::Held(other.unwrap_or_else(|| Holder {
                    host: "an unknown machine".to_owned(),
                    ..Holder::this(None)
                })));
            }
            Err(TryLockError::Error(e)) => return Err(io("lock", &locked, e)),
        };
        // A lock on this machine that is free says that the one who held it is gone.
        let is_gone = |other: &Holder| lock.is_some() && other.host == holder.host;
        if let Some(other) = other.filter(|o| o.is_fresh() && !is_gone(o)) {
            return Err(Refused::Held(other));
        }
        write(&file, &holder).map_err(Refused::File)?;
        let (stop, stopped) = channel();
        let (path, mut holder) = (file.clone(), holder);
        let renewing = std::thread::spawn(move || {
            while stopped.recv_timeout(RENEWED_EVERY) == Err(RecvTimeoutError::Timeout) {
                holder.renewed = now();
                // Where it cannot be written now, it may be a minute later.
                let _ = write(&path, &holder);
            }
        });
        Ok(Lease {
            file,
            stop: Some(stop),
            renewing: Some(renewing),
            _lock: lock,
        })
    }

    /// Who works in `folder` under that name.
    pub fn holder(folder: &Path, name: &str) -> Option<Holder> {
        let holder = read(&folder.join(format!("{name}.json")))?;
        let is_here = holder.host == host();
        let is_free = || {
            let lock = File::open(lock_path(folder, name)).ok()?;
            // A shared lock is enough to know, and does not keep others from asking.
            Some(lock.try_lock_shared().is_ok())
        };
        let is_gone = is_here && is_free() == Some(true);
        (holder.is_fresh() && !is_gone).then_some(holder)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(renewing) = self.renewing.take() {
            let _ = renewing.join();
        }
        let _ = fs::remove_file(&self.file);
    }
}

fn lock_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".ganforge-{name}"))
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

    fn of(host: &str, renewed: u64) -> Holder {
        Holder {
            host: host.to_owned(),
            renewed,
            ..Holder::this(Some("12_7".to_owned()))
        }
    }

    #[test]
    fn a_folder_is_held_once_and_free_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(Lease::holder(path, "driver"), None);
        let first = Lease::take(path, "driver", Holder::this(None)).unwrap();
        let holder = Lease::holder(path, "driver").expect("it is held");
        assert_eq!(holder.pid, std::process::id());
        match Lease::take(path, "driver", Holder::this(None)) {
            Err(Refused::Held(other)) => assert_eq!(other, holder),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert_eq!(Lease::holder(path, "driver"), None);
        drop(Lease::take(path, "driver", Holder::this(None)).unwrap());
    }

    #[test]
    fn who_is_gone_keeps_nobody_out_and_who_renews_elsewhere_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let file = path.join("trial.json");
        // A process of this machine that was killed.
        write(&file, &of(&host(), now())).unwrap();
        fs::write(lock_path(path, "trial"), "").unwrap();
        assert_eq!(Lease::holder(path, "trial"), None);
        drop(Lease::take(path, "trial", Holder::this(None)).unwrap());
        // One of another machine: there or not, as its last word is young or old.
        write(&file, &of("another", now())).unwrap();
        assert!(Lease::holder(path, "trial").is_some());
        let refused = Lease::take(path, "trial", Holder::this(None)).unwrap_err();
        match refused {
            Refused::Held(other) => {
                assert!(
                    other.to_string().ends_with("on another, job 12_7"),
                    "{other}"
                );
            }
            Refused::File(e) => panic!("{e}"),
        }
        write(&file, &of("another", now() - STALE_AFTER.as_secs())).unwrap();
        assert_eq!(Lease::holder(path, "trial"), None);
        drop(Lease::take(path, "trial", Holder::this(None)).unwrap());
    }
}
