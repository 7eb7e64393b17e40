//! Elementary functions of one `f32`, branch-free, so that loops over them vectorise.
//!
//! Only plain additions, multiplications, divisions and square roots, each rounded once, in a fixed order: every
//! instruction set, and a GPU that uses `__fadd_rn`, `__fmul_rn` and `__fdiv_rn`, gives the same bits. The polynomials
//! are minimax fits (Lawson's reweighted least squares) on the interval stated with each; the argument reductions
//! are those of Cephes (Moshier 1992) and fdlibm (Sun 1993). Errors are measured against `f64` in the tests.

/// 1.5 * 2^23: adding it to |t| < 2^22 rounds t to a whole number, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;

/// ln 2 in two parts; the first has 10 significant bits, so its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// e^x.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; e^x = 2^n (1 + r + r^2 P(r)). Error below 1.1 ulp, denormal results included;
/// 0 for -inf, inf above 88.72, NaN for NaN.
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.979_021_9e-4;
    p = p * r + 1.394_478_4e-3;
    p = p * r + 8.333_498e-3;
    p = p * r + 4.166_629e-2;
    p = p * r + 1.666_666_6e-1;
    p = p * r + 0.5;
    let e = (p * (r * r) + r) + 1.0;
    // 2^n by two factors: n reaches -150, below the smallest normal exponent.
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    (e * power_of_two(half)) * power_of_two(n.wrapping_sub(half))
}

/// 2^n for -127 < n < 128.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// ln(1 + f) where s = f / (2 + f) and |s| <= 1/3, by 2 atanh(s) = f - f^2/2 + s (f^2/2 + R(s^2)).
#[inline(always)]
fn log1p_parts(f: f32) -> (f32, f32) {
    let s = f / (2.0 + f);
    let z = s * s;
    let mut p = 2.428_955_8e-1;
    p = p * z + 2.143_074_1e-1;
    p = p * z + 2.861_659_5e-1;
    p = p * z + 3.999_889e-1;
    p = p * z + 6.666_667_5e-1;
    let half_square = 0.5 * f * f;
    (half_square, s * (half_square + z * p))
}

/// Natural logarithm.
///
/// x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)). Error below 1 ulp; -inf at 0, NaN below 0, inf at inf.
#[inline(always)]
pub fn log_f32(x: f32) -> f32 {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 33_554_432.0 } else { x };
    let bits = scaled.to_bits().wrapping_add(0x3f80_0000 - SQRT_HALF);
    let k = (bits >> 23) as i32 - if tiny { 127 + 25 } else { 127 };
    let f = f32::from_bits((bits & 0x007f_ffff) + SQRT_HALF) - 1.0;
    let k = k as f32;
    let (half_square, tail) = log1p_parts(f);
    // ln 2 in fdlibm's split: the high part has 17 significant bits.
    let y = (((tail + k * 9.058_001e-6) - half_square) + f) + k * 6.931_381e-1;
    let y = if x == f32::INFINITY { x } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { f32::NAN }
}

/// Hyperbolic tangent.
///
/// x + x^3 P(x^2) below 0.625, 1 - 2 / (e^(2|x|) + 1) above, with the sign of x. Error below 1.6 ulp.
#[inline(always)]
pub fn tanh_f32(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let mut p = 2.146_499_5e-3;
    p = p * z + -8.181_582e-3;
    p = p * z + 2.170_254_3e-2;
    p = p * z + -5.394_713_2e-2;
    p = p * z + 1.333_320_9e-1;
    p = p * z + -3.333_333e-1;
    let small = a + a * (z * p);
    let large = 1.0 - 2.0 / (exp_f32(a + a) + 1.0);
    let y = if a < 0.625 { small } else { large };
    y.copysign(x)
}

/// Logistic sigmoid 1 / (1 + e^-x), from e^-|x| so that small values keep their relative precision.
///
/// Error below 2.5 ulp; exactly 0 at -inf and 1 at inf.
#[inline(always)]
pub fn sigmoid_f32(x: f32) -> f32 {
    let e = exp_f32(-x.abs());
    let top = if x < 0.0 { e } else { 1.0 };
    top / (1.0 + e)
}

/// Softplus ln(1 + e^x) = max(x, 0) + log1p(e^-|x|).
///
/// Error below 2.5 ulp, also where the result is tiny (x = -80); 0 at -inf, inf at inf.
#[inline(always)]
pub fn softplus_f32(x: f32) -> f32 {
    let e = exp_f32(-x.abs());
    let (half_square, tail) = log1p_parts(e);
    let base = if x > 0.0 { x } else { 0.0 };
    base + (e - (half_square - tail))
}

