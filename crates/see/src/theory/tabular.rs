//! The game over a few outcomes: p_g itself is learnt, and D is optimal at every step.
//!
//! This is the setting of the paper's convergence statement (section 4.2), in which descent ends at p_g = p_data.

use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan, Result, Store};

use ganforge_gan::metrics::density::{cost, jsd};

/// How descent ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Descent {
    /// p_g.
    pub p_g: Vec<f64>,
    /// C(G), in nats.
    pub cost: f64,
}

/// Gradient descent of p_g = softmax(θ), from θ = 0, on V(D*, G) = Σ p log D* + p_g log(1 - D*), where D* = p / (p + p_g)
/// is found anew at each step and held fixed while G moves.
///
/// # Errors
/// The engine's.
pub fn descend(p: &[f64], lr: f64, steps: usize) -> Result<Descent> {
    let n = p.len();
    let g = Graph::new();
    let data = g.input("p", [n]);
    let theta = g.param("theta", [n]);
    let odds = theta.exp();
    let p_g = odds / odds.sum();
    let d = (data / (data + p_g)).detach();
    let value = (data * d.log() + p_g * (1.0 - d).log()).sum();
    let new = theta - g.grad(value, &[theta])?[0] * lr;
    let plan = Plan::of(&g).update(theta, new).compile()?;
    let (mut store, mut cpu) = (Store::new(0), Cpu::new(&plan));
    store.insert("theta", [n], vec![0.0; n])?;
    let data: Vec<f32> = p.iter().map(|&p| p as f32).collect();
    for _ in 0..steps {
        cpu.run(&plan, &mut store, &[Feed::new("p", [n], &data)])?;
    }
    let theta = &store.get("theta").expect("inserted above").data;
    let odds: Vec<f64> = theta.iter().map(|&t| f64::from(t).exp()).collect();
    let sum: f64 = odds.iter().sum();
    let p_g: Vec<f64> = odds.iter().map(|o| o / sum).collect();
    Ok(Descent {
        cost: cost(jsd(p, &p_g)),
        p_g,
    })
}
