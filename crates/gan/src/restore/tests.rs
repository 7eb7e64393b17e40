use super::*;
use crate::config::Config;
use crate::gradcheck::Target;
use crate::{game, init};
use ganforge_tensor::Keep;

const IMAGE: [usize; 3] = [6, 4, 2];

/// Two examples of [`IMAGE`], an output y, the pixels that are known of them, and noise.
fn values() -> [(&'static str, Vec<f64>); 4] {
    let of = |n: usize, k: usize| (0..n).map(|i| ((i * k + 3) as f64).sin()).collect();
    let known = (0..2 * 24).map(|i| f64::from(u8::from(i * 7 % 5 < 3)));
    [
        ("x", of(96, 11)),
        ("y", of(96, 17)),
        ("z", of(96, 23)),
        ("known", known.collect()),
    ]
}

fn given(graph: &Graph) -> (Given<'_>, Var<'_>) {
    let [x, y, z] = ["x", "y", "z"].map(|name| graph.input(name, [2, 48]));
    let known = graph.input("known", [2, 6, 4, 1]);
    let restore = Restore::default();
    (restore.given(IMAGE, x, Some(known), z), y)
}

#[test]
fn what_is_known_stays_and_the_rest_is_made() {
    let (graph, values) = (Graph::new(), values());
    let (given, y) = given(&graph);
    let restored = given.restored(y).evaluate(&values).expect("evaluated");
    let [(_, x), (_, y), (_, z), (_, known)] = &values;
    let of = |i: usize| match known[i / 2] {
        1.0 => x[i],
        _ => y[i],
    };
    assert_eq!(restored, (0..96).map(of).collect::<Vec<f64>>());
    // G is given the image without what is missing, what is known, and noise in the place of what is missing.
    let input = given.input.evaluate(&values).expect("evaluated");
    for (pixel, seen) in input.chunks_exact(5).enumerate() {
        let of = |values: &[f64], is: bool| if is { values.to_vec() } else { vec![0.0; 2] };
        let is_known = known[pixel] == 1.0;
        let own = 2 * pixel..2 * pixel + 2;
        let expected = [
            of(&x[own.clone()], is_known),
            vec![known[pixel]],
            of(&z[own], !is_known),
        ];
        assert_eq!(seen, expected.concat());
    }
    // D sees the completed image and what is known.
    let judged = given.judged(given.x).evaluate(&values).expect("evaluated");
    for (pixel, seen) in judged.chunks_exact(3).enumerate() {
        assert_eq!(seen, [x[2 * pixel], x[2 * pixel + 1], known[pixel]]);
    }
}

#[test]
fn the_loss_is_a_mean_over_what_is_missing_and_has_no_gradient_elsewhere() {
    for (content, of) in [
        (Content::L1, f64::abs as fn(f64) -> f64),
        (Content::Mse, |e| e * e),
    ] {
        let (graph, values) = (Graph::new(), values());
        let (given, y) = given(&graph);
        let loss = given.content(content, y);
        let [(_, x), (_, y_values), _, (_, known)] = &values;
        let missing = |i: &usize| known[i / 2] == 0.0;
        let errors: Vec<f64> = (0..96)
            .filter(missing)
            .map(|i| of(y_values[i] - x[i]))
            .collect();
        let expected = errors.iter().sum::<f64>() / errors.len() as f64;
        let found = loss.evaluate(&values).expect("evaluated");
        assert!((found[0] - expected).abs() < 1e-12, "{found:?} {expected}");
        // What D says of the completed image has no gradient in what is known either.
        let judged = given.judged(y).square().sum();
        for loss in [loss, judged] {
            let gradient = graph.grad(loss, &[y]).expect("a gradient")[0];
            let gradient = gradient.evaluate(&values).expect("evaluated");
            for (i, dy) in gradient.iter().enumerate() {
                assert_eq!(*dy == 0.0, known[i / 2] == 1.0, "{i}: {dy}");
            }
        }
    }
}

#[test]
fn every_kind_of_mask_is_drawn() {
    let (graph, rows) = (Graph::new(), 300);
    let known = Inpaint::default().draw(&graph, "", rows, [28, 28, 1]);
    let known = known.expect("masks").evaluate(&[]).expect("drawn");
    assert!(known.iter().all(|m| *m == 0.0 || *m == 1.0));
    let named = [Mask::Right, Mask::Left, Mask::Top, Mask::Bottom, Mask::All];
    let named = named.map(|mask| mask.known([28, 28], 1));
    let mut counts = [0_usize; 7];
    for mask in known.chunks_exact(784) {
        let same = |named: &Vec<f32>| named.iter().zip(mask).all(|(a, b)| f64::from(*a) == *b);
        if let Some(kind) = named.iter().position(same) {
            counts[kind] += 1;
            continue;
        }
        // A rectangle of 7 to 20 pixels, full, or single pixels.
        let missing = |y: usize, x: usize| mask[y * 28 + x] == 0.0;
        let down: Vec<usize> = (0..28)
            .filter(|y| (0..28).any(|x| missing(*y, x)))
            .collect();
        let across: Vec<usize> = (0..28)
            .filter(|x| (0..28).any(|y| missing(y, *x)))
            .collect();
        let n = mask.iter().filter(|m| **m == 0.0).count();
        if n == down.len() * across.len() {
            assert!(down.len().min(across.len()) >= 7 && down.len().max(across.len()) <= 20);
            counts[5] += 1;
        } else {
            assert!(n.abs_diff(392) < 5 * 14, "{n} of 784 pixels");
            counts[6] += 1;
        }
    }
    // Each is expected 300 / 7 = 43 times, with a standard deviation of 6.
    assert!(counts.iter().all(|n| n.abs_diff(43) < 30), "{counts:?}");
}

#[test]
fn named_masks_are_what_they_say() {
    let missing = |mask: Mask| {
        let known = mask.known([28, 28], 1);
        (0..784).filter(|at| known[*at] == 0.0).collect::<Vec<_>>()
    };
    assert!(missing(Mask::Right).iter().all(|at| at % 28 >= 14));
    assert!(missing(Mask::Left).iter().all(|at| at % 28 < 14));
    assert!(missing(Mask::Top).iter().all(|at| at / 28 < 14));
    assert!(missing(Mask::Bottom).iter().all(|at| at / 28 >= 14));
    for half in [Mask::Right, Mask::Left, Mask::Top, Mask::Bottom] {
        assert_eq!(missing(half).len(), 392);
    }
    assert_eq!(missing(Mask::All).len(), 784);
    let middle = missing(Mask::Middle);
    assert_eq!(
        (middle.len(), middle[0], middle[195]),
        (196, 7 * 28 + 7, 20 * 28 + 20)
    );
    assert!(missing(Mask::Pixels).len().abs_diff(392) < 5 * 14);
    assert_ne!(
        Mask::Pixels.known([28, 28], 1),
        Mask::Pixels.known([28, 28], 2)
    );
}

fn config(preset: &str, options: &[&str]) -> Config {
    let config = Config::preset(preset).and_then(|c| c.with(options));
    config.unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn completions_keep_what_is_known_and_differ_where_noise_does() {
    let config = config("inpaint", &[]);
    let store = init::store(&config, 784, &[]).expect("consistent");
    let mut restorer = Restorer::of_run(&config, &store).expect("recorded");
    let x: Vec<f32> = (0..103 * 784)
        .map(|i| (i * 7919 % 256) as f32 / 255.0)
        .collect();
    let known = Mask::Left.known([28, 28], 1);
    let mut of = |known: &[f32], draw| restorer.restore(&x, Some(known), draw).expect("restored");
    let [first, again, second] = [0, 0, 1].map(|draw| of(&known, draw));
    assert_eq!(first, again);
    let is_known = |i: usize| known[i % 784] == 1.0;
    for i in 0..x.len() {
        assert!(!is_known(i) || first[i].to_bits() == x[i].to_bits());
    }
    let differ = |i: &usize| first[*i] != second[*i];
    assert!((0..x.len()).filter(differ).count() > x.len() / 3);
    // Each block of images has noise of its own.
    let whole = of(&vec![1.0; 784], 0);
    assert!(
        whole
            .iter()
            .zip(&x)
            .all(|(a, b)| a.to_bits() == b.to_bits())
    );
    let refused = |error: crate::error::Error, words: &str| {
        assert!(error.to_string().contains(words), "{error}");
    };
    let mut fail =
        |x: &[f32], known: Option<&[f32]>| restorer.restore(x, known, 0).expect_err("refused");
    refused(fail(&x[1..], Some(&known)), "rows of 784 values");
    refused(fail(&x, Some(&known[1..])), "784 values, 28x28, got 783");
    refused(fail(&x, Some(&vec![0.5; 784])), "zeros and ones");
    refused(fail(&x, None), "needs a mask");
    let tiny = Config::preset("tiny").expect("a preset");
    let error = Restorer::of_run(&tiny, &store)
        .map(|_| ())
        .expect_err("none");
    refused(error, "has no [restore]");
}

/// In every order of updates G and D see examples with masks of the same update.
#[test]
fn steps_of_all_kinds_are_recorded() {
    for (option, masks) in [
        ("train.update=alternating", &["known_d", "known_g"][..]),
        ("train.update=simultaneous", &["known"]),
        ("train.k=2", &["known_d", "known_d.1", "known_g"]),
        ("train.reuse_noise=true", &["known_d"]),
        ("train.shards=2", &["known_d", "known_g"]),
        ("train.joined=true", &["known_d", "known_g"]),
        ("loss.kind=relativistic", &["known_d", "known_g"]),
        (
            "discriminator.penalty=[{kind='gp'}]",
            &["known_d", "known_g"],
        ),
    ] {
        let config = config("inpaint", &[option]);
        let graph = Graph::new();
        let step = game::record(&graph, &config, 784).expect(option);
        let known = step.masks.iter().map(|mask| mask.0.as_str());
        assert_eq!(known.collect::<Vec<_>>(), masks, "{option}");
        step.plan(Keep::Fetched).expect(option);
    }
    // Without D there is nothing of it.
    let config = config("inpaint-l1", &[]);
    let graph = Graph::new();
    let step = game::record(&graph, &config, 784).expect("recorded");
    assert!(step.tensors.iter().all(|spec| spec.net == "G"));
    assert_eq!(step.monitors.len(), 1);
    assert_eq!(config.parameter_counts(784).1, 0);
}

#[test]
fn the_first_epochs_have_their_own_weight() {
    let config = config("inpaint", &["restore.first_epochs=2"]);
    let weight = |epoch| config.at_epoch(epoch).restore.expect("there").weight;
    assert_eq!([1, 2, 3].map(weight), [10.0, 10.0, 1.0]);
    assert!(config.has_same_plans(1, 2) && !config.has_same_plans(2, 3));
}

#[test]
fn gradients_of_both_presets_are_right() {
    for preset in ["inpaint", "inpaint-l1"] {
        let rows = Target::find(preset).expect("a preset").check(1, 7);
        let rows = rows.expect("recorded");
        assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
    }
}

/// What is wrong with a preset that is changed so.
fn refused(preset: &str, options: &[&str]) -> String {
    let changed = Config::preset(preset).and_then(|c| c.with(options));
    changed.expect_err("refused").to_string()
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    for (preset, options, words) in [
        (
            "tiny",
            &["restore.kind=inpaint", "data.set=ring"][..],
            "takes images of 4 x 4 pixels or more",
        ),
        (
            "inpaint",
            &["noise.dim=100"],
            "must be 784, one for each value",
        ),
        (
            "inpaint",
            &["restore.adversarial=0"],
            "restore.adversarial = 0",
        ),
        (
            "inpaint-l1",
            &["train.update=alternating"],
            "must be \"single\" with restore.adversarial = 0",
        ),
        ("inpaint-l1", &["restore.weight=2"], "weight"),
        ("inpaint", &["loss.kind=ebgan"], "says one number of each"),
        (
            "inpaint",
            &["eval.metrics=[\"parzen\"]"],
            "is scored by \"restoration\"",
        ),
        (
            "inpaint",
            &["eval.metrics=[\"inference\"]"],
            "is scored by \"restoration\"",
        ),
        (
            "tiny",
            &["eval.metrics=[\"restoration\"]"],
            "scores a run with [restore]",
        ),
        ("inpaint", &["output.grid=[2, 2]"], "3 columns or more"),
        (
            "inpaint",
            &["data.contrast=gcn"],
            "data.contrast = \"gcn\" makes values that are no pixels",
        ),
        (
            "inpaint",
            &["noise.distribution=normal", "noise.truncate=1"],
            "noise.truncate is of samples of noise alone",
        ),
        (
            "encoder",
            &["noise.distribution=normal", "noise.truncate=1"],
            "noise.truncate is of samples of noise alone",
        ),
        (
            "tiny",
            &[
                "restore.kind=inpaint",
                "noise.dim=784",
                "discriminator.layer.out.transform={kind=\"weight_norm\", images=20}",
            ],
            "a discriminator of restored images sees more than them",
        ),
        ("cgan", &["restore.kind=inpaint"], "noise.dim"),
    ] {
        let error = refused(preset, options);
        assert!(error.contains(words), "{preset} {options:?}: {error}");
    }
}
