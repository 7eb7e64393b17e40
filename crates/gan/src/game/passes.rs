//! What the networks make of a minibatch: samples, D's outputs, losses.

use ganforge_tensor::Var;

use crate::config::{Config, Network};
use crate::losses::{Judged, cross_entropy};
use crate::nn::{Build, Pass, REAL, flat, shaped};
use crate::restore::{Given, Restore};

/// A minibatch of data.
pub(crate) struct Data<'g> {
    /// As it is.
    pub(crate) real: Pass<'g>,
    /// The same examples with other classes than theirs, where D is to tell the two apart.
    pub(crate) mismatched: Option<Pass<'g>>,
    /// Examples with labels, where D learns from such and the others have none.
    pub(crate) labelled: Option<Pass<'g>>,
}

/// What D says in one pass of data and noise through both networks.
pub(crate) struct Outputs<'g> {
    /// Of a minibatch of data, where there is one.
    pub(super) real: Option<Judged<'g>>,
    /// Of its examples with other classes than theirs.
    pub(super) mismatched: Option<Judged<'g>>,
    /// Of samples of G.
    pub(super) fake: Judged<'g>,
    /// How far restored examples are from the real ones.
    pub(super) content: Option<Var<'g>>,
}

/// The examples of `real`, each with one of the other classes, as likely as the others, where D's loss has such pairs.
///
/// The place of the largest of uniform numbers is uniform; that of the own class is below them all.
#[track_caller]
pub(crate) fn mismatch<'g>(config: &Config, real: &Pass<'g>) -> Option<Pass<'g>> {
    config.loss.mismatched?;
    let (labels, n) = (real.labels?, config.classes()?);
    let graph = labels.graph();
    let name = real.name.replacen(REAL, "mismatched", 1);
    let rows = labels.shape().dims()[0];
    let drawn = graph.uniform(&name, [rows, n], 0.0, 1.0);
    let own = graph
        .constant(2.0, [rows, 1])
        .put(labels.reshape([rows, 1]), n);
    let others = (drawn - own).arg_max(n).reshape([rows]);
    Some(Pass::new(name, real.x).with_labels(Some(others)))
}

/// Both networks on the noise `fake` and, where the losses ask for real examples, the minibatch `data` of rows [b, d]; `example`
/// is the shape of an example as it comes to D. Where G is `given` incomplete examples, D sees them as G has made them whole.
pub(crate) fn forward<'g>(
    build: &mut Build<'g>,
    config: &Config,
    example: &[usize],
    z: Pass<'g>,
    data: Option<Data<'g>>,
    given: Option<Given<'g>>,
) -> Outputs<'g> {
    let samples = flat(build.train("G", &config.generator, std::slice::from_ref(&z)));
    let judged_as = |x: Var<'g>| given.map_or(x, |given| given.judged(x));
    let content = given.zip(config.restore.as_ref());
    let content = content.map(|(given, restore)| {
        let _scope = build.graph().scope("loss/g");
        given.content(restore.content, samples)
    });
    let fake = Pass {
        x: judged_as(samples),
        ..z
    };
    let data = data.map(|data| Data {
        real: Pass {
            x: judged_as(data.real.x),
            ..data.real
        },
        ..data
    });
    let Some(Data {
        real,
        mismatched,
        labelled,
    }) = data
    else {
        let mut of_fake = judged(build, config, example, vec![fake]);
        return Outputs {
            real: None,
            mismatched: None,
            fake: of_fake.remove(0),
            content,
        };
    };
    let (has_mismatched, has_labelled) = (mismatched.is_some(), labelled.is_some());
    let minibatches = [real, fake].into_iter().chain(mismatched).chain(labelled);
    let mut found = match config.train.joined {
        true => judged(build, config, example, minibatches.collect()),
        false => minibatches
            .flat_map(|pass| judged(build, config, example, vec![pass]))
            .collect(),
    };
    let labelled = found.pop_if(|_| has_labelled);
    found[0].labelled = labelled.and_then(|judged| Some((judged.output, judged.labels?)));
    let of_real = found[0];
    for (i, judged) in found.iter_mut().enumerate() {
        judged.real = (i > 0).then_some(of_real.d);
        judged.real_code = of_real.code.filter(|_| i > 0);
        judged.features = features(build, config, judged.x);
    }
    Outputs {
        real: Some(found[0]),
        mismatched: found.get(2).copied().filter(|_| has_mismatched),
        fake: found[1],
        content,
    }
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
fn judged<'g>(
    build: &mut Build<'g>,
    config: &Config,
    example: &[usize],
    minibatches: Vec<Pass<'g>>,
) -> Vec<Judged<'g>> {
    let loss = &config.loss.kind;
    build.keep(loss.code());
    let shaped_pass = |pass: &Pass<'g>| Pass {
        x: shaped(pass.x, example),
        ..pass.clone()
    };
    let passes: Vec<Pass> = minibatches.iter().map(shaped_pass).collect();
    let output = flat(build.train("D", &config.discriminator, &passes));
    let code = build.kept().map(flat);
    let (n, mut first) = (minibatches.len(), 0);
    let judged = minibatches.into_iter().map(|pass| {
        let b = pass.x.shape().dims()[0];
        let rows = first..first + b;
        first += b;
        let own = |all: Var<'g>| match n {
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
            real_code: None,
            labelled: None,
        }
    });
    judged.collect()
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

/// The distance from the real examples at which G restores the incomplete ones that it is `given`.
pub(crate) fn restored<'g>(
    build: &mut Build<'g>,
    config: &Config,
    restore: &Restore,
    given: Given<'g>,
) -> Var<'g> {
    let pass = Pass::new("fake", given.input);
    let y = build.train("G", &config.generator, &[pass]);
    let _scope = build.graph().scope("loss/g");
    given.content(restore.content, y)
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
        ("D", Some(real)) => {
            let (loss, of_fake) = (&config.loss, config.loss.kind.d(real, &outputs.fake));
            match (loss.mismatched, &outputs.mismatched) {
                (Some(share), Some(mismatched)) => {
                    of_fake * (1.0 - share) + loss.kind.d(real, mismatched) * share
                }
                _ => of_fake,
            }
        }
        _ => {
            let judged = config.loss.kind.g(&outputs.fake);
            match (&config.restore, outputs.content) {
                (Some(restore), Some(content)) => {
                    judged * restore.adversarial.unwrap_or(0.0) + content * restore.weight
                }
                _ => judged,
            }
        }
    }
}
