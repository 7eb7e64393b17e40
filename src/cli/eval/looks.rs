//! The options that say what looks at images, and by which rules.

use clap::builder::PossibleValuesParser;
use ganforge::gan::config::text_option;
use ganforge::gan::metrics::sets::protocol::Protocol;

/// What looks at images.
#[derive(clap::Args)]
pub(super) struct LookArgs {
    /// The network that looks at images: mnistnet, cifarnet, inception, a run, a classifier's file or its configuration
    #[arg(long, value_name = "NAME|RUN|FILE")]
    extractor: Option<String>,
    /// The weights of --extractor inception, or of a configuration: .pth, .safetensors or .npz
    #[arg(long, value_name = "FILE", requires = "extractor")]
    weights: Option<String>,
    /// The program whose rules for images, subsets, splits and balls to follow
    #[arg(long, value_name = "NAME",
        value_parser = PossibleValuesParser::new(Protocol::ALL.map(Protocol::name)))]
    protocol: Option<String>,
    /// So many samples or images, and as many real ones [default: 2000]
    #[arg(short = 'n', long = "images-each", value_name = "N")]
    images: Option<usize>,
}

impl LookArgs {
    /// The options that were given, and their keys of a metric.
    pub(super) fn keys(&self) -> Vec<(&'static str, String)> {
        let text = |option: &'static str, value: &Option<String>| {
            let value = value.as_ref()?;
            Some((option, text_option(option, value)))
        };
        let images = self.images.map(|n| ("n", format!("images={n}")));
        let keys = [
            text("extractor", &self.extractor),
            text("weights", &self.weights),
            text("protocol", &self.protocol),
            images,
        ];
        keys.into_iter().flatten().collect()
    }

    /// The protocol that was given.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        let mut all = Protocol::ALL.into_iter();
        all.find(|p| Some(p.name()) == self.protocol.as_deref())
    }
}
