//! The plots as pictures.

use ganforge_plots::{
    Axis, BLACK, BLUE, Boxed, Corner, GREEN, GREY, Mark, Panel, Plot, RED, Rgb, Stroke, heat, shade,
};
use ganforge_study::report::{Best, Cell, Map, Spread};
use ganforge_study::{Dimension, Direction, Scale};

use super::Report;
use super::page::{cells, is_log};

/// Pixels of a row of box plots or bars, and of what is around the rows.
const ROW: u32 = 24;
const AROUND: u32 = 100;
const WIDTH: u32 = 860;
/// Height of a plot that has no rows.
const HEIGHT: u32 = 440;
/// Curves of cells beside that of all settings, and how they are told apart.
const CURVES: [(Rgb, Stroke); 6] = [
    (BLUE, Stroke::Solid),
    (GREEN, Stroke::Solid),
    (RED, Stroke::Solid),
    (BLUE, Stroke::Dashed),
    (GREEN, Stroke::Dashed),
    (RED, Stroke::Dashed),
];
/// Cells of a heat map whose scores are written.
const WRITTEN: usize = 80;
/// Lines of parallel coordinates: those of the best settings.
const LINES: usize = 500;

pub(super) fn plots(report: &Report<'_>) -> Vec<(String, Plot)> {
    let results = report.results;
    let mut plots = Vec::new();
    if results.all.scores.is_none() {
        return plots;
    }
    let scores = |cell: &Cell| cell.scores.clone();
    let top = |cell: &Cell| cell.top.clone();
    plots.push(("boxes".to_owned(), boxes(report, "best 5 %", top)));
    plots.push((
        "boxes-all".to_owned(),
        boxes(report, "all settings", scores),
    ));
    plots.push(("budget".to_owned(), budget(report)));
    plots.push(("parallel".to_owned(), parallel(report)));
    if let Some(process) = &results.process {
        if process.shares.is_some() {
            plots.push(("importance".to_owned(), importance(report)));
        }
        let maps = process.maps.iter().enumerate();
        let maps = maps.map(|(i, map)| (format!("map-{}", i + 1), heat_map(report, map)));
        plots.extend(maps);
    }
    plots
}

fn plot(height: u32, panel: Panel) -> Plot {
    Plot {
        panel_size: [WIDTH, height],
        columns: 1,
        panels: vec![panel],
    }
}

