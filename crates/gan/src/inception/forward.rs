//! The graph of the network, and the plan of those values of it that are asked for.

use ganforge_tensor::exec::Span;
use ganforge_tensor::ops::Window;
use ganforge_tensor::{Device, Executor, Feed, Graph, Plan, Store, Var};

use super::net::{Block, CLASSES, FEATURES, SIDE, Step, Unit};
use crate::error::{Error, Result, room_for};
use crate::files::listed;

/// Numbers of an image.
pub(super) const IMAGE: usize = SIDE * SIDE * 3;

/// Features that are the means of a block's maps, and that block.
pub(super) const MEANS: [(&str, &str); 4] = [
    ("64", "MaxPool_1"),
    ("192", "MaxPool_2"),
    ("768", "Mixed_6e"),
    ("2048", "Mixed_7c"),
];

/// A pass over some images at once.
pub(super) struct Forward {
    pub(super) plan: Plan,
    executor: Box<dyn Executor>,
    /// Images at once.
    rows: usize,
    /// What is fetched, and how many numbers it has of each image.
    fetched: Vec<(String, usize)>,
    /// [rows, SIDE, SIDE, 3]
    x: Vec<f32>,
}

impl Forward {
    /// One that hands out the values `names`.
    ///
    /// errors: a name that the network does not have; what the device refuses
    pub(super) fn new(
        net: &[Block],
        device: &Device,
        rows: usize,
        names: &[&str],
    ) -> Result<Forward> {
        let graph = Graph::new();
        let x = graph.input("x", [rows, SIDE, SIDE, 3]);
        let values = record(net, x);
        let mut plan = Plan::of(&graph);
        let mut fetched = Vec::new();
        for name in names {
            let found = values.iter().find(|(n, _)| n == name);
            let Some((_, value)) = found else {
                let known = listed(values.iter().map(|(name, _)| *name));
                let message = format!("the Inception network has no {name:?}, but {known}");
                return Err(Error::Mismatch(message));
            };
            plan = plan.fetch(name, *value);
            fetched.push((name.to_string(), value.shape().elements() / rows));
        }
        let plan = plan.compile()?;
        let floats = (rows * IMAGE) as u64 + (plan.buffer_bytes() / size_of::<f32>()) as u64;
        room_for(
            &format!("the Inception network, {rows} images at once"),
            floats,
        )?;
        Ok(Forward {
            plan,
            executor: device.executor()?,
            rows,
            fetched,
            x: vec![0.0; rows * IMAGE],
        })
    }

    /// Whether it hands out these values.
    pub(super) fn is_of(&self, names: &[&str]) -> bool {
        self.fetched
            .iter()
            .map(|(name, _)| name.as_str())
            .eq(names.iter().copied())
    }

    /// The values of each name, those of images [n, SIDE, SIDE, 3] one after the other.
    ///
    /// errors: more than there is memory for; what the executor refuses
    pub(super) fn run(&mut self, store: &mut Store, images: &[f32]) -> Result<Vec<Vec<f32>>> {
        let n = images.len() / IMAGE;
        let width: usize = self.fetched.iter().map(|(_, width)| width).sum();
        let floats = n.saturating_mul(width);
        room_for(
            "what the Inception network says of these images",
            floats as u64,
        )?;
        let room = |(_, width): &(String, usize)| Vec::with_capacity(n * width);
        let mut found: Vec<Vec<f32>> = self.fetched.iter().map(room).collect();
        for batch in images.chunks(self.rows * IMAGE) {
            self.pass(store, batch, None)?;
            for ((name, width), found) in self.fetched.iter().zip(&mut found) {
                let values = self.executor.fetch(&self.plan, store, name);
                let values = values.expect("the plan fetches it");
                found.extend_from_slice(&values[..batch.len() / IMAGE * width]);
            }
        }
        Ok(found)
    }

    /// Computes the values of at most as many images as it takes at once, and tells when each kernel call ran.
    pub(super) fn pass(
        &mut self,
        store: &mut Store,
        batch: &[f32],
        spans: Option<&mut [Span]>,
    ) -> Result<()> {
        self.x[..batch.len()].copy_from_slice(batch);
        let feeds = [Feed::new("x", [self.rows, SIDE, SIDE, 3], &self.x)];
        match spans {
            None => self.executor.run(&self.plan, store, &feeds)?,
            Some(spans) => (self.executor).run_timed(&self.plan, store, &feeds, spans)?,
        }
        Ok(())
    }
}

/// Records the network; what it gives by name: the maps of each block, and the features.
fn record<'g>(net: &[Block], mut x: Var<'g>) -> Vec<(&'static str, Var<'g>)> {
    let mut values = Vec::new();
    for block in net {
        let _scope = x.graph().scope(block.name);
        let branch = |steps: &Vec<Step>| steps.iter().fold(x, step);
        x = side_by_side(block.branches.iter().map(branch));
        values.push((block.name, x));
        let means = MEANS.iter().filter(|(_, of)| *of == block.name);
        values.extend(means.map(|(feature, _)| (*feature, mean(x))));
    }
    let graph = x.graph();
    let _scope = graph.scope("fc");
    let logits = mean(x).matmul(graph.param("fc.w", [FEATURES, CLASSES]));
    values.push(("logits_unbiased", logits));
    values.push(("logits", logits + graph.param("fc.b", [CLASSES])));
    values
}

/// The mean of each channel, [n, c].
fn mean(x: Var<'_>) -> Var<'_> {
    let dims = x.shape();
    x.mean_axes(&[1, 2])
        .reshape([dims.dims()[0], dims.dims()[3]])
}

fn side_by_side<'g>(parts: impl Iterator<Item = Var<'g>>) -> Var<'g> {
    let joined = parts.reduce(|before, part| before.concat(part, 3));
    joined.expect("a block has a branch")
}

fn image_of(x: Var<'_>) -> [usize; 2] {
    let dims = x.shape();
    [dims.dims()[1], dims.dims()[2]]
}

fn step<'g>(x: Var<'g>, step: &Step) -> Var<'g> {
    const THREE: [usize; 2] = [3, 3];
    let around = || Window::padded(image_of(x), THREE, [1, 1], [1, 1]);
    match step {
        Step::Unit(unit) => biased(convolved(x, unit), unit),
        // Sums over cells and over channels may be taken in either order; the unit has fewer channels than its input.
        Step::Averaged(divisor, unit) => {
            biased(convolved(x, unit).pool(THREE, around(), *divisor), unit)
        }
        Step::Maximum => x.max_pool(THREE, around()),
        Step::Halved => x.max_pool(THREE, Window::valid(image_of(x), THREE, [2, 2])),
        Step::Fork(units) => side_by_side(units.iter().map(|u| biased(convolved(x, u), u))),
    }
}

fn convolved<'g>(x: Var<'g>, unit: &Unit) -> Var<'g> {
    let (image, [kh, kw]) = (image_of(x), unit.kernel);
    let pad = match unit.is_padded {
        true => unit.kernel.map(|k| (k - 1) / 2),
        false => [0, 0],
    };
    let window = Window::padded(image, unit.kernel, [unit.stride; 2], pad);
    let c_in = x.shape().dims()[3];
    let filters = x
        .graph()
        .param(&format!("{}.w", unit.name), [kh, kw, c_in, unit.channels]);
    x.conv2d(filters, window)
}

fn biased<'g>(x: Var<'g>, unit: &Unit) -> Var<'g> {
    let bias = x
        .graph()
        .param(&format!("{}.b", unit.name), [unit.channels]);
    (x + bias).relu()
}
