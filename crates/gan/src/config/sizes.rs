//! Shapes and counts: what the layers of a network make of its input, found by recording each by itself.

use ganforge_tensor::{Error, Graph, Shape};

use super::{Bias, Config, ConfigError, Fault, Init, Layer, Network};
use crate::data::{DataSet, ImageSize};
use crate::nn::Build;
use crate::tensors::{Initial, TensorSpec, elements};

/// Most parameters of one network: 2^33, 32 GiB in f32.
const MAX_PARAMETERS: u64 = 1 << 33;

/// The shape of an example in a network, [n] or [h, w, c].
type Dims = Vec<usize>;

/// What a layer that is recorded by itself stores, and what it makes of an example of the shape `input`; why that fails.
fn recorded(layer: &Layer, input: &[usize]) -> (Vec<TensorSpec>, Dims, Option<Error>) {
    let graph = Graph::new();
    let mut build = Build::new(&graph);
    let x = graph.input("x", Shape::new(&[&[1], input].concat()));
    let network = Network {
        layers: vec![layer.clone()],
        ..Network::default()
    };
    let y = build.eval("", &network, x).shape();
    let made = y.dims().get(1..).unwrap_or(&[]).to_vec();
    let specs = build.tensors().iter().cloned().collect();
    (specs, made, graph.fault())
}

/// The parameters of a network and the shape of its output.
pub(super) fn count(layers: &[Layer], input: &[usize]) -> (u64, Dims) {
    let (mut sum, mut dims) = (0_u64, input.to_vec());
    for layer in layers {
        let (specs, made, _) = recorded(layer, &dims);
        sum = sum.saturating_add(parameters(&specs));
        dims = made;
    }
    (sum, dims)
}

fn parameters(specs: &[TensorSpec]) -> u64 {
    let params = specs.iter().filter(|s| s.is_param());
    params.fold(0, |sum: u64, s| sum.saturating_add(elements(s.shape)))
}

/// An error of a layer that was recorded by itself, without the place of that in this program.
fn alone(error: Error) -> String {
    match error {
        Error::Shape {
            op, reason, shapes, ..
        } => {
            let shapes: Vec<String> = shapes.iter().map(Shape::to_string).collect();
            let of = if shapes.is_empty() { "" } else { ": " };
            format!("{op}: {reason}{of}{}", shapes.join(" · "))
        }
        other => other.to_string(),
    }
}

/// A layer that cannot be built on its inputs: the layer, the key and what is wrong.
type Wrong<'a> = (&'a Layer, &'static str, String);

/// The shape of a network's output, or its first layer that does not take what comes to it.
pub(super) fn out_shape<'a>(layers: &'a [Layer], input: &[usize]) -> Result<Dims, Wrong<'a>> {
    let (mut sum, mut dims) = (0_u64, input.to_vec());
    for layer in layers {
        if let Err(misfit) = layer.kind.fits(&dims) {
            return Err((layer, misfit.key, misfit.message));
        }
        let (specs, made, error) = recorded(layer, &dims);
        for spec in &specs {
            let dims = spec.shape.dims();
            let rows = spec.shape.elements() / dims.last().map_or(1, |&n| n.max(1));
            if let Initial::Sparse(n) = spec.init
                && n > rows
            {
                let message =
                    format!("= {{ sparse = {n} }} must be at most {rows}, the layer's inputs");
                return Err((layer, "init", message));
            }
        }
        if let Some(error) = error {
            return Err((layer, "kind", format!("cannot be built: {}", alone(error))));
        }
        if let Some(norm) = layer.kind.norm()
            && let Err(message) = norm.fits(&made)
        {
            return Err((layer, "norm", message));
        }
        sum = sum.saturating_add(parameters(&specs));
        if sum > MAX_PARAMETERS {
            let message = format!(
                "brings the network to {sum} parameters, more than the {MAX_PARAMETERS} allowed"
            );
            return Err((layer, layer.kind.outputs_key(), message));
        }
        dims = made;
    }
    Ok(dims)
}

impl Network {
    /// The shapes of examples, [n] or [h, w, c]: of the input, then after each layer.
    pub(crate) fn shapes(&self, input: &[usize]) -> Vec<Vec<usize>> {
        let mut shapes = vec![input.to_vec()];
        for layer in &self.layers {
            let (_, made, _) = recorded(layer, &shapes[shapes.len() - 1]);
            shapes.push(made);
        }
        shapes
    }
}

/// The size of images of the shape `dims`, if they are images.
fn image_size(dims: &[usize]) -> Option<ImageSize> {
    match *dims {
        [height, width, channels] => Some(ImageSize {
            height,
            width,
            channels,
        }),
        _ => None,
    }
}

impl Config {
    /// Number of parameters of G and of D, where D reads data of `data_dim` components.
    ///
    /// A linear layer from m to n has (m + 1) n, a maxout layer of p pieces (m + 1) n p. Saturates at `u64::MAX`.
    pub fn parameter_counts(&self, data_dim: usize) -> (u64, u64) {
        let (generator, made) = count(&self.generator.layers, &self.input_of_g());
        if !self.has_d() {
            return (generator, 0);
        }
        let input = self.example_of(&made, data_dim);
        (generator, count(&self.discriminator.layers, &input).0)
    }

