//! The progress of a study: one screen with all trials that run, or a line for each that ends.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ganforge::study::drive::{Snapshot, Watch};
use ganforge::study::folder::Folder;
use indicatif::{ProgressBar, ProgressStyle};

use super::trial::config;
use crate::cli::output;
use crate::cli::progress::duration;

/// Trials that the screen has room for.
const MOST_SHOWN: usize = 16;

/// Prints the progress of a study, and passes on a request to stop it.
pub(super) struct Screen {
    bar: Option<ProgressBar>,
    lines: bool,
    stop: Arc<AtomicBool>,
    /// The trials of which the end has been told; none before the first look.
    told: Option<usize>,
    /// How many epochs trials have, where that is known.
    epochs: BTreeMap<usize, Option<usize>>,
}

impl Screen {
    pub(super) fn new(quiet: bool, stop: Arc<AtomicBool>) -> Screen {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = (!quiet && is_terminal).then(|| {
            let style = ProgressStyle::with_template("{msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(1).with_style(style)
        });
        output::set_bar(bar.as_ref());
        Screen {
            bar,
            lines: !quiet && !is_terminal,
            stop,
            told: None,
            epochs: BTreeMap::new(),
        }
    }

    pub(super) fn finish(&self) {
        output::set_bar(None);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// How many epochs a trial has.
    fn epochs(&mut self, folder: &Folder, now: &Snapshot, number: usize) -> Option<usize> {
        *self.epochs.entry(number).or_insert_with(|| {
            let trial = now.proposed.get(number)?;
            config(folder, trial).ok().map(|c| c.train.epochs)
        })
    }

    /// A line on a trial that runs.
    fn running(&mut self, folder: &Folder, now: &Snapshot, number: usize) -> String {
        let epochs = self.epochs(folder, now, number);
        let at = match (folder.progress(number), epochs) {
            (Some([step, epoch]), Some(epochs)) => format!("epoch {epoch}/{epochs}, step {step}"),
            _ => "beginning".to_owned(),
        };
        format!(
            "  trial {number:<5} {at:<24} {}",
            searched(folder, now, number)
        )
    }
}

/// What a trial has of its own: "optimizer.lr 0.0003, loss.kind ns".
pub(super) fn searched(folder: &Folder, now: &Snapshot, number: usize) -> String {
    let Some(trial) = now.proposed.get(number) else {
        return String::new();
    };
    let each = folder.study.space.iter().zip(&trial.point);
    let told = each.map(|(d, u)| format!("{} {}", d.key, d.label(*u)));
    told.collect::<Vec<_>>().join(", ")
}

/// "round 3 of 12, 24 of 120 trials finished, 2 failed, 2 running, 8 waiting, 1h05m left, best fid 34.2 (trial 7)".
pub(super) fn headline(folder: &Folder, now: &Snapshot) -> String {
    let mut parts = vec![
        format!("round {} of {}", now.round[0] + 1, now.round[1]),
        format!("{} of {} trials finished", now.outcomes.len(), now.trials),
    ];
    let counts = [
        (now.failed(), "failed"),
        (now.running.len(), "running"),
        (now.queued.len(), "waiting"),
        (now.held(), "of them held"),
    ];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    parts.extend(counts.map(|(n, what)| format!("{n} {what}")));
    if now.outcomes.len() < now.trials
        && let Some(seconds) = now.left(now.running.len())
    {
        parts.push(format!("{} left", duration(seconds)));
    }
    if let Some((best, score)) = now.best(folder.study.direction) {
        let (column, number) = (&best.column, best.trial);
        parts.push(format!("best {column} {score:.4} (trial {number})"));
    }
    parts.join(", ")
}

impl Watch for Screen {
    fn look(&mut self, folder: &Folder, now: &Snapshot) {
        if let Some(bar) = &self.bar {
            let bar = bar.clone();
            let mut lines = vec![headline(folder, now)];
            for number in now.running.iter().take(MOST_SHOWN) {
                lines.push(self.running(folder, now, *number));
            }
            if let Some(more @ 1..) = now.running.len().checked_sub(MOST_SHOWN) {
                lines.push(format!("  and {more} more"));
            }
            bar.set_message(lines.join("\n"));
            bar.tick();
        }
        if !self.lines {
            return;
        }
        let n = now.outcomes.len();
        if self.told != Some(n) {
            self.told = Some(n);
            output::tell(&headline(folder, now));
        }
    }

    fn message(&mut self, text: &str) {
        if self.bar.is_some() || self.lines {
            output::tell(text);
        }
    }

    fn should_stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
