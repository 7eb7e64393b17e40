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
        let mut p = Vec::new();
        write_out(put, &mut p);
        let (x, w) = (draw(batch * inputs, 3), draw(inputs * n, 4));
        let (mut dense, mut scratch) = (gemm::Scratch::default(), Scratch::default());

        let mut expected = vec![f32::NAN; batch * inputs];
        let dims = Shape3 {
            m: batch,
            k: n,
            n: inputs,
        };
        gemm::gemm(
            false,
            true,
            dims,
            &p,
            &w,
            &mut expected,
            Epilogue::Store,
            &mut dense,
        );
        let mut got = vec![f32::NAN; batch * inputs];
        input_gradient(put, &w, inputs, &mut got, &mut scratch);
        assert_eq!(got, expected, "dX at {batch} {units} {pieces} {inputs}");

        let dims = Shape3 {
            m: inputs,
            k: batch,
            n,
        };
        for kind in 0..4 {
            let (mut c, mut param) = (draw(inputs * n, 6), draw(inputs * n, 7));
            let (mut c2, mut param2) = (c.clone(), param.clone());
            let grad = draw(inputs * n, 8);
            let (lr, momentum) = (0.1, 0.7);
            let epilogue = |param| match kind {
                0 => Epilogue::Store,
                1 => Epilogue::Accumulate,
                2 => Epilogue::Momentum {
                    param,
                    lr,
                    momentum,
                },
                _ => Epilogue::MomentumAccumulate {
                    grad: &grad,
                    param,
                    lr,
                    momentum,
                },
            };
            gemm::gemm(
                true,
                false,
                dims,
                &x,
                &p,
                &mut c,
                epilogue(&mut param),
                &mut dense,
            );
            weight_gradient(
                put,
                &x,
                inputs,
                &mut c2,
                epilogue(&mut param2),
                &mut scratch,
            );
            assert_eq!(
                (&c2, &param2),
                (&c, &param),
                "dW, epilogue {kind}, {batch} {inputs}"
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
            let mut scratch = Scratch::default();
            let mut dx = vec![f32::NAN; batch * inputs];
            input_gradient(put, &w, inputs, &mut dx, &mut scratch);
            let mut dw = vec![f32::NAN; w.len()];
            weight_gradient(put, &x, inputs, &mut dw, Epilogue::Store, &mut scratch);
            (dx, dw)
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}
