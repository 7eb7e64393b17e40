//! The ops: one file each or one for a family, and one list that makes the enum.
//!
//! To add an op, write its file (the struct, its [`OpDef`] or [`Elementwise`], and the method of
//! [`Var`] that records it) and add one line to the list at the end of this file. An op of another crate
//! implements the same traits and is recorded as [`Op::own`].

use std::any::Any;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_kernels::cpu::rng::RandomStream;
use ganforge_kernels::cpu::{Workspace, elementwise};
use ganforge_kernels::cuda::elementwise::{Instruction, Opcode};

use crate::error::Error;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::{Inner, MAX_INPUTS, NameId, Var};
use crate::shape::Shape;
use crate::view::View;

pub use conv::Window;
pub use pool::Divisor;

/// What an op's result is made of: decides how a plan runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A value from outside: an input, a parameter, a scalar of the control block.
    Leaf,
    /// The same values under another shape: costs nothing.
    Alias,
    /// Each element from the same element of each input.
    Elementwise,
    /// Each element from its index alone: random numbers and constants.
    Generator,
    /// Anything else.
    General,
}

/// What one execution of an op costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Floating-point operations (a fused multiply-add counts two).
    pub flops: u64,
    /// Bytes that must move in f32: each input read once, the output written once.
    pub bytes: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.flops = self.flops.saturating_add(other.flops);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What random ops draw from: one key per run, one counter per step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Env {
    /// The run's key.
    pub key: u64,
    /// The step.
    pub counter: u64,
}

impl Env {
    /// The stream of numbers that the op with number `stream` draws in this step.
    pub fn stream(self, stream: u32) -> RandomStream {
        RandomStream {
            key: self.key,
            stream,
            counter: self.counter,
        }
    }
}

/// What a CPU kernel call has beside its inputs.
pub struct Cx<'a> {
    /// Key and counter of the random ops.
    pub env: Env,
    /// For element-wise ops and generators: the index of the output's first element.
    pub start: usize,
    /// The output's shape; for element-wise ops and generators that of the whole output.
    pub shape: Shape,
    /// How sums may be computed, of convolutions.
    pub algorithm: Algorithm,
    /// Memory beside the operands: at least what [`OpDef::workspace`] says.
    pub workspace: &'a mut Workspace,
}

/// Inputs on which an op is checked against finite differences and across executors.
#[derive(Clone, Copy, Debug)]
pub struct Sample<O: 'static> {
    /// The op with its attributes.
    pub op: O,
    /// Its inputs.
    pub inputs: &'static [In],
}

/// One input of a [`Sample`].
#[derive(Clone, Copy, Debug)]
pub struct In {
    /// Its shape.
    pub shape: Shape,
    /// Where its values are drawn from.
    pub range: Range,
}

/// Where sample values are drawn from.
#[derive(Clone, Copy, Debug)]
pub enum Range {
    /// Evenly between two bounds.
    Real(f64, f64),
    /// Evenly between two bounds, at least 0.05 away from each of the listed points, where the
    /// op has a kink.
    Away(f64, f64, &'static [f64]),
    /// Well separated from each other, in random order: no two are within 0.01.
    Distinct,
    /// Whole numbers from 0 up to, but without, the bound.
    Index(usize),
}

/// An input of `dims` drawn from `range`.
pub const fn input(dims: &[usize], range: Range) -> In {
    In {
        shape: Shape::new(dims),
        range,
    }
}

/// An op on `inputs`.
pub const fn sample<O>(op: O, inputs: &'static [In]) -> Sample<O> {
    Sample { op, inputs }
}

/// Numbers of either sign.
const R: Range = Range::Real(-1.0, 1.0);

/// An input within one chunk of a program.
const fn small(range: Range) -> In {
    input(&[7], range)
}

/// An input of several chunks.
const fn large(range: Range) -> In {
    input(&[3, 1, 683], range)
}

/// An op on inputs of two sizes.
const fn two_sizes<O: Copy>(op: O, small: &'static [In], large: &'static [In]) -> [Sample<O>; 2] {
    [sample(op, small), sample(op, large)]
}

/// What an op is: everything about it stands in its file.
pub trait OpDef: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// Its name, as the field says it.
    const NAME: &'static str;
    /// How many inputs, at most 4: as many as a sample has.
    const ARITY: usize = Self::SAMPLES[0].inputs.len();
    /// By how many units in the last place a result in f32 may differ from the exact one, beside the
    /// rounding of sums ([`OpDef::terms`]): 0.5 is one rounding. An op of the list that does not say it does not compile.
    const ULPS: f64 = f64::INFINITY;
    /// What it is checked on; an op of the list without samples does not compile.
    const SAMPLES: &'static [Sample<Self>];
    /// What it computes, in a sentence: for an op outside of the list. Others have it above their struct.
    const DOC: &'static str = "";

