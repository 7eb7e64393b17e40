//! Gradients against central differences in f64, first and second order.

use ganforge_kernels::cpu::rng::{self, RandomStream};

use crate::error::{Error, Result};
use crate::exec::Reference;
use crate::graph::{Graph, NodeId, Var};
use crate::ops::{self, Env, In, Op, OpDef, Range, Sample};
use crate::plan::{Keep, Plan};
use crate::shape::Shape;

/// The largest relative error that passes at first order.
pub const FIRST_ORDER_TOLERANCE: f64 = 1e-6;
/// The largest relative error that passes at second order.
pub const SECOND_ORDER_TOLERANCE: f64 = 1e-5;
/// The most coordinates of one input that are varied one by one.
pub const COORDINATES: usize = 40;
/// The most of all inputs together, but for four of each: a deep net has a hundred inputs, and each coordinate takes two passes.
const ALL_COORDINATES: usize = 400;
/// Operations of all losses that are computed for coordinates, about: where they take more, fewer coordinates are varied.
const ALL_FLOPS: u64 = 1 << 33;
/// Half the distance of the two losses of a difference, in units of max(1, |x|).
const STEP: f64 = 1e-6;
/// Steps that are tried, as multiples of [`STEP`], one after the other until the derivatives agree. A wrong gradient is wrong with
/// each of them. The rounding of the loss, which in a difference is divided by the step, is less with a larger one: a few units in
/// the last place of a loss of 10 are 4e-9 of a gradient with the first step, more than is let pass of one that is 0, such as that
/// in a bias before a normaliser. A kink that lies within one step is not within a smaller one.
const STEPS: [f64; 4] = [1.0, 1.0 / 32.0, 32.0, 1024.0];
/// The least size that an error is relative to: a gradient below it counts as 0.
const LEAST_SCALE: f64 = 1e-3;

/// A value at which a formula is checked.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its shape.
    pub shape: Shape,
    /// Its values.
    pub data: Vec<f64>,
    /// Whether the formula is differentiated in it; indices are not.
    pub varies: bool,
}

impl Point {
    /// Values as [`draw`] draws them.
    fn drawn(input: &In, seed: u64) -> Point {
        let data = draw(input, seed);
        Point {
            shape: input.shape,
            data: data.iter().map(|&x| f64::from(x)).collect(),
            varies: !matches!(input.range, Range::Index(_)),
        }
    }
}

/// Along what the loss was varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// One coordinate of one input.
    Coordinate {
        /// Which input.
        input: usize,
        /// The coordinate.
        at: usize,
    },
    /// A random direction through all elements of all inputs.
    Direction,
}

/// The worst coordinate of one input, or the random direction through all of them.
#[derive(Clone, Debug)]
pub struct Finding {
    /// That coordinate, or the direction.
    pub along: Along,
    /// How many coordinates were varied: at most [`COORDINATES`] of one input, in the direction all.
    pub varied: usize,
    /// How many there are.
    pub of: usize,
    /// 1 or 2.
    pub order: u8,
    /// |analytic - numeric| / max(|analytic|, |numeric|, scale). The scale of a coordinate is the root mean square of the
    /// input's gradient; that of the direction v is √Σ(gᵢvᵢ)², the size that Σ gᵢvᵢ has with random signs. Both are at least
    /// 1e-3.
    pub error: f64,
    /// The derivative by the chain rule.
    pub analytic: f64,
    /// The derivative by differences.
    pub numeric: f64,
}

impl Finding {
    /// Whether the error is within its order's tolerance.
    pub fn passes(&self) -> bool {
        self.error <= tolerance(self.order)
    }
}

fn tolerance(order: u8) -> f64 {
    match order {
        1 => FIRST_ORDER_TOLERANCE,
        _ => SECOND_ORDER_TOLERANCE,
    }
}

