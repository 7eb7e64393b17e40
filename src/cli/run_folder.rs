//! A run's folder as opened by a command: configuration, run.json, data.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge::gan::config::{Config, DataSet};
use ganforge::gan::data::{self, Dataset, FetchPolicy, MNIST};
use ganforge::gan::generator;
use ganforge::gan::metrics::Scores;
use ganforge::gan::run::Run;

use super::about::{About, VERSION};
use super::failure::Failure;
use super::output::{framed, tell};

/// An opened run.
pub(super) struct OpenRun {
    pub(super) run: Run,
    pub(super) config: Config,
    /// run.json; a killed run may not have one yet.
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
                    "{}: damaged: expected a JSON object; delete it, and `ganforge train --resume` writes a new one",
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

    /// The same, where `best` is asked for read as if its best checkpoint were its newest one.
    pub(super) fn open_at(folder: &Path, best: bool) -> Result<OpenRun, Failure> {
        let open = OpenRun::open(folder)?;
        Ok(match best {
            true => OpenRun {
                run: open.run.at_best()?,
                ..open
            },
            false => open,
        })
    }

    /// The scores of a finished run.
    pub(super) fn score(&self) -> Option<Scores> {
        self.about.as_ref()?.score(&self.config.eval.metrics)
    }

    /// The data that the run was trained on; other data are refused.
    pub(super) fn data(&self, quiet: bool) -> Result<Dataset, Failure> {
        let who = self.run.folder().display().to_string();
        learnt(&self.config, &who, self.learnt_from()?.as_deref(), quiet)
    }

    /// The SHA-256 of those data: from the newest checkpoint, else from run.json.
    pub(super) fn learnt_from(&self) -> Result<Option<String>, Failure> {
        let of_about = || self.about.as_ref()?.sha256().map(String::from);
        Ok(self.run.learnt_from()?.or_else(of_about))
    }
}

/// An error in opening a run, with the version that wrote it if it differs.
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

/// The data that `who`, a run or a generator of this configuration, was trained on; data with another SHA-256 than `sum`
/// are refused. If that is not known, the data named by the configuration.
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

/// As [`learnt`], but accepts the bundled sample if there is nothing else; the caller then says so.
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

/// Says that `who` may have been trained on other data.
fn tell_unknown(who: &str, data: &Dataset) {
    let name = &data.name;
    tell(&format!(
        "{who}: its training data are not recorded; using those of its configuration, {name}"
    ));
}

/// The bundled sample if `sum` is its SHA-256, else the data named by the configuration.
fn of_sum(config: &Config, sum: Option<&str>, quiet: bool) -> Result<Dataset, Failure> {
    let sample = sum.map(|sum| sample(config, sum)).transpose()?.flatten();
    match sample {
        Some(sample) => Ok(sample),
        None => load(config, quiet),
    }
}

/// The bundled sample, where the configuration may be trained on it and `sum` is its checksum.
pub(super) fn sample(config: &Config, sum: &str) -> Result<Option<Dataset>, Failure> {
    if config.data.set != DataSet::Published(&MNIST) {
        return Ok(None);
    }
    let sample = data::bundled_sample()?;
    let is_it = sample.sha256 == sum;
    Ok(is_it.then(|| sample.with_contrast(config.data.contrast)))
}

/// Loads the data named by a configuration, fetching what is missing, and prints notices about them.
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

/// The paths of data, of other runs and of networks that metrics ask for must not depend on the directory in which the run is
/// resumed.
pub(super) fn make_paths_absolute(config: &mut Config) {
    make_paths_absolute_in(Path::new(""), config);
}

/// The same of paths that are relative to a folder.
pub(super) fn make_paths_absolute_in(folder: &Path, config: &mut Config) {
    let data = match &mut config.data.set {
        DataSet::File(path) => Some(path),
        _ => None,
    };
    let metrics = config.eval.metrics.iter_mut();
    let looks = metrics.filter_map(|metric| metric.get_mut()?.extraction_mut());
    let extractors = looks.flat_map(|looks| looks.paths_mut());
    let margin = config.margin.as_mut().and_then(|m| m.network.as_mut());
    let encoder = config.encoder.as_mut().and_then(|e| e.of.as_mut());
    let encoder = encoder.filter(|of| !generator::is_bundled(of));
    for path in data
        .into_iter()
        .chain(&mut config.init_from)
        .chain(extractors)
        .chain(margin)
        .chain(encoder)
    {
        if let Ok(absolute) = std::path::absolute(folder.join(&*path))
            && let Some(text) = absolute.to_str()
        {
            *path = text.to_string();
        }
    }
}

/// Opens the runs named by paths: a run itself, or the runs in a folder, sorted by name, including those in its folders of
/// `train --seeds`. A run in a folder that cannot be opened is skipped with a message.
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
                "{}: is not a run and contains none: expected a folder with config.toml",
                path.display()
            )));
        }
    }
    Ok(runs)
}

fn is_run(folder: &Path) -> bool {
    folder.join("config.toml").is_file()
}

/// Says what is skipped and why; returns `instead`.
fn skipped<T>(failure: Failure, instead: T) -> T {
    tell(&format!("skipped: {failure}"));
    instead
}

/// The folders in a folder, sorted by name.
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

/// Creates runs/NAME-001, or the next free number.
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
