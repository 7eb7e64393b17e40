//! What is known of all losses; what is known of one is in its file.

use std::path::Path;

use ganforge_tensor::{Graph, Result};

use super::{Form, Judged, Loss, LossKind, Objective};
use crate::files::{ArrayData, read_npz};
use crate::gradcheck::Target;

/// Pairs of a real and a generated example and what D says of them, row after row.
#[derive(Clone)]
pub(super) struct Pairs {
    /// How many.
    pub(super) b: usize,
    /// D's outputs.
    pub(super) real: Vec<f64>,
    pub(super) fake: Vec<f64>,
    /// The examples.
    pub(super) x: Vec<f64>,
    pub(super) gz: Vec<f64>,
    pub(super) labels: Vec<f64>,
    pub(super) code: Vec<f64>,
}

impl Pairs {
    /// One output of D for each of `real` and `fake`, examples that are all the same.
    pub(super) fn of(real: &[f64], fake: &[f64]) -> Pairs {
        let zeros = vec![0.0; real.len()];
        Pairs {
            b: real.len(),
            real: real.to_vec(),
            fake: fake.to_vec(),
            x: zeros.clone(),
            gz: zeros.clone(),
            labels: zeros.clone(),
            code: zeros,
        }
    }

    /// The same with these examples.
    pub(super) fn with(self, x: &[f64], gz: &[f64]) -> Pairs {
        let (x, gz) = (x.to_vec(), gz.to_vec());
        Pairs { x, gz, ..self }
    }

    /// D's loss `d` or G's loss `g`; of `d/real` the gradient of D's loss in D's outputs for real examples, and so on.
    ///
    /// # Errors
    /// A loss that does not depend on it.
    pub(super) fn find(&self, loss: &dyn Objective, what: &str) -> Result<Vec<f64>> {
        let graph = Graph::new();
        let leaves = [
            ("real", &self.real),
            ("fake", &self.fake),
            ("x", &self.x),
            ("gz", &self.gz),
            ("code", &self.code),
        ];
        let [real, fake, x, gz, code] =
            leaves.map(|(name, values)| graph.input(name, [self.b, values.len() / self.b]));
        let labels = graph.input("labels", [self.b]);
        let labels = (loss.form() == Form::Classes).then_some(labels);
        let judged = |output, x| Judged {
            d: loss.head(output, x, labels),
            x,
            output,
            labels,
            code: None,
            features: None,
            real: None,
            real_code: None,
            labelled: None,
        };
        let (mut judged_real, mut judged_fake) = (judged(real, x), judged(fake, gz));
        // The real examples are also those with labels, and values of them their code.
        judged_real.labelled = labels.map(|labels| (real, labels));
        (judged_fake.code, judged_fake.real) = (Some(code), Some(judged_real.d));
        let width = code.shape().dims()[1];
        judged_fake.real_code = Some(x.slice([0, 0], [self.b, width]));
        let (of, wrt) = what.split_once('/').unwrap_or((what, ""));
        let value = match of {
            "d" => loss.d(&judged_real, &judged_fake),
            "g" => loss.g(&judged_fake),
            monitor => loss.watch(monitor, &judged_real, &judged_fake),
        };
        let value = match wrt {
            "" => value,
            "real" => graph.grad(value, &[real])?[0],
            "fake" => graph.grad(value, &[fake])?[0],
            "gz" => graph.grad(value, &[gz])?[0],
            _ => graph.grad(value, &[code])?[0],
        };
        let mut at = vec![("labels", self.labels.clone())];
        at.extend(leaves.map(|(name, values)| (name, values.clone())));
        value.evaluate(&at)
    }
}

pub(super) fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-10 * b.abs().max(1.0);
    let all = found.len() == expected.len() && found.iter().zip(expected).all(is_near);
    assert!(all, "{what}: {found:?} for {expected:?}");
}

/// make_losses.py, which computed them with torch.nn.functional.
#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/losses.npz");
    let arrays = read_npz(&file).expect("the file of make_losses.py");
    let values = |name: &str| {
        let (_, array) = arrays.iter().find(|(n, _)| n == name).expect(name);
        match &array.data {
            ArrayData::F64(values) => values.clone(),
            _ => panic!("{name} is f64"),
        }
    };
    let mut checked = Vec::new();
    for (name, _) in arrays.iter().filter(|a| a.0.contains('/')) {
        let (case, what) = name.split_once('/').expect("a case");
        let mut words = case.split(' ');
        let kind = words.next().expect("a name");
        let settings: Vec<String> = words.map(quoted).collect();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let loss = Loss::called(kind, &settings).expect(case).kind;
        let columns = match loss.form() {
            Form::Number => 1,
            Form::Example => 3,
            Form::Classes => 4,
        };
        let outputs = |name: &str| -> Vec<f64> {
            let all = values(name);
            all.chunks(4)
                .flat_map(|row| row[..columns].to_vec())
                .collect()
        };
        let pairs = Pairs {
            b: 5,
            real: outputs("real"),
            fake: outputs("fake"),
            x: values("x"),
            gz: values("gz"),
            labels: values("labels"),
            code: values("code"),
        };
        let found = pairs.find(&*loss, what).expect(name);
        assert_near(&found, &values(name), name);
        checked.push(format!("{kind}/{what}"));
    }
    for kind in LossKind::NAMES {
        // G's loss of features reads no output of D.
        let of_g = match *kind {
            "semi-supervised" => "g/code",
            _ => "g/fake",
        };
        for what in ["d", "d/real", "d/fake", "g", of_g] {
            assert!(checked.contains(&format!("{kind}/{what}")), "{kind}/{what}");
        }
    }
}

/// `distance=l2` as TOML.
fn quoted(setting: &str) -> String {
    let (key, value) = setting.split_once('=').expect("a setting");
    match value.starts_with(char::is_alphabetic) && value != "true" {
        true => format!("{key} = {value:?}"),
        false => setting.to_owned(),
    }
}

#[test]
fn first_and_second_derivatives_of_each_are_those_of_differences() {
    for name in LossKind::NAMES {
        let target = Target::find(&format!("loss {name}")).expect(name);
        for order in [1, 2] {
            let rows = target.check(order, 7).expect(name);
            assert!(rows.iter().all(|r| r.passes), "{name}: {rows:#?}");
        }
    }
}

/// D's and G's loss of numbers where D says 0 of everything.
#[test]
fn an_undecided_discriminator_has_the_listed_losses() {
    let log_2 = std::f64::consts::LN_2;
    let listed = [
        ("ns", 2.0 * log_2, log_2),
        ("mm", 2.0 * log_2, -log_2),
        ("ls", 0.5, 0.5),
        ("ls-sigmoid", 0.25, 0.125),
        ("wgan", 0.0, 0.0),
        ("hinge", 2.0, 0.0),
        ("ls-gan", 0.0, 0.0),
        ("gls-gan", 0.0, 0.0),
        ("relativistic", log_2, log_2),
        ("relativistic-average", 2.0 * log_2, 2.0 * log_2),
    ];
    let pairs = Pairs::of(&[0.0; 3], &[0.0; 3]);
    for (name, d, g) in listed {
        let loss = Loss::called(name, &[]).expect(name).kind;
        assert_near(&pairs.find(&*loss, "d").expect(name), &[d], name);
        assert_near(&pairs.find(&*loss, "g").expect(name), &[g], name);
    }
}
