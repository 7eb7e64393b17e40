//! The ops: one file each, one list that makes the enum and every dispatch.
//!
//! To add an op, write its file (the struct, its [`OpDef`] or [`Elementwise`], and the method of
//! [`Var`] that records it) and add one line to the list at the end of this file.

use std::fmt::Debug;

use ganforge_kernels::cpu::gemm::Scratch;
use ganforge_kernels::cpu::rng::RandomStream;
use ganforge_kernels::cuda::elementwise::{Action, Code};

use crate::error::Error;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::{Inner, NameId, Var};
use crate::shape::Shape;
use crate::view::View;

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
    /// Packing buffers that persist between calls.
    pub scratch: &'a mut Scratch,
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

/// What an op is: everything about it stands in its file.
pub trait OpDef: Copy + PartialEq + Debug + 'static {
    /// Its name, as the field says it.
    const NAME: &'static str;
    /// What it is checked on; an op without samples does not compile.
    const SAMPLES: &'static [Sample<Self>];

    /// How a plan runs it.
    fn kind(&self) -> Kind {
        Kind::General
    }

    /// The shape of the result, or what is wrong with the inputs' shapes.
    fn shape(&self, ins: &[Shape]) -> Result<Shape, String>;

    /// The gradient in input `wrt` from the gradient `dy` in the result, as recorded nodes;
    /// `None` where the result does not vary smoothly with that input (an index, say).
    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>>;

    /// The result in f64 by plain loops: slow, obviously right.
    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, env: Env);

    /// The result in f32.
    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx);

    /// The launches that compute it on a device, for ops that are not [`OpDef::action`].
    ///
    /// # Errors
    /// [`Error::NoKernel`], unless the op has them.
    fn cuda(&self, _ins: &[DeviceView], _out: DeviceView, _cx: &mut DeviceCx) -> crate::Result<()> {
        Err(Error::NoKernel { op: Self::NAME })
    }

    /// As an instruction of a device's element-wise programs: of element-wise ops and generators.
    fn action(&self) -> Option<Action> {
        None
    }

    /// What it costs.
    fn cost(&self, ins: &[Shape], out: Shape) -> Cost {
        let elements: usize = ins.iter().map(|s| s.elements()).sum();
        Cost {
            flops: 0,
            bytes: 4 * (elements + out.elements()) as u64,
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
pub trait Elementwise: Copy + PartialEq + Debug + 'static {
    /// See [`OpDef::NAME`].
    const NAME: &'static str;
    /// How many inputs.
    const ARITY: usize;
    /// Its instruction on a device.
    const CODE: Code;
    /// Floating-point operations per element; a transcendental function counts one.
    const FLOPS: u64 = 1;
    /// See [`OpDef::SAMPLES`].
    const SAMPLES: &'static [Sample<Self>];

    /// What is wrong with its attributes, if anything.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
    /// See [`OpDef::vjp`].
    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>>;
    /// One element in f64.
    fn f64(&self, x: &[f64]) -> f64;
    /// Many elements in f32.
    fn f32(&self, x: &[View<f32>], y: &mut [f32]);
    /// The constants of its instruction.
    fn constants(&self) -> [f32; 2] {
        [0.0; 2]
    }
    /// See [`OpDef::attributes`].
    fn attributes(&self) -> String {
        String::new()
    }
}

impl<T: Elementwise> OpDef for T {
    const NAME: &'static str = T::NAME;
    const SAMPLES: &'static [Sample<T>] = T::SAMPLES;

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
        let mut x = [0.0; 4];
        for (i, y) in out.iter_mut().enumerate() {
            for (x, view) in x.iter_mut().zip(ins) {
                *x = view.data[i];
            }
            *y = self.f64(&x[..T::ARITY]);
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        self.f32(ins, out);
    }

    fn action(&self) -> Option<Action> {
        Some(Action::op(T::CODE, self.constants()))
    }

    fn cost(&self, ins: &[Shape], out: Shape) -> Cost {
        Cost {
            flops: T::FLOPS * out.elements() as u64,
            bytes: 4 * ((ins.len() + 1) * out.elements()) as u64,
        }
    }

    fn attributes(&self) -> String {
        Elementwise::attributes(self)
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

/// What the file of an op says about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doc {
    /// The file's name without its ending, which is also that of the op's page in the book.
    pub file: &'static str,
    /// The doc comment above the struct: words, then a text block with formula, vjp, order 2, cost, source and errors.
    pub text: String,
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
        }

        $($(
            impl From<$name> for Op {
                fn from(op: $name) -> Op { Op::$name(op) }
            }
            const _: () = assert!(
                !<$name as OpDef>::SAMPLES.is_empty(),
                concat!(stringify!($name), " has no samples")
            );
        )+)*

        /// The samples of every op, in the list's order.
        pub fn samples() -> Vec<Sample<Op>> {
            let mut all = Vec::new();
            $($(
                for s in <$name as OpDef>::SAMPLES {
                    all.push(Sample { op: Op::from(s.op), inputs: s.inputs });
                }
            )+)*
            all
        }

        /// The names of every op, in the list's order.
        pub const NAMES: &[&str] = &[$($(<$name as OpDef>::NAME),+),*];

        /// The documentation of the op called `name`.
        pub fn doc(name: &str) -> Option<Doc> {
            $($(if name == <$name as OpDef>::NAME {
                return Some(Doc {
                    file: stringify!($file),
                    text: doc_of(include_str!(concat!(stringify!($file), ".rs")), stringify!($name)),
                });
            })+)*
            None
        }

        impl Op {
            /// See [`OpDef::NAME`].
            pub fn name(&self) -> &'static str {
                match self { $($(Op::$name(_) => <$name as OpDef>::NAME,)+)* }
            }

            /// How many inputs it takes.
            pub fn arity(&self) -> usize {
                match self { $($(Op::$name(_) => <$name as OpDef>::SAMPLES[0].inputs.len(),)+)* }
            }
        }

        impl Op {
            dispatch! { [$($($name),+),*]
                /// See [`OpDef::kind`].
                kind(&self) -> Kind;
                /// See [`OpDef::shape`].
                shape(&self, ins: &[Shape]) -> Result<Shape, String>;
                /// See [`OpDef::reference`].
                reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, env: Env) -> ();
                /// See [`OpDef::cpu`].
                cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) -> ();
                /// See [`OpDef::cuda`].
                cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> crate::Result<()>;
                /// See [`OpDef::action`].
                action(&self) -> Option<Action>;
                /// See [`OpDef::cost`].
                cost(&self, ins: &[Shape], out: Shape) -> Cost;
                /// See [`OpDef::terms`].
                terms(&self, ins: &[Shape]) -> usize;
                /// See [`OpDef::attributes`].
                attributes(&self) -> String;
                /// See [`OpDef::name_id`].
                name_id(&self) -> Option<NameId>;
                /// See [`OpDef::rows`].
                rows(&self, x: Shape) -> Option<usize>;
            }

            /// See [`OpDef::vjp`].
            pub fn vjp<'g>(
                &self, wrt: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>,
            ) -> Option<Var<'g>> {
                match self { $($(Op::$name(op) => OpDef::vjp(op, wrt, x, y, dy),)+)* }
            }
        }
    };
}

