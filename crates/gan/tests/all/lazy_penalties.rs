//! Penalties that are part of D's loss in one step of several.

use ganforge_gan::config::Config;
use ganforge_gan::data::{Images, RING};
use ganforge_gan::penalties::Due;
use ganforge_gan::trainer::Trainer;

/// Small nets on points of the plane, with dropout that ends after the first epoch, of 10 steps.
const SMALL: [&str; 10] = [
    "generator.layer.h0.units=5",
    "generator.layer.h1.units=4",
    "generator.layer.h2.units=4",
    "discriminator.layer.h0.units=6",
    "discriminator.layer.h1.units=4",
    "discriminator.layer.h2.units=3",
    "discriminator.layer.h1.keep_prob=0.5",
    "discriminator.layer.h1.dropout_epochs=1",
    "noise.dim=3",
    "train.batch=8",
];

const MODES: [&[&str]; 4] = [
    &["train.update=simultaneous"],
    &["train.update=alternating"],
    &["train.k=2", "train.reuse_noise=true"],
    &["train.k=2", "train.warmup={steps=3, k=4, every=5}"],
];

fn config(penalties: &str, mode: &[&str]) -> Config {
    let penalties = format!("discriminator.penalty=[{penalties}]");
    let options = [&SMALL[..], mode, &[&penalties]].concat();
    let preset = Config::preset("ring").and_then(|c| c.with(&options));
    preset.expect("valid")
}

fn trainer(config: &Config) -> Trainer {
    let rows = 10 * config.examples_per_step();
    let ring = RING.draw(1).train.to_f32(0..rows).expect("points");
    Trainer::new(config, &Images::from_values(2, ring)).expect("a trainer")
}

#[test]
fn a_step_is_that_of_a_penalty_twice_as_heavy_or_of_none() {
    for mode in &MODES[..3] {
        for penalty in ["gp", "r1", "l2"] {
            let of = |settings: &str| {
                let penalty = format!("{{kind=\"{penalty}\", {settings}}}");
                trainer(&config(&penalty, mode))
            };
            let mut lazy = of("weight=0.75, every=2");
            let mut heavy = of("weight=1.5");
            let mut without = trainer(&config("", mode));
            for step in 0..14 {
                let other = match step % 2 {
                    0 => &mut heavy,
                    _ => &mut without,
                };
                other.set_store(lazy.store().clone());
                let norms = lazy.gradient_norms().expect("measured");
                assert_eq!(norms, other.gradient_norms().expect("measured"));
                let (report, expected) = (lazy.step().expect("a step"), other.step());
                let expected = expected.expect("a step");
                assert_eq!(lazy.store(), other.store(), "{mode:?}, {penalty}, {step}");
                assert_eq!(report.get("loss_d"), expected.get("loss_d"));
                let half = expected.get(penalty).map(|heavy| heavy / 2.0);
                assert_eq!(report.get(penalty), half, "{mode:?}, {penalty}, {step}");
                assert_eq!(report.get(penalty).is_some(), step % 2 == 0);
            }
        }
    }
}

#[test]
fn penalties_of_two_and_of_three_steps_meet_in_every_sixth() {
    let both = "{kind=\"r1\", every=2}, {kind=\"gp\", every=3}, \"l2\"";
    let config = config(both, MODES[1]);
    let mut trainer = trainer(&config);
    for step in 0..25 {
        let report = trainer.step().expect("a step");
        let has = ["r1", "gp", "l2"].map(|name| report.get(name).is_some());
        assert_eq!(has, [step % 2 == 0, step % 3 == 0, true], "step {step}");
        let due = Due::at(&config.discriminator.penalties, step);
        let of_step = config.with_penalties(due).discriminator.penalties;
        assert_eq!(of_step.len(), has.iter().filter(|has| **has).count());
        assert_eq!(
            report.names().skip(4).collect::<Vec<_>>(),
            ["r1", "gp", "l2"]
        );
    }
}

