//! What a folder's runs are together: a table, a plot, samples.

use ganforge::gan::Result;
use ganforge::gan::config::LossKind;
use ganforge::gan::data::pictures::{image_grid, shown};
use ganforge::gan::files::write_atomic;
use ganforge::gan::generator::Generator;
use ganforge::gan::metrics::{Better, Column, MetricKind};
use ganforge::plots::{Axis, BLACK, BLUE, Corner, GREY, Mark, Panel, Plot, RED, Rgb, Stroke};

use super::setup::REGULARISERS;
use super::{Args, Cell, Row, refuse, rows};

/// Samples of a cell in the picture.
const SHOWN: usize = 6;
/// One for each regulariser.
const COLOURS: [Rgb; 3] = [BLACK, BLUE, RED];

/// The losses that have runs.
fn losses(rows: &[Row]) -> Vec<&'static str> {
    let has_runs = |loss: &&str| rows.iter().any(|row| row.cell.loss == **loss);
    LossKind::NAMES.iter().copied().filter(has_runs).collect()
}

/// The runs of a cell.
fn of<'r>(rows: &'r [Row], loss: &str, regulariser: &str) -> Vec<&'r Row> {
    let is_of = |row: &&Row| row.cell.loss == loss && row.cell.regulariser == regulariser;
    rows.iter().filter(is_of).collect()
}

