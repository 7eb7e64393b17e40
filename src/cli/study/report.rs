//! `ganforge study report`.

use std::path::PathBuf;

use ganforge::gan::files::write_atomic;
use ganforge::see;
use ganforge::study::drive::{self, Snapshot};
use ganforge::study::folder::Folder;
use ganforge::study::report::Results;
use ganforge::study::{Record, Trial};
use ganforge::tensor::words::counted;

use super::Place;
use super::trial::config;
use crate::cli::about::VERSION;
use crate::cli::failure::Failure;
use crate::cli::output::{harmless, make_folder, say, tell};

/// The folder in that of the study, and the best configuration in it.
const FOLDER: &str = "report";
const BEST: &str = "best.toml";

const EXAMPLES: &str = "\
Examples:
  ganforge study report my-study                       my-study/report/study.html, its plots as PNG and SVG, best.toml
  ganforge train my-study/report/best.toml             the best settings, once more

It may be called at any time: it shows what is finished so far. `study run` writes it at its end.";

/// Write a page on a study: scores by cell, budget, settings that matter, the best configuration.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: Place,
    /// The folder to write into [default: DIR/report]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let folder = args.place.open()?;
    for path in write(&folder, &drive::look(&folder)?, args.out.clone())? {
        say(&path.display().to_string())?;
    }
    Ok(())
}

/// Writes the page on what is known and what belongs to it; their paths, the page's first.
pub(super) fn write(
    folder: &Folder,
    now: &Snapshot,
    out: Option<PathBuf>,
) -> Result<Vec<PathBuf>, Failure> {
    let records = drive::records(folder, now);
    let finished: Vec<_> = records.iter().filter_map(Record::finished).collect();
    if finished.is_empty() {
        return Err(Failure::input(format!(
            "{}: no trial is finished yet, there is nothing to report on",
            folder.path().display()
        )));
    }
    for (number, outcome) in &now.outcomes {
        if let Some(why) = outcome.score.and_then(|s| folder.study.refuses(s)) {
            tell(&format!("trial {number} counts as failed: {why}"));
        }
    }
    let results = Results::of(&folder.study, &finished).map_err(drive::Problem::from)?;
    let best = results.best.map(|i| &results.settings[i].runs[0].trial);
    let best = best.map(|trial| best_of(folder, trial)).transpose()?;
    let facts = vec![
        ("base", folder.study.base.clone()),
        ("engine", folder.study.engine.kind.name().to_owned()),
        ("device", folder.study.device.clone()),
        ("trials", format!("{} of {}", finished.len(), now.trials)),
        ("program", format!("ganforge {VERSION}")),
    ];
    let report = see::study::Report {
        title: folder.name(),
        study: &folder.study,
        trials: &records,
        results: &results,
        best_toml: best.clone(),
        facts,
    };
    let out = out.unwrap_or_else(|| folder.path().join(FOLDER));
    make_folder(&out)?;
    let mut paths = report.write(&out)?;
    if let Some(best) = best {
        let path = out.join(BEST);
        write_atomic(&path, |w| w.write_all(best.as_bytes()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// The configuration of the best settings, as `train` takes it.
fn best_of(folder: &Folder, trial: &Trial) -> Result<String, Failure> {
    let mut config = config(folder, trial)?;
    config.name = "best".to_owned();
    Ok(commented(
        &format!(
            "The best settings of the study {}, by the {} of {}: {}",
            folder.name(),
            folder.study.score,
            counted(folder.study.seeds.len(), "seed"),
            trial.options.join(" ")
        ),
        &config.to_toml(),
    ))
}

/// TOML with a line of comment above it, whatever is in that.
fn commented(comment: &str, toml: &str) -> String {
    format!("# {}\n\n{toml}", harmless(comment).replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::commented;

    #[test]
    fn a_comment_is_one_line_whatever_is_in_it() {
        let text = commented("the study a\nseed = 7\r\u{7f}: k=\"é\"", "seed = 1\n");
        assert_eq!(
            text,
            "# the study a\\nseed = 7\\u000d\\u007f: k=\"é\"\n\nseed = 1\n"
        );
    }
}
