//! The time of a training step, and its share of the machine's peak.

use std::time::Instant;

use ganforge_kernels::cpu::gemm::measured_peak_gflops;
use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::Device;
use ganforge_tensor::exec::Span;

use crate::baseline::Baseline;
use crate::layers::{LayerTime, layers};
use crate::origin::Origin;
use ganforge_gan::config::{Config, Update};
use ganforge_gan::data::Images;
use ganforge_gan::error::{Result, room_for};
use ganforge_gan::penalties::Due;
use ganforge_gan::trainer::Trainer;

/// Steps before the first one that counts.
const WARM_UP: usize = 10;

/// The most steps whose kernel calls are told apart.
const KEPT: usize = 1000;

/// Rounds of the same work that differ by more than this are worth a warning.
pub(crate) const LARGE_SPREAD: f64 = 0.2;
/// Steps of which the slowest takes this many times as long as the fastest say nothing about the program.
const UNUSABLE: f64 = 3.0;

/// The time of a training step.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct StepBench {
    /// What was timed: "training step of mnist, alternating updates, batch 100".
    pub what: String,
    /// Program and machine.
    pub origin: Origin,
    /// False where the steps' times differ so much that none of the figures can be trusted.
    pub is_usable: bool,
    /// What casts doubt on the figures, a sentence each.
    pub warnings: Vec<String>,
    /// Median milliseconds per step; where D has penalties that are not in every step, of steps without those, as the other
    /// figures are.
    pub median_ms: f64,
    /// The fastest step.
    pub min_ms: f64,
    /// The slowest step.
    pub max_ms: f64,
    /// 10^9 floating-point operations in a step, by the ops' own account.
    pub gflop_per_step: f64,
    /// The same without those that the kernels leave out as zeros (of a maxout layer's gradients).
    pub gflop_executed: f64,
    /// 10^9 floating-point operations per second at the median, by the ops' own account.
    pub gflops: f64,
    /// The machine's measured peak of fused multiply-adds on as many threads, the better of before and after; on a device
    /// none is measured.
    pub peak_gflops: Option<f64>,
    /// That peak before the steps and after them.
    pub peaks_gflops: Option<[f64; 2]>,
    /// `gflops` as a share of `peak_gflops`.
    pub share_of_peak: Option<f64>,
    /// What was executed as a share of `peak_gflops`.
    pub executed_share_of_peak: Option<f64>,
    /// The kernel launches of a step on a device.
    pub launches: Option<usize>,
    /// The most of them that must follow one another.
    pub longest_chain: Option<usize>,
    /// Where a step's time goes, by the layers of both networks and what is beside them; on a device nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerTime>,
    /// Where D has penalties that are not in every step, all kinds of steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<StepKind>,
    /// The mean of the medians of all kinds, each as often as it is; none where there is one kind.
    pub mean_ms: Option<f64>,
    /// Examples per minibatch.
    pub batch: usize,
    /// Timed steps.
    pub steps: usize,
    /// An earlier measurement to compare with.
    pub baseline: Option<Baseline>,
    /// The median as a multiple of the baseline's: below 1, this one is faster.
    pub baseline_ratio: Option<f64>,
}

/// Steps that have the same penalties.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct StepKind {
    /// Their penalties of D.
    pub penalties: Vec<String>,
    /// Their share of all steps.
    pub share: f64,
    /// Their median milliseconds.
    pub median_ms: f64,
}

/// What [`step`] times of a configuration, in words.
pub fn what(config: &Config) -> String {
    let (name, batch) = (&config.name, config.train.batch);
    let update = match config.train.update {
        Update::Simultaneous => "simultaneous updates".to_string(),
        Update::Single => "updates of one network".to_string(),
        Update::Alternating if config.train.k == 1 => "alternating updates".to_string(),
        Update::Alternating => format!("alternating updates with k = {}", config.train.k),
    };
    let lazy = config
        .discriminator
        .penalties
        .iter()
        .filter(|p| p.every > 1);
    let without: String = lazy
        .map(|p| format!(", without {}", p.kind.name()))
        .collect();
    format!("training step of {name}, {update}, batch {batch}{without}")
}

