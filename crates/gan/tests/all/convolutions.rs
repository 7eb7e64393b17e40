//! Convolutional nets: their steps against PyTorch, shapes that do not fit, checkpoints, samples.

use std::path::Path;

use ganforge_gan::config::Config;
use ganforge_gan::data::{Contrast, Dataset, ImageSize};
use ganforge_gan::files::{ArrayData, read_npz};
use ganforge_gan::nn::{Build, Deconv2d, LayerKind};
use ganforge_gan::sampler::Sampler;
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::Graph;

/// dcgan28 with few channels. A bias before batch norm has no gradient: what Adam makes of its rounding errors is noise.
const SMALL: [&str; 9] = [
    "generator.layer.h0.shape=[7,7,4]",
    "generator.layer.h0.bias=none",
    "generator.layer.h1.channels=3",
    "generator.layer.h1.bias=none",
    "discriminator.layer.h0.channels=4",
    "discriminator.layer.h1.channels=5",
    "discriminator.layer.h1.bias=none",
    "noise.dim=8",
    "train.batch=8",
];

fn config(options: &[&str]) -> Config {
    let preset = Config::preset("dcgan28").and_then(|c| c.with(&[&SMALL, options].concat()));
    preset.expect("valid")
}

const SIZE: ImageSize = ImageSize {
    height: 28,
    width: 28,
    channels: 1,
};

/// The data of make_conv_steps.py.
fn data() -> Dataset {
    let values = (0..100 * 784).map(|i| (i * 7919 % 256) as f32 / 255.0);
    let values: Vec<f32> = values.collect();
    let data = Dataset::of_values("own/bytes", SIZE, &values).expect("examples");
    data.with_contrast(Contrast::Signed)
}

/// make_conv_steps.py redid the steps of `ganforge trace` with torch's conv2d, conv_transpose2d, batch_norm and Adam.
#[test]
fn three_steps_of_dcgan28_are_those_of_pytorch() {
    let config = config(&["optimizer.lr=0.02"]);
    // 72 of the 100 images of a file are to train on.
    let train = data().train.slice(0..72).expect("as many");
    let mut trainer = Trainer::new(&config, &train).expect("a trainer");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/conv_steps.npz");
    let expected = read_npz(&file).expect("the file of make_conv_steps.py");
    let mut compared = 0;
    for step in 0..3 {
        let report = trainer.step().expect("a step");
        for (name, array) in &expected {
            let Some(name) = name.strip_prefix(&format!("{step}/")) else {
                continue;
            };
            let ArrayData::F64(expected) = &array.data else {
                panic!("{name} is f64");
            };
            let found = match name.strip_prefix("after/") {
                Some(name) => trainer.store().get(name).expect("stored").data.to_vec(),
                None => vec![report.get(name).expect("a monitor") as f32],
            };
            assert_eq!(found.len(), expected.len(), "{name}");
            compared += 1;
            for (found, expected) in found.iter().zip(expected) {
                let error = (f64::from(*found) - expected).abs();
                assert!(
                    error < 5e-5,
                    "{name} after step {step}: {found}, {expected}"
                );
            }
        }
    }
    assert_eq!(compared, 3 * (2 + 21));
}

/// `options` changed in a file: the line of `key` in `layer` and what is said of it.
fn refused(net: &str, layer: &str, key: &str, options: &[&str], expected: &str) {
    let text = config(&[]).to_toml();
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    let of = |lines: &[String], net: &str, layer: &str, key: &str| {
        let heading = format!("[[{net}.layer]]");
        let mut from = 0;
        loop {
            from += lines[from..]
                .iter()
                .position(|l| *l == heading)
                .expect("the layer")
                + 1;
            if lines[from] == format!("name = \"{layer}\"") {
                break;
            }
        }
        let begins = format!("{key} = ");
        from + lines[from..]
            .iter()
            .position(|l| l.starts_with(&begins))
            .expect("the key")
    };
    for option in options {
        let (key, value) = option.split_once(" = ").expect("key = value");
        let at = of(&lines, net, layer, key);
        lines[at] = format!("{key} = {value}");
    }
    let line = of(&lines, net, layer, key) + 1;
    let error = Config::from_toml(&lines.join("\n"), "a.toml").unwrap_err();
    let (found, expected) = (
        error.to_string(),
        format!("a.toml:{line}: {net}.layer.{layer}.{key} {expected}"),
    );
    assert!(found.contains(&expected), "{found}\nexpected {expected}");
}

