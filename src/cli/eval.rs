//! `ganforge eval`.

mod features;
mod given;
mod images;
mod scored;

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use ganforge::gan::config::Config;
use ganforge::gan::data::{Cache, Dataset};
use ganforge::gan::extractors::{Identity, Loaded};
use ganforge::gan::files::read_matrix_f32_noting;
use ganforge::gan::metrics::parzen::{self, ParzenScore};
use ganforge::gan::metrics::{Extraction, MetricKind, Score, Scores, described};
use ganforge::gan::run::Best;
use ganforge::gan::train;
use ganforge::tensor::Device;
use serde_json::{Value, json};

use self::features::kind_of;
use self::given::dashed;
use self::scored::check_has;
use super::about;
use super::failure::Failure;
use super::looks::LookArgs;
use super::options::{Compute, Threads};
use super::output::{say, tell};
use super::run_folder::OpenRun;
use super::trained::{self, OpenGenerator};

const EXAMPLES: &str = "\
Examples:
  ganforge eval runs/mnist-001
  ganforge eval runs/mnist-001 --json
  ganforge eval runs/mnist-001 --best
  ganforge eval --pretrained mnist
  ganforge eval --pretrained mnist --metrics fid,kid,prdc -n 10000
  ganforge eval runs/mnist-001 --metrics fid,parzen --extractor runs/my-classifier
  ganforge eval runs/mnist-001 --set 'eval.metrics=[{kind=\"fid\", images=10000}]'
  ganforge eval --samples mine.npy --valid valid.npy --test test.npz:images
  ganforge eval --images generated/ --reference cifar10 --extractor cifarnet
  ganforge eval --images generated.tar --reference real/ --extractor inception --weights inception.pth --protocol clean-fid
  ganforge eval --features generated.npy --reference real.npy --protocol torch-fidelity
  ganforge eval --features real.npy --statistics real.npz

A run is scored by the metrics of its `eval.metrics`, unless told otherwise those that follow from its data:
parzen for images, for a toy set modes or, on the line, density; of a classifier test-accuracy. Arrays are scored by parzen,
the score of the 2014 paper; they are [N, d]: float32, float64, or uint8 (divided by 255).

Features that any network gave are compared as they are: FID, KID, precision, recall, density and coverage, and the inception
score of --logits, by the rules of a --protocol: that of torch-fidelity, unless another is named. A file with mu and sigma, such as pytorch-fid writes, stands for real features where FID is enough.";

/// The examples, then the list of metrics.
fn help() -> String {
    format!("{EXAMPLES}\n\nMetrics:\n{}", described().trim_end())
}

/// Above any pixel in 0..1, and below the largest of most sets of pixels in 0..255.
const FAR: f32 = 25.0;

/// Score a run, a generator or any samples.
#[derive(clap::Args)]
#[command(after_help = help())]
pub(super) struct Args {
    /// The run's folder, or a file of `ganforge export` or `import`
    #[arg(value_name = "RUN|FILE")]
    run: Option<PathBuf>,
    /// A bundled generator: mnist
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pretrained: Option<String>,
    /// Use the run's best checkpoint (eval.best) instead of the newest
    #[arg(long, requires = "run")]
    best: bool,
    /// Metrics instead of the run's, by name: fid,parzen
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = metric)]
    metrics: Vec<String>,
    #[command(flatten)]
    looks: LookArgs,
    /// Override a key of the section `eval`, as in --set eval.samples=1000; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Samples to score, [N, d]
    #[arg(long, value_name = "A.npy", conflicts_with_all = ["run", "pretrained"], requires_all = ["valid", "test"])]
    samples: Option<PathBuf>,
    /// Validation examples, which choose sigma, [N, d]
    #[arg(long, value_name = "B.npy", requires = "samples")]
    valid: Option<PathBuf>,
    /// Test examples, which are scored, [N, d]
    #[arg(long, value_name = "C.npy", requires = "samples")]
    test: Option<PathBuf>,
    #[command(flatten)]
    features: features::FeatureArgs,
    #[command(flatten)]
    images: images::ImageArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    threads: Threads,
}

