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
    /// c = ab + bias\[j\], then a rectifier where asked; c is not read. NaN passes the rectifier.
    Bias {
        /// One summand per column, length n.
        bias: &'a [f32],
        /// The slope of the rectifier below 0: elements ≤ 0 become 0 for 0 (relu), `below` times what they are else
        /// (leaky relu).
        below: Option<f32>,
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
    /// [`Adam`]. `c` is the mean m.
    Adam {
        /// As of [`Epilogue::Momentum`].
        grad: Option<&'a [f32]>,
        /// The mean square s, m × n like c.
        square: &'a mut [f32],
        /// The parameter p, m × n like c.
        param: &'a mut [f32],
        /// The numbers of this update.
        adam: Adam,
    },
}

/// An update by Adam along the gradient g:
/// m = β₁ m + (1 - β₁) g, s = β₂ s + (1 - β₂) g², p = p - lr · (c₁ m / (√(c₂ s) + eps)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// β₁ and β₂.
    pub kept: [f32; 2],
    /// 1 - β₁ and 1 - β₂.
    pub taken: [f32; 2],
    /// Added to the root.
    pub eps: f32,
    /// c₁ and c₂, which correct for slots that began at 0.
    pub corrections: [f32; 2],
    /// Learning rate.
    pub lr: f32,
}

impl Adam {
    /// One element's update.
    #[inline(always)]
    pub(super) fn step(&self, g: f32, m: &mut f32, s: &mut f32, p: &mut f32) {
        *m = self.kept[0] * *m + self.taken[0] * g;
        *s = self.kept[1] * *s + self.taken[1] * (g * g);
        let root = (self.corrections[1] * *s).sqrt() + self.eps;
        *p -= self.lr * (self.corrections[0] * *m / root);
    }
}

/// x behind a rectifier of this slope below 0, where there is one.
#[inline(always)]
pub(super) fn rectified(x: f32, below: Option<f32>) -> f32 {
    match below {
        None => x,
        Some(0.0) if x <= 0.0 => 0.0,
        Some(below) if below != 0.0 && x <= 0.0 => below * x,
        Some(_) => x,
    }
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
        below: Option<f32>,
    },
    BiasOne {
        bias: f32,
        below: Option<f32>,
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
    Adam {
        /// Null where there is none.
        grad: *const f32,
        square: *mut f32,
        param: *mut f32,
        adam: Adam,
    },
}

impl Raw {
    /// Whether what C holds before the product goes into the result.
    pub(super) fn reads_c(&self) -> bool {
        matches!(
            self,
            Self::Accumulate | Self::Momentum { .. } | Self::Adam { .. }
        )
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
            Self::Adam {
                grad,
                square,
                param,
                ..
            } => {
                grad.inspect(|grad| super::check("grad", grad.len(), m, n));
                super::check("square", square.len(), m, n);
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
            Self::Bias { bias, below } if single_column => Raw::BiasOne {
                bias: bias[0],
                below: *below,
            },
            Self::Bias { bias, below } => Raw::Bias {
                bias: bias.as_ptr(),
                below: *below,
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
            Self::Adam {
                grad,
                square,
                param,
                adam,
            } => Raw::Adam {
                grad: grad.map_or(std::ptr::null(), <[f32]>::as_ptr),
                square: square.as_mut_ptr(),
                param: param.as_mut_ptr(),
                adam: *adam,
            },
        }
    }

    /// The epilogues of the rows of C before its element `at`, and of those from there on.
    pub(in crate::cpu) fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::Store => (Self::Store, Self::Store),
            Self::Accumulate => (Self::Accumulate, Self::Accumulate),
            Self::Bias { bias, below } => (Self::Bias { bias, below }, Self::Bias { bias, below }),
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
            Self::Adam {
                grad,
                square,
                param,
                adam,
            } => {
                let grads = grad.map(|grad| grad.split_at(at)).unzip();
                let (square, more) = square.split_at_mut(at);
                let (param, rest) = param.split_at_mut(at);
                let update = |grad, square, param| Self::Adam {
                    grad,
                    square,
                    param,
                    adam,
                };
                (update(grads.0, square, param), update(grads.1, more, rest))
            }
        }
    }
}
