//! 7. Interpolation between two digits: the paper's Figure 3.
//!
//! z(t) = (1 - t) z0 + t z1, mapped by the bundled generator. Every intermediate picture should look
//! like a digit. The distance from each picture to the next shows where one digit turns into the other.
//!
//! `cargo run --release --example 07-interpolation -- [STEPS] [PICTURE.png]`

use std::path::Path;

use ganforge::gan::Result;
use ganforge::gan::data::pictures::image_grid;
use ganforge::gan::generator::Generator;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let steps = args.next().and_then(|n| n.parse().ok()).unwrap_or(15);
    let picture = args.next().unwrap_or("interpolation.png".to_string());
    for (i, way) in run(steps, Path::new(&picture))?.iter().enumerate() {
        let bar = "#".repeat((way * 10.0).round() as usize);
        println!("{i:>3} -> {:<3} {way:.2} {bar}", i + 1);
    }
    println!("interpolated samples: {picture}");
    Ok(())
}

/// Draws `steps` samples on a line segment in z, and returns the Euclidean distance of each from the next.
pub fn run(steps: usize, picture: &Path) -> Result<Vec<f64>> {
    let mut generator = Generator::pretrained("mnist")?;
    let dim = generator.config().noise.dim;
    let ends = generator.noise(2, 2)?; // two draws with seed 2
    let (z0, z1) = ends.split_at(dim);
    let mut z = Vec::new();
    for i in 0..steps {
        let t = i as f32 / (steps - 1) as f32;
        z.extend(z0.iter().zip(z1).map(|(a, b)| (1.0 - t) * a + t * b));
    }
    let x = generator.decode(&z)?;

    image_grid(&x, generator.image(), [1, steps], 2)?.save(picture)?;
    let images: Vec<&[f32]> = x.chunks_exact(x.len() / steps).collect();
    let distance = |pair: &[&[f32]]| {
        let squares = pair[0]
            .iter()
            .zip(pair[1])
            .map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>().sqrt()
    };
    Ok(images.windows(2).map(distance).collect())
}
