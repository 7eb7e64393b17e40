//! `ganforge data show`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ganforge::gan::config::Data;
use ganforge::gan::data::pictures::{image_grid, shown};
use ganforge::gan::data::{Dataset, FetchPolicy, Images, Picture};
use ganforge::gan::toy_plot;
use ganforge::kernels::cpu::rng::{self, RandomStream};
use serde_json::{Value, json};

use super::super::about::{facts_of, of_data};
use super::super::bench::columns;
use super::super::failure::Failure;
use super::super::options::{Settings, Threads, count};
use super::super::output::{say, tell};

const EXAMPLES: &str = "\
Examples:
  ganforge data show cifar10
  ganforge data show faces.tar --set data.crop=center --set data.resize=64 --out faces.png
  ganforge data show ./photographs --set data.channels=3 --json

Loads a data set as training would (pictures are decoded once, into the cache), counts its parts and classes, and measures
how fast minibatches are drawn from it: random examples, gathered and converted to f32 on one thread, as in a training step. The
picture shows training images, evenly spaced in their order.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in super::super) struct Args {
    /// A data set as in data.set: a name, or the path of a file or a folder
    #[arg(value_name = "SET")]
    data: String,
    #[command(flatten)]
    settings: Settings,
    /// Draw training images to this picture, .png or .jpg
    #[arg(long, value_name = "PICTURE")]
    out: Option<PathBuf>,
    /// Images of that picture
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = count)]
    n: usize,
    /// Examples in a minibatch that is timed
    #[arg(long, value_name = "N", default_value = "64", value_parser = count)]
    batch: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// The least time that drawing is measured for.
const MEASURED: Duration = Duration::from_millis(300);

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    args.threads.pool()?.install(|| show(args))
}

fn show(args: &Args) -> Result<(), Failure> {
    let set = format!("data.set={}", json!(args.data));
    let data = Data::of(&[&[set][..], &args.settings.set].concat())?;
    let loaded = data.load(1, FetchPolicy::from_env(), &mut |line| tell(line));
    let (loaded, notices) = loaded?;
    notices.iter().for_each(|line| tell(line));
    let rate = examples_per_second(&loaded.train, args.batch)?;
    match args.json {
        true => {
            let mut facts = facts_of(&loaded);
            facts["counts"] = json!(of_classes(&loaded).map(|c| c.counts).collect::<Vec<_>>());
            facts["batch"] = json!(args.batch);
            facts["examples_per_second"] = json!(rate.round());
            say(&facts.to_string())?;
        }
        false => say(&text(&loaded, args.batch, rate))?,
    }
    if let Some(out) = &args.out {
        let picture = picture(&data, &loaded, args.n)?;
        picture.save(out).map_err(ganforge::gan::Error::from)?;
        tell(&format!("training images: {}", out.display()));
    }
    Ok(())
}

/// A class, and how many images of it train, validate and test.
struct Class<'a> {
    name: &'a str,
    counts: [usize; 3],
}

fn of_classes(data: &Dataset) -> impl Iterator<Item = Class<'_>> {
    let labels = [&data.train, &data.valid, &data.test].map(|part| part.labels().unwrap_or(&[]));
    data.classes.iter().enumerate().map(move |(number, name)| {
        let is_it = |label: &&u8| usize::from(**label) == number;
        let counts = labels.map(|labels| labels.iter().filter(is_it).count());
        Class { name, counts }
    })
}

fn text(data: &Dataset, batch: usize, rate: f64) -> String {
    let mut rows = vec![
        ("data", of_data(data)),
        ("image", data.image().to_string()),
        (
            "minibatch",
            format!("{rate:.0} examples/s on one thread, {batch} at a time"),
        ),
    ];
    let widest = data.classes.iter().map(|c| c.chars().count()).max();
    let widest = widest.unwrap_or(0);
    let classes = of_classes(data).enumerate().map(|(number, class)| {
        let [train, valid, test] = class.counts;
        let name = class.name;
        format!("{number:>3}  {name:<widest$}  {train} train, {valid} validate, {test} test")
    });
    for (number, class) in classes.enumerate() {
        rows.push((if number == 0 { "classes" } else { "" }, class));
    }
    columns(&rows)
}

/// How many examples are drawn in a second, by the median time of a minibatch: gathered by number in an order like that of an epoch, and made f32.
fn examples_per_second(images: &Images, batch: usize) -> Result<f64, Failure> {
    let n = images.n();
    let batch = batch.min(n);
    let mut order = vec![0; n];
    let stream = RandomStream {
        key: 1,
        stream: 0,
        counter: 0,
    };
    rng::permutation(stream, n, &mut order);
    let order: Vec<usize> = order.into_iter().map(|i| i as usize).collect();
    let mut x = vec![0.0; batch * images.d()];
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < MEASURED {
        for rows in order.chunks_exact(batch) {
            let start = Instant::now();
            images.rows_f32_into(rows, std::hint::black_box(&mut x))?;
            times.push(start.elapsed().as_secs_f64());
        }
    }
    // What else the machine does is in few of them.
    times.sort_unstable_by(f64::total_cmp);
    Ok(batch as f64 / times[times.len() / 2].max(1e-9))
}

/// Training images, evenly spaced in their order, in a grid that is nearly square.
fn picture(data: &Data, loaded: &Dataset, n: usize) -> Result<Picture, Failure> {
    let images = &loaded.train;
    let n = n.min(images.n());
    let rows: Vec<usize> = (0..n).map(|i| i * images.n() / n).collect();
    let mut values = vec![0.0; n * images.d()];
    images.rows_f32_into(&rows, &mut values)?;
    if let Some(plot) = toy_plot::picture(&values, &data.set)? {
        return Ok(plot);
    }
    let cols = n.isqrt() + usize::from(n.isqrt().pow(2) < n);
    let values = shown(&values, data.contrast);
    let grid = image_grid(&values, loaded.image(), [n.div_ceil(cols), cols], 2);
    Ok(grid.map_err(ganforge::gan::Error::from)?)
}

/// What is made of data in a folder of the cache, in files of this ending: how many, and their bytes.
pub(super) fn made(cache: &std::path::Path, folder: &str, ending: &str) -> Option<(usize, u64)> {
    let files = std::fs::read_dir(cache.join(folder)).ok()?;
    let sizes = files.filter_map(|file| {
        let file = file.ok()?;
        let is_it = file.path().extension().is_some_and(|e| e == ending);
        is_it.then_some(file.metadata().ok()?.len())
    });
    let sizes: Vec<u64> = sizes.collect();
    (!sizes.is_empty()).then_some((sizes.len(), sizes.iter().sum()))
}

/// The same as JSON.
pub(super) fn made_json(cache: &std::path::Path, folder: &str, ending: &str) -> Value {
    let (files, bytes) = made(cache, folder, ending).unwrap_or((0, 0));
    json!({ "files": files, "bytes": bytes })
}
