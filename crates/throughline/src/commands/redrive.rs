//! Sending again what was given up: a group goes a few each second, and stops by itself when what was mended is not.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Shell, print};
use crate::cli::Redrive;
use crate::control::Reply;
use crate::control::request::Request;
use crate::control::socket::Client;
use crate::control::views::{GroupSheet, Outcomes};
use crate::failure::Failure;
use crate::text::count;

/// Effects whose end is known before the share that failed again says something.
const SAID: u32 = 5;
/// How long nothing may happen to what was sent before it is thought that nobody sends.
const SILENCE: Duration = Duration::from_secs(10);
/// How often it is asked what became of them.
const LOOK: Duration = Duration::from_millis(200);

/// What came of it.
#[derive(Debug, Serialize)]
struct Came {
    group: String,
    /// Effects that were made ready.
    sent: u32,
    done: u32,
    failed: u32,
    /// Those of which nothing was known at the end.
    under_way: u32,
    /// Why the rest was left alone.
    stopped: Option<String>,
    /// Effects of the group that were left alone.
    left: u32,
}

/// Runs it.
pub fn run(shell: &Shell, args: Redrive) -> Result<(), Failure> {
    let reason = args.reason.clone().unwrap_or_default();
    let Some(group) = args.group.clone() else {
        return shell.print(Request::Redrive {
            ids: args.effects,
            group: None,
            reason,
        });
    };
    let limit = args.limit;
    let asked = shell.ask(Request::GroupShow { group, limit })?;
    let Reply::Group(sheet) = asked else {
        return Err(Failure::unreachable(
            "the server gave another answer than was asked for",
        ));
    };
    if args.dry_run {
        print::reply(&Reply::Group(sheet), shell.json);
        return Ok(());
    }
    may_go(&sheet, args.none_happened)?;
    let came = shell.with_client(async |shell, client| {
        let mut run = Run {
            shell,
            client,
            args: &args,
            reason,
            sent: 0,
            known: Outcomes::default(),
        };
        let stopped = run.all(&sheet.sends).await?;
        Ok(Came {
            group: sheet.group.group.clone(),
            sent: run.sent,
            done: run.known.done,
            failed: run.known.failing,
            under_way: run.known.waiting.len() as u32,
            left: sheet.sends.len() as u32 - run.sent,
            stopped,
        })
    })?;
    told(shell, &came)
}

/// What a look at the group says against sending it.
fn may_go(sheet: &GroupSheet, none_happened: bool) -> Result<(), Failure> {
    let group = &sheet.group;
    if group.uncertain && !none_happened {
        return Err(Failure::refused(format!(
            "TL0728 the effects of {} may have happened. Look at the other system first; where none of them is there, \
             add --none-happened. One by one: `throughline effect resolve`",
            group.group
        )));
    }
    if let Some(why) = &sheet.connection_fault {
        return Err(Failure::refused(format!(
            "TL0728 nothing would go out: {why}"
        )));
    }
    if sheet.sends.is_empty() {
        return Err(Failure::refused(format!(
            "TL0728 the time of all {} has passed: they are not sent any more. `throughline case reopen` decides a case \
             anew",
            count(u64::from(group.effects), "effect")
        )));
    }
    Ok(())
}

struct Run<'a> {
    shell: &'a Shell,
    client: &'a mut Client,
    args: &'a Redrive,
    reason: String,
    sent: u32,
    /// What became of them; each is asked about until something is known.
    known: Outcomes,
}

impl Run<'_> {
    /// Sends them, some each second; why it stopped before the end.
    async fn all(&mut self, ids: &[String]) -> Result<Option<String>, Failure> {
        for batch in ids.chunks(self.args.per_second as usize) {
            let second = Instant::now();
            let request = Request::Redrive {
                ids: batch.to_vec(),
                group: None,
                reason: self.reason.clone(),
            };
            self.client.ask(self.shell.envelope(request)).await?;
            self.sent += batch.len() as u32;
            self.known.waiting.extend_from_slice(batch);
            // What is on its way ends before more goes out, so that the share of those that fail is known.
            if let Some(why) = self.settled().await? {
                return Ok(Some(why));
            }
            self.progress(ids.len());
            if (self.sent as usize) < ids.len() {
                tokio::time::sleep(Duration::from_secs(1).saturating_sub(second.elapsed())).await;
            }
        }
        Ok(None)
    }

    /// Waits until it is known of all that were sent what became of them; why nothing more is to be sent.
    async fn settled(&mut self) -> Result<Option<String>, Failure> {
        let mut since = Instant::now();
        loop {
            let before = self.known.waiting.len();
            self.look().await?;
            let (failing, ended) = (self.known.failing, self.known.done + self.known.failing);
            if ended >= SAID.min(self.sent) && failing * 100 > self.args.stop_at * ended {
                return Ok(Some(format!(
                    "{failing} of {ended} came to grief again ({})",
                    self.known.code
                )));
            }
            let waiting = self.known.waiting.len();
            if waiting == 0 {
                return Ok(None);
            }
            if waiting != before {
                since = Instant::now();
            }
            if since.elapsed() > SILENCE {
                return Ok(Some(format!(
                    "{waiting} wait, and nothing has happened to them for {} s: does a server run, and is no switch set? \
                     `throughline status` says",
                    SILENCE.as_secs()
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let request = Request::Outcomes {
            ids: self.known.waiting.clone(),
            reason: self.reason.clone(),
        };
        let Reply::Outcomes(new) = self.client.ask(self.shell.envelope(request)).await? else {
            return Err(Failure::unreachable(
                "the server gave another answer than was asked for",
            ));
        };
        self.known.done += new.done;
        self.known.failing += new.failing;
        self.known.waiting = new.waiting;
        if self.known.code.is_empty() {
            self.known.code = new.code;
        }
        Ok(())
    }

    fn progress(&self, of: usize) {
        if !self.shell.json && std::io::stderr().is_terminal() {
            let (done, failing) = (self.known.done, self.known.failing);
            eprintln!("{} of {of}: {done} done, {failing} failed again", self.sent);
        }
    }
}

fn told(shell: &Shell, came: &Came) -> Result<(), Failure> {
    if shell.json {
        println!("{}", serde_json::to_string_pretty(came).unwrap_or_default());
    } else {
        println!(
            "{} sent again: {} done, {} failed again, {} under way",
            count(u64::from(came.sent), "effect"),
            came.done,
            came.failed,
            came.under_way
        );
    }
    match &came.stopped {
        None => Ok(()),
        Some(why) => Err(Failure::refused(format!(
            "TL0728 stopped: {why}. {} were left alone; `throughline dead groups` shows what there is now",
            came.left
        ))),
    }
}
