//! The header of an npy file: a Python dict literal.
//!
//! Parsed here and not by npyz because npyz multiplies the dimensions unchecked and recurses over nested brackets.

use super::shown;

/// NumPy's own limit.
const MOST_DIMENSIONS: usize = 64;

/// The header's dict: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// The type string; of structured records only the opening bracket.
    pub(super) descr: String,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
}

impl Header {
    /// Parses it, or says in words what is wrong.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "not text")?;
        let mut literal = Literal { rest: text };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        literal.expect('{')?;
        while !literal.accept('}') {
            let key = literal.string()?;
            literal.expect(':')?;
            let known = match key {
                "descr" => descr.replace(literal.descr()?).is_none(),
                "fortran_order" => fortran_order.replace(literal.boolean()?).is_none(),
                "shape" => shape.replace(literal.dimensions()?).is_none(),
                _ => return Err(format!("unknown key '{}'", shown(key))),
            };
            if !known {
                return Err(format!("key '{}' occurs twice", shown(key)));
            }
            if !literal.accept(',') {
                literal.expect('}')?;
                break;
            }
        }
        if !literal.rest.trim_matches([' ', '\n']).is_empty() {
            return Err("text after the closing brace".to_string());
        }
        Ok(Self {
            descr: descr.ok_or("no key 'descr'")?,
            fortran_order: fortran_order.ok_or("no key 'fortran_order'")?,
            shape: shape.ok_or("no key 'shape'")?,
        })
    }
}

/// What is left of a Python literal. No recursion: nothing in a header we read is nested twice.
struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn accept(&mut self, mark: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        if self.accept(mark) {
            return Ok(());
        }
        let came: String = self.rest.chars().take(12).collect();
        Err(format!("expected `{mark}`, got `{}`", shown(&came)))
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect(quote)?;
        }
        let (text, rest) = self.rest.split_once(quote).ok_or("a string does not end")?;
        self.rest = rest;
        Ok(text)
    }

    fn descr(&mut self) -> Result<String, String> {
        if !self.accept('[') {
            return self.string().map(str::to_string);
        }
        // Structured records are refused later, by dtype: only the end of the list matters.
        let mut depth = 1_usize;
        let end = self.rest.find(|c| {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        self.rest = &self.rest[end.ok_or("a list does not end")? + 1..];
        Ok("[".to_string())
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err("fortran_order is neither True nor False".to_string())
    }

    fn dimensions(&mut self) -> Result<Vec<u64>, String> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.accept(')') {
            self.rest = self.rest.trim_start();
            let end = self
                .rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at(end);
            // Python 2 wrote 60000L.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            let dim = digits.parse().map_err(|_| {
                format!(
                    "a dimension is not a number below 2^64: `{}`",
                    shown(digits)
                )
            })?;
            shape.push(dim);
            if shape.len() > MOST_DIMENSIONS {
                return Err(format!("more than {MOST_DIMENSIONS} dimensions"));
            }
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
}
