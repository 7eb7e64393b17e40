//! Receptive fields: from which pixels of one image a pixel of a later one is computed, by the graph that was recorded.
//!
//! A field is a rectangle, and rows and columns are found apart: for each line of the later image a range of lines of the
//! earlier one. Where ranges have gaps, as behind a kernel that is smaller than its stride, the rectangle goes around them.
//! What comes by a mean over all pixels, as in batch norm, is not in it.

use super::images::{Along, Images, Lines, widen};
use super::pace::Pace;

/// What an image sees of another.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Field {
    /// For each row the rows of the other one, for each column its columns.
    pub lines: [Lines; 2],
    /// The same far from all borders, rows and columns, where they follow a rule.
    pub pace: [Option<Pace>; 2],
}

/// What each image sees of the image `source`; none where it sees nothing of it.
pub(super) fn fields(images: &Images, source: usize) -> Vec<Option<Field>> {
    let identity = |size: usize| (0..size).map(|i| Some([i, i])).collect();
    let mut fields: Vec<Option<Field>> = vec![None; images.len()];
    fields[source] = Some(Field {
        lines: images.size(source).map(identity),
        pace: [Some(Pace::identity()), Some(Pace::identity())],
    });
    for n in source + 1..images.len() {
        let mut all: Option<Field> = None;
        for read in images.reads(n) {
            let Some(below) = &fields[read.from] else {
                continue;
            };
            let part = beyond(below, &read.along, images.size(n), images.size(read.from));
            all = Some(match all {
                None => part,
                Some(all) => both(all, &part),
            });
        }
        fields[n] = all;
    }
    fields
}

/// What an image of size `out` sees that is made of an image, of size `of`, that sees `below`.
fn beyond(below: &Field, along: &[Along; 2], out: [usize; 2], of: [usize; 2]) -> Field {
    let lines = |d: usize| {
        let ranges = along[d].lines(out[d], of[d]).into_iter();
        let hull = |range: Option<[usize; 2]>| {
            let mut hull = None;
            for line in range.map_or(0..0, |[lo, hi]| lo..hi + 1) {
                below.lines[d][line]
                    .into_iter()
                    .for_each(|more| widen(&mut hull, more));
            }
            hull
        };
        ranges.map(hull).collect()
    };
    Field {
        lines: [lines(0), lines(1)],
        pace: [0, 1].map(|d| below.pace[d].as_ref()?.through(&along[d])),
    }
}

fn both(mut a: Field, b: &Field) -> Field {
    for d in 0..2 {
        for (mine, more) in a.lines[d].iter_mut().zip(&b.lines[d]) {
            more.iter().for_each(|more| widen(mine, *more));
        }
        let paces = (a.pace[d].take(), &b.pace[d]);
        a.pace[d] = match paces {
            (Some(mine), Some(more)) => mine.and(more),
            _ => None,
        };
    }
    a
}

