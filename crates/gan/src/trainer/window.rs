//! What the next row of metrics.csv is made of.

use super::StepReport;

/// Sums over the steps since the last row of metrics.csv.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// Of D's loss, G's loss, mean D(x) and mean D(G(z)).
    pub(crate) sums: [f64; 4],
    /// The steps.
    pub(crate) steps: u64,
}

impl Window {
    pub(crate) fn add(&mut self, r: &StepReport) {
        let values = [r.loss_d, r.loss_g, r.d_real, r.d_fake];
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += f64::from(value);
        }
        self.steps += 1;
    }

    pub(crate) fn means(&self) -> [f64; 4] {
        self.sums.map(|sum| sum / self.steps as f64)
    }
}
