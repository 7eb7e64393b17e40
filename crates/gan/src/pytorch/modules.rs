//! The modules of PyTorch that a network's layers are there, and what they store.

use super::layout::{Axis, Layout};
use crate::config::{Config, Layer, LayerKind, Network};
use crate::nn::{Block, Deconv2d};
use crate::tensors::{Role, TensorSpec, Tensors};

/// A module with a weight.
#[derive(Clone, Debug)]
pub(super) struct Module {
    /// Its name when it is exported: that of the layer, of a normaliser after a map `h0_norm`, within a block `b0.conv1`.
    pub(super) name: String,
    /// The layer that it belongs to.
    pub(super) layer: String,
    /// What it stores, its weight first.
    pub(super) tensors: Vec<Stored>,
}

/// A tensor of a module.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) spec: TensorSpec,
    pub(super) part: Part,
    pub(super) layout: Layout,
}

/// What a tensor is in its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Weight,
    Bias,
    RunningMean,
    RunningVar,
    /// Of spectral norm: our u, which is PyTorch's v.
    V,
    /// Of weight norm.
    Gain,
}

impl Part {
    /// As it ends a plain name: `running_mean`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Weight => "weight",
            Part::Bias => "bias",
            Part::RunningMean => "running_mean",
            Part::RunningVar => "running_var",
            Part::V => "v",
            Part::Gain => "g",
        }
    }
}

/// The order of a vector's values: of an image [h, w, c] where PyTorch has [c, h, w].
type Order = Option<[usize; 3]>;

/// Where a layer stands: the shape of its input, and the orders of its input and output where they are vectors.
struct Place<'a> {
    layer: &'a Layer,
    input: &'a [usize],
    order_in: Order,
    order_out: Order,
}

/// The modules of the network `net`, "G", "D" or "C", in order.
///
/// # Errors
/// A configuration without a classifier; a layer that PyTorch's modules do not have.
pub(super) fn modules(config: &Config, net: &str) -> Result<Vec<Module>, String> {
    let dim = config.output_dim();
    let (network, input) = match net {
        "D" => (&config.discriminator, config.example_shape(dim)),
        "C" => match &config.classifier {
            Some(classifier) => (classifier, config.example_shape(dim)),
            None => return Err(format!("{}: has no classifier", config.name)),
        },
        _ => (&config.generator, config.input_of_g()),
    };
    let tensors = Tensors::of(config, dim);
    let mut modules: Vec<Module> = Vec::new();
    for place in places(network, &network.shapes(&input))? {
        let layer = &place.layer.name;
        for spec in tensors.iter().filter(|s| s.net == net && s.layer == *layer) {
            if !matches!(spec.role, Role::Param | Role::Buffer) {
                continue;
            }
            let (name, part, layout) = place.stored(spec)?;
            let stored = Stored {
                spec: spec.clone(),
                part,
                layout,
            };
            match modules.iter_mut().find(|m| m.name == name) {
                Some(module) => module.tensors.push(stored),
                None => modules.push(Module {
                    name,
                    layer: layer.clone(),
                    tensors: vec![stored],
                }),
            }
        }
    }
    for module in &mut modules {
        module.tensors.sort_by_key(|t| t.part != Part::Weight);
    }
    Ok(modules)
}

/// Whether images of this size have the same order of values here and there.
fn is_plain([h, w, c]: [usize; 3]) -> bool {
    h * w == 1 || c == 1
}

/// Whether a layer keeps the order of a vector's values.
fn keeps_order(kind: &LayerKind) -> bool {
    matches!(
        kind,
        LayerKind::Activated(_)
            | LayerKind::BatchNorm(_)
            | LayerKind::ConditionalBatchNorm(_)
            | LayerKind::LayerNorm(_)
            | LayerKind::Scale(_)
            | LayerKind::GaussianNoise(_)
    )
}

