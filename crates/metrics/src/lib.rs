//! How good a generator's samples are.
//!
//! A [`Metric`] scores samples against the data; [`MetricKind`] is the list of them. To add one, write its file, with its
//! settings, its columns and its [`Metric`], and one line of the list below. A program's own is a [`MetricKind::Own`].
//!
//! ```
//! use ganforge_data::{DataSet, RING};
//! use ganforge_metrics::{Task, unasked};
//! let (set, data) = (DataSet::Toy(&RING), RING.draw(1));
//! let metrics = unasked(&set); // what scores this data set where nothing is said
//! let task = Task::new(&metrics, &set, 500);
//! let samples = data.test.to_f32(0..task.samples())?; // of a perfect generator
//! let scores = task.score(&Default::default(), &data, &samples, &[], &[])?;
//! assert!(scores.to_string().starts_with("8 of 8 modes covered"));
//! # Ok::<(), ganforge_metrics::Error>(())
//! ```
#![forbid(unsafe_code)]

mod exp;
pub mod extractor;
pub mod nearest;
mod score;
pub mod sets;

use std::fmt;

use ganforge_data::{DataError, DataSet, Dataset, Mixture};
use ganforge_settings::{Setting, list};
use ganforge_tensor::Device;

pub use extractor::{Compared, Extraction, Extractors, Reference, Seen};
pub use score::{Numbers, Score, Scores, Value};

macro_rules! metrics {
    ($($module:ident: $name:literal $(was $old:literal)* => $kind:ident,)*) => {
        $(pub mod $module;)*

        list! {
            /// What scores the samples.
            pub enum MetricKind: dyn Metric by "kind" { $($name $(was $old)* => $kind($module::$kind),)* }
        }

        impl MetricKind {
            /// All, with the stated defaults.
            pub fn all() -> Vec<MetricKind> {
                vec![$(MetricKind::$kind($module::$kind::default()),)*]
            }

            /// The metric of this name, or of another one that is read for it, with the stated defaults.
            pub fn named(name: &str) -> Option<MetricKind> {
                let name = match name {
                    $($($old => $name,)*)*
                    other => other,
                };
                MetricKind::all().into_iter().find(|kind| kind.name() == name)
            }
        }
    };
}

metrics! {
    parzen: "parzen" => Parzen,
    modes: "modes" => Modes,
    density: "density" => Density,
    nn_distance: "nn-distance" was "nearest" => NnDistance,
    classification: "classification" => Classification,
    mre: "mre" => Mre,
    test_accuracy: "test-accuracy" => TestAccuracy,
    fid: "fid" => Fid,
    kid: "kid" => Kid,
    inception: "is" => Inception,
    precision: "precision" was "prdc" => Precision,
    accuracy: "accuracy" => Accuracy,
    classes: "classes" => Classes,
    class_spread: "class-spread" => ClassSpread,
    ms_ssim: "ms-ssim" => MsSsim,
    inference: "inference" => Inference,
    agreement: "agreement" => Agreement,
    restoration: "restoration" => Restoration,
}

/// A way to score samples.
pub trait Metric: fmt::Debug + Send + Sync {
    /// Whether it scores a data set unasked or only where it is named. An error says what it needs, after "needs".
    fn fits(&self, set: &DataSet) -> Result<Fit, String>;

    /// What its numbers are.
    fn columns(&self) -> Vec<Column>;

    /// What it asks of the networks where `samples` samples are to be drawn.
    fn needs(&self, set: &DataSet, samples: usize) -> Needs {
        let _ = set;
        Needs::samples(self.extraction().map_or(samples, |looks| looks.images))
    }

    /// What it looks at images with, where it does: the names of its columns end with its label.
    fn extraction(&self) -> Option<&Extraction> {
        None
    }

    /// The same, to be changed.
    fn extraction_mut(&mut self) -> Option<&mut Extraction> {
        None
    }

