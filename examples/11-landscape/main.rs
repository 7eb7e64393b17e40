//! A landscape of losses: each one with no regulariser, with a gradient penalty and with spectral norm, for several seeds, with
//! small nets and one budget, as the large study of Kurach et al. 2019 compares them. What came out: docs/landscape.md.
//!
//! ```sh
//! cargo run --release --example 11-landscape -- --data mnist --seeds 3 --jobs 2 --out landscape-mnist
//! cargo run --release --example 11-landscape -- --data mnist --out landscape-mnist --score fid
//! cargo run --release --example 11-landscape -- --data mnist --out landscape-mnist --table
//! ```
//!
//! The folder: `runs.csv`, a row for each finished run, diverged ones included; the generators, to score them again; `setup.toml`,
//! what all runs share. Repeated after it was killed, the command goes on with the runs that have no row.

mod scores;
mod setup;
mod table;

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use clap::Parser;
use ganforge::gan::config::LossKind;
use ganforge::gan::data::{self, Contrast, Dataset, FetchPolicy, bundled_sample};
use ganforge::gan::files::write_atomic;
use ganforge::gan::generator::{Generator, Precision};
use ganforge::gan::monitors::Window;
use ganforge::gan::{Error, Result, Trainer};

pub use scores::score_again;
use scores::{Scorer, metric};
use setup::{REGULARISERS, config};
pub use table::table;

/// Steps whose monitors a row has the means of.
const LAST: u64 = 50;

/// The grid of a folder.
#[derive(Parser, Clone, Debug)]
#[command(about = "Every loss x {none, gp, sn} x seeds, trained and scored alike")]
pub struct Args {
    /// mnist, another data set, or a file of pictures; with sides that are multiples of 4
    #[arg(long, default_value = "mnist")]
    pub data: String,
    /// Seeds 1, 2, .. of each cell
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Updates of D, and of G, of each run
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub steps: u64,
    /// Runs at the same time, each on one thread
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// The folder of the results
    #[arg(long, default_value = "landscape")]
    pub out: PathBuf,
    /// Only these losses
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Another setting of all runs, KEY=VALUE
    #[arg(long)]
    pub set: Vec<String>,
    /// Two steps of two losses with one seed, on the digits inside the program
    #[arg(long)]
    pub quick: bool,
    /// What scores a run when it ends, as an entry of eval.metrics; or none, to score later
    #[arg(long, default_value = "parzen")]
    pub metric: String,
    /// Samples that are scored
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub samples: u32,
    /// Train nothing, score all generators anew by this metric
    #[arg(long, value_name = "METRIC")]
    pub score: Option<String>,
    /// Train nothing, write table.md, scores.png, scores.svg and samples.png
    #[arg(long)]
    pub table: bool,
}

/// A run: where it is in the grid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The name of the loss.
    pub loss: String,
    /// The name of the regulariser.
    pub regulariser: String,
    /// The seed.
    pub seed: u64,
}

impl Cell {
    fn generator(&self, folder: &Path) -> PathBuf {
        let Cell {
            loss,
            regulariser,
            seed,
        } = self;
        folder.join(format!("{loss}-{regulariser}-{seed}.npz"))
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where.
    pub cell: Cell,
    /// Completed steps: fewer than all where values were no longer finite.
    pub steps: u64,
    /// Whether it ended before, with values that are not finite.
    pub has_diverged: bool,
    /// Time of the training, s.
    pub seconds: f64,
    /// Means of loss_d, loss_g, d_real and d_fake over the last steps.
    pub monitors: [f64; 4],
    /// The name of the score's column; empty before it is scored.
    pub metric: String,
    /// The score; NaN where there is none.
    pub score: f64,
}

const HEADER: &str =
    "loss,regulariser,seed,steps,outcome,seconds,loss_d,loss_g,d_real,d_fake,metric,score\n";

impl Row {
    fn line(&self) -> String {
        let Cell {
            loss,
            regulariser,
            seed,
        } = &self.cell;
        let outcome = match self.has_diverged {
            true => "diverged",
            false => "finished",
        };
        let score = match self.score.is_nan() {
            true => String::new(),
            false => format!("{:.5}", self.score),
        };
        let [a, b, c, d] = self.monitors;
        format!(
            "{loss},{regulariser},{seed},{},{outcome},{:.2},{a:.5},{b:.5},{c:.5},{d:.5},{},{score}\n",
            self.steps, self.seconds, self.metric
        )
    }

