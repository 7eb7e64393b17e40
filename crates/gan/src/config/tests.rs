mod bases;
mod presets;
mod refused;

use super::*;

fn affine(layer: &Layer) -> &Affine {
    layer.affine().unwrap()
}

fn mnist() -> Config {
    Config::preset("mnist").unwrap()
}

#[test]
fn what_comes_from_another_run_is_said_once_and_whole() {
    let layer = [
        "generator.layer.h1.init.run=h0",
        "generator.layer.h1.bias=run",
    ];
    let c = mnist().with(&layer).unwrap();
    assert_eq!(
        affine(&c.generator.layers[1]).weights.init,
        Init::Run("h0".into())
    );
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
fn written_configuration_reads_back_equal() {
    let adam: &[&str] = &[
        "optimizer.kind=adam",
        "optimizer.beta1=0.5",
        "train.update=alternating",
        "train.k=3",
        "generator.layer.h0.activation=leaky_relu",
        "generator.layer.h0.slope=0.2",
        "generator.layer.h1.init.sparse=15",
        "discriminator.layer.h0.keep_prob=0.3",
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
fn options_are_applied_together_and_take_old_choices_along() {
    let c = mnist()
        .with(&["train.update=alternating", "optimizer.kind=adam"])
        .unwrap();
    assert_eq!((c.train.update, c.train.k), (Update::Alternating, 1));
    assert!(matches!(c.optimizer.rule, Rule::Adam(adam) if adam.beta1 == 0.9));
    let c = c
        .with(&[
            "train.update=simultaneous",
            "discriminator.layer.h0.kind=linear",
            "discriminator.layer.h0.activation = relu",
        ])
        .unwrap();
    let LayerKind::Linear(linear) = &c.discriminator.layers[0].kind else {
        panic!("{c:?}");
    };
    assert_eq!(linear.activation, Activation::Relu(Relu {}));
    assert_eq!(c.train.update, Update::Simultaneous);
    let c = mnist()
        .with(&["discriminator.layer.h1.keep_prob=0.25"])
        .unwrap();
    let (keep_prob, scale) = (0.25, 4.0);
    let dropout = c.discriminator.layers[1].dropout();
    assert_eq!(dropout, Some(Dropout { keep_prob, scale }));
    let mut c = mnist();
    c.set("data.set=fashion-mnist").unwrap();
    assert_eq!(c.data.set.as_str(), "fashion-mnist");
    assert!(c.set("data.set=7").is_err());
    assert_eq!(c.data.set.as_str(), "fashion-mnist");
}

#[test]
fn options_that_name_nothing_say_so() {
    for (option, expected) in [
        ("train.batch", "expected key=value"),
        ("=3", "expected a key"),
        ("train..batch=3", "expected a key"),
        ("train.batch=", "expected a number"),
        ("train.batch=1\nepochs = 3", "expected a number"),
        ("train.batch={", "the { after the = is not closed"),
        ("trian.batch=3", "unknown key trian, did you mean train?"),
        (
            "train.bach=3",
            "unknown key train.bach, did you mean train.batch?",
        ),
        (
            "generator.layer.h9.units=3",
            "generator.layer has no element \"h9\", only h0, h1, out, did you mean h0?",
        ),
        ("generator.layer=3", "must be an array of tables"),
        (
            "generator.layer.units=3",
            "generator.layer is an array; name the element",
        ),
        (
            "seed.x=3",
            "seed must be a whole number from 0 to 9223372036854775807, got a table",
        ),
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
    let metrics = "metrics = [{ kind = \"parzen\", valid = 100 }] ";
    let without = tiny.replace(metrics, "");
    let old = &tiny.replace(metrics, "valid = 100 ");
    for (set, units, metric) in [
        ("ring", "2", "modes"),
        ("grid", "2", "modes"),
        ("gaussian", "1", "density"),
    ] {
        let config = read(&toy(set, units), &without).unwrap();
        assert_eq!(config.data.set.as_str(), set);
        assert_eq!(
            (bases::metrics(&config), config.noise.distribution),
            (vec![metric], Distribution::UnitUniform)
        );
        let text = config.to_toml();
        assert!(!text.contains("valid"), "{text}");
        assert_eq!(Config::from_toml(&text, "again").unwrap(), config);
    }
    let refused = |options: &[String], text: &str| read(options, text).unwrap_err().to_string();
    let message = refused(&toy("ring", "1"), &without);
    assert!(message.contains("out.units must be 2"), "{message}");
    let message = refused(&toy("ring", "2"), old);
    assert!(message.contains("eval.valid"), "{message}");
    let message = refused(&toy("rin", "2"), tiny);
    assert!(message.contains("did you mean \"ring\"?"), "{message}");
}

#[test]
fn metrics_are_named_and_must_fit_the_data() {
    let read = |text: &str| Config::from_toml(text, "t.toml");
    let written = "metrics = [\"modes\", { kind = \"parzen\", valid = 7 }]\n";
    let config = read(&format!("data.set = 'ring'\n[eval]\n{written}")).unwrap();
    assert_eq!(bases::metrics(&config), ["modes", "parzen"]);
    let text = config.to_toml();
    assert!(text.contains(written), "{text}");
    assert_eq!(read(&text).unwrap(), config);
    let changed = config.with(&["eval.metrics.parzen.valid=8", "eval.metrics-=modes"]);
    assert!(
        changed
            .unwrap()
            .to_toml()
            .contains("metrics = [{ kind = \"parzen\", valid = 8 }]\n")
    );
    // Where it stood once.
    let old = config.with(&["eval.valid=7"]).unwrap();
    assert_eq!(old, config);
    for (text, message) in [
        (
            "\neval.metrics = ['modes']",
            "t.toml:2: eval.metrics has \"modes\", which needs a toy set, whose modes are known, and data.set is \"mnist\"",
        ),
        (
            "data.set = 'ring'\n[eval]\nsamples = 3\nmetrics = ['density']",
            "t.toml:4: eval.metrics has \"density\", which needs a toy set on the line, and data.set is \"ring\"",
        ),
        (
            "data.contrast = 'gcn'\neval.metrics = ['fid']",
            "t.toml:2: eval.metrics has \"fid\", which needs pixels from 0 to 1, and values of images with data.contrast = \"gcn\"",
        ),
        (
            "eval.metrics = ['parzn']",
            "t.toml:1: eval.metrics.parzn.kind must be one of \"parzen\", ",
        ),
        ("eval.metrics = ['parzn']", "did you mean \"parzen\"?"),
        (
            "eval.metrics = ['parzen', 'parzen']",
            "t.toml:1: eval.metrics has two scores of the name \"log_likelihood\"",
        ),
        (
            "eval.best = 'fid'\neval.every = 1",
            "t.toml:1: eval.best is \"fid\", no score of eval.metrics, which are log_likelihood",
        ),
        (
            "eval.metrics = ['fid']\neval.best = 'fid'",
            "t.toml:2: eval.best needs scores during training: expected eval.every",
        ),
        (
            "eval.metrics = ['prdc']\neval.best = 'recal'\neval.every = 1",
            "t.toml:2: eval.best is \"recal\", no score of eval.metrics: did you mean \"recall\"?",
        ),
        (
            "eval.metrics = ['fid', { kind = 'fid', protocol = 'clean-fid' }]\neval.best = 'fid'\neval.every = 1",
            "t.toml:2: eval.best is \"fid\", which could be fid_mnistnet, fid_mnistnet_clean_fid: name one of them",
        ),
        (
            "eval.metrics = ['kid']\neval.best = 'kid_stderr'\neval.every = 1",
            "t.toml:2: eval.best is \"kid_stderr\", its standard error, of which neither more nor less is better",
        ),
        (
            "eval.metrics = ['ms-ssim']\neval.best = 'ms-ssim'\neval.every = 1",
            "t.toml:2: eval.best is \"ms-ssim\", similarity of pairs of samples, of which neither more nor less is better",
        ),
        (
            "eval.best = 'parzen'\neval.every = 1",
            "t.toml:1: eval.best is \"parzen\", whose width is chosen on the validation images: expected another score, or eval.best_on = \"test\"",
        ),
        (
            "eval.best_on = 'test'",
            "t.toml:1: eval.best_on is not used here, only with best",
        ),
        (
            "eval.metrics = []",
            "t.toml:1: eval.metrics must hold at least one metric",
        ),
        (
            "data.set = 'ring'\neval.valid = 3",
            "t.toml:2: eval.valid is not used here, only with the metric parzen",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
