//! 4. Mode collapse: eight Gaussians on a ring, covered and collapsed.
//!
//! The data are eight narrow Gaussians on a circle, so that the modes covered by a generator can be counted. The same two
//! networks are trained twice from the same initial weights: once with one step of G per step of D, once with twenty. Against
//! an outdated D, G moves all its samples to the point where D is largest; when D changes, they all move on
//! (the paper's "Helvetica scenario", section 3). What is new: presets, the trainer, a score.
//!
//! `cargo run --release --example 04-ring-mode-collapse -- [STEPS] [PICTURE]` (PICTURE without .png; an .svg is written, too)

use std::path::Path;

use ganforge::gan::Result;
use ganforge::gan::data::RING;
use ganforge::see::figures::theory;
use ganforge::see::theory::helvetica::{self, Moment};

/// Trains both ways, prints the scores during training, and returns the final ones.
pub fn run(steps: usize, picture: Option<&Path>) -> Result<[Moment; 2]> {
    let config = helvetica::small_ring(1)?;
    println!(
        "{}",
        config
            .to_toml()
            .lines()
            .take(8)
            .collect::<Vec<_>>()
            .join("\n")
    );
    let looks: Vec<usize> = (1..=4).map(|i| steps * i / 4).collect();
    let ends = [1, 20].map(|per_d| -> Result<Moment> {
        println!("\n{per_d} steps of G per step of D\n");
        println!("steps of G   modes covered   high quality   nearest to one mode");
        let moments = helvetica::train(&config, per_d, &looks)?;
        for m in &moments {
            println!(
                "{:>10}   {:>8} of {}   {:>10.1} %   {:>17.0} %",
                m.steps,
                m.score.covered,
                m.score.modes,
                100.0 * m.score.high_quality,
                100.0 * m.crowd
            );
        }
        draw(&moments[moments.len() - 1]);
        Ok(moments[moments.len() - 1].clone())
    });
    let [good, bad] = ends;
    let ends = [good?, bad?];
    if let Some(stem) = picture {
        theory::helvetica(&ends, &RING.mixture()).save(stem)?;
        println!("\n{}", stem.with_extension("png").display());
    }
    Ok(ends)
}

/// The samples as text: `o` a mode without samples, `*` samples.
fn draw(moment: &Moment) {
    let (rows, cols) = (17, 41);
    let mut cells = vec![vec![' '; cols]; rows];
    let mut put = |x: f64, y: f64, letter: char| {
        let (col, row) = ((x + 2.5) / 5.0 * cols as f64, (2.5 - y) / 5.0 * rows as f64);
        let cell = cells
            .get_mut(row as usize)
            .and_then(|r| r.get_mut(col as usize));
        if let (Some(cell), true) = (cell, col >= 0.0 && row >= 0.0) {
            *cell = letter;
        }
    };
    for centre in RING.mixture().centres.chunks_exact(2) {
        put(centre[0], centre[1], 'o');
    }
    for sample in moment.samples.chunks_exact(2) {
        put(sample[0].into(), sample[1].into(), '*');
    }
    for row in cells {
        println!("{}", row.into_iter().collect::<String>().trim_end());
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let steps = arguments.next();
    let steps = steps.map_or(4000, |n| n.parse().expect("a number"));
    run(steps, arguments.next().as_ref().map(Path::new)).map(drop)
}
