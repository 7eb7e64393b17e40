//! Gains and biases that begin where training images put them: those of layers with weight norm.

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_settings::Reader;
use ganforge_tensor::{Device, Feed, Graph, Plan, Store, stream_number};

use crate::config::{Bias, Config, Layer, TransformKind};
use crate::data::Images;
use crate::error::{Error, Result};
use crate::nn::{Build, Map, Pass, shaped};
use crate::tensors::Tensors;

/// How many images choose where a layer begins, where they do.
fn images_of(layer: &Layer) -> Option<usize> {
    match &layer.weights()?.transform {
        Some(TransformKind::WeightNorm(norm)) => norm.images,
        _ => None,
    }
}

impl Config {
    /// Whether layers whose gains begin where images put them are such that they can.
    pub(crate) fn check_weight_norm(&self, table: &Reader<'_>) {
        let networks = [
            ("generator", Some(&self.generator)),
            ("discriminator", Some(&self.discriminator)),
            ("classifier", self.classifier.as_ref()),
            ("encoder", self.encoder.as_ref()),
        ];
        for (name, network) in networks {
            let layers = network.iter().flat_map(|n| &n.layers);
            let asks = layers.clone().any(|l| l.kind.classes().is_some());
            for layer in layers.filter(|l| images_of(l).is_some()) {
                let is_map = matches!(layer.kind.parts().map, Map::Affine(_) | Map::Filters(_))
                    && layer.kind.activation().is_some();
                let has_bias = layer
                    .weights()
                    .is_some_and(|w| matches!(w.bias, Bias::Constant(_)));
                let reason = match name {
                    "generator" | "encoder" => "only a discriminator or a classifier sees them",
                    _ if self.restore.is_some() => {
                        "a discriminator of restored images sees more than them"
                    }
                    _ if asks => "the network asks for the classes of examples",
                    _ if !is_map => "it needs a layer that is one map and its activation",
                    _ if !has_bias => "it needs a bias for each output",
                    _ if layer.kind.norm().is_some() => "it needs a layer without norm",
                    _ => continue,
                };
                let key = format!("{name}.layer.{}.transform", layer.name);
                table.fault(&key, &format!("has images, and {reason}"));
            }
        }
    }
}

