//! Figures 2 and 3 of the paper, and one of classes: pictures of a generator's samples.

use ganforge_gan::data::pictures::{image_grid, shown};
use ganforge_gan::data::{Images, Picture};
use ganforge_gan::error::{Error, Result};
use ganforge_gan::generator::Generator;
use ganforge_gan::metrics::nearest::{Neighbour, nearest};

/// Pixels of grey around each image, before scaling.
const PADDING: usize = 1;

/// Figure 2 and what its last column found.
pub struct SamplesAndNeighbours {
    /// The picture: rows of samples, then one training example per row.
    pub picture: Picture,
    /// For the last sample of each row, the training example nearest to it.
    pub neighbours: Vec<Neighbour>,
}

/// Figure 2: fair random draws, and beside each row the training example nearest to its last sample.
///
/// The samples are the first rows·cols of the key `seed`: not selected, not conditional means. `scale` enlarges each pixel.
///
/// source: Goodfellow et al. 2014, Figure 2; the released script has 4 rows of 5
///
/// # Errors
/// Training examples of another size; a picture too large.
pub fn samples_and_neighbours(
    generator: &mut Generator,
    train: &Images,
    seed: u64,
    (rows, cols): (usize, usize),
    scale: usize,
) -> Result<SamplesAndNeighbours> {
    let size = generator.image();
    let d = generator.config().output_dim();
    if train.d() != d {
        let found = train.d();
        let message = format!("training examples of {found} values, samples of {d}");
        return Err(Error::Mismatch(message));
    }
    let samples = generator.samples(seed, rows * cols)?;
    let last = samples.chunks_exact(d).skip(cols - 1).step_by(cols);
    let neighbours = nearest(&last.collect::<Vec<_>>().concat(), train)?;
    let mut examples = Vec::with_capacity(rows * d);
    for neighbour in &neighbours {
        examples.extend(train.to_f32(neighbour.index..neighbour.index + 1)?);
    }
    let contrast = generator.config().data.contrast;
    let left = image_grid(&shown(&samples, contrast), size, [rows, cols], PADDING)?;
    let right = image_grid(&shown(&examples, contrast), size, [rows, 1], PADDING)?;
    let picture = left.beside(&right, 3 * PADDING)?;
    Ok(SamplesAndNeighbours {
        picture: picture.enlarged(scale)?,
        neighbours,
    })
}

/// Figure 3: strips of samples between two points of noise, z(t) = (1 - t) z_0 + t z_1.
///
/// Each of `strips` rows goes in `steps` even steps of t from 0 to 1, between two draws of the key `seed`.
///
/// source: Goodfellow et al. 2014, Figure 3
///
/// # Errors
/// A picture too large.
pub fn interpolation(
    generator: &mut Generator,
    seed: u64,
    strips: usize,
    steps: usize,
    scale: usize,
) -> Result<Picture> {
    let dim = generator.config().noise.dim;
    let ends = generator.noise(seed, 2 * strips)?;
    let mut z = Vec::with_capacity(strips * steps * dim);
    for pair in ends.chunks_exact(2 * dim) {
        let (from, to) = pair.split_at(dim);
        for step in 0..steps {
            let t = step as f32 / (steps - 1).max(1) as f32;
            let between = from.iter().zip(to).map(|(a, b)| (1.0 - t) * a + t * b);
            z.extend(between);
        }
    }
    let samples = generator.decode(&z)?;
    let samples = shown(&samples, generator.config().data.contrast);
    let picture = image_grid(&samples, generator.image(), [strips, steps], PADDING)?;
    Ok(picture.enlarged(scale)?)
}

