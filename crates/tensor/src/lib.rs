//! The graph, its ops, autodiff, plan and executors.