/// "12.3 (11.9 to 15.0)": median and range over the seeds. A run that has diverged is worse than all others; of an even number
/// it is the worse one of the middle two.
fn summary(mut rows: Vec<&Row>, better: Better) -> String {
    let rank = |row: &Row| match better {
        _ if row.score.is_nan() => f64::INFINITY,
        Better::Higher => -row.score,
        Better::Lower | Better::Neither => row.score,
    };
    rows.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    let scores = rows.iter().map(|row| row.score);
    let scores: Vec<f64> = scores.filter(|score| !score.is_nan()).collect();
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let diverged = rows.iter().filter(|row| row.has_diverged).count();
    let failed = match diverged {
        0 => String::new(),
        n => format!("{n} of {} diverged", rows.len()),
    };
    match rows.get(rows.len() / 2) {
        None => String::new(),
        Some(_) if diverged == rows.len() => failed,
        Some(_) if scores.is_empty() => ["not scored ", &failed].concat().trim().to_string(),
        Some(row) if rows.len() == 1 => format!("{:.1}", row.score),
        Some(row) if row.score.is_nan() => format!("{least:.1} to {most:.1}, {failed}"),
        Some(row) => {
            let range = format!("{:.1} ({least:.1} to {most:.1}) {failed}", row.score);
            range.trim().to_string()
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The table in Markdown.
fn markdown(rows: &[Row], better: Better) -> String {
    let names = REGULARISERS.map(|(name, _)| name);
    let line = |cells: [String; 3]| format!(" {} |\n", cells.join(" | "));
    let mut text = format!(
        "| loss |{}|---|---|---|---|\n",
        line(names.map(String::from))
    );
    for loss in losses(rows) {
        let cells = names.map(|name| summary(of(rows, loss, name), better));
        text += &format!("| `{loss}` |{}", line(cells));
    }
    let seconds = names.map(|name| {
        let all = rows.iter().filter(|row| row.cell.regulariser == name);
        format!("{:.1}", median(all.map(|row| row.seconds).collect()))
    });
    text + &format!("| seconds of training, median |{}", line(seconds))
}

/// A dot for each run: losses from top to bottom, scores to the right, on a logarithmic axis where all are above 0.
fn plot(rows: &[Row], title: &str) -> Plot {
    let scores = rows.iter().map(|row| row.score).filter(|s| !s.is_nan());
    let least = scores.clone().fold(f64::INFINITY, f64::min);
    let most = scores.fold(f64::NEG_INFINITY, f64::max);
    let place = |score: f64| if least > 0.0 { score.log10() } else { score };
    let width = (place(most) - place(least)).max(1e-3);
    let [left, right] = [place(least) - 0.05 * width, place(most) + 0.15 * width];
    let names = left - 0.2 * width;
    let losses = losses(rows);
    let n = losses.len() as f64;
    let mut marks = Vec::new();
    let text = |x, y, text: String, colour| {
        let at = [x, y];
        Mark::Text {
            at,
            is_centred: false,
            text,
            colour,
        }
    };
    for tick in ticks(least, most) {
        let x = place(tick);
        let number = format!("{tick:.*}", usize::from(tick.abs() < 10.0));
        marks.push(Mark::line([[x, 0.0], [x, n]], Stroke::Thin, GREY, ""));
        marks.push(text(x - 0.01 * width, n + 0.3, number, BLACK));
    }
    for (i, loss) in losses.iter().enumerate() {
        let bottom = n - 1.0 - i as f64;
        let edge = [[names, bottom], [right, bottom]];
        marks.push(Mark::line(edge, Stroke::Thin, GREY, ""));
        marks.push(text(names, bottom + 0.5, loss.to_string(), BLACK));
        for (j, (regulariser, _)) in REGULARISERS.iter().enumerate() {
            let (colour, y) = (COLOURS[j], bottom + 0.75 - 0.25 * j as f64);
            let runs = of(rows, loss, regulariser);
            let label = if i == 0 { *regulariser } else { "" };
            let scored = runs.iter().filter(|row| !row.score.is_nan());
            let dots = scored.map(|row| [place(row.score), y]);
            marks.push(Mark::dots(dots, 3.5, colour, label));
            let diverged = runs.iter().filter(|row| row.has_diverged).count();
            if diverged > 0 {
                let said = format!("{diverged} diverged");
                marks.push(text(right - 0.11 * width, y, said, colour));
            }
        }
    }
    let panel = Panel {
        title: title.to_string(),
        x: Axis::hidden([names, right]),
        y: Axis::hidden([-2.0, n + 0.6]), // below: the legend
        marks,
        legend: Corner::LowerRight,
        ..Panel::default()
    };
    Plot {
        panel_size: [760, 130 + 40 * losses.len() as u32],
        columns: 1,
        panels: vec![panel],
    }
}

/// Numbers on an axis from `least` to `most`: some times powers of ten where both are above 0.
fn ticks(least: f64, most: f64) -> Vec<f64> {
    if least <= 0.0 {
        let part = |i| least + (most - least) * f64::from(i) / 4.0;
        return (0..=4).map(part).collect();
    }
    let times: &[f64] = match most / least < 4.0 {
        true => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
        false => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
    };
    let powers = (-6..7).map(|e| 10f64.powi(e));
    let all = powers.flat_map(|power| times.iter().map(move |m| m * power));
    all.filter(|tick| (least..=most).contains(tick)).collect()
}

/// Samples of the first seed: a row for each loss, in it some of each regulariser; grey where there are none.
fn samples(args: &Args, rows: &[Row]) -> Result<()> {
    let losses = losses(rows);
    let (mut values, mut size) = (Vec::new(), None);
    for loss in &losses {
        for (regulariser, _) in REGULARISERS {
            let runs = of(rows, loss, regulariser);
            let row = runs
                .iter()
                .find(|row| row.cell.seed == 1 && !row.has_diverged);
            let drawn = row.map(|row| draw(args, &row.cell)).transpose()?;
            values.push(drawn.map(|(x, image)| {
                size = Some(image);
                x
            }));
        }
    }
    let Some(size) = size else { return Ok(()) };
    let none = vec![0.5; SHOWN * size.values().unwrap_or(0)];
    let values: Vec<f32> = values
        .into_iter()
        .flat_map(|x| x.unwrap_or(none.clone()))
        .collect();
    let grid = [losses.len(), REGULARISERS.len() * SHOWN];
    let picture = image_grid(&values, size, grid, 2)?;
    Ok(picture.save(&args.out.join("samples.png"))?)
}

/// Some samples of a run, values from 0 to 1, and their size.
fn draw(args: &Args, cell: &Cell) -> Result<(Vec<f32>, ganforge::data::ImageSize)> {
    let mut generator = Generator::read(&cell.generator(&args.out))?;
    let x = generator.samples(cell.seed, SHOWN)?;
    let x = shown(&x, generator.config().data.contrast).into_owned();
    Ok((x, generator.image()))
}

/// What is better of scores by this name, which may end with that of a network: "fid_mnistnet of 2000 samples".
fn better(metric: &str) -> Better {
    let name = metric.split(' ').next().unwrap_or(metric);
    let is_it = |column: &Column| {
        let rest = name.strip_prefix(column.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let mut columns = MetricKind::all()
        .into_iter()
        .flat_map(|kind| kind.columns());
    let better = columns.find(is_it).and_then(|column| column.better);
    better.unwrap_or(Better::Lower)
}

/// Writes the table and the pictures of a folder; returns the table.
///
/// # Errors
/// A folder without runs, or with scores by more than one metric; what the system refuses.
pub fn table(args: &Args) -> Result<String> {
    let path = args.out.join("runs.csv");
    let (rows, _) = rows(&path)?;
    if rows.is_empty() {
        return refuse(&path, "holds no runs yet");
    }
    let mut metrics = rows
        .iter()
        .map(|row| row.metric.as_str())
        .filter(|m| !m.is_empty());
    let first = metrics.next();
    if let Some(other) = metrics.find(|metric| Some(*metric) != first) {
        let names = format!("{} and {other}", first.unwrap_or_default());
        return refuse(
            &path,
            format!("has scores by {names}: --score makes them alike"),
        );
    }
    let metric = first.unwrap_or("no score");
    let better = better(metric);
    let text = format!(
        "{metric}: median (range) over the seeds\n\n{}",
        markdown(&rows, better)
    );
    write_atomic(&args.out.join("table.md"), |file| {
        file.write_all(text.as_bytes())
    })?;
    if rows.iter().any(|row| !row.score.is_nan()) {
        let way = if better == Better::Higher {
            "higher"
        } else {
            "lower"
        };
        plot(&rows, &format!("{metric}; {way} is better")).save(&args.out.join("scores"))?;
    }
    samples(args, &rows)?;
    Ok(text)
}
