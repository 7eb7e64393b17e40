//! Explanations of values and gradients, with the numbers of this step.

use ganforge_tensor::{NodeId, Op};

use super::Explained;
use super::words::mask;

/// A derivative below this is called saturated.
const FLAT: f32 = 0.01;

/// How often each piece won: "piece 0 20 %, ...".
fn wins(index: &[f32], pieces: usize) -> String {
    let share = |p: usize| percent(count(index, |v| v == p as f32), index.len());
    let wins = (0..pieces).map(|p| format!("piece {p} {}", share(p)));
    wins.collect::<Vec<_>>().join(", ")
}

/// "12.3 %".
fn percent(part: usize, of: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / of.max(1) as f64)
}

/// A number in at most four digits: 0.1234, 12.34, 1.23e-5.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_string(),
        size if (1e-3..1e4).contains(&size) => {
            let digits = 3 - size.log10().floor() as i32;
            format!("{x:.0$}", digits.max(0) as usize)
        }
        _ => format!("{x:.2e}"),
    }
}

fn count(values: &[f32], is: impl Fn(f32) -> bool) -> usize {
    values.iter().filter(|&&v| is(v)).count()
}

/// Derivative of the sigmoid where its value is `y`.
fn sigmoid_slope(y: f32) -> f32 {
    y * (1.0 - y)
}

/// Derivative of tanh where its value is `y`.
fn tanh_slope(y: f32) -> f32 {
    1.0 - y * y
}

/// The share of outputs `y` where `slope` is below [`FLAT`].
fn saturated(y: &[f32], slope: impl Fn(f32) -> f32) -> String {
    percent(count(y, |v| slope(v) < FLAT), y.len())
}

