//! 6. Does the generator memorise its training examples? The last column of the paper's Figure 2.
//!
//! Draws samples from the bundled generator, and for each the nearest training example. For
//! comparison: the distance of test images, which were not trained on, from the training examples. Samples of a generator that
//! had memorised examples would be much nearer to them than the test images are.
//!
//! `cargo run --release --example 06-nearest-neighbours -- [SAMPLES] [PICTURE.png]`

use std::path::Path;

use ganforge::gan::Result;
use ganforge::gan::data::pictures::image_grid;
use ganforge::gan::data::{self, Dataset, FetchPolicy, Origin};
use ganforge::gan::generator::Generator;
use ganforge::gan::metrics::nearest::{Neighbour, nearest};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let n = args.next().and_then(|n| n.parse().ok()).unwrap_or(20);
    let picture = args.next().unwrap_or("neighbours.png".to_string());
    let (data, notices) = data::load("mnist", FetchPolicy::from_env(), &mut |_| {})?;
    notices.iter().for_each(|line| eprintln!("{line}"));
    let [samples, test] = run(&data, n, Path::new(&picture))?;
    let (of, origin) = (data.train.n(), data.origin);
    println!("median distance to the nearest of {of} training examples ({origin}), over {n}:");
    println!("  samples      {samples:.3}");
    println!("  test images  {test:.3}");
    println!("samples above, their neighbours below: {picture}");
    Ok(())
}

/// The median distances of `n` samples and of `n` test images to their nearest training examples.
pub fn run(data: &Dataset, n: usize, picture: &Path) -> Result<[f64; 2]> {
    let mut generator = Generator::pretrained("mnist")?;
    // Only neighbours among the generator's own training images can show memorisation; the bundled sample is a part of them,
    // which the output states.
    if let (Origin::Full, Some(learnt)) = (data.origin, generator.learnt_from()) {
        data.check_learnt("pretrained mnist", &learnt)?;
    }
    let samples = generator.samples(1, n)?;
    let of_samples = nearest(&samples, &data.train)?;
    let of_test = nearest(&data.test.to_f32(0..n)?, &data.train)?;

    // Two rows: each sample, and below it its neighbour.
    let mut rows = samples;
    for neighbour in &of_samples {
        rows.extend(data.train.to_f32(neighbour.index..neighbour.index + 1)?);
    }
    image_grid(&rows, data.image(), [2, n], 2)?.save(picture)?;
    Ok([median(&of_samples), median(&of_test)])
}

fn median(neighbours: &[Neighbour]) -> f64 {
    let mut distances: Vec<f32> = neighbours
        .iter()
        .map(|n| n.squared_distance.sqrt())
        .collect();
    distances.sort_by(f32::total_cmp);
    f64::from(distances[distances.len() / 2])
}
