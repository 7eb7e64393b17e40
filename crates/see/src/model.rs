//! A model's layers: shapes, parameters and work.

use std::collections::BTreeMap;

use ganforge_gan::config::{Config, Network};
use ganforge_gan::error::Result;
use ganforge_gan::nn::Build;
use ganforge_gan::tensors::{Role, Tensors, elements};
use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_tensor::{Graph, Plan};
use serde_json::{Value, json};

use crate::tables;

/// The layers of its networks.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The configuration's name.
    pub name: String,
    /// By name: G, from noise to data, and D, from data to its output; or C, from images to a number for each class.
    pub nets: Vec<(&'static str, Net)>,
}

/// One network.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Net {
    /// The shape of an example of its input, without the batch.
    pub input: Vec<usize>,
    /// Numbers that are trained.
    pub parameters: u64,
    /// Numbers that a forward pass keeps without training them, such as running averages.
    pub buffers: u64,
    /// 10^9 operations of a forward pass of one example, as the layers are written.
    pub gflop_written: f64,
    /// The same as they are executed.
    pub gflop_executed: f64,
    /// First to last.
    pub layers: Vec<LayerOf>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LayerOf {
    /// Its name in the network.
    pub name: String,
    /// Its kind, as the configuration names it.
    pub kind: String,
    /// The shape of an example of its output, without the batch.
    pub output: Vec<usize>,
    /// Numbers that are trained.
    pub parameters: u64,
    /// Numbers that are kept without being trained.
    pub buffers: u64,
    /// 10^9 operations of a forward pass of one example, as the layer is written.
    pub gflop_written: f64,
    /// The same as it is executed: without what a rewritten formula saves.
    pub gflop_executed: f64,
}

/// The networks of `config`, as they are sampled and scored.
///
/// # Errors
/// The first fault of recording them.
pub fn model(config: &Config) -> Result<Model> {
    let dim = config.output_dim();
    let tensors = Tensors::of(config, dim);
    let net = |net: &'static str, network: &Network, input: &[usize]| -> Result<Net> {
        let run = |as_written: bool| work(net, network, input, as_written);
        let (written, executed) = (run(true)?, run(false)?);
        let layers = network.layers.iter().map(|layer| {
            let count = |role: Role| -> u64 {
                let mine = tensors
                    .of_net(net, role)
                    .filter(|spec| spec.layer == layer.name);
                mine.map(|spec| elements(spec.shape)).sum()
            };
            let of = |layers: &BTreeMap<String, Work>| layers.get(&layer.name).cloned();
            let (written, executed) = (of(&written), of(&executed));
            let gflop = |work: &Option<Work>| work.as_ref().map_or(0.0, |w| w.flops as f64 / 1e9);
            LayerOf {
                name: layer.name.clone(),
                kind: layer.kind.name().to_string(),
                parameters: count(Role::Param),
                buffers: count(Role::Buffer),
                gflop_written: gflop(&written),
                gflop_executed: gflop(&executed),
                output: executed.map_or_else(Vec::new, |w| w.output),
            }
        });
        let layers: Vec<LayerOf> = layers.collect();
        Ok(Net {
            input: input.to_vec(),
            parameters: layers.iter().map(|l| l.parameters).sum(),
            buffers: layers.iter().map(|l| l.buffers).sum(),
            gflop_written: layers.iter().map(|l| l.gflop_written).sum(),
            gflop_executed: layers.iter().map(|l| l.gflop_executed).sum(),
            layers,
        })
    };
    let (example, given) = (config.example_shape(dim), config.input_of_g());
    let inverted = config.encoder.as_ref().map(|_| ("G", &config.generator));
    let nets = inverted.into_iter().chain(config.nets().into_iter().rev());
    let nets = nets.map(|(name, network)| {
        let input = match name {
            "G" => &given,
            _ => &example,
        };
        Ok((name, net(name, network, input)?))
    });
    Ok(Model {
        name: config.name.clone(),
        nets: nets.collect::<Result<_>>()?,
    })
}

