//! One training step as a page that walks through it node by node.
//!
//! Every value of the step is kept ([`Keep::All`]). A stop of the walk is a node of the forward pass, its backward rule for
//! one of the losses, or the update of a tensor. The page is self-contained: it has statistics of each value, a
//! histogram and a picture of a part, quantised to bytes. Its text about an op is the op's own documentation.
//!
//! The book's pages become elements by fifty lines in the page (`markdown.js`): pulldown-cmark would build longer than it saves
//! lines, and what it makes would be HTML that the page has to trust.

mod field;
mod images;
mod movers;
mod pace;
mod points;
mod sight;
mod tiles;
mod tour;
mod value;
mod walk;
mod why;
mod words;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ganforge_tensor::ops::Kind;
use ganforge_tensor::{Device, Keep, NodeId, Op, Store, ops};
use serde_json::{Value, json};

use crate::diagram::{Diagram, Part, Stage};
use crate::html::Page;
use ganforge_gan::data::Dataset;
use ganforge_gan::data::ImageSize;
use ganforge_gan::error::{Error, Result};
use ganforge_gan::penalties::Due;
use ganforge_gan::trainer::{StepReport, Trainer};
use ganforge_gan::{monitors, schedule};

use points::Space;
use sight::Sight;

const STYLES: [&str; 1] = [include_str!("../../assets/explain/explain.css")];
const SCRIPTS: [&str; 6] = [
    include_str!("../../assets/explain/markdown.js"),
    include_str!("../../assets/explain/values.js"),
    include_str!("../../assets/explain/sight.js"),
    include_str!("../../assets/explain/points.js"),
    include_str!("../../assets/explain/map.js"),
    include_str!("../../assets/explain/explain.js"),
];

/// A page of the book: its path, `ops/matmul.md`, and its text.
pub type Chapter<'a> = (&'a str, &'a str);

/// A step that has been run, with all of its values.
pub struct Explained {
    diagram: Diagram,
    trainer: Trainer,
    /// Parameters and slots as they were before the step.
    before: Store,
    report: StepReport,
    size: ImageSize,
    step: u64,
    /// The example of each minibatch whose feature maps are shown.
    example: usize,
}

