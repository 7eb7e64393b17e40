use super::*;

/// Awkward values around every kink and edge, then a spread of ordinary ones.
fn samples(n: usize) -> Vec<f32> {
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        2.0,
        88.72,
        88.73,
        -87.4,
        -103.9,
        -104.1,
        1e-40,
        -1e-40,
        0.625,
        3e38,
        -3e38,
        f32::MIN_POSITIVE,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let mut state = 7u32;
    (0..n)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if i % 3 == 0 {
                edges[(i / 3) % edges.len()]
            } else {
                (state >> 8) as f32 / 1e6 - 8.0
            }
        })
        .collect()
}

fn assert_same(name: &str, x: f32, got: f32, want: f32) {
    let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
    assert!(same, "{name}({x}): {got} instead of {want}");
}

#[test]
fn unary_slices_equal_their_scalar_functions_bit_for_bit() {
    type Case = (&'static str, fn(&[f32], &mut [f32]), fn(f32) -> f32);
    let cases: [Case; 11] = [
        ("neg", neg, |x| -x),
        ("exp", exp, exp_f32),
        ("log", log, log_f32),
        ("sqrt", sqrt, f32::sqrt),
        ("square", square, |x| x * x),
        ("abs", abs, f32::abs),
        ("sign", sign, |x| {
            if x == 0.0 {
                0.0
            } else if x.is_nan() {
                x
            } else {
                x.signum()
            }
        }),
        ("tanh", tanh, tanh_f32),
        ("sigmoid", sigmoid, sigmoid_f32),
        ("softplus", softplus, softplus_f32),
        (
            "relu",
            relu,
            |x| if x.is_nan() || x > 0.0 { x } else { 0.0 },
        ),
    ];
    for n in [0, 1, 2, 7, 16, 17, 31, 64, 67, 1009] {
        let x = samples(n);
        for (name, slice, scalar) in cases {
            let mut y = vec![f32::NAN; n];
            slice(&x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                assert_same(name, x, y, scalar(x));
            }
        }
    }
}

#[test]
fn position_in_the_slice_does_not_matter() {
    let x = samples(203);
    for (name, f) in [
        ("exp", exp as fn(&[f32], &mut [f32])),
        ("softplus", softplus),
        ("tanh", tanh),
        ("log", log),
    ] {
        let mut whole = vec![f32::NAN; 203];
        f(&x, &mut whole);
        for cut in [1, 5, 16, 100] {
            let mut parts = vec![f32::NAN; 203];
            f(&x[..cut], &mut parts[..cut]);
            f(&x[cut..], &mut parts[cut..]);
            for i in 0..203 {
                assert_same(name, x[i], parts[i], whole[i]);
            }
        }
    }
}

#[test]
fn constants_and_pairs_follow_their_formulas() {
    let (x, b) = (samples(131), samples(262)[131..].to_vec());
    let mut y = vec![f32::NAN; 131];
    let mut check = |name: &str, run: &dyn Fn(&mut [f32]), want: &dyn Fn(f32, f32) -> f32| {
        y.fill(f32::NAN);
        run(&mut y);
        for i in 0..131 {
            assert_same(name, x[i], y[i], want(x[i], b[i]));
        }
    };
    check("add_scalar", &|y| add_scalar(1.5, &x, y), &|x, _| x + 1.5);
    check("mul_scalar", &|y| mul_scalar(-3.0, &x, y), &|x, _| x * -3.0);
    check("leaky_relu", &|y| leaky_relu(0.2, &x, y), &|x, _| {
        if x > 0.0 { x } else { 0.2 * x }
    });
    check("clip", &|y| clip(-0.5, 1.0, &x, y), &|x, _| {
        if x.is_nan() { x } else { x.clamp(-0.5, 1.0) }
    });
    check("add", &|y| add(&x, &b, y), &|x, b| x + b);
    check("sub", &|y| sub(&x, &b, y), &|x, b| x - b);
    check("mul", &|y| mul(&x, &b, y), &|x, b| x * b);
    check("div", &|y| div(&x, &b, y), &|x, b| x / b);
    check("step_mul 0", &|y| step_mul(0.0, &x, &b, y), &|x, b| {
        if x > 0.0 { b } else { 0.0 }
    });
    check("step_mul", &|y| step_mul(0.2, &x, &b, y), &|x, b| {
        if x > 0.0 { b } else { 0.2 * b }
    });
    check("sign_mul", &|y| sign_mul(&x, &b, y), &|x, b| {
        b * if x == 0.0 {
            0.0
        } else if x.is_nan() {
            x
        } else {
            x.signum()
        }
    });
    check("clip_mul", &|y| clip_mul(-0.5, 1.0, &x, &b, y), &|x, b| {
        if (-0.5..=1.0).contains(&x) { b } else { 0.0 }
    });
}

#[test]
fn a_closed_gate_is_exactly_zero() {
    let mut dx = [f32::NAN; 3];
    step_mul(
        0.0,
        &[0.0, -1.0, 1.0],
        &[f32::INFINITY, f32::NAN, 2.0],
        &mut dx,
    );
    assert_eq!(dx, [0.0, 0.0, 2.0]);
    clip_mul(
        0.0,
        1.0,
        &[-0.1, 1.0, 1.1],
        &[f32::INFINITY, 3.0, f32::NAN],
        &mut dx,
    );
    assert_eq!(dx, [0.0, 3.0, 0.0]);
}

#[test]
#[should_panic(expected = "lengths of x and y differ")]
fn lengths_must_match() {
    exp(&[0.0; 3], &mut [0.0; 4]);
}
