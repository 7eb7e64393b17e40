//! Moves and other operations on registers and predicates that are not arithmetic.

use super::Warp;
use crate::alu;
use crate::inst::{Logic, Op};

impl Warp {
    /// Executes operations on registers that are not arithmetic on lanes.
    pub(super) fn move_bits(&mut self, op: &Op, mask: u32) {
        match op {
            Op::Test { f, p, q, a, b, and } => {
                let found = f(self.reg(*a), self.reg(*b));
                let with = |found: u32| match and {
                    None => found,
                    Some((f, c)) => logic(*f, found, self.pred(*c)),
                };
                let (yes, no) = (with(found), with(!found));
                self.set_pred(*p, yes, mask);
                self.set_pred(*q, no, mask);
            }
            Op::Select { d, a, b, p } => {
                let (p, a, b) = (self.pred(*p), self.reg(*a), self.reg(*b));
                let value = std::array::from_fn(|i| if p >> i & 1 == 1 { a[i] } else { b[i] });
                self.set(*d, &value, mask);
            }
            Op::Logic { p, a, b, f } => {
                let value = logic(*f, self.pred(*a), self.pred(*b));
                self.set_pred(*p, value, mask);
            }
            Op::Logic3 { d, a, b, c, table } => {
                let [a, b, c] = [a, b, c].map(|r| self.reg(*r));
                let value = std::array::from_fn(|i| {
                    let [a, b, c] = [a, b, c].map(|x| x[i] as u32);
                    u64::from(alu::logic3(a, b, c, *table))
                });
                self.set(*d, &value, mask);
            }
            Op::Insert {
                d,
                a,
                b,
                position,
                length,
            } => {
                let [a, b, position, length] = [a, b, position, length].map(|r| self.reg(*r));
                let value = std::array::from_fn(|i| {
                    let [position, length] = [position, length].map(|x| x[i] as u32 & 255);
                    alu::insert(a[i], b[i], position, length)
                });
                self.set(*d, &value, mask);
            }
            Op::SetPred { p, value } => self.set_pred(*p, *value, mask),
            Op::Convert { d, a, how } => {
                let value = self.reg(*a).map(|x| how.value(x));
                self.set(*d, &value, mask);
            }
            Op::ConvertPair { d, a, b, how } => {
                let (a, b) = (self.reg(*a), self.reg(*b));
                let value = std::array::from_fn(|i| how.value(a[i]) << 16 | how.value(b[i]));
                self.set(*d, &value, mask);
            }
            Op::Pack { d, parts, bits } => {
                let low = u64::MAX >> (64 - bits);
                let value = std::array::from_fn(|i| {
                    let parts = parts.iter().enumerate();
                    parts.fold(0, |v, (p, r)| {
                        v | (self.reg(*r)[i] & low) << (bits * p as u32)
                    })
                });
                self.set(*d, &value, mask);
            }
            Op::Unpack { parts, a, bits } => {
                let a = *self.reg(*a);
                for (p, d) in parts.iter().enumerate() {
                    let value = a.map(|x| x >> (*bits * p as u32) & (u64::MAX >> (64 - bits)));
                    self.set(*d, &value, mask);
                }
            }
            Op::ActiveMask { d } => self.set(*d, &[u64::from(mask); 32], mask),
            other => unreachable!("{other:?} is executed elsewhere"),
        }
    }
}

fn logic(f: Logic, a: u32, b: u32) -> u32 {
    match f {
        Logic::And => a & b,
        Logic::Or => a | b,
        Logic::Xor => a ^ b,
    }
}
