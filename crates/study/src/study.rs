//! A study's file.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use ganforge_data::hash;
use ganforge_settings::{
    Change, ConfigError, Fault, Maybe, Reader, Scalar, Settings, Value, closed, hint, list, page,
    parse, read, scalar, settings, text, whole, write,
};

use crate::designs::{Design, GpUcb};
use crate::engines::{EngineKind, Local};
use crate::fingerprint::said;
use crate::space::{Dimension, Keyed, Names, Options, Scale, key_of, leaves};

/// Most settings of a study.
const MOST_SETTINGS: usize = 1_000_000;
/// Largest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

list! {
    /// Which scores are better.
    pub enum Direction {
        /// The lower.
        "lower" => Lower,
        /// The higher.
        "higher" => Higher,
    }
}

settings! {
    /// How settings are chosen.
    pub struct Chosen {
        /// The rule.
        pub by: Design = Design::GpUcb(GpUcb::default());
        /// Seed of all that is drawn.
        pub seed as "seed": u64 = 1, whole(0, i64::MAX as usize);
        /// Whether each of the study's cells has a design of its own, in the other keys, with so many settings each.
        pub apart: bool = false;
    }
}

settings! {
    /// What runs the trials.
    pub struct RunBy {
        /// The engine.
        pub kind: EngineKind = EngineKind::Local(Local::default());
    }
}

settings! {
    /// A study: a configuration, what of it is searched, and how.
    pub struct Study {
        /// The configuration that trials change: a preset, or a TOML file by its path relative to the study's.
        #[shown("none: it must be given")]
        pub base: String = String::new(), text("a preset's name or the path of a TOML file", |s| !s.trim().is_empty());
        /// Changes of it that hold for all trials, written as after `--set`.
        pub set: Vec<String> = Vec::new(), Options;
        /// What a trial is judged by: the name of a score's column.
        #[shown("none: it must be given")]
        pub score: String = String::new(), text("the name of a score's column, such as \"fid\"", is_column);
        /// Which scores are better.
        pub direction: Direction = Direction::Lower;
        /// The scale on which scores are compared; a logarithm for those that range over orders of magnitude.
        pub score_scale: Scale = Scale::Linear;
        /// What a trial that failed, or whose score is no number, counts as.
        #[shown("the worst score so far")]
        pub failed_score: Option<f64> = None, Maybe(closed(-1e9, 1e9));
        /// Seeds of the runs: each of the settings is tried with each of them, and has the median of their scores.
        pub seeds: Vec<u64> = vec![1], Seeds;
        /// The largest number of trials; a design that needs more is refused.
        #[shown("none")]
        pub budget: Option<usize> = None, Maybe(whole(1, 1_000_000_000));
        /// How often a trial is started before it counts as failed.
        pub tries: usize = 3, whole(1, 100);
        /// The device that trials train on.
        pub device: String = "cpu".to_owned(), text("a device, such as \"cpu\" or \"cuda\"", |d| !d.is_empty());
        /// Threads of a trial.
        #[shown("a fair share of the cores")]
        pub threads: Option<usize> = None, Maybe(whole(1, 4096));
        /// What tells apart the cells of reports: keys of the space of the kinds choice and cases.
        #[shown("all of these kinds")]
        pub cells: Option<Vec<String>> = None, Maybe(Names("keys"));
        /// How settings are chosen.
        pub design: Chosen = Chosen::default();
        /// What runs the trials.
        pub engine: RunBy = RunBy::default();
        /// What is searched.
        pub space: Vec<Dimension> = Vec::new(), Keyed;
    }
    check Study::check;
}

/// What `ganforge study keys` prints and docs/study.md holds: every key of study.toml with its default and what it takes.
pub fn keys_page() -> String {
    format!("{INTRODUCTION}\n{}", page(&Study::keys()))
}

const INTRODUCTION: &str = "\
# study.toml

A study is a folder with this file: a configuration, the keys of it that are searched, and a design that chooses their values.
`base`, `score` and one table of `space` must be given. Unknown keys, invalid values and keys that are not used are errors, and all
errors are reported at once. `ganforge study run DIR --set KEY=VALUE` overrides a key for one call.

What is searched, the design, the seeds and the score must stay as they are once the first round has been proposed. `tries`, `threads`,
`device`, `budget`, `names` and `[engine]` may change, and so may `cells` unless `design.apart` is true. How studies work is told in
[the book](book/src/studies.md). This page is the output of `ganforge study keys`.
";

/// What a score's column is called, also with the name of its network before it.
fn is_column(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(good)
}

impl Study {
    /// Reads a study's file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and all that is wrong in it, each with its line.
    pub fn load(path: &Path) -> Result<Study, ConfigError> {
        Study::load_with::<&str>(path, &[])
    }

