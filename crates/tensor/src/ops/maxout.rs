//! Maxout: the index of each unit's largest piece, that piece, and the adjoint.

use ganforge_kernels::cpu::maxout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cx, Env, OpDef, R, Range, Sample, input, sample};
use crate::shape::Shape;
use crate::view::View;

/// The index of the largest of each group of `pieces` neighbours along the last dimension.
///
/// ```text
/// y[.., j] = argmax_p x[.., j·q + p], p < q        x: [.., u·q], y: [.., u], whole numbers
/// The first piece wins a tie; a NaN counts as largest.
/// vjp:   none: flat almost everywhere
/// order 2: zero
/// cost:  1 flop per element of x
/// source: maxout: Goodfellow et al. 2013, section 3; docs/book/src/maxout.md
/// errors: the last dimension is not a multiple of `pieces`
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ArgMax {
    /// The pieces per unit, q.
    pub pieces: usize,
}

impl<'g> Var<'g> {
    /// The index of the largest of each group of `pieces` neighbours.
    #[track_caller]
    pub fn arg_max(self, pieces: usize) -> Var<'g> {
        self.apply(ArgMax { pieces })
    }

    /// Maxout: the largest of each group of `pieces` neighbours along the last dimension.
    ///
    /// ```text
    /// y[.., j] = max_p x[.., j·q + p]              x: [.., u·q], y: [.., u]
    /// ```
    #[track_caller]
    pub fn maxout(self, pieces: usize) -> Var<'g> {
        self.take(self.arg_max(pieces), pieces)
    }
}

/// [.., u·q] -> [.., u].
pub(crate) fn units(x: Shape, pieces: usize) -> Result<Shape, String> {
    let mut dims = x.dims().to_vec();
    match dims.last_mut() {
        Some(last) if pieces > 0 && *last % pieces == 0 => *last /= pieces,
        _ => {
            return Err(format!(
                "the last dimension is not a multiple of {pieces} pieces"
            ));
        }
    }
    Ok(Shape::new(&dims))
}

