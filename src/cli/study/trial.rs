//! The configuration of a trial.

use ganforge::gan::config::{BestOn, Choice, Config, text_option};
use ganforge::study::folder::Folder;
use ganforge::study::{Direction, Trial};

use crate::cli::failure::Failure;
use crate::cli::run_folder;
use ganforge::gan::config::ConfigError;
use ganforge::gan::metrics::Better;

/// The configuration of a trial: the study's base with the trial's options and seed. Where there are scores during
/// training, it keeps the checkpoint of the best one.
pub(super) fn config(folder: &Folder, trial: &Trial) -> Result<Config, Failure> {
    let mut options = trial.options.clone();
    options.push(format!("seed={}", trial.seed));
    options.push(text_option("name", &format!("trial-{:04}", trial.number)));
    let mut config = of_options(folder, &options)?;
    if config.eval.every > 0 {
        config.eval.best = Some(folder.study.score.clone());
        // What is wrong with it was found by `choice`.
        config = config.with::<&str>(&[])?;
    }
    run_folder::make_paths_absolute_in(folder.path(), &mut config);
    Ok(config)
}

fn of_options(folder: &Folder, options: &[String]) -> Result<Config, Failure> {
    let config = Config::load_with(&folder.base(), options)?;
    choice(folder, &config)?;
    Ok(config)
}

/// The score of the study among those of a configuration.
pub(super) fn choice(folder: &Folder, config: &Config) -> Result<Choice, Failure> {
    let (study, mut judged) = (&folder.study, config.clone());
    judged.eval.best = Some(study.score.clone());
    if judged.eval.every == 0 {
        (judged.eval.every, judged.eval.best_on) = (1, BestOn::Test);
    }
    let judged = judged.with::<&str>(&[]).map_err(|e| of_score(folder, e))?;
    let Some(choice) = judged.eval.choice() else {
        let message = format!("{}: no score {}", folder.base(), study.score);
        return Err(Failure::input(message));
    };
    let (direction, other) = match choice.column.better {
        Some(Better::Higher) => (Direction::Higher, "lower"),
        _ => (Direction::Lower, "higher"),
    };
    match study.direction == direction {
        true => Ok(choice),
        false => Err(Failure::input(format!(
            "study.toml: direction = \"{other}\", but a {} {} is better",
            direction.name(),
            choice.name
        ))),
    }
}

/// A fault of the score, which study.toml names, not the configuration.
fn of_score(folder: &Folder, mut error: ConfigError) -> Failure {
    for fault in &mut error.faults {
        if fault.key.as_deref() == Some("eval.best") {
            fault.origin = folder.path().join("study.toml").display().to_string();
            fault.key = Some("score".to_owned());
            fault.message = fault.message.replacen("eval.best", "score", 1);
            fault.line = None;
        }
    }
    error.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use ganforge::study::folder::{FILE, Folder};
    use ganforge::study::{Trial, propose};
    use rayon::prelude::*;

    use super::config;

    /// Trials of the first round of each file of the folder studies can be trained, as far as one can know without data: one of
    /// each cell, and one with each choice of the other keys.
    #[test]
    fn the_studies_of_the_repository_are_good() {
        let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies");
        let mut n = 0;
        for file in fs::read_dir(studies).expect("studies") {
            let file = file.expect("a file").path();
            if file.extension().is_none_or(|e| e != "toml") {
                continue;
            }
            let place = tempfile::tempdir().expect("a folder");
            fs::copy(&file, place.path().join(FILE)).expect("copied");
            let name = file.display();
            let folder = Folder::open(place.path()).unwrap_or_else(|e| panic!("{name}: {e}"));
            let trials = propose(&folder.study, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
            let (space, cells) = (&folder.study.space, folder.study.cells());
            let mut seen = BTreeSet::new();
            let mut is_new = |trial: &Trial| {
                let place = |c: usize| (c, space[c].value(trial.point[c]) as usize);
                let cell = cells.iter().map(|c| place(*c)).collect();
                let others = (0..space.len()).filter(|c| !cells.contains(c));
                let others = others.filter(|c| space[*c].choices().is_some());
                let mut all: Vec<Vec<(usize, usize)>> = others.map(|c| vec![place(c)]).collect();
                all.push(cell);
                let before = seen.len();
                seen.extend(all);
                seen.len() > before
            };
            let mut trials = trials.expect("a round");
            trials.retain(&mut is_new);
            trials.par_iter().for_each(|trial| {
                if let Err(e) = config(&folder, trial) {
                    panic!("{name}: {:?}: {}", trial.options, e.message());
                }
            });
            n += 1;
        }
        assert!(n > 1, "{n} studies");
    }
}
