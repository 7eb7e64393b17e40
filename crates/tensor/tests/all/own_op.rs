//! Ops that this crate defines, which is another one than that of the engine.

use crate::common::devices;
use crate::errors::site;
use ganforge_kernels::cuda::Precision;
use ganforge_kernels::cuda::elementwise::{Access, Instruction, Opcode, Program};
use ganforge_tensor::exec::cuda::{DeviceCx, DeviceView};
use ganforge_tensor::ops::{Cx, Elementwise, Env, Kind, Op, OpDef, Range, Sample, input, sample};
use ganforge_tensor::{
    Cpu, Cuda, Error, Executor, Feed, Graph, Keep, Plan, Reference, Result, Shape, Store, Var,
    View, gradcheck,
};

const R: Range = Range::Real(-3.0, 3.0);
const X: [f32; 4] = [-2.0, -0.0, 0.5, 30.0];

/// y = x · sigmoid(scale · x).
#[derive(Clone, Copy, PartialEq, Debug)]
struct Swish {
    scale: f64,
}

impl Elementwise for Swish {
    const NAME: &'static str = "swish";
    const ARITY: usize = 1;
    const DOC: &'static str = "A smooth relu";
    const SAMPLES: &'static [Sample<Swish>] =
        &[sample(Swish { scale: 1.5 }, &[input(&[3, 683], R)])];

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let s = (x[0] * self.scale).sigmoid();
        Some(dy * (s + y * (1.0 - s) * self.scale))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] / (1.0 + (-self.scale * x[0]).exp())
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        for (x, y) in x[0].data.iter().zip(y) {
            *y = x / (1.0 + (-self.scale as f32 * x).exp());
        }
    }

    fn attributes(&self) -> String {
        self.scale.to_string()
    }
}

/// x² by a program of a device's, of whatever kind, with a gradient of whatever shape.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Square {
    kind: Kind,
    keeps_shape: bool,
}

const SQUARE: Square = Square {
    kind: Kind::General,
    keeps_shape: true,
};

impl OpDef for Square {
    const NAME: &'static str = "own_square";
    const ARITY: usize = 1;
    const SAMPLES: &'static [Sample<Square>] = &[sample(SQUARE, &[input(&[3, 683], R)])];

    fn kind(&self) -> Kind {
        self.kind
    }

