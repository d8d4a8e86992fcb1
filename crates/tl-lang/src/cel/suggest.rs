//! The nearest of the names there are, for a name there is not.

/// The candidate nearest to `word`, if one is near enough to be meant. A difference in case only, or between
/// `-` and `_`, is none; of equally near ones the first wins.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = plain(word);
    let far = (word.len() / 3).clamp(1, 3) + 1;
    candidates
        .into_iter()
        .map(|c| (distance(&word, &plain(c)), c))
        .filter(|(d, _)| *d < far)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

fn plain(word: &str) -> Vec<char> {
    word.chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c == '-' { '_' } else { c })
        .take(64)
        .collect()
}

/// The edit distance: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(last[j] + 1).min(row[j - 1] + 1);
            let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if swapped {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_found() {
        let names = ["country", "county", "requester", "vip", "body"];
        let table = [
            ("contry", Some("country")),
            ("cuontry", Some("country")),
            ("Country", Some("country")),
            ("reqester", Some("requester")),
            ("vpi", Some("vip")),
            ("bdy", Some("body")),
            ("subject", None),
            ("x", None),
        ];
        for (word, want) in table {
            assert_eq!(nearest(word, names), want, "{word}");
        }
    }
}
