//! Energy-based GAN: D is an auto-encoder.

use ganforge_settings::{Flat, above, list, settings};
use ganforge_tensor::Var;

use super::margin::share_above_0;
use super::{Form, Judged, Objective, norms};

settings! {
    /// Energy-based: D is an auto-encoder, and what it says of an example is its energy, the error with which it
    /// reconstructs it. D lowers that of real examples and raises that of generated ones up to a margin; G lowers it.
    ///
    /// D: L = mean E(x) + mean (margin - E(G(z)))₊, a hinge for each example      dL/dE(G(z)) = -1/b where E < margin
    /// G: L = mean E(G(z))
    /// E(x) = ‖Dec(Enc(x)) - x‖₂, or the mean of the squares
    /// source: Zhao et al. 2017, Energy-based Generative Adversarial Networks, section 2.1
    #[derive(Copy)]
    pub struct Ebgan {
        /// Energies and how far they are raised.
        pub energies: Energies = Energies::default(), Flat;
    }
}

settings! {
    /// Energies and how far they are raised.
    #[derive(Copy)]
    pub struct Energies {
        /// The energy that D brings generated examples to; on the scale of `energy`.
        pub margin: f64 = 10.0, above(0.0, 1e9);
        /// Factor on the margin at the end of each epoch: below 1 it falls towards 0.
        pub margin_decay: f64 = 1.0, above(0.0, 1.0);
        /// The measure of the error.
        pub energy: Energy = Energy::Norm;
    }
}

list! {
    /// The measure of a reconstruction's error, over all values of an example.
    pub enum Energy {
        /// The root of the sum of squares, as in the paper.
        "norm" => Norm,
        /// The mean of the squares, as in the code that most copies follow.
        "mse" => Mse,
    }
}

/// The number of the control block that a margin is, where it changes.
const MARGIN: &str = "margin";
/// A margin this many times the mean energy of real examples, or more, is on another scale.
const MOST_ENERGIES: f64 = 50.0;
/// And so is one that is this part of it, or less.
const LEAST_ENERGIES: f64 = 0.2;

impl Energies {
    /// `[b, 1]` of reconstructions of examples, both `[b, data]`.
    #[track_caller]
    pub(super) fn of<'g>(&self, output: Var<'g>, x: Var<'g>) -> Var<'g> {
        match self.energy {
            Energy::Norm => norms(output - x, 1e-12),
            Energy::Mse => {
                let values = x.shape().dims()[1] as f64;
                (output - x).square().sum_axes(&[1]) * (1.0 / values)
            }
        }
    }

    /// D's loss.
    #[track_caller]
    pub(super) fn hinged<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        real.d.mean() + self.below(fake).relu().mean()
    }

    /// How far the energies are below the margin, `[b, 1]`.
    #[track_caller]
    fn below<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        match self.margin_decay {
            1.0 => self.margin - fake.d,
            _ => fake.d.graph().scalar(MARGIN) - fake.d,
        }
    }

    /// [`Objective::scalar`]
    pub(super) fn scalar(&self, epoch: usize) -> Option<(&'static str, f64)> {
        let margin = || self.margin * self.margin_decay.powf(epoch.saturating_sub(1) as f64);
        (self.margin_decay < 1.0).then(|| (MARGIN, margin()))
    }

    /// [`Objective::monitors`]: the share of generated examples whose energy is below the margin, and a margin that changes.
    pub(super) fn monitors(&self) -> &'static [&'static str] {
        match self.margin_decay {
            1.0 => &["active"],
            _ => &["active", MARGIN],
        }
    }

    /// [`Objective::watch`]
    #[track_caller]
    pub(super) fn watch<'g>(&self, name: &str, fake: &Judged<'g>) -> Var<'g> {
        match name {
            MARGIN => fake.d.graph().scalar(MARGIN),
            _ => share_above_0(self.below(fake)),
        }
    }

    /// [`Objective::doubt`]
    pub(super) fn doubt(&self, real: f64, fake: f64) -> Option<String> {
        let scale = self.margin / real;
        let is_far = !(LEAST_ENERGIES..MOST_ENERGIES).contains(&scale);
        is_far.then(|| {
            format!(
                "loss.margin is {}, and the mean energies are {real:.3} of real and {fake:.3} of generated examples: the \
                 margin should be on the scale of loss.energy, which is {:?}",
                self.margin,
                self.energy.name()
            )
        })
    }
}

impl Objective for Ebgan {
    fn form(&self) -> Form {
        Form::Example
    }