    /// How a plan runs it.
    fn kind(&self) -> Kind {
        Kind::General
    }

    /// The shape of the result, or what is wrong with the inputs' shapes.
    fn shape(&self, ins: &[Shape]) -> Result<Shape, String>;

    /// The gradient in input `wrt` from the gradient `dy` in the result, as recorded nodes;
    /// `None` where the result does not vary smoothly with that input (an index, say): with none, unless the op says.
    fn vjp<'g>(&self, _wrt: usize, _x: &[Var<'g>], _y: Var<'g>, _dy: Var<'g>) -> Option<Var<'g>> {
        None
    }

    /// The result in f64 by plain loops: slow, obviously right.
    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, env: Env);

    /// The floats of memory beside its operands that [`OpDef::cpu`] needs on the current rayon pool.
    fn workspace(&self, _ins: &[Shape]) -> usize {
        0
    }

    /// The result in f32.
    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx);

    /// The launches that compute it on a device, for ops that are no [`OpDef::instruction`].
    ///
    /// # Errors
    /// [`Error::NoKernel`], unless the op has them.
    fn cuda(&self, _ins: &[DeviceView], _out: DeviceView, _cx: &mut DeviceCx) -> crate::Result<()> {
        Err(Error::NoKernel { op: Self::NAME })
    }

    /// As an instruction of a device's element-wise programs: of element-wise ops and generators.
    fn instruction(&self) -> Option<Instruction> {
        None
    }

    /// Floating-point operations; a transcendental function of one number counts one.
    fn flops(&self, _ins: &[Shape], _out: Shape) -> u64 {
        0
    }

    /// What it costs: [`OpDef::flops`], each input read once and the result written once.
    fn cost(&self, ins: &[Shape], out: Shape) -> Cost {
        if matches!(self.kind(), Kind::Leaf | Kind::Alias) {
            return Cost::default();
        }
        let read: usize = ins.iter().map(|s| s.elements()).sum();
        Cost {
            flops: self.flops(ins, out),
            bytes: 4 * (read + out.elements()) as u64,
        }
    }

    /// How many numbers are summed into each element of the result: bounds the rounding error.
    fn terms(&self, _ins: &[Shape]) -> usize {
        1
    }

    /// Its attributes, for listings.
    fn attributes(&self) -> String {
        String::new()
    }

    /// The name it carries, if any.
    fn name_id(&self) -> Option<NameId> {
        None
    }

    /// Where the second input holds indices: how many places they choose from, given the shape
    /// of the first one. Executors refuse an index outside of 0..rows.
    fn rows(&self, _x: Shape) -> Option<usize> {
        None
    }
}

