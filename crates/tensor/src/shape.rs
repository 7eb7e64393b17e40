//! Shapes: at most four dimensions, held inline.

use std::fmt;

/// The largest number of dimensions a tensor may have.
pub const MAX_RANK: usize = 4;

/// The size of each dimension of a row-major tensor, outermost first.
///
/// `[]` is a scalar (one element). A dimension may be 0. Dimensions that cannot be a tensor's give
/// [`Shape::INVALID`], which no node takes: whatever is recorded with it is its graph's fault.
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

    /// Stands for dimensions that no tensor can have; see [`Shape::try_new`].
    pub const INVALID: Shape = Shape {
        dims: [0; MAX_RANK],
        rank: MAX_RANK as u8 + 1,
    };

    /// A shape from its dimensions; [`Shape::INVALID`] where [`Shape::try_new`] says `None`.
    pub const fn new(dims: &[usize]) -> Shape {
        match Shape::try_new(dims) {
            Some(shape) => shape,
            None => Shape::INVALID,
        }
    }

    /// A shape from its dimensions, or `None` with more than [`MAX_RANK`] of them or where the
    /// elements could not be addressed in f64 (sizes of 0 counted as 1).
    pub const fn try_new(dims: &[usize]) -> Option<Shape> {
        if dims.len() > MAX_RANK {
            return None;
        }
        let mut inline = [0; MAX_RANK];
        let (mut i, mut product) = (0, 1usize);
        while i < dims.len() {
            inline[i] = dims[i];
            let size = if dims[i] == 0 { 1 } else { dims[i] };
            product = match product.checked_mul(size) {
                Some(p) if p <= isize::MAX as usize / 8 => p,
                _ => return None,
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
        if self.is_valid() {
            &self.dims[..self.rank as usize]
        } else {
            &[usize::MAX, 1, 1, 1, 1]
        }
    }

    /// Whether a tensor can have it.
    pub fn is_valid(&self) -> bool {
        usize::from(self.rank) <= MAX_RANK
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
        if rank > MAX_RANK {
            return None;
        }
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
        match self.is_valid() {
            true => write!(f, "{:?}", self.dims()),
            false => write!(f, "[invalid]"),
        }
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
        assert_eq!(Shape::try_new(&[0, usize::MAX / 4, 2]), None);
        assert!(Shape::try_new(&[0, 1 << 40]).is_some());
    }

    #[test]
    fn the_invalid_shape_fits_nothing() {
        let invalid = Shape::from([1; 5]);
        assert_eq!(invalid, Shape::new(&[usize::MAX, 2]));
        assert!(!invalid.is_valid() && invalid.elements() == usize::MAX);
        assert_eq!(invalid.broadcast(Shape::SCALAR), None);
        assert_eq!(Shape::SCALAR.broadcast(invalid), None);
        assert_eq!(invalid.to_string(), "[invalid]");
    }
}
