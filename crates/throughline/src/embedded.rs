//! What the binary carries: error pages, the page on decisions, and project templates.

/// What every word of a decision means: `docs/concepts/decision.md` as it is.
pub const DECISION: &str = include_str!("../../../docs/concepts/decision.md");

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The page about an error code.
pub fn page(code: &str) -> Option<&'static str> {
    PAGES
        .iter()
        .find(|(c, _)| *c == code)
        .map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Every code that stands in the sources of the product.
    fn codes_in(dir: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                codes_in(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for (at, _) in text.match_indices("TL") {
                    let code = text.get(at..at + 6).unwrap_or_default();
                    if crate::failure::is_code(code) {
                        found.insert(code.to_owned());
                    }
                }
            }
        }
    }

    #[test]
    fn every_code_has_a_page_and_every_page_its_parts() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut codes = BTreeSet::new();
        for entry in std::fs::read_dir(crates).unwrap().flatten() {
            let src = entry.path().join("src");
            if src.is_dir() {
                codes_in(&src, &mut codes);
            }
        }
        let missing: Vec<&String> = codes.iter().filter(|c| page(c).is_none()).collect();
        assert!(
            missing.is_empty(),
            "write docs/errors/CODE.md for {missing:?}"
        );
        for (code, text) in PAGES {
            assert!(
                text.starts_with(&format!("# {code}")),
                "{code} begins with its title"
            );
        }
    }
}
