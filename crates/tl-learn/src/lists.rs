//! Word lists kept as one string each: readable as prose, and one line does not become one word.

/// Whether a list separated by blanks holds this word.
pub(crate) fn has_word(list: &str, word: &str) -> bool {
    list.split(' ').any(|w| w == word)
}

/// The entries of a list separated by `|`; entries may hold blanks.
pub(crate) fn phrases(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split('|')
}
