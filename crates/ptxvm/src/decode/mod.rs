//! Decodes instruction names to operations, once per module.

mod memory;

use std::collections::HashMap;

use crate::alu;
use crate::ast::{Entry, Line, Operand, Pred, Space as VariableSpace, Variable};
use crate::convert::Convert;
use crate::counts::Class;
use crate::error::{Error, Result};
use crate::inst::{
    Fixed, Inst, Kernel, LOCAL_WINDOW, Logic, Op, Reg, SHARED_WINDOW, SINK, Space, Special,
};
use crate::number::Type;
use crate::parse::immediate;

/// A decoded operand, or why the instruction is not supported.
type Known<T> = std::result::Result<T, String>;

pub(crate) fn decode(
    file: &str,
    entry: &Entry,
    module_shared: &[&Variable],
    constants: &HashMap<String, u64>,
) -> Result<Kernel> {
    let mut symbols: HashMap<&str, u64> = constants.iter().map(|(n, a)| (n.as_str(), *a)).collect();
    let (mut shared, mut local) = (0, 0);
    let variables = || module_shared.iter().copied().chain(&entry.variables);
    for v in variables() {
        let end = match v.space {
            VariableSpace::Shared => &mut shared,
            _ => &mut local,
        };
        if let Some(bytes) = v.bytes {
            *end = usize::next_multiple_of(*end, v.align.max(1));
            symbols.insert(&v.name, *end as u64);
            *end += bytes;
        }
    }
    // What the launch gives comes last; all such arrays are the same memory.
    shared = shared.next_multiple_of(16);
    for v in variables().filter(|v| v.bytes.is_none()) {
        symbols.insert(&v.name, shared as u64);
    }
    for p in &entry.params {
        symbols.insert(&p.name, p.offset as u64);
    }
    let mut decoder = Decoder {
        entry,
        symbols,
        fixed: Vec::new(),
        places: HashMap::new(),
    };
    let mut insts = Vec::with_capacity(entry.body.len());
    for line in &entry.body {
        let decoded = decoder.line(line).map_err(|reason| Error::Parse {
            file: file.to_string(),
            line: line.line,
            reason,
        });
        insts.push(decoded?);
    }
    let granule = insts.iter().filter_map(|i| match &i.op {
        Op::Load(a) | Op::Store(a) if matches!(a.space, Space::Shared | Space::Generic) => {
            Some(a.ty.bytes().min(4))
        }
        _ => None,
    });
    Ok(Kernel {
        name: entry.name.clone(),
        granule: granule.min().unwrap_or(4),
        insts,
        params: entry.params.iter().map(|p| (p.bytes, p.offset)).collect(),
        max_threads: entry.max_threads,
        registers: entry.registers,
        fixed: decoder.fixed,
        predicates: entry.predicates,
        shared,
        local,
    })
}

struct Decoder<'a> {
    entry: &'a Entry,
    symbols: HashMap<&'a str, u64>,
    fixed: Vec<Fixed>,
    places: HashMap<Fixed, Reg>,
}

