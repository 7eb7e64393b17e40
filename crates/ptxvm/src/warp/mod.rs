//! A warp: 32 threads; one instruction at a time, for all lanes at that instruction.

mod access;
mod exchange;
mod moves;

use crate::alu::Lanes;
use crate::ast::Pred;
use crate::error::Fault;
use crate::inst::{Inst, Op, Reg, SINK};
use crate::state::{State, Stopped};

/// Why a warp stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the barrier at this instruction.
    Barrier(usize),
    Ended,
}

pub(crate) struct Warp {
    number: u32,
    /// The lanes that exist.
    full: u32,
    /// Those that have not ended.
    live: u32,
    /// The position of the `active` lanes, and how many instructions they have executed.
    pc: usize,
    active: u32,
    steps: u64,
    /// Lanes that are ahead, by their positions.
    parked: Vec<(usize, u32)>,
    file: Vec<Lanes>,
    preds: Vec<u32>,
    /// The lanes that wait for nothing before this launch any more.
    waited: u32,
    /// Warp barriers passed.
    barrier: u32,
    local: Vec<u8>,
    local_written: Vec<bool>,
    /// Pending asynchronous copies, and how many groups each lane has committed.
    copies: Vec<Copy>,
    committed: [usize; 32],
}

struct Copy {
    lane: u32,
    group: usize,
    address: usize,
    bytes: usize,
}

/// A lane's fault.
type Done = Result<(), (u32, Fault)>;

/// The lanes of a mask, from the lowest.
fn lanes(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (lane < 32).then_some(lane as usize)
    })
}

impl Warp {
    pub(crate) fn new(state: &State, number: u32) -> Warp {
        let threads = state.launch.threads() - 32 * number;
        let full = u32::MAX >> (32 - threads.min(32));
        let kernel = state.kernel;
        let mut file = vec![[0; 32]; kernel.registers as usize];
        file.extend(kernel.fixed.iter().map(|f| state.fixed(*f, number)));
        Warp {
            number,
            full,
            live: full,
            pc: 0,
            active: full,
            steps: 0,
            parked: Vec::new(),
            file,
            preds: vec![0; kernel.predicates as usize],
            waited: if state.launch.is_early { 0 } else { full },
            barrier: 0,
            local: vec![0; 32 * kernel.local],
            local_written: vec![false; 32 * kernel.local],
            copies: Vec::new(),
            committed: [0; 32],
        }
    }

    /// Runs to the next barrier or the end.
    pub(crate) fn run(&mut self, state: &mut State) -> Result<Stop, Box<Stopped>> {
        let kernel = state.kernel;
        loop {
            if !self.parked.is_empty() {
                self.converge();
            }
            if self.live == 0 {
                return Ok(Stop::Ended);
            }
            let Some(inst) = kernel.insts.get(self.pc) else {
                self.leave(self.active);
                continue;
            };
            let mask = self.active & inst.guard.map_or(u32::MAX, |g| self.pred(g));
            self.steps += 1;
            let done = if self.steps > state.launch.limit {
                let limit = state.launch.limit;
                Err((self.active.trailing_zeros(), Fault::Endless { limit }))
            } else {
                state
                    .counts
                    .executed(inst.class, mask.count_ones(), inst.flops);
                self.step(inst, mask, state)
            };
            if let Err((lane, fault)) = done {
                return Err(Box::new(Stopped {
                    pc: self.pc,
                    thread: state.thread(32 * self.number + lane),
                    fault,
                }));
            }
            if matches!(inst.op, Op::Barrier) && mask != 0 {
                self.barrier += 1;
                self.pc += 1;
                return Ok(Stop::Barrier(self.pc - 1));
            }
        }
    }

    /// Continues with the lanes that are furthest behind; lanes at the same instruction continue together.
    fn converge(&mut self) {
        while let Some(i) = (0..self.parked.len()).min_by_key(|&i| self.parked[i].0) {
            let (pc, mask) = self.parked[i];
            if self.active == 0 {
                (self.pc, self.active) = (pc, mask);
            } else if pc == self.pc {
                self.active |= mask;
            } else if pc < self.pc {
                self.parked[i] = (self.pc, self.active);
                (self.pc, self.active) = (pc, mask);
                continue;
            } else {
                return;
            }
            self.parked.swap_remove(i);
        }
    }

    fn pred(&self, p: Pred) -> u32 {
        let mask = self.preds[p.index as usize];
        if p.negated { !mask } else { mask }
    }

    fn set_pred(&mut self, p: Reg, value: u32, mask: u32) {
        if p != SINK {
            let slot = &mut self.preds[p as usize];
            *slot = *slot & !mask | value & mask;
        }
    }

    fn reg(&self, r: Reg) -> &Lanes {
        &self.file[r as usize]
    }

    #[inline(always)]
    fn set(&mut self, d: Reg, value: &Lanes, mask: u32) {
        if d == SINK {
            return;
        }
        let slot = &mut self.file[d as usize];
        if mask == u32::MAX {
            *slot = *value;
        } else {
            for lane in lanes(mask) {
                slot[lane] = value[lane];
            }
        }
    }

