//! Ways from one noise to another.

/// A way through the space of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// (1 - t) a + t b: straight. For uniform noise; halfway between two draws of a normal one it is shorter than draws are, by a
    /// factor of √2 in many dimensions.
    Linear,
    /// sin((1 - t) ω) a / sin ω + sin(t ω) b / sin ω, ω the angle between a and b: along the sphere on which normal noise of many
    /// dimensions lies (Shoemake 1985; for generators White 2016). Straight where a and b point the same way or opposite ways.
    Slerp,
}

impl Way {
    /// The noise at `t`, from 0, which is `a`, to 1, which is `b`.
    pub fn at(self, a: &[f32], b: &[f32], t: f32) -> Vec<f32> {
        let [of_a, of_b] = self.shares(a, b, f64::from(t)).map(|share| share as f32);
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| of_a * a + of_b * b).collect()
    }

    fn shares(self, a: &[f32], b: &[f32], t: f64) -> [f64; 2] {
        let straight = [1.0 - t, t];
        if self == Way::Linear {
            return straight;
        }
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            products.sum()
        };
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        let omega = cosine.clamp(-1.0, 1.0).acos();
        match omega.sin() {
            // Also of noise that is all zeros, whose angle is not a number.
            sin if sin > 1e-6 => [(1.0 - t) * omega, t * omega].map(|angle| angle.sin() / sin),
            _ => straight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(z: &[f32]) -> f32 {
        z.iter().map(|z| z * z).sum::<f32>().sqrt()
    }

    #[test]
    fn both_ways_begin_and_end_at_the_draws_and_one_stays_on_the_sphere() {
        let (a, b) = ([3.0, 0.0, 4.0], [0.0, 5.0, 0.0]);
        for way in [Way::Linear, Way::Slerp] {
            assert_eq!(way.at(&a, &b, 0.0), a);
            for (found, b) in way.at(&a, &b, 1.0).iter().zip(b) {
                assert!((found - b).abs() < 1e-6);
            }
        }
        for t in [0.1, 0.5, 0.8] {
            assert!((norm(&Way::Slerp.at(&a, &b, t)) - 5.0).abs() < 1e-5);
        }
        let halfway = norm(&Way::Linear.at(&a, &b, 0.5));
        assert!((halfway - 5.0 / 2f32.sqrt()).abs() < 1e-5, "{halfway}");
        // A third of the right angle.
        let third = Way::Slerp.at(&a, &b, 1.0 / 3.0);
        assert!((third[1] - 2.5).abs() < 1e-5, "{third:?}");
    }

    #[test]
    fn without_an_angle_the_way_is_straight() {
        for (a, b) in [
            ([1.0, 2.0], [2.0, 4.0]),
            ([1.0, 0.0], [-1.0, 0.0]),
            ([0.0; 2], [1.0, 1.0]),
        ] {
            assert_eq!(Way::Slerp.at(&a, &b, 0.25), Way::Linear.at(&a, &b, 0.25));
        }
    }
}