/// An op whose elements each depend on the same element of its inputs; all shapes are equal.
pub trait Elementwise: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// See [`OpDef::NAME`].
    const NAME: &'static str;
    /// See [`OpDef::ARITY`].
    const ARITY: usize = Self::SAMPLES[0].inputs.len();
    /// See [`OpDef::ULPS`].
    const ULPS: f64 = f64::INFINITY;
    /// See [`OpDef::SAMPLES`].
    const SAMPLES: &'static [Sample<Self>];
    /// See [`OpDef::DOC`].
    const DOC: &'static str = "";
    /// Its instruction on a device; an op without is refused there.
    const OPCODE: Option<Opcode> = None;
    /// Floating-point operations per element; a transcendental function counts one.
    const FLOPS: u64 = 1;

    /// What is wrong with its attributes, if anything.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
    /// See [`OpDef::vjp`].
    fn vjp<'g>(&self, _wrt: usize, _x: &[Var<'g>], _y: Var<'g>, _dy: Var<'g>) -> Option<Var<'g>> {
        None
    }
    /// One element in f64.
    fn f64(&self, x: &[f64]) -> f64;
    /// Many elements in f32: by the kernel of its opcode; of an op without, each by [`Elementwise::f64`], rounded.
    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        let Some(code) = Self::OPCODE else {
            return each(x, y, |x| self.f64(x) as f32);
        };
        let operand = |i: usize| x.get(i).map_or(&[][..], |x| x.data);
        let constants = narrow(self.constants());
        elementwise::run(code, constants, operand(0), operand(1), y);
    }
    /// The constants of its instruction.
    fn constants(&self) -> [Option<f64>; 2] {
        [None; 2]
    }
    /// See [`OpDef::attributes`]: its constants, unless it says otherwise.
    fn attributes(&self) -> String {
        let constants = self.constants().into_iter().flatten();
        let constants: Vec<String> = constants.map(|c| c.to_string()).collect();
        constants.join("..")
    }
}

/// Constants as instructions have them.
fn narrow(constants: [Option<f64>; 2]) -> [f32; 2] {
    constants.map(|c| c.unwrap_or_default() as f32)
}

/// Each element of `out` from the same element of every input, widened.
fn each<T: Copy + Into<f64>, U>(ins: &[View<T>], out: &mut [U], f: impl Fn(&[f64]) -> U) {
    let mut x = [0.0; MAX_INPUTS];
    for (i, y) in out.iter_mut().enumerate() {
        for (x, view) in x.iter_mut().zip(ins) {
            *x = view.data[i].into();
        }
        *y = f(&x[..ins.len()]);
    }
}

impl<T: Elementwise> OpDef for T {
    const NAME: &'static str = T::NAME;
    const ARITY: usize = T::ARITY;
    const ULPS: f64 = T::ULPS;
    const SAMPLES: &'static [Sample<T>] = T::SAMPLES;
    const DOC: &'static str = T::DOC;

    fn kind(&self) -> Kind {
        Kind::Elementwise
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        self.check()?;
        match ins {
            [a, rest @ ..] if rest.iter().all(|b| a == b) => Ok(*a),
            _ => Err("shapes do not broadcast together".into()),
        }
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Elementwise::vjp(self, wrt, x, y, dy)
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        each(ins, out, |x| self.f64(x));
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        self.f32(ins, out);
    }

    fn instruction(&self) -> Option<Instruction> {
        T::OPCODE.map(|code| Instruction::new(code, narrow(self.constants())))
    }

    fn flops(&self, _: &[Shape], out: Shape) -> u64 {
        T::FLOPS * out.elements() as u64
    }

    fn attributes(&self) -> String {
        Elementwise::attributes(self)
    }
}

/// An op whose type is not known: [`OpDef`] without its constants, which a trait object cannot have. Every op is one.
#[expect(missing_docs, reason = "each method is that of OpDef")]
pub trait DynOp: Any + Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn arity(&self) -> usize;
    fn ulps(&self) -> f64;
    fn doc(&self) -> &'static str;
    fn kind(&self) -> Kind;
    fn shape(&self, ins: &[Shape]) -> Result<Shape, String>;
    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>>;
    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, env: Env);
    fn workspace(&self, ins: &[Shape]) -> usize;
    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx);
    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> crate::Result<()>;
    fn instruction(&self) -> Option<Instruction>;
    fn cost(&self, ins: &[Shape], out: Shape) -> Cost;
    fn terms(&self, ins: &[Shape]) -> usize;
    fn attributes(&self) -> String;
    fn name_id(&self) -> Option<NameId>;
    fn rows(&self, x: Shape) -> Option<usize>;
    /// Whether it is the same op with the same attributes.
    fn same(&self, other: &dyn DynOp) -> bool;
}

