//! Residual blocks as they are written and as they are recorded; pools and enlargements as layers.

use std::collections::BTreeMap;

use ganforge_gan::config::{Config, Layer, LayerKind, Network};
use ganforge_gan::data::Images;
use ganforge_gan::nn::{
    BatchNorm, Between, Block, Build, Conv2d, Filters, GlobalMeanPool, GlobalSumPool, LayerNorm,
    MaxPool, MeanPool, NormKind, Padding, Pass, PixelShuffle, Pooling, Resize, SpectralNorm,
    TransformKind, Upsample,
};
use ganforge_gan::sampler::Sampler;
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::gradcheck::{Point, check_with_constants};
use ganforge_tensor::{Graph, Shape};

fn network(kind: LayerKind) -> Network {
    let layer = Layer {
        name: "h".into(),
        kind,
        ..Layer::default()
    };
    Network {
        layers: vec![layer],
        ..Network::default()
    }
}

fn values(n: usize, seed: f64) -> Vec<f64> {
    (1..=n).map(|i| (seed * i as f64).sin()).collect()
}

/// All variants: normalisers of both studies, with and without spectral norm.
fn blocks() -> Vec<(String, Block)> {
    let norms = [
        None,
        Some(NormKind::Batch(BatchNorm::default())),
        Some(NormKind::Layer(LayerNorm::default())),
    ];
    let mut blocks = Vec::new();
    for (resize, norm) in [Resize::None, Resize::Up, Resize::Down]
        .into_iter()
        .flat_map(|r| norms.iter().map(move |n| (r, n.clone())))
    {
        for is_spectral in [false, true] {
            let spectral = || TransformKind::SpectralNorm(SpectralNorm::default());
            let mut block = Block {
                channels: 4,
                resize,
                norm: norm.clone(),
                ..Block::default()
            };
            block.weights.transform = is_spectral.then(spectral);
            let norm = norm.as_ref().map_or("none", |n| n.name());
            let name = format!("{}, norm {norm}, spectral {is_spectral}", resize.name());
            blocks.push((name, block));
        }
    }
    blocks
}

/// The output of a block in training and the gradients of a weighted sum of it, by name.
fn recorded(block: &Block, as_written: bool) -> BTreeMap<String, Vec<f64>> {
    let graph = Graph::new();
    let mut build = Build::new(&graph);
    build.set_as_written(as_written);
    let x = graph.input("x", [3, 6, 4, 3]);
    let network = network(LayerKind::Block(block.clone()));
    let y = build.train("D", &network, &[Pass::new("real", x)]);
    let dy = graph.input("dy", y.shape());
    let specs: Vec<_> = build.tensors().iter().cloned().collect();
    let mut feeds = vec![
        ("x", values(3 * 6 * 4 * 3, 0.37)),
        ("dy", values(y.shape().elements(), 0.91)),
    ];
    for (i, spec) in specs.iter().enumerate() {
        let mut data = values(spec.shape.elements(), 1.3 + 0.1 * i as f64);
        if spec.name.ends_with(".var") {
            data.iter_mut().for_each(|v| *v = v.abs());
        }
        feeds.push((&spec.name, data));
    }
    let params: Vec<_> = specs.iter().filter(|s| s.is_param()).collect();
    let mut wrt: Vec<_> = params
        .iter()
        .map(|s| graph.param(&s.name, s.shape))
        .collect();
    wrt.push(x);
    let grads = graph.grad((y * dy).sum(), &wrt).expect("reached");
    let mut found = BTreeMap::from([("y".to_owned(), y.evaluate(&feeds).expect("values"))]);
    let names = params.iter().map(|s| s.name.as_str()).chain(["x"]);
    for (name, grad) in names.zip(grads) {
        let values = grad.evaluate(&feeds).expect("values");
        found.insert(format!("d{name}"), values);
    }
    for (_, (name, new)) in build.updates(|s| !s.is_param()) {
        found.insert(name, new.evaluate(&feeds).expect("values"));
    }
    found
}