/// Draws the values of an input; the same for the same seed.
pub fn draw(input: &In, seed: u64) -> Vec<f32> {
    let n = input.shape.elements();
    let stream = |number| RandomStream {
        key: seed,
        stream: number,
        counter: 0,
    };
    let mut x = vec![0.0; n];
    match input.range {
        Range::Real(lo, hi) => rng::uniform(stream(0), 0, lo as f32, hi as f32, &mut x),
        Range::Away(lo, hi, kinks) => {
            rng::uniform(stream(0), 0, lo as f32, hi as f32, &mut x);
            for v in &mut x {
                for &kink in kinks {
                    let distance = *v - kink as f32;
                    if distance.abs() < 0.05 {
                        *v = kink as f32 + 0.05f32.copysign(distance) + distance;
                    }
                }
            }
        }
        Range::Distinct => {
            let mut order = vec![0; n];
            rng::permutation(stream(1), n, &mut order);
            for (v, i) in x.iter_mut().zip(order) {
                *v = (i as f32 - n as f32 / 2.0) * 0.01;
            }
        }
        Range::Index(rows) => {
            rng::uniform(stream(0), 0, 0.0, rows as f32, &mut x);
            x.iter_mut().for_each(|v| *v = v.floor());
        }
    }
    x
}

/// Checks one sample of an op at first or second order.
///
/// # Errors
/// The graph's fault where the sample does not fit its op.
pub fn check_sample(sample: &Sample<Op>, order: u8, seed: u64) -> Result<Vec<Finding>> {
    let inputs = sample.inputs.iter().zip(seed..);
    let points: Vec<Point> = inputs.map(|(i, seed)| Point::drawn(i, seed)).collect();
    check(&points, order, seed, |g, x| g.record(sample.op, x))
}

/// Checks every sample of an op of another crate ([`Op::own`]) at first or second order.
///
/// # Errors
/// The fault of a sample that does not fit the op.
pub fn check_op<T: OpDef>(order: u8, seed: u64) -> Result<Vec<Finding>> {
    let own = |s: &Sample<T>| ops::sample(Op::own(s.op), s.inputs);
    let samples = T::SAMPLES
        .iter()
        .map(|s| check_sample(&own(s), order, seed));
    Ok(samples.collect::<Result<Vec<_>>>()?.concat())
}

/// Checks a formula at `points`, at first or second order.
///
/// First order: L = ⟨c, f(x)⟩ with random c, dL/dx against differences of L. Second order:
/// M = Σ ⟨d_i, dL/dx_i⟩ with random d_i, dM/dx and dM/dc against differences of M. Steps are
/// 1e-6 · max(1, |x|); where the derivatives then differ, 1/32, 32 and 1024 times as much, and the step with which they differ
/// least counts: rounding and kinks are a matter of the step, a wrong gradient is not. Scalars of the control block are 1.
///
/// Of each input at most [`COORDINATES`] elements are varied one by one, spread over all of them; fewer, but at least four,
/// where there are more than ten inputs, and at least one where a loss takes very many operations. For each of them what
/// depends on the input is computed twice, and nothing else. The last finding varies all elements of all inputs together,
/// along one random direction, so that a gradient which is wrong anywhere is seen.
///
/// ```
/// use ganforge_tensor::gradcheck::{Point, check};
/// let x = Point { shape: [3].into(), data: vec![-1.0, 0.5, 2.0], varies: true };
/// for order in [1, 2] {
///     let findings = check(&[x.clone()], order, 1, |_, x| x[0].sigmoid() * x[0])?;
///     assert!(findings.iter().all(|f| f.passes()), "{findings:?}");
/// }
/// # Ok::<(), ganforge_tensor::Error>(())
/// ```
///
/// # Errors
/// The graph's fault where the formula cannot be recorded.
pub fn check<F>(points: &[Point], order: u8, seed: u64, formula: F) -> Result<Vec<Finding>>
where
    F: for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g>,
{
    check_where(points, order, seed, formula, false)
}

/// The same for formulas with values that are meant as constants, [`Var::detach`]: the differences keep them at what they
/// are at the points, as the chain rule does.
///
/// ```
/// use ganforge_tensor::gradcheck::{Point, check, check_with_constants};
/// let x = Point { shape: [3].into(), data: vec![-1.0, 0.5, 2.0], varies: true };
/// let found = check_with_constants(&[x.clone()], 1, 1, |_, x| x[0].detach() * x[0])?;
/// assert!(found.iter().all(|f| f.passes()));
/// let found = check(&[x], 1, 1, |_, x| x[0].detach() * x[0])?;
/// assert!(!found.iter().any(|f| f.passes()));
/// # Ok::<(), ganforge_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`check`].
pub fn check_with_constants<F>(
    points: &[Point],
    order: u8,
    seed: u64,
    formula: F,
) -> Result<Vec<Finding>>
where
    F: for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g>,
{
    check_where(points, order, seed, formula, true)
}

