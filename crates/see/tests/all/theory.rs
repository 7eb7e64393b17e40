//! The paper's theory, section 4, as facts about numbers.

use std::f64::consts::LN_2;

use ganforge_gan::data::Mixture;
use ganforge_gan::metrics::density::{cost, jsd, jsd_of, optimal_d};
use ganforge_see::theory::dirac::{Dirac, Loss, Order, radius};
use ganforge_see::theory::{best_d, helvetica, tabular};
use ganforge_tensor::ops::Env;
use ganforge_tensor::{Graph, Plan, Reference};

/// The least cost.
const LEAST: f64 = -1.386_294_361_119_890_6; // -log 4

fn normal(mean: f64, sd: f64) -> impl Fn(f64) -> f64 {
    let truth = Mixture {
        centres: vec![mean],
        d: 1,
        sd,
    };
    move |x| truth.density(&[x])
}

#[test]
fn the_best_d_is_where_the_slope_of_the_value_vanishes() {
    // V = Σ p log σ(a) + q log(1 - σ(a)) over three outcomes, as a graph in f64.
    let g = Graph::new();
    let (p, q, a) = (g.input("p", [3]), g.input("q", [3]), g.input("a", [3]));
    let value = -(p * (-a).softplus() + q * a.softplus()).sum();
    let slope = g.grad(value, &[a]).expect("reached")[0];
    let plan = Plan::of(&g).fetch("V", value).fetch("slope", slope);
    let plan = plan.compile().expect("valid");
    let (data, samples) = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]);
    let best: Vec<f64> = data
        .iter()
        .zip(samples)
        .map(|(&p, q)| optimal_d(p, q))
        .collect();
    for (d, expected) in best.iter().zip([0.714_285_714_3, 0.5, 0.285_714_285_7]) {
        assert!((d - expected).abs() < 1e-10);
    }
    let mut f64s = Reference::new();
    let mut at = |shift: f64| {
        let logits = best.iter().map(|d| (d / (1.0 - d)).ln() + shift);
        let logits: Vec<f64> = logits.collect();
        let leaf = |name: &str| match name {
            "p" => data.to_vec(),
            "q" => samples.to_vec(),
            _ => logits.clone(),
        };
        f64s.evaluate(&plan, Env::default(), leaf).expect("runs");
        let fetch = |name| f64s.fetch(&plan, name).expect("fetched").to_vec();
        (fetch("V")[0], fetch("slope"))
    };
    let (best_value, slope) = at(0.0);
    assert!(slope.iter().all(|s| s.abs() < 1e-15), "{slope:?}");
    assert!((best_value - cost(jsd(&data, &samples))).abs() < 1e-14);
    assert!(at(0.1).0 < best_value && at(-0.1).0 < best_value);
}

#[test]
fn cost_is_minus_log_4_plus_twice_the_divergence() {
    let quadrature = |p: (f64, f64), q: (f64, f64)| {
        jsd_of(normal(p.0, p.1), normal(q.0, q.1), [-30.0, 30.0], 6000)
    };
    let table = [
        (
            quadrature((0.0, 1.0), (1.0, 1.0)),
            0.1114214822,
            -1.1634513968,
        ),
        (
            quadrature((0.0, 1.0), (2.0, 1.0)),
            0.3368308203,
            -0.7126327204,
        ),
        (
            quadrature((0.0, 1.0), (4.0, 1.0)),
            0.6327201937,
            -0.1208539736,
        ),
        (
            quadrature((0.0, 1.0), (0.0, 2.0)),
            0.0927333813,
            -1.2008275985,
        ),
        (
            jsd(&[0.5, 0.3, 0.2], &[0.2, 0.3, 0.5]),
            0.0664143144,
            -1.2534657324,
        ),
    ];
    for (divergence, expected, c) in table {
        assert!((divergence - expected).abs() < 1e-9, "{divergence}");
        assert!((cost(divergence) - c).abs() < 1e-9, "{divergence}");
    }
}

#[test]
fn cost_is_least_where_both_are_equal_and_zero_where_they_are_disjoint() {
    let p = [0.1, 0.2, 0.7];
    assert_eq!(cost(jsd(&p, &p)), LEAST);
    assert!(p.iter().all(|&p| optimal_d(p, p) == 0.5));
    assert!(cost(jsd(&[1.0, 0.0], &[0.0, 1.0])).abs() < 1e-15);
    for q in [[0.2, 0.2, 0.6], [0.1, 0.2001, 0.6999], [1.0, 0.0, 0.0]] {
        let c = cost(jsd(&p, &q));
        assert!(c > LEAST && c < 0.0, "{q:?}: {c}");
    }
    let far = jsd_of(normal(0.0, 1.0), normal(100.0, 1.0), [-20.0, 120.0], 14_000);
    assert!((far - LN_2).abs() < 1e-9, "{far}");
}

