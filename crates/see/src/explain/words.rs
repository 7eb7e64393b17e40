//! Titles and descriptions of stops that hold for every step; [`why`](super::why) adds this step's numbers.

use ganforge_tensor::Op;

use crate::diagram::Diagram;

/// The title of a node.
pub(super) fn title(d: &Diagram, n: usize) -> String {
    if let Some(player) = d.player_of_loss(n) {
        return format!("{player}'s loss");
    }
    match d.node(n).op {
        Op::Input(_) => format!("{}, the data", d.label(n)),
        Op::Uniform(_) | Op::Normal(_) => format!("{}, the noise", d.label(n)),
        Op::Bernoulli(_) => "dropout mask".into(),
        Op::Add(_) if is_bias(d, n) => "add the bias".into(),
        Op::Mul(_) if mask(d, n).is_some() => "dropout".into(),
        Op::AddScalar(op) => format!("plus {}", op.c as f32),
        Op::MulScalar(_) if is_mean(d, n) => "mean over the batch".into(),
        Op::MulScalar(op) => format!("times {}", op.c as f32),
        Op::SumTo(_) => "sum".into(),
        Op::BroadcastTo(_) => "broadcast".into(),
        Op::ArgMax(_) => "index of the largest piece".into(),
        Op::Take(_) => "maxout".into(),
        Op::Put(_) => "gradient of maxout".into(),
        Op::StepMul(_) => "ReLU gate".into(),
        Op::ClipMul(_) => "clip gate".into(),
        Op::GatherRows(_) => "gather rows".into(),
        Op::ScatterRows(_) => "scatter rows".into(),
        Op::Concat(_) => "concatenate".into(),
        Op::Conv2d(_) => "convolution".into(),
        Op::Conv2dDx(_) => "transposed convolution".into(),
        Op::Conv2dDw(_) => "gradient of filters".into(),
        op => op.name().replace('_', " "),
    }
}

/// The formula of a loss, if the node is one: equation 1 of the paper, negated to be minimised.
pub(super) fn equation(d: &Diagram, n: usize) -> Option<String> {
    let player = d.player_of_loss(n)?;
    if player == "C" {
        return Some("L = mean of log Σ_c exp a_c − a_y, of logits a and class y".into());
    }
    if player == "E" {
        return Some(match d.node(n).op {
            Op::Add(_) => "L = mean (z − E(G(z)))² + λ · mean |G(E(x)) − x|".into(),
            _ => "L = mean (z − E(G(z)))²".into(),
        });
    }
    let first = d.inputs(n).next();
    let (op, penalty) = match (d.node(n).op, first) {
        (Op::Add(_), Some(loss)) if player == "D" && d.has_penalty() => {
            (d.node(loss).op, " + penalty")
        }
        (op, _) => (op, ""),
    };
    Some(match (player, op) {
        ("D", Op::MulScalar(op)) => {
            format!(
                "L_D = {} · [−mean log D(x) − mean log(1 − D(G(z)))]{penalty}",
                op.c
            )
        }
        ("D", _) => format!("L_D = −mean log D(x) − mean log(1 − D(G(z))){penalty}"),
        (_, Op::Neg(_)) => "L_G = mean log(1 − D(G(z)))".into(),
        _ => "L_G = −mean log D(G(z))".into(),
    })
}

