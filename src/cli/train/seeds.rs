//! `ganforge train --seeds`: the same training with several seeds.

use std::path::{Path, PathBuf};

use ganforge::gan::config::Config;
use ganforge::gan::data::FetchPolicy;
use ganforge::gan::files::write_atomic;
use ganforge::gan::metrics::Scores;
use ganforge::gan::ranks::Ranks;
use ganforge::tensor::words::counted;

use super::{Args, Stop, configuration, train_one};
use crate::cli::failure::{Failure, STOPPED, WORK};
use crate::cli::options::{Settings, seed};
use crate::cli::output::{say, tell};
use crate::cli::run_folder::{OpenRun, runs_in};

/// The most seeds in one call.
const MOST: u64 = 1000;

/// Distinct seeds, in the order of training.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seeds(Vec<u64>);

/// `1..5` (inclusive) or `1,4,7`.
pub(super) fn parse(text: &str) -> Result<Seeds, String> {
    let expected = || {
        format!(
            "expected a range as 1..5 (inclusive) or a list as 1,4,7: 1 to {MOST} distinct seeds"
        )
    };
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

/// Trains with each seed, resuming runs begun before, and prints mean and standard deviation of the scores.
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
        match train_one(&of_seed(args, seed, folder)?, &Ranks::default(), &mut stop) {
            Ok(score) => scores.push((seed, score)),
            Err(failure) if failure.code() == WORK => {
                failure.report();
                failed.push(seed);
            }
            Err(failure) => {
                if failure.code() == STOPPED {
                    tell(
                        "run the same command again to continue with this seed and those after it",
                    );
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

/// The arguments that train one of the seeds, or resume it.
fn of_seed(args: &Args, seed: u64, folder: PathBuf) -> Result<Args, Failure> {
    let new = Args {
        seed: Some(seed),
        seeds: None,
        out: Some(folder.clone()),
        ..args.clone()
    };
    or_resumed(new, &folder)
}

/// The arguments of a new run in `folder`, or those that go on with the one that was begun there with the same settings.
pub(super) fn or_resumed(new: Args, folder: &Path) -> Result<Args, Failure> {
    if !folder.join("config.toml").is_file() {
        return Ok(new);
    }
    let config = configuration(&new)?;
    let begun = OpenRun::open(folder)?;
    check_same(folder, &begun.config, &config)?;
    check_data(folder, &begun, &config, new.quiet)?;
    Ok(Args {
        config: None,
        epochs: Some(config.train.epochs.to_string()),
        seed: None,
        name: None,
        out: None,
        settings: Settings::default(),
        init_from: None,
        resume: Some(folder.to_path_buf()),
        ..new
    })
}

/// Refuses to resume a run that was started with other settings; only the number of epochs may differ.
fn check_same(folder: &Path, begun: &Config, config: &Config) -> Result<(), Failure> {
    let mut begun = begun.clone();
    begun.train.epochs = config.train.epochs;
    match begun == *config {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "{}: was started with other settings (see its config.toml): choose another folder with --out",
            folder.display()
        ))),
    }
}

/// Refuses a run that was trained on other data than a new run with its seed would be: a mean is over equal runs.
fn check_data(folder: &Path, begun: &OpenRun, config: &Config, quiet: bool) -> Result<(), Failure> {
    let Some(learnt) = begun.learnt_from()? else {
        return Ok(());
    };
    let mut progress = |line: &str| {
        if !quiet {
            tell(line);
        }
    };
    // Notices about the data are printed when training on them starts.
    let (data, _) = config.load_data(FetchPolicy::from_env(), &mut progress)?;
    Ok(data.check_learnt(&folder.display().to_string(), &learnt)?)
}

fn listed(seeds: &[u64]) -> String {
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    seeds.join(", ")
}

/// The scores, then mean and standard deviation of each of their values.
fn summary(scores: &[(u64, Scores)]) -> String {
    let of_one = |(seed, score): &(u64, Scores)| format!("seed {seed}: {score}");
    let mut lines: Vec<String> = scores.iter().map(of_one).collect();
    for (place, shown) in scores[0].1.judgements().into_iter().enumerate() {
        let values = scores.iter().map(|(_, s)| s.judgements()[place].value);
        let values: Vec<f64> = values.collect();
        let (mean, deviation) = mean_and_deviation(&values);
        let (label, decimals) = (shown.column.label, shown.column.decimals);
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

/// A row of the table: seed, epochs and score.
type Row = (u64, usize, Scores);

/// The finished runs below a folder, whichever seeds were asked for this time.
fn finished(base: &Path) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for open in runs_in(&[base.to_path_buf()])? {
        let name = open.run.folder().file_name().unwrap_or_default();
        let seed = open.config.seed;
        let score = open.score();
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
        let values = score.judgements();
        if text.is_empty() {
            let columns = values.iter().map(|v| v.name.clone()).collect();
            text = format!("seed,epochs,{}\n", joined(columns));
        }
        let values = values.iter().map(|v| v.value.to_string()).collect();
        text += &format!("{seed},{epochs},{}\n", joined(values));
    }
    text
}

/// The mean, and with two values or more the sample standard deviation √(Σ(x - mean)² / (n - 1)).
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