/// A metric's name, in which `_` may stand for `-`.
fn metric(text: &str) -> Result<String, Infallible> {
    Ok(text.replace('_', "-"))
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    given::check(args)?;
    args.threads.pool()?.install(|| match args {
        _ if args.features.run(&args.metrics, args.looks.protocol(), &args.compute, args.json)? => Ok(()),
        _ if args.images.run(
            &args.features,
            &args.metrics,
            &args.looks,
            &args.compute,
            args.json,
        )? =>
        {
            Ok(())
        }
        Args {
            samples: Some(samples),
            valid: Some(valid),
            test: Some(test),
            ..
        } => {
            let score = arrays(&args.compute.device()?, samples, valid, test)?;
            if args.json {
                return say(&json!(score).to_string());
            }
            say(&score.to_string())
        }
        Args {
            pretrained: Some(name),
            ..
        } => say_score(args, score_generator(args, trained::pretrained(name)?)?),
        Args {
            run: Some(path), ..
        } if path.is_file() => {
            trained::check_best(args.best, path)?;
            say_score(args, score_generator(args, trained::of_file(path)?)?)
        }
        Args {
            run: Some(folder), ..
        } => say_score(args, score_run(args, folder)?),
        _ => Err(Failure::input(
            "expected a run's folder, a file of `ganforge export` or `import`, --pretrained NAME, as in --pretrained mnist, \
             --samples, --valid and --test, --images and --reference, or --features and --reference",
        )),
    })
}

/// A score, and what it rests on.
struct Scored {
    scores: Scores,
    data: Dataset,
    /// The networks that looked at images.
    networks: Vec<Identity>,
    /// The best checkpoint, where that was asked for.
    best: Option<Best>,
}

fn score_run(args: &Args, folder: &Path) -> Result<Scored, Failure> {
    let open = OpenRun::open_at(folder, args.best)?;
    let config = open.config.with_eval(&settings(args)?)?;
    let data = open.data(args.json)?;
    let mut store = open.run.load(&config, data.test.d())?;
    let loaded = networks(args, &config)?;
    let scores = train::score_run(&loaded, &config, &mut store, &data)?;
    loaded.notes().iter().for_each(|note| tell(note));
    let best = args.best.then(|| open.run.best()).transpose()?;
    Ok(Scored {
        scores,
        data,
        networks: loaded.networks(),
        best: best.flatten(),
    })
}

fn score_generator(args: &Args, mut open: OpenGenerator) -> Result<Scored, Failure> {
    open.generator.set_eval(&settings(args)?)?;
    let data = open.data(args.json)?;
    let loaded = networks(args, open.generator.config())?;
    open.generator.move_to(loaded.device())?;
    let scores = open.generator.score(&data, &loaded)?;
    loaded.notes().iter().for_each(|note| tell(note));
    Ok(Scored {
        scores,
        data,
        networks: loaded.networks(),
        best: None,
    })
}

/// No networks yet; where metrics ask for some, what they see of the data is kept for other commands.
fn networks(args: &Args, config: &Config) -> Result<Loaded, Failure> {
    let loaded = Loaded::at(&args.compute.device()?);
    let metrics = &config.eval.metrics;
    Ok(match metrics.iter().any(|m| m.extraction().is_some()) {
        true => loaded.kept_in(&Cache::from_env()?),
        false => loaded,
    })
}

