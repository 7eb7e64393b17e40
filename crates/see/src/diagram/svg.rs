//! The step as a picture: a band for each application of a network, the forward pass from left to right, the backward pass
//! underneath it from right to left.

use std::collections::BTreeSet;

use super::draw::{Canvas, LINE, Look};
use super::layout::{Cell, LEFT, Layout, LineKind, PAD, adjoint};
use super::parts::Parts;
use super::{Diagram, Part, player};

const INK: &str = "#3c4650";
const D: &str = "#1c6bb0";
const G: &str = "#c2540f";
const MARKERS: [(&str, &str); 3] = [("forward", INK), ("of-d", D), ("of-g", G)];
const BANDS: [Look; 2] = [
    Look {
        stroke: "#e3c3ae",
        fill: "#fdf8f4",
    },
    Look {
        stroke: "#b4cde3",
        fill: "#f5f9fd",
    },
];
const LAYER: Look = Look {
    stroke: "none",
    fill: "rgba(40,60,80,0.045)",
};
const FORMULA: Look = Look {
    stroke: "#6b7680",
    fill: "#ffffff",
};
const OF_D: Look = Look {
    stroke: "#7fb0d9",
    fill: "#e6f0f9",
};
const OF_G: Look = Look {
    stroke: "#e3a67f",
    fill: "#fcece0",
};

impl Diagram {
    /// A drawing of `part`; a drawing of all of it has the formula and the chain rule.
    pub fn svg(&self, part: Part) -> String {
        if part == Part::Plan {
            return self.plan_svg();
        }
        let parts = Parts::of(self);
        let layout = Layout::of(self, &parts, part != Part::Forward);
        let mut picture = Picture {
            diagram: self,
            parts: &parts,
            layout: &layout,
            canvas: Canvas::default(),
        };
        picture.bands();
        picture.arrows();
        for cell in &layout.cells {
            picture.cell(cell);
        }
        picture.heading();
        let bottom = picture.updates(part);
        let title = format!("{}: one training step", self.name);
        picture
            .canvas
            .finish(layout.width, bottom, &title, &MARKERS)
    }
}

struct Picture<'a> {
    diagram: &'a Diagram,
    parts: &'a Parts,
    layout: &'a Layout,
    canvas: Canvas,
}

