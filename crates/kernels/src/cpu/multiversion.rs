//! One body, several instruction sets: the macro behind the vectorised slice kernels.

/// Defines functions whose body is compiled for the baseline, for AVX2 and for AVX-512, and chosen at run time.
///
/// The bodies use plain multiplications and additions, never a fused one, so the three give the same bits; they
/// differ in speed only. Other architectures get the baseline. What a body calls must be `#[inline(always)]`,
/// or it is compiled for the baseline alone.
macro_rules! multiversion {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    )*) => {$(
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                use crate::cpu::multiversion::{Isa, isa};

                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn with_avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn with_avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                match isa() {
                    // SAFETY: `isa` detected the four subsets on this processor; the function is otherwise safe.
                    Isa::Avx512 => return unsafe { with_avx512($($arg),*) },
                    // SAFETY: `isa` detected AVX2 on this processor; the function is otherwise safe.
                    Isa::Avx2 => return unsafe { with_avx2($($arg),*) },
                    Isa::Baseline => {}
                }
            }
            body($($arg),*)
        }
    )*};
}
pub(crate) use multiversion;

/// The instruction sets that bodies are compiled for, from the least to the most capable.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Isa {
    Baseline,
    Avx2,
    Avx512,
}

/// The best instruction set of this processor. Tests can ask for a lesser one.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn isa() -> Isa {
    #[cfg(test)]
    if let Some(forced) = tests::FORCED.get() {
        return forced;
    }
    best()
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn best() -> Isa {
    use std::arch::is_x86_feature_detected as detected;
    if detected!("avx512f")
        && detected!("avx512bw")
        && detected!("avx512dq")
        && detected!("avx512vl")
    {
        Isa::Avx512
    } else if detected!("avx2") {
        Isa::Avx2
    } else {
        Isa::Baseline
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::cpu::{elementwise as e, maxout, reduce, rng};
    use std::cell::Cell;

    thread_local! {
        /// The instruction set that this thread's kernels use; never a better one than the processor has.
        pub(super) static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
    }

    /// Runs `f` on NaN-filled outputs with the instruction set forced; NaNs are made equal.
    fn bits(isa: Isa, n: usize, f: &dyn Fn(&mut [f32], &mut [f32])) -> Vec<u32> {
        let (mut y, mut z) = (vec![f32::NAN; n], vec![f32::NAN; n]);
        FORCED.set(Some(isa));
        f(&mut y, &mut z);
        FORCED.set(None);
        y.iter()
            .chain(&z)
            .map(|v| if v.is_nan() { u32::MAX } else { v.to_bits() })
            .collect()
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
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
            type Kernel<'a> = &'a dyn Fn(&mut [f32], &mut [f32]);
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
                let baseline = bits(Isa::Baseline, n, kernel);
                for isa in [Isa::Avx2, Isa::Avx512]
                    .into_iter()
                    .filter(|&isa| isa <= best())
                {
                    assert_eq!(bits(isa, n, kernel), baseline, "{name} of {n} with {isa:?}");
                }
            }
        }
    }
}