/// Each layer with the orders of what comes to it and leaves it: those of an image from a flatten on, and up to a reshape.
fn places<'a>(network: &'a Network, shapes: &'a [Vec<usize>]) -> Result<Vec<Place<'a>>, String> {
    let layers = &network.layers;
    // From the last layer to the first: the order that what follows asks for.
    let mut asked: Vec<Order> = vec![None; layers.len() + 1];
    for (i, layer) in layers.iter().enumerate().rev() {
        asked[i] = match &layer.kind {
            LayerKind::Reshape(reshape) => Some(reshape.shape),
            kind if keeps_order(kind) || matches!(kind, LayerKind::Flatten(_)) => asked[i + 1],
            _ => None,
        };
    }
    let mut order = None;
    let mut places = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let (name, input) = (&layer.name, &shapes[i]);
        let order_in = order;
        order = match (&layer.kind, &input[..]) {
            (LayerKind::Flatten(_), &[h, w, c]) => Some([h, w, c]),
            (LayerKind::Flatten(_), _) => order,
            (LayerKind::Linear(_) | LayerKind::Maxout(_), _) => asked[i + 1],
            (LayerKind::Own(_), _) => {
                return Err(format!(
                    "layer {name} of the configuration is the program's own"
                ));
            }
            (LayerKind::Reshape(reshape), _) => {
                let is_same = match *input {
                    _ if is_plain(reshape.shape) => order.is_none_or(is_plain),
                    _ => order == Some(reshape.shape) || input == &reshape.shape,
                };
                if !is_same {
                    return Err(format!(
                        "layer {name} of the configuration makes images of values in another order than PyTorch's [c, h, w]"
                    ));
                }
                None
            }
            (kind, _) if keeps_order(kind) => order,
            (_, &[_]) if !order.is_none_or(is_plain) => {
                return Err(format!(
                    "layer {name} of the configuration takes values of a flattened image, in another order than PyTorch's"
                ));
            }
            _ => None,
        };
        places.push(Place {
            layer,
            input,
            order_in,
            order_out: order,
        });
    }
    Ok(places)
}

/// The axes of a vector of n values, and their order in PyTorch.
fn axes(name: &'static str, n: usize, order: Order) -> (Vec<Axis>, Vec<usize>) {
    match order {
        Some([h, w, c]) if h * w * c == n => (vec![("h", h), ("w", w), ("c", c)], vec![2, 0, 1]),
        _ => (vec![(name, n)], vec![0]),
    }
}