#[test]
fn every_block_computes_what_is_written_and_so_do_its_gradients() {
    for (name, block) in blocks() {
        let (written, executed) = (recorded(&block, true), recorded(&block, false));
        assert!(written.keys().eq(executed.keys()), "{name}");
        let spectral = usize::from(block.weights.transform.is_some()) * 3;
        let of_norm = match &block.norm {
            None => 0,
            Some(NormKind::Batch(_)) => 8,
            Some(_) => 4,
        };
        assert_eq!(written.len(), 8 + spectral + of_norm, "{name}");
        for (what, written) in &written {
            let scale = written.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
            assert!(written.iter().any(|v| *v != 0.0), "{name}: {what} is 0");
            for (a, b) in written.iter().zip(&executed[what]) {
                assert!((a - b).abs() < 1e-12 * scale, "{name}: {what}: {a} {b}");
            }
        }
        let side = match block.resize {
            Resize::None => 6 * 4,
            Resize::Up => 12 * 8,
            Resize::Down => 3 * 2,
        };
        assert_eq!(executed["y"].len(), 3 * side * 4, "{name}");
    }
}

#[test]
fn derivatives_of_each_block_are_those_of_differences_at_both_orders() {
    for (name, mut block) in blocks() {
        block.channels = 2;
        let network = network(LayerKind::Block(block));
        let specs: Vec<_> = {
            let graph = Graph::new();
            let mut build = Build::new(&graph);
            build.eval("D", &network, graph.input("x", [2, 2, 4, 2]));
            build.tensors().iter().cloned().collect()
        };
        let params = specs.iter().filter(|s| s.is_param());
        let shapes = params.map(|s| s.shape).chain([Shape::new(&[2, 2, 4, 2])]);
        let points: Vec<Point> = shapes
            .enumerate()
            .map(|(i, shape)| Point {
                shape,
                data: values(shape.elements(), 1.7 + 0.1 * i as f64),
                varies: true,
            })
            .collect();
        for order in [1, 2] {
            let found = check_with_constants(&points, order, 7, |graph, x| {
                let mut build = Build::new(graph);
                let params = specs.iter().filter(|s| s.is_param());
                for (spec, value) in params.zip(x) {
                    build.set(&spec.name, *value);
                }
                for spec in specs.iter().filter(|s| !s.is_param()) {
                    let value = graph.normal(&spec.name, spec.shape, 0.0, 1.0);
                    build.set(&spec.name, value);
                }
                let pass = Pass::new("real", x[x.len() - 1]);
                // A loss of about 1, whose rounding is small beside the 0 that a bias before batch norm has.
                build.train("D", &network, &[pass]).tanh() * 0.1
            });
            let found = found.expect("recorded");
            let bad: Vec<_> = found.iter().filter(|f| !f.passes()).collect();
            assert!(bad.is_empty(), "{name}, order {order}: {bad:?}");
        }
    }
}

/// What a layer makes of the image [4, 4, 4] of the numbers 0 to 63.
fn made(kind: LayerKind) -> (Vec<usize>, Vec<f64>) {
    let graph = Graph::new();
    let x = graph.input("x", [1, 4, 4, 4]);
    let y = Build::new(&graph).eval("D", &network(kind), x);
    let feeds = [("x", (0..64).map(f64::from).collect())];
    let values = y.evaluate(&feeds).expect("values");
    (y.shape().dims()[1..].to_vec(), values)
}