impl Explained {
    /// Trains `trainer` up to step `step` (counted from 0) and runs that one with every value kept; tells `progress`
    /// each step before it, and how many there are.
    ///
    /// # Errors
    /// A step that lies behind the trainer; those of [`Trainer::step`].
    pub fn after(
        mut trainer: Trainer,
        data: &Dataset,
        step: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Explained> {
        if trainer.steps() > step {
            let at = trainer.steps();
            return Err(Error::Mismatch(format!(
                "step {step}: this model is already at step {at}"
            )));
        }
        while trainer.steps() < step {
            progress(trainer.steps(), step);
            trainer.step()?;
        }
        let before = trainer.store().clone();
        let config = trainer.config().clone();
        let mut kept = Trainer::with_plan(&Device::CPU, &config, &data.train, |recorded| {
            recorded.plan(Keep::All)
        })?;
        kept.set_store(before.clone());
        let report = kept.step()?;
        // Recorded once more, the same step has the same nodes.
        let epoch = schedule::epoch_of(step, kept.steps_per_epoch());
        let due = Due::at(&config.discriminator.penalties, step);
        let of_step = config.at_epoch(epoch).with_penalties(due);
        let diagram = Diagram::with_plan(&of_step, data.train.d(), kept.plan().clone())?;
        Ok(Explained {
            diagram,
            trainer: kept,
            report,
            size: ImageSize {
                height: data.height,
                width: data.width,
                channels: data.channels,
            },
            step,
            before,
            example: 0,
        })
    }

    /// The same, showing the feature maps of example `n` of each minibatch instead of the first one.
    ///
    /// # Errors
    /// A minibatch has no such example.
    pub fn of_example(self, n: usize) -> Result<Explained> {
        let batch = self.trainer.config().train.examples_per_shard();
        match n < batch {
            true => Ok(Explained { example: n, ..self }),
            false => Err(Error::Mismatch(format!(
                "example {n}: the minibatches of this model have examples 0 to {}",
                batch - 1
            ))),
        }
    }

    /// The configuration's name.
    pub fn name(&self) -> &str {
        &self.diagram.name
    }

    /// The step, from 0.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The page; `pages` are those of the book, of which it takes what is said of the ops in it.
    pub fn page(&self, pages: &[Chapter]) -> String {
        let data = self.data(pages);
        let title = format!("{}: step {}", self.diagram.name, self.step);
        let page = Page {
            title: &title,
            styles: &STYLES,
            scripts: &SCRIPTS,
            data: &data,
        };
        page.render()
    }

    /// What a node held during the step: parameters as they were before it.
    fn value(&self, node: usize) -> Option<Cow<'_, [f32]>> {
        let d = &self.diagram;
        let label = d.label(node);
        match d.node(node).op {
            Op::Param(_) => Some(Cow::from(&self.before.get(label)?.data[..])),
            // Of several shards the first one.
            Op::Input(_) if label == "x" => {
                let n = d.node(node).shape.elements();
                self.trainer.x().get(..n).map(Cow::from)
            }
            Op::Input(_) => self.trainer.labels().map(Cow::from),
            Op::Scalar(_) => self
                .trainer
                .store()
                .control
                .get(label)
                .map(|v| Cow::from(vec![v])),
            // Only a device can refuse a value, and this step ran on the CPU. A plan has no place for other names of inputs.
            op => {
                let value = |id| self.trainer.value(id).ok().flatten();
                match (d.of_plan(node).and_then(value), op.kind()) {
                    (None, Kind::Alias) => self.value(d.inputs(node).next()?),
                    (value, _) => value,
                }
            }
        }
    }

    fn data(&self, pages: &[Chapter]) -> Value {
        let stops = self.stops();
        let mut shown = shown(&stops);
        let d = &self.diagram;
        let sight = Sight::of(d, &shown);
        shown.extend(sight.sources());
        let space = Space::of(self);
        let ops = ops_of(d, &shown);
        let of = |make: &dyn Fn(usize) -> Option<Value>| -> BTreeMap<String, Value> {
            let pairs = shown
                .iter()
                .filter_map(|&n| Some((n.to_string(), make(n)?)));
            pairs.collect()
        };
        let monitors = self.report.monitors().map(|(name, v)| (name, f64::from(v)));
        let facts = monitors.chain(self.report.rates());
        let facts: Vec<(String, f64)> = facts.map(|(name, v)| (monitors::title(name), v)).collect();
        json!({
            "name": d.name,
            "about": d.about,
            "step": self.step,
            "facts": facts,
            "map": d.svg(Part::Backward),
            "nodes": of(&|n| Some(self.node(n))),
            "values": of(&|n| {
                let shape = d.node(n).shape;
                let values = self.value(n)?;
                let mut value = value::describe(&values, shape.dims(), self.size);
                sight.add_to(&mut value, self, n, &values);
                if let Some(points) = space.as_ref().and_then(|s| s.picture(self, n)) {
                    value["picture"] = points;
                }
                Some(value)
            }),
            "space": space.as_ref().map(|s| s.json(self)),
            "sight": sight.json(),
            "tour": tour::tour(d, &stops),
            "ops": ops,
            "pages": named(pages, &stops, &ops),
            "stops": stops,
        })
    }

    fn node(&self, n: usize) -> Value {
        let d = &self.diagram;
        let node = d.node(n);
        json!({
            "label": d.label(n),
            "op": node.op.name(),
            "title": words::title(d, n),
            "equation": words::equation(d, n),
            "formula": d.formula(n),
            "shape": node.shape.dims(),
            "scope": d.scope(n),
            "stage": d.stage(n).name(),
            "inputs": d.inputs(n).collect::<Vec<_>>(),
            "site": node.site.to_string(),
        })
    }

