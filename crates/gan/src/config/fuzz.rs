//! No input makes the reader panic, and what it reads it also writes.

use proptest::prelude::*;

use super::*;

fn mnist() -> Config {
    Config::preset("mnist").unwrap()
}

/// What a wrong file may hold where a value or a key belongs.
const PIECES: &[&str] = &[
    "0",
    "-1",
    "1e999",
    "nan",
    "-inf",
    "99999999999999999999",
    "170141183460469231731687303715884105728",
    "0x7f",
    "1979-05-27",
    "true",
    "\"\"",
    "\"marginals\"",
    "\"maxout\"",
    "[]",
    "[[1]]",
    "{}",
    "{ uniform = 1 }",
    "'''\n'''",
    "h0",
    "=",
    "[",
    "]",
    "\"",
    "#",
    "\n",
    "[[generator.layer]]\n",
    "[optimizer]\n",
    "\u{0}",
    "\u{feff}",
    "\u{1f600}",
    "a.b.c = 1\n",
    "\r",
    "name",
    "kind = \"linear\"\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: prop::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(e) = Config::from_toml(&text, "fuzz") {
            prop_assert!(!e.to_string().is_empty());
        }
    }

    #[test]
    fn no_mutation_of_a_preset_makes_it_panic_and_what_reads_also_writes(
        tiny in any::<bool>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(PIECES)), 1..4),
    ) {
        let preset = Preset::find(if tiny { "tiny" } else { "mnist" }).unwrap();
        let mut text = Config::preset(preset.name).unwrap().to_toml();
        for (at, cut, piece) in &edits {
            let chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            let end = (at + cut).min(chars.len());
            text = chars[..at].iter().copied().chain(piece.chars()).chain(chars[end..].iter().copied()).collect();
        }
        match Config::from_toml(&text, "fuzz") {
            Ok(c) => prop_assert_eq!(Config::from_toml(&c.to_toml(), "again").unwrap(), c),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }

    #[test]
    fn no_value_in_place_of_another_makes_it_panic(line in any::<prop::sample::Index>(), piece in prop::sample::select(PIECES)) {
        let text = mnist().to_toml();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let line = line.index(lines.len());
        if let Some((key, _)) = text.lines().nth(line).unwrap().split_once(" = ") {
            lines[line] = format!("{key} = {piece}");
        }
        match Config::from_toml(&lines.join("\n"), "fuzz") {
            Ok(c) => prop_assert_eq!(Config::from_toml(&c.to_toml(), "again").unwrap(), c),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }

    #[test]
    fn no_option_makes_it_panic(key in "[a-z0-9_.= ]{0,30}", value in "\\PC{0,30}", known in prop::sample::select(PIECES)) {
        let _ = mnist().with(&[format!("{key}={value}")]);
        let _ = mnist().with(&[format!("generator.layer.h0.{key}={known}")]);
        let _ = mnist().with(&[value]);
    }
}
