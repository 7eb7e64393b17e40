//! Runs over several ranks, which are threads here: the same checkpoint bytes, and all ranks end alike.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ganforge_comm::{Communicator, Threads};
use ganforge_gan::config::Config;
use ganforge_gan::data::{Dataset, GAUSSIAN, bundled_sample};
use ganforge_gan::error::{Error, Kind};
use ganforge_gan::ranks::Ranks;
use ganforge_gan::run::Run;
use ganforge_gan::train::{self, Observer, Outcome, Progress};
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::Device;

/// Asks for a stop after so many steps, where it is that rank.
struct StopAfter(Option<u64>, u64);

impl Observer for StopAfter {
    fn step(&mut self, progress: &Progress) {
        self.1 = progress.step;
    }
    fn message(&mut self, _: &str) {}
    fn should_stop(&self) -> bool {
        self.0 == Some(self.1 + 1)
    }
}

/// What one rank is given.
struct Task<'a> {
    config: &'a Config,
    data: &'a Dataset,
    folder: &'a Path,
    /// The rank that asks for a stop, and after how many steps.
    stop: Option<(usize, u64)>,
}

impl Task<'_> {
    /// Trains as one of several ranks, from the newest checkpoint in the folder. Whether it was stopped.
    fn rank(&self, comm: impl Communicator + 'static) -> Result<bool, Error> {
        let ranks = Ranks::of(Arc::new(comm));
        let stop = self.stop.filter(|s| s.0 == ranks.rank()).map(|s| s.1);
        let data = self.data;
        let mut trainer = Trainer::among(&ranks, &Device::CPU, self.config, &data.train)?;
        if !ranks.is_first() {
            trainer.share()?;
            let observer = &mut StopAfter(stop, trainer.steps());
            return train::follow(&mut trainer, data, observer);
        }
        let mut run = match self.folder.is_dir() {
            true => Run::open(self.folder)?.0,
            false => Run::create(self.folder, self.config, "{}")?,
        };
        run.newest(|path| trainer.load(path))?;
        trainer.share()?;
        run.rewind(trainer.steps())?;
        let observer = &mut StopAfter(stop, trainer.steps());
        Ok(train::train(&mut trainer, data, &mut run, observer)? == Outcome::Stopped)
    }

    /// The same with so many ranks; what each says.
    fn ranks(&self, n: usize) -> Vec<Result<bool, Error>> {
        std::thread::scope(|scope| {
            let threads = Threads::of(n).into_iter();
            let threads: Vec<_> = threads
                .map(|comm| scope.spawn(|| self.rank(comm)))
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("no panic"))
                .collect()
        })
    }
}

/// The last checkpoint, the rows of both tables.
fn files(folder: &Path) -> [Vec<u8>; 3] {
    let mut checkpoints: Vec<_> = fs::read_dir(folder.join("checkpoints"))
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("step"))
        })
        .collect();
    checkpoints.sort();
    let last = checkpoints.pop().expect("a checkpoint");
    [last, folder.join("metrics.csv"), folder.join("scores.csv")]
        .map(|path| fs::read(path).expect("there"))
}

fn config(preset: &str, options: &[&str]) -> Config {
    let config = Config::preset(preset).and_then(|c| c.with(options));
    config.expect("valid")
}

/// Few examples of the bundled digits.
fn digits() -> Dataset {
    let mut data = bundled_sample().expect("bundled");
    let labels: Vec<u8> = (0..64).map(|i: usize| (i * 7 % 10) as u8).collect();
    data.train = data
        .train
        .slice(0..64)
        .expect("examples")
        .with_labels(labels);
    data.valid = data.valid.slice(0..16).expect("examples");
    data.test = data.test.slice(0..16).expect("examples");
    data
}

fn same_files(config: &Config, data: &Dataset, what: &str) {
    let place = tempfile::tempdir().expect("a folder");
    let of = |n: usize| {
        let folder = place.path().join(n.to_string());
        let task = Task {
            config,
            data,
            folder: &folder,
            stop: None,
        };
        for (rank, done) in task.ranks(n).into_iter().enumerate() {
            let done = done.unwrap_or_else(|e| panic!("{what}, rank {rank} of {n}: {e}"));
            assert!(!done, "{what}, rank {rank} of {n} was stopped");
        }
        files(&folder)
    };
    let one = of(1);
    for n in [2, 4] {
        assert!(of(n) == one, "{what}: {n} ranks have other files than one");
    }
}

const TINY: [&str; 5] = [
    "train.shards=4",
    "train.batch=16",
    "train.epochs=2",
    "output.log_every=3",
    "eval.samples=50",
];

#[test]
fn a_perceptron_has_the_same_checkpoint_with_one_two_and_four_ranks() {
    let data = digits();
    for options in [
        &[
            "train.update=alternating",
            "train.k=2",
            "discriminator.layer.h0.keep_prob=0.5",
        ][..],
        &[
            "train.update=simultaneous",
            "optimizer.kind=adam",
            "train.average=0.9",
        ],
        &[
            "train.update=alternating",
            "train.reuse_noise=true",
            "optimizer.weight_decay=0.01",
        ],
    ] {
        let config = config("tiny", &[&TINY[..], options].concat());
        same_files(&config, &data, &options.join(" "));
    }
}

