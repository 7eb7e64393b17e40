//! The checkpoint of the best score of a run, beside its newest ones.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::{Run, table};
use crate::config::{BestOn, Config};
use crate::error::{Error, Result};
use crate::files::found;
use crate::metrics::Column;
use crate::state::{self, State};

/// The best checkpoint of a run and why it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// Its steps.
    pub step: u64,
    /// Its epoch; none where scores.csv has no row of it, as where a killed run is to repeat it.
    pub epoch: Option<usize>,
    /// The column of scores.csv by which it was chosen.
    pub score: String,
    /// The number in that column.
    pub value: Option<f64>,
    /// The images on which it was computed: "valid" or "test".
    pub on: &'static str,
    /// What of them where people read it, and the column.
    #[serde(skip)]
    words: (BestOn, Column),
}

/// "after step 400, epoch 4: valid_fid_mnistnet 12.34, on validation images".
impl fmt::Display for Best {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Best { step, score, .. } = self;
        let (on, column) = &self.words;
        write!(f, "after step {step}")?;
        if let Some(epoch) = self.epoch {
            write!(f, ", epoch {epoch}")?;
        }
        write!(f, ": {score}")?;
        if let Some(value) = self.value {
            write!(f, " {value:.*}", column.decimals)?;
        }
        write!(f, ", {}", on.words())
    }
}

impl Run {
    /// The file of the best checkpoint.
    pub(super) fn best_path(&self) -> PathBuf {
        self.folder.join("checkpoints").join("best.npz")
    }

    /// Whether the score `value` after `step` steps is better than that of the best checkpoint, or the first one for which a
    /// checkpoint is kept. Of equal ones the earlier stays.
    ///
    /// A better row whose checkpoint is gone, as after a return to before it on another device, does not count: the best checkpoint
    /// is the best of those that there are.
    ///
    /// # Errors
    /// A damaged checkpoint or table.
    pub(crate) fn is_best(&self, step: u64, value: f64) -> Result<bool> {
        let Some(choice) = self.config.eval.choice().filter(|_| !value.is_nan()) else {
            return Ok(false);
        };
        // One of this step was kept by a run that was killed before the row.
        let before = self.best()?.filter(|best| best.step < step);
        let Some(before) = before.and_then(|best| best.value) else {
            return Ok(true);
        };
        // As the table has it: with those digits it is compared after a resume, too.
        let value = choice.column.field(value).parse().unwrap_or(value);
        Ok(before.is_nan() || choice.is_better(value, before))
    }

    /// The best checkpoint, where it is of more than `step` steps.
    ///
    /// errors: a damaged one
    pub(super) fn best_after(&self, step: u64) -> Result<Option<PathBuf>> {
        let path = self.best_path();
        match found(&path)? {
            Some(_) if state::step(&path)? > step => Ok(Some(path)),
            _ => Ok(None),
        }
    }

    /// Keeps `state`, of a model of `config`, as the best checkpoint; `data` is the SHA-256 of the data set.
    ///
    /// # Errors
    /// What the system refuses; the one before it is left as it was.
    pub(crate) fn keep_best(&self, config: &Config, state: &State, data: &str) -> Result<()> {
        state.save(&self.best_path(), config, data)
    }

    /// The best checkpoint, where there is one.
    ///
    /// # Errors
    /// A damaged checkpoint or table.
    pub fn best(&self) -> Result<Option<Best>> {
        let (path, choice) = (self.best_path(), self.config.eval.choice());
        let Some(choice) = choice.filter(|_| path.is_file()) else {
            return Ok(None);
        };
        let step = state::step(&path)?;
        let scores = self.folder.join(self.tables[1].file());
        let row = match scores.is_file() {
            true => {
                let table = table::Table::read(&scores)?;
                let column = table.names.iter().position(|name| *name == choice.name);
                let row = table.rows.iter().find(|row| row[0] == step as f64);
                row.map(|row| (row[1] as usize, column.map(|c| row[c])))
            }
            false => None,
        };
        Ok(Some(Best {
            step,
            epoch: row.map(|(epoch, _)| epoch),
            score: choice.name.clone(),
            value: row.and_then(|(_, value)| value),
            on: choice.on.name(),
            words: (choice.on, choice.column),
        }))
    }

    /// The same run, read as if its best checkpoint were its newest one.
    ///
    /// # Errors
    /// A run that keeps none, or has none yet.
    pub fn at_best(self) -> Result<Run> {
        let reason = match (&self.config.eval.best, found(&self.best_path())?) {
            (Some(_), Some(_)) => {
                return Ok(Run {
                    only: Some(self.best_path()),
                    ..self
                });
            }
            (None, _) => "keeps no best checkpoint: its configuration has no eval.best".to_owned(),
            (Some(_), None) => format!(
                "has no best checkpoint yet: there is one after the first score, at epoch {}",
                self.config.eval.every.min(self.config.train.epochs)
            ),
        };
        Err(Error::Run {
            folder: self.folder.clone(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;

    use crate::data::GAUSSIAN;
    use crate::trainer::Trainer;

    /// Whether a score of so many steps is the best of a run of `options` whose best checkpoint is of 2 steps and whose scores are
    /// these, by step.
    fn is_best(options: &[&str], rows: &[(u64, &str)], step: u64, value: f64) -> bool {
        let place = tempfile::tempdir().expect("a folder");
        let config = Config::preset("fig1").and_then(|c| c.with(options));
        let config = config.expect("valid");
        let run = Run::create(&place.path().join("run"), &config, "{}").expect("made");
        let mut trainer = Trainer::new(&config, &GAUSSIAN.draw(1).train).expect("a trainer");
        if !rows.is_empty() {
            trainer.step().expect("a step");
            trainer.step().expect("a step");
            run.keep_best(&config, trainer.state(), "").expect("kept");
        }
        let scores = &run.tables[1];
        let name = config.eval.choice().map(|choice| choice.name);
        let columns: Vec<String> = config.eval.columns().into_iter().map(|(n, _)| n).collect();
        let mut table = format!("step,epoch,{}\n", columns.join(","));
        for (step, value) in rows {
            let fields = columns
                .iter()
                .map(|column| match Some(column) == name.as_ref() {
                    true => *value,
                    false => "0",
                });
            table += &format!("{step},1,{}\n", fields.collect::<Vec<_>>().join(","));
        }
        fs::write(run.folder.join(scores.file()), table).expect("written");
        run.is_best(step, value).expect("read")
    }

    #[test]
    fn the_best_score_is_better_than_that_of_the_best_checkpoint() {
        let lower = &["eval.every=1", "eval.best=jsd", "eval.best_on=test"][..];
        let rows = &[(2, "0.5")][..];
        for (rows, step, value, expected) in [
            (&[][..], 4, 0.5, true),
            (&[], 4, f64::NAN, false),
            (rows, 4, 0.4, true),
            (rows, 4, 0.6, false),
            (rows, 4, f64::NAN, false),
            // The earlier of equal ones stays, as the table has them.
            (rows, 4, 0.5, false),
            (rows, 4, 0.5 - 1e-12, false),
            // Kept by a run that was killed before the row.
            (rows, 2, 0.6, true),
            (&[(1, "0.4")], 4, 0.9, true),
            // One that could not be told.
            (&[(2, "")], 4, 0.9, true),
            // A better row without a checkpoint does not count.
            (&[(1, "0.1"), (2, "0.5")], 4, 0.3, true),
        ] {
            let found = is_best(lower, rows, step, value);
            assert_eq!(found, expected, "{rows:?}, {step}: {value}");
        }
        assert!(!is_best(&["eval.every=1"], rows, 4, 0.1));
    }
}
