//! `audit verify`: checks an export by itself. Deliberately shares no code with what wrote it: hashes, tree,
//! chain and signatures are computed here from the published rules.
//!
//! 1. `leaf = SHA-256(0x00 ‖ head)` for every turn;
//! 2. the head of a case's turn names the leaf of the turn before it, and its number; what was refused has number 0
//!    and stands outside of the chain;
//! 3. the root over the first `size` leaves (RFC 9162, section 2.1.1) is the one that a checkpoint states;
//! 4. what stands beside a head for reading is what its bytes say, word for word;
//! 5. the checkpoint's signature (Ed25519) covers `throughline/TENANT\nSIZE\nROOT\n`.

mod spelled;

use std::collections::BTreeMap;
use std::io::BufRead;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use spelled::Item;

type Hash = [u8; 32];

/// What a sound export holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Turns.
    pub turns: usize,
    /// Signed checkpoints.
    pub checkpoints: usize,
    /// Turns that the last checkpoint covers.
    pub covered: u64,
    /// Who signed, hexadecimal.
    pub public_key: String,
}

/// Verifies an export; the error names the first bad place.
pub fn verify(
    lines: impl BufRead,
    key: Option<&str>,
    outside: Option<&[Stated]>,
) -> Result<Verdict, String> {
    let mut lines = lines.lines().enumerate();
    let head = match lines.next() {
        Some((_, Ok(line))) => json(1, &line)?,
        _ => return Err("line 1: the export is empty".into()),
    };
    if text(&head, "kind") != "audit" || head["v"] != 1 {
        return Err("line 1: this is no export of an audit".into());
    }
    let (tenant, public_key) = (
        text(&head, "tenant").to_owned(),
        text(&head, "public_key").to_owned(),
    );
    if key.is_some_and(|k| !k.trim().eq_ignore_ascii_case(&public_key)) {
        return Err(format!(
            "line 1: the export is signed by {public_key}, not by the key you know"
        ));
    }
    let signer =
        unhex::<32>(&public_key).ok_or("line 1: the public key is not 64 hexadecimal digits")?;
    let signer = UnparsedPublicKey::new(&ED25519, signer);
    let mut leaves: Vec<Hash> = Vec::new();
    let mut cases: BTreeMap<Vec<u8>, (u64, Hash)> = BTreeMap::new();
    let mut roots = Roots::default();
    let (mut checkpoints, mut covered) = (Vec::new(), 0);
    for (i, line) in lines {
        let n = i + 1;
        let line = line.map_err(|e| format!("line {n}: {e}"))?;
        let value = json(n, &line)?;
        match text(&value, "kind") {
            "turn" if checkpoints.is_empty() => {
                let leaf = turn(&value, &mut cases).map_err(|e| format!("line {n}: {e}"))?;
                leaves.push(leaf);
                roots.push(leaf);
            }
            "checkpoint" => {
                let stated = Stated {
                    tenant: tenant.clone(),
                    size: value["size"].as_u64().unwrap_or(u64::MAX),
                    root: text(&value, "root").to_owned(),
                    signature: text(&value, "signature").to_owned(),
                };
                checkpoint(&stated, &roots, &signer).map_err(|e| format!("line {n}: {e}"))?;
                covered = covered.max(stated.size);
                checkpoints.push(stated);
            }
            other => {
                return Err(format!(
                    "line {n}: a line of kind `{other}` does not belong here"
                ));
            }
        }
    }
    for stated in outside.into_iter().flatten().filter(|s| s.tenant == tenant) {
        checkpoint(stated, &roots, &signer)
            .map_err(|e| format!("checkpoint file, size {}: {e}", stated.size))?;
        covered = covered.max(stated.size);
    }
    Ok(Verdict {
        turns: leaves.len(),
        checkpoints: checkpoints.len(),
        covered,
        public_key,
    })
}

/// A checkpoint as it is stated somewhere.
#[derive(Debug)]
pub struct Stated {
    tenant: String,
    size: u64,
    root: String,
    signature: String,
}

fn checkpoint(
    stated: &Stated,
    roots: &Roots,
    signer: &UnparsedPublicKey<[u8; 32]>,
) -> Result<(), String> {
    let Stated {
        tenant,
        size,
        root,
        signature,
    } = stated;
    let ours = roots.at(*size).ok_or(format!(
        "it covers {size} turns, the export holds {}",
        roots.leaves.len()
    ))?;
    if hex(&ours) != *root {
        return Err(format!(
            "the root over {size} turns is {}, it states {root}",
            hex(&ours)
        ));
    }
    let note = format!("throughline/{tenant}\n{size}\n{root}\n");
    let bytes = hex::decode(signature).map_err(|_| "the signature is not hexadecimal")?;
    signer
        .verify(note.as_bytes(), &bytes)
        .map_err(|_| "the signature is not of this key".to_owned())
}