#[derive(Clone, Default)]
struct Work {
    flops: u64,
    output: Vec<usize>,
}

/// What each layer does with one example.
fn work(
    net: &str,
    network: &Network,
    input: &[usize],
    as_written: bool,
) -> Result<BTreeMap<String, Work>> {
    let graph = Graph::new();
    let mut build = Build::new(&graph);
    build.set_as_written(as_written);
    let shape: Vec<usize> = [1].iter().chain(input).copied().collect();
    let y = build.eval(net, network, graph.input("x", shape.as_slice()));
    let mut layers: BTreeMap<String, Work> = BTreeMap::new();
    for var in graph.vars() {
        if let Some(layer) = layer_of(&var.scope(), net) {
            let dims = var.shape().dims().to_vec();
            layers.entry(layer).or_default().output = dims.into_iter().skip(1).collect();
        }
    }
    let plan = Plan::of(&graph).fetch("y", y).compile()?;
    // A kernel may compute nodes of several layers, such as a normaliser and the activation after it.
    for call in &plan.calls {
        for (node, flops) in plan.executed_flops_by_node(call, Algorithm::Direct) {
            if let Some(layer) = layer_of(plan.scope(node), net) {
                layers.entry(layer).or_default().flops += flops;
            }
        }
    }
    Ok(layers)
}

/// `h0` of the scope `D/h0/conv1` of D.
fn layer_of(scope: &str, net: &str) -> Option<String> {
    let mut parts = scope.split('/');
    (parts.next() == Some(net)).then(|| parts.next().map(String::from))?
}

impl Model {
    /// Tables for people.
    pub fn text(&self) -> String {
        let total = self.nets.iter().map(|(_, net)| net.parameters).sum();
        let mut text = format!("{}: {} parameters\n", self.name, grouped(total));
        for (name, net) in &self.nets {
            let output = net.layers.last().map_or(&[][..], |l| &l.output);
            text += &format!("\n{name}: {} to {}\n", by(&net.input), by(output));
            text += &tables::aligned(&net.rows());
        }
        text += "\nGFLOP of a forward pass of one example: as the layers are written, and as they are executed.\n";
        text
    }

    /// The same for programs: `{"name": .., "G": {"parameters": n, "layers": [..]}, "D": {..}}`, or with "C".
    pub fn json(&self) -> Value {
        let mut all = json!({ "name": self.name });
        for (name, net) in &self.nets {
            all[*name] = json!(net);
        }
        all
    }

    /// The network of this name, if it has it.
    pub fn net(&self, name: &str) -> Option<&Net> {
        let found = self.nets.iter().find(|(net, _)| *net == name);
        found.map(|(_, net)| net)
    }
}

impl Net {
    fn rows(&self) -> Vec<Vec<String>> {
        let with_buffers = self.buffers > 0;
        let row = |name: &str, kind: &str, output: String, counts: [u64; 2], gflop: [f64; 2]| {
            let mut cells = vec![name.to_string(), kind.to_string(), output];
            cells.push(format!("{:>12}", grouped(counts[0])));
            if with_buffers {
                cells.push(format!("{:>8}", grouped(counts[1])));
            }
            cells.extend(gflop.map(|g| format!("{g:>8.5}")));
            cells
        };
        let mut header = vec!["layer", "kind", "output", "  parameters"];
        if with_buffers {
            header.push(" buffers");
        }
        header.extend(["   GFLOP", "executed"]);
        let mut rows = vec![header.into_iter().map(String::from).collect()];
        rows.extend(self.layers.iter().map(|l| {
            let gflop = [l.gflop_written, l.gflop_executed];
            row(
                &l.name,
                &l.kind,
                by(&l.output),
                [l.parameters, l.buffers],
                gflop,
            )
        }));
        let gflop = [self.gflop_written, self.gflop_executed];
        let counts = [self.parameters, self.buffers];
        rows.push(row("total", "", String::new(), counts, gflop));
        rows
    }
}

