//! Reading the pickles that describe a PyTorch state_dict, without executing anything.
//!
//! A pickle is a program for a small stack machine, which may call anything that Python can import. This reader supports what
//! a state_dict needs: numbers, strings, tuples, lists, dicts, and the names of [`global`]; any other instruction or name is an
//! error. It builds descriptions of tensors, never the tensors.

use std::cmp::Ordering;
use std::rc::Rc;

use super::shown;

/// Larger ones describe no weights.
pub(super) const MOST_BYTES: u64 = 16 << 20;
/// A tensor takes about forty.
const MOST_INSTRUCTIONS: usize = 1 << 20;
/// Characters of a name, in bytes.
const LONGEST_TEXT: usize = 1 << 12;
/// Tuples within tuples; PyTorch's go three deep.
const DEEPEST: usize = 16;
/// Of a tensor.
const MOST_DIMENSIONS: usize = 16;

/// A tensor as a state_dict describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorRef {
    /// What its storage is made of: "Float", "Double", "Half", "BFloat16", ...
    pub(super) kind: Rc<str>,
    /// The name of its storage in the file.
    pub(super) key: Rc<str>,
    /// Elements in the storage.
    pub(super) room: u64,
    /// Its first element in the storage.
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    /// Elements from one to the next along each dimension.
    pub(super) strides: Vec<u64>,
}

/// A name and what it names.
pub(super) type Named = (Rc<str>, Rc<TensorRef>);

#[derive(Clone, Debug)]
enum Value {
    None,
    Bool(bool),
    /// PyTorch's magic number has ten bytes.
    Int(i128),
    Text(Rc<str>),
    /// Elements, and how deep tuples lie in it.
    Tuple(Rc<[Value]>, usize),
    Global(Global),
    Tensor(Rc<TensorRef>),
    /// Kind, key and number of elements.
    Storage(Rc<str>, Rc<str>, u64),
    /// By its place in `Machine::dicts`, for it changes after it is remembered.
    Dict(usize),
    /// By its place in `Machine::lists`.
    List(usize),
}

#[derive(Clone, Debug)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// Of this kind of number.
    Storage(Rc<str>),
}

/// What a state_dict may name.
fn global(module: &str, name: &str) -> Result<Global, String> {
    match (module, name) {
        ("collections", "OrderedDict") => Ok(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => Ok(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Ok(Global::RebuildParameter),
        ("torch", storage) if storage.ends_with("Storage") => {
            Ok(Global::Storage(storage.trim_end_matches("Storage").into()))
        }
        _ => Err(format!(
            "refers to {}.{}, which a state_dict does not need and which is not executed",
            shown(module),
            shown(name)
        )),
    }
}

type Entries = Vec<(Value, Value)>;

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    /// Heights of the stack where an instruction MARK was.
    marks: Vec<usize>,
    memo: Vec<Value>,
    dicts: Vec<Entries>,
    lists: Vec<Vec<Value>>,
}

/// What a pickle describes.
#[derive(Debug)]
pub(super) struct Unpickled {
    value: Value,
    dicts: Vec<Entries>,
    lists: Vec<Vec<Value>>,
}

/// Reads the pickle that `bytes` begin with; they then begin after it.
///
/// errors: in words, what is wrong
pub(super) fn unpickle(bytes: &mut &[u8]) -> Result<Unpickled, String> {
    let mut machine = Machine {
        rest: bytes,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        dicts: Vec::new(),
        lists: Vec::new(),
    };
    let mut instructions = 0;
    while machine.step()? {
        instructions += 1;
        if instructions > MOST_INSTRUCTIONS {
            return Err(format!("has more than {MOST_INSTRUCTIONS} instructions"));
        }
    }
    let value = machine.pop()?;
    if !machine.stack.is_empty() {
        return Err("leaves more than one value".to_string());
    }
    *bytes = machine.rest;
    Ok(Unpickled {
        value,
        dicts: machine.dicts,
        lists: machine.lists,
    })
}

impl Unpickled {
    /// Whether it is this number.
    pub(super) fn is(&self, number: i128) -> bool {
        matches!(self.value, Value::Int(found) if found == number)
    }

    /// Whether it is a dict that says True of `key`.
    pub(super) fn says(&self, key: &str) -> bool {
        let Value::Dict(dict) = self.value else {
            return false;
        };
        let is_said = |(name, value): &(Value, Value)| matches!((name, value), (Value::Text(name), Value::Bool(true)) if **name == *key);
        self.dicts[dict].iter().any(is_said)
    }

    /// A list of texts.
    pub(super) fn texts(&self) -> Result<Vec<Rc<str>>, String> {
        let Value::List(list) = self.value else {
            return Err("is not a list".to_string());
        };
        let text = |value: &Value| match value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err("holds what is not text".to_string()),
        };
        self.lists[list].iter().map(text).collect()
    }

    /// The tensors of a state_dict, in its order.
    pub(super) fn tensors(&self) -> Result<Vec<Named>, String> {
        let Value::Dict(dict) = self.value else {
            return Err("is not a dict: expected that of model.state_dict()".to_string());
        };
        let entry = |(key, value): &(Value, Value)| match (key, value) {
            (Value::Text(name), Value::Tensor(tensor)) => Ok((name.clone(), tensor.clone())),
            (Value::Text(name), _) => Err(format!(
                "{} is not a tensor: expected a state_dict alone, as torch.save(model.state_dict(), ..) writes it",
                shown(name)
            )),
            _ => Err("a key is not text".to_string()),
        };
        self.dicts[dict].iter().map(entry).collect()
    }
}