    /// The walk: the formula, the chain rule of each loss, the updates.
    fn stops(&self) -> Vec<Value> {
        let d = &self.diagram;
        let forward = walk::formula(d).map(|n| {
            json!({
                "part": "forward",
                "node": n,
                "inputs": d.inputs(n).collect::<Vec<_>>(),
                "notes": said(words::forward(d, n), why::forward(self, n)),
            })
        });
        let mut stops: Vec<Value> = forward.collect();
        for (pass, loss) in d.passes() {
            for (of, dy) in walk::chain(d, pass) {
                let nodes = pass.nodes.clone();
                stops.push(self.backward_stop(loss, of, dy, &pass.adjoints, nodes));
            }
        }
        for (param, name, new) in d.updates() {
            stops.push(self.update_stop(*param, name, *new));
        }
        stops
    }

    fn backward_stop(
        &self,
        loss: &str,
        of: NodeId,
        dy: NodeId,
        adjoints: &[(NodeId, NodeId)],
        nodes: std::ops::Range<usize>,
    ) -> Value {
        let d = &self.diagram;
        let recorded = nodes.filter(|&n| d.node(n).origin == Some(of));
        let inputs: BTreeSet<usize> = d.inputs(of.index()).collect();
        let gradients: Vec<(usize, usize)> = inputs
            .into_iter()
            .filter_map(|i| {
                let found = adjoints.iter().find(|a| a.0.index() == i)?;
                Some((i, found.1.index()))
            })
            .collect();
        json!({
            "part": loss,
            "node": of.index(),
            "dy": dy.index(),
            "lines": recorded.collect::<Vec<_>>(),
            "gradients": gradients,
            "notes": said(
                words::backward(d, of.index()),
                why::backward(self, of.index(), dy.index(), &gradients, adjoints),
            ),
        })
    }

    fn update_stop(&self, param: NodeId, name: &str, new: NodeId) -> Value {
        let d = &self.diagram;
        let scope = d.scope(new.index());
        let lines = (0..d.len())
            .filter(|&n| d.scope(n) == scope && !d.is_source(n) && d.stage(n) == Stage::Update);
        let lines: Vec<usize> = lines.filter(|&n| n <= new.index()).collect();
        let outside: BTreeSet<usize> = lines.iter().flat_map(|&n| d.inputs(n)).collect();
        let outside = outside
            .into_iter()
            .filter(|n| !lines.contains(n) && *n != param.index());
        let inputs: Vec<usize> = outside.collect();
        json!({
            "part": "update",
            "name": name,
            "node": param.index(),
            "new": new.index(),
            "lines": lines,
            "inputs": inputs,
            "pages": ["optimisers.md"],
            "notes": said(words::update(d, name), why::update(self, param.index(), new.index())),
        })
    }
}

/// What holds for every step, then what is to be seen in this one.
fn said(words: String, more: Vec<String>) -> Vec<String> {
    [vec![words], more].concat()
}

/// The nodes that the stops name.
fn shown(stops: &[Value]) -> BTreeSet<usize> {
    let mut shown = BTreeSet::new();
    let mut add = |value: &Value| {
        let mut rest = vec![value];
        while let Some(value) = rest.pop() {
            match value {
                Value::Array(values) => rest.extend(values),
                value => shown.extend(value.as_u64().map(|n| n as usize)),
            }
        }
    };
    for stop in stops {
        for key in ["node", "inputs", "dy", "lines", "gradients", "new"] {
            add(&stop[key]);
        }
    }
    shown
}

