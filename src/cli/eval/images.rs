//! `ganforge eval --images A --reference B`: scores of images that any program made.

use std::path::{Path, PathBuf};

use ganforge::gan::extractors::{ImageSet, Keep};
use ganforge::gan::files::NpzReader;
use ganforge::gan::metrics::MetricKind;
use ganforge::gan::metrics::sets::Kind;
use ganforge::gan::metrics::sets::files::{Made, Source};
use ganforge::gan::metrics::sets::protocol::Protocol;
use ganforge::tensor::words::counted;
use serde_json::json;

use super::features::{FeatureArgs, agreed, kinds, read};
use super::given::dashed;
use super::scored::{Asked, Line, Pair, refused, say_lines};
use crate::cli::failure::Failure;
use crate::cli::images::{Range, Reading, check_fit, check_range, look};
use crate::cli::looks::LookArgs;
use crate::cli::options::Compute;
use crate::cli::output::tell;

/// Images whose nearest neighbour is looked for.
const QUERIES: usize = 1000;

/// Scores of images.
#[derive(clap::Args)]
pub(super) struct ImageArgs {
    /// Images of any generator: a folder, a .tar or .zip of pictures, an .npy or .npz; --reference is then images, too, or a data
    /// set's name, or what `ganforge features` or pytorch-fid kept
    #[arg(long, value_name = "A", conflicts_with_all = ["run", "pretrained", "samples", "features", "statistics", "set", "logits"])]
    images: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// The same of --reference [default: that of --range]
    #[arg(long, value_enum)]
    reference_range: Option<Range>,
}

/// What images are compared with.
enum Reference {
    Features(Source),
    /// Images, and which of them.
    Images(ImageSet, Vec<usize>),
}

/// Scores of pixels that were asked for; those that there must be.
#[derive(Clone, Copy)]
struct OfPixels {
    alike: bool,
    nearest: bool,
    must: bool,
}

impl ImageArgs {
    /// Whether images are to be scored.
    pub(super) fn is_asked(&self) -> bool {
        self.images.is_some()
    }

