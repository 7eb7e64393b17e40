//! Gradient checks by name: of an op, of a loss, of a whole preset.
//!
//! Each compares gradients with central differences in f64 ([`ganforge_tensor::gradcheck`]). Presets are checked whole,
//! nets, dropout and loss, at reduced width: the formulas are the same, and every parameter is varied.

use ganforge_tensor::gradcheck::{self, Along, Finding, Point, check, check_with_constants, draw};
use ganforge_tensor::ops::{self, In, Range};
use ganforge_tensor::{Graph, Shape, Var};

use crate::config::{Config, DataSet, Layer, LayerKind, Network, nearest, presets};
use crate::error::{Error, Result};
use crate::game;
use crate::losses::{Form, Judged, Loss, LossKind, Objective};
use crate::nn::{Build, Pass, shaped};
use crate::tensors::{Initial, Role, TensorSpec, Tensors};

/// Units of a hidden layer, values of an example and components of z in the check of a preset, at most.
const WIDTH: usize = 6;
/// Height and width of the first images of a generator there, at most.
const SIDE: usize = 2;
/// Height and width of images that are restored there, at most.
const RESTORED: usize = 8;
/// Examples in the check of a preset.
const BATCH: usize = 4;
/// Classes in the check of a loss.
const CLASSES: usize = 4;
/// How many times the parameters of a preset are drawn, at most.
const DRAWS: u64 = 4;

/// What can be checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Every sample of an op.
    Op(&'static str),
    /// What is made of several ops and has a name of its own.
    Formula(&'static str),
    /// A loss, as a function of logits.
    Loss(&'static str),
    /// Both losses of a configuration as functions of all parameters, at reduced width.
    Config(Box<Config>),
}

/// One input of one check at its worst coordinate, or the random direction through all inputs.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// What was checked: `maxout`, `loss ns`, `mnist: loss of D`.
    pub what: String,
    /// The input: `x0` and so on of an op, a parameter's name; [`ALL_INPUTS`] of the direction.
    pub input: String,
    /// 1 or 2.
    pub order: u8,
    /// How many of the input's elements were varied, of all samples together.
    pub varied: usize,
    /// How many there are.
    pub of: usize,
    /// Relative error of the worst coordinate, or of the direction.
    pub error: f64,
    /// That coordinate; `None` of the direction.
    pub at: Option<usize>,
    /// What the chain rule says there.
    pub analytic: f64,
    /// What the differences say there.
    pub numeric: f64,
    /// Whether the error is within its order's tolerance.
    pub passes: bool,
}

/// What a row's `input` says of the random direction through all inputs.
pub const ALL_INPUTS: &str = "all";

type Formula = for<'g> fn(Var<'g>) -> Var<'g>;

/// Formulas of ops by name, of x [4, 12].
const FORMULAS: &[(&str, Formula)] = &[
    ("maxout", |x| x.maxout(3)),
    ("mean", |x| x.mean()),
    ("l2-norm", |x| x.square().sum_axes(&[1]).sqrt()),
];

impl Target {
    /// Everything there is to check, ops first: not the presets `study-..`, which are settings of nets that others have.
    ///
    /// # Errors
    /// None for the presets that come with the program.
    pub fn all() -> Result<Vec<Target>> {
        let ops = ops::NAMES.iter().map(|name| Ok(Target::Op(name)));
        let formulas = FORMULAS.iter().map(|(name, _)| Ok(Target::Formula(name)));
        let losses = LossKind::NAMES.iter();
        let losses = losses.map(|name| Ok(Target::Loss(name)));
        let presets = presets().iter().filter(|p| !p.name.starts_with("study-"));
        let presets = presets.map(|p| Target::preset(p.name));
        ops.chain(formulas).chain(losses).chain(presets).collect()
    }

    fn preset(name: &str) -> Result<Target> {
        Ok(Target::of_config(Config::preset(name)?))
    }