impl Machine<'_> {
    /// Executes an instruction; false after the last.
    fn step(&mut self) -> Result<bool, String> {
        let [code] = self.bytes()?;
        match code {
            b'.' => return Ok(false),
            0x80 => drop(self.bytes::<1>()?), // the protocol's number
            0x95 => drop(self.bytes::<8>()?), // the length of a frame
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool(code == 0x88)),
            b'J' => {
                let n = i32::from_le_bytes(self.bytes()?);
                self.stack.push(Value::Int(n.into()));
            }
            b'K' => {
                let [n] = self.bytes()?;
                self.stack.push(Value::Int(n.into()));
            }
            b'M' => {
                let n = u16::from_le_bytes(self.bytes()?);
                self.stack.push(Value::Int(n.into()));
            }
            0x8a => self.long()?,
            b'X' | 0x8c => self.text(code)?,
            b'}' => self.push_dict(),
            b']' => self.push_list(),
            b')' => self.tuple(self.stack.len())?,
            b't' => {
                let from = self.mark()?;
                self.tuple(from)?;
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84));
                self.tuple(from.ok_or_else(too_short)?)?;
            }
            b's' => {
                let from = self.stack.len().checked_sub(2).ok_or_else(too_short)?;
                self.set_items(from)?;
            }
            b'u' => {
                let from = self.mark()?;
                self.set_items(from)?;
            }
            b'a' => {
                let from = self.stack.len().checked_sub(1).ok_or_else(too_short)?;
                self.append(from)?;
            }
            b'e' => {
                let from = self.mark()?;
                self.append(from)?;
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(code)?,
            b'c' | 0x93 => self.global(code)?,
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            b'b' => self.drop_attributes()?,
            _ => {
                return Err(format!(
                    "instruction 0x{code:02x}, which a state_dict does not need"
                ));
            }
        }
        Ok(true)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(EARLY)?;
        self.rest = rest;
        Ok(*head)
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(too_short)
    }

    fn mark(&mut self) -> Result<usize, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        mark.ok_or_else(too_short)
    }

    fn text(&mut self, code: u8) -> Result<(), String> {
        let length = match code {
            b'X' => u32::from_le_bytes(self.bytes()?) as usize,
            _ => usize::from(self.bytes::<1>()?[0]),
        };
        let split = self.rest.split_at_checked(length);
        let (text, rest) = split.ok_or(EARLY)?;
        if length > LONGEST_TEXT {
            return Err(format!("a text of more than {LONGEST_TEXT} bytes"));
        }
        let text = std::str::from_utf8(text).map_err(|_| "a text is not UTF-8")?;
        self.rest = rest;
        self.stack.push(Value::Text(text.into()));
        Ok(())
    }

    /// A whole number of up to 16 bytes.
    fn long(&mut self) -> Result<(), String> {
        let [length] = self.bytes()?;
        let split = self.rest.split_at_checked(length.into());
        let (number, rest) = split.ok_or(EARLY)?;
        self.rest = rest;
        let is_negative = number.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut bytes = [if is_negative { 0xff } else { 0 }; 16];
        let low = bytes.get_mut(..number.len());
        low.ok_or("a number of more than 128 bits")?
            .copy_from_slice(number);
        self.stack.push(Value::Int(i128::from_le_bytes(bytes)));
        Ok(())
    }

    /// A tuple of what lies on the stack above `from`.
    fn tuple(&mut self, from: usize) -> Result<(), String> {
        let values: Vec<Value> = self.stack.drain(from..).collect();
        let deep = values.iter().map(|value| match value {
            Value::Tuple(_, depth) => *depth,
            _ => 0,
        });
        let depth = 1 + deep.max().unwrap_or(0);
        if depth > DEEPEST {
            return Err(format!("tuples more than {DEEPEST} deep"));
        }
        self.stack.push(Value::Tuple(values.into(), depth));
        Ok(())
    }

    fn push_dict(&mut self) {
        self.stack.push(Value::Dict(self.dicts.len()));
        self.dicts.push(Vec::new());
    }

    fn push_list(&mut self) {
        self.stack.push(Value::List(self.lists.len()));
        self.lists.push(Vec::new());
    }

    /// Pairs of key and value above `from` go into the dict below.
    fn set_items(&mut self, from: usize) -> Result<(), String> {
        let items = self.stack.split_off(from);
        let Some(&Value::Dict(dict)) = self.stack.last() else {
            return Err("puts items into what is not a dict".to_string());
        };
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            let value = items.next().ok_or("a key without a value")?;
            self.dicts[dict].push((key, value));
        }
        Ok(())
    }

    /// Values above `from` go to the end of the list below.
    fn append(&mut self, from: usize) -> Result<(), String> {
        let items = self.stack.split_off(from);
        let Some(&Value::List(list)) = self.stack.last() else {
            return Err("appends to what is not a list".to_string());
        };
        self.lists[list].extend(items);
        Ok(())
    }

    /// Attributes of a dict: the versions of modules, which are of no use here.
    fn drop_attributes(&mut self) -> Result<(), String> {
        self.pop()?;
        match self.stack.last() {
            Some(Value::Dict(_)) => Ok(()),
            _ => Err("gives attributes to what is not a dict".to_string()),
        }
    }

    /// Puts the uppermost value into the memo, or one of the memo onto the stack.
    fn remember(&mut self, code: u8) -> Result<(), String> {
        let place = match code {
            b'q' | b'h' => usize::from(self.bytes::<1>()?[0]),
            b'r' | b'j' => u32::from_le_bytes(self.bytes()?) as usize,
            _ => self.memo.len(),
        };
        if matches!(code, b'h' | b'j') {
            let value = self.memo.get(place).cloned();
            self.stack
                .push(value.ok_or("reads an undefined memo entry")?);
            return Ok(());
        }
        let value = self.stack.last().cloned().ok_or_else(too_short)?;
        match place.cmp(&self.memo.len()) {
            Ordering::Less => self.memo[place] = value,
            Ordering::Equal => self.memo.push(value),
            Ordering::Greater => return Err("skips memo entries".to_string()),
        }
        Ok(())
    }

    fn global(&mut self, code: u8) -> Result<(), String> {
        let found = match code {
            b'c' => global(&self.line()?, &self.line()?)?,
            _ => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => global(&module, &name)?,
                _ => return Err("a name that is not text".to_string()),
            },
        };
        self.stack.push(Value::Global(found));
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let (line, rest) = self.rest.split_at(end.ok_or(EARLY)?);
        self.rest = &rest[1..];
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    /// ("storage", kind, key, device, elements) becomes a storage; the older form has what it is a view of behind.
    fn storage(&mut self) -> Result<(), String> {
        let Value::Tuple(parts, _) = self.pop()? else {
            return Err("a storage that is not a tuple".to_string());
        };
        let (parts, view) = parts.split_at(parts.len().min(5));
        match parts {
            [
                Value::Text(what),
                Value::Global(Global::Storage(kind)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(room),
            ] if &**what == "storage" => {
                if !matches!(view, [] | [Value::None]) {
                    let key = shown(key);
                    return Err(format!(
                        "storage {key} is a view of another, which is not read"
                    ));
                }
                let room = u64::try_from(*room).map_err(|_| "a storage of an impossible size")?;
                let storage = Value::Storage(kind.clone(), key.clone(), room);
                self.stack.push(storage);
                Ok(())
            }
            _ => Err("a storage of an unknown form".to_string()),
        }
    }

    /// What a call of a known name makes.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments, _), Value::Global(callee)) = (arguments, callee) else {
            return Err("calls what is not a name".to_string());
        };
        match (callee, &arguments[..]) {
            (Global::OrderedDict, []) => self.push_dict(),
            (
                Global::RebuildParameter,
                [Value::Tensor(tensor), Value::Bool(_), Value::Dict(hooks)],
            ) if self.dicts[*hooks].is_empty() => {
                self.stack.push(Value::Tensor(tensor.clone()));
            }
            (
                Global::RebuildTensor,
                [
                    Value::Storage(kind, key, room),
                    Value::Int(offset),
                    Value::Tuple(shape, _),
                    Value::Tuple(strides, _),
                    Value::Bool(_),
                    Value::Dict(hooks),
                ],
            ) if self.dicts[*hooks].is_empty() => {
                let tensor = TensorRef {
                    kind: kind.clone(),
                    key: key.clone(),
                    room: *room,
                    offset: u64::try_from(*offset).map_err(|_| "a negative offset")?,
                    shape: sizes(shape)?,
                    strides: sizes(strides)?,
                };
                self.stack.push(Value::Tensor(tensor.into()));
            }
            (callee, _) => {
                return Err(format!(
                    "calls {callee:?} with arguments that are not known"
                ));
            }
        }
        Ok(())
    }
}