/// Times `steps` training steps of `config` on random images of width `data_dim`, on `device`: in the current thread pool, or
/// a GPU, where as many as the data allow run per host synchronisation and a time is the mean of those. The processor's peak
/// is measured before and after, and the better one counts. Where steps differ in D's penalties, those without lazy ones come
/// first, then as many of each other kind. `commit` is what the program was built from.
///
/// # Errors
/// Those of [`Trainer::at`].
pub fn step(
    commit: &str,
    device: &Device,
    config: &Config,
    data_dim: usize,
    steps: usize,
) -> Result<StepBench> {
    let penalties = &config.discriminator.penalties;
    let mut kinds = Vec::new();
    let mut usual = None;
    for due in Due::sets(penalties) {
        let only = config.always_with(due);
        let bench = step_of_a_kind(commit, device, &only, data_dim, steps)?;
        let names = only.discriminator.penalties.iter().map(|p| p.kind.name());
        kinds.push(StepKind {
            penalties: names.map(String::from).collect(),
            share: due.share(penalties),
            median_ms: bench.median_ms,
        });
        usual.get_or_insert(bench);
    }
    let mut bench = usual.expect("there is always a usual kind");
    bench.what = what(config);
    if kinds.len() > 1 {
        bench.mean_ms = Some(kinds.iter().map(|k| k.share * k.median_ms).sum());
        bench.kinds = kinds;
    }
    Ok(bench)
}

/// The same where all steps have the same penalties.
fn step_of_a_kind(
    commit: &str,
    device: &Device,
    config: &Config,
    data_dim: usize,
    steps: usize,
) -> Result<StepBench> {
    let origin = Origin::now(commit, device.name());
    let peak = || match device {
        Device::Cpu(_) => Some(measured_peak_gflops(origin.threads)),
        Device::Cuda(..) => None,
    };
    let peak_before = peak();
    let (steps_per_epoch, at_once) = match device {
        Device::Cpu(_) => (20, 1),
        Device::Cuda(..) => (500, steps.min(500)),
    };
    let what = what(config);
    let config = config.without_other_run();
    let images = random_images(&config, data_dim, steps_per_epoch)?;
    let mut trainer = Trainer::at(device, &config, &images)?;
    run(&mut trainer, WARM_UP)?;
    let (times, calls) = match device {
        Device::Cpu(_) => {
            let calls = trainer.plan().calls.len();
            let (times, calls) =
                timed(steps, calls, |spans| trainer.step_timed(spans).map(|_| ()))?;
            (times, Some(calls))
        }
        Device::Cuda(..) => (timed_at_once(&mut trainer, steps, at_once)?, None),
    };
    let peaks = peak_before.zip(peak()).map(|(a, b)| [a, b]);
    let (plan, algorithm) = (trainer.plan(), device.algorithm());
    let gflop = [plan.cost().flops, plan.executed_flops(algorithm)].map(|n| n as f64 / 1e9);
    let (launches, batch) = (trainer.launches(), config.train.batch);
    let mut bench = StepBench::of(what, batch, origin, times, gflop, peaks);
    (bench.launches, bench.longest_chain) = (launches.map(|l| l.0), launches.map(|l| l.1));
    if let Some((calls, peak)) = calls.zip(bench.peak_gflops) {
        bench.layers = layers(plan, &calls.ms, calls.step_ms, algorithm, peak);
        bench.warnings.extend(impossible(&bench.layers));
    }
    Ok(bench)
}

/// The times of the steps in milliseconds, `at_once` of them behind each other.
fn timed_at_once(trainer: &mut Trainer, steps: usize, at_once: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(steps);
    while times.len() < steps {
        let n = at_once.min(steps - times.len());
        let start = Instant::now();
        run(trainer, n)?;
        let ms = start.elapsed().as_secs_f64() * 1e3 / n as f64;
        times.extend((0..n).map(|_| ms));
    }
    Ok(times)
}