    /// The nets and losses of a configuration, at reduced width.
    pub fn of_config(config: Config) -> Target {
        Target::Config(Box::new(reduced(config)))
    }

    /// An op, a loss or a preset by its name; where a loss is called as an op is, `loss NAME` is the loss.
    ///
    /// # Errors
    /// An unknown name, with the nearest known one.
    pub fn find(name: &str) -> Result<Target> {
        if let Some(op) = ops::NAMES.iter().find(|n| **n == name) {
            return Ok(Target::Op(op));
        }
        if let Some((formula, _)) = FORMULAS.iter().find(|f| f.0 == name) {
            return Ok(Target::Formula(formula));
        }
        let loss = name.strip_prefix("loss ").unwrap_or(name);
        if let Some(loss) = LossKind::NAMES.iter().find(|name| **name == loss) {
            return Ok(Target::Loss(loss));
        }
        if presets().iter().any(|p| p.name == name) {
            return Target::preset(name);
        }
        let composed = FORMULAS
            .iter()
            .map(|f| f.0)
            .chain(LossKind::NAMES.iter().copied());
        let names = ops::NAMES.iter().copied().chain(composed);
        let names: Vec<&str> = names.chain(presets().iter().map(|p| p.name)).collect();
        let hint = match nearest(loss, &names) {
            Some(near) => format!(", did you mean {near}?"),
            None => format!("; there are: {}", names.join(", ")),
        };
        let message = format!("{name}: no such op, formula, loss or preset{hint}");
        Err(Error::Mismatch(message))
    }

    /// Checks it at order 1 or 2: a row for each input, and one for a random direction through all of them.
    ///
    /// # Errors
    /// The graph's first fault.
    pub fn check(&self, order: u8, seed: u64) -> Result<Vec<Row>> {
        match self {
            Target::Op(name) => op(name, order, seed),
            Target::Formula(name) => formula(name, order, seed),
            Target::Loss(name) => loss(name, order, seed),
            Target::Config(config) => whole(config, order, seed),
        }
    }
}

fn rows(what: &str, found: Vec<Finding>, name: impl Fn(usize) -> String) -> Vec<Row> {
    let row = |f: Finding| {
        let (input, at) = match f.along {
            Along::Coordinate { input, at } => (name(input), Some(at)),
            Along::Direction => (ALL_INPUTS.to_string(), None),
        };
        Row {
            what: what.to_string(),
            input,
            order: f.order,
            varied: f.varied,
            of: f.of,
            error: f.error,
            at,
            analytic: f.analytic,
            numeric: f.numeric,
            passes: f.passes(),
        }
    };
    found.into_iter().map(row).collect()
}

/// All samples of an op; of each input, and of the directions, the worst of them.
fn op(name: &str, order: u8, seed: u64) -> Result<Vec<Row>> {
    let mut worst: Vec<Row> = Vec::new();
    for sample in ops::samples().iter().filter(|s| s.op.name() == name) {
        let inputs = sample.inputs.len();
        let input = |i: usize| match i < inputs {
            true => format!("x{i}"),
            false => "dy".to_string(),
        };
        for row in rows(name, gradcheck::check_sample(sample, order, seed)?, input) {
            let Some(w) = worst.iter_mut().find(|w| w.input == row.input) else {
                worst.push(row);
                continue;
            };
            let (varied, of) = (w.varied + row.varied, w.of + row.of);
            if row.error > w.error {
                *w = row;
            }
            (w.varied, w.of) = (varied, of);
        }
    }
    Ok(worst)
}

fn formula(name: &str, order: u8, seed: u64) -> Result<Vec<Row>> {
    let (_, formula) = FORMULAS
        .iter()
        .find(|f| f.0 == name)
        .expect("found by name");
    let found = check(&[point([4, 12], 1.0, seed)], order, seed, |_, x| {
        formula(x[0])
    })?;
    Ok(rows(name, found, |i| ["x0", "dy"][i.min(1)].to_string()))
}

