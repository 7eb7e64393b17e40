//! What the ranks of a run agree on.

use std::sync::Arc;

use ganforge_comm::{Alone, Communicator};
use ganforge_tensor::Store;

use crate::error::{Error, Result};

/// The ranks of a run: each trains its shards of every minibatch (`train.shards`), and rank 0
/// alone fills the run's folder.
#[derive(Clone, Debug)]
pub struct Ranks(Arc<dyn Communicator>);

/// One rank, which has all shards.
impl Default for Ranks {
    fn default() -> Ranks {
        Ranks(Arc::new(Alone))
    }
}

impl Ranks {
    /// Ranks that are so connected.
    pub fn of(comm: Arc<dyn Communicator>) -> Ranks {
        Ranks(comm)
    }

    /// What connects them.
    pub fn comm(&self) -> &Arc<dyn Communicator> {
        &self.0
    }

    /// Which of them this is, from 0.
    pub fn rank(&self) -> usize {
        self.0.rank()
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Whether this is the one that writes and tells.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Returns when all of them are here.
    ///
    /// # Errors
    /// What connects them.
    pub fn wait(&self) -> Result<()> {
        self.0.barrier().map_err(told)
    }

    /// A number of each, in their order.
    ///
    /// # Errors
    /// What connects them.
    pub fn each(&self, number: f32) -> Result<Vec<f32>> {
        self.all(&[number])
    }

    /// The numbers of all, as many of each, one rank's behind another's.
    ///
    /// # Errors
    /// What connects them.
    pub fn all(&self, own: &[f32]) -> Result<Vec<f32>> {
        let mut all = vec![0.0; own.len() * self.size()];
        self.0.all_gather(own, &mut all).map_err(told)?;
        Ok(all)
    }

    /// Whether something holds for any of them.
    ///
    /// # Errors
    /// What connects them.
    pub fn any(&self, holds: bool) -> Result<bool> {
        if self.size() == 1 {
            return Ok(holds);
        }
        let all = self.each(f32::from(u8::from(holds)))?;
        Ok(all.contains(&1.0))
    }

    /// Bytes of rank 0, of the others' none.
    ///
    /// # Errors
    /// What connects them.
    pub fn share(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let mut length = (bytes.len() as u64).to_le_bytes();
        self.0.broadcast(&mut length, 0).map_err(told)?;
        let mut shared = bytes;
        shared.resize(u64::from_le_bytes(length) as usize, 0);
        self.0.broadcast(&mut shared, 0).map_err(told)?;
        Ok(shared)
    }

    /// Whether all have the same of several things, each a name and what this rank has.
    ///
    /// # Errors
    /// The first rank that has something else than rank 0, and what: the same error on all of them.
    pub fn check_same(&self, things: &[(&str, &str)]) -> Result<()> {
        for (name, own) in things {
            match ganforge_comm::check_same(&*self.0, name, own.as_bytes()) {
                Err(another @ ganforge_comm::Error::Another { .. }) => {
                    return Err(Error::Mismatch(another.to_string()));
                }
                answer => answer.map_err(told)?,
            }
        }
        Ok(())
    }

    /// Bytes that rank 0 shares; the others have none to share.
    fn of_first(&self, bytes: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
        match self.is_first() {
            true => bytes(),
            false => Vec::new(),
        }
    }

    /// Whether all have the same tensors after `steps` steps.
    ///
    /// # Errors
    /// [`Error::Diverged`] with the first rank that has another tensor, and which, on all ranks.
    pub fn check_store(&self, store: &Store, steps: u64) -> Result<()> {
        if self.size() == 1 {
            return Ok(());
        }
        let own: Vec<[u8; 8]> = store.iter().map(|e| hash(&e.data).to_le_bytes()).collect();
        let first = self.share(self.of_first(|| own.concat()))?;
        let other = own
            .iter()
            .zip(first.chunks(8))
            .position(|(own, first)| own != first);
        // 0: all are the same, else the place of the first other one.
        let others = self.each(other.map_or(0.0, |at| (at + 1) as f32))?;
        let Some(rank) = others.iter().position(|&at| at > 0.0) else {
            return Ok(());
        };
        let tensor = store.iter().nth(others[rank] as usize - 1);
        let tensor = tensor.map_or_else(String::new, |e| e.name.clone());
        Err(Error::Diverged {
            rank,
            tensor,
            steps,
        })
    }

    /// Gives all of them the tensors, the step and the key of rank 0.
    ///
    /// # Errors
    /// What connects them; stores of other tensors.
    pub fn share_store(&self, store: &mut Store) -> Result<()> {
        if self.size() == 1 {
            return Ok(());
        }
        let bytes = self.share(self.of_first(|| {
            let numbers = [store.control.step, store.control.key];
            let tensors = store.iter().flat_map(|e| &e.data[..]);
            let numbers = numbers.iter().flat_map(|x| x.to_le_bytes());
            numbers
                .chain(tensors.flat_map(|x| x.to_le_bytes()))
                .collect()
        }))?;
        let (numbers, tensors) = bytes.split_at_checked(16).unwrap_or_default();
        let number = |at: usize| numbers[at..at + 8].try_into().map(u64::from_le_bytes);
        if let (Ok(step), Ok(key)) = (number(0), number(8)) {
            (store.control.step, store.control.key) = (step, key);
        }
        let mut values = tensors
            .chunks_exact(4)
            .map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]]));
        let entries: Vec<_> = store.iter().map(|e| (e.name.clone(), e.shape)).collect();
        for (name, shape) in entries {
            let data: Vec<f32> = values.by_ref().take(shape.elements()).collect();
            store.insert(&name, shape, data)?;
        }
        Ok(())
    }
}

/// A number that differs where any bit does, but by chance.
fn hash(data: &[f32]) -> u64 {
    let add = |h: u64, x: &f32| (h ^ u64::from(x.to_bits())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    data.iter()
        .fold(data.len() as u64, |h, x| add(h, x).rotate_left(29))
}

/// An error between ranks.
fn told(error: ganforge_comm::Error) -> Error {
    ganforge_tensor::Error::from(error).into()
}
