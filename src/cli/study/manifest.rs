//! `ganforge study manifest`: what is due as a job of Kubernetes.

use ganforge::gan::config::text_option;
use ganforge::study::drive::{Driver, Due};
use ganforge::study::engines::{EngineKind, spans};
use ganforge::study::folder::Folder;
use ganforge::study::lease::now;
use ganforge::tensor::words::counted;

use super::work::checked;
use crate::cli::failure::Failure;
use crate::cli::options::Settings;
use crate::cli::output::{say, tell};

const EXAMPLES: &str = "\
Examples:
  ganforge study manifest my-study --set engine.image=IMAGE --set engine.claim=CLAIM > job.yaml
  ganforge study manifest my-study | kubectl apply -f -      the keys of [engine] stand in study.toml

It proposes the round that is next and prints an Indexed Job of those of its trials that have no result. Once the job has
ended, the same command prints the next one; it prints nothing when the study is done, or all that is left is being worked at.";

/// Print a job of Kubernetes that does what is due.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: super::Place,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut options = vec![text_option("engine.kind", "kubernetes")];
    options.extend(args.settings.set.iter().cloned());
    let folder = super::open(&args.place.folder, &options)?;
    let EngineKind::Kubernetes(kubernetes) = &folder.study.engine.kind else {
        return Err(Failure::input(
            "engine.kind: a manifest is that of kubernetes",
        ));
    };
    let driver = Driver {
        place: super::run::place(&folder)?,
        check: &checked,
        detach: Some(Vec::new()),
    };
    // What is wrong with the settings is told before anything is proposed.
    kubernetes
        .manifest(&driver.place, "check", &[0])
        .map_err(|e| Failure::input(e.to_string()))?;
    let Some(due) = driver.due(&folder)? else {
        tell("all trials are finished: nothing to print");
        return Ok(());
    };
    if due.trials.is_empty() {
        tell(&format!(
            "{} of round {} at work, none is due: nothing to print",
            counted(due.running.len(), "trial"),
            due.round.round + 1
        ));
        return Ok(());
    }
    let manifest = kubernetes.manifest(&driver.place, &name(&folder, &due), &due.trials);
    let manifest = manifest.map_err(|e| Failure::input(e.to_string()))?;
    tell(&format!(
        "round {}: trials {}",
        due.round.round + 1,
        spans(&due.trials)
    ));
    say(manifest.trim_end())
}

/// A name that no other job has.
fn name(folder: &Folder, due: &Due) -> String {
    let fingerprint = &folder.study.fingerprint()[..8];
    format!("ganforge-{fingerprint}-{}-{}", now(), due.round.round)
}
