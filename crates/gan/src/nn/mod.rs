//! Networks: layers, each in its file, recorded with a [`Build`] that collects the tensors they declare.

mod activate;
mod activations;
mod affine;
mod append_class;
mod append_embedding;
mod block;
mod build;
mod conv2d;
mod deconv2d;
mod filters;
mod gaussian_noise;
mod global_pool;
mod linear;
mod max_pool;
mod maxout;
mod maxout_conv2d;
mod mean_pool;
mod norms;
mod pixel_shuffle;
mod pooling;
mod projection;
mod reshape;
mod scale;
mod shapes;
mod transforms;
mod upsample;
mod weights;

use std::ops::RangeInclusive;

pub use activate::Activated;
pub use activations::*;
pub use affine::Affine;
pub use append_class::AppendClass;
pub use append_embedding::AppendEmbedding;
pub use block::{Block, Resize};
pub(crate) use build::REAL;
pub use build::{Build, Masks, Named, Pass, Preactivation};
pub use conv2d::Conv2d;
pub use deconv2d::Deconv2d;
pub use filters::{Filters, Padding};
use ganforge_settings::list;
use ganforge_tensor::Var;
pub use gaussian_noise::GaussianNoise;
pub use global_pool::{GlobalMeanPool, GlobalSumPool};
pub use linear::Linear;
pub use max_pool::MaxPool;
pub use maxout::Maxout;
pub use maxout_conv2d::MaxoutConv2d;
pub use mean_pool::MeanPool;
pub use norms::*;
pub use pixel_shuffle::PixelShuffle;
pub use pooling::Pooling;
pub use projection::Projection;
pub use reshape::{Flatten, Reshape};
pub use scale::Scale;
pub use shapes::flat;
pub(crate) use shapes::shaped;
use shapes::{as_image, image, image_of, needs_image};
pub use transforms::*;
pub use upsample::{Between, Upsample};
pub use weights::Weights;

list! {
    /// What a layer does with its input, after dropout.
    pub enum LayerKind: dyn LayerRule by "kind" {
        "linear" => Linear(Linear),
        "maxout" => Maxout(Maxout),
        "conv2d" => Conv2d(Conv2d),
        "deconv2d" => Deconv2d(Deconv2d),
        "maxout_conv2d" => MaxoutConv2d(MaxoutConv2d),
        "block" => Block(Block),
        "mean_pool" => MeanPool(MeanPool),
        "max_pool" => MaxPool(MaxPool),
        "global_mean_pool" => GlobalMeanPool(GlobalMeanPool),
        "global_sum_pool" => GlobalSumPool(GlobalSumPool),
        "upsample" => Upsample(Upsample),
        "pixel_shuffle" => PixelShuffle(PixelShuffle),
        "batch_norm" => BatchNorm(BatchNorm),
        "conditional_batch_norm" => ConditionalBatchNorm(ConditionalBatchNorm),
        "layer_norm" => LayerNorm(LayerNorm),
        "instance_norm" => InstanceNorm(InstanceNorm),
        "activation" => Activated(Activated),
        "scale" => Scale(Scale),
        "gaussian_noise" => GaussianNoise(GaussianNoise),
        "reshape" => Reshape(Reshape),
        "flatten" => Flatten(Flatten),
        "append_class" => AppendClass(AppendClass),
        "append_embedding" => AppendEmbedding(AppendEmbedding),
        "projection" => Projection(Projection),
    }
}

/// What a layer does with its input, after dropout.
pub trait LayerRule: std::fmt::Debug + Send + Sync {
    /// The output [b, ...] for x [b, ...]: vectors [b, n] or images [b, h, w, c].
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g>;

    /// Whether it takes examples of the shape `input`, `[n]` or `[h, w, c]`: a network is asked when it is configured. What is
    /// not told here is the graph's fault, in the words of an op.
    ///
    /// # Errors
    /// The key that does not fit and why.
    fn fits(&self, _input: &[usize]) -> Result<(), Misfit> {
        Ok(())
    }

