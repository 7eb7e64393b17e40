//! `ganforge report`.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge::gan::run::Run;
use ganforge::see::report::{self, Subject};

use super::failure::Failure;
use super::options::{HTML, file};
use super::output::say;
use super::run_folder::{self, OpenRun};

/// The page in a run's folder.
pub(super) const FILE: &str = "report.html";

const EXAMPLES: &str = "\
Examples:
  ganforge report runs/mnist-001                           runs/mnist-001/report.html
  ganforge report runs/mnist-001 runs/mnist-002            report.html, with both in one
  ganforge report runs                                     runs/report.html, with all runs in that folder
  ganforge report runs/mnist-* --out compared.html

The page is one file that loads nothing else: send it, open it offline. Training writes it at its
end; this command makes it anew, also of a run that is still going on.";

/// Write a page about one run or several: curves, samples, settings.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The runs' folders, or a folder with runs in it, as `runs`; runs of `train --seeds` are found in their folder
    #[arg(value_name = "RUN|FOLDER", required = true)]
    runs: Vec<PathBuf>,
    /// The file to write [default: RUN/report.html or FOLDER/report.html; of several report.html here]
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

/// Whether the page in a run's own folder is there, to its end, and no older than what run.json says of the run.
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
        Subject {
            label,
            run: &open.run,
            config: &open.config,
            facts: about.map_or(Vec::new(), |a| a.facts()),
            n_train: about.and_then(|a| a.n_train()),
            score: about.and_then(|a| a.score()).map(|s| s.to_string()),
            failure: about.and_then(|a| a.failure()).map(String::from),
            caveat: about.and_then(|a| a.caveat_line()),
        }
    });
    Ok(report::write(&subjects.collect::<Vec<_>>(), out)?)
}

/// What runs are called: their folders' names, or whole paths where two have the same name.
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
