//! The tokeniser.

use crate::error::{Error, Result};

/// A piece of text: a name, a number, or one character of punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: u32,
}

/// Splits PTX into tokens; comments are skipped.
pub(crate) fn tokens<'a>(file: &str, text: &'a str) -> Result<Vec<Token<'a>>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    let error = |line, reason: String| Error::Parse {
        file: file.to_string(),
        line,
        reason,
    };
    while let Some(&c) = bytes.get(at) {
        let start = at;
        match c {
            b'\n' => {
                line += 1;
                at += 1;
                continue;
            }
            _ if c.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let Some(length) = text[at..].find("*/") else {
                    return Err(error(line, "unterminated comment".into()));
                };
                line += text[at..at + length].matches('\n').count() as u32;
                at += length + 2;
                continue;
            }
            b'"' => {
                let Some(length) = text[at + 1..].find('"') else {
                    return Err(error(line, "unterminated string".into()));
                };
                at += length + 2;
            }
            _ if is_name_start(c) => {
                at += 1;
                while let Some(&c) = bytes.get(at) {
                    let scope = c == b':'
                        && bytes.get(at + 1) == Some(&b':')
                        && bytes.get(at + 2).is_some_and(|&c| is_name_start(c));
                    if scope {
                        at += 2;
                    } else if !is_name_start(c) && !c.is_ascii_digit() {
                        break;
                    }
                    at += 1;
                }
            }
            _ if c.is_ascii_digit() => {
                while bytes
                    .get(at)
                    .is_some_and(|&c| c.is_ascii_alphanumeric() || c == b'.')
                {
                    at += 1;
                }
            }
            _ if b"{}()[],;:+-|@!<>=".contains(&c) => at += 1,
            _ => {
                let found = text[at..].chars().next().unwrap_or_default();
                return Err(error(line, format!("unexpected character {found:?}")));
            }
        }
        tokens.push(Token {
            text: &text[start..at],
            line,
        });
    }
    Ok(tokens)
}

fn is_name_start(c: u8) -> bool {
    c.is_ascii_alphabetic() || b"_$%.".contains(&c)
}

/// The bits of a number: an integer (decimal, `0x`, octal, `0b`), or an exact float (`0f` and `0d` with hexadecimal digits).
pub(crate) fn number(text: &str) -> Option<Number> {
    let (head, tail) = text.split_at(text.len().min(2));
    match head {
        "0f" | "0F" => u32::from_str_radix(tail, 16)
            .ok()
            .filter(|_| tail.len() == 8)
            .map(|bits| Number::Single(f32::from_bits(bits))),
        "0d" | "0D" => u64::from_str_radix(tail, 16)
            .ok()
            .filter(|_| tail.len() == 16)
            .map(|bits| Number::Double(f64::from_bits(bits))),
        "0x" | "0X" => whole(tail, 16),
        "0b" | "0B" => whole(tail, 2),
        _ if text.contains('.') => text.parse().ok().map(Number::Double),
        _ if text.len() > 1 && text.starts_with('0') => whole(&text[1..], 8),
        _ => whole(text, 10),
    }
}

fn whole(digits: &str, radix: u32) -> Option<Number> {
    let digits = digits.trim_end_matches(['u', 'U']);
    u64::from_str_radix(digits, radix).ok().map(Number::Whole)
}

/// A number literal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(u64),
    Single(f32),
    Double(f64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        assert_eq!(number("0f3F800000"), Some(Number::Single(1.0)));
        assert_eq!(number("0d3FF0000000000000"), Some(Number::Double(1.0)));
        assert_eq!(number("0x1F"), Some(Number::Whole(31)));
        assert_eq!(number("017"), Some(Number::Whole(15)));
        assert_eq!(number("0b101"), Some(Number::Whole(5)));
        assert_eq!(number("42U"), Some(Number::Whole(42)));
        assert_eq!(number("0f3F8"), None);
        assert_eq!(number("12z"), None);
    }

    #[test]
    fn tokens_know_their_lines() {
        let text = "a /* x\n y */ b // c\n%r1, cp.async.shared::cta.x; $L:";
        let found = tokens("f", text).unwrap();
        let pairs: Vec<(&str, u32)> = found.iter().map(|t| (t.text, t.line)).collect();
        let names = ["%r1", ",", "cp.async.shared::cta.x", ";", "$L", ":"];
        let mut expected = vec![("a", 1), ("b", 2)];
        expected.extend(names.map(|n| (n, 3)));
        assert_eq!(pairs, expected);
        assert!(
            tokens("f", "ok\n#")
                .unwrap_err()
                .to_string()
                .starts_with("f:2:")
        );
    }
}