    /// The names of the options that were given, without the images themselves.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        let range = self.reference_range.map(|_| "reference-range");
        self.reading.given().chain(range)
    }

    /// Refuses ranges that neither set uses.
    fn check_ranges(&self, generated: &ImageSet, real: &Reference) -> Result<(), Failure> {
        match (self.reference_range, real) {
            (None, Reference::Images(real, _)) => self.reading.check_range(&[generated, real]),
            (None, Reference::Features(_)) => self.reading.check_range(&[generated]),
            (Some(_), Reference::Images(real, _)) => {
                self.reading.check_range(&[generated])?;
                check_range("reference-range", &[real])
            }
            (Some(_), Reference::Features(_)) => Err(Failure::input(
                "--reference-range: expected an array of images as --reference",
            )),
        }
    }

    /// Runs the command where it is about images; whether it is.
    pub(super) fn run(
        &self,
        features: &FeatureArgs,
        metrics: &[String],
        looks: &LookArgs,
        compute: &Compute,
        as_json: bool,
    ) -> Result<bool, Failure> {
        let Some(path) = &self.images else {
            return Ok(false);
        };
        let Some(reference) = features.reference() else {
            let message = "--images: expected --reference B, images to compare them with";
            return Err(Failure::input(message));
        };
        let (of_pixels, kinds) = asked(metrics)?;
        let kept = match holds_features(reference) {
            true => Some(read(reference)?),
            false => None,
        };
        let protocol = agreed(looks.protocol(), kept.as_ref())?;
        let wanted: Vec<Kind> = match &kinds {
            Some(kinds) => kinds.clone(),
            None => Kind::ALL.to_vec(),
        };
        let of_network = ["extractor", "weights", "kid-subset-size"];
        let mut given = looks.given().chain(features.given());
        if wanted.is_empty()
            && let Some(option) = given.find(|name| of_network.contains(name))
        {
            return Err(Failure::input(format!(
                "{}: none of --metrics looks at images through a network",
                dashed(option)
            )));
        }
        let asked = Asked {
            protocol,
            kinds: kinds.as_deref(),
            kid_subset_size: features.kid_subset_size(),
        };
        let rules = asked.rules()?;
        looks.check()?;
        let count = looks.count()?;
        let of_images = Some(reference).filter(|_| kept.is_none());
        let paths: Vec<&Path> = [path.as_path()].into_iter().chain(of_images).collect();
        self.reading.check_used(&paths)?;
        let mut generated = self.reading.open(path, protocol, None)?;
        let rows = generated.rows(count);
        let mut real = match kept {
            Some(kept) => Reference::Features(kept),
            None => {
                let images = self
                    .reading
                    .open(reference, protocol, self.reference_range)?;
                let rows = images.rows(count);
                Reference::Images(images, rows)
            }
        };
        self.check_ranges(&generated, &real)?;
        if wanted.is_empty() {
            let pixels = of_pixels.lines(&mut generated, &rows, &mut real)?;
            let about = about(&generated, rows.len(), &real, protocol);
            say_lines(about, pixels, as_json)?;
            return Ok(true);
        }
        let mut sets = vec![(generated.name(), rows.len())];
        let kept = match &real {
            Reference::Features(kept) => Some(kept),
            Reference::Images(images, rows) => {
                sets.push((images.name(), rows.len()));
                None
            }
        };
        asked.check_rows(&rules, &sets, kept)?;
        let device = compute.device()?;
        let mut network = looks.network(generated.size(), protocol, &device)?;
        check_fit(&network, &generated)?;
        if let Reference::Images(images, _) = &real {
            check_fit(&network, images)?;
        }
        if let Reference::Features(kept) = &real {
            if let Some(made) = kept.made() {
                let (a, b) = (generated.name().to_owned(), kept.name());
                Made::check_same((&a, &network.made(&generated)?), (b, made)).map_err(refused)?;
            }
            if kept.d() != network.n_features() {
                return Err(Failure::input(format!(
                    "{}: has {} features, and {} gives {}",
                    kept.name(),
                    kept.d(),
                    network.name(),
                    network.n_features()
                )));
            }
        }
        let pixels = of_pixels.lines(&mut generated, &rows, &mut real)?;
        let has_rows = match &real {
            Reference::Features(kept) => kept.features().is_ok(),
            Reference::Images(..) => true,
        };
        let of_rows = |kind: &Kind| match kind {
            Kind::Fid => false,
            Kind::Inception => rules.has(*kind) && network.n_classes() > 0,
            Kind::Kid | Kind::Precision => rules.has(*kind) && has_rows,
        };
        let keep = match wanted.iter().any(of_rows) {
            true => Keep::Rows,
            false => Keep::Statistics,
        };
        let real = match real {
            Reference::Features(kept) => kept,
            Reference::Images(mut images, rows) => look(&mut network, &mut images, &rows, keep)?,
        };
        let generated = look(&mut network, &mut generated, &rows, keep)?;
        let pair = Pair {
            generated: &generated,
            real: &real,
            asked,
        };
        let mut lines = pair.lines(&device)?;
        lines.extend(pixels);
        pair.say(lines, as_json)?;
        Ok(true)
    }
}

/// What is compared by pixels alone; the protocol says how a folder is read.
fn about(generated: &ImageSet, n: usize, real: &Reference, protocol: Protocol) -> Line {
    let (name, n_reference, sum) = match real {
        Reference::Features(kept) => (kept.name(), kept.n(), None),
        Reference::Images(images, _) => (images.name(), Some(images.n()), Some(images.sha256())),
    };
    let line = format!("{} against {name}: pixels", generated.name());
    let sets = json!({
        "generated": {"name": generated.name(), "sha256": generated.sha256()},
        "reference": {"name": name, "sha256": sum},
    });
    let keys = vec![
        ("n", json!(n)),
        ("n_reference", json!(n_reference)),
        ("extractor", json!(null)),
        ("protocol", json!(protocol.name())),
        ("reference", json!(name)),
        ("data", json!(name)),
        ("sets", sets),
    ];
    (line, keys)
}