/// The times of the steps in milliseconds, and of each of their kernel calls on average over the third of them that is nearest to
/// the median.
pub(crate) fn timed(
    steps: usize,
    calls: usize,
    mut step: impl FnMut(&mut [Span]) -> Result<()>,
) -> Result<(Vec<f64>, Calls)> {
    let (mut times, mut all) = (Vec::with_capacity(steps), Vec::new());
    for _ in 0..steps {
        let mut spans = vec![Span::default(); calls];
        let start = Instant::now();
        step(&mut spans)?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        times.push(ms);
        if all.len() < KEPT {
            all.push((ms, spans));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let few = all.len().div_ceil(3);
    let middle = &all[all.len() / 2 - few / 2..][..few];
    let count = middle.len() as f64;
    let ms = |i: usize| {
        let lengths = middle.iter().map(|(_, spans)| spans[i].length);
        lengths.map(|l| l.as_secs_f64() * 1e3).sum::<f64>() / count
    };
    let step_ms = middle.iter().map(|(ms, _)| ms).sum::<f64>() / count;
    Ok((
        times,
        Calls {
            ms: (0..calls).map(ms).collect(),
            step_ms,
        },
    ))
}

/// Milliseconds of each kernel call of a step, and of all of it.
pub(crate) struct Calls {
    pub(crate) ms: Vec<f64>,
    pub(crate) step_ms: f64,
}

impl StepBench {
    /// What follows from the steps' milliseconds, at least one, of GFLOP as the ops cost and as executed, and of the peak
    /// before and after.
    pub(crate) fn of(
        what: String,
        batch: usize,
        origin: Origin,
        mut times: Vec<f64>,
        [gflop_per_step, gflop_executed]: [f64; 2],
        peaks_gflops: Option<[f64; 2]>,
    ) -> StepBench {
        times.sort_by(f64::total_cmp);
        let (min_ms, max_ms) = (times[0], times[times.len() - 1]);
        let median_ms = times[times.len() / 2];
        let gflops = gflop_per_step / median_ms * 1e3;
        let peak_gflops = peaks_gflops.map(|[a, b]| a.max(b));
        let executed = gflop_executed / median_ms * 1e3;
        let executed_share_of_peak = peak_gflops.map(|peak| executed / peak);
        StepBench {
            what,
            origin,
            is_usable: max_ms / min_ms < UNUSABLE,
            warnings: doubts(max_ms / min_ms, peaks_gflops, executed_share_of_peak),
            median_ms,
            min_ms,
            max_ms,
            gflop_per_step,
            gflop_executed,
            gflops,
            peak_gflops,
            peaks_gflops,
            share_of_peak: peak_gflops.map(|peak| gflops / peak),
            executed_share_of_peak,
            launches: None,
            longest_chain: None,
            layers: Vec::new(),
            kinds: Vec::new(),
            mean_ms: None,
            batch,
            steps: times.len(),
            baseline: None,
            baseline_ratio: None,
        }
    }

    /// Compares with an earlier measurement.
    ///
    /// # Errors
    /// A baseline of something else.
    pub fn compare(&mut self, baseline: Baseline) -> Result<()> {
        let ratio = 1e3 * self.median_ms / baseline.us_of(&self.what)?;
        self.baseline_ratio = Some(ratio);
        self.warnings.extend(baseline.warnings(&self.origin));
        self.baseline = Some(baseline);
        Ok(())
    }
}

/// What casts doubt on a step's figures: how many times as long as the fastest the slowest one took, the peak before and
/// after, the share of it that was executed.
fn doubts(slowest: f64, peaks: Option<[f64; 2]>, share: Option<f64>) -> Vec<String> {
    let mut doubts = Vec::new();
    if slowest >= UNUSABLE {
        doubts.push(format!(
            "unusable: the slowest step took {slowest:.1} times as long as the fastest; this machine is busy with other work"
        ));
    }
    if let Some([before, after]) = peaks.filter(|[a, b]| spread(*a, *b) > LARGE_SPREAD) {
        doubts.push(format!(
            "the FMA peak was {before:.1} GFLOP/s before and {after:.1} after: other work keeps this machine busy"
        ));
    }
    if let Some(share) = share.filter(|share| *share > MORE_THAN_ALL) {
        doubts.push(format!(
            "{:.0} % of the peak is impossible: the peak was measured too low, on a busy machine",
            100.0 * share
        ));
    }
    doubts
}

/// The layer that takes more than there is of the peak, if one does.
fn impossible(layers: &[LayerTime]) -> Option<String> {
    let most = layers
        .iter()
        .max_by(|a, b| a.share_of_peak.total_cmp(&b.share_of_peak))?;
    (most.share_of_peak > MORE_THAN_ALL).then(|| {
        format!(
            "{}: {:.0} % of the peak is impossible: the peak was measured too low, on a busy machine",
            most.layer,
            100.0 * most.share_of_peak
        )
    })
}

/// A share above this is printed as more than 100 %.
pub(crate) const MORE_THAN_ALL: f64 = 1.005;

/// How far the larger of two is above the smaller, as a share of that.
pub(crate) fn spread(a: f64, b: f64) -> f64 {
    a.max(b) / a.min(b) - 1.0
}

/// Images of random pixels, enough for `steps` steps.
///
/// # Errors
/// More memory than there is.
pub(crate) fn random_images(config: &Config, data_dim: usize, steps: usize) -> Result<Images> {
    let rows = steps * config.examples_per_step();
    room_for(
        "images to time the steps with",
        2 * (rows as u64).saturating_mul(data_dim as u64),
    )?;
    let mut pixels = vec![0.0; rows * data_dim];
    let stream = RandomStream {
        key: config.seed,
        stream: 0,
        counter: 0,
    };
    rng::uniform(stream, 0, 0.0, 1.0, &mut pixels);
    let bytes: Vec<u8> = pixels.iter().map(|p| (p * 255.0) as u8).collect();
    let images = Images::from_bytes(data_dim, bytes);
    Ok(match config.classes() {
        None => images,
        Some(n) => images.with_labels(
            (0..rows)
                .map(|i| (i % n.min(256)) as u8)
                .collect::<Vec<_>>(),
        ),
    })
}

/// Runs `n` steps; at once, on a device.
fn run(trainer: &mut Trainer, n: usize) -> Result<()> {
    for i in 0..n {
        if trainer.unreported() == 0 {
            trainer.run_ahead(n - i);
        }
        trainer.step()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::made_up;

    /// A step of 2 GFLOP, half of them executed.
    fn bench(times: &[f64], peaks: [f64; 2]) -> StepBench {
        let what = "training step of tiny, alternating updates, batch 10";
        let times = times.to_vec();
        StepBench::of(what.into(), 10, made_up(), times, [2.0, 1.0], Some(peaks))
    }

    #[test]
    fn a_quiet_machine_gives_figures_without_warnings() {
        let b = bench(&[10.5, 10.0, 11.0], [200.0, 210.0]);
        assert_eq!((b.min_ms, b.median_ms, b.max_ms), (10.0, 10.5, 11.0));
        assert_eq!(b.peak_gflops, Some(210.0));
        assert!(b.is_usable && b.warnings.is_empty(), "{:?}", b.warnings);
    }

    #[test]
    fn steps_of_a_busy_machine_are_unusable() {
        let b = bench(&[10.0, 12.0, 30.0], [200.0, 200.0]);
        assert!(!b.is_usable);
        assert!(b.warnings[0].starts_with("unusable: the slowest step took 3.0 times"));
        assert!(bench(&[10.0, 12.0, 29.0], [200.0, 200.0]).is_usable);
    }

    #[test]
    fn a_peak_that_changes_or_is_exceeded_is_told() {
        let b = bench(&[10.0; 3], [100.0, 130.0]);
        assert_eq!(b.warnings.len(), 1, "{:?}", b.warnings);
        assert!(b.warnings[0].contains("was 100.0 GFLOP/s before and 130.0 after"));
        // 1 GFLOP in 10 ms are 100 GFLOP/s.
        let b = bench(&[10.0; 3], [80.0, 80.0]);
        assert_eq!(b.warnings.len(), 1, "{:?}", b.warnings);
        assert!(b.warnings[0].starts_with("125 % of the peak is impossible"));
    }

    /// The layers of a step of three, of which the second one counts.
    fn layers_of(name: &str, settings: &[&str]) -> StepBench {
        let config = Config::preset(name).and_then(|c| c.with(settings));
        let config = config.expect("valid");
        let bench = step("none", &Device::CPU, &config, config.output_dim(), 3).expect("timed");
        let sum = |of: fn(&LayerTime) -> f64| bench.layers.iter().map(of).sum::<f64>();
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
        assert!(
            near(sum(|l| l.gflop_executed), bench.gflop_executed),
            "{name}"
        );
        assert!(near(sum(|l| l.ms), bench.median_ms), "{name}");
        assert!(bench.layers.iter().all(|l| l.gradient_ms <= l.ms), "{name}");
        bench
    }

    #[test]
    fn the_layers_of_a_step_do_all_its_work_in_all_its_time() {
        let bench = layers_of("tiny", &[]);
        let names: Vec<&str> = bench.layers.iter().map(|l| l.layer.as_str()).collect();
        for name in [
            "G/h0",
            "G/out",
            "D/h0",
            "D/out",
            "loss",
            "update",
            "minibatch",
        ] {
            assert!(names.contains(&name), "{names:?}");
        }
        const NARROW: [&str; 10] = [
            "train.batch=2",
            "generator.layer.h0.units=256",
            "generator.layer.image.shape=[4, 4, 16]",
            "generator.layer.b0.channels=16",
            "generator.layer.b1.channels=16",
            "generator.layer.b2.channels=16",
            "discriminator.layer.b0.channels=16",
            "discriminator.layer.b1.channels=16",
            "discriminator.layer.b2.channels=16",
            "discriminator.layer.b3.channels=16",
        ];
        let penalty = r#"discriminator.penalty=[{kind="gp"}]"#;
        let others: [(&str, &[&str]); 5] = [
            ("dcgan28", &["train.batch=4"]),
            ("dcgan28", &["train.batch=4", "train.joined=true"]),
            (
                "dcgan28",
                &[
                    "train.batch=4",
                    r#"discriminator.layer.h1.norm="none""#,
                    penalty,
                ],
            ),
            ("sndcgan32", &["train.batch=2"]),
            ("resnet32", &NARROW),
        ];
        for (name, settings) in others {
            let bench = layers_of(name, settings);
            let of_nets = bench
                .layers
                .iter()
                .filter(|l| l.layer.starts_with(['D', 'G']));
            let [all, gradients] = of_nets.clone().fold([0.0, 0.0], |[all, gradients], l| {
                [all + l.ms, gradients + l.gradient_ms]
            });
            assert!(
                of_nets.count() > 5 && 0.0 < gradients && gradients < all,
                "{name}"
            );
        }
    }

    #[test]
    fn steps_with_a_lazy_penalty_are_timed_beside_those_without() {
        let options = [
            "train.batch=4",
            r#"discriminator.penalty=[{kind="r1", every=4}, "l2"]"#,
        ];
        let config = Config::preset("tiny").and_then(|c| c.with(&options));
        let config = config.expect("valid");
        let bench = step("none", &Device::CPU, &config, 784, 3).expect("timed");
        assert!(
            bench.what.ends_with("batch 4, without r1"),
            "{}",
            bench.what
        );
        let [usual, lazy] = &bench.kinds[..] else {
            panic!("{:?}", bench.kinds)
        };
        assert_eq!((usual.share, lazy.share), (0.75, 0.25));
        assert_eq!(
            (&usual.penalties[..], &lazy.penalties[..]),
            (
                &["l2".to_owned()][..],
                &["r1".to_owned(), "l2".to_owned()][..]
            )
        );
        assert_eq!(usual.median_ms, bench.median_ms);
        let mean = 0.75 * usual.median_ms + 0.25 * lazy.median_ms;
        assert!((bench.mean_ms.expect("two kinds") / mean - 1.0).abs() < 1e-12);
        let plain = config.with(&["discriminator.penalty.r1.every=1"]);
        let bench = step("none", &Device::CPU, &plain.expect("valid"), 784, 3).expect("timed");
        assert!(bench.kinds.is_empty() && bench.mean_ms.is_none());
    }

    #[test]
    fn a_layer_above_the_peak_is_told() {
        let layer = |layer: &str, share_of_peak| LayerTime {
            layer: layer.into(),
            ms: 1.0,
            gradient_ms: 0.0,
            gflop_executed: share_of_peak * 0.1,
            gflops: 100.0 * share_of_peak,
            share_of_peak,
        };
        let told = impossible(&[layer("D/h0", 1.3), layer("D/h1", 1.1), layer("loss", 0.1)]);
        let start = "D/h0: 130 % of the peak is impossible";
        assert!(told.expect("told").starts_with(start));
        assert_eq!(impossible(&[layer("D/h0", 1.0)]), None);
    }

    #[test]
    fn a_step_is_compared_with_an_earlier_one_of_the_same_work_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("base.json");
        let mut earlier = bench(&[20.0; 3], [200.0, 200.0]);
        std::fs::write(&path, serde_json::json!(earlier).to_string()).expect("written");
        let mut b = bench(&[10.0; 3], [200.0, 200.0]);
        b.compare(Baseline::read(&path).expect("a baseline"))
            .expect("the same work");
        assert_eq!((b.baseline_ratio, b.warnings.len()), (Some(0.5), 0));

        earlier.what = "training step of tiny, alternating updates, batch 20".into();
        std::fs::write(&path, serde_json::json!(earlier).to_string()).expect("written");
        let refused = b.compare(Baseline::read(&path).expect("a baseline"));
        let message = refused.expect_err("other work").to_string();
        assert!(
            message.contains("batch 10") && message.contains("batch 20"),
            "{message}"
        );
    }
}
