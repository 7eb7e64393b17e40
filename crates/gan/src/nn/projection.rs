//! The logit of a discriminator that knows the class of an example.

use ganforge_settings::{Flat, Reader, settings, whole};
use ganforge_tensor::Var;

use super::{Activation, Build, Identity, LayerRule, Map, MapMut, Parts, PartsMut, Weights, flat};
use crate::config::{Bias, MANY};

settings! {
    /// Of the discriminator, its last layer: a logit that is an affine map of the features h, whatever the class, and their inner
    /// product with a vector of the class.
    ///
    /// y [b, 1] = h · w + b + ⟨E[class], h⟩           h [b, n] or [b, h, w, c], w [n, 1], E [classes, n]
    ///
    /// E is stored as `embedding.w`; initial weights, constraints and transforms are those of both. With E = 0 it is the last
    /// layer of a discriminator without classes.
    /// source: Miyato and Koyama 2018, cGANs with Projection Discriminator, equation 3
    pub struct Projection {
        /// Number of classes.
        pub classes: usize = 10, whole(1, MANY);
        /// What it stores.
        pub weights: Weights = Weights::default(), Flat;
    }
    check Projection::check;
}

/// A logit ends with no function.
static ACTIVATION: Activation = Activation::Linear(Identity {});

impl Projection {
    fn check(&mut self, table: &Reader<'_>) {
        if matches!(self.weights.bias, Bias::Untied(_)) {
            table.fault("bias", "= { untied = .. } is of convolutions only");
        }
    }
}

impl LayerRule for Projection {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let h = flat(x);
        let (b, n) = match *h.shape().dims() {
            [b, n] => (b, n),
            _ => (1, 1),
        };
        let w = self.weights.of(build, [n, 1], [n, 1], 1);
        let logit = self.weights.plus_bias(build, h.matmul(w));
        let of_class = build.within("embedding", |build| {
            let e = self
                .weights
                .of(build, [self.classes, n], [n, self.classes], 0);
            build.of_class(e, b)
        });
        let logit = logit + (of_class * h).sum_axes(&[1]);
        build.note_preactivation(logit);
        logit
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            map: Map::Weights(&self.weights),
            activation: Some(&ACTIVATION),
            ..Parts::default()
        }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut {
            map: MapMut::Weights(&mut self.weights),
            ..PartsMut::default()
        }
    }

    fn wants_images(&self) -> bool {
        false
    }

    fn outputs_key(&self) -> &'static str {
        "kind"
    }

    fn outputs(&self) -> usize {
        1
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    /// One logit is one logit.
    fn shrink(&mut self, _: usize, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Affine, Linear};
    use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan, Store};

    /// The logits of two examples of the classes 2 and 0, of four features, and the gradients in h, w and where there is one E.
    fn found(layer: &dyn LayerRule, e: &[f32; 12]) -> Vec<Vec<f32>> {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        build.at("D", "out");
        let h = graph.input("h", [2, 1, 2, 2]);
        let y = layer.forward(&mut build, h);
        let w = graph.param("D.out.w", [4, 1]);
        let mut wrt = vec![h, w];
        let mut store = Store::new(1);
        let mut put = |name: &str, shape: [usize; 2], values: &[f32]| {
            store.insert(name, shape, values.to_vec()).expect("new");
        };
        put("D.out.w", [4, 1], &[0.3, -1.7, 0.9, 2.1]);
        if layer.classes().is_some() {
            put("D.out.embedding.w", [3, 4], e);
            wrt.push(graph.param("D.out.embedding.w", [3, 4]));
        }
        store.insert("D.out.b", [1], vec![0.7]).expect("new");
        let slope = graph.grad(y.softplus().mean(), &wrt).expect("reached");
        let names = ["dh", "dw", "de"];
        let plan = names
            .iter()
            .zip(&slope)
            .fold(Plan::of(&graph), |p, (name, d)| p.fetch(name, *d));
        let plan = plan.fetch("y", y).compile().expect("a valid graph");
        let mut cpu = Cpu::new(&plan);
        let h = [0.1, -0.2, 0.7, 1.3, 2.3, -0.4, 0.5, 1.1];
        let mut feeds = vec![Feed::new("h", [2, 1, 2, 2], &h)];
        if layer.classes().is_some() {
            feeds.push(Feed::new("labels", [2], &[2.0, 0.0]));
        }
        cpu.run(&plan, &mut store, &feeds).expect("runs");
        let names = ["y", "dh", "dw", "de"].into_iter();
        let values = names.filter_map(|name| cpu.fetch(&plan, &store, name));
        values.map(<[f32]>::to_vec).collect()
    }

    fn projection() -> Projection {
        Projection {
            classes: 3,
            ..Projection::default()
        }
    }

    #[test]
    fn without_embedding_it_is_the_unconditional_layer_bit_for_bit() {
        let units = Affine {
            units: 1,
            ..Affine::default()
        };
        let linear = Linear {
            activation: ACTIVATION.clone(),
            affine: units,
            norm: None,
        };
        let conditional = found(&projection(), &[0.0; 12]);
        assert_eq!(conditional[..3], found(&linear, &[0.0; 12]));
    }

    #[test]
    fn the_embedding_of_the_class_is_multiplied_with_the_features() {
        let mut e = [0.0; 12];
        e[..4].copy_from_slice(&[1.0, 0.0, 0.0, 0.0]);
        e[8..].copy_from_slice(&[0.0, 2.0, 0.0, -1.0]);
        let plain = found(&projection(), &[0.0; 12]);
        let values = found(&projection(), &e);
        for (i, more) in [2.0 * -0.2 - 1.3, 2.3].into_iter().enumerate() {
            assert!((values[0][i] - plain[0][i] - more).abs() < 1e-6, "{i}");
        }
        // No example is of class 1, and nothing is learnt of it.
        let is_learnt = values[3].chunks(4).map(|row| row.iter().all(|v| *v != 0.0));
        assert_eq!(is_learnt.collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(values[3][4..8], [0.0; 4]);
    }
}