    /// The same, changed by `key=value` options, as after `--set`.
    ///
    /// # Errors
    ///
    /// As [`Study::load`]; what is wrong with an option.
    pub fn load_with<S: AsRef<str>>(path: &Path, options: &[S]) -> Result<Study, ConfigError> {
        let origin = path.display().to_string();
        let fault = |message: String| ConfigError::from(Fault::whole(&*origin, message));
        let refused = |e: std::io::Error| ConfigError {
            refused: Some(e.kind()),
            ..fault(format!("cannot be read: {e}"))
        };
        let size = fs::metadata(path).map_err(refused)?.len();
        if size > MAX_FILE_BYTES {
            return Err(fault(format!(
                "larger than {MAX_FILE_BYTES} bytes, not a study"
            )));
        }
        let text = fs::read_to_string(path).map_err(|e| match e.kind() {
            ErrorKind::InvalidData => fault("not UTF-8 text, which TOML requires".to_owned()),
            _ => refused(e),
        })?;
        Study::from_toml_with(&text, &origin, options)
    }

    /// Reads the text of a study's file, which `origin` names in messages.
    ///
    /// # Errors
    ///
    /// All that is wrong in it, each with its line.
    pub fn from_toml(text: &str, origin: &str) -> Result<Study, ConfigError> {
        Study::from_toml_with::<&str>(text, origin, &[])
    }

