//! From the tree of keys to a [`Config`]: one function per table.

use super::reader::{Interval, Reader};
use super::tree::{Item, Table, Value};
use super::*;
use crate::data::Toy;
use crate::metrics::Measure;

/// Largest width, batch, epoch number and count that a key takes.
const MANY: usize = 1_000_000;
/// Largest side of a picture, in pixels.
const MAX_SIDE: i128 = 1000;

pub(super) fn config(table: &Table, origin: &str) -> Result<Config, ConfigError> {
    let root = Reader::root(origin, table, schema::ROOT)?;
    let (name, seed) = (name(&root)?, root.int("seed", 0, i64::MAX as u64)?);
    let init_from = init_from(&root)?;
    let data = data(&root.section("data", schema::DATA)?)?;
    let measure = Measure::of(&data.set);
    let config = Config {
        name,
        seed,
        init_from,
        data,
        noise: noise(&root.section("noise", schema::NOISE)?)?,
        generator: network(&root, "generator")?,
        discriminator: network(&root, "discriminator")?,
        loss: loss(&root.section("loss", schema::LOSS)?)?,
        train: train(&root.section("train", schema::TRAIN)?)?,
        optimizer: optimizer(&root.section("optimizer", schema::OPTIMIZER)?)?,
        eval: eval(&root.section("eval", schema::EVAL)?, &measure)?,
        output: output(&root.section("output", schema::OUTPUT)?)?,
    };
    check_networks(&root, &config)?;
    Ok(config)
}

fn name(root: &Reader<'_>) -> Result<String, ConfigError> {
    let what = "1 to 64 letters, digits, '-', '_' and '.', the first no '.'";
    let name = root.str("name", what)?;
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(good) {
        return Err(root.fault("name", &format!("must be {what}")));
    }
    Ok(name.to_owned())
}

fn init_from(root: &Reader<'_>) -> Result<Option<String>, ConfigError> {
    match root.get("init_from") {
        None => Ok(None),
        Some(_) => Ok(Some(
            root.str("init_from", "the folder of a run")?.to_owned(),
        )),
    }
}

fn data(table: &Reader<'_>) -> Result<Data, ConfigError> {
    let what = "\"mnist\", \"fashion-mnist\", \"tfd\", \"cifar10\", \"ring\", \"grid\", \"gaussian\", or the path of an .npz, \
                .npy, .mat or IDX file, or of a folder, with a / in it";
    let known = [
        DataSet::Mnist,
        DataSet::FashionMnist,
        DataSet::Tfd,
        DataSet::Cifar10,
    ];
    let toys = Toy::ALL.map(DataSet::Toy);
    let known: Vec<DataSet> = known.into_iter().chain(toys).collect();
    let written = table.str("set", what)?;
    let set = match known.iter().find(|set| set.as_str() == written) {
        Some(set) => set.clone(),
        None if is_data_file(written) => DataSet::File(written.to_owned()),
        None => {
            let names: Vec<&str> = known.iter().map(DataSet::as_str).collect();
            let hint = nearest(written, &names)
                .map(|n| format!(", did you mean {n:?}?"))
                .unwrap_or_default();
            let got = Value::Str(written.to_owned()).show();
            return Err(table.fault("set", &format!("must be {what}, got {got}{hint}")));
        }
    };
    if matches!(set, DataSet::Toy(_)) {
        table.refuse("contrast", "with a data set of images")?;
    }
    let contrast = match table.get("contrast") {
        None => Contrast::AsIs,
        Some(_) => table.choice(
            "contrast",
            &[("none", Contrast::AsIs), ("gcn", Contrast::Gcn)],
        )?,
    };
    Ok(Data {
        contrast,
        resize: resize(table, &set)?,
        set,
    })
}