/// What a node of the forward pass computes, and its purpose.
pub(super) fn forward(d: &Diagram, n: usize) -> String {
    match d.player_of_loss(n) {
        Some("D") => {
            return "The loss that D minimises, in nats: small where D is near 1 on data and near 0 on samples. For an undecided D, \
                    ½ everywhere, each of the two terms is log 2."
                .into();
        }
        Some("C") => {
            return "The loss that the classifier minimises, in nats: the mean cross-entropy of its softmax. For n classes it is log n \
                    where nothing is known yet, and 0 where each example's own class is certain."
                .into();
        }
        Some("E") => {
            return "The loss that the encoder minimises: how far what it finds is from the noise that the sample was made of. It is the \
                    variance of the noise where nothing is known yet, and 0 where G is inverted."
                .into();
        }
        Some(_) => {
            return "The loss that G minimises, in nats: it depends on G only through D's output on the samples.".into();
        }
        None => {}
    }
    let words = match d.node(n).op {
        Op::Input(_) if d.label(n) == "labels" => "The classes of the examples, as whole numbers.",
        Op::Input(_) if d.is_of_classifier() => "Examples of the data set.",
        Op::Input(_) if d.is_of_encoder() => {
            "Real examples, of which an encoder learns only where their reconstruction counts."
        }
        Op::Input(_) => "Real examples. Only D sees them.",
        Op::Uniform(_) | Op::Normal(_) => {
            "G's input: nothing else differs from one sample to the next."
        }
        Op::Bernoulli(_) => {
            "A random mask of zeros and one constant: elements multiplied by 0 are dropped, the others kept."
        }
        Op::MatMul(_) => {
            "Every example is a row; each output is a weighted sum of the row's elements."
        }
        Op::Conv2d(_) => {
            "Each pixel of the result is a weighted sum of a window of the image, with the same weights everywhere."
        }
        Op::Conv2dDx(_) => {
            "Each pixel adds its filter, scaled, to a window of the larger image: a convolution backwards."
        }
        Op::Add(_) if is_bias(d, n) => "Each unit's bias is added to all examples.",
        Op::Add(_) if d.scope(n).starts_with("loss") => {
            "The sum of the data's term and the samples' term."
        }
        Op::Add(_) => "Element-wise sum.",
        Op::Sub(_) => "Element-wise difference.",
        Op::Mul(_) if mask(d, n).is_some() => {
            "The input times the mask: some elements are dropped, the others scaled up, which preserves the mean."
        }
        Op::Mul(_) => "Element-wise product.",
        Op::Div(_) => "Element-wise quotient.",
        Op::Neg(_) if d.scope(n).starts_with("loss") => {
            "The logit is negated: 1 − D is the sigmoid of −a."
        }
        Op::Neg(_) => "The sign is flipped.",
        Op::AddScalar(_) => "A constant is added to every element.",
        Op::MulScalar(_) if is_mean(d, n) => {
            "The sum divided by the number of its terms: a mean over the examples."
        }
        Op::MulScalar(_) => "Every element times a constant.",
        Op::SumTo(_) if d.node(n).shape.elements() == 1 => "The sum of all elements, a scalar.",
        Op::SumTo(_) => "The sum along some dimensions.",
        Op::BroadcastTo(_) => "The same values repeated for every row, so that shapes match.",
        Op::Relu(_) => "Negative values become 0, the others are unchanged.",
        Op::LeakyRelu(_) => "Negative values are scaled down, the others are unchanged.",
        Op::Sigmoid(_) if d.scope(n).starts_with("monitor") => {
            "The logit as a probability, for reporting only: D(x) or D(G(z))."
        }
        Op::Sigmoid(_) => "Maps every number into (0, 1).",
        Op::Tanh(_) => "Maps every number into (−1, 1).",
        Op::Softplus(_) => "log(1 + eˣ): a smooth max(x, 0).",
        Op::ArgMax(_) => {
            "For each unit the index of its largest piece. It has no gradient: small changes do not affect it."
        }
        Op::Take(_) => "Each unit's output is its largest piece.",
        Op::Concat(_) => "Both minibatches in one, so that D processes them in one matrix product.",
        Op::Slice(_) => "Some of the rows: those of the data, or those of the samples.",
        Op::Detach(_) => "The same values, held fixed: no gradient passes here.",
        Op::Reshape(_) => "The same values in another shape.",
        Op::Square(_) => "Every element squared.",
        Op::Sqrt(_) => "The square root of every element.",
        op => return documented(op),
    };
    words.into()
}

