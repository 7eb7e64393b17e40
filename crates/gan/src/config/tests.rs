use super::*;

fn mnist() -> Config {
    Config::preset("mnist").unwrap()
}

fn message(text: &str) -> String {
    Config::from_toml(text, "run.toml").unwrap_err().to_string()
}

/// The preset's text with one line, found by its start within a part of the file, replaced.
fn edited(after: &str, line: &str, with: &str) -> String {
    let text = Preset::find("mnist").unwrap().text;
    let start = text.find(after).unwrap();
    let from = start + text[start..].find(&format!("\n{line}")).unwrap() + 1;
    let to = from + text[from..].find('\n').unwrap();
    format!("{}{with}{}", &text[..from], &text[to..])
}

#[test]
fn preset_mnist_is_the_papers() {
    let c = mnist();
    assert_eq!(c.parameter_counts(784), (2_503_984, 1_231_441));
    assert_eq!((c.output_dim(), c.noise.dim), (784, 100));
    assert_eq!(c.noise.distribution, Distribution::Uniform);
    let names: Vec<_> = c.generator.layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["h0", "h1", "out"]);
    assert_eq!(c.generator.layers[2].bias, Bias::Marginals);
    let dropout = |i: usize| c.discriminator.layers[i].dropout.unwrap();
    assert_eq!((dropout(0).include, dropout(0).scale), (0.8, 1.25));
    assert_eq!((dropout(1).include, dropout(1).scale), (0.5, 2.0));
    assert_eq!((dropout(2).include, dropout(2).scale), (0.5, 2.0));
    assert!(c.generator.layers.iter().all(|l| l.dropout.is_none()));
    assert_eq!(
        c.discriminator.layers[1].kind,
        LayerKind::Maxout { pieces: 5 }
    );
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
    assert!(layers.clone().all(|l| l.init == Init::Glorot));
    assert!(layers.clone().all(|l| l.dropout.is_none()));
}

#[test]
fn presets_with_the_papers_nets_have_its_parameter_counts() {
    for name in ["mnist-best", "fashion-mnist"] {
        let c = Config::preset(name).unwrap();
        assert_eq!(c.parameter_counts(784), (2_503_984, 1_231_441), "{name}");
        let mut discriminator = mnist().discriminator;
        let first = discriminator.layers[0].dropout.as_mut().unwrap();
        first.epochs = Some(40); // then D sees all pixels
        assert_eq!(c.discriminator, discriminator, "{name}");
        assert_eq!(c.generator, mnist().generator, "{name}");
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
        let dropout = |i: usize| c.discriminator.layers[i].dropout.unwrap();
        let expected = [(0.8, 1.25), (0.5, 2.0), (0.5, 2.0)];
        assert_eq!(
            [0, 1, 2].map(|i| (dropout(i).include, dropout(i).scale)),
            expected
        );
        let norm = (preset != "cifar10-mlp").then_some(1.9365);
        let layers = c.generator.layers.iter().chain(&c.discriminator.layers);
        assert!(layers.clone().all(|l| l.max_col_norm == norm), "{preset}");
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
        assert_eq!((layer.kind, layer.units), (original.kind, original.units));
    }
    assert_eq!(second.generator.layers[1].units, first.noise.dim);
    let alone = second.without_other_run();
    assert_eq!(alone.layers_from_run().count(), 0);
    assert_eq!(alone.parameter_counts(2304), second.parameter_counts(2304));
    assert_eq!(Config::from_toml(&alone.to_toml(), "alone").unwrap(), alone);
}

