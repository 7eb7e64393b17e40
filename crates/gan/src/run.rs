//! A run's folder: `config.toml`, `run.json`, `metrics.csv`, `scores.csv`, `samples/`,
//! `tensorboard/`, `checkpoints/`: the newest ones and, with `eval.best`, `best.npz`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use ganforge_tensor::Store;
use records::Table;

use crate::config::{Config, ConfigError};
use crate::error::{Error, Result, room_for};
use crate::files::durable::has_no_locks;
use crate::files::{FileError, found, write_atomic};
use crate::state::State;
use crate::tensors::Tensors;
use crate::{init, state};

mod best;
mod events;
mod missing;
mod records;
pub mod table;

pub use best::Best;
pub(crate) use records::GRID_PADDING;
pub use records::MetricsRow;

/// The folders in a run's folder.
const PARTS: [&str; 3] = ["samples", "checkpoints", "tensorboard"];

/// What a study has in the folder of a trial before it is a run.
const OF_A_STUDY: [&str; 2] = ["trial.toml", "tries"];

/// An open run folder.
pub struct Run {
    folder: PathBuf,
    /// As its config.toml had it when it was opened.
    config: Config,
    tables: [Table; 2],
    lock: Lock,
    /// The only checkpoint that is read, where it is one alone.
    only: Option<PathBuf>,
}

/// What keeps a second process from training the same run.
enum Lock {
    /// Nothing: the run is only read.
    None,
    /// Held while this process trains the run.
    Held(#[expect(dead_code, reason = "what counts is that it is open")] File),
    /// The file system has no locks; what it answered.
    Missing(std::io::Error),
}

impl Run {
    /// Makes the folder of a new run and writes its config.toml and run.json.
    ///
    /// `about` is the text of run.json.
    ///
    /// # Errors
    /// A folder that is not empty, or that cannot be written.
    pub fn create(folder: &Path, config: &Config, about: &str) -> Result<Run> {
        let refuse = |reason: &str| Error::Run {
            folder: folder.to_path_buf(),
            reason: reason.to_string(),
        };
        if folder.exists() && !folder.is_dir() {
            return Err(refuse("is a file, expected a folder for the run"));
        }
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with(".ganforge-") && !OF_A_STUDY.contains(&&*name) {
                return Err(refuse(
                    "is not empty: choose another folder with --out, or continue with --resume",
                ));
            }
        }
        fs::create_dir_all(folder).map_err(|e| io(folder, "create", e))?;
        let mut run = Run {
            folder: folder.to_path_buf(),
            config: config.clone(),
            tables: Table::all(config),
            lock: Lock::None,
            only: None,
        };
        run.lock()?;
        // First of all: a folder with this file can be resumed, whatever else it lacks.
        run.write("config.toml", &config.to_toml())?;
        run.write("run.json", about)?;
        run.rewind(0)?;
        Ok(run)
    }

    /// Opens the folder of a run and reads its configuration.
    ///
    /// # Errors
    /// No such folder, no or a bad config.toml.
    pub fn open(folder: &Path) -> Result<(Run, Config)> {
        Run::open_with(folder, Config::from_toml)
    }

    /// The same of a run whose configuration names what only this program has, and `own` brings along.
    ///
    /// # Errors
    /// As [`Run::open`].
    pub fn open_like(folder: &Path, own: &Config) -> Result<(Run, Config)> {
        Run::open_with(folder, |text, origin| own.read_like(text, origin))
    }

    fn open_with(
        folder: &Path,
        read: impl FnOnce(&str, &str) -> Result<Config, ConfigError>,
    ) -> Result<(Run, Config)> {
        let path = folder.join("config.toml");
        if !found(&path)?.is_some_and(|f| f.is_file()) {
            return Err(Error::Run {
                folder: folder.to_path_buf(),
                reason: match found(folder)?.is_some() {
                    true => "is not a run: it has no config.toml".into(),
                    false => "is not a run: there is no such file or folder".into(),
                },
            });
        }
        let text = fs::read_to_string(&path).map_err(|e| io(&path, "read", e))?;
        let config = read(&text, &path.display().to_string())?;
        let run = Run {
            folder: folder.to_path_buf(),
            config: config.clone(),
            tables: Table::all(&config),
            lock: Lock::None,
            only: None,
        };
        Ok((run, config))
    }

