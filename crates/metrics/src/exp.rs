//! Sums of exponentials in f64, fast enough for a hundred million of them.

/// Lanes of the sum below: enough for two AVX-512 registers, or for SSE2 to overlap its operations.
const LANES: usize = 16;

/// Σ_j exp((nearest - d²_j) · scale), each exponent at most 0.
pub(super) fn sum_of_exps(squares: &[f64], nearest: f64, scale: f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = squares.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, q) in lanes.iter_mut().zip(chunk) {
            *lane += exp_of_nonpositive((nearest - q) * scale);
        }
    }
    for (lane, q) in lanes.iter_mut().zip(rest) {
        *lane += exp_of_nonpositive((nearest - q) * scale);
    }
    lanes.iter().sum()
}

/// e^x for x <= 0 without a branch, so that loops over it vectorise; within 2 ulp.
///
/// x = k ln 2 + r, |r| <= ln 2 / 2: e^x = 2^k e^r, e^r by its Taylor sum to r^13 (what is left out is below 4e-18).
/// Below -700 it stays at e^-700 = 1e-304, which no sum that contains e^0 = 1 can feel.
#[inline(always)]
fn exp_of_nonpositive(x: f64) -> f64 {
    // Adding 1.5 · 2^52 rounds to a whole number, which then stands in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts; the first ends in 21 zero bits, so k times it is exact.
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const TAYLOR: [f64; 13] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let x = x.max(-700.0);
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let k = rounded - ROUND;
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut sum = 1.0 / 6_227_020_800.0;
    for c in TAYLOR {
        sum = sum * r + c;
    }
    // 2^k: k in [-1010, 0] joins the exponent of 1.
    let power = (rounded.to_bits() << 52).wrapping_add(1.0_f64.to_bits());
    sum * f64::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_exp_is_exp() {
        let mut worst = 0.0_f64;
        for i in 0..400_000 {
            let x = -f64::from(i) * 0.001_734_1;
            worst = worst.max((exp_of_nonpositive(x) / x.exp() - 1.0).abs());
        }
        assert!(worst <= 2.0 * f64::EPSILON, "{worst:e}");
        assert_eq!(exp_of_nonpositive(0.0), 1.0);
        assert!(exp_of_nonpositive(f64::NEG_INFINITY) < 1e-300);
        assert!(exp_of_nonpositive(-1e300) < 1e-300);
    }

    #[test]
    fn sums_of_any_length_are_right() {
        for n in 0..50 {
            let squares: Vec<f64> = (0..n).map(|i| 0.3 + f64::from(i) * 0.17).collect();
            let expected: f64 = squares.iter().map(|q| ((0.3 - q) * 2.0).exp()).sum();
            assert!((sum_of_exps(&squares, 0.3, 2.0) - expected).abs() <= 1e-14);
        }
    }
}
