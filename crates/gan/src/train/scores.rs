//! Scores as the training loop has them.

use ganforge_tensor::{Device, Store};

use crate::classifier::Forward;
use crate::config::{BestOn, Config, Contrast};
use crate::critic::Critic;
use crate::data::Dataset;
use crate::data::pictures::shown;
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::extractors::Loaded;
use crate::inverse::Inverse;
use crate::metrics::{Inferred, Scores, Task, inference};
use crate::restore::Restorer;
use crate::sampler::Sampler;
use crate::trainer::Trainer;

/// What scores a run while it trains.
pub(super) struct Scorer<'a> {
    pub(super) loaded: &'a Loaded,
    /// Of a run that has a generator.
    pub(super) sampler: Option<Sampler>,
    /// What an encoder has last found, on the test examples.
    pub(super) r2: Option<Vec<f64>>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(loaded: &'a Loaded, trainer: &Trainer) -> Result<Scorer<'a>> {
        let config = trainer.config();
        let sampler = config.generates();
        let sampler = sampler.then(|| Sampler::at(trainer.device(), config));
        Ok(Scorer {
            loaded,
            sampler: sampler.transpose()?,
            r2: None,
        })
    }

    /// The score of the generator, the classifier or the encoder, as it is.
    pub(super) fn score(&mut self, trainer: &Trainer, data: &Dataset) -> Result<Scores> {
        let scores = self.score_by(trainer.config(), trainer, data)?;
        self.r2 = scores.1;
        Ok(scores.0)
    }

    /// The number by which the best checkpoint is chosen, where it is; `score` is that on the test images.
    pub(super) fn chosen(
        &mut self,
        trainer: &Trainer,
        data: &Dataset,
        score: &Scores,
    ) -> Result<Option<f64>> {
        let config = trainer.config();
        let Some(choice) = config.eval.choice() else {
            return Ok(None);
        };
        let (scores, at) = match choice.on {
            BestOn::Test => (score.clone(), choice.metric),
            BestOn::Valid => {
                let config = config.of_choice(&choice);
                (self.score_by(&config, trainer, &data.on_valid())?.0, 0)
            }
        };
        Ok(Some(scores.0[at].numbers.values[choice.number]))
    }

    /// The same by the metrics of another configuration of the run; of an encoder with R² of each component.
    fn score_by(
        &mut self,
        config: &Config,
        trainer: &Trainer,
        data: &Dataset,
    ) -> Result<(Scores, Option<Vec<f64>>)> {
        let store = &mut trainer.store().clone();
        match &mut self.sampler {
            Some(sampler) => score_store(sampler, config, store, data, self.loaded).map(alone),
            None if config.restore.is_some() => {
                score_restorer(self.loaded, config, store, data).map(alone)
            }
            None if config.encoder.is_some() => score_encoder(self.loaded, config, store, data)
                .map(|(scores, r2)| (scores, Some(r2))),
            None => score_classifier(trainer.device(), config, store, data).map(alone),
        }
    }
}

fn alone(scores: Scores) -> (Scores, Option<Vec<f64>>) {
    (scores, None)
}

/// What the metrics of `config` ask for together.
pub(super) fn task(config: &Config) -> Task<'_> {
    Task::new(&config.eval.metrics, &config.data.set, config.eval.samples)
}

/// Refuses data of other classes than those that samples are made of, where a metric asks for them.
///
/// # Errors
/// Such data.
pub(super) fn check_classes(task: &Task<'_>, config: &Config, data: &Dataset) -> Result<()> {
    let Some(kind) = task.asks_for_samples_of_classes() else {
        return Ok(());
    };
    let (of_samples, of_data) = (config.classes().unwrap_or(0), data.classes.len());
    match of_samples == of_data {
        true => Ok(()),
        false => Err(Error::Mismatch(format!(
            "eval.metrics: {}: the generator makes samples of {of_samples} classes, and {} has {of_data}",
            kind.name(),
            data.name
        ))),
    }
}

