//! Human-readable counts and sizes.

use std::fmt::Display;

/// "1 step", "2 steps": a count with its noun, which takes an s.
pub fn counted<N: Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    let ending = if n == N::from(1) { "" } else { "s" };
    format!("{n} {noun}{ending}")
}

/// Bytes in the unit that leaves at least one digit before the point: "4 B", "1.5 KiB", "10.1 MiB", "2.0 GiB".
pub fn size(bytes: u64) -> String {
    let scaled = |power: u32| bytes as f64 / f64::from(1_u32 << power);
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{:.1} KiB", scaled(10)),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", scaled(20)),
        _ => format!("{:.1} GiB", scaled(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_no_plural() {
        let said = [0_u64, 1, 2].map(|n| counted(n, "step"));
        assert_eq!(said, ["0 steps", "1 step", "2 steps"]);
        assert_eq!(counted(1_usize, "thread"), "1 thread");
    }

    #[test]
    fn a_size_has_the_unit_that_it_fills() {
        for (bytes, text) in [
            (0, "0 B"),
            (4, "4 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (10_590_000, "10.1 MiB"),
            (1 << 31, "2.0 GiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }
}
