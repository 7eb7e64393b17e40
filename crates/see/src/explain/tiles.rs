//! Feature maps and filters as pictures: small tiles side by side.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::value::quantise;

/// The most tiles of a picture, and the most numbers in it: 64 maps of 16 x 16.
const TILES: usize = 64;
const NUMBERS: usize = 64 * 16 * 16;
/// The most rows and columns of tiles where a filter has a tile for each channel of its input.
const ROWS: usize = 8;
const COLUMNS: usize = 16;

/// The channels of one example of images `[n, h, w, c]`, which are `n / batch` minibatches of which the first two are shown;
/// `is_data`: pictures, as the training data are, in one tile of their own colours.
pub(super) fn maps(
    values: &[f32],
    dims: [usize; 4],
    (batch, example): (usize, usize),
    is_data: bool,
) -> Value {
    let [n, h, w, c] = dims;
    let whole = is_data && c == 3;
    let rows: Vec<usize> = (example..n).step_by(batch.max(1)).take(2).collect();
    let most = (NUMBERS / (h * w * rows.len().max(1))).clamp(1, TILES);
    let count = if whole { 1 } else { c.min(most) };
    let mut numbers = Vec::new();
    for row in &rows {
        let image = &values[row * h * w * c..(row + 1) * h * w * c];
        match whole {
            true => numbers.extend_from_slice(image),
            false => (0..count).for_each(|k| numbers.extend(image.iter().skip(k).step_by(c))),
        }
    }
    let channels = match (whole, count) {
        (true, _) => "in colour".to_string(),
        (_, 1) if c == 1 => "its one channel".to_string(),
        (_, count) if count == c => format!("all {c} channels"),
        (_, count) => format!("the first {count} of {c} channels"),
    };
    let rows_said: Vec<String> = rows.iter().map(usize::to_string).collect();
    let what = match rows.len() {
        1 => format!("example {example}: {channels}"),
        _ => format!(
            "examples {}, one below the other: {channels}",
            rows_said.join(" and ")
        ),
    };
    let columns = count.min(match h * w {
        0..=256 => 8,
        _ => 4,
    });
    picture(
        &numbers,
        what,
        Tile {
            h,
            w,
            channels: if whole { 3 } else { 1 },
        },
        [rows.len(), count, columns],
        is_data,
    )
}

/// Filters `[kh, kw, c_in, c_out]`: a tile for each output, in colour where there are three inputs, or a row of tiles, one for
/// each input.
pub(super) fn filters(values: &[f32], [h, w, c_in, c_out]: [usize; 4]) -> Value {
    let at = |place: usize, c: usize, k: usize| values[(place * c_in + c) * c_out + k];
    if matches!(c_in, 1 | 3) {
        let count = c_out.min((NUMBERS / (h * w * c_in).max(1)).clamp(1, TILES));
        let tile = |k: usize| (0..h * w * c_in).map(move |i| at(i / c_in, i % c_in, k));
        let numbers: Vec<f32> = (0..count).flat_map(tile).collect();
        let colour = if c_in == 3 {
            ", its three inputs as colours"
        } else {
            ""
        };
        let what = format!(
            "w[:, :, :, k] for {} from left to right{colour}",
            first("k", count, c_out)
        );
        return picture(
            &numbers,
            what,
            Tile {
                h,
                w,
                channels: c_in,
            },
            [1, count, count.min(8)],
            false,
        );
    }
    let (rows, columns) = (c_out.min(ROWS), c_in.min(COLUMNS));
    let tiles = (0..rows).flat_map(|k| (0..columns).map(move |c| (c, k)));
    let numbers: Vec<f32> = tiles
        .flat_map(|(c, k)| (0..h * w).map(move |i| at(i, c, k)))
        .collect();
    let what = format!(
        "w[:, :, c, k]: {} to the right, {} downwards",
        first("c", columns, c_in),
        first("k", rows, c_out)
    );
    picture(
        &numbers,
        what,
        Tile { h, w, channels: 1 },
        [1, rows * columns, columns],
        false,
    )
}