    /// Takes the run for this process until it ends: two that train it at once would mix their
    /// steps. Where the file system has no locks, [`Run::lock_warning`] says so.
    ///
    /// # Errors
    /// Another process has it; what the system refuses.
    pub fn lock(&mut self) -> Result<()> {
        let path = self.folder.join(".ganforge-lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(|e| io(&path, "open", e))?;
        match file.try_lock() {
            Ok(()) => {
                self.lock = Lock::Held(file);
                Ok(())
            }
            Err(TryLockError::Error(e)) if has_no_locks(&e) => {
                self.lock = Lock::Missing(e);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(Error::Run {
                folder: self.folder.clone(),
                reason: "is being trained by another process".into(),
            }),
            Err(TryLockError::Error(e)) => Err(io(&path, "lock", e)),
        }
    }

    /// What must be known where [`Run::lock`] had no lock to take.
    pub fn lock_warning(&self) -> Option<String> {
        match &self.lock {
            Lock::Missing(answer) => Some(format!(
                "{}: this file system does not support file locks ({answer}): make sure that no other process trains this run",
                self.folder.display()
            )),
            _ => None,
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file of the run's folder, atomically.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let write = |w: &mut dyn Write| w.write_all(text.as_bytes());
        Ok(write_atomic(&self.folder.join(name), write)?)
    }

    /// Makes the run ready to go on after `step`: removes rows and events from after it, and a best checkpoint of a later step,
    /// which a killed run has logged and will repeat, on another device with other numbers; removes what it left of files that
    /// it never finished; makes what is not there yet.
    ///
    /// # Errors
    /// A damaged table or best checkpoint, before anything is taken back; what the system refuses.
    pub fn rewind(&self, step: u64) -> Result<()> {
        for part in PARTS {
            let path = self.folder.join(part);
            fs::create_dir_all(&path).map_err(|e| io(&path, "create", e))?;
        }
        self.sweep()?;
        let abandoned = self.best_after(step)?;
        self.rewind_records(step)?;
        match abandoned {
            Some(best) => fs::remove_file(&best).map_err(|e| io(&best, "remove", e)),
            None => Ok(()),
        }
    }

    /// What a killed program left of files that it was writing.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn unfinished(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let parts = PARTS.iter().map(|part| self.folder.join(part));
        for folder in parts.chain([self.folder.clone()]).filter(|f| f.is_dir()) {
            for entry in fs::read_dir(&folder).map_err(|e| io(&folder, "read", e))? {
                let entry = entry.map_err(|e| io(&folder, "read", e))?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with(".ganforge-") && name.ends_with(".part") {
                    found.push(entry.path());
                }
            }
        }
        Ok(found)
    }

    /// Removes what is [`Run::unfinished`]; of a run that is [`Run::lock`]ed nobody is writing it still.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn sweep(&self) -> Result<()> {
        for path in self.unfinished()? {
            fs::remove_file(&path).map_err(|e| io(&path, "remove", e))?;
        }
        Ok(())
    }

    /// Where the picture of an epoch's samples is.
    pub fn sample_path(&self, epoch: usize) -> PathBuf {
        self.folder
            .join("samples")
            .join(format!("epoch-{epoch:03}.png"))
    }

    /// Whether the picture of an epoch's samples is there; a run without a generator has none, and lacks none.
    pub(crate) fn has_picture(&self, config: &Config, epoch: usize) -> bool {
        !config.is_gan() || self.sample_path(epoch).is_file()
    }

    /// Writes a checkpoint of a model of `config`, then removes the oldest ones beyond the configured number. `data` is the
    /// SHA-256 of the data set.
    ///
    /// # Errors
    /// What the system refuses; earlier checkpoints are left as they were.
    pub fn checkpoint(&self, config: &Config, state: &State, data: &str) -> Result<PathBuf> {
        // A checkpoint must not last longer than the rows that lead up to it.
        self.sync_records()?;
        let name = format!("step-{:08}.npz", state.store.control.step);
        let path = self.folder.join("checkpoints").join(name);
        state.save(&path, config, data)?;
        let all = self.checkpoints()?;
        let keep = self.config.output.keep_checkpoints.max(1);
        for old in &all[..all.len().saturating_sub(keep)] {
            fs::remove_file(old).map_err(|e| io(old, "remove", e))?;
        }
        Ok(path)
    }

    /// The same run, read as if the checkpoint that is its newest one now stayed that; and its path.
    ///
    /// # Errors
    /// No checkpoint; a folder that cannot be read.
    pub(crate) fn at_newest(self) -> Result<(Run, PathBuf)> {
        let newest = self.newest_checkpoint()?;
        let only = Some(newest.clone());
        Ok((Run { only, ..self }, newest))
    }

    /// The newest checkpoint, if there is one.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn last_checkpoint(&self) -> Result<Option<PathBuf>> {
        Ok(self.checkpoints()?.pop())
    }