/// Scores of pixels and of features by name.
fn asked(metrics: &[String]) -> Result<(OfPixels, Option<Vec<Kind>>), Failure> {
    let is = |metric: &String, name: &str| {
        MetricKind::named(metric).is_some_and(|metric| metric.name() == name)
    };
    let has = |name| metrics.iter().any(|metric| is(metric, name));
    let mut of_pixels = OfPixels {
        alike: has("ms-ssim"),
        nearest: has("nn-distance"),
        must: !metrics.is_empty(),
    };
    if metrics.is_empty() {
        (of_pixels.alike, of_pixels.nearest) = (true, true);
        return Ok((of_pixels, None));
    }
    let is_rest = |m: &&String| !is(m, "ms-ssim") && !is(m, "nn-distance");
    let rest: Vec<String> = metrics.iter().filter(is_rest).cloned().collect();
    Ok((of_pixels, Some(kinds(&rest)?.unwrap_or_default())))
}

/// Whether a file has features or their statistics, and no images.
fn holds_features(path: &Path) -> bool {
    let is_npz = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    let names = is_npz.then(|| NpzReader::open(path));
    let Some(Ok(npz)) = names else { return false };
    let names: Vec<&str> = npz.names().collect();
    names.contains(&"features") || names.contains(&"mu") && names.contains(&"sigma")
}

impl OfPixels {
    /// The scores; says what there is none of, and why.
    fn lines(
        self,
        generated: &mut ImageSet,
        rows: &[usize],
        real: &mut Reference,
    ) -> Result<Vec<Line>, Failure> {
        let mut lines = Vec::new();
        let scores: [(bool, &str, Scorer); 2] = [
            (self.alike, "ms-ssim", alike),
            (self.nearest, "nearest", nearest),
        ];
        for (_, name, score) in scores.into_iter().filter(|(asked, ..)| *asked) {
            match score(generated, rows, real) {
                Ok(line) => lines.push(line),
                Err(error) if self.must => return Err(error),
                Err(error) => tell(&format!("not scored: {name}: {error}")),
            }
        }
        Ok(lines)
    }
}

type Scorer = fn(&mut ImageSet, &[usize], &mut Reference) -> Result<Line, Failure>;

fn alike(generated: &mut ImageSet, rows: &[usize], real: &mut Reference) -> Result<Line, Failure> {
    let found = generated.alike(rows)?;
    let of_real = match real {
        Reference::Images(images, rows) => images.alike(rows).map_err(|error| {
            tell(&format!("not scored: ms-ssim of the reference: {error}"));
        }),
        Reference::Features(_) => Err(()),
    };
    let of_real = of_real.ok();
    let against = match of_real {
        Some(real) => format!(
            ", of the reference {:.6} ({} images)",
            real.mean, real.images
        ),
        None => String::new(),
    };
    let line = format!(
        "MS-SSIM {:.6} ({} images, {}){against}",
        found.mean,
        found.images,
        counted(found.scales, "scale")
    );
    let keys = vec![
        ("ms_ssim", json!(found.mean)),
        ("ms_ssim_n", json!(found.images)),
        ("ms_ssim_of_reference", json!(of_real.map(|real| real.mean))),
    ];
    Ok((line, keys))
}

fn nearest(
    generated: &mut ImageSet,
    rows: &[usize],
    real: &mut Reference,
) -> Result<Line, Failure> {
    let Reference::Images(real, _) = real else {
        let message = "expected images to compare with, and these are features";
        return Err(Failure::input(message));
    };
    let (own, other) = (generated.one_size()?, real.one_size()?);
    if own != other {
        return Err(Failure::input(format!(
            "images of {own} against images of {other}: expected one size"
        )));
    }
    let few = rows.len().div_ceil(QUERIES);
    let rows: Vec<usize> = rows.iter().copied().step_by(few).collect();
    let distances = real.nearest(&generated.units(&rows)?)?;
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
    let copies = distances.iter().filter(|d| **d == 0.0).count();
    let line = format!(
        "nearest: mean distance to the nearest of {} of {} {mean:.4}, least {least:.4}, {} of {} equal one",
        counted(real.n(), "image"),
        real.name(),
        copies,
        rows.len()
    );
    let keys = vec![
        ("nn_distance", json!(mean)),
        ("nn_distance_least", json!(least)),
        ("nn_distance_copies", json!(copies)),
        ("nn_distance_n", json!(rows.len())),
    ];
    Ok((line, keys))
}