fn resize(table: &Reader<'_>, set: &DataSet) -> Result<Option<[usize; 2]>, ConfigError> {
    if !matches!(set, DataSet::File(_)) {
        table.refuse("resize", "with a folder of pictures")?;
    }
    let side = |value: &Value| match value {
        Value::Int(n @ 1..=MAX_SIDE) => Some(*n as usize),
        _ => None,
    };
    let Some(item) = table.get("resize") else {
        return Ok(None);
    };
    let sides = match &item.value {
        Value::Array(items) => items.iter().map(|item| side(&item.value)).collect(),
        one => side(one).map(|side| vec![side, side]),
    };
    match sides.as_deref() {
        Some(&[height, width]) => Ok(Some([height, width])),
        _ => {
            let what = format!("a whole number from 1 to {MAX_SIDE}, or two, [height, width]");
            Err(table.fault(
                "resize",
                &format!("must be {what}, got {}", item.value.show()),
            ))
        }
    }
}

/// `a.npz`, `a.npz:train`, `a.npy`, `a.mat`, `train-images-idx3-ubyte`, with or without .gz, `a.idx`, `folder/`, `./folder`.
fn is_data_file(path: &str) -> bool {
    let endings = [".npz", ".npy", ".mat", ".gz", ".idx"];
    let is_folder = path.contains(['/', '\\']);
    let is_idx = path
        .rsplit(['/', '\\'])
        .next()
        .is_some_and(|f| f.contains("-idx"));
    let known = endings.iter().any(|e| path.ends_with(e)) || path.contains(".npz:");
    let known = known || is_idx || is_folder;
    known && !path.contains('\0')
}

fn noise(table: &Reader<'_>) -> Result<Noise, ConfigError> {
    Ok(Noise {
        dim: table.size("dim", 1, MANY)?,
        distribution: table.choice(
            "distribution",
            &[
                ("uniform", Distribution::Uniform),
                ("unit-uniform", Distribution::UnitUniform),
                ("normal", Distribution::Normal),
                ("spherical", Distribution::Spherical),
            ],
        )?,
    })
}

fn network(root: &Reader<'_>, key: &str) -> Result<Network, ConfigError> {
    let table = root.section(key, schema::NETWORK)?;
    let items = table.array("layer", "an array of tables, 1 to 64 layers")?;
    if items.is_empty() || items.len() > 64 {
        let message = format!("must hold 1 to 64 layers, got {}", items.len());
        return Err(table.fault("layer", &message));
    }
    let mut layers: Vec<Layer> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = match layer_name(item) {
            Some(name) => table.full(&format!("layer.{name}")),
            None => format!("{}[{index}]", table.full("layer")),
        };
        let reader = table.open(item, path, schema::LAYER)?;
        let layer = layer(&reader)?;
        if layers.iter().any(|l| l.name == layer.name) {
            return Err(reader.fault("name", "is the name of an earlier layer too"));
        }
        layers.push(layer);
    }
    Ok(Network { layers })
}

/// The name of a layer, if it has a good one.
pub(super) fn layer_name(item: &Item) -> Option<&str> {
    let Value::Table(table) = &item.value else {
        return None;
    };
    match &table.get("name")?.value {
        Value::Str(name) if is_layer_name(name) => Some(name),
        _ => None,
    }
}

fn is_layer_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=32).contains(&name.len()) && name.bytes().all(good)
}

fn layer(table: &Reader<'_>) -> Result<Layer, ConfigError> {
    let what = "1 to 32 of a-z, 0-9 and _";
    let name = table.str("name", what)?;
    if !is_layer_name(name) {
        return Err(table.fault("name", &format!("must be {what}, got {name:?}")));
    }
    let max_col_norm = table.float_or("max_col_norm", Interval::closed(0.0, 1e6), 0.0)?;
    let (init, bias) = (init(&table.section("init", schema::INIT)?)?, bias(table)?);
    if matches!(init, Init::Run(_)) != (bias == Bias::Run) {
        let message =
            "= \"run\" and init = { run = .. } go together: both come from the same layer";
        return Err(table.fault("bias", message));
    }
    Ok(Layer {
        name: name.to_owned(),
        kind: layer_kind(table)?,
        units: table.size("units", 1, MANY)?,
        init,
        bias,
        dropout: dropout(table)?,
        max_col_norm: (max_col_norm > 0.0).then_some(max_col_norm),
    })
}

