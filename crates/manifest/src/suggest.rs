//! "Did you mean". In: a word and the words there are. Out: the one that was probably meant, or nothing.

/// The candidate nearest to `word`, if it is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(80).flat_map(char::to_lowercase).collect();
    let slips = (word.len() / 2).min(2);
    let near = candidates
        .iter()
        .map(|c| (distance(&word, c), *c))
        .filter(|(d, _)| *d <= slips);
    near.min_by_key(|(d, _)| *d).map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions (Levenshtein), one row at a time.
fn distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, cb) in b.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((ca, diagonal), above) in a.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            let substituted = diagonal + usize::from(*ca != cb);
            next.push(substituted.min(left + 1).min(above + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_near() {
        let words = ["source", "build", "grants", "limits"];
        assert_eq!(nearest("sorce", &words), Some("source"));
        assert_eq!(nearest("Grant", &words), Some("grants"));
        assert_eq!(nearest("sede", &["seed", "backend"]), Some("seed"));
        assert_eq!(nearest("image", &words), None);
        assert_eq!(nearest("", &words), None);
        assert_eq!(nearest("x", &["a", ""]), None);
    }
}
