//! Every instruction set gives the same bits. A program finds out once which set its kernels use, so each takes a run of
//! this program of its own.

use std::process::Command;

use ganforge_kernels::cpu::{ISA_VARIABLE, Isa, elementwise as e, maxout, reduce, rng};

type Kernel<'a> = &'a dyn Fn(&mut [f32], &mut [f32]);

/// What a kernel writes over NaN, as bits; NaNs are made equal.
fn bits(n: usize, kernel: Kernel) -> Vec<u32> {
    let (mut y, mut z) = (vec![f32::NAN; n], vec![f32::NAN; n]);
    kernel(&mut y, &mut z);
    let all = y.iter().chain(&z);
    all.map(|v| if v.is_nan() { u32::MAX } else { v.to_bits() })
        .collect()
}

#[test]
fn results_of_this_run() {
    const S: rng::RandomStream = rng::RandomStream {
        key: 11,
        stream: 1,
        counter: 2,
    };
    for n in [1, 3, 8, 15, 33, 640, 5005] {
        let (mut x, mut b) = (vec![f32::NAN; n], vec![f32::NAN; n]);
        rng::normal(S, 0, 0.0, 30.0, &mut x);
        rng::normal(S, n, 0.0, 1.0, &mut b);
        let units = n / 5;
        let kernels: [(&str, Kernel); 18] = [
            ("exp", &|y, _| e::exp(&x, y)),
            ("log", &|y, _| e::log(&x, y)),
            ("sqrt", &|y, _| e::sqrt(&x, y)),
            ("sign", &|y, _| e::sign(&x, y)),
            ("tanh", &|y, _| e::tanh(&b, y)),
            ("sigmoid", &|y, _| e::sigmoid(&x, y)),
            ("softplus", &|y, _| e::softplus(&x, y)),
            ("leaky_relu", &|y, _| e::leaky_relu(0.2, &x, y)),
            ("clip", &|y, _| e::clip(-1.0, 1.0, &x, y)),
            ("div", &|y, _| e::div(&x, &b, y)),
            ("step_mul", &|y, _| e::step_mul(0.2, &x, &b, y)),
            ("uniform", &|y, _| rng::uniform(S, 1, -1.0, 1.0, y)),
            ("normal", &|y, _| rng::normal(S, 2, 0.0, 1.0, y)),
            ("bernoulli", &|y, _| rng::bernoulli(S, 3, 0.5, 2.0, y)),
            ("sum", &|y, _| reduce::sum_to(&x, &[n], &mut y[..1], &[])),
            ("columns", &|y, _| {
                reduce::sum_to(&x[..5 * units], &[5, units], &mut y[..units], &[units])
            }),
            ("maxout", &|y, z| {
                maxout::maxout(5, &x[..5 * units], &mut y[..units], &mut z[..units])
            }),
            ("maxout_bias", &|y, z| {
                let m = 5 * units;
                maxout::maxout_bias(5, &x[..m], &b[..m], m, &mut y[..units], &mut z[..units]);
            }),
        ];
        for (name, kernel) in kernels {
            // FNV-1a.
            let step = |h: u64, w: u32| (h ^ u64::from(w)).wrapping_mul(0x0100_0000_01b3);
            let hash = bits(n, kernel)
                .into_iter()
                .fold(0xcbf2_9ce4_8422_2325, step);
            println!("bits of {name} of {n}: {hash:016x}");
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let this = std::env::current_exe().expect("a test program");
    let results = |isa: Isa| {
        let mut command = Command::new(&this);
        let command = command.args(["results_of_this_run", "--exact", "--nocapture"]);
        let done = command
            .env(ISA_VARIABLE, isa.name())
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&done.stdout).to_string();
        assert!(done.status.success(), "{}: {said}", isa.name());
        let lines = said
            .lines()
            .filter_map(|l| Some(l.split_once("bits of ")?.1.to_string()));
        lines.collect::<Vec<_>>()
    };
    let baseline = results(Isa::Portable);
    assert_eq!(baseline.len(), 7 * 18);
    for isa in [Isa::Avx2, Isa::Avx512] {
        match isa.is_available() {
            true => assert_eq!(results(isa), baseline, "{}", isa.name()),
            false => testkit::skip(isa.name(), "not on this processor"),
        }
    }
}
