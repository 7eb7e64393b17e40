//! 8. Your own GAN: your data, G, D and loss in less than sixty lines; change any of them. Here: data near a
//! parabola, and the least-squares loss (Mao et al. 2017), which the library does not have.
//!
//! `cargo run --release --example 08-your-own-gan -- [STEPS]`

use ganforge::tensor::{Cpu, Executor, Graph, Plan, Result, Store, Var};

/// Linear layers with leaky ReLU in between. Declaring an existing parameter again returns the same one.
fn net<'g>(name: &str, sizes: &[usize], x: Var<'g>) -> (Var<'g>, Vec<Var<'g>>) {
    let (g, mut h, mut params) = (x.graph(), x, Vec::new());
    for (i, s) in sizes.windows(2).enumerate() {
        let w = g.param(&format!("{name}.{i}.w"), [s[0], s[1]]);
        let b = g.param(&format!("{name}.{i}.b"), [s[1]]);
        h = if i == 0 { h } else { h.leaky_relu(0.2) }.matmul(w) + b;
        params.extend([w, b]);
    }
    (h, params)
}

/// Trains and returns 256 samples, [256, 2].
pub fn run(steps: usize) -> Result<Vec<f32>> {
    let (g, mut store) = (Graph::new(), Store::new(1)); // 1 is the seed of all random numbers
    let x = g.uniform("x", [256, 1], -1.5, 1.5);
    let data = x.concat(x.square() + g.normal("noise", [256, 1], 0.0, 0.05), 1);
    let (fake, g_params) = net("G", &[2, 64, 64, 2], g.uniform("z", [256, 2], -1.0, 1.0));
    let (d_real, d_params) = net("D", &[2, 64, 64, 1], data);
    let (d_fake, _) = net("D", &[2, 64, 64, 1], fake);
    let loss_d = (d_real - 1.0).square().mean() + d_fake.square().mean(); // D: target 1 for data, 0 for samples
    let loss_g = (d_fake - 1.0).square().mean(); // G: target 1 for samples
    let (mut init, mut step) = (Plan::of(&g), Plan::of(&g).fetch("G(z)", fake));
    for (loss, params) in [(loss_d, &d_params), (loss_g, &g_params)] {
        for (p, dp) in params.iter().zip(g.grad(loss, params)?) {
            let (name, shape) = (p.label(), p.shape());
            init = init.update(*p, g.uniform(&format!("init/{name}"), shape, -0.3, 0.3));
            let s = g.param(&format!("{name}.square"), shape); // RMSProp: the mean squared gradient
            let s_new = s * 0.99 + dp.square() * 0.01;
            let p_new = *p - dp / (s_new.sqrt() + 1e-6) * 5e-4;
            step = step.update(s, s_new).update(*p, p_new);
        }
    }
    let (init, step) = (init.compile()?, step.compile()?);
    for p in &step.states {
        store.insert(&p.name, p.shape, vec![0.0; p.shape.elements()])?;
    }
    Cpu::new(&init).run(&init, &mut store, &[])?;
    let mut cpu = Cpu::new(&step);
    for i in 0..steps {
        store.control.step = i as u64; // fresh random numbers
        cpu.run(&step, &mut store, &[])?;
    }
    Ok(cpu.fetch(&step, &store, "G(z)").expect("fetched").to_vec())
}

fn main() -> Result<()> {
    let steps = std::env::args().nth(1);
    let samples = run(steps.map_or(2000, |n| n.parse().expect("a number")))?;
    samples.chunks(2).take(10).for_each(|p| println!("{p:.2?}"));
    Ok(())
}
