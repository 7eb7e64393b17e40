//! Losses and penalties of GANs end to end, both orders, against central differences.

use ganforge_tensor::gradcheck::{Point, check, draw};
use ganforge_tensor::ops::{In, Range};
use ganforge_tensor::{Graph, Shape, Var};

const SEED: u64 = 41;

fn points(shapes: &[&[usize]]) -> Vec<Point> {
    let point = |(i, dims): (usize, &&[usize])| {
        let shape = Shape::new(dims);
        let input = In {
            shape,
            range: Range::Real(-1.0, 1.0),
        };
        let data = draw(&input, SEED + i as u64)
            .iter()
            .map(|&v| f64::from(v))
            .collect();
        Point {
            shape,
            data,
            varies: true,
        }
    };
    shapes.iter().enumerate().map(point).collect()
}

fn passes<F>(what: &str, points: &[Point], formula: F)
where
    F: for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g>,
{
    for order in [1, 2] {
        let findings = check(points, order, SEED, &formula).expect("no fault");
        assert!(
            !findings.is_empty(),
            "{what}: nothing to check at order {order}"
        );
        for f in findings {
            assert!(f.passes(), "{what}, seed {SEED}: {f:?}");
        }
    }
}

type Loss = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;
type Activation = for<'g> fn(Var<'g>) -> Var<'g>;

/// From the logits of real and generated samples.
const LOSSES: [(&str, Loss); 8] = [
    ("discriminator", |real, fake| {
        (-real).softplus().mean() + fake.softplus().mean()
    }),
    ("generator, minimax", |_, fake| -fake.softplus().mean()),
    ("generator, non-saturating", |_, fake| {
        (-fake).softplus().mean()
    }),
    ("discriminator by log D", |real, fake| {
        -(real.sigmoid().log().mean() + (1.0 - fake.sigmoid()).log().mean())
    }),
    ("least squares, discriminator", |real, fake| {
        (real - 1.0).square().mean() * 0.5 + fake.square().mean() * 0.5
    }),
    ("least squares, generator", |_, fake| {
        (fake - 1.0).square().mean() * 0.5
    }),
    ("critic", |real, fake| fake.mean() - real.mean()),
    ("hinge", |real, fake| {
        (1.0 - real).relu().mean() + (1.0 + fake).relu().mean()
    }),
];

#[test]
fn losses_from_logits() {
    for (name, loss) in LOSSES {
        // Scaled, so that both curved and flat parts of softplus are met.
        passes(name, &points(&[&[7, 1], &[5, 1]]), |_, x| {
            loss(x[0] * 4.0, x[1] * 4.0)
        });
    }
}

#[test]
fn losses_of_a_whole_net() {
    let shapes: [&[usize]; 8] = [
        &[4, 3],
        &[4, 2],
        &[2, 5],
        &[5],
        &[5, 3],
        &[3, 6],
        &[6],
        &[3, 1],
    ];
    for (name, loss) in LOSSES {
        passes(name, &points(&shapes), |_, x| {
            let &[real, z, gw, gb, gout, dw, db, dout] = x else {
                panic!("eight inputs")
            };
            let fake = (z.matmul(gw) + gb).leaky_relu(0.2).matmul(gout).tanh();
            let both = real.concat(fake, 0);
            let logits = (both.matmul(dw) + db).maxout(2).matmul(dout);
            loss(logits.rows(0, 4), logits.rows(4, 8))
        });
    }
}

/// The logits of a net of two hidden layers.
fn net<'g>(activation: Activation, x: Var<'g>, p: &[Var<'g>]) -> Var<'g> {
    let h0 = activation(x.matmul(p[0]) + p[1]);
    activation(h0.matmul(p[2]) + p[3]).matmul(p[4])
}

/// [samples, samples, 3·5, 5, 5·4, 4, 4·1]
const NET: [&[usize]; 7] = [&[4, 3], &[4, 3], &[3, 5], &[5], &[5, 4], &[4], &[4, 1]];

const ACTIVATIONS: [(&str, Activation); 4] = [
    ("leaky relu", |x| x.leaky_relu(0.2)),
    ("sigmoid", |x| x.sigmoid()),
    ("softplus", |x| x.softplus()),
    ("tanh", |x| x.tanh()),
];

fn slopes<'g>(g: &'g Graph, y: Var<'g>, x: Var<'g>) -> Var<'g> {
    g.grad(y.sum(), &[x]).expect("the net reads its input")[0]
}

#[test]
fn gradient_penalties() {
    for (name, activation) in ACTIVATIONS {
        // Gulrajani et al. 2017: (|∇D| - 1)² between real and generated samples.
        passes(&format!("WGAN-GP, {name}"), &points(&NET), |g, x| {
            let between = x[0] * 0.3 + x[1] * 0.7;
            let dx = slopes(g, net(activation, between, &x[2..]), between);
            let norm = (dx.square().sum_axes(&[1]) + 1e-6).sqrt();
            let critic = net(activation, x[1], &x[2..]) - net(activation, x[0], &x[2..]);
            critic.mean() + (norm - 1.0).square().mean() * 10.0
        });
        // Mescheder et al. 2018: |∇D|² on real samples.
        passes(&format!("R1, {name}"), &points(&NET), |g, x| {
            let real = net(activation, x[0], &x[2..]);
            let dx = slopes(g, real, x[0]);
            (-real).softplus().mean() + dx.square().sum_axes(&[1]).mean() * 5.0
        });
    }
}

#[test]
fn a_penalty_on_a_maxout_net() {
    let shapes: [&[usize]; 3] = [&[4, 3], &[3, 6], &[2, 1]];
    passes("R1, maxout", &points(&shapes), |g, x| {
        let y = x[0].matmul(x[1]).maxout(3).matmul(x[2]);
        slopes(g, y.softplus(), x[0]).square().mean()
    });
}

#[test]
fn derivatives_up_to_the_fourth() {
    // y = x⁴: the formula is y'' = 12x², its orders 1 and 2 are 24x and 24, all by appending.
    passes("fourth power", &points(&[&[5]]), |g, x| {
        let mut y = x[0].square().square();
        for _ in 0..2 {
            y = slopes(g, y, x[0]);
        }
        y
    });
}