#[rustfmt::skip]
impl<T: OpDef> DynOp for T {
    fn name(&self) -> &'static str { T::NAME }
    fn arity(&self) -> usize { T::ARITY }
    fn ulps(&self) -> f64 { T::ULPS }
    fn doc(&self) -> &'static str { T::DOC }
    fn kind(&self) -> Kind { OpDef::kind(self) }
    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> { OpDef::shape(self, ins) }
    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        OpDef::vjp(self, wrt, x, y, dy)
    }
    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, env: Env) {
        OpDef::reference(self, ins, out, shape, env);
    }
    fn workspace(&self, ins: &[Shape]) -> usize { OpDef::workspace(self, ins) }
    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) { OpDef::cpu(self, ins, out, cx); }
    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> crate::Result<()> {
        OpDef::cuda(self, ins, out, cx)
    }
    fn instruction(&self) -> Option<Instruction> { OpDef::instruction(self) }
    fn cost(&self, ins: &[Shape], out: Shape) -> Cost { OpDef::cost(self, ins, out) }
    fn terms(&self, ins: &[Shape]) -> usize { OpDef::terms(self, ins) }
    fn attributes(&self) -> String { OpDef::attributes(self) }
    fn name_id(&self) -> Option<NameId> { OpDef::name_id(self) }
    fn rows(&self, x: Shape) -> Option<usize> { OpDef::rows(self, x) }
    fn same(&self, other: &dyn DynOp) -> bool { (other as &dyn Any).downcast_ref::<T>() == Some(self) }
}

/// An op of another crate, as [`Op::own`] keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Own(&'static dyn DynOp);

impl PartialEq for Own {
    fn eq(&self, other: &Own) -> bool {
        self.0.same(other.0)
    }
}

impl Op {
    /// An op that is not of the list, such as one that another crate defines.
    ///
    /// A graph's nodes are plain values, so each op with its attributes is kept, once, as long as the program runs.
    pub fn own(op: impl OpDef) -> Op {
        static KEPT: Mutex<Vec<Own>> = Mutex::new(Vec::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = kept.iter().find(|own| own.0.same(&op)) {
            return Op::Own(*own);
        }
        let own = Own(Box::leak(Box::new(op)));
        kept.push(own);
        Op::Own(own)
    }

    /// What it computes: [`doc`], or [`OpDef::DOC`] of an op that is not of the list.
    pub fn doc(&self) -> String {
        match self {
            Op::Own(own) => own.0.doc().to_string(),
            _ => doc(self.name()).unwrap_or_default(),
        }
    }

    /// The shape of the result, or what is wrong: with the inputs' shapes, or with an op that is not of its kind.
    pub(crate) fn infer(&self, ins: &[Shape]) -> Result<Shape, String> {
        if self.arity() > MAX_INPUTS {
            return Err(format!("an op has at most {MAX_INPUTS} inputs"));
        }
        if ins.len() != self.arity() {
            return Err(format!("expected {} inputs", self.arity()));
        }
        let shape = self.shape(ins)?;
        let fits = match self.kind() {
            Kind::Leaf => !matches!(self, Op::Own(_)),
            Kind::Alias => ins.len() == 1 && ins[0].elements() == shape.elements(),
            Kind::Elementwise => !ins.is_empty() && ins.iter().all(|x| *x == shape),
            Kind::Generator => ins.is_empty(),
            Kind::General => true,
        };
        match (fits, shape.is_valid()) {
            (false, _) => {
                let kind = self.kind();
                Err(format!(
                    "an op of kind {kind:?} has no result of shape {shape}"
                ))
            }
            (true, false) => Err("more than 4 dimensions, or too many elements".into()),
            (true, true) => Ok(shape),
        }
    }
}

impl Deref for Op {
    type Target = dyn DynOp;

