//! `ganforge train --seeds`: the same training from several keys.

use std::path::{Path, PathBuf};

use ganforge::gan::config::Config;
use ganforge::gan::data::FetchPolicy;
use ganforge::gan::files::write_atomic;
use ganforge::gan::metrics::Score;
use ganforge::tensor::words::counted;

use super::{Args, Stop, configuration, train_one};
use crate::cli::about::About;
use crate::cli::failure::{Failure, STOPPED, WORK};
use crate::cli::options::{Settings, seed};
use crate::cli::output::{say, tell};
use crate::cli::run_folder::{OpenRun, runs_in};

/// More than anyone waits for.
const MOST: u64 = 1000;

/// Keys of random numbers, each once, in the order of their trainings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seeds(Vec<u64>);

/// `1..5` with both ends, or `1,4,7`.
pub(super) fn parse(text: &str) -> Result<Seeds, String> {
    let expected =
        || format!("expected 1..5, with both ends, or 1,4,7: from 1 to {MOST} keys, each once");
    let key = |text: &str| seed(text).map_err(|_| expected());
    let seeds = match text.split_once("..") {
        Some((first, last)) => {
            let (first, last) = (key(first)?, key(last)?);
            if last < first || last - first >= MOST {
                return Err(expected());
            }
            (first..=last).collect()
        }
        None => text
            .split(',')
            .map(key)
            .collect::<Result<Vec<u64>, String>>()?,
    };
    let is_twice = |(i, seed): (usize, &u64)| seeds[..i].contains(seed);
    if seeds.len() as u64 > MOST || seeds.iter().enumerate().any(is_twice) {
        return Err(expected());
    }
    Ok(Seeds(seeds))
}

/// Trains with each seed, going on where that was begun before, and tells what the scores have in common.
pub(super) fn run(args: &Args, seeds: &Seeds) -> Result<(), Failure> {
    let base = match &args.out {
        Some(folder) => folder.clone(),
        None => {
            let config = configuration(args)?;
            Path::new("runs").join(format!("{}-seeds", config.name))
        }
    };
    let mut stop: Stop = None;
    let (mut scores, mut failed) = (Vec::new(), Vec::new());
    for (number, &seed) in (1..).zip(&seeds.0) {
        let folder = base.join(format!("seed-{seed}"));
        let of = seeds.0.len();
        tell(&format!(
            "seed {seed}, {number} of {of}: {}",
            folder.display()
        ));
        match train_one(&of_seed(args, seed, folder)?, &mut stop) {
            Ok(score) => scores.push((seed, score)),
            Err(failure) if failure.code() == WORK => {
                failure.report();
                failed.push(seed);
            }
            Err(failure) => {
                if failure.code() == STOPPED {
                    tell("the same command goes on with this seed and those after it");
                }
                return Err(failure);
            }
        }
    }
    if !scores.is_empty() {
        say(&summary(&scores))?;
        let path = base.join("seeds.csv");
        let text = table(&finished(&base)?);
        write_atomic(&path, |file| file.write_all(text.as_bytes()))?;
        say(&format!("table:   {}", path.display()))?;
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::work(format!(
            "failed with seed {}",
            listed(&failed)
        ))),
    }
}

/// The arguments that train one of the seeds, or go on with it.
fn of_seed(args: &Args, seed: u64, folder: PathBuf) -> Result<Args, Failure> {
    let new = Args {
        seed: Some(seed),
        seeds: None,
        out: Some(folder.clone()),
        ..args.clone()
    };
    if !folder.join("config.toml").is_file() {
        return Ok(new);
    }
    let config = configuration(&new)?;
    let begun = OpenRun::open(&folder)?;
    check_same(&folder, &begun.config, &config)?;
    check_data(&folder, &begun, &config, args.quiet)?;
    Ok(Args {
        config: None,
        epochs: Some(config.train.epochs.to_string()),
        seed: None,
        name: None,
        out: None,
        settings: Settings::default(),
        init_from: None,
        resume: Some(folder),
        ..new
    })
}

