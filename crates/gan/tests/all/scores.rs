//! The numbers that a run writes, against what they are made of.

use ganforge_gan::config::Config;
use ganforge_gan::data::{GAUSSIAN, bundled_sample};
use ganforge_gan::extractors::Loaded;
use ganforge_gan::init;
use ganforge_gan::metrics::parzen::ParzenScore;
use ganforge_gan::run::Run;
use ganforge_gan::sampler::Sampler;
use ganforge_gan::train::{Observer, Progress, score_store, train};
use ganforge_gan::trainer::{StepReport, Trainer};
use ganforge_tensor::Device;

/// Mean over the points of log (1/n) Σ exp(-‖x - s‖² / 2σ²) - d log(σ √(2π)), in f64 throughout.
fn log_likelihood(samples: &[f32], points: &[f32], d: usize, sigma: f64) -> f64 {
    let of = |x: &[f32]| {
        let exponents: Vec<f64> = samples
            .chunks(d)
            .map(|s| {
                let square = |(x, s): (&f32, &f32)| (f64::from(*x) - f64::from(*s)).powi(2);
                -x.iter().zip(s).map(square).sum::<f64>() / (2.0 * sigma * sigma)
            })
            .collect();
        let largest = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = exponents.iter().map(|e| (e - largest).exp()).sum();
        largest + (sum / exponents.len() as f64).ln()
    };
    let norm = d as f64 * (sigma * std::f64::consts::TAU.sqrt()).ln();
    let all: Vec<f64> = points.chunks(d).map(of).collect();
    all.iter().sum::<f64>() / all.len() as f64 - norm
}

#[test]
fn a_score_is_of_the_test_images_with_the_width_of_the_first_validation_images() {
    let data = bundled_sample().unwrap();
    let options = ["eval.samples=60", "eval.valid=5"];
    let config = Config::preset("tiny").and_then(|c| c.with(&options));
    let config = config.unwrap();
    let mut store = init::store(&config, 784, &data.train.pixel_means()).unwrap();
    let mut sampler = Sampler::new(&config).unwrap();
    let found = score_store(
        &mut sampler,
        &config,
        &mut store,
        &data,
        &Loaded::at(&Device::CPU),
    )
    .unwrap();
    let found = ParzenScore::from(found.of("parzen").expect("images have a Parzen score"));
    let n_test = data.test.n();
    assert_eq!(
        (found.n_samples, found.n_valid, found.n_test),
        (60, 5, n_test)
    );
    let samples = sampler.draw(&mut store, config.seed, 60).unwrap();
    let valid = data.valid.to_f32(0..5).unwrap();
    let test = data.test.to_f32(0..n_test).unwrap();
    let widths = (0..10).map(|i| 10f64.powf(f64::from(i) / 9.0 - 1.0));
    let on_valid = |sigma: &f64| log_likelihood(&samples, &valid, 784, *sigma);
    let best = widths.max_by(|a, b| on_valid(a).total_cmp(&on_valid(b)));
    assert!((found.sigma - best.unwrap()).abs() < 1e-12, "{found:?}");
    let expected = log_likelihood(&samples, &test, 784, found.sigma);
    assert!(
        (found.log_likelihood - expected).abs() < 0.01,
        "{found:?}, by hand {expected}"
    );
}

struct Silent;

impl Observer for Silent {
    fn step(&mut self, _: &Progress) {}
    fn message(&mut self, _: &str) {}
    fn should_stop(&self) -> bool {
        false
    }
}

#[test]
fn a_row_of_metrics_has_the_means_of_the_steps_since_the_row_before() {
    let options = [
        "train.epochs=1",
        "train.batch=1024",
        "output.log_every=3",
        "eval.samples=500",
    ];
    let config = Config::preset("fig1").and_then(|c| c.with(&options));
    let config = config.unwrap();
    let data = GAUSSIAN.draw(config.seed);
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::create(&folder.path().join("r"), &config, "{}").unwrap();
    let mut trainer = Trainer::new(&config, &data.train).unwrap();
    train(&mut trainer, &data, &mut run, &mut Silent).unwrap();
    let csv = std::fs::read_to_string(folder.path().join("r/metrics.csv")).unwrap();
    let mut alone = Trainer::new(&config, &data.train).unwrap();
    let reports: Vec<StepReport> = (0..10).map(|_| alone.step().unwrap()).collect();
    let mut lines = csv.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<f64>> = lines
        .map(|line| {
            line.split(',')
                .map(|x| x.parse().unwrap_or(f64::NAN))
                .collect()
        })
        .collect();
    let steps = [0..3, 3..6, 6..9, 9..10];
    let of = |name: &str| columns.iter().position(|c| *c == name).unwrap();
    let ends: Vec<f64> = rows.iter().map(|row| row[of("step")]).collect();
    assert_eq!(ends, [3.0, 6.0, 9.0, 10.0]);
    for (row, steps) in rows.iter().zip(steps) {
        for name in ["loss_d", "loss_g", "d_real", "d_fake"] {
            let n = steps.len() as f64;
            let reports = reports[steps.clone()].iter();
            let mean = reports.map(|r| r.get(name).unwrap()).sum::<f64>() / n;
            let found = row[of(name)];
            assert!(
                (found - mean).abs() < 1e-5 * mean.abs(),
                "{name}: {found}, by hand {mean}"
            );
        }
    }
}

#[test]
fn a_run_has_the_columns_of_all_its_metrics() {
    let options = [
        "train.epochs=1",
        "train.batch=1024",
        "eval.samples=300",
        "eval.metrics=['density', 'modes', { kind = 'parzen', valid = 20 }]",
    ];
    let config = Config::preset("fig1").and_then(|c| c.with(&options));
    let config = config.unwrap();
    let data = GAUSSIAN.draw(config.seed);
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::create(&folder.path().join("r"), &config, "{}").unwrap();
    let mut trainer = Trainer::new(&config, &data.train).unwrap();
    train(&mut trainer, &data, &mut run, &mut Silent).unwrap();
    let csv = std::fs::read_to_string(folder.path().join("r/scores.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some(
            "step,epoch,jsd,cost,d_error,density_n_samples,covered,modes,high_quality,modes_n_samples,\
             log_likelihood,stderr,sigma,parzen_n_samples,n_valid,n_test"
        )
    );
    // Each as it is by itself.
    let (mut store, mut sampler) = (trainer.store().clone(), Sampler::new(&config).unwrap());
    let mut alone = |metric: &str| {
        let config = config.with(&[format!("eval.metrics=[{metric}]")]).unwrap();
        score_store(
            &mut sampler,
            &config,
            &mut store,
            &data,
            &Loaded::at(&Device::CPU),
        )
        .unwrap()
        .row()
    };
    let rows = ["'density'", "'modes'", "{ kind = 'parzen', valid = 20 }"].map(&mut alone);
    assert_eq!(
        lines.next(),
        Some(format!("10,1,{}", rows.join(",")).as_str())
    );
}
