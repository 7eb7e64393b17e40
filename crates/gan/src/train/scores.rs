//! Scores as the training loop has them.

use ganforge_tensor::{Device, Store};

use crate::classifier::Forward;
use crate::config::{BestOn, Config, Contrast};
use crate::critic::Critic;
use crate::data::Dataset;
use crate::data::pictures::shown;
use crate::error::{Error, Result};
use crate::extractors::Loaded;
use crate::inverse::Inverse;
use crate::metrics::{Scores, Task};
use crate::sampler::Sampler;
use crate::trainer::Trainer;

/// What scores a run while it trains.
pub(super) struct Scorer<'a> {
    pub(super) loaded: &'a Loaded,
    /// Of a run that has a generator.
    pub(super) sampler: Option<Sampler>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(loaded: &'a Loaded, trainer: &Trainer) -> Result<Scorer<'a>> {
        let config = trainer.config();
        let sampler = config.generates();
        let sampler = sampler.then(|| Sampler::at(trainer.device(), config));
        Ok(Scorer {
            loaded,
            sampler: sampler.transpose()?,
        })
    }

    /// The score of the generator, or the classifier, as it is.
    pub(super) fn score(&mut self, trainer: &Trainer, data: &Dataset) -> Result<Scores> {
        self.score_by(trainer.config(), trainer, data)
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
                (self.score_by(&config, trainer, &data.on_valid())?, 0)
            }
        };
        Ok(Some(scores.0[at].numbers.values[choice.number]))
    }

    /// The same by the metrics of another configuration of the run.
    fn score_by(&mut self, config: &Config, trainer: &Trainer, data: &Dataset) -> Result<Scores> {
        let store = &mut trainer.store().clone();
        match &mut self.sampler {
            Some(sampler) => score_store(sampler, config, store, data, self.loaded),
            None => score_classifier(trainer.device(), config, store, data),
        }
    }
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

/// The score of a run in the state `store` as the training loop has it: of its generator's samples, or of its classifier.
///
/// # Errors
/// As [`score_store`] and [`score_classifier`].
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
        false => score_classifier(device, config, store, data),
    }
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
