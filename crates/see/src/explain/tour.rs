//! A tour of the stops that are most important for understanding a GAN, each with an explanation.

use ganforge_tensor::Op;
use serde_json::{Value, json};

use crate::diagram::Diagram;

/// The stops of the tour, in the order of the walk: the number of each among `stops`, and why it matters.
pub(super) fn tour(d: &Diagram, stops: &[Value]) -> Vec<Value> {
    let at = |part: &str, is: &dyn Fn(usize) -> bool| {
        let node = |s: &Value| s["node"].as_u64().is_some_and(|n| is(n as usize));
        stops.iter().position(|s| s["part"] == part && node(s))
    };
    let last = |part: &str, is: &dyn Fn(usize) -> bool| {
        let node = |s: &Value| s["node"].as_u64().is_some_and(|n| is(n as usize));
        stops.iter().rposition(|s| s["part"] == part && node(s))
    };
    let op = |n: usize| d.node(n).op;
    let within = |n: usize, scope: &str| d.scope(n).starts_with(scope);
    let is_map = |n: usize| matches!(op(n), Op::MatMul(_) | Op::Conv2d(_) | Op::Conv2dDx(_));
    let is_loss = |n: usize| d.player_of_loss(n).is_some();
    let bends = |n: usize| {
        matches!(
            op(n),
            Op::Take(_) | Op::Relu(_) | Op::LeakyRelu(_) | Op::Tanh(_) | Op::Sigmoid(_)
        )
    };
    let new = |player: &str| {
        let is = |s: &Value| {
            let name = s["name"].as_str().unwrap_or("");
            s["part"] == "update" && name.starts_with(player) && name.ends_with(".w")
        };
        stops.iter().position(is)
    };
    if d.is_of_classifier() {
        return in_order([
            (
                at("forward", &|n| d.label(n) == "x"),
                "The examples enter here, as vectors; their classes come beside them and are read by the loss alone.",
            ),
            (
                last("forward", &|n| matches!(op(n), Op::Conv2d(_))),
                "A convolution: each pixel of a map sees a window of the picture, the same filter everywhere. Choose a pixel to \
                 see from which rectangle of the picture it was computed, through all layers before it.",
            ),
            (
                last("forward", &|n| is_map(n) && within(n, "C/")),
                "The last layer: a logit for each class. What comes into it are the features by which other programs compare images.",
            ),
            (
                at("forward", &is_loss),
                "Near log n of n classes nothing is known yet; near 0 each example's own class is certain.",
            ),
            (
                last("loss/c", &|n| is_map(n) && within(n, "C/")),
                "The end of the backward pass: the gradient in the first weights is a sum over examples.",
            ),
            (
                new("C."),
                "The classifier changes a little. Then the next step begins, with other data.",
            ),
        ]);
    }
    if d.is_of_encoder() {
        return in_order([
            (
                at("forward", &|n| {
                    matches!(op(n), Op::Uniform(_) | Op::Normal(_))
                }),
                "Noise is drawn: what E is to find, known here because we draw it ourselves.",
            ),
            (
                last("forward", &|n| is_map(n) && within(n, "G/")),
                "G makes samples of it. It stands still: nothing of this step changes it.",
            ),
            (
                last("forward", &|n| is_map(n) && within(n, "E/")),
                "The last layer of E: a number for each component of the noise.",
            ),
            (
                at("forward", &is_loss),
                "The mean square of what is missed. No label and no real image is needed for it.",
            ),
            (
                last("loss/e", &|n| is_map(n) && within(n, "E/")),
                "The end of the backward pass: it stops at the first weights of E, and does not reach G.",
            ),
            (
                new("E."),
                "The encoder changes a little. Then the next step begins, with other noise.",
            ),
        ]);
    }
    let found = [
        (
            at("forward", &|n| matches!(op(n), Op::Input(_))),
            "The data enter here, and only here. D sees them; G never does. G learns about them only through D.",
        ),
        (
            at("forward", &|n| {
                matches!(op(n), Op::Uniform(_) | Op::Normal(_))
            }),
            "A GAN has no formula for the probability of a sample. Instead it has noise that is easy to draw, and a network that \
             maps it to samples.",
        ),
        (
            d.samples()
                .into_iter()
                .find_map(|s| at("forward", &|n| n == s)),
            "The samples. D processes them with the same weights as the data, so it learns where the two differ.",
        ),
        (
            last("forward", &|n| {
                matches!(op(n), Op::Conv2d(_)) && within(n, "D/")
            }),
            "A convolution: each pixel of a map sees a window of the picture, the same filter everywhere. Choose a pixel to see \
             from which rectangle of the picture it was computed, through all layers before it.",
        ),
        (
            at("forward", &|n| is_loss(n) && within(n, "loss/d")),
            "D is a classifier and this is its cross-entropy. Near 0, D has won and G gets little to learn from. At log 2 = \
             0.693 for each of the two terms, D is undecided and cannot distinguish data and samples.",
        ),
        (
            at("forward", &|n| is_loss(n) && within(n, "loss/g")),
            "G has no target image and no distance to one. Its loss depends on D, which changes at every step: this is a two-player \
             game, and neither network descends on a fixed loss surface.",
        ),
        (
            at("loss/d", &|n| matches!(op(n), Op::Softplus(_))),
            "The gradient of D's loss starts here: every example is weighted by how wrong D is about it. Examples that D classifies \
             correctly with confidence have a gradient near 0.",
        ),
        (
            at("loss/d", &|n| bends(n) && within(n, "D/")),
            "Inactive units, or pieces that are not the largest, get no gradient from this example.",
        ),
        (
            last("loss/d", &|n| is_map(n) && within(n, "D/")),
            "The end of D's backward pass: the gradient in its first weights is a sum over examples. Data and samples contribute with \
             opposite signs and cancel where they look alike.",
        ),
        (
            at("loss/g", &|n| matches!(op(n), Op::Softplus(_))),
            "The strength of D's gradient to G. With the paper's second loss, −log D, it is largest where D confidently rejects the \
             sample; with log(1 − D) it would be smallest there.",
        ),
        (
            last("loss/g", &|n| is_map(n) && within(n, "D/")),
            "G's gradient passes through all of D to D's input, the sample. This is G's only learning signal: how each value of each \
             sample should change for D to accept it as data. D's weights get no gradient from it.",
        ),
        (
            at("loss/g", &|n| bends(n) && within(n, "G/")),
            "D's gradient must pass through G's own activations. Where they are saturated or inactive, it does not.",
        ),
        (
            last("loss/g", &|n| is_map(n) && within(n, "G/")),
            "The end of G's backward pass. All samples share one set of weights, so the update follows what their gradients have in \
             common.",
        ),
        (
            new("D."),
            "D changes a little: it must stay ahead of G, but not so far that its gradients become useless to G.",
        ),
        (
            new("G."),
            "G changes a little, following this D's gradient. Then the next step begins, with other data, other noise, and an updated \
             D.",
        ),
    ];
    in_order(found)
}

/// The stops that there are, in the order of the walk.
fn in_order<const N: usize>(found: [(Option<usize>, &'static str); N]) -> Vec<Value> {
    let mut tour: Vec<(usize, &str)> = found
        .into_iter()
        .filter_map(|(at, why)| Some((at?, why)))
        .collect();
    tour.sort_unstable();
    tour.dedup_by_key(|stop| stop.0);
    tour.into_iter()
        .map(|(stop, why)| json!({ "stop": stop, "why": why }))
        .collect()
}
