//! `ganforge figure wasserstein` and its like: classic results as small experiments.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, FromArgMatches, Subcommand};
use ganforge::gan::config::Config;
use ganforge::gan::files::write_atomic;
use ganforge::see::classics::{CLASSICS, Classic, Options, find};
use indicatif::ProgressBar;

use crate::cli::failure::Failure;
use crate::cli::options::{Threads, count, seed};
use crate::cli::output::{make_folder, print, say, set_bar, tell};
use crate::cli::run_folder;

/// Time between two lines of progress where there is no terminal.
const SILENCE: Duration = Duration::from_secs(30);

/// An experiment and its options.
pub(in crate::cli) struct Chosen {
    classic: &'static dyn Classic,
    arguments: Arguments,
    /// Images of a set, of an experiment on digits.
    n: Option<usize>,
}

#[derive(Args)]
struct Arguments {
    /// Seed of all random numbers; of an experiment of several runs, of the first one
    #[arg(long, value_name = "S", default_value = "1", value_parser = seed)]
    seed: u64,
    /// Folder for NAME.png, NAME.svg and NAME.csv
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Fewer steps, points or images, for a first look: seconds
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    threads: Threads,
}

/// `-n N`.
fn images(default: usize) -> Arg {
    let help = format!("Images of each set [default: {default}, or as many as there are]");
    let n = Arg::new("n").short('n').value_name("N");
    n.value_parser(count).help(help)
}

impl Subcommand for Chosen {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        CLASSICS.iter().fold(command, |command, classic| {
            let name = classic.name();
            let help = format!(
                "{}\n\nExamples:\n  ganforge figure {name}\n  ganforge figure {name} --quick --out pictures --seed 3",
                classic.details()
            );
            let own = Arguments::augment_args(clap::Command::new(name));
            let own = match classic.digits() {
                Some(n) => own.arg(images(n)),
                None => own,
            };
            command.subcommand(own.about(classic.about()).after_help(help))
        })
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        find(name).is_some()
    }
}

impl FromArgMatches for Chosen {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Chosen, clap::Error> {
        let chosen = matches.subcommand();
        let chosen = chosen.and_then(|(name, own)| Some((find(name)?, own)));
        let (classic, own) =
            chosen.ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))?;
        let arguments = Arguments::from_arg_matches(own)?;
        let n = own.try_get_one("n").ok().flatten().copied();
        Ok(Chosen {
            classic,
            arguments,
            n,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Chosen::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Runs the command.
pub(super) fn run(chosen: &Chosen) -> Result<(), Failure> {
    make_folder(&chosen.arguments.out)?;
    chosen.arguments.threads.pool()?.install(|| draw(chosen))
}

fn draw(chosen: &Chosen) -> Result<(), Failure> {
    let Chosen {
        classic,
        arguments,
        n,
    } = chosen;
    let (name, folder) = (classic.name(), &arguments.out);
    let digits = match classic.digits() {
        Some(_) => Some(run_folder::load(&Config::preset("mnistnet")?, false)?),
        None => None,
    };
    let options = Options {
        digits,
        n: *n,
        seed: arguments.seed,
        quick: arguments.quick,
        folder: Some(folder.clone()),
    };
    let bar = ProgressBar::new(0);
    set_bar((!bar.is_hidden()).then_some(&bar));
    let mut last = Instant::now();
    let outcome = classic.run(&options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        if bar.is_hidden() && last.elapsed() >= SILENCE {
            last = Instant::now();
            tell(&format!(
                "{name}: {:.0} %",
                100.0 * done as f64 / total.max(1) as f64
            ));
        }
    });
    bar.finish_and_clear();
    set_bar(None);
    let outcome = outcome?;
    print(&outcome.summary.text())?;
    for (suffix, plot) in &outcome.plots {
        let stem = folder.join(format!("{name}{suffix}"));
        plot.save(&stem)?;
        say(&format!("{}.png and .svg", stem.display()))?;
    }
    let table = folder.join(format!("{name}.csv"));
    write_atomic(&table, |file| {
        file.write_all(outcome.numbers.csv().as_bytes())
    })?;
    say(&format!("{}", table.display()))
}