/// Rows of samples of one noise each, a column for each class of the generator.
///
/// The noise is that of the first `rows` samples of the key `seed`. From here on samples of the generator are of all classes in
/// turn.
///
/// # Errors
/// A generator without classes; a picture too large.
pub fn of_classes(
    generator: &mut Generator,
    seed: u64,
    rows: usize,
    scale: usize,
) -> Result<Picture> {
    let none = || Error::Mismatch("the generator has no classes".to_string());
    let classes = generator.classes().ok_or_else(none)?;
    let dim = generator.config().noise.dim;
    let z = generator.noise(seed, rows)?;
    let z: Vec<f32> = z
        .chunks_exact(dim)
        .flat_map(|z| z.repeat(classes))
        .collect();
    generator.set_classes(&[])?;
    let samples = generator.decode(&z)?;
    let samples = shown(&samples, generator.config().data.contrast);
    let picture = image_grid(&samples, generator.image(), [rows, classes], PADDING)?;
    Ok(picture.enlarged(scale)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_gan::config::Config;
    use ganforge_gan::data::ImageSize;
    use ganforge_gan::init;

    const SIZE: ImageSize = ImageSize {
        height: 28,
        width: 28,
        channels: 1,
    };

    fn untrained() -> Generator {
        untrained_with(&[])
    }

    fn untrained_with(options: &[&str]) -> Generator {
        let config = Config::preset("tiny").and_then(|c| c.with(options));
        let config = config.expect("valid");
        let store = init::store(&config, 784, &[0.2; 784]).expect("consistent");
        Generator::of_run(&config, &store, SIZE, "{}").expect("complete")
    }

    /// The mean grey of the image at this place of a picture.
    fn mean(picture: &Picture, left: usize, row: usize) -> f64 {
        let places = (0..28).flat_map(|y| (0..28).map(move |x| (left + x, 1 + 29 * row + y)));
        let greys = places.map(|(x, y)| f64::from(picture.pixel(x, y)[0]));
        greys.sum::<f64>() / 784.0
    }

    fn sides(picture: &Picture) -> (usize, usize) {
        (picture.size().width, picture.size().height)
    }

    #[test]
    fn the_last_column_is_nearest_to_the_last_sample_of_its_row() {
        let mut generator = untrained();
        let samples = generator.samples(5, 6).expect("drawn");
        // The training set: a black image, and the last samples of both rows, the second one first.
        let mut train = vec![0.0; 784];
        train.extend(&samples[5 * 784..]);
        train.extend(&samples[2 * 784..3 * 784]);
        let train = Images::from_values(784, train);
        let figure = samples_and_neighbours(&mut generator, &train, 5, (2, 3), 1);
        let SamplesAndNeighbours {
            picture,
            neighbours,
        } = figure.expect("drawn");
        let found: Vec<usize> = neighbours.iter().map(|n| n.index).collect();
        assert_eq!(found, [2, 1]);
        assert_eq!(sides(&picture), (3 * 29 + 1 + 3 + 30, 59));
        for row in 0..2 {
            let (sample, example) = (mean(&picture, 1 + 2 * 29, row), mean(&picture, 92, row));
            assert_eq!(sample, example, "row {row}");
        }
    }

    #[test]
    fn a_strip_begins_and_ends_with_two_samples() {
        let mut generator = untrained();
        let samples = generator.samples(9, 4).expect("drawn");
        let picture = interpolation(&mut generator, 9, 2, 5, 1).expect("drawn");
        assert_eq!(sides(&picture), (5 * 29 + 1, 59));
        let drawn = |i: usize| {
            let bytes = samples[i * 784..(i + 1) * 784].iter();
            bytes.map(|x| f64::from((x * 255.0).round())).sum::<f64>() / 784.0
        };
        let ends = [(1, 0), (1 + 4 * 29, 0), (1, 1), (1 + 4 * 29, 1)];
        for (i, (left, row)) in ends.into_iter().enumerate() {
            assert_eq!(mean(&picture, left, row), drawn(i), "end {i}");
        }
    }

    #[test]
    fn a_row_of_classes_is_of_one_noise_and_a_column_of_one_class() {
        let class = "generator.layer+={name=\"class\", kind=\"append_class\", before=\"h0\"}";
        let mut generator = untrained_with(&[class]);
        let picture = of_classes(&mut generator, 9, 2, 1).expect("drawn");
        assert_eq!(sides(&picture), (10 * 29 + 1, 59));
        for class in [0, 3, 9] {
            generator.set_classes(&[class]).expect("there");
            let samples = generator.samples(9, 2).expect("drawn");
            for (row, sample) in samples.chunks(784).enumerate() {
                let bytes = sample.iter().map(|x| f64::from((x * 255.0).round()));
                let expected = bytes.sum::<f64>() / 784.0;
                assert_eq!(
                    mean(&picture, 1 + 29 * class, row),
                    expected,
                    "{class}, {row}"
                );
            }
        }
        let error = of_classes(&mut untrained(), 9, 2, 1).expect_err("none");
        assert_eq!(error.to_string(), "the generator has no classes");
    }
}
