//! A device that computes nothing, for tests of what is asked of a driver and of what time is measured.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::order::Edge;
use super::{About, Device, Driver, Error, Graph, Launch, Result};

/// Handles are of one device. Time is made up: a launch takes what its memory takes at 4 TB/s, at least a microsecond, a replay 10
/// microseconds more, and all of it is twice as slow during the first 100 ms of work.
#[derive(Clone)]
pub(crate) struct Pretend(Arc<Mutex<State>>);

impl Default for Pretend {
    fn default() -> Pretend {
        Pretend::of((9, 0))
    }
}

struct State {
    capability: (u32, u32),
    memory: HashMap<u64, Vec<u8>>,
    next: u64,
    graphs: HashMap<u64, f64>,
    calls: usize,
    worked: f64,
    fails: Option<String>,
    failed: Option<String>,
    captured: Option<Edges>,
}

/// By launch those that it waits for, and how.
type Edges = (Vec<Vec<usize>>, Edge);

const SLOT: u32 = 40;

impl Pretend {
    /// Of that compute capability.
    pub(crate) fn of(capability: (u32, u32)) -> Pretend {
        Pretend(Arc::new(Mutex::new(State {
            capability,
            memory: HashMap::new(),
            next: 0,
            graphs: HashMap::new(),
            calls: 0,
            worked: 0.0,
            fails: None,
            failed: None,
            captured: None,
        })))
    }

    /// The edges of the last graph.
    pub(crate) fn captured(&self) -> Option<Edges> {
        self.state().captured.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn device(&self) -> Device {
        Device::new(self.clone())
    }

    /// From here on the device is lost after a launch of this kernel.
    pub(crate) fn fail_after(&self, kernel: &str) {
        self.state().fails = Some(kernel.into());
    }

    /// Launches, replays and waits so far.
    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    /// Seconds of work so far.
    pub(crate) fn worked(&self) -> f64 {
        self.state().worked
    }

    /// Seconds that a launch on so many bytes takes at full clocks.
    pub(crate) fn seconds_of(&self, bytes: u64) -> f64 {
        (bytes as f64 / 4e12).max(1e-6)
    }

    /// Seconds that a replay takes beside its launches.
    pub(crate) fn around(&self) -> f64 {
        10e-6
    }

    fn seconds(&self, launch: &Launch) -> f64 {
        let bytes = launch.touched().iter().map(|t| t.range.end - t.range.start);
        self.seconds_of(bytes.sum())
    }
}

impl State {
    fn work(&mut self, seconds: f64) -> f64 {
        let seconds = if self.worked < 0.1 {
            2.0 * seconds
        } else {
            seconds
        };
        self.worked += seconds;
        seconds
    }

    fn check(&mut self) -> Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(name) => Err(Error::Kernel {
                name: name.clone(),
                reason: "lost".into(),
            }),
        }
    }

    fn slice(&mut self, address: u64, bytes: usize) -> &mut [u8] {
        let start = (address & ((1 << SLOT) - 1)) as usize;
        let memory = self.memory.get_mut(&(address >> SLOT)).expect("allocated");
        &mut memory[start..start + bytes]
    }
}

impl Driver for Pretend {
    fn about(&self) -> About {
        About {
            name: "pretended".into(),
            capability: self.state().capability,
            memory: 1 << 32,
        }
    }

    fn free_bytes(&mut self) -> Result<usize> {
        Ok(1 << 32)
    }

    fn alloc(&mut self, bytes: usize) -> Result<u64> {
        let mut state = self.state();
        state.next += 1;
        let next = state.next;
        state.memory.insert(next, vec![0; bytes]);
        Ok(next << SLOT)
    }

    fn free(&mut self, address: u64) {
        self.state().memory.remove(&(address >> SLOT));
    }

    fn write(&mut self, to: u64, data: &[u8]) -> Result<()> {
        self.state().slice(to, data.len()).copy_from_slice(data);
        Ok(())
    }

    fn read(&mut self, from: u64, data: &mut [u8]) -> Result<()> {
        data.copy_from_slice(self.state().slice(from, data.len()));
        Ok(())
    }

    fn load(&mut self, _: &Launch) -> Result<()> {
        Ok(())
    }

    fn launch(&mut self, launch: &Launch) -> Result<()> {
        let seconds = self.seconds(launch);
        let mut state = self.state();
        state.calls += 1;
        state.work(seconds);
        if state.fails.as_deref() == Some(launch.kernel()) {
            state.failed = Some("some launch".into());
        }
        Ok(())
    }

    fn capture(&mut self, launches: &[&Launch], waits: &[Vec<usize>], edge: Edge) -> Result<Graph> {
        let seconds = launches.iter().map(|l| self.seconds(l)).sum::<f64>();
        let seconds = seconds + self.around();
        let mut state = self.state();
        state.next += 1;
        let next = state.next;
        state.captured = Some((waits.to_vec(), edge));
        state.graphs.insert(next, seconds);
        Ok(Graph(next))
    }

    fn replay(&mut self, graph: Graph) -> Result<()> {
        let mut state = self.state();
        state.calls += 1;
        let seconds = state.graphs[&graph.0];
        state.work(seconds);
        Ok(())
    }

    fn time(&mut self, graph: Graph, times: usize) -> Result<f64> {
        let mut state = self.state();
        state.calls += 1;
        let seconds = state.graphs[&graph.0] * times as f64;
        Ok(state.work(seconds))
    }

    fn forget(&mut self, graph: Graph) {
        self.state().graphs.remove(&graph.0);
    }

    fn synchronise(&mut self) -> Result<()> {
        let mut state = self.state();
        state.calls += 1;
        state.check()
    }
}
