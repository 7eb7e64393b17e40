//! The layout of a drawing: columns by depth, rows by path, the backward pass in the columns of the nodes it
//! differentiates.

use std::collections::BTreeMap;

use super::draw::{CHAR, LINE};
use super::parts::{Parts, is_alias, is_attached};
use super::{Diagram, Stage, net_of};

/// Space inside a box, beside and above its text.
pub(super) const PAD: f64 = 8.0;
/// From the left edge of the picture to the first column: room for lines around.
pub(super) const LEFT: f64 = 64.0;
const RIGHT: f64 = 48.0;
const TOP: f64 = 84.0;
/// Above the rows of a band: its title and the names of the layers.
const BAND_HEAD: f64 = 52.0;
const PASS_HEAD: f64 = 24.0;
const ROW_GAP: f64 = 16.0;
/// Between two bands: room for the samples on their way from G to D, and their gradient on its way back.
const BAND_GAP: f64 = 58.0;

/// One line in a box.
pub(super) struct Line {
    pub text: String,
    pub kind: LineKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    /// A parameter, a mask: what is read from beside.
    Beside,
    Formula,
    /// Names a parameter's gradient.
    Gradient,
}

/// A box with its place.
pub(super) struct Cell {
    pub piece: usize,
    /// Which pass's chain rule it is; none for the formula.
    pub pass: Option<usize>,
    /// Of a chain rule of a chain rule, as a penalty's gradient has: the pass that is differentiated again.
    pub of: Option<usize>,
    pub title: String,
    pub lines: Vec<Line>,
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
    column: usize,
    row: usize,
}

impl Cell {
    pub fn middle(&self) -> f64 {
        self.y + self.h / 2.0
    }

    pub fn right(&self) -> f64 {
        self.x + self.w
    }
}

/// A band with its place.
pub(super) struct Strip {
    pub y: f64,
    pub h: f64,
    /// Left and right of each layer, with its name.
    pub layers: Vec<(String, f64, f64)>,
    /// Where the rows of a pass begin, by [`Cell::pass`] and [`Cell::of`].
    pub passes: Vec<(Rule, f64)>,
}

/// What the boxes of some rows are: a pass, and, of chain rules of chain rules, the earlier pass that it differentiates.
pub(super) type Rule = (usize, Option<usize>);

pub(super) struct Layout {
    pub cells: Vec<Cell>,
    pub strips: Vec<Strip>,
    pub width: f64,
    pub height: f64,
}

impl Layout {
    pub fn of(diagram: &Diagram, parts: &Parts, with_backward: bool) -> Layout {
        let mut layout = Layout {
            cells: Vec::new(),
            strips: Vec::new(),
            width: 0.0,
            height: TOP,
        };
        let rules = match with_backward {
            true => rules(diagram, parts),
            false => Rules::new(),
        };
        for band in 0..parts.bands.len() {
            layout.add_band(diagram, parts, band, &rules);
        }
        layout.width = (layout.width + RIGHT).max(760.0);
        layout
    }

    /// The box of a piece: of the formula, or of a pass.
    pub fn cell(&self, piece: usize, pass: Option<usize>, of: Option<usize>) -> Option<&Cell> {
        self.cells
            .iter()
            .find(|c| c.piece == piece && c.pass == pass && c.of == of)
    }

    /// Where the boxes of a piece's band end.
    pub fn right_of(&self, parts: &Parts, piece: usize) -> f64 {
        let band = parts.pieces[piece].band;
        let mine = self
            .cells
            .iter()
            .filter(|c| parts.pieces[c.piece].band == band);
        mine.map(Cell::right).fold(0.0, f64::max)
    }

    fn add_band(&mut self, diagram: &Diagram, parts: &Parts, band: usize, rules: &Rules) {
        let mine: Vec<usize> = (0..parts.pieces.len())
            .filter(|&p| parts.pieces[p].band == band)
            .collect();
        let columns = columns(parts, &mine);
        let rows = rows_of(parts, &mine, &columns);
        let mut cells = Vec::new();
        for &piece in &mine {
            let lines = forward_lines(diagram, parts, piece);
            let title = parts.pieces[piece].title.clone();
            let place = (columns[&piece], rows[&piece]);
            cells.push(cell(piece, None, title, lines, place));
        }
        let mut first_rows = Vec::new();
        let mut next_row = rows.values().max().map_or(0, |r| r + 1);
        for (&rule, nodes) in rules {
            let reached: Vec<usize> = mine
                .iter()
                .filter(|p| nodes.contains_key(p))
                .copied()
                .collect();
            if reached.is_empty() {
                continue;
            }
            first_rows.push((rule, next_row));
            let below = rows_of(parts, &reached, &columns);
            for piece in reached {
                let lines = backward_lines(diagram, parts, piece, rule, &nodes[&piece]);
                let place = (columns[&piece], next_row + below[&piece]);
                let d = if rule.1.is_some() { "d d" } else { "d" };
                let title = format!("{d} {}", parts.pieces[piece].title);
                cells.push(cell(piece, Some(rule), title, lines, place));
            }
            next_row += below.values().max().map_or(0, |r| r + 1);
        }
        self.set(diagram, parts, cells, &first_rows);
    }