#[test]
fn pools_and_enlargements_have_their_shapes_and_values() {
    let windows = Pooling {
        kernel: [3, 3],
        stride: [2, 2],
        padding: Padding::Cells(1),
    };
    let pool = |counts_padding| {
        LayerKind::MeanPool(MeanPool {
            windows,
            counts_padding,
        })
    };
    // The first window has the pixels (0, 0), (0, 1), (1, 0) and (1, 1): 0, 4, 16, 20.
    let (shape, values) = made(pool(false));
    assert_eq!((shape, values[0]), (vec![2, 2, 4], 10.0));
    assert_eq!(made(pool(true)).1[0], 40.0 / 9.0);
    let max = made(LayerKind::MaxPool(MaxPool { windows }));
    assert_eq!((max.0, max.1[0], max.1[15]), (vec![2, 2, 4], 20.0, 63.0));
    let halves = made(LayerKind::MaxPool(MaxPool::default()));
    assert_eq!(halves.0, [2, 2, 4]);
    assert_eq!(halves.1[..4], [20.0, 21.0, 22.0, 23.0]);
    let mean = made(LayerKind::GlobalMeanPool(GlobalMeanPool {}));
    assert_eq!(mean, (vec![4], vec![30.0, 31.0, 32.0, 33.0]));
    let sum = made(LayerKind::GlobalSumPool(GlobalSumPool {}));
    assert_eq!(sum, (vec![4], vec![480.0, 496.0, 512.0, 528.0]));
    let larger = |between| made(LayerKind::Upsample(Upsample { factor: 2, between }));
    let second_pixel = |(shape, values): (Vec<usize>, Vec<f64>)| {
        assert_eq!(shape, [8, 8, 4]);
        values[4]
    };
    // Next to the pixel with the 0 of channel 0, whose neighbour has 4.
    assert_eq!(second_pixel(larger(Between::Nearest)), 0.0);
    assert_eq!(second_pixel(larger(Between::Bilinear)), 1.0);
    let zeros = larger(Between::Zeros).1;
    assert_eq!(zeros.iter().filter(|v| **v != 0.0).count(), 63);
    assert_eq!((zeros[4], zeros[8]), (0.0, 4.0));
    let shuffled = made(LayerKind::PixelShuffle(PixelShuffle { factor: 2 }));
    assert_eq!(shuffled.0, [8, 8, 1]);
    assert_eq!(shuffled.1[..4], [0.0, 1.0, 4.0, 5.0]);
    assert_eq!(shuffled.1[8..10], [2.0, 3.0]);
}

/// No window begins behind the image, where a stride is longer than a kernel, too.
#[test]
fn partial_windows_are_as_many_as_begin_on_the_image() {
    for (side, kernel, stride, expected) in [
        (27, 2, 3, 9),
        (28, 2, 3, 10),
        (4, 1, 2, 2),
        (5, 1, 2, 3),
        (3, 1, 3, 1),
        (7, 4, 4, 2),
        (8, 3, 2, 4),
    ] {
        let (kernel, stride, padding) = ([kernel; 2], [stride; 2], Padding::Partial);
        let windows = Pooling {
            kernel,
            stride,
            padding,
        };
        let filters = Filters {
            channels: 2,
            kernel,
            stride,
            padding,
            ..Filters::default()
        };
        let kinds = [
            LayerKind::MaxPool(MaxPool { windows }),
            LayerKind::MeanPool(MeanPool {
                windows,
                counts_padding: false,
            }),
            LayerKind::Conv2d(Conv2d {
                filters,
                ..Conv2d::default()
            }),
        ];
        for kind in kinds {
            assert_eq!(kind.fits(&[side, side, 2]), Ok(()), "{kind:?}");
            let graph = Graph::new();
            let x = graph.input("x", [1, side, side, 2]);
            let y = Build::new(&graph).eval("D", &network(kind), x);
            assert_eq!(y.shape().dims(), [1, expected, expected, 2]);
        }
    }
}

#[test]
fn a_norm_of_images_as_a_layer_asks_for_images() {
    let text = "
[data]
set = 'mnist'
[[generator.layer]]
activation = 'sigmoid'
[[discriminator.layer]]
kind = 'instance_norm'
[[discriminator.layer]]
units = 1
activation = 'linear'
";
    let config = Config::from_toml(text, "a.toml").expect("MNIST's are images");
    assert_eq!(config.example_shape(784), [28, 28, 1]);
}