    /// Whether it can score samples against the test images of `data` through a network that tells `classes` classes apart: what is
    /// known before there are samples. An error says what it needs, after "needs".
    fn suits(&self, data: &Dataset, classes: usize) -> Result<(), String> {
        let _ = (data, classes);
        Ok(())
    }

    /// Its numbers, one for each of [`Metric::columns`].
    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error>;

    /// The numbers as people read them: "8 of 8 modes covered, ...".
    fn sentence(&self, numbers: &Numbers) -> String {
        let columns = self.columns().into_iter().zip(&numbers.values);
        let parts: Vec<String> = columns
            .filter(|(column, _)| column.better.is_some())
            .map(|(c, value)| format!("{} {value:.*}", c.label, c.decimals))
            .collect();
        parts.join(", ")
    }
}

/// Whether a metric is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Where the configuration names none.
    Unasked,
    /// Where it is named.
    Asked,
}

/// What a number of a score is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Its name in scores.csv, JSON and TensorBoard.
    pub name: &'static str,
    /// What it is called where people read it, with its unit.
    pub label: &'static str,
    /// The decimals that say something of a mean over runs.
    pub decimals: usize,
    /// The decimals in scores.csv; 0: a whole number.
    pub digits: usize,
    /// What is better; none: it describes the score.
    pub better: Option<Better>,
}

/// Which numbers are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The higher.
    Higher,
    /// The lower.
    Lower,
    /// Neither: it is to be compared with another one.
    Neither,
}

impl Column {
    /// A score, with `decimals` where people read it and `digits` in scores.csv.
    pub fn score(
        name: &'static str,
        label: &'static str,
        better: Better,
        [decimals, digits]: [usize; 2],
    ) -> Column {
        Column {
            name,
            label,
            decimals,
            digits,
            better: Some(better),
        }
    }

    /// One of its numbers as scores.csv has it; nothing for one that cannot be told.
    pub fn field(&self, value: f64) -> String {
        match value.is_nan() {
            true => String::new(),
            false => format!("{value:.*}", self.digits),
        }
    }

    /// What describes a score.
    pub fn about(name: &'static str, label: &'static str, digits: usize) -> Column {
        Column {
            name,
            label,
            decimals: digits,
            digits,
            better: None,
        }
    }
}

/// What a metric asks of the networks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// Samples of G.
    pub samples: usize,
    /// Points [n, d] at which it asks for D; none: it asks nothing of D.
    pub points: Vec<f32>,
    /// Whether it asks for the class that D assigns to each test example.
    pub classes: bool,
    /// Whether samples must be of a class: sample i of class i mod the number of classes.
    pub of_classes: bool,
    /// Whether it asks for what an encoder finds.
    pub inferred: bool,
    /// Whether it asks for what a generator that is given incomplete images makes of them.
    pub restored: bool,
}

impl Needs {
    /// Samples and nothing else.
    pub fn samples(samples: usize) -> Needs {
        Needs {
            samples,
            ..Needs::default()
        }
    }
}

/// What a metric scores.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Where it may compute.
    pub device: &'a Device,
    /// The data set, as the configuration names it.
    pub set: &'a DataSet,
    /// The data.
    pub data: &'a Dataset,
    /// The first samples of the run's key, as many as [`Needs::samples`]: [n, d].
    pub samples: &'a [f32],
    /// D(x) at [`Needs::points`].
    pub d: &'a [f64],
    /// The class that the network assigns to each test example, where a metric asks for it: [`Needs::classes`].
    pub classes: &'a [usize],
    /// G run backwards, where it can be.
    pub inverse: Option<&'a dyn Inverse>,
    /// The features of samples and test images, where a metric asks for them: [`Metric::extraction`].
    pub compared: Option<&'a Compared>,
    /// What an encoder finds, of a run that has one; of a run that restores images what it makes of those of the test.
    pub inferred: Option<&'a Inferred>,
}

