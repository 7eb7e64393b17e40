//! Products of the rows of two sets in f32, on the CPU or on a device.

use ganforge_kernels::cpu::Workspace;
use ganforge_kernels::cpu::gemm::{Epilogue, Shape3, gemm};
use ganforge_kernels::cuda::Precision;
use ganforge_tensor::{Device, Executor, Feed, Graph, Plan, Store};

use super::SetError;

/// Values of one block of products.
const BLOCK: usize = 1 << 22;

/// Most rows of one.
const ROWS: usize = 1024;

/// Calls `f` with the products of some rows of a [m, d], from the given one on, with all rows of b [n, d]: [rows, n].
///
/// errors: the device's
pub(super) fn by_blocks(
    device: &Device,
    [a, b]: [&[f32]; 2],
    d: usize,
    mut f: impl FnMut(usize, &[f32]),
) -> Result<(), SetError> {
    let [m, n] = [a, b].map(|set| set.len() / d);
    let rows = (BLOCK / n).clamp(1, ROWS).min(m);
    let mut there = match device {
        Device::Cpu(_) => None,
        Device::Cuda(..) => Some(There::new(device, b, [rows, n, d])?),
    };
    let (mut products, mut workspace) = (vec![0.0; rows * n], Workspace::default());
    for first in (0..m).step_by(rows) {
        let rows = rows.min(m - first);
        let left = &a[first * d..(first + rows) * d];
        let products = &mut products[..rows * n];
        match &mut there {
            Some(there) => there.products(left, products)?,
            None => {
                let dims = Shape3 { m: rows, k: d, n };
                let store = Epilogue::Store;
                gemm(false, true, dims, left, b, products, store, &mut workspace);
            }
        }
        f(first, products);
    }
    Ok(())
}

/// One of the sets on a device.
struct There {
    plan: Plan,
    executor: Box<dyn Executor>,
    store: Store,
    /// [rows, d]
    left: Vec<f32>,
    d: usize,
}

impl There {
    /// Products in f32, whatever precision the networks are computed in: errors of distances have a bound.
    fn new(device: &Device, b: &[f32], [rows, n, d]: [usize; 3]) -> Result<There, SetError> {
        let mut store = Store::new(0);
        store.insert("b", [n, d], b.to_vec())?;
        let graph = Graph::new();
        let (a, b) = (graph.input("a", [rows, d]), graph.param("b", [n, d]));
        let products = a.matmul_with(false, true, b);
        let plan = Plan::of(&graph).fetch("products", products).compile()?;
        let exact = match device {
            Device::Cuda(device, _) => Device::Cuda(device.clone(), Precision::F32),
            cpu => cpu.clone(),
        };
        Ok(There {
            plan,
            executor: exact.executor()?,
            store,
            left: vec![0.0; rows * d],
            d,
        })
    }

    fn products(&mut self, left: &[f32], products: &mut [f32]) -> Result<(), SetError> {
        self.left[..left.len()].copy_from_slice(left);
        let rows = self.left.len() / self.d;
        let feed = Feed::new("a", [rows, self.d], &self.left);
        self.executor.run(&self.plan, &mut self.store, &[feed])?;
        let found = self.executor.fetch(&self.plan, &self.store, "products");
        let found = found.expect("the plan fetches it");
        products.copy_from_slice(&found[..products.len()]);
        Ok(())
    }
}
