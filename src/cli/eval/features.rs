//! `ganforge eval --features A --reference B`: scores of any network's features.

use std::path::{Path, PathBuf};

use ganforge::gan;
use ganforge::gan::files::check_writable;
use ganforge::gan::metrics::MetricKind;
use ganforge::gan::metrics::sets::Kind;
use ganforge::gan::metrics::sets::files::Source;
use ganforge::gan::metrics::sets::protocol::Protocol;

use super::scored::{Asked, Pair, refused};
use crate::cli::failure::Failure;
use crate::cli::options::Compute;
use crate::cli::output::tell;

/// Scores of features.
#[derive(clap::Args)]
pub(super) struct FeatureArgs {
    /// Features of generated images by any network, [N, d], or a file of `ganforge features`
    #[arg(long, value_name = "A.npy", conflicts_with_all = ["run", "pretrained", "samples", "set"])]
    features: Option<PathBuf>,
    /// What to compare with: with --images, images, a data set's name, or features; with --features, features [N, d], mu and
    /// sigma, or a file of `ganforge features`
    #[arg(long, alias = "against", value_name = "B")]
    reference: Option<PathBuf>,
    /// Logits of generated images, [N, classes], for the inception score
    #[arg(long, value_name = "L.npy")]
    logits: Option<PathBuf>,
    /// Rows in each subset of KID, where the protocol has subsets
    #[arg(long, value_name = "N")]
    kid_subset_size: Option<usize>,
    /// Write mean (mu) and covariance (sigma) of --features
    #[arg(long, value_name = "FILE.npz")]
    statistics: Option<PathBuf>,
}

impl FeatureArgs {
    /// What is compared with.
    pub(super) fn reference(&self) -> Option<&Path> {
        self.reference.as_deref()
    }

    /// Whether features are to be scored.
    pub(super) fn is_asked(&self) -> bool {
        self.features.is_some()
    }

    /// The names of the options that were given, without the features themselves.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("reference", self.reference.is_some()),
            ("logits", self.logits.is_some()),
            ("kid-subset-size", self.kid_subset_size.is_some()),
            ("statistics", self.statistics.is_some()),
        ];
        let given = all.into_iter().filter(|(_, given)| *given);
        given.map(|(name, _)| name)
    }

    /// Rows in each subset of KID, where they were given.
    pub(super) fn kid_subset_size(&self) -> Option<usize> {
        self.kid_subset_size
    }

    /// Runs the command by the rules of `protocol` where it is about features; whether it is.
    pub(super) fn run(
        &self,
        metrics: &[String],
        protocol: Option<Protocol>,
        compute: &Compute,
        as_json: bool,
    ) -> Result<bool, Failure> {
        let Some(path) = &self.features else {
            return Ok(false);
        };
        let kinds = kinds(metrics)?;
        if let Some(file) = &self.statistics {
            check_writable(file).map_err(gan::Error::from)?;
        }
        let mut generated = read(path)?;
        if let Some(logits) = &self.logits {
            generated = generated.with_logits(&read(logits)?).map_err(refused)?;
        }
        match (&self.reference, &self.statistics) {
            (None, None) => {
                return Err(Failure::input(
                    "--features: expected --reference B.npy to score them, or --statistics FILE.npz to keep mean and covariance",
                ));
            }
            (Some(reference), _) => {
                let real = read(reference)?;
                let protocol = agreed(protocol, [&generated, &real])?;
                let pair = Pair {
                    generated: &generated,
                    real: &real,
                    asked: Asked {
                        protocol,
                        kinds: kinds.as_deref(),
                        kid_subset_size: self.kid_subset_size,
                    },
                };
                if self.logits.is_some() {
                    let refuse = |why: String| Err(Failure::input(format!("--logits: {why}")));
                    if !protocol.rules().has(Kind::Inception) {
                        let name = protocol.name();
                        return refuse(format!("protocol {name} has no inception score"));
                    }
                    if kinds
                        .as_ref()
                        .is_some_and(|k| !k.contains(&Kind::Inception))
                    {
                        return refuse("none of --metrics is the inception score, is".to_owned());
                    }
                }
                pair.say(pair.lines(&compute.device()?)?, as_json)?;
            }
            (None, Some(_)) => {}
        }
        if let Some(file) = &self.statistics {
            let statistics = Source::of_statistics(generated.statistics().map_err(refused)?);
            let statistics = match generated.made() {
                Some(made) => statistics.with_made(made.clone()),
                None => statistics,
            };
            statistics.write(file).map_err(gan::Error::from)?;
            tell(&format!(
                "mean and covariance of {} in {}",
                generated.name(),
                file.display()
            ));
        }
        Ok(true)
    }
}

pub(super) fn read(path: &Path) -> Result<Source, Failure> {
    Ok(Source::read(path).map_err(gan::Error::from)?)
}

/// The kinds of scores of these names; none where none are named.
pub(super) fn kinds(metrics: &[String]) -> Result<Option<Vec<Kind>>, Failure> {
    let kind = |name: &String| {
        kind_of(name).ok_or_else(|| {
            Failure::input(format!(
                "--metrics {name}: sets of features have {}",
                Kind::ALL.map(Kind::name).join(", ")
            ))
        })
    };
    let mut kinds: Vec<Kind> = Vec::new();
    for kind in metrics.iter().map(kind) {
        let kind = kind?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok((!kinds.is_empty()).then_some(kinds))
}

/// The kind of score of this name, or of that of one of its numbers.
pub(super) fn kind_of(name: &str) -> Option<Kind> {
    if matches!(name, "recall" | "density" | "coverage") {
        return Some(Kind::Precision);
    }
    let metric = MetricKind::named(name)?;
    let mut all = Kind::ALL.into_iter();
    all.find(|kind| kind.name() == metric.name())
}

/// The protocol that was asked for, or else the one that the sets were made by, or else the first of all.
pub(super) fn agreed<'a>(
    asked: Option<Protocol>,
    sets: impl IntoIterator<Item = &'a Source>,
) -> Result<Protocol, Failure> {
    let mut agreed = asked;
    for set in sets {
        let Some(made) = set.made() else { continue };
        agreed = agreed.or(Some(made.protocol));
        if let Some(asked) = asked.filter(|asked| *asked != made.protocol) {
            return Err(Failure::input(format!(
                "--protocol {}: {} was made by the rules of {}",
                asked.name(),
                set.name(),
                made.protocol.name()
            )));
        }
    }
    Ok(agreed.unwrap_or_default())
}
