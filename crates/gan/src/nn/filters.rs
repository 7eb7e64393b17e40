//! The filters of convolutions, and how they lie on an image.

use ganforge_settings::{Flat, Scalar, Sides, Value, scalar, settings, whole};
use ganforge_tensor::Var;
use ganforge_tensor::ops::Window;

use super::{Build, Misfit, Weights, image, image_of};
use crate::config::{Init, MANY};

/// The largest side of a filter, a step or a padding.
const MOST: i128 = 1000;
pub(super) const SIDES: Sides = Sides {
    most: MOST,
    what: "a whole number from 1 to 1000, or two, [height, width]",
};

settings! {
    /// Filters and their biases.
    pub struct Filters {
        /// Channels of the output.
        pub channels: usize = 64, whole(1, MANY);
        /// Height and width of a filter; one number stands for both.
        pub kernel: [usize; 2] = [3, 3], SIDES;
        /// Steps from one place to the next, down and across; one number stands for both.
        pub stride: [usize; 2] = [1, 1], SIDES;
        /// Rows and columns of zeros around the image: `"same"`, as many as make the output ceil(size / stride), of a
        /// deconvolution size * stride, the smaller half before; `"valid"`, none; `"partial"`, only at the end, where the last
        /// place would be left out; or their number on each side.
        pub padding: Padding = Padding::Same, Paddings;
        /// What it stores.
        pub weights: Weights = Weights::default(), Flat;
    }
}

/// Zeros around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// So many that the output of a convolution is ceil(size / stride), that of a deconvolution size · stride.
    Same,
    /// None.
    Valid,
    /// Only at the end, so many that no cell is left out: the output is ceil((size - kernel) / stride) + 1, or one less where
    /// the last place would begin behind the image.
    Partial,
    /// So many on each side.
    Cells(usize),
}

impl Padding {
    /// The zeros on each side, where their number is the same.
    fn cells(self) -> Option<usize> {
        match self {
            Padding::Same => None,
            Padding::Valid | Padding::Partial => Some(0),
            Padding::Cells(n) => Some(n),
        }
    }

    /// Whether every window of this size holds a cell of the image.
    pub(super) fn fits_kernel(self, kernel: [usize; 2]) -> Result<(), Misfit> {
        if let Padding::Cells(n) = self
            && let Some(k) = kernel.iter().find(|k| n >= **k)
        {
            let message = format!(
                "of {n} on each side makes windows of {k} rows or columns that hold no pixel"
            );
            return Err(Misfit::new("padding", message));
        }
        Ok(())
    }

    /// Whether steps of this size stay on an image of these sides.
    pub(super) fn fits_stride(self, sides: [usize; 2], stride: [usize; 2]) -> Result<(), Misfit> {
        for (axis, side) in sides.into_iter().enumerate() {
            let (name, s) = (AXES[axis], stride[axis]);
            if s > side + 2 * self.cells().unwrap_or(0) {
                let message = format!("of {s} steps over the whole image, whose {name} is {side}");
                return Err(Misfit::new("stride", message));
            }
        }
        Ok(())
    }

    /// How windows lie on an image of these sides.
    pub(super) fn window(
        self,
        sides: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Window {
        match self.cells() {
            None => Window::same(sides, kernel, stride),
            Some(_) if self == Padding::Partial => {
                // No window begins behind the image, as it might where it is shorter than a stride.
                let steps = |i: usize| {
                    let (stride, last) = (stride[i].max(1), sides[i].saturating_sub(1));
                    let steps = sides[i].saturating_sub(kernel[i]).div_ceil(stride);
                    steps.min(last / stride)
                };
                let out = [0, 1].map(|i| steps(i) + 1);
                let pad = [0, 0];
                Window { stride, pad, out }
            }
            Some(n) => Window::padded(sides, kernel, stride, [n, n]),
        }
    }
}

/// What `padding` takes.
pub(crate) struct Paddings;

impl Scalar<Padding> for Paddings {
    fn what(&self) -> String {
        format!("\"same\", \"valid\", \"partial\" or a whole number from 0 to {MOST}")
    }

    fn parse(&self, value: &Value) -> Result<Padding, String> {
        match (value, value.text()) {
            (_, Some("same")) => Ok(Padding::Same),
            (_, Some("valid")) => Ok(Padding::Valid),
            (_, Some("partial")) => Ok(Padding::Partial),
            (Value::Int(n), _) if (0..=MOST).contains(n) => Ok(Padding::Cells(*n as usize)),
            _ => Err(String::new()),
        }
    }

