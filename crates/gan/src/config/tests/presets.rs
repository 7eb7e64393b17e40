//! The presets: what the paper and its code say of them, and how they are found.

use super::*;

#[test]
fn preset_mnist_2014_is_the_papers() {
    let c = Config::preset("mnist-2014").unwrap();
    assert_eq!(c.parameter_counts(784), (2_503_984, 1_231_441));
    assert_eq!((c.output_dim(), c.noise.dim), (784, 100));
    assert_eq!(c.noise.distribution, Distribution::Uniform);
    let names: Vec<_> = c.generator.layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["h0", "h1", "out"]);
    assert_eq!(affine(&c.generator.layers[2]).weights.bias, Bias::Marginals);
    let dropout = |i: usize| c.discriminator.layers[i].dropout().unwrap();
    assert_eq!((dropout(0).keep_prob, dropout(0).scale), (0.8, 1.25));
    assert_eq!((dropout(1).keep_prob, dropout(1).scale), (0.5, 2.0));
    assert_eq!((dropout(2).keep_prob, dropout(2).scale), (0.5, 2.0));
    assert!(c.generator.layers.iter().all(|l| l.dropout().is_none()));
    assert!(matches!(&c.discriminator.layers[1].kind, LayerKind::Maxout(m) if m.pieces == 5));
    assert_eq!(c.train.batch, 100);
    assert_eq!(c.train.update, Update::Simultaneous);
    assert_eq!((c.optimizer.lr, c.optimizer.lr_decay), (0.1, 1.000004));
    assert!(c.check_data_dim(784).is_ok());
    assert!(c.check_data_dim(3072).is_err());
}

#[test]
fn preset_keras_tutorial_has_the_tutorials_nets() {
    let c = Config::preset("keras-tutorial").unwrap();
    assert_eq!(c.parameter_counts(784), (130_576, 117_121));
    let layers = c.generator.layers.iter().chain(&c.discriminator.layers);
    assert!(
        layers
            .clone()
            .all(|l| affine(l).weights.init == Init::Glorot)
    );
    assert!(layers.clone().all(|l| l.dropout().is_none()));
}

#[test]
fn presets_with_the_papers_nets_have_its_parameter_counts() {
    for name in ["mnist", "fashion-mnist"] {
        let c = Config::preset(name).unwrap();
        assert_eq!(c.parameter_counts(784), (2_503_984, 1_231_441), "{name}");
        let original = Config::preset("mnist-2014").unwrap();
        let mut discriminator = original.discriminator;
        discriminator.layers[0].dropout_epochs = Some(40); // then D sees all pixels
        assert_eq!(c.discriminator, discriminator, "{name}");
        assert_eq!(c.generator, original.generator, "{name}");
    }
}

/// Mirza and Osindero 2014, section 4.1.
#[test]
fn the_first_conditional_gan_has_its_branches() {
    let c = Config::preset("cgan-2014").unwrap();
    let (g, d) = (
        101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784,
        785 * 240 * 5 + 11 * 50 * 5 + 291 * 240 * 4 + 241,
    );
    assert_eq!(c.parameter_counts(784), (g, d));
    assert_eq!((c.train.batch, c.noise.dim), (100, 100));
    assert_eq!(c.noise.classes, Some(ClassSource::Data));
    let rule = &c.optimizer;
    assert_eq!((rule.lr, rule.lr_decay, rule.lr_min), (0.1, 1.00004, 1e-6));
    for name in ["cgan", "cgan-projection", "cgan-cifar10-small"] {
        let c = Config::preset(name).unwrap();
        assert_eq!(
            (c.classes(), c.tells_d_classes()),
            (Some(10), true),
            "{name}"
        );
        assert_eq!(c.noise.classes, Some(ClassSource::Data), "{name}");
    }
}

