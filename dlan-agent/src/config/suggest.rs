//! Finds what a mistyped word was meant to be.

/// Longest word that is compared, in characters: names are short, and the comparison is quadratic.
const WORD_MAX: usize = 40;

/// Returns the candidate with the fewest typing mistakes between it and `word`, if they are few enough; the first of equals.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word: Vec<char> = word.to_ascii_lowercase().chars().take(WORD_MAX + 1).collect();
    if word.len() > WORD_MAX {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|&(mistakes, candidate)| mistakes <= allowed_mistakes(candidate))
        .min_by_key(|&(mistakes, _)| mistakes)
        .map(|(_, candidate)| candidate.to_owned())
}

/// A third of the word may be wrong, at least one character and at most three.
fn allowed_mistakes(candidate: &str) -> usize {
    (candidate.len() / 3).clamp(1, 3)
}

/// Counts insertions, deletions, replacements and swaps of neighbors (optimal string alignment).
fn distance(word: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=candidate.len()).collect();
    let mut earlier = None;
    for (row, &typed) in word.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut left = None;
        for (column, &meant) in candidate.iter().enumerate() {
            let at = |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&above, column) + usize::from(typed != meant);
            let mut least = replaced.min(at(&above, column + 1) + 1).min(at(&current, column) + 1);
            if earlier == Some(meant) && left == Some(typed) {
                least = least.min(at(&before, column.saturating_sub(1)) + 1);
            }
            current.push(least);
            left = Some(meant);
        }
        before = above;
        above = current;
        earlier = Some(typed);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const NAMES: [&str; 5] = ["host_id", "public_key", "endpoint", "cost", "mtu"];

    #[test]
    fn one_mistake_of_any_kind_is_forgiven() {
        for (typed, meant) in [
            ("hostid", "host_id"),
            ("hots_id", "host_id"),
            ("endpiont", "endpoint"),
            ("costs", "cost"),
            ("MTU", "mtu"),
            ("publickey", "public_key"),
        ] {
            assert_eq!(nearest(typed, NAMES).as_deref(), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_different_word_is_not_guessed_at() {
        for typed in ["", "x", "colour", "address", &"host_id".repeat(30)] {
            assert_eq!(nearest(typed, NAMES), None, "{typed}");
        }
    }
}