/// Refuses to go on with what was begun under other settings; only the number of epochs may be another one.
fn check_same(folder: &Path, begun: &Config, config: &Config) -> Result<(), Failure> {
    let mut begun = begun.clone();
    begun.train.epochs = config.train.epochs;
    match begun == *config {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "{}: was begun with other settings, which its config.toml has: name another folder with --out",
            folder.display()
        ))),
    }
}

/// Refuses what has learnt from other data than a new run with its seed would: a mean is over like runs.
fn check_data(folder: &Path, begun: &OpenRun, config: &Config, quiet: bool) -> Result<(), Failure> {
    let Some(learnt) = begun.learnt_from()? else {
        return Ok(());
    };
    let mut progress = |line: &str| {
        if !quiet {
            tell(line);
        }
    };
    // What must be known of the data is said where they are trained on.
    let (data, _) = config.load_data(FetchPolicy::from_env(), &mut progress)?;
    Ok(data.check_learnt(&folder.display().to_string(), &learnt)?)
}

fn listed(seeds: &[u64]) -> String {
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    seeds.join(", ")
}

/// The scores, and mean and standard deviation of each of their numbers.
fn summary(scores: &[(u64, Score)]) -> String {
    let of_one = |(seed, score): &(u64, Score)| format!("seed {seed}: {score}");
    let mut lines: Vec<String> = scores.iter().map(of_one).collect();
    for (place, shown) in scores[0].1.values().into_iter().enumerate() {
        let values = scores.iter().map(|(_, s)| s.values()[place].value);
        let values: Vec<f64> = values.collect();
        let (mean, deviation) = mean_and_deviation(&values);
        let (label, decimals) = (shown.label, shown.decimals);
        lines.push(match deviation {
            Some(deviation) => format!(
                "{label}: mean {mean:.decimals$}, standard deviation {deviation:.decimals$}, {}",
                counted(values.len(), "seed")
            ),
            None => format!("{label}: {mean:.decimals$}, 1 seed"),
        });
    }
    lines.join("\n")
}

/// A run of the table: its seed, its epochs and its score.
type Row = (u64, usize, Score);

/// The finished runs below a folder, whichever seeds were asked for this time.
fn finished(base: &Path) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for open in runs_in(&[base.to_path_buf()])? {
        let name = open.run.folder().file_name().unwrap_or_default();
        let seed = open.config.seed;
        let score = open.about.as_ref().and_then(About::score);
        if let Some(score) = score
            && name == format!("seed-{seed}").as_str()
        {
            rows.push((seed, open.config.train.epochs, score));
        }
    }
    rows.sort_by_key(|row| row.0);
    Ok(rows)
}

/// A line for each run.
fn table(rows: &[Row]) -> String {
    let joined = |values: Vec<String>| values.join(",");
    let mut text = String::new();
    for (seed, epochs, score) in rows {
        let values = score.values();
        if text.is_empty() {
            let columns = values.iter().map(|v| v.column.to_string()).collect();
            text = format!("seed,epochs,{}\n", joined(columns));
        }
        let values = values.iter().map(|v| v.value.to_string()).collect();
        text += &format!("{seed},{epochs},{}\n", joined(values));
    }
    text
}

/// The mean of values, and of several the standard deviation of what they were drawn from: √(Σ(x - mean)² / (n - 1)).
fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (
        mean,
        (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_with_both_ends_or_a_list() {
        assert_eq!(parse("1..5"), Ok(Seeds(vec![1, 2, 3, 4, 5])));
        assert_eq!(parse("7..7"), Ok(Seeds(vec![7])));
        assert_eq!(parse("7,1,4"), Ok(Seeds(vec![7, 1, 4])));
        assert_eq!(parse("9"), Ok(Seeds(vec![9])));
        for bad in [
            "", "5..1", "1..", "..", "1,,2", "1,1", "-1..3", "0..1000", "a", "1...3",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let (mean, deviation) = mean_and_deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(mean, 5.0);
        assert!((deviation.unwrap() - 2.138089935299395).abs() < 1e-12);
        assert_eq!(mean_and_deviation(&[3.5]), (3.5, None));
    }
}
