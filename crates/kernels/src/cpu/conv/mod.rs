//! Two-dimensional convolutions of images [n, h, w, c_in] with filters [kh, kw, c_in, c_out], and their two adjoints.
//!
//! Each of the three [`Form`]s is a contraction of two operands into a matrix C whose columns are the channels of the result,
//! as [`gemm`](super::gemm::gemm) is, and takes the same [`Epilogue`]s.

mod direct;
#[cfg(test)]
mod tests;
mod window;

pub use window::Window;

use super::Workspace;
use super::gemm::Epilogue;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// y = conv(x, w): C is \[n·oh·ow, c_out\].
    Y,
    /// dx, the adjoint in x, of (dy, w): C is \[n·h·w, c_in\].
    Dx,
    /// dw, the adjoint in w, of (x, dy): C is \[kh·kw·c_in, c_out\].
    Dw,
}

impl Form {
    /// All three.
    pub const ALL: [Form; 3] = [Form::Y, Form::Dx, Form::Dw];
}

/// The sizes of a convolution: those of x, w and y, for each of the three forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Images.
    pub n: usize,
    /// Rows and columns of an image x.
    pub image: [usize; 2],
    /// Channels of x.
    pub c_in: usize,
    /// Rows and columns of a filter.
    pub kernel: [usize; 2],
    /// Channels of y.
    pub c_out: usize,
    /// Where the filters are applied.
    pub window: Window,
}

impl Sizes {
    /// Elements of the images x.
    pub fn x(&self) -> usize {
        self.n * self.image[0] * self.image[1] * self.c_in
    }

    /// Elements of the filters w.
    pub fn w(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.c_in * self.c_out
    }

    /// Elements of the result y.
    pub fn y(&self) -> usize {
        self.n * self.window.out[0] * self.window.out[1] * self.c_out
    }

    /// Elements of the two operands and of C.
    pub fn operands(&self, form: Form) -> [usize; 3] {
        match form {
            Form::Y => [self.x(), self.w(), self.y()],
            Form::Dx => [self.y(), self.w(), self.x()],
            Form::Dw => [self.x(), self.y(), self.w()],
        }
    }

    /// Columns of C.
    pub fn columns(&self, form: Form) -> usize {
        match form {
            Form::Dx => self.c_in,
            Form::Y | Form::Dw => self.c_out,
        }
    }

    /// Summands of an element of C, at most: borders have fewer.
    pub fn terms(&self, form: Form) -> usize {
        let [kh, kw] = self.kernel;
        let Window { stride, out, .. } = self.window;
        match form {
            Form::Y => kh * kw * self.c_in,
            Form::Dx => kh.div_ceil(stride[0]) * kw.div_ceil(stride[1]) * self.c_out,
            Form::Dw => self.n * out[0] * out[1],
        }
    }
}

/// C = epilogue(contraction of `a` and `b`), on the current rayon pool.
///
/// ```text
/// Y:   y[n, i, j, o]  = Σ_{u,v,c}  x[n, i·s + u - p, j·s + v - p, c] · w[u, v, c, o]      a = x,  b = w
/// Dx:  dx[n, r, q, c] = Σ_{u,v,o} dy[n, i, j, o] · w[u, v, c, o], r = i·s + u - p, ..      a = dy, b = w
/// Dw:  dw[u, v, c, o] = Σ_{n,i,j}  x[n, i·s + u - p, j·s + v - p, c] · dy[n, i, j, o]      a = x,  b = dy
/// ```
///
/// x outside of the image counts as 0. Allocates only while the workspace grows (see [`workspace`]).
///
/// # Panics
///
/// If the length of a slice does not fit `sizes`, or the windows do not fit the images.
pub fn conv(
    form: Form,
    sizes: Sizes,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue,
    workspace: &mut Workspace,
) {
    let lengths = [a.len(), b.len(), c.len()];
    let wanted = sizes.operands(form);
    assert!(
        lengths == wanted,
        "conv: operands of lengths {lengths:?}, expected {wanted:?}"
    );
    if let Err(reason) = sizes.window.check(sizes.image, sizes.kernel) {
        panic!("conv: {reason}");
    }
    let columns = sizes.columns(form);
    if c.is_empty() {
        return;
    }
    epilogue.check(c.len() / columns, columns);
    let sums = workspace.take(self::workspace(form, sizes));
    direct::run(form, &sizes, a, b, c, epilogue, sums);
}

/// The floats of a [`Workspace`] that [`conv`] needs on the current rayon pool.
pub fn workspace(form: Form, sizes: Sizes) -> usize {
    sizes.columns(form)
}