/// What is said where the bytes do not suffice.
const EARLY: &str = "ends too early";

fn too_short() -> String {
    "takes more from its stack than is there".to_string()
}

/// A tuple of sizes.
fn sizes(tuple: &[Value]) -> Result<Vec<u64>, String> {
    if tuple.len() > MOST_DIMENSIONS {
        return Err(format!(
            "a tensor of more than {MOST_DIMENSIONS} dimensions"
        ));
    }
    let size = |value: &Value| match value {
        Value::Int(n) => u64::try_from(*n).ok(),
        _ => None,
    };
    let sizes = tuple.iter().map(size).collect::<Option<Vec<u64>>>();
    sizes.ok_or_else(|| "a size that is not a whole number from 0".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dict of one tensor "w" [2, 3] of storage "0", in the instructions of protocol 2.
    fn good() -> Vec<u8> {
        let mut p =
            b"\x80\x02}q\x00X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
        p.extend(b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n");
        p.extend(b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ");
        p.extend(b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtRs.");
        p
    }

    /// Its tensors, as what they hold.
    fn state_dict(mut pickle: &[u8]) -> Result<Vec<(String, TensorRef)>, String> {
        let tensors = unpickle(&mut pickle)?.tensors()?.into_iter();
        Ok(tensors
            .map(|(name, t)| (name.to_string(), (*t).clone()))
            .collect())
    }

    #[test]
    fn a_state_dict_describes_its_tensors() {
        let tensors = state_dict(&good()).unwrap();
        let expected = TensorRef {
            kind: "Float".into(),
            key: "0".into(),
            room: 6,
            offset: 0,
            shape: vec![2, 3],
            strides: vec![3, 1],
        };
        assert_eq!(tensors, [("w".to_string(), expected)]);
    }

    #[test]
    fn nothing_is_executed() {
        let refused = |pickle: &[u8]| state_dict(pickle).unwrap_err();
        let system = refused(b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.");
        assert!(
            system.starts_with("refers to os.system, which a state_dict does not need"),
            "{system}"
        );
        let evil = refused(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.");
        assert!(evil.contains("builtins.eval"), "{evil}");
        for code in [b'i', b'o', b'P', 0x81, 0x92, 0x82, b'I'] {
            let other = refused(&[0x80, 2, b'(', code]);
            assert!(other.contains("instruction 0x"), "{other}");
        }
        let hidden = refused(b"\x80\x02cos\n\x1b[2Jsystem\n.");
        assert!(hidden.contains("\\u{1b}"), "{hidden}");
    }

    #[test]
    fn what_is_no_state_dict_says_so() {
        for (pickle, part) in [
            (&b"\x80\x02K\x01."[..], "is not a dict"),
            (
                b"\x80\x02}X\x05\x00\x00\x00epochK\x03s.",
                "epoch is not a tensor",
            ),
            (b"\x80\x02}K\x01K\x02s.", "a key is not text"),
            (b"\x80\x02}(K\x01u.", "a key without a value"),
            (b"\x80\x02h\x07.", "reads an undefined memo entry"),
            (b"\x80\x02K\x01r\xff\xff\xff\xff.", "skips memo entries"),
            (b"\x80\x02R.", "takes more from its stack"),
            (b"", "ends too early"),
            (b"\x80\x02}N.", "leaves more than one value"),
            (b"\x80\x02}K\x01a.", "appends to what is not a list"),
            (b"\x80\x02]N}b.", "gives attributes to what is not a dict"),
            (b"\x80\x02\x8a\x11AAAAAAAAAAAAAAAAA.", "more than 128 bits"),
        ] {
            let reason = state_dict(pickle).unwrap_err();
            assert!(reason.contains(part), "expected `{part}` in `{reason}`");
        }
        let nested = [&b")"[..], &[0x85; 40], b"."].concat();
        assert!(state_dict(&nested).unwrap_err().contains("deep"));
        let long = [b"X\x01\x10\0\0", &[b'a'; LONGEST_TEXT + 1][..], b"."].concat();
        assert!(state_dict(&long).unwrap_err().contains("4096 bytes"));
        let many = state_dict(&vec![b'N'; MOST_INSTRUCTIONS + 2]).unwrap_err();
        assert_eq!(many, "has more than 1048576 instructions");
        let (good, shape) = (good(), b"K\x02K\x03\x86");
        let at = good.windows(5).position(|part| part == shape).unwrap();
        let wide = [b"(", &b"K\x01".repeat(17)[..], b"t"].concat();
        let wide = [&good[..at], &wide, &good[at + 5..]].concat();
        assert!(state_dict(&wide).unwrap_err().contains("16 dimensions"));
    }

    #[test]
    fn no_change_of_a_pickle_makes_it_panic() {
        let good = good();
        for at in 0..good.len() {
            assert!(state_dict(&good[..at]).is_err());
            for byte in 0..=255 {
                let mut bad = good.clone();
                bad[at] = byte;
                let _ = state_dict(&bad);
            }
        }
    }
}
