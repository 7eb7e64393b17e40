//! `ganforge eval --features A --against B`: scores of any network's features.

use std::path::{Path, PathBuf};

use ganforge::gan::files::check_writable;
use ganforge::gan::metrics::sets::files::{Source, write_statistics};
use ganforge::gan::metrics::sets::kid::{self, Draw, Kernel};
use ganforge::gan::metrics::sets::prdc::{self, Ball, Prdc};
use ganforge::gan::metrics::sets::protocol::Protocol;
use ganforge::gan::metrics::sets::{Features, SetError, frechet};
use ganforge::gan::{self, metrics};
use ganforge::tensor::words::counted;
use serde_json::{Map, Value, json};

use crate::cli::failure::Failure;
use crate::cli::output::{say, tell};

/// Scores of features.
#[derive(clap::Args)]
pub(super) struct FeatureArgs {
    /// Features of generated images by any network, [N, d]
    #[arg(long, value_name = "A.npy", conflicts_with_all = ["run", "pretrained", "samples", "metrics", "set"])]
    features: Option<PathBuf>,
    /// Features of real images, [N, d], or their mu and sigma
    #[arg(long, value_name = "B.npy|B.npz", requires = "features")]
    against: Option<PathBuf>,
    /// Logits of generated images, [N, classes], for the inception score
    #[arg(long, value_name = "L.npy", requires = "against")]
    logits: Option<PathBuf>,
    /// Rows in each subset of KID, where the protocol has subsets
    #[arg(long, value_name = "N", requires = "against")]
    kid_subset_size: Option<usize>,
    /// Write mean (mu) and covariance (sigma) of --features
    #[arg(long, value_name = "FILE.npz", requires = "features")]
    statistics: Option<PathBuf>,
}

/// Neighbours and kind of balls.
type Balls = (usize, Ball);

