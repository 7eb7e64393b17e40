//! Both gradients against the whole products, to the bit.

use super::*;
use crate::cpu::rng::{self, RandomStream};

fn draw(n: usize, stream: u32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    let s = RandomStream {
        key: 5,
        stream,
        counter: 0,
    };
    rng::uniform(s, 0, -1.0, 1.0, &mut x);
    x
}

/// dy with dropped units and indices.
fn gradients(batch: usize, units: usize, pieces: usize) -> (Vec<f32>, Vec<f32>) {
    let mut dy = draw(batch * units, 1);
    let index = draw(batch * units, 2);
    let index = index
        .iter()
        .map(|x| ((x + 1.0) / 2.0 * pieces as f32).floor())
        .collect();
    dy.iter_mut().step_by(3).for_each(|d| *d = 0.0);
    (dy, index)
}

const SIZES: [(usize, usize, usize, usize); 10] = [
    (0, 3, 2, 5),
    (4, 0, 2, 5),
    (4, 3, 2, 0),
    (1, 1, 1, 1),
    (3, 2, 5, 7),
    (20, 13, 5, 64),
    (100, 24, 5, 130),
    (7, 33, 2, 200),
    (9, 33, 3, 1),
    (40, 48, 5, 784),
];

#[test]
fn both_gradients_have_the_bits_of_the_whole_products() {
    for (batch, units, pieces, inputs) in SIZES {
        let (dy, index) = gradients(batch, units, pieces);
        let put = Put {
            dy: &dy,
            index: &index,
            batch,
            units,
            pieces,
        };
        let n = units * pieces;
        let mut p = vec![0.0; batch * n];
        crate::cpu::maxout::put(pieces, &dy, &index, &mut p);
        let (mut dense, mut workspace) = (Workspace::default(), Workspace::default());
        for (in_weights, kind) in [true, false]
            .into_iter()
            .flat_map(|w| (0..7).map(move |k| (w, k)))
        {
            let dims = dims(in_weights, put.sizes(), inputs);
            let other = draw(
                if in_weights {
                    batch * inputs
                } else {
                    inputs * n
                },
                3,
            );
            let size = dims.m * dims.n;
            let (mut c, mut param) = (draw(size, 6), draw(size, 7));
            let (mut c2, mut param2) = (c.clone(), param.clone());
            let (matrix, bias) = (draw(size, 8), draw(dims.n, 9));
            let (lr, momentum) = (0.1, 0.7);
            let epilogue = |param| match kind {
                0 => Epilogue::Store,
                1 => Epilogue::Accumulate,
                2 => Epilogue::Bias {
                    bias: &bias,
                    below: Some(0.0),
                },
                3 => Epilogue::Times { by: &matrix },
                4 => Epilogue::Step {
                    at: &matrix,
                    below: 0.2,
                },
                _ => Epilogue::Momentum {
                    grad: (kind == 6).then_some(&matrix),
                    param,
                    lr,
                    momentum,
                },
            };
            let (a, b) = if in_weights {
                (&other, &p)
            } else {
                (&p, &other)
            };
            let (ta, tb, first) = (in_weights, !in_weights, epilogue(&mut param));
            gemm::gemm(ta, tb, dims, a, b, &mut c, first, &mut dense);
            let gradient = if in_weights {
                weight_gradient
            } else {
                input_gradient
            };
            let second = epilogue(&mut param2);
            gradient(put, &other, inputs, &mut c2, second, &mut workspace);
            assert_eq!(
                (&c2, &param2),
                (&c, &param),
                "weights {in_weights}, epilogue {kind}, {batch} {inputs}"
            );
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_threads() {
    let (batch, units, pieces, inputs) = (50, 60, 5, 500);
    let (dy, index) = gradients(batch, units, pieces);
    let put = Put {
        dy: &dy,
        index: &index,
        batch,
        units,
        pieces,
    };
    let (x, w) = (draw(batch * inputs, 3), draw(inputs * units * pieces, 4));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut workspace = Workspace::default();
            let mut dx = vec![f32::NAN; batch * inputs];
            input_gradient(put, &w, inputs, &mut dx, Epilogue::Store, &mut workspace);
            let mut dw = vec![f32::NAN; w.len()];
            weight_gradient(put, &x, inputs, &mut dw, Epilogue::Store, &mut workspace);
            (dx, dw)
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}
