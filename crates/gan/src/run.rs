//! A run's folder: `config.toml`, `run.json`, `metrics.csv`, `scores.csv`, `samples/`,
//! `checkpoints/`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use ganforge_tensor::Store;

use crate::config::Config;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::figures::grid;
use crate::files::{FileError, write_atomic};
use crate::metrics::parzen::ParzenScore;
use crate::{checkpoint, init};

const METRICS_HEADER: &str = "step,epoch,loss_d,loss_g,d_real,d_fake,lr,momentum";
const SCORES_HEADER: &str = "step,epoch,log_likelihood,stderr,sigma,n_samples,n_valid,n_test";

/// A row of metrics.csv: means over the steps since the row before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricsRow {
    /// Completed steps.
    pub step: u64,
    /// The epoch, from 1.
    pub epoch: usize,
    /// D's loss in nats.
    pub loss_d: f64,
    /// G's loss in nats.
    pub loss_g: f64,
    /// Mean D(x).
    pub d_real: f64,
    /// Mean D(G(z)).
    pub d_fake: f64,
    /// The learning rate of the last step.
    pub lr: f64,
    /// The momentum of the last step; empty without.
    pub momentum: Option<f64>,
}

/// An open run folder.
pub struct Run {
    folder: PathBuf,
    keep: usize,
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
        if folder.is_file() {
            return Err(refuse("is a file, expected a folder for the run"));
        }
        let mut entries = fs::read_dir(folder).into_iter().flatten();
        if entries.next().is_some() {
            return Err(refuse(
                "is not empty: choose another folder with --out, or go on with --resume",
            ));
        }
        for part in ["samples", "checkpoints"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(|e| io(&path, "create", e))?;
        }
        let run = Run {
            folder: folder.to_path_buf(),
            keep: config.output.keep_checkpoints,
        };
        run.write("config.toml", &config.to_toml())?;
        run.write("run.json", about)?;
        run.write("metrics.csv", &format!("{METRICS_HEADER}\n"))?;
        run.write("scores.csv", &format!("{SCORES_HEADER}\n"))?;
        Ok(run)
    }

    /// Opens the folder of a run and reads its configuration.
    ///
    /// # Errors
    /// No such folder, no or a bad config.toml.
    pub fn open(folder: &Path) -> Result<(Run, Config)> {
        let path = folder.join("config.toml");
        if !path.is_file() {
            return Err(Error::Run {
                folder: folder.to_path_buf(),
                reason: "is not a run: it has no config.toml".into(),
            });
        }
        let text = fs::read_to_string(&path).map_err(|e| io(&path, "read", e))?;
        let config = Config::from_toml(&text, &path.display().to_string())?;
        let run = Run {
            folder: folder.to_path_buf(),
            keep: config.output.keep_checkpoints,
        };
        Ok((run, config))
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

    /// Appends a row to metrics.csv.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn log(&self, r: &MetricsRow) -> Result<()> {
        let momentum = r.momentum.map_or(String::new(), |m| m.to_string());
        let row = format!(
            "{},{},{:.6},{:.6},{:.6},{:.6},{},{momentum}",
            r.step, r.epoch, r.loss_d, r.loss_g, r.d_real, r.d_fake, r.lr
        );
        self.append("metrics.csv", &row)
    }

    /// Appends a row to scores.csv.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn score(&self, epoch: usize, step: u64, s: &ParzenScore) -> Result<()> {
        let row = format!(
            "{step},{epoch},{:.4},{:.4},{:.6},{},{},{}",
            s.log_likelihood, s.stderr, s.sigma, s.n_samples, s.n_valid, s.n_test
        );
        self.append("scores.csv", &row)
    }

    fn append(&self, name: &str, row: &str) -> Result<()> {
        let path = self.folder.join(name);
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let mut file = file.map_err(|e| io(&path, "open", e))?;
        writeln!(file, "{row}").map_err(|e| io(&path, "append to", e))
    }

    /// Removes rows of metrics.csv and scores.csv from after `step`: a run that was killed has
    /// logged steps that it will repeat.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn rewind(&self, step: u64) -> Result<()> {
        for (name, header) in [
            ("metrics.csv", METRICS_HEADER),
            ("scores.csv", SCORES_HEADER),
        ] {
            let path = self.folder.join(name);
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(e) => return Err(io(&path, "read", e)),
            };
            let fields = header.split(',').count();
            let is_kept = |line: &&str| {
                let at = line.split(',').next().and_then(|s| s.parse::<u64>().ok());
                line.split(',').count() == fields && at.is_some_and(|s| s <= step)
            };
            let kept: Vec<&str> = text.lines().filter(is_kept).collect();
            let rows = kept
                .iter()
                .map(|row| format!("{row}\n"))
                .collect::<String>();
            self.write(name, &format!("{header}\n{rows}"))?;
        }
        Ok(())
    }

    /// Writes the picture of an epoch's samples, [rows · cols, data] in [0, 1].
    ///
    /// # Errors
    /// What the system refuses.
    pub fn samples(
        &self,
        epoch: usize,
        samples: &[f32],
        data: &Dataset,
        rows: usize,
        cols: usize,
    ) -> Result<()> {
        let (h, w, c) = (data.height, data.width, data.channels);
        let picture = grid::image_grid(samples, rows * cols, h, w, c, rows, cols, 2)?;
        grid::save_png(&picture, &self.sample_path(epoch))?;
        Ok(())
    }

    /// Where the picture of an epoch's samples is.
    pub fn sample_path(&self, epoch: usize) -> PathBuf {
        self.folder
            .join("samples")
            .join(format!("epoch-{epoch:03}.png"))
    }

    /// Writes a checkpoint, then removes the oldest ones beyond the configured number.
    ///
    /// # Errors
    /// What the system refuses; earlier checkpoints are left as they were.
    pub fn checkpoint(&self, config: &Config, store: &Store) -> Result<PathBuf> {
        let name = format!("step-{:08}.npz", store.control.step);
        let path = self.folder.join("checkpoints").join(name);
        checkpoint::save(&path, config, store)?;
        let all = self.checkpoints()?;
        for old in &all[..all.len().saturating_sub(self.keep.max(1))] {
            fs::remove_file(old).map_err(|e| io(old, "remove", e))?;
        }
        Ok(path)
    }

    /// The newest checkpoint, if there is one.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn last_checkpoint(&self) -> Result<Option<PathBuf>> {
        Ok(self.checkpoints()?.pop())
    }

    /// All checkpoints, oldest first.
    fn checkpoints(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("checkpoints");
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|e| io(&folder, "read", e))? {
            let path = entry.map_err(|e| io(&folder, "read", e))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
            let step = name
                .strip_prefix("step-")
                .and_then(|n| n.strip_suffix(".npz"));
            if let Some(step) = step.and_then(|s| s.parse::<u64>().ok()) {
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
        let Some(path) = self.last_checkpoint()? else {
            return Err(Error::Run {
                folder: self.folder.clone(),
                reason: "has no checkpoint yet".into(),
            });
        };
        let mut store = init::store(config, data_dim, &[])?;
        checkpoint::load(&path, config, &mut store)?;
        Ok(store)
    }
}

fn io(path: &Path, action: &'static str, reason: std::io::Error) -> Error {
    Error::File(FileError::io(path, action, reason))
}
