//! Every sample of every op against central differences: generated from the op list.

use ganforge_tensor::gradcheck::{self, Along, COORDINATES, Point};
use ganforge_tensor::ops;

fn check(order: u8) {
    let mut checked = 0;
    for (op, sample, findings) in gradcheck::check_all(order, 11).expect("samples fit their ops") {
        for f in findings {
            checked += 1;
            assert!(f.passes(), "{op}, sample {sample} (seed 11): {f:?}");
        }
    }
    assert!(checked > ops::NAMES.len(), "only {checked} inputs checked");
}

#[test]
fn first_order_of_every_op() {
    check(1);
}

#[test]
fn second_order_of_every_op() {
    check(2);
}

/// x² + m · detach(x²) · x: where the mask m is 1, both derivatives lack what detach cut off and the differences see.
#[test]
fn a_gradient_wrong_in_one_element_between_the_coordinates_is_seen_by_the_direction() {
    const N: usize = 1000;
    let wrong = 7;
    let x = (0..N).map(|i| 0.25 + (i % 17) as f64 / 16.0).collect();
    let mut mask = vec![0.0; N];
    let formula = |mask: Vec<f64>, order| {
        let point = |data, varies| Point {
            shape: [N].into(),
            data,
            varies,
        };
        let points = [point(Vec::clone(&x), true), point(mask, false)];
        gradcheck::check(&points, order, 11, |_, x| {
            x[0].square() + x[1] * x[0].square().detach() * x[0]
        })
        .expect("recorded")
    };
    for order in [1, 2] {
        let right = formula(mask.clone(), order);
        assert!(right.iter().all(|f| f.passes()), "{right:#?}");
        mask[wrong] = 1.0;
        let (direction, coordinates): (Vec<_>, Vec<_>) = formula(mask.clone(), order)
            .into_iter()
            .partition(|f| f.along == Along::Direction);
        mask[wrong] = 0.0;
        assert_eq!(coordinates.len(), usize::from(order), "x, then x and dy");
        for f in coordinates {
            assert!(f.passes(), "{f:?}");
            assert_eq!((f.varied, f.of), (COORDINATES, N));
        }
        let [direction] = &direction[..] else {
            panic!("{direction:?}");
        };
        assert!(!direction.passes(), "{direction:?}");
        assert_eq!(direction.varied, N * usize::from(order));
        assert_eq!(direction.of, N * usize::from(order));
    }
}
