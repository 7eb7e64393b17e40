//! From a [`Plot`] to strokes. All lengths are in fine pixels: a length of the picture times `s`.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Axis, Corner, Mark, Panel, Plot, Result, Rgb, Stroke, error};

/// The only font; in an SVG, the viewer's own one.
const FONT: &str = "sans-serif";
const TITLE: u32 = 17;
const TEXT: u32 = 14;
/// Around a panel, and what title and axes take.
const MARGIN: u32 = 10;
const TITLE_SPACE: u32 = 26;
const AXIS_SPACE: [u32; 2] = [40, 52];
/// What a letter takes.
const LETTER: u32 = 8;
/// What powers of ten take more, upright.
const WIDER: u32 = 10;
/// Pixels of a line.
const WIDTH: f64 = 2.0;

type Area<DB> = DrawingArea<DB, Shift>;
type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

pub(super) fn plot<DB: DrawingBackend>(plot: &Plot, canvas: DB, s: u32) -> Result<()> {
    load_font()?;
    let root = canvas.into_drawing_area();
    root.fill(&WHITE).map_err(error)?;
    let columns = plot.columns.max(1);
    let rows = plot.panels.len().div_ceil(columns);
    let areas = root.split_evenly((rows, columns));
    for (area, panel) in areas.iter().zip(&plot.panels) {
        self::panel(area, panel, s)?;
    }
    root.present().map_err(error)
}

fn load_font() -> Result<()> {
    static LOADED: OnceLock<bool> = OnceLock::new();
    let load = || {
        let bytes = include_bytes!("../assets/fonts/DejaVuSans-subset.ttf");
        register_font(FONT, FontStyle::Normal, bytes).is_ok()
    };
    match LOADED.get_or_init(load) {
        true => Ok(()),
        false => Err(error("the font inside the program is damaged")),
    }
}

fn panel<DB: DrawingBackend>(area: &Area<DB>, panel: &Panel, s: u32) -> Result<()> {
    let [x, y] = ranges(area, panel, s);
    let mut builder = ChartBuilder::on(area);
    builder.margin(MARGIN * s);
    if !panel.title.is_empty() {
        builder.caption(&panel.title, (FONT, TITLE * s));
    }
    let [below, left] = axis_space(area, panel, s);
    builder.x_label_area_size(below * s);
    builder.y_label_area_size(left * s);
    let chart = builder.build_cartesian_2d(x[0]..x[1], y[0]..y[1]);
    let mut chart = chart.map_err(error)?;
    axes(&mut chart, panel, s)?;
    names(area, &chart, panel, s)?;
    for mark in &panel.marks {
        draw(&mut chart, mark, [x, y], s)?;
    }
    legend(&mut chart, panel, s)
}

/// Room below and left of the coordinate system.
fn axis_space<DB: DrawingBackend>(area: &Area<DB>, panel: &Panel, s: u32) -> [u32; 2] {
    let space = |axis: &Axis, space| if axis.ticks > 0 { space } else { 0 };
    let wider = if panel.y.is_log { WIDER } else { 0 };
    let left = match longest(&panel.y) {
        0 => AXIS_SPACE[1] + wider,
        letters => LETTER * letters + AXIS_SPACE[0],
    };
    let left = space(&panel.y, left);
    let below = match is_tight(area, panel, left, s) {
        true => LETTER * longest(&panel.x) + AXIS_SPACE[0],
        false => AXIS_SPACE[0],
    };
    [space(&panel.x, below), left]
}

/// Letters of the longest name on an axis.
fn longest(axis: &Axis) -> u32 {
    let letters = axis.names.iter().map(|(_, name)| name.chars().count());
    letters.max().unwrap_or(0) as u32
}

/// Whether the names below a panel would run into each other.
fn is_tight<DB: DrawingBackend>(area: &Area<DB>, panel: &Panel, left: u32, s: u32) -> bool {
    let width = (area.dim_in_pixel().0 / s).saturating_sub(2 * MARGIN + left);
    (longest(&panel.x) + 1) * LETTER * panel.x.names.len() as u32 > width
}

/// The ranges of both axes, one of them widened where units must be equal.
fn ranges<DB: DrawingBackend>(area: &Area<DB>, panel: &Panel, s: u32) -> [[f64; 2]; 2] {
    let (x, y) = (panel.x.range, panel.y.range);
    if !panel.is_round {
        return [x, y];
    }
    let (width, height) = area.dim_in_pixel();
    let title = if panel.title.is_empty() {
        0
    } else {
        TITLE_SPACE
    };
    let [below, left] = axis_space(area, panel, s);
    let width = f64::from(width) - f64::from((2 * MARGIN + left) * s);
    let height = f64::from(height) - f64::from((2 * MARGIN + below + title) * s);
    let unit = ((x[1] - x[0]) / width).max((y[1] - y[0]) / height);
    let widen = |[lo, hi]: [f64; 2], pixels: f64| {
        let more = (unit * pixels - (hi - lo)) / 2.0;
        [lo - more, hi + more]
    };
    [widen(x, width), widen(y, height)]
}

