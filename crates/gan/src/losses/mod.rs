//! GAN losses: pure functions of what D says, means over the batch. Each has its file.

mod cls_gan;
mod cross_entropy;
mod ebgan;
mod ebgan_pt;
mod gls_gan;
mod hinge;
mod ls;
mod ls_gan;
mod ls_sigmoid;
mod margin;
mod mm;
mod ns;
mod relativistic;
mod relativistic_average;
mod semi_supervised;
mod wgan;
mod won;

#[cfg(test)]
mod tests;

pub use cls_gan::ClsGan;
pub use cross_entropy::{cross_entropy, error_rate, log_sum_exp};
pub use ebgan::{Ebgan, Energies, Energy};
pub use ebgan_pt::{EbganPt, pulling_away};
pub use gls_gan::GlsGan;
pub use hinge::Hinge;
pub use ls::LeastSquares;
pub use ls_gan::LsGan;
pub use ls_sigmoid::LeastSquaresSigmoid;
pub use margin::{Distance, Output};
pub use mm::Minimax;
pub use ns::NonSaturating;
pub use relativistic::Relativistic;
pub use relativistic_average::RelativisticAverage;
pub use semi_supervised::SemiSupervised;
pub use wgan::Wasserstein;
pub use won::{Player, Won};

use ganforge_settings::{
    ConfigError, Maybe, Reader, UnlessZero, Words, below, list, parse, read, settings,
};
use ganforge_tensor::Var;

settings! {
    /// What D and G minimise, means over the batch: of logits in nats.
    pub struct Loss {
        /// The loss.
        #[was("discriminator")]
        pub kind: LossKind = LossKind::NonSaturating(NonSaturating::default());
        /// Weight, in D's loss, of real examples with a class that is not theirs, which count as generated ones do: generated
        /// examples have the rest, 1 - mismatched. 0: D sees real examples with their own classes only.
        #[shown("0, of a discriminator that is told the classes")]
        pub mismatched: Option<f64> = None, UnlessZero(below(0.0, 1.0));
        /// G's loss, where it stood before ns and mm were losses of their own.
        generator: Option<OldGeneratorLoss> = None, Maybe(Words(OldGeneratorLoss::ALL));
    }
    check Loss::check;
}

list! {
    /// G's loss beside D's binary cross-entropy.
    enum OldGeneratorLoss {
        /// That of ns.
        "non-saturating" => NonSaturating,
        /// That of mm.
        "minimax" => Minimax,
    }
}

impl Loss {
    /// The loss of this name with the stated settings, such as `["tau = 0.3"]`, by itself: whatever the networks are.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn called(name: &str, settings: &[&str]) -> Result<Loss, ConfigError> {
        let lines = format!("kind = {name:?}\n{}", settings.join("\n"));
        let table = parse(&lines, name).map_err(|fault| ConfigError::new(vec![fault]))?;
        read(&table, name)
    }

    fn check(&mut self, table: &Reader<'_>) {
        let old = self.generator.take();
        match (&self.kind, old) {
            (LossKind::NonSaturating(d), Some(OldGeneratorLoss::Minimax)) => {
                let NonSaturating {
                    half,
                    real_label,
                    won,
                } = *d;
                self.kind = LossKind::Minimax(Minimax {
                    half,
                    real_label,
                    won,
                });
            }
            (LossKind::NonSaturating(_), _) | (_, None) => {}
            (LossKind::Minimax(_), Some(OldGeneratorLoss::Minimax)) => {}
            _ => table.refuse("generator", "kind = \"ns\""),
        }
    }
}

list! {
    /// A loss.
    pub enum LossKind: dyn Objective by "kind" {
        "ns" was "bce" => NonSaturating(NonSaturating),
        "mm" => Minimax(Minimax),
        "ls" was "least_squares" => LeastSquares(LeastSquares),
        "ls-sigmoid" => LeastSquaresSigmoid(LeastSquaresSigmoid),
        "wgan" => Wasserstein(Wasserstein),
        "hinge" => Hinge(Hinge),
        "ls-gan" => LsGan(LsGan),
        "gls-gan" => GlsGan(GlsGan),
        "cls-gan" => ClsGan(ClsGan),
        "ebgan" => Ebgan(Ebgan),
        "ebgan-pt" => EbganPt(EbganPt),
        "relativistic" => Relativistic(Relativistic),
        "relativistic-average" => RelativisticAverage(RelativisticAverage),
        "semi-supervised" => SemiSupervised(SemiSupervised),
    }
}

