//! Every key of a configuration, by table: what the reader knows and the suggestions choose from.

pub(super) const ROOT: &[&str] = &[
    "name",
    "seed",
    "init_from",
    "data",
    "noise",
    "generator",
    "discriminator",
    "loss",
    "train",
    "optimizer",
    "eval",
    "output",
];
pub(super) const DATA: &[&str] = &["set", "contrast", "resize"];
pub(super) const NOISE: &[&str] = &["dim", "distribution"];
pub(super) const NETWORK: &[&str] = &["layer"];
pub(super) const LAYER: &[&str] = &[
    "name",
    "kind",
    "units",
    "pieces",
    "activation",
    "slope",
    "init",
    "bias",
    "include",
    "scale",
    "dropout_epochs",
    "max_col_norm",
];
pub(super) const INIT: &[&str] = &["uniform", "normal", "sparse", "glorot", "run"];
pub(super) const LOSS: &[&str] = &["discriminator", "half", "generator"];
pub(super) const TRAIN: &[&str] = &["epochs", "batch", "update", "k", "average"];
pub(super) const OPTIMIZER: &[&str] = &[
    "kind", "lr", "lr_decay", "lr_min", "momentum", "beta1", "beta2", "eps",
];
pub(super) const MOMENTUM: &[&str] = &["start", "end", "first", "last"];
pub(super) const EVAL: &[&str] = &["samples", "valid", "every"];
pub(super) const OUTPUT: &[&str] = &["grid", "checkpoint_every", "keep_checkpoints", "log_every"];

/// Where a key that stands in the wrong table belongs.
pub(super) fn elsewhere(key: &str) -> Option<String> {
    const TABLES: &[(&str, &[&str])] = &[
        ("", ROOT),
        ("data.", DATA),
        ("noise.", NOISE),
        ("loss.", LOSS),
        ("train.", TRAIN),
        ("optimizer.", OPTIMIZER),
        ("optimizer.momentum.", MOMENTUM),
        ("eval.", EVAL),
        ("output.", OUTPUT),
        ("generator.layer.NAME.", LAYER),
    ];
    TABLES
        .iter()
        .find(|(_, keys)| keys.contains(&key))
        .map(|(table, _)| format!("{table}{key}"))
}

/// Keys that only make sense for one value of another key of the same table: when a `--set` option changes the
/// first, the others leave with the old value unless they are set too.
pub(super) const DEPENDENTS: &[(&str, &str, &[&str])] = &[
    ("train", "update", &["k"]),
    ("optimizer", "kind", &["momentum", "beta1", "beta2", "eps"]),
    ("layer", "kind", &["pieces", "activation", "slope"]),
    ("layer", "activation", &["slope"]),
    ("layer", "include", &["scale", "dropout_epochs"]),
];
