//! Training and sampling on a device: the interpreter of PTX and, where there is one, a GPU.

use std::sync::Arc;

use ganforge_gan::config::Config;
use ganforge_gan::data::{Contrast, Dataset, ImageSize, Images};
use ganforge_gan::game;
use ganforge_gan::init;
use ganforge_gan::metrics::parzen;
use ganforge_gan::metrics::sets::Features;
use ganforge_gan::metrics::sets::kid::{self, Draw, Kernel};
use ganforge_gan::metrics::sets::prdc::{self, Ball};
use ganforge_gan::sampler::{Decoder, Sampler};
use ganforge_gan::trainer::{StepReport, Trainer};
use ganforge_kernels::cuda::{self, Precision};
use ganforge_ptxvm::Interpreter;
use ganforge_tensor::exec::cuda::{CapturedLoop, Examples, Source};
use ganforge_tensor::{Cuda, Device, Graph, Keep, Store};

const PIXELS: usize = 24;
/// An epoch has six steps of ten.
const IMAGES: usize = 65;

/// What training consists of, in small.
const SMALL: [&str; 7] = [
    "data.set=images.npz",
    "generator.layer.out.units=24",
    "train.batch=10",
    "noise.dim=4",
    "generator.layer.h0.units=6",
    "discriminator.layer.h0.units=5",
    "discriminator.layer.h0.pieces=3",
];

const MODES: [&[&str]; 7] = [
    &["train.update=simultaneous"],
    &["train.update=alternating"],
    &["train.update=alternating", "train.k=3"],
    // Another plan from the second epoch on.
    &["discriminator.layer.h0.dropout_epochs=1"],
    &["optimizer.kind=adam", "optimizer.lr=0.01"],
    &["train.average=0.9", "generator.layer.h0.max_col_norm=0.1"],
    &[
        "discriminator.penalty=[{kind=\"gp\", weight=0.1, every=4}, {kind=\"l2\", every=6}]",
        "train.update=alternating",
    ],
];

fn config(mode: &[&str]) -> Config {
    let preset = Config::preset("tiny").and_then(|c| c.with(&SMALL));
    preset.and_then(|c| c.with(mode)).expect("valid")
}

fn images() -> Images {
    let bytes = (0..IMAGES * PIXELS).map(|i| (i * 7919 % 256) as u8);
    Images::from_bytes(PIXELS, bytes.collect::<Vec<u8>>())
}

fn of_contrast(images: Images, contrast: Contrast) -> Images {
    let (height, width, channels) = (1, images.d(), 1);
    let size = ImageSize {
        height,
        width,
        channels,
    };
    let values = vec![0.5; 10 * width];
    let mut data = Dataset::of_values("own/data", size, &values).expect("examples");
    data.train = images;
    data.with_contrast(contrast).train
}

fn devices() -> Vec<Device> {
    let mut devices = vec![cuda::Device::new(Interpreter::default())];
    match ganforge_kernels::cuda::open(0) {
        Ok(device) => devices.push(device),
        Err(error) => testkit::skip("gpu", error),
    }
    let device = |d| Device::Cuda(d, Precision::F32);
    devices.into_iter().map(device).collect()
}

/// `n` steps, of which up to `ahead` run at once; 0: each by itself. What was reported, and the state at the end.
fn train(device: &Device, mode: &[&str], n: usize, ahead: usize) -> (Vec<StepReport>, Store) {
    let mut trainer = Trainer::at(device, &config(mode), &images()).expect("a trainer");
    let mut reports = Vec::new();
    while reports.len() < n {
        if trainer.unreported() == 0 && ahead > 0 {
            trainer.run_ahead(ahead.min(n - reports.len()));
        }
        reports.push(trainer.step().expect("a step"));
    }
    trainer.settle().expect("all steps are reported");
    (reports, trainer.store().clone())
}

