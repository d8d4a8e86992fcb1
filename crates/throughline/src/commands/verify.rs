//! `audit verify`: the verifier, which shares no code with what wrote the export, on the command line.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::Shell;
use crate::failure::Failure;
use crate::text::count;
use crate::verifier::{checkpoints, verify};

/// Verifies a file and says so, or names the first bad place.
pub fn run(
    shell: &Shell,
    file: &Path,
    key: Option<&str>,
    outside: Option<&Path>,
) -> Result<(), Failure> {
    let open = |path: &Path| {
        File::open(path)
            .map(BufReader::new)
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => {
                    Failure::not_found(format!("there is no file {}", path.display()))
                }
                _ => Failure::unreachable(format!("TL0620 cannot read {}: {e}", path.display())),
            })
    };
    let bad = |e: String| Failure::refused(format!("TL0910 {e}"));
    let outside = match outside {
        Some(path) => Some(checkpoints(open(path)?).map_err(bad)?),
        None => None,
    };
    let verdict = verify(open(file)?, key, outside.as_deref()).map_err(bad)?;
    let open_turns = verdict.turns as u64 - verdict.covered;
    if shell.json {
        let out = serde_json::json!({
            "ok": true, "turns": verdict.turns, "checkpoints": verdict.checkpoints,
            "not_yet_signed": open_turns, "public_key": verdict.public_key,
        });
        println!("{out}");
        return Ok(());
    }
    println!(
        "verified: {} and {}",
        count(verdict.turns as u64, "turn"),
        count(verdict.checkpoints as u64, "signed checkpoint")
    );
    println!(
        "newer than the last checkpoint and not yet signed: {}",
        count(open_turns, "turn")
    );
    if key.is_none() {
        println!(
            "signed by the key below; compare it with the one you know, or pass that as --key"
        );
        println!("  {}", verdict.public_key);
    }
    Ok(())
}