    fn read(line: &str) -> Option<Row> {
        let fields: Vec<&str> = line.split(',').collect();
        let [
            loss,
            regulariser,
            seed,
            steps,
            outcome,
            seconds,
            a,
            b,
            c,
            d,
            metric,
            score,
        ] = fields[..]
        else {
            return None;
        };
        let number = |text: &str| match text {
            "" => Some(f64::NAN),
            text => text.parse::<f64>().ok(),
        };
        Some(Row {
            cell: Cell {
                loss: loss.into(),
                regulariser: regulariser.into(),
                seed: seed.parse().ok()?,
            },
            steps: steps.parse().ok()?,
            has_diverged: match outcome {
                "diverged" => true,
                "finished" => false,
                _ => return None,
            },
            seconds: number(seconds)?,
            monitors: [number(a)?, number(b)?, number(c)?, number(d)?],
            metric: metric.into(),
            score: number(score)?,
        })
    }
}

fn refuse<T>(path: &Path, reason: impl std::fmt::Display) -> Result<T> {
    Err(Error::Mismatch(format!("{}: {reason}", path.display())))
}

/// The rows of a folder, and the length of the text that they are; a last line that was cut short is none.
fn rows(path: &Path) -> Result<(Vec<Row>, usize)> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return refuse(path, error),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let mut rows = Vec::new();
    for (i, line) in whole.lines().enumerate() {
        match (i, Row::read(line)) {
            (0, _) if line == HEADER.trim_end() => {}
            (1.., Some(row)) => rows.push(row),
            _ => {
                return refuse(
                    path,
                    format!("line {}: no row of a landscape: {line}", i + 1),
                );
            }
        }
    }
    Ok((rows, whole.len()))
}

/// Trains a run and keeps its generator.
fn train(args: &Args, data: &Dataset, cell: &Cell, scorer: Option<&Scorer>) -> Result<Row> {
    let config = config(args, data.image(), cell)?;
    let began = Instant::now();
    let mut trainer = Trainer::new(&config, &data.train)?;
    let mut last = Window::default();
    let mut has_diverged = false;
    while trainer.steps() < args.steps && !has_diverged {
        let report = trainer.step()?;
        has_diverged = report.monitors().any(|(_, value)| !value.is_finite());
        if trainer.steps() + LAST > args.steps || has_diverged {
            last.add(&report);
        }
    }
    let is_finite = |entry: &ganforge::tensor::Entry| entry.data.iter().all(|v| v.is_finite());
    has_diverged |= !trainer.store().iter().all(is_finite);
    let mut row = Row {
        cell: cell.clone(),
        steps: trainer.steps(),
        has_diverged,
        seconds: began.elapsed().as_secs_f64(),
        monitors: std::array::from_fn(|i| {
            last.means().get(i).copied().flatten().unwrap_or(f64::NAN)
        }),
        metric: String::new(),
        score: f64::NAN,
    };
    if !has_diverged {
        let mut generator = Generator::of_run(&config, trainer.store(), data.image(), "{}")?;
        generator.write(&cell.generator(&args.out), Precision::Single)?;
        if let Some(scorer) = scorer {
            (row.metric, row.score) = scorer.score(&mut generator)?;
        }
    }
    Ok(row)
}

/// The cells of the grid, seed by seed: after a part of the time there are whole tables.
fn cells(args: &Args) -> Result<Vec<Cell>> {
    let is_unknown = |name: &&String| !LossKind::NAMES.contains(&name.as_str());
    if let Some(name) = args.only.iter().find(is_unknown) {
        let names = LossKind::NAMES.join(", ");
        let message = format!("--only {name}: no such loss, there are {names}");
        return Err(Error::Mismatch(message));
    }
    // Its D learns from labelled examples, which no other loss sees.
    let is_of_grid = |loss: &str| loss != "semi-supervised";
    let is_asked = |loss: &&&str| match args.only.is_empty() {
        true => is_of_grid(loss),
        false => args.only.iter().any(|name| name == **loss),
    };
    let mut cells = Vec::new();
    for seed in 1..=args.seeds {
        for loss in LossKind::NAMES.iter().filter(is_asked) {
            cells.extend(REGULARISERS.iter().map(|(regulariser, _)| Cell {
                loss: loss.to_string(),
                regulariser: regulariser.to_string(),
                seed,
            }));
        }
    }
    Ok(cells)
}

