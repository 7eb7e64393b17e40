//! The epilogue of a matrix product: `kernels/epilogue.cuh`.

use crate::cuda::{Launch, Slice};

/// What happens to a product C = op(A) · op(B) on its way out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Epilogue {
    /// c = ab.
    Store,
    /// c = c + ab.
    Accumulate,
    /// c = ab + bias, then relu if asked; bias: `[n]`.
    Bias {
        /// `[n]`.
        bias: Slice,
        /// Whether relu follows.
        relu: bool,
    },
    /// c = momentum · c - lr · (grad + ab), param = param + c.
    Momentum {
        /// [m, n]; C is its velocity.
        param: Slice,
        /// The learning rate, one number.
        lr: Slice,
        /// One number.
        momentum: Slice,
        /// [m, n], an earlier part of the gradient.
        grad: Option<Slice>,
    },
    /// c = ab · by: a gradient through dropout.
    Times {
        /// [m, n].
        by: Slice,
    },
    /// c = ab where at > 0, else below · ab: a gradient through relu or leaky relu.
    Step {
        /// [m, n].
        at: Slice,
        /// The slope on the other side.
        below: f32,
    },
}

impl Epilogue {
    /// Adds the struct of the kernels to a launch whose C is [m, n].
    pub(in crate::cuda) fn argument(self, launch: Launch, m: usize, n: usize) -> Launch {
        let launch = launch.longs(&self.longs(m, n));
        match self {
            Epilogue::Store | Epilogue::Accumulate => launch,
            Epilogue::Bias { bias, .. } => launch.touches(bias, false),
            Epilogue::Momentum {
                param,
                lr,
                momentum,
                grad,
            } => launch
                .touches(param, true)
                .touches(lr, false)
                .touches(momentum, false)
                .touches(grad.unwrap_or(Slice::NONE), false),
            Epilogue::Times { by: other } | Epilogue::Step { at: other, .. } => {
                launch.touches(other, false)
            }
        }
    }

    /// The struct of the kernels, for C [m, n].
    fn longs(self, m: usize, n: usize) -> [u64; 6] {
        let matrix = |s: Slice| {
            assert_eq!(
                s.len(),
                m * n,
                "an operand of the epilogue is no [{m}, {n}]"
            );
            s.address()
        };
        match self {
            Epilogue::Store => [0; 6],
            Epilogue::Accumulate => [1, 0, 0, 0, 0, 0],
            Epilogue::Bias { bias, relu } => {
                assert_eq!(bias.len(), n, "a bias is no [{n}]");
                [2 + u64::from(relu), bias.address(), 0, 0, 0, 0]
            }
            Epilogue::Momentum {
                param,
                lr,
                momentum,
                grad,
            } => {
                assert!(
                    lr.len() == 1 && momentum.len() == 1,
                    "expected single numbers"
                );
                let grad_address = grad.map_or(0, matrix);
                let finish = 4 + u64::from(grad.is_some());
                [
                    finish,
                    0,
                    grad_address,
                    matrix(param),
                    lr.address(),
                    momentum.address(),
                ]
            }
            Epilogue::Times { by } => [6, 0, matrix(by), 0, 0, 0],
            Epilogue::Step { at, below } => {
                let finish = 7 | u64::from(below.to_bits()) << 32;
                [finish, 0, matrix(at), 0, 0, 0]
            }
        }
    }
}
