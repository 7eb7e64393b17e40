//! `ganforge train --ranks`: one run over several processes.
//!
//! Rank 0 does what a run by itself does; the others take the same steps on other shards and write nothing. What they must
//! have of rank 0 (the configuration of a resumed run, its state) comes by broadcast, so that they need not see its folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ganforge::comm;
use ganforge::gan::config::Config;
use ganforge::gan::data::{Dataset, FetchPolicy};
use ganforge::gan::ranks::Ranks;
use ganforge::gan::train::{self, Observer, Progress};
use ganforge::gan::trainer::Trainer;

use super::{Args, Stop, configuration, cores, listen};
use crate::cli::about::VERSION;
use crate::cli::failure::{Failure, WORK};
use crate::cli::options::Threads;
use crate::cli::run_folder;

/// What connects ranks, as `--ranks` takes it.
pub(super) const KINDS: [&str; 2] = ["mpi", "nccl"];

/// How long a rank other than 0 waits with an error, which rank 0 may have, too, and then has told.
const PATIENCE: Duration = Duration::from_secs(2);

/// The ranks that are asked for.
pub(super) fn open(args: &Args) -> Result<Ranks, Failure> {
    let Some(kind) = &args.ranks else {
        return match comm::launched() {
            None | Some((_, 0 | 1)) => Ok(Ranks::default()),
            Some((variable, n)) => Err(Failure::input(format!(
                "{variable} says that {n} processes were started together, and each would train the whole run by itself: add \
                 --ranks mpi and --set train.shards=N to share it out, or start one process"
            ))),
        };
    };
    if args.seeds.is_some() {
        let message = "--seeds: not with --ranks: start one run per seed";
        return Err(Failure::input(message));
    }
    let comm = comm::open(kind).map_err(|e| Failure::input(format!("--ranks {kind}: {e}")))?;
    Ok(Ranks::of(Arc::from(comm)))
}

/// The threads of this rank: unless asked for, its share of the cores of its machine.
pub(super) fn threads(asked: &Threads, ranks: &Ranks) -> Result<Threads, Failure> {
    match ranks.size() {
        1 => Ok(asked.clone()),
        _ => asked.or(cores::threads(ranks)?),
    }
}

/// Ends this rank with what it has come to, together with the others: a launcher may end those that still work when one is
/// gone. After an error the others are ended, too: they may wait for this one.
pub(super) fn end(ranks: &Ranks, done: Result<(), Failure>) -> Result<(), Failure> {
    if ranks.size() == 1 {
        return done;
    }
    let failure = match done {
        // Stopped ranks have all stopped after the same step.
        Err(failure) if !failure.is_stopped() => failure,
        done => return ranks.wait().map_err(Failure::from).and(done),
    };
    match ranks.is_first() {
        true => {}
        // Work fails on all ranks alike: rank 0 reports it, however long that takes, and its abort ends this one.
        false if failure.code() == WORK => ranks.wait()?,
        false => std::thread::sleep(PATIENCE),
    }
    let (rank, code) = (ranks.rank(), failure.code());
    let failure = match rank {
        0 => failure,
        _ => failure.of_rank(rank),
    };
    failure.report();
    ranks.comm().abort(code.into());
    Err(Failure::ended(code))
}

/// What rank 0 tells the others before they train: what it has learnt from its arguments and the run's folder.
pub(super) struct Told<'a> {
    pub(super) config: &'a Config,
    pub(super) data: &'a Dataset,
}

/// Tells the others what is trained on which data, and finds out whether they have the same. They wait for it.
pub(super) fn lead(ranks: &Ranks, told: &Told) -> Result<(), Failure> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let config = told.config.to_toml();
    ranks.share(config.clone().into_bytes())?;
    ranks.share(told.data.sha256.clone().into_bytes())?;
    check(ranks, &config, told.data)
}

/// Tells the others that there is nothing to train.
pub(super) fn dismiss(ranks: &Ranks) -> Result<(), Failure> {
    match ranks.size() {
        1 => Ok(()),
        _ => Ok(ranks.share(Vec::new()).map(drop)?),
    }
}

fn check(ranks: &Ranks, config: &str, data: &Dataset) -> Result<(), Failure> {
    Ok(ranks.check_same(&[
        ("version of ganforge", VERSION),
        ("configuration", config),
        ("data set", &data.sha256),
    ])?)
}

/// A rank other than 0, from beginning to end.
pub(super) fn follow(args: &Args, ranks: &Ranks, stop: &mut Stop) -> Result<(), Failure> {
    let own = match args.resume {
        Some(_) => None,
        None => Some(configuration(args)?),
    };
    let device = args.compute.device()?;
    // Rank 0 has the data by now, so that nothing is fetched twice on its machine.
    let shared = ranks.share(Vec::new())?;
    if shared.is_empty() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&shared);
    let config = match own {
        Some(own) => own,
        None => Config::from_toml(&text, "the run's config.toml, as rank 0 has it")?,
    };
    let sum = ranks.share(Vec::new())?;
    let data = match run_folder::sample(&config, &String::from_utf8_lossy(&sum))? {
        Some(sample) => sample,
        None => {
            config
                .load_data(FetchPolicy::from_env(), &mut |_: &str| {})?
                .0
        }
    };
    check(ranks, &config.to_toml(), &data)?;
    let mut trainer = Trainer::among(ranks, &device, &config, &data.train)?;
    let mut silent = Silent(listen(stop)?);
    trainer.share()?;
    match train::follow(&mut trainer, &data, &mut silent)? {
        false => Ok(()),
        true => Err(Failure::stopped()),
    }
}

/// Says nothing, and asks all ranks to stop where a signal has come.
struct Silent(Arc<AtomicBool>);

impl Observer for Silent {
    fn step(&mut self, _: &Progress) {}
    fn message(&mut self, _: &str) {}
    fn should_stop(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
