//! `ganforge eval --features A --reference B`: scores of any network's features.

use std::path::{Path, PathBuf};

use ganforge::gan;
use ganforge::gan::files::check_writable;
use ganforge::gan::metrics::MetricKind;
use ganforge::gan::metrics::sets::Kind;
use ganforge::gan::metrics::sets::files::Source;
use ganforge::gan::metrics::sets::protocol::Protocol;

use super::scored::{Pair, refused};
use crate::cli::failure::Failure;
use crate::cli::options::Compute;
use crate::cli::output::tell;

/// Scores of features.
#[derive(clap::Args)]
pub(super) struct FeatureArgs {
    /// Features of generated images by any network, [N, d], or a file of `ganforge features`
    #[arg(long, value_name = "A.npy", conflicts_with_all = ["run", "pretrained", "samples", "set"])]
    features: Option<PathBuf>,
    /// Features of real images, [N, d], or their mu and sigma, or a file of `ganforge features`
    #[arg(
        long,
        alias = "against",
        value_name = "B.npy|B.npz",
        requires = "features"
    )]
    reference: Option<PathBuf>,
    /// Logits of generated images, [N, classes], for the inception score
    #[arg(long, value_name = "L.npy", requires = "reference")]
    logits: Option<PathBuf>,
    /// Rows in each subset of KID, where the protocol has subsets
    #[arg(long, value_name = "N", requires = "reference")]
    kid_subset_size: Option<usize>,
    /// Write mean (mu) and covariance (sigma) of --features
    #[arg(long, value_name = "FILE.npz", requires = "features")]
    statistics: Option<PathBuf>,
}

impl FeatureArgs {
    /// What is compared with.
    pub(super) fn reference(&self) -> Option<&Path> {
        self.reference.as_deref()
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
                let pair = Pair {
                    protocol: agreed(protocol, [&generated, &real])?,
                    generated: &generated,
                    real: &real,
                    kinds: kinds.as_deref(),
                    kid_subset_size: self.kid_subset_size,
                };
                if self.logits.is_some() && !pair.protocol.rules().has(Kind::Inception) {
                    let name = pair.protocol.name();
                    let message = format!("--logits: protocol {name} has no inception score");
                    return Err(Failure::input(message));
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
        let metric = MetricKind::named(name);
        let mut all = Kind::ALL.into_iter();
        let kind = metric.and_then(|metric| all.find(|kind| kind.name() == metric.name()));
        kind.ok_or_else(|| {
            Failure::input(format!(
                "--metrics {name}: sets of features have {}",
                Kind::ALL.map(Kind::name).join(", ")
            ))
        })
    };
    let kinds: Vec<Kind> = metrics.iter().map(kind).collect::<Result<_, _>>()?;
    Ok((!kinds.is_empty()).then_some(kinds))
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
