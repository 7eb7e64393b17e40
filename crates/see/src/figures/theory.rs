//! Plots of the results of [`theory`](crate::theory).

use ganforge_tensor::words::counted;
use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan as Step, Store};

use crate::theory::best_d;
use crate::theory::dirac::{Dirac, Loss, Order};
use crate::theory::helvetica::Moment;
use ganforge_gan::data::Mixture;
use ganforge_gan::error::Result;
use ganforge_gan::losses::{Judged, Minimax, NonSaturating, Objective};
use ganforge_gan::metrics::density::optimal_d;
use ganforge_gan::toy_plot;
use ganforge_plots::{Axis, BLACK, BLUE, Corner, GREEN, GREY, Mark, Panel, Plot, RED, Stroke};

const SIZE: [u32; 2] = [400, 320];

/// G's two losses against the logit of a sample, and their gradients: where D is sure (left), the minimax loss is flat.
///
/// # Errors
/// The engine's.
pub fn saturation() -> Result<Plot> {
    let logits: Vec<f32> = (-80..=80).map(|i| 0.1 * i as f32).collect();
    let mut panels = vec![
        Panel {
            title: "G's loss for one sample".into(),
            y: Axis::new("loss in nats", [-8.5, 8.5]),
            legend: Corner::LowerLeft,
            ..Panel::default()
        },
        Panel {
            title: "its gradient: what G learns from".into(),
            y: Axis::new("d loss / d logit", [-1.05, 0.05]),
            ..Panel::default()
        },
    ];
    for (loss, colour, stroke, name) in [
        (
            &Minimax::default() as &dyn Objective,
            RED,
            Stroke::Dashed,
            "log(1 − D), minimax",
        ),
        (
            &NonSaturating::default(),
            GREEN,
            Stroke::Solid,
            "−log D, non-saturating",
        ),
    ] {
        let curves = loss_and_slope(loss, &logits)?;
        for ((panel, curve), name) in panels.iter_mut().zip(curves).zip([name, ""]) {
            panel.x = Axis::new("logit of D(G(z)): < 0 generated, > 0 real", [-8.0, 8.0]);
            panel.marks.push(Mark::line(curve, stroke, colour, name));
        }
    }
    Ok(Plot {
        panel_size: SIZE,
        columns: 2,
        panels,
    })
}

fn loss_and_slope(of: &dyn Objective, logits: &[f32]) -> Result<[Vec<[f64; 2]>; 2]> {
    let g = Graph::new();
    let a = g.input("a", [1, 1]);
    let loss = of.g(&Judged::of(a));
    let slope = g.grad(loss, &[a])?[0];
    let plan = Step::of(&g).fetch("loss", loss).fetch("slope", slope);
    let plan = plan.compile()?;
    let (mut store, mut cpu) = (Store::new(0), Cpu::new(&plan));
    let mut curves = [Vec::new(), Vec::new()];
    for &logit in logits {
        cpu.run(&plan, &mut store, &[Feed::new("a", [1, 1], &[logit])])?;
        for (curve, name) in curves.iter_mut().zip(["loss", "slope"]) {
            let value = cpu.fetch(&plan, &store, name).expect("the plan fetches it")[0];
            curve.push([f64::from(logit), f64::from(value)]);
        }
    }
    Ok(curves)
}

/// The Dirac-GAN from (1, 0) by three rules.
///
/// # Errors
/// The engine's.
pub fn spirals() -> Result<Plot> {
    let rules = [
        ("simultaneous: runs away", Order::Simultaneous, 0.0),
        ("alternating: circles", Order::Alternating, 0.0),
        ("with gradient penalty: arrives", Order::Simultaneous, 0.5),
    ];
    let mut panels = Vec::new();
    for (i, (title, order, penalty)) in rules.into_iter().enumerate() {
        let name = |name: &'static str| if i == 0 { name } else { "" };
        let game = Dirac {
            loss: Loss::Wasserstein,
            order,
            penalty,
            lr: 0.1,
        };
        let path = game.play([1.0, 0.0], 150)?;
        let path: Vec<[f64; 2]> = path.into_iter().map(|p| p.map(f64::from)).collect();
        let end = path[path.len() - 1];
        let marks = vec![
            Mark::line(path.iter().copied(), Stroke::Thin, BLUE, ""),
            Mark::dots(path.iter().copied(), 1.6, BLUE, name("after each step")),
            Mark::dots([path[0]], 4.0, GREY, name("start")),
            Mark::dots([end], 4.0, RED, name("end")),
            Mark::dots([[0.0, 0.0]], 3.0, BLACK, name("equilibrium")),
        ];
        panels.push(Panel {
            title: title.into(),
            x: Axis::new("θ, G's only sample (data: 0)", [-2.3, 2.3]),
            y: Axis::new("ψ, D's slope", [-2.3, 3.7]),
            marks,
            is_round: true,
            ..Panel::default()
        });
    }
    Ok(Plot {
        panel_size: [320, 390],
        columns: 3,
        panels,
    })
}

/// A D trained alone beside D*.
///
/// # Errors
/// The engine's.
pub fn trained_d() -> Result<Plot> {
    let x: Vec<f64> = (0..=160).map(|i| -3.0 + 0.05 * f64::from(i)).collect();
    let d = best_d::train(1, 4000, &x)?;
    let density = |i: usize| x.iter().map(move |&x| [x, best_d::densities(x)[i]]);
    let best = x.iter().map(|&x| {
        let [p, q] = best_d::densities(x);
        [x, optimal_d(p, q)]
    });
    let d = x.iter().zip(d).map(|(&x, d)| [x, d]);
    let panel = Panel {
        title: "D trained alone, G standing still".into(),
        x: Axis::new("x", [-3.0, 5.0]),
        y: Axis::new("density; D(x)", [0.0, 1.05]),
        marks: vec![
            Mark::line(
                density(0),
                Stroke::Dotted,
                BLACK,
                "p_data, density of the data",
            ),
            Mark::line(
                density(1),
                Stroke::Solid,
                GREEN,
                "p_g, density of G's samples",
            ),
            Mark::line(best, Stroke::Thin, RED, "D* = p_data / (p_data + p_g)"),
            Mark::line(d, Stroke::Dashed, BLUE, "D after 4000 steps"),
        ],
        ..Panel::default()
    };
    Ok(Plot {
        panel_size: [520, 360],
        columns: 1,
        panels: vec![panel],
    })
}

/// What G draws at each of the moments, on axes that reach as far as any sample.
pub fn helvetica(moments: &[Moment], truth: &Mixture) -> Plot {
    let samples = moments.iter().flat_map(|m| &m.samples);
    let furthest = samples.fold(2.5_f32, |m, x| m.max(x.abs()));
    let range = [-1.1, 1.1].map(|side| side * f64::from(furthest));
    let panels = moments.iter().map(|m| Panel {
        title: format!(
            "{} of G per step of D, {} in all",
            counted(m.per_d, "step"),
            m.steps
        ),
        x: Axis::new("first coordinate", range),
        y: Axis::new("second coordinate", toy_plot::with_legend(range)),
        ..toy_plot::scatter(&m.samples, truth)
    });
    Plot {
        panel_size: [400, 360],
        columns: moments.len(),
        panels: panels.collect(),
    }
}
