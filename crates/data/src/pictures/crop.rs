//! Cropping, and the number of channels.

use ganforge_settings::{Scalar, Value};

use super::Picture;
use crate::ImageSize;

/// Which part of a picture is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crop {
    /// The largest square about the centre.
    Center,
    /// [height, width] about the centre; where the picture is smaller, black is put around it.
    Sides([usize; 2]),
    /// [height, width, top, left]: with this many rows above it and columns to its left.
    At([usize; 4]),
}

/// What `data.crop` takes.
pub struct Crops;

/// The largest side, row and column.
const MOST: i128 = 10_000;

impl Scalar<Crop> for Crops {
    fn what(&self) -> String {
        format!(
            "\"center\", a whole number from 1 to {MOST}, [height, width], or [height, width, top, left]"
        )
    }

    fn parse(&self, value: &Value) -> Result<Crop, String> {
        let number = |value: &Value, least: i128| match value {
            Value::Int(n) if (least..=MOST).contains(n) => Ok(*n as usize),
            _ => Err(String::new()),
        };
        match value {
            Value::Str(word) if word == "center" => Ok(Crop::Center),
            Value::Array(items) => match items.iter().map(|i| &i.value).collect::<Vec<_>>()[..] {
                [h, w] => Ok(Crop::Sides([number(h, 1)?, number(w, 1)?])),
                [h, w, top, left] => Ok(Crop::At([
                    number(h, 1)?,
                    number(w, 1)?,
                    number(top, 0)?,
                    number(left, 0)?,
                ])),
                _ => Err(String::new()),
            },
            one => Ok(Crop::Sides([number(one, 1)?; 2])),
        }
    }

    fn show(&self, crop: &Crop) -> String {
        match crop {
            Crop::Center => "\"center\"".to_string(),
            Crop::Sides(sides) => format!("{sides:?}"),
            Crop::At(place) => format!("{place:?}"),
        }
    }
}

/// What `data.channels` takes.
pub struct Channels;

impl Scalar<usize> for Channels {
    fn what(&self) -> String {
        "1, grey, or 3, RGB".to_string()
    }

    fn parse(&self, value: &Value) -> Result<usize, String> {
        match value {
            Value::Int(n @ (1 | 3)) => Ok(*n as usize),
            _ => Err(String::new()),
        }
    }

    fn show(&self, channels: &usize) -> String {
        channels.to_string()
    }
}

impl Picture {
    /// The part that `crop` takes.
    ///
    /// Along a side longer than asked for, half of the rest, rounded down, is left out before; along a shorter one, half of
    /// what is missing, rounded down, is black before.
    ///
    /// # Errors
    /// A [`Crop::At`] that does not lie in the picture, in words that follow its name.
    pub fn cropped(&self, crop: Crop) -> Result<Picture, String> {
        let ImageSize { height, width, .. } = self.size;
        match crop {
            Crop::Center => {
                let side = height.min(width);
                Ok(self.framed([side; 2]))
            }
            Crop::Sides(sides) => Ok(self.framed(sides)),
            Crop::At([h, w, top, left]) => {
                if top + h > height || left + w > width {
                    return Err(format!(
                        "is {height}x{width}, in which data.crop = {} does not lie",
                        Crops.show(&crop)
                    ));
                }
                Ok(self.rearranged(h, w, |x, y| (left + x, top + y)))
            }
        }
    }

    /// The middle [height, width], black around where there is less.
    fn framed(&self, [height, width]: [usize; 2]) -> Picture {
        let ImageSize {
            height: h,
            width: w,
            channels,
        } = self.size;
        if height <= h && width <= w {
            let [top, left] = [(h - height) / 2, (w - width) / 2];
            return self.rearranged(height, width, |x, y| (left + x, top + y));
        }
        // Of each side: how many of the picture's rows are left out before, how many are black before, how many are taken.
        let of = |from: usize, to: usize| {
            let (out, black) = (from.saturating_sub(to) / 2, to.saturating_sub(from) / 2);
            (out, black, from.min(to))
        };
        let ((top, above, rows), (left, before, columns)) = (of(h, height), of(w, width));
        let size = ImageSize {
            height,
            width,
            channels,
        };
        let mut bytes = vec![0; height * width * channels];
        for y in 0..rows {
            let from = ((top + y) * w + left) * channels;
            let to = ((above + y) * width + before) * channels;
            let len = columns * channels;
            bytes[to..to + len].copy_from_slice(&self.bytes[from..from + len]);
        }
        Picture { size, bytes }
    }

