//! What a mistyped name was meant to be.

/// The entry of `known` that is nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A word far longer than any key is no typing slip; do not measure it.
    if word.len() > 64 {
        return None;
    }
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), *k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_a_slip_and_ignores_a_stranger() {
        let known = ["kind", "lr", "lr_decay", "momentum"];
        assert_eq!(nearest("momentun", &known), Some("momentum"));
        assert_eq!(nearest("knid", &known), Some("kind"));
        assert_eq!(nearest("lrdecay", &known), Some("lr_decay"));
        assert_eq!(nearest("weight", &known), None);
        assert_eq!(nearest(&"k".repeat(100), &known), None);
    }
}