/// Sets the gains and biases of layers with weight norm that ask for it, layer by layer: of the pre-activations t of the images, with
/// mean m and standard deviation s over images and places, g becomes g / s and b becomes (b - m) / s. An output that is the same for
/// all images keeps its gain.
///
/// source: Salimans and Kingma 2016, Weight Normalization, section 3
///
/// # Errors
/// Fewer images than a layer asks for; the graph's first fault.
pub(crate) fn fit(config: &Config, images: &Images, store: &mut Store) -> Result<()> {
    let d = images.d();
    for (net, network) in config
        .nets()
        .into_iter()
        .filter(|(net, _)| matches!(*net, "D" | "C"))
    {
        let layers = network
            .layers
            .iter()
            .filter_map(|l| Some((l, images_of(l)?)));
        let Some(n) = layers.clone().map(|(_, n)| n).max() else {
            continue;
        };
        if n > images.n() {
            let message = format!(
                "transform.images = {n} of weight norm, but there are {} images to train on",
                images.n()
            );
            return Err(Error::Mismatch(message));
        }
        let stream = RandomStream {
            key: config.seed,
            stream: stream_number("weight_norm/images"),
            counter: 0,
        };
        let mut order = vec![0; images.n()];
        rng::permutation(stream, images.n(), &mut order);
        let rows: Vec<usize> = order[..n].iter().map(|&row| row as usize).collect();
        let mut x = vec![0.0; n * d];
        images.rows_f32_into(&rows, &mut x)?;
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        let example = shaped(graph.input("x", [n, d]), &config.example_shape(d));
        build.train(net, network, &[Pass::new("weight_norm", example)]);
        let made = build.take_preactivations();
        let plan = made.iter().fold(Plan::of(&graph), |plan, pre| {
            plan.fetch(&pre.layer, pre.var)
        });
        let plan = plan.compile()?;
        let tensors = Tensors::of(config, d);
        let mut executor = Device::CPU.executor()?;
        for (layer, _) in layers {
            executor.run(&plan, store, &[Feed::new("x", [n, d], &x)])?;
            let layer = format!("{net}.{}", layer.name);
            let [gain, bias] = ["g", "b"].map(|part| format!("{layer}.{part}"));
            let found = (
                executor.fetch(&plan, store, &layer),
                store.get(&gain),
                store.get(&bias),
            );
            let (Some(values), Some(g), Some(b)) = found else {
                continue; // the configuration was checked
            };
            let (mut g, mut b, shape) = (g.data.to_vec(), b.data.to_vec(), g.shape);
            for (c, (g, b)) in g.iter_mut().zip(&mut b).enumerate() {
                let column = values.iter().skip(c).step_by(shape.elements());
                let column: Vec<f64> = column.map(|&v| f64::from(v)).collect();
                let mean = column.iter().sum::<f64>() / column.len() as f64;
                let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                let sd = (variance / column.len() as f64).sqrt();
                let sd = if sd > 1e-6 { sd } else { 1.0 };
                *g = (f64::from(*g) / sd) as f32;
                *b = ((f64::from(*b) - mean) / sd) as f32;
            }
            for (name, values) in [(gain, g), (bias, b)] {
                if let Some(average) = tensors.average_of(&name) {
                    store.insert(&average.name, average.shape, values.clone())?;
                }
                store.insert(&name, shape, values)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trainer::Trainer;

    const NET: &str = "
data.set = 'mine.npz'
noise.dim = 2
generator.layer = [{ name = 'out', units = 3, activation = 'linear' }]
discriminator.average = 0.9
discriminator.layer = [
    { name = 'n', kind = 'gaussian_noise', sd = 0.5 },
    { name = 'h0', units = 6, transform = { kind = 'weight_norm', images = 60 } },
    { name = 'h1', units = 4, transform = { kind = 'weight_norm', images = 60 } },
    { name = 'out', units = 1, activation = 'linear', transform = { kind = 'weight_norm', images = 60 } },
]
train.batch = 10
";

    fn config(options: &[&str]) -> std::result::Result<Config, String> {
        Config::from_toml_with(NET, "a.toml", options).map_err(|e| e.to_string())
    }

    #[test]
    fn what_each_map_makes_of_the_images_has_mean_0_and_variance_1() {
        let config = config(&[]).expect("valid");
        let values = (0..80 * 3).map(|i: i32| (i * i % 17) as f32 * 0.3 - 1.0);
        let images = Images::from_values(3, values.collect::<Vec<_>>());
        let trainer = Trainer::new(&config, &images).expect("a trainer");
        let mut store = trainer.store().clone();
        let before = store.clone();
        // Where they are, they stay.
        fit(&config, &images, &mut store).expect("fitted");
        for name in ["D.h0.g", "D.h1.g", "D.out.g", "D.h1.b", "D.out.b"] {
            let [now, before] =
                [&store, &before].map(|s| s.get(name).expect("there").data.to_vec());
            for (now, before) in now.iter().zip(&before) {
                let near = (now - before).abs() < 1e-4 * before.abs().max(1.0);
                assert!(near, "{name}: {now} {before}");
            }
            let average = before_average(&store, name);
            assert_eq!(average, now, "{name}");
        }
        assert!(
            before
                .get("D.h0.g")
                .expect("there")
                .data
                .iter()
                .all(|g| *g != 1.0)
        );
    }

    fn before_average(store: &Store, name: &str) -> Vec<f32> {
        store
            .get(&format!("{name}.average"))
            .expect("kept")
            .data
            .to_vec()
    }

    #[test]
    fn layers_that_cannot_begin_so_are_refused() {
        for (option, expected) in [
            (
                "discriminator.layer.h0.norm=batch",
                "discriminator.layer.h0.transform has images, and it needs a layer without norm",
            ),
            (
                "discriminator.layer.h0.bias=none",
                "discriminator.layer.h0.transform has images, and it needs a bias for each output",
            ),
            (
                "generator.layer.out.transform={kind='weight_norm', images=5}",
                "generator.layer.out.transform has images, and only a discriminator or a classifier sees them",
            ),
        ] {
            let message = config(&[option]).expect_err("refused");
            assert!(message.contains(expected), "{message}");
        }
        let few = Images::from_values(3, vec![0.5; 3 * 30]);
        let error = Trainer::new(&config(&[]).expect("valid"), &few)
            .err()
            .expect("too few");
        let expected = "transform.images = 60 of weight norm, but there are 30 images to train on";
        assert_eq!(error.to_string(), expected);
    }
}
