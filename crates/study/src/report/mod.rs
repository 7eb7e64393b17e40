//! What a study says so far: which settings were good, how often, what that took, and which keys matter.
//!
//! All of it is a pure function of the study and of its finished trials; what is drawn at random has seeds of its own.

mod budget;
mod cells;
mod process;
mod shares;
mod spread;

#[cfg(test)]
mod tests;

pub use budget::Best;
pub use cells::Cell;
pub use process::{Map, Process};
pub use shares::Share;
pub use spread::Spread;

use crate::propose::{by_settings, failed, median_score, seen, settings_of};
use crate::{Direction, Error, Finished, Study};

/// Settings that were tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Their number in the study, from 0.
    pub number: usize,
    /// Their runs that are over, one for each seed, in the order of their numbers.
    pub runs: Vec<Finished>,
    /// The median of the runs' scores, of an even number the middle of the two in the middle on the score's scale; none where
    /// no run has one. A run that failed counts as the study says, else as its worst score.
    pub score: Option<f64>,
}

impl Setting {
    /// Where they are in the unit cube.
    pub fn point(&self) -> &[f64] {
        &self.runs[0].trial.point
    }

    /// How many of their runs have no score.
    pub fn failed(&self) -> usize {
        self.runs.iter().filter(|run| run.score.is_none()).count()
    }
}

/// What a study says.
#[derive(Clone, Debug)]
pub struct Results {
    /// All settings with runs that are over, in the order of their numbers.
    pub settings: Vec<Setting>,
    /// They by the values of the study's [cells](Study::cells), in the order of the space.
    pub cells: Vec<Cell>,
    /// All of them as one cell.
    pub all: Cell,
    /// A Gaussian process that saw them; none where they are too few or all alike.
    pub process: Option<Process>,
    /// The best settings, by their place in `settings`: of those of which all seeds are over, where there are any with a
    /// score, else of all.
    pub best: Option<usize>,
}

impl Results {
    /// Of these trials, in any order.
    ///
    /// # Errors
    ///
    /// Trials that are not those of this study: a number twice, another number of coordinates.
    pub fn of(study: &Study, finished: &[Finished]) -> Result<Results, Error> {
        let mut sorted: Vec<&Finished> = finished.iter().collect();
        sorted.sort_by_key(|one| one.trial.number);
        if let Some(pair) = (sorted.windows(2)).find(|w| w[0].trial.number == w[1].trial.number) {
            let number = pair[0].trial.number;
            return Err(Error::Twice { number });
        }
        // First, as it tells whether the trials fit the study.
        let (seen, units) = seen(study, &sorted)?;
        let settings = settings(study, &sorted);
        let members = (0..settings.len()).collect();
        Ok(Results {
            cells: Cell::all_of(study, &settings),
            all: Cell::of(study, &settings, Vec::new(), members),
            process: Process::of(study, &settings, &seen, units)?,
            best: best(study, &settings),
            settings,
        })
    }
}

/// Trials by their settings; they are sorted by their numbers.
fn settings(study: &Study, sorted: &[&Finished]) -> Vec<Setting> {
    let failed = failed(study, sorted.iter().copied());
    let setting = |group: &[&Finished]| {
        let compared = |one: &&Finished| Finished {
            score: one.compared(study),
            ..(*one).clone()
        };
        let runs: Vec<Finished> = group.iter().map(compared).collect();
        let is_scored = runs.iter().any(|run| run.score.is_some());
        Setting {
            number: settings_of(study, &runs[0].trial),
            score: median_score(study, group, failed).filter(|_| is_scored),
            runs,
        }
    };
    by_settings(study, sorted).map(setting).collect()
}

/// The best of them, by its place.
fn best(study: &Study, settings: &[Setting]) -> Option<usize> {
    let scored = |(i, s): (usize, &Setting)| Some((i, lower(study, s.score?)));
    let is_whole = |i: usize| settings[i].runs.len() == study.seeds.len();
    let all: Vec<(usize, f64)> = settings.iter().enumerate().filter_map(scored).collect();
    let whole = || all.iter().filter(|(i, _)| is_whole(*i));
    let by_score = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
    let best = whole()
        .min_by(by_score)
        .or_else(|| all.iter().min_by(by_score));
    best.map(|(i, _)| *i)
}

/// A score, or where the higher are better its negative: the lower the better.
fn lower(study: &Study, score: f64) -> f64 {
    match study.direction {
        Direction::Lower => score,
        Direction::Higher => -score,
    }
}