impl OpDef for ArgMax {
    const NAME: &'static str = "arg_max";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<ArgMax>] = &[
        sample(ArgMax { pieces: 3 }, &[input(&[2, 6], Range::Distinct)]),
        sample(ArgMax { pieces: 5 }, &[input(&[37, 55], Range::Distinct)]),
        sample(ArgMax { pieces: 2 }, &[input(&[3, 2, 34], Range::Distinct)]),
        sample(ArgMax { pieces: 1 }, &[input(&[4], Range::Distinct)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        units(ins[0], self.pieces)
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        for (y, group) in out.iter_mut().zip(ins[0].data.chunks(self.pieces)) {
            let mut best = 0;
            for (p, &v) in group.iter().enumerate() {
                if v > group[best] || (v.is_nan() && !group[best].is_nan()) {
                    best = p;
                }
            }
            *y = best as f64;
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        maxout::argmax(self.pieces, ins[0].data, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        cx.launch(cuda::maxout::maxout(
            ins[0].data,
            None,
            Some(out.data),
            self.pieces,
        ));
        Ok(())
    }

    fn flops(&self, ins: &[Shape], _: Shape) -> u64 {
        ins[0].elements() as u64
    }

    fn attributes(&self) -> String {
        format!("{} pieces", self.pieces)
    }
}

/// The indexed one of each group of `pieces` neighbours along the last dimension.
///
/// ```text
/// y[.., j] = x[.., j·q + i[.., j]]                 x: [.., u·q], i, y: [.., u]
/// vjp:   dx = put(dy, i): dy at the taken places, zeros elsewhere;  di = none
/// order 2: linear in x: again a take
/// cost:  0 flop
/// source: maxout: Goodfellow et al. 2013, section 3: the gradient goes to the largest piece; docs/book/src/maxout.md
/// errors: shapes that do not fit; an index outside 0..q
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Take {
    /// The pieces per unit, q.
    pub pieces: usize,
}

impl<'g> Var<'g> {
    /// The indexed one of each group of `pieces` neighbours.
    #[track_caller]
    pub fn take(self, index: Var<'g>, pieces: usize) -> Var<'g> {
        self.apply2(Take { pieces }, index)
    }
}

impl OpDef for Take {
    const NAME: &'static str = "take";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Take>] = &[
        sample(
            Take { pieces: 3 },
            &[input(&[2, 6], R), input(&[2, 2], Range::Index(3))],
        ),
        sample(
            Take { pieces: 5 },
            &[input(&[37, 55], R), input(&[37, 11], Range::Index(5))],
        ),
        sample(
            Take { pieces: 2 },
            &[input(&[3, 2, 34], R), input(&[3, 2, 17], Range::Index(2))],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let shape = units(ins[0], self.pieces)?;
        if shape == ins[1] {
            Ok(shape)
        } else {
            Err(format!("expected indices of shape {shape}"))
        }
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 0).then(|| dy.put(x[1], self.pieces))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        for (j, y) in out.iter_mut().enumerate() {
            *y = ins[0].data[j * self.pieces + ins[1].data[j] as usize];
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        maxout::take(self.pieces, ins[0].data, ins[1].data, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        cx.launch(cuda::maxout::take(
            ins[0].data,
            ins[1].data,
            out.data,
            self.pieces,
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("{} pieces", self.pieces)
    }

    fn rows(&self, _: Shape) -> Option<usize> {
        Some(self.pieces)
    }
}

/// Puts each value at the indexed one of `pieces` places, zeros elsewhere: the adjoint of take.
///
/// ```text
/// y[.., j·q + i[.., j]] = x[.., j], 0 elsewhere    x, i: [.., u], y: [.., u·q]
/// vjp:   dx = take(dy, i);  di = none
/// order 2: linear in x: again a put
/// cost:  0 flop
/// source: maxout: Goodfellow et al. 2013, section 3; docs/book/src/maxout.md
/// errors: shapes that differ; an index outside 0..q
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Put {
    /// The pieces per unit, q.
    pub pieces: usize,
}

impl<'g> Var<'g> {
    /// Each value at the indexed one of `pieces` places, zeros elsewhere.
    #[track_caller]
    pub fn put(self, index: Var<'g>, pieces: usize) -> Var<'g> {
        self.apply2(Put { pieces }, index)
    }
}

impl OpDef for Put {
    const NAME: &'static str = "put";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Put>] = &[
        sample(
            Put { pieces: 3 },
            &[input(&[2, 2], R), input(&[2, 2], Range::Index(3))],
        ),
        sample(
            Put { pieces: 5 },
            &[input(&[37, 11], R), input(&[37, 11], Range::Index(5))],
        ),
        sample(
            Put { pieces: 2 },
            &[input(&[3, 2, 17], R), input(&[3, 2, 17], Range::Index(2))],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        if ins[0] != ins[1] {
            return Err("values and indices differ in shape".into());
        }
        let mut dims = ins[0].dims().to_vec();
        match dims.last_mut() {
            // Too large a product stays too large for any shape.
            Some(last) if self.pieces > 0 => *last = last.saturating_mul(self.pieces),
            _ => return Err("expected at least one dimension and one piece".into()),
        }
        Shape::try_new(&dims).ok_or_else(|| "too many elements".into())
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 0).then(|| dy.take(x[1], self.pieces))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(0.0);
        for (j, x) in ins[0].data.iter().enumerate() {
            out[j * self.pieces + ins[1].data[j] as usize] = *x;
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        maxout::put(self.pieces, ins[0].data, ins[1].data, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        cx.launch(cuda::maxout::put(
            ins[0].data,
            ins[1].data,
            out.data,
            self.pieces,
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("{} pieces", self.pieces)
    }

    fn rows(&self, _: Shape) -> Option<usize> {
        Some(self.pieces)
    }
}
