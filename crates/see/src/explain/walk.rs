//! The nodes of the walk, in order.

use ganforge_tensor::{GradPass, NodeId, Op};

use crate::diagram::{Diagram, Stage};

/// The nodes of the formula that are computed or fed, without parameters.
pub(super) fn formula(d: &Diagram) -> impl Iterator<Item = usize> + '_ {
    let forward = (0..d.len()).filter(|&n| d.stage(n) == Stage::Forward);
    let stops = forward.filter(|&n| !matches!(d.node(n).op, Op::Param(_) | Op::Scalar(_)));
    stops.filter(|&n| d.of_plan(n).is_some())
}

/// The nodes of the formula that a pass differentiated, each with its gradient, in the order of the chain rule.
pub(super) fn chain<'a>(
    d: &'a Diagram,
    pass: &'a GradPass,
) -> impl Iterator<Item = (NodeId, NodeId)> + 'a {
    let adjoints = pass.adjoints.iter().copied();
    adjoints.filter(|(of, _)| !d.is_source(of.index()) && d.stage(of.index()) == Stage::Forward)
}