#[test]
fn a_step_of_the_paper_is_one_graph_of_few_launches() {
    let device = cuda::Device::new(Interpreter::default());
    let images = [Source::bytes("x", &[784], &[0; 100 * 784])];
    let examples = Arc::new(Examples::new(&device, &images).expect("fits"));
    let mut counts = Vec::new();
    for (preset, update) in [
        ("mnist-2014", "simultaneous"),
        ("mnist-2014", "alternating"),
        ("keras-tutorial", "alternating"),
    ] {
        let update = format!("train.update={update}");
        let config = Config::preset(preset).and_then(|c| c.with(&[&update]));
        let g = Graph::new();
        let step = game::record(&g, &config.expect("valid"), 784).expect("recorded");
        let plan = step.plan(Keep::Fetched).expect("compiled");
        let mut cuda = Cuda::new(&device, Precision::F32).expect("f32 is always there");
        let steps = CapturedLoop::new(&mut cuda, &plan, &examples, 1).expect("captured");
        counts.push(steps.launches());
    }
    let expected = [(61, 20), (74, 37), (61, 31)];
    assert_eq!(counts, expected, "launches, longest chain");
}

/// The largest difference of two stores' tensors.
fn distance(a: &Store, b: &Store) -> f32 {
    let pairs = a
        .iter()
        .map(|e| (e, b.get(&e.name).expect("the same tensors")));
    let values = pairs.flat_map(|(a, b)| a.data.iter().zip(&b.data));
    values.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn steps_on_a_device_are_those_on_the_cpu() {
    // Sums are taken in another order: at most 1e-7 of a value in each step, and the tensors' values are below 1. The
    // interpreter takes its time.
    for (i, device) in devices().iter().enumerate() {
        let (n, bound) = if i == 0 { (12, 2e-6) } else { (100, 1e-4) };
        for mode in MODES {
            let (on_cpu, cpu) = train(&Device::CPU, mode, n, 0);
            let (there, device) = train(device, mode, n, 9);
            let error = distance(&cpu, &device);
            println!("{mode:?}: tensors differ by {error:e} after {n} steps");
            assert!(error <= bound, "{mode:?}: tensors differ by {error}");
            for (a, b) in on_cpu.iter().zip(&there) {
                assert!(a.rates().eq(b.rates()));
                let pairs = a.monitors().zip(b.monitors());
                let differences: Vec<f32> = pairs.map(|(a, b)| a.1 - b.1).collect();
                let worst = differences.iter().fold(0f32, |w, d| w.max(d.abs()));
                assert!(worst <= bound, "{mode:?}: losses differ by {worst}");
            }
            assert!(on_cpu[0] != on_cpu[n - 1], "{mode:?}: nothing was trained");
        }
    }
}

/// DCGAN's nets with few channels: images of 28 x 28 in bytes, pixels from -1 to 1, batch norm.
#[test]
fn convolutional_nets_learn_on_a_device_as_on_the_cpu() {
    let small = [
        "generator.layer.h0.shape=[7,7,8]",
        "generator.layer.h1.channels=4",
        "discriminator.layer.h0.channels=4",
        "discriminator.layer.h1.channels=20",
        "noise.dim=4",
        "train.batch=4",
        "optimizer.kind=sgd",
        "optimizer.lr=0.01",
    ];
    let config = Config::preset("dcgan28").and_then(|c| c.with(&small));
    let config = config.expect("valid");
    let bytes: Vec<u8> = (0..50 * 784).map(|i| (i * 7919 % 256) as u8).collect();
    let images = of_contrast(Images::from_bytes(784, bytes), Contrast::Signed);
    const STEPS: usize = 5;
    let train = |device: &Device, ahead: usize| {
        let mut trainer = Trainer::at(device, &config, &images).expect("a trainer");
        trainer.run_ahead(ahead);
        let reports: Vec<StepReport> = (0..STEPS)
            .map(|_| trainer.step().expect("a step"))
            .collect();
        trainer.settle().expect("all steps are reported");
        (reports, trainer.store().clone())
    };
    let (on_cpu, cpu) = train(&Device::CPU, 0);
    for device in devices() {
        let (there, store) = train(&device, STEPS);
        let error = distance(&cpu, &store);
        assert!(error <= 1e-4, "tensors differ by {error}");
        for (a, b) in on_cpu.iter().zip(&there) {
            for (a, b) in a.monitors().zip(b.monitors()) {
                assert!((a.1 - b.1).abs() <= 1e-4, "{a:?}, {b:?}");
            }
        }
    }
}

#[test]
fn steps_have_the_same_bits_however_many_run_at_once() {
    for device in devices() {
        for mode in MODES {
            let single = train(&device, mode, 14, 0);
            for ahead in [4, 100] {
                assert!(
                    train(&device, mode, 14, ahead) == single,
                    "{mode:?}, {ahead} at once"
                );
            }
        }
    }
}

#[test]
fn values_that_are_no_bytes_are_trained_on_as_well() {
    let values: Vec<f32> = (0..IMAGES * PIXELS)
        .map(|i| (i * 31 % 97) as f32 / 97.0)
        .collect();
    let images = Images::from_values(PIXELS, values);
    for device in devices() {
        let mut stores = Vec::new();
        for ahead in [0, 5] {
            let mut trainer = Trainer::at(&device, &config(MODES[1]), &images).expect("a trainer");
            trainer.run_ahead(ahead);
            for _ in 0..5 {
                trainer.step().expect("a step");
            }
            trainer.settle().expect("reported");
            stores.push(trainer.store().clone());
        }
        assert!(stores[0] == stores[1]);
    }
}

#[test]
fn pixels_take_a_byte_each_on_a_device_whatever_their_scale() {
    let free_after = |images: Images, contrast: Contrast| {
        let images = of_contrast(images, contrast);
        let device = cuda::Device::new(Interpreter::default());
        let on_device = Device::Cuda(device.clone(), Precision::F32);
        let trainer = Trainer::at(&on_device, &config(MODES[0]), &images);
        let mut trainer = trainer.expect("a trainer");
        trainer.run_ahead(1);
        trainer.step().expect("a step");
        device.free_bytes().expect("known")
    };
    let as_is = free_after(images(), Contrast::AsIs);
    assert_eq!(free_after(images(), Contrast::Signed), as_is);
    let values = Images::from_values(PIXELS, vec![0.3; IMAGES * PIXELS]);
    let apart = as_is - free_after(values, Contrast::Signed);
    assert_eq!(apart, 3 * IMAGES * PIXELS);
}

#[test]
fn gradient_norms_are_those_of_the_state_on_the_device() {
    for (device, mode) in devices()
        .iter()
        .flat_map(|d| [(d, MODES[1]), (d, MODES[6])])
    {
        let [mut ahead, mut single] =
            [(); 2].map(|()| Trainer::at(device, &config(mode), &images()).expect("a trainer"));
        for _ in 0..2 {
            ahead.run_ahead(3);
            for _ in 0..3 {
                ahead.step().expect("a step");
                single.step().expect("a step");
            }
            let norms = [&mut ahead, &mut single].map(|t| t.gradient_norms().expect("measured"));
            assert_eq!(norms[0], norms[1]);
            assert_eq!(norms[0].len(), 4);
        }
        ahead.settle().expect("reported");
        assert!(ahead.store() == single.store());
    }
}

#[test]
fn a_state_moves_from_the_cpu_to_a_device_and_back() {
    for device in devices() {
        let at =
            |device: &Device| Trainer::at(device, &config(MODES[1]), &images()).expect("a trainer");
        let (mut cpu, mut there, mut back) = (at(&Device::CPU), at(&device), at(&Device::CPU));
        let run = |trainer: &mut Trainer, n: usize| {
            for _ in 0..n {
                if trainer.unreported() == 0 {
                    trainer.run_ahead(2);
                }
                trainer.step().expect("a step");
            }
            trainer.settle().expect("reported");
        };
        run(&mut there, 4); // forgotten below
        run(&mut cpu, 4);
        there.set_store(cpu.store().clone());
        run(&mut there, 4);
        back.set_store(there.store().clone());
        for trainer in [&mut back, &mut there] {
            run(trainer, 4);
        }
        run(&mut cpu, 8);
        assert_eq!((back.steps(), cpu.steps()), (12, 12));
        let error = distance(back.store(), cpu.store());
        assert!(error <= 2e-6, "{error}");
    }
}

#[test]
fn a_state_cannot_be_taken_before_all_steps_are_reported() {
    let device = &devices()[0];
    let mut trainer = Trainer::at(device, &config(MODES[0]), &images()).expect("a trainer");
    trainer.run_ahead(3);
    trainer.step().expect("a step");
    assert_eq!(trainer.unreported(), 2);
    let error = trainer.settle().expect_err("two are left");
    assert!(error.to_string().contains("2 training steps"), "{error}");
}

#[test]
fn what_goes_bad_on_a_device_is_named() {
    let device = &devices()[0];
    let config = config(&[
        "generator.layer.out.activation=linear",
        "generator.layer.out.bias=0.0",
        MODES[1][0],
    ]);
    let images = Images::from_values(PIXELS, vec![3e38; IMAGES * PIXELS]);
    let mut trainer = Trainer::at(device, &config, &images).expect("a trainer");
    trainer.run_ahead(5);
    let is_finite = |r: &StepReport| r.monitors().all(|(_, v)| v.is_finite());
    let bad = (0..5).find(|_| !is_finite(&trainer.step().expect("a step")));
    assert!(bad.is_some());
    let (step, node) = trainer.first_bad_node(None).expect("found");
    assert!(step < 5 && node.starts_with('%'), "step {step}: {node}");
}

#[test]
fn samples_on_a_device_are_those_on_the_cpu() {
    for device in devices() {
        let config = config(&[]);
        let mut store = init::store(&config, PIXELS, &[0.3; PIXELS]).expect("consistent");
        let mut samplers =
            [&Device::CPU, &device].map(|p| Sampler::at(p, &config).expect("recorded"));
        let [cpu, there] = samplers.each_mut().map(|s| {
            let z = s.noise(&mut store, 7, 103).expect("drawn");
            (z, s.draw(&mut store, 7, 103).expect("drawn"))
        });
        assert_eq!(cpu.0, there.0, "noise");
        let worst = cpu.1.iter().zip(&there.1).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, f32::max);
        assert!(worst <= 1e-6, "{worst}");
        let mut decoder = Decoder::at(&device, &config).expect("recorded");
        assert_eq!(
            decoder.decode(&mut store, &there.0).expect("decoded"),
            there.1
        );
    }
}

