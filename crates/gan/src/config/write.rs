//! From a [`Config`] to TOML: every key that is read, none that is not.

use std::fmt::Write;

use super::*;

impl Config {
    /// The configuration as a TOML file with every default written out; read again it gives an equal `Config`.
    pub fn to_toml(&self) -> String {
        let mut t = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut t);
        t
    }

    fn write(&self, t: &mut String) -> std::fmt::Result {
        writeln!(t, "name = {}", quoted(&self.name))?;
        writeln!(t, "seed = {}", self.seed)?;
        if let Some(run) = &self.init_from {
            writeln!(t, "init_from = {}", quoted(run))?;
        }
        writeln!(t, "\n[data]\nset = {}", quoted(self.data.set.as_str()))?;
        let contrast = match self.data.contrast {
            Contrast::AsIs => "none",
            Contrast::Gcn => "gcn",
        };
        if !matches!(self.data.set, DataSet::Toy(_)) {
            writeln!(t, "contrast = \"{contrast}\"")?;
        }
        if let Some([height, width]) = self.data.resize {
            writeln!(t, "resize = [{height}, {width}]")?;
        }
        let distribution = match self.noise.distribution {
            Distribution::Uniform => "uniform",
            Distribution::UnitUniform => "unit-uniform",
            Distribution::Normal => "normal",
            Distribution::Spherical => "spherical",
        };
        writeln!(t, "\n[noise]\ndim = {}", self.noise.dim)?;
        writeln!(t, "distribution = \"{distribution}\"")?;
        for layer in &self.generator.layers {
            writeln!(t, "\n[[generator.layer]]")?;
            write_layer(t, layer)?;
        }
        for layer in &self.discriminator.layers {
            writeln!(t, "\n[[discriminator.layer]]")?;
            write_layer(t, layer)?;
        }
        let DiscriminatorLoss::Bce { half } = self.loss.discriminator;
        let generator = match self.loss.generator {
            GeneratorLoss::NonSaturating => "non-saturating",
            GeneratorLoss::Minimax => "minimax",
        };
        writeln!(t, "\n[loss]\ndiscriminator = \"bce\"\nhalf = {half}")?;
        writeln!(t, "generator = \"{generator}\"")?;
        writeln!(t, "\n[train]\nepochs = {}", self.train.epochs)?;
        writeln!(t, "batch = {}", self.train.batch)?;
        match self.train.update {
            Update::Simultaneous => writeln!(t, "update = \"simultaneous\"")?,
            Update::Alternating { k } => writeln!(t, "update = \"alternating\"\nk = {k}")?,
        }
        writeln!(t, "average = {:?}", self.train.average.unwrap_or(0.0))?;
        write_optimizer(t, &self.optimizer)?;
        writeln!(t, "\n[eval]\nsamples = {}", self.eval.samples)?;
        if self.eval.valid > 0 {
            writeln!(t, "valid = {}", self.eval.valid)?;
        }
        writeln!(t, "every = {}", self.eval.every)?;
        let [rows, cols] = self.output.grid;
        writeln!(t, "\n[output]\ngrid = [{rows}, {cols}]")?;
        writeln!(t, "checkpoint_every = {}", self.output.checkpoint_every)?;
        writeln!(t, "keep_checkpoints = {}", self.output.keep_checkpoints)?;
        writeln!(t, "log_every = {}", self.output.log_every)
    }
}

/// The option that gives a key any text: `key="text"`, escaped as TOML wants it.
pub fn text_option(key: &str, text: &str) -> String {
    format!("{key}={}", quoted(text))
}

/// A TOML string with what must be escaped escaped.
fn quoted(s: &str) -> String {
    toml::Value::String(s.to_owned()).to_string()
}

fn write_layer(t: &mut String, layer: &Layer) -> std::fmt::Result {
    writeln!(t, "name = \"{}\"", layer.name)?;
    match layer.kind {
        LayerKind::Maxout { pieces } => {
            writeln!(t, "kind = \"maxout\"")?;
            writeln!(t, "units = {}\npieces = {pieces}", layer.units)?;
        }
        LayerKind::Linear { activation } => {
            writeln!(t, "kind = \"linear\"\nunits = {}", layer.units)?;
            let name = match activation {
                Activation::Linear => "linear",
                Activation::Relu => "relu",
                Activation::LeakyRelu { .. } => "leaky_relu",
                Activation::Sigmoid => "sigmoid",
                Activation::Tanh => "tanh",
                Activation::Softplus => "softplus",
            };
            writeln!(t, "activation = \"{name}\"")?;
            if let Activation::LeakyRelu { slope } = activation {
                writeln!(t, "slope = {slope:?}")?;
            }
        }
    }
    match &layer.init {
        Init::Uniform(r) => writeln!(t, "init = {{ uniform = {r:?} }}")?,
        Init::Normal(s) => writeln!(t, "init = {{ normal = {s:?} }}")?,
        Init::Sparse(n) => writeln!(t, "init = {{ sparse = {n} }}")?,
        Init::Run(layer) => writeln!(t, "init = {{ run = \"{layer}\" }}")?,
        Init::Glorot => writeln!(t, "init = {{ glorot = \"uniform\" }}")?,
    }
    match layer.bias {
        Bias::Constant(b) => writeln!(t, "bias = {b:?}")?,
        Bias::Marginals => writeln!(t, "bias = \"marginals\"")?,
        Bias::Run => writeln!(t, "bias = \"run\"")?,
    }
    match layer.dropout {
        None => writeln!(t, "include = 1.0")?,
        Some(d) => {
            writeln!(t, "include = {:?}\nscale = {:?}", d.include, d.scale)?;
            writeln!(t, "dropout_epochs = {}", d.epochs.unwrap_or(0))?;
        }
    }
    writeln!(t, "max_col_norm = {:?}", layer.max_col_norm.unwrap_or(0.0))
}

fn write_optimizer(t: &mut String, optimizer: &Optimizer) -> std::fmt::Result {
    let kind = match optimizer.rule {
        Rule::Sgd { .. } => "sgd",
        Rule::Adam { .. } => "adam",
    };
    writeln!(t, "\n[optimizer]\nkind = \"{kind}\"")?;
    writeln!(t, "lr = {:?}", optimizer.lr)?;
    writeln!(t, "lr_decay = {:?}", optimizer.lr_decay)?;
    writeln!(t, "lr_min = {:?}", optimizer.lr_min)?;
    match optimizer.rule {
        Rule::Sgd { momentum: m } => writeln!(
            t,
            "momentum = {{ start = {:?}, end = {:?}, first = {}, last = {} }}",
            m.start, m.end, m.first, m.last
        ),
        Rule::Adam { beta1, beta2, eps } => {
            writeln!(t, "beta1 = {beta1:?}\nbeta2 = {beta2:?}\neps = {eps:?}")
        }
    }
}
