//! `audit export`: the audit of a tenant as JSON lines. The first line names the tenant and the signing key,
//! then come the turns in commit order, then the signed checkpoints.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::json;

use super::Shell;
use crate::control::Reply;
use crate::control::request::Request;
use crate::failure::Failure;

/// Turns of one page.
const PAGE: u32 = 1_000;

/// Exports.
pub fn run(shell: &Shell, output: Option<&Path>) -> Result<(), Failure> {
    let cannot =
        |e: std::io::Error| Failure::unreachable(format!("TL0610 cannot write the export: {e}"));
    let mut out: Box<dyn Write> = match output {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(cannot)?)),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    let count = shell.with_client(async |shell, client| {
        let other = || Failure::unreachable("the server gave another answer than was asked for");
        let Reply::AuditHead(head) = client.ask(shell.envelope(Request::AuditHead)).await? else {
            return Err(other());
        };
        let first = json!({ "kind": "audit", "v": 1, "tenant": head.tenant, "public_key": head.public_key });
        writeln!(out, "{first}").map_err(cannot)?;
        let (mut after, mut count) = (0, 0u64);
        loop {
            let request = Request::AuditPage { after, limit: PAGE };
            let Reply::AuditPage(page) = client.ask(shell.envelope(request)).await? else {
                return Err(other());
            };
            for mut turn in page.turns {
                turn["kind"] = json!("turn");
                writeln!(out, "{turn}").map_err(cannot)?;
                count += 1;
            }
            match page.after {
                Some(next) => after = next,
                None => break,
            }
        }
        for c in head.checkpoints {
            let mut line = serde_json::to_value(&c).unwrap_or_default();
            line["kind"] = json!("checkpoint");
            writeln!(out, "{line}").map_err(cannot)?;
        }
        out.flush().map_err(cannot)?;
        Ok(count)
    })?;
    if let Some(path) = output {
        let turns = crate::text::count(count, "turn");
        println!("{turns} in {}; verify it anywhere", path.display());
        println!("  throughline audit verify {}", path.display());
    }
    Ok(())
}
