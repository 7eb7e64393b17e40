//! Defaults, bases, and options that change lists.

use super::*;

fn names(network: &Network) -> Vec<&str> {
    network.layers.iter().map(|l| l.name.as_str()).collect()
}

pub(super) fn metrics(config: &Config) -> Vec<&str> {
    config.eval.metrics.iter().map(MetricKind::name).collect()
}

fn read(text: &str) -> Config {
    Config::from_toml(text, "short.toml").unwrap()
}

#[test]
fn what_is_left_out_has_its_stated_default_and_is_written_out() {
    let ring = read("name = 'a'\n[data]\nset = 'ring'\n[train]\nepochs = 2\n");
    assert_eq!(
        (ring.noise.dim, ring.train.epochs, metrics(&ring)),
        (2, 2, vec!["modes"])
    );
    assert_eq!(names(&ring.generator), ["h0", "h1", "out"]);
    let last = |c: &Config| c.generator.layers.last().unwrap().clone();
    assert_eq!(
        (affine(&last(&ring)).units, last(&ring).kind.range()),
        (2, f32::NEG_INFINITY..=f32::INFINITY)
    );
    assert_eq!(affine(&ring.discriminator.layers[2]).units, 1);
    let digits = read("");
    assert_eq!((digits.name.as_str(), digits.noise.dim), ("run", 100));
    assert_eq!(
        (affine(&last(&digits)).units, last(&digits).kind.range()),
        (784, 0.0..=1.0)
    );
    let gcn = read("[data]\nset = 'cifar10'\ncontrast = 'gcn'\n");
    assert_eq!(
        (affine(&last(&gcn)).units, last(&gcn).kind.name()),
        (3072, "linear")
    );
    // A list that names none of its layers, and whose last one is what the data need.
    let short = read("[[generator.layer]]\nunits = 64\n[[generator.layer]]\n");
    assert_eq!(names(&short.generator), ["h0", "out"]);
    assert_eq!(
        (affine(&short.generator.layers[0]).units, short.output_dim()),
        (64, 784)
    );
    let file = read("[data]\nset = 'a.npz'\n[generator.layer.out]\nunits = 7\n");
    assert_eq!(file.output_dim(), 7);
    for config in [ring, digits, gcn, short, file] {
        assert_eq!(read(&config.to_toml()), config);
    }
}

#[test]
fn a_base_is_changed_key_by_key() {
    let mnist = mnist();
    let changed = read(
        "base = 'mnist'\nname = 'b'\n[optimizer]\nkind = 'adam'\nlr = 0.01\n[generator.layer.h1]\nunits = 7\nkeep_prob = 0.5\n",
    );
    let same = mnist.with(&[
        "name=b",
        "optimizer.kind=adam",
        "optimizer.lr=0.01",
        "generator.layer.h1.units=7",
        "generator.layer.h1.keep_prob=0.5",
    ]);
    assert_eq!(changed, same.unwrap());
    assert!(!changed.to_toml().contains("base"));
    // A computed default follows what it is computed from; what is set stays.
    let dropout = |c: &Config| c.discriminator.layers[0].dropout().unwrap().scale;
    let layer = "base = 'mnist'\n[discriminator.layer.h0]\nkeep_prob = 0.25\n";
    assert_eq!(dropout(&read(layer)), 4.0);
    assert_eq!(dropout(&read(&format!("{layer}scale = 3\n"))), 3.0);
    // An array replaces.
    let replaced =
        read("base = 'mnist'\n[[generator.layer]]\nname = 'a'\nactivation = 'sigmoid'\n");
    assert_eq!(names(&replaced.generator), ["a"]);
    assert_eq!(replaced.output_dim(), 784);
    // Files from the folder of the file, one on the other.
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.toml", "base = 'tiny'\nseed = 5\n");
    write("b.toml", "base = 'a.toml'\ntrain.epochs = 3\n");
    let load = |name: &str| Config::load(folder.path().join(name).to_str().unwrap());
    let b = load("b.toml").unwrap();
    assert_eq!((b.seed, b.train.epochs, b.name.as_str()), (5, 3, "tiny"));
    for (text, expected) in [
        (
            "base = 3",
            "base must be a preset or the path of a file, got 3",
        ),
        (
            "\nbase = 'minst'",
            "c.toml:2: base = \"minst\": neither a preset nor a file, did you mean mnist?",
        ),
        ("base = 'c.toml'", "base is a chain of more than 8 files"),
        (
            "base = 'mnist'\n[generator.layer.h7]\nunits = 3",
            "c.toml:2: generator.layer has no element \"h7\", only h0, h1, out",
        ),
        (
            "base = 'a.toml'\n[optimizer]\nbeta1 = 0.5",
            "c.toml:3: optimizer.beta1 is not used here, only with kind = \"adam\"",
        ),
    ] {
        write("c.toml", text);
        let got = load("c.toml").unwrap_err().to_string();
        assert!(got.contains(expected), "{got}\nwant {expected}");
    }
}