fn axes<'a, DB: DrawingBackend + 'a>(
    chart: &mut Chart<'a, DB>,
    panel: &Panel,
    s: u32,
) -> Result<()> {
    if panel.x.ticks == 0 && panel.y.ticks == 0 {
        return Ok(());
    }
    let (x_number, y_number) = (
        |v: &f64| number(*v, &panel.x),
        |v: &f64| number(*v, &panel.y),
    );
    let mut mesh = chart.configure_mesh();
    mesh.disable_mesh()
        .label_style((FONT, TEXT * s))
        .axis_style(BLACK.stroke_width(s))
        .set_all_tick_mark_size(4 * s)
        .x_labels(numbers(&panel.x))
        .y_labels(numbers(&panel.y))
        .x_label_formatter(&x_number)
        .y_label_formatter(&y_number)
        .x_desc(&panel.x.label)
        .y_desc(&panel.y.label);
    if panel.x.ticks == 0 {
        mesh.disable_x_axis();
    }
    if panel.y.ticks == 0 {
        mesh.disable_y_axis();
    }
    mesh.draw().map_err(error)
}

/// How many numbers stand on an axis.
fn numbers(axis: &Axis) -> usize {
    if axis.names.is_empty() { axis.ticks } else { 0 }
}

/// The names beside the axes.
fn names<'a, DB: DrawingBackend + 'a>(
    area: &Area<DB>,
    chart: &Chart<'a, DB>,
    panel: &Panel,
    s: u32,
) -> Result<()> {
    let [_, left] = axis_space(area, panel, s);
    let (width, base) = (4 * s as i32, area.get_base_pixel());
    let font = || (FONT, TEXT * s).into_font();
    let upright = is_tight(area, panel, left, s);
    let [x, y] = [chart.x_range().start, chart.y_range().start];
    let write = |at: (f64, f64), away: (i32, i32), pos: Pos, turned: bool, name: &str| {
        let (px, py) = chart.backend_coord(&at);
        let place = (px - base.0 + away.0, py - base.1 + away.1);
        let font = if turned {
            font().transform(FontTransform::Rotate270)
        } else {
            font()
        };
        area.draw_text(name, &font.color(&BLACK).pos(pos), place)
            .map_err(error)
    };
    for (at, name) in &panel.y.names {
        let pos = Pos::new(HPos::Right, VPos::Center);
        write((x, *at), (-2 * width, 0), pos, false, name)?;
    }
    for (at, name) in &panel.x.names {
        let pos = match upright {
            true => Pos::new(HPos::Right, VPos::Center),
            false => Pos::new(HPos::Center, VPos::Top),
        };
        write((*at, y), (0, 2 * width), pos, upright, name)?;
    }
    Ok(())
}

/// A number on an axis, with as many digits as its range needs.
fn number(value: f64, axis: &Axis) -> String {
    if axis.is_log {
        return power(value);
    }
    let span = axis.range[1] - axis.range[0];
    let step = span / axis.ticks.max(1) as f64;
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.digits$}");
    let is_zero = text.chars().all(|c| "-0.".contains(c));
    let text = if is_zero { text.replace('-', "") } else { text };
    text.replace('-', "−")
}

/// 10 to the power of a whole number; nothing for another one.
fn power(exponent: f64) -> String {
    if (exponent - exponent.round()).abs() > 1e-6 {
        return String::new();
    }
    match exponent.round() as i32 {
        e @ 0..=4 => format!("{}", 10_i32.pow(e as u32)),
        e @ -3..0 => format!("{:.*}", -e as usize, 10_f64.powi(e)),
        e => format!("1e{e}").replace('-', "−"),
    }
}