#[test]
fn what_does_not_fit_is_refused_with_its_line_layer_and_sizes() {
    let (g, d) = ("generator", "discriminator");
    let stride = "of 15 steps over the whole image, whose height is 14";
    refused(d, "h1", "stride", &["stride = [15, 2]"], stride);
    let valid = "padding = \"valid\"";
    let kernel = "has the height 29, more than the image's height 28";
    refused(d, "h0", "kernel", &[valid, "kernel = [29, 4]"], kernel);
    let kernel = "has the width 17, more than the image's width 14 with 1 of padding on each side";
    refused(
        d,
        "h1",
        "kernel",
        &["padding = 1", "kernel = [4, 17]"],
        kernel,
    );
    let padding = "of 3 on each side makes windows of 3 rows or columns that hold no pixel";
    refused(
        d,
        "h1",
        "padding",
        &["padding = 3", "kernel = [4, 3]"],
        padding,
    );
    let padding = "of 9 on each side leaves nothing: (7 - 1) * 2 + 4 - 2 * 9 rows or columns, the output's height";
    refused(g, "h1", "padding", &["padding = 9"], padding);
    let kernel = "has the height 1, less than the stride 2: between its places some of the output's 14 are never reached";
    refused(g, "h1", "kernel", &["kernel = [1, 1]"], kernel);
    let units = "must be 196, the values of shape = [7, 7, 4], got 200";
    refused(g, "h0", "units", &["units = 200"], units);
    let partial = "= \"partial\" is not for deconvolutions";
    refused(g, "h1", "padding", &["padding = \"partial\""], partial);
    let sparse = "= { sparse = .. } is not for the filters of a deconvolution";
    refused(g, "h1", "init", &["init = { sparse = 2 }"], sparse);
    let sparse = "= { sparse = 65 } must be at most 64, the layer's inputs";
    refused(d, "h1", "init", &["init = { sparse = 65 }"], sparse);
    let last = |kind: &str| format!("discriminator.layer+={{name=\"l\", {kind}, before=\"out\"}}");
    for (options, expected) in [
        (
            &["generator.layer.h1.stride=[1,1]"][..],
            "generator.layer.out makes images of 14x14x1, those of mnist are 28x28x1",
        ),
        (
            &["generator.layer.out.channels=3"],
            "generator.layer.out makes images of 28x28x3, those of mnist are 28x28x1",
        ),
        (
            &[
                &last("kind=\"flatten\""),
                "discriminator.layer+={name=\"c\", kind=\"conv2d\", before=\"out\"}",
            ],
            "discriminator.layer.c.kind is a convolution, which needs images [height, width, channels], and its input is 245 values",
        ),
        (
            &[&last("kind=\"reshape\", shape=[7,7,6]")],
            "discriminator.layer.l.shape = [7, 7, 6] has 294 values, the layer's input 245",
        ),
        (
            &[
                &last("kind=\"conv2d\", activation=\"linear\", channels=1"),
                "discriminator.layer-=out",
            ],
            "discriminator.layer.l.channels must make one logit of an image, and makes 7x7 places of 1 channel",
        ),
        (
            &["data.contrast=gcn"],
            "must be \"linear\": values of images with data.contrast = \"gcn\" are unbounded",
        ),
        (
            &["generator.layer.out.activation=sigmoid"],
            "generator.layer.out.activation must be \"tanh\" or another one that reaches -1 to 1, the pixels of images with \
             data.contrast = \"signed\", and reaches 0 to 1",
        ),
    ] {
        let message = config_error(options);
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    }
}

fn config_error(options: &[&str]) -> String {
    let error = Config::preset("dcgan28").and_then(|c| c.with(&[&SMALL, options].concat()));
    error.unwrap_err().to_string()
}

