//! The same sums on all ranks, and with 1, 2 and 4 of them.

use ganforge_comm::{Alone, Communicator, Error, Threads, add_pairwise, all_reduce};

/// Shards of the tests.
const SHARDS: usize = 4;

/// Number `i` of a shard: of many magnitudes and both signs, so that each order of additions has bits of its own.
fn number(shard: usize, i: usize) -> f32 {
    let hash = ((shard * 1_000_003 + i) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let sign = if hash & 1 == 0 { 1.0 } else { -1.0 };
    let mantissa = 1.0 + (hash >> 41) as f32 / (1 << 23) as f32;
    sign * mantissa * 2f32.powi(((hash >> 8) % 24) as i32 - 12)
}

/// The sum of all shards, of which `comm` holds its neighbouring ones.
pub fn sum_of_shards(comm: &dyn Communicator, len: usize) -> Result<Vec<f32>, Error> {
    let own = SHARDS / comm.size();
    let mine = comm.rank() * own..(comm.rank() + 1) * own;
    let mut data: Vec<f32> = mine
        .flat_map(|shard| (0..len).map(move |i| number(shard, i)))
        .collect();
    add_pairwise(&mut data, own);
    data.truncate(len);
    all_reduce(comm, &mut data, &mut Vec::new())?;
    Ok(data)
}

/// What `work` gives on each of `n` threads.
pub fn on_threads<T: Send>(n: usize, work: impl Fn(Threads) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let start = |comm| scope.spawn(|| work(comm));
        let threads: Vec<_> = Threads::of(n).into_iter().map(start).collect();
        let done = threads.into_iter().map(|t| t.join().expect("no panic"));
        done.collect()
    })
}

fn bits(data: &[f32]) -> Vec<u32> {
    data.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_sum_of_shards_has_the_same_bits_on_1_2_and_4_ranks() {
    // The last one in more than one block.
    for len in [0, 1, 2, 3, 4, 5, 6, 7, 8, 1001, 4096, (1 << 21) + 5] {
        let alone = bits(&sum_of_shards(&Alone, len).expect("alone"));
        for (i, sum) in alone.iter().enumerate() {
            let [a, b, c, d] = [0, 1, 2, 3].map(|shard| number(shard, i));
            assert_eq!(*sum, ((a + b) + (c + d)).to_bits(), "{len}, at {i}");
        }
        for n in [1, 2, 4] {
            for sum in on_threads(n, |comm| sum_of_shards(&comm, len)) {
                assert!(bits(&sum.expect("a sum")) == alone, "{n} ranks, {len}");
            }
        }
    }
}

#[test]
fn another_order_has_other_bits() {
    // What the test above relies on: its numbers tell orders of additions apart.
    let sums = |i| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|shard| number(shard, i));
        ((a + b) + (c + d), ((a + b) + c) + d, (a + c) + (b + d))
    };
    let all: Vec<_> = (0..1001).map(sums).collect();
    assert!(all.iter().any(|s| s.0 != s.1) && all.iter().any(|s| s.0 != s.2));
}

#[test]
fn the_scratch_of_a_longer_call_does_not_leak_into_a_shorter_one() {
    let sums = on_threads(2, |comm| {
        let mut scratch = Vec::new();
        let mut long = vec![1.0; 9];
        all_reduce(&comm, &mut long, &mut scratch)?;
        let mut short = vec![3.0; 3];
        all_reduce(&comm, &mut short, &mut scratch)?;
        Ok::<_, Error>((long, short))
    });
    for sum in sums {
        assert_eq!(sum, Ok((vec![2.0; 9], vec![6.0; 3])));
    }
}

#[test]
fn pairwise_is_neighbours_first() {
    let mut data = [1e8, 1.0, -1e8, 1.0];
    add_pairwise(&mut data, 4);
    assert_eq!(data[0], (1e8 + 1.0) + (-1e8 + 1.0));
    let mut five = [1.0, 2.0, 4.0, 8.0, 16.0];
    add_pairwise(&mut five, 5);
    assert_eq!(five[0], 31.0);
    add_pairwise(&mut [], 3);
    add_pairwise(&mut [], 0);
}