/// The score of a run in the state `store` as the training loop has it: of its generator's samples, of what it makes of images, of
/// its classifier or of its encoder.
///
/// # Errors
/// As [`score_store`], [`score_restorer`], [`score_classifier`] and [`score_encoder`].
pub fn score_run(
    loaded: &Loaded,
    config: &Config,
    store: &mut Store,
    data: &Dataset,
) -> Result<Scores> {
    let device = loaded.device();
    match config.generates() {
        true => score_store(
            &mut Sampler::at(device, config)?,
            config,
            store,
            data,
            loaded,
        ),
        false if config.restore.is_some() => score_restorer(loaded, config, store, data),
        false if config.encoder.is_some() => Ok(score_encoder(loaded, config, store, data)?.0),
        false => score_classifier(device, config, store, data),
    }
}

/// As the training loop scores an encoder: by what it finds of samples of its generator and of the test examples. With it R² of
/// each component of the noise.
///
/// # Errors
/// A store without its parameters; what a [metric](crate::metrics) refuses.
pub fn score_encoder(
    loaded: &Loaded,
    config: &Config,
    store: &Store,
    data: &Dataset,
) -> Result<(Scores, Vec<f64>)> {
    let (device, task) = (loaded.device(), task(config));
    loaded.prepare(&task, data)?;
    let samples = task.samples().max(2);
    let found = Encoder::at(device, config, store)?.inferred(samples, data)?;
    let scores = score_remade(loaded, task, config, data, &found)?;
    Ok((scores, inference::coordinates(&found)))
}

/// As the training loop scores a generator that is given images: by what it makes of those of the test.
///
/// # Errors
/// As [`score_encoder`].
pub fn score_restorer(
    loaded: &Loaded,
    config: &Config,
    store: &Store,
    data: &Dataset,
) -> Result<Scores> {
    let task = task(config);
    loaded.prepare(&task, data)?;
    let found = Restorer::at(loaded.device(), config, store)?.scored(data)?;
    score_remade(loaded, task, config, data, &found)
}

/// The score of what was made of test images.
fn score_remade(
    loaded: &Loaded,
    task: Task<'_>,
    config: &Config,
    data: &Dataset,
    found: &Inferred,
) -> Result<Scores> {
    let task = task.with_inferred(found).with_extractors(loaded);
    let scored = match config.data.contrast {
        // Scores are of pixels from 0 to 1, whatever the networks see.
        Contrast::Signed => &data.clone().with_contrast(Contrast::AsIs),
        _ => data,
    };
    Ok(task.score(loaded.device(), scored, &[], &[], &[])?)
}

/// As the training loop scores a classifier: by the classes that the one in `store` assigns to the test examples.
///
/// # Errors
/// A store without its parameters; what a [metric](crate::metrics) refuses.
pub fn score_classifier(
    device: &Device,
    config: &Config,
    store: &mut Store,
    data: &Dataset,
) -> Result<Scores> {
    let classes = Forward::at(device, config)?.classes_of(store, &data.test)?;
    Ok(task(config).score(device, data, &[], &[], &classes)?)
}

/// As the training loop scores: the generator in `store` under the run's own seed, by all metrics of the run, through the networks
/// of `loaded`.
///
/// # Errors
/// A store without what the metrics ask for; what a [metric](crate::metrics) refuses.
pub fn score_store(
    sampler: &mut Sampler,
    config: &Config,
    store: &mut Store,
    data: &Dataset,
    loaded: &Loaded,
) -> Result<Scores> {
    let task = task(config);
    check_classes(&task, config, data)?;
    loaded.prepare(&task, data)?;
    let samples = sampler.draw(store, config.seed, task.samples())?;
    let generator = store.clone();
    let inverse = Inverse::new(sampler.device(), config, &generator);
    let task = task.with_inverse(&inverse).with_extractors(loaded);
    let points = task.points();
    let d = match points.is_empty() {
        true => Vec::new(),
        false => {
            let points = points.iter().map(|&x| f64::from(x));
            Critic::at(sampler.device(), config)?.probabilities(store, points)?
        }
    };
    let classes = match task.asks_for_classes() {
        true => Critic::at(sampler.device(), config)?.classes(store, &data.test)?,
        false => Vec::new(),
    };
    if config.data.contrast == Contrast::Signed {
        // Scores are of pixels from 0 to 1, whatever the networks see.
        let data = data.clone().with_contrast(Contrast::AsIs);
        let samples = shown(&samples, Contrast::Signed);
        return Ok(task.score(sampler.device(), &data, &samples, &d, &classes)?);
    }
    Ok(task.score(sampler.device(), data, &samples, &d, &classes)?)
}
