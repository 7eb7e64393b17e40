//! The scores of two sets of features, as people read them and as JSON.

use ganforge::gan::metrics::sets::files::{Made, Source};
use ganforge::gan::metrics::sets::kid::Draw;
use ganforge::gan::metrics::sets::prdc::Ball;
use ganforge::gan::metrics::sets::protocol::{Protocol, Rules};
use ganforge::gan::metrics::sets::{Kind, Scores, SetError};
use ganforge::gan::{self, metrics};
use ganforge::tensor::Device;
use ganforge::tensor::words::counted;
use serde_json::{Map, Value, json};

use crate::cli::failure::Failure;
use crate::cli::output::{say, tell};

/// Two sets and the rules to score them by.
pub(super) struct Pair<'a> {
    pub(super) generated: &'a Source,
    pub(super) real: &'a Source,
    pub(super) protocol: Protocol,
    /// What was asked for, which must be there; else all that the rules and the sets have.
    pub(super) kinds: Option<&'a [Kind]>,
    /// Rows in each subset of KID, in the place of the protocol's.
    pub(super) kid_subset_size: Option<usize>,
}

/// A score as people read it, and its keys in JSON.
pub(super) type Line = (String, Vec<(&'static str, Value)>);

/// An error of sets as a failure.
pub(super) fn refused(error: SetError) -> Failure {
    gan::Error::from(metrics::Error::from(error)).into()
}

impl Pair<'_> {
    /// The scores; says what there is none of, and why.
    pub(super) fn lines(&self, device: &Device) -> Result<Vec<Line>, Failure> {
        let rules = self.rules()?;
        let kinds = self.kinds.unwrap_or(&Kind::ALL);
        if let Some(kind) = kinds
            .iter()
            .find(|kind| self.kinds.is_some() && !rules.has(**kind))
        {
            return Err(Failure::input(format!(
                "--metrics {}: protocol {} has no such score",
                kind.name(),
                self.protocol.name()
            )));
        }
        let scores = rules
            .score(device, kinds, self.real, self.generated)
            .map_err(refused)?;
        for warning in &scores.warnings {
            tell(&format!("warning: {warning}"));
        }
        for (kind, error) in &scores.missing {
            let advice = match (kind, error) {
                (Kind::Kid, SetError::Few { n, .. }) => {
                    format!(": --kid-subset-size {n} or less takes fewer")
                }
                _ => String::new(),
            };
            let line = format!("not scored: {}: {error}{advice}", kind.name());
            match self.kinds {
                Some(_) => return Err(Failure::input(line)),
                // Of sets without classes, that is no news.
                None if matches!(error, SetError::Unclassed { .. }) => {}
                None => tell(&line),
            }
        }
        let lines = self.of_scores(&rules, &scores);
        match scores.missing.first() {
            Some((_, error)) if lines.is_empty() => Err(refused(error.clone())),
            _ => Ok(lines),
        }
    }

    /// The protocol's rules, with subsets of the size that was asked for.
    fn rules(&self) -> Result<Rules, Failure> {
        let mut rules = self.protocol.rules();
        match (&mut rules.kid, self.kid_subset_size) {
            (_, None) => {}
            (Some(Draw::Subsets { size, shrink, .. }), Some(asked)) => {
                (*size, *shrink) = (asked, false);
            }
            (Some(Draw::Blocks { .. }), Some(_)) => {
                let message = "--kid-subset-size: this protocol's KID has blocks, no subsets";
                return Err(Failure::input(message));
            }
            (None, Some(_)) => {
                let name = self.protocol.name();
                let message = format!("--kid-subset-size: protocol {name} has no KID");
                return Err(Failure::input(message));
            }
        }
        Ok(rules)
    }

    /// "-inception by torch-fidelity": what stands behind the name of a score.
    fn label(&self) -> String {
        let extractor = match self.made() {
            Some(made) => format!("-{}", made.extractor),
            None => String::new(),
        };
        format!("{extractor} by {}", self.protocol.name())
    }

    fn made(&self) -> Option<&Made> {
        self.generated.made().or(self.real.made())
    }

    /// "60 against 50 rows"
    fn counts(&self) -> String {
        let rows = |source: &Source| match source.n() {
            Some(n) => n.to_string(),
            None => "an unknown number of".to_owned(),
        };
        format!("{} against {} rows", rows(self.generated), rows(self.real))
    }

    fn of_scores(&self, rules: &Rules, scores: &Scores) -> Vec<Line> {
        let (label, counts) = (self.label(), self.counts());
        let mut lines = Vec::new();
        if let Some(fid) = scores.fid {
            let line = format!("FID{label} {fid:.6} ({counts})");
            lines.push((line, vec![("fid", json!(fid))]));
        }
        if let Some(kid) = &scores.kid {
            let stderr = kid.stderr.map(|e| format!(" ± {e:.6}")).unwrap_or_default();
            let what = match rules.kid {
                Some(Draw::Subsets { size, .. }) => {
                    let rows = [self.generated, self.real]
                        .into_iter()
                        .filter_map(Source::n);
                    let size = rows.fold(size, usize::min);
                    format!("{} of {size} rows", counted(kid.estimates, "subset"))
                }
                _ => counted(kid.estimates, "block"),
            };
            let line = format!(
                "KID{label} {:.6}{stderr} ({counts}; {what}, standard deviation {:.6})",
                kid.mean, kid.deviation
            );
            let keys = vec![
                ("kid", json!(kid.mean)),
                ("kid_std", json!(kid.deviation)),
                ("kid_stderr", json!(kid.stderr)),
            ];
            lines.push((line, keys));
        }
        let balls = |rule: Option<(usize, Ball)>| match rule {
            Some((k, Ball::Open)) => format!("{}, open balls", counted(k, "neighbour")),
            Some((k, Ball::Closed)) => format!("{}, closed balls", counted(k, "neighbour")),
            None => String::new(),
        };
        if let Some(s) = scores.precision {
            let [p, r, f] = [s.precision, s.recall, s.f_score()];
            let balls = balls(rules.precision);
            let line =
                format!("precision{label} {p:.4}, recall {r:.4}, F {f:.4} ({counts}; {balls})");
            let keys = [("precision", p), ("recall", r), ("f_score", f)];
            lines.push((line, keys.map(|(key, v)| (key, json!(v))).to_vec()));
        }
        if let Some(s) = scores.density {
            let [d, c] = [s.density, s.coverage];
            let balls = balls(rules.density);
            let line = format!("density{label} {d:.4}, coverage {c:.4} ({counts}; {balls})");
            let keys = vec![("density", json!(d)), ("coverage", json!(c))];
            lines.push((line, keys));
        }
        if let Some(is) = &scores.inception {
            let n = self.generated.n().unwrap_or_default();
            let line = format!(
                "IS{label} {:.6}, standard deviation {:.6} ({}, {})",
                is.mean,
                is.deviation,
                counted(n, "row"),
                counted(is.splits, "split")
            );
            let keys = vec![("is", json!(is.mean)), ("is_std", json!(is.deviation))];
            lines.push((line, keys));
        }
        lines
    }

    /// What is scored, and by what.
    fn about(&self) -> Line {
        let [a, b] = [self.generated, self.real];
        let network = match self.made() {
            Some(made) => format!(
                "{} (SHA-256 {:.12}...)",
                made.extractor, made.extractor_sha256
            ),
            None => "an unknown network".to_owned(),
        };
        let about = format!(
            "{} against {}: {} features of {network}, protocol {}",
            a.name(),
            b.name(),
            a.d(),
            self.protocol.name()
        );
        let data = |source: &Source| {
            let made = source.made()?;
            Some(json!({"name": made.data, "sha256": made.data_sha256}))
        };
        let keys = vec![
            ("n", json!(a.n())),
            ("n_reference", json!(b.n())),
            ("d", json!(a.d())),
            ("extractor", json!(self.made().map(|m| &m.extractor))),
            (
                "extractor_sha256",
                json!(self.made().map(|m| &m.extractor_sha256)),
            ),
            ("protocol", json!(self.protocol.name())),
            ("reference", json!(b.name())),
            ("data", json!({"generated": data(a), "reference": data(b)})),
        ];
        (about, keys)
    }

    /// Prints what is scored, by what, and these scores.
    pub(super) fn say(&self, lines: Vec<Line>, as_json: bool) -> Result<(), Failure> {
        say_lines(self.about(), lines, as_json)
    }
}

/// Prints what is scored, and the scores.
pub(super) fn say_lines(about: Line, lines: Vec<Line>, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let keys = lines.into_iter().flat_map(|(_, keys)| keys).chain(about.1);
        let object: Map<String, Value> = keys.map(|(k, v)| (k.to_owned(), v)).collect();
        return say(&Value::Object(object).to_string());
    }
    say(&about.0)?;
    lines.iter().try_for_each(|(line, _)| say(line))
}
