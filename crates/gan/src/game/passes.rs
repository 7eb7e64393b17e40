//! What the networks make of a minibatch: samples, D's outputs, losses.

use ganforge_tensor::Var;

use crate::config::{Config, Network};
use crate::losses::{Judged, cross_entropy};
use crate::nn::{Build, Pass, REAL, flat, shaped};

/// What D says in one pass of data and noise through both networks.
pub(crate) struct Outputs<'g> {
    /// Of a minibatch of data, where there is one.
    pub(super) real: Option<Judged<'g>>,
    /// Of samples of G.
    pub(super) fake: Judged<'g>,
}
/// Both networks on the noise `fake` and, where the losses ask for real examples, the minibatch `real` [b, d]; `example` is
/// the shape of an example as it comes to D.
pub(crate) fn forward<'g>(
    build: &mut Build<'g>,
    config: &Config,
    example: &[usize],
    z: Pass<'g>,
    real: Option<Pass<'g>>,
) -> Outputs<'g> {
    let samples = flat(build.train("G", &config.generator, std::slice::from_ref(&z)));
    let fake = Pass { x: samples, ..z };
    let Some(real) = real else {
        let [fake] = judged(build, config, example, [fake]);
        return Outputs { real: None, fake };
    };
    let [mut real, mut fake] = match config.train.joined {
        true => judged(build, config, example, [real, fake]),
        false => {
            let [real] = judged(build, config, example, [real]);
            let [fake] = judged(build, config, example, [fake]);
            [real, fake]
        }
    };
    fake.real = Some(real.d);
    for judged in [&mut real, &mut fake] {
        judged.features = features(build, config, judged.x);
    }
    let real = Some(real);
    Outputs { real, fake }
}

/// What the network of [`Config::margin`] is called in the names of tensors and scopes. No phase updates its parameters.
pub const FROZEN: &str = "F";

/// What that network makes of x `[b, d]`: `[b, values]`, constants.
pub(crate) fn features<'g>(build: &mut Build<'g>, config: &Config, x: Var<'g>) -> Option<Var<'g>> {
    let margin = config.margin.as_ref()?;
    let shape = config.margin_shape(margin, x.shape().dims()[1]);
    let x = shaped(x.detach(), &shape);
    Some(flat(build.eval(FROZEN, &margin.compared(), x)).detach())
}

/// What D says of minibatches [b, d], joined to one.
fn judged<'g, const N: usize>(
    build: &mut Build<'g>,
    config: &Config,
    example: &[usize],
    minibatches: [Pass<'g>; N],
) -> [Judged<'g>; N] {
    let loss = &config.loss.kind;
    build.keep(loss.code());
    let passes = minibatches.clone().map(|pass| Pass {
        x: shaped(pass.x, example),
        ..pass
    });
    let output = flat(build.train("D", &config.discriminator, &passes));
    let code = build.kept().map(flat);
    let mut first = 0;
    minibatches.map(|pass| {
        let b = pass.x.shape().dims()[0];
        let rows = first..first + b;
        first += b;
        let own = |all: Var<'g>| match N {
            1 => all,
            _ => all.rows(rows.start, rows.end),
        };
        let output = own(output);
        Judged {
            d: loss.head(output, pass.x, pass.labels),
            x: pass.x,
            output,
            labels: pass.labels,
            code: code.map(own),
            features: None,
            real: None,
        }
    })
}

/// The logits [b, classes] of a classifier for a minibatch, and its loss: their mean cross-entropy against `labels` [b].
pub(crate) fn classified<'g>(
    build: &mut Build<'g>,
    classifier: &Network,
    pass: Pass<'g>,
    labels: Var<'g>,
) -> (Var<'g>, Var<'g>) {
    let output = flat(build.train("C", classifier, &[pass]));
    let _scope = build.graph().scope("loss/c");
    (output, cross_entropy(output, labels).mean())
}

/// What a minibatch tells of an encoder.
pub(crate) struct Inference<'g> {
    /// mean (z - E(G(z)))²
    pub(crate) error: Var<'g>,
    /// mean |G(E(x)) - x| of real examples, where it counts.
    pub(crate) reconstruction: Option<Var<'g>>,
    /// What E minimises.
    pub(crate) loss: Var<'g>,
}

/// An encoder on samples of the noise z [b, dim] and, where they count, real examples x [b, d]; G stands still.
///
/// source: Goodfellow et al. 2014, section 7, point 2
pub(crate) fn inferred<'g>(
    build: &mut Build<'g>,
    config: &Config,
    encoder: &Network,
    example: &[usize],
    z: Var<'g>,
    x: Var<'g>,
) -> Inference<'g> {
    let samples = flat(build.eval("G", &config.generator, z)).detach();
    let pass = Pass::new("fake", shaped(samples, example));
    let found = flat(build.train("E", encoder, &[pass]));
    let again = encoder.reconstruction.map(|weight| {
        let pass = Pass::new(REAL, shaped(x, example));
        let found = flat(build.train("E", encoder, &[pass]));
        (weight, flat(build.eval("G", &config.generator, found)))
    });
    let _scope = build.graph().scope("loss/e");
    let error = (z - found).square().mean();
    let again = again.map(|(weight, again)| (weight, (again - x).abs().mean()));
    Inference {
        error,
        reconstruction: again.map(|(_, mean)| mean),
        loss: again.map_or(error, |(weight, mean)| error + mean * weight),
    }
}

/// The loss of a network, `D` or `G`, without penalties.
pub(crate) fn loss<'g>(
    build: &Build<'g>,
    config: &Config,
    net: &str,
    outputs: &Outputs<'g>,
) -> Var<'g> {
    let _scope = build.graph().scope(&format!("loss/{}", net.to_lowercase()));
    match (net, &outputs.real) {
        ("D", Some(real)) => config.loss.kind.d(real, &outputs.fake),
        _ => config.loss.kind.g(&outputs.fake),
    }
}