fn check_where<F>(
    points: &[Point],
    order: u8,
    seed: u64,
    formula: F,
    keeps_constants: bool,
) -> Result<Vec<Finding>>
where
    F: for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g>,
{
    let g = Graph::new();
    let mut points = points.to_vec();
    let inputs = points.iter().enumerate();
    let x: Vec<Var> = inputs.map(|(i, p)| g.input(&name(i), p.shape)).collect();
    let y = formula(&g, &x);
    if let Some(fault) = g.fault() {
        return Err(fault);
    }
    // The direction c is an input like the others, so that second order varies dy as well.
    let c = add_direction(&g, &mut points, y.shape(), seed);
    let loss = (y * c).sum();
    let mut wrt: Vec<(usize, Var)> = x.iter().copied().enumerate().collect();
    wrt.retain(|(i, _)| points[*i].varies);
    if wrt.is_empty() {
        return Ok(Vec::new());
    }
    let first = gradients(&g, loss, &wrt)?;
    if order == 1 {
        return compare(&g, &points, loss, &wrt, &first, 1, seed, keeps_constants);
    }
    let mut parts = Vec::new();
    for dx in first.into_iter().flatten() {
        let d = add_direction(&g, &mut points, dx.shape(), seed + 1);
        parts.push((dx * d).sum());
    }
    let Some(loss) = parts.into_iter().reduce(|sum, part| sum + part) else {
        return Ok(Vec::new());
    };
    wrt.push((x.len(), c));
    let second = gradients(&g, loss, &wrt)?;
    compare(&g, &points, loss, &wrt, &second, 2, seed, keeps_constants)
}

fn name(input: usize) -> String {
    format!("x{input}")
}

/// Of an input by its [`name`].
fn number(name: &str) -> usize {
    name[1..].parse().expect("inputs are named x0, x1, ..")
}

/// The values of a leaf: those of a point, or 1 of a scalar of the control block.
fn leaf(points: &[Point], name: &str) -> Vec<f64> {
    let number = name.strip_prefix('x').and_then(|i| i.parse::<usize>().ok());
    let point = number.and_then(|i| points.get(i));
    point.map_or_else(|| vec![1.0], |point| point.data.clone())
}

fn add_direction<'g>(g: &'g Graph, points: &mut Vec<Point>, shape: Shape, seed: u64) -> Var<'g> {
    let range = Range::Real(-1.0, 1.0);
    let seed = seed ^ (points.len() as u64) << 32;
    points.push(Point::drawn(&In { shape, range }, seed));
    g.input(&name(points.len() - 1), shape)
}

/// One gradient for each of `wrt`; `None` for those that the loss does not reach.
fn gradients<'g>(
    g: &'g Graph,
    loss: Var<'g>,
    wrt: &[(usize, Var<'g>)],
) -> Result<Vec<Option<Var<'g>>>> {
    // One pass for all of them where the loss reaches all, which is the rule.
    let all: Vec<Var> = wrt.iter().map(|(_, x)| *x).collect();
    match g.grad(loss, &all) {
        Ok(grads) => return Ok(grads.into_iter().map(Some).collect()),
        Err(Error::NotReached { .. }) => {}
        Err(other) => return Err(other),
    }
    let gradient = |(_, x): &(usize, Var<'g>)| match g.grad(loss, &[*x]) {
        Ok(dx) => Ok(Some(dx[0])),
        Err(Error::NotReached { .. }) => Ok(None),
        Err(other) => Err(other),
    };
    wrt.iter().map(gradient).collect()
}

