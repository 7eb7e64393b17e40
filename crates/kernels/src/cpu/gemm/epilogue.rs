//! What happens to the elements of a product on their way out.

/// What happens to `ab`, an element of op(A) · op(B), on its way out to the same element of `c`.
///
/// The arithmetic here is plain: each product, sum and difference is rounded, nothing is contracted to a fused
/// multiply-add. The result is bit for bit that of [`Epilogue::Store`] followed by the separate element-wise steps.
pub enum Epilogue<'a> {
    /// c = ab; c is not read.
    Store,
    /// c = c + ab, where ab is the sum over the whole of k.
    Accumulate,
    /// c = ab + bias\[j\], then max(·, 0) where asked; c is not read. NaN passes the rectifier.
    Bias {
        /// One summand per column, length n.
        bias: &'a [f32],
        /// Replace elements ≤ 0 by 0 afterwards.
        relu: bool,
    },
    /// c = by · ab: a gradient through dropout.
    Times {
        /// m × n like c.
        by: &'a [f32],
    },
    /// c = ab where at > 0, else below · ab, which is 0 for below = 0 whatever ab is: a gradient through relu or leaky relu.
    Step {
        /// m × n like c.
        at: &'a [f32],
        /// The slope on the other side.
        below: f32,
    },
    /// Classical momentum: v = momentum · v − lr · g, then p = p + v. `c` is the velocity v.
    Momentum {
        /// An earlier part of the gradient, m × n like c: g = grad + ab; without one, g = ab.
        grad: Option<&'a [f32]>,
        /// The parameter p, m × n like c.
        param: &'a mut [f32],
        /// Learning rate.
        lr: f32,
        /// Share of the old velocity that is kept.
        momentum: f32,
    },
}

/// [`Epilogue`] with lengths checked and borrows turned into pointers, as the micro-kernels take it.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(all(target_arch = "x86_64", not(miri))),
    allow(dead_code, reason = "read by the kernels of x86-64 only")
)]
pub(super) enum Raw {
    Store,
    Accumulate,
    Bias {
        bias: *const f32,
        relu: bool,
    },
    BiasOne {
        bias: f32,
        relu: bool,
    },
    Times {
        by: *const f32,
    },
    Step {
        at: *const f32,
        below: f32,
    },
    Momentum {
        /// Null where there is none.
        grad: *const f32,
        param: *mut f32,
        lr: f32,
        momentum: f32,
    },
}

impl Raw {
    /// Whether what C holds before the product goes into the result.
    pub(super) fn reads_c(&self) -> bool {
        matches!(self, Self::Accumulate | Self::Momentum { .. })
    }
}

impl Epilogue<'_> {
    pub(in crate::cpu) fn check(&self, m: usize, n: usize) {
        match self {
            Self::Store | Self::Accumulate => {}
            Self::Bias { bias, .. } => super::check("bias", bias.len(), 1, n),
            Self::Times { by: other } | Self::Step { at: other, .. } => {
                super::check("the factor", other.len(), m, n);
            }
            Self::Momentum { grad, param, .. } => {
                grad.inspect(|grad| super::check("grad", grad.len(), m, n));
                super::check("param", param.len(), m, n);
            }
        }
    }

    /// Elements of a bias, where there is one.
    pub(super) fn bias_len(&self) -> Option<usize> {
        match self {
            Self::Bias { bias, .. } => Some(bias.len()),
            _ => None,
        }
    }

    /// A single column's bias is a number, so that C may be transposed.
    pub(super) fn raw(&mut self, single_column: bool) -> Raw {
        match self {
            Self::Store => Raw::Store,
            Self::Accumulate => Raw::Accumulate,
            Self::Bias { bias, relu } if single_column => Raw::BiasOne {
                bias: bias[0],
                relu: *relu,
            },
            Self::Bias { bias, relu } => Raw::Bias {
                bias: bias.as_ptr(),
                relu: *relu,
            },
            Self::Times { by } => Raw::Times { by: by.as_ptr() },
            Self::Step { at, below } => Raw::Step {
                at: at.as_ptr(),
                below: *below,
            },
            Self::Momentum {
                grad,
                param,
                lr,
                momentum,
            } => Raw::Momentum {
                grad: grad.map_or(std::ptr::null(), <[f32]>::as_ptr),
                param: param.as_mut_ptr(),
                lr: *lr,
                momentum: *momentum,
            },
        }
    }

    /// The epilogues of the rows of C before its element `at`, and of those from there on.
    pub(in crate::cpu) fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::Store => (Self::Store, Self::Store),
            Self::Accumulate => (Self::Accumulate, Self::Accumulate),
            Self::Bias { bias, relu } => (Self::Bias { bias, relu }, Self::Bias { bias, relu }),
            Self::Times { by } => {
                let (by, rest) = by.split_at(at);
                (Self::Times { by }, Self::Times { by: rest })
            }
            Self::Step { at: other, below } => {
                let (other, rest) = other.split_at(at);
                let step = |at| Self::Step { at, below };
                (step(other), step(rest))
            }
            Self::Momentum {
                grad,
                param,
                lr,
                momentum,
            } => {
                let grads = grad.map(|grad| grad.split_at(at)).unzip();
                let (param, rest) = param.split_at_mut(at);
                let update = |grad, param| Self::Momentum {
                    grad,
                    param,
                    lr,
                    momentum,
                };
                (update(grads.0, param), update(grads.1, rest))
            }
        }
    }
}
