//! What the page says of images: their pictures, and for each pixel the rectangle of an earlier image that it sees.

use std::collections::{BTreeMap, BTreeSet};

use ganforge_tensor::{Node, Op};
use serde_json::{Value, json};

use super::Explained;
use super::field::{Field, fields, has_means, sources, windows};
use super::images::{Along, Images, Lines, Taps, What};
use super::movers::is_mover;
use super::pace::Pace;
use super::tiles;
use crate::diagram::{Diagram, Stage, net_of};

/// The images of a step.
pub(super) struct Sight {
    what: Vec<Option<What>>,
    /// Values that are pictures as the data are.
    data: BTreeSet<usize>,
    /// By node: what its pixels see.
    sees: BTreeMap<usize, Vec<Value>>,
    sources: BTreeSet<usize>,
    lines: Table,
    windows: Table,
}

/// What several nodes share, each once.
#[derive(Default)]
struct Table {
    rows: Vec<Value>,
    known: BTreeMap<String, usize>,
}

impl Table {
    fn number_of(&mut self, row: Value) -> usize {
        let next = self.rows.len();
        let number = *self.known.entry(row.to_string()).or_insert(next);
        if number == next {
            self.rows.push(row);
        }
        number
    }
}

impl Sight {
    /// What is to be said of the images among the nodes that are `shown`.
    pub fn of(d: &Diagram, shown: &BTreeSet<usize>) -> Sight {
        let nodes: Vec<Node> = (0..d.len()).map(|n| *d.node(n)).collect();
        let groups = groups(d);
        let adjoints = d.passes().flat_map(|(pass, _)| &pass.adjoints);
        let adjoints: BTreeSet<usize> = adjoints.map(|a| a.1.index()).collect();
        let images = Images::of(&nodes, |n| groups[n], |n| adjoints.contains(&n));
        let mut sight = Sight {
            what: (0..d.len()).map(|n| images.what(n)).collect(),
            data: data(d),
            sees: BTreeMap::new(),
            sources: BTreeSet::new(),
            lines: Table::default(),
            windows: Table::default(),
        };
        let mut known: BTreeMap<usize, Vec<Option<Field>>> = BTreeMap::new();
        for &n in shown.iter().filter(|&&n| images.is_image(n)) {
            for source in sources(&images, |n| net(d, n), n) {
                let fields = known
                    .entry(source)
                    .or_insert_with(|| fields(&images, source));
                sight.add(d, &images, (source, fields), n);
            }
        }
        sight
    }

    /// Notes what node `n` sees of a source, if its pixels are not those of the source themselves.
    fn add(
        &mut self,
        d: &Diagram,
        images: &Images,
        (source, fields): (usize, &[Option<Field>]),
        n: usize,
    ) {
        let way = windows(images, fields, n);
        let Some(field) = fields[n].as_ref().filter(|_| !way.is_empty()) else {
            return;
        };
        let lines = [0, 1].map(|i| self.lines.number_of(flat(&field.lines[i])));
        let rows = way.iter().map(|&m| {
            let along = images.reads(m).iter().find(|r| fields[r.from].is_some());
            let along = along.map(|r| &r.along);
            let of = fields[m].as_ref().expect("on the way from the source");
            window(d, m, along, of)
        });
        let rows: Vec<usize> = rows.map(|row| self.windows.number_of(row)).collect();
        self.sources.insert(source);
        self.sees.entry(n).or_default().push(json!({
            "of": source,
            "rows": lines[0],
            "columns": lines[1],
            "windows": rows,
            "means": has_means(images, source, n),
        }));
    }

    /// The images that others see.
    pub fn sources(&self) -> &BTreeSet<usize> {
        &self.sources
    }

