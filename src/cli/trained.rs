//! A trained generator as the commands are given one: of a run, in a file, or from the program itself.

use std::path::{Path, PathBuf};

use ganforge::gan::data::{self, Dataset};
use ganforge::gan::figures::grid::ImageSize;
use ganforge::gan::generator::Generator;

use super::about::About;
use super::failure::Failure;
use super::run_folder::{self, OpenRun};

/// `RUN` or `--pretrained NAME`.
#[derive(clap::Args)]
pub(super) struct Trained {
    /// The run's folder, or a file of `ganforge export`
    #[arg(value_name = "RUN", required_unless_present = "pretrained")]
    run: Option<PathBuf>,
    /// A generator that comes with the program: mnist
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pretrained: Option<String>,
}

/// An opened generator.
pub(super) struct OpenGenerator {
    pub(super) generator: Generator,
    /// Where pictures of it go and what they are called after: `RUN/`, or the name and `-`.
    pub(super) prefix: String,
    /// run.json of its run, where it is known.
    pub(super) about: Option<About>,
}

impl Trained {
    /// Opens what was named.
    pub(super) fn open(&self) -> Result<OpenGenerator, Failure> {
        match (&self.run, &self.pretrained) {
            (Some(path), _) if path.is_file() => of_file(path),
            (Some(folder), _) => of_run(folder),
            (None, Some(name)) => {
                OpenGenerator::new(Generator::pretrained(name)?, format!("{name}-"))
            }
            (None, None) => Err(Failure::input("name a run, or --pretrained NAME")),
        }
    }
}

/// The generator in a file.
pub(super) fn of_file(path: &Path) -> Result<OpenGenerator, Failure> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    OpenGenerator::new(Generator::read(path)?, format!("{stem}-"))
}

/// The generator of a run's newest checkpoint.
fn of_run(folder: &Path) -> Result<OpenGenerator, Failure> {
    let open = OpenRun::open(folder)?;
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
    let text = about.as_ref().map(About::to_string).unwrap_or_default();
    let generator = Generator::of_run(&open.config, &store, size, &text)?;
    Ok(OpenGenerator {
        generator,
        prefix: format!("{}/", folder.display()),
        about,
    })
}

impl OpenGenerator {
    fn new(generator: Generator, prefix: String) -> Result<OpenGenerator, Failure> {
        Ok(OpenGenerator {
            about: About::parse(generator.about()),
            generator,
            prefix,
        })
    }

    /// The data that it learnt from.
    pub(super) fn data(&self) -> Result<Dataset, Failure> {
        match &self.about {
            Some(about) if about.is_on_sample() => {
                let contrast = self.generator.config().data.contrast;
                Ok(data::bundled_sample()?.with_contrast(contrast))
            }
            _ => run_folder::load(self.generator.config(), false),
        }
    }

    /// What must be said beside results on the bundled sample.
    pub(super) fn caveat(&self) -> Option<String> {
        self.about.as_ref()?.caveat()
    }
}
