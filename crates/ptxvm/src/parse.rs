//! The parser: from tokens to declarations, labels and instructions with their operands, register names resolved.

use std::collections::HashMap;

use crate::ast::{Entry, Line, Operand, Param, Pred, Source, Space, Variable};
use crate::error::{Error, Result};
use crate::number::Type;
use crate::text::{self, Number, Token};

/// The meaning of a name in a scope: registers `name` or `name0`, `name1`, ...
#[derive(Clone, Copy)]
struct Registers {
    first: u32,
    /// `None` for a single register of exactly this name.
    count: Option<u32>,
    pred: bool,
}

pub(crate) fn parse(file: &str, text: &str) -> Result<Source> {
    let tokens = text::tokens(file, text)?;
    let last = tokens.last().map_or(1, |t| t.line);
    let mut parser = Parser {
        file,
        tokens: &tokens,
        at: 0,
        last,
        scopes: Vec::new(),
    };
    parser.module()
}

struct Parser<'a> {
    file: &'a str,
    tokens: &'a [Token<'a>],
    at: usize,
    last: u32,
    scopes: Vec<HashMap<String, Registers>>,
}

impl<'a> Parser<'a> {
    fn error<T>(&self, reason: impl Into<String>) -> Result<T> {
        let line = self
            .tokens
            .get(self.at.saturating_sub(1))
            .map_or(self.last, |t| t.line);
        Err(Error::Parse {
            file: self.file.to_string(),
            line,
            reason: reason.into(),
        })
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |t| t.text)
    }

    fn next(&mut self) -> Result<&'a str> {
        let Some(token) = self.tokens.get(self.at) else {
            return self.error("unexpected end of the text");
        };
        self.at += 1;
        Ok(token.text)
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.peek() == text;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Result<()> {
        let got = self.next()?;
        if got == text {
            return Ok(());
        }
        self.error(format!("expected {text:?}, got {got:?}"))
    }

    fn whole(&mut self) -> Result<usize> {
        let text = self.next()?;
        match text::number(text) {
            Some(Number::Whole(n)) => Ok(n as usize),
            _ => self.error(format!("expected a whole number, got {text:?}")),
        }
    }

    fn module(&mut self) -> Result<Source> {
        let mut source = Source::default();
        while self.at < self.tokens.len() {
            match self.next()? {
                ".version" | ".target" | ".address_size" => {
                    self.at += 1;
                    while self.accept(",") {
                        self.at += 1;
                    }
                }
                ".visible" | ".extern" | ".weak" => {}
                ".entry" => {
                    let entry = self.entry()?;
                    source.entries.push(entry);
                }
                ".const" => source.variables.push(self.variable(Space::Constant)?),
                ".shared" => source.variables.push(self.variable(Space::Shared)?),
                // A table that is read: what a kernel writes comes as an argument.
                ".global" => source.variables.push(self.variable(Space::Constant)?),
                other => return self.error(format!("unknown directive {other:?}")),
            }
        }
        Ok(source)
    }

    /// `.align 4 .b8 name[16] = {1, 2};`, the space's name already read.
    fn variable(&mut self, space: Space) -> Result<Variable> {
        let (mut align, mut element) = (None, None);
        let name = loop {
            match self.next()? {
                ".align" => align = Some(self.whole()?),
                t if t.starts_with('.') => match Type::parse(&t[1..]) {
                    Some(ty) => element = Some(ty),
                    None => return self.error(format!("unknown type {t:?}")),
                },
                name => break name.to_string(),
            }
        };
        let Some(element) = element else {
            return self.error(format!("{name} has no type"));
        };
        let size = element.bytes() as usize;
        let mut count = Some(1usize);
        while self.accept("[") {
            if self.accept("]") {
                count = None;
            } else {
                let n = self.whole()?;
                count = count.and_then(|c| c.checked_mul(n));
                self.expect("]")?;
            }
        }
        let bytes = count.and_then(|c| c.checked_mul(size));
        let mut data = Vec::new();
        if self.accept("=") {
            self.initialiser(element, &mut data)?;
            data.resize(bytes.unwrap_or(data.len()), 0);
        }
        self.expect(";")?;
        let align = align.unwrap_or(size);
        Ok(Variable {
            name,
            space,
            align,
            bytes,
            data,
        })
    }

    fn initialiser(&mut self, element: Type, data: &mut Vec<u8>) -> Result<()> {
        if self.accept("{") {
            while !self.accept("}") {
                self.initialiser(element, data)?;
                self.accept(",");
            }
            return Ok(());
        }
        let Operand::Number(n) = self.operand()? else {
            return self.error("expected a number in an initialiser");
        };
        let bits = immediate(n, element);
        data.extend(&bits.to_le_bytes()[..element.bytes() as usize]);
        Ok(())
    }

    fn entry(&mut self) -> Result<Entry> {
        let mut entry = Entry {
            name: self.next()?.to_string(),
            ..Entry::default()
        };
        if self.accept("(") {
            while !self.accept(")") {
                self.param(&mut entry)?;
                self.accept(",");
            }
        }
        loop {
            match self.next()? {
                "{" => break,
                ".maxntid" => {
                    let mut threads = self.whole()? as u32;
                    while self.accept(",") {
                        threads = threads.saturating_mul(self.whole()? as u32);
                    }
                    entry.max_threads = Some(threads);
                }
                ".minnctapersm" | ".maxnreg" => {
                    self.whole()?;
                }
                other => return self.error(format!("unknown directive {other:?} in a kernel")),
            }
        }
        self.scopes.push(HashMap::new());
        while !self.scopes.is_empty() {
            self.statement(&mut entry)?;
        }
        Ok(entry)
    }

    /// `.param .u64 name` or `.param .align 8 .b8 name[16]`
    fn param(&mut self, entry: &mut Entry) -> Result<()> {
        self.expect(".param")?;
        let (mut align, mut element) = (None, None);
        let name = loop {
            match self.next()? {
                ".align" => align = Some(self.whole()?),
                t if t.starts_with('.') => element = Type::parse(&t[1..]).or(element),
                name => break name.to_string(),
            }
        };
        let Some(element) = element else {
            return self.error(format!("{name} has no type"));
        };
        let mut bytes = element.bytes() as usize;
        let align = align.unwrap_or(bytes).max(1);
        if self.accept("[") {
            bytes *= self.whole()?;
            self.expect("]")?;
        }
        let end = entry.params.last().map_or(0, |p| p.offset + p.bytes);
        let offset = end.next_multiple_of(align);
        entry.params.push(Param {
            name,
            offset,
            bytes,
        });
        Ok(())
    }

    fn statement(&mut self, entry: &mut Entry) -> Result<()> {
        let first = self.next()?;
        let line = self.tokens[self.at - 1].line;
        match first {
            "{" => self.scopes.push(HashMap::new()),
            "}" => {
                self.scopes.pop();
            }
            ";" => {}
            ".reg" => self.registers(entry)?,
            ".shared" => entry.variables.push(self.variable(Space::Shared)?),
            ".local" => entry.variables.push(self.variable(Space::Local)?),
            ".pragma" => {
                self.next()?;
                self.expect(";")?;
            }
            ".loc" => self.at += 3,
            _ if self.peek() == ":" => {
                self.at += 1;
                if self.accept(".branchtargets") {
                    let mut list = vec![self.next()?.to_string()];
                    while self.accept(",") {
                        list.push(self.next()?.to_string());
                    }
                    self.expect(";")?;
                    entry.targets.insert(first.to_string(), list);
                } else {
                    entry.labels.insert(first.to_string(), entry.body.len());
                }
            }
            _ => {
                let guard = match first {
                    "@" => Some(self.guard()?),
                    _ => {
                        self.at -= 1;
                        None
                    }
                };
                let name = self.next()?.to_string();
                if name.starts_with('.') {
                    return self.error(format!("unknown directive {name:?}"));
                }
                let operands = self.operands(&name)?;
                entry.body.push(Line {
                    line,
                    guard,
                    name,
                    operands,
                });
            }
        }
        Ok(())
    }

    fn guard(&mut self) -> Result<Pred> {
        let negated = self.accept("!");
        let name = self.next()?;
        match self.register(name) {
            Some(Operand::Pred(p)) => Ok(Pred { negated, ..p }),
            _ => self.error(format!("expected a predicate, got {name:?}")),
        }
    }

    fn operands(&mut self, instruction: &str) -> Result<Vec<Operand>> {
        let mut operands = Vec::new();
        while !self.accept(";") {
            if !operands.is_empty() && !self.accept(",") {
                let got = self.next()?;
                return self.error(format!("{instruction}: expected \",\", got {got:?}"));
            }
            if self.peek() == "(" {
                self.at += 1;
                return self.error(format!("unknown instruction {instruction}"));
            }
            operands.push(self.operand()?);
        }
        Ok(operands)
    }

    /// `.reg .b32 %r<5>;` or `.reg .pred p, q;`
    fn registers(&mut self, entry: &mut Entry) -> Result<()> {
        let ty = self.next()?;
        let Some(ty) = ty.strip_prefix('.').and_then(Type::parse) else {
            return self.error(format!("unknown type {ty:?} of a register"));
        };
        loop {
            let name = self.next()?.to_string();
            let mut count = None;
            if self.accept("<") {
                count = Some(self.whole()? as u32);
                self.expect(">")?;
            }
            let pred = ty == Type::Pred;
            let next = if pred {
                &mut entry.predicates
            } else {
                &mut entry.registers
            };
            let first = *next;
            *next += count.unwrap_or(1);
            let scope = self.scopes.last_mut().expect("inside of a kernel");
            scope.insert(name, Registers { first, count, pred });
            if !self.accept(",") {
                return self.expect(";");
            }
        }
    }

    fn register(&self, name: &str) -> Option<Operand> {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        for scope in self.scopes.iter().rev() {
            let alone = scope.get(name).filter(|r| r.count.is_none());
            let found = alone.map(|r| (r, 0)).or_else(|| {
                let r = scope.get(stem)?;
                let i: u32 = name[stem.len()..].parse().ok()?;
                (i < r.count?).then_some((r, i))
            });
            if let Some((r, i)) = found {
                let index = r.first + i;
                let negated = false;
                return Some(match r.pred {
                    true => Operand::Pred(Pred { index, negated }),
                    false => Operand::Reg(index),
                });
            }
        }
        None
    }

    fn operand(&mut self) -> Result<Operand> {
        let token = self.next()?;
        let operand = match token {
            "[" => {
                let base = self.operand()?;
                let mut offset = 0;
                while !self.accept("]") {
                    let sign = match self.next()? {
                        "+" => 1,
                        "-" => -1,
                        other => return self.error(format!("unexpected {other:?} in an address")),
                    };
                    let sign = if self.accept("-") { -sign } else { sign };
                    offset += sign * self.whole()? as i64;
                }
                Operand::Address(Box::new(base), offset)
            }
            "{" => {
                let mut list = vec![self.operand()?];
                while self.accept(",") {
                    list.push(self.operand()?);
                }
                self.expect("}")?;
                Operand::Vector(list)
            }
            "!" => match self.operand()? {
                Operand::Pred(p) => Operand::Pred(Pred {
                    negated: !p.negated,
                    ..p
                }),
                _ => return self.error("expected a predicate after \"!\""),
            },
            "-" => match self.operand()? {
                Operand::Number(Number::Whole(n)) => {
                    Operand::Number(Number::Whole(n.wrapping_neg()))
                }
                Operand::Number(Number::Double(x)) => Operand::Number(Number::Double(-x)),
                _ => return self.error("expected a number after \"-\""),
            },
            "_" => Operand::Sink,
            _ if token.starts_with(|c: char| c.is_ascii_digit()) => match text::number(token) {
                Some(n) => Operand::Number(n),
                None => return self.error(format!("{token:?} is not a number")),
            },
            _ => match self.register(token) {
                Some(register) => register,
                None if token
                    .starts_with(|c: char| c.is_ascii_alphabetic() || "_$%".contains(c)) =>
                {
                    Operand::Name(token.to_string())
                }
                None => return self.error(format!("unexpected {token:?}")),
            },
        };
        if self.accept("|") {
            let second = self.operand()?;
            return Ok(Operand::Pair(Box::new(operand), Box::new(second)));
        }
        Ok(operand)
    }
}

/// The bits of a number as a value of type `ty`.
pub(crate) fn immediate(n: Number, ty: Type) -> u64 {
    match (n, ty) {
        (Number::Whole(bits), Type::F32) => u64::from((bits as f32).to_bits()),
        (Number::Whole(bits), Type::F64) => (bits as f64).to_bits(),
        (Number::Whole(bits), _) => bits,
        (Number::Single(x), Type::F64) => f64::from(x).to_bits(),
        (Number::Single(x), _) => u64::from(x.to_bits()),
        (Number::Double(x), Type::F32) => u64::from((x as f32).to_bits()),
        (Number::Double(x), _) => x.to_bits(),
    }
}
