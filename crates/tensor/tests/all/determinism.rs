//! The same bits on any number of threads, and with every value kept.

use crate::common::gan::Training;
use crate::common::{Rng, assert_same, contents, fetches};
use ganforge_tensor::plan::Kernel;
use ganforge_tensor::{Cpu, Keep};

type Values = std::collections::HashMap<String, Vec<f32>>;

fn train(threads: usize, keep: Keep, steps: usize) -> (Values, Values) {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool");
    pool.install(|| {
        let mut training = Training::new(keep);
        let mut cpu = Cpu::new(&training.plan);
        (0..steps).for_each(|_| training.step(&mut cpu));
        (
            contents(&training.store),
            fetches(&training.plan, &cpu, &training.store),
        )
    })
}

#[test]
fn twenty_steps_give_the_same_bytes_on_one_two_and_three_threads() {
    let (store, fetched) = train(1, Keep::Fetched, 20);
    let before = contents(&Training::new(Keep::Fetched).store);
    for (name, values) in &store {
        assert!(values.iter().all(|v| v.is_finite()), "{name}");
        assert_ne!(values, &before[name], "{name} was not trained");
    }
    for threads in [2, 3] {
        let (other, other_fetched) = train(threads, Keep::Fetched, 20);
        assert_same(&format!("{threads} threads, store"), &store, &other);
        assert_same(
            &format!("{threads} threads, fetch"),
            &fetched,
            &other_fetched,
        );
    }
}

#[test]
fn keeping_every_value_gives_the_same_bytes() {
    let (store, fetched) = train(2, Keep::Fetched, 3);
    let (other, other_fetched) = train(2, Keep::All, 3);
    assert_same("store", &store, &other);
    assert_same("fetch", &fetched, &other_fetched);
}

#[test]
fn the_step_takes_the_paths_it_is_to_test() {
    let plan = Training::new(Keep::Fetched).plan;
    let text = plan.to_string();
    for kernel in [
        "matmul+momentum",
        "matmul+bias+relu",
        "maxout+dropout of 5",
        "gather_rows",
        "put",
    ] {
        assert!(text.contains(kernel), "no {kernel} in\n{text}");
    }
    let large = |k: &Kernel| matches!(k, Kernel::Elementwise(p) if p.elements > 1 << 16);
    assert!(plan.calls.iter().any(|s| large(&s.kernel)));
    assert!(plan.buffer_bytes() < Training::new(Keep::All).plan.buffer_bytes() / 2);
    assert_eq!(plan.cost(), Training::new(Keep::All).plan.cost());
}

#[test]
fn reals_are_the_same_for_the_same_seed() {
    assert_eq!(Rng::new(4).reals(9), Rng::new(4).reals(9));
    assert!(
        Rng::new(4)
            .reals(99)
            .iter()
            .all(|x| (-1.0..1.0).contains(x))
    );
}