#[test]
fn penalties_have_the_same_checkpoint_with_one_two_and_four_ranks() {
    let data = GAUSSIAN.draw(1);
    for penalty in [
        "[{kind=\"gp\"}]",
        "[{kind=\"r1\", every=3}, {kind=\"l2\"}]",
        "[{kind=\"dragan\"}]",
    ] {
        let penalty = format!("discriminator.penalty={penalty}");
        let options = [
            "train.shards=4",
            "train.batch=2048",
            "train.epochs=2",
            "train.update=alternating",
            "train.warmup={steps=1, k=7, every=0}",
            "eval.samples=50",
            penalty.as_str(),
        ];
        same_files(&config("fig1", &options), &data, &penalty);
    }
}

/// DCGAN's nets with few channels.
const CONVOLUTIONS: [&str; 6] = [
    "generator.layer.h0.shape=[7, 7, 8]",
    "generator.layer.h0.units=392",
    "generator.layer.h1.channels=4",
    "discriminator.layer.h0.channels=4",
    "discriminator.layer.h1.channels=8",
    "output.grid=[1, 1]",
];

#[test]
fn convolutions_with_batch_norm_have_the_same_checkpoint_with_one_two_and_four_ranks() {
    let data = digits();
    for (preset, norm) in [
        ("dcgan28", &[][..]),
        (
            "dcgan28",
            &[
                "generator.layer.h0.norm.sync=true",
                "discriminator.layer.h1.norm.sync=true",
            ],
        ),
        (
            "dcgan28",
            &[
                "discriminator.layer.h1.norm={kind=\"batch\", moves=\"last_pass\", running_variance=\"unbiased\"}",
            ],
        ),
        ("sngan", &["train.average=0.99"]),
    ] {
        let config = config(preset, &[&CONVOLUTIONS[..], &TINY, norm].concat());
        same_files(&config, &data, &norm.join(" "));
    }
}

/// Of the whole minibatch, shards or not, up to rounding; each by itself is another norm.
#[test]
fn synchronised_batch_norm_is_that_of_the_whole_minibatch() {
    let data = digits();
    let trained = |options: &[&str]| {
        let all = [&CONVOLUTIONS[..], &TINY[1..], options].concat();
        let mut trainer = Trainer::new(&config("dcgan28", &all), &data.train).expect("a trainer");
        (0..3).for_each(|_| drop(trainer.step().expect("a step")));
        let values = trainer.store().iter().flat_map(|e| e.data.iter().copied());
        values.collect::<Vec<f32>>()
    };
    let sync = [
        "generator.layer.h0.norm.sync=true",
        "generator.layer.h1.norm.sync=true",
        "discriminator.layer.h1.norm.sync=true",
    ];
    let whole = trained(&["optimizer.kind=sgd"]);
    let four = trained(&[&sync[..], &["train.shards=4", "optimizer.kind=sgd"]].concat());
    let apart = trained(&["train.shards=4", "optimizer.kind=sgd"]);
    let distance = |a: &[f32], b: &[f32]| {
        let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        a.iter().zip(b).map(square).sum::<f64>().sqrt()
    };
    let (near, far) = (distance(&whole, &four), distance(&whole, &apart));
    assert!(near < 1e-4 && near < far / 100.0, "{near} and {far}");
}

#[test]
fn classes_have_the_same_checkpoint_with_one_two_and_four_ranks() {
    let data = digits();
    let layers = "generator.layer.h0.norm={kind=\"conditional\", classes=10}";
    for classes in ["uniform", "data"] {
        let classes = format!("noise.classes={classes}");
        let config = config("tiny", &[&TINY[..], &[layers, &classes]].concat());
        same_files(&config, &data, &classes);
    }
}

