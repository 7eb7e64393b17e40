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
