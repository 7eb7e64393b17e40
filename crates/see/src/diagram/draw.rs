//! Writing SVG: shapes in the few styles that the drawings use.

use std::fmt::Write;

use crate::html::escape;

/// Width of a character of the monospaced lines, in pixels.
pub(super) const CHAR: f64 = 6.05;
/// Distance of two lines of text.
pub(super) const LINE: f64 = 13.0;

/// Of the drawing alone, also where it is part of a page.
const STYLE: &str = "\
.drawing text{font:10px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#2b3238}\
.drawing .title{font:600 20px system-ui,'Helvetica Neue',Arial,sans-serif}\
.drawing .about{font:13px system-ui,'Helvetica Neue',Arial,sans-serif;fill:#5b6570}\
.drawing .band{font:600 15px system-ui,'Helvetica Neue',Arial,sans-serif}\
.drawing .layer{font:600 11px system-ui,'Helvetica Neue',Arial,sans-serif;fill:#5b6570}\
.drawing .head{font:600 11.5px system-ui,'Helvetica Neue',Arial,sans-serif}\
.drawing .muted{fill:#7a848e}.drawing .shape{fill:#5b6570;font-size:9.5px}\
.drawing .small{font-size:8.5px}";

/// A drawing in the making.
#[derive(Default)]
pub(super) struct Canvas {
    body: String,
}

/// Colours of a box: border and inside.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub stroke: &'static str,
    pub fill: &'static str,
}

impl Canvas {
    pub fn rect(&mut self, x: f64, y: f64, w: f64, h: f64, radius: f64, look: Look) {
        let Look { stroke, fill } = look;
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" rx=\"{radius}\" fill=\"{fill}\" \
             stroke=\"{stroke}\"/>"
        );
    }

    pub fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>"
        );
    }

    pub fn colored(&mut self, x: f64, y: f64, class: &str, color: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" style=\"fill:{color}\">{text}</text>"
        );
    }

    /// Text whose middle is at x; the same one in the same place only once.
    pub fn label(&mut self, x: f64, y: f64, text: &str) {
        let text = escape(text);
        let label = format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" class=\"shape\">{text}</text>\n"
        );
        if !self.body.contains(&label) {
            self.body += &label;
        }
    }

    /// Small text that rises to the right.
    pub fn slanted(&mut self, x: f64, y: f64, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.body,
            "<text class=\"small\" transform=\"translate({x:.1},{y:.1}) rotate(-55)\">{text}</text>"
        );
    }

    /// An arrow along a path of SVG.
    pub fn arrow(&mut self, path: &str, color: &str, marker: &str) {
        let _ = writeln!(
            self.body,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.3\" marker-end=\"url(#{marker})\"/>"
        );
    }

    /// A group with what a reader sees who points at it, and attributes for scripts.
    pub fn titled(&mut self, title: &str, attributes: &str, draw: impl FnOnce(&mut Canvas)) {
        let _ = writeln!(self.body, "<g{attributes}><title>{}</title>", escape(title));
        draw(self);
        self.body += "</g>\n";
    }

    /// The whole file; `markers` are arrow heads by name and colour.
    pub fn finish(self, w: f64, h: f64, title: &str, markers: &[(&str, &str)]) -> String {
        let head = |(name, color): &(&str, &str)| {
            format!(
                "<marker id=\"{name}\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
                 orient=\"auto\"><path d=\"M0,0.8L8,4L0,7.2z\" fill=\"{color}\"/></marker>"
            )
        };
        let markers: String = markers.iter().map(head).collect();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" viewBox=\"0 0 {w:.0} {h:.0}\" \
             class=\"drawing\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n<defs>{markers}</defs>\n\
             <rect width=\"{w:.0}\" height=\"{h:.0}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escape(title),
            self.body
        )
    }
}
