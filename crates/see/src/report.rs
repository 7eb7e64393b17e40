//! `report.html`: the results of a run, or a comparison of several, as a self-contained page.
//!
//! The curves are drawn in the page (`chart.js`), not as plotters' SVG: they name the values under the pointer, choose runs and
//! scales, and the build stays free of plots.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::html::Page;
use ganforge_gan::config::{BestOn, Config};
use ganforge_gan::error::{Error, Result};
use ganforge_gan::files::{FileError, listed, write_atomic};
use ganforge_gan::metrics::{Better, Column};
use ganforge_gan::run::Run;
use ganforge_gan::run::table::Table;
use ganforge_gan::schedule;

mod settings;

/// The most pictures in a page, over all of its runs.
const MAX_PICTURES: usize = 60;
/// The most rows of a run's table in a page.
const MAX_ROWS: usize = 4000;

const STYLES: [&str; 1] = [include_str!("../assets/report/report.css")];
const SCRIPTS: [&str; 3] = [
    include_str!("../assets/report/chart.js"),
    include_str!("../assets/report/pictures.js"),
    include_str!("../assets/report/report.js"),
];

/// A run to report on, with what is known of it beside its folder.
pub struct Subject<'a> {
    /// What it is called.
    pub label: String,
    /// Its folder.
    pub run: &'a Run,
    /// Its configuration.
    pub config: &'a Config,
    /// What made it, as name and text: data, program, machine.
    pub facts: Vec<(&'static str, String)>,
    /// Images to train on, where known: they tell how many steps an epoch has.
    pub n_train: Option<usize>,
    /// The score at its end.
    pub score: Option<String>,
    /// Why it stopped where its training failed.
    pub failure: Option<String>,
    /// What must be known beside the score.
    pub caveat: Option<String>,
}

/// Writes a page on `subjects` to `out`, atomically.
///
/// # Errors
/// A run without rows in metrics.csv whose training did not fail; a damaged table, with its line; a picture that is none; what the system refuses.
pub fn write(subjects: &[Subject], out: &Path) -> Result<()> {
    let mut runs = Vec::new();
    let cap = (MAX_PICTURES / subjects.len().max(1)).max(2);
    for subject in subjects {
        runs.push(subject.read(cap)?);
    }
    let labels: Vec<&str> = subjects.iter().map(|s| s.label.as_str()).collect();
    let configs: Vec<&Config> = subjects.iter().map(|s| s.config).collect();
    let title = listed(labels);
    let page = Page {
        title: &title,
        styles: &STYLES,
        scripts: &SCRIPTS,
        data: &json!({ "runs": runs, "differences": settings::differences(&configs) }),
    };
    let text = page.render();
    Ok(write_atomic(out, |w| w.write_all(text.as_bytes()))?)
}

impl Subject<'_> {
    /// What the page says of the run, with at most `cap` pictures.
    fn read(&self, cap: usize) -> Result<Value> {
        let folder = self.run.folder();
        let refuse = |reason: &str| Error::Run {
            folder: folder.to_path_buf(),
            reason: reason.to_string(),
        };
        let path = folder.join("metrics.csv");
        if !path.is_file() {
            return Err(refuse("has no metrics.csv: it has not been trained"));
        }
        let metrics = Table::read(&path)?;
        let (step, epoch) = match (metrics.rows.last(), &self.failure) {
            (Some(last), _) => (last[0], last[1]),
            (None, Some(_)) => (0.0, 0.0),
            (None, None) => {
                return Err(refuse("has no rows in metrics.csv yet: nothing to report"));
            }
        };
        let path = folder.join("scores.csv");
        let scores = match path.is_file() {
            true => columns(&Table::read(&path)?),
            false => Value::Null,
        };
        let pictures = pictures(folder)?;
        let embedded = evenly(pictures.len(), cap).into_iter();
        let embedded = embedded.map(|i| picture(&pictures[i]));
        let rows = self.config.examples_per_step();
        let per_epoch = self.n_train.map(|n| schedule::steps_per_epoch(n, rows));
        Ok(json!({
            "label": self.label,
            "name": self.config.name,
            "facts": self.facts,
            "score": self.score,
            "caveat": self.caveat,
            "failure": self.failure,
            "step": step,
            "epoch": epoch,
            "epochs": self.config.train.epochs,
            "steps_per_epoch": per_epoch.filter(|&n| n > 0),
            "config": self.config.to_toml(),
            "metrics": columns(&metrics),
            "scores": scores,
            "labels": labels(self.config),
            "pictures": embedded.collect::<Result<Vec<Value>>>()?,
            "pictures_in_all": pictures.len(),
        }))
    }
}