/// (cos 2 pi u, sin 2 pi u) for u in [0, 1).
///
/// The angle is reduced to an eighth of a turn exactly, in units of a quarter turn. Absolute error below 2^-23.
#[inline(always)]
pub(crate) fn cos_sin_turn(u: f32) -> (f32, f32) {
    let t = u * 4.0;
    let rounded = t + ROUND;
    let f = t - (rounded - ROUND);
    let quadrant = rounded.to_bits();
    let z = f * f;
    let mut p = 1.581_950_8e-4;
    p = p * z + -4.681_261e-3;
    p = p * z + 7.969_258e-2;
    p = p * z + -6.459_641e-1;
    p = p * z + std::f32::consts::FRAC_PI_2;
    let sin = f * p;
    let mut q = 9.040_216_7e-4;
    q = q * z + -2.086_028_8e-2;
    q = q * z + 2.536_692_3e-1;
    q = q * z + -1.233_700_5;
    let cos = 1.0 + z * q;
    let odd = quadrant & 1 == 1;
    let (c, s) = if odd { (sin, cos) } else { (cos, sin) };
    let cos_sign = (quadrant.wrapping_add(1) & 2) << 30;
    let sin_sign = (quadrant & 2) << 30;
    (
        f32::from_bits(c.to_bits() ^ cos_sign),
        f32::from_bits(s.to_bits() ^ sin_sign),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance of `got` from `want` in units of the last place of `want` as an `f32` (denormal spacing below).
    fn ulps(got: f32, want: f64) -> f64 {
        let near = want.abs().max(f64::from(f32::MIN_POSITIVE));
        let ulp = 2f64.powi((near.log2().floor() as i32).clamp(-126, 127) - 23);
        (f64::from(got) - want).abs() / ulp
    }

    /// Largest error over every 61st bit pattern whose value lies in [lo, hi], both signs.
    fn sweep(f: fn(f32) -> f32, exact: fn(f64) -> f64, lo: f32, hi: f32) -> (f64, f32) {
        let mut worst = (0.0, 0.0);
        for bits in (0..=f32::MAX.to_bits()).step_by(997) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                if (lo..=hi).contains(&x) {
                    let want = exact(f64::from(x));
                    if want.abs() < f64::from(f32::MAX) {
                        let e = ulps(f(x), want);
                        if e > worst.0 || e.is_nan() {
                            worst = (e, x);
                        }
                    }
                }
            }
        }
        worst
    }

    #[test]
    fn errors_stay_within_the_documented_ulps() {
        type Case = (&'static str, fn(f32) -> f32, fn(f64) -> f64, f32, f32, f64);
        let cases: [Case; 5] = [
            ("exp", exp_f32, f64::exp, -110.0, 88.8, 1.1),
            ("log", log_f32, f64::ln, f32::from_bits(1), f32::MAX, 1.0),
            ("tanh", tanh_f32, f64::tanh, -20.0, 20.0, 1.6),
            (
                "sigmoid",
                sigmoid_f32,
                |x| 1.0 / (1.0 + (-x).exp()),
                -104.0,
                104.0,
                2.5,
            ),
            (
                "softplus",
                softplus_f32,
                |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
                -104.0,
                104.0,
                2.5,
            ),
        ];
        for (name, f, exact, lo, hi, bound) in cases {
            let (e, x) = sweep(f, exact, lo, hi);
            println!("{name}: {e:.3} ulp at {x}");
            assert!(e < bound, "{name}: {e} ulp at {x}");
        }
    }

    #[test]
    fn edges_are_exact() {
        let inf = f32::INFINITY;
        assert_eq!(
            (exp_f32(-inf), exp_f32(inf), exp_f32(0.0), exp_f32(88.8)),
            (0.0, inf, 1.0, inf)
        );
        assert_eq!(
            (exp_f32(-104.0), exp_f32(-1e30), exp_f32(88.72).is_finite()),
            (0.0, 0.0, true)
        );
        assert_eq!(
            (log_f32(0.0), log_f32(-0.0), log_f32(inf), log_f32(1.0)),
            (-inf, -inf, inf, 0.0)
        );
        assert!(
            log_f32(-1.0).is_nan()
                && log_f32(-inf).is_nan()
                && log_f32(-f32::from_bits(1)).is_nan()
        );
        assert_eq!(
            (tanh_f32(inf), tanh_f32(-inf), tanh_f32(0.0)),
            (1.0, -1.0, 0.0)
        );
        assert!(tanh_f32(-0.0).is_sign_negative());
        assert_eq!(
            (sigmoid_f32(inf), sigmoid_f32(-inf), sigmoid_f32(0.0)),
            (1.0, 0.0, 0.5)
        );
        assert_eq!(
            (softplus_f32(inf), softplus_f32(-inf), softplus_f32(100.0)),
            (inf, 0.0, 100.0)
        );
        assert!(ulps(softplus_f32(-80.0), (-80f64).exp()) < 2.5);
        for f in [exp_f32, log_f32, tanh_f32, sigmoid_f32, softplus_f32] {
            assert!(f(f32::NAN).is_nan() && f(-f32::NAN).is_nan());
        }
    }

    #[test]
    fn cos_sin_of_every_turn_is_close() {
        let mut worst = 0f64;
        for i in (0..1u32 << 24).step_by(13) {
            let u = i as f32 * (1.0 / 16_777_216.0);
            let (c, s) = cos_sin_turn(u);
            let angle = std::f64::consts::TAU * f64::from(u);
            worst = worst
                .max((f64::from(c) - angle.cos()).abs())
                .max((f64::from(s) - angle.sin()).abs());
        }
        assert!(worst < 2f64.powi(-23), "{worst:e}");
        assert_eq!(cos_sin_turn(0.0), (1.0, 0.0));
    }
}