fn loss(name: &str, order: u8, seed: u64) -> Result<Vec<Row>> {
    let loss = Loss::called(name, &[])?.kind;
    let loss: &dyn Objective = &*loss;
    // Examples of three values, and what D makes of them: as many numbers as the loss asks for.
    let (b, values) = (5, 3);
    let outputs = match loss.form() {
        Form::Number => 1,
        Form::Example => values,
        Form::Classes => CLASSES,
    };
    let constant = |shape: [usize; 2], seed| Point {
        varies: false,
        ..point(shape, 4.0, seed)
    };
    let points = [
        point([b, outputs], 4.0, seed),
        point([b, outputs], 4.0, seed + 1),
        constant([b, values], seed + 2),
        constant([b, values], seed + 3),
        point([b, 2], 4.0, seed + 4),
        point([b, 2], 4.0, seed + 5),
    ];
    let names = ["real", "fake", "x", "G(z)", "code", "code of real", "dy"];
    let rows = |what: &str, found| rows(what, found, |i| names[i.min(6)].to_string());
    let of_d = check_with_constants(&points, order, seed, |graph, x| {
        let [real, fake] = pair(loss, graph, x);
        loss.d(&real, &fake)
    })?;
    let of_g = check_with_constants(&points, order, seed, |graph, x| {
        let [real, fake] = pair(loss, graph, x);
        let fake = Judged {
            code: Some(x[4]),
            real: Some(real.d),
            real_code: Some(x[5]),
            ..fake
        };
        loss.g(&fake)
    })?;
    let both = [
        rows(&format!("loss {name}"), of_d),
        rows(&format!("loss {name} of G"), of_g),
    ];
    Ok(both.concat())
}

/// What D says in the check of a loss, of outputs x[0] and x[1] for examples x[2] and x[3].
fn pair<'g>(loss: &dyn Objective, graph: &'g Graph, x: &[Var<'g>]) -> [Judged<'g>; 2] {
    let rows = x[0].shape().dims()[0];
    let classes = game::classes(graph, "labels", rows, CLASSES);
    let labels = (loss.form() == Form::Classes).then_some(classes);
    // Those whose labels D learns are the real ones.
    let known = labels.filter(|_| loss.learns_from_labelled());
    [(x[0], x[2]), (x[1], x[3])].map(|(output, x)| Judged {
        d: loss.head(output, x, labels),
        x,
        output,
        labels,
        code: None,
        features: None,
        real: None,
        real_code: None,
        labelled: known.map(|labels| (output, labels)),
    })
}

/// Values drawn from (-bound, bound).
fn point(shape: impl Into<Shape>, bound: f64, seed: u64) -> Point {
    let shape = shape.into();
    let range = Range::Real(-bound, bound);
    let values = draw(&In { shape, range }, seed);
    Point {
        shape,
        data: values.iter().map(|&v| f64::from(v)).collect(),
        varies: true,
    }
}