/// What an encoder finds: noise, and what the generator makes of it. Pixels are from 0 to 1 where images are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inferred {
    /// Components of z.
    pub dim: usize,
    /// Noise z, [n, dim].
    pub z: Vec<f32>,
    /// E(G(z)), [n, dim].
    pub z_found: Vec<f32>,
    /// G(z), [n, d].
    pub samples: Vec<f32>,
    /// G(E(G(z))), [n, d].
    pub samples_again: Vec<f32>,
    /// G(E(x)) of all test examples x, [n, d]; of a generator that restores images what it makes of them.
    pub test_again: Vec<f32>,
    /// The share of their values that were missing where it was given them.
    pub missing: f64,
}

/// A generator that is searched for the noise of an example.
pub trait Inverse {
    /// The smallest sum of absolute differences that `search` finds between each of the examples [n, d] and a sample of G.
    ///
    /// # Errors
    /// A generator that cannot be searched.
    fn errors(&self, examples: &[f32], search: &Search) -> Result<Vec<f64>, Error>;
}

/// A search for noise: Adam with its usual decays, on each example by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Steps from each start.
    pub steps: usize,
    /// How many starts, drawn like the noise of samples.
    pub starts: usize,
    /// The learning rate.
    pub lr: f64,
}

impl Inputs<'_> {
    /// The distribution of a toy set.
    ///
    /// # Errors
    /// Another data set.
    pub fn mixture(&self) -> Result<Mixture, Error> {
        let none = || Error::Other(format!("{}: needs a toy set", self.set.as_str()));
        self.set.mixture().ok_or_else(none)
    }
}

/// The metrics that score a data set where the configuration names none.
pub fn unasked(set: &DataSet) -> Vec<MetricKind> {
    let mut metrics = MetricKind::all();
    metrics.retain(|m| m.fits(set) == Ok(Fit::Unasked));
    metrics
}

/// Each metric with its columns, for people to read.
pub fn described() -> String {
    let keys = <MetricKind as Setting>::keys("", &MetricKind::default());
    let mut text = String::new();
    let abouts = keys[0].doc.lines().filter(|line| line.starts_with("- "));
    for (about, kind) in abouts.zip(MetricKind::all()) {
        text += &format!("{}\n", about.replace(['`', '"'], ""));
        for column in kind.columns() {
            let better = match column.better {
                Some(Better::Higher) => ", higher is better",
                Some(Better::Lower) => ", lower is better",
                Some(Better::Neither) | None => "",
            };
            text += &format!("    {}: {}{better}\n", column.name, column.label);
        }
    }
    text
}

/// What all metrics of a run ask for together.
pub struct Task<'a> {
    set: &'a DataSet,
    metrics: Vec<(&'a MetricKind, Needs)>,
    inverse: Option<&'a dyn Inverse>,
    extractors: Option<&'a dyn Extractors>,
    inferred: Option<&'a Inferred>,
}

