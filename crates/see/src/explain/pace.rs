//! What the lines of images see far from all borders: sizes, strides and starts of receptive fields, and how they compose.

use super::images::Along;

/// What the lines of an image see of those of another along one axis, far from all borders: the same again every `period` lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pace {
    /// By how many lines the field moves every `first.len()` lines.
    jump: i64,
    /// The first line that each line of a period sees.
    first: Vec<i64>,
    /// The last one.
    last: Vec<i64>,
}

impl Pace {
    /// Of an image as it is seen by itself.
    pub fn identity() -> Pace {
        Pace {
            jump: 1,
            first: vec![0],
            last: vec![0],
        }
    }

    fn at(&self, ends: &[i64], line: i64) -> i64 {
        let period = ends.len() as i64;
        ends[line.rem_euclid(period) as usize] + self.jump * line.div_euclid(period)
    }

    /// What an image sees that is made of this one; none where that has no rule.
    pub fn through(&self, along: &Along) -> Option<Pace> {
        let period = self.first.len() as i64;
        let (period, jump) = match along {
            Along::Same => return Some(self.clone()),
            Along::Gathers(taps) => {
                let stride = taps.stride as i64;
                let own = period / gcd(period, stride);
                (own, own * stride / period * self.jump)
            }
            Along::Scatters(taps) => (period * taps.stride as i64, self.jump),
            Along::As(_) => return None,
        };
        let ends: Option<Vec<[i64; 2]>> = (0..period).map(|i| along.unbounded(i)).collect();
        let ends = ends?;
        Some(Pace {
            jump,
            first: ends.iter().map(|e| self.at(&self.first, e[0])).collect(),
            last: ends.iter().map(|e| self.at(&self.last, e[1])).collect(),
        })
    }

    /// What an image sees that is made of two, by way of either; none where they move at different paces.
    pub fn and(&self, other: &Pace) -> Option<Pace> {
        let (a, b) = (self.first.len() as i64, other.first.len() as i64);
        let period = a / gcd(a, b) * b;
        let jump = period / a * self.jump;
        if jump != period / b * other.jump {
            return None;
        }
        let both = |of: fn(&Pace) -> &[i64], pick: fn(i64, i64) -> i64| -> Vec<i64> {
            let at = |i| pick(self.at(of(self), i), other.at(of(other), i));
            (0..period).map(at).collect()
        };
        Some(Pace {
            jump,
            first: both(|p| &p.first, i64::min),
            last: both(|p| &p.last, i64::max),
        })
    }

    /// The first and the last line that a line sees.
    #[cfg(test)]
    pub fn lines(&self, line: i64) -> [i64; 2] {
        [self.at(&self.first, line), self.at(&self.last, line)]
    }

    /// The most lines that a line sees.
    pub fn size(&self) -> i64 {
        let sizes = self.first.iter().zip(&self.last).map(|(a, b)| b - a + 1);
        sizes.max().unwrap_or(0)
    }

    /// By how many lines the field moves from one line to the next: a fraction.
    pub fn stride(&self) -> [i64; 2] {
        let period = self.first.len() as i64;
        let common = gcd(self.jump, period);
        [self.jump / common, period / common]
    }

    /// The first line that line 0 sees; before the border it is negative.
    pub fn start(&self) -> i64 {
        self.first[0]
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    match b {
        0 => a.abs().max(1),
        _ => gcd(b, a % b),
    }
}
