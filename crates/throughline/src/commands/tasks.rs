//! Deciding a task. An approval covers exactly what was shown: without a digest on the command line it is shown
//! and asked about, and where nobody can be asked the digest is required.

use std::io::{BufRead, IsTerminal, Write};

use super::{Shell, print};
use crate::cli::Decision;
use crate::control::Reply;
use crate::control::request::{Decide, Request};
use crate::failure::Failure;

/// The decision as it was typed.
pub struct Decided {
    pub task: String,
    pub decision: Decision,
    pub reason: String,
    pub digest: Option<String>,
    pub set: Vec<(String, String)>,
    pub note: Option<String>,
}

/// Decides.
pub fn decide(shell: &Shell, d: Decided) -> Result<(), Failure> {
    let mut digest = d.digest;
    if matches!(d.decision, Decision::Approve | Decision::Edit) && digest.is_none() {
        digest = ask_for_digest(shell, &d.task)?;
    }
    let decision = match d.decision {
        Decision::Approve => "approve",
        Decision::Edit => "edit",
        Decision::Reject => "reject",
        Decision::Accept => "accept",
        Decision::Close => "close",
    };
    shell.print(Request::TaskDecide(Decide {
        id: d.task,
        decision: decision.into(),
        reason: d.reason,
        note: d.note,
        set: d.set,
        digest,
    }))
}

/// Shows what would be sent and asks; `None` where the task sends nothing.
fn ask_for_digest(shell: &Shell, task: &str) -> Result<Option<String>, Failure> {
    let Reply::Task(sheet) = shell.ask(Request::TaskShow {
        id: task.to_owned(),
    })?
    else {
        return Err(Failure::unreachable(
            "the server gave another answer than was asked for",
        ));
    };
    let Some(sends) = sheet.sends.as_ref().filter(|_| sheet.task.closed.is_none()) else {
        return Ok(None);
    };
    if !std::io::stdin().is_terminal() {
        let short: String = sends.digest.chars().take(12).collect();
        return Err(Failure::usage(format!(
            "an approval names what was shown: look at `throughline task show {task}` and pass --digest {short}… as it prints"
        )));
    }
    eprint!("{}", print::what_is_sent(sends));
    if confirm("Send exactly this?")? {
        Ok(Some(sends.digest.clone()))
    } else {
        Err(Failure::refused("nothing was decided"))
    }
}

/// Asks a person a question; only yes is yes.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    eprint!("{question} [y/N] ");
    // The question is for a person; where it cannot be shown, no answer comes either.
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|e| Failure::unreachable(format!("no answer can be read: {e}")))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
