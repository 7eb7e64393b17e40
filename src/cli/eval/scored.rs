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

/// What the options say of how two sets are scored.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) protocol: Protocol,
    /// What was asked for, which must be there; else all that the rules and the sets have.
    pub(super) kinds: Option<&'a [Kind]>,
    /// Rows in each subset of KID, in the place of the protocol's.
    pub(super) kid_subset_size: Option<usize>,
}

/// Two sets and how to score them.
pub(super) struct Pair<'a> {
    pub(super) generated: &'a Source,
    pub(super) real: &'a Source,
    pub(super) asked: Asked<'a>,
}

/// A score as people read it, and its keys in JSON.
pub(super) type Line = (String, Vec<(&'static str, Value)>);

/// An error of sets as a failure.
pub(super) fn refused(error: SetError) -> Failure {
    gan::Error::from(metrics::Error::from(error)).into()
}

/// Refuses a score that the protocol does not have.
pub(super) fn check_has(protocol: Protocol, kind: Kind) -> Result<(), Failure> {
    match protocol.rules().has(kind) {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "--metrics {}: protocol {} has no such score",
            kind.name(),
            protocol.name()
        ))),
    }
}

/// Why there is no score of this kind.
fn not_scored(kind: Kind, error: &SetError) -> String {
    let advice = match (kind, error) {
        (Kind::Kid, SetError::Few { n, needed, .. }) if *needed > 2 => {
            format!(": --kid-subset-size {n} or less takes fewer")
        }
        _ => String::new(),
    };
    format!("not scored: {}: {error}{advice}", kind.name())
}

impl Asked<'_> {
    /// The protocol's rules, with subsets of the size that was asked for.
    ///
    /// errors: a score that was asked for and that the protocol does not have; a size of subsets where there are none
    pub(super) fn rules(&self) -> Result<Rules, Failure> {
        let has = |kind: &Kind| check_has(self.protocol, *kind);
        self.kinds.unwrap_or_default().iter().try_for_each(has)?;
        let mut rules = self.protocol.rules();
        let Some(asked) = self.kid_subset_size else {
            return Ok(rules);
        };
        let refuse = |what: &str| Err(Failure::input(format!("--kid-subset-size {asked}: {what}")));
        if self.kinds.is_some_and(|kinds| !kinds.contains(&Kind::Kid)) {
            return refuse("none of --metrics is kid");
        }
        match &mut rules.kid {
            _ if asked < 2 => return refuse("expected at least 2 rows"),
            Some(Draw::Subsets { size, shrink, .. }) => (*size, *shrink) = (asked, false),
            Some(Draw::Blocks { .. }) => {
                return refuse("this protocol's KID has blocks, no subsets");
            }
            None => return refuse(&format!("protocol {} has no KID", self.protocol.name())),
        }
        Ok(rules)
    }

    /// Refuses before anything is looked at what was asked for and cannot be scored of sets of these names and numbers of rows,
    /// and with features that were kept.
    pub(super) fn check_rows(
        &self,
        rules: &Rules,
        sets: &[(&str, usize)],
        kept: Option<&Source>,
    ) -> Result<(), Failure> {
        let of_size = self.kid_subset_size.map(|_| Kind::Kid);
        let mut asked = self
            .kinds
            .unwrap_or_default()
            .iter()
            .copied()
            .chain(of_size);
        let of_rows = |kind: &Kind| matches!(kind, Kind::Kid | Kind::Precision);
        if let Some(Err(error)) = kept.map(Source::features)
            && let Some(kind) = asked.clone().find(of_rows)
        {
            return Err(Failure::input(not_scored(kind, &error)));
        }
        let kept = kept.and_then(|kept| Some((kept.name(), kept.n()?)));
        let mut all = sets.iter().copied().chain(kept);
        if let Some(Draw::Subsets {
            size,
            shrink: false,
            ..
        }) = rules.kid
            && asked.any(|kind| kind == Kind::Kid)
            && let Some((name, n)) = all.find(|(_, n)| *n < size)
        {
            let error = SetError::Few {
                name: name.to_owned(),
                n,
                needed: size,
                score: "a subset of KID",
            };
            return Err(Failure::input(not_scored(Kind::Kid, &error)));
        }
        Ok(())
    }
}

impl Pair<'_> {
    /// The scores; says what there is none of, and why.
    pub(super) fn lines(&self, device: &Device) -> Result<Vec<Line>, Failure> {
        let rules = self.asked.rules()?;
        let asked = self.asked.kinds;
        let kinds = asked.unwrap_or(&Kind::ALL);
        if let Some((unknown, made)) = match (self.generated.made(), self.real.made()) {
            (Some(made), None) => Some((self.real, made)),
            (None, Some(made)) => Some((self.generated, made)),
            _ => None,
        } {
            tell(&format!(
                "warning: {}: does not say which network made it, nor by which rules: scores are right if it was {} by those \
                 of {}",
                unknown.name(),
                made.extractor,
                made.protocol.name()
            ));
        }
        let scores = rules
            .score(device, kinds, self.real, self.generated)
            .map_err(refused)?;
        for warning in &scores.warnings {
            tell(&format!("warning: {warning}"));
        }
        for (kind, error) in &scores.missing {
            let line = not_scored(*kind, error);
            match asked {
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

    /// "-inception by torch-fidelity": what stands behind the name of a score; the network where both sets say that it was it.
    fn label(&self) -> String {
        let extractor = match self.made() {
            Some(made) => format!("-{}", made.extractor),
            None => String::new(),
        };
        format!("{extractor} by {}", self.asked.protocol.name())
    }

    /// What made both, where both say it.
    fn made(&self) -> Option<&Made> {
        self.generated.made().filter(|_| self.real.made().is_some())
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
        let network = |source: &Source| match source.made() {
            Some(made) => format!(
                "{} (SHA-256 {:.12}...)",
                made.extractor, made.extractor_sha256
            ),
            None => "an unknown network".to_owned(),
        };
        let network = match self.made().is_some() || a.made() == b.made() {
            true => network(a),
            false => format!("{} and of {}", network(a), network(b)),
        };
        let about = format!(
            "{} against {}: {} features of {network}, protocol {}",
            a.name(),
            b.name(),
            a.d(),
            self.asked.protocol.name()
        );
        let images = |source: &Source| {
            let made = source.made()?;
            Some(json!({"name": made.data, "sha256": made.data_sha256}))
        };
        let data = b.made().map_or(b.name(), |made| &made.data);
        let keys = vec![
            ("n", json!(a.n())),
            ("n_reference", json!(b.n())),
            ("d", json!(a.d())),
            ("extractor", json!(a.made().map(|m| &m.extractor))),
            (
                "extractor_sha256",
                json!(a.made().map(|m| &m.extractor_sha256)),
            ),
            ("reference_extractor", json!(b.made().map(|m| &m.extractor))),
            ("protocol", json!(self.asked.protocol.name())),
            ("reference", json!(b.name())),
            ("data", json!(data)),
            (
                "sets",
                json!({"generated": images(a), "reference": images(b)}),
            ),
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
