//! Processes of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ganforge_settings::{Maybe, settings, whole};

use super::{Alive, Engine, EngineError, Place, Runs};
use crate::folder::{BAD_INPUT, Submission};

settings! {
    /// Processes of this machine, started and ended with the driver.
    #[derive(Copy)]
    pub struct Local {
        /// How many at once.
        #[shown("as many as have `threads` each; one per core where that is not said")]
        pub jobs: Option<usize> = None, Maybe(whole(1, 1024));
    }
}

impl Local {
    /// How many trials run at once, and with how many threads each.
    fn shares(&self, threads: Option<usize>) -> [usize; 2] {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match (self.jobs, threads) {
            (Some(jobs), Some(threads)) => [jobs, threads],
            (Some(jobs), None) => [jobs, (cores / jobs).max(1)],
            (None, Some(threads)) => [(cores / threads).max(1), threads],
            (None, None) => [cores, 1],
        }
    }
}

impl Engine for Local {
    fn open(&self, place: &Place) -> Result<Box<dyn Runs>, EngineError> {
        let [jobs, threads] = self.shares(place.threads);
        Ok(Box::new(Processes {
            place: place.clone(),
            jobs,
            threads,
            queue: BTreeSet::new(),
            others: 0,
            running: BTreeMap::new(),
        }))
    }
}

struct Processes {
    place: Place,
    jobs: usize,
    threads: usize,
    queue: BTreeSet<usize>,
    /// Processes of this study that it did not start.
    others: usize,
    running: BTreeMap<usize, Child>,
}

impl Processes {
    fn start(&self, trial: usize) -> Result<Child, EngineError> {
        let refused = |what: &str, e: std::io::Error| EngineError::Refused {
            engine: "local",
            reason: format!("{what}: {e}"),
        };
        let log = self.place.log(trial);
        if let Some(folder) = log.parent() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|e| refused(&folder.display().to_string(), e))?;
        }
        let shown = log.display().to_string();
        let out = OpenOptions::new().create(true).append(true).open(&log);
        let out = out.map_err(|e| refused(&shown, e))?;
        let err = out.try_clone().map_err(|e| refused(&shown, e))?;
        let work = self.place.work();
        let mut command = Command::new(&work[0]);
        command.args(&work[1..]).arg(trial.to_string());
        command.args(["--threads", &self.threads.to_string()]);
        // Ctrl-C is for the driver, which asks them to stop.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let command = command.stdin(Stdio::null()).stdout(out).stderr(err);
        command.spawn().map_err(|e| refused(&work[0], e))
    }

    /// Buries processes that have ended and starts others in their place.
    fn turn(&mut self) -> Result<(), EngineError> {
        let mut bad = None;
        self.running.retain(|trial, child| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                if status.code() == Some(BAD_INPUT.into()) {
                    bad = Some(*trial);
                }
                false
            }
            Err(_) => false,
        });
        if let Some(trial) = bad {
            let log = self.place.log(trial);
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let last = text
                .lines()
                .last()
                .unwrap_or("")
                .trim_start_matches("error: ");
            let reason = format!("{last} ({})", log.display());
            return Err(EngineError::BadInput { trial, reason });
        }
        while self.running.len() + self.others < self.jobs
            && let Some(trial) = self.queue.pop_first()
        {
            let child = self.start(trial)?;
            self.running.insert(trial, child);
        }
        Ok(())
    }
}

impl Runs for Processes {
    fn submit(&mut self, submission: &Submission) -> Result<Option<String>, EngineError> {
        self.queue.extend(&submission.trials);
        self.turn()?;
        Ok(None)
    }

    fn alive(&mut self, submission: &Submission) -> Result<Alive, EngineError> {
        self.turn()?;
        let of = |is_there: &dyn Fn(&usize) -> bool| {
            let trials = submission.trials.iter().copied();
            trials.filter(is_there).collect()
        };
        Ok(Alive {
            queued: of(&|n| self.queue.contains(n)),
            running: of(&|n| self.running.contains_key(n)),
            ..Alive::default()
        })
    }

    fn beside(&mut self, others: usize) {
        self.others = others;
    }

    fn leave(&mut self) -> Result<(), EngineError> {
        self.queue.clear();
        for child in self.running.values() {
            (self.place.terminate)(child.id());
        }
        for child in self.running.values_mut() {
            let _ = child.wait();
        }
        self.running.clear();
        Ok(())
    }

    fn goes_on_alone(&self) -> bool {
        false
    }

    fn every(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn settles(&self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_shared_out() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let of = |jobs, threads| Local { jobs }.shares(threads);
        assert_eq!(of(None, None), [cores, 1]);
        assert_eq!(of(Some(1), None), [1, cores]);
        assert_eq!(of(Some(cores * 3), None), [cores * 3, 1]);
        assert_eq!(of(Some(3), Some(5)), [3, 5]);
        assert_eq!(of(None, Some(cores)), [1, cores]);
    }
}
