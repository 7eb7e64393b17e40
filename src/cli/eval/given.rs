//! Which options go with what is scored.

use super::Args;
use crate::cli::failure::Failure;

/// Options that say how something trained is scored.
const OF_TRAINED: &[&str] = &["metrics", "set", "extractor", "weights", "protocol", "n"];

/// Options that say how sets of images are compared.
const OF_IMAGES: &[&str] = &[
    "reference",
    "metrics",
    "extractor",
    "weights",
    "protocol",
    "n",
    "kid-subset-size",
    "range",
    "reference-range",
    "size",
    "part",
];

/// Options that say how sets of features are compared.
const OF_FEATURES: &[&str] = &[
    "reference",
    "metrics",
    "protocol",
    "logits",
    "kid-subset-size",
    "statistics",
];

/// Refuses an option that would change nothing of what is scored.
pub(super) fn check(args: &Args) -> Result<(), Failure> {
    let features = &args.features;
    let (subject, goes) = if features.is_asked() {
        match features.reference() {
            Some(_) => ("--features", OF_FEATURES),
            None => ("--features without --reference", &["statistics"][..]),
        }
    } else if args.images.is_asked() {
        ("--images", OF_IMAGES)
    } else if args.samples.is_some() {
        ("--samples", &["valid", "test"][..])
    } else if args.pretrained.is_some() {
        ("--pretrained", OF_TRAINED)
    } else if args.run.is_some() {
        ("a run or a file", OF_TRAINED)
    } else {
        return Ok(());
    };
    let is_given = [
        ("metrics", !args.metrics.is_empty()),
        ("set", !args.set.is_empty()),
        ("best", args.best && args.run.is_none()),
        ("valid", args.valid.is_some()),
        ("test", args.test.is_some()),
    ];
    let is_given = is_given.into_iter().filter(|(_, given)| *given);
    let mut all = is_given
        .map(|(name, _)| name)
        .chain(args.looks.given())
        .chain(features.given())
        .chain(args.images.given());
    match all.find(|name| !goes.contains(name)) {
        Some(name) => Err(Failure::input(format!(
            "{}: changes nothing of {subject}",
            dashed(name)
        ))),
        None => Ok(()),
    }
}

/// The option as it is written.
pub(super) fn dashed(name: &str) -> String {
    let dashes = if name.len() == 1 { "-" } else { "--" };
    format!("{dashes}{name}")
}
