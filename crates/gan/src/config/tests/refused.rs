//! What is no configuration: messages with line, key and what was expected.

use super::*;
use crate::nn::{Activation, LayerKind};
use ganforge_data::DataSet;

/// The words of a list as an error names them.
fn quoted<'n>(names: impl IntoIterator<Item = &'n &'n str>) -> String {
    let names = names.into_iter().map(|n| format!("{n:?}"));
    names.collect::<Vec<_>>().join(", ")
}

fn message(text: &str) -> String {
    Config::from_toml(text, "run.toml").unwrap_err().to_string()
}

fn message_of(error: &ConfigError) -> &str {
    &error.faults[0].message
}

/// The preset's text with one line, found by its start within a part of the file, replaced.
fn edited(after: &str, line: &str, with: &str) -> String {
    let text = Preset::find("mnist").unwrap().text;
    let start = text.find(after).unwrap();
    let from = start + text[start..].find(&format!("\n{line}")).unwrap() + 1;
    let to = from + text[from..].find('\n').unwrap();
    format!("{}{with}{}", &text[..from], &text[to..])
}

/// Every key that takes a number with a fraction.
#[test]
fn a_number_that_f32_does_not_hold_is_refused_with_its_key_and_line() {
    let init = |how: &str| format!("generator.layer.h0.init.{how}");
    let keys = [
        "generator.layer.h0.bias",
        "generator.layer.h0.max_col_norm",
        "discriminator.layer.h0.keep_prob",
        "discriminator.layer.h0.scale",
        "optimizer.lr",
        "optimizer.lr_min",
        "optimizer.momentum.start",
        "optimizer.momentum.end",
        "train.average",
    ];
    let adam = ["beta1", "beta2", "eps"].map(|key| format!("optimizer.{key}"));
    let mut all: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    all.extend([
        init("uniform"),
        init("normal"),
        "generator.layer.h0.slope".into(),
    ]);
    all.extend(adam);
    for key in &all {
        let mut options = vec![format!("{key}=1e-300")];
        if key.ends_with("slope") {
            options.insert(0, "generator.layer.h0.activation=leaky_relu".into());
        }
        if key.contains("beta") || key.ends_with("eps") {
            options.insert(0, "optimizer.kind=adam".into());
        }
        if key.ends_with("scale") {
            options.insert(0, "discriminator.layer.h0.keep_prob=0.5".into());
        }
        let error = Config::preset("tiny").unwrap().with(&options).unwrap_err();
        let end = "got 1e-300, which is 0 in f32";
        assert!(message_of(&error).ends_with(end), "{key}: {error}");
        assert_eq!(error.faults[0].key.as_ref(), Some(key));
    }
    let text = edited("[optimizer]", "lr ", "lr = 1e-46");
    let line = text.lines().position(|l| l == "lr = 1e-46").unwrap() + 1;
    let expected = format!("run.toml:{line}: optimizer.lr must be a number above 0");
    assert!(message(&text).starts_with(&expected), "{}", message(&text));
    for (key, written, part) in [
        ("optimizer.beta2", "0.999999999", "which is 1 in f32"),
        ("train.average", "0.99999999", "which is 1 in f32"),
        ("optimizer.lr", "1e300", "at most 1000, got 1e300"),
        ("optimizer.lr", "1e400", "got a number too large for f32"),
        ("optimizer.lr", "inf", "got inf"),
    ] {
        let options = [
            "optimizer.kind=adam".to_string(),
            format!("{key}={written}"),
        ];
        let error = Config::preset("tiny").unwrap().with(&options).unwrap_err();
        assert!(message_of(&error).ends_with(part), "{error}");
    }
    // The smallest that f32 holds is a number like another.
    assert!(
        Config::preset("tiny")
            .unwrap()
            .with(&["generator.layer.h0.bias=1e-45"])
            .is_ok()
    );
}