fn layer_kind(table: &Reader<'_>) -> Result<LayerKind, ConfigError> {
    if table.choice("kind", &[("linear", false), ("maxout", true)])? {
        table.refuse("activation", "with kind = \"linear\"")?;
        table.refuse("slope", "with activation = \"leaky_relu\"")?;
        return Ok(LayerKind::Maxout {
            pieces: table.size("pieces", 1, 1000)?,
        });
    }
    table.refuse("pieces", "with kind = \"maxout\"")?;
    let activation = table.choice(
        "activation",
        &[
            ("linear", Activation::Linear),
            ("relu", Activation::Relu),
            ("leaky_relu", Activation::LeakyRelu { slope: 0.0 }),
            ("sigmoid", Activation::Sigmoid),
            ("tanh", Activation::Tanh),
            ("softplus", Activation::Softplus),
        ],
    )?;
    let activation = match activation {
        Activation::LeakyRelu { .. } => Activation::LeakyRelu {
            slope: table.float("slope", Interval::below(0.0, 1.0))?,
        },
        other => {
            table.refuse("slope", "with activation = \"leaky_relu\"")?;
            other
        }
    };
    Ok(LayerKind::Linear { activation })
}

fn init(table: &Reader<'_>) -> Result<Init, ConfigError> {
    let written: Vec<&str> = schema::INIT
        .iter()
        .copied()
        .filter(|k| table.get(k).is_some())
        .collect();
    match written.as_slice() {
        ["uniform"] => Ok(Init::Uniform(
            table.float("uniform", Interval::above(0.0, 100.0))?,
        )),
        ["normal"] => Ok(Init::Normal(
            table.float("normal", Interval::above(0.0, 100.0))?,
        )),
        ["sparse"] => Ok(Init::Sparse(table.size("sparse", 1, MANY)?)),
        ["run"] => {
            let what = "the name of a layer of another run";
            match table.str("run", what)? {
                name if is_layer_name(name) => Ok(Init::Run(name.to_owned())),
                other => Err(table.fault("run", &format!("must be {what}, got {other:?}"))),
            }
        }
        ["glorot"] => {
            table.choice("glorot", &[("uniform", ())])?;
            Ok(Init::Glorot)
        }
        _ => {
            let message = format!(
                "must hold exactly one of uniform, normal, sparse, glorot and run, got {}",
                written.len()
            );
            Err(table.fault_here(&message))
        }
    }
}

fn bias(table: &Reader<'_>) -> Result<Bias, ConfigError> {
    match table.get("bias").map(|i| &i.value) {
        Some(Value::Str(s)) if s == "marginals" => Ok(Bias::Marginals),
        Some(Value::Str(s)) if s == "run" => Ok(Bias::Run),
        Some(Value::Str(_)) => {
            Err(table.fault("bias", "must be a number, \"marginals\" or \"run\""))
        }
        _ => Ok(Bias::Constant(table.float_or(
            "bias",
            Interval::closed(-1000.0, 1000.0),
            0.0,
        )?)),
    }
}

fn dropout(table: &Reader<'_>) -> Result<Option<Dropout>, ConfigError> {
    let include = table.float_or("include", Interval::above(0.0, 1.0), 1.0)?;
    if include == 1.0 {
        table.refuse("scale", "with include below 1")?;
        table.refuse("dropout_epochs", "with include below 1")?;
        return Ok(None);
    }
    let epochs = match table.get("dropout_epochs") {
        Some(_) => table.size("dropout_epochs", 0, MANY)?,
        None => 0,
    };
    let scale = table.float_or("scale", Interval::above(0.0, 1e6), 1.0 / include)?;
    if !scale.is_finite() || scale > 1e6 {
        return Err(table.fault("include", "is too small: its scale exceeds 1000000"));
    }
    Ok(Some(Dropout {
        include,
        scale,
        epochs: (epochs > 0).then_some(epochs),
    }))
}