#[test]
fn what_comes_from_another_run_is_said_once_and_whole() {
    let layer = [
        "generator.layer.h1.init.run=h0",
        "generator.layer.h1.bias=run",
    ];
    let c = mnist().with(&layer).unwrap();
    assert_eq!(c.generator.layers[1].init, Init::Run("h0".into()));
    let named = c
        .with(&[text_option("init_from", "runs/a \"b\" \\c\u{7f}")])
        .unwrap();
    assert_eq!(named.init_from.as_deref(), Some("runs/a \"b\" \\c\u{7f}"));
    assert_eq!(Config::from_toml(&named.to_toml(), "again").unwrap(), named);
    for (options, expected) in [
        (
            &layer[..1],
            "generator.layer.h1.bias = \"run\" and init = { run = .. } go together",
        ),
        (
            &layer[1..],
            "generator.layer.h1.bias = \"run\" and init = { run = .. } go together",
        ),
        (
            &["init_from=runs/a"],
            "init_from is not used here, only with a layer",
        ),
        (
            &["generator.layer.h1.init.run=H0"],
            "must be the name of a layer of another run, got \"H0\"",
        ),
        (
            &["generator.layer.h1.init.run=3"],
            "must be the name of a layer of another run, got 3",
        ),
    ] {
        let got = mnist().with(options).unwrap_err().to_string();
        assert!(got.contains(expected), "{got}");
    }
}

#[test]
fn every_key_of_a_preset_has_a_comment_and_none_is_left_out() {
    for preset in presets() {
        let config = Config::preset(preset.name).unwrap();
        assert_eq!(config.name, preset.name);
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
        assert_eq!(keys(preset.text), keys(&config.to_toml()));
    }
}

#[test]
fn written_configuration_reads_back_equal() {
    let adam: &[&str] = &[
        "optimizer.kind=adam",
        "optimizer.beta1=0.5",
        "train.update=alternating",
        "train.k=3",
        "generator.layer.h0.activation=leaky_relu",
        "generator.layer.h0.slope=0.2",
        "generator.layer.h1.init.sparse=15",
        "discriminator.layer.h0.include=0.3",
        "discriminator.layer.h0.dropout_epochs=7",
        "discriminator.layer.h0.max_col_norm=1.9365",
        "loss.generator=minimax",
        "noise.distribution=spherical",
    ];
    let odd_path = &["data.set='a\\b \"c\" \u{e9}.npz'"];
    for config in [
        mnist(),
        Config::preset("tiny").unwrap(),
        mnist().with(adam).unwrap(),
        mnist().with(odd_path).unwrap(),
        Config::preset("tfd").unwrap(),
        Config::preset("cifar10-mlp").unwrap(),
    ] {
        let text = config.to_toml();
        let again = Config::from_toml(&text, "again").unwrap();
        assert_eq!(again, config);
        assert_eq!(again.to_toml(), text);
    }
}

#[test]
fn unknown_keys_name_line_path_and_nearest() {
    let text = edited("[optimizer]", "momentum", "momentun = 3");
    let line = text
        .lines()
        .position(|l| l.starts_with("momentun"))
        .unwrap()
        + 1;
    let expected = format!(
        "run.toml:{line}: unknown key optimizer.momentun, did you mean optimizer.momentum?"
    );
    assert_eq!(message(&text), expected);
    for (after, line, with, part) in [
        (
            "[train]",
            "batch",
            "bacth = 1",
            "train.bacth, did you mean train.batch?",
        ),
        (
            "[train]",
            "batch",
            "lr_min = 1",
            "train.lr_min, did you mean optimizer.lr_min?",
        ),
        (
            "[eval]",
            "every",
            "weights = 1",
            "eval.weights (known here: samples, valid, every)",
        ),
        (
            "name = \"h1\"",
            "units",
            "unit = 3",
            "generator.layer.h1.unit, did you mean generator.layer.h1.units?",
        ),
        (
            "[train]",
            "[optimizer]",
            "[optimiser]",
            "optimiser, did you mean optimizer?",
        ),
        (
            "[optimizer]",
            "momentum",
            "momentum = { strat = 0.5 }",
            "optimizer.momentum.strat, did you mean optimizer.momentum.start?",
        ),
    ] {
        let got = message(&edited(after, line, with));
        assert!(got.ends_with(&format!("unknown key {part}")), "{got}");
    }
}