/// The same nets with layers no wider than [`WIDTH`], and small images.
fn reduced(mut config: Config) -> Config {
    if let Some(classifier) = &mut config.classifier {
        reduce_classifier(classifier);
        (config.train.batch, config.train.shards) = (BATCH, None);
        return config;
    }
    if config.encoder.is_some() {
        reduce_encoder(&mut config);
        (config.train.batch, config.train.shards) = (BATCH, None);
        return config;
    }
    if config.restore.is_some() {
        reduce_restored(&mut config);
        (config.train.batch, config.train.shards) = (BATCH, None);
        return config;
    }
    let classes = config.classes();
    let full = config.example_shape(config.output_dim());
    let layers = &mut config.discriminator.layers;
    let shapes: Vec<_> = layers.iter_mut().map(|l| image_of(l).copied()).collect();
    config.noise.dim = config.noise.dim.min(WIDTH);
    for network in [&mut config.generator, &mut config.discriminator] {
        for layer in &mut network.layers {
            if let Some(kind) = layer.kind.get_mut() {
                kind.shrink(WIDTH, SIDE);
            }
        }
        fill_images(network);
    }
    // An auto-encoder makes examples of the size that G's have now: its images keep their share of it.
    let small = config.example_shape(config.output_dim());
    if config.loss.kind.form() == Form::Example
        && let ([height, width, _], [h, w, _]) = (&full[..], &small[..])
    {
        for (layer, shape) in config.discriminator.layers.iter_mut().zip(shapes) {
            if let (Some(image), Some(shape)) = (image_of(layer), shape) {
                image[0] = (shape[0] * h / height).max(1);
                image[1] = (shape[1] * w / width).max(1);
            }
        }
        fill_images(&mut config.discriminator);
    }
    if config.loss.kind.form() == Form::Classes
        && let (Some(n), Some(last)) = (classes, config.discriminator.layers.last_mut())
        && let Some(affine) = last.affine_mut()
    {
        affine.units = n;
    }
    if let Some(margin) = &mut config.margin {
        let mut network = margin.compared();
        let kinds = network.layers.iter_mut().filter_map(|l| l.kind.get_mut());
        kinds.for_each(|kind| kind.shrink(WIDTH, SIDE));
        fill_images(&mut network);
        margin.layers = network.layers;
    }
    (config.train.batch, config.train.shards) = (BATCH, None);
    config
}

/// The same of an encoder, of examples as large as they are: its generator's last layer stays as it is.
fn reduce_encoder(config: &mut Config) {
    config.noise.dim = config.noise.dim.min(WIDTH);
    let last = config.generator.layers.len().saturating_sub(1);
    let of_generator = config.generator.layers[..last].iter_mut();
    let of_encoder = config.encoder.iter_mut().flat_map(|e| &mut e.layers);
    for layer in of_generator.chain(of_encoder) {
        if let Some(kind) = layer.kind.get_mut() {
            kind.shrink(WIDTH, SIDE);
        }
    }
    fill_images(&mut config.generator);
}

/// The same of a generator that is given images: of smaller ones.
fn reduce_restored(config: &mut Config) {
    let Some([h, w, c]) = config.restored_image() else {
        return;
    };
    config.data.set = DataSet::File("smaller".into());
    config.data.channels = Some(c);
    config.data.resize = Some([h.min(RESTORED), w.min(RESTORED)]);
    config.noise.dim = h.min(RESTORED) * w.min(RESTORED) * c;
    let last = config.generator.layers.len().saturating_sub(1);
    let of_g = config.generator.layers[..last].iter_mut();
    for layer in of_g.chain(&mut config.discriminator.layers) {
        if let Some(kind) = layer.kind.get_mut() {
            kind.shrink(WIDTH, SIDE);
        }
    }
    fill_images(&mut config.discriminator);
}

/// The same of a classifier, whose classes stay as many: of images no larger than its layers need.
fn reduce_classifier(classifier: &mut Network) {
    let last = classifier.layers.len() - 1;
    for layer in &mut classifier.layers[..last] {
        if let Some(kind) = layer.kind.get_mut() {
            kind.shrink(WIDTH, SIDE);
        }
    }
    let Some([h, w, c]) = classifier.image else {
        return;
    };
    let sees_images = classifier.layers.iter().any(|l| l.kind.wants_images());
    let takes = |[h, w, c]: [usize; 3]| {
        let graph = Graph::new();
        let x = match sees_images {
            true => graph.input("x", [1, h, w, c]),
            false => graph.input("x", [1, h * w * c]),
        };
        Build::new(&graph).eval("C", classifier, x);
        graph.fault().is_none()
    };
    let sides = (0..).map(|i| 8 << i).take_while(|side| *side < h.max(w));
    let mut smaller = sides.map(|side| [h.min(side), w.min(side), c]);
    let found = smaller.find(|image| takes(*image));
    classifier.image = found.or(classifier.image);
}