fn loss(table: &Reader<'_>) -> Result<Loss, ConfigError> {
    table.choice("discriminator", &[("bce", ())])?;
    Ok(Loss {
        discriminator: DiscriminatorLoss::Bce {
            half: table.bool("half")?,
        },
        generator: table.choice(
            "generator",
            &[
                ("non-saturating", GeneratorLoss::NonSaturating),
                ("minimax", GeneratorLoss::Minimax),
            ],
        )?,
    })
}

fn train(table: &Reader<'_>) -> Result<Train, ConfigError> {
    let alternating = table.choice("update", &[("simultaneous", false), ("alternating", true)])?;
    let update = if !alternating {
        table.refuse("k", "with update = \"alternating\"")?;
        Update::Simultaneous
    } else if table.get("k").is_some() {
        Update::Alternating {
            k: table.size("k", 1, 1000)?,
        }
    } else {
        Update::Alternating { k: 1 }
    };
    let average = table.float_or("average", Interval::below(0.0, 1.0), 0.0)?;
    Ok(Train {
        epochs: table.size("epochs", 1, MANY)?,
        batch: table.size("batch", 1, MANY)?,
        update,
        average: (average > 0.0).then_some(average),
    })
}

fn optimizer(table: &Reader<'_>) -> Result<Optimizer, ConfigError> {
    let lr = table.float("lr", Interval::above(0.0, 1000.0))?;
    let rule = if table.choice("kind", &[("sgd", false), ("adam", true)])? {
        table.refuse("momentum", "with kind = \"sgd\"")?;
        Rule::Adam {
            beta1: table.float_or("beta1", Interval::below(0.0, 1.0), 0.9)?,
            beta2: table.float_or("beta2", Interval::below(0.0, 1.0), 0.999)?,
            eps: table.float_or("eps", Interval::above(0.0, 1.0), 1e-8)?,
        }
    } else {
        for key in ["beta1", "beta2", "eps"] {
            table.refuse(key, "with kind = \"adam\"")?;
        }
        Rule::Sgd {
            momentum: momentum(&table.section("momentum", schema::MOMENTUM)?)?,
        }
    };
    Ok(Optimizer {
        rule,
        lr,
        lr_decay: table.float_or("lr_decay", Interval::closed(1.0, 2.0), 1.0)?,
        lr_min: table.float_or("lr_min", Interval::closed(0.0, lr), 0.0)?,
    })
}

fn momentum(table: &Reader<'_>) -> Result<Momentum, ConfigError> {
    let first = table.size("first", 1, MANY)?;
    Ok(Momentum {
        start: table.float("start", Interval::below(0.0, 1.0))?,
        end: table.float("end", Interval::below(0.0, 1.0))?,
        first,
        last: table.size("last", first + 1, MANY + 1)?,
    })
}

fn eval(table: &Reader<'_>, measure: &Measure) -> Result<Eval, ConfigError> {
    let valid = if *measure == Measure::Parzen {
        table.size("valid", 1, MANY)?
    } else {
        table.refuse("valid", "with a data set of images")?;
        0
    };
    Ok(Eval {
        samples: table.size("samples", 1, MANY)?,
        valid,
        every: table.size("every", 0, MANY)?,
    })
}

