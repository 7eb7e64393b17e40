//! The list of metrics, and what scores look like.

use std::sync::Arc;

use ganforge_data::{GAUSSIAN, GRID, MNIST, RING};
use ganforge_settings::Brought;
use serde_json::json;

use super::*;

fn kinds(names: &[&str]) -> Vec<MetricKind> {
    let mut all = MetricKind::all();
    all.retain(|m| names.contains(&m.name()));
    all
}

fn scores(of: &[(&str, &[f64])]) -> Scores {
    let score = |(name, values): &(&str, &[f64])| {
        let kind = kinds(&[name]).remove(0);
        Score::new(kind, Numbers::of(*values)).expect("as many as columns")
    };
    Scores(of.iter().map(score).collect())
}

const PARZEN: (&str, &[f64]) = (
    "parzen",
    &[134.25, 2.0625, 0.21544346900318834, 1e4, 1e3, 1e4],
);
const MODES: (&str, &[f64]) = ("modes", &[7.0, 8.0, 0.875, 1e4]);
const DENSITY: (&str, &[f64]) = ("density", &[0.125, -1.136294, 0.0625, 1e4]);

#[test]
fn one_metric_follows_from_the_data_set() {
    for (set, name) in [
        (DataSet::Published(&MNIST), "parzen"),
        (DataSet::File("a.npz".into()), "parzen"),
        (DataSet::Toy(&RING), "modes"),
        (DataSet::Toy(&GRID), "modes"),
        (DataSet::Toy(&GAUSSIAN), "density"),
    ] {
        let names: Vec<String> = unasked(&set).iter().map(|m| m.name().to_owned()).collect();
        assert_eq!(names, [name], "{set:?}");
    }
}

#[test]
fn scores_have_their_columns_rows_and_json() {
    for (score, header, row, json) in [
        (
            PARZEN,
            "log_likelihood,stderr,sigma,n_samples,n_valid,n_test",
            "134.2500,2.0625,0.215443,10000,1000,10000",
            json!({"log_likelihood": 134.25, "stderr": 2.0625, "sigma": 0.21544346900318834,
                "n_samples": 10000, "n_valid": 1000, "n_test": 10000}),
        ),
        (
            MODES,
            "covered,modes,high_quality,n_samples",
            "7,8,0.8750,10000",
            json!({"covered": 7, "modes": 8, "high_quality": 0.875, "n_samples": 10000}),
        ),
        (
            DENSITY,
            "jsd,cost,d_error,n_samples",
            "0.125000,-1.136294,0.062500,10000",
            json!({"jsd": 0.125, "cost": -1.136294, "d_error": 0.0625, "n_samples": 10000}),
        ),
    ] {
        let (metrics, scores) = (kinds(&[score.0]), scores(&[score]));
        assert_eq!(
            (Scores::header(&metrics).as_str(), scores.row().as_str()),
            (header, row)
        );
        assert_eq!(json!(scores), json);
        assert_eq!(Scores::read(&metrics, &json), Some(scores));
        assert_eq!(Scores::read(&metrics, &json!({"covered": 8})), None);
    }
}

#[test]
fn columns_are_prefixed_where_two_metrics_have_one_of_that_name() {
    let both = scores(&[PARZEN, MODES]);
    let metrics = kinds(&["parzen", "modes"]);
    assert_eq!(
        Scores::header(&metrics),
        "log_likelihood,stderr,sigma,parzen_n_samples,n_valid,n_test,covered,modes,high_quality,modes_n_samples"
    );
    assert_eq!(Scores::read(&metrics, &json!(both)), Some(both.clone()));
    let names: Vec<String> = both.judgements().into_iter().map(|v| v.name).collect();
    assert_eq!(names, ["log_likelihood", "covered", "high_quality"]);
    assert_eq!(
        both.to_string(),
        "Parzen log-likelihood 134.2 ± 2.1 nats (sigma 0.2154, 10000 samples, 1000 validation and 10000 test images); \
         7 of 8 modes covered, 87.5 % of 10000 samples of high quality (within 3 sd)"
    );
}

#[test]
fn columns_of_all_metrics_have_names_of_their_own() {
    let all = MetricKind::all();
    let mut names: Vec<String> = Scores::columns(&all).into_iter().map(|(n, _)| n).collect();
    let columns = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), columns);
    assert!(described().starts_with("- parzen: Mean log-likelihood"));
}

/// Mean of the samples and D at 0.5, from 3 samples.
#[derive(Debug)]
struct Own;

impl Metric for Own {
    fn fits(&self, _: &DataSet) -> Result<Fit, String> {
        Ok(Fit::Asked)
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("mean", "mean of the samples", Better::Lower, [2, 3]),
            Column::about("half", "D(0.5)", 2),
        ]
    }

    fn needs(&self, _: &DataSet, _: usize) -> Needs {
        Needs {
            samples: 3,
            points: vec![0.5],
            ..Needs::default()
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let sum: f32 = inputs.samples.iter().sum();
        Ok(Numbers::of([
            f64::from(sum) / inputs.samples.len() as f64,
            inputs.d[0],
        ]))
    }
}

#[test]
fn a_task_gives_each_metric_what_it_needs() {
    let own = MetricKind::Own(Brought {
        name: "own".into(),
        settings: String::new(),
        value: Arc::new(Own),
    });
    let (set, data) = (DataSet::Toy(&GAUSSIAN), GAUSSIAN.draw(1));
    let metrics = [unasked(&set), vec![own]].concat();
    let task = Task::new(&metrics, &set, 200);
    assert_eq!((task.samples(), task.points().len()), (200, 81));
    let mut samples = vec![4.0; 200];
    samples[..3].copy_from_slice(&[1.0, 2.0, 6.0]);
    let d: Vec<f64> = (0..81).map(f64::from).collect();
    let scores = task
        .score(&Device::CPU, &data, &samples, &d, &[])
        .expect("scored");
    assert_eq!(scores.of("own"), Some(&Numbers::of([3.0, 80.0])));
    assert!(
        scores.to_string().ends_with("; mean of the samples 3.00"),
        "{scores}"
    );
    for (samples, d) in [(&samples[..199], &d[..]), (&samples, &d[..80])] {
        assert!(task.score(&Device::CPU, &data, samples, d, &[]).is_err());
    }
    assert!(Score::new(kinds(&["modes"]).remove(0), Numbers::of([1.0])).is_err());
}