/// A minibatch and what D says of it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'g> {
    /// What D says of each example, `[b, 1]`: a logit, a critic's value, an energy, as [`Objective::head`] makes it of
    /// `output`.
    pub d: Var<'g>,
    /// The examples, `[b, data]`.
    pub x: Var<'g>,
    /// D's output, `[b, values]`.
    pub output: Var<'g>,
    /// The classes of the examples, `[b]`, in a game that has them.
    pub labels: Option<Var<'g>>,
    /// What the layer [`Objective::code`] of D makes of them, `[b, values]`.
    pub code: Option<Var<'g>>,
    /// What the network of [`Config::margin`](crate::Config::margin) makes of the examples, `[b, values]`: where there is one, of
    /// the pairs that D learns from.
    pub features: Option<Var<'g>>,
    /// What D says of real examples of the same update, `[b, 1]`: of generated ones, where [`Objective::g_sees_real`].
    pub real: Option<Var<'g>>,
    /// What the layer [`Objective::code`] of D makes of those, `[b, values]`.
    pub real_code: Option<Var<'g>>,
    /// D's output `[b, values]` for labelled examples of the same update and their classes `[b]`: of real examples, where
    /// [`Objective::learns_from_labelled`].
    pub labelled: Option<(Var<'g>, Var<'g>)>,
}

impl<'g> Judged<'g> {
    /// What D says, `[b, 1]`, and nothing else: enough for losses of numbers alone.
    pub fn of(d: Var<'g>) -> Judged<'g> {
        Judged {
            d,
            x: d,
            output: d,
            labels: None,
            code: None,
            features: None,
            real: None,
            real_code: None,
            labelled: None,
        }
    }

    /// What D says of the real examples beside these generated ones, `[b, 1]`.
    ///
    /// # Panics
    /// If there are none: the loss does not say that it asks for them.
    #[track_caller]
    pub fn beside(&self) -> Var<'g> {
        let asked = "a loss that sees real examples in G's update says so: g_sees_real";
        self.real.expect(asked)
    }
}

/// The norm of each row √(Σ x² + eps), `[b, 1]` of `[b, n]`; eps keeps the derivative finite where a row is 0.
#[track_caller]
fn norms(x: Var<'_>, eps: f64) -> Var<'_> {
    (x.square().sum_axes(&[1]) + eps).sqrt()
}

/// What D's output must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One number for each example.
    Number,
    /// As many values as an example has: D is an auto-encoder.
    Example,
    /// One number for each class of the data.
    Classes,
}

/// The losses that D and G minimise.
pub trait Objective: std::fmt::Debug + Send + Sync {
    /// D's loss of real and of generated examples.
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g>;

    /// G's loss of its samples.
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g>;

    /// What D's output must be.
    fn form(&self) -> Form {
        Form::Number
    }

    /// What D says of each example, `[b, 1]`, made of its output `[b, values]`, the examples x `[b, data]` and their classes
    /// `[b]`. It is what penalties take gradients of.
    fn head<'g>(&self, output: Var<'g>, _x: Var<'g>, _labels: Option<Var<'g>>) -> Var<'g> {
        output
    }

    /// The layer of D whose outputs the loss reads: [`Judged::code`].
    fn code(&self) -> Option<&str> {
        None
    }

    /// Whether a loss compares the samples of a minibatch with each other: of fewer than 2 it is not defined.
    fn compares_samples(&self) -> bool {
        false
    }

    /// Whether G's loss compares its samples with real examples: [`Judged::beside`].
    fn g_sees_real(&self) -> bool {
        false
    }

    /// Whether those are, of alternating updates, other examples than D has seen in the same step.
    fn g_sees_other_examples(&self) -> bool {
        false
    }

    /// Whether D's loss has a margin for each pair of examples: [`Judged::features`].
    fn has_margin(&self) -> bool {
        false
    }

    /// Whether D learns from labelled examples beside real ones without labels: [`Judged::labelled`].
    fn learns_from_labelled(&self) -> bool {
        false
    }

    /// A number of the control block, [`Graph::scalar`](ganforge_tensor::Graph::scalar), that the losses read and that changes
    /// from epoch to epoch: its name and its value in `epoch`, counted from 1.
    fn scalar(&self, _epoch: usize) -> Option<(&'static str, f64)> {
        None
    }

    /// What monitors report of what D says, `[b, 1]`: a probability, if it represents one.
    fn shown<'g>(&self, d: Var<'g>) -> Var<'g> {
        d
    }

    /// Numbers to watch beside losses and means.
    fn monitors(&self) -> &'static [&'static str] {
        &[]
    }

    /// The value of one of [`Objective::monitors`].
    fn watch<'g>(&self, name: &str, _real: &Judged<'g>, _fake: &Judged<'g>) -> Var<'g> {
        unreachable!("a loss that names the monitor {name} has its value, too")
    }

    /// What speaks against its settings, given the means of what D says of real and of generated examples, as the monitors
    /// `d_real` and `d_fake` have them after the first steps of a run.
    fn doubt(&self, _real: f64, _fake: f64) -> Option<String> {
        None
    }
}
