//! What LS-GAN, GLS-GAN and CLS-GAN share: pairs of a real and a generated example and the margin between their losses.

use ganforge_settings::list;
use ganforge_tensor::Var;

use super::{Judged, norms};

list! {
    /// The distance between the two examples of a pair, over all their values.
    pub enum Distance {
        /// The sum of absolute differences.
        "l1" => L1,
        /// The root of the sum of squared differences.
        "l2" => L2,
    }
}

list! {
    /// What is made of D's last output.
    pub enum Output {
        /// Nothing.
        "linear" => Linear,
        /// The larger of it and 0. It can die: at 0 for all examples it has no gradient.
        "relu" => Relu,
        /// log(1 + exp(output)), which is above 0 and does not die.
        "softplus" => Softplus,
    }
}

impl Output {
    #[track_caller]
    pub(super) fn of(self, output: Var<'_>) -> Var<'_> {
        match self {
            Output::Linear => output,
            Output::Relu => output.relu(),
            Output::Softplus => output.softplus(),
        }
    }
}

/// The margin of each pair `[b, 1]`, a constant to both networks: tau · ‖x_i - G(z_i)‖, i-th with i-th, of features where there
/// are some.
#[track_caller]
pub(super) fn margins<'g>(
    distance: Distance,
    tau: f64,
    real: &Judged<'g>,
    fake: &Judged<'g>,
) -> Var<'g> {
    let features = real.features.zip(fake.features);
    let (real, fake) = features.unwrap_or((real.x, fake.x));
    let difference = (real - fake).detach();
    let distance = match distance {
        Distance::L1 => difference.abs().sum_axes(&[1]),
        Distance::L2 => norms(difference, 0.0),
    };
    distance * tau
}

/// By how much each pair `[b, 1]` misses its margin, below 0 where it keeps it: margin + L(x_i) - L(G(z_i)).
#[track_caller]
pub(super) fn misses<'g>(margins: Var<'g>, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
    margins + real.d - fake.d
}

/// The monitors of losses with margins: the share of pairs that miss theirs, and the mean margin.
pub(super) const MONITORS: &[&str] = &["active", "margin"];

/// The value of one of [`MONITORS`].
#[track_caller]
pub(super) fn watch<'g>(
    name: &str,
    margins: Var<'g>,
    real: &Judged<'g>,
    fake: &Judged<'g>,
) -> Var<'g> {
    match name {
        "margin" => margins.mean(),
        _ => share_above_0(misses(margins, real, fake)),
    }
}

/// The share of values above 0.
#[track_caller]
pub(super) fn share_above_0(x: Var<'_>) -> Var<'_> {
    x.relu().sign().mean()
}