/// A score as people read it, and its keys in JSON.
type Line = (String, Vec<(&'static str, Value)>);

impl FeatureArgs {
    /// Runs the command by the rules of `protocol` where it is about features; whether it is.
    pub(super) fn run(&self, protocol: Protocol, as_json: bool) -> Result<bool, Failure> {
        let Some(path) = &self.features else {
            return Ok(false);
        };
        if self.logits.is_some() && protocol.rules().inception.is_none() {
            return Err(Failure::input(format!(
                "--logits: protocol {} has no inception score",
                protocol.name()
            )));
        }
        if let Some(file) = &self.statistics {
            check_writable(file).map_err(gan::Error::from)?;
        }
        let generated = read(path)?;
        match (&self.against, &self.statistics) {
            (None, None) => {
                return Err(Failure::input(
                    "--features: expected --against B.npy to score them, or --statistics FILE.npz to keep mean and covariance",
                ));
            }
            (Some(against), _) => self.score(&generated, &read(against)?, protocol, as_json)?,
            (None, Some(_)) => {}
        }
        if let Some(file) = &self.statistics {
            let statistics = generated.statistics().map_err(metrics::Error::from);
            let statistics = statistics.map_err(gan::Error::from)?;
            write_statistics(file, &statistics).map_err(gan::Error::from)?;
            tell(&format!(
                "mean and covariance of {} in {}",
                generated.name(),
                file.display()
            ));
        }
        Ok(true)
    }

    fn score(
        &self,
        generated: &Source,
        real: &Source,
        protocol: Protocol,
        as_json: bool,
    ) -> Result<(), Failure> {
        let logits = self.logits.as_deref().map(read).transpose()?;
        let (lines, about) = self
            .lines(generated, real, logits.as_ref(), protocol)
            .map_err(|error| Failure::from(gan::Error::from(metrics::Error::from(error))))?;
        if as_json {
            let mut object = Map::new();
            for (key, value) in lines.into_iter().flat_map(|(_, keys)| keys).chain(about.1) {
                object.insert(key.to_owned(), value);
            }
            return say(&Value::Object(object).to_string());
        }
        say(&about.0)?;
        lines.iter().try_for_each(|(line, _)| say(line))
    }

    fn lines(
        &self,
        generated: &Source,
        real: &Source,
        logits: Option<&Source>,
        protocol: Protocol,
    ) -> Result<(Vec<Line>, Line), SetError> {
        let mut lines = Vec::new();
        let without_fid = match fid(generated, real) {
            Ok(fid) => {
                lines.push((format!("FID {fid:.6}"), vec![("fid", json!(fid))]));
                None
            }
            Err(error @ SetError::Memory { .. }) => Some(error),
            Err(error) => return Err(error),
        };
        match (real.features()?, generated.features()?) {
            (Some(real), Some(generated)) => self.rows(real, generated, protocol, &mut lines)?,
            _ => tell("mean and covariance alone have no score but FID"),
        }
        if let Some(logits) = logits {
            lines.extend(inception(logits, protocol)?);
        }
        if let Some(error) = without_fid {
            if lines.is_empty() {
                return Err(error);
            }
            tell(&format!("not scored: FID: {error}"));
        }
        let rows = |n: Option<usize>| match n {
            Some(n) => counted(n, "row"),
            None => "an unknown number of rows".to_owned(),
        };
        let about = format!(
            "{} ({}) against {} ({}): {} features, protocol {}",
            generated.name(),
            rows(generated.n()),
            real.name(),
            rows(real.n()),
            generated.d(),
            protocol.name()
        );
        let keys = vec![
            ("n", json!(generated.n())),
            ("n_reference", json!(real.n())),
            ("d", json!(generated.d())),
            ("protocol", json!(protocol.name())),
            ("features", json!(generated.name())),
            ("reference", json!(real.name())),
        ];
        Ok((lines, (about, keys)))
    }

    /// The scores that need all rows.
    fn rows(
        &self,
        real: Features<'_, f64>,
        generated: Features<'_, f64>,
        protocol: Protocol,
        lines: &mut Vec<Line>,
    ) -> Result<(), SetError> {
        let rules = protocol.rules();
        if let Some(draw) = rules.kid {
            let draw = self.draw(draw)?;
            let kid = kid::score(real, generated, draw, Kernel::default());
            lines.extend(unless_few(kid)?.map(|kid| {
                let stderr = kid.stderr.map(|e| format!(" ± {e:.6}")).unwrap_or_default();
                let what = match draw {
                    Draw::Subsets { size, .. } => {
                        let size = size.min(real.n()).min(generated.n());
                        format!("{} of {size} rows", counted(kid.estimates, "subset"))
                    }
                    Draw::Blocks { .. } => counted(kid.estimates, "block"),
                };
                let line = format!(
                    "KID {:.6}{stderr} ({what}, standard deviation {:.6})",
                    kid.mean, kid.deviation
                );
                let keys = vec![
                    ("kid", json!(kid.mean)),
                    ("kid_std", json!(kid.deviation)),
                    ("kid_stderr", json!(kid.stderr)),
                ];
                (line, keys)
            }));
        }
        let balls = |k: usize, ball: Ball| {
            let ball = if ball == Ball::Open { "open" } else { "closed" };
            format!("({}, {ball} balls)", counted(k, "neighbour"))
        };
        let wanted: Vec<Balls> = [rules.precision, rules.density]
            .into_iter()
            .flatten()
            .collect();
        let scores = by_balls(real, generated, &wanted)?;
        let of = |rule: Option<Balls>| {
            let found = scores.iter().find(|(ball, _)| Some(*ball) == rule);
            found.map(|&((k, ball), scores)| (balls(k, ball), scores))
        };
        lines.extend(of(rules.precision).map(|(balls, s)| {
            let [p, r, f] = [s.precision, s.recall, s.f_score()];
            let keys = vec![
                ("precision", json!(p)),
                ("recall", json!(r)),
                ("f_score", json!(f)),
            ];
            (
                format!("precision {p:.4}, recall {r:.4}, F {f:.4} {balls}"),
                keys,
            )
        }));
        lines.extend(of(rules.density).map(|(balls, s)| {
            let [d, c] = [s.density, s.coverage];
            let keys = vec![("density", json!(d)), ("coverage", json!(c))];
            (format!("density {d:.4}, coverage {c:.4} {balls}"), keys)
        }));
        Ok(())
    }

    /// The protocol's subsets, of the size that was asked for.
    fn draw(&self, draw: Draw) -> Result<Draw, SetError> {
        match (draw, self.kid_subset_size) {
            (_, None) => Ok(draw),
            (Draw::Subsets { count, seed, .. }, Some(size)) => Ok(Draw::Subsets {
                count,
                size,
                seed,
                shrink: false,
            }),
            (Draw::Blocks { .. }, Some(_)) => Err(SetError::Setting(
                "--kid-subset-size: this protocol's KID has blocks, no subsets".into(),
            )),
        }
    }
}

fn read(path: &Path) -> Result<Source, Failure> {
    Ok(Source::read(path).map_err(gan::Error::from)?)
}

fn fid(generated: &Source, real: &Source) -> Result<f64, SetError> {
    let statistics = [generated.statistics()?, real.statistics()?];
    for warning in statistics.iter().filter_map(|s| s.warning()) {
        tell(&format!("warning: {warning}"));
    }
    let [a, b] = &statistics;
    frechet::distance(b, a)
}

/// A score; none, and said, where there are too few rows for it.
fn unless_few<T>(score: Result<T, SetError>) -> Result<Option<T>, SetError> {
    match score {
        Ok(score) => Ok(Some(score)),
        Err(error @ SetError::Few { .. }) => {
            let advice = match &error {
                SetError::Few { score, .. } if score.contains("subset") => {
                    ": --kid-subset-size takes fewer"
                }
                _ => "",
            };
            tell(&format!("not scored: {error}{advice}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The scores for each kind of balls for which there are rows enough.
fn by_balls(
    real: Features<'_, f64>,
    generated: Features<'_, f64>,
    balls: &[Balls],
) -> Result<Vec<(Balls, Prdc)>, SetError> {
    let mut enough = Vec::new();
    for &(k, ball) in balls {
        let rows = real.n().min(generated.n());
        match rows > k {
            true => enough.push((k, ball)),
            false => tell(&format!(
                "not scored: {} are too few for {} of each",
                counted(rows, "row"),
                counted(k, "neighbour")
            )),
        }
    }
    if enough.is_empty() {
        return Ok(Vec::new());
    }
    let scores = prdc::scores(real, generated, &enough)?;
    Ok(enough.into_iter().zip(scores).collect())
}

fn inception(logits: &Source, protocol: Protocol) -> Result<Option<Line>, SetError> {
    let Some(rows) = logits.features()? else {
        let name = logits.name();
        return Err(SetError::Setting(format!(
            "{name}: expected logits [N, classes]"
        )));
    };
    let Some(score) = unless_few(protocol.inception_score(rows))?.flatten() else {
        return Ok(None);
    };
    let line = format!(
        "IS {:.6}, standard deviation {:.6} ({}, {} of {} classes in {})",
        score.mean,
        score.deviation,
        counted(score.splits, "split"),
        counted(rows.n(), "row"),
        rows.d(),
        rows.name()
    );
    let keys = vec![
        ("is", json!(score.mean)),
        ("is_std", json!(score.deviation)),
        ("is_n", json!(rows.n())),
    ];
    Ok(Some((line, keys)))
}
