//! Every sample of every op against central differences: generated from the op list.

use ganforge_tensor::gradcheck;
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