    /// What it is made of.
    fn parts(&self) -> Parts<'_> {
        Parts::default()
    }

    /// The same, to be changed.
    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut::default()
    }

    /// Whether D's input comes as images [b, h, w, c] for it, where the data are images.
    fn wants_images(&self) -> bool {
        matches!(self.parts().map, Map::Filters(_) | Map::Weights(_))
    }

    /// Its affine map, if it has one.
    fn affine(&self) -> Option<&Affine> {
        match self.parts().map {
            Map::Affine(affine) => Some(affine),
            _ => None,
        }
    }

    /// The same, to be changed.
    fn affine_mut(&mut self) -> Option<&mut Affine> {
        match self.parts_mut().map {
            MapMut::Affine(affine) => Some(affine),
            _ => None,
        }
    }

    /// The weights of its map, if it has one.
    fn weights(&self) -> Option<&Weights> {
        match self.parts().map {
            Map::None => None,
            Map::Affine(affine) => Some(&affine.weights),
            Map::Filters(filters) => Some(&filters.weights),
            Map::Weights(weights) => Some(weights),
        }
    }

    /// The same, to be changed.
    fn weights_mut(&mut self) -> Option<&mut Weights> {
        match self.parts_mut().map {
            MapMut::None => None,
            MapMut::Affine(affine) => Some(&mut affine.weights),
            MapMut::Filters(filters) => Some(&mut filters.weights),
            MapMut::Weights(weights) => Some(weights),
        }
    }

    /// The key that says how many outputs it has.
    fn outputs_key(&self) -> &'static str {
        match self.parts().map {
            Map::None | Map::Affine(_) => "units",
            Map::Filters(_) | Map::Weights(_) => "channels",
        }
    }

    /// How many outputs it has, where it says so itself, else 0.
    fn outputs(&self) -> usize {
        match self.parts().map {
            Map::Affine(affine) => affine.units,
            Map::Filters(filters) => filters.channels,
            Map::None | Map::Weights(_) => 0,
        }
    }

    /// What normalises its pre-activations.
    fn norm(&self) -> Option<&NormKind> {
        self.parts().norm
    }

    /// The same, to be changed, where it can have one.
    fn norm_mut(&mut self) -> Option<&mut Option<NormKind>> {
        self.parts_mut().norm
    }

    /// The function that it ends with.
    fn activation(&self) -> Option<&Activation> {
        self.parts().activation
    }

    /// Whether an example's output depends on the other ones of its minibatch.
    fn sees_batch(&self) -> bool {
        self.running().is_some()
    }

    /// The running averages that it keeps, where it normalises by minibatches.
    fn running(&self) -> Option<&Running> {
        self.norm()?.running()
    }

    /// How many classes of examples it tells apart, where it asks for them, [`Build::labels`].
    fn classes(&self) -> Option<usize> {
        self.norm()?.classes()
    }

    /// The values that its outputs can come near to.
    fn range(&self) -> RangeInclusive<f32> {
        let all = f32::NEG_INFINITY..=f32::INFINITY;
        self.parts().activation.map_or(all, |a| a.range())
    }

    /// Becomes smaller where gradients are checked, which takes every parameter many times: no more than `width` outputs,
    /// half as many channels, images of no more than `side` on a side.
    fn shrink(&mut self, width: usize, side: usize) {
        match self.parts_mut().map {
            MapMut::None | MapMut::Weights(_) => {}
            MapMut::Affine(affine) => affine.shrink(width, side),
            MapMut::Filters(filters) => filters.shrink(width),
        }
    }
}

/// What a layer is made of, as far as others ask for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts<'a> {
    /// Its map.
    pub map: Map<'a>,
    /// What normalises its pre-activations.
    pub norm: Option<&'a NormKind>,
    /// The function that it ends with.
    pub activation: Option<&'a Activation>,
}

/// What a layer stores weights of.
#[derive(Clone, Copy, Debug, Default)]
pub enum Map<'a> {
    /// Nothing.
    #[default]
    None,
    /// x · w + b
    Affine(&'a Affine),
    /// A convolution, or its adjoint.
    Filters(&'a Filters),
    /// Convolutions of a layer that is made of several.
    Weights(&'a Weights),
}

/// [`Parts`], to be changed.
#[derive(Debug, Default)]
pub struct PartsMut<'a> {
    /// Its map.
    pub map: MapMut<'a>,
    /// What normalises its pre-activations, where it can have something.
    pub norm: Option<&'a mut Option<NormKind>>,
}

/// [`Map`], to be changed.
#[derive(Debug, Default)]
pub enum MapMut<'a> {
    /// Nothing.
    #[default]
    None,
    /// As there.
    Affine(&'a mut Affine),
    /// As there.
    Filters(&'a mut Filters),
    /// As there.
    Weights(&'a mut Weights),
}

/// Why a layer does not take its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key of the layer that does not fit.
    pub key: &'static str,
    /// What is wrong with it, after its name.
    pub message: String,
}

impl Misfit {
    /// A key and what is wrong with it.
    pub fn new(key: &'static str, message: impl Into<String>) -> Misfit {
        let message = message.into();
        Misfit { key, message }
    }
}

/// The end of a layer: pre-activations normalised, noted, and their activation.
#[track_caller]
fn activated<'g>(
    build: &mut Build<'g>,
    x: Var<'g>,
    norm: Option<&NormKind>,
    activation: &Activation,
) -> Var<'g> {
    let x = match norm {
        Some(norm) => norm.forward(build, x),
        None => x,
    };
    build.note_preactivation(x);
    activation.of(build, x)
}
