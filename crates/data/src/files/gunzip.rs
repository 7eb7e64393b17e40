//! Reading gzip, with a specific error for each kind of damage.
//!
//! Written here because the library treats anything after a compressed stream, even padding, as a truncated header, and
//! does not report whether a file ends within the stream or after it.

use std::io::{self, BufRead, Error, ErrorKind, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The only method there is.
const DEFLATE: u8 = 8;
/// Flags of a member's header: what it has more.
const CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// Whether the source begins as gzip does.
pub(crate) fn is_gzip(source: &mut impl BufRead) -> io::Result<bool> {
    Ok(source.fill_buf()?.starts_with(&MAGIC))
}

/// The content of a gzip file: of one member after the other, as gunzip reads them. Zeros behind the last are padding.
///
/// Errors are [`ErrorKind::UnexpectedEof`] where the compressed bytes end too early, [`ErrorKind::InvalidData`] for anything
/// else that is wrong with them.
pub(crate) struct Gunzip<R> {
    source: R,
    member: Option<Member>,
    has_begun: bool,
}

/// A member whose bytes are being read.
struct Member {
    stream: Decompress,
    crc: Crc,
}

impl<R: BufRead> Gunzip<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            member: None,
            has_begun: false,
        }
    }

    /// The next member, if there is one.
    fn next(&mut self) -> io::Result<Option<Member>> {
        if self.has_begun && self.is_at_end()? {
            return Ok(None);
        }
        self.has_begun = true;
        let header: [u8; 10] = self.bytes("its header")?;
        if header[..2] != MAGIC {
            return Err(damaged("it does not begin as gzip does"));
        }
        if header[2] != DEFLATE {
            return Err(damaged("its method is not deflate"));
        }
        let flags = header[3];
        if flags & EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.bytes("its header")?) {
                self.bytes::<1>("its header")?;
            }
        }
        for _ in [NAME, COMMENT].iter().filter(|&flag| flags & flag != 0) {
            while self.bytes("its header")? != [0] {}
        }
        if flags & CRC != 0 {
            self.bytes::<2>("its header")?;
        }
        Ok(Some(Member {
            stream: Decompress::new(false),
            crc: Crc::new(),
        }))
    }

    /// Whether nothing but padding follows a member.
    fn is_at_end(&mut self) -> io::Result<bool> {
        let mut is_padded = false;
        loop {
            let rest = filled(&mut self.source)?;
            match rest.iter().position(|&byte| byte != 0) {
                _ if rest.is_empty() => return Ok(true),
                None => {
                    is_padded = true;
                    let count = rest.len();
                    self.source.consume(count);
                }
                Some(0) if !is_padded && rest[0] == MAGIC[0] => return Ok(false),
                Some(_) => {
                    let reason = "bytes follow its end that are neither padding (zeros) nor more compressed data";
                    return Err(damaged(reason));
                }
            }
        }
    }

    /// The next `N` bytes of `part`, which are no compressed ones.
    fn bytes<const N: usize>(&mut self, part: &str) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        match self.source.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                Err(damaged(&format!("the file is cut off in {part}")))
            }
            Err(e) => Err(e),
        }
    }

    /// Compares the member that has ended with the sum and the size behind it.
    fn check(&mut self, member: &Member) -> io::Result<()> {
        let trailer: [u8; 8] =
            self.bytes("the CRC-32 and size behind it, all before which are there")?;
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| trailer[at + i]));
        let (crc, size) = (member.crc.sum(), member.crc.amount());
        if word(0) != crc {
            let stated = word(0);
            return Err(damaged(&format!(
                "CRC-32 is {crc:08x}, expected {stated:08x}"
            )));
        }
        match word(4) == size {
            true => Ok(()),
            false => Err(damaged("its size is not the one it states")),
        }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let mut member = match self.member.take() {
                Some(member) => member,
                None => match self.next()? {
                    Some(member) => member,
                    None => return Ok(0),
                },
            };
            let input = filled(&mut self.source)?;
            let is_end = input.is_empty();
            let (before_in, before_out) = (member.stream.total_in(), member.stream.total_out());
            let status = member.stream.decompress(input, out, FlushDecompress::None);
            let used = (member.stream.total_in() - before_in) as usize;
            let made = (member.stream.total_out() - before_out) as usize;
            self.source.consume(used);
            member.crc.update(&out[..made]);
            match status.map_err(|_| damaged("no deflate stream"))? {
                Status::StreamEnd => self.check(&member)?,
                _ if made == 0 && is_end => return Err(ErrorKind::UnexpectedEof.into()),
                _ => self.member = Some(member),
            }
            if made > 0 {
                return Ok(made);
            }
        }
    }
}

/// What is buffered; empty at the end.
fn filled(source: &mut impl BufRead) -> io::Result<&[u8]> {
    // Twice, because a borrow that is returned cannot be retried.
    while let Err(e) = source.fill_buf() {
        if e.kind() != ErrorKind::Interrupted {
            return Err(e);
        }
    }
    source.fill_buf()
}

fn damaged(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn gz(content: &[u8]) -> Vec<u8> {
        let named = GzBuilder::new().filename("a").comment("b").extra("cd");
        let mut encoder = named.write(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // A small buffer, so that every part lies across its end once.
        let source = io::BufReader::with_capacity(7, bytes);
        Gunzip::new(source).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn members_and_zero_padding_are_read_as_gunzip_reads_them() {
        let long: Vec<u8> = (0..100_000_u32)
            .map(|i| (i.wrapping_mul(i) >> 7) as u8)
            .collect();
        assert_eq!(gunzip(&gz(&long)).unwrap(), long);
        assert_eq!(gunzip(&gz(b"")).unwrap(), b"");
        let two = [gz(b"one, "), gz(b"two")].concat();
        assert_eq!(gunzip(&two).unwrap(), b"one, two");
        assert_eq!(gunzip(&[two, vec![0; 512]].concat()).unwrap(), b"one, two");
    }

    #[test]
    fn each_fault_has_its_word() {
        let whole = gz(&[7; 1000]);
        let n = whole.len();
        let mut flipped = whole.clone();
        flipped[n - 6] ^= 1;
        let mut size = whole.clone();
        size[n - 1] ^= 1;
        let after = |tail: &[u8]| [&whole[..], tail].concat();
        let cases = [
            (after(b"more"), "bytes follow its end"),
            (after(b"\0\0\x1f\x8b"), "bytes follow its end"),
            (after(b"\x1f\x8b"), "cut off in its header"),
            (whole[..n - 3].to_vec(), "CRC-32 and size behind it"),
            (whole[..n - 8].to_vec(), "CRC-32 and size behind it"),
            (whole[..n - 9].to_vec(), "unexpected end of file"),
            (whole[..5].to_vec(), "cut off in its header"),
            (flipped, "CRC-32 is"),
            (size, "its size"),
        ];
        for (bytes, part) in cases {
            let message = gunzip(&bytes).unwrap_err().to_string();
            assert!(message.contains(part), "expected `{part}` in `{message}`");
        }
    }
}
