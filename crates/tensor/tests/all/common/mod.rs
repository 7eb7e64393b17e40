//! What several tests share: a seeded generator, and a graph run node by node without a plan.
#![allow(dead_code, reason = "alloc.rs uses a part")]

pub mod gan;

use std::collections::HashMap;

use ganforge_kernels::cpu::Workspace;
use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_kernels::cuda::{Device, Precision};
use ganforge_ptxvm::Interpreter;
use ganforge_tensor::ops::{Cx, Env, Kind};
use ganforge_tensor::plan::{Call, Contraction, Kernel, Stage};
use ganforge_tensor::{Cpu, Cuda, Executor, Feed, Graph, Keep, Plan, Shape, Store, Var, View};

/// What plans are run on beside the CPU: the interpreter of PTX, with launches far from their order, and, where there is one,
/// a CUDA device.
pub fn devices() -> Vec<Device> {
    let mut devices = vec![Device::new(Interpreter::default().straying())];
    match ganforge_kernels::cuda::open(0) {
        Ok(device) => devices.push(device),
        Err(error) => testkit::skip("gpu", error),
    }
    devices
}

/// SplitMix64 (Steele, Lea and Flood 2014): a seed and nothing else decides every number.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    pub fn reals(&mut self, n: usize) -> Vec<f32> {
        let real = |bits: u64| (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        (0..n).map(|_| real(self.next())).collect()
    }
}

/// The first place where two lists of numbers differ, any NaN being equal to any other.
pub fn first_difference(a: &[f32], b: &[f32]) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} and {} values", a.len(), b.len()));
    }
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    let at = a.iter().zip(b).position(|pair| !same(pair))?;
    Some(format!("at {at}: {:e} and {:e}", a[at], b[at]))
}

/// Every node of `graph` in f32, one op at a time, each in a buffer of its own.
///
/// Updates and the plan's fetches follow from it by their definition alone.
pub fn run_unplanned(graph: &Graph, store: &Store, feeds: &[Feed]) -> Vec<Vec<f32>> {
    let env = Env {
        key: store.control.key,
        counter: store.control.step,
    };
    let mut workspace = Workspace::default();
    let shapes: Vec<Shape> = graph.vars().map(|v| v.shape()).collect();
    let mut values: Vec<Vec<f32>> = Vec::new();
    for var in graph.vars() {
        let node = var.node();
        if node.op.kind() == Kind::Leaf {
            let label = var.label();
            let fed = feeds.iter().find(|f| f.name == label);
            values.push(match (fed, store.get(&label)) {
                (Some(feed), _) => feed.data.to_vec(),
                (_, Some(entry)) => entry.data.to_vec(),
                _ => vec![store.control.get(&label).expect("every leaf has a value")],
            });
            continue;
        }
        let inputs = node.inputs.as_slice().iter();
        let ins: Vec<View<f32>> = inputs
            .map(|id| View::new(&values[id.index()], shapes[id.index()]))
            .collect();
        let mut out = vec![f32::NAN; node.shape.elements()];
        let mut cx = Cx {
            env,
            start: 0,
            shape: node.shape,
            algorithm: Algorithm::default(),
            workspace: &mut workspace,
        };
        node.op.cpu(&ins, &mut out, &mut cx);
        values.push(out);
    }
    values
}

/// What a plan handed out, by name.
pub fn fetches(plan: &Plan, cpu: &Cpu, store: &Store) -> HashMap<String, Vec<f32>> {
    let value = |name: &str| {
        let value = cpu.fetch(plan, store, name);
        value
            .unwrap_or_else(|| panic!("a fetch is missing"))
            .to_vec()
    };
    let names = plan.fetches.iter().map(|f| f.name.clone());
    names.map(|n| (n.clone(), value(&n))).collect()
}

/// All tensors of a store, by name.
pub fn contents(store: &Store) -> HashMap<String, Vec<f32>> {
    let pair = |e: &ganforge_tensor::Entry| (e.name.clone(), e.data.to_vec());
    store.iter().map(pair).collect()
}

/// Panics where two sets of named values are not equal to the bit.
#[track_caller]
pub fn assert_same(what: &str, a: &HashMap<String, Vec<f32>>, b: &HashMap<String, Vec<f32>>) {
    assert_eq!(a.len(), b.len(), "{what}: other names");
    let mut names: Vec<&String> = a.keys().collect();
    names.sort();
    for name in names {
        if let Some(difference) = first_difference(&a[name], &b[name]) {
            panic!("{what}: {name}: {difference}");
        }
    }
}