    /// The same, changed by `key=value` options.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn from_toml_with<S: AsRef<str>>(
        text: &str,
        origin: &str,
        options: &[S],
    ) -> Result<Study, ConfigError> {
        let mut root = parse(text, origin)?;
        let (keys, mut faults) = (Study::keys(), Vec::new());
        for option in options {
            match Change::parse(option.as_ref()) {
                Ok(change) => change.apply(&mut root, &keys, &mut faults),
                Err(fault) => faults.push(fault),
            }
        }
        match read(&root, origin) {
            Ok(study) if faults.is_empty() => Ok(study),
            Ok(_) => Err(ConfigError::new(faults)),
            Err(error) => Err(ConfigError::new([faults, error.faults].concat())),
        }
    }

    /// Whether its base is a file, not a preset: it looks like a path.
    pub fn base_is_file(&self) -> bool {
        self.base.contains('/') || self.base.ends_with(".toml")
    }

    /// SHA-256 of what its trials and their scores depend on: not of the engine, of threads, tries, the budget and of
    /// what reports call things, which may change while it runs. Nor of what is as it is by default: a key that a later version
    /// has in addition leaves it as it was.
    pub fn fingerprint(&self) -> String {
        let default = Study::default();
        let searched = Study {
            engine: default.engine,
            threads: default.threads,
            tries: default.tries,
            device: default.device,
            cells: self.cells.clone().filter(|_| self.design.apart),
            budget: default.budget,
            space: self.space.iter().map(Dimension::without_names).collect(),
            ..self.clone()
        };
        hash::of_bytes(said(&searched).as_bytes())
    }

    /// All of it as TOML, defaults written out.
    pub fn to_toml(&self) -> String {
        write(self)
    }

    /// Why a score counts for nothing, where it does: it is no finite number, or has no logarithm where logarithms are
    /// compared. The trial then counts as one that failed.
    pub fn refuses(&self, score: f64) -> Option<String> {
        let (name, scale) = (&self.score, self.score_scale.name());
        match (score.is_finite(), self.score_scale.of(score).is_finite()) {
            (true, true) => None,
            (false, _) => Some(format!("its {name} is no number")),
            (true, false) => Some(format!(
                "its {name} is {score}, which has no logarithm for score_scale = {scale:?}"
            )),
        }
    }

    /// How many rounds there are, and how many trials in each.
    pub fn size(&self) -> [usize; 2] {
        let [rounds, settings] = self.settings().unwrap_or([0; 2]);
        [rounds, settings * self.seeds.len()]
    }

    /// How many rounds there are, and how many settings in each; none: more than can be counted.
    fn settings(&self) -> Option<[usize; 2]> {
        if !self.design.apart {
            return self.design.by.size(&self.space);
        }
        let cells = self.cells();
        let keys = self.space.iter().enumerate();
        let (cells, others): (Vec<_>, Vec<_>) = keys.partition(|(c, _)| cells.contains(c));
        let others: Vec<Dimension> = others.into_iter().map(|(_, d)| d.clone()).collect();
        let choices = cells.iter().filter_map(|(_, d)| d.choices());
        let n = choices.into_iter().try_fold(1, usize::checked_mul)?;
        let [rounds, settings] = self.design.by.size(&others)?;
        Some([rounds, settings.checked_mul(n)?])
    }

    fn check(&mut self, table: &Reader<'_>) {
        if self.base.is_empty() {
            table.fault(
                "base",
                "must be given: a preset's name or the path of a TOML file",
            );
        }
        if self.score.is_empty() {
            table.fault(
                "score",
                "must be given: the name of a score's column, such as \"fid\"",
            );
        }
        if self.space.is_empty() {
            let what = "must have a table for at least one key, as in [space.optimizer.lr]";
            table.fault("space", what);
        }
        if let Some(failed) = self.failed_score
            && !self.score_scale.of(failed).is_finite()
        {
            let scale = self.score_scale.name();
            let message = format!("must be above 0 with score_scale = {scale:?}, got {failed:?}");
            table.fault("failed_score", &message);
        }
        self.check_keys(table);
        self.check_cells(table);
        if table.is_good() {
            self.check_design(table);
        }
    }

    /// No key is set twice, none is the seed.
    fn check_keys(&self, table: &Reader<'_>) {
        let mut set_by: BTreeMap<&str, &str> = BTreeMap::from([("seed", "seeds")]);
        for option in &self.set {
            if let Some(other) = set_by.insert(key_of(option), "set")
                && other != "set"
            {
                table.fault(
                    "set",
                    &format!("sets {}, which is for {other}", key_of(option)),
                );
            }
        }
        let leaves = leaves(table, "space");
        for (dimension, (_, at)) in self.space.iter().zip(&leaves) {
            for key in dimension.keys() {
                if let Some(other) = set_by.insert(key, &dimension.key) {
                    let by = match other {
                        "seeds" | "set" => other.to_owned(),
                        other => format!("space.{other}"),
                    };
                    at.fault("", &format!("sets {key}, as {by} does"));
                }
            }
        }
    }

    /// The dimensions that tell apart the cells of reports, by their places in the space.
    pub fn cells(&self) -> Vec<usize> {
        let is_one = |d: &Dimension| match &self.cells {
            Some(cells) => cells.contains(&d.key),
            None => d.choices().is_some(),
        };
        let all = self.space.iter().enumerate();
        all.filter(|(_, d)| is_one(d)).map(|(c, _)| c).collect()
    }

    /// Each of the cells' keys is there and has a list of values.
    fn check_cells(&self, table: &Reader<'_>) {
        let with_lists = self.space.iter().filter(|d| d.choices().is_some());
        let known: Vec<&str> = with_lists.map(|d| d.key.as_str()).collect();
        for name in self.cells.iter().flatten() {
            if !known.contains(&name.as_str()) {
                let there = match known.is_empty() {
                    true => "there is none".to_owned(),
                    false => format!("there are {}", known.join(", ")),
                };
                let message = format!(
                    "has {name:?}, which is no key of the space with kind = \"choice\" or \"cases\": {there}{}",
                    hint(name, &known)
                );
                table.fault("cells", &message);
            }
        }
    }

    /// The design has all that it needs, and nothing is for another one.
    fn check_design(&self, table: &Reader<'_>) {
        let leaves = leaves(table, "space");
        for (dimension, (_, at)) in self.space.iter().zip(&leaves) {
            match self.design.by.uses_grid() {
                true => dimension.grid().err().iter().for_each(|e| at.fault("", e)),
                false if dimension.has_points() => at.refuse("points", "design.kind = \"grid\""),
                false => {}
            }
        }
        if self.design.apart && [0, self.space.len()].contains(&self.cells().len()) {
            let what = "needs cells, keys of the space with kind = \"choice\" or \"cases\", and keys beside them";
            table.fault("design.apart", what);
        }
        if !table.is_good() {
            return;
        }
        let [rounds, settings] = match self.settings() {
            Some(size) if size[0].saturating_mul(size[1]) <= MOST_SETTINGS => size,
            _ => {
                let message = format!("has more than {MOST_SETTINGS} settings");
                return table.fault("design", &message);
            }
        };
        let trials = rounds * settings * self.seeds.len();
        if let Some(budget) = self.budget.filter(|b| *b < trials) {
            let seeds = self.seeds.len();
            let message = format!(
                "is {budget} trials, but the design has {} settings x {seeds} seeds = {trials}",
                rounds * settings
            );
            table.fault("budget", &message);
        }
    }
}

/// Seeds of runs.
struct Seeds;

/// Most seeds.
const MOST_SEEDS: usize = 1000;

impl Scalar<Vec<u64>> for Seeds {
    fn what(&self) -> String {
        format!(
            "an array of 1 to {MOST_SEEDS} different whole numbers from 0 to {}",
            i64::MAX
        )
    }

    fn parse(&self, value: &Value) -> Result<Vec<u64>, String> {
        let Value::Array(items) = value else {
            return Err(String::new());
        };
        let mut seeds = Vec::new();
        for item in items {
            match &item.value {
                Value::Int(n) if (0..=i128::from(i64::MAX)).contains(n) => {
                    if seeds.contains(&(*n as u64)) {
                        return Err(format!(" with {n} twice"));
                    }
                    seeds.push(*n as u64);
                }
                other => return Err(format!(" with {} in it", other.show())),
            }
        }
        match seeds.len() {
            1..=MOST_SEEDS => Ok(seeds),
            n => Err(format!(" of {n}")),
        }
    }

    fn show(&self, seeds: &Vec<u64>) -> String {
        format!("{seeds:?}")
    }
}

scalar! { impl [] Seeds => Vec<u64> }