/// Refuses a folder of other settings or data; writes down those of a new one.
fn check_setup(args: &Args, data: &Dataset) -> Result<()> {
    let cell = Cell {
        loss: "ns".into(),
        regulariser: "none".into(),
        seed: 1,
    };
    let config = config(args, data.image(), &cell)?;
    let setup = format!(
        "# {} steps, data {}\n{}",
        args.steps,
        data.sha256,
        config.to_toml()
    );
    let path = args.out.join("setup.toml");
    match fs::read_to_string(&path) {
        Ok(found) if found == setup => Ok(()),
        Ok(_) => refuse(
            &path,
            "holds runs of other steps, settings or data: choose another --out",
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(write_atomic(&path, |file| {
                file.write_all(setup.as_bytes())
            })?)
        }
        Err(error) => refuse(&path, error),
    }
}

/// Keeps other processes out of a folder as long as the file is open.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    match File::create(&path) {
        Err(error) => refuse(&path, error),
        Ok(file) if file.try_lock().is_err() => refuse(&path, "another process is at work here"),
        Ok(file) => Ok(file),
    }
}

/// Trains the runs that have no row yet; returns how many.
///
/// # Errors
/// A folder of other settings or data, or in which another process is at work; unknown losses, metrics and settings; what the
/// system refuses.
pub fn fill(args: &Args, data: &Dataset) -> Result<usize> {
    let metric = match args.metric.as_str() {
        "none" => None,
        name => Some(metric(args, data.image(), name)?),
    };
    let mut open = cells(args)?;
    for cell in &open {
        config(args, data.image(), cell)?; // all faults before the first step
    }
    let _lock = lock(&args.out)?;
    check_setup(args, data)?;
    let path = args.out.join("runs.csv");
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let mut file = opened.or_else(|error| refuse(&path, error))?;
    let (done, length) = rows(&path)?;
    let begin = |file: &mut File| {
        file.set_len(length as u64)?; // without a line that was cut short
        file.seek(std::io::SeekFrom::End(0))?;
        match length {
            0 => file.write_all(HEADER.as_bytes()),
            _ => Ok(()),
        }
    };
    begin(&mut file).or_else(|error| refuse(&path, error))?;
    open.retain(|cell| done.iter().all(|row| row.cell != *cell));
    let (count, began) = (open.len(), Instant::now());
    let queue = Mutex::new((open.into_iter(), file, 0usize));
    let work = || -> Result<()> {
        let scorer = metric.as_ref().map(|m| Scorer::new(m, args, data));
        let scorer = scorer.transpose()?;
        loop {
            let next = queue.lock().expect("no run panics").0.next();
            let Some(cell) = next else { return Ok(()) };
            let trained = train(args, data, &cell, scorer.as_ref());
            let mut shared = queue.lock().expect("no run panics");
            let row = trained.inspect_err(|_| shared.0 = Vec::new().into_iter())?;
            let line = row.line();
            let written = shared.1.write_all(line.as_bytes());
            written.or_else(|error| refuse(&path, error))?;
            shared.2 += 1;
            let left = began.elapsed().as_secs_f64() / shared.2 as f64 * (count - shared.2) as f64;
            let minutes = (left / 60.0).ceil();
            eprint!(
                "\r{} of {count} runs, about {minutes} min left; {}\x1b[K",
                shared.2,
                line.trim_end()
            );
        }
    };
    let ended: Vec<Result<()>> = std::thread::scope(|scope| {
        let one = |_| {
            scope.spawn(|| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                let pool = pool.map_err(|error| Error::Mismatch(format!("a thread: {error}")))?;
                pool.install(work)
            })
        };
        let threads: Vec<_> = (0..args.jobs).map(one).collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no run panics"))
            .collect()
    });
    eprintln!();
    ended.into_iter().collect::<Result<()>>()?;
    Ok(count)
}

/// The data, and what a quick grid is.
///
/// # Errors
/// Data that cannot be had.
pub fn prepare(mut args: Args) -> Result<(Args, Dataset)> {
    let data = match args.quick {
        false => {
            let (data, notices) = data::load(&args.data, FetchPolicy::from_env(), &mut |_| {})?;
            notices.iter().for_each(|line| eprintln!("{line}"));
            data
        }
        true => {
            (args.data, args.seeds, args.steps, args.samples) = ("mnist".into(), 1, 2, 100);
            if args.only.is_empty() {
                args.only = vec!["ns".into(), "hinge".into()];
            }
            bundled_sample()?
        }
    };
    Ok((args, data.with_contrast(Contrast::Signed)))
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.table {
        print!("{}", table(&args)?);
        return Ok(());
    }
    let (args, data) = prepare(args)?;
    if let Err(error) = fs::create_dir_all(&args.out) {
        return refuse(&args.out, error);
    }
    match &args.score {
        Some(name) => score_again(&args, &data, name),
        None => {
            let trained = fill(&args, &data)?;
            println!("{trained} runs; --table shows them all");
            Ok(())
        }
    }
}