#[test]
fn keys_that_nothing_reads_are_refused() {
    let all = mnist().to_toml();
    for (find, with, expected) in [
        (
            "update = \"simultaneous\"",
            "update = \"simultaneous\"\nk = 1",
            "train.k is not used here, only with update = \"alternating\"",
        ),
        (
            "kind = \"sgd\"",
            "kind = \"sgd\"\nbeta1 = 0.5",
            "optimizer.beta1 is not used here, only with kind = \"adam\"",
        ),
        (
            "kind = \"sgd\"",
            "kind = \"adam\"",
            "optimizer.momentum is not used here, only with kind = \"sgd\"",
        ),
        (
            "activation = \"relu\"",
            "activation = \"relu\"\nslope = 0.1",
            "generator.layer.h0.slope is not used here, only with activation = \"leaky_relu\"",
        ),
        (
            "activation = \"relu\"",
            "activation = \"relu\"\npieces = 2",
            "generator.layer.h0.pieces is not used here, only with kind = \"maxout\"",
        ),
        (
            "pieces = 5",
            "pieces = 5\nactivation = \"relu\"",
            "discriminator.layer.h0.activation is not used here, only with kind = \"linear\"",
        ),
        (
            "include = 1.0",
            "include = 1.0\nscale = 2.0",
            "generator.layer.h0.scale is not used here, only with include below 1",
        ),
        (
            "include = 1.0",
            "include = 1.0\ndropout_epochs = 2",
            "generator.layer.h0.dropout_epochs is not used here, only with include below 1",
        ),
    ] {
        assert!(all.contains(find));
        let got = message(&all.replacen(find, with, 1));
        assert!(
            got.starts_with("run.toml:") && got.ends_with(expected),
            "{got}"
        );
    }
}

#[test]
fn wrong_values_name_the_key_and_the_range() {
    for (option, expected) in [
        (
            "train.batch=0",
            "train.batch must be a whole number from 1 to 1000000, got 0",
        ),
        ("train.batch=1000001", "got 1000001"),
        (
            "train.batch=-1",
            "must be a whole number from 1 to 1000000, got -1",
        ),
        ("train.batch=1.5", "got 1.5"),
        ("train.batch=\"64\"", "got \"64\""),
        (
            "optimizer.lr=0",
            "optimizer.lr must be a number above 0 and at most 1000, got 0",
        ),
        ("optimizer.lr=nan", "got NaN"),
        ("optimizer.lr=inf", "got inf"),
        (
            "optimizer.lr_min=0.2",
            "optimizer.lr_min must be a number at least 0 and at most 0.1, got 0.2",
        ),
        (
            "optimizer.momentum.start=1",
            "optimizer.momentum.start must be a number at least 0 and below 1, got 1",
        ),
        (
            "optimizer.momentum.last=1",
            "must be a whole number from 2 to 1000001, got 1",
        ),
        (
            "generator.layer.h0.units=0",
            "generator.layer.h0.units must be a whole number from 1",
        ),
        (
            "generator.layer.h0.include=0",
            "must be a number above 0 and at most 1, got 0",
        ),
        ("discriminator.layer.h0.include=1.1", "got 1.1"),
        (
            "generator.layer.h0.activation=rleu",
            "must be one of \"linear\", \"relu\", \"leaky_relu\", \"sigmoid\", \"tanh\", \"softplus\", got \"rleu\", did you mean \"relu\"?",
        ),
        (
            "generator.layer.h0.name=H0",
            "generator.layer[0].name must be 1 to 32 of a-z, 0-9 and _, got \"H0\"",
        ),
        (
            "generator.layer.h0.name=h1",
            "generator.layer.h1.name is the name of an earlier layer too",
        ),
        (
            "generator.layer.h0.init.sparse=101",
            "generator.layer.h0.init = { sparse = 101 } must be at most 100, the layer's inputs",
        ),
        (
            "generator.layer.h0.init={}",
            "generator.layer.h0.init must hold exactly one of uniform, normal, sparse, glorot and run, got 0",
        ),
        (
            "generator.layer.h0.bias=marginals",
            "needs the generator's last layer",
        ),
        (
            "discriminator.layer.out.bias=marginals",
            "only a generator's last layer",
        ),
        (
            "discriminator.layer.out.units=2",
            "discriminator.layer.out.units must be 1",
        ),
        (
            "discriminator.layer.out.activation=sigmoid",
            "the loss holds the sigmoid",
        ),
        (
            "discriminator.layer.h0.pieces=1001",
            "from 1 to 1000, got 1001",
        ),
        (
            "generator.layer.out.units=100",
            "generator.layer.out.units must be 784",
        ),
        ("data.set=minst", "did you mean \"mnist\"?"),
        ("output.grid=[10]", "output.grid must be two whole numbers"),
        (
            "output.grid=[10, 10, 1.5]",
            "output.grid must be two whole numbers",
        ),
        ("loss.half=1", "loss.half must be true or false, got 1"),
        ("train=3", "train must be a table, got 3"),
        ("train={}", "missing key train.update"),
        (
            "seed=9223372036854775808",
            "seed must be a whole number from 0",
        ),
        ("name=../x", "name must be"),
    ] {
        let got = mnist().with(&[option]).unwrap_err().to_string();
        assert!(
            got.starts_with("--set ") || got.starts_with("mnist:"),
            "{got}"
        );
        assert!(
            got.contains(expected),
            "{option}\n got {got}\nwant {expected}"
        );
    }
}