    /// Gives the boxes of a band their places below all that is there.
    fn set(
        &mut self,
        diagram: &Diagram,
        parts: &Parts,
        mut cells: Vec<Cell>,
        first_rows: &[(Rule, usize)],
    ) {
        let last = cells.iter().map(|c| c.column).max().unwrap_or(0);
        let mut x = LEFT + 16.0;
        let mut bounds = Vec::new();
        for column in 0..=last {
            let width = cells
                .iter()
                .filter(|c| c.column == column)
                .map(|c| c.w)
                .fold(0.0, f64::max);
            let shapes = cells.iter().filter(|c| c.column == column);
            let shapes = shapes.map(|c| diagram.shape(parts.pieces[c.piece].out()).chars().count());
            let gap = shapes.max().unwrap_or(0) as f64 * 5.8 + 18.0;
            bounds.push((x, width));
            x += width + gap.max(36.0);
        }
        self.width = self.width.max(x);
        let top = self.height;
        let mut y = top + BAND_HEAD;
        let mut passes = Vec::new();
        for row in 0..=cells.iter().map(|c| c.row).max().unwrap_or(0) {
            if let Some((rule, _)) = first_rows.iter().find(|f| f.1 == row) {
                y += PASS_HEAD;
                passes.push((*rule, y - 8.0));
            }
            let height = cells
                .iter()
                .filter(|c| c.row == row)
                .map(|c| c.h)
                .fold(0.0, f64::max);
            for c in cells.iter_mut().filter(|c| c.row == row) {
                let (left, width) = bounds[c.column];
                (c.x, c.w) = (left, width);
                c.y = y + (height - c.h) / 2.0;
            }
            y += height + ROW_GAP;
        }
        let mut layers: Vec<(String, f64, f64)> = Vec::new();
        for c in &cells {
            let scope = &parts.pieces[c.piece].scope;
            let name = match scope.split_once('/') {
                Some(("G" | "D" | "C" | "E", layer)) => layer.to_string(),
                Some((first, _)) => first.to_string(),
                None => continue,
            };
            match layers.iter_mut().find(|l| l.0 == name) {
                Some(layer) => (layer.1, layer.2) = (layer.1.min(c.x), layer.2.max(c.right())),
                None => layers.push((name, c.x, c.right())),
            }
        }
        self.strips.push(Strip {
            y: top,
            h: y - top,
            layers,
            passes,
        });
        self.height = y + BAND_GAP;
        self.cells.extend(cells);
    }
}

/// The gradient that a pass found in a value.
pub(super) fn adjoint(diagram: &Diagram, pass: usize, of: usize) -> Option<usize> {
    let adjoints = &diagram.passes[pass].adjoints;
    let found = adjoints.iter().find(|(node, _)| node.index() == of);
    found.map(|(_, gradient)| gradient.index())
}

fn cell(
    piece: usize,
    rule: Option<Rule>,
    title: String,
    lines: Vec<Line>,
    (column, row): (usize, usize),
) -> Cell {
    let widest = lines.iter().map(|l| l.text.chars().count() as f64 * CHAR);
    let widest = widest.fold(title.chars().count() as f64 * 6.6, f64::max);
    Cell {
        piece,
        pass: rule.map(|r| r.0),
        of: rule.and_then(|r| r.1),
        h: 2.0 * PAD + 12.0 + LINE * lines.len() as f64,
        w: widest + 2.0 * PAD,
        title,
        lines,
        x: 0.0,
        y: 0.0,
        column,
        row,
    }
}

/// The column of each piece of a band: the depth of its scope, then its depth inside, so that both passes through a
/// layer share the layer's columns.
fn columns(parts: &Parts, mine: &[usize]) -> BTreeMap<usize, usize> {
    let mut columns: BTreeMap<usize, usize> = mine.iter().map(|&p| (p, 0)).collect();
    let mut starts: BTreeMap<&str, usize> = BTreeMap::new();
    // Each round settles at least one more column; scopes that read each other would never settle.
    for _ in 0..mine.len() {
        for &p in mine {
            let piece = &parts.pieces[p];
            let before = piece.inputs.iter().filter(|i| columns.contains_key(&i.0));
            let (mut own, mut outer) = (0, 0);
            for (q, _) in before {
                match parts.pieces[*q].scope == piece.scope {
                    true => own = own.max(columns[q] + 1),
                    false => outer = outer.max(columns[q] + 1),
                }
            }
            if own == 0 && net_of(&piece.scope).is_some() {
                let start = starts.entry(&piece.scope).or_default();
                *start = (*start).max(outer);
                outer = *start;
            }
            columns.insert(p, own.max(outer));
        }
    }
    columns
}

/// The row of each piece of a band: that of what it reads, or the next free one below.
fn rows_of(
    parts: &Parts,
    mine: &[usize],
    columns: &BTreeMap<usize, usize>,
) -> BTreeMap<usize, usize> {
    let mut order = mine.to_vec();
    order.sort_by_key(|p| (columns[p], *p));
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    for p in order {
        let before = parts.pieces[p].inputs.iter().find_map(|i| rows.get(&i.0));
        let taken = |row: usize| {
            rows.iter()
                .any(|(q, r)| *r == row && columns[q] == columns[&p])
        };
        let mut row = before.copied().unwrap_or(0);
        while taken(row) {
            row += 1;
        }
        rows.insert(p, row);
    }
    rows
}

