//! Memory instructions and warp-wide instructions.

use super::{Decoder, Known};
use crate::ast::Operand;
use crate::counts::Class;
use crate::inst::{Access, Atomic, Op, SINK, Shuffle, Space, Vote};
use crate::mma::Shape;
use crate::number::Type;
use crate::parse::immediate;

impl Decoder<'_> {
    pub(super) fn memory(
        &mut self,
        base: &str,
        mods: &[&str],
        o: &[Operand],
        name: &str,
    ) -> Known<(Op, Class)> {
        let unknown = || Err(format!("unknown instruction {name}"));
        let Some((ty, mods)) = mods.split_last() else {
            return unknown();
        };
        let Some(ty) = Type::parse(ty) else {
            return unknown();
        };
        let (mut space, mut width, mut atomic) = (Space::Generic, 1, None);
        let (mut acquires, mut releases) = (false, false);
        for m in mods {
            match *m {
                "global" | "const" => space = Space::Global,
                "shared" | "shared::cta" => space = Space::Shared,
                "local" => space = Space::Local,
                "param" => space = Space::Param,
                "v2" => width = 2,
                "v4" => width = 4,
                "acquire" => acquires = true,
                "release" => releases = true,
                "acq_rel" => (acquires, releases) = (true, true),
                "nc" | "ca" | "cg" | "cs" | "cv" | "lu" | "wb" | "wt" | "volatile" | "weak" => {}
                "relaxed" | "gpu" | "cta" | "sys" => {}
                "L1::no_allocate" | "L1::evict_last" | "L2::128B" | "L2::256B" => {}
                other => match atomic_of(other) {
                    Some(f) if matches!(base, "atom" | "red") => atomic = Some(f),
                    _ => return unknown(),
                },
            }
        }
        if base == "atom" || base == "red" {
            let (d, address, args) = match (base, o) {
                ("atom", [d, address, args @ ..]) => (self.dest(d)?, address, args),
                ("red", [address, args @ ..]) => (SINK, address, args),
                _ => return unknown(),
            };
            let (Some(f), [b, rest @ ..]) = (atomic, args) else {
                return unknown();
            };
            let known = matches!(ty, Type::U32 | Type::S32 | Type::B32)
                && matches!(space, Space::Global | Space::Generic)
                && (rest.len() == usize::from(f == Atomic::CompareSwap))
                && !(ty == Type::S32 && matches!(f, Atomic::Min | Atomic::Max));
            if !known {
                return unknown();
            }
            let b = self.source(b, ty)?;
            let c = rest.first().map_or(Ok(b), |c| self.source(c, ty))?;
            let (base, offset) = self.address(address)?;
            let registers = Box::new([]);
            let at = Access {
                space,
                base,
                offset,
                ty,
                registers,
                acquires,
                releases,
            };
            return Ok((Op::Atomic { d, at, f, b, c }, Class::Atomic));
        }
        let (address, values) = match (base, o) {
            ("ld", [values, address]) | ("st", [address, values]) => (address, values),
            _ => return unknown(),
        };
        let list = match values {
            Operand::Vector(list) => &list[..],
            one => std::slice::from_ref(one),
        };
        if list.len() != width || ty == Type::Pred {
            return unknown();
        }
        let register = |x: &Operand| match base {
            "ld" => self.dest(x),
            _ => self.source(x, ty),
        };
        let registers = list.iter().map(register).collect::<Known<Box<_>>>()?;
        let (address, offset) = self.address(address)?;
        let access = Access {
            space,
            base: address,
            offset,
            ty,
            registers,
            acquires,
            releases,
        };
        let class = match space {
            Space::Global | Space::Generic => Class::Global,
            Space::Shared => Class::Shared,
            _ => Class::OtherMemory,
        };
        Ok((
            if base == "ld" {
                Op::Load(access)
            } else {
                Op::Store(access)
            },
            class,
        ))
    }

    /// cp.async, from global to shared memory.
    pub(super) fn copy(&mut self, mods: &[&str], o: &[Operand], name: &str) -> Known<(Op, Class)> {
        let op = match (mods, o) {
            (["commit_group"], []) => Op::CopyCommit,
            (["wait_all"], []) => Op::CopyWait(None),
            (["wait_group"], [Operand::Number(n)]) => {
                Op::CopyWait(Some(immediate(*n, Type::U32) as usize))
            }
            (
                ["ca" | "cg", "shared" | "shared::cta", "global", rest @ ..],
                [to, from, bytes, given @ ..],
            ) if rest.iter().all(|m| m.starts_with("L2::")) && given.len() < 2 => {
                let Operand::Number(n) = bytes else {
                    return Err(format!("{name}: the size is not a number"));
                };
                let bytes = immediate(*n, Type::U32) as u32;
                let given = given
                    .first()
                    .map(|g| self.source(g, Type::U32))
                    .transpose()?;
                if !(bytes == 16 || mods[0] == "ca" && matches!(bytes, 4 | 8)) {
                    return Err(format!("{name}: cannot copy {bytes} bytes"));
                }
                Op::Copy {
                    to: self.address(to)?,
                    from: self.address(from)?,
                    bytes,
                    given,
                }
            }
            _ => return Err(format!("unknown instruction {name}")),
        };
        let class = match op {
            Op::Copy { .. } => Class::Global,
            _ => Class::Barrier,
        };
        Ok((op, class))
    }

    pub(super) fn mma(
        &mut self,
        mods: &[&str],
        o: [&Operand; 4],
        name: &str,
    ) -> Known<(Op, Class, u32)> {
        let Some(shape) = Shape::parse(mods) else {
            return Err(format!("unknown instruction {name}"));
        };
        let mut lists = [[SINK; 4]; 4];
        let counts = [4, 4, 2, 4];
        for (i, (list, operand)) in lists.iter_mut().zip(o).enumerate() {
            let Operand::Vector(parts) = operand else {
                return Err(format!("{name}: expected a list of registers"));
            };
            if parts.len() != counts[i] {
                let got = parts.len();
                return Err(format!(
                    "{name}: expected {} registers, got {got}",
                    counts[i]
                ));
            }
            for (slot, part) in list.iter_mut().zip(parts) {
                *slot = if i == 0 {
                    self.dest(part)?
                } else {
                    self.source(part, Type::F32)?
                };
            }
        }
        let [d, a, [b0, b1, ..], c] = lists;
        let op = Op::Mma {
            shape,
            d,
            a,
            b: [b0, b1],
            c,
        };
        Ok((op, Class::Matrix, shape.flops_per_lane()))
    }

    pub(super) fn shuffle(
        &mut self,
        mods: &[&str],
        o: [&Operand; 5],
        name: &str,
    ) -> Known<(Op, Class)> {
        let mode = match mods {
            ["sync", "up", "b32"] => Shuffle::Up,
            ["sync", "down", "b32"] => Shuffle::Down,
            ["sync", "bfly", "b32"] => Shuffle::Butterfly,
            ["sync", "idx", "b32"] => Shuffle::Index,
            _ => return Err(format!("unknown instruction {name}")),
        };
        let [d, a, b, c, mask] = o;
        let (d, p) = match d {
            Operand::Pair(d, p) => match &**p {
                Operand::Pred(p) => (self.dest(d)?, p.index),
                _ => return Err(format!("{name}: expected a predicate after \"|\"")),
            },
            d => (self.dest(d)?, SINK),
        };
        let [a, b, c, mask] = [a, b, c, mask].map(|x| self.source(x, Type::B32));
        let op = Op::Shuffle {
            mode,
            d,
            p,
            a: a?,
            b: b?,
            c: c?,
            mask: mask?,
        };
        Ok((op, Class::Shuffle))
    }

    pub(super) fn vote(
        &mut self,
        mods: &[&str],
        [d, p, mask]: [&Operand; 3],
        name: &str,
    ) -> Known<(Op, Class)> {
        let mode = match mods {
            ["sync", "all", "pred"] => Vote::All,
            ["sync", "any", "pred"] => Vote::Any,
            ["sync", "uni", "pred"] => Vote::Uniform,
            ["sync", "ballot", "b32"] => Vote::Ballot,
            _ => return Err(format!("unknown instruction {name}")),
        };
        let d = match d {
            Operand::Pred(d) if mode != Vote::Ballot => d.index,
            d => self.dest(d)?,
        };
        let Operand::Pred(p) = p else {
            return Err(format!("{name}: expected a predicate"));
        };
        let mask = self.source(mask, Type::B32)?;
        Ok((
            Op::Vote {
                mode,
                d,
                p: *p,
                mask,
            },
            Class::Shuffle,
        ))
    }
}

fn atomic_of(name: &str) -> Option<Atomic> {
    Some(match name {
        "add" => Atomic::Add,
        "inc" => Atomic::Inc,
        "exch" => Atomic::Exchange,
        "cas" => Atomic::CompareSwap,
        "min" => Atomic::Min,
        "max" => Atomic::Max,
        "and" => Atomic::And,
        "or" => Atomic::Or,
        _ => return None,
    })
}