/// A graph with everything that its plans are run with.
pub struct Case<'g> {
    pub g: &'g Graph,
    pub store: Store,
    pub feeds: Vec<(String, Shape, Vec<f32>)>,
    pub fetches: Vec<Var<'g>>,
    pub updates: Vec<(Var<'g>, Var<'g>)>,
}

impl<'g> Case<'g> {
    pub fn new(g: &'g Graph, key: u64) -> Case<'g> {
        Case {
            g,
            store: Store::new(key),
            feeds: Vec::new(),
            fetches: Vec::new(),
            updates: Vec::new(),
        }
    }

    pub fn input(&mut self, name: &str, shape: impl Into<Shape>, data: Vec<f32>) -> Var<'g> {
        let shape = shape.into();
        self.feeds.push((name.to_string(), shape, data));
        self.g.input(name, shape)
    }

    pub fn param(&mut self, name: &str, shape: impl Into<Shape>, data: Vec<f32>) -> Var<'g> {
        let shape = shape.into();
        self.store
            .insert(name, shape, data)
            .expect("the data fills the shape");
        self.g.param(name, shape)
    }

    pub fn plan(&self, keep: Keep) -> Plan {
        let mut builder = Plan::of(self.g).keep(keep);
        for (i, value) in self.fetches.iter().enumerate() {
            builder = builder.fetch(&i.to_string(), *value);
        }
        for (p, value) in &self.updates {
            builder = builder.update(*p, *value);
        }
        builder.compile().expect("the graph has no fault")
    }

    /// The feeds that a plan reads.
    pub fn feeds(&self, plan: &Plan) -> Vec<Feed<'_>> {
        let read = |name: &str| plan.inputs.iter().any(|i| i.name == name);
        let feeds = self.feeds.iter().filter(|f| read(&f.0));
        feeds.map(|f| Feed::new(&f.0, f.1, &f.2)).collect()
    }

    /// What the nodes say: fetches, and the store after the updates.
    fn expected(&self, store: &mut Store) -> HashMap<String, Vec<f32>> {
        let feeds: Vec<Feed> = self
            .feeds
            .iter()
            .map(|f| Feed::new(&f.0, f.1, &f.2))
            .collect();
        let values = run_unplanned(self.g, store, &feeds);
        for (p, value) in &self.updates {
            let data = values[value.id().index()].clone();
            store
                .insert(&p.label(), p.shape(), data)
                .expect("shapes are equal");
        }
        let fetched = self.fetches.iter().enumerate();
        fetched
            .map(|(i, v)| (i.to_string(), values[v.id().index()].clone()))
            .collect()
    }

    /// Runs both plans several times beside their plain definition.
    #[track_caller]
    pub fn check(&self, what: &str, replays: u64) {
        let plans = [self.plan(Keep::All), self.plan(Keep::Fetched)];
        let mut stores = [self.store.clone(), self.store.clone()];
        let mut cpus = [Cpu::new(&plans[0]), Cpu::new(&plans[1])];
        let mut expected_store = self.store.clone();
        for replay in 0..replays {
            let expected = self.expected(&mut expected_store);
            for i in 0..2 {
                let (plan, store) = (&plans[i], &mut stores[i]);
                cpus[i]
                    .run(plan, store, &self.feeds(plan))
                    .expect("everything is fed");
                let what = format!("{what}, Keep::{:?}, replay {replay}", plan.keep);
                assert_same(
                    &format!("{what}, fetch"),
                    &expected,
                    &fetches(plan, &cpus[i], store),
                );
                assert_same(
                    &format!("{what}, store"),
                    &contents(&expected_store),
                    &contents(store),
                );
                store.control.step += 1;
            }
            expected_store.control.step += 1;
        }
    }
}

impl Case<'_> {
    /// Runs both plans on each device that has the precision, where they must agree to the bit, too.
    #[track_caller]
    pub fn check_devices(&self, what: &str, replays: u64, precision: Precision) {
        for device in devices() {
            if let Err(error) = device.check_precision(precision) {
                testkit::skip("gpu", error);
                continue;
            }
            let plans = [self.plan(Keep::All), self.plan(Keep::Fetched)];
            let mut stores = [self.store.clone(), self.store.clone()];
            let mut runs = plans
                .each_ref()
                .map(|_| Cuda::new(&device, precision).expect("checked"));
            for replay in 0..replays {
                let mut fetched = Vec::new();
                for i in 0..2 {
                    let (plan, store) = (&plans[i], &mut stores[i]);
                    let done = runs[i].run(plan, store, &self.feeds(plan));
                    done.unwrap_or_else(|error| panic!("{what}: {error}\n{plan}"));
                    store.control.step += 1;
                    let value =
                        |name: &String| runs[i].fetch(plan, store, name).expect("fetched").to_vec();
                    let names = plan.fetches.iter().map(|f| f.name.clone());
                    let values: HashMap<_, _> = names.map(|n| (n.clone(), value(&n))).collect();
                    fetched.push(values);
                }
                let what = format!("{what} on {}, replay {replay}", device.about().name);
                assert_same(&format!("{what}, fetch"), &fetched[0], &fetched[1]);
                let stored = stores.each_ref().map(contents);
                assert_same(&format!("{what}, store"), &stored[0], &stored[1]);
            }
        }
    }
}

