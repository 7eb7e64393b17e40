//! Shapes: at most four dimensions, held inline.

use std::fmt;

/// The largest number of dimensions a tensor may have.
pub const MAX_RANK: usize = 4;

/// The size of each dimension of a row-major tensor, outermost first.
///
/// `[]` is a scalar (one element). A dimension may be 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape of a scalar, `[]`.
    pub const SCALAR: Shape = Shape {
        dims: [0; MAX_RANK],
        rank: 0,
    };

    /// A shape from its dimensions.
    ///
    /// # Panics
    /// With more than [`MAX_RANK`] dimensions; [`Shape::try_new`] reports that as `None`.
    pub const fn new(dims: &[usize]) -> Shape {
        match Shape::try_new(dims) {
            Some(shape) => shape,
            None => panic!("a shape has at most four dimensions"),
        }
    }

    /// A shape from its dimensions, or `None` with more than [`MAX_RANK`] of them or where the
    /// number of elements does not fit in a `usize`.
    pub const fn try_new(dims: &[usize]) -> Option<Shape> {
        if dims.len() > MAX_RANK {
            return None;
        }
        let mut inline = [0; MAX_RANK];
        let (mut i, mut product) = (0, 1usize);
        while i < dims.len() {
            inline[i] = dims[i];
            product = match product.checked_mul(dims[i]) {
                Some(p) => p,
                None => return None,
            };
            i += 1;
        }
        Some(Shape {
            dims: inline,
            rank: dims.len() as u8,
        })
    }

    /// The dimensions as a slice.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }

    /// How many dimensions.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// How many elements: the product of the dimensions, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.dims().iter().product()
    }

    /// The shape that both broadcast to under NumPy's rule, or `None` where there is none.
    pub fn broadcast(self, other: Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let mut dims = [0; MAX_RANK];
        for (i, d) in dims[..rank].iter_mut().enumerate() {
            *d = match (self.aligned(rank, i), other.aligned(rank, i)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return None,
            };
        }
        Shape::try_new(&dims[..rank])
    }

    /// Whether `self` can be broadcast to exactly `to`.
    pub fn broadcasts_to(self, to: Shape) -> bool {
        self.broadcast(to) == Some(to)
    }

    /// Dimension `i` of this shape seen with `rank` dimensions, ones added in front.
    fn aligned(&self, rank: usize, i: usize) -> usize {
        let pad = rank - self.rank();
        if i < pad { 1 } else { self.dims[i - pad] }
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Shape {
        Shape::new(dims)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        Shape::new(&dims)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let s = |d: &[usize]| Shape::new(d);
        assert_eq!(s(&[3, 1]).broadcast(s(&[4])), Some(s(&[3, 4])));
        assert_eq!(s(&[]).broadcast(s(&[2, 2])), Some(s(&[2, 2])));
        assert_eq!(s(&[3]).broadcast(s(&[4])), None);
        assert_eq!(s(&[0, 1]).broadcast(s(&[5])), Some(s(&[0, 5])));
        assert!(s(&[1, 5]).broadcasts_to(s(&[2, 5])));
        assert!(!s(&[2, 5]).broadcasts_to(s(&[1, 5])));
    }

    #[test]
    fn too_many_dimensions_or_elements_is_none() {
        assert_eq!(Shape::try_new(&[1; 5]), None);
        assert_eq!(Shape::try_new(&[usize::MAX, 2]), None);
    }
}
