//! Quartiles, and whiskers around them.

/// How values are spread: the numbers of a box plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// How many values there are.
    pub n: usize,
    /// The lower quartile, the median and the upper quartile.
    pub quartiles: [f64; 3],
    /// The smallest and the largest value that is at most 1.5 interquartile ranges away from the box, whose edge it is
    /// where there is none beyond.
    pub whiskers: [f64; 2],
    /// The values beyond the whiskers, ascending.
    pub beyond: Vec<f64>,
}

/// How far whiskers reach, in interquartile ranges.
const REACH: f64 = 1.5;

impl Spread {
    /// Of values that are finite; none of none.
    ///
    /// source: Tukey 1977, Exploratory data analysis, section 2E, the whiskers; Hyndman and Fan 1996, Sample quantiles in
    /// statistical packages, definition 7, the quartiles
    pub fn of(values: &[f64]) -> Option<Spread> {
        if values.is_empty() {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quartiles = [0.25, 0.5, 0.75].map(|p| percentile(&sorted, p));
        let [lower, _, upper] = quartiles;
        let reach = REACH * (upper - lower);
        let is_near = |x: &f64| (lower - reach..=upper + reach).contains(x);
        let near: Vec<f64> = sorted.iter().copied().filter(is_near).collect();
        let least = near.first().map_or(lower, |x| x.min(lower));
        let most = near.last().map_or(upper, |x| x.max(upper));
        Some(Spread {
            n: sorted.len(),
            quartiles,
            whiskers: [least, most],
            beyond: sorted.into_iter().filter(|x| !is_near(x)).collect(),
        })
    }
}

/// The value below which a share `p` of the sorted values lies, linear between two of them: the one at the place
/// p (n - 1), counted from 0.
pub(super) fn percentile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}