/// What the ops that occur are: their documentation, and the pages about them, their own and those that it names.
fn ops_of(diagram: &Diagram, shown: &BTreeSet<usize>) -> BTreeMap<&'static str, Value> {
    let names: BTreeSet<&'static str> = shown.iter().map(|&n| diagram.node(n).op.name()).collect();
    let op = |name: &'static str| {
        let doc = ops::doc(name)?;
        let words = doc.split(|c: char| c.is_whitespace() || ";,()".contains(c));
        let named = words.filter_map(|w| w.strip_prefix("docs/book/src/"));
        let mut pages = vec![format!("ops/{}.md", name)];
        pages.extend(named.map(|n| n.trim_end_matches('.').to_string()));
        pages.dedup();
        Some((name, json!({ "doc": doc, "pages": pages })))
    };
    names.into_iter().filter_map(op).collect()
}

/// Those of `pages` that `stops` and `ops` name.
fn named<'a>(
    pages: &[Chapter<'a>],
    stops: &[Value],
    ops: &BTreeMap<&str, Value>,
) -> BTreeMap<&'a str, &'a str> {
    let lists = stops
        .iter()
        .chain(ops.values())
        .filter_map(|v| v["pages"].as_array());
    let names: BTreeSet<&str> = lists.flatten().filter_map(Value::as_str).collect();
    let named = pages.iter().filter(|(name, _)| names.contains(name));
    named.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_gan::config::{Config, DataSet};
    use ganforge_gan::data;

    fn explained(options: &[&str], step: u64) -> Explained {
        let config =
            Config::preset("tiny").and_then(|c| c.with(&[&["train.batch=8"], options].concat()));
        let data = data::bundled_sample().expect("comes with the program");
        let trainer = Trainer::new(&config.expect("valid"), &data.train).expect("fits");
        Explained::after(trainer, &data, step, &mut |_, _| {}).expect("runs")
    }

    #[test]
    fn the_step_is_that_of_training_to_the_bit() {
        let kept = explained(&[], 3);
        let data = data::bundled_sample().expect("comes with the program");
        let mut trainer = Trainer::new(kept.trainer.config(), &data.train).expect("valid");
        let mut last = None;
        for _ in 0..4 {
            last = Some(trainer.step().expect("runs"));
        }
        assert_eq!(last, Some(kept.report));
        assert_eq!(trainer.store(), kept.trainer.store());
        assert_eq!(kept.step, 3);
    }

    #[test]
    fn every_value_that_the_walk_names_is_there_and_finite() {
        for update in ["train.update=simultaneous", "train.update=alternating"] {
            let kept = explained(&[update], 1);
            let data = kept.data(&[]);
            for node in shown(data["stops"].as_array().expect("a list")) {
                let value = &data["values"][node.to_string()];
                let line = kept.diagram.formula(node);
                assert!(
                    value["mean"].is_number(),
                    "{update}: {node} {line}: {value}"
                );
                assert!(data["nodes"][node.to_string()]["label"].is_string());
            }
            for (name, op) in data["ops"].as_object().expect("a map") {
                assert!(
                    op["doc"].as_str().is_some_and(|d| d.contains("source:")),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn the_walk_visits_the_formula_each_losses_chain_rule_and_every_update() {
        let kept = explained(&[], 0);
        let stops = kept.stops();
        let parts = |part: &str| stops.iter().filter(|s| s["part"] == part).count();
        assert_eq!(parts("update"), kept.diagram.updates().len());
        for (pass, loss) in kept.diagram.passes() {
            let ops = pass
                .adjoints
                .iter()
                .filter(|a| !kept.diagram.is_source(a.0.index()));
            assert_eq!(parts(loss), ops.count(), "{loss}");
        }
        assert!(parts("forward") > parts("loss/d"));
        assert_eq!(
            parts("forward") + parts("loss/d") + parts("loss/g") + parts("update"),
            stops.len()
        );
        for stop in stops.iter().filter(|s| s["part"] == "loss/d") {
            assert!(
                !stop["gradients"].as_array().expect("a list").is_empty(),
                "{stop}"
            );
        }
    }

    #[test]
    fn every_stop_has_words() {
        for update in ["train.update=simultaneous", "train.update=alternating"] {
            for stop in explained(&[update], 1).stops() {
                let notes = stop["notes"].as_array().expect("a list");
                assert!(
                    notes
                        .iter()
                        .all(|n| n.as_str().is_some_and(|n| n.len() > 5)),
                    "{stop}"
                );
                assert!(!notes.is_empty(), "{stop}");
            }
        }
    }

    #[test]
    fn the_tour_goes_from_the_data_to_the_updates_past_both_losses() {
        let kept = explained(&[], 0);
        let stops = kept.stops();
        let tour = tour::tour(&kept.diagram, &stops);
        assert!((12..=14).contains(&tour.len()), "{}", tour.len());
        let at: Vec<usize> = tour
            .iter()
            .map(|t| t["stop"].as_u64().expect("a number") as usize)
            .collect();
        assert!(at.is_sorted());
        let parts: Vec<&str> = at
            .iter()
            .map(|&i| stops[i]["part"].as_str().expect("text"))
            .collect();
        for part in ["forward", "loss/d", "loss/g", "update"] {
            assert!(
                parts.iter().filter(|p| **p == part).count() >= 2,
                "{parts:?}"
            );
        }
        // The gradient in the samples is among them: all that G learns from.
        let samples = kept.diagram.samples();
        let leads = |i: &usize| {
            stops[*i]["gradients"].as_array().is_some_and(|g| {
                stops[*i]["part"] == "loss/g"
                    && g.iter().any(|g| !samples.is_empty() && g[0].is_u64())
            })
        };
        assert!(at.iter().any(leads));
    }

    #[test]
    fn points_of_toy_sets_are_shown_in_their_space() {
        for (preset, d, update) in [
            ("ring", 2, "simultaneous"),
            ("grid", 2, "alternating"),
            ("fig1", 1, "alternating"),
        ] {
            let options = [&format!("train.update={update}"), "train.batch=16"];
            let config = Config::preset(preset)
                .and_then(|c| c.with(&options))
                .expect("valid");
            let DataSet::Toy(toy) = config.data.set else {
                panic!("{preset} learns from a toy set");
            };
            let data = toy.draw(config.seed);
            let trainer = Trainer::new(&config, &data.train).expect("fits");
            let kept = Explained::after(trainer, &data, 1, &mut |_, _| {}).expect("runs");
            let page = kept.data(&[]);
            assert_eq!(page["space"]["d"], d, "{preset}");
            for loss in ["loss/d", "loss/g"] {
                assert!(page["space"]["judged"][loss].is_string(), "{preset} {loss}");
            }
            let picture = |n: usize| &page["values"][n.to_string()]["picture"];
            let sample = kept.diagram.samples()[0];
            assert_eq!(picture(sample)["kind"], "points", "{preset}");
            assert_eq!(picture(sample)["at"].as_array().expect("a list").len(), 16);
            assert_eq!(
                picture(sample)["at"][0].as_array().expect("a list").len(),
                d
            );
            // Of G's loss the gradient in the samples is drawn at them.
            let values = page["values"].as_object().expect("a map").values();
            let arrows = values.filter(|v| v["picture"]["gradient"].is_array());
            let of_g = arrows.filter(|v| v["picture"]["judged"] == "loss/g");
            assert!(of_g.count() > 0, "{preset}");
            let weights = kept.diagram.updates()[0].0.index();
            assert_ne!(picture(weights)["kind"], "points", "{preset}");
        }
        assert!(explained(&[], 0).data(&[])["space"].is_null());
    }

    #[test]
    fn a_step_that_went_bad_can_be_looked_at() {
        let kept = explained(&["optimizer.lr=1000"], 20);
        let data = kept.data(&[]);
        let values = data["values"].as_object().expect("a map");
        assert!(values.values().any(|v| v["bad"].as_u64() > Some(0)));
    }
}
