//! Warp-wide exchange: shuffles, votes, matrix multiply-adds.

use super::{Done, Warp, lanes};
use crate::ast::Pred;
use crate::error::Fault;
use crate::inst::{Reg, Shuffle, Vote};

impl Warp {
    /// All lanes named by a lane of `mask` must be in `mask`, if they exist.
    pub(super) fn gather(&self, named: Reg, mask: u32) -> Done {
        for lane in lanes(mask) {
            let named = self.reg(named)[lane] as u32 & self.full | 1 << lane;
            if let Some(missing) = lanes(named & !mask).next() {
                let fault = Fault::DivergentWarp {
                    lane: missing as u32,
                    mask: named,
                };
                return Err((lane as u32, fault));
            }
        }
        Ok(())
    }

    pub(super) fn shuffle(
        &mut self,
        mode: Shuffle,
        (d, p): (Reg, Reg),
        (a, b, c): (Reg, Reg, Reg),
        mask: u32,
    ) -> Done {
        let (mut value, mut inside) = ([0; 32], 0);
        for lane in lanes(mask) {
            let b = (self.reg(b)[lane] & 31) as i32;
            let c = self.reg(c)[lane] as i32;
            let (segment, clamp, at) = (c >> 8 & 31, c & 31, lane as i32);
            let last = at & segment | clamp & !segment;
            let (from, ok) = match mode {
                Shuffle::Up => (at - b, at - b >= last),
                Shuffle::Down => (at + b, at + b <= last),
                Shuffle::Butterfly => (at ^ b, at ^ b <= last),
                Shuffle::Index => {
                    let from = at & segment | b & !segment;
                    (from, from <= last)
                }
            };
            let from = if ok { from } else { at };
            if mask >> from & 1 == 0 {
                let lane_from = from as u32;
                return Err((
                    lane as u32,
                    Fault::DivergentWarp {
                        lane: lane_from,
                        mask,
                    },
                ));
            }
            value[lane] = self.reg(a)[from as usize];
            inside |= u32::from(ok) << lane;
        }
        self.set(d, &value, mask);
        self.set_pred(p, inside, mask);
        Ok(())
    }

    pub(super) fn vote(&mut self, mode: Vote, d: Reg, p: Pred, mask: u32) {
        let yes = self.pred(p) & mask;
        let result = match mode {
            Vote::All => yes == mask,
            Vote::Any => yes != 0,
            Vote::Uniform => yes == mask || yes == 0,
            Vote::Ballot => return self.set(d, &[u64::from(yes); 32], mask),
        };
        self.set_pred(d, if result { u32::MAX } else { 0 }, mask);
    }
}
