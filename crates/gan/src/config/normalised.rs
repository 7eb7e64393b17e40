//! One normaliser for all layers of a network.

use ganforge_settings::list;

use super::{Layer, LayerKind, Network};
use crate::nn::{BatchNorm, InstanceNorm, LayerNorm, NormKind, SpectralNorm, TransformKind};

list! {
    /// Normalisers of a whole network, with their default settings.
    pub enum Everywhere {
        /// Nothing is normalised.
        "none" => None,
        /// `norm = "batch"`.
        "batch" => Batch,
        /// `norm = "layer"`.
        "layer" => Layer,
        /// `norm = "instance"`.
        "instance" => Instance,
        /// `transform = "spectral_norm"` of all weights, those of the last layer included, and no `norm`.
        "spectral" => Spectral,
    }
}

impl Everywhere {
    fn norm(self) -> Option<NormKind> {
        match self {
            Everywhere::None | Everywhere::Spectral => None,
            Everywhere::Batch => Some(NormKind::Batch(BatchNorm::default())),
            Everywhere::Layer => Some(NormKind::Layer(LayerNorm::default())),
            Everywhere::Instance => Some(NormKind::Instance(InstanceNorm::default())),
        }
    }

    fn transform(self) -> Option<TransformKind> {
        let spectral = TransformKind::SpectralNorm(SpectralNorm::default());
        (self == Everywhere::Spectral).then_some(spectral)
    }
}

impl Network {
    /// Gives its layers what `norm` says. What maps to the output is not normalised, nor, of a discriminator, what the
    /// first map makes of the examples; blocks normalise inside of themselves wherever they are.
    pub(super) fn normalise(&mut self, is_discriminator: bool) {
        let Some(everywhere) = self.norm else {
            return;
        };
        let has_norm = |l: &mut Layer| l.kind.get_mut().is_some_and(|k| k.norm_mut().is_some());
        let first = self.layers.iter_mut().position(has_norm);
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers.iter_mut().enumerate() {
            if let Some(weights) = layer.weights_mut() {
                weights.transform = everywhere.transform();
            }
            let is_end = i == last || is_discriminator && Some(i) == first;
            let is_block = matches!(layer.kind, LayerKind::Block(_));
            if let Some(norm) = layer.kind.get_mut().and_then(|kind| kind.norm_mut()) {
                *norm = everywhere.norm().filter(|_| is_block || !is_end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The names of the layers of D that have a norm, and of those with spectral norm.
    fn normalised(network: &Network, norm: &str) -> [Vec<String>; 2] {
        let names = |is_one: &dyn Fn(&&Layer) -> bool| -> Vec<String> {
            let layers = network.layers.iter().filter(is_one);
            layers.map(|l| l.name.clone()).collect()
        };
        let has_norm = |l: &&Layer| l.kind.norm().is_some_and(|n| n.name() == norm);
        let is_spectral = |l: &&Layer| {
            let transform = l.weights().and_then(|w| w.transform.as_ref());
            matches!(transform, Some(TransformKind::SpectralNorm(_)))
        };
        [names(&has_norm), names(&is_spectral)]
    }

    #[test]
    fn one_key_gives_all_layers_of_a_network_their_normaliser() {
        let none: &[&str] = &[];
        for (preset, norm, normed, spectral) in [
            ("dcgan28", "batch", &["h1"][..], none),
            ("dcgan28", "spectral", none, &["h0", "h1", "out"]),
            (
                "sndcgan32",
                "layer",
                &["h1", "h2", "h3", "h4", "h5", "h6"],
                none,
            ),
            ("sndcgan32", "none", none, none),
            ("resnet32", "layer", &["b0", "b1", "b2", "b3"], none),
            (
                "resnet32",
                "spectral",
                none,
                &["b0", "b1", "b2", "b3", "out"],
            ),
        ] {
            let option = format!("discriminator.norm={norm}");
            let preset = Config::preset(preset).expect("bundled");
            let config = preset.with(&[&option]).expect("valid");
            let found = normalised(&config.discriminator, norm);
            assert_eq!(found, [normed, spectral], "{option}");
            assert_eq!(config.generator, preset.generator);
            let again = Config::from_toml(&config.to_toml(), "again").expect("valid");
            assert_eq!(again, config, "{option}");
        }
        let config = Config::preset("dcgan28").expect("bundled");
        let config = config.with(&["generator.norm=batch"]).expect("valid");
        let [normed, _] = normalised(&config.generator, "batch");
        assert_eq!(normed, ["h0", "h1"], "the first layer of G, too");
    }
}