impl<'a> Task<'a> {
    /// The needs of `metrics` where the configuration has `samples` samples drawn.
    pub fn new(metrics: &'a [MetricKind], set: &'a DataSet, samples: usize) -> Task<'a> {
        let metrics = metrics.iter().map(|m| (m, m.needs(set, samples)));
        Task {
            set,
            metrics: metrics.collect(),
            inverse: None,
            extractors: None,
            inferred: None,
        }
    }

    /// The same of an encoder or of a generator that restores images: samples are then what is made of test images.
    pub fn with_inferred(self, inferred: &'a Inferred) -> Task<'a> {
        Task {
            inferred: Some(inferred),
            ..self
        }
    }

    /// The same with the generator run backwards, for metrics that ask for it.
    pub fn with_inverse(self, inverse: &'a dyn Inverse) -> Task<'a> {
        Task {
            inverse: Some(inverse),
            ..self
        }
    }

    /// The same with networks whose features are compared, for metrics that ask for them.
    pub fn with_extractors(self, extractors: &'a dyn Extractors) -> Task<'a> {
        Task {
            extractors: Some(extractors),
            ..self
        }
    }

    /// The features that metrics ask for.
    pub fn extractions(&self) -> impl Iterator<Item = (&'a MetricKind, &'a Extraction)> {
        let metrics = self.metrics.iter();
        metrics.filter_map(|(kind, _)| Some((*kind, kind.extraction()?)))
    }

    /// The metric that asks for samples of a class, if one does.
    pub fn asks_for_samples_of_classes(&self) -> Option<&'a MetricKind> {
        let mut metrics = self.metrics.iter();
        metrics
            .find(|(_, needs)| needs.of_classes)
            .map(|(kind, _)| *kind)
    }

    /// Samples to draw.
    pub fn samples(&self) -> usize {
        let needs = self.metrics.iter().map(|(_, needs)| needs.samples);
        needs.max().unwrap_or(0)
    }

    /// Points [n, d] at which D is asked.
    pub fn points(&self) -> Vec<f32> {
        let needs = self.metrics.iter();
        needs.flat_map(|(_, needs)| needs.points.clone()).collect()
    }

    /// Whether a metric asks for the class that D assigns to each test example.
    pub fn asks_for_classes(&self) -> bool {
        self.metrics.iter().any(|(_, needs)| needs.classes)
    }

    /// Scores [`Task::samples`] samples [n, d]; `d` has D(x) at [`Task::points`], `classes` those that D assigns to the test
    /// examples, where [`Task::asks_for_classes`].
    ///
    /// # Errors
    /// Samples or outputs of D that are fewer; what a metric refuses.
    pub fn score(
        &self,
        device: &Device,
        data: &Dataset,
        samples: &[f32],
        mut d: &[f64],
        classes: &[usize],
    ) -> Result<Scores, Error> {
        let width = data.train.d();
        let mut scores = Vec::new();
        // Metrics that ask for the same features share them.
        let mut compared: Vec<(&Extraction, Compared)> = Vec::new();
        for (kind, needs) in &self.metrics {
            let points = needs.points.len() / width.max(1);
            let needed = match self.inferred {
                Some(_) => 0,
                None => needs.samples * width,
            };
            let (Some(samples), Some((here, rest))) =
                (samples.get(..needed), d.split_at_checked(points))
            else {
                let message = format!(
                    "{}: needs {} samples of {width} values and D at {points} points",
                    kind.name(),
                    needs.samples
                );
                return Err(Error::Other(message));
            };
            d = rest;
            if let Some(extraction) = kind.extraction()
                && compared.iter().all(|(of, _)| *of != extraction)
            {
                let again = self
                    .inferred
                    .map(|found| rows(&found.test_again, width, &extraction.rows(data.test.n())));
                let samples = again.as_deref().unwrap_or(samples);
                let found = extraction.compare(kind.name(), self.extractors, data, samples)?;
                compared.push((extraction, found));
            }
            let of_kind = |(of, _): &&(&Extraction, Compared)| Some(*of) == kind.extraction();
            let numbers = kind.score(&Inputs {
                device,
                set: self.set,
                data,
                samples,
                d: here,
                classes,
                inverse: self.inverse,
                compared: compared.iter().find(of_kind).map(|(_, found)| found),
                inferred: self.inferred,
            })?;
            scores.push(Score::new((*kind).clone(), numbers)?);
        }
        Ok(Scores(scores))
    }
}

/// Some rows of examples of `width` values.
fn rows(examples: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    let of = |&row: &usize| examples.iter().skip(row * width).take(width).copied();
    rows.iter().flat_map(of).collect()
}

/// Why there is no score.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Sets of features.
    #[error(transparent)]
    Set(#[from] sets::SetError),
    /// A Parzen score.
    #[error(transparent)]
    Parzen(#[from] parzen::ParzenError),
    /// Images that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Anything else, in a sentence.
    #[error("{0}")]
    Other(String),
}

ganforge_kernels::debug_as_display!(Error);

#[cfg(test)]
mod tests;