    fn deref(&self) -> &dyn DynOp {
        self.def()
    }
}

/// `matmul(x, G.h0.w)`, `uniform mask/real/D.h0`: an op with its inputs, for listings.
pub(crate) fn describe(op: &Op, names: &Inner, args: &[String]) -> String {
    let mut parts = args.to_vec();
    if let Some(name) = op.name_id() {
        parts.push(names.name(name).to_string());
    }
    let attributes = op.attributes();
    if !attributes.is_empty() {
        parts.push(attributes);
    }
    format!("{}({})", op.name(), parts.join(", "))
}

/// The doc comment of a struct in the text of its file.
fn doc_of(file: &str, name: &str) -> String {
    let is_struct = |line: &str| {
        let rest = line
            .strip_prefix("pub struct ")
            .and_then(|r| r.strip_prefix(name));
        rest.is_some_and(|r| r.starts_with([';', ' ', '(']))
    };
    let above: Vec<&str> = file.lines().take_while(|l| !is_struct(l)).collect();
    let lines = above.iter().rev().skip_while(|l| !l.starts_with("///"));
    let mut lines: Vec<&str> = lines.map_while(|l| l.strip_prefix("///")).collect();
    lines.reverse();
    let lines = lines.iter().map(|l| l.strip_prefix(' ').unwrap_or(l));
    lines.collect::<Vec<_>>().join("\n")
}

macro_rules! op_list {
    ($($file:ident: $($name:ident),+;)*) => {
        $(mod $file; pub use $file::{$($name),+};)*

        /// Every op there is.
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub enum Op {
            $($(
                #[doc = concat!("See [`", stringify!($name), "`](struct@", stringify!($name), ").")]
                $name($name),
            )+)*
            /// An op that is not of the list: see [`Op::own`].
            Own(Own),
        }

        $($(
            impl From<$name> for Op {
                fn from(op: $name) -> Op { Op::$name(op) }
            }
            const _: () = assert!(
                !<$name as OpDef>::SAMPLES.is_empty() && <$name as OpDef>::ULPS.is_finite(),
                concat!(stringify!($name), " has no samples, or no bound of its error")
            );
        )+)*

        /// The samples of every op, in the list's order.
        pub fn samples() -> Vec<Sample<Op>> {
            let mut all = Vec::new();
            $($(all.extend(<$name as OpDef>::SAMPLES.iter().map(|s| sample(Op::from(s.op), s.inputs)));)+)*
            all
        }

        /// The names of every op, in the list's order.
        pub const NAMES: &[&str] = &[$($(<$name as OpDef>::NAME),+),*];

        /// The doc comment above the struct of the op called `name`: words, then a text block with formula, vjp,
        /// order 2, cost, source and errors.
        pub fn doc(name: &str) -> Option<String> {
            $($(if name == <$name as OpDef>::NAME {
                let file = include_str!(concat!(stringify!($file), ".rs"));
                return Some(doc_of(file, stringify!($name)));
            })+)*
            None
        }

        impl Op {
            /// What it is.
            fn def(&self) -> &dyn DynOp {
                match self {
                    $($(Op::$name(op) => op,)+)*
                    Op::Own(own) => own.0,
                }
            }
        }
    };
}

op_list! {
    leaves: Input, Param, Scalar;
    constant: Constant;
    random: Uniform, Normal, Bernoulli;
    arithmetic: Add, Sub, Mul, Div, Neg, AddScalar, MulScalar;
    functions: Exp, Log, Sqrt, Rsqrt, Square, Abs, Sign, Tanh, Sigmoid, Softplus;
    piecewise: Relu, LeakyRelu, StepMul, Clip, ClipMul;
    matmul: MatMul;
    conv: Conv2d, Conv2dDx, Conv2dDw;
    broadcast: SumTo, BroadcastTo;
    moments: Moments;
    alias: Reshape, Detach;
    transpose: Transpose;
    flip: Flip;
    slice: Slice, Pad;
    concat: Concat;
    maxout: ArgMax, Take, Put;
    rows: GatherRows, ScatterRows;
    pool: Pool, Unpool, PoolArgMax, PoolTake, PoolPut;
    resize: ResizeBilinear, ResizeBilinearAdjoint;
    shards: AllReduce, AllGather, OwnShard;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_has_the_documentation_of_its_file() {
        for name in NAMES {
            let doc = doc(name).expect("an op of the list");
            for part in ["```text\n", "\nsource: ", "\nerrors: ", "\n```"] {
                assert!(doc.contains(part), "{name}: {part} in {doc}");
            }
        }
        let relu = doc("relu").expect("an op");
        assert!(relu.starts_with("Rectified linear unit") && relu.contains("\ny = max(x, 0) "));
        assert_eq!(doc("teleport"), None);
    }
}