fn draw<'a, DB: DrawingBackend + 'a>(
    chart: &mut Chart<'a, DB>,
    mark: &Mark,
    ranges: [[f64; 2]; 2],
    s: u32,
) -> Result<()> {
    match mark {
        Mark::Line {
            points,
            stroke,
            colour,
            label,
        } => {
            let points: Vec<(f64, f64)> = points.iter().map(|p| within(*p, ranges)).collect();
            let (stroke, style) = (*stroke, pen(*stroke, *colour, s));
            let [on, off] = dashes(stroke, s);
            let drawn = match stroke {
                Stroke::Solid | Stroke::Thin => chart.draw_series(LineSeries::new(points, style)),
                _ => chart.draw_series(DashedLineSeries::new(points, on, off, style)),
            };
            let sample = move |(x, y): (i32, i32)| {
                let ends = [(x, y), (x + 26 * s as i32, y)];
                DashedPathElement::new(ends, on, off, style)
            };
            let drawn = drawn.map_err(error)?;
            if !label.is_empty() {
                drawn.label(label).legend(sample);
            }
        }
        Mark::Dots {
            points,
            radius,
            colour,
            label,
        } => {
            let is_inside = |p: &&[f64; 2]| {
                let inside = |i: usize| (ranges[i][0]..=ranges[i][1]).contains(&p[i]);
                inside(0) && inside(1)
            };
            let (style, r) = (
                rgb(*colour).filled(),
                (radius * f64::from(s)).round() as i32,
            );
            let inside = points.iter().filter(is_inside);
            let dots = inside.map(|p| Circle::new((p[0], p[1]), r, style));
            let drawn = chart.draw_series(dots).map_err(error)?;
            let r = r.max(3 * s as i32);
            let sample = move |(x, y)| Circle::new((x + 13 * s as i32, y), r, style);
            if !label.is_empty() {
                drawn.label(label).legend(sample);
            }
        }
        Mark::Arrow { from, to, colour } => arrow(chart, *from, *to, rgb(*colour), ranges, s)?,
        Mark::Cell { corners, colour } => {
            let corners = corners.map(|p| within(p, ranges));
            let cell = Rectangle::new(corners, rgb(*colour).filled());
            chart.draw_series([cell]).map_err(error)?;
        }
        Mark::Text {
            at,
            is_centred,
            text,
            colour,
        } => {
            let font = (FONT, TEXT * s).into_font().color(&rgb(*colour));
            let side = if *is_centred {
                HPos::Center
            } else {
                HPos::Left
            };
            let style = font.pos(Pos::new(side, VPos::Center));
            let text = Text::new(text.clone(), within(*at, ranges), style);
            chart.draw_series([text]).map_err(error)?;
        }
    }
    Ok(())
}

fn rgb([r, g, b]: Rgb) -> RGBColor {
    RGBColor(r, g, b)
}

fn pen(stroke: Stroke, colour: Rgb, s: u32) -> ShapeStyle {
    let width = if stroke == Stroke::Thin { 1.0 } else { WIDTH };
    rgb(colour).stroke_width((width * f64::from(s)).round() as u32)
}

/// Lengths of dash and gap.
fn dashes(stroke: Stroke, s: u32) -> [u32; 2] {
    match stroke {
        Stroke::Solid | Stroke::Thin => [1000 * s, 1],
        Stroke::Dashed => [7 * s, 5 * s],
        Stroke::Dotted => [2 * s, 4 * s],
    }
}

/// A point, moved to the edge where it lies beyond it.
fn within(p: [f64; 2], ranges: [[f64; 2]; 2]) -> (f64, f64) {
    let clamp = |i: usize| p[i].clamp(ranges[i][0], ranges[i][1]);
    (clamp(0), clamp(1))
}

fn arrow<'a, DB: DrawingBackend + 'a>(
    chart: &mut Chart<'a, DB>,
    from: [f64; 2],
    to: [f64; 2],
    colour: RGBColor,
    ranges: [[f64; 2]; 2],
    s: u32,
) -> Result<()> {
    let (width, height) = chart.plotting_area().dim_in_pixel();
    let unit = |i: usize, pixels: u32| f64::from(pixels) / (ranges[i][1] - ranges[i][0]);
    let units = [unit(0, width), unit(1, height)];
    let d = [0, 1].map(|i| (to[i] - from[i]) * units[i]);
    let length = d[0].hypot(d[1]);
    if length == 0.0 {
        return Ok(());
    }
    let (head, half) = (7.0 * f64::from(s), 2.6 * f64::from(s));
    let [u, v] = [d[0] / length, d[1] / length];
    let corner = |side: f64| {
        let back = [-head * u - side * half * v, -head * v + side * half * u];
        (to[0] + back[0] / units[0], to[1] + back[1] / units[1])
    };
    let shaft = [(from[0], from[1]), (to[0], to[1])];
    let shaft = PathElement::new(shaft, colour.stroke_width(s));
    chart.draw_series([shaft]).map_err(error)?;
    let tip = Polygon::new([(to[0], to[1]), corner(1.0), corner(-1.0)], colour.filled());
    chart.draw_series([tip]).map_err(error)?;
    Ok(())
}

fn legend<'a, DB: DrawingBackend + 'a>(
    chart: &mut Chart<'a, DB>,
    panel: &Panel,
    s: u32,
) -> Result<()> {
    let named = |mark: &Mark| match mark {
        Mark::Line { label, .. } | Mark::Dots { label, .. } => !label.is_empty(),
        Mark::Arrow { .. } | Mark::Cell { .. } | Mark::Text { .. } => false,
    };
    if !panel.marks.iter().any(named) {
        return Ok(());
    }
    let mut labels = chart.configure_series_labels();
    labels
        .position(match panel.legend {
            Corner::UpperRight => SeriesLabelPosition::UpperRight,
            Corner::UpperLeft => SeriesLabelPosition::UpperLeft,
            Corner::LowerRight => SeriesLabelPosition::LowerRight,
            Corner::LowerLeft => SeriesLabelPosition::LowerLeft,
        })
        .margin(4 * s)
        .legend_area_size(32 * s)
        .label_font((FONT, TEXT * s))
        .background_style(WHITE.mix(0.85));
    labels.draw().map_err(error)
}