#[test]
fn what_does_not_fit_a_pool_or_a_block_is_refused() {
    let refused = |layer: &str| {
        let text = format!(
            "
[data]
set = 'mnist'
[[discriminator.layer]]
name = 'image'
kind = 'reshape'
shape = [28, 28, 1]
[[discriminator.layer]]
name = 'first'
kind = 'max_pool'
kernel = 4
[[discriminator.layer]]
name = 'h'
{layer}
[[discriminator.layer]]
name = 'out'
units = 1
activation = 'linear'
"
        );
        let refused = Config::from_toml(&text, "a.toml");
        refused.expect_err(layer).to_string()
    };
    for (layer, expected) in [
        (
            "kind = 'block'\nresize = 'down'",
            "a.toml:15: discriminator.layer.h.resize = \"down\" halves images of an even height and width, and its input is 7x7",
        ),
        (
            "kind = 'mean_pool'\nkernel = [2, 9]",
            "a.toml:15: discriminator.layer.h.kernel does not fit 7x7: windows of 9 columns do not fit an image of 7",
        ),
        (
            "kind = 'max_pool'\nkernel = 2\npadding = 5",
            "a.toml:16: discriminator.layer.h.padding of 5 on each side makes windows of 2 rows or columns that hold no pixel",
        ),
        (
            "kind = 'mean_pool'\nkernel = 2\npadding = 5",
            "a.toml:16: discriminator.layer.h.padding of 5 on each side makes windows of 2 rows or columns that hold no pixel",
        ),
        (
            "kind = 'global_mean_pool'\n[[discriminator.layer]]\nkind = 'layer_norm'",
            "kind normalises the values of an example, and there is one of them",
        ),
        (
            "kind = 'conv2d'\nchannels = 1\nkernel = 7\npadding = 'valid'\nnorm = 'layer'",
            "a.toml:18: discriminator.layer.h.norm normalises the values of an example, and there is one of them",
        ),
        (
            "kind = 'pixel_shuffle'\nfactor = 2",
            "a.toml:15: discriminator.layer.h.factor = 2 needs channels in groups of 4, and its input has 1",
        ),
        (
            "kind = 'block'\nbias = { untied = 0.0 }",
            "a.toml:15: discriminator.layer.h.bias = { untied = .. } is of single convolutions",
        ),
    ] {
        let message = refused(layer);
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains(".rs:"), "{message}");
    }
}

/// The presets with 4 channels in each block, on random pictures: each layer, the penalty of resnet128 through spectral norm
/// included.
#[test]
fn narrow_residual_nets_train_and_go_on_from_a_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    for (preset, side, generator, discriminator) in
        [("resnet32", 32, 3, 4), ("resnet128", 128, 5, 6)]
    {
        let blocks = (0..generator).map(|i| format!("generator.layer.b{i}.channels=4"));
        let others = (0..discriminator).map(|i| format!("discriminator.layer.b{i}.channels=4"));
        let rest = [
            "train.batch=2",
            "train.k=2",
            "generator.layer.h0.units=64",
            "generator.layer.image.shape=[4, 4, 4]",
        ];
        let options: Vec<String> = blocks.chain(others).collect();
        let options: Vec<&str> = options.iter().map(String::as_str).chain(rest).collect();
        let config = Config::preset(preset).and_then(|c| c.with(&options));
        let config = config.expect("valid");
        let values = side * side * 3;
        let bytes: Vec<u8> = (0..8 * values).map(|i| (i * 7919 % 251) as u8).collect();
        let images = Images::from_bytes(values, bytes);
        let mut whole = Trainer::new(&config, &images).expect("a trainer");
        let before = whole.store().clone();
        let step = |trainer: &mut Trainer| {
            let report = trainer.step().expect("a step");
            let text = format!("{report:?}");
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            report
        };
        step(&mut whole);
        for entry in whole.store().iter() {
            let is_moved = *entry != *before.get(&entry.name).expect("there");
            assert!(is_moved, "{preset}: {} stays", entry.name);
            let is_finite = entry.data.iter().all(|v| v.is_finite());
            assert!(is_finite, "{preset}: {}", entry.name);
        }
        let path = folder.path().join(format!("{preset}.npz"));
        whole.save(&path, "sum").expect("saved");
        let mut rest = Trainer::new(&config, &images).expect("a trainer");
        rest.load(&path).expect("loaded");
        assert_eq!(step(&mut whole), step(&mut rest), "{preset}");
        assert!(whole.store() == rest.store(), "{preset}");
        let mut store = whole.store().clone();
        let samples = Sampler::new(&config)
            .expect("recorded")
            .draw(&mut store, 1, 2);
        let samples = samples.expect("drawn");
        assert_eq!(samples.len(), 2 * values);
        assert!(samples.iter().all(|v| (0.0..=1.0).contains(v)));
    }
}
