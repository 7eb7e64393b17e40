//! The sums of a Parzen window on a device.

use ganforge_kernels::cuda::parzen::{self, Rows};
use ganforge_kernels::cuda::{Buffer, Device, Launch, Result};

use super::Point;

/// Samples on a device, centred on their mean.
pub(super) struct Samples {
    device: Device,
    mean: Buffer<f64>,
    centred: Centred,
}

/// Centred rows and their squared norms.
struct Centred {
    data: Buffer,
    norms: Buffer<f64>,
}

impl Centred {
    fn rows(&self) -> Rows {
        Rows {
            data: self.data.slice(),
            norms: self.norms.slice(),
        }
    }
}

/// Centres the rows of x on `mean`; gives also their squared norms.
fn centre(device: &Device, x: &[f32], mean: &Buffer<f64>) -> Result<(Centred, Vec<f64>)> {
    let n = x.len() / mean.slice().len();
    let (raw, data) = (device.copy_of(x)?, device.alloc(x.len())?);
    let norms = device.alloc(n)?;
    let launch = parzen::centre(raw.slice(), mean.slice(), data.slice(), norms.slice());
    run(device, &[launch])?;
    let mut on_host = vec![0.0; n];
    norms.read(&mut on_host)?;
    Ok((Centred { data, norms }, on_host))
}

fn run(device: &Device, launches: &[Launch]) -> Result<()> {
    device.load(launches)?;
    device.run(launches)?;
    device.synchronise()
}

impl Samples {
    /// Samples [n, d] with the squared norms of the centred ones.
    pub(super) fn new(device: &Device, samples: &[f32], d: usize) -> Result<(Samples, Vec<f64>)> {
        let mean = device.alloc(d)?;
        let raw = device.copy_of(samples)?;
        run(device, &[parzen::mean(raw.slice(), mean.slice())])?;
        drop(raw);
        let (centred, norms) = centre(device, samples, &mean)?;
        let device = device.clone();
        let samples = Samples {
            device,
            mean,
            centred,
        };
        Ok((samples, norms))
    }

    /// The sums of points x [m, d] over all samples, and the squared norms of the centred points. There may be as many
    /// scales as the kernel has widths.
    pub(super) fn sums(&self, x: &[f32], scales: &[f64]) -> Result<(Vec<Point>, Vec<f64>)> {
        let device = &self.device;
        let (points, norms) = centre(device, x, &self.mean)?;
        let (m, widths) = (norms.len(), scales.len());
        let parts = parzen::parts(m, self.centred.norms.slice().len());
        let partial = (device.alloc(parts * m)?, device.alloc(parts * m * widths)?);
        let (nearest, sums) = (device.alloc(m)?, device.alloc(m * widths)?);
        let scales = device.copy_of(scales)?;
        let launches = parzen::sums(
            points.rows(),
            self.centred.rows(),
            scales.slice(),
            (partial.0.slice(), partial.1.slice()),
            (nearest.slice(), sums.slice()),
        );
        run(device, &launches)?;
        let (mut near, mut sum) = (vec![0.0; m], vec![0.0; m * widths]);
        nearest.read(&mut near)?;
        sums.read(&mut sum)?;
        let points = near.iter().zip(sum.chunks(widths));
        let points = points.map(|(nearest, sums)| Point {
            nearest: *nearest,
            sums: sums.to_vec(),
        });
        Ok((points.collect(), norms))
    }
}