/// The images where what `n` sees begins, the nearest first: those that are made of no other, and those at which the way back
/// leaves the net of `n`, as `net` names it.
pub(super) fn sources(
    images: &Images,
    net: impl Fn(usize) -> Option<char>,
    n: usize,
) -> Vec<usize> {
    let (mut seen, mut rest, mut found) = (vec![false; images.len()], vec![n], Vec::new());
    while let Some(m) = rest.pop() {
        let reads = images.reads(m);
        // What knows an image by means alone is not its beginning.
        if reads.is_empty() && m != n && !images.knows_means(m) {
            found.push(m);
        }
        for read in reads {
            if net(m).is_some() && net(read.from) != net(m) {
                found.push(read.from);
            }
            if !std::mem::replace(&mut seen[read.from], true) {
                rest.push(read.from);
            }
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    found
}

/// The images on the ways from `source` to `n` that are made by windows, in their order, `n` among them.
pub(super) fn windows(images: &Images, fields: &[Option<Field>], n: usize) -> Vec<usize> {
    let (mut seen, mut rest, mut found) = (vec![false; images.len()], vec![n], Vec::new());
    while let Some(m) = rest.pop() {
        let ways = images.reads(m).iter().filter(|r| fields[r.from].is_some());
        let ways: Vec<_> = ways.collect();
        if ways.iter().any(|r| r.along != [Along::Same, Along::Same]) {
            found.push(m);
        }
        for read in ways {
            if !std::mem::replace(&mut seen[read.from], true) {
                rest.push(read.from);
            }
        }
    }
    found.sort_unstable();
    found
}

/// Whether a pixel of `n` depends on all pixels of an image behind `source` by a mean or another sum, too.
pub(super) fn has_means(images: &Images, source: usize, n: usize) -> bool {
    let (mut seen, mut rest) = (vec![false; images.len()], vec![n]);
    while let Some(m) = rest.pop() {
        if images.knows_means(m) {
            return true;
        }
        for read in images.reads(m).iter().filter(|r| r.from > source) {
            if !std::mem::replace(&mut seen[read.from], true) {
                rest.push(read.from);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::ops::{Divisor, Window};
    use ganforge_tensor::{Graph, Node, Var};

    /// A net of images, of weights above 0.
    type Net = fn(Var<'_>) -> Var<'_>;

    fn size(x: Var) -> [usize; 2] {
        [x.shape().dims()[1], x.shape().dims()[2]]
    }

    fn filters<'g>(x: Var<'g>, kernel: [usize; 2], c_in: usize, c_out: usize) -> Var<'g> {
        x.graph().constant(1.0, [kernel[0], kernel[1], c_in, c_out])
    }

    fn conv<'g>(x: Var<'g>, kernel: [usize; 2], window: Window) -> Var<'g> {
        x.conv2d(filters(x, kernel, x.shape().dims()[3], 2), window)
    }

    fn same<'g>(x: Var<'g>, kernel: [usize; 2], stride: [usize; 2]) -> Var<'g> {
        conv(x, kernel, Window::same(size(x), kernel, stride))
    }

    /// A transposed convolution to `image`.
    fn deconv<'g>(x: Var<'g>, kernel: [usize; 2], image: [usize; 2], window: Window) -> Var<'g> {
        x.conv2d_dx(filters(x, kernel, 2, x.shape().dims()[3]), window, image)
    }

    /// A transposed convolution to an image `stride` times as large.
    fn larger<'g>(x: Var<'g>, kernel: [usize; 2], stride: [usize; 2]) -> Var<'g> {
        let image = [0, 1].map(|d| size(x)[d] * stride[d]);
        deconv(x, kernel, image, Window::same(image, kernel, stride))
    }

    const NETS: [(&str, Net); 20] = [
        ("one convolution", |x| same(x, [3, 3], [1, 1])),
        ("a stride that is no divisor", |x| {
            same(same(x, [5, 4], [2, 3]), [3, 3], [1, 1])
        }),
        ("without padding", |x| {
            conv(x, [3, 2], Window::valid(size(x), [3, 2], [2, 2]))
        }),
        ("padded on both sides", |x| {
            let y = conv(x, [4, 4], Window::padded(size(x), [4, 4], [2, 2], [1, 1]));
            conv(y, [2, 3], Window::padded(size(y), [2, 3], [1, 2], [1, 2]))
        }),
        ("a kernel smaller than its stride", |x| {
            same(same(x, [1, 2], [2, 3]), [3, 1], [1, 1])
        }),
        ("back to an odd size", |x| {
            let window = Window::same(size(x), [4, 4], [2, 2]);
            deconv(conv(x, [4, 4], window), [4, 4], size(x), window)
        }),
        ("a generator", |x| {
            same(
                larger(larger(x, [4, 4], [2, 2]), [3, 5], [2, 1]),
                [3, 3],
                [1, 1],
            )
        }),
        ("deconvolution as in torch", |x| {
            let image = size(x).map(|s| 2 * s);
            deconv(
                x,
                [4, 4],
                image,
                Window::padded(image, [4, 4], [2, 2], [1, 1]),
            )
        }),
        ("deconvolution with holes", |x| {
            larger(same(x, [2, 2], [1, 1]), [1, 2], [2, 3])
        }),
        ("pools", |x| {
            let y = x.mean_pool([2, 2]);
            y.max_pool([3, 3], Window::padded(size(y), [3, 3], [2, 2], [1, 1]))
        }),
        ("sums inside", |x| {
            x.pool(
                [3, 2],
                Window::same(size(x), [3, 2], [1, 2]),
                Divisor::Inside,
            )
        }),
        ("repeated pixels", |x| {
            same(x.upsample_nearest(2), [3, 3], [2, 1])
        }),
        ("enlarged between pixels", |x| {
            same(x.resize_bilinear([13, 11]), [2, 2], [1, 1])
        }),
        ("made smaller between pixels", |x| x.resize_bilinear([5, 4])),
        ("channels as pixels", |x| {
            let y = x.conv2d(
                filters(x, [3, 3], 1, 8),
                Window::same(size(x), [3, 3], [1, 1]),
            );
            same(y.pixel_shuffle(2), [3, 3], [1, 1])
        }),
        ("pixels as channels", |x| {
            same(x.upsample_nearest(2).pixel_unshuffle(2), [2, 2], [1, 1])
        }),
        ("zeros between pixels", |x| {
            same(x.unpool_zeros(2), [2, 2], [1, 1])
        }),
        ("a residual block", |x| {
            let way = same(
                same(x.relu(), [3, 3], [1, 1]).leaky_relu(0.2),
                [3, 3],
                [1, 1],
            );
            way.mean_pool([2, 2]) + same(x, [1, 1], [1, 1]).mean_pool([2, 2])
        }),
        ("examples that change places, channels side by side", |x| {
            let turned = x.rows(1, 2).concat(x.rows(0, 1), 0);
            same(turned, [3, 1], [1, 1]).concat(same(turned, [1, 3], [1, 1]), 3)
        }),
        ("a part of an image, upside down", |x| {
            let [h, w] = size(x);
            let part = x.slice([0, 1, 2, 0], [2, h - 1, w - 3, 1]).flip(&[1]);
            same(part, [2, 2], [1, 1]).pad([0, 2, 0, 0], [2, h + 3, w, 2])
        }),
    ];

    /// For each line of `y` the lines of the input `x` of `size` that change it: each pixel of the first example is
    /// changed alone.
    fn by_force(y: Var, x: (&str, &[usize]), others: &[(&str, Vec<f64>)]) -> [Lines; 2] {
        let (name, &[_, rows, columns, channels]) = x else {
            panic!("an image");
        };
        let (h, w, c) = (size(y)[0], size(y)[1], y.shape().dims()[3]);
        let run = |values: &[f64]| {
            let mut leaves = vec![(name, values.to_vec())];
            leaves.extend(others.iter().cloned());
            y.evaluate(&leaves).expect("values")
        };
        let values = vec![0.5; x.1.iter().product()];
        let before = run(&values);
        let mut found = [vec![None; h], vec![None; w]];
        for (r, q) in (0..rows).flat_map(|r| (0..columns).map(move |q| (r, q))) {
            let mut changed = values.clone();
            let at = (r * columns + q) * channels;
            changed[at..at + channels]
                .iter_mut()
                .for_each(|v| *v += 1.0);
            let after = run(&changed);
            for at in (0..before.len()).filter(|&at| before[at] != after[at]) {
                widen(&mut found[0][at / (w * c) % h], [r, r]);
                widen(&mut found[1][at / c % w], [q, q]);
            }
        }
        found
    }

    fn nodes(graph: &Graph) -> Vec<Node> {
        graph.vars().map(Var::node).collect()
    }

    /// What the images of a graph see of the image `source`.
    fn fields_of(graph: &Graph, source: Var) -> Vec<Option<Field>> {
        let nodes = nodes(graph);
        let images = Images::of(&nodes, |_| 0, |_| true);
        fields(&images, source.id().index())
    }

    #[test]
    fn a_pixel_sees_the_pixels_that_change_it() {
        for (name, net) in NETS {
            let (graph, shape) = (Graph::new(), [2, 9, 7, 1]);
            let x = graph.input("x", shape);
            let y = net(x);
            let found = fields_of(&graph, x)[y.id().index()].clone();
            assert_eq!(
                found.expect(name).lines,
                by_force(y, ("x", &shape), &[]),
                "{name}"
            );
        }
    }

    #[test]
    fn a_gradient_comes_through_the_pixels_whose_gradients_change_it() {
        for (name, net) in NETS {
            let (graph, shape) = (Graph::new(), [2, 9, 7, 1]);
            let x = graph.input("x", shape);
            let y = net(x);
            let dy = graph.input("dy", y.shape());
            let dx = graph.grad((y * dy).sum(), &[x]).expect(name)[0];
            let field = fields_of(&graph, dy)[dx.id().index()].clone();
            // Each maximum sends its gradient to one pixel: to which, x decides.
            let mut found = [vec![None; 9], vec![None; 7]];
            for k in 0..if name == "pools" { 40 } else { 1 } {
                let mixed = |i: usize| ((i + k) * 29 % 64) as f64 / 64.0;
                let x: Vec<f64> = (0..126).map(mixed).collect();
                let part = by_force(dx, ("dy", y.shape().dims()), &[("x", x)]);
                for (all, part) in found.iter_mut().flatten().zip(part.into_iter().flatten()) {
                    part.into_iter().for_each(|more| widen(all, more));
                }
            }
            assert_eq!(field.expect(name).lines, found, "{name}");
        }
    }

    #[test]
    fn far_from_borders_fields_move_at_their_pace() {
        let mut known = 0;
        for (name, net) in NETS {
            let graph = Graph::new();
            let x = graph.input("x", [2, 44, 36, 1]);
            let y = net(x);
            let field = fields_of(&graph, x)[y.id().index()].clone().expect(name);
            for d in 0..2 {
                let middle = field.lines[d].len() / 2;
                let Some(pace) = &field.pace[d] else {
                    continue;
                };
                for line in middle - 1..middle + 2 {
                    let ends = pace.lines(line as i64).map(|e| e as usize);
                    assert_eq!(field.lines[d][line], Some(ends), "{name} {d} {line}");
                    known += 1;
                }
            }
        }
        assert!(known > 80, "{known}");
    }

    #[test]
    fn sizes_strides_and_starts_compose() {
        let graph = Graph::new();
        let x = graph.input("x", [1, 28, 28, 1]);
        let h0 = same(x, [4, 4], [2, 2]);
        let h1 = same(h0, [4, 4], [2, 2]);
        let up = larger(larger(h1, [4, 4], [2, 2]), [4, 4], [2, 2]);
        let said = |from: Var, of: Var| {
            let field = fields_of(&graph, from)[of.id().index()]
                .clone()
                .expect("seen");
            let pace = field.pace[0].clone().expect("a rule");
            (pace.size(), pace.stride(), pace.start())
        };
        assert_eq!(said(x, h0), (4, [2, 1], -1));
        // 4 + 3 · 2; 2 · 2; -1 - 1 · 2
        assert_eq!(said(x, h1), (10, [4, 1], -3));
        assert_eq!(said(h1, up), (3, [1, 4], -1));
        assert_eq!(said(h1, h1), (1, [1, 1], 0));
    }
}
