//! The scores of two sets of features by the rules of a program.

use ganforge_tensor::Device;

use super::files::{Made, Source};
use super::inception_score::{self, InceptionScore};
use super::kid::{self, Kernel, Kid};
use super::prdc::{self, Ball, Prdc};
use super::protocol::Rules;
use super::{FewRows, SetError, frechet};

/// A score of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FID.
    Fid,
    /// KID.
    Kid,
    /// Inception score.
    Inception,
    /// Precision and recall, density and coverage.
    Precision,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Fid, Kind::Kid, Kind::Inception, Kind::Precision];

    /// That of the metric.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Fid => "fid",
            Kind::Kid => "kid",
            Kind::Inception => "is",
            Kind::Precision => "precision",
        }
    }
}

/// The scores of two sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// FID.
    pub fid: Option<f64>,
    /// KID.
    pub kid: Option<Kid>,
    /// Inception score of the generated set.
    pub inception: Option<InceptionScore>,
    /// Precision and recall, by the rules' neighbours and balls for them.
    pub precision: Option<Prdc>,
    /// Density and coverage, by theirs.
    pub density: Option<Prdc>,
    /// What there is no score of, and why: too few rows, too little memory, or no rows, or no logits.
    pub missing: Vec<(Kind, SetError)>,
    /// Sets of so few rows that their FID is too large.
    pub warnings: Vec<FewRows>,
}