fn norm(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|&v| f64::from(v).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// Remarks on a node's value.
pub(super) fn forward(e: &Explained, n: usize) -> Vec<String> {
    let d = &e.diagram;
    let Some(y) = e.value(n) else {
        return Vec::new();
    };
    let y = &y[..];
    let shape = d.node(n).shape;
    match d.node(n).op {
        Op::Input(_) => vec![format!(
            "A minibatch of {} training examples, drawn without replacement in this epoch's order.",
            shape.dims()[0]
        )],
        Op::Uniform(_) | Op::Normal(_) => {
            vec!["Fresh at every step: its values are determined by the run's seed, the step and this name.".into()]
        }
        Op::Bernoulli(_) => vec![format!(
            "A dropout mask, independent for every example: {} of its elements are 0.",
            percent(count(y, |v| v == 0.0), y.len())
        )],
        Op::MatMul(op) => {
            let shape = |i: usize| d.node(i).shape;
            let factors: Vec<usize> = d.inputs(n).collect();
            let sizes = op.sizes(shape(factors[0]), shape(factors[1]));
            let told = sizes.map(|s| {
                let mflop = 2e-6 * (s.m * s.k * s.n) as f64;
                format!(
                    "{} × {} times {} × {}: the same weights for every row, {mflop:.3} million operations.",
                    s.m, s.k, s.k, s.n
                )
            });
            told.into_iter().collect()
        }
        Op::Softplus(_) if d.scope(n).starts_with("loss") => {
            let what = match d.inputs(n).next().map(|i| d.node(i).op) {
                Some(Op::Neg(_)) => "−log D",
                _ => "−log(1 − D)",
            };
            vec![format!(
                "Each example's {what}, in nats, computed from its logit, which never overflows. log 2 = 0.6931 means that D is undecided."
            )]
        }
        Op::Relu(_) => {
            let off = count(y, |v| v == 0.0);
            let columns = shape.dims().last().copied().unwrap_or(1);
            let dead =
                (0..columns).filter(|c| y.iter().skip(*c).step_by(columns).all(|&v| v == 0.0));
            vec![format!(
                "{} of the elements were negative and are now 0; {} of {columns} units are inactive for the whole minibatch.",
                percent(off, y.len()),
                dead.count()
            )]
        }
        Op::ArgMax(op) => {
            vec![
                format!(
                    "The index of the largest of the {} pieces of each unit: {}.",
                    op.pieces,
                    wins(y, op.pieces)
                ),
                format!(
                    "Pieces that win for no example of this minibatch: {}.",
                    idle(y, shape.dims(), op.pieces)
                ),
            ]
        }
        Op::Take(op) => vec![format!(
            "Maxout: the largest of each unit's {} pieces, selected by the index above.",
            op.pieces
        )],
        Op::Mul(_) if mask(d, n).is_some() => vec![format!(
            "Dropout: {} of the elements are now 0, dropped by the mask or 0 before.",
            percent(count(y, |v| v == 0.0), y.len())
        )],
        Op::Sigmoid(_) => vec![format!(
            "{} of the outputs are saturated: so close to 0 or 1 that the derivative y (1 − y) is below {FLAT}.",
            saturated(y, sigmoid_slope)
        )],
        Op::Tanh(_) => vec![format!(
            "{} of the outputs are saturated: the derivative 1 − y² is below {FLAT}.",
            saturated(y, tanh_slope)
        )],
        _ => Vec::new(),
    }
}

/// Pieces that win for no row of `index` [b, u].
fn idle(index: &[f32], dims: &[usize], pieces: usize) -> String {
    let units = dims.last().copied().unwrap_or(1).max(1);
    let mut won = vec![false; units * pieces];
    for (i, &p) in index.iter().enumerate() {
        won[i % units * pieces + p as usize] = true;
    }
    let idle = won.iter().filter(|w| !**w).count();
    format!("{idle} of {}", won.len())
}

/// Remarks on the outgoing gradients of a node, given the incoming one.
pub(super) fn backward(
    e: &Explained,
    n: usize,
    dy: usize,
    gradients: &[(usize, usize)],
    adjoints: &[(NodeId, NodeId)],
) -> Vec<String> {
    let d = &e.diagram;
    let value = |i: usize| e.value(i).unwrap_or_default();
    let (y, dy) = (value(n), value(dy));
    let (y, dy) = (&y[..], &dy[..]);
    let has_gradient = |of: usize| gradients.iter().any(|g| g.0 == of);
    let input = |i: usize| d.inputs(n).nth(i).unwrap_or(n);
    let mut notes = match d.node(n).op {
        Op::MatMul(_) => {
            let mut notes = Vec::new();
            if has_gradient(input(0)) {
                notes.push(
                    "To the left factor: the incoming gradient times the transposed weights."
                        .to_string(),
                );
            }
            if has_gradient(input(1)) {
                let rows = d.node(n).shape.dims()[0];
                notes.push(format!(
                    "To the weights: inputs times incoming gradients, summed over the {rows} rows: each example adds \
                     its contribution, and opposite contributions cancel."
                ));
            }
            notes
        }
        Op::Relu(_) => {
            let off = count(y, |v| v == 0.0);
            vec![format!(
                "The derivative is 1 where the unit is active and 0 elsewhere: at {} of the elements the gradient stops here.",
                percent(off, y.len())
            )]
        }
        Op::LeakyRelu(_) => {
            let low = count(y, |v| v <= 0.0);
            vec![format!(
                "At {} of the elements, the negative ones, the gradient is scaled by the small slope.",
                percent(low, y.len())
            )]
        }
        Op::Take(op) => {
            let index = value(input(1));
            let index = &index[..];
            let shape = d.node(input(1)).shape;
            vec![
                format!(
                    "Each unit passes its whole gradient to the largest piece, and exactly 0 to the other {}. Shares: {}.",
                    op.pieces - 1,
                    wins(index, op.pieces)
                ),
                format!(
                    "Pieces that were the largest for no example, so that their weights get no gradient from this minibatch: {}.",
                    idle(index, shape.dims(), op.pieces)
                ),
            ]
        }
        Op::Mul(_) => match mask(d, n) {
            Some(m) => {
                let m = value(m);
                let m = &m[..];
                let scale = m.iter().copied().fold(0.0, f32::max);
                vec![format!(
                    "Dropout: the gradient is multiplied by the same mask. The {} of the inputs that it dropped get 0; the \
                     others were multiplied by {scale}, and so are their gradients.",
                    percent(count(m, |v| v == 0.0), m.len())
                )]
            }
            None => Vec::new(),
        },
        Op::Sigmoid(_) => {
            let slopes = y.iter().map(|&v| f64::from(sigmoid_slope(v)));
            let mean = slopes.sum::<f64>() / y.len().max(1) as f64;
            vec![format!(
                "The derivative y (1 − y) is at most 1/4, here {mean:.4} on average; {} of the outputs are saturated (derivative below \
                 {FLAT}): almost no gradient passes there.",
                saturated(y, sigmoid_slope)
            )]
        }
        Op::Tanh(_) => vec![format!(
            "The derivative is 1 − y²: below {FLAT} at {} of the outputs, which are saturated.",
            saturated(y, tanh_slope)
        )],
        Op::Softplus(_) => {
            let x = value(input(0));
            let slopes: Vec<f32> = x.iter().map(|v| 1.0 / (1.0 + (-v).exp())).collect();
            let (lo, hi) = slopes
                .iter()
                .fold((1.0f32, 0.0f32), |(a, b), &s| (a.min(s), b.max(s)));
            let meaning = match d.node(input(0)).op {
                Op::Neg(_) => {
                    "1 − D: examples that D confidently takes for real have little weight"
                }
                _ => "D: examples that D confidently takes for generated have little weight",
            };
            let meaning = if d.scope(n).starts_with("loss") {
                format!(", which is {meaning}")
            } else {
                String::new()
            };
            vec![format!(
                "The derivative is sigmoid(x), here between {lo:.4} and {hi:.4}{meaning}."
            )]
        }
        Op::BroadcastTo(_) => vec![format!(
            "Each value was used {} times, once per row: its gradient is the sum over these uses.",
            d.node(n).shape.elements() / d.node(input(0)).shape.elements().max(1)
        )],
        _ => Vec::new(),
    };
    let incoming = short(norm(dy));
    for &(of, gradient) in gradients {
        let uses = adjoints
            .iter()
            .filter(|a| d.inputs(a.0.index()).any(|i| i == of));
        let all = match uses.count() {
            0 | 1 => "",
            _ => " (over all of its uses in this loss)",
        };
        let (name, size) = (d.label(of), short(norm(&value(gradient))));
        notes.push(format!(
            "Gradient norms: incoming {incoming}, in {name}{all} {size}."
        ));
    }
    notes
}

/// The size of a tensor's update.
pub(super) fn update(e: &Explained, param: usize, new: usize) -> Vec<String> {
    let (Some(old), Some(new)) = (e.value(param), e.value(new)) else {
        return Vec::new();
    };
    let moved: Vec<f32> = new.iter().zip(old.iter()).map(|(a, b)| a - b).collect();
    let same = count(&moved, |v| v == 0.0);
    let (step, size) = (norm(&moved), norm(&old));
    let relative = match size > 0.0 {
        true => format!(", {} of its own norm {}", short(step / size), short(size)),
        false => String::new(),
    };
    vec![format!(
        "The update has norm {}{relative}; {} of the elements do not change.",
        short(step),
        percent(same, moved.len())
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        let texts = [0.0, 0.12345, 12.345, 2.803, 4321.9, 1.234e-5, 1.2e7].map(short);
        assert_eq!(
            texts,
            ["0", "0.1235", "12.35", "2.803", "4322", "1.23e-5", "1.20e7"]
        );
    }

    #[test]
    fn a_piece_is_idle_that_wins_in_no_row() {
        // Two units of three pieces, three rows: of unit 0 pieces 0 and 2 win, of unit 1 only piece 1.
        assert_eq!(idle(&[0.0, 1.0, 2.0, 1.0, 2.0, 1.0], &[3, 2], 3), "3 of 6");
    }
}