/// A deconvolution is the adjoint of the convolution of the same filters from its output to its input: <conv x, y> is
/// <x, deconv y>.
#[test]
fn deconvolutions_are_adjoint_to_convolutions() {
    for (options, side, out) in [
        ("kernel = 4\nstride = 2", 3, 6),
        ("kernel = 5\nstride = 2", 3, 6),
        ("kernel = 3", 4, 4),
        ("kernel = 5\nstride = 3\npadding = 'valid'", 10, 32),
        ("kernel = 4\nstride = 2\npadding = 1", 4, 8),
        ("kernel = 4\npadding = 'valid'", 1, 4),
    ] {
        let config = format!(
            "[data]\nset = 'x.npz'\n[[generator.layer]]\nname = 'z'\nshape = [{side}, {side}, 3]\n[[generator.layer]]\n\
             name = 'c'\nkind = 'deconv2d'\nchannels = 2\nbias = 'none'\nactivation = 'linear'\n{options}\n\
             [[generator.layer]]\nname = 'out'\nunits = 4\nactivation = 'linear'\n"
        );
        let config = Config::from_toml(&config, "adjoint.toml").expect("valid");
        let deconv = &config.generator.layers[1].kind;
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        build.at("G", "c");
        let LayerKind::Deconv2d(Deconv2d { filters, .. }) = deconv else {
            panic!("{deconv:?}");
        };
        let [kh, kw] = filters.kernel;
        let w = graph.input("w", [kh, kw, 2, 3]);
        build.set("G.c.w", w);
        let y = graph.input("y", [2, side, side, 3]);
        let up = deconv.forward(&mut build, y);
        assert_eq!(up.shape().dims(), [2, out, out, 2], "{options}");
        let x = graph.input("x", [2, out, out, 2]);
        // The convolution is the derivative of <x, deconv y> in y.
        let product = (x * up).sum();
        let down = graph.grad(product, &[y]).expect("reached")[0];
        assert_eq!(down.shape(), y.shape());
        let conv = (down * y).sum();
        let values = |n: usize, k: f64| -> Vec<f64> {
            (0..n).map(|i| (k * (i as f64 + 1.0)).sin()).collect()
        };
        let feeds = [
            ("w", values(kh * kw * 6, 0.7)),
            ("y", values(2 * side * side * 3, 1.3)),
            ("x", values(2 * out * out * 2, 0.3)),
        ];
        let of = |var: ganforge_tensor::Var| var.evaluate(&feeds).expect("values")[0];
        let (a, b) = (of(product), of(conv));
        assert!(
            (a - b).abs() < 1e-12 * a.abs().max(1.0),
            "{options}: {a} {b}"
        );
    }
}

#[test]
fn keeping_every_value_changes_no_bit_of_training() {
    let config = config(&[]);
    let mut plain = Trainer::new(&config, &data().train).expect("a trainer");
    let keep = |step: &ganforge_gan::game::Step| step.plan(ganforge_tensor::Keep::All);
    let device = Default::default();
    let mut kept = Trainer::with_plan(&device, &config, &data().train, keep).expect("a trainer");
    for _ in 0..3 {
        assert_eq!(plain.step().expect("a step"), kept.step().expect("a step"));
    }
    assert_eq!(plain.store(), kept.store());
}

#[test]
fn a_convolutional_run_is_saved_resumed_and_sampled() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (config(&[]), data());
    let mut whole = Trainer::new(&config, &data.train).expect("a trainer");
    let path = folder.path().join("c.npz");
    for step in 0..4 {
        if step == 2 {
            whole.save(&path, "sum").expect("written");
        }
        whole.step().expect("a step");
    }
    let mut resumed = Trainer::new(&config, &data.train).expect("a trainer");
    assert_eq!(resumed.load(&path).expect("read"), "sum");
    for _ in 0..2 {
        resumed.step().expect("a step");
    }
    assert_eq!(resumed.store(), whole.store());
    let mut store = whole.store().clone();
    let samples = Sampler::new(&config)
        .expect("recorded")
        .draw(&mut store, 1, 5);
    let samples = samples.expect("drawn");
    assert_eq!(samples.len(), 5 * 784);
    assert!(samples.iter().all(|v| (-1.0..=1.0).contains(v)) && samples.iter().any(|v| *v < 0.0));
}
