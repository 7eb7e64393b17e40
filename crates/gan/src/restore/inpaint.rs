//! Inpainting: some pixels are known, the others are to be made.

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_settings::{list, settings};
use ganforge_tensor::ops::Window;
use ganforge_tensor::{Graph, Var, stream_number};

use super::Restoration;

settings! {
    /// Pixels are missing: of each example of training, as likely as another, the right half, the left, the lower or the upper one, a
    /// rectangle of a quarter to five sevenths of the height and of the width, each pixel with probability 1/2, or all of them. G is given
    /// the image with zeros for what is missing, as another channel 1 where a pixel is known and 0 elsewhere, and noise where it is not:
    /// z has as many components as the image has values. D sees the completed image and the channel of what is known.
    ///
    /// source: Goodfellow et al. 2014, section 7, point 3, and the inpainting of its released code, which puts noise in the right half;
    /// the mixture of masks is ours
    #[derive(Copy)]
    pub struct Inpaint {
        /// What is missing of the test images that are scored and shown.
        pub mask: Mask = Mask::Right;
    }
}

list! {
    /// Pixels that are missing of an image.
    pub enum Mask {
        /// The right half.
        "right" => Right,
        /// The left half.
        "left" => Left,
        /// The upper half.
        "top" => Top,
        /// The lower half.
        "bottom" => Bottom,
        /// The rectangle in the middle, of half the height and half the width.
        "middle" => Middle,
        /// Each with probability 1/2, drawn from the run's seed.
        "pixels" => Pixels,
        /// All.
        "all" => All,
    }
}

impl Mask {
    /// Which pixels of an image of this height and width are known, `[h · w]`: 1, and 0 elsewhere.
    pub fn known(self, [h, w]: [usize; 2], seed: u64) -> Vec<f32> {
        let mut drawn = vec![1.0; h * w];
        if self == Mask::Pixels {
            let stream = RandomStream {
                key: seed,
                stream: stream_number("mask/pixels"),
                counter: 0,
            };
            rng::uniform(stream, 0, 0.0, 1.0, &mut drawn);
        }
        let is_missing = |at: usize| {
            let (y, x) = (at / w, at % w);
            match self {
                Mask::Right => x >= w / 2,
                Mask::Left => x < w / 2,
                Mask::Top => y < h / 2,
                Mask::Bottom => y >= h / 2,
                Mask::Middle => {
                    let is_inside = |at: usize, side: usize| {
                        let first = side / 4;
                        (first..first + side.div_ceil(2)).contains(&at)
                    };
                    is_inside(y, h) && is_inside(x, w)
                }
                Mask::Pixels => drawn[at] < 0.5,
                Mask::All => true,
            }
        };
        let known = |at| f32::from(u8::from(!is_missing(at)));
        (0..h * w).map(known).collect()
    }
}

/// What is missing of an example of training.
#[derive(Clone, Copy)]
enum Missing {
    Right,
    Left,
    Top,
    Bottom,
    Rectangle,
    Pixels,
    All,
}

impl Missing {
    const KINDS: usize = Missing::All as usize + 1;
}

/// The middles of `n` pixels along an axis, 0.5, 1.5, ..: `[1, n]`.
#[track_caller]
fn middles(graph: &Graph, n: usize) -> Var<'_> {
    // Place i of ones convolved with ones is the sum of the first i + 1 of them.
    let ones = graph.constant(1.0, [1, n, 1, 1]);
    let before = Window {
        stride: [1, 1],
        pad: [n - 1, 0],
        out: [n, 1],
    };
    let counted = ones.conv2d(graph.constant(1.0, [n, 1, 1, 1]), before);
    counted.reshape([1, n]) - 0.5
}

/// 1 where x is above 0, else 0.
#[track_caller]
fn is_above_zero(x: Var<'_>) -> Var<'_> {
    x.sign().relu()
}

impl Restoration for Inpaint {
    fn fits(&self, [h, w, _]: [usize; 3]) -> Result<(), String> {
        match h < 4 || w < 4 {
            true => Err("images of 4 x 4 pixels or more".to_owned()),
            false => Ok(()),
        }
    }

    fn input(&self, [h, w, c]: [usize; 3]) -> [usize; 3] {
        [h, w, 2 * c + 1]
    }

    #[track_caller]
    fn draw<'g>(
        &self,
        graph: &'g Graph,
        name: &str,
        rows: usize,
        [h, w, _]: [usize; 3],
    ) -> Option<Var<'g>> {
        let uniform = |part: &str, shape: [usize; 2]| {
            graph.uniform(&format!("known{name}/{part}"), shape, 0.0, 1.0)
        };
        // The place of the largest of uniform numbers is uniform.
        let kinds = Missing::KINDS;
        let kind = uniform("kind", [rows, kinds]).arg_max(kinds);
        let kind = graph
            .constant(1.0, [rows, 1])
            .put(kind.reshape([rows, 1]), kinds);
        let is = |missing: Missing| kind.slice([0, missing as usize], [rows, 1]);
        // All but single pixels are rectangles, here along an axis of n pixels: 1 from the first missing one to the last.
        let along = |axis: &str, n: usize, [whole, lower, upper]: [Var<'g>; 3]| {
            let (least, most) = (n as f64 / 4.0, 5.0 * n as f64 / 7.0);
            let length = uniform(&format!("{axis}/length"), [rows, 1]) * (most - least) + least;
            let first = uniform(&format!("{axis}/first"), [rows, 1]) * (n as f64 - length);
            let (half, is_rectangle) = ((n / 2) as f64, is(Missing::Rectangle));
            let begin = upper * half + is_rectangle * first;
            let end = (whole + upper) * n as f64 + lower * half + is_rectangle * (first + length);
            let middles = middles(graph, n);
            is_above_zero(middles - begin) * is_above_zero(end - middles)
        };
        let (all, sides) = (is(Missing::All), is(Missing::Right) + is(Missing::Left));
        let ends = is(Missing::Top) + is(Missing::Bottom);
        let down = along("y", h, [all + sides, is(Missing::Top), is(Missing::Bottom)]);
        let across = along("x", w, [all + ends, is(Missing::Left), is(Missing::Right)]);
        let rectangle = down.reshape([rows, h, 1, 1]) * across.reshape([rows, 1, w, 1]);
        let half = graph.bernoulli(&format!("known{name}/pixels"), [rows, h, w, 1], 0.5, 1.0);
        let pixels = half * is(Missing::Pixels).reshape([rows, 1, 1, 1]);
        Some(1.0 - (rectangle + pixels))
    }

    fn shown(&self, sides: [usize; 2], seed: u64) -> Option<Vec<f32>> {
        Some(self.mask.known(sides, seed))
    }

    #[track_caller]
    fn given<'g>(&self, x: Var<'g>, known: Option<Var<'g>>, z: Var<'g>) -> Var<'g> {
        let known = known.expect("`draw` and `shown` say what is known");
        let noise = z.reshape(x.shape()) * (1.0 - known);
        (x * known).concat(known, 3).concat(noise, 3)
    }
}
