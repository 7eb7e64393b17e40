//! Element-wise steps that run inside of the step before them: a launch less, and a value that is never written.
//!
//! A plan's own fusions are those that pay on every executor. These pay where each kernel is a launch: a gradient that is
//! masked or let through on its way out of a product, dropout of the maxima of a maxout layer, a loss summed where it is
//! computed, the gradient of a maxout layer's bias.

use ganforge_kernels::cuda::elementwise::{Instruction, MAX_SUMMED};

use super::apart::{Apart, Placed, Tail};
use crate::ops::Op;
use crate::plan::{Access, Arg, Keep, Kernel, Loc, Operand, Plan, Program};
use crate::shape::Shape;

/// Joins what can be joined; a plan that keeps every value is left as it is.
pub(super) fn join(plan: &Plan, apart: &mut Apart) {
    if plan.keep == Keep::All {
        return;
    }
    let mut readers = vec![0; apart.sizes.len()];
    let fetched = plan.fetches.iter().map(|f| apart.at_end(f.at));
    let read = apart.steps.iter().flat_map(|s| s.ins.iter().copied());
    for operand in fetched.chain(read) {
        if let Loc::Temp(v) = operand.loc {
            readers[v as usize] += 1;
        }
    }
    let mut at = 0;
    while at < apart.steps.len() {
        if let Some((first, joined, value)) = find(plan, &apart.steps, at, &readers) {
            apart.steps[at] = joined;
            apart.steps.remove(first);
            apart.sizes[value as usize] = 0;
        } else {
            at += 1;
        }
    }
}

/// The place of a step that the one at `at` can run inside of, what both become, and the value between them.
fn find(
    plan: &Plan,
    steps: &[Placed],
    at: usize,
    readers: &[usize],
) -> Option<(usize, Placed, u32)> {
    let second = &steps[at];
    if second.tail.is_some() {
        return None;
    }
    (0..second.ins.len()).find_map(|i| {
        let Loc::Temp(value) = second.ins[i].loc else {
            return None;
        };
        let writes = |s: &Placed| s.outs.iter().any(|o| o.loc == Loc::Temp(value));
        let place = steps[..at].iter().position(writes)?;
        let first = &steps[place];
        let joins_at = may_wait(first, &steps[place + 1..at], second);
        if readers[value as usize] != 1 || first.tail.is_some() || !joins_at {
            return None;
        }
        let kernels = [first, second].map(|s| &plan.steps[s.step].kernel);
        let (mut ins, mut outs) = (first.ins.clone(), second.outs.clone());
        let tail = match kernels {
            [
                Kernel::Op(Op::MatMul(_)) | Kernel::MaxoutGrad { finish: None, .. },
                Kernel::Elementwise(program),
            ] => {
                let (tail, other) = factor(program, i)?;
                ins.push(second.ins[other]);
                tail
            }
            [Kernel::Maxout { .. }, Kernel::Elementwise(program)] => {
                let draw = mask(program)?;
                // The maxima, the index, and the mask where it is wanted.
                let product = program.outputs.iter().position(|&o| o == 1)?;
                outs.swap(0, product);
                outs.insert(1, first.outs[1]);
                Tail::Dropout(draw)
            }
            [Kernel::Elementwise(program), Kernel::Op(Op::SumTo(sum))]
                if sum.shape.elements() == 1 && program.elements <= MAX_SUMMED =>
            {
                let place = first.outs.iter().position(|o| o.loc == Loc::Temp(value))?;
                outs = first.outs.clone();
                outs[place] = second.outs[0];
                Tail::Sum(place)
            }
            [Kernel::Op(Op::Put(_)), Kernel::Op(Op::SumTo(sum))]
                if is_over_rows(second.ins[i].shape, sum.shape) =>
            {
                Tail::Sum(0)
            }
            _ => return None,
        };
        let joined = Placed {
            step: first.step,
            ins,
            outs,
            tail: Some(tail),
        };
        Some((place, joined, value))
    })
}

/// Whether a step may run as late as `last` and write what that one does: nothing between changes what it reads or reads
/// what it writes, and `last` does not write over what it reads.
fn may_wait(first: &Placed, between: &[Placed], last: &Placed) -> bool {
    let same = |a: &[Operand], b: &[Operand]| a.iter().any(|a| b.iter().any(|b| a.loc == b.loc));
    let free = |s: &Placed| {
        !same(&first.ins, &s.outs) && !same(&first.outs, &s.ins) && !same(&first.outs, &s.outs)
    };
    between.iter().all(free) && !same(&first.ins, &last.outs)
}

/// A program that multiplies input `i` with another one of its size, or lets it through where that is positive; and which
/// input that is.
fn factor(program: &Program, i: usize) -> Option<(Tail, usize)> {
    let [inst] = &program.insts[..] else {
        return None;
    };
    let &[Arg::In(a), Arg::In(b)] = &inst.args[..] else {
        return None;
    };
    let (a, b) = (usize::from(a), usize::from(b));
    if a == b || !program.inputs.iter().all(is_full) {
        return None;
    }
    match inst.op {
        Op::Mul(_) => Some((Tail::Times, if a == i { b } else { a })),
        Op::StepMul(op) if b == i => {
            let below = op.below as f32;
            Some((Tail::Step { below }, a))
        }
        _ => None,
    }
}

/// Whether a sum is one over the rows of a matrix of several columns, of rows few enough not to be cut into parts.
fn is_over_rows(large: Shape, small: Shape) -> bool {
    matches!((large.dims(), small.dims()), (&[rows, n], &[.., kept])
        if kept == n && n > 1 && small.elements() == n && rows <= MAX_SUMMED)
}

/// How the mask is drawn with which a program multiplies its only input.
pub(super) fn mask(program: &Program) -> Option<Instruction> {
    let [draw, product] = &program.insts[..] else {
        return None;
    };
    let (value, mask) = (Arg::In(0), Arg::Inst(0));
    let is_product = matches!(product.op, Op::Mul(_))
        && (product.args[..] == [value, mask] || product.args[..] == [mask, value]);
    match (draw.op, &program.inputs[..]) {
        (Op::Bernoulli(_), [access]) if is_product && is_full(access) => draw.op.instruction(),
        _ => None,
    }
}

/// Whether element i of a program reads element i.
fn is_full(access: &Access) -> bool {
    matches!(access, Access::Full | Access::Aliased(_))
}
