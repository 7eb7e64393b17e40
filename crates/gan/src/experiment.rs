//! A GAN whose networks, loss and data a program brings along, trained by what trains a preset: run folder, checkpoints,
//! scores, devices, reports.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ganforge_settings::Brought;
use ganforge_tensor::{Device, Var};

use crate::config::{Config, DataSet, Layer, LayerKind, LossKind, Network};
use crate::data::{Dataset, ImageSize};
use crate::error::Result;
use crate::losses::Objective;
use crate::nn::{Build, LayerRule};
use crate::run::Run;
use crate::sampler::Sampler;
use crate::train::{self, Observer, Outcome};
use crate::trainer::Trainer;

/// A GAN of the program's own.
///
/// Its configuration is that of any run, with `kind = "own:NAME"` where the program brings something along. Whoever reads
/// such a configuration must bring the same along, by the same name; other programs say that they lack it.
///
/// ```
/// use ganforge_gan::Experiment;
/// let points: Vec<f32> = (0..2000).map(|i| (i as f32).sin()).collect(); // 1,000 points of the plane
/// let mut own = Experiment::new("mine", 2, points)?
///     .generator(|b, z| { let h = b.linear("h", z, 16).relu(); b.linear("out", h, 2) })
///     .discriminator(|b, x| { let h = b.linear("h", x, 16).relu(); b.linear("out", h, 1) })
///     .with(&["noise.dim=2", "train.batch=50", "optimizer.lr=0.01"])?;
/// let mut trainer = own.trainer(&Default::default())?;
/// assert!(trainer.step()?.get("loss_d") > Some(0.0));
/// # Ok::<(), ganforge_gan::Error>(())
/// ```
pub struct Experiment {
    config: Config,
    data: Dataset,
}

/// A network of the program's own.
struct Own<F>(F);

impl<F> fmt::Debug for Own<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network of the program's own")
    }
}

impl<F> LayerRule for Own<F>
where
    F: for<'g> Fn(&mut Build<'g>, Var<'g>) -> Var<'g> + Send + Sync,
{
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        (self.0)(build, x)
    }
}

impl Experiment {
    /// An experiment called `name` on examples of `d` values each, of which the last two tenths are for choosing and for
    /// reporting.
    ///
    /// # Errors
    /// Values that are no rows of `d`, or too few for three parts; a bad name.
    pub fn new(name: &str, d: usize, values: Vec<f32>) -> Result<Experiment> {
        let size = ImageSize {
            height: 1,
            width: d,
            channels: 1,
        };
        let data = Dataset::of_values(&format!("own/{name}"), size, &values)?;
        let mut config = Config::from_toml_with(
            &format!(
                "data.set = \"own/{name}\"\ngenerator.layer = [{{ units = {d}, activation = \"linear\" }}]"
            ),
            name,
            &[format!("name={name}")],
        )?;
        config.data.set = DataSet::File(data.name.clone());
        Ok(Experiment { config, data })
    }

    /// A preset or any other configuration with data of the program's own.
    pub fn of(config: Config, data: Dataset) -> Experiment {
        Experiment { config, data }
    }

    /// G: noise [b, noise.dim] to examples [b, d].
    pub fn generator<F>(mut self, net: F) -> Experiment
    where
        F: for<'g> Fn(&mut Build<'g>, Var<'g>) -> Var<'g> + Send + Sync + 'static,
    {
        set(&mut self.config.generator, net);
        self
    }

    /// D: examples [b, d] to one output each, [b, 1].
    pub fn discriminator<F>(mut self, net: F) -> Experiment
    where
        F: for<'g> Fn(&mut Build<'g>, Var<'g>) -> Var<'g> + Send + Sync + 'static,
    {
        set(&mut self.config.discriminator, net);
        self
    }

    /// What both minimise; `name` tells it from others in configurations.
    pub fn loss(mut self, name: &str, loss: impl Objective + 'static) -> Experiment {
        self.config.loss.kind = LossKind::Own(Brought {
            name: name.to_string(),
            settings: String::new(),
            value: Arc::new(loss),
        });
        self
    }

    /// Other settings than the defaults: `key=value` as in [`Config::with`].
    ///
    /// # Errors
    /// All that is wrong.
    pub fn with<S: AsRef<str>>(mut self, options: &[S]) -> Result<Experiment> {
        self.config = self.config.with(options)?;
        Ok(self)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The data.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// A model at step 0.
    ///
    /// # Errors
    /// As [`Trainer::at`].
    pub fn trainer(&self, device: &Device) -> Result<Trainer> {
        Trainer::at(device, &self.config, &self.data.train)
    }

    /// Trains in the folder of a run: a new one, or from its last checkpoint on where there is one.
    ///
    /// # Errors
    /// A folder of something else or of a run of another configuration or other data; as [`train::train`].
    pub fn train(
        &self,
        folder: &Path,
        device: &Device,
        observer: &mut dyn Observer,
    ) -> Result<(Trainer, Outcome)> {
        let mut trainer = self.trainer(device)?;
        let mut run = match folder.join("config.toml").is_file() {
            false => Run::create(folder, &self.config, "{}")?,
            true => {
                let (mut run, _) = Run::open_like(folder, &self.config)?;
                run.lock()?;
                run.check_checkpoints()?;
                if let Some(learnt) = run.newest(|path| trainer.load(path))? {
                    self.data
                        .check_learnt(&folder.display().to_string(), &learnt)?;
                }
                run.rewind(trainer.steps())?;
                run.write("config.toml", &self.config.to_toml())?;
                run
            }
        };
        let outcome = train::train(&mut trainer, &self.data, &mut run, observer)?;
        Ok((trainer, outcome))
    }

    /// The first `n` samples [n, d] of the run's seed from the generator of `trainer`.
    ///
    /// # Errors
    /// As [`Sampler::draw`].
    pub fn samples(&self, trainer: &Trainer, n: usize) -> Result<Vec<f32>> {
        let mut sampler = Sampler::at(trainer.device(), &self.config)?;
        sampler.draw(&mut trainer.store().clone(), self.config.seed, n)
    }
}

fn set<F>(network: &mut Network, net: F)
where
    F: for<'g> Fn(&mut Build<'g>, Var<'g>) -> Var<'g> + Send + Sync + 'static,
{
    network.layers = vec![Layer {
        name: "net".to_string(),
        kind: LayerKind::Own(Brought {
            name: "net".to_string(),
            settings: String::new(),
            value: Arc::new(Own(net)),
        }),
        ..Layer::default()
    }];
}
