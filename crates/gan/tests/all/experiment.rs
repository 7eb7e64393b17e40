//! Networks that a program brings along.

use ganforge_gan::tensors::{Initial, Role, Tensors};
use ganforge_gan::{Config, Experiment};
use ganforge_tensor::Device;

/// G subtracts the mean of its minibatch in training, and a running mean otherwise.
fn experiment(options: &[&str]) -> Experiment {
    let points: Vec<f32> = (0..1200).map(|i| (i as f32).sin()).collect();
    let own = Experiment::new("centred", 2, points).expect("points");
    let own = own
        .generator(|b, z| {
            let h = b.linear("h", z, 8) + 3.0;
            let stored = b.buffer("mean", [1, 8], Initial::Constant(0.0));
            let mean = match b.is_training() {
                true => h.sum_axes(&[0]) * (1.0 / h.shape().dims()[0] as f64),
                false => stored,
            };
            b.update("mean", stored * 0.5 + mean * 0.5);
            b.linear("out", (h - mean).relu(), 2)
        })
        .discriminator(|b, x| {
            let h = b.linear("h", x, 8).leaky_relu(0.2);
            b.linear("out", h, 1)
        });
    let all = [&["noise.dim=3", "train.batch=40"], options].concat();
    own.with(&all).expect("valid")
}

#[test]
fn a_running_mean_is_a_buffer_that_lasts_and_that_no_optimiser_trains() {
    for update in ["train.update=simultaneous", "train.update=alternating"] {
        let own = experiment(&[update]);
        let tensors = Tensors::of(own.config(), 2);
        let mean = tensors.get("G.net.mean").expect("declared");
        assert_eq!((mean.role, mean.part()), (Role::Buffer, "mean"));
        assert!(tensors.get("G.net.mean.square").is_none());
        let mut trainer = own.trainer(&Device::CPU).expect("a trainer");
        for _ in 0..20 {
            trainer.step().expect("a step");
        }
        let mean = &trainer.store().get("G.net.mean").expect("stored").data;
        assert!(
            mean.iter().all(|m| (1.5..4.5).contains(m)),
            "{update}: {mean:?}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.npz");
        trainer.save(&path, "sum").expect("written");
        let mut other = own.trainer(&Device::CPU).expect("a trainer");
        other.load(&path).expect("read");
        assert!(other.store().iter().eq(trainer.store().iter()));
        assert_eq!(
            other.step().expect("a step"),
            trainer.step().expect("a step")
        );
        assert_eq!(own.samples(&trainer, 5).expect("drawn").len(), 10);
    }
}

#[test]
fn what_a_program_lacks_or_builds_wrongly_is_said() {
    let text = experiment(&[]).config().to_toml();
    assert!(text.contains("kind = \"own:net\""), "{text}");
    let error = Config::from_toml(&text, "run.toml").expect_err("lacks the nets");
    assert!(
        error.to_string().contains("this one has no such thing"),
        "{error}"
    );
    assert_eq!(
        experiment(&[])
            .config()
            .read_like(&text, "run.toml")
            .expect("brings them"),
        *experiment(&[]).config()
    );
    let wrong = experiment(&[]).generator(|b, z| b.linear("h", z, 4) + b.linear("g", z, 3));
    let error = wrong
        .with(&["seed=2"])
        .err()
        .expect("shapes that differ")
        .to_string();
    assert!(
        error.contains("generator.layer.net") && error.contains("cannot be built"),
        "{error}"
    );
    assert!(Experiment::new("few", 2, vec![1.0; 19]).is_err());
}