/// A formula in which renamed and repeated values have the name of what they repeat.
fn formula(diagram: &Diagram, node: usize) -> String {
    let name = |mut n: usize| {
        let is_repeated = |n: usize| match diagram.stages[n] {
            Stage::Forward => is_attached(diagram, n),
            _ => diagram.stages[n] == diagram.stages[node],
        };
        while is_alias(diagram, n) && is_repeated(n) {
            n = diagram.inputs(n).next().expect("these ops have an input");
        }
        match diagram.updates.iter().find(|u| u.2.index() == n) {
            Some((_, name, _)) if diagram.stages[n] == Stage::Update => format!("{name}′"),
            _ if diagram.nodes[n].op.name() == "bernoulli" => "mask".to_string(),
            _ => diagram.labels[n].clone(),
        }
    };
    let inputs: Vec<String> = diagram.inputs(node).map(name).collect();
    let op = &diagram.nodes[node].op;
    let mut rest = inputs;
    let attributes = op.attributes();
    let is_shape = attributes.starts_with('[');
    if !attributes.is_empty() && !is_shape {
        rest.push(attributes);
    }
    format!(
        "{} = {}({})",
        diagram.labels[node],
        op.name(),
        rest.join(", ")
    )
}

fn forward_lines(diagram: &Diagram, parts: &Parts, piece: usize) -> Vec<Line> {
    let nodes = &parts.pieces[piece].nodes;
    let mut lines: Vec<Line> = Vec::new();
    let line = |text: String, kind| Line { text, kind };
    if diagram.is_source(parts.pieces[piece].out()) {
        return vec![line(
            diagram.nodes[parts.pieces[piece].out()].shape.to_string(),
            LineKind::Beside,
        )];
    }
    for &n in nodes {
        for input in diagram.inputs(n).filter(|&i| parts.owner[i].is_none()) {
            let name = match diagram.updates.iter().find(|u| u.2.index() == input) {
                Some((_, name, _)) => format!("{name}′"),
                None => diagram.labels[input].clone(),
            };
            let text = match diagram.nodes[input].op.name() {
                "bernoulli" => name,
                _ => format!("{name} {}", diagram.shape(input)),
            };
            if lines.iter().all(|l| l.text != text) {
                lines.push(line(text, LineKind::Beside));
            }
        }
    }
    let is_shown = |n: &&usize| !(is_alias(diagram, **n) && is_attached(diagram, **n));
    let shown = nodes.iter().filter(is_shown);
    lines.extend(shown.map(|&n| line(formula(diagram, n), LineKind::Formula)));
    lines
}

/// By what is differentiated, and by piece: the nodes of the chain rule; none where a gradient is only passed on.
type Rules = BTreeMap<Rule, BTreeMap<usize, Vec<usize>>>;

/// The chain rules of each pass: of the formula and of earlier passes.
fn rules(diagram: &Diagram, parts: &Parts) -> Rules {
    let mut rules = Rules::new();
    for (p, pass) in diagram.passes.iter().enumerate() {
        for n in pass.nodes.clone() {
            let origin = diagram.nodes[n].origin.map_or(pass.y, |of| of).index();
            let piece = diagram.root(origin).and_then(|root| parts.owner[root]);
            if let Some(piece) = piece {
                let rule = rules.entry((p, diagram.pass_of(origin))).or_default();
                rule.entry(piece).or_default().push(n);
            }
        }
        let reached = pass.adjoints.iter().filter_map(|(of, _)| {
            let piece = parts.owner[of.index()]?;
            (parts.pieces[piece].out() == of.index()).then_some(piece)
        });
        for piece in reached {
            let rule = rules.entry((p, None)).or_default();
            rule.entry(piece).or_default();
        }
    }
    rules
}

fn backward_lines(
    diagram: &Diagram,
    parts: &Parts,
    piece: usize,
    (pass, of): Rule,
    nodes: &[usize],
) -> Vec<Line> {
    let mut lines = Vec::new();
    for &n in nodes {
        lines.push(Line {
            text: formula(diagram, n),
            kind: LineKind::Formula,
        });
        let of_param = diagram.passes[pass].adjoints.iter().find(|a| {
            a.1.index() == n
                && (diagram.is_param(a.0.index()) || diagram.stages[a.0.index()] == Stage::Update)
        });
        if let Some((param, _)) = of_param {
            let text = format!("  ∂/∂{}", diagram.labels[param.index()]);
            lines.push(Line {
                text,
                kind: LineKind::Gradient,
            });
        }
    }
    let gradient = adjoint(diagram, pass, parts.pieces[piece].out());
    if let (true, None, Some(gradient)) = (lines.is_empty(), of, gradient) {
        lines.push(Line {
            text: format!("{} passes on", diagram.labels[gradient]),
            kind: LineKind::Formula,
        });
    }
    lines
}