    /// The shape of an example of `data_dim` values as it comes to D, a classifier or an encoder: [height, width, channels] where a
    /// layer there asks for images and their size is known, from G's output, the classifier or the data set; else `[data_dim]`.
    pub fn example_shape(&self, data_dim: usize) -> Vec<usize> {
        self.example_of(&self.made(), data_dim)
    }

    /// The same, where what is made of noise, see [`Config::made`], has the shape `made`.
    pub(super) fn example_of(&self, made: &[usize], data_dim: usize) -> Vec<usize> {
        let network = self.classifier.as_ref().or(self.encoder.as_ref());
        let network = network.unwrap_or(&self.discriminator);
        if let Some([h, w, c]) = self.judged_image() {
            return match network.layers.iter().any(|l| l.kind.wants_images()) {
                true => vec![h, w, c],
                false => vec![h * w * c],
            };
        }
        self.shape_for(&network.layers, made, data_dim)
    }

    /// The same, as it comes to a network of these layers.
    pub(super) fn shape_for(
        &self,
        layers: &[Layer],
        made: &[usize],
        data_dim: usize,
    ) -> Vec<usize> {
        if layers.iter().any(|l| l.kind.wants_images()) {
            let of_data = match &self.data.set {
                DataSet::Toy(_) => None,
                _ => self.data.image(),
            };
            let known = [image_size(made), of_data].into_iter().flatten();
            if let Some(image) = known.into_iter().find(|i| i.values() == Some(data_dim)) {
                return vec![image.height, image.width, image.channels];
            }
        }
        vec![data_dim]
    }

    /// The shape of an example by the networks: what G makes of noise, or what a classifier takes.
    fn made(&self) -> Dims {
        match &self.classifier {
            None => count(&self.generator.layers, &self.input_of_g()).1,
            Some(classifier) => match (classifier.image, self.data.dim()) {
                (Some(image), _) => image.to_vec(),
                (None, dim) => vec![dim.unwrap_or(0)],
            },
        }
    }

    /// The size of the images that G makes, where its output is images and not vectors, or that a classifier takes.
    pub fn made_image(&self) -> Option<ImageSize> {
        image_size(&self.made())
    }

    /// The size of images, where it is known before the data are read.
    pub fn image(&self) -> Option<ImageSize> {
        self.made_image().or_else(|| self.data.image())
    }

    /// The layers that begin with the parameters of another run: network ("G", "D", "C", "E"), layer, and that run's layer.
    pub fn layers_from_run(&self) -> impl Iterator<Item = (&'static str, &Layer, &str)> {
        self.nets().into_iter().rev().flat_map(|(prefix, network)| {
            network
                .layers
                .iter()
                .filter_map(move |l| match &l.weights()?.init {
                    Init::Run(name) => Some((prefix, l, name.as_str())),
                    _ => None,
                })
        })
    }

    /// The same nets with random parameters in place of another run's: for whoever wants their sizes, not their values.
    pub fn without_other_run(&self) -> Config {
        let mut config = self.clone();
        config.init_from = None;
        if let Some(margin) = &mut config.margin {
            margin.network = None;
        }
        if let Some(encoder) = &mut config.encoder {
            encoder.of = None;
        }
        for weights in config.layers_mut().filter_map(Layer::weights_mut) {
            if matches!(weights.init, Init::Run(_)) {
                (weights.init, weights.bias) = (Init::Uniform(0.05), Bias::Constant(0.0));
            }
        }
        config
    }

    /// Values of an example: of the generator's output, or of a classifier's input.
    pub fn output_dim(&self) -> usize {
        self.made().iter().product()
    }

    /// Fails unless the generator makes, or a classifier takes, vectors of `data_dim` components, which is known once the data
    /// are loaded.
    pub fn check_data_dim(&self, data_dim: usize) -> Result<(), ConfigError> {
        let width = self.output_dim();
        if width == data_dim {
            return Ok(());
        }
        if self.classifier.is_some() {
            let message = format!(
                "classifier.image must have {data_dim} values, the size of one example of the data, got {width}"
            );
            return Err(ConfigError::from(Fault {
                key: Some("classifier.image".to_owned()),
                ..Fault::whole(&*self.name, message)
            }));
        }
        let last = self.generator.layers.last();
        let name = last.map_or("", |l| &l.name);
        let of = last.map_or("units", |l| l.kind.outputs_key());
        let key = format!("generator.layer.{name}.{of}");
        let message = match self.made_image() {
            None => format!(
                "{key} must be {data_dim}, the size of one example of the data, got {width}"
            ),
            Some(image) => format!(
                "generator.layer.{name} makes images of {image}, {width} values, and one example of the data has {data_dim}"
            ),
        };
        Err(ConfigError::from(Fault {
            key: Some(key),
            ..Fault::whole(&*self.name, message)
        }))
    }

    /// Fails unless the images that G makes are of the size of those of the data, which is known once the data are loaded.
    pub fn check_image(&self, data: ImageSize) -> Result<(), ConfigError> {
        let Some(made) = self.made_image().filter(|made| *made != data) else {
            return Ok(());
        };
        let (key, does) = match &self.classifier {
            Some(_) => ("classifier.image".to_owned(), "is"),
            None => {
                let name = self.generator.layers.last().map_or("", |l| &l.name);
                (format!("generator.layer.{name}"), "makes images of")
            }
        };
        let message = format!("{key} {does} {made}, those of the data are {data}");
        Err(ConfigError::from(Fault {
            key: Some(key),
            ..Fault::whole(&*self.name, message)
        }))
    }
}
