//! `ganforge study work`: one trial, from where it is to its end.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use ganforge::gan::config::Config;
use ganforge::gan::files::write_atomic;
use ganforge::gan::run::Run;
use ganforge::study::Trial;
use ganforge::study::folder::{End, Folder, Outcome, Try, WORKER};
use ganforge::study::lease::{Holder, Lease, Refused, STALE_AFTER, host, now};

use super::Place;
use super::trial::{choice, config};
use crate::cli::failure::{Failure, WORK};
use crate::cli::options::{Named, Threads, device, index};
use crate::cli::output::{make_folder, say, tell};
use crate::cli::train;

/// The environment variables in which engines say which job a process is, the first that is there.
const JOBS: [&str; 5] = [
    "SLURM_JOB_ID",
    "RAY_SUBMISSION_ID",
    "HQ_JOB_ID",
    "PBS_JOBID",
    "JOB_NAME",
];
/// Pause between two looks at a trial that somebody else seems to work at.
const PAUSE: Duration = Duration::from_secs(5);
/// The exit code of a process whose trial another one has taken.
const LOST: i32 = 3;

const EXAMPLES: &str = "\
Examples:
  ganforge study work my-study --trial 7
  ganforge study work my-study --trial 3,5-9 --index 2       trial 6: for engines that count from 0

A trial that is finished is left alone; one that was begun goes on from its last checkpoint. The study's driver proposes
the trials (ganforge study run).";

/// Do one trial, or go on with it.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: Place,
    /// The trial's number; with --index a list, 3,5-9
    #[arg(long, value_name = "N", required = true, value_delimiter = ',', value_parser = span)]
    trial: Vec<RangeInclusive<u64>>,
    /// Which of that list, from 0
    #[arg(long, value_name = "I", value_parser = index)]
    index: Option<u64>,
    /// Device to train on [default: device of study.toml]
    #[arg(long, value_name = "cpu|cuda[:N]", value_parser = device)]
    device: Option<Named>,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let folder = args.place.open()?;
    let number = numbered(args)?;
    let shown = folder.path().display().to_string();
    let Some(trial) = folder.proposed(number)? else {
        return Err(Failure::input(format!(
            "{shown}: has no trial {number} yet: trials are proposed by ganforge study run"
        )));
    };
    if folder.outcome(number)?.is_some() {
        return say(&format!("trial {number}: already finished"));
    }
    let tries = folder.tries_of(number);
    make_folder(&tries)?;
    let _lease = take(&folder, number)?;
    // Somebody may have finished it meanwhile.
    if folder.outcome(number)?.is_some() {
        return say(&format!("trial {number}: already finished"));
    }
    let k = folder.tries(number)?.len();
    let mut this = Try {
        holder: Holder::this(job()),
        began: now(),
        ended: None,
        exit: None,
        message: None,
    };
    folder.write_try(number, k, &this)?;
    let done = device_of(args, &folder)
        .and_then(|device| work(&folder, &trial, (device, args.threads.clone())));
    this.ended = Some(now());
    this.exit = Some(done.as_ref().map_or_else(Failure::code, |()| 0));
    this.message = done.as_ref().err().map(|e| e.message().to_owned());
    this.message.take_if(|m| m.is_empty());
    folder.write_try(number, k, &this)?;
    done
}

/// The device to train on.
fn device_of(args: &Args, folder: &Folder) -> Result<Named, Failure> {
    let of_study = || super::device_of(folder);
    args.device.map_or_else(of_study, Ok)
}

/// A number, or a range such as 5-9.
fn span(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (index(first), index(last)) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err("expected a whole number, or a range of them such as 5-9".to_owned()),
    }
}

/// The trial that is asked for.
fn numbered(args: &Args) -> Result<usize, Failure> {
    let length = |span: &RangeInclusive<u64>| (span.end() - span.start()).saturating_add(1);
    let n = args.trial.iter().map(length).fold(0, u64::saturating_add);
    if args.index.is_none() && n != 1 {
        return Err(Failure::input(format!(
            "--trial: {n} numbers need --index, which says the one that is meant"
        )));
    }
    let mut left = args.index.unwrap_or(0);
    for span in &args.trial {
        if left < length(span) {
            return Ok((span.start() + left) as usize);
        }
        left -= length(span);
    }
    Err(Failure::input(format!(
        "--index: expected a whole number below {n}, the number of trials"
    )))
}

/// The engine's job that this process is part of.
fn job() -> Option<String> {
    if let (Ok(job), Ok(task)) = (
        std::env::var("SLURM_ARRAY_JOB_ID"),
        std::env::var("SLURM_ARRAY_TASK_ID"),
    ) {
        return Some(format!("{job}_{task}"));
    }
    JOBS.iter().find_map(|name| std::env::var(name).ok())
}

