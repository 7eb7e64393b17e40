//! A small GAN's training step: products, maxout, dropout, momentum, minibatches from a table.
#![allow(dead_code, reason = "each test binary uses its part")]

use ganforge_tensor::{Cpu, Executor, Feed, Graph, Keep, Plan, Shape, Store, Var};

use super::Rng;

const BATCH: usize = 100;
const NOISE: usize = 60;
const HIDDEN: usize = 300;
// A batch of images is more than the 65,536 elements from which whole-array kernels spread.
const PIXELS: usize = 784;
const UNITS: usize = 80;
const PIECES: usize = 5;
const ROWS: usize = 300;

/// Everything one step needs.
pub struct Training {
    pub plan: Plan,
    pub store: Store,
    table: Vec<f32>,
    index: Vec<f32>,
}

struct Net<'g> {
    g: &'g Graph,
    store: Store,
    rng: Rng,
    params: Vec<Var<'g>>,
}

impl<'g> Net<'g> {
    fn param(&mut self, name: &str, shape: impl Into<Shape>) -> Var<'g> {
        let (shape, g) = (shape.into(), self.g);
        if self.store.get(name).is_none() {
            let data = self.rng.reals(shape.elements());
            let data: Vec<f32> = data.iter().map(|x| 0.05 * x).collect();
            self.store
                .insert(name, shape, data)
                .expect("the data fills the shape");
            self.params.push(g.param(name, shape));
        }
        g.param(name, shape)
    }

    fn linear(&mut self, name: &str, x: Var<'g>, n: usize) -> Var<'g> {
        let k = x.shape().dims()[1];
        let w = self.param(&format!("{name}.w"), [k, n]);
        x.matmul(w) + self.param(&format!("{name}.b"), [n])
    }

    fn generator(&mut self, z: Var<'g>) -> Var<'g> {
        let h = self.linear("G.h0", z, HIDDEN).relu();
        self.linear("G.out", h, PIXELS).sigmoid()
    }

    /// Logits of x; `pass` names the dropout masks.
    fn discriminator(&mut self, x: Var<'g>, pass: &str) -> Var<'g> {
        let g = self.g;
        let mask =
            |name: &str, shape, p| g.bernoulli(&format!("mask/{pass}/{name}"), shape, p, 1.0 / p);
        let x = x * mask("h0", x.shape(), 0.8);
        let h = self.linear("D.h0", x, UNITS * PIECES).maxout(PIECES);
        let h = h * mask("out", h.shape(), 0.5);
        self.linear("D.out", h, 1)
    }
}

impl Training {
    pub fn new(keep: Keep) -> Training {
        let g = Graph::new();
        let mut store = Store::new(5);
        store.control.set("lr", 0.1);
        store.control.set("mu", 0.5);
        let mut net = Net {
            g: &g,
            store,
            rng: Rng::new(2),
            params: Vec::new(),
        };
        let images = g
            .input("images", [ROWS, PIXELS])
            .gather_rows(g.input("index", [BATCH]));
        let fake = net.generator(g.normal("z", [BATCH, NOISE], 0.0, 1.0));
        let real = net.discriminator(images, "real");
        let fooled = net.discriminator(fake, "fake");
        let loss_d = (-real).softplus().mean() + fooled.softplus().mean();
        let loss_g = (-fooled).softplus().mean();
        let mut builder = Plan::of(&g)
            .keep(keep)
            .fetch("loss/d", loss_d)
            .fetch("loss/g", loss_g);
        builder = builder.fetch("fake", fake);
        for (loss, net_name) in [(loss_d, "D."), (loss_g, "G.")] {
            let mut params = net.params.clone();
            params.retain(|p| p.label().starts_with(net_name));
            let gradients = g.grad(loss, &params).expect("every parameter is reached");
            for (p, dp) in params.into_iter().zip(gradients) {
                let name = format!("{}.momentum", p.label());
                let zeros = vec![0.0; p.shape().elements()];
                net.store
                    .insert(&name, p.shape(), zeros)
                    .expect("the data fills the shape");
                let v = g.param(&name, p.shape());
                let v1 = v * g.scalar("mu") - dp * g.scalar("lr");
                builder = builder.update(v, v1).update(p, p + v1);
            }
        }
        let plan = builder.compile().expect("the graph has no fault");
        let table = net.rng.reals(ROWS * PIXELS);
        Training {
            plan,
            store: net.store,
            table,
            index: vec![0.0; BATCH],
        }
    }

    /// One step, on the current rayon pool.
    pub fn step(&mut self, cpu: &mut Cpu) {
        let step = self.store.control.step;
        for (i, index) in self.index.iter_mut().enumerate() {
            *index = ((step as usize * BATCH + i) % ROWS) as f32;
        }
        let feeds = [
            Feed::new("images", [ROWS, PIXELS], &self.table),
            Feed::new("index", [BATCH], &self.index),
        ];
        cpu.run(&self.plan, &mut self.store, &feeds)
            .expect("everything is fed");
        self.store.control.step += 1;
    }
}