/// The height, width and channels of the image that a layer makes of a vector.
fn image_of(layer: &mut Layer) -> Option<&mut [usize; 3]> {
    match &mut layer.kind {
        LayerKind::Reshape(reshape) => Some(&mut reshape.shape),
        kind => kind.get_mut()?.affine_mut()?.shape.as_mut(),
    }
}

/// Gives layers that make images, or stand before those that do, as many units as the images have values.
fn fill_images(network: &mut Network) {
    for i in 0..network.layers.len() {
        let Some(values) = image_of(&mut network.layers[i]).map(|s| s.iter().product()) else {
            continue;
        };
        let is_own = network.layers[i].affine().is_some();
        let place = if is_own { Some(i) } else { i.checked_sub(1) };
        if let Some(affine) = place.and_then(|i| network.layers[i].affine_mut()) {
            affine.units = values;
        }
    }
}

/// What a buffer holds: what it does at first where that is one number, else random ones.
fn buffer<'g>(graph: &'g Graph, spec: &TensorSpec) -> Var<'g> {
    match spec.init {
        Initial::Constant(value) => graph.constant(value, spec.shape),
        _ => graph.normal(&format!("init/{}", spec.name), spec.shape, 0.0, 1.0),
    }
}

/// Both losses as functions of all parameters, at one minibatch with its noise and its dropout masks.
///
/// A narrow net may be dead where the parameters are drawn: no unit of a layer is above 0, and no gradient comes through.
/// Then they are drawn again, a few times.
fn whole(config: &Config, order: u8, seed: u64) -> Result<Vec<Row>> {
    let is_zero = |row: &Row| row.at.is_some() && row.analytic == 0.0 && row.numeric == 0.0;
    let is_dead = |rows: &[Row]| 2 * rows.iter().filter(|r| is_zero(r)).count() > rows.len();
    let mut rows = whole_at(config, order, seed)?;
    for again in 1..DRAWS {
        if !is_dead(&rows) {
            break;
        }
        rows = whole_at(config, order, seed + (again << 32))?;
    }
    Ok(rows)
}

