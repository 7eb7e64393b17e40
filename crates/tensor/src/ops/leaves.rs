//! Values from outside the graph.

use crate::graph::{Graph, NameId, Var};
use crate::ops::{Cx, Env, Kind, OpDef, Sample, sample};
use crate::shape::Shape;
use crate::view::View;

/// A value fed anew at each run.
///
/// Indices, such as the labels that `gather_rows` and `put` read, are whole numbers in f32, which holds all up to 2^24.
///
/// ```text
/// source: the caller's feeds
/// errors: unfed, or fed with another shape: reported by the run
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Input {
    pub(crate) name: NameId,
    pub(crate) shape: Shape,
}

/// A value that lasts: a parameter or an optimiser's slot, held in the store.
///
/// ```text
/// source: the store
/// errors: absent from the store, or of another shape there: reported by the run
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Param {
    pub(crate) name: NameId,
    pub(crate) shape: Shape,
}

/// A number of the store's control block, such as the learning rate; shape [].
///
/// ```text
/// source: the store's control block
/// errors: absent from it: reported by the run
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scalar {
    pub(crate) name: NameId,
    pub(crate) shape: Shape,
}

impl Graph {
    /// Declares an input; declared again with the same name and shape it is the same node.
    #[track_caller]
    pub fn input(&self, name: &str, shape: impl Into<Shape>) -> Var<'_> {
        let (name, shape) = (self.intern(name), shape.into());
        self.record_leaf(Input { name, shape }, name)
    }

    /// Declares a parameter; declared again with the same name and shape it is the same node.
    #[track_caller]
    pub fn param(&self, name: &str, shape: impl Into<Shape>) -> Var<'_> {
        let (name, shape) = (self.intern(name), shape.into());
        self.record_leaf(Param { name, shape }, name)
    }

    /// Declares a number of the control block, shape [].
    #[track_caller]
    pub fn scalar(&self, name: &str) -> Var<'_> {
        let (name, shape) = (self.intern(name), Shape::SCALAR);
        self.record_leaf(Scalar { name, shape }, name)
    }
}

macro_rules! leaf {
    ($leaf:ident, $name:literal) => {
        impl OpDef for $leaf {
            const NAME: &'static str = $name;
            const ULPS: f64 = 0.0;
            const SAMPLES: &'static [Sample<$leaf>] = &[sample(
                $leaf {
                    name: NameId(0),
                    shape: Shape::SCALAR,
                },
                &[],
            )];

            fn kind(&self) -> Kind {
                Kind::Leaf
            }

            fn shape(&self, _: &[Shape]) -> Result<Shape, String> {
                Ok(self.shape)
            }

            fn reference(&self, _: &[View<f64>], _: &mut [f64], _: Shape, _: Env) {}

            fn cpu(&self, _: &[View<f32>], _: &mut [f32], _: &mut Cx) {}

            fn name_id(&self) -> Option<NameId> {
                Some(self.name)
            }
        }
    };
}

leaf!(Input, "input");
leaf!(Param, "param");
leaf!(Scalar, "scalar");