/// The rule by which a node's gradient becomes those of its inputs.
pub(super) fn backward(d: &Diagram, n: usize) -> String {
    let words = match d.node(n).op {
        Op::MatMul(_) => "Y = X W has dX = dY Wᵀ and dW = Xᵀ dY.",
        Op::Conv2d(_) => {
            "The image gets the transposed convolution of the gradient with the same filters; each weight gets the sum, over all windows, of what it multiplied times the gradient there."
        }
        Op::Conv2dDx(_) => {
            "The smaller image gets the convolution of the gradient with the same filters; each weight gets the sum, over all windows, of the gradient times what it multiplied."
        }
        Op::Add(_) => "A sum passes its gradient unchanged to both summands.",
        Op::Sub(_) => "The left side gets the gradient unchanged, the right side negated.",
        Op::Neg(_) => "The gradient is negated, too.",
        Op::AddScalar(_) => "A constant shifts the value and does not change the gradient.",
        Op::MulScalar(_) if is_mean(d, n) => {
            "The gradient is divided by the number of examples, too: the origin of the factor 1/m in every gradient."
        }
        Op::MulScalar(_) => "The gradient is multiplied by the same constant.",
        Op::Mul(_) if mask(d, n).is_none() => {
            "Product rule: each factor's gradient is the incoming one times the other factor."
        }
        Op::Mul(_) => "dx = dy · mask.",
        Op::Div(_) => "y = a / b has da = dy / b and db = −dy · y / b.",
        Op::SumTo(_) => "Each summand has derivative 1: all get the same gradient.",
        Op::BroadcastTo(_) => "A repeated value gets the sum of the gradients of all its copies.",
        Op::Relu(_) => "ReLU gate: dx = dy where the unit is active, else 0.",
        Op::LeakyRelu(_) => "dx = dy where x > 0, else slope · dy.",
        Op::Sigmoid(_) => "dx = dy · y (1 − y).",
        Op::Tanh(_) => "dx = dy · (1 − y²).",
        Op::Softplus(_) => "dx = dy · sigmoid(x).",
        Op::Take(_) => "dx = dy at each unit's largest piece, else 0.",
        Op::Concat(_) => "Each part gets its own rows of the gradient.",
        Op::Slice(_) => "The selected rows get the gradient, the others zeros.",
        Op::Reshape(_) | Op::Transpose(_) => {
            "The gradient is rearranged to the layout of the input."
        }
        Op::Square(_) => "dx = 2x · dy.",
        Op::Sqrt(_) => "dx = dy / 2y.",
        Op::Clip(_) => "dx = dy where x is within the bounds, else 0.",
        op => return format!("The rule of this op: {}", documented(op)),
    };
    match d.player_of_loss(n) {
        Some(_) => {
            format!(
                "The backward pass starts here: the gradient of the loss with respect to itself is 1. {words}"
            )
        }
        None => words.into(),
    }
}

/// The update of a stored tensor.
pub(super) fn update(d: &Diagram, name: &str) -> String {
    let is_updated = |slot: &str| d.updates().iter().any(|u| u.1 == format!("{name}.{slot}"));
    let words = match name.rsplit('.').next() {
        Some("velocity") => {
            "v ← μ v − lr · g: the decayed previous velocity plus a step against the gradient."
        }
        Some("mean") => "m ← β1 m + (1 − β1) g: a moving average of the gradients.",
        Some("square") => "s ← β2 s + (1 − β2) g²: a moving average of the squared gradients.",
        Some("average") => {
            "a ← d · a + (1 − d) · θ: the moving average of G's weights, with which samples are drawn. Training does not use it."
        }
        _ if is_updated("velocity") => "θ ← θ + v: the parameter moves by its new velocity.",
        _ if is_updated("mean") => {
            "θ ← θ − lr · m / (√s + eps), with bias-corrected m and s: Adam."
        }
        _ => "The new value, which the next step reads.",
    };
    words.into()
}

/// The first sentence of an op's documentation.
fn documented(op: Op) -> String {
    let doc = op.doc();
    let words = doc.split("\n\n").next().unwrap_or("").replace('\n', " ");
    format!("{}.", words.trim().trim_end_matches('.'))
}

/// Whether a sum adds a vector to every row of a net's layer: its bias, as it is or as this step's update has made it.
fn is_bias(d: &Diagram, n: usize) -> bool {
    let is_vector = |i: usize| d.node(i).shape.dims().len() == 1;
    let is_repeated =
        |i: usize| matches!(d.node(i).op, Op::BroadcastTo(_)) && d.inputs(i).all(is_vector);
    let is_net = ["G/", "D/", "C/"]
        .iter()
        .any(|net| d.scope(n).starts_with(net));
    is_net && d.inputs(n).any(is_repeated)
}

