//! A tour of the stops that matter for the learning of a GAN, each with a sentence on why.

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
    let found = [
        (
            at("forward", &|n| matches!(op(n), Op::Input(_))),
            "The data enter here, and only here. D sees them; G never does. All that G will know of them, it learns from D.",
        ),
        (
            at("forward", &|n| {
                matches!(op(n), Op::Uniform(_) | Op::Normal(_))
            }),
            "A GAN has no formula for the probability of a sample. It has this: numbers that are easy to draw, and a net that \
             turns them into samples.",
        ),
        (
            d.samples()
                .into_iter()
                .find_map(|s| at("forward", &|n| n == s)),
            "The samples. D judges them by the same weights as the data, so what it finds is what the two differ in.",
        ),
        (
            at("forward", &|n| is_loss(n) && within(n, "loss/d")),
            "D is a classifier and this is its cross-entropy. Near 0 it has won, and G gets little to learn from. With log 2 = \
             0.693 for each of the two terms it is undecided and cannot tell data and samples apart.",
        ),
        (
            at("forward", &|n| is_loss(n) && within(n, "loss/g")),
            "G has no target image and no distance to one. Its loss is D's opinion, which changes with every step: the two nets \
             play, neither descends on a fixed surface.",
        ),
        (
            at("loss/d", &|n| matches!(op(n), Op::Softplus(_))),
            "D's learning begins here: every example counts by how wrong D is about it. What it judges rightly, and surely, has a \
             gradient near 0.",
        ),
        (
            at("loss/d", &|n| bends(n) && within(n, "D/")),
            "Units that are off, or pieces that lost, get no gradient from this example. Who learns from what is decided here.",
        ),
        (
            last("loss/d", &|n| {
                matches!(op(n), Op::MatMul(_)) && within(n, "D/")
            }),
            "The end of D's chain: the gradient in its first weights is a sum over examples. Data push one way and samples the \
             other, and where they look alike they cancel.",
        ),
        (
            at("loss/g", &|n| matches!(op(n), Op::Softplus(_))),
            "How loud D's answer to G is. With the paper's second loss, −log D, it is loudest where D is sure that the sample is \
             generated; with log(1 − D) it would be faintest just there.",
        ),
        (
            last("loss/g", &|n| {
                matches!(op(n), Op::MatMul(_)) && within(n, "D/")
            }),
            "G's gradient passes through all of D to D's input, the sample. This is all that G ever learns: how each value of each \
             sample should change for D to take it for data. D's weights are not touched on this way.",
        ),
        (
            at("loss/g", &|n| bends(n) && within(n, "G/")),
            "What D wants changed has to get through G's own functions. Where they are flat, saturated or off, it does not.",
        ),
        (
            last("loss/g", &|n| {
                matches!(op(n), Op::MatMul(_)) && within(n, "G/")
            }),
            "The end of G's chain. One set of weights makes all samples, so it moves by what they have in common.",
        ),
        (
            new("D."),
            "D moves a little: it must stay ahead of G, but not so far that its answers become useless to G.",
        ),
        (
            new("G."),
            "G moves a little, by what this D said. Then the next step begins: with other data, other noise, and a D that has \
             moved, too.",
        ),
    ];
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
