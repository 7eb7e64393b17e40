//! `ganforge table1`.

use std::path::PathBuf;

use ganforge::gan::config::{Config, Contrast, DataSet};
use ganforge::gan::data::{MNIST, TFD};
use ganforge::gan::metrics::parzen::ParzenScore;
use ganforge::gan::schedule::steps_per_epoch;
use ganforge::see::table1::{self, Column, Entry, Format, SAMPLES};
use serde_json::json;

use super::about::About;
use super::failure::Failure;
use super::output::print;
use super::run_folder::{self, OpenRun};

const EXAMPLES: &str = "\
Examples:
  ganforge table1                                    the paper's rows
  ganforge table1 runs/mnist-001 runs/tfd-001
  ganforge table1 runs --format md                   all runs in that folder

Parzen-window log-likelihoods in nats, with standard errors; higher is better. A run's score is the one recorded: the
final score, or that of the last scored epoch. Scores that cannot be compared with the paper are marked.";

/// Print the paper's Table 1 with rows for your runs.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run folders, or a folder that contains runs, such as `runs`; it may contain folders of `train --seeds`
    #[arg(value_name = "RUN|FOLDER")]
    runs: Vec<PathBuf>,
    /// Output format
    #[arg(long, default_value = "text", value_parser = ["text", "md", "csv"])]
    format: String,
    /// Print the runs' rows as JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let runs = run_folder::runs_in(&args.runs)?;
    let entries = runs.iter().map(entry);
    let entries = entries.collect::<Result<Vec<Entry>, Failure>>()?;
    if args.json {
        return print(&format!("{}\n", json!(entries)));
    }
    let format = match args.format.as_str() {
        "md" => Format::Markdown,
        "csv" => Format::Csv,
        _ => Format::Text,
    };
    print(&table1::table(&entries, format))
}

fn entry(open: &OpenRun) -> Result<Entry, Failure> {
    let config = &open.config;
    let mut entry = Entry {
        model: config.name.clone(),
        run: open.run.folder().display().to_string(),
        column: column(&config.data.set),
        score: None,
        data: open
            .about
            .as_ref()
            .map_or("unknown".to_string(), About::data_in_short),
        seed: config.seed,
        epochs: trained_epochs(open)?,
        not_comparable: Vec::new(),
        remarks: Vec::new(),
    };
    match open.score() {
        Some(scores) => match scores.of("parzen") {
            Some(numbers) => entry.score = Some(ParzenScore::from(numbers)),
            None => entry.remarks.push(format!("another score: {scores}")),
        },
        None => match table1::last_score(&open.run)? {
            Some((epoch, score)) => {
                let all = config.train.epochs;
                entry
                    .remarks
                    .push(format!("unfinished: the score of epoch {epoch} of {all}"));
                (entry.score, entry.epochs) = (Some(score), epoch);
            }
            None => entry.remarks.push(
                "no score yet: a run is scored at its end, and every `eval.every` epochs"
                    .to_string(),
            ),
        },
    }
    entry.not_comparable = faults(&entry, config, open.about.as_ref());
    Ok(entry)
}

/// The epochs that a run has completed, which may be fewer than its configuration says.
fn trained_epochs(open: &OpenRun) -> Result<usize, Failure> {
    let (config, about) = (&open.config, open.about.as_ref());
    if open.score().is_some() {
        return Ok(config.train.epochs);
    }
    let Some((step, epoch)) = open.run.last_row()? else {
        return Ok(0);
    };
    let rows = config.examples_per_step();
    let per_epoch = about
        .and_then(About::n_train)
        .map(|n| steps_per_epoch(n, rows));
    Ok(match per_epoch {
        Some(steps @ 1..) => (step / steps as u64) as usize,
        _ => epoch,
    })
}

/// The data sets of the paper's table; the file of faces counts under any path.
fn column(set: &DataSet) -> Column {
    match set {
        DataSet::Published(set) if set.name == MNIST.name => Column::Mnist,
        DataSet::Published(set) if set.name == TFD.name => Column::Tfd,
        DataSet::File(path) if path.ends_with("TFD_48x48.mat") => Column::Tfd,
        _ => Column::Other,
    }
}

/// Why a score cannot be compared with the paper's.
fn faults(entry: &Entry, config: &Config, about: Option<&About>) -> Vec<String> {
    let mut faults = Vec::new();
    if about.is_some_and(About::is_on_sample) {
        faults.push("on the bundled sample, not on the full data".to_string());
    }
    match &entry.score {
        Some(score) if score.n_samples < SAMPLES => {
            faults.push(format!("fewer than {SAMPLES} samples"));
        }
        _ => {}
    }
    if entry.column == Column::Other {
        faults.push("other data".to_string());
    }
    if config.data.contrast != Contrast::AsIs {
        faults.push("contrast-normalised pixels".to_string());
    }
    faults
}