    fn shape(&self, ins: &[Shape]) -> std::result::Result<Shape, String> {
        Ok(if self.keeps_shape {
            ins[0]
        } else {
            Shape::SCALAR
        })
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(if self.keeps_shape {
            dy * x[0] * 2.0
        } else {
            dy
        })
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        for (x, y) in ins[0].data.iter().zip(out) {
            *y = x * x;
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        for (x, y) in ins[0].data.iter().zip(out) {
            *y = x * x;
        }
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        cx.program(&Program {
            elements: out.shape.elements(),
            inputs: vec![(ins[0].data, Access::Full)],
            instructions: vec![Instruction::new(Opcode::Mul, [0.0; 2]).on(0, 0)],
            outputs: vec![(out.data, 1)],
        });
        Ok(())
    }
}

fn plan(g: &Graph, y: Var, keep: Keep) -> Plan {
    let plan = Plan::of(g).fetch("y", y).keep(keep).compile();
    plan.expect("no fault")
}

fn on_cpu(plan: &Plan) -> Vec<f32> {
    let (mut cpu, mut store) = (Cpu::new(plan), Store::new(0));
    cpu.run(plan, &mut store, &[Feed::new("x", [4], &X)])
        .expect("fed");
    cpu.fetch(plan, &store, "y").expect("fetched").to_vec()
}

#[test]
fn it_is_differentiated_planned_fused_run_and_shown() {
    for order in [1, 2] {
        let mut findings = gradcheck::check_op::<Swish>(order, 11).expect("recorded");
        findings.extend(gradcheck::check_op::<Square>(order, 11).expect("recorded"));
        assert!(findings.len() >= 4);
        assert!(findings.iter().all(|f| f.passes()), "{findings:#?}");
    }
    let g = Graph::new();
    let x = g.input("x", [4]);
    let inner = g.record(Op::own(Swish { scale: 2.0 }), &[x + 1.0]);
    let y = g.record(Op::own(SQUARE), &[inner * 0.5]);
    assert!(g.line(inner.id()).contains("= swish(%1, 2)"), "{g}");
    assert_eq!(inner.node().op.doc(), "A smooth relu");
    let plans = [Keep::All, Keep::Fetched].map(|keep| plan(&g, y, keep));
    let text = plans[1].to_string();
    assert!(text.contains(" add_scalar+swish+mul_scalar(x)"), "{text}");
    assert!(text.contains(" own_square("), "{text}");
    let [all, fetched] = plans.each_ref().map(on_cpu);
    assert_eq!(all, fetched);
    let mut reference = Reference::new();
    let feeds = [Feed::new("x", [4], &X)];
    reference
        .run(&plans[0], &mut Store::new(0), &feeds)
        .expect("fed");
    let exact = reference.fetch(&plans[0], "y").expect("fetched");
    for (y, exact) in all.iter().zip(exact) {
        assert!(
            (f64::from(*y) - exact).abs() < 1e-5 * exact.abs().max(1.0),
            "{y} {exact}"
        );
    }
}

#[test]
fn equal_values_are_one_op_and_others_are_not() {
    assert_eq!(Op::own(Swish { scale: 1.0 }), Op::own(Swish { scale: 1.0 }));
    assert_ne!(Op::own(Swish { scale: 1.0 }), Op::own(Swish { scale: 2.0 }));
    assert_ne!(Op::own(Swish { scale: 1.0 }), Op::own(SQUARE));
}

#[test]
fn a_device_runs_the_one_with_launches_and_refuses_the_other_by_name() {
    let g = Graph::new();
    let x = g.input("x", [4]);
    let square = plan(&g, g.record(Op::own(SQUARE), &[x]), Keep::Fetched);
    let swish = plan(
        &g,
        g.record(Op::own(Swish { scale: 1.0 }), &[x]) + 1.0,
        Keep::Fetched,
    );
    for device in devices() {
        let mut cuda = Cuda::new(&device, Precision::F32).expect("f32 is always there");
        let (mut store, feeds) = (Store::new(0), [Feed::new("x", [4], &X)]);
        cuda.run(&square, &mut store, &feeds)
            .expect("it has launches");
        assert_eq!(
            cuda.fetch(&square, &store, "y").expect("fetched"),
            on_cpu(&square)
        );
        let refused = cuda.run(&swish, &mut store, &feeds);
        assert_eq!(refused, Err(Error::NoKernel { op: "swish" }));
    }
}

#[test]
fn what_breaks_its_promise_is_a_fault_with_its_name_and_line() {
    let g = Graph::new();
    let x = g.input("x", [4]);
    g.record(Op::own(SQUARE), &[x, x]);
    let line = site(1);
    let expected = format!("own_square: expected 1 inputs: [4] · [4] in top ({line}");
    let fault = g.fault().expect("refused").to_string();
    assert!(fault.starts_with(&expected), "{fault}");
    for (kind, keeps_shape) in [
        (Kind::Leaf, true),
        (Kind::Generator, true),
        (Kind::Alias, false),
        (Kind::Elementwise, false),
    ] {
        let g = Graph::new();
        let op = Op::own(Square { kind, keeps_shape });
        g.record(op, &[g.input("x", [4])]);
        let fault = g.fault().expect("refused").to_string();
        assert!(
            fault.contains(&format!("an op of kind {kind:?} has no result")),
            "{fault}"
        );
    }
    let g = Graph::new();
    let x = g.input("x", [4]);
    let op = Square {
        keeps_shape: false,
        ..SQUARE
    };
    let y = g.record(Op::own(op), &[x]);
    let fault = g.grad(y, &[x]).expect_err("refused").to_string();
    assert!(
        fault.starts_with("own_square: vjp gave the gradient in input 0 the shape []: [4] in top"),
        "{fault}"
    );
}
