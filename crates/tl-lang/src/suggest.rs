//! "Did you mean": the nearest of the known words.

/// The known word nearest to the one written, if it is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let one = lower.strip_suffix("ies").map(|stem| format!("{stem}y"));
    let most = (written.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|k| {
            let known = k.to_lowercase();
            let near = distance(&lower, &known);
            // Of several the key speaks of one.
            let plural = one.as_ref().is_some_and(|o| *o == known);
            (if plural { near.min(1) } else { near }, k)
        })
        .filter(|(d, _)| *d <= most)
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Edits between two words; swapping two neighbours counts as one.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Words as a sentence part: `a`, `b` and `c`.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|w| format!("`{w}`")).collect();
    match words.as_slice() {
        [] => "none".into(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["rules_engine", "feature_flags", "rules", "tables", "policy"];
        let table = [
            ("rule_engine", Some("rules_engine")),
            ("rulse", Some("rules")),
            ("Tables", Some("tables")),
            ("policies", Some("policy")),
            ("banana", None),
            ("x", None),
        ];
        for (written, want) in table {
            assert_eq!(nearest(written, known), want, "{written}");
        }
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
