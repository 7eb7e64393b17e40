//! What each step trains on, and by which rates.

use ganforge_gan::config::Config;
use ganforge_gan::data::Images;
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::Store;

/// Images whose first pixel is their number.
fn images(n: usize) -> Images {
    let byte = |i: usize| match i % 784 {
        0 => i / 784,
        place => i * 7919 % 256 + place % 2,
    };
    let bytes = (0..n * 784).map(|i| byte(i).min(255) as u8);
    Images::from_bytes(784, bytes.collect::<Vec<u8>>())
}

fn config(options: &[&str]) -> Config {
    Config::preset("tiny")
        .and_then(|c| c.with(options))
        .unwrap()
}

/// The numbers of the images that an epoch trains on, in their order.
fn epoch(trainer: &mut Trainer) -> Vec<usize> {
    let mut order = Vec::new();
    for _ in 0..trainer.steps_per_epoch() {
        trainer.step().unwrap();
        let firsts = trainer.x().iter().step_by(784);
        order.extend(firsts.map(|x| (x * 255.0).round() as usize));
    }
    order
}

#[test]
fn an_epoch_trains_on_each_image_once_and_the_next_one_in_another_order() {
    for options in [
        &["train.batch=5"][..],
        &["train.batch=5", "train.update=alternating", "train.k=2"],
    ] {
        let mut trainer = Trainer::new(&config(options), &images(60)).unwrap();
        let epochs = [epoch(&mut trainer), epoch(&mut trainer)];
        for order in &epochs {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..60).collect::<Vec<_>>(), "{options:?}");
            assert_ne!(*order, sorted, "{options:?}");
        }
        assert_ne!(epochs[0], epochs[1], "{options:?}");
    }
}

#[test]
fn what_fills_no_minibatch_is_left_out_and_never_replaced_by_a_repetition() {
    let mut trainer = Trainer::new(&config(&["train.batch=7"]), &images(60)).unwrap();
    let mut order = epoch(&mut trainer);
    order.sort_unstable();
    order.dedup();
    assert_eq!(order.len(), 56);
}

/// The velocity of D's last bias after a step from `store` with that velocity before.
fn velocity_after(trainer: &mut Trainer, store: &Store, before: f32) -> f32 {
    const NAME: &str = "D.out.b.velocity";
    let mut store = store.clone();
    store.insert(NAME, [1], vec![before]).unwrap();
    trainer.set_store(store);
    trainer.step().unwrap();
    trainer.store().get(NAME).unwrap().data[0]
}

/// v <- mu v - lr g: what v = 1 adds to the result is mu, and what v = 0 leaves is proportional to lr.
#[test]
fn momentum_and_learning_rate_of_each_step_are_those_of_the_formulas() {
    let decaying = config(&[
        "train.batch=20",
        "optimizer.lr=0.1",
        "optimizer.lr_decay=1.25",
        "optimizer.lr_min=0.03",
        "optimizer.momentum.start=0.5",
        "optimizer.momentum.end=0.8",
        "optimizer.momentum.first=1",
        "optimizer.momentum.last=3",
    ]);
    let constant = decaying.with(&["optimizer.lr_decay=1"]).unwrap();
    let images = images(60);
    let trainer = |config| Trainer::new(config, &images).unwrap();
    let mut whole = trainer(&decaying);
    let (mut decaying, mut constant) = (trainer(&decaying), trainer(&constant));
    for step in 0..9 {
        let mu = [0.5, 0.65, 0.8][step / 3];
        let lr = (0.1 / 1.25_f64.powi(step as i32)).max(0.03);
        let store = whole.store().clone();
        let report = whole.step().unwrap();
        assert!(
            (report.get("momentum").unwrap() - mu).abs() < 1e-12,
            "step {step}"
        );
        assert!(
            (report.get("lr").unwrap() - lr).abs() < 1e-12,
            "step {step}"
        );
        let at_rest = velocity_after(&mut decaying, &store, 0.0);
        let moving = velocity_after(&mut decaying, &store, 1.0);
        assert!((moving - at_rest - mu as f32).abs() < 1e-6, "step {step}");
        let undiminished = velocity_after(&mut constant, &store, 0.0);
        let ratio = f64::from(at_rest) / f64::from(undiminished);
        assert!((ratio - lr / 0.1).abs() < 1e-5, "step {step}: {ratio}");
    }
}

/// No layer here looks at the whole minibatch: joined or not, D learns the same but for rounding.
#[test]
fn a_penalty_an_optimizer_of_d_s_own_and_minibatches_apart_train() {
    let own = [
        "train.batch=5",
        "train.update=alternating",
        "discriminator.penalty=[\"gp\"]",
        "discriminator.optimizer.kind=adam",
        "discriminator.optimizer.lr=0.001",
        "generator.optimizer.lr=0.05",
    ];
    let trained = |more: &[&str]| {
        let mut trainer = Trainer::new(&config(&[&own, more].concat()), &images(60)).unwrap();
        for _ in 0..3 {
            let report = trainer.step().unwrap();
            let rates = (report.get("lr_d"), report.get("lr_g"));
            assert!(rates.0 <= Some(0.001) && rates.1 > Some(0.04), "{rates:?}");
            assert!(report.get("gp") > Some(0.0));
        }
        assert!(trainer.store().get("D.h0.w.square").is_some());
        assert!(trainer.store().get("G.h0.w.velocity").is_some());
        trainer.store().get("D.h0.w").unwrap().data.to_vec()
    };
    let (joined, apart) = (trained(&[]), trained(&["train.joined=false"]));
    let far = joined.iter().zip(&apart).map(|(a, b)| (a - b).abs());
    assert!(far.fold(0.0, f32::max) < 1e-3);
}
