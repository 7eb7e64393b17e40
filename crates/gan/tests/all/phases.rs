//! The phases of a training step: several updates of D, optimisers per network, joined minibatches, penalties.

use std::path::Path;

use ganforge_gan::config::Config;
use ganforge_gan::data::{Images, RING};
use ganforge_gan::files::{ArrayData, read_npz};
use ganforge_gan::trainer::Trainer;

/// Small nets on points of the plane.
const SMALL: [&str; 12] = [
    "generator.layer.h0.units=5",
    "generator.layer.h1.units=4",
    "generator.layer.h2.units=4",
    "discriminator.layer.h0.units=6",
    "discriminator.layer.h1.units=4",
    "discriminator.layer.h2.units=3",
    "noise.dim=3",
    "train.batch=8",
    "train.update=alternating",
    "optimizer.kind=adam",
    "optimizer.lr_decay=1",
    "loss.half=false",
];

fn config(options: &[&str]) -> Config {
    let preset = Config::preset("ring").and_then(|c| c.with(&[&SMALL, options].concat()));
    preset.expect("valid")
}

/// 240 of the ring's points.
fn points() -> Images {
    let ring = RING.draw(1).train.to_f32(0..240).expect("points");
    Images::from_values(2, ring)
}

/// The settings of make_phases.py, which redid the steps of `ganforge trace` with torch.optim.Adam: one optimiser per
/// network, of which D's makes three updates per step.
#[test]
fn three_updates_of_d_per_step_are_those_of_pytorchs_adam() {
    let config = config(&[
        "train.k=3",
        "optimizer.lr=0.02",
        "optimizer.beta1=0.5",
        "optimizer.beta2=0.9",
    ]);
    let mut trainer = Trainer::new(&config, &RING.draw(config.seed).train).expect("a trainer");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/phases.npz");
    let expected = read_npz(&file).expect("the file of make_phases.py");
    for step in 0..4 {
        trainer.step().expect("a step");
        for (name, array) in &expected {
            let Some(name) = name.strip_prefix(&format!("{step}/after/")) else {
                continue;
            };
            let ArrayData::F64(expected) = &array.data else {
                panic!("{name} is f64");
            };
            let found = &trainer.store().get(name).expect("a parameter").data;
            for (found, expected) in found.iter().zip(expected) {
                let error = (f64::from(*found) - expected).abs();
                assert!(
                    error < 2e-5,
                    "{name} after step {step}: {found}, {expected}"
                );
            }
        }
    }
}

#[test]
fn a_network_may_have_an_optimiser_of_its_own_which_takes_the_rest_from_the_common_one() {
    let config = config(&[
        "optimizer.lr=0.02",
        "optimizer.beta1=0.5",
        "discriminator.optimizer.lr=0.005",
        "discriminator.optimizer.lr_decay=1.5",
        "train.k=2",
    ]);
    let of_d = config.optimizer_of("D");
    assert_eq!(of_d.rule, config.optimizer.rule);
    assert_eq!((of_d.lr, config.optimizer_of("G").lr), (0.005, 0.02));
    let written = Config::from_toml(&config.to_toml(), "written").expect("valid");
    assert_eq!(written, config);
    let mut trainer = Trainer::new(&config, &points()).expect("a trainer");
    for step in 0..3 {
        let report = trainer.step().expect("a step");
        // The last of D's two updates in a step.
        let lr = 0.005 / 1.5f64.powi(2 * step + 1);
        let found = report.get("lr_d").expect("reported");
        assert!((found - lr).abs() < 1e-12, "step {step}: {found}, {lr}");
        assert_eq!(report.get("lr_g"), Some(0.02));
        assert_eq!(report.get("lr"), None);
    }
    let wrong = config.with(&["discriminator.optimizer.lr_min=0.1"]);
    let error = wrong.expect_err("above lr").to_string();
    assert!(error.contains("optimizer.lr_min"), "{error}");
}