#[allow(clippy::too_many_arguments)] // a check is that many things, and asked for in one place
fn compare(
    g: &Graph,
    points: &[Point],
    loss: Var,
    wrt: &[(usize, Var)],
    gradients: &[Option<Var>],
    order: u8,
    seed: u64,
    keeps_constants: bool,
) -> Result<Vec<Finding>> {
    let mut builder = Plan::of(g).fetch("loss", loss).keep(Keep::All);
    for ((i, _), dx) in wrt.iter().zip(gradients) {
        if let Some(dx) = dx {
            builder = builder.fetch(&format!("d{i}"), *dx);
        }
    }
    let plan = builder.compile()?;
    let mut reference = Reference::new();
    let leaf = |name: &str| leaf(points, name);
    reference.evaluate(&plan, Env::default(), leaf)?;
    let gradient = |&(input, x): &(usize, Var)| {
        let dx = reference.fetch(&plan, &format!("d{input}"));
        let values = dx.map_or_else(|| vec![0.0; x.shape().elements()], <[f64]>::to_vec);
        Gradient { input, values }
    };
    let gradients: Vec<Gradient> = wrt.iter().map(gradient).collect();
    let plan = Plan::of(g).fetch("loss", loss).keep(Keep::All).compile()?;
    let losses = Losses {
        base: reference,
        plan: &plan,
        loss: loss.id(),
        keeps_constants,
    };
    let mut findings = Vec::new();
    for gradient in &gradients {
        let changed = losses.changed(|input| input == gradient.input);
        let most = most_of_one(points.len(), losses.flops(&changed));
        let mut loss_at = |moved: &[Point]| losses.at(moved, &changed);
        let found = worst_coordinate(points, gradient, most, order, &mut loss_at)?;
        findings.extend(found);
    }
    let changed = losses.changed(|input| wrt.iter().any(|(i, _)| *i == input));
    let mut loss_at = |moved: &[Point]| losses.at(moved, &changed);
    findings.extend(direction(points, &gradients, order, seed, &mut loss_at)?);
    Ok(findings)
}

/// The loss where inputs have moved.
struct Losses<'p> {
    /// All values where none has.
    base: Reference,
    plan: &'p Plan,
    loss: NodeId,
    /// Whether detached values stay what they are in `base`.
    keeps_constants: bool,
}

impl Losses<'_> {
    /// By node, whether its value changes with an input that `moves`.
    fn changed(&self, moves: impl Fn(usize) -> bool) -> Vec<bool> {
        let nodes = self.plan.nodes();
        let mut changed = vec![false; nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            let id = self.plan.node_id(i);
            changed[i] = match node.op {
                _ if !self.plan.is_live(id) => false,
                Op::Input(_) => moves(number(&self.plan.label(id))),
                Op::Detach(_) if self.keeps_constants => false,
                _ => {
                    let mut inputs = node.inputs.as_slice().iter();
                    inputs.any(|n| changed[n.index()])
                }
            };
        }
        changed
    }

    /// Operations of what has changed.
    fn flops(&self, changed: &[bool]) -> u64 {
        let nodes = changed.iter().enumerate().filter(|(_, changed)| **changed);
        nodes.map(|(i, _)| self.plan.node_cost(i).flops).sum()
    }

    fn at(&self, moved: &[Point], changed: &[bool]) -> Result<f64> {
        let mut now = Reference::new();
        let leaf = |name: &str| leaf(moved, name);
        let again = |id: NodeId| changed[id.index()];
        now.evaluate_again(self.plan, Env::default(), leaf, &self.base, again)?;
        let loss = now.value(self.loss).or_else(|| self.base.value(self.loss));
        Ok(loss.map_or(f64::NAN, |l| l[0]))
    }
}

/// What the chain rule says of one input.
struct Gradient {
    input: usize,
    values: Vec<f64>,
}

fn worst_coordinate(
    points: &[Point],
    gradient: &Gradient,
    most: usize,
    order: u8,
    loss_at: &mut impl FnMut(&[Point]) -> Result<f64>,
) -> Result<Option<Finding>> {
    let (input, n) = (gradient.input, gradient.values.len());
    let square: f64 = gradient.values.iter().map(|d| d * d).sum();
    let scale = (square / n.max(1) as f64).sqrt();
    let mut moved = points.to_vec();
    let mut worst: Option<Finding> = None;
    for at in coordinates(n, most) {
        let x = points[input].data[at];
        let analytic = gradient.values[at];
        let (error, numeric) = nearest(analytic, scale, order, |step| {
            let h = step * x.abs().max(1.0);
            let mut loss_where = |value: f64| {
                moved[input].data[at] = value;
                loss_at(&moved)
            };
            let slope = (loss_where(x + h)? - loss_where(x - h)?) / (2.0 * h);
            moved[input].data[at] = x;
            Ok(slope)
        })?;
        let finding = Finding {
            along: Along::Coordinate { input, at },
            varied: n.min(most),
            of: n,
            order,
            error,
            analytic,
            numeric,
        };
        if worst.as_ref().is_none_or(|w| finding.error > w.error) {
            worst = Some(finding);
        }
    }
    Ok(worst)
}