/// "28 x 28 x 1"
fn by(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    dims.join(" x ")
}

/// "1,231,441"
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_nets_have_their_parameters_and_shapes() {
        let config = Config::preset("mnist-2014").expect("bundled");
        let model = model(&config).expect("recorded");
        let [g, d] = ["G", "D"].map(|name| model.net(name).expect("a net"));
        assert_eq!((g.parameters, d.parameters), (2_503_984, 1_231_441));
        let outputs: Vec<&[usize]> = g.layers.iter().map(|l| l.output.as_slice()).collect();
        assert_eq!(outputs, [&[1200][..], &[1200], &[784]]);
        // 2 · 100 · 1200, a bias and a ReLU.
        let first = g.layers[0].gflop_executed * 1e9;
        assert!((240_000.0..=243_600.0).contains(&first), "{first}");
        assert_eq!(g.gflop_executed, g.gflop_written);
        let text = model.text();
        assert!(text.contains("mnist-2014: 3,735,425 parameters"), "{text}");
        assert_eq!(model.json()["D"]["parameters"], 1_231_441);
    }

    /// As written and as executed, of the convolutions and dense layers alone 4.76 and 2.38, 0.66 and 0.40; 18.1 and 7.7, 7.9
    /// and 4.5: biases, normalisers and activations, and in D the power iterations of a forward pass, add some.
    #[test]
    fn the_large_studys_residual_nets_have_their_parameters_and_work() {
        let nets = [
            (
                "resnet32",
                [5_849_603, 1_483_137],
                [4.76, 2.38],
                [0.66, 0.40],
            ),
            (
                "resnet128",
                [13_786_115, 15_086_529],
                [18.1, 7.7],
                [7.9, 4.5],
            ),
        ];
        for (name, parameters, g, d) in nets {
            let config = Config::preset(name).expect("bundled");
            let model = model(&config).expect("recorded");
            let [of_g, of_d] = ["G", "D"].map(|name| model.net(name).expect("a net"));
            assert_eq!([of_g.parameters, of_d.parameters], parameters, "{name}");
            for (net, expected) in [(of_g, g), (of_d, d)] {
                let found = [net.gflop_written, net.gflop_executed];
                for (found, expected) in found.iter().zip(expected) {
                    let more = found / expected;
                    assert!((0.998..1.05).contains(&more), "{name}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn a_normaliser_s_work_is_its_own_though_a_kernel_computes_the_activation_too() {
        let config = Config::preset("resnet32").expect("bundled");
        let model = model(&config).expect("recorded");
        let layers = model.net("G").expect("a net").layers.iter();
        let of = |name: &str| {
            let layer = layers.clone().find(|l| l.name == name);
            layer.expect("a layer").gflop_executed * 1e9
        };
        let values = f64::from(32 * 32 * 256);
        assert_eq!(of("relu"), values);
        // Of each value at least a difference and a product with what its channel has.
        assert!(of("norm") >= 2.0 * values, "{}", of("norm"));
    }

    #[test]
    fn a_classifier_is_one_net() {
        let config = Config::preset("mnistnet").expect("bundled");
        let model = model(&config).expect("recorded");
        let [("C", net)] = &model.nets[..] else {
            panic!("{:?}", model.nets);
        };
        assert_eq!(net.input, [28, 28, 1]);
        let outputs: Vec<usize> = net
            .layers
            .iter()
            .map(|l| l.output.iter().product())
            .collect();
        assert_eq!(outputs, [26 * 26 * 32, 24 * 24 * 64, 12 * 12 * 64, 128, 10]);
        assert_eq!(model.json()["C"]["parameters"], 1_199_882);
    }

    #[test]
    fn digits_are_grouped_from_the_right() {
        let shown = [0, 999, 1_000, 12_345_678].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "12,345,678"]);
    }
}
