//! Where the elements of a tensor lie in PyTorch.

use crate::error::{Error, Result};
use crate::files::strided;

/// How a tensor becomes PyTorch's: its dimensions in finer ones, those in another order, and the shape that they have there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The finer dimensions of the tensor, as it is stored here.
    fine: Vec<Axis>,
    /// Their order in PyTorch.
    order: Vec<usize>,
    /// The shape in PyTorch.
    pub(super) shape: Vec<usize>,
}

/// A dimension and what messages call it.
pub(super) type Axis = (&'static str, usize);

impl Layout {
    /// Dimensions in the order of PyTorch; `shape` joins or adds to them.
    pub(super) fn new(fine: Vec<Axis>, order: Vec<usize>, shape: Vec<usize>) -> Layout {
        Layout { fine, order, shape }
    }

    /// The same in both.
    pub(super) fn same(shape: &[usize]) -> Layout {
        let fine = shape.iter().map(|&n| ("", n)).collect();
        Layout::new(fine, (0..shape.len()).collect(), shape.to_vec())
    }

    /// Values as PyTorch has them.
    ///
    /// # Errors
    /// More values than there is memory for.
    pub(super) fn exported(&self, values: &[f32]) -> Result<Vec<f32>> {
        let fine: Vec<usize> = self.fine.iter().map(|axis| axis.1).collect();
        let strides = strides(&fine);
        let of = |dims: &[usize]| -> Vec<usize> { self.order.iter().map(|&a| dims[a]).collect() };
        gathered(values, &of(&fine), &of(&strides))
    }

    /// Values as they are stored here.
    ///
    /// # Errors
    /// As [`Layout::exported`].
    pub(super) fn imported(&self, values: &[f32]) -> Result<Vec<f32>> {
        let fine: Vec<usize> = self.fine.iter().map(|axis| axis.1).collect();
        let there: Vec<usize> = self.order.iter().map(|&a| fine[a]).collect();
        let mut of_axis = vec![0; fine.len()];
        for (&axis, stride) in self.order.iter().zip(strides(&there)) {
            of_axis[axis] = stride;
        }
        gathered(values, &fine, &of_axis)
    }

    /// How PyTorch's becomes ours: ` transposed`, ` from [out, in, h, w] to [h, w, in, out]`, or nothing where it is the same.
    pub(super) fn said(&self) -> String {
        let is_moved = |a: &&usize| self.fine[**a].1 > 1;
        let moved: Vec<&usize> = self.order.iter().filter(is_moved).collect();
        if moved.is_sorted() {
            return String::new();
        }
        let names = |order: &mut dyn Iterator<Item = usize>| -> String {
            let names: Vec<&str> = order.map(|a| self.fine[a].0).collect();
            names.join(", ")
        };
        match self.order[..] {
            [1, 0] => " transposed".to_string(),
            _ => format!(
                " from [{}] to [{}]",
                names(&mut self.order.iter().copied()),
                names(&mut (0..self.fine.len()))
            ),
        }
    }
}

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

fn gathered(values: &[f32], shape: &[usize], strides: &[usize]) -> Result<Vec<f32>> {
    let none = || Error::Mismatch("the parameters do not fit into memory".to_string());
    strided(values, 0, shape, strides).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_there_comes_back() {
        let fine = vec![("h", 2), ("w", 3), ("c", 4), ("out", 5)];
        let layout = Layout::new(fine, vec![3, 2, 0, 1], vec![5, 24]);
        let values: Vec<f32> = (0..120u8).map(f32::from).collect();
        let there = layout.exported(&values).expect("fits");
        // out 1, c 2, h 1, w 0 of what is there is h 1, w 0, c 2, out 1 of what is here.
        assert_eq!(there[24 + 2 * 6 + 3], values[60 + 2 * 5 + 1]);
        assert_eq!(layout.imported(&there).expect("fits"), values);
        assert_eq!(layout.said(), " from [out, c, h, w] to [h, w, c, out]");
        assert_eq!(Layout::same(&[2, 3]).said(), "");
    }
}