impl Picture<'_> {
    /// Whose loss a pass differentiates: its colour, and that of its boxes.
    fn looks(&self, pass: usize) -> (&'static str, &'static str, Look) {
        match self.diagram.losses[pass].as_str() {
            "loss/g" => (G, "of-g", OF_G),
            _ => (D, "of-d", OF_D),
        }
    }

    fn heading(&mut self) {
        let title = format!(
            "{}: one training step, {}",
            self.diagram.name, self.diagram.about
        );
        self.canvas.text(24.0, 36.0, "title", &title);
        let about = "Formula: left to right. Chain rule: underneath, right to left, each op's in its own column. On the \
                     arrows: shapes. %n is line n of the listing.";
        self.canvas.text(24.0, 58.0, "about", about);
    }

    fn bands(&mut self) {
        let right = self.layout.width - 24.0;
        for (band, strip) in self.parts.bands.iter().zip(&self.layout.strips) {
            let (is_d, y) = (band.net != "G", strip.y);
            let ground = BANDS[usize::from(is_d)];
            self.canvas
                .rect(24.0, y, right - 24.0, strip.h, 14.0, ground);
            let color = if is_d { D } else { G };
            self.canvas
                .colored(LEFT, y + 23.0, "band", color, &band.title);
            for (name, from, to) in &strip.layers {
                let (x, w) = (from - 12.0, to - from + 24.0);
                self.canvas
                    .rect(x, y + 30.0, w, strip.h - 38.0, 10.0, LAYER);
                self.canvas.text(from - 2.0, y + 44.0, "layer", name);
            }
            for ((pass, of), y) in &strip.passes {
                let (color, ..) = self.looks(*pass);
                let text = match (self.diagram.is_inner(*pass), of) {
                    (true, _) => "◂ the gradient that a penalty is made of".to_string(),
                    (_, Some(_)) => "▸ the chain rule of the penalty's gradient".to_string(),
                    _ => format!(
                        "◂ backward pass of {}'s loss",
                        player(&self.diagram.losses[*pass])
                    ),
                };
                self.canvas.colored(42.0, *y, "head", color, &text);
            }
        }
    }

    fn arrows(&mut self) {
        let (parts, layout, diagram) = (self.parts, self.layout, self.diagram);
        for (q, piece) in parts.pieces.iter().enumerate() {
            for &(p, value) in &piece.inputs {
                let shape = diagram.shape(value);
                let is_near = parts.pieces[p].band == piece.band;
                if let (Some(from), Some(to)) =
                    (layout.cell(p, None, None), layout.cell(q, None, None))
                {
                    match is_near {
                        true => self.across(
                            from.right(),
                            from.middle(),
                            to.x,
                            to.middle(),
                            INK,
                            "forward",
                        ),
                        false => self.around(from, to, piece.band, value),
                    }
                    let x = from.right() + (shape.chars().count() as f64 * 5.8 + 10.0) / 2.0;
                    self.canvas.label(x, from.middle() - 5.0, &shape);
                }
                for pass in 0..diagram.passes.len() {
                    let (color, marker, _) = self.looks(pass);
                    self.again(pass, (p, q));
                    let cell = |piece| layout.cell(piece, Some(pass), None);
                    let ends = (cell(q), cell(p));
                    let (Some(from), Some(to)) = ends else {
                        continue;
                    };
                    if adjoint(diagram, pass, value).is_none() {
                        continue;
                    }
                    match is_near {
                        true => self.across(
                            from.x,
                            from.middle(),
                            to.right(),
                            to.middle(),
                            color,
                            marker,
                        ),
                        false => self.back_around(from, to, (piece.band, value), color, marker),
                    }
                    let x = to.right() + (shape.chars().count() as f64 * 5.8 + 16.0) / 2.0;
                    self.canvas.label(x, to.middle() - 5.0, &shape);
                }
            }
        }
    }

    /// Of chain rules of chain rules: from a piece to one that reads it, against the direction of the pass that they differentiate.
    fn again(&mut self, pass: usize, (p, q): (usize, usize)) {
        let (color, marker, _) = self.looks(pass);
        for of in (0..pass).map(Some) {
            let ends = [p, q].map(|piece| self.layout.cell(piece, Some(pass), of));
            let is_near = self.parts.pieces[p].band == self.parts.pieces[q].band;
            if let ([Some(from), Some(to)], true) = (ends, is_near) {
                let start = (from.right(), from.middle());
                self.across(start.0, start.1, to.x, to.middle(), color, marker);
            }
        }
    }

    /// An arrow inside of a band: straight where it can be.
    fn across(&mut self, x0: f64, y0: f64, x1: f64, y1: f64, color: &str, marker: &str) {
        let path = if (y0 - y1).abs() < 1.0 {
            format!("M{x0:.1},{y0:.1}H{x1:.1}")
        } else {
            // Level beside both boxes, the slope in the last stretch.
            let bend = 22.0 * (x1 - x0).signum();
            let knee = x1 - 2.0 * bend;
            format!(
                "M{x0:.1},{y0:.1}H{knee:.1}C{:.1},{y0:.1} {:.1},{y1:.1} {x1:.1},{y1:.1}",
                knee + bend,
                x1 - bend
            )
        };
        self.canvas.arrow(&path, color, marker);
    }

    /// From the end of a band to the beginning of a later one, through the space above that.
    fn around(&mut self, from: &Cell, to: &Cell, band: usize, value: usize) {
        let gap = self.layout.strips[band].y - 38.0;
        let out = self.layout.right_of(self.parts, from.piece) + 78.0;
        let stops = [
            (from.right(), from.middle()),
            (out, from.middle()),
            (out, gap),
            (LEFT - 18.0, gap),
            (LEFT - 18.0, to.middle()),
            (to.x, to.middle()),
        ];
        self.canvas.arrow(&rounded(&stops), INK, "forward");
        let bands = &self.parts.bands;
        let is_sample =
            self.parts.pieces[from.piece].scope.starts_with("G/") && bands[band].net == "D";
        let text = match is_sample {
            true => "samples G(z) ▸ to D".to_string(),
            false => format!("{} ▸", self.diagram.labels[value]),
        };
        let x = LEFT + if is_sample { 6.0 } else { 140.0 };
        self.canvas.text(x, gap - 5.0, "shape", &text);
    }

    /// The gradient on its way back along [`Picture::around`].
    fn back_around(
        &mut self,
        from: &Cell,
        to: &Cell,
        (band, value): (usize, usize),
        color: &str,
        marker: &str,
    ) {
        let gap = self.layout.strips[band].y - 16.0;
        let out = self.layout.right_of(self.parts, to.piece) + 88.0;
        let stops = [
            (from.x, from.middle()),
            (LEFT - 28.0, from.middle()),
            (LEFT - 28.0, gap),
            (out, gap),
            (out, to.middle()),
            (to.right(), to.middle()),
        ];
        self.canvas.arrow(&rounded(&stops), color, marker);
        let (x, text) = match self.parts.pieces[to.piece].scope.starts_with("G/") {
            true => (
                6.0,
                "◂ gradient of the samples, from D back to G".to_string(),
            ),
            false => (
                300.0,
                format!("◂ gradient of {}", self.diagram.labels[value]),
            ),
        };
        self.canvas
            .colored(LEFT + x, gap - 5.0, "shape", color, &text);
    }

    fn cell(&mut self, cell: &Cell) {
        let look = cell.pass.map_or(FORMULA, |pass| self.looks(pass).2);
        let color = cell.pass.map_or(INK, |pass| self.looks(pass).0);
        let nodes = &self.parts.pieces[cell.piece].nodes;
        let lines = nodes.iter().map(|&n| self.diagram.lines[n].clone());
        let title = lines.collect::<Vec<_>>().join("\n");
        let read = nodes.iter().flat_map(|&n| self.diagram.inputs(n));
        let beside = read.filter(|&n| self.parts.owner[n].is_none());
        let ids: BTreeSet<usize> = beside.chain(nodes.iter().copied()).collect();
        let ids: Vec<String> = ids.iter().map(usize::to_string).collect();
        let loss = cell.pass.map_or("", |pass| &self.diagram.losses[pass]);
        let attributes = format!(" data-nodes=\"{}\" data-loss=\"{loss}\"", ids.join(" "));
        self.canvas.titled(&title, &attributes, |canvas| {
            canvas.rect(cell.x, cell.y, cell.w, cell.h, 6.0, look);
            let (x, mut y) = (cell.x + PAD, cell.y + PAD + 8.0);
            canvas.colored(x, y, "head", color, &cell.title);
            for line in &cell.lines {
                y += LINE;
                match line.kind {
                    LineKind::Beside => canvas.text(x, y, "muted", &line.text),
                    LineKind::Formula => canvas.text(x, y, "", &line.text),
                    LineKind::Gradient => canvas.colored(x, y, "head", color, &line.text),
                }
            }
        });
    }

    /// What the gradients do to the parameters: one rule written out, the tensors that follow it named. Returns where
    /// the picture ends.
    fn updates(&mut self, part: Part) -> f64 {
        let top = self.layout.height - 34.0;
        if part != Part::All {
            return top;
        }
        let mut y = top + 20.0;
        self.canvas.text(24.0, y, "band", "Updates");
        for (scopes, nodes) in self.rules() {
            let names: Vec<&str> = scopes
                .iter()
                .map(|s| s.trim_start_matches("update/"))
                .collect();
            y += 20.0;
            self.canvas.text(24.0, y, "head", &names.join(", "));
            let lines = nodes
                .iter()
                .map(|&n| format!("{} = {}", self.diagram.labels[n], self.diagram.formulas[n]));
            let label = format!(
                "{}, as above: ",
                ["each", "it"][usize::from(names.len() == 1)]
            );
            y += 15.0;
            self.canvas.text(
                24.0,
                y,
                "",
                &format!("{label}{}", lines.collect::<Vec<_>>().join("   ")),
            );
        }
        y + 24.0
    }

    /// The scopes of updates with the same ops in the same order, and the nodes of the first one.
    fn rules(&self) -> Vec<(Vec<String>, Vec<usize>)> {
        let diagram = self.diagram;
        let mut scopes: Vec<(String, Vec<usize>)> = Vec::new();
        for i in 0..diagram.nodes.len() {
            let scope = &diagram.scopes[i];
            let is_op = !diagram.is_source(i) && diagram.nodes[i].op.name() != "broadcast_to";
            if !scope.starts_with("update/") || !is_op {
                continue;
            }
            match scopes.iter_mut().find(|s| s.0 == *scope) {
                Some(known) => known.1.push(i),
                None => scopes.push((scope.clone(), vec![i])),
            }
        }
        let ops = |nodes: &[usize]| -> Vec<&str> {
            nodes.iter().map(|&n| diagram.nodes[n].op.name()).collect()
        };
        let mut rules: Vec<(Vec<String>, Vec<usize>)> = Vec::new();
        for (scope, nodes) in scopes {
            match rules.iter_mut().find(|r| ops(&r.1) == ops(&nodes)) {
                Some(rule) => rule.0.push(scope),
                None => rules.push((vec![scope], nodes)),
            }
        }
        rules
    }
}

/// A path through points with right angles between them, its corners rounded.
fn rounded(points: &[(f64, f64)]) -> String {
    let mut path = format!("M{:.1},{:.1}", points[0].0, points[0].1);
    for w in points.windows(3) {
        let [a, b, c] = [w[0], w[1], w[2]];
        let near = |p: (f64, f64)| {
            let (dx, dy) = (p.0 - b.0, p.1 - b.1);
            let length = dx.hypot(dy).max(1e-9);
            let r = (length / 2.0).min(10.0);
            (b.0 + dx / length * r, b.1 + dy / length * r)
        };
        let (before, after) = (near(a), near(c));
        path += &format!(
            "L{:.1},{:.1}Q{:.1},{:.1} {:.1},{:.1}",
            before.0, before.1, b.0, b.1, after.0, after.1
        );
    }
    let end = points[points.len() - 1];
    path + &format!("L{:.1},{:.1}", end.0, end.1)
}
