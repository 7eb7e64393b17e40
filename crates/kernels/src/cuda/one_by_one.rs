//! A driver that runs graphs launch by launch and waits after each, so that a fault has the name of its kernel.

use std::collections::HashMap;

use super::order::Edge;
use super::{About, Driver, Error, Graph, Launch, Result};

/// See the module. `CUDA_LAUNCH_BLOCKING=1`, by which CUDA itself makes launches wait, asks for it.
pub(super) struct OneByOne<D> {
    inner: D,
    graphs: HashMap<u64, Vec<Launch>>,
    next: u64,
}

impl<D: Driver> OneByOne<D> {
    pub(super) fn new(inner: D) -> OneByOne<D> {
        OneByOne {
            inner,
            graphs: HashMap::new(),
            next: 0,
        }
    }
}

impl<D: Driver> Driver for OneByOne<D> {
    fn about(&self) -> About {
        self.inner.about()
    }

    fn free_bytes(&mut self) -> Result<usize> {
        self.inner.free_bytes()
    }

    fn alloc(&mut self, bytes: usize) -> Result<u64> {
        self.inner.alloc(bytes)
    }

    fn free(&mut self, address: u64) {
        self.inner.free(address);
    }

    fn write(&mut self, to: u64, data: &[u8]) -> Result<()> {
        self.inner.write(to, data)
    }

    fn read(&mut self, from: u64, data: &mut [u8]) -> Result<()> {
        self.inner.read(from, data)
    }

    fn load(&mut self, launch: &Launch) -> Result<()> {
        self.inner.load(launch)
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        self.inner.launch(launch)?;
        let done = self.inner.synchronise();
        done.map_err(|error| match error {
            Error::Kernel { reason, .. } => Error::Kernel {
                name: launch.kernel().to_string(),
                reason,
            },
            other => other,
        })
    }

    fn capture(&mut self, launches: &[&Launch], _: &[Vec<usize>], _: Edge) -> Result<Graph> {
        self.next += 1;
        let launches = launches.iter().map(|l| (*l).clone());
        self.graphs.insert(self.next, launches.collect());
        Ok(Graph(self.next))
    }

    fn replay(&mut self, graph: Graph) -> Result<()> {
        let launches = self.graphs.get(&graph.0).cloned();
        let launches = launches.ok_or_else(|| Error::Kernel {
            name: "graph".into(),
            reason: "it was given back".into(),
        })?;
        launches.iter().try_for_each(|l| self.launch(l))
    }

    fn forget(&mut self, graph: Graph) {
        self.graphs.remove(&graph.0);
    }

    fn synchronise(&mut self) -> Result<()> {
        self.inner.synchronise()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::pretend::Pretend;
    use crate::cuda::{Device, layout, roofline};

    #[test]
    fn a_fault_in_a_graph_has_the_name_of_its_kernel() {
        let pretend = Pretend::default();
        let device = Device::new(OneByOne::new(pretend.clone()));
        let x = device.alloc::<f32>(256).expect("memory");
        let y = device.alloc::<f32>(256).expect("memory");
        let launches = [
            roofline::fma(x.slice(), 1),
            layout::concat(
                x.slice().first(100),
                x.slice().first(156),
                y.slice(),
                100,
                156,
            ),
            roofline::fma(y.slice(), 1),
        ];
        let captured = device.capture(&launches, 1).expect("captured");
        captured.replay().expect("runs");
        pretend.fail_after(launches[1].kernel());
        let error = captured.replay().expect_err("lost").to_string();
        assert!(error.contains(launches[1].kernel()), "{error}");
    }
}