/// Checks a turn's leaf and its place in the chain of its case.
fn turn(value: &Value, cases: &mut BTreeMap<Vec<u8>, (u64, Hash)>) -> Result<Hash, String> {
    let head = STANDARD
        .decode(text(value, "head"))
        .map_err(|_| "the head is not base 64")?;
    let leaf = sha256(&[&[0], &head]);
    if hex(&leaf) != text(value, "leaf") {
        return Err(format!("the leaf of this head is {}", hex(&leaf)));
    }
    let head = Item::head(&head).ok_or("the head cannot be read")?;
    let other = spelled::differs(&head, value)?;
    if !other.is_empty() {
        let names = other.join("`, `");
        return Err(format!(
            "what stands beside the head is not what it says: `{names}`"
        ));
    }
    let (case, seq, prev) = link(&head).ok_or("the head cannot be read")?;
    // Control stream and refusals: leaves of the tree and links of no chain. A refusal names the case it was about.
    if case.iter().all(|b| *b == 0) || seq == 0 {
        return match prev == [0; 32] {
            true => Ok(leaf),
            false => Err("a leaf outside of every chain names a leaf before it".into()),
        };
    }
    let before = cases.get(&case).copied().unwrap_or((0, [0; 32]));
    if (seq, prev) != (before.0 + 1, before.1) {
        return Err(format!(
            "turn {seq} of its case does not follow the turn before it"
        ));
    }
    cases.insert(case, (seq, leaf));
    Ok(leaf)
}

/// The parts of a head that make the chain: positions 2 (case), 3 (number), 4 (leaf before).
fn link(head: &[Item]) -> Option<(Vec<u8>, u64, Hash)> {
    let case = head[2].bytes()?.to_vec();
    let seq = u64::try_from(head[3].number()?).ok()?;
    let prev = head[4].bytes()?.try_into().ok()?;
    Some((case, seq, prev))
}

/// The leaves, and for every power of two the hashes of the complete subtrees, so that any root is quick.
#[derive(Default)]
struct Roots {
    leaves: Vec<Hash>,
    levels: Vec<Vec<Hash>>,
}

impl Roots {
    fn push(&mut self, leaf: Hash) {
        self.leaves.push(leaf);
        let (mut level, mut hash) = (0, leaf);
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
            let row = &self.levels[level];
            if row.len() % 2 == 1 {
                return;
            }
            hash = node(&row[row.len() - 2], &row[row.len() - 1]);
            level += 1;
        }
    }

    /// The root over the first leaves.
    fn at(&self, size: u64) -> Option<Hash> {
        let size = usize::try_from(size)
            .ok()
            .filter(|s| *s <= self.leaves.len())?;
        if size == 0 {
            return Some(sha256(&[]));
        }
        // From the smallest complete subtree at the right end up to the largest at the left.
        let mut root: Option<Hash> = None;
        for level in 0..usize::BITS as usize {
            if size >> level & 1 == 1 {
                let index = (size >> level) - 1;
                let part = self.levels.get(level)?.get(index)?;
                root = Some(root.map_or(*part, |right| node(part, &right)));
            }
        }
        root
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, &parts.concat()).as_ref());
    out
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex::decode(text).ok()?.try_into().ok()
}

