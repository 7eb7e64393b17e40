//! The plan as a picture: kernel calls from left to right, a row for each buffer, a bar for the lifetime of each value.

use super::Diagram;
use super::draw::{Canvas, Look};
use ganforge_tensor::words::{counted, size};

const STEP: f64 = 16.0;
const ROW: f64 = 20.0;
const LEFT: f64 = 130.0;
const TOP: f64 = 300.0;

const ROWS: [&str; 2] = ["#f6f7f8", "#ffffff"];

impl Diagram {
    pub(super) fn plan_svg(&self) -> String {
        let plan = &self.plan;
        let mut canvas = Canvas::default();
        let (steps, buffers) = (plan.calls.len() as f64, plan.buffers.len() as f64);
        let width = (LEFT + steps * STEP + 40.0).max(760.0);
        let title = format!("{}: the plan of a training step, {}", self.name, self.about);
        canvas.text(24.0, 36.0, "title", &title);
        let about = format!(
            "{} from left to right; a row for each of {} ({}), a bar for each value in it: the \
             next one begins where nothing reads the last one any more.",
            counted(plan.calls.len(), "kernel call"),
            counted(plan.buffers.len(), "buffer"),
            size(plan.buffer_bytes() as u64)
        );
        canvas.text(24.0, 58.0, "about", &about);
        for (b, elements) in plan.buffers.iter().enumerate() {
            let y = TOP + b as f64 * ROW;
            let fill = ROWS[b % 2];
            canvas.rect(
                LEFT,
                y,
                steps * STEP,
                ROW,
                0.0,
                Look {
                    stroke: "none",
                    fill,
                },
            );
            let label = format!("b{b:<3}{:>10}", size(4 * *elements as u64));
            canvas.text(24.0, y + 14.0, "", &label);
        }
        for (at, call) in plan.calls.iter().enumerate() {
            let x = LEFT + (at as f64 + 0.5) * STEP;
            let text = format!(
                "{at} {} · {}",
                short(&call.kernel.to_string()),
                plan.scope_of(call)
            );
            canvas.slanted(x + 3.0, TOP - 8.0, &text);
        }
        for life in plan.lifetimes() {
            let x = LEFT + life.first as f64 * STEP + 1.5;
            let w = (life.last - life.first + 1) as f64 * STEP - 3.0;
            let y = TOP + f64::from(life.buffer) * ROW + 3.0;
            let node = self.of_graph(life.node);
            let look = look(&self.scopes[node]);
            let label = &self.labels[node];
            let about = format!(
                "{}\nsteps {} to {}",
                self.lines[node], life.first, life.last
            );
            canvas.titled(&about, "", |c| {
                c.rect(x, y, w, ROW - 6.0, 3.0, look);
                if w > 5.4 * label.chars().count() as f64 + 8.0 {
                    c.text(x + 4.0, y + 10.5, "small", label);
                }
            });
        }
        canvas.finish(width + 180.0, TOP + buffers * ROW + 30.0, &title, &[])
    }
}

/// The colour of the net that a value belongs to.
fn look(scope: &str) -> Look {
    let (stroke, fill) = match scope.split('/').next() {
        Some("G") => ("#e3a67f", "#fcd9c2"),
        Some("D" | "C" | "E") => ("#7fb0d9", "#c9dff2"),
        Some("loss") => ("#79b793", "#cfe8d9"),
        _ => ("#a9b2ba", "#e3e7ea"),
    };
    Look { stroke, fill }
}

/// A kernel's name in at most 30 letters.
fn short(name: &str) -> String {
    match name.char_indices().nth(30) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_string(),
    }
}
