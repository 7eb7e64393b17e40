//! Dependencies among launches.

use super::Launch;

/// How a launch of a graph follows those that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It begins when they have ended.
    Full,
    /// It begins when all their blocks have begun, and waits for their end itself: see [`crate::ptx::with_waits`]. What a launch
    /// takes to begin is then no part of the chain.
    Programmatic,
}

impl Edge {
    /// That of devices of this compute capability; the drivers that the kernels need all have it.
    pub fn of(capability: (u32, u32)) -> Edge {
        match capability >= (9, 0) {
            true => Edge::Programmatic,
            false => Edge::Full,
        }
    }
}

/// For each launch the earlier ones that it depends on, without indirect dependencies; in descending order.
pub fn waits(launches: &[&Launch]) -> Vec<Vec<usize>> {
    let words = launches.len().div_ceil(64);
    let mut before = vec![0u64; launches.len() * words]; // by launch: all that are done before it, a bit each
    let mut waits = Vec::with_capacity(launches.len());
    for (j, launch) in launches.iter().enumerate() {
        let (earlier, mine) = before.split_at_mut(j * words);
        let mut own = Vec::new();
        for i in (0..j).rev() {
            let is_done = mine[i / 64] >> (i % 64) & 1 == 1;
            if !is_done && launch.conflicts_with(launches[i]) {
                own.push(i);
                mine[i / 64] |= 1 << (i % 64);
                let theirs = &earlier[i * words..][..words];
                mine.iter_mut().zip(theirs).for_each(|(m, t)| *m |= t);
            }
        }
        waits.push(own);
    }
    waits
}

/// The length of the longest chain of dependent launches.
pub fn longest_chain(waits: &[Vec<usize>]) -> usize {
    let mut chains: Vec<usize> = Vec::with_capacity(waits.len());
    for own in waits {
        chains.push(1 + own.iter().map(|&i| chains[i]).max().unwrap_or(0));
    }
    chains.into_iter().max().unwrap_or(0)
}

/// By how many launches the longest chain through each is shorter than the longest of all: 0 for those that everything waits
/// for.
pub fn slack(waits: &[Vec<usize>]) -> Vec<usize> {
    let (mut before, mut after) = (vec![0; waits.len()], vec![0; waits.len()]);
    for (i, own) in waits.iter().enumerate() {
        before[i] = own.iter().map(|&w| before[w] + 1).max().unwrap_or(0);
    }
    for (i, own) in waits.iter().enumerate().rev() {
        own.iter()
            .for_each(|&w| after[w] = after[w].max(after[i] + 1));
    }
    let through = || before.iter().zip(&after).map(|(b, a)| b + a);
    let longest = through().max().unwrap_or(0);
    through().map(|n| longest - n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::Slice;

    /// A launch that reads and writes places of one array.
    fn launch(memory: Slice, reads: &[usize], writes: &[usize]) -> Launch {
        let at = |i: &usize| memory.part(*i, 1);
        let launch = Launch::new("none", "none");
        let launch = reads.iter().fold(launch, |l, i| l.reads(at(i)));
        writes.iter().fold(launch, |l, i| l.writes(at(i)))
    }

    #[test]
    fn launches_wait_for_what_they_touch_and_for_nothing_else() {
        let memory = Slice::at(1 << 20, 10);
        let list = [
            launch(memory, &[], &[0]),
            launch(memory, &[], &[1]),
            launch(memory, &[0], &[2]),
            launch(memory, &[0, 1], &[3]),
            launch(memory, &[2], &[0]), // after 3, too, which still reads what it overwrites
            launch(memory, &[0, 2], &[4]),
            launch(memory, &[], &[4]),
            launch(memory, &[5], &[6]),
        ];
        let list: Vec<&Launch> = list.iter().collect();
        let waits = waits(&list);
        let expected: [&[usize]; 8] = [&[], &[], &[0], &[1, 0], &[3, 2], &[4], &[5], &[]];
        assert_eq!(waits, expected);
        assert_eq!(longest_chain(&waits), 5);
        // 0 or 1, 2 or 3, 4, 5, 6 is the longest; nothing follows 7.
        assert_eq!(slack(&waits), [0, 0, 0, 0, 0, 0, 0, 4]);
        assert_eq!(slack(&[]), [0; 0]);
        assert_eq!(longest_chain(&[]), 0);
    }

    #[test]
    fn of_two_launches_that_conflict_one_is_done_before_the_other() {
        let memory = Slice::at(1 << 20, 12);
        let mut state = 1u32;
        let mut place = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize % 12
        };
        let list: Vec<Launch> = (0..200)
            .map(|_| launch(memory, &[place(), place()], &[place()]))
            .collect();
        let list: Vec<&Launch> = list.iter().collect();
        let waits = waits(&list);
        // By launch: all that are done before it.
        let mut before: Vec<Vec<bool>> = Vec::new();
        for (j, own) in waits.iter().enumerate() {
            let mut mine = vec![false; list.len()];
            for &i in own {
                assert!(
                    list[i].conflicts_with(list[j]),
                    "{j} waits for {i} for nothing"
                );
                assert!(
                    !own.iter().any(|&k| before[k][i]),
                    "{j} waits for {i} twice"
                );
                mine[i] = true;
                mine.iter_mut().zip(&before[i]).for_each(|(m, b)| *m |= b);
            }
            before.push(mine);
        }
        for j in 0..list.len() {
            for i in (0..j).filter(|&i| list[i].conflicts_with(list[j])) {
                assert!(before[j][i], "{j} does not wait for {i}");
            }
        }
    }
}