#[test]
fn presets_of_the_papers_other_experiments_have_its_parameter_counts() {
    for (preset, dim, g, d) in [
        ("tfd-pretrain", 2304, 83_250_304, 21_037_201),
        ("tfd", 2304, 84_858_404, 21_037_201),
        ("cifar10-mlp", 3072, 89_395_072, 37_393_601),
    ] {
        let c = Config::preset(preset).unwrap();
        assert_eq!(c.data.set.dim(), Some(dim), "{preset}");
        assert_eq!(c.parameter_counts(dim), (g, d), "{preset}");
        assert_eq!(c.noise.distribution, Distribution::Normal);
        assert_eq!(c.train.update, Update::Simultaneous);
        let dropout = |i: usize| c.discriminator.layers[i].dropout().unwrap();
        let expected = [(0.8, 1.25), (0.5, 2.0), (0.5, 2.0)];
        assert_eq!(
            [0, 1, 2].map(|i| (dropout(i).keep_prob, dropout(i).scale)),
            expected
        );
        let norm = (preset != "cifar10-mlp").then_some(1.9365);
        let layers = c.generator.layers.iter().chain(&c.discriminator.layers);
        assert!(
            layers
                .clone()
                .all(|l| affine(l).weights.max_col_norm == norm),
            "{preset}"
        );
    }
}

#[test]
fn the_second_stage_on_faces_takes_all_of_the_first_ones_generator() {
    let (first, second) = (Config::preset("tfd-pretrain"), Config::preset("tfd"));
    let (first, second) = (first.unwrap(), second.unwrap());
    let taken: Vec<_> = second.layers_from_run().collect();
    assert_eq!(taken.len(), first.generator.layers.len());
    for ((net, layer, from), original) in taken.iter().zip(&first.generator.layers) {
        assert_eq!((*net, *from), ("G", original.name.as_str()));
        assert_eq!(
            (layer.kind.name(), affine(layer).units),
            (original.kind.name(), affine(original).units)
        );
    }
    assert_eq!(affine(&second.generator.layers[1]).units, first.noise.dim);
    let alone = second.without_other_run();
    assert_eq!(alone.layers_from_run().count(), 0);
    assert_eq!(alone.parameter_counts(2304), second.parameter_counts(2304));
    assert_eq!(Config::from_toml(&alone.to_toml(), "alone").unwrap(), alone);
}

#[test]
fn every_key_of_a_preset_has_a_comment_and_none_is_left_out() {
    for preset in presets() {
        let config = Config::preset(preset.name).unwrap();
        assert_eq!(config.name, preset.name);
        let again = Config::from_toml(&config.to_toml(), "again").unwrap();
        assert_eq!(again, config, "{}", preset.name);
        for line in preset.text.lines().filter(|l| l.contains(" = ")) {
            assert!(line.contains('#'), "no comment: {line}");
            assert!(line.len() <= 130, "too long: {line}");
        }
        let keys = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|l| !l.starts_with('#'))
                .filter_map(|l| l.split_once(" = "))
                .map(|(key, _)| key.to_owned())
                .collect()
        };
        // What is based on another preset says what differs from it.
        let is_based = preset.text.lines().any(|l| l.starts_with("base = "));
        if !is_based {
            assert_eq!(keys(preset.text), keys(&config.to_toml()));
        }
    }
}