#[test]
fn text_that_is_no_word_is_shown_in_its_quotes() {
    for (option, form) in [
        (
            "data.set=/my data/d.npz",
            r#"--set 'data.set="/my data/d.npz"'"#,
        ),
        (
            "data.set=/it's here/d.npz",
            r#"--set 'data.set="/it'\''s here/d.npz"'"#,
        ),
    ] {
        let error = Config::preset("tiny").unwrap().with(&[option]).unwrap_err();
        assert!(
            message_of(&error).ends_with(&format!("as in {form}")),
            "{error}"
        );
    }
    // And that form is read.
    let config = Config::preset("tiny").unwrap();
    let config = config.with(&[r#"data.set="/my data/d.npz""#]).unwrap();
    assert_eq!(config.data.set.as_str(), "/my data/d.npz");
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
            "colour = 1",
            "eval.colour (known here: samples, metrics, valid, every, best, best_on)",
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
            // ... and the other kinds that have one.
            "discriminator.layer.h0.activation is not used here, only with kind = \"linear\" or ",
        ),
        (
            "keep_prob = 1.0",
            "keep_prob = 1.0\nscale = 2.0",
            "generator.layer.h0.scale is not used here, only with keep_prob below 1",
        ),
        (
            "keep_prob = 1.0",
            "keep_prob = 1.0\ndropout_epochs = 2",
            "generator.layer.h0.dropout_epochs is not used here, only with keep_prob below 1",
        ),
    ] {
        assert!(all.contains(find));
        let got = message(&all.replacen(find, with, 1));
        assert!(
            got.starts_with("run.toml:") && got.contains(expected),
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
            "optimizer.lr_min=0.3",
            "optimizer.lr_min must be a number at least 0 and at most 0.2, got 0.3",
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
            "generator.layer.h0.keep_prob=0",
            "must be a number above 0 and at most 1, got 0",
        ),
        ("discriminator.layer.h0.keep_prob=1.1", "got 1.1"),
        (
            "generator.layer.h0.activation=rleu",
            &format!(
                "must be one of {}, got \"rleu\", did you mean \"relu\"?",
                quoted(Activation::NAMES)
            ),
        ),
        (
            "generator.layer.h0.name=H0",
            "generator.layer[0].name must be 1 to 32 of a-z, 0-9 and _, got \"H0\"",
        ),
        (
            "generator.layer.h0.name=h1",
            "generator.layer.h1.name is already the name of an earlier layer",
        ),
        (
            "generator.layer.h0.init.sparse=101",
            "generator.layer.h0.init = { sparse = 101 } must be at most 100, the layer's inputs",
        ),
        (
            "generator.layer.h0.init={}",
            "generator.layer.h0.init must hold exactly one of uniform, normal, truncated_normal, sparse, glorot, he and run, got 0",
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
            "the sigmoid is in the loss",
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
    c.discriminator.layers[0].affine_mut().unwrap().units = usize::MAX;
    assert_eq!(c.parameter_counts(usize::MAX).1, u64::MAX);
}

#[test]
fn syntax_errors_and_sizes_that_nobody_knows_name_their_line() {
    assert!(message("name = \"a\"\nseed = \n").starts_with("run.toml:2: not TOML: "));
    assert!(message("seed = 1\nseed = 2\n").starts_with("run.toml:2: not TOML: "));
    let text = "name = 'a'\n\n[data]\nset = 'a.npz'\n";
    let expected = "run.toml:1: generator.layer.out.units must be given: the size";
    assert!(message(text).starts_with(expected), "{}", message(text));
    let text = format!("{text}[[generator.layer]]\nactivation = 'tanh'\n");
    let expected = "run.toml:5: generator.layer.out.units must be given: the size";
    assert!(message(&text).starts_with(expected), "{}", message(&text));
    let flood = format!("a = {}", "[".repeat(100_000));
    assert!(message(&flood).contains("not TOML"));
    let dots = format!("a{} = 1", ".a".repeat(100_000));
    assert!(message(&dots).contains("not TOML"));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = "\
name = '../x'
sead = 1
[data]
set = 'minst'
resize = 3
[train]
epochs = 0
k = 2
update = 'simultaneous'
[optimizer]
kind = 'sgd'
beta1 = 0.5
momentum = { start = 2, strat = 1 }
[[generator.layer]]
units = 1.5
keep_prob = 0
[[generator.layer]]
kind = 'maxuot'
pieces = 3
";
    let options = ["output.grid=3", "train.batch", "eval.evry=1"];
    let error = Config::from_toml_with(text, "run.toml", &options).unwrap_err();
    let expected = "\
16 errors in the configuration:
  run.toml:1: name must be 1 to 64 letters, digits, '-', '_' and '.', not starting with '.', got \"../x\"
  run.toml:2: unknown key sead, did you mean seed?
  run.toml:4: data.set must be SETS, or the path \
of an .npz, .npy, .mat, .tar, .zip, .mdb or IDX file, or of a folder, with a / in it, got \"minst\", did you mean \"mnist\"?
  run.toml:5: data.resize is not used here, only with a folder or an archive of pictures
  run.toml:7: train.epochs must be a whole number from 1 to 1000000, got 0
  run.toml:8: train.k is not used here, only with update = \"alternating\"
  run.toml:12: optimizer.beta1 is not used here, only with kind = \"adam\"
  run.toml:13: optimizer.momentum.start must be a number at least 0 and below 1, got 2
  run.toml:13: unknown key optimizer.momentum.strat, did you mean optimizer.momentum.start?
  run.toml:15: generator.layer[0].units must be a whole number from 1 to 1000000, got 1.5
  run.toml:16: generator.layer[0].keep_prob must be a number above 0 and at most 1, got 0
  run.toml:18: generator.layer[1].kind must be one of KINDS, got \"maxuot\", did you mean \"maxout\"?
  --set train.batch: expected key=value, such as train.batch=64
  --set eval.evry=1: unknown key eval.evry, did you mean eval.every?
  --set output.grid=3: output.grid must be two whole numbers from 1 to 100, rows and columns, got 3";
    let expected = expected.replacen("16", "15", 1);
    let sets: Vec<&str> = DataSet::names().collect();
    let expected = expected.replace("KINDS", &quoted(LayerKind::NAMES));
    let expected = expected.replace("SETS", &quoted(&sets));
    assert_eq!(error.to_string(), expected);
    // What keys must be to each other is said together too, once each has a good value.
    let wrong = [
        "discriminator.layer.out.units=2",
        "generator.layer.out.units=3",
    ];
    let error = mnist().with(&wrong).unwrap_err();
    assert_eq!(error.faults.len(), 2, "{error}");
}

/// Layers of images that do not fit: each says its key, with the line or option that it comes from, and why.
#[test]
fn layers_of_images_that_do_not_fit_say_why() {
    let pool = |keys: &str| format!("discriminator.layer+={{name='p', {keys}, after='h1'}}");
    for (option, expected) in [
        (
            pool("kind='mean_pool', kernel=3, padding=5"),
            "discriminator.layer.p.padding of 5 on each side makes windows of 3 rows or columns that hold no pixel",
        ),
        (
            pool("kind='max_pool', kernel=2, stride=9"),
            "discriminator.layer.p.stride of 9 steps over the whole image, whose height is 7",
        ),
        (
            pool("kind='max_pool', kernel=9, stride=1"),
            "discriminator.layer.p.kernel does not fit 7x7: windows of 9 rows do not fit",
        ),
        (
            "discriminator.layer.h0.stride=29".into(),
            "discriminator.layer.h0.stride of 29 steps over the whole image, whose height is 28",
        ),
        (
            "discriminator.layer.out.norm=layer".into(),
            "discriminator.layer.out.norm normalises the values of an example, and there is one of them",
        ),
        (
            "generator.layer+={name='u', kind='upsample', before='h0'}".into(),
            "generator.layer.u.kind is an enlargement, which needs images [height, width, channels], and its input is 100",
        ),
        (
            "generator.layer.h0.shape=[1000,1000,1000]".into(),
            "generator.layer.h0.shape has 1000000000 values, at most 1000000",
        ),
    ] {
        let preset = Config::preset("dcgan28").unwrap();
        let message = preset.with(&[&option]).unwrap_err().to_string();
        assert!(message.contains(expected), "{option}: {message}");
    }
    // What an op says of sizes, without the place in this program where it was recorded.
    let grown =
        (0..8).map(|i| format!("generator.layer+={{name='u{i}', kind='upsample', factor=100}}"));
    let preset = Config::preset("dcgan28").unwrap();
    let options: Vec<String> = grown.collect();
    let message = preset.with(&options).unwrap_err().to_string();
    let expected = "generator.layer.u3.kind cannot be built: unpool: too many elements: [1, 14000000, 14000000, 64]";
    assert!(message.ends_with(expected), "{message}");
}