    /// Adds to what is said of a value its picture, if it is images or filters, and what its pixels see.
    pub fn add_to(&self, value: &mut Value, e: &Explained, n: usize, values: &[f32]) {
        let is_data = self.data.contains(&n);
        if let Ok(dims) = <[usize; 4]>::try_from(e.diagram.node(n).shape.dims()) {
            let batch = e.trainer.config().train.examples_per_shard();
            match self.what[n] {
                Some(What::Images) => {
                    value["picture"] = tiles::maps(values, dims, (batch, e.example), is_data);
                }
                Some(What::Filters) => value["picture"] = tiles::filters(values, dims),
                None => {}
            }
        }
        if is_data && value["picture"]["kind"] == "images" {
            value["picture"]["grey"] = true.into();
        }
        if let Some(sees) = self.sees.get(&n) {
            value["sees"] = json!(sees);
        }
    }

    /// Tables that the nodes share: lines that are seen, first and last in turn, -1 where there are none; windows on the way.
    pub fn json(&self) -> Value {
        json!({ "lines": self.lines.rows, "windows": self.windows.rows })
    }
}

/// What images belong together: those of the formula, 0, and the gradients of each pass. What a pass computes of the formula alone
/// is no gradient: for each pass a group of its own.
fn groups(d: &Diagram) -> Vec<usize> {
    let mut groups = vec![0; d.len()];
    for (p, (pass, _)) in d.passes().enumerate() {
        let (gradient, other) = (2 * p + 1, 2 * p + 2);
        for n in pass.nodes.clone() {
            let is_gradient = n == pass.nodes.start || d.inputs(n).any(|i| groups[i] == gradient);
            groups[n] = if is_gradient { gradient } else { other };
        }
    }
    groups
}

/// The net whose layer a node belongs to.
fn net(d: &Diagram, n: usize) -> Option<char> {
    net_of(d.scope(n))?.1.chars().next()
}

/// The training data and samples, also in other shapes.
fn data(d: &Diagram) -> BTreeSet<usize> {
    let mut data: BTreeSet<usize> = d.samples().into_iter().collect();
    for n in (0..d.len()).filter(|&n| d.stage(n) == Stage::Forward) {
        let op = d.node(n).op;
        let moved = is_mover(&op) && d.inputs(n).all(|i| data.contains(&i));
        if moved && net(d, n).is_none_or(|net| net != 'D') || matches!(op, Op::Input(_)) {
            data.insert(n);
        }
    }
    data
}

fn flat(lines: &Lines) -> Value {
    let ends = |range: &Option<[usize; 2]>| match *range {
        Some([lo, hi]) => [lo as i64, hi as i64],
        None => [-1, -1],
    };
    json!(lines.iter().flat_map(ends).collect::<Vec<i64>>())
}

/// A window on the way: of what it is made, and what its result sees of the source, far from borders.
fn window(d: &Diagram, n: usize, along: Option<&[Along; 2]>, field: &Field) -> Value {
    let taps = along.map(|along| [&along[0], &along[1]].map(taps_of));
    let taps = match taps {
        Some([Some(a), Some(b)]) => Some([a, b]),
        _ => None,
    };
    let of = |what: fn(Taps) -> usize| taps.map(|[a, b]| [what(a), what(b)]);
    let scatters = along.is_some_and(|along| matches!(along[0], Along::Scatters(_)));
    let seen = match &field.pace {
        [Some(a), Some(b)] => {
            let both = |what: fn(&Pace) -> Value| json!([what(a), what(b)]);
            json!({
                "size": both(|p| json!(p.size())),
                "stride": both(|p| json!(p.stride())),
                "start": both(|p| json!(p.start())),
            })
        }
        _ => Value::Null,
    };
    json!({
        "node": n,
        "layer": d.scope(n),
        "op": d.node(n).op.name().replace('_', " "),
        "image": d.node(n).shape.dims()[1..3],
        "kernel": of(|t| t.kernel),
        "stride": of(|t| t.stride),
        "pad": of(|t| t.pad),
        "scatters": scatters,
        "seen": seen,
    })
}

fn taps_of(along: &Along) -> Option<Taps> {
    match *along {
        Along::Gathers(taps) | Along::Scatters(taps) => Some(taps),
        Along::Same => Some(Taps {
            kernel: 1,
            stride: 1,
            pad: 0,
        }),
        Along::As(_) => None,
    }
}