impl Place<'_> {
    /// The name of the module that a tensor is in, what it is there, and how it lies.
    fn stored(&self, spec: &TensorSpec) -> Result<(String, Part, Layout), String> {
        let layer = &self.layer.name;
        let (within, part) = match spec.part().rsplit_once('.') {
            Some((within, part)) => (Some(within), part),
            None => (None, spec.part()),
        };
        let is_norm = matches!(part, "gamma" | "beta" | "mean" | "var");
        let is_map = self.layer.weights().is_some();
        let name = match within {
            Some(within) => format!("{layer}.{within}"),
            None if is_norm && is_map => format!("{layer}_norm"),
            None if part == "slope" && is_map => format!("{layer}_prelu"),
            None => layer.clone(),
        };
        let (part, layout) = match part {
            "w" => (Part::Weight, self.weight(spec)),
            "b" => (Part::Bias, self.of_outputs(spec)),
            "gamma" | "slope" => (Part::Weight, self.of_outputs(spec)),
            "beta" => (Part::Bias, self.of_outputs(spec)),
            "mean" => (Part::RunningMean, self.of_outputs(spec)),
            "var" => (Part::RunningVar, self.of_outputs(spec)),
            "u" => (Part::V, self.of_rows(spec)),
            "g" => (Part::Gain, self.gain(spec)),
            other => {
                return Err(format!(
                    "layer {layer} of the configuration stores {other}, which no module of PyTorch has"
                ));
            }
        };
        Ok((name, part, layout))
    }

    /// The order of the values that a map flattens or takes as they are.
    fn rows(&self) -> Order {
        match *self.input {
            [h, w, c] => Some([h, w, c]),
            _ => self.order_in,
        }
    }

    /// The order of a map's outputs: of images that it makes itself, or that follow it.
    fn columns(&self) -> Order {
        let shape = self.layer.affine().and_then(|a| a.shape);
        shape.or(self.order_out)
    }

    /// Axes of `n` outputs, `pieces` for each.
    fn outputs(&self, n: usize) -> (Vec<Axis>, Vec<usize>) {
        let pieces = match &self.layer.kind {
            LayerKind::Maxout(maxout) => maxout.pieces,
            _ => 1,
        };
        let (mut axes, mut order) = axes("out", n / pieces, self.columns());
        if pieces > 1 {
            order.push(axes.len());
            axes.push(("piece", pieces));
        }
        (axes, order)
    }

    fn weight(&self, spec: &TensorSpec) -> Layout {
        match *spec.shape.dims() {
            [rows, columns] => {
                let (mut fine, rows_order) = axes("in", rows, self.rows());
                let (of_columns, columns_order) = self.outputs(columns);
                let first = fine.len();
                fine.extend(of_columns);
                let order = columns_order.into_iter().map(|a| first + a);
                Layout::new(fine, order.chain(rows_order).collect(), vec![columns, rows])
            }
            [h, w, c, n] => {
                // A transposed convolution stores the filters of the convolution that it is the adjoint of.
                let (c_name, n_name) = match self.is_transposed() {
                    true => ("out", "in"),
                    false => ("in", "out"),
                };
                let fine = vec![("h", h), ("w", w), (c_name, c), (n_name, n)];
                Layout::new(fine, vec![3, 2, 0, 1], vec![n, c, h, w])
            }
            _ => Layout::same(spec.shape.dims()),
        }
    }

    fn is_transposed(&self) -> bool {
        matches!(&self.layer.kind, LayerKind::Deconv2d(Deconv2d { .. }))
    }

    /// Biases, and what normalisers store of each channel or value, last: of conditional ones for each class.
    fn of_outputs(&self, spec: &TensorSpec) -> Layout {
        let dims = spec.shape.dims();
        match *dims {
            [h, w, c] => {
                let fine = vec![("h", h), ("w", w), ("c", c)];
                Layout::new(fine, vec![2, 0, 1], vec![c, h, w])
            }
            [n] => {
                let (fine, order) = match spec.part() {
                    "b" => self.outputs(n),
                    _ => axes("", n, self.values()),
                };
                Layout::new(fine, order, vec![n])
            }
            [classes, n] => {
                let (mut fine, order) = axes("", n, self.values());
                fine.insert(0, ("class", classes));
                let order = std::iter::once(0).chain(order.into_iter().map(|a| a + 1));
                Layout::new(fine, order.collect(), dims.to_vec())
            }
            _ => Layout::same(dims),
        }
    }

    /// The order of the values that are normalised: of vectors. Of images it is each channel that stores something.
    fn values(&self) -> Order {
        match self.layer.affine() {
            Some(affine) if affine.shape.is_some() => None,
            _ => self.order_out,
        }
    }

    /// One for each row of the matrix of weights: filters [h, w, c] are [c, h, w] there.
    fn of_rows(&self, spec: &TensorSpec) -> Layout {
        let n = spec.shape.elements();
        let kernel = match &self.layer.kind {
            LayerKind::Conv2d(conv) => Some(conv.filters.kernel),
            LayerKind::Deconv2d(conv) => Some(conv.filters.kernel),
            LayerKind::MaxoutConv2d(conv) => Some(conv.filters.kernel),
            LayerKind::Block(Block { .. }) => Some([3, 3]),
            _ => None,
        };
        let order = match kernel {
            Some([h, w]) => Some([h, w, n / (h * w)]),
            None => self.rows(),
        };
        let (fine, order) = axes("in", n, order);
        Layout::new(fine, order, vec![n])
    }

    /// Of weight norm: one for each output, of the shape that keeps the weights' rank.
    fn gain(&self, spec: &TensorSpec) -> Layout {
        let n = spec.shape.elements();
        let (fine, order) = self.outputs(n);
        let is_dense = self.layer.affine().is_some();
        let shape = match (is_dense, self.is_transposed()) {
            (true, _) => vec![n, 1],
            (false, false) => vec![n, 1, 1, 1],
            (false, true) => vec![1, n, 1, 1],
        };
        match is_dense {
            true => Layout::new(fine, order, shape),
            false => Layout::new(vec![("out", n)], vec![0], shape),
        }
    }
}