fn output(table: &Reader<'_>) -> Result<Output, ConfigError> {
    let what = "two whole numbers from 1 to 100, rows and columns";
    let sides: Vec<usize> = table
        .array("grid", what)?
        .iter()
        .filter_map(|i| match i.value {
            Value::Int(n @ 1..=100) => Some(n as usize),
            _ => None,
        })
        .collect();
    let grid = match (sides.as_slice(), table.array("grid", what)?.len()) {
        ([rows, cols], 2) => [*rows, *cols],
        _ => return Err(table.fault("grid", &format!("must be {what}"))),
    };
    Ok(Output {
        grid,
        checkpoint_every: table.size("checkpoint_every", 1, MANY)?,
        keep_checkpoints: table.size("keep_checkpoints", 1, MANY)?,
        log_every: table.size("log_every", 1, MANY)?,
    })
}

fn everything() -> std::ops::RangeInclusive<f32> {
    f32::NEG_INFINITY..=f32::INFINITY
}

/// What the two networks must be together and to the data.
fn check_networks(root: &Reader<'_>, config: &Config) -> Result<(), ConfigError> {
    let generator = &config.generator.layers;
    let discriminator = &config.discriminator.layers;
    let (Some(out), Some(logit)) = (generator.last(), discriminator.last()) else {
        return Ok(()); // network() has seen to it that neither is empty
    };
    let is_sigmoid = |l: &Layer| {
        let activation = Activation::Sigmoid;
        l.kind == LayerKind::Linear { activation }
    };
    let fault = |network: &str, layer: &Layer, key: &str, message: &str| {
        let known = root.section(network, schema::NETWORK)?;
        let items = known.array("layer", "an array of tables")?;
        let path = known.full(&format!("layer.{}", layer.name));
        match items.iter().find(|i| layer_name(i) == Some(&layer.name)) {
            Some(item) => Err(known.open(item, path, schema::LAYER)?.fault(key, message)),
            None => Err(known.fault("layer", message)),
        }
    };
    if config.init_from.is_some() && config.layers_from_run().next().is_none() {
        return Err(root.fault(
            "init_from",
            "is not used here, only with a layer whose init = { run = .. }",
        ));
    }
    for layer in discriminator {
        if layer.bias == Bias::Marginals {
            let message =
                "must be a number: only a generator's last layer has the pixels' marginals";
            return fault("discriminator", layer, "bias", message);
        }
    }
    for (i, layer) in generator.iter().enumerate() {
        if layer.bias == Bias::Marginals && (i + 1 < generator.len() || !is_sigmoid(layer)) {
            let message = "= \"marginals\" needs the generator's last layer, linear with activation = \"sigmoid\"";
            return fault("generator", layer, "bias", message);
        }
    }
    let linear = LayerKind::Linear {
        activation: Activation::Linear,
    };
    if !matches!(logit.kind, LayerKind::Linear { .. }) {
        let message = "must be \"linear\": the discriminator's last layer gives one logit";
        return fault("discriminator", logit, "kind", message);
    }
    if logit.kind != linear {
        let message = "must be \"linear\": the discriminator's last layer gives a logit, the loss holds the sigmoid";
        return fault("discriminator", logit, "activation", message);
    }
    if logit.units != 1 {
        let message = format!("must be 1, the discriminator's logit, got {}", logit.units);
        return fault("discriminator", logit, "units", &message);
    }
    if let Some(dim) = config.data.set.dim()
        && out.units != dim
    {
        let got = out.units;
        let message = format!("must be {dim}, the values of an example of the data set, got {got}");
        return fault("generator", out, "units", &message);
    }
    if config.data.contrast == Contrast::Gcn && out.kind.range() != everything() {
        let message = "must be \"linear\": images with data.contrast = \"gcn\" have values of any sign and size";
        return fault("generator", out, "activation", message);
    }
    for (network, layers, inputs) in [
        ("generator", generator, config.noise.dim),
        ("discriminator", discriminator, out.units),
    ] {
        if let Some((layer, key, message)) = sizes::fault(layers, inputs) {
            return fault(network, layer, key, &message);
        }
    }
    Ok(())
}