/// The random direction through all elements. None of them moves farther than as a coordinate, so points that are away
/// from a kink for the one check are for the other; none moves by less than half of that, so no error hides in a small
/// factor; and the factors differ, so errors of two elements do not cancel. The rounding of a loss, a sum over n elements,
/// grows as √n, and so does the scale: the tolerance is that of the coordinates.
fn direction(
    points: &[Point],
    gradients: &[Gradient],
    order: u8,
    seed: u64,
    loss_at: &mut impl FnMut(&[Point]) -> Result<f64>,
) -> Result<Option<Finding>> {
    let of = gradients.iter().map(|g| g.values.len()).sum();
    if of == 0 {
        return Ok(None);
    }
    let mut factors = vec![0.0; of];
    let stream = RandomStream {
        key: seed,
        stream: 2,
        counter: 0,
    };
    rng::uniform(stream, 0, -1.0, 1.0, &mut factors);
    let mut factors = factors.iter().map(|&u| f64::from(u));
    let (mut analytic, mut square) = (0.0, 0.0);
    let mut moves: Vec<(usize, usize, f64)> = Vec::with_capacity(of);
    for Gradient { input, values } in gradients {
        for ((at, d), u) in values.iter().enumerate().zip(&mut factors) {
            let x = points[*input].data[at];
            let v = (0.5 + 0.5 * u.abs()).copysign(u) * x.abs().max(1.0);
            moves.push((*input, at, v));
            analytic += d * v;
            square += (d * v) * (d * v);
        }
    }
    let mut moved = points.to_vec();
    let (error, numeric) = nearest(analytic, square.sqrt(), order, |step| {
        let mut loss_where = |step: f64| {
            for &(input, at, v) in &moves {
                moved[input].data[at] = points[input].data[at] + step * v;
            }
            loss_at(&moved)
        };
        Ok((loss_where(step)? - loss_where(-step)?) / (2.0 * step))
    })?;
    Ok(Some(Finding {
        along: Along::Direction,
        varied: of,
        of,
        order,
        error,
        analytic,
        numeric,
    }))
}

/// The error and the derivative by differences with the first step that lets it pass, else with the one of the least error.
fn nearest(
    analytic: f64,
    scale: f64,
    order: u8,
    mut slope: impl FnMut(f64) -> Result<f64>,
) -> Result<(f64, f64)> {
    let (mut least, mut nearest) = (f64::INFINITY, f64::NAN);
    for factor in STEPS {
        let numeric = slope(STEP * factor)?;
        let error = error(analytic, numeric, scale);
        if error < least || nearest.is_nan() {
            (least, nearest) = (error, numeric);
        }
        if least <= tolerance(order) {
            break;
        }
    }
    Ok((least, nearest))
}

