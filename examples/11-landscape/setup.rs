//! The nets of a run, and what it changes of them.

use ganforge::gan::data::ImageSize;
use ganforge::gan::{Config, Error, Result};

use super::{Args, Cell};

/// What is done to D beside its loss: names and settings.
pub const REGULARISERS: [(&str, &[&str]); 3] = [
    ("none", &[]),
    (
        "gp",
        &["discriminator.penalty=[{kind=\"gp\", weight=10.0}]"],
    ),
    ("sn", &["discriminator.norm=spectral"]),
];
/// What the grid itself sets.
const OF_GRID: [&str; 3] = ["data", "seed", "loss.kind"];
/// What the runs share; in braces what the data say.
const BASE: &str = include_str!("base.toml");

/// D's last layer: a number for each example.
const CRITIC: &str = include_str!("critic.toml");

/// D's last layers where it reconstructs examples.
const AUTO_ENCODER: &str = include_str!("auto-encoder.toml");

/// What a loss needs beside its name to be the one that was published, as the presets of these names have it.
fn settings_of(loss: &str, regulariser: &str) -> &'static [&'static str] {
    match (loss, regulariser) {
        // What keeps the critic's outputs finite where nothing else does.
        ("wgan", "none") => &["discriminator.clip=0.01"],
        // With its published relu D died here: all outputs 0.
        ("ls-gan", _) => &["loss.tau=0.003", "loss.output=softplus"],
        ("gls-gan", "none") => &[
            "loss.tau=0.003",
            "loss.slope=0.5",
            "discriminator.clip=0.08",
        ],
        ("gls-gan", _) => &["loss.tau=0.003", "loss.slope=0.5"],
        ("ebgan", _) => &["loss.margin=1.0", "loss.energy=mse"],
        ("ebgan-pt", _) => &["loss.margin=1.0", "loss.energy=mse", "loss.code=code"],
        ("cls-gan", _) => &[
            "loss.tau=0.001",
            "noise.classes=data",
            "generator.layer+={name=\"class\", kind=\"append_class\", before=\"h0\"}",
            "discriminator.layer.out.units=10",
        ],
        _ => &[],
    }
}

/// The configuration of a run.
pub fn config(args: &Args, image: ImageSize, cell: &Cell) -> Result<Config> {
    let ImageSize {
        height,
        width,
        channels,
    } = image;
    if height % 4 > 0 || width % 4 > 0 {
        let message = format!(
            "{}: images of {image}: the nets make sides that are multiples of 4",
            args.data
        );
        return Err(Error::Mismatch(message));
    }
    let is_of_grid = |option: &&String| {
        let key = option.split('=').next().unwrap_or("").trim();
        let mut beginnings = key.match_indices('.').map(|(end, _)| &key[..end]);
        OF_GRID.contains(&key) || beginnings.any(|begin| OF_GRID.contains(&begin))
    };
    if let Some(option) = args.set.iter().find(is_of_grid) {
        let message = format!(
            "--set {option}: the grid itself sets {}",
            OF_GRID.join(", ")
        );
        return Err(Error::Mismatch(message));
    }
    let last = match cell.loss.as_str() {
        "ebgan" | "ebgan-pt" => AUTO_ENCODER,
        _ => CRITIC,
    };
    let text = [BASE, last].concat();
    let text = [("{h}", height / 4), ("{w}", width / 4), ("{c}", channels)]
        .iter()
        .fold(text, |text, (name, value)| {
            text.replace(name, &value.to_string())
        });
    let regulariser = REGULARISERS.iter().find(|r| r.0 == cell.regulariser);
    let mut options: Vec<String> = vec![
        format!("data.set={:?}", args.data),
        format!("seed={}", cell.seed),
        format!("loss.kind={}", cell.loss),
    ];
    let of_cell = regulariser.map_or(&[][..], |r| r.1).iter();
    let of_loss = settings_of(&cell.loss, &cell.regulariser).iter();
    options.extend(of_cell.chain(of_loss).map(|option| option.to_string()));
    options.extend(args.set.iter().cloned());
    Ok(Config::from_toml_with(&text, "landscape", &options)?)
}
