//! The order in which D learns from examples with labels, where it learns from few.

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::stream_number;

/// The labelled examples: all of them one after the other in a random order, then again in another one, and so on.
pub(super) struct Labelled {
    /// Their places among the training examples.
    rows: Vec<usize>,
    key: u64,
    stream: u32,
    /// How often all of them came before those in `order`.
    round: Option<u64>,
    order: Vec<u32>,
}

impl Labelled {
    /// Those at `rows`, in orders that follow from the seed and the name of an order.
    pub(super) fn new(rows: Vec<usize>, seed: u64, name: &str) -> Labelled {
        Labelled {
            order: vec![0; rows.len()],
            rows,
            key: seed,
            stream: stream_number(&format!("{name}/labelled")),
            round: None,
        }
    }

    /// The row of the labelled example that comes after `before` others.
    pub(super) fn row(&mut self, before: u64) -> usize {
        let n = self.rows.len() as u64;
        let round = before / n;
        if self.round != Some(round) {
            let stream = RandomStream {
                key: self.key,
                stream: self.stream,
                counter: round,
            };
            rng::permutation(stream, self.rows.len(), &mut self.order);
            self.round = Some(round);
        }
        self.rows[self.order[(before % n) as usize] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_come_once_in_each_round_and_a_place_is_found_from_anywhere() {
        let rows = vec![3, 5, 8, 13];
        let mut labelled = Labelled::new(rows.clone(), 1, "shuffle");
        let all: Vec<usize> = (0..40).map(|at| labelled.row(at)).collect();
        for round in all.chunks(4) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, rows);
        }
        assert!(all.chunks(4).any(|round| round != &all[..4]));
        let mut resumed = Labelled::new(rows, 1, "shuffle");
        for at in [39, 7, 8, 0] {
            assert_eq!(resumed.row(at), all[at as usize], "{at}");
        }
    }
}