fn json(line: usize, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|_| format!("line {line}: not JSON"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The checkpoint file: blocks of four lines (origin, size, root, signature) with an empty line between them.
pub fn checkpoints(lines: impl BufRead) -> Result<Vec<Stated>, String> {
    let damaged = |why: &str| format!("the checkpoint file is damaged: {why}");
    let all: Vec<String> = lines
        .lines()
        .collect::<Result<_, _>>()
        .map_err(|e| damaged(&e.to_string()))?;
    let full: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|l| !l.is_empty())
        .collect();
    full.chunks(4)
        .map(|block| match block {
            [origin, size, root, signature] => Ok(Stated {
                tenant: origin
                    .strip_prefix("throughline/")
                    .ok_or_else(|| damaged(origin))?
                    .to_owned(),
                size: size.parse().map_err(|_| damaged(size))?,
                root: (*root).to_owned(),
                signature: (*signature).to_owned(),
            }),
            _ => Err(damaged("a block is cut off")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    fn head(case: u8, seq: u8, prev: &Hash) -> Vec<u8> {
        let mut out = vec![0x8c, 0x01, 0x01, 0x50];
        out.extend([case; 16]);
        out.extend([seq, 0x58, 0x20]);
        out.extend(prev);
        // At 0, the engine, without a correlation id, versions 1 and 1, no entry, no body.
        out.extend([0x00, 0x82, 0x00, 0x80, 0x60, 0x01, 0x01, 0x80, 0x40]);
        out
    }

    /// The line of a turn as the export writes it.
    fn line(head: &[u8]) -> serde_json::Value {
        let mut line = spelled::of(&Item::head(head).unwrap()).unwrap();
        let leaf = hex(&sha256(&[&[0], head]));
        for (name, value) in [
            ("kind", "turn".to_owned()),
            ("head", STANDARD.encode(head)),
            ("leaf", leaf),
        ] {
            line.insert(name.into(), value.into());
        }
        line.into()
    }

    /// An export of three turns (two of a case, and `between` them another) and a checkpoint over all.
    fn export(between: Vec<u8>) -> Vec<String> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let first = head(7, 1, &[0; 32]);
        let second = head(7, 2, &sha256(&[&[0], &first]));
        let heads = [first, between, second];
        let leaves: Vec<Hash> = heads.iter().map(|h| sha256(&[&[0], h])).collect();
        let root = node(&node(&leaves[0], &leaves[1]), &leaves[2]);
        let note = format!("throughline/t\n3\n{}\n", hex(&root));
        let mut out = vec![
            serde_json::json!({ "kind": "audit", "v": 1, "tenant": "t", "public_key": hex(pair.public_key().as_ref()) }).to_string(),
        ];
        out.extend(heads.iter().map(|h| line(h).to_string()));
        let sig = hex(pair.sign(note.as_bytes()).as_ref());
        out.push(serde_json::json!({ "kind": "checkpoint", "size": 3, "root": hex(&root), "signature": sig }).to_string());
        out
    }

    fn run(lines: &[String]) -> Result<Verdict, String> {
        verify(lines.join("\n").as_bytes(), None, None)
    }

    #[test]
    fn a_sound_export_verifies_and_every_change_is_found() {
        let good = export(head(0, 0, &[0; 32]));
        let verdict = run(&good).unwrap();
        assert_eq!(
            (verdict.turns, verdict.checkpoints, verdict.covered),
            (3, 1, 3)
        );
        let mut cut = good.clone();
        cut.remove(2);
        let mut swapped = good.clone();
        swapped.swap(1, 3);
        let mut dropped = good.clone();
        dropped.remove(1);
        let replaced =
            |from: &str, to: &str| good.iter().map(|l| l.replace(from, to)).collect::<Vec<_>>();
        let table = [
            (cut, "covers 3 turns"),
            (swapped, "does not follow"),
            (dropped, "does not follow"),
            (
                replaced("\"size\":3", "\"size\":2"),
                "the root over 2 turns",
            ),
            (
                replaced("\"tenant\":\"t\"", "\"tenant\":\"u\""),
                "signature",
            ),
            (replaced("\"v\":1", "\"v\":2"), "no export"),
            (
                replaced("\"leaf\":\"", "\"leaf\":\"0"),
                "the leaf of this head",
            ),
            (
                replaced("\"kind\":\"engine\"", "\"kind\":\"user\""),
                "`actor`",
            ),
            (replaced("1970", "1971"), "`at`"),
            (replaced("\"entries\":[]", "\"entries\":[{}]"), "`entries`"),
            (replaced("\"policy\":1,", ""), "`policy`"),
            (replaced("\"policy\"", "\"note\":1,\"policy\""), "`note`"),
            (Vec::new(), "empty"),
        ];
        for (lines, want) in table {
            let e = run(&lines).unwrap_err();
            assert!(e.contains(want), "{want} in {e}");
        }
        let e = verify(good.join("\n").as_bytes(), Some("00"), None).unwrap_err();
        assert!(e.contains("not by the key you know"));
    }

    #[test]
    fn what_was_refused_stands_outside_of_the_chain() {
        let refused_before_anything = head(8, 0, &[0; 32]);
        let table = [
            (head(7, 0, &[0; 32]), ""),
            (refused_before_anything, ""),
            (head(7, 0, &[3; 32]), "names a leaf before it"),
            (head(7, 1, &[0; 32]), "does not follow"),
        ];
        for (between, want) in table {
            match run(&export(between)) {
                Ok(verdict) => assert!(want.is_empty() && verdict.covered == 3, "{want}"),
                Err(e) => assert!(!want.is_empty() && e.contains(want), "{want}: {e}"),
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        fn by_definition(leaves: &[Hash]) -> Hash {
            match leaves {
                [] => sha256(&[]),
                [one] => *one,
                many => {
                    let k = many.len().next_power_of_two() / 2;
                    node(&by_definition(&many[..k]), &by_definition(&many[k..]))
                }
            }
        }
        let leaves: Vec<Hash> = (0..40u8).map(|i| sha256(&[&[i]])).collect();
        let mut roots = Roots::default();
        leaves.iter().for_each(|l| roots.push(*l));
        for n in 0..=leaves.len() {
            assert_eq!(roots.at(n as u64), Some(by_definition(&leaves[..n])), "{n}");
        }
        assert_eq!(roots.at(41), None);
    }
}