    /// Refuses lanes that have not waited for the launches that this one follows.
    pub(super) fn check_waited(&self, what: &'static str, mask: u32) -> Done {
        match lanes(mask & !self.waited).next() {
            None => Ok(()),
            Some(lane) => Err((lane as u32, Fault::Early { what })),
        }
    }

    /// Ends the active lanes in `mask`.
    fn leave(&mut self, mask: u32) {
        self.live &= !mask;
        self.active &= !mask;
        if self.active == 0 {
            self.converge();
        }
    }

    /// Executes one instruction in the lanes of `mask` and advances.
    fn step(&mut self, inst: &Inst, mask: u32, state: &mut State) -> Done {
        let mut next = self.pc + 1;
        match &inst.op {
            Op::Map { f, d, a, b, c } => {
                let value = f(self.reg(*a), self.reg(*b), self.reg(*c));
                self.set(*d, &value, mask);
            }
            Op::Branch(target) => {
                let stay = self.active & !mask;
                if stay == 0 {
                    next = *target;
                } else if mask != 0 {
                    self.parked.push((*target, mask));
                    self.active = stay;
                }
            }
            Op::BranchIndex { a, targets } => return self.branch_index(*a, targets, mask),
            Op::Return => {
                self.check_waited("ends", mask)?;
                self.pc = next;
                self.leave(mask);
                return Ok(());
            }
            // Passed on to the block: the program counter stays until it is known to be whole.
            Op::Barrier if mask != 0 => return self.meet(mask, state),
            Op::WarpBarrier { mask: named } => {
                self.gather(*named, mask)?;
                self.barrier += 1;
            }
            Op::LaunchWait => self.waited |= mask,
            Op::Fence => {
                for lane in lanes(mask) {
                    let now = self.now(lane, state);
                    state.order.fence(now);
                }
            }
            Op::Load(access) => self.load(access, mask, state)?,
            Op::Store(access) => self.store(access, mask, state)?,
            Op::Atomic { d, at, f, b, c } => self.atomic(*d, at, *f, (*b, *c), mask, state)?,
            Op::Copy {
                to,
                from,
                bytes,
                given,
            } => self.copy(*to, *from, *bytes, *given, mask, state)?,
            Op::CopyCommit => lanes(mask).for_each(|lane| self.committed[lane] += 1),
            Op::CopyWait(left) => self.copy_wait(*left, mask, state),
            Op::Shuffle {
                mode,
                d,
                p,
                a,
                b,
                c,
                mask: named,
            } => {
                self.gather(*named, mask)?;
                self.shuffle(*mode, (*d, *p), (*a, *b, *c), mask)?;
            }
            Op::Vote {
                mode,
                d,
                p,
                mask: named,
            } => {
                self.gather(*named, mask)?;
                self.vote(*mode, *d, *p, mask);
            }
            Op::Mma { shape, d, a, b, c } => {
                if mask != u32::MAX {
                    let lane = (!mask).trailing_zeros();
                    let mask = u32::MAX;
                    return Err((
                        self.active.trailing_zeros(),
                        Fault::DivergentWarp { lane, mask },
                    ));
                }
                let of = |r: Reg| &self.file[r as usize];
                let results = shape.run(a.map(of), b.map(of), c.map(of));
                for (d, value) in d.iter().zip(&results) {
                    self.set(*d, value, mask);
                }
            }
            Op::Trap if mask != 0 => return Err((mask.trailing_zeros(), Fault::Trap)),
            Op::Trap | Op::Barrier | Op::Nothing => {}
            _ => self.move_bits(&inst.op, mask),
        }
        self.pc = next;
        Ok(())
    }

    fn branch_index(&mut self, a: Reg, targets: &[usize], mask: u32) -> Done {
        let mut places = Vec::with_capacity(1);
        for lane in lanes(mask) {
            let index = self.reg(a)[lane] & 0xffff_ffff;
            let Some(&target) = targets.get(index as usize) else {
                let targets = targets.len();
                return Err((lane as u32, Fault::BranchIndex { index, targets }));
            };
            match places.iter_mut().find(|(t, _)| *t == target) {
                Some((_, m)) => *m |= 1 << lane,
                None => places.push((target, 1u32 << lane)),
            }
        }
        let stay = self.active & !mask;
        if stay != 0 {
            places.push((self.pc + 1, stay));
        }
        self.active = 0;
        self.parked.extend(places);
        self.converge();
        Ok(())
    }

    /// All lanes of the block must be at its barrier.
    fn meet(&self, mask: u32, state: &State) -> Done {
        let Some(lane) = lanes(self.full & !mask).next() else {
            return Ok(());
        };
        let line = |pc: usize| state.kernel.insts.get(pc).map_or(0, |i| i.line);
        let away = if self.live >> lane & 1 == 0 {
            "has ended".to_string()
        } else {
            let parked = self.parked.iter().find(|(_, m)| m >> lane & 1 == 1);
            match parked {
                Some((pc, _)) => format!("is on its way to line {}", line(*pc)),
                None => "does not reach it".to_string(),
            }
        };
        let fault = Fault::DivergentBarrier {
            other: state.thread(32 * self.number + lane as u32),
            state: away,
        };
        Err((mask.trailing_zeros(), fault))
    }
}