/// What the options say of the section `eval`.
fn settings(args: &Args) -> Result<Vec<String>, Failure> {
    // Whether the metric of this name looks at images through a network; none for a name that there is not.
    let looks = |name: &str| {
        let kind = MetricKind::named(name)?;
        Some(kind.extraction().is_some())
    };
    args.looks.check()?;
    args.looks.count()?;
    let mut names: Vec<&str> = Vec::new();
    for name in &args.metrics {
        // Names of numbers of `precision` that no metric has.
        let name = match (looks(name), kind_of(name)) {
            (None, Some(kind)) => kind.name(),
            _ => name,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let is_of_network = |name: &&str| looks(name) == Some(true);
    if let Some(protocol) = args.looks.protocol() {
        let of_network = names.iter().copied().filter(is_of_network);
        let mut kinds = of_network.filter_map(kind_of);
        kinds.try_for_each(|kind| check_has(protocol, kind))?;
    }
    let keys = args.looks.keys();
    if let Some((option, _)) = keys.first()
        && names.iter().all(|name| looks(name) == Some(false))
    {
        return Err(Failure::input(format!(
            "{}: none of --metrics looks at images through a network",
            dashed(option)
        )));
    }
    let keys: Vec<String> = keys.into_iter().map(|(_, key)| key).collect();
    let metrics = names.iter().map(|name| match is_of_network(name) {
        true if !keys.is_empty() => format!("{{kind={name:?}, {}}}", keys.join(", ")),
        _ => format!("{name:?}"),
    });
    let metrics: Vec<String> = metrics.collect();
    let metrics = (!metrics.is_empty()).then(|| format!("eval.metrics=[{}]", metrics.join(", ")));
    for option in &args.set {
        if !option.trim_start().starts_with("eval.") {
            return Err(Failure::input(format!(
                "--set {option}: only keys of the section eval change how something trained is scored"
            )));
        }
    }
    Ok(metrics
        .into_iter()
        .chain(args.set.iter().cloned())
        .collect())
}

/// The numbers under their names. Where one network looked at images for all, they need not be called after it, and what it is is said
/// once; so are the numbers of images, where they are the same.
fn object(scores: &Scores, networks: &[Identity]) -> Value {
    let mut looks = scores.0.iter().filter_map(|score| score.kind.extraction());
    let Some(first) = looks.next() else {
        return json!(scores);
    };
    let mut is_one_number = true;
    let is_one_network = looks.all(|other| {
        is_one_number &= other.images == first.images;
        let images = first.images;
        *first
            == Extraction {
                images,
                ..other.clone()
            }
    });
    if !is_one_network {
        return json!(scores);
    }
    let suffix = format!("_{}", first.label());
    let is_first = |n: &&Identity| n.extractor == first.extractor && n.weights == first.weights;
    let mut object = json!({
        "extractor": first.extractor,
        "extractor_sha256": networks.iter().find(is_first).map(|n| &n.sha256),
        "protocol": first.protocol.map_or("ganforge", |p| p.name()),
    });
    let counts = |kind: &str, key: &str| match is_one_number {
        true => key.to_owned(),
        false => format!("{kind}_{key}"),
    };
    for (name, value) in json!(scores).as_object().into_iter().flatten() {
        let of_looks = |s: &&Score| s.kind.extraction().is_some();
        let mut kinds = scores.0.iter().filter(of_looks).map(|s| s.kind.name());
        let key = match name.rsplit_once('_') {
            Some((kind, "samples")) if kinds.any(|k| k == kind) => counts(kind, "n"),
            Some((kind, "test")) if kinds.any(|k| k == kind) => counts(kind, "n_reference"),
            _ => name.strip_suffix(&suffix).unwrap_or(name).to_owned(),
        };
        object[key] = value.clone();
    }
    object
}

fn say_score(args: &Args, scored: Scored) -> Result<(), Failure> {
    let Scored {
        scores,
        data,
        networks,
        best,
    } = scored;
    if args.json {
        let mut object = object(&scores, &networks);
        object["data"] = json!(about::of_data(&data));
        if let Some(best) = best {
            object["best"] = json!(best);
        }
        return say(&object.to_string());
    }
    say(&scores.to_string())?;
    if let Some(best) = best {
        say(&format!("best: {best}"))?;
    }
    say(&format!("data: {}", about::of_data(&data)))?;
    match about::caveat(data.origin) {
        Some(caveat) => say(&caveat),
        None => Ok(()),
    }
}

fn arrays(
    device: &Device,
    samples: &Path,
    valid: &Path,
    test: &Path,
) -> Result<ParzenScore, Failure> {
    let read = |path: &Path| {
        let mut notices = Vec::new();
        let matrix = read_matrix_f32_noting(path, &mut notices)?;
        notices.iter().for_each(|line| tell(line));
        Ok::<_, Failure>(matrix)
    };
    let (_, d, samples_data) = read(samples)?;
    let read = |path: &Path| {
        let (_, width, values) = read(path)?;
        if width != d {
            let (a, b) = (samples.display(), path.display());
            return Err(Failure::input(format!(
                "rows of {a} have {d} values, those of {b} have {width}: expected the same number"
            )));
        }
        Ok(values)
    };
    let (valid_data, test_data) = (read(valid)?, read(test)?);
    if let Some(warning) = scales(&[
        (samples, &samples_data),
        (valid, &valid_data),
        (test, &test_data),
    ]) {
        tell(&warning);
    }
    let score = parzen::score_at(device, &samples_data, &valid_data, &test_data, d);
    Ok(score.map_err(ganforge::gan::Error::from)?)
}

/// A warning if one array lies in 0..1, as pixels do, and another in 0..255, as bytes do. Not an error, since points of a toy
/// set may have such values, too.
fn scales(arrays: &[(&Path, &[f32])]) -> Option<String> {
    let range = |values: &[f32]| {
        let ends = (f32::INFINITY, f32::NEG_INFINITY);
        values
            .iter()
            .fold(ends, |(lo, hi), &x| (lo.min(x), hi.max(x)))
    };
    let of = |is: fn(f32) -> bool| {
        let mut all = arrays
            .iter()
            .map(|(path, values)| (path.display(), range(values)));
        all.find(|(_, (lo, hi))| *lo >= 0.0 && is(*hi))
    };
    let (units, (a, b)) = of(|hi| hi <= 1.0)?;
    let (bytes, (lo, hi)) = of(|hi| hi > FAR && hi <= 255.0)?;
    Some(format!(
        "warning: {bytes} has values from {lo} to {hi}, {units} from {a} to {b}: are those pixels of 0..255? Floats are used \
         as they are; uint8 is divided by 255"
    ))
}