impl Decoder<'_> {
    fn line(&mut self, line: &Line) -> Known<Inst> {
        let parts: Vec<&str> = line.name.split('.').collect();
        let (base, mods) = (parts[0], &parts[1..]);
        let (op, class, flops) = self.op(base, mods, &line.operands, &line.name)?;
        Ok(Inst {
            op,
            guard: line.guard,
            class,
            flops,
            line: line.line,
            name: line.name.clone(),
        })
    }

    fn op(
        &mut self,
        base: &str,
        mods: &[&str],
        o: &[Operand],
        name: &str,
    ) -> Known<(Op, Class, u32)> {
        let unknown = || Err(format!("unknown instruction {name}"));
        let op = match (base, o) {
            ("bra", [target]) if matches!(mods, [] | ["uni"]) => {
                (Op::Branch(self.label(target)?), Class::Branch)
            }
            ("brx", [a, list]) if matches!(mods, ["idx"] | ["idx", "uni"]) => {
                let targets = self.targets(list)?;
                let a = self.source(a, Type::U32)?;
                (Op::BranchIndex { a, targets }, Class::Branch)
            }
            ("ret" | "exit", []) if matches!(mods, [] | ["uni"]) => (Op::Return, Class::Branch),
            ("trap", []) if mods.is_empty() => (Op::Trap, Class::Branch),
            ("bar" | "barrier", [n])
                if matches!(mods, ["sync"] | ["sync", "aligned"] | ["cta", "sync"]) =>
            {
                self.barrier_zero(n)?;
                (Op::Barrier, Class::Barrier)
            }
            ("bar", [mask]) if mods == ["warp", "sync"] => {
                let mask = self.source(mask, Type::B32)?;
                (Op::WarpBarrier { mask }, Class::Barrier)
            }
            ("membar", []) if matches!(mods, ["gl"] | ["sys"]) => (Op::Fence, Class::Barrier),
            ("fence", []) if matches!(mods, ["sc" | "acq_rel", "gpu" | "sys"]) => {
                (Op::Fence, Class::Barrier)
            }
            ("griddepcontrol", []) if mods == ["wait"] => (Op::LaunchWait, Class::Barrier),
            // When followers begin is the graph's business.
            ("griddepcontrol", []) if mods == ["launch_dependents"] => {
                (Op::Nothing, Class::Barrier)
            }
            // Within a block barriers are what is checked.
            ("membar", []) if mods == ["cta"] => (Op::Nothing, Class::Barrier),
            ("fence", []) if matches!(mods, ["sc" | "acq_rel", "cta"]) => {
                (Op::Nothing, Class::Barrier)
            }
            ("ld" | "st" | "atom" | "red", _) => self.memory(base, mods, o, name)?,
            ("cp", _) if mods.first() == Some(&"async") => self.copy(&mods[1..], o, name)?,
            ("mma", [d, a, b, c]) => return self.mma(mods, [d, a, b, c], name),
            ("shfl", [d, a, b, c, mask]) => self.shuffle(mods, [d, a, b, c, mask], name)?,
            ("vote", [d, p, mask]) => self.vote(mods, [d, p, mask], name)?,
            ("activemask", [d]) if mods == ["b32"] => {
                (Op::ActiveMask { d: self.dest(d)? }, Class::Shuffle)
            }
            _ => {
                return match self.arithmetic(base, mods, o)? {
                    Some(found) => Ok(found),
                    None => unknown(),
                };
            }
        };
        Ok((op.0, op.1, 0))
    }

    /// Instructions on registers.
    fn arithmetic(
        &mut self,
        base: &str,
        mods: &[&str],
        o: &[Operand],
    ) -> Known<Option<(Op, Class, u32)>> {
        let ty = mods.last().and_then(|t| Type::parse(t));
        let op = match (base, o) {
            ("setp", _) => return Ok(self.setp(mods, o)?.map(|op| (op, Class::Integer, 0))),
            ("selp", [d, a, b, Operand::Pred(p)]) if mods.len() == 1 => {
                let Some(ty) = ty else { return Ok(None) };
                let (a, b) = (self.source(a, ty)?, self.source(b, ty)?);
                Op::Select {
                    d: self.dest(d)?,
                    a,
                    b,
                    p: *p,
                }
            }
            ("mov" | "not", [Operand::Pred(d), Operand::Pred(a)]) if mods == ["pred"] => {
                let negated = a.negated != (base == "not");
                let a = Pred { negated, ..*a };
                Op::Logic {
                    p: d.index,
                    a,
                    b: a,
                    f: Logic::And,
                }
            }
            ("mov", [Operand::Pred(d), Operand::Number(n)]) if mods == ["pred"] => {
                let yes = immediate(*n, Type::Pred) != 0;
                let (p, value) = (d.index, if yes { u32::MAX } else { 0 });
                Op::SetPred { p, value }
            }
            ("bfi", [d, rest @ ..]) if matches!(mods, ["b32"] | ["b64"]) && rest.len() == 4 => {
                let mut sources = [0; 4];
                for (s, x) in sources.iter_mut().zip(rest) {
                    *s = self.source(x, Type::B32)?;
                }
                let [a, b, position, length] = sources;
                let d = self.dest(d)?;
                Op::Insert {
                    d,
                    a,
                    b,
                    position,
                    length,
                }
            }
            ("and" | "or" | "xor", [Operand::Pred(d), Operand::Pred(a), Operand::Pred(b)])
                if mods == ["pred"] =>
            {
                let f = logic(base).expect("one of three names");
                Op::Logic {
                    p: d.index,
                    a: *a,
                    b: *b,
                    f,
                }
            }
            ("mov", [Operand::Vector(parts), a]) => {
                let Some(ty) = ty else { return Ok(None) };
                let parts = parts
                    .iter()
                    .map(|p| self.dest(p))
                    .collect::<Known<Box<_>>>()?;
                let bits = 8 * ty.bytes() / parts.len() as u32;
                Op::Unpack {
                    parts,
                    a: self.source(a, ty)?,
                    bits,
                }
            }
            ("mov", [d, Operand::Vector(parts)]) => {
                let Some(ty) = ty else { return Ok(None) };
                let parts = parts
                    .iter()
                    .map(|p| self.source(p, ty))
                    .collect::<Known<Box<_>>>()?;
                let bits = 8 * ty.bytes() / parts.len() as u32;
                Op::Pack {
                    d: self.dest(d)?,
                    parts,
                    bits,
                }
            }
            ("cvt", _) => return self.convert(mods, o),
            ("cvta", [d, a]) => return self.cvta(mods, d, a),
            ("lop3", [d, a, b, c, table]) if mods == ["b32"] => {
                let [a, b, c] = [a, b, c].map(|x| self.source(x, Type::B32));
                let Operand::Number(n) = table else {
                    return Ok(None);
                };
                let table = immediate(*n, Type::B32) as u8;
                Op::Logic3 {
                    d: self.dest(d)?,
                    a: a?,
                    b: b?,
                    c: c?,
                    table,
                }
            }
            (_, [d, args @ ..]) => {
                let Some(found) = alu::map(base, mods) else {
                    return Ok(None);
                };
                if found.arity != args.len() {
                    let (wanted, got) = (found.arity, args.len());
                    return Err(format!(
                        "{base}: expected {wanted} operands after the result, got {got}"
                    ));
                }
                let mut sources = [0; 3];
                for ((s, arg), ty) in sources.iter_mut().zip(args).zip(found.types) {
                    *s = self.source(arg, ty)?;
                }
                let [a, b, c] = sources;
                let op = Op::Map {
                    f: found.f,
                    d: self.dest(d)?,
                    a,
                    b,
                    c,
                };
                return Ok(Some((op, found.class, found.flops)));
            }
            _ => return Ok(None),
        };
        Ok(Some((op, Class::Integer, 0)))
    }

    /// setp.lt.s32 p|q, a, b and setp.lt.and.s32 p|q, a, b, c
    fn setp(&mut self, mods: &[&str], o: &[Operand]) -> Known<Option<Op>> {
        let (compare, with, ty) = match mods {
            [compare, ty] => (compare, None, ty),
            [compare, with, ty] => (compare, logic(with), ty),
            _ => return Ok(None),
        };
        let Some(ty) = Type::parse(ty) else {
            return Ok(None);
        };
        let (Some(f), [dest, a, b, rest @ ..]) = (alu::test(compare, ty), o) else {
            return Ok(None);
        };
        let and = match (with, rest, mods.len()) {
            (None, [], 2) => None,
            (Some(with), [Operand::Pred(c)], 3) => Some((with, *c)),
            _ => return Ok(None),
        };
        let (p, q) = match dest {
            Operand::Pred(p) => (p.index, SINK),
            Operand::Pair(p, q) => match (&**p, &**q) {
                (Operand::Pred(p), Operand::Pred(q)) => (p.index, q.index),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let (a, b) = (self.source(a, ty)?, self.source(b, ty)?);
        Ok(Some(Op::Test { f, p, q, a, b, and }))
    }

    fn convert(&mut self, mods: &[&str], o: &[Operand]) -> Known<Option<(Op, Class, u32)>> {
        if let (["rn", "bf16x2", "f32"], [d, a, b]) = (mods, o) {
            let Some(how) = Convert::new(&["rn", "bf16", "f32"]) else {
                return Ok(None);
            };
            let (a, b) = (self.source(a, Type::F32)?, self.source(b, Type::F32)?);
            let op = Op::ConvertPair {
                d: self.dest(d)?,
                a,
                b,
                how,
            };
            return Ok(Some((op, Class::Convert, 0)));
        }
        let (Some(how), [d, a]) = (Convert::new(mods), o) else {
            return Ok(None);
        };
        let (d, a) = (self.dest(d)?, self.source(a, how.from())?);
        let op = match how.map() {
            Some(f) => Op::Map {
                f,
                d,
                a,
                b: a,
                c: a,
            },
            None => Op::Convert { d, a, how },
        };
        Ok(Some((op, Class::Convert, 0)))
    }

    /// Conversion between addresses of a state space and generic ones.
    fn cvta(&mut self, mods: &[&str], d: &Operand, a: &Operand) -> Known<Option<(Op, Class, u32)>> {
        let (to, space) = match mods {
            ["to", space, "u64"] => (true, *space),
            [space, "u64"] => (false, *space),
            _ => return Ok(None),
        };
        let window = match space {
            "global" | "const" | "param" => 0,
            "shared" => SHARED_WINDOW,
            "local" => LOCAL_WINDOW,
            _ => return Ok(None),
        };
        let b = self.fixed(Fixed::Value(if to {
            window.wrapping_neg()
        } else {
            window
        }));
        let add = alu::map("add", &["u64"]).expect("addition is known");
        let a = self.source(a, Type::U64)?;
        let op = Op::Map {
            f: add.f,
            d: self.dest(d)?,
            a,
            b,
            c: b,
        };
        Ok(Some((op, Class::Integer, 0)))
    }

    fn barrier_zero(&self, operand: &Operand) -> Known<()> {
        match operand {
            Operand::Number(n) if immediate(*n, Type::U32) == 0 => Ok(()),
            _ => Err("only barrier 0, of the whole block, is supported".into()),
        }
    }

    fn label(&self, operand: &Operand) -> Known<usize> {
        match operand {
            Operand::Name(name) => match self.entry.labels.get(name) {
                Some(&at) => Ok(at),
                None => Err(format!("no label {name}")),
            },
            _ => Err("expected a label".into()),
        }
    }

    fn targets(&self, operand: &Operand) -> Known<Box<[usize]>> {
        let Operand::Name(name) = operand else {
            return Err("expected a list of branch targets".into());
        };
        let Some(list) = self.entry.targets.get(name) else {
            return Err(format!("no list of branch targets {name}"));
        };
        list.iter()
            .map(|l| self.label(&Operand::Name(l.clone())))
            .collect()
    }

    fn dest(&self, operand: &Operand) -> Known<Reg> {
        match operand {
            Operand::Reg(r) => Ok(*r),
            Operand::Sink => Ok(SINK),
            _ => Err("expected a register for the result".into()),
        }
    }

    fn source(&mut self, operand: &Operand, ty: Type) -> Known<Reg> {
        match operand {
            Operand::Reg(r) => Ok(*r),
            Operand::Number(n) => Ok(self.fixed(Fixed::Value(immediate(*n, ty)))),
            Operand::Name(name) => {
                if let Some(special) = special(name) {
                    return Ok(self.fixed(special));
                }
                match self.symbols.get(name.as_str()) {
                    Some(&address) => Ok(self.fixed(Fixed::Value(address))),
                    None => Err(format!("unknown name {name}")),
                }
            }
            _ => Err("expected a register or a number".into()),
        }
    }

    fn address(&mut self, operand: &Operand) -> Known<(Reg, i64)> {
        match operand {
            Operand::Address(base, offset) => Ok((self.source(base, Type::U64)?, *offset)),
            _ => Err("expected an address in brackets".into()),
        }
    }

    fn fixed(&mut self, value: Fixed) -> Reg {
        *self.places.entry(value).or_insert_with(|| {
            self.fixed.push(value);
            self.entry.registers + self.fixed.len() as Reg - 1
        })
    }
}

fn logic(name: &str) -> Option<Logic> {
    Some(match name {
        "and" => Logic::And,
        "or" => Logic::Or,
        "xor" => Logic::Xor,
        _ => return None,
    })
}

fn special(name: &str) -> Option<Fixed> {
    let (stem, axis) = match name.split_once('.') {
        Some((stem, "x")) => (stem, 0),
        Some((stem, "y")) => (stem, 1),
        Some((stem, "z")) => (stem, 2),
        Some(_) => return None,
        None => (name, 3),
    };
    Some(match (stem, axis) {
        ("%tid", 0..3) => Fixed::Special(Special::Thread(axis)),
        ("%ctaid", 0..3) => Fixed::Special(Special::Block(axis)),
        ("%ntid", 0..3) => Fixed::Special(Special::Threads(axis)),
        ("%nctaid", 0..3) => Fixed::Special(Special::Blocks(axis)),
        ("%laneid", 3) => Fixed::Special(Special::Lane),
        ("%warpid", 3) => Fixed::Special(Special::Warp),
        ("WARP_SZ", 3) => Fixed::Value(32),
        _ => return None,
    })
}