/// A number with about three digits, or as many more as tell it from others `gap` away; no zeros at its end.
pub(super) fn number(x: f64, gap: f64) -> String {
    let size = x.abs();
    if size != 0.0 && !(1e-3..1e5).contains(&size) {
        let text = format!("{x:.1e}");
        return text.replace(".0e", "e");
    }
    let digits = match size {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 4,
    };
    let needed = match gap > 0.0 {
        true => (1e-9 - gap.log10()).ceil().clamp(0.0, 9.0) as usize,
        false => 0,
    };
    let text = format!("{x:.*}", digits.max(needed));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A scale as plots have it: linear, or decimal logarithms.
#[derive(Clone, Copy)]
struct Places {
    is_log: bool,
}

impl Places {
    fn of(self, x: f64) -> f64 {
        if self.is_log { x.log10() } else { x }
    }

    fn back(self, place: f64) -> f64 {
        if self.is_log {
            10f64.powf(place)
        } else {
            place
        }
    }

    /// From the lowest to the highest of some values, with air around them.
    fn around(self, values: &[f64]) -> [f64; 2] {
        let places = || values.iter().map(|x| self.of(*x));
        let [low, high] = [
            places().fold(f64::INFINITY, f64::min),
            places().fold(f64::NEG_INFINITY, f64::max),
        ];
        let air = match high > low {
            true => 0.05 * (high - low),
            false => (0.05 * high.abs()).max(0.01),
        };
        [low - air, high + air]
    }

    /// Round numbers in a range of places, each with its place: about `count`.
    fn ticks(self, [low, high]: [f64; 2], count: usize) -> Vec<(f64, String)> {
        let of_decades = |digits: &[f64]| {
            let decades = low.floor() as i32..=high.ceil() as i32;
            let all = decades.flat_map(|e| {
                digits
                    .iter()
                    .map(move |d| d * 10f64.powi(e))
                    .collect::<Vec<_>>()
            });
            all.collect::<Vec<f64>>()
        };
        let steps = || {
            let [low, high] = [self.back(low), self.back(high)];
            let raw = (high - low) / count as f64;
            let power = 10f64.powf(raw.log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0]
                .into_iter()
                .map(|s| s * power)
                .find(|s| *s >= raw * 0.999);
            let step = step.unwrap_or(10.0 * power);
            let first = (low / step).ceil() as i64;
            (first..)
                .map(|i| i as f64 * step)
                .take_while(|x| *x <= high)
                .take(4 * count)
                .collect::<Vec<f64>>()
        };
        let inside = |all: Vec<f64>| -> Vec<f64> {
            all.into_iter()
                .filter(|x| (low..=high).contains(&self.of(*x)))
                .collect()
        };
        let candidates = match self.is_log {
            true => vec![of_decades(&[1.0]), of_decades(&[1.0, 2.0, 5.0]), steps()],
            false => vec![steps()],
        };
        let found = candidates.into_iter().map(inside).find(|t| t.len() > 2);
        let found = found.unwrap_or_else(|| inside(steps()));
        let every = found.len().div_ceil(2 * count).max(1);
        let shown: Vec<f64> = found.into_iter().step_by(every).collect();
        let gap = |i: usize| {
            let after = shown.get(i + 1).map_or(f64::INFINITY, |x| x - shown[i]);
            i.checked_sub(1)
                .map_or(after, |j| after.min(shown[i] - shown[j]))
        };
        let each = shown.iter().enumerate();
        each.map(|(i, x)| (self.of(*x), number(*x, gap(i))))
            .collect()
    }

    /// An axis with round numbers.
    fn axis(self, label: &str, range: [f64; 2]) -> Axis {
        Axis {
            names: self.ticks(range, 6),
            ..Axis::new(label, range)
        }
    }
}

fn score_places(report: &Report<'_>) -> Places {
    Places {
        is_log: is_log(report),
    }
}

/// Lines across a panel at the numbers of its x or y axis.
fn grid(axis: &Axis, other: &Axis, is_x: bool) -> Vec<Mark> {
    let [low, high] = other.range;
    let line = |at: f64| match is_x {
        true => [[at, low], [at, high]],
        false => [[low, at], [high, at]],
    };
    let pale = [225, 225, 225];
    let lines = axis.names.iter();
    lines
        .map(|(at, _)| Mark::line(line(*at), Stroke::Thin, pale, ""))
        .collect()
}

/// What a cell is called.
fn name(cell: &Cell) -> String {
    match cell.values.is_empty() {
        true => "all settings".to_owned(),
        false => cell.values.join(", "),
    }
}

/// At most so many letters.
fn fitted(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn boxes(report: &Report<'_>, which: &str, of: impl Fn(&Cell) -> Option<Spread>) -> Plot {
    let places = score_places(report);
    let row = |cell: &Cell| {
        let spread = of(cell);
        let failed = match cell.runs[1] {
            0 => String::new(),
            n => format!(", {n} failed"),
        };
        let n = spread.as_ref().map_or(0, |s| s.n);
        let title = fitted(&name(cell), 36);
        (
            format!("{title} ({n} of {}{failed})", cell.settings.len()),
            spread,
        )
    };
    let (shown, all) = (cells(report), report.results.cells.len());
    let rows: Vec<(String, Option<Spread>)> = shown.into_iter().map(row).collect();
    let some = match rows.len() < all {
        true => format!(": the best {} of {all} cells", rows.len()),
        false => String::new(),
    };
    let spreads = rows.iter().filter_map(|(_, s)| s.as_ref());
    let ends = spreads.flat_map(|s| s.whiskers.iter().chain(&s.beyond));
    let ends = places.around(&ends.copied().collect::<Vec<_>>());
    let x = places.axis(&report.study.score, ends);
    // The first one is the uppermost.
    let y = Axis::named("", rows.iter().rev().map(|(name, _)| name.clone()));
    let mut marks = grid(&x, &y, true);
    for (i, (_, spread)) in rows.iter().rev().enumerate() {
        let Some(spread) = spread else {
            continue;
        };
        let beyond: Vec<f64> = spread.beyond.iter().map(|x| places.of(*x)).collect();
        let boxed = Boxed {
            quartiles: spread.quartiles.map(|x| places.of(x)),
            whiskers: spread.whiskers.map(|x| places.of(x)),
            beyond: &beyond,
        };
        marks.extend(boxed.marks(i as f64 + 0.5, 0.6, BLUE));
    }
    let panel = Panel {
        title: format!(
            "{}, {which} (settings of how many){some}",
            report.study.score
        ),
        x,
        y,
        marks,
        ..Panel::default()
    };
    plot(ROW * rows.len() as u32 + AROUND, panel)
}

fn budget(report: &Report<'_>) -> Plot {
    let (results, places) = (report.results, score_places(report));
    let all = &results.all.budget;
    let mut cells: Vec<&Cell> = results
        .cells
        .iter()
        .filter(|c| !c.budget.is_empty())
        .collect();
    let last = |cell: &Cell| cell.budget.last().map_or(0.0, |b| b.mean);
    cells.sort_by(|a, b| match report.study.direction {
        Direction::Lower => last(a).total_cmp(&last(b)),
        Direction::Higher => last(b).total_cmp(&last(a)),
    });
    let shown = if cells.len() > 1 {
        &cells[..cells.len().min(CURVES.len())]
    } else {
        &[]
    };
    let on_x = Places { is_log: true };
    let curve = |of: &[Best], value: fn(&Best) -> f64| -> Vec<[f64; 2]> {
        of.iter()
            .map(|b| [on_x.of(b.settings as f64), places.of(value(b))])
            .collect()
    };
    let band = all.iter().flat_map(|b| b.band);
    let means = shown.iter().flat_map(|c| &c.budget).map(|b| b.mean);
    let range = places.around(&band.chain(means).collect::<Vec<f64>>());
    let most = all.last().map_or(1, |b| b.settings).max(2) as f64;
    let x = on_x.axis("settings tried", [0.0, on_x.of(most) + 0.02]);
    let y = places.axis(&format!("best {}", report.study.score), range);
    let mut marks = grid(&y, &x, false);
    for edge in [|b: &Best| b.band[0], |b: &Best| b.band[1]] {
        marks.push(Mark::line(curve(all, edge), Stroke::Thin, GREY, ""));
    }
    marks.push(Mark::line(
        curve(all, |b| b.mean),
        Stroke::Dotted,
        BLACK,
        "all settings (5 to 95 %: thin)",
    ));
    for (cell, (colour, stroke)) in shown.iter().zip(CURVES) {
        let label = fitted(&name(cell), 44);
        marks.push(Mark::line(
            curve(&cell.budget, |b| b.mean),
            stroke,
            colour,
            &label,
        ));
    }
    let panel = Panel {
        title: "best score against budget, mean over 1,000 practitioners".to_owned(),
        x,
        y,
        marks,
        // Curves come from the other corner.
        legend: match report.study.direction {
            Direction::Lower => Corner::UpperRight,
            Direction::Higher => Corner::LowerRight,
        },
        ..Panel::default()
    };
    plot(HEIGHT, panel)
}

fn importance(report: &Report<'_>) -> Plot {
    let shares = report
        .results
        .process
        .iter()
        .filter_map(|p| p.shares.as_ref());
    let keys = report.study.space.iter().map(|d| &d.key);
    let mut rows: Vec<_> = keys.zip(shares.flatten()).collect();
    // Bars grow from below.
    rows.sort_by(|a, b| a.1.total.total_cmp(&b.1.total));
    let y = Axis::named("", rows.iter().map(|(key, _)| fitted(key, 36)));
    let most = rows
        .iter()
        .map(|(_, s)| s.total.max(s.first))
        .fold(1.0, f64::max);
    let x = Places { is_log: false }.axis(
        "share of the variance: alone (dark), with others (faint)",
        [0.0, most],
    );
    let mut marks = grid(&x, &y, true);
    for (i, (_, share)) in rows.iter().enumerate() {
        let bar = |length, colour| Mark::cell([0.0, i as f64 + 0.2], [length, 0.6], colour);
        marks.push(bar(share.total, shade(0.7)));
        marks.push(bar(share.first, shade(0.0)));
    }
    let panel = Panel {
        title: format!("what matters for {}", report.study.score),
        x,
        y,
        marks,
        ..Panel::default()
    };
    plot(ROW * rows.len() as u32 + AROUND, panel)
}

/// The axis of a key in a heat map whose cells have the length 1.
fn cells_of(dimension: &Dimension, places: &[f64], is_seen: bool, most: usize) -> Axis {
    let label = &dimension.key;
    if dimension.choices().is_some() {
        return Axis::named(
            label,
            places.iter().map(|u| fitted(&dimension.label(*u), 30)),
        );
    }
    let n = places.len() as f64;
    let names = match dimension.stretch() {
        Some((range, scale)) if !is_seen => {
            let on = Places {
                is_log: scale != Scale::Linear,
            };
            let range = range.map(|x| on.of(x));
            let cells = |at: f64| n * (at - range[0]) / (range[1] - range[0]);
            let ticks = on.ticks(range, 5).into_iter();
            ticks.map(|(at, name)| (cells(at), name)).collect()
        }
        _ => {
            let every = places.len().div_ceil(most);
            let all = places.iter().enumerate().step_by(every);
            all.map(|(i, u)| (i as f64 + 0.5, number(dimension.value(*u), 1.0)))
                .collect()
        }
    };
    Axis {
        names,
        ..Axis::new(label, [0.0, n])
    }
}

fn heat_map(report: &Report<'_>, map: &Map) -> Plot {
    let (space, on) = (&report.study.space, score_places(report));
    let scores = || map.scores.iter().flatten().flatten().copied();
    let [low, high] = [
        scores().fold(f64::INFINITY, f64::min),
        scores().fold(f64::NEG_INFINITY, f64::max),
    ];
    let [best, worst] = match report.study.direction {
        Direction::Lower => [low, high],
        Direction::Higher => [high, low],
    };
    let rank = |score: f64| match best == worst {
        true => 0.0,
        false => (on.of(score) - on.of(best)) / (on.of(worst) - on.of(best)),
    };
    // The key whose names take more room goes up.
    let letters = |side: usize| {
        let key = &space[map.keys[side]];
        let names = map.places[side]
            .iter()
            .map(|u| key.label(*u).chars().count());
        if key.choices().is_some() {
            names.sum()
        } else {
            0usize
        }
    };
    let is_turned = letters(0) > letters(1);
    let order = if is_turned { [1, 0] } else { [0, 1] };
    let sides = order.map(|side| map.places[side].len());
    let at = |i: usize, j: usize| match is_turned {
        true => map.scores[i][j],
        false => map.scores[j][i],
    };
    let told = |score: f64| number(score, (high - low) / 20.0);
    let mut marks = heat(sides, |i, j| at(i, j).map(rank));
    if sides[0] * sides[1] <= WRITTEN && sides[0] <= 12 {
        for (i, j) in (0..sides[0]).flat_map(|i| (0..sides[1]).map(move |j| (i, j))) {
            if let Some(score) = at(i, j) {
                marks.push(Mark::Text {
                    at: [i as f64 + 0.5, j as f64 + 0.5],
                    is_centred: true,
                    text: told(score),
                    colour: if rank(score) < 0.5 { [255; 3] } else { BLACK },
                });
            }
        }
    }
    let axis = |side: usize, most| {
        let side = order[side];
        cells_of(&space[map.keys[side]], &map.places[side], map.is_seen, most)
    };
    let what = if map.is_seen { "tried" } else { "expected" };
    let panel = Panel {
        title: format!(
            "{} {what}; dark: {}, faint: {}",
            report.study.score,
            told(best),
            told(worst)
        ),
        x: axis(0, 8),
        y: axis(1, 12),
        marks,
        ..Panel::default()
    };
    plot(HEIGHT.max(ROW * sides[1] as u32 + AROUND), panel)
}

fn parallel(report: &Report<'_>) -> Plot {
    let (study, on) = (report.study, score_places(report));
    let sign = if study.direction == Direction::Lower {
        1.0
    } else {
        -1.0
    };
    let mut settings: Vec<_> = report
        .results
        .settings
        .iter()
        .filter_map(|s| Some((s, s.score?)))
        .collect();
    settings.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
    settings.truncate(LINES);
    let scores: Vec<f64> = settings.iter().map(|(_, score)| *score).collect();
    let range = on.around(&scores);
    let up = |score: f64| (on.of(score) - range[0]) / (range[1] - range[0]);
    let (n, d) = (settings.len() as f64, study.space.len());
    // Letters between two axes.
    let room = WIDTH as usize / (d + 2) / 8;
    let mut marks = Vec::new();
    // The best are drawn last, on top.
    for (i, (setting, score)) in settings.iter().enumerate().rev() {
        let place = (i as f64 / n).sqrt();
        let heights = setting.point().iter().copied().chain([up(*score)]);
        let points = heights.enumerate().map(|(c, u)| [c as f64, u]);
        marks.push(Mark::line(points, Stroke::Thin, shade(0.95 * place), ""));
    }
    for c in 0..=d {
        let x = c as f64;
        marks.push(Mark::line([[x, 0.0], [x, 1.0]], Stroke::Thin, BLACK, ""));
        let values = match study.space.get(c) {
            None => on
                .ticks(range, 5)
                .into_iter()
                .map(|(at, name)| ((at - range[0]) / (range[1] - range[0]), name))
                .collect(),
            Some(dimension) => values_of(dimension),
        };
        let names = values.into_iter();
        marks.extend(names.map(|(u, name)| Mark::text([x + 0.03, u], fitted(&name, room.max(4)))));
    }
    let short = |key: &str| match key.chars().count() > room {
        true => fitted(key.rsplit('.').next().unwrap_or(key), room.max(4)),
        false => key.to_owned(),
    };
    let keys = study.space.iter().map(|d| short(&d.key));
    let names = keys.chain([study.score.clone()]).enumerate();
    let panel = Panel {
        title: format!("settings, the darker the better their {}", study.score),
        x: Axis {
            names: names.map(|(c, key)| (c as f64, key)).collect(),
            ..Axis::new("", [-0.3, d as f64 + 0.8])
        },
        y: Axis::hidden([-0.03, 1.03]),
        marks,
        ..Panel::default()
    };
    plot(HEIGHT, panel)
}

/// Values of a key with their places in [0, 1].
fn values_of(dimension: &Dimension) -> Vec<(f64, String)> {
    match (dimension.choices(), dimension.stretch()) {
        (None, Some((range, scale))) => {
            let on = Places {
                is_log: scale != Scale::Linear,
            };
            let range = range.map(|x| on.of(x));
            let ticks = on.ticks(range, 5).into_iter();
            ticks
                .map(|(at, name)| ((at - range[0]) / (range[1] - range[0]), name))
                .collect()
        }
        (n, _) => {
            let n = n.unwrap_or(1);
            let places = (0..n).map(|i| (i as f64 + 0.5) / n as f64);
            places.map(|u| (u, dimension.label(u))).collect()
        }
    }
}