/// What the columns of scores.csv are called, and which of their numbers are better; null where a column describes a score.
fn labels(config: &Config) -> Value {
    let columns = config.eval.columns().into_iter();
    let choice = config.eval.choice().filter(|c| c.on == BestOn::Valid);
    let better = |better| match better {
        Better::Higher => "higher is better",
        Better::Lower => "lower is better",
        Better::Neither => "",
    };
    let label = |(name, c): (String, Column)| {
        let title = match choice.as_ref().filter(|choice| choice.name == name) {
            Some(choice) => format!("{}, {}", c.label, choice.on.words()),
            None => c.label.to_owned(),
        };
        let label = json!({ "title": title, "better": c.better.map(better) });
        (name, label)
    };
    Value::Object(columns.map(label).collect())
}

/// A table by columns, at most [`MAX_ROWS`] of its rows.
fn columns(table: &Table) -> Value {
    let rows = evenly(table.rows.len(), MAX_ROWS);
    let column = |c: usize| -> Vec<f64> { rows.iter().map(|&r| table.rows[r][c]).collect() };
    let columns: Vec<Vec<f64>> = (0..table.names.len()).map(column).collect();
    json!({ "names": table.names, "columns": columns, "rows_in_all": table.rows.len() })
}

/// Places of at most `cap` of `n` things, the first and the last among them, as evenly as whole numbers go.
fn evenly(n: usize, cap: usize) -> Vec<usize> {
    if n <= cap {
        return (0..n).collect();
    }
    (0..cap).map(|i| i * (n - 1) / (cap - 1)).collect()
}

/// The pictures of a run's samples, in the order of their epochs.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let folder = folder.join("samples");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(FileError::io(&folder, "read", e).into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| FileError::io(&folder, "read", e))?.path();
        if path.extension().is_some_and(|e| e == "png") {
            found.push(path);
        }
    }
    found.sort_by_key(|path| (epoch(path), path.clone()));
    Ok(found)
}

/// The number at the end of a picture's name.
fn epoch(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let digits = stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    stem[digits..].parse().ok()
}

/// A picture with its bytes.
fn picture(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).map_err(|e| FileError::io(path, "read", e))?;
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        let start = &bytes[..bytes.len().min(8)];
        return Err(FileError::magic(&path.display().to_string(), "a PNG picture", start).into());
    }
    let name = path.file_stem().map(|s| s.to_string_lossy().into_owned());
    let src = format!("data:image/png;base64,{}", STANDARD.encode(&bytes));
    Ok(json!({ "name": name, "epoch": epoch(path), "src": src }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_has_the_first_and_the_last_and_no_gap_twice_as_wide_as_another() {
        for n in 0..200 {
            for cap in 2..70 {
                let chosen = evenly(n, cap);
                assert_eq!(chosen.len(), n.min(cap));
                let gaps: Vec<usize> = chosen.windows(2).map(|w| w[1] - w[0]).collect();
                if let (Some(min), Some(max)) = (gaps.iter().min(), gaps.iter().max()) {
                    assert_eq!((chosen[0], chosen[chosen.len() - 1]), (0, n - 1));
                    assert!(*min > 0 && max - min <= 1, "{n} {cap}: {chosen:?}");
                }
            }
        }
    }

    #[test]
    fn a_picture_belongs_to_the_epoch_that_its_name_ends_with() {
        for (name, number) in [
            ("epoch-007.png", Some(7)),
            ("epoch-1200.png", Some(1200)),
            ("density-3.png", Some(3)),
            ("all.png", None),
            ("99999999999999999999999.png", None),
        ] {
            assert_eq!(epoch(Path::new(name)), number, "{name}");
        }
    }
}
