//! The options that say what looks at images, and by which rules.

use clap::builder::PossibleValuesParser;
use ganforge::gan::config::text_option;
use ganforge::gan::data::ImageSize;
use ganforge::gan::extractors::{BUNDLED, Extractor};
use ganforge::gan::inception::Inception;
use ganforge::gan::metrics::Extraction;
use ganforge::gan::metrics::sets::protocol::Protocol;
use ganforge::tensor::Device;

use super::failure::Failure;
use super::output::tell;

/// The network whose weights do not come with the program.
const INCEPTION: &str = "inception";

/// What looks at images.
#[derive(clap::Args)]
pub(super) struct LookArgs {
    /// The network whose features are compared: mnistnet, cifarnet, inception, a run, a classifier's file or its configuration
    #[arg(long, value_name = "NAME|RUN|FILE")]
    extractor: Option<String>,
    /// The weights of --extractor inception, or of a configuration: .pth, .safetensors or .npz
    #[arg(long, value_name = "FILE", requires = "extractor")]
    weights: Option<String>,
    /// Follow the rules of this program for images and scores [default: none for runs; for images and features those of the
    /// reference, else torch-fidelity]
    #[arg(long, value_name = "NAME",
        value_parser = PossibleValuesParser::new(Protocol::ALL.map(Protocol::name)))]
    protocol: Option<String>,
    /// Number of images; eval compares them with as many real ones [default: 2000 of a run, or all images of files]
    #[arg(short = 'n', long = "images-each", value_name = "N")]
    count: Option<usize>,
}

impl LookArgs {
    /// The options that were given, and their keys of a metric.
    pub(super) fn keys(&self) -> Vec<(&'static str, String)> {
        let text = |option: &'static str, value: &Option<String>| {
            let value = value.as_ref()?;
            Some((option, text_option(option, value)))
        };
        let images = self.count.map(|n| ("n", format!("images={n}")));
        let keys = [
            text("extractor", &self.extractor),
            text("weights", &self.weights),
            text("protocol", &self.protocol),
            images,
        ];
        keys.into_iter().flatten().collect()
    }

    /// The names of the options that were given.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        self.keys().into_iter().map(|(option, _)| option)
    }

    /// Refuses a network whose weights are a file of the user's where that is not named.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let needs = match (self.extractor.as_deref(), &self.weights) {
            (Some(name @ INCEPTION), None) => format!(
                "--extractor {name}: its weights do not come with the program: expected --weights FILE, as {}, which \
                 torch-fidelity and pytorch-fid download (SHA-256 {})",
                Inception::PUBLISHED[0],
                Inception::PUBLISHED[1]
            ),
            (Some(name), None) if name.ends_with(".toml") => {
                format!("--extractor {name}: a configuration: expected --weights FILE with it")
            }
            _ => return Ok(()),
        };
        Err(Failure::input(needs))
    }

    /// The protocol that was given.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        let mut all = Protocol::ALL.into_iter();
        all.find(|p| Some(p.name()) == self.protocol.as_deref())
    }

    /// How many images.
    ///
    /// errors: fewer than two
    pub(super) fn count(&self) -> Result<Option<usize>, Failure> {
        match self.count {
            Some(n @ 0..=1) => Err(Failure::input(format!(
                "-n {n}: expected at least 2 images"
            ))),
            count => Ok(count),
        }
    }

    /// The network that was asked for, or else the one that comes with the program for images of this size.
    pub(super) fn network(
        &self,
        size: Option<ImageSize>,
        protocol: Protocol,
        device: &Device,
    ) -> Result<Extractor, Failure> {
        self.check()?;
        let own = || BUNDLED.iter().find(|b| Some(b.image) == size);
        let extractor = match (&self.extractor, own()) {
            (Some(name), _) => name.clone(),
            (None, Some(bundled)) => bundled.name.to_owned(),
            (None, None) => {
                let size = match size {
                    Some(size) => format!("images of {size}"),
                    None => "images of several sizes".to_owned(),
                };
                return Err(Failure::input(format!(
                    "no network of the program looks at {size}: expected --extractor inception --weights FILE, or a network of \
                     your own"
                )));
            }
        };
        let mut network = Extractor::find(&Extraction {
            extractor,
            weights: self.weights.clone(),
            protocol: Some(protocol),
            ..Extraction::default()
        })?;
        network.move_to(device)?;
        if let Some(note) = network.note() {
            tell(&format!("warning: {note}"));
        }
        Ok(network)
    }
}