#[test]
fn presets_and_files_are_found_by_name_and_path() {
    let got = Config::load("minst").unwrap_err().to_string();
    assert_eq!(
        got,
        "minst: neither a preset nor a file, did you mean mnist?"
    );
    let got = Config::preset("mnist-best").unwrap_err().to_string();
    assert_eq!(
        got,
        "mnist-best: no such preset: it has been renamed to mnist"
    );
    let got = Config::preset("celeba").unwrap_err().to_string();
    let names: Vec<&str> = presets().iter().map(|p| p.name).collect();
    let names = names.join(", ");
    assert_eq!(got, format!("celeba: no such preset (presets: {names})"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    let name = path.to_str().unwrap();
    std::fs::write(&path, mnist().to_toml()).unwrap();
    assert_eq!(Config::load(name).unwrap(), mnist());
    assert_eq!(Config::load_with(name, &["seed=3"]).unwrap().seed, 3);
    std::fs::write(&path, b"\xff\xfe").unwrap();
    let got = Config::load(name).unwrap_err().to_string();
    assert!(
        got.ends_with("not UTF-8 text, which TOML requires"),
        "{got}"
    );
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    let got = Config::load(name).unwrap_err().to_string();
    assert!(got.contains("not a configuration"), "{got}");
    let got = Config::load(folder.path().to_str().unwrap()).unwrap_err();
    assert!(
        got.to_string().ends_with("a folder, expected a file"),
        "{got}"
    );
    std::fs::write(folder.path().join("config.toml"), "").unwrap();
    let got = Config::load(folder.path().to_str().unwrap()).unwrap_err();
    assert!(got.to_string().contains("its configuration is /"), "{got}");
}

#[test]
fn toy_presets_have_their_nets_parameter_counts() {
    for (name, data_dim, counts) in [
        ("fig1", 1, (1_153, 1_153)),   // 2·32 + 33·32 + 33
        ("ring", 2, (33_666, 33_537)), // 3·128 + 2·129·128 + 129·2, or 129
        ("grid", 2, (33_666, 33_537)),
    ] {
        let config = Config::preset(name).unwrap();
        assert_eq!(config.parameter_counts(data_dim), counts, "{name}");
        assert!(config.check_data_dim(data_dim).is_ok());
    }
}

/// What a comment lists as alternatives is what the reader accepts: it names them when it refuses another one. Lists that
/// grow, of optimisers and layers, are in docs/configuration.md only.
#[test]
fn comments_that_list_alternatives_list_all_of_them() {
    let mut lists = 0;
    for key in [
        "data.contrast",
        "noise.distribution",
        "loss.generator",
        "train.update",
    ] {
        let refused = Config::preset("mnist")
            .unwrap()
            .with(&[&format!("{key}=zzz")]);
        let message = refused.unwrap_err().to_string();
        let known: Vec<&str> = message.split('"').skip(1).step_by(2).collect();
        assert!(known.len() > 2, "{message}");
        let (section, name) = key.split_once('.').unwrap();
        for preset in presets() {
            let of_section = preset.text.split_once(&format!("[{section}]"));
            let of_section = of_section.map_or("", |(_, text)| text);
            let of_section = of_section.split("\n[").next().unwrap();
            let is_list = |l: &&str| l.starts_with(&format!("{name} = ")) && l.contains("or \"");
            for line in of_section.lines().filter(is_list) {
                lists += 1;
                for other in known.iter().filter(|k| **k != "zzz") {
                    assert!(
                        line.contains(&format!("\"{other}\"")),
                        "{}: {line}",
                        preset.name
                    );
                }
            }
        }
    }
    assert!(lists > 5, "{lists}");
}

/// What run folders hold from before keys got the names that they have now.
#[test]
fn files_with_old_names_of_keys_are_read() {
    for (name, text) in [
        ("mnist", include_str!("old/mnist.toml")),
        ("fig1", include_str!("old/fig1.toml")),
    ] {
        assert!(text.contains("\ninclude = ") && text.contains("\ndiscriminator = \"bce\""));
        let old = Config::from_toml(text, "config.toml").unwrap();
        let mut preset = Config::preset(name).unwrap();
        // Then k updates of D counted as one to its learning rate, which fell as G's.
        preset.discriminator.optimizer = None;
        assert_eq!(old, preset);
        let now = old.to_toml();
        assert!(
            !now.contains("include") && now.contains("keep_prob"),
            "{now}"
        );
    }
    let both = "[[discriminator.layer]]\nunits = 1\nactivation = 'linear'\ninclude = 0.5\nkeep_prob = 0.5\n";
    let got = Config::from_toml(both, "a.toml").unwrap_err().to_string();
    let expected =
        "a.toml:5: discriminator.layer[0].keep_prob is written twice: include is its old name";
    assert_eq!(got, expected);
    let old = mnist().with(&[
        "discriminator.layer.h0.include=0.5",
        "loss.discriminator=bce",
    ]);
    assert_eq!(old, mnist().with(&["discriminator.layer.h0.keep_prob=0.5"]));
}

#[test]
fn convolutional_presets_have_their_nets_parameter_counts() {
    for (name, data_dim, counts) in [
        ("cifar10-conv", 3072, (64_825_072, 12_454_073)),
        ("dcgan28", 784, (766_017, 138_817)),
        ("infogan28", 784, (6_642_241, 6_559_169)),
        ("dcgan64", 64 * 64 * 3, (5_364_739, 4_316_545)),
        ("dcgan64-small", 64 * 64 * 3, (1_607_171, 1_083_073)),
        ("dcgan64-torch", 64 * 64 * 3, (3_576_704, 2_765_568)),
        ("sndcgan32", 32 * 32 * 3, (3_828_739, 5_860_865)),
        ("sndcgan128", 128 * 128 * 3, (19_926_019, 5_983_745)),
        ("resnet32", 32 * 32 * 3, (5_849_603, 1_483_137)),
        ("resnet128", 128 * 128 * 3, (13_786_115, 15_086_529)),
    ] {
        let config = Config::preset(name).unwrap();
        assert_eq!(config.parameter_counts(data_dim), counts, "{name}");
        assert!(config.check_data_dim(data_dim).is_ok());
    }
}

/// What is quoted of the large study is of the setting that it belongs to.
#[test]
fn presets_that_quote_a_result_have_its_setting() {
    for (name, fid, k, penalty) in [
        ("sndcgan32", "Large-Scale Study", 1, None),
        ("sndcgan128", "FID 24.67", 1, Some(1.0)),
        ("resnet32", "FID 22.91", 5, None),
        ("resnet128", "FID 29.04", 1, Some(1.0)),
    ] {
        assert!(Preset::find(name).unwrap().text.contains(fid), "{name}");
        let c = Config::preset(name).unwrap();
        let weights = c.discriminator.penalties.iter().map(|p| match &p.kind {
            PenaltyKind::GradientPenalty(p) => p.weight,
            other => panic!("{name}: {other:?}"),
        });
        assert_eq!(weights.collect::<Vec<f64>>(), Vec::from_iter(penalty));
        assert_eq!((c.train.batch, c.train.k, c.noise.dim), (64, k, 128));
        assert!(!c.train.joined, "{name}: a power iteration for each");
        let text = c.to_toml();
        let optimizer = text.split("\n[optimizer]\n").nth(1).expect("one for both");
        let optimizer = optimizer.split("\n\n").next().unwrap_or_default();
        for line in ["beta1 = 0.5", "beta2 = 0.999", "lr = 0.0002"] {
            assert!(optimizer.contains(line), "{name}: {optimizer}");
        }
    }
}

/// Kurach et al. 2019: the settings whose FID is known.
#[test]
fn presets_of_the_study_have_the_settings_of_its_table() {
    let gp = |weight| Some(("gp", weight));
    let all = [
        (
            "sndcgan32",
            "25.27",
            "ns",
            "spectral",
            None,
            [2e-4, 0.5, 0.999],
            1,
        ),
        (
            "study-cifar10-sndcgan",
            "28.66",
            "ns",
            "none",
            None,
            [1e-4, 0.5, 0.999],
            1,
        ),
        (
            "study-cifar10-sndcgan-sn-gp",
            "26.00",
            "ns",
            "spectral",
            gp(10.0),
            [2e-4, 0.5, 0.999],
            1,
        ),
        (
            "study-cifar10-resnet",
            "28.12",
            "ns",
            "none",
            None,
            [2e-4, 0.5, 0.999],
            5,
        ),
        (
            "resnet32",
            "22.91",
            "ns",
            "spectral",
            None,
            [2e-4, 0.5, 0.999],
            5,
        ),
        (
            "study-cifar10-resnet-sn-gp",
            "22.73",
            "ns",
            "spectral",
            gp(1.0),
            [2e-4, 0.5, 0.999],
            5,
        ),
        (
            "study-celebahq-sndcgan",
            "61.15",
            "ns",
            "none",
            None,
            [4.12e-4, 0.246, 0.341],
            1,
        ),
        (
            "study-celebahq-sndcgan-sn",
            "28.21",
            "ns",
            "spectral",
            None,
            [2e-4, 0.5, 0.9],
            1,
        ),
        (
            "study-celebahq-sndcgan-sn-gp",
            "24.67",
            "ns",
            "spectral",
            gp(1.0),
            [2e-4, 0.5, 0.999],
            1,
        ),
        (
            "study-celebahq-resnet",
            "34.29",
            "ns",
            "none",
            None,
            [3.38e-5, 0.3753, 0.9982],
            1,
        ),
        (
            "study-celebahq-resnet-ln",
            "30.02",
            "ns",
            "layer",
            None,
            [1e-4, 0.5, 0.999],
            1,
        ),
        (
            "study-celebahq-resnet-sn-gp",
            "29.04",
            "ns",
            "spectral",
            gp(1.0),
            [2e-4, 0.5, 0.999],
            1,
        ),
        (
            "study-celebahq-resnet-ln-dragan",
            "29.13",
            "ns",
            "layer",
            Some(("dragan", 1.0)),
            [1e-4, 0.5, 0.9],
            5,
        ),
        (
            "study-lsun-sndcgan",
            "163.51",
            "ns",
            "none",
            None,
            [2e-4, 0.5, 0.999],
            1,
        ),
        (
            "study-lsun-sndcgan-sn",
            "53.59",
            "ns",
            "spectral",
            None,
            [2.64e-4, 0.011, 0.966],
            1,
        ),
        (
            "study-lsun-resnet-ls",
            "102.74",
            "ls-sigmoid",
            "none",
            None,
            [3.22e-5, 0.585, 0.9904],
            1,
        ),
        (
            "study-lsun-resnet-ls-sn",
            "41.6",
            "ls-sigmoid",
            "spectral",
            None,
            [2e-4, 0.5, 0.999],
            1,
        ),
        (
            "study-lsun-resnet-sn",
            "42.51",
            "ns",
            "spectral",
            None,
            [2.851e-4, 0.1019, 0.998],
            1,
        ),
        (
            "study-lsun-resnet-ln-gp",
            "40.36",
            "ns",
            "layer",
            gp(0.1451),
            [1.281e-4, 0.7108, 0.9792],
            1,
        ),
    ];
    for (name, fid, loss, norm, penalty, [lr, beta1, beta2], k) in all {
        let quoted = Preset::find(name)
            .unwrap()
            .text
            .contains(&format!("FID {fid}"));
        assert!(quoted, "{name}");
        let c = Config::preset(name).unwrap();
        assert_eq!(
            (c.train.batch, c.train.k, c.noise.dim),
            (64, k, 128),
            "{name}"
        );
        assert_eq!(c.loss.kind.name(), loss, "{name}");
        let Rule::Adam(adam) = &c.optimizer.rule else {
            panic!("{name}: {:?}", c.optimizer);
        };
        assert_eq!(
            [c.optimizer.lr, adam.beta1, adam.beta2],
            [lr, beta1, beta2],
            "{name}"
        );
        let layers = &c.discriminator.layers;
        let has_norm = layers.iter().any(|l| l.kind.norm().is_some());
        let has_transform = |l: &Layer| l.weights().is_some_and(|w| w.transform.is_some());
        let is_spectral = layers.iter().any(has_transform);
        assert_eq!(
            (has_norm, is_spectral),
            (norm == "layer", norm == "spectral"),
            "{name}"
        );
        let penalties = c.discriminator.penalties.iter().map(|p| match &p.kind {
            PenaltyKind::GradientPenalty(gp) => (p.kind.name(), gp.weight),
            PenaltyKind::Dragan(dragan) => (p.kind.name(), dragan.weight),
            other => panic!("{name}: {other:?}"),
        });
        assert_eq!(
            penalties.collect::<Vec<_>>(),
            Vec::from_iter(penalty),
            "{name}"
        );
    }
}