macro_rules! dispatch {
    ($names:tt $($(#[$doc:meta])* $method:ident(&self $(, $arg:ident: $ty:ty)*) -> $out:ty;)*) => {
        $(dispatch! { @one $names $(#[$doc])* $method(($($arg: $ty),*) ($($arg),*)) -> $out })*
    };
    (@one [$($name:ident),*] $(#[$doc:meta])*
     $method:ident(($($arg:ident: $ty:ty),*) $args:tt) -> $out:ty) => {
        $(#[$doc])*
        pub fn $method(&self, $($arg: $ty),*) -> $out {
            match self { $(Op::$name(op) => dispatch!(@call op $method $args),)* }
        }
    };
    (@call $op:ident $method:ident ($($arg:ident),*)) => { OpDef::$method($op, $($arg),*) };
}

op_list! {
    leaves: Input, Param, Scalar;
    constant: Constant;
    uniform: Uniform;
    normal: Normal;
    bernoulli: Bernoulli;
    add: Add;
    sub: Sub;
    mul: Mul;
    div: Div;
    neg: Neg;
    add_scalar: AddScalar;
    mul_scalar: MulScalar;
    exp: Exp;
    log: Log;
    sqrt: Sqrt;
    square: Square;
    abs: Abs;
    sign: Sign;
    tanh: Tanh;
    sigmoid: Sigmoid;
    softplus: Softplus;
    relu: Relu;
    leaky_relu: LeakyRelu;
    step_mul: StepMul;
    clip: Clip;
    clip_mul: ClipMul;
    matmul: MatMul;
    sum_to: SumTo;
    broadcast_to: BroadcastTo;
    reshape: Reshape;
    detach: Detach;
    transpose: Transpose;
    slice: Slice;
    pad: Pad;
    concat: Concat;
    arg_max: ArgMax;
    take: Take;
    put: Put;
    gather_rows: GatherRows;
    scatter_rows: ScatterRows;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_has_the_documentation_of_its_file() {
        for name in NAMES {
            let doc = doc(name).expect("an op of the list").text;
            for part in ["```text\n", "\nsource: ", "\nerrors: ", "\n```"] {
                assert!(doc.contains(part), "{name}: {part} in {doc}");
            }
        }
        let relu = doc("relu").expect("an op").text;
        assert!(relu.starts_with("Rectified linear unit") && relu.contains("\ny = max(x, 0) "));
        assert_eq!(doc("param").map(|d| d.file), Some("leaves"));
        assert_eq!(doc("teleport"), None);
    }
}
