//! How the windows of a pool lie on an image.

use ganforge_settings::settings;
use ganforge_tensor::Var;
use ganforge_tensor::ops::Window;

use super::filters::{Paddings, SIDES};
use super::{Misfit, Padding, image_of, needs_image};

settings! {
    /// The windows of a pool.
    #[derive(Copy)]
    pub struct Pooling {
        /// Height and width of a window; one number stands for both.
        pub kernel: [usize; 2] = [2, 2], SIDES;
        /// Steps from one window to the next, down and across; one number stands for both.
        #[shown("the kernel: windows side by side", of kernel)]
        pub stride: [usize; 2] = kernel, SIDES;
        /// Cells around the image: `"same"`, as many as make the output ceil(size / stride), the smaller half before;
        /// `"valid"`, none; `"partial"`, only at the end, where the last window would be left out; or their number on each side.
        pub padding: Padding = Padding::Valid, Paddings;
    }
}

impl Pooling {
    /// The windows on images x.
    pub(super) fn window(&self, x: Var<'_>) -> Window {
        let [h, w, _] = image_of(x);
        self.on([h, w])
    }

    fn on(&self, sides: [usize; 2]) -> Window {
        self.padding.window(sides, self.kernel, self.stride)
    }

    /// Whether there are windows on such an image.
    pub(super) fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        let [h, w, _] = needs_image("a pool", input)?;
        self.padding.fits_kernel(self.kernel)?;
        let fits = self.on([h, w]).check([h, w], self.kernel);
        fits.map_err(|message| Misfit::new("kernel", format!("does not fit {h}x{w}: {message}")))?;
        self.padding.fits_stride([h, w], self.stride)
    }
}