    /// The picture in grey, 1, or in RGB, 3: grey is 0.299 R + 0.587 G + 0.114 B, rounded.
    ///
    /// source: ITU-R BT.601, section 2.5.1
    ///
    /// # Panics
    /// Another number of channels.
    pub fn with_channels(self, channels: usize) -> Picture {
        assert!(matches!(channels, 1 | 3), "{channels} channels");
        if channels == self.size.channels {
            return self;
        }
        let bytes = match channels {
            1 => {
                let pixels = self.bytes.as_chunks::<3>().0.iter();
                let grey = pixels.map(|[r, g, b]| {
                    let [r, g, b] = [*r, *g, *b].map(u32::from);
                    (299 * r + 587 * g + 114 * b + 500) / 1000
                });
                grey.map(|v| v as u8).collect()
            }
            _ => self.bytes.iter().flat_map(|v| [*v; 3]).collect(),
        };
        let size = ImageSize {
            channels,
            ..self.size
        };
        Picture { size, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixel (x, y) is 10 y + x.
    fn numbered(height: usize, width: usize) -> Picture {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (10 * y + x) as u8));
        let size = ImageSize {
            height,
            width,
            channels: 1,
        };
        Picture::new(size, places.collect()).unwrap()
    }

    #[test]
    fn the_middle_is_taken_and_black_put_around_what_is_too_small() {
        let picture = numbered(5, 2);
        let square = picture.cropped(Crop::Center).unwrap();
        assert_eq!(square.bytes(), [10, 11, 20, 21]);
        let high = picture.cropped(Crop::Sides([3, 1])).unwrap();
        assert_eq!(high.bytes(), [10, 20, 30]);
        // Higher than asked for, and narrower: of the missing three columns one is before.
        let wide = picture.cropped(Crop::Sides([2, 5])).unwrap();
        assert_eq!(wide.bytes(), [0, 10, 11, 0, 0, 0, 20, 21, 0, 0]);
        let around = numbered(1, 1).with_channels(3).cropped(Crop::Sides([1, 3]));
        assert_eq!(around.unwrap().bytes(), [0; 9]);
        let around = numbered(3, 1).cropped(Crop::Sides([4, 2])).unwrap();
        assert_eq!(around.bytes(), [0, 0, 10, 0, 20, 0, 0, 0]);
    }

    #[test]
    fn a_place_is_taken_where_the_picture_has_it() {
        let picture = numbered(5, 3);
        let part = picture.cropped(Crop::At([2, 2, 3, 1])).unwrap();
        assert_eq!(part.bytes(), [31, 32, 41, 42]);
        for crop in [[2, 2, 4, 1], [2, 2, 3, 2]] {
            let refused = picture.cropped(Crop::At(crop)).unwrap_err();
            let expected = format!("is 5x3, in which data.crop = {crop:?} does not lie");
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn grey_is_the_luma_of_colours_and_colours_of_grey_are_equal() {
        let size = ImageSize {
            height: 1,
            width: 4,
            channels: 3,
        };
        let bytes = [255, 0, 0, 0, 255, 0, 0, 0, 255, 7, 7, 7];
        let colour = Picture::new(size, bytes.to_vec()).unwrap();
        assert_eq!(colour.clone().with_channels(3), colour);
        let grey = colour.with_channels(1);
        assert_eq!(grey.bytes(), [76, 150, 29, 7]);
        let again = grey.with_channels(3);
        assert_eq!(again.pixel(1, 0), [150; 3]);
    }
}
