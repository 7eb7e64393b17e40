//! Scores of generators.

use std::fs;

use ganforge::gan::Result;
use ganforge::gan::data::pictures::shown;
use ganforge::gan::data::{Cache, Contrast, DataSet, Dataset, ImageSize, Images};
use ganforge::gan::extractors::Loaded;
use ganforge::gan::files::write_atomic;
use ganforge::gan::generator::Generator;
use ganforge::gan::metrics::{MetricKind, Task};

use super::setup::config;
use super::{Args, Cell, HEADER, Row, lock, refuse, rows};

/// The metric of this name or of these settings.
pub fn metric(args: &Args, image: ImageSize, name: &str) -> Result<MetricKind> {
    let cell = Cell {
        loss: "ns".into(),
        regulariser: "none".into(),
        seed: 1,
    };
    let entry = match name.contains('{') {
        true => name.to_string(),
        false => format!("{name:?}"),
    };
    let config = config(args, image, &cell)?.with(&[format!("eval.metrics=[{entry}]")])?;
    Ok(config.eval.metrics[0].clone())
}

/// Scores generators by the first column of a metric.
pub struct Scorer {
    metric: [MetricKind; 1],
    samples: usize,
    data: Dataset,
    networks: Loaded,
}

impl Scorer {
    /// # Errors
    /// A network that the metric asks for and that is not there, or takes other images.
    pub fn new(metric: &MetricKind, args: &Args, data: &Dataset) -> Result<Scorer> {
        let (metric, samples) = ([metric.clone()], args.samples as usize);
        let data = data.clone().with_contrast(Contrast::AsIs);
        let set = DataSet::File(data.name.clone());
        let networks = Loaded::at(&Default::default()).kept_in(&Cache::from_env()?);
        networks.prepare(&Task::new(&metric, &set, samples), &data)?;
        for note in networks.notes() {
            eprintln!("{note}");
        }
        Ok(Scorer {
            metric,
            samples,
            data,
            networks,
        })
    }

    /// The name of the score with the number of samples, and its value.
    pub fn score(&self, generator: &mut Generator) -> Result<(String, f64)> {
        let config = generator.config().clone();
        let task = Task::new(&self.metric, &config.data.set, self.samples);
        let x = generator.samples(config.seed, task.samples())?;
        self.score_images(task, &shown(&x, config.data.contrast))
    }

    /// The same of as many training images instead of samples.
    fn score_training_images(&self) -> Result<(String, f64)> {
        let set = DataSet::File(self.data.name.clone());
        let task = Task::new(&self.metric, &set, self.samples);
        let images = spread(&self.data.train, task.samples())?;
        self.score_images(task, &images)
    }

    fn score_images(&self, task: Task<'_>, x: &[f32]) -> Result<(String, f64)> {
        let task = task.with_extractors(&self.networks);
        let scores = task.score(&Default::default(), &self.data, x, &[], &[])?;
        let first = &scores.values()[0];
        let name = format!("{} of {} samples", first.name, task.samples());
        Ok((name, first.value))
    }
}

/// So many of the images, or all where there are fewer, [n, d]: some of each class, whatever order they are in.
fn spread(images: &Images, n: usize) -> Result<Vec<f32>> {
    let n = n.min(images.n());
    let mut values = Vec::with_capacity(n * images.d());
    for row in (0..n).map(|i| i * images.n() / n) {
        values.extend(images.to_f32(row..row + 1)?);
    }
    Ok(values)
}

/// Scores all generators of the folder anew.
///
/// # Errors
/// Other data than the runs were trained on; an unknown metric; a folder in which another process is at work, or that lacks a
/// generator; what the system refuses.
pub fn score_again(args: &Args, data: &Dataset, name: &str) -> Result<()> {
    let _lock = lock(&args.out)?;
    let metric = metric(args, data.image(), name)?;
    let scorer = Scorer::new(&metric, args, data)?;
    let setup = args.out.join("setup.toml");
    match fs::read_to_string(&setup) {
        Ok(text) if text.contains(&data.sha256) => {}
        Ok(_) => {
            return refuse(
                &setup,
                format!("holds runs of other data than {}", data.name),
            );
        }
        Err(error) => return refuse(&setup, error),
    }
    let path = args.out.join("runs.csv");
    let (mut rows, _) = rows(&path)?;
    let count = rows.len();
    for (i, row) in rows
        .iter_mut()
        .enumerate()
        .filter(|(_, row)| !row.has_diverged)
    {
        let mut generator = Generator::read(&row.cell.generator(&args.out))?;
        (row.metric, row.score) = scorer.score(&mut generator)?;
        eprint!("\r{} of {count} scored\x1b[K", i + 1);
    }
    eprintln!();
    let (name, value) = scorer.score_training_images()?;
    println!("{name}, of training images instead: {value:.2}");
    let text: String = std::iter::once(HEADER.to_string())
        .chain(rows.iter().map(Row::line))
        .collect();
    Ok(write_atomic(&path, |file| file.write_all(text.as_bytes()))?)
}
