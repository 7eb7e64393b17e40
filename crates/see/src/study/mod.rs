//! `study.html`: what a study says so far, as a self-contained page, and its plots as pictures beside it.
//!
//! ```
//! use ganforge_see::study::Report;
//! use ganforge_study::report::Results;
//! use ganforge_study::{Record, State, Study, propose};
//!
//! let text = "
//!     base = 'mnist'
//!     score = 'fid'
//!     [design]
//!     kind = 'random'
//!     settings = 8
//!     [space.train.k]
//!     kind = 'choice'
//!     values = [1, 5]
//! ";
//! let study = Study::from_toml(text, "study.toml")?;
//! let done = |trial: ganforge_study::Trial| Record {
//!     state: State::Done(20.0 + trial.point[0]),
//!     trial,
//!     begun: None,
//!     ended: None,
//!     seconds: None,
//!     note: None,
//! };
//! let trials = propose(&study, &[])?.unwrap_or_default().into_iter().map(done);
//! let trials: Vec<Record> = trials.collect();
//! let finished: Vec<_> = trials.iter().filter_map(Record::finished).collect();
//! let results = Results::of(&study, &finished)?;
//! let report = Report {
//!     title: "a study".into(),
//!     study: &study,
//!     trials: &trials,
//!     results: &results,
//!     best_toml: None,
//!     facts: Vec::new(),
//! };
//! let folder = std::env::temp_dir().join("a-study");
//! std::fs::create_dir_all(&folder)?;
//! assert!(report.write(&folder)?[0].ends_with("study.html"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::{Path, PathBuf};

use ganforge_gan::error::Result;
use ganforge_gan::files::write_atomic;
use ganforge_plots::Plot;
use ganforge_study::report::Results;
use ganforge_study::{Record, Study};

mod page;
mod pictures;

#[cfg(test)]
mod tests;

/// The page's name.
pub const FILE: &str = "study.html";

/// A study to report on.
pub struct Report<'a> {
    /// What it is called.
    pub title: String,
    /// The study.
    pub study: &'a Study,
    /// The trials of all rounds that have been proposed, in the order of their numbers.
    pub trials: &'a [Record],
    /// What the finished ones among them say.
    pub results: &'a Results,
    /// The configuration with the [best settings](Results::best), as TOML.
    pub best_toml: Option<String>,
    /// What made it, as name and text: engine, program, data.
    pub facts: Vec<(&'static str, String)>,
}

impl Report<'_> {
    /// The page.
    pub fn page(&self) -> String {
        page::page(self)
    }

    /// The plots, each with its name as that of a file.
    pub fn plots(&self) -> Vec<(String, Plot)> {
        pictures::plots(self)
    }

    /// Writes the page and, for each plot, a PNG and an SVG into a folder, each atomically. Gives their paths, the page's
    /// first.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let page = folder.join(FILE);
        let text = self.page();
        write_atomic(&page, |w| w.write_all(text.as_bytes()))?;
        let mut written = vec![page];
        for (name, plot) in self.plots() {
            let stem = folder.join(name);
            plot.save(&stem)?;
            written.extend(["png", "svg"].map(|kind| stem.with_extension(kind)));
        }
        Ok(written)
    }
}