/// See [`Finding::error`]; infinite where either value is not a number.
fn error(analytic: f64, numeric: f64, scale: f64) -> f64 {
    let larger = analytic.abs().max(numeric.abs());
    let error = (analytic - numeric).abs() / larger.max(scale).max(LEAST_SCALE);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// How many coordinates of one of so many inputs are varied, where a loss takes so many operations.
fn most_of_one(inputs: usize, flops: u64) -> usize {
    let of_each = (ALL_COORDINATES / inputs.max(1)).clamp(4, COORDINATES);
    // Two losses for each.
    let affordable = ALL_FLOPS / (2 * inputs as u64 * flops).max(1);
    usize::try_from(affordable).map_or(of_each, |n| n.clamp(1, of_each))
}

/// Up to `most` of `n`, spread over all of them.
fn coordinates(n: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = n.min(most);
    (0..count).map(move |i| i * n / count)
}

/// Every sample of every op at one order: op name, sample number and findings.
///
/// # Errors
/// The fault of a sample that does not fit its op.
pub fn check_all(order: u8, seed: u64) -> Result<Vec<(&'static str, usize, Vec<Finding>)>> {
    let samples = ops::samples();
    let check = |(i, sample): (usize, &Sample<Op>)| {
        check_sample(sample, order, seed).map(|found| (sample.op.name(), i, found))
    };
    samples.iter().enumerate().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_coordinates_are_varied_where_there_are_many_inputs_or_a_loss_takes_long() {
        assert_eq!(most_of_one(1, 0), COORDINATES);
        assert_eq!(most_of_one(1, 1000), COORDINATES);
        assert_eq!(most_of_one(20, 1000), 20);
        assert_eq!(most_of_one(1000, 1000), 4);
        assert_eq!(most_of_one(1, ALL_FLOPS / 20), 10);
        assert_eq!(most_of_one(2, ALL_FLOPS / 20), 5);
        assert_eq!(most_of_one(100, ALL_FLOPS), 1, "at least one");
    }

    #[test]
    fn rounding_and_kinks_are_no_wrong_gradients_and_hide_none() {
        let at = |x: f64| {
            [Point {
                shape: [1].into(),
                data: vec![x],
                varies: true,
            }]
        };
        // The last bits of 1e5 are 1.5e-11, and seven millionths of the slope 1 after division by 2e-6.
        let large = check(&at(0.3), 1, 1, |_, x| x[0] + 1e5).expect("recorded");
        let kink = check(&at(0.5 + 3e-7), 1, 1, |_, x| (x[0] - 0.5).relu()).expect("recorded");
        assert!(
            large.iter().chain(&kink).all(Finding::passes),
            "{large:?}, {kink:?}"
        );
        for wrong in [1.0 + 1e-4, 0.0] {
            let found = check(&at(0.3), 1, 1, |_, x| {
                x[0] * wrong + (x[0] * (1.0 - wrong)).detach() + 1e5
            });
            let found = found.expect("recorded");
            assert!(!found.iter().any(Finding::passes), "{found:?}");
        }
    }

    #[test]
    fn what_does_not_depend_on_an_input_is_not_computed_again() {
        let g = Graph::new();
        let x: Vec<Var> = (0..3).map(|i| g.input(&name(i), [2])).collect();
        let parts = [x[0].exp(), x[1].exp() + x[0].detach(), x[2].exp()];
        let loss = (parts[0] * parts[1]).sum();
        let plan = Plan::of(&g).fetch("loss", loss).keep(Keep::All).compile();
        let plan = plan.expect("compiled");
        let at = |x: f64| Point {
            shape: [2].into(),
            data: vec![x; 2],
            varies: true,
        };
        let mut base = Reference::new();
        let leaf = |name: &str| at(number(name) as f64).data;
        base.evaluate(&plan, Env::default(), leaf)
            .expect("evaluated");
        let losses = |keeps_constants| Losses {
            base: Reference::new(),
            plan: &plan,
            loss: loss.id(),
            keeps_constants,
        };
        let moves = |input, keeps_constants| {
            let changed = losses(keeps_constants).changed(|i| i == input);
            [parts[0], parts[1], loss].map(|v| changed[v.id().index()])
        };
        assert_eq!(moves(0, false), [true, true, true]);
        assert_eq!(moves(0, true), [true, false, true]);
        assert_eq!(moves(1, false), [false, true, true]);
        assert_eq!(moves(2, false), [false, false, false], "not in the loss");
        let losses = Losses {
            base,
            ..losses(true)
        };
        // All of them have moved, but only what depends on x1 is computed: e⁰ · (e⁵ + 0), twice.
        let changed = losses.changed(|i| i == 1);
        let found = losses.at(&[at(5.0), at(5.0), at(5.0)], &changed);
        assert_eq!(found.expect("evaluated"), 2.0 * 5f64.exp());
        let none = vec![false; changed.len()];
        let found = losses.at(&[at(5.0), at(5.0), at(5.0)], &none);
        assert_eq!(found.expect("evaluated"), 2.0 * 1f64.exp());
    }
}
