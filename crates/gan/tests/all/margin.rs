//! Margins of loss-sensitive GANs measured with a frozen network.

use std::path::Path;

use ganforge_gan::config::{Config, text_option};
use ganforge_gan::data::{Images, RING};
use ganforge_gan::pretrained::read_margin;
use ganforge_gan::run::Run;
use ganforge_gan::trainer::Trainer;

const SMALL: [&str; 8] = [
    "generator.layer.h0.units=5",
    "generator.layer.h1.units=4",
    "generator.layer.h2.units=4",
    "discriminator.layer.h0.units=6",
    "discriminator.layer.h1.units=4",
    "discriminator.layer.h2.units=3",
    "noise.dim=3",
    "train.batch=8",
];

const LOSSES: [&str; 2] = [
    "loss={kind=\"ls-gan\", tau=0.3, distance=\"l2\"}",
    "loss={kind=\"gls-gan\", tau=0.3, slope=-0.5}",
];

fn config(options: &[&str]) -> Config {
    let preset = Config::preset("ring").and_then(|c| c.with(&[&SMALL, options].concat()));
    preset.expect("valid")
}

/// 80 of the ring's points.
fn points() -> Images {
    let ring = RING.draw(1).train.to_f32(0..80).expect("points");
    Images::from_values(2, ring)
}

fn trainer(config: &Config) -> Trainer {
    Trainer::new(config, &points()).expect("a trainer")
}

/// A run of two steps with a checkpoint.
fn run(folder: &Path, options: &[&str]) -> Trainer {
    let config = config(options);
    let run = Run::create(folder, &config, "{}").expect("made");
    let mut trainer = trainer(&config);
    for _ in 0..2 {
        trainer.step().expect("a step");
    }
    let saved = run.checkpoint(trainer.config(), trainer.state(), "sum");
    saved.expect("written");
    trainer
}

#[test]
fn features_that_are_the_examples_themselves_give_their_margin() {
    let network = "margin.layer=[{name='h0', units=2, activation='linear'}]";
    for (loss, update) in LOSSES.into_iter().zip(["alternating", "simultaneous"]) {
        let update = format!("train.update={update}");
        let mut plain = trainer(&config(&[loss, &update]));
        let mut featured = trainer(&config(&[loss, &update, network]));
        let random = featured.step().expect("a step");
        let mut store = plain.store().clone();
        let identity = [
            ("F.h0.w", vec![1.0, 0.0, 0.0, 1.0]),
            ("F.h0.b", vec![0.0; 2]),
        ];
        for (name, values) in identity {
            let shape = featured.store().get(name).expect("a tensor of F").shape;
            store.insert(name, shape, values).expect("of its shape");
        }
        featured.set_store(store);
        for step in 0..5 {
            let (a, b) = (
                plain.step().expect("a step"),
                featured.step().expect("a step"),
            );
            assert_eq!(a, b, "{loss}, step {step}");
            assert!(
                step > 0 || a.get("margin") != random.get("margin"),
                "{loss}"
            );
        }
        for entry in plain.store().iter() {
            let found = featured.store().get(&entry.name).expect("the same tensors");
            assert_eq!(entry.data, found.data, "{loss}: {}", entry.name);
        }
    }
}

#[test]
fn the_network_is_another_runs_d_which_stays_as_it_is_and_is_needed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = folder.path().join("theirs");
    let options = [
        "discriminator.layer.h0.norm=batch",
        "discriminator.layer.h0.keep_prob=0.5",
    ];
    let theirs_trained = run(&theirs, &options);
    let checkpoint = theirs.join("checkpoints/step-00000002.npz");
    for place in [&theirs, &checkpoint] {
        let place = text_option("margin.network", place.to_str().expect("text"));
        let mut config = config(&[LOSSES[0], &place, "margin.output=h1"]);
        read_margin(&mut config).expect("read");
        let margin = config.margin.clone().expect("there");
        let names: Vec<&str> = margin.layers.iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["h0", "h1"]);
        assert_eq!(
            Config::from_toml(&config.to_toml(), "again").expect("read"),
            config
        );
        let mut ours = trainer(&config);
        assert!(ours.step().is_err(), "without its values it takes no step");
        let sources = ours.load_pretrained().expect("loaded");
        let [source] = &sources[..] else {
            panic!("{sources:?}")
        };
        assert_eq!(
            (source.key, source.step, source.sha256.len()),
            ("margin", 2, 64)
        );
        assert!(source.checkpoint.ends_with("checkpoints/step-00000002.npz"));
        let frozen: Vec<_> = ours
            .store()
            .iter()
            .filter(|e| e.name.starts_with("F."))
            .cloned()
            .collect();
        // Two layers; of a batch norm gamma, beta and the running averages beside them.
        assert!(
            frozen.len() >= 7 && frozen.iter().any(|e| e.name == "F.h0.mean"),
            "{frozen:?}"
        );
        for entry in &frozen {
            let name = entry.name.replacen('F', "D", 1);
            let expected = theirs_trained.store().get(&name).expect("a tensor of D");
            assert_eq!(entry.data, expected.data, "{name}");
        }
        for _ in 0..3 {
            assert!(ours.step().expect("a step").get("margin") > Some(0.0));
        }
        let path = folder.path().join("c.npz");
        ours.save(&path, "sum").expect("written");
        let mut resumed = trainer(&config);
        resumed.load(&path).expect("read without the other run");
        assert!(resumed.store().iter().eq(ours.store().iter()));
        assert_eq!(
            resumed.step().expect("a step"),
            ours.step().expect("a step")
        );
        for entry in &frozen {
            assert_eq!(
                resumed.store().get(&entry.name).expect("there").data,
                entry.data
            );
        }
        assert!(
            ours.store()
                .iter()
                .all(|e| !e.name.starts_with("F.") || !e.name.ends_with(".square"))
        );
    }
}