#[test]
fn means_are_of_the_steps_that_had_the_penalty() {
    let mut trainer = trainer(&config("{kind=\"gp\", every=3}", MODES[1]));
    let (mut all, mut penalties) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let report = trainer.step().expect("a step");
        all.push(report.get("loss_d").expect("in each step"));
        penalties.extend(report.get("gp"));
        trainer.window().add(&report);
    }
    let mean = |values: &[f64]| Some(values.iter().sum::<f64>() / values.len() as f64);
    let means = trainer.window().means();
    assert_eq!((means[0], means[4]), (mean(&all), mean(&penalties)));
    assert_eq!(penalties.len(), 3);
    trainer.window().clear();
    let report = trainer.step().expect("a step");
    trainer.window().add(&report);
    let means = trainer.window().means();
    assert_eq!((means[0], means[4]), (report.get("loss_d"), None));
}

#[test]
fn a_run_resumed_between_two_penalties_has_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.npz");
    for mode in MODES {
        let config = config("{kind=\"r1\", every=3}, {kind=\"gp\", every=4}", mode);
        let mut whole = trainer(&config);
        for saved in [1, 8, 14] {
            while whole.steps() < saved {
                let report = whole.step().expect("a step");
                whole.window().add(&report);
            }
            whole.save(&path, "sum").expect("written");
            let mut resumed = trainer(&config);
            resumed.load(&path).expect("read");
            assert_eq!(resumed.window(), whole.window(), "{mode:?}, {saved}");
            for _ in 0..5 {
                let norms = [&mut whole, &mut resumed].map(|t| t.gradient_norms());
                let [a, b] = norms.map(|n| n.expect("measured"));
                assert_eq!(a, b, "{mode:?}, {saved}");
                let [a, b] = [&mut whole, &mut resumed].map(|t| t.step().expect("a step"));
                assert_eq!(a, b, "{mode:?}, {saved}");
                whole.window().add(&a);
                resumed.window().add(&b);
            }
            assert!(resumed.state() == whole.state(), "{mode:?}, {saved}");
        }
    }
}

/// The update of D alone that follows `update` others has the penalties of step `update`.
#[test]
fn updates_of_d_alone_have_a_lazy_penalty_by_their_own_number() {
    let warmup = ["train.k=1", "train.warmup={steps=1, k=3, every=0}"];
    let of = |penalty: &str| {
        let mut trainer = trainer(&config(penalty, &warmup));
        trainer.step().expect("a step");
        trainer.store().clone()
    };
    // Two updates before step 0, of which the first has the penalty, as step 0 has.
    let lazy = of("{kind=\"gp\", every=2, weight=1.0}");
    let always = of("{kind=\"gp\", weight=2.0}");
    let never = of("");
    assert!(lazy != always && lazy != never);
    // With a penalty in each, all three updates have it.
    assert!(of("{kind=\"gp\", every=1, weight=2.0}") == always);
}

#[test]
fn every_is_read_written_and_checked() {
    let config = config("{kind=\"r1\", every=16}, \"l2\"", &[]);
    let text = config.to_toml();
    assert!(
        text.contains("kind = \"r1\"\nweight = 10.0\nevery = 16\n"),
        "{text}"
    );
    assert_eq!(Config::from_toml(&text, "again").expect("read"), config);
    let changed = config.with(&["discriminator.penalty.r1.every=4"]);
    let terms = changed.expect("valid").discriminator.penalties;
    assert_eq!([terms[0].every, terms[1].every], [4, 1]);
    for wrong in ["0", "1001", "1.5", "\"often\""] {
        let text =
            format!("base = 'ring'\n[[discriminator.penalty]]\nkind = 'r1'\nevery = {wrong}\n");
        let error = Config::from_toml(&text, "test")
            .expect_err("refused")
            .to_string();
        let expected =
            "test:4: discriminator.penalty.r1.every must be a whole number from 1 to 1000";
        assert!(error.contains(expected), "{error}");
    }
}
