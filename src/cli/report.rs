//! `ganforge report`.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge::gan::run::Run;
use ganforge::see::report::{self, Subject};

use super::failure::Failure;
use super::options::{HTML, file};
use super::output::say;
use super::run_folder::{self, OpenRun};

/// The report's name in a run's folder.
pub(super) const FILE: &str = "report.html";

const EXAMPLES: &str = "\
Examples:
  ganforge report runs/mnist-001                           runs/mnist-001/report.html
  ganforge report runs/mnist-001 runs/mnist-002            report.html, with both in one
  ganforge report runs                                     runs/report.html, with all runs in that folder
  ganforge report runs/mnist-* --out compared.html

The page is one self-contained file: send it, open it offline. Training writes it at its end; this command writes it
again, also for a run that is still training.";

/// Write an HTML report on one or more runs: curves, samples, settings.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run folders, or a folder that contains runs, such as `runs`; it may contain folders of `train --seeds`
    #[arg(value_name = "RUN|FOLDER", required = true)]
    runs: Vec<PathBuf>,
    /// The file to write [default: RUN/report.html or FOLDER/report.html; for several, report.html here]
    #[arg(long, value_name = "FILE.html", value_parser = file(HTML))]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let out = match (&args.out, &args.runs[..]) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.join(FILE),
        (None, _) => PathBuf::from(FILE),
    };
    write(&run_folder::runs_in(&args.runs)?, &out)?;
    say(&out.display().to_string())
}

/// Writes the page in a run's own folder.
pub(super) fn of_run(run: &Run) -> Result<(), Failure> {
    let folder = run.folder();
    write(&[OpenRun::open(folder)?], &folder.join(FILE))
}

/// Whether the report in a run's folder exists, is complete, and is no older than run.json.
pub(super) fn is_whole(run: &Run) -> bool {
    let written = |name| fs::metadata(run.folder().join(name)).and_then(|m| m.modified());
    let is_old = match (written(FILE), written("run.json")) {
        (Ok(page), Ok(about)) => page < about,
        _ => false,
    };
    let page = fs::read(run.folder().join(FILE));
    !is_old && page.is_ok_and(|page| page.trim_ascii_end().ends_with(b"</html>"))
}

/// Writes the page on `runs` to `out`.
fn write(runs: &[OpenRun], out: &Path) -> Result<(), Failure> {
    let folders: Vec<&Path> = runs.iter().map(|open| open.run.folder()).collect();
    let subjects = runs.iter().zip(labels(&folders)).map(|(open, label)| {
        let about = open.about.as_ref();
        let best = open
            .run
            .best()?
            .map(|best| ("Best checkpoint", format!("{best}: checkpoints/best.npz")));
        let facts = about.map_or(Vec::new(), |a| a.facts());
        Ok(Subject {
            label,
            run: &open.run,
            config: &open.config,
            facts: facts.into_iter().chain(best).collect(),
            n_train: about.and_then(|a| a.n_train()),
            score: open.score().map(|s| s.to_string()),
            failure: about.and_then(|a| a.failure()).map(String::from),
            caveat: about.and_then(|a| a.caveat_line()),
        })
    });
    let subjects: Result<Vec<Subject<'_>>, Failure> = subjects.collect();
    Ok(report::write(&subjects?, out)?)
}

/// Labels of runs: the names of their folders, or whole paths if two have the same name.
fn labels(folders: &[&Path]) -> Vec<String> {
    let name = |folder: &&Path| {
        let whole = folder
            .canonicalize()
            .unwrap_or_else(|_| folder.to_path_buf());
        let name = whole.file_name().map(|n| n.to_string_lossy().into_owned());
        name.unwrap_or_else(|| folder.display().to_string())
    };
    let names: Vec<String> = folders.iter().map(name).collect();
    let is_twice = |name: &String| names.iter().filter(|n| *n == name).count() > 1;
    match names.iter().any(is_twice) {
        true => folders.iter().map(|f| f.display().to_string()).collect(),
        false => names,
    }
}