#[test]
fn shards_that_their_ranks_cannot_share_out_are_refused() {
    let (data, place) = (GAUSSIAN.draw(1), tempfile::tempdir().expect("a folder"));
    let config = config("fig1", &["train.shards=2", "train.batch=64"]);
    let task = Task {
        config: &config,
        data: &data,
        folder: &place.path().join("run"),
        stop: None,
    };
    for done in task.ranks(4) {
        let said = done.expect_err("refused").to_string();
        assert!(
            said.contains("4 ranks cannot share out train.shards = 2"),
            "{said}"
        );
    }
    assert!(!task.folder.exists());
    for (options, expected) in [
        (
            ["train.shards=3", "train.batch=63"],
            "train.shards must be a power of two that divides train.batch, which is 63, got 3",
        ),
        (
            ["train.shards=4", "train.batch=50"],
            "train.shards must be a power of two that divides train.batch, which is 50, got 4",
        ),
    ] {
        let said = Config::preset("fig1")
            .and_then(|c| c.with(&options))
            .unwrap_err()
            .to_string();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_stop_of_any_rank_stops_all_and_another_number_of_ranks_goes_on_to_the_same_files() {
    let (data, place) = (GAUSSIAN.draw(1), tempfile::tempdir().expect("a folder"));
    let options = [
        "train.shards=4",
        "train.batch=256",
        "train.epochs=2",
        "output.log_every=4",
        "eval.samples=50",
    ];
    let config = config("fig1", &options);
    let run = |name: &str, n: usize, stop| {
        let folder = place.path().join(name);
        let task = Task {
            config: &config,
            data: &data,
            folder: &folder,
            stop,
        };
        let said = task.ranks(n).into_iter();
        said.map(|done| done.expect("trained"))
            .collect::<Vec<bool>>()
    };
    assert_eq!(run("whole", 1, None), [false]);
    assert_eq!(run("stopped", 4, Some((3, 2))), [true; 4]);
    assert_eq!(run("stopped", 2, Some((0, 3))), [true; 2]);
    assert_eq!(run("stopped", 1, None), [false]);
    let of = |name| files(&place.path().join(name));
    assert!(of("whole") == of("stopped"));
}

/// Ranks, each with its configuration or data.
fn differing(tasks: [(&Config, &Dataset); 2]) -> Vec<Error> {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("run");
    std::thread::scope(|scope| {
        let threads = Threads::of(2).into_iter().zip(tasks);
        let threads: Vec<_> = threads
            .map(|(comm, (config, data))| {
                let task = Task {
                    config,
                    data,
                    folder: &folder,
                    stop: None,
                };
                scope.spawn(move || task.rank(comm).expect_err("refused"))
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic"))
            .collect()
    })
}

#[test]
fn ranks_that_disagree_are_told_so_on_all_of_them() {
    let options = ["train.shards=2", "train.batch=1024", "train.epochs=1"];
    let (here, data) = (config("fig1", &options), GAUSSIAN.draw(1));
    let there = here.with(&["optimizer.lr=0.02"]).expect("valid");
    for error in differing([(&here, &data), (&there, &data)]) {
        let expected =
            "rank 1 has another configuration than rank 0: all ranks must be given the same";
        assert_eq!(
            (error.to_string().as_str(), error.kind()),
            (expected, Kind::Input)
        );
    }
    for error in differing([(&here, &data), (&here, &GAUSSIAN.draw(2))]) {
        let said = error.to_string();
        assert!(
            said.contains("rank 1 has another data set than rank 0"),
            "{said}"
        );
    }
}

#[test]
fn a_rank_that_computes_something_else_is_named_with_the_tensor() {
    let (config, data) = (
        config("fig1", &["train.shards=2", "train.batch=64"]),
        GAUSSIAN.draw(1),
    );
    let said = std::thread::scope(|scope| {
        let threads = Threads::of(2).into_iter().map(|comm| {
            let (config, data) = (&config, &data);
            scope.spawn(move || {
                let ranks = Ranks::of(Arc::new(comm));
                let mut trainer = Trainer::among(&ranks, &Device::CPU, config, &data.train)?;
                trainer.step()?;
                ranks.check_store(trainer.store(), trainer.steps())?;
                let mut store = trainer.store().clone();
                if ranks.rank() == 1 {
                    let bias = store.get("D.out.b").expect("a bias").data[0];
                    store.insert("D.out.b", [1], vec![f32::from_bits(bias.to_bits() ^ 1)])?;
                }
                ranks.check_store(&store, trainer.steps())
            })
        });
        let threads: Vec<_> = threads.collect();
        let join = |t: std::thread::ScopedJoinHandle<_>| t.join().expect("no panic");
        threads
            .into_iter()
            .map(join)
            .collect::<Vec<Result<(), Error>>>()
    });
    for done in said {
        let error = done.expect_err("another bit");
        let said = error.to_string();
        assert!(
            said.starts_with("after step 1: rank 1 has other values of D.out.b than rank 0"),
            "{said}"
        );
        assert_eq!(error.kind(), Kind::Work);
    }
}

#[test]
fn where_a_loss_is_not_finite_all_ranks_name_the_same_node() {
    let (data, place) = (digits(), tempfile::tempdir().expect("a folder"));
    let diverges = ["train.epochs=50", "optimizer.lr=1000"];
    let config = config("tiny", &[&TINY[..2], &diverges].concat());
    let said = |n: usize| {
        let task = Task {
            config: &config,
            data: &data,
            folder: &place.path().join(n.to_string()),
            stop: None,
        };
        let all = task.ranks(n).into_iter();
        all.map(|done| done.expect_err("it diverges").to_string())
            .collect::<Vec<_>>()
    };
    for all in [said(1), said(2)] {
        // Where the last good state is, rank 0 alone knows.
        let node = |said: &String| said.split("; the last good state").next().map(String::from);
        assert!(all.iter().all(|s| node(s) == node(&all[0])), "{all:?}");
        assert!(
            all[0].contains("the first node that went bad is %"),
            "{all:?}"
        );
    }
}
