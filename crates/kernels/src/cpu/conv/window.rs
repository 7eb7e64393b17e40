//! Where filters are applied to an image.

/// How windows lie on an image. Cells outside of the image count as zeros; the size of the result is explicit, so that
/// padding need not be the same on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Window {
    /// From one window to the next: rows, columns.
    pub stride: [usize; 2],
    /// Zeros before the image: rows above, columns on the left.
    pub pad: [usize; 2],
    /// How many windows: rows and columns of the result.
    pub out: [usize; 2],
}

/// The largest number of windows, and of anything that says where they lie: kernels count in 32 bits and with signs.
const MOST: usize = i32::MAX as usize;

impl Window {
    /// A result of ceil(image / stride). The zeros that this needs lie on both sides, the smaller half before.
    pub const fn same(image: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Window {
        let (mut pad, mut out) = ([0; 2], [0; 2]);
        let mut d = 0;
        while d < 2 {
            if stride[d] > 0 && image[d] > 0 {
                out[d] = image[d].div_ceil(stride[d]);
                let covered = (out[d] - 1)
                    .saturating_mul(stride[d])
                    .saturating_add(kernel[d]);
                pad[d] = covered.saturating_sub(image[d]) / 2;
            }
            d += 1;
        }
        Window { stride, pad, out }
    }

    /// As many windows as fit the image with `pad` zeros on each side: floor((image + 2 pad - kernel) / stride) + 1.
    pub const fn padded(
        image: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        pad: [usize; 2],
    ) -> Window {
        let mut out = [0; 2];
        let mut d = 0;
        while d < 2 {
            let padded = image[d].saturating_add(pad[d].saturating_mul(2));
            if stride[d] > 0 && padded >= kernel[d] {
                out[d] = (padded - kernel[d]) / stride[d] + 1;
            }
            d += 1;
        }
        Window { stride, pad, out }
    }

    /// As many windows as fit the image.
    pub const fn valid(image: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Window {
        Window::padded(image, kernel, stride, [0; 2])
    }

    /// What is wrong with such windows of `kernel` on `image`, if anything. There may be zeros behind the image, too: at
    /// most as many as before it, or else as leave a cell of the image in the last window; and the image must not go on
    /// behind the last window by a whole stride.
    ///
    /// # Errors
    /// A size of 0, a number of 2^31 or more, windows that are made for another image.
    pub fn check(&self, image: [usize; 2], kernel: [usize; 2]) -> Result<(), String> {
        for (d, lines) in ["rows", "columns"].into_iter().enumerate() {
            let (size, k) = (image[d], kernel[d]);
            let (stride, pad, out) = (self.stride[d], self.pad[d], self.out[d]);
            if stride == 0 || size == 0 || k == 0 {
                return Err(format!(
                    "no windows of {k} {lines} at a stride of {stride} on an image of {size}: each must be at least 1"
                ));
            }
            if let Some(n) = [stride, size, k, pad, out].into_iter().find(|n| *n > MOST) {
                return Err(format!(
                    "{n} in windows of {k} {lines} on an image of {size}: numbers must be at most {MOST}"
                ));
            }
            if out == 0 {
                return Err(format!(
                    "windows of {k} {lines} do not fit an image of {size} with {pad} zeros before it"
                ));
            }
            // Where the last window ends, counted like `pad + size`, in numbers that cannot overflow.
            let end = (out as u64 - 1) * stride as u64 + k as u64;
            let image_end = pad as u64 + size as u64;
            let windows = || {
                format!(
                    "{out} windows of {k} {lines}, {stride} apart from {pad} before the image on,"
                )
            };
            if end + stride as u64 <= image_end {
                return Err(format!(
                    "{} leave room for another in an image of {size}",
                    windows()
                ));
            }
            if end > image_end + pad.max(k - 1) as u64 {
                return Err(format!("{} go on beyond an image of {size}", windows()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_gives_the_smaller_half_of_the_zeros_before() {
        let same = |size, k, s| {
            let window = Window::same([size; 2], [k; 2], [s; 2]);
            assert_eq!(window.check([size; 2], [k; 2]), Ok(()), "{window:?}");
            (window.out[0], window.pad[0])
        };
        assert_eq!(same(28, 4, 2), (14, 1));
        assert_eq!(same(28, 4, 1), (28, 1));
        assert_eq!(same(28, 5, 2), (14, 1));
        assert_eq!(same(7, 5, 2), (4, 2));
        assert_eq!(same(28, 3, 1), (28, 1));
        assert_eq!(same(28, 1, 2), (14, 0));
        assert_eq!(same(5, 1, 3), (2, 0));
        assert_eq!(same(1, 7, 1), (1, 3));
    }

    #[test]
    fn padded_and_valid_count_whole_windows() {
        let of = |window: Window| (window.out, window.pad);
        let w = Window::padded([28, 5], [4, 2], [2, 3], [1, 7]);
        assert_eq!(of(w), ([14, 6], [1, 7]));
        assert_eq!(w.check([28, 5], [4, 2]), Ok(()));
        let w = Window::valid([28, 28], [5, 7], [1, 2]);
        assert_eq!(of(w), ([24, 11], [0, 0]));
        assert_eq!(w.check([28, 28], [5, 7]), Ok(()));
    }

    #[test]
    fn numbers_that_would_overflow_are_refused() {
        let most = usize::MAX;
        for window in [
            Window {
                stride: [1, 1],
                pad: [most, 0],
                out: [9, 9],
            },
            Window {
                stride: [most, 1],
                pad: [0, 0],
                out: [2, 9],
            },
            Window {
                stride: [1, 1],
                pad: [1 << 31, 0],
                out: [9 + (1 << 31), 9],
            },
            Window::padded([9, 9], [3, 1], [1, 1], [most, 0]),
            Window::same([most, 9], [3, 1], [1, 1]),
            Window::same([9, 9], [most, 1], [2, 1]),
        ] {
            let refused = window.check([9, 9], [1, 1]);
            assert!(refused.is_err_and(|e| e.contains("at most")), "{window:?}");
        }
        let refused = Window::same([9, 9], [most, 1], [2, 1]).check([9, 9], [most, 1]);
        assert!(refused.is_err_and(|e| e.contains("at most")));
    }

    #[test]
    fn windows_of_another_image_are_refused() {
        let of = |made_for, kernel, image| {
            Window::same([made_for, 8], [kernel, 3], [2, 1]).check([image, 8], [kernel, 3])
        };
        let message = |made_for, kernel, image| of(made_for, kernel, image).unwrap_err();
        assert_eq!(of(28, 4, 28), Ok(()));
        assert_eq!(
            message(28, 4, 32),
            "14 windows of 4 rows, 2 apart from 1 before the image on, leave room for another in an image of 32"
        );
        assert_eq!(
            message(32, 4, 28),
            "16 windows of 4 rows, 2 apart from 1 before the image on, go on beyond an image of 28"
        );
        assert!(message(28, 0, 28).ends_with("each must be at least 1"));
        assert_eq!(
            Window::valid([3, 3], [2, 5], [1, 1]).check([3, 3], [2, 5]),
            Err("windows of 5 columns do not fit an image of 3 with 0 zeros before it".into())
        );
        // Zeros behind alone, or before alone, as causal filters have them.
        for pad in [0, 4] {
            let window = Window {
                stride: [1, 1],
                pad: [pad, 0],
                out: [9, 9],
            };
            assert_eq!(window.check([9, 9], [5, 1]), Ok(()));
        }
    }
}
