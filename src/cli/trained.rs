//! A trained generator named on the command line: of a run, in a file, or bundled.

use std::path::{Path, PathBuf};

use ganforge::gan::classifier::Classifier;
use ganforge::gan::data::Dataset;
use ganforge::gan::data::ImageSize;
use ganforge::gan::generator::Generator;
use serde_json::json;

use super::about::About;
use super::failure::Failure;
use super::run_folder::{self, OpenRun};

/// `RUN` or `--pretrained NAME`.
#[derive(clap::Args)]
pub(super) struct Trained {
    /// The run's folder, or a file of `ganforge export` or `import`
    #[arg(value_name = "RUN|FILE")]
    run: Option<PathBuf>,
    /// A bundled generator: mnist
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pretrained: Option<String>,
    /// Use the run's best checkpoint (eval.best) instead of the newest
    #[arg(long, requires = "run")]
    best: bool,
}

/// An opened generator.
pub(super) struct OpenGenerator {
    pub(super) generator: Generator,
    /// The start of the paths of its pictures: `RUN/`, or the name and `-`.
    pub(super) prefix: String,
    /// Its name in messages.
    who: String,
    /// The training steps of the checkpoint that it is from, if it is from one.
    step: Option<u64>,
    /// The SHA-256 of its training data, if known.
    learnt_from: Option<String>,
    /// run.json of its run, if known.
    pub(super) about: Option<About>,
}

impl Trained {
    /// The file that was named, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.run.as_deref().filter(|path| path.is_file())
    }

    /// The run that was named, if it is none of the others.
    pub(super) fn open_run(&self) -> Result<Option<OpenRun>, Failure> {
        let folder = self.run.as_deref().filter(|path| !path.is_file());
        folder
            .map(|folder| OpenRun::open_at(folder, self.best))
            .transpose()
    }

    /// Opens what was named.
    pub(super) fn open(&self) -> Result<OpenGenerator, Failure> {
        match (&self.run, &self.pretrained) {
            (Some(path), _) if path.is_file() => {
                check_best(self.best, path)?;
                of_file(path)
            }
            (Some(folder), _) => of_run(OpenRun::open_at(folder, self.best)?),
            (None, Some(name)) => pretrained(name),
            (None, None) => Err(Failure::input(
                "expected a run's folder, a file of `ganforge export` or `import`, or --pretrained NAME, as in --pretrained mnist",
            )),
        }
    }
}

/// A trained classifier.
pub(super) struct OpenClassifier {
    pub(super) classifier: Classifier,
    /// The start of the paths of what is made of it: `RUN/`, or the name and `-`.
    pub(super) prefix: String,
}

impl Trained {
    /// Opens what was named where it is a classifier.
    pub(super) fn classifier(&self) -> Result<Option<OpenClassifier>, Failure> {
        let Some(path) = &self.run else {
            return Ok(None);
        };
        if path.is_file() {
            if !Classifier::is_in(path)? {
                return Ok(None);
            }
            check_best(self.best, path)?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let (classifier, prefix) = (Classifier::read(path)?, format!("{stem}-"));
            return Ok(Some(OpenClassifier { classifier, prefix }));
        }
        let open = OpenRun::open_at(path, self.best)?;
        if open.config.classifier.is_none() {
            return Ok(None);
        }
        let classifier = Classifier::of_opened(&open.run, &open.config)?;
        let prefix = format!("{}/", path.display());
        Ok(Some(OpenClassifier { classifier, prefix }))
    }
}

/// A bundled generator.
pub(super) fn pretrained(name: &str) -> Result<OpenGenerator, Failure> {
    let who = format!("--pretrained {name}");
    OpenGenerator::new(Generator::pretrained(name)?, who, format!("{name}-"))
}

/// The generator in a file.
pub(super) fn of_file(path: &Path) -> Result<OpenGenerator, Failure> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let who = path.display().to_string();
    OpenGenerator::new(Generator::read(path)?, who, format!("{stem}-"))
}

/// Refuses --best of a file, which has one state.
pub(super) fn check_best(best: bool, file: &Path) -> Result<(), Failure> {
    match best {
        true => Err(Failure::input(format!(
            "--best: of a run, and {} is a file",
            file.display()
        ))),
        false => Ok(()),
    }
}

/// The generator of a run's checkpoint.
fn of_run(open: OpenRun) -> Result<OpenGenerator, Failure> {
    let folder = open.run.folder();
    let learnt_from = open.learnt_from()?;
    let d = open.config.output_dim();
    let store = open.run.load(&open.config, d)?;
    let about = open.about;
    let size = about.as_ref().and_then(About::image_size);
    let size = size.filter(|size| size.values() == Some(d));
    let size = size.unwrap_or(ImageSize {
        height: 1,
        width: d,
        channels: 1,
    });
    // Without run.json the text still names the training data.
    let text = match (&about, &learnt_from) {
        (Some(about), _) => about.to_string(),
        (None, Some(sum)) => json!({"data": {"sha256": sum}}).to_string(),
        (None, None) => String::new(),
    };
    let generator = Generator::of_run(&open.config, &store, size, &text)?;
    Ok(OpenGenerator {
        generator,
        prefix: format!("{}/", folder.display()),
        who: folder.display().to_string(),
        step: Some(store.control.step),
        learnt_from,
        about,
    })
}

impl OpenGenerator {
    fn new(generator: Generator, who: String, prefix: String) -> Result<OpenGenerator, Failure> {
        Ok(OpenGenerator {
            about: About::parse(generator.about()),
            learnt_from: generator.learnt_from(),
            generator,
            prefix,
            who,
            step: None,
        })
    }

    /// `runs/mnist-001, after step 600`, or the name alone.
    pub(super) fn origin(&self) -> String {
        let step = self.step.map(|step| format!(", after step {step}"));
        self.who.clone() + &step.unwrap_or_default()
    }

    /// Its training data; other data are refused.
    pub(super) fn data(&self, quiet: bool) -> Result<Dataset, Failure> {
        let config = self.generator.config();
        run_folder::learnt(config, &self.who, self.learnt_from.as_deref(), quiet)
    }

    /// Its training data, or the bundled sample; the caller then says so.
    pub(super) fn data_or_sample(&self) -> Result<Dataset, Failure> {
        let config = self.generator.config();
        run_folder::learnt_or_sample(config, &self.who, self.learnt_from.as_deref())
    }

    /// The warning beside results on the bundled sample.
    pub(super) fn caveat(&self) -> Option<String> {
        self.about.as_ref()?.caveat()
    }
}