/// What kind of kernel a call runs.
pub fn kernel(call: &Call) -> &'static str {
    match &call.kernel {
        Kernel::Op(_) => "op",
        Kernel::Elementwise(program) => match (program.sums.len(), program.insts.len()) {
            (1, _) => "sum of a program",
            (0, 1) => "elementwise of one",
            (0, _) => "elementwise of many",
            _ => "sums of a program",
        },
        Kernel::Product(product) => match (product.contraction, product.epilogue.stages()) {
            (Contraction::MatMul(_), []) => "op",
            (Contraction::MatMul(_), [Stage::Accumulate]) => "accumulate",
            (Contraction::MatMul(_), [Stage::Bias]) => "bias",
            (Contraction::MatMul(_), [Stage::Bias, Stage::Relu]) => "bias relu",
            (Contraction::MatMul(_), [Stage::Bias, Stage::LeakyRelu { .. }]) => "bias leaky relu",
            (Contraction::MatMul(_), [Stage::Times]) => "times",
            (Contraction::MatMul(_), [Stage::Adam(_)]) => "adam",
            (Contraction::MatMul(_), [Stage::Accumulate, Stage::Adam(_)]) => "adam of two",
            (Contraction::MatMul(_), [Stage::Step { .. }]) => "step",
            (Contraction::MatMul(_), [Stage::Momentum]) => "momentum",
            (Contraction::MatMul(_), [Stage::Accumulate, Stage::Momentum]) => "momentum of two",
            (Contraction::Conv2d(_), []) => "conv2d",
            (Contraction::Conv2d(_), [Stage::Bias]) => "conv2d bias",
            (Contraction::Conv2d(_), [Stage::Bias, Stage::Relu]) => "conv2d bias relu",
            (Contraction::Conv2d(_), [Stage::Bias, Stage::LeakyRelu { .. }]) => {
                "conv2d bias leaky relu"
            }
            (Contraction::Conv2dDx(_), []) => "conv2d_dx",
            (Contraction::Conv2dDx(_), [Stage::Bias]) => "conv2d_dx bias",
            (Contraction::Conv2dDx(_), [Stage::Bias, Stage::Relu]) => "conv2d_dx bias relu",
            (Contraction::Conv2dDx(_), [Stage::Accumulate]) => "conv2d_dx accumulate",
            (Contraction::Conv2dDx(_), [Stage::Times]) => "conv2d_dx times",
            (Contraction::Conv2dDx(_), [Stage::Step { .. }]) => "conv2d_dx step",
            (Contraction::Conv2dDw(_), []) => "conv2d_dw",
            (Contraction::Conv2dDw(_), [Stage::Accumulate]) => "conv2d_dw accumulate",
            (Contraction::Conv2dDw(_), [Stage::Momentum]) => "conv2d_dw momentum",
            (Contraction::Conv2dDw(_), [Stage::Accumulate, Stage::Momentum]) => {
                "conv2d_dw momentum of two"
            }
            (Contraction::Conv2dDw(_), [Stage::Adam(_)]) => "conv2d_dw adam",
            (Contraction::Conv2dDw(_), [Stage::Accumulate, Stage::Adam(_)]) => {
                "conv2d_dw adam of two"
            }
            (Contraction::MaxoutGrad(op), stages) => match (op.matmul.ta, stages) {
                (false, []) => "maxout input gradient",
                (false, [Stage::Times]) => "maxout input gradient times",
                (false, [Stage::Step { .. }]) => "maxout input gradient step",
                (false, [Stage::Accumulate]) => "maxout input gradient accumulate",
                (true, []) => "maxout weight gradient",
                (true, [Stage::Accumulate]) => "maxout accumulate",
                (true, [Stage::Momentum]) => "maxout momentum",
                (true, [Stage::Accumulate, Stage::Momentum]) => "maxout momentum of two",
                _ => "another maxout gradient",
            },
            _ => "another product",
        },
        Kernel::Maxout(maxout) => match maxout.mask {
            None => "maxout",
            Some(_) => "maxout dropout",
        },
        Kernel::PutSum(_) => "sum of put",
        Kernel::Copy => "copy",
    }
}
