//! `ganforge figure`: the paper's figures, and classic results as small experiments.

mod classic;
mod one;
mod theory;

use std::path::PathBuf;

use ganforge::gan::config::DataSet;
use ganforge::gan::data;
use ganforge::gan::data::Origin;
use ganforge::gan::data::pictures::ENDINGS;
use ganforge::see::figures::samples;

use super::failure::Failure;
use super::options::{Threads, file, scale, seed, steps};
use super::output::say;
use super::trained::{OpenGenerator, Trained};

const EXAMPLES_2: &str = "\
Examples:
  ganforge figure 2 --pretrained mnist
  ganforge figure 2 runs/mnist-001 --rows 4 --cols 5 --out figure2.png

Samples are fair random draws, not selected. The last column is the training example nearest to the sample on
its left, by Euclidean distance: if both look alike, G has memorised an example.";

const EXAMPLES_3: &str = "\
Examples:
  ganforge figure 3 --pretrained mnist
  ganforge figure 3 runs/mnist-001 --strips 3 --steps 12 --seed 4 --out figure3.png

Each strip interpolates linearly between two random draws of z: z(t) = (1 - t) z0 + t z1.";

const EXAMPLES_CLASSES: &str = "\
Examples:
  ganforge figure classes runs/cgan-001
  ganforge figure classes runs/cgan-001 --rows 5 --seed 4 --out classes.png

Each row is of one draw of z, each column of one class: what changes along a row is the class alone.";

/// Draw the figures of the paper, and classic results of others.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// A GAN that learns a Gaussian: densities, D and the map of z, at four moments of training
    #[command(name = "1", after_help = one::EXAMPLES)]
    One(one::One),
    /// Plots of the paper's theory
    #[command(after_help = theory::EXAMPLES)]
    Theory(theory::Theory),
    /// Samples, and the training example nearest to the last sample of each row
    #[command(name = "2", after_help = EXAMPLES_2)]
    Two(Two),
    /// Samples interpolated between two points of z
    #[command(name = "3", after_help = EXAMPLES_3)]
    Three(Three),
    /// Samples of a generator with classes: each row of one draw of z, each column of one class
    #[command(name = "classes", after_help = EXAMPLES_CLASSES)]
    Classes(OfClasses),
    #[command(flatten)]
    Classic(classic::Chosen),
}

/// The options that figures of samples share.
#[derive(clap::Args)]
struct Picture {
    #[command(flatten)]
    trained: Trained,
    /// Seed of the noise [default: the run's own]
    #[arg(long, value_name = "S", value_parser = seed)]
    seed: Option<u64>,
    /// Enlarge each pixel to N x N
    #[arg(long, value_name = "N", default_value = "3", value_parser = scale)]
    scale: usize,
    /// The file to write
    #[arg(long, value_name = "FILE.png|FILE.jpg", value_parser = file(&ENDINGS))]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

/// Figure 2.
#[derive(clap::Args)]
#[command(mut_arg("out", |out| out.help(out_help("2"))))]
pub(super) struct Two {
    /// Rows
    #[arg(long, value_name = "N", default_value = "4", value_parser = side)]
    rows: usize,
    /// Samples in a row
    #[arg(long, value_name = "N", default_value = "5", value_parser = side)]
    cols: usize,
    #[command(flatten)]
    picture: Picture,
}

/// Figure 3.
#[derive(clap::Args)]
#[command(mut_arg("out", |out| out.help(out_help("3"))))]
pub(super) struct Three {
    /// Rows, each between two draws of z
    #[arg(long, value_name = "N", default_value = "2", value_parser = side)]
    strips: usize,
    /// Images in a row, both ends included
    #[arg(long, value_name = "N", default_value = "15", value_parser = steps)]
    steps: usize,
    #[command(flatten)]
    picture: Picture,
}

/// A row for each noise.
#[derive(clap::Args)]
#[command(mut_arg("out", |out| out.help(out_help("classes"))))]
pub(super) struct OfClasses {
    /// Rows, each of one draw of z
    #[arg(long, value_name = "N", default_value = "10", value_parser = side)]
    rows: usize,
    #[command(flatten)]
    picture: Picture,
}

fn out_help(name: &str) -> String {
    let file = format!("figure-{name}.png");
    format!(
        "The file to write [default: RUN/{file}; with --pretrained NAME, or a file, NAME-{file}]"
    )
}

fn side(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=100) => Ok(n),
        _ => Err("expected a whole number from 1 to 100".to_string()),
    }
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::One(args) => one::run(args),
        Command::Theory(args) => theory::run(args),
        Command::Classic(chosen) => classic::run(chosen),
        Command::Two(args) => args.picture.threads.pool()?.install(|| two(args)),
        Command::Three(args) => args.picture.threads.pool()?.install(|| three(args)),
        Command::Classes(args) => args.picture.threads.pool()?.install(|| of_classes(args)),
    }
}

fn two(args: &Two) -> Result<(), Failure> {
    let mut open = args.picture.open()?;
    let data = open.data_or_sample()?;
    let seed = args.picture.seed(&open);
    let size = (args.rows, args.cols);
    let scale = args.picture.scale;
    let figure =
        samples::samples_and_neighbours(&mut open.generator, &data.train, seed, size, scale)?;
    say("row  nearest training example  distance")?;
    for (row, neighbour) in figure.neighbours.iter().enumerate() {
        let distance = neighbour.squared_distance.sqrt();
        say(&format!(
            "{:>3}  {:>24}  {distance:>8.3}",
            row + 1,
            neighbour.index
        ))?;
    }
    if data.origin == Origin::BundledSample {
        let n = data.train.n();
        say(&format!(
            "searched only the {n} training images of the bundled sample"
        ))?;
    }
    args.picture.save(&open, "2", &figure.picture)
}

fn three(args: &Three) -> Result<(), Failure> {
    let mut open = args.picture.open()?;
    let seed = args.picture.seed(&open);
    let scale = args.picture.scale;
    let figure = samples::interpolation(&mut open.generator, seed, args.strips, args.steps, scale)?;
    args.picture.save(&open, "3", &figure)
}

fn of_classes(args: &OfClasses) -> Result<(), Failure> {
    let mut open = args.picture.open()?;
    let (seed, scale) = (args.picture.seed(&open), args.picture.scale);
    if open.generator.classes().is_none() {
        let message = format!("{}: the generator has no classes", open.origin());
        return Err(Failure::input(message));
    }
    let figure = samples::of_classes(&mut open.generator, seed, args.rows, scale)?;
    args.picture.save(&open, "classes", &figure)
}

impl Picture {
    fn open(&self) -> Result<OpenGenerator, Failure> {
        let open = self.trained.open()?;
        match &open.generator.config().data.set {
            DataSet::Toy(toy) => Err(Failure::input(format!(
                "figures of samples show images, and this generator draws points of {}; `ganforge sample` plots them",
                toy.name
            ))),
            _ => Ok(open),
        }
    }

    fn seed(&self, open: &OpenGenerator) -> u64 {
        self.seed.unwrap_or(open.generator.config().seed)
    }

    fn save(
        &self,
        open: &OpenGenerator,
        name: &str,
        picture: &data::Picture,
    ) -> Result<(), Failure> {
        let default = || PathBuf::from(format!("{}figure-{name}.png", open.prefix));
        let path = self.out.clone().unwrap_or_else(default);
        picture.save(&path).map_err(ganforge::gan::Error::from)?;
        say(&format!("figure {name}: {}", path.display()))?;
        match open.caveat() {
            Some(caveat) => say(&caveat),
            None => Ok(()),
        }
    }
}
