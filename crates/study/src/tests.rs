//! Files that are read and refused, trials that are proposed, functions whose optimum is found.

mod driving;
mod files;
mod journal;
mod optima;
mod proposals;
mod records;

use crate::{Finished, Study, Trial, propose};

/// A study with these last lines; the file begins with three others.
pub(crate) fn study(rest: &str) -> Study {
    let text = format!("base = 'mnist'\nscore = 'fid'\n{rest}");
    Study::from_toml(&text, "study.toml").unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The whole study, each trial with the score that `f` gives it.
pub(crate) fn run(study: &Study, mut f: impl FnMut(&Trial) -> Option<f64>) -> Vec<Finished> {
    let mut finished = Vec::new();
    while let Some(trials) = propose(study, &finished).expect("in turn") {
        finished.extend(trials.into_iter().map(|trial| Finished {
            score: f(&trial),
            trial,
        }));
    }
    finished
}
