//! One body, several instruction sets: the macros behind the vectorised kernels.

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
                use crate::cpu::{isa::Isa, multiversion::isa};

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
                    Isa::Portable => {}
                }
            }
            body($($arg),*)
        }
    )*};
}
pub(crate) use multiversion;

/// The instruction set that the kernels use. Tests can ask for a lesser one.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn isa() -> crate::cpu::isa::Isa {
    #[cfg(test)]
    if let Some(forced) = tests::FORCED.get() {
        return forced;
    }
    crate::cpu::isa::isa()
}

/// Defines functions with fused multiply-adds, compiled for AVX2 and for AVX-512; which one runs is a first argument.
///
/// `mul_add` rounds once on every path, so all give the same bits.
macro_rules! with_fma {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        fn $name(isa: $crate::cpu::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            assert!(isa.is_available(), "this machine has no {isa:?}");
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            {
                #[target_feature(enable = "avx512f")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                match isa {
                    // SAFETY: this machine has `isa`, asserted above; the function is otherwise safe.
                    $crate::cpu::isa::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::cpu::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::cpu::isa::Isa::Portable => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(in crate::cpu) use with_fma;

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use crate::cpu::isa::Isa;
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
                let baseline = bits(Isa::Portable, n, kernel);
                for isa in [Isa::Avx2, Isa::Avx512]
                    .into_iter()
                    .filter(|isa| isa.is_available())
                {
                    assert_eq!(bits(isa, n, kernel), baseline, "{name} of {n} with {isa:?}");
                }
            }
        }
    }
}
