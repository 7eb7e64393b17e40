//! Noise on the values of a layer.

use ganforge_settings::{above, settings};
use ganforge_tensor::Var;

use super::{Build, LayerRule};

settings! {
    /// Normal noise on every value, in training alone.
    ///
    /// training:  y = x + sd · n,  n standard normal, drawn for each value in each pass
    /// otherwise: y = x
    /// source: Salimans et al. 2016, Improved Techniques for Training GANs, released code: on the input of each layer of D
    #[derive(Copy)]
    pub struct GaussianNoise {
        /// Its standard deviation.
        pub sd: f64 = 0.1, above(0.0, 1e6);
    }
}

impl LayerRule for GaussianNoise {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        match build.noise(x, self.sd) {
            Some(noise) => x + noise,
            None => x,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::nn::Pass;
    use ganforge_tensor::Graph;

    const LAYERS: &str =
        "discriminator.layer=[{name='n', kind='gaussian_noise', sd=0.5}, {name='out', units=1}]";

    #[test]
    fn each_pass_of_training_has_noise_of_its_own_and_others_have_none() {
        let config = Config::preset("tiny").and_then(|c| c.with(&[LAYERS]));
        let mut network = config.expect("valid").discriminator;
        network.layers.truncate(1);
        let graph = Graph::new();
        let x = ["real", "fake"].map(|name| graph.input(name, [40, 784]));
        let passes = [0, 1].map(|i| Pass::new(["real", "fake"][i], x[i]));
        let zeros = [("real", vec![0.0; 40 * 784]), ("fake", vec![0.0; 40 * 784])];
        let values = |var: Var| var.evaluate(&zeros).expect("values");
        let mut build = Build::new(&graph);
        let joined = values(build.train("D", &network, &passes));
        let alone = passes.map(|pass| values(Build::new(&graph).train("D", &network, &[pass])));
        assert_eq!(joined, alone.concat(), "joined or not");
        assert_ne!(alone[0], alone[1]);
        let n = joined.len() as f64;
        let mean = joined.iter().sum::<f64>() / n;
        let variance = joined.iter().map(|v| v * v).sum::<f64>() / n;
        assert!(mean.abs() < 4.0 * 0.5 / n.sqrt(), "{mean}");
        assert!(
            (variance / 0.25 - 1.0).abs() < 4.0 * (2.0 / n).sqrt(),
            "{variance}"
        );
        let judged = Build::new(&graph).eval("D", &network, x[0]);
        assert_eq!(judged.id(), x[0].id());
    }
}