/// "k = 0 to 15 of 64"
fn first(name: &str, count: usize, of: usize) -> String {
    match count == of {
        true => format!("{name} = 0 to {}", of - 1),
        false => format!("{name} = 0 to {} of {of}", count - 1),
    }
}

struct Tile {
    h: usize,
    w: usize,
    channels: usize,
}

/// `parts` pictures of `count` tiles, `columns` of them in a row.
fn picture(
    numbers: &[f32],
    what: String,
    tile: Tile,
    [parts, count, columns]: [usize; 3],
    is_grey: bool,
) -> Value {
    let (bytes, signed, top) = quantise(numbers);
    json!({
        "kind": "tiles",
        "what": what,
        "shape": { "height": tile.h, "width": tile.w, "channels": tile.channels },
        "parts": parts,
        "count": count,
        "columns": columns,
        "signed": signed,
        "grey": is_grey,
        "top": top,
        "data": STANDARD.encode(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(picture: &Value) -> Vec<u8> {
        let text = picture["data"].as_str().expect("text");
        STANDARD.decode(text).expect("base64")
    }

    /// 2 minibatches of 3 images of 2 x 2 x 4: each number is its place over all.
    fn images() -> Vec<f32> {
        (0..96).map(|i| i as f32 / 95.0).collect()
    }

    #[test]
    fn channels_of_one_example_of_each_minibatch_are_tiles() {
        let picture = maps(&images(), [6, 2, 2, 4], (3, 1), false);
        assert_eq!(
            (&picture["parts"], &picture["count"]),
            (&2.into(), &4.into())
        );
        // Of example 1, which begins at 16, channel 0; and of example 4 channel 3.
        let tone = |place: usize| {
            (255.0
                * (place as f32 / 95.0 / picture["top"].as_f64().expect("a number") as f32)
                    .min(1.0))
            .round() as u8
        };
        let bytes = bytes(&picture);
        assert_eq!(bytes[..4], [16, 20, 24, 28].map(tone));
        assert_eq!(bytes[28..], [67, 71, 75, 79].map(tone));
        assert_eq!(
            picture["what"],
            "examples 1 and 4, one below the other: all 4 channels"
        );
    }

    #[test]
    fn large_maps_are_fewer_and_pictures_keep_their_colours() {
        let picture = maps(&vec![0.1; 128 * 128 * 9], [1, 128, 128, 9], (1, 0), false);
        assert_eq!(bytes(&picture).len(), 128 * 128);
        assert_eq!(picture["what"], "example 0: the first 1 of 9 channels");
        let picture = maps(&[-1.0, 0.0, 1.0], [1, 1, 1, 3], (1, 0), true);
        assert_eq!(bytes(&picture), [1, 128, 255]);
        assert_eq!(
            (&picture["shape"]["channels"], &picture["grey"]),
            (&3.into(), &true.into())
        );
    }

    #[test]
    fn filters_are_tiles_by_output_in_colour_or_by_input() {
        let values: Vec<f32> = (0..2 * 3 * 2).map(|i| i as f32).collect();
        let colour = filters(&values, [1, 2, 3, 2]);
        assert_eq!(bytes(&colour).len(), 12);
        assert_eq!(
            (&colour["count"], &colour["shape"]["channels"]),
            (&2.into(), &3.into())
        );
        // The first tile is w[:, :, :, 0]: 0, 2, 4, then 6, 8, 10.
        let top = colour["top"].as_f64().expect("a number") as f32;
        let tone = |v: f32| (255.0 * (v / top).min(1.0)).round() as u8;
        assert_eq!(
            bytes(&colour)[..6],
            [0.0, 2.0, 4.0, 6.0, 8.0, 10.0].map(tone)
        );
        let many = filters(&vec![1.0; 9 * 64 * 128], [3, 3, 64, 128]);
        assert_eq!(
            (&many["count"], &many["columns"]),
            (&128.into(), &16.into())
        );
        assert_eq!(
            many["what"],
            "w[:, :, c, k]: c = 0 to 15 of 64 to the right, k = 0 to 7 of 128 downwards"
        );
    }
}
