//! The syntax tree: declarations and instructions as written, with register names resolved.

use std::collections::HashMap;

use crate::text::Number;

/// A module as written.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Variables outside of kernels.
    pub(crate) variables: Vec<Variable>,
    pub(crate) entries: Vec<Entry>,
}

/// The state space of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Constant,
    Shared,
    Local,
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) space: Space,
    pub(crate) align: usize,
    /// `None` for `.extern .shared x[]`, whose size is given at launch.
    pub(crate) bytes: Option<usize>,
    pub(crate) data: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

/// A kernel.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) params: Vec<Param>,
    /// `.maxntid`: the maximum number of threads per block.
    pub(crate) max_threads: Option<u32>,
    pub(crate) registers: u32,
    pub(crate) predicates: u32,
    pub(crate) variables: Vec<Variable>,
    pub(crate) body: Vec<Line>,
    /// The instruction after each label.
    pub(crate) labels: HashMap<String, usize>,
    /// The lists of labels for `brx.idx`.
    pub(crate) targets: HashMap<String, Vec<String>>,
}

/// An instruction.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) line: u32,
    /// Executed only where this predicate is true (or false, when negated).
    pub(crate) guard: Option<Pred>,
    pub(crate) name: String,
    pub(crate) operands: Vec<Operand>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pred {
    pub(crate) index: u32,
    pub(crate) negated: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Reg(u32),
    Pred(Pred),
    Number(Number),
    /// A variable, a parameter, a label or a special register.
    Name(String),
    /// \[base + offset\]
    Address(Box<Operand>, i64),
    /// {a, b, ..}
    Vector(Vec<Operand>),
    /// a|b
    Pair(Box<Operand>, Box<Operand>),
    /// _, an unused result
    Sink,
}
