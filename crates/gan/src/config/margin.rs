//! `[margin]`: what the margins of loss-sensitive GANs are measured with.

use ganforge_settings::{Maybe, Reader, settings, text};

use super::layer::Layers;
use super::{Config, Init, Layer, Network, sizes};
use crate::error::{Error, Result};
use crate::files::listed;

settings! {
    /// A frozen network: the margins of ls-gan, gls-gan and cls-gan are then distances between what a layer of it makes of the
    /// two examples, instead of between the examples. It is never trained.
    pub struct Margin {
        /// The run whose classifier or discriminator is the network; read when training begins, and not needed after that.
        #[shown("none: the network is that of the layers below, with the values that they begin with")]
        pub network: Option<String> = None, Maybe(text("the folder of a run, or a checkpoint", |t| !t.is_empty()));
        /// The layer whose outputs are compared.
        #[shown("the last one")]
        pub output: Option<String> = None, Maybe(text("the name of a layer", |t| !t.is_empty()));
        /// The layers of the network, as those of the discriminator; of a run those up to `output`, which the program writes
        /// here itself.
        #[shown("those of the run")]
        pub layers as "layer": Vec<Layer> = Vec::new(), Layers;
    }
}

impl Margin {
    /// The network up to the layer that is compared.
    pub(crate) fn compared(&self) -> Network {
        let is_output = |l: &&Layer| Some(&l.name) == self.output.as_ref();
        let before = self.layers.iter().take_while(|l| !is_output(l)).count();
        let layers = self.layers.iter().take(before + 1);
        Network {
            layers: layers.cloned().collect(),
            ..Network::default()
        }
    }

    /// Whether it names a network that was not read yet.
    pub(crate) fn is_unread(&self) -> bool {
        self.layers.is_empty()
    }
}

impl Config {
    /// Faults of [`Config::margin`], where examples have the shape that G `made`, of `values` values.
    pub(super) fn check_margin(&self, table: &Reader<'_>, made: &[usize], values: usize) {
        let Some(margin) = &self.margin else { return };
        if margin.is_unread() {
            if margin.network.is_none() {
                table.fault("margin", "must have a network or layers");
            }
            return;
        }
        let names = || listed(margin.layers.iter().map(|l| l.name.as_str()));
        if let Some(output) = &margin.output
            && !margin.layers.iter().any(|l| l.name == *output)
        {
            let message = format!("must be one of its layers, {}, got {output:?}", names());
            return table.fault("margin.output", &message);
        }
        if let Some(layer) = margin.layers.iter().find(|l| l.kind.classes().is_some()) {
            let message = "asks for the class of an example, which a margin does not";
            return table.fault(&format!("margin.layer.{}.kind", layer.name), message);
        }
        let is_of_run = |l: &&Layer| l.weights().is_some_and(|w| matches!(w.init, Init::Run(_)));
        if margin.network.is_none()
            && let Some(layer) = margin.layers.iter().find(is_of_run)
        {
            let message = "= { run = .. } is of the generator and the discriminator; here margin.network names the run";
            return table.fault(&format!("margin.layer.{}.init", layer.name), message);
        }
        let input = self.shape_for(&margin.layers, made, values);
        if let Err((layer, key, message)) = sizes::out_shape(&margin.layers, &input) {
            table.fault(&format!("margin.layer.{}.{key}", layer.name), &message);
        }
    }

    /// The shape of an example of `data_dim` values as it comes to the network of [`Config::margin`].
    pub(crate) fn margin_shape(&self, margin: &Margin, data_dim: usize) -> Vec<usize> {
        let made = sizes::count(&self.generator.layers, &self.input_of_g()).1;
        self.shape_for(&margin.layers, &made, data_dim)
    }

    /// Whether values of another run are to be loaded before the first step.
    pub(crate) fn needs_other_run(&self) -> bool {
        let of_margin = self.margin.as_ref().and_then(|m| m.network.as_ref());
        let of_encoder = self.encoder.as_ref().and_then(|e| e.of.as_ref());
        of_margin.or(of_encoder).is_some() || self.layers_from_run().next().is_some()
    }

    /// Refuses a network that is named and was not read.
    pub(crate) fn check_margin_is_read(&self) -> Result<()> {
        match self.margin.as_ref().filter(|m| m.is_unread()) {
            None => Ok(()),
            Some(margin) => {
                let place = margin.network.as_deref().unwrap_or("");
                Err(Error::Mismatch(format!(
                    "margin.network = {place:?} has not been read (pretrained::read_margin)"
                )))
            }
        }
    }
}