#[test]
fn without_dropout_joined_minibatches_are_the_same_game_as_two() {
    for update in ["alternating", "simultaneous"] {
        let update = format!("train.update={update}");
        let train = |joined: &str| {
            let config = config(&[&update, joined]);
            let mut trainer = Trainer::new(&config, &points()).expect("a trainer");
            for _ in 0..5 {
                trainer.step().expect("a step");
            }
            trainer.store().clone()
        };
        let (one, two) = (train("train.joined=true"), train("train.joined=false"));
        for (a, b) in one.iter().zip(two.iter()) {
            let pairs = a.data.iter().zip(&b.data);
            let worst = pairs.fold(0f32, |w, (a, b)| w.max((a - b).abs()));
            assert!(worst < 1e-4, "{update}: {} differs by {worst}", a.name);
        }
    }
}

#[test]
fn a_gradient_penalty_is_a_monitor_and_leads_ds_gradients_to_a_norm_of_1() {
    let text = "base = 'ring'\n[[discriminator.penalty]]\nkind = 'gp'\nweight = 100.0";
    let small: Vec<&str> = SMALL.into_iter().chain(["optimizer.lr=0.01"]).collect();
    for update in ["train.update=simultaneous", "train.update=alternating"] {
        let config = Config::from_toml_with(text, "test", &[&small[..], &[update]].concat());
        let config = config.expect("valid");
        let mut trainer = Trainer::new(&config, &points()).expect("a trainer");
        let mut penalty = || {
            let report = trainer.step().expect("a step");
            let penalty = report.get("gp").expect("a monitor");
            let loss = report.get("loss_d").expect("a monitor");
            assert!(
                loss > penalty,
                "{update}: a loss of {loss}, {penalty} of it the penalty"
            );
            penalty
        };
        let first = penalty();
        let last = (0..200).map(|_| penalty()).last().expect("200 steps");
        assert!(last < first / 4.0, "{update}: {first}, later {last}");
    }
    assert!(config(&[]).discriminator.penalties.is_empty());
}

#[test]
fn after_each_update_ds_parameters_are_clipped_and_gs_are_not() {
    for update in ["simultaneous", "alternating"] {
        for kind in ["sgd", "adam", "rms_prop"] {
            let trained = |clip: &str, steps: usize| {
                let update = format!("train.update={update}");
                let kind = format!("optimizer.kind={kind}");
                let options = [&update, &kind, clip, "optimizer.lr=0.02"];
                let mut trainer = Trainer::new(&config(&options), &points()).expect("a trainer");
                for _ in 0..steps {
                    trainer.step().expect("a step");
                }
                // D.h0.w and the like, not D.h0.w.velocity.
                let of = |net: &str| -> Vec<f32> {
                    let of_net = trainer.store().iter().filter(|e| e.name.starts_with(net));
                    let params = of_net.filter(|e| e.name.matches('.').count() == 2);
                    params.flat_map(|e| e.data.to_vec()).collect()
                };
                [of("D."), of("G.")]
            };
            let what = format!("{update}, {kind}");
            let [free, _] = trained("discriminator.clip=0", 1);
            let [clipped, _] = trained("discriminator.clip=0.01", 1);
            let expected: Vec<f32> = free.iter().map(|v| v.clamp(-0.01, 0.01)).collect();
            assert_eq!(clipped, expected, "{what}");
            let [clipped, g] = trained("discriminator.clip=0.01", 5);
            let largest = |of: &[f32]| of.iter().fold(0f32, |most, v| most.max(v.abs()));
            assert_eq!(largest(&clipped), 0.01, "{what}");
            assert!(largest(&g) > 0.05, "{what}");
        }
    }
    let wrong = config(&[]).with(&["generator.clip=0.01"]);
    let error = wrong.expect_err("only of D").to_string();
    let expected = "generator.clip is not used here, only with the discriminator";
    assert!(error.contains(expected), "{error}");
    let without = config(&["discriminator.clip=0.01", "discriminator.clip=0"]);
    assert_eq!(without.discriminator.clip, None);
}