    /// The newest checkpoint of at most `step` steps; none of a run without checkpoints.
    ///
    /// # Errors
    /// Later checkpoints, and none of that age.
    pub fn checkpoint_before(&self, step: u64) -> Result<Option<PathBuf>> {
        let all = self.checkpoints()?;
        let found = all
            .iter()
            .rev()
            .find(|path| checkpoint_step(path) <= Some(step));
        match (found, all.first()) {
            (None, Some(oldest)) => Err(Error::Run {
                folder: self.folder.clone(),
                reason: format!(
                    "has no checkpoint before step {step}: the oldest is {}",
                    oldest.display()
                ),
            }),
            _ => Ok(found.cloned()),
        }
    }

    /// Whether a finished run has what training leaves beside its score: the last picture, and the score in scores.csv.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn is_complete(&self, config: &Config) -> Result<bool> {
        let last = config.train.epochs;
        Ok(self.has_picture(config, last) && self.has_score(last)?)
    }

    /// Removes all that was recorded, so that the run can begin again: checkpoints first, without which a run that is killed
    /// meanwhile is not resumed unasked.
    ///
    /// # Errors
    /// A damaged table, before anything is removed; what the system refuses.
    pub fn begin_again(&self) -> Result<()> {
        self.rewound(0)?;
        let best = Some(self.best_path()).filter(|path| path.is_file());
        let all = self.checkpoints()?.into_iter().chain(best);
        for path in all.chain(self.pictures()) {
            fs::remove_file(&path).map_err(|e| io(&path, "remove", e))?;
        }
        self.rewind(0)
    }

    /// The pictures of samples, in any order.
    fn pictures(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join("samples"));
        let paths = entries.into_iter().flatten().flatten().map(|e| e.path());
        paths.filter(|path| picture_epoch(path).is_some()).collect()
    }

    /// All checkpoints but the best one, oldest first.
    fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        if let Some(only) = &self.only {
            return Ok(vec![only.clone()]);
        }
        let folder = self.folder.join("checkpoints");
        let mut found = Vec::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(io(&folder, "read", e)),
        };
        for entry in entries {
            let path = entry.map_err(|e| io(&folder, "read", e))?.path();
            if let Some(step) = checkpoint_step(&path) {
                found.push((step, path));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|f| f.1).collect())
    }

    /// The state of the newest checkpoint.
    ///
    /// # Errors
    /// No checkpoint; a damaged one, with the older one that could be used instead.
    pub fn load(&self, config: &Config, data_dim: usize) -> Result<Store> {
        self.newest_checkpoint()?;
        room_for("this model", Tensors::of(config, data_dim).elements())?;
        let fresh = init::store(config, data_dim, &[])?;
        let state = self.newest(|path| State::load(path, config, &fresh))?;
        Ok(state.map_or(fresh, |(state, _)| state.store))
    }

    /// The SHA-256 of the data that the newest checkpoint has learnt from, if there is one.
    ///
    /// # Errors
    /// A damaged checkpoint, with the older one that could be used instead.
    pub fn learnt_from(&self) -> Result<Option<String>> {
        self.newest(state::learnt_from)
    }

    /// Reads the newest checkpoint, if there is one, through `load`.
    ///
    /// # Errors
    /// A damaged checkpoint, with the older one that could be used instead.
    pub fn newest<T>(&self, load: impl FnOnce(&Path) -> Result<T>) -> Result<Option<T>> {
        let mut all = self.checkpoints()?;
        let Some(newest) = all.pop() else {
            return Ok(None);
        };
        // One that is whole but of another model says nothing for the one before it.
        let is_damaged = |e: &Error| matches!(e, Error::File(_));
        load(&newest).map(Some).map_err(|error| match all.pop() {
            Some(older) if is_damaged(&error) => Error::Damaged {
                error: Box::new(error),
                newest,
                older,
            },
            _ => error,
        })
    }
}

/// The steps of the checkpoint at `path`, by its name; nothing for other files.
fn checkpoint_step(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let step = name.strip_prefix("step-")?.strip_suffix(".npz")?;
    step.parse().ok()
}

/// The epoch of the picture at `path`, by its name; nothing for other files.
fn picture_epoch(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?;
    let epoch = name.strip_prefix("epoch-")?.strip_suffix(".png")?;
    epoch.parse().ok()
}

fn io(path: &Path, action: &'static str, reason: std::io::Error) -> Error {
    Error::File(FileError::io(path, action, reason))
}