#[test]
fn networks_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = folder.path().join("theirs");
    run(&theirs, &[]);
    let place = theirs.to_str().expect("text");
    let network = text_option("margin.network", place);
    let refused = |options: &[&str], expected: &str| {
        let mut config = config(&[&[LOSSES[0]], options].concat());
        let got = read_margin(&mut config).expect_err("refused").to_string();
        assert!(got.contains(expected), "{got}\n{expected}");
    };
    refused(
        &[&network, "margin.output=h7"],
        &format!(
            "margin.network = {place:?}: its network has no layer h7 (margin.output), only h0, h1, h2"
        ),
    );
    let missing = text_option(
        "margin.network",
        folder.path().join("none").to_str().expect("text"),
    );
    refused(&[&missing], "none");
    let no_checkpoint = folder.path().join("text.npz");
    std::fs::write(&no_checkpoint, "no checkpoint").expect("written");
    let no_checkpoint = text_option("margin.network", no_checkpoint.to_str().expect("text"));
    refused(&[&no_checkpoint], "text.npz");
    // Nothing is trained with a network that was not read.
    let unread = config(&[LOSSES[0], &network]);
    let error = Trainer::new(&unread, &points())
        .map(drop)
        .expect_err("unread");
    assert!(error.to_string().contains("has not been read"), "{error}");
    // D of points of the plane does not take others.
    let mut other = unread.clone();
    read_margin(&mut other).expect("read");
    let wide = [
        "data.set=own.npz",
        "eval.metrics=[\"parzen\"]",
        "generator.layer.out.units=3",
    ];
    let wide = other
        .with(&wide)
        .expect("a layer takes any number of inputs");
    let mut trainer =
        Trainer::new(&wide, &Images::from_values(3, vec![0.5; 240])).expect("a trainer");
    let error = trainer
        .load_pretrained()
        .map(drop)
        .expect_err("of another size");
    let expected = "D.h0.w: shape [2, 6], expected [3, 6]";
    assert!(error.to_string().contains(expected), "{error}");
    let preset = Config::preset("ring").expect("a preset");
    for (options, expected) in [
        (
            vec!["margin.layer=[{name='h0'}]"],
            "margin is not used here, only with loss.kind = \"ls-gan\", \"gls-gan\" or \"cls-gan\"",
        ),
        (
            vec![LOSSES[0], "margin={}"],
            "margin must have a network or layers",
        ),
        (
            vec![LOSSES[0], "margin={layer=[{name='h0'}], output='h1'}"],
            "margin.output must be one of its layers, h0, got \"h1\"",
        ),
        (
            vec![LOSSES[0], "margin.layer=[{name='h0', kind='conv2d'}]"],
            "margin.layer.h0.kind",
        ),
    ] {
        let error = preset.with(&options).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}\n{expected}");
    }
}

#[test]
fn the_network_may_be_a_classifier() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "
data.set = 'mnist'
classifier.layer = [{ name = 'h0', units = 5, norm = 'batch' }, { name = 'out', units = 10, activation = 'linear' }]
train.batch = 10
";
    let bytes: Vec<u8> = (0..60 * 784).map(|i| (i * 7919 % 256) as u8).collect();
    let labels: Vec<u8> = (0..60).map(|i| i % 10).collect();
    let digits = Images::from_bytes(784, bytes).with_labels(labels);
    let theirs = Config::from_toml(text, "c.toml").expect("valid");
    let run = Run::create(&folder.path().join("c"), &theirs, "{}").expect("made");
    let mut classifier = Trainer::new(&theirs, &digits).expect("a trainer");
    classifier.step().expect("a step");
    let saved = run.checkpoint(classifier.config(), classifier.state(), "sum");
    let network = text_option(
        "margin.network",
        folder.path().join("c").to_str().expect("text"),
    );
    for place in [
        network,
        text_option(
            "margin.network",
            saved.expect("written").to_str().expect("text"),
        ),
    ] {
        let options = [
            "loss.kind=ls-gan",
            "margin.output=h0",
            "train.batch=10",
            &place,
        ];
        let mut config = Config::preset("tiny")
            .and_then(|c| c.with(&options))
            .expect("valid");
        read_margin(&mut config).expect("read");
        let mut trainer = Trainer::new(&config, &digits).expect("a trainer");
        assert_eq!(trainer.load_pretrained().expect("loaded").len(), 1);
        for part in ["w", "gamma", "mean"] {
            let [found, expected] = [(&trainer, "F"), (&classifier, "C")]
                .map(|(t, net)| t.store().get(&format!("{net}.h0.{part}")).expect("there"));
            assert_eq!(found.data, expected.data, "{part}");
        }
        assert!(trainer.step().expect("a step").get("margin") > Some(0.0));
    }
    let error = theirs
        .with(&["margin.layer=[{name='h0'}]"])
        .expect_err("no GAN");
    assert!(
        error
            .to_string()
            .contains("margin is not used here, only with a GAN"),
        "{error}"
    );
}