fn whole_at(config: &Config, order: u8, seed: u64) -> Result<Vec<Row>> {
    let data_dim = config.output_dim();
    let example = config.example_shape(data_dim);
    let tensors = Tensors::of(config, data_dim);
    let nets = config.nets().into_iter().map(|(net, _)| net);
    let nets: Vec<&str> = nets.collect();
    let specs: Vec<&TensorSpec> = nets.iter().flat_map(|net| tensors.params(net)).collect();
    let points = specs.iter().enumerate();
    let mut points: Vec<Point> = points
        .map(|(i, s)| point(s.shape, 1.0, seed + i as u64))
        .collect();
    let mut x = point([BATCH, data_dim], 1.0, seed + 100);
    x.varies = false;
    points.push(x);
    let mut all = Vec::new();
    for which in nets {
        let found = check_with_constants(&points, order, seed, |graph, x| {
            let mut build = Build::new(graph);
            for (spec, value) in specs.iter().zip(x) {
                build.set(&spec.name, *value);
            }
            for spec in tensors.iter().filter(|s| s.role == Role::Buffer) {
                build.set(&spec.name, buffer(graph, spec));
            }
            if let Some(classifier) = &config.classifier {
                let classes = config.classes().unwrap_or(1);
                let labels = game::classes(graph, "labels", BATCH, classes);
                let pass = Pass::new("real", shaped(x[specs.len()], &example));
                return game::classified(&mut build, classifier, pass, labels).1;
            }
            if let Some(encoder) = &config.encoder {
                for spec in tensors.params("G") {
                    let name = format!("init/{}", spec.name);
                    build.set(&spec.name, graph.normal(&name, spec.shape, 0.0, 1.0));
                }
                let z = game::noise(graph, config, "z", BATCH);
                let x = x[specs.len()];
                return game::inferred(&mut build, config, encoder, &example, z, x).loss;
            }
            let z = game::noise(graph, config, "z", BATCH);
            let given = config.restore.as_ref().zip(config.restored_image());
            let given = given.map(|(restore, image)| {
                let known = restore.kind.draw(graph, "", BATCH, image);
                (restore, restore.given(image, x[specs.len()], known, z))
            });
            if let Some((restore, given)) = given.filter(|(restore, _)| restore.is_alone()) {
                return game::restored(&mut build, config, restore, given);
            }
            let given = given.map(|(_, given)| given);
            for spec in tensors.params(game::FROZEN) {
                let name = format!("init/{}", spec.name);
                build.set(&spec.name, graph.normal(&name, spec.shape, 0.0, 1.0));
            }
            let labels = |name: &str| {
                let n = config.classes()?;
                Some(game::classes(graph, name, BATCH, n))
            };
            let told = |name: &str| labels(name).filter(|_| !config.is_semi_supervised());
            let real = Pass::new("real", x[specs.len()]).with_labels(told("labels"));
            let input = given.map_or(z, |g| g.input);
            let fake = Pass::new("fake", input).with_labels(told("classes"));
            let mismatched = game::mismatch(config, &real);
            let labelled = config.is_semi_supervised().then(|| {
                let x = graph.uniform("labelled", [BATCH, data_dim], 0.0, 1.0);
                Pass::new("labelled", x).with_labels(labels("labels"))
            });
            let data = Some(game::Data {
                real,
                mismatched,
                labelled,
            });
            let outputs = game::forward(&mut build, config, &example, fake, data, given);
            game::loss(&build, config, which, &outputs)
        })?;
        let named = |i: usize| specs.get(i).map_or("dy".to_string(), |s| s.name.clone());
        let what = format!("{}: loss of {which}", config.name);
        all.extend(rows(&what, found, named));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_a_preset_is_checked_at_both_orders() {
        let target = Target::find("mnist").expect("a preset");
        for order in [1, 2] {
            let rows = target.check(order, 7).expect("recorded");
            assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
            for name in ["G.h0.w", "G.out.b", "D.h0.w", "D.h1.b", "D.out.w"] {
                assert!(
                    rows.iter().any(|r| r.input == name),
                    "{name} at order {order}"
                );
            }
        }
    }

    #[test]
    fn a_smaller_auto_encoder_still_makes_examples() {
        let config = Config::preset("ebgan").expect("a preset");
        let rows = Target::of_config(config).check(1, 7).expect("recorded");
        assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
    }

    #[test]
    fn a_margin_of_features_is_a_constant() {
        for (preset, network) in [
            ("tiny", "[{name='h0', units=5}, {name='h1', units=3}]"),
            (
                "dcgan28",
                "[{name='h0', kind='conv2d', channels=4}, {name='h1', units=3}]",
            ),
        ] {
            let options = [
                "loss.kind=ls-gan".to_owned(),
                format!("margin.layer={network}"),
            ];
            let config = Config::preset(preset).and_then(|c| c.with(&options));
            let target = Target::of_config(config.expect("valid"));
            for order in [1, 2] {
                let rows = target.check(order, 7).expect("recorded");
                assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
            }
        }
    }

    #[test]
    fn names_are_found_and_slips_are_answered() {
        assert_eq!(
            Target::find("maxout").expect("a formula"),
            Target::Formula("maxout")
        );
        assert_eq!(Target::find("loss ns").expect("a loss"), Target::Loss("ns"));
        assert_eq!(Target::find("matmul").expect("an op"), Target::Op("matmul"));
        let error = Target::find("matmull").expect_err("unknown").to_string();
        assert!(error.contains("did you mean matmul?"), "{error}");
    }

    #[test]
    fn a_wrong_gradient_is_found() {
        // detach cuts the path that the differences see.
        let points = [point([3], 1.0, 1)];
        let found = check(&points, 1, 1, |_, x| x[0].square() + x[0].square().detach());
        assert!(found.expect("recorded").iter().all(|f| !f.passes()));
    }
}