    #[track_caller]
    fn head<'g>(&self, output: Var<'g>, x: Var<'g>, _labels: Option<Var<'g>>) -> Var<'g> {
        self.energies.of(output, x)
    }

    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        self.energies.hinged(real, fake)
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        fake.d.mean()
    }

    fn scalar(&self, epoch: usize) -> Option<(&'static str, f64)> {
        self.energies.scalar(epoch)
    }

    fn monitors(&self) -> &'static [&'static str] {
        self.energies.monitors()
    }

    #[track_caller]
    fn watch<'g>(&self, name: &str, _real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        self.energies.watch(name, fake)
    }

    fn doubt(&self, real: f64, fake: f64) -> Option<String> {
        self.energies.doubt(real, fake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::tests::{Pairs, assert_near};

    fn of(energy: Energy) -> Ebgan {
        let energies = Energies {
            energy,
            ..Energies::default()
        };
        Ebgan { energies }
    }

    /// Reconstructions of examples 0 that are off by these energies.
    fn find(real: &[f64], fake: &[f64], what: &str) -> Vec<f64> {
        let loss = Ebgan::default();
        Pairs::of(real, fake).find(&loss, what).expect(what)
    }

    #[test]
    fn generated_examples_count_up_to_the_margin() {
        assert_near(&find(&[1.0], &[4.0], "d"), &[7.0], "below");
        assert_near(&find(&[1.0], &[4.0], "g"), &[4.0], "below");
        assert_near(&find(&[1.0], &[4.0], "d/fake"), &[-1.0], "below");
        assert_near(&find(&[1.0], &[12.0], "d"), &[1.0], "above");
        assert_eq!(find(&[1.0], &[12.0], "d/fake"), [0.0]);
        assert_near(&find(&[1.0], &[12.0], "g/fake"), &[1.0], "above");
    }

    /// Energies whose mean is the margin: a hinge of the mean would say 0.
    #[test]
    fn each_example_has_a_hinge_of_its_own() {
        let [real, fake] = [[1.0; 2], [4.0, 16.0]];
        assert_near(&find(&real, &fake, "d"), &[1.0 + 3.0], "loss");
        assert_near(&find(&real, &fake, "d/fake"), &[-0.5, 0.0], "gradient");
        assert_near(&find(&real, &fake, "active"), &[0.5], "share");
    }

    #[test]
    fn an_energy_is_a_norm_or_a_mean_of_squares() {
        let pairs = Pairs::of(&[0.0, 0.0], &[3.0, 1.0]);
        let pairs = pairs.with(&[0.0, 0.0], &[0.0, -3.0]);
        let both = [(Energy::Norm, 3.5), (Energy::Mse, (9.0 + 16.0) / 2.0)];
        for (energy, expected) in both {
            let loss = of(energy);
            assert_near(&pairs.find(&loss, "g").unwrap(), &[expected], "mean");
        }
    }

    /// Of a·y + b·(m - y)₊ over y >= 0 with a, b > 0: the loss where a share a of all examples with the energy y is real.
    #[test]
    fn the_lowest_loss_of_an_energy_is_at_the_margin_or_at_0() {
        let loss = of(Energy::Mse);
        let m = loss.energies.margin;
        let d = |real: f64, fake: f64| {
            let pairs = Pairs::of(&[real.sqrt()], &[fake.sqrt()]);
            pairs.find(&loss, "d").expect("a loss")[0]
        };
        let grid: Vec<f64> = (0..=40).map(|i| m * f64::from(i) / 20.0).collect();
        let terms: Vec<[f64; 2]> = grid.iter().map(|&y| [d(y, 2.0 * m), d(0.0, y)]).collect();
        for (a, b) in [(0.2, 0.8), (0.49, 0.51), (0.7, 0.3)] {
            let phi = terms.iter().map(|[real, fake]| a * real + b * fake);
            let lowest = phi.zip(&grid).min_by(|p, q| p.0.total_cmp(&q.0));
            let (value, at) = lowest.expect("a grid");
            let expected = if a < b { (a * m, m) } else { (b * m, 0.0) };
            assert_near(&[value, *at], &[expected.0, expected.1], "lowest");
        }
    }

    #[test]
    fn a_margin_that_decays_is_lower_from_epoch_to_epoch() {
        let mut loss = of(Energy::Norm);
        assert_eq!(loss.scalar(3), None);
        loss.energies.margin_decay = 0.5;
        let margins = [1, 2, 4].map(|epoch| loss.scalar(epoch).expect("a scalar").1);
        assert_eq!(margins, [10.0, 5.0, 1.25]);
    }

    #[test]
    fn a_margin_on_another_scale_is_doubted() {
        let loss = of(Energy::Mse);
        let doubt = loss.doubt(0.08, 0.3).expect("a hundred times the energy");
        assert!(doubt.contains("loss.margin is 10"), "{doubt}");
        assert!(doubt.contains("0.080 of real and 0.300"), "{doubt}");
        assert!(loss.doubt(300.0, 500.0).is_some());
        for energy in [0.5, 5.0, 14.0] {
            assert_eq!(loss.doubt(energy, energy), None, "{energy}");
        }
    }
}