    fn show(&self, padding: &Padding) -> String {
        match padding {
            Padding::Same => "\"same\"".to_owned(),
            Padding::Valid => "\"valid\"".to_owned(),
            Padding::Partial => "\"partial\"".to_owned(),
            Padding::Cells(n) => n.to_string(),
        }
    }
}

scalar! { impl [] Paddings => Padding }

const AXES: [&str; 2] = ["height", "width"];

impl Filters {
    fn cells(&self) -> Option<usize> {
        self.padding.cells()
    }

    fn window(&self, sides: [usize; 2]) -> Window {
        self.padding.window(sides, self.kernel, self.stride)
    }

    /// The convolution of x [b, h, w, c] with `outputs` filters, without biases.
    #[track_caller]
    pub(super) fn convolved<'g>(
        &self,
        build: &mut Build<'g>,
        x: Var<'g>,
        outputs: usize,
    ) -> Var<'g> {
        let [h, w, c] = image_of(x);
        let [kh, kw] = self.kernel;
        let fans = [kh * kw * c, (kh * kw).saturating_mul(outputs)];
        let filters = self.weights.of(build, [kh, kw, c, outputs], fans, 3);
        x.conv2d(filters, self.window([h, w]))
    }

    /// The adjoint of a convolution from the output to x [b, h, w, c], without biases.
    #[track_caller]
    pub(super) fn deconvolved<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let x = image(x);
        let [h, w, c] = image_of(x);
        let [kh, kw] = self.kernel;
        let fans = [kh * kw * c, (kh * kw).saturating_mul(self.channels)];
        let filters = self.weights.of(build, [kh, kw, self.channels, c], fans, 2);
        let to = [0, 1].map(|i| self.spread([h, w][i], i).unwrap_or(0));
        x.conv2d_dx(filters, self.window(to), to)
    }

    /// The side of a deconvolution's output, none where there is none.
    fn spread(&self, side: usize, axis: usize) -> Option<usize> {
        let (k, s) = (self.kernel[axis], self.stride[axis]);
        match self.cells() {
            None => side.checked_mul(s),
            Some(n) => (side.checked_sub(1)?.checked_mul(s)? + k).checked_sub(2 * n),
        }
    }

    /// Whether a convolution of an image of these sides makes sense.
    pub(super) fn fits(&self, [h, w, _]: [usize; 3]) -> Result<(), Misfit> {
        for (axis, side) in [h, w].into_iter().enumerate() {
            let (name, k) = (AXES[axis], self.kernel[axis]);
            let padded = side + 2 * self.cells().unwrap_or(0);
            if self.cells().is_some() && k > padded {
                let with = match self.cells() {
                    Some(n) if n > 0 => format!(" with {n} of padding on each side"),
                    _ => String::new(),
                };
                let message =
                    format!("has the {name} {k}, more than the image's {name} {side}{with}");
                return Err(Misfit::new("kernel", message));
            }
        }
        self.padding.fits_kernel(self.kernel)?;
        self.padding.fits_stride([h, w], self.stride)?;
        let fits = self.window([h, w]).check([h, w], self.kernel);
        fits.map_err(|message| Misfit::new("padding", format!("does not fit {h}x{w}: {message}")))
    }

    /// Whether a deconvolution of an image of these sides makes sense.
    pub(super) fn fits_backwards(&self, [h, w, _]: [usize; 3]) -> Result<(), Misfit> {
        if matches!(self.weights.init, Init::Sparse(_)) {
            let message = "= { sparse = .. } is not for the filters of a deconvolution";
            return Err(Misfit::new("init", message));
        }
        if self.padding == Padding::Partial {
            let message =
                "= \"partial\" is not for deconvolutions, whose output has no cell to leave out";
            return Err(Misfit::new("padding", message));
        }
        for (axis, side) in [h, w].into_iter().enumerate() {
            let (name, k, s) = (AXES[axis], self.kernel[axis], self.stride[axis]);
            let out = self.spread(side, axis).filter(|n| *n > 0);
            let Some(out) = out else {
                let n = self.cells().unwrap_or(0);
                let message = format!(
                    "of {n} on each side leaves nothing: ({side} - 1) * {s} + {k} - 2 * {n} rows or columns, the output's {name}"
                );
                return Err(Misfit::new("padding", message));
            };
            // Places that no filter reaches would be constant.
            if s > k {
                let message = format!(
                    "has the {name} {k}, less than the stride {s}: between its places some of the output's {out} are never reached"
                );
                return Err(Misfit::new("kernel", message));
            }
        }
        Ok(())
    }

    /// Makes it smaller for a check of its formula.
    pub(super) fn shrink(&mut self, width: usize) {
        self.channels = self.channels.min(width / 2);
    }
}