/// Whether a product by a constant makes a mean of a sum.
fn is_mean(d: &Diagram, n: usize) -> bool {
    let Op::MulScalar(op) = d.node(n).op else {
        return false;
    };
    let summed = d.inputs(n).find(|&i| matches!(d.node(i).op, Op::SumTo(_)));
    summed.is_some_and(|sum| {
        let terms: usize = d.inputs(sum).map(|i| d.node(i).shape.elements()).sum();
        let sums = d.node(sum).shape.elements();
        (op.c * terms as f64 / sums as f64 - 1.0).abs() < 1e-9
    })
}

/// The dropout mask among a product's inputs, where it is one.
pub(super) fn mask(d: &Diagram, n: usize) -> Option<usize> {
    let is_mask = |i: usize| matches!(d.node(i).op, Op::Bernoulli(_));
    let joined = |i: usize| matches!(d.node(i).op, Op::Concat(_)) && d.inputs(i).all(is_mask);
    d.inputs(n).find(|&i| is_mask(i) || joined(i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::walk;
    use ganforge_gan::config::{Config, presets};
    use ganforge_tensor::ops;

    /// Every preset, and the paper's in other variants.
    fn diagrams() -> Vec<Diagram> {
        let of = |name: &str, options: &[&str]| {
            let config = Config::preset(name).and_then(|c| c.with(options));
            Diagram::of(&config.expect("valid")).expect("recorded")
        };
        // Those of the study are other presets with other rates and norms.
        let presets = presets().iter().filter(|p| !p.name.starts_with("study-"));
        let mut all: Vec<Diagram> = presets.map(|p| of(p.name, &[])).collect();
        for options in [
            &["train.update=alternating", "train.k=2"][..],
            &["loss.kind=mm", "loss.half=false"],
            &["noise.distribution=spherical"],
        ] {
            all.push(of("mnist-2014", options));
        }
        all
    }

    /// A sentence, and no name of the code's in it.
    fn assert_words(words: &str, of: &str) {
        assert!(words.len() > 8 && words.ends_with('.'), "{of}: {words:?}");
        let code = |w: &str| w.contains('_') && ops::doc(w).is_some();
        let is_code = |c: char| c.is_alphanumeric() || c == '_';
        let found = words.split(|c| !is_code(c)).find(|w| code(w));
        assert_eq!(found, None, "{of}: {words}");
    }

    #[test]
    fn every_stop_of_every_preset_has_words() {
        for d in diagrams() {
            for n in walk::formula(&d) {
                assert_words(&forward(&d, n), d.formula(n));
                let (title, is_name) = (title(&d, n), d.is_source(n));
                assert!(is_name || !title.contains('_'), "{title}");
            }
            for (pass, _) in d.passes() {
                for n in walk::chain(&d, pass) {
                    assert_words(&backward(&d, n.0.index()), d.formula(n.0.index()));
                }
            }
            for (_, name, _) in d.updates() {
                assert!(!update(&d, name).is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn losses_are_called_that_and_have_their_equations() {
        let of = |options: &[&str]| {
            let config = Config::preset("mnist-2014").and_then(|c| c.with(options));
            let d = Diagram::of(&config.expect("valid")).expect("recorded");
            let losses = d.passes().map(|(p, _)| p.y.index());
            let losses = losses.filter(|&n| d.player_of_loss(n).is_some());
            let said = losses.map(|n| (title(&d, n), equation(&d, n).expect("a loss")));
            said.collect::<Vec<_>>()
        };
        let both = |d: &str, g: &str| {
            let pair = |player: &str, text: &str| (format!("{player}'s loss"), text.to_string());
            vec![pair("D", d), pair("G", g)]
        };
        let whole = "L_D = −mean log D(x) − mean log(1 − D(G(z)))";
        let half = "L_D = 0.5 · [−mean log D(x) − mean log(1 − D(G(z)))]";
        assert_eq!(of(&[]), both(half, "L_G = −mean log D(G(z))"));
        let said = of(&["discriminator.penalty=[\"gp\"]"]);
        assert!(
            said.iter()
                .any(|(title, text)| title == "D's loss" && *text == format!("{half} + penalty"))
        );
        assert_eq!(
            of(&["loss.kind=mm", "loss.half=false"]),
            both(whole, "L_G = mean log(1 − D(G(z)))")
        );
    }
}