#[test]
fn networks_too_large_to_count_or_to_hold_are_refused() {
    let wide = ["h0", "h1"].map(|l| format!("generator.layer.{l}.units=1000000"));
    let got = mnist().with(&wide).unwrap_err().to_string();
    let expected = "generator.layer.h1.units brings the network to 1000102000000 parameters, more than the 8589934592 allowed";
    assert!(got.ends_with(expected), "{got}");
    let mut c = mnist();
    c.discriminator.layers[0].units = usize::MAX;
    assert_eq!(c.parameter_counts(usize::MAX).1, u64::MAX);
}

#[test]
fn options_are_applied_together_and_take_old_choices_along() {
    let c = mnist()
        .with(&["train.update=alternating", "optimizer.kind=adam"])
        .unwrap();
    assert_eq!(c.train.update, Update::Alternating { k: 1 });
    assert!(matches!(c.optimizer.rule, Rule::Adam { beta1, .. } if beta1 == 0.9));
    let c = c
        .with(&[
            "train.update=simultaneous",
            "discriminator.layer.h0.kind=linear",
            "discriminator.layer.h0.activation = relu",
        ])
        .unwrap();
    let activation = Activation::Relu;
    assert_eq!(c.train.update, Update::Simultaneous);
    assert_eq!(
        c.discriminator.layers[0].kind,
        LayerKind::Linear { activation }
    );
    let c = mnist()
        .with(&["discriminator.layer.h1.include=0.25"])
        .unwrap();
    let (include, scale, epochs) = (0.25, 4.0, None);
    assert_eq!(
        c.discriminator.layers[1].dropout,
        Some(Dropout {
            include,
            scale,
            epochs
        })
    );
    let mut c = mnist();
    c.set("data.set=fashion-mnist").unwrap();
    assert_eq!(c.data.set, DataSet::FashionMnist);
    assert!(c.set("data.set=7").is_err());
    assert_eq!(c.data.set, DataSet::FashionMnist);
}

#[test]
fn options_that_name_nothing_say_so() {
    for (option, expected) in [
        ("train.batch", "expected key=value"),
        ("=3", "expected a key"),
        ("train..batch=3", "expected a key"),
        ("train.batch=", "expected a number"),
        ("train.batch=1\nepochs = 3", "expected a number"),
        ("train.batch={", "expected a number"),
        ("trian.batch=3", "unknown key trian, did you mean train?"),
        (
            "train.bach=3",
            "unknown key train.bach, did you mean train.batch?",
        ),
        (
            "generator.layer.h9.units=3",
            "generator.layer has no layer \"h9\", only h0, h1, out, did you mean h0?",
        ),
        ("generator.layer=3", "must be an array of tables"),
        (
            "generator.layer.units=3",
            "generator.layer is an array; name the layer",
        ),
        ("seed.x=3", "seed is not a table but 1"),
    ] {
        let got = mnist().with(&[option]).unwrap_err().to_string();
        assert!(got.starts_with("--set "), "{got}");
        assert!(
            got.contains(expected),
            "{option}\n got {got}\nwant {expected}"
        );
        assert!(!got.contains('\n'), "{got}");
    }
}