impl Rules {
    /// Whether there is such a score by them.
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Fid => true,
            Kind::Kid => self.kid.is_some(),
            Kind::Inception => self.inception.is_some(),
            Kind::Precision => self.precision.is_some() || self.density.is_some(),
        }
    }

    /// The scores of these kinds that there are by these rules; KID and [`prdc`] take products of rows from `device`.
    ///
    /// errors: sets of different widths, networks or rules; what [`frechet::distance`], [`kid::score`], [`inception_score::score`]
    /// and [`prdc::scores`] refuse but what makes up [`Scores::missing`]
    pub fn score(
        &self,
        device: &Device,
        kinds: &[Kind],
        real: &Source,
        generated: &Source,
    ) -> Result<Scores, SetError> {
        if let (Some(a), Some(b)) = (generated.made(), real.made()) {
            Made::check_same((generated.name(), a), (real.name(), b))?;
        }
        let mut scores = Scores::default();
        for &kind in kinds.iter().filter(|kind| self.has(**kind)) {
            let done = match kind {
                Kind::Fid => self.fid(real, generated, &mut scores),
                Kind::Kid => self.kid(device, real, generated, &mut scores),
                Kind::Inception => self.inception(generated, &mut scores),
                Kind::Precision => self.precision(device, real, generated, &mut scores),
            };
            match done {
                Ok(()) => {}
                Err(error) if is_missing(&error) => scores.missing.push((kind, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(scores)
    }

    fn fid(&self, real: &Source, generated: &Source, scores: &mut Scores) -> Result<(), SetError> {
        let [a, b] = [generated.statistics()?, real.statistics()?];
        for warning in [&a, &b].into_iter().filter_map(|s| s.warning()) {
            // Once of a set that is compared with itself.
            if !scores.warnings.contains(&warning) {
                scores.warnings.push(warning);
            }
        }
        scores.fid = Some(frechet::distance(&b, &a)?);
        Ok(())
    }

    fn kid(
        &self,
        device: &Device,
        real: &Source,
        generated: &Source,
        scores: &mut Scores,
    ) -> Result<(), SetError> {
        if let Some(draw) = self.kid {
            let [real, generated] = [real.features()?, generated.features()?];
            scores.kid = Some(kid::score_at(
                device,
                real,
                generated,
                draw,
                Kernel::default(),
            )?);
        }
        Ok(())
    }

    fn inception(&self, generated: &Source, scores: &mut Scores) -> Result<(), SetError> {
        if let Some((splits, shuffle)) = self.inception {
            let logits = generated.logits()?.ok_or_else(|| SetError::Unclassed {
                name: generated.name().to_owned(),
            })?;
            scores.inception = Some(inception_score::score(logits, splits, shuffle)?);
        }
        Ok(())
    }

    fn precision(
        &self,
        device: &Device,
        real: &Source,
        generated: &Source,
        scores: &mut Scores,
    ) -> Result<(), SetError> {
        let [b, a] = [real.features()?, generated.features()?];
        let wanted = [self.precision, self.density].into_iter().flatten();
        let (enough, few): (Vec<(usize, Ball)>, Vec<_>) =
            wanted.partition(|(k, _)| a.n().min(b.n()) > *k);
        if let Some((k, _)) = few.into_iter().min_by_key(|(k, _)| *k) {
            let set = if a.n() < b.n() { a } else { b };
            let error = SetError::few(set.name(), set.n(), k + 1, "k neighbours of each");
            scores.missing.push((Kind::Precision, error));
        }
        if enough.is_empty() {
            return Ok(());
        }
        let found = prdc::scores_at(device, b, a, &enough)?;
        let of = |rule| {
            let at = enough.iter().position(|balls| Some(*balls) == rule)?;
            found.get(at).copied()
        };
        (scores.precision, scores.density) = (of(self.precision), of(self.density));
        Ok(())
    }
}

/// Whether only this score is impossible.
fn is_missing(error: &SetError) -> bool {
    matches!(
        error,
        SetError::Memory { .. } | SetError::Alone { .. } | SetError::Unclassed { .. }
    ) || matches!(error, SetError::Few { needed, .. } if *needed > 2)
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Protocol;
    use super::super::tests::normal;
    use super::*;

    fn source(name: &str, values: &[f64]) -> Source {
        let logits = Some((values.to_vec(), 2));
        Source::of_rows(name, (values.to_vec(), 2), logits).expect("finite")
    }

    #[test]
    fn protocols_have_their_scores() {
        let values = normal("protocol", 3000);
        let (real, fake) = (
            source("real", &values[..2000]),
            source("fake", &values[900..]),
        );
        let has = |protocol: Protocol| {
            let scores = protocol
                .rules()
                .score(&Device::CPU, &Kind::ALL, &real, &fake);
            let scores = scores.expect("scored");
            assert!(
                scores.fid.is_some() && scores.missing.is_empty(),
                "{scores:?}"
            );
            [
                scores.kid.is_some(),
                scores.precision.is_some(),
                scores.density.is_some(),
                scores.inception.is_some(),
            ]
        };
        assert_eq!(has(Protocol::TorchFidelity), [true; 4]);
        assert_eq!(has(Protocol::PytorchFid), [false; 4]);
        assert_eq!(has(Protocol::CleanFid), [true, false, false, false]);
        assert_eq!(has(Protocol::CompareGan), [true, false, false, true]);
        let few = source("few", &values[..200]);
        let of = |protocol: Protocol| {
            protocol
                .rules()
                .score(&Device::CPU, &Kind::ALL, &real, &few)
        };
        let scores = of(Protocol::TorchFidelity).expect("scored");
        assert_eq!((scores.kid.is_none(), scores.missing.len()), (true, 1));
        let (kind, error) = &scores.missing[0];
        assert_eq!(*kind, Kind::Kid);
        assert!(error.to_string().contains("at least 1000"), "{error}");
        let smaller = of(Protocol::CleanFid).expect("scored");
        assert!(smaller.kid.is_some(), "smaller subsets");
    }

    #[test]
    fn what_a_set_does_not_have_is_left_out_and_said() {
        let values = normal("left out", 600);
        let real = source("real", &values);
        let statistics = real.statistics().expect("finite");
        let rules = Protocol::TorchFidelity.rules();
        let alone = Source::of_statistics(statistics);
        let scores = rules
            .score(&Device::CPU, &Kind::ALL, &alone, &real)
            .expect("scored");
        let kinds: Vec<Kind> = scores.missing.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Kind::Kid, Kind::Precision]);
        assert!(scores.fid.expect("FID").abs() < 1e-12 && scores.inception.is_some());
        let two = source("two", &values[..4]);
        let itself = rules.score(&Device::CPU, &[Kind::Fid], &two, &two);
        let itself = itself.expect("scored");
        assert_eq!(itself.warnings.len(), 1, "{itself:?}");
        assert!(itself.fid.is_some_and(|fid| fid.is_sign_positive()));
        let four = source("four", &values[..8]);
        let scores = rules
            .score(&Device::CPU, &[Kind::Precision], &real, &four)
            .expect("scored");
        assert!(scores.precision.is_some() && scores.density.is_none());
        assert!(
            scores.missing[0]
                .1
                .to_string()
                .starts_with("four: 4 rows, expected at least 6"),
            "{scores:?}"
        );
        let made = |extractor: &str, protocol| Made {
            extractor: extractor.into(),
            extractor_sha256: format!("{extractor}0123456789ab"),
            protocol,
            data: "a".into(),
            data_sha256: "b".into(),
        };
        let first = real.clone().with_made(made("one", Protocol::TorchFidelity));
        for (other, message) in [
            (made("two", Protocol::TorchFidelity), "by two (SHA-256 two"),
            (made("one", Protocol::CleanFid), "the rules of clean-fid"),
        ] {
            let second = real.clone().with_made(other);
            let error = rules
                .score(&Device::CPU, &[Kind::Fid], &first, &second)
                .expect_err("refused");
            assert!(error.to_string().contains(message), "{error}");
        }
        rules
            .score(&Device::CPU, &[Kind::Fid], &first, &real)
            .expect("unknown");
    }
}
