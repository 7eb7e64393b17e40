//! A run's folder as the commands open it: its configuration, what run.json says, its data.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge::gan::config::{Config, DataSet};
use ganforge::gan::data::{self, Dataset, FetchPolicy, MNIST};
use ganforge::gan::run::Run;

use super::about::{About, VERSION};
use super::failure::Failure;
use super::output::{framed, tell};

/// An opened run.
pub(super) struct OpenRun {
    pub(super) run: Run,
    pub(super) config: Config,
    /// run.json; a killed run may have none yet.
    pub(super) about: Option<About>,
}

impl OpenRun {
    /// Opens the folder of a run.
    pub(super) fn open(folder: &Path) -> Result<OpenRun, Failure> {
        let (run, config) = Run::open(folder).map_err(|e| explained(folder, e))?;
        let path = folder.join("run.json");
        let about = match fs::read_to_string(&path) {
            Ok(text) => Some(About::parse(&text).ok_or_else(|| {
                Failure::input(format!(
                    "{}: damaged: expected a JSON object; delete it to do without: `ganforge train --resume` writes a new one",
                    path.display()
                ))
            })?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => {
                return Err(Failure::io(&path, "read", e));
            }
        };
        Ok(OpenRun { run, config, about })
    }

    /// The data that the run has learnt from so far; other data are refused.
    pub(super) fn data(&self, quiet: bool) -> Result<Dataset, Failure> {
        let who = self.run.folder().display().to_string();
        learnt(&self.config, &who, self.learnt_from()?.as_deref(), quiet)
    }

    /// The SHA-256 of those data: as the newest checkpoint has it, or else run.json.
    pub(super) fn learnt_from(&self) -> Result<Option<String>, Failure> {
        let of_about = || self.about.as_ref()?.sha256().map(String::from);
        Ok(self.run.learnt_from()?.or_else(of_about))
    }
}

/// An error in opening a run, with the version that wrote it where that is another one.
fn explained(folder: &Path, error: ganforge::gan::Error) -> Failure {
    let text = fs::read_to_string(folder.join("run.json")).unwrap_or_default();
    let written = About::parse(&text).and_then(|about| about.version().map(str::to_string));
    match written {
        Some(version) if version != VERSION => Failure::from(error).and(&format!(
            "; the run was written by ganforge {version}, this is {VERSION}"
        )),
        _ => error.into(),
    }
}

/// The data that `who`, a run or a generator of this configuration, has learnt from; other data than those with the
/// SHA-256 `sum` are refused. Where it is not known, those that the configuration names.
pub(super) fn learnt(
    config: &Config,
    who: &str,
    sum: Option<&str>,
    quiet: bool,
) -> Result<Dataset, Failure> {
    let data = of_sum(config, sum, quiet)?;
    match sum {
        Some(sum) => data.check_learnt(who, sum)?,
        None => tell_unknown(who, &data),
    }
    Ok(data)
}

/// As [`learnt`], but where there is no more than the bundled sample it will do: for what then says so.
pub(super) fn learnt_or_sample(
    config: &Config,
    who: &str,
    sum: Option<&str>,
) -> Result<Dataset, Failure> {
    let data = of_sum(config, sum, false)?;
    match (data.origin, sum) {
        (_, None) => tell_unknown(who, &data),
        (data::Origin::BundledSample, _) => {}
        (_, Some(sum)) => data.check_learnt(who, sum)?,
    }
    Ok(data)
}

/// Says that `who` may have learnt from other data.
fn tell_unknown(who: &str, data: &Dataset) {
    let name = &data.name;
    tell(&format!(
        "{who}: it is not known what data it has learnt from: taken are those of its configuration, {name}"
    ));
}

/// The bundled sample where `sum` is its SHA-256, or else what the configuration names.
fn of_sum(config: &Config, sum: Option<&str>, quiet: bool) -> Result<Dataset, Failure> {
    if config.data.set == DataSet::Published(&MNIST) && sum.is_some() {
        let sample = data::bundled_sample()?;
        if sum == Some(&sample.sha256) {
            return Ok(sample.with_contrast(config.data.contrast));
        }
    }
    load(config, quiet)
}

/// Loads the data that a configuration names, fetching what is missing; says what must be known.
pub(super) fn load(config: &Config, quiet: bool) -> Result<Dataset, Failure> {
    let mut progress = |line: &str| {
        if !quiet {
            tell(line);
        }
    };
    let (data, notices) = config.load_data(FetchPolicy::from_env(), &mut progress)?;
    match data.origin {
        data::Origin::BundledSample => tell(&framed(&notices)),
        _ => notices.iter().for_each(|line| tell(line)),
    }
    Ok(data)
}

/// Where the data are, and the run that another begins with, must not depend on where the run is resumed from.
pub(super) fn make_paths_absolute(config: &mut Config) {
    let data = match &mut config.data.set {
        DataSet::File(path) => Some(path),
        _ => None,
    };
    for path in data.into_iter().chain(&mut config.init_from) {
        if let Ok(absolute) = std::path::absolute(&*path)
            && let Some(text) = absolute.to_str()
        {
            *path = text.to_string();
        }
    }
}

/// The runs that paths name, opened: each itself, or, of a folder that is no run, those in it, by name, and in its folders
/// of several seeds. One of those that cannot be opened is left out, and named.
pub(super) fn runs_in(paths: &[PathBuf]) -> Result<Vec<OpenRun>, Failure> {
    let mut runs = Vec::new();
    for path in paths {
        if is_run(path) || !path.is_dir() {
            runs.push(OpenRun::open(path)?);
            continue;
        }
        let before = runs.len();
        for inside in folders_in(path)? {
            let found = match is_run(&inside) {
                true => Ok(vec![inside]),
                false => folders_in(&inside),
            };
            let found = found.unwrap_or_else(|failure| skipped(failure, Vec::new()));
            let found = found.iter().filter(|folder| is_run(folder));
            runs.extend(found.filter_map(|folder| {
                let open = OpenRun::open(folder).map(Some);
                open.unwrap_or_else(|failure| skipped(failure, None))
            }));
        }
        if runs.len() == before {
            return Err(Failure::input(format!(
                "{}: is not a run, and there is no run in it: expected a folder with config.toml",
                path.display()
            )));
        }
    }
    Ok(runs)
}

fn is_run(folder: &Path) -> bool {
    folder.join("config.toml").is_file()
}

/// Says what is left out, and why; gives what is there instead.
fn skipped<T>(failure: Failure, instead: T) -> T {
    tell(&format!("left out: {failure}"));
    instead
}

/// The folders in a folder, by name.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let refused = |e| Failure::io(folder, "read", e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// runs/NAME-001, or the next number that is free; the folder is made.
pub(super) fn next_free(name: &str) -> Result<PathBuf, Failure> {
    let runs = Path::new("runs");
    fs::create_dir_all(runs).map_err(|e| Failure::io(runs, "create", e))?;
    for number in 1..1_000_000 {
        let folder = runs.join(format!("{name}-{number:03}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Failure::io(&folder, "create", e)),
        }
    }
    Err(Failure::input(format!(
        "runs/{name}-NNN: no number is free"
    )))
}
