//! How many threads each of several ranks takes.
//!
//! A launcher may have bound the ranks to cores, each to its own (`mpirun --bind-to core`), several to the same ones
//! (`--bind-to socket`), or none. So they tell each other which cores they may use, and each core is shared out among those
//! that may use it.

use std::thread::available_parallelism;

use ganforge::gan::ranks::Ranks;

use crate::cli::failure::Failure;

/// Cores that are told of; a rank's further ones count as nobody's.
const MOST: usize = 2048;
/// Cores that one number tells of, which an `f32` has exactly.
const PER_NUMBER: usize = 16;
/// Numbers that a rank sends: machine, cores to be used at once, and which there are.
const NUMBERS: usize = 2 + MOST / PER_NUMBER;

/// The cores of a rank.
#[derive(Clone, Debug, PartialEq)]
struct Cores {
    /// A number of its machine, with which others hardly share it.
    machine: f32,
    /// How many it may use at once.
    at_once: f32,
    /// Which it may use, each a bit; none where the system does not say.
    allowed: Vec<u16>,
}

impl Cores {
    /// Those of this process.
    fn own() -> Cores {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let status = read("/proc/self/status");
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let name = read("/proc/sys/kernel/hostname");
        let mix = |h: u32, b: u8| (h ^ u32::from(b)).wrapping_mul(0x0100_0193);
        let hash = name.bytes().fold(0x811c_9dc5, mix);
        Cores {
            machine: (hash >> 8) as f32,
            at_once: available_parallelism().map_or(1, usize::from).min(MOST) as f32,
            allowed: mask(list.unwrap_or_default()),
        }
    }

    fn to_numbers(&self) -> Vec<f32> {
        let allowed = self.allowed.iter().map(|&bits| f32::from(bits));
        [self.machine, self.at_once]
            .into_iter()
            .chain(allowed)
            .collect()
    }

    fn of_numbers(numbers: &[f32]) -> Cores {
        Cores {
            machine: numbers[0],
            at_once: numbers[1],
            allowed: numbers[2..].iter().map(|&bits| bits as u16).collect(),
        }
    }

    fn has(&self, core: usize) -> bool {
        let bits = self.allowed.get(core / PER_NUMBER).copied();
        bits.unwrap_or(0) >> (core % PER_NUMBER) & 1 == 1
    }
}

/// The bits of a list of cores as Linux writes it, `0-3,8`.
fn mask(list: &str) -> Vec<u16> {
    let mut bits = vec![0; MOST / PER_NUMBER];
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
            continue;
        };
        for core in first..=last.min(MOST - 1) {
            bits[core / PER_NUMBER] |= 1 << (core % PER_NUMBER);
        }
    }
    bits
}

/// The threads of this rank.
pub(super) fn threads(ranks: &Ranks) -> Result<usize, Failure> {
    let all = ranks.all(&Cores::own().to_numbers())?;
    let all: Vec<Cores> = all.chunks(NUMBERS).map(Cores::of_numbers).collect();
    let own = &all[ranks.rank()];
    // Where the system names neither machine nor cores, MPI says how many ranks are here.
    if own.allowed.iter().all(|&bits| bits == 0) {
        let (_, here) = ranks.comm().local();
        return Ok((own.at_once as usize / here.max(1)).max(1));
    }
    Ok(share(ranks.rank(), &all))
}

/// The threads of rank `rank` of those with these cores: its parts of those it may use, rounded down, of the fewer that it may
/// use at once where there is such a limit, and at least one.
fn share(rank: usize, all: &[Cores]) -> usize {
    let own = &all[rank];
    let here = || all.iter().filter(|of| of.machine == own.machine);
    let cores: Vec<usize> = (0..MOST).filter(|&core| own.has(core)).collect();
    let part = |&core: &usize| 1.0 / here().filter(|of| of.has(core)).count() as f64;
    let at_once = f64::from(own.at_once);
    let share = match cores.len() {
        0 => at_once / here().count() as f64,
        n => cores.iter().map(part).sum::<f64>() * (at_once / n as f64).min(1.0),
    };
    // Thirds of three cores are one.
    ((share + 1e-6) as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(machine: f32, at_once: f32, list: &str) -> Cores {
        let allowed = mask(list);
        Cores {
            machine,
            at_once,
            allowed,
        }
    }

    fn shares(all: &[Cores]) -> Vec<usize> {
        (0..all.len()).map(|rank| share(rank, all)).collect()
    }

    #[test]
    fn ranks_bound_to_a_core_each_take_one_thread() {
        let all: Vec<Cores> = ["0", "1"].map(|list| cores(7.0, 1.0, list)).into();
        assert_eq!(shares(&all), [1, 1]);
        let all: Vec<Cores> = ["0-3", "4-7"].map(|list| cores(7.0, 4.0, list)).into();
        assert_eq!(shares(&all), [4, 4]);
    }

    #[test]
    fn cores_that_several_ranks_may_use_are_shared_out() {
        assert_eq!(shares(&vec![cores(7.0, 8.0, "0-7"); 2]), [4, 4]);
        assert_eq!(shares(&vec![cores(7.0, 2.0, "0-1"); 4]), [1; 4]);
        assert_eq!(shares(&vec![cores(7.0, 9.0, "0-8"); 3]), [3; 3]);
        // Two to a socket.
        let sockets = ["0-15", "0-15", "16-31", "16-31"].map(|list| cores(7.0, 16.0, list));
        assert_eq!(shares(&sockets), [8; 4]);
    }

    #[test]
    fn ranks_on_other_machines_take_nothing_away() {
        let all = [cores(7.0, 8.0, "0-7"), cores(8.0, 8.0, "0-7")];
        assert_eq!(shares(&all), [8, 8]);
    }

    #[test]
    fn a_limit_on_how_many_are_used_at_once_is_shared_out_too() {
        assert_eq!(shares(&vec![cores(7.0, 2.0, "0-63"); 2]), [1, 1]);
        assert_eq!(shares(&vec![cores(7.0, 8.0, "0-63"); 2]), [4, 4]);
    }

    #[test]
    fn where_the_system_does_not_say_which_all_are_shared_out() {
        assert_eq!(shares(&vec![cores(7.0, 8.0, ""); 2]), [4, 4]);
    }

    #[test]
    fn what_is_sent_is_what_comes() {
        let own = Cores::own();
        let numbers = own.to_numbers();
        assert_eq!(numbers.len(), NUMBERS);
        assert_eq!(Cores::of_numbers(&numbers), own);
        let listed = cores(1.0, 3.0, "0-3,17,2047");
        let has: Vec<usize> = (0..MOST).filter(|&core| listed.has(core)).collect();
        assert_eq!(has, [0, 1, 2, 3, 17, 2047]);
    }
}