#[test]
fn a_trained_d_becomes_the_best_one() {
    let x: Vec<f64> = (0..=1400).map(|i| -6.0 + 0.01 * f64::from(i)).collect();
    let d = best_d::train(1, 4000, &x).expect("runs");
    for (&x, d) in x.iter().zip(&d).filter(|(x, _)| (-2.0..=4.0).contains(*x)) {
        let [p, q] = best_d::densities(x);
        assert!((d - optimal_d(p, q)).abs() < 0.03, "D({x}) = {d}");
    }
    let value = best_d::value(&x, &d);
    assert!((value + 0.712_632_720_4).abs() < 0.02, "{value}");
    assert!(
        value < -0.712_632_720_4,
        "no D is better than the best: {value}"
    );
}

#[test]
fn descent_against_the_best_d_ends_at_the_data() {
    for p in [[0.5, 0.3, 0.2], [0.9, 0.09, 0.01]] {
        let end = tabular::descend(&p, 1.0, 3000).expect("runs");
        assert!((end.cost - LEAST).abs() < 1e-6, "{end:?}");
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-3;
        assert!(end.p_g.iter().zip(&p).all(close), "{end:?}");
    }
}

fn dirac(loss: Loss, order: Order, penalty: f64) -> Dirac {
    let lr = 0.1;
    Dirac {
        loss,
        order,
        penalty,
        lr,
    }
}

/// Distances from the equilibrium along a game from (1, 0).
fn radii(game: &Dirac, steps: usize) -> Vec<f64> {
    radii_from(game, [1.0, 0.0], steps)
}

fn radii_from(game: &Dirac, start: [f32; 2], steps: usize) -> Vec<f64> {
    let path = game.play(start, steps).expect("runs");
    path.into_iter().map(radius).collect()
}

#[test]
fn simultaneous_wasserstein_steps_grow_by_the_root_of_one_plus_lr_squared() {
    let r = radii(&dirac(Loss::Wasserstein, Order::Simultaneous, 0.0), 200);
    let growth = 1.01_f64.sqrt();
    for pair in r.windows(2) {
        assert!((pair[1] / pair[0] - growth).abs() < 1e-6, "{pair:?}");
    }
    assert!((r[200] - growth.powi(200)).abs() < 1e-4 * r[200]);
}

#[test]
fn alternating_steps_stay_on_their_ellipse() {
    let game = dirac(Loss::Wasserstein, Order::Alternating, 0.0);
    for [theta, psi] in game.play([1.0, 0.0], 500).expect("runs") {
        let kept = theta * theta + psi * psi - 0.1 * theta * psi;
        assert!((kept - 1.0).abs() < 1e-4, "{kept}");
    }
    let r = radii(&game, 5000);
    // So r² stays between 1 / (1 + lr / 2) and 1 / (1 - lr / 2).
    let bounds = [1.05_f64, 0.95].map(|s| (1.0 / s).sqrt());
    let is_near = |r: &f64| (bounds[0] - 1e-3..bounds[1] + 1e-3).contains(r);
    assert!(r.iter().all(is_near), "{bounds:?}");
    assert!(r[4990..].iter().any(|&r| r > 0.99), "no convergence either");
}

#[test]
fn the_papers_loss_runs_away_from_the_equilibrium_and_stays_near() {
    let game = dirac(Loss::NonSaturating, Order::Simultaneous, 0.0);
    // Close by both slopes are half of the Wasserstein game's.
    let r = radii_from(&game, [0.01, 0.0], 300);
    let growth = (1.0 + 0.01_f64 / 4.0).sqrt();
    for pair in r.windows(2) {
        assert!((pair[1] / pair[0] - growth).abs() < 1e-5, "{pair:?}");
    }
    // Further out D's certainty holds it back: d(r²)/dt = -2 θψ tanh(θψ / 2) <= 0, and a cycle is left.
    let (inner, outer) = (radii_from(&game, [0.2, 0.0], 20_000), radii(&game, 20_000));
    assert!(outer[20_000] < 0.5 && inner[20_000] > 0.25);
    assert!((inner[20_000] - outer[20_000]).abs() < 0.05);
}

#[test]
fn a_gradient_penalty_leads_to_the_equilibrium() {
    for loss in [Loss::Wasserstein, Loss::NonSaturating] {
        for order in [Order::Simultaneous, Order::Alternating] {
            let r = radii(&dirac(loss, order, 1.0), 1000);
            assert!(r[1000] < 1e-3, "{loss:?} {order:?}: {}", r[1000]);
        }
    }
}

#[test]
fn too_many_steps_of_g_put_all_samples_at_one_place() {
    let config = helvetica::small_ring(1).expect("valid");
    let end = |per_d| {
        let moments = helvetica::train(&config, per_d, &[1500]).expect("runs");
        moments.into_iter().next().expect("one moment")
    };
    let (good, bad) = (end(1), end(20));
    assert!(good.score.covered >= 4, "{:?}", good.score);
    assert!(good.crowd < 0.3, "{}", good.crowd);
    assert!(bad.score.covered <= 1, "{:?}", bad.score);
    assert!(bad.crowd > 0.45, "{}", bad.crowd);
}
