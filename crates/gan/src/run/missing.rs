//! The error for a run without a checkpoint: none has been written yet, training failed before, or they are gone.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{Run, picture_epoch};
use crate::error::{Error, Result};

impl Run {
    /// The newest checkpoint, for what cannot do without one.
    ///
    /// # Errors
    /// No checkpoint, with the reason; a folder that cannot be read.
    pub fn newest_checkpoint(&self) -> Result<PathBuf> {
        if let Some(path) = self.last_checkpoint()? {
            return Ok(path);
        }
        self.check_checkpoints()?;
        let about = self.about();
        Err(
            self.refused(match about.get("failure").and_then(Value::as_str) {
                Some(why) => format!("its training failed before the first checkpoint: {why}"),
                None => "has no checkpoint yet".into(),
            }),
        )
    }

    /// Refuses a run that has had checkpoints and has none any more: it would begin again at step 0.
    ///
    /// # Errors
    /// Such a run; a folder or a table that cannot be read.
    pub fn check_checkpoints(&self) -> Result<()> {
        if self.last_checkpoint()?.is_some() {
            return Ok(());
        }
        let Some(reached) = self.reached()? else {
            return Ok(());
        };
        let place = self.folder.display();
        let last = match self.about().get("step").and_then(Value::as_u64) {
            None | Some(0) => String::new(),
            Some(step) => format!(", the last one was step-{step:08}.npz"),
        };
        Err(self.refused(format!(
            "has trained up to {reached}, but its checkpoints are gone: {place}/checkpoints holds none{last}; bring the \
             newest one back, or begin again at step 0 with `ganforge train --resume {place} --restart`, which discards the \
             run's tables and pictures"
        )))
    }

    /// How far a run has come that must have had a checkpoint, "step 80" or "epoch 2": by run.json, the tables or the
    /// pictures, whichever are still there. None of a run that may have been killed before its first checkpoint.
    fn reached(&self) -> Result<Option<String>> {
        let about = self.about();
        let resumed = about.get("resumed").and_then(Value::as_array);
        let told = resumed.into_iter().flatten().chain([&about]);
        let told = told.filter_map(|at| at.get("step")?.as_u64());
        // An epoch's row and picture come before its checkpoint, and the score at the end after the last one.
        let (every, scored) = (self.config.output.checkpoint_every, self.config.eval.every);
        let is_later = |epoch: usize| epoch > every;
        let is_end = |epoch: usize| {
            epoch >= self.config.train.epochs || scored == 0 || !epoch.is_multiple_of(scored)
        };
        let row = self.last_row()?.filter(|row| is_later(row.1));
        let score = self.last_score()?;
        let score = score.filter(|row| is_later(row.1) || is_end(row.1));
        let rows = row.into_iter().chain(score).map(|row| row.0);
        if let Some(step) = told.chain(rows).max().filter(|step| *step > 0) {
            return Ok(Some(format!("step {step}")));
        }
        let pictured = self
            .pictures()
            .iter()
            .filter_map(|path| picture_epoch(path))
            .max();
        let pictured = pictured.filter(|epoch| is_later(*epoch));
        Ok(pictured.map(|epoch| format!("epoch {epoch}")))
    }

    /// What run.json says; nothing where it is missing or damaged.
    fn about(&self) -> Value {
        let text = fs::read_to_string(self.folder.join("run.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn refused(&self, reason: String) -> Error {
        Error::Run {
            folder: self.folder.clone(),
            reason,
        }
    }
}
