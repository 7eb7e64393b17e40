//! Classic results on GANs as small experiments: each trains toy nets for some seconds on one core (coverage takes half an
//! hour), or scores digits by all scores there are, and gives numbers and plots.
//!
//! To add one, add its file here and its line to the list below: `ganforge figure` then has its name.
//!
//! ```
//! use ganforge_see::classics::{CLASSICS, Options, find};
//! let wasserstein = find("wasserstein").expect("one of the list");
//! let options = Options { quick: true, ..Options::default() };
//! let outcome = wasserstein.run(&options, &mut |_, _| {})?;
//! assert!(outcome.numbers.csv().starts_with("t,W,clipped,gp"));
//! assert!(CLASSICS.iter().all(|c| find(c.name()).is_some()));
//! # Ok::<(), ganforge_gan::Error>(())
//! ```

mod digits;
mod numbers;
mod toy;

use std::path::PathBuf;

use ganforge_gan::data::Dataset;
use ganforge_gan::error::Result;
use ganforge_plots::Plot;

pub use numbers::{Table, Value};

/// The modules of experiments, and the list of them in this order.
macro_rules! classics {
    ($($file:ident::$classic:ident,)*) => {
        $(pub mod $file;)*

        /// All of them.
        pub static CLASSICS: &[&dyn Classic] = &[$(&$file::$classic),*];
    };
}

classics! {
    wasserstein::Wasserstein,
    margin::Margin,
    far_ahead::FarAhead,
    singular_values::SingularValues,
    slopes::Slopes,
    coverage::Coverage,
    planted::Planted,
    bias::Bias,
}

/// A small experiment.
pub trait Classic: Sync {
    /// Its name on the command line, and that of its files.
    fn name(&self) -> &'static str;

    /// What it shows, in a line.
    fn about(&self) -> &'static str;

    /// What is trained and measured, and where it comes from.
    fn details(&self) -> &'static str;

    /// How many digits it takes of each set unless told otherwise; none where it is not about digits.
    fn digits(&self) -> Option<usize> {
        None
    }

    /// Runs it; `progress` is told completed and all parts. The same options give the same bits, for any number of threads.
    ///
    /// # Errors
    /// The engine's; what the system refuses.
    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome>;
}

/// Told completed and all parts of an experiment.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// How an experiment is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of all random numbers; of an experiment of several runs, of the first one.
    pub seed: u64,
    /// Fewer steps and points: seconds, for a first look.
    pub quick: bool,
    /// Where an experiment of many runs keeps those that are done, so that it goes on from there; none: nowhere.
    pub folder: Option<PathBuf>,
    /// The images of an experiment on digits, pixels from 0 to 1; none: the sample inside the program.
    pub digits: Option<Dataset>,
    /// How many of them in each set; none: as many as [`Classic::digits`] says, or as there are.
    pub n: Option<usize>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            quick: false,
            folder: None,
            digits: None,
            n: None,
        }
    }
}

impl Options {
    /// `whole`, or `quick` for a first look.
    fn choose<T>(&self, whole: T, quick: T) -> T {
        if self.quick { quick } else { whole }
    }
}

/// What an experiment gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All numbers.
    pub numbers: Table,
    /// The few of them that tell the most.
    pub summary: Table,
    /// Plots, each with what follows the experiment's name in that of its files.
    pub plots: Vec<(String, Plot)>,
}

/// The experiment called `name`.
pub fn find(name: &str) -> Option<&'static dyn Classic> {
    CLASSICS.iter().copied().find(|c| c.name() == name)
}