/// Takes the trial for this process. One that another machine held may be that of a machine that is no more: it is waited for
/// until that is sure.
fn take(folder: &Folder, number: usize) -> Result<Lease, Failure> {
    let tries = folder.tries_of(number);
    let renewed = || Lease::renewed(&tries, WORKER);
    let (begin, first, mut has_told) = (Instant::now(), renewed(), false);
    loop {
        let lost = move || {
            tell(&format!(
                "error: trial {number}: another process works at it now"
            ));
            std::process::exit(LOST);
        };
        let other = match Lease::take(&tries, WORKER, Holder::this(job()), lost) {
            Ok(lease) => return Ok(lease),
            Err(Refused::File(e)) => return Err(e.into()),
            Err(Refused::Held(other)) => other,
        };
        let is_here = other.as_ref().is_none_or(|o| o.host == host());
        let other = other.map_or("another process".to_owned(), |o| o.to_string());
        if is_here || renewed() != first || begin.elapsed() > STALE_AFTER + PAUSE {
            return Err(Failure::system(format!(
                "trial {number}: {other} works at it; two would mix their steps"
            )));
        }
        if !has_told {
            has_told = true;
            tell(&format!(
                "trial {number}: {other} was working at it; waiting up to {} minutes for a sign of life of it",
                STALE_AFTER.as_secs() / 60
            ));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Trains it and writes what came of it.
fn work(folder: &Folder, trial: &Trial, compute: (Named, Threads)) -> Result<(), Failure> {
    let number = trial.number;
    let config = config(folder, trial)?;
    let choice = choice(folder, &config)?;
    let place = folder.trial(number);
    let file = place.join("trial.toml");
    write_atomic(&file, |w| w.write_all(config.to_toml().as_bytes()))?;
    let [_, per_round] = folder.study.size();
    let round = folder.round(number / per_round.max(1))?;
    let mut submissions = round.iter().flat_map(|r| &r.submissions).rev();
    let engine = submissions.find(|s| s.trials.contains(&number));
    let command = super::to_go_on(folder, engine.map(|s| s.engine.as_str()));
    let scores = match train::of_file(&file, &place, compute, command) {
        Ok(scores) => scores,
        Err(failure) if failure.code() == WORK => {
            let message = failure.message().to_owned();
            let outcome = Outcome::failed(number, &choice.name, message);
            folder.write_outcome(&with_times(folder, number, outcome)?)?;
            return Err(failure);
        }
        Err(failure) => return Err(failure),
    };
    let last = scores.judgements();
    let all: BTreeMap<String, f64> = last.iter().map(|v| (v.name.clone(), v.value)).collect();
    let (run, _) = Run::open(&place)?;
    let (score, step, checkpoint) = match run.best()? {
        Some(best) => (best.value, Some(best.step), Some("checkpoints/best.npz")),
        None => (all.get(&choice.name).copied(), None, None),
    };
    let score = score.filter(|s| s.is_finite());
    let outcome = Outcome {
        state: match score {
            Some(_) => End::Done,
            None => End::Failed,
        },
        score,
        scores: all.into_iter().filter(|(_, v)| v.is_finite()).collect(),
        step,
        checkpoint: checkpoint.map(str::to_owned),
        message: score
            .is_none()
            .then(|| format!("its {} is no number", choice.name)),
        ..Outcome::failed(number, &choice.name, String::new())
    };
    let outcome = with_times(folder, number, outcome)?;
    folder.write_outcome(&outcome)?;
    match score {
        Some(score) => say(&format!("trial {number}: {} {score}", choice.name)),
        None => Err(Failure::work(format!(
            "trial {number}: {}",
            outcome.message.unwrap_or_default()
        ))),
    }
}

/// When the first try began, and how long it was trained over all of them.
fn with_times(folder: &Folder, number: usize, outcome: Outcome) -> Result<Outcome, Failure> {
    let tries = folder.tries(number)?;
    let seconds = |t: &Try| t.ended.unwrap_or(outcome.ended).saturating_sub(t.began) as f64;
    let run = folder.trial(number).join("run.json");
    let about = std::fs::read_to_string(run).ok();
    let about = about.and_then(|text| crate::cli::about::About::parse(&text));
    // As training counts it, else by the clock.
    let trained = about.map(|about| about.seconds()).filter(|s| *s > 0.0);
    Ok(Outcome {
        began: tries.first().map_or(outcome.began, |t| t.began),
        seconds: trained.or_else(|| tries.last().map(seconds)),
        ..outcome
    })
}

/// What it takes to know that a trial's settings can be trained.
pub(super) fn checked(folder: &Folder, trial: &Trial) -> Result<(), String> {
    let config: Result<Config, Failure> = config(folder, trial);
    config.map(drop).map_err(|e| e.message().to_owned())
}