#[test]
fn parzen_scores_on_a_device_are_those_on_the_cpu() {
    let d = 9;
    let rows = |n: usize, seed: usize| -> Vec<f32> {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0;
        (0..n * d).map(value).collect()
    };
    let (samples, valid, test) = (rows(600, 1), rows(20, 2), rows(70, 3));
    let cpu = parzen::score(&samples, &valid, &test, d).expect("a score");
    for device in devices() {
        let score =
            |samples: &[f32], test: &[f32]| parzen::score_at(&device, samples, &valid, test, d);
        let there = score(&samples, &test).expect("a score");
        assert_eq!(there.sigma, cpu.sigma);
        let error = (there.log_likelihood - cpu.log_likelihood).abs();
        assert!(
            error < 1e-4 && (there.stderr - cpu.stderr).abs() < 1e-4,
            "{error}"
        );
        assert_eq!(score(&samples, &test), Ok(there), "the same again");
        // What is too far away is refused as on the CPU.
        let mut far = test.clone();
        far[3 * d] = 1e30;
        assert_eq!(
            score(&samples, &far),
            parzen::score(&samples, &valid, &far, d)
        );
    }
}

#[test]
fn distances_of_features_on_a_device_are_those_on_the_cpu() {
    let d = 9;
    let rows = |n: usize, seed: usize, shift: f32| -> Vec<f32> {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 + shift;
        (0..n * d).map(value).collect()
    };
    let (real, fake) = (rows(150, 1, 0.0), rows(130, 2, 0.1));
    let of = |name, values| Features::new(name, values, d).expect("features");
    let (real, fake) = (of("real", &real), of("generated", &fake));
    let (draw, kernel) = (Draw::Blocks { size: 40 }, Kernel::default());
    let kid = kid::score(real, fake, draw, kernel).expect("scored");
    let balls = [(3, Ball::Closed), (5, Ball::Open)];
    let prdc = prdc::scores(real, fake, &balls).expect("scored");
    for device in devices() {
        let there = kid::score_at(&device, real, fake, draw, kernel).expect("scored");
        let error = (there.mean - kid.mean).abs() + (there.deviation - kid.deviation).abs();
        assert!(error < 1e-6, "{there:?} {kid:?}");
        let there = prdc::scores_at(&device, real, fake, &balls);
        assert_eq!(there.expect("scored"), prdc);
    }
}