#[test]
fn options_reach_into_lists() {
    let with = |options: &[&str]| mnist().with(options);
    let add = "generator.layer+={name='h2', units=64, activation='tanh'}";
    let c = with(&[add]).unwrap();
    assert_eq!(names(&c.generator), ["h0", "h1", "h2", "out"]);
    assert_eq!(
        (
            affine(&c.generator.layers[2]).units,
            &affine(&c.generator.layers[2]).weights.init
        ),
        (64, &Init::Glorot)
    );
    let c = with(&[
        "generator.layer += {name='a', after='h0'}",
        "generator.layer+={name='b', before='h0'}",
    ]);
    assert_eq!(names(&c.unwrap().generator), ["b", "h0", "a", "h1", "out"]);
    let c = with(&["generator.layer-=h1", "generator.layer.h0.units=3"]).unwrap();
    assert_eq!(names(&c.generator), ["h0", "out"]);
    assert_eq!(affine(&c.generator.layers[0]).units, 3);
    // Also where the file says nothing of layers.
    let short = |options: &[&str]| Config::from_toml_with("name = 'a'", "a.toml", options);
    let c = short(&["generator.layer.h0.units=600", add, "data.set=ring"]).unwrap();
    assert_eq!(names(&c.generator), ["h0", "h1", "h2", "out"]);
    assert_eq!(
        (affine(&c.generator.layers[0]).units, c.output_dim()),
        (600, 2)
    );
    let c = short(&[
        "generator.layer.h0.kind=maxout",
        "generator.layer.h0.pieces=2",
    ])
    .unwrap();
    let LayerKind::Maxout(maxout) = &c.generator.layers[0].kind else {
        panic!("{c:?}");
    };
    assert_eq!(maxout.pieces, 2);
    for (option, expected) in [
        (
            "generator.layer-=h9",
            "generator.layer has no element \"h9\", only h0, h1, out, did you mean h0?",
        ),
        (
            "generator.layer+=3",
            "generator.layer takes a table after the +=",
        ),
        (
            "generator.layer+={name='a', after='x'}",
            "generator.layer has no element \"x\"",
        ),
        (
            "generator.layer+={name='a', after='h0', before='h0'}",
            "after or before, not both",
        ),
        (
            "generator.layer+={name='h0'}",
            "generator.layer.h0.name is already the name of an earlier layer",
        ),
        (
            "generator.layer+={name='a', unit=3}",
            "unknown key generator.layer.a.unit, did you mean generator.layer.a.units?",
        ),
        ("train.epochs+=3", "train.epochs is no list"),
        ("train+=3", "train is no list"),
    ] {
        let got = with(&[option]).unwrap_err().to_string();
        assert!(
            got.starts_with("--set ") && got.contains(expected),
            "{got}\nwant {expected}"
        );
    }
}

#[test]
fn the_page_of_keys_in_docs_is_what_the_program_prints() {
    let (page, docs) = (
        keys_page(),
        include_str!("../../../../../docs/configuration.md"),
    );
    assert!(
        page == docs,
        "run: ganforge presets keys > docs/configuration.md"
    );
    assert!(page.lines().all(|l| l.len() <= 120), "{page}");
}

#[test]
fn a_network_has_its_own_optimizer_where_it_says_what_differs() {
    let c = mnist().with(&[
        "discriminator.optimizer.lr=0.4",
        "generator.optimizer.kind=adam",
    ]);
    let c = c.unwrap();
    let (d, g) = (c.optimizer_of("D"), c.optimizer_of("G"));
    assert_eq!(
        (d.lr, d.lr_decay, &d.rule),
        (0.4, c.optimizer.lr_decay, &c.optimizer.rule)
    );
    assert_eq!((g.lr, g.rule.name()), (c.optimizer.lr, "adam"));
    let text = c.to_toml();
    assert!(
        text.contains("[discriminator.optimizer]\nkind = \"sgd\""),
        "{text}"
    );
    assert_eq!(read(&text), c);
    let c = mnist();
    assert_eq!(c.optimizer_of("D"), &c.optimizer);
    for (option, expected) in [
        (
            "discriminator.optimizer.lr_min=0.5",
            "optimizer.lr_min must be a number at least 0 and at most 0.2, got 0.5",
        ),
        (
            "discriminator.optimizer.beta1=0.5",
            "discriminator.optimizer.beta1 is not used here, only with kind = \"adam\"",
        ),
        ("discriminator.optimizer.kind=adm", "did you mean \"adam\"?"),
    ] {
        let got = c.with(&[option]).unwrap_err().to_string();
        assert!(got.starts_with("--set ") && got.contains(expected), "{got}");
    }
}

#[test]
fn penalties_are_the_discriminators() {
    use crate::penalties::GradientPenalty;
    let penalty = "[[discriminator.penalty]]\nkind = \"gp\"\nweight = 3.0\n";
    let c = read(&format!("base = 'tiny'\n{penalty}"));
    assert!(c.to_toml().contains(penalty));
    assert_eq!(read(&c.to_toml()), c);
    let weight = c
        .with(&["discriminator.penalty.gradient_penalty.weight=4"])
        .unwrap();
    let expected = PenaltyKind::GradientPenalty(GradientPenalty {
        weight: 4.0,
        ..GradientPenalty::default()
    });
    assert_eq!(weight.discriminator.penalties[0].kind, expected);
    let short = mnist().with(&["discriminator.penalty=[\"gp\"]"]).unwrap();
    assert_eq!(short.discriminator.penalties, [PenaltyTerm::default()]);
    let twice = mnist()
        .with(&["discriminator.penalty=[\"gp\", \"gradient_penalty\"]"])
        .unwrap_err();
    let expected = "discriminator.penalty has \"gp\" twice";
    assert!(twice.to_string().contains(expected), "{twice}");
    let got = mnist().with(&["generator.penalty=[\"gp\"]"]).unwrap_err();
    assert!(
        got.to_string()
            .ends_with("generator.penalty is not used here, only with the discriminator"),
        "{got}"
    );
}

#[test]
fn joined_follows_the_order_of_the_updates_unless_it_is_said() {
    let joined = |options: &[&str]| mnist().with(options).unwrap().train.joined;
    assert!(
        !joined(&[]) && joined(&["train.update=alternating"]) && joined(&["train.joined=true"])
    );
    assert!(!joined(&["train.update=alternating", "train.joined=false"]));
}
