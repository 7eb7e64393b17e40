//! The Dirac-GAN: the smallest game in which the order of updates matters.
//!
//! The data are the single number 0, G's only sample is θ, D has the logit ψ x. Gradient steps rotate around the equilibrium
//! θ = ψ = 0. With the Wasserstein loss a simultaneous step is (θ, ψ) <- (θ + lr ψ, ψ - lr θ): a rotation that increases the
//! distance by the factor √(1 + lr²) each time.
//!
//! source: Mescheder, Geiger and Nowozin 2018, "Which training methods for GANs do actually converge?", section 2
//!
//! ```
//! use ganforge_see::theory::dirac::{Dirac, Loss, Order};
//! let game = Dirac { loss: Loss::Wasserstein, order: Order::Simultaneous, penalty: 0.0, lr: 0.1 };
//! let path = game.play([1.0, 0.0], 1)?;
//! assert_eq!(path, [[1.0, 0.0], [1.0, -0.1]]);
//! # Ok::<(), ganforge_gan::Error>(())
//! ```

use ganforge_tensor::{Cpu, Executor, Graph, Plan, Result, Store};

/// What the players minimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// D: D(θ) - D(0); G: -D(θ); D(x) = ψ x.
    Wasserstein,
    /// The paper's, non-saturating, from the logit ψ x.
    NonSaturating,
}

/// The order of the updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Both from the old parameters.
    Simultaneous,
    /// D first, then G against the new D.
    Alternating,
}

/// A game.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dirac {
    /// What the players minimise.
    pub loss: Loss,
    /// The order of the updates.
    pub order: Order,
    /// γ of the penalty γ/2 (∂D/∂x)² at the data, on D's loss: zero-centred; 0: none.
    pub penalty: f64,
    /// The learning rate of both.
    pub lr: f64,
}

impl Dirac {
    /// (θ, ψ) at the start and after each of `steps` gradient steps.
    ///
    /// # Errors
    /// The engine's.
    pub fn play(&self, start: [f32; 2], steps: usize) -> Result<Vec<[f32; 2]>> {
        let g = Graph::new();
        let plan = self.step(&g)?;
        let mut store = Store::new(0);
        for (name, value) in ["theta", "psi"].into_iter().zip(start) {
            store.insert(name, [1], vec![value])?;
        }
        let mut cpu = Cpu::new(&plan);
        let mut path = vec![start];
        for _ in 0..steps {
            cpu.run(&plan, &mut store, &[])?;
            let value = |name| store.get(name).map_or(f32::NAN, |e| e.data[0]);
            path.push([value("theta"), value("psi")]);
        }
        Ok(path)
    }

    fn step(&self, g: &Graph) -> Result<Plan> {
        let (theta, psi) = (g.param("theta", [1]), g.param("psi", [1]));
        let x = g.constant(0.0, [1]);
        let (real, fake) = (psi * x, psi * theta);
        let loss_d = match self.loss {
            Loss::Wasserstein => fake - real,
            Loss::NonSaturating => (-real).softplus() + fake.softplus(),
        };
        let slope = g.grad(real.sum(), &[x])?[0];
        let loss_d = (loss_d + slope.square() * (self.penalty / 2.0)).sum();
        let new_psi = psi - g.grad(loss_d, &[psi])?[0] * self.lr;
        let against = match self.order {
            Order::Simultaneous => psi,
            Order::Alternating => new_psi.detach(),
        };
        let loss_g = match self.loss {
            Loss::Wasserstein => -(against * theta),
            Loss::NonSaturating => (-(against * theta)).softplus(),
        };
        let new_theta = theta - g.grad(loss_g.sum(), &[theta])?[0] * self.lr;
        let plan = Plan::of(g).update(psi, new_psi).update(theta, new_theta);
        plan.compile()
    }
}

/// Distance from the equilibrium.
pub fn radius([theta, psi]: [f32; 2]) -> f64 {
    f64::from(theta).hypot(f64::from(psi))
}
