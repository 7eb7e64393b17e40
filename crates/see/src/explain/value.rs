//! A value for the page: statistics, a histogram, a picture of a part of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use ganforge_gan::data::ImageSize;

const BINS: usize = 40;
/// The most images of a value.
const IMAGES: usize = 10;
/// The most rows and columns of a matrix that is shown as such.
const ROWS: usize = 24;
const COLUMNS: usize = 120;

/// What the page says of `values` of shape `dims`.
pub(super) fn describe(values: &[f32], dims: &[usize], size: ImageSize) -> Value {
    let finite = || {
        values
            .iter()
            .filter(|v| v.is_finite())
            .map(|&v| f64::from(v))
    };
    let n = finite().count().max(1) as f64;
    let (min, max) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
        (a.min(v), b.max(v))
    });
    let mean = finite().sum::<f64>() / n;
    let variance = finite().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let zeros = values.iter().filter(|&&v| v == 0.0).count();
    json!({
        "n": values.len(),
        "min": min,
        "max": max,
        "mean": mean,
        "sd": variance.sqrt(),
        "norm": finite().map(|v| v * v).sum::<f64>().sqrt(),
        "zeros": zeros,
        "bad": values.len() - finite().count(),
        "bins": bins(values, min, max),
        "picture": picture(values, dims, size),
    })
}

/// How many values lie in each of equal parts of [min, max]; none where all are equal.
fn bins(values: &[f32], min: f64, max: f64) -> Vec<usize> {
    let width = (max - min) / BINS as f64;
    if values.len() < 2 || !(width > 0.0 && width.is_finite()) {
        return Vec::new();
    }
    let mut bins = vec![0; BINS];
    for v in values.iter().filter(|v| v.is_finite()) {
        let at = (f64::from(*v) - min) / width;
        bins[(at as usize).min(BINS - 1)] += 1;
    }
    bins
}

/// The first images of a value that is made of images (as rows or as columns), else its first rows and columns.
fn picture(values: &[f32], dims: &[usize], size: ImageSize) -> Value {
    let (rows, columns) = match *dims {
        [n] | [n, 1] => (1, n),
        [r, c] => (r, c),
        _ => return Value::Null,
    };
    if rows * columns < 2 || values.len() != rows * columns {
        return Value::Null;
    }
    let pixels = size.values().filter(|&p| p >= 16 && size.height > 1);
    let at = |r: usize, c: usize| values[r * columns + c];
    let (part, what, shape): (Vec<f32>, String, Value) = if pixels == Some(columns) {
        let n = rows.min(IMAGES);
        let what = if rows == 1 {
            "as an image".to_string()
        } else {
            format!("the first {n} rows as images")
        };
        (values[..n * columns].to_vec(), what, images(n, size))
    } else if pixels == Some(rows) {
        let n = columns.min(IMAGES);
        let part = (0..n)
            .flat_map(|c| (0..rows).map(move |r| at(r, c)))
            .collect();
        (
            part,
            format!("the first {n} columns as images"),
            images(n, size),
        )
    } else {
        let (r, c) = (rows.min(ROWS), columns.min(COLUMNS));
        let part = (0..r).flat_map(|r| (0..c).map(move |c| at(r, c))).collect();
        let what = match (r, c) == (rows, columns) {
            true => "all of it".to_string(),
            false => format!("the first {r} rows, {c} columns"),
        };
        (
            part,
            what,
            json!({ "count": 1, "height": r, "width": c, "channels": 1 }),
        )
    };
    let is_image = pixels == Some(columns) || pixels == Some(rows);
    let kind = if is_image { "images" } else { "matrix" };
    let (bytes, signed, top) = quantise(&part);
    json!({ "kind": kind, "what": what, "shape": shape, "signed": signed, "top": top, "data": STANDARD.encode(bytes) })
}

fn images(count: usize, size: ImageSize) -> Value {
    json!({ "count": count, "height": size.height, "width": size.width, "channels": size.channels })
}

/// Values as bytes: 0 to 255 for 0 to the largest one, or, where some are negative, 1 to 255 for minus to plus the
/// largest size, 128 for 0. What is larger than 99 % of all is cut off there, lest one value hide the others.
pub(super) fn quantise(values: &[f32]) -> (Vec<u8>, bool, f32) {
    let mut sizes: Vec<f32> = values
        .iter()
        .filter(|v| v.is_finite())
        .map(|v| v.abs())
        .collect();
    sizes.sort_unstable_by(f32::total_cmp);
    let largest = sizes.last().copied().unwrap_or(0.0);
    let most = sizes.get(sizes.len() * 99 / 100).copied().unwrap_or(0.0);
    let top = if most > 0.0 { most } else { largest };
    let signed = values.iter().any(|&v| v < 0.0);
    let byte = |v: &f32| {
        let share = if top > 0.0 {
            (v / top).clamp(-1.0, 1.0)
        } else {
            0.0
        };
        match signed {
            true => (128.0 + 127.0 * share).round() as u8,
            false => (255.0 * share).round() as u8,
        }
    };
    (values.iter().map(byte).collect(), signed, top)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize {
        height: 4,
        width: 5,
        channels: 1,
    };

    #[test]
    fn statistics_and_bins_are_those_of_the_values() {
        let d = describe(&[0.0, 1.0, 2.0, 3.0, f32::NAN], &[5], SIZE);
        assert_eq!(
            (&d["min"], &d["max"], &d["mean"], &d["bad"]),
            (&0.0.into(), &3.0.into(), &1.5.into(), &1.into())
        );
        assert_eq!((&d["zeros"], &d["n"]), (&1.into(), &5.into()));
        let bins: Vec<u64> = d["bins"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_u64)
            .collect();
        assert_eq!(
            (bins.len(), bins.iter().sum::<u64>(), bins[0], bins[39]),
            (40, 4, 1, 1)
        );
        assert!(
            describe(&[2.0; 9], &[9], SIZE)["bins"]
                .as_array()
                .expect("a list")
                .is_empty()
        );
    }

    #[test]
    fn rows_or_columns_as_wide_as_an_image_are_images_and_all_else_a_matrix() {
        let shape = |dims: [usize; 2]| {
            let values = vec![0.5; dims[0] * dims[1]];
            let d = describe(&values, &dims, SIZE);
            let s = &d["picture"]["shape"];
            [&s["count"], &s["height"], &s["width"]].map(|v| v.as_u64().expect("a number"))
        };
        assert_eq!(shape([30, 20]), [10, 4, 5]);
        assert_eq!(shape([20, 3]), [3, 4, 5]);
        assert_eq!(shape([100, 1200]), [1, 24, 120]);
        assert!(describe(&[1.0], &[], SIZE)["picture"].is_null());
    }

    #[test]
    fn bytes_keep_sign_and_order() {
        assert_eq!(quantise(&[0.0, 0.5, 1.0]), (vec![0, 128, 255], false, 1.0));
        assert_eq!(quantise(&[-1.0, 0.0, 0.5, 1.0]).0, [1, 128, 192, 255]);
        assert_eq!(quantise(&[0.0; 3]), (vec![0; 3], false, 0.0));
    }
}
