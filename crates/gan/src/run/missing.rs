//! What is said of a run without a checkpoint: none was written yet, training failed before, or they are gone.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::Run;
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
        let told = self.about().get("step").and_then(Value::as_u64);
        let told = told.unwrap_or(0);
        let step = match self.last_row()? {
            // Older programs do not tell: after this epoch there was one.
            Some((step, epoch)) if epoch > self.every => told.max(step),
            _ => told,
        };
        if step == 0 {
            return Ok(());
        }
        let place = self.folder.display();
        let last = match told {
            0 => String::new(),
            step => format!(", the last one was step-{step:08}.npz"),
        };
        Err(self.refused(format!(
            "has trained up to step {step}, but its checkpoints are gone: {place}/checkpoints holds none{last}; bring the \
             newest one back, or begin again at step 0 with `ganforge train --resume {place} --restart`, which discards the \
             run's tables and pictures"
        )))
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