#[test]
fn presets_and_files_are_found_by_name_and_path() {
    let got = Config::load("minst").unwrap_err().to_string();
    assert_eq!(
        got,
        "minst: neither a preset nor a file, did you mean mnist?"
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
    assert!(got.ends_with("not UTF-8 text, as TOML must be"), "{got}");
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    let got = Config::load(name).unwrap_err().to_string();
    assert!(got.contains("not a configuration"), "{got}");
    let got = Config::load(folder.path().to_str().unwrap()).unwrap_err();
    assert!(got.to_string().contains("cannot be read"), "{got}");
}

#[test]
fn syntax_errors_and_missing_keys_name_their_line() {
    assert!(message("name = \"a\"\nseed = \n").starts_with("run.toml:2: not TOML: "));
    assert!(message("seed = 1\nseed = 2\n").starts_with("run.toml:2: not TOML: "));
    assert!(message("").starts_with("run.toml:1: missing key name ("));
    let text = edited("[train]", "batch", "");
    let line = text.lines().position(|l| l == "[train]").unwrap() + 1;
    let expected =
        format!("run.toml:{line}: missing key train.batch (a whole number from 1 to 1000000)");
    assert_eq!(message(&text), expected);
    let text = edited("name = \"h1\"", "units", "");
    let line = text
        .lines()
        .position(|l| l.starts_with("name = \"h1\""))
        .unwrap();
    let expected = format!("run.toml:{line}: missing key generator.layer.h1.units (");
    assert!(message(&text).starts_with(&expected), "{}", message(&text));
    let flood = format!("a = {}", "[".repeat(100_000));
    assert!(message(&flood).contains("not TOML"));
    let dots = format!("a{} = 1", ".a".repeat(100_000));
    assert!(message(&dots).contains("not TOML"));
}

/// Preset tiny with nets of the width of a toy set.
fn toy(set: &str, units: &str) -> Vec<String> {
    let options = [
        &format!("data.set={set}"),
        &format!("generator.layer.out.units={units}"),
        "generator.layer.out.bias=0.0",
        "noise.distribution=unit-uniform",
    ];
    options.map(String::from).to_vec()
}

#[test]
fn toy_sets_have_their_width_and_no_validation_images() {
    let tiny = Preset::find("tiny").unwrap().text;
    let read = |options: &[String], text: &str| Config::from_toml_with(text, "t", options);
    let tiny = &tiny.replace("contrast = \"none\" ", "");
    let without = tiny.replace("valid = 100 ", "");
    for (set, units) in [("ring", "2"), ("grid", "2"), ("gaussian", "1")] {
        let config = read(&toy(set, units), &without).unwrap();
        assert_eq!(config.data.set.as_str(), set);
        assert_eq!(
            (config.eval.valid, config.noise.distribution),
            (0, Distribution::UnitUniform)
        );
        let text = config.to_toml();
        assert!(!text.contains("valid"), "{text}");
        assert_eq!(Config::from_toml(&text, "again").unwrap(), config);
    }
    let refused = |options: &[String], text: &str| read(options, text).unwrap_err().to_string();
    let message = refused(&toy("ring", "1"), &without);
    assert!(message.contains("out.units must be 2"), "{message}");
    let message = refused(&toy("ring", "2"), tiny);
    assert!(message.contains("eval.valid"), "{message}");
    let message = refused(&toy("rin", "2"), tiny);
    assert!(message.contains("did you mean \"ring\"?"), "{message}");
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
