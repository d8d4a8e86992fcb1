//! `import`: the rows of a file as messages of an endpoint. The file is looked through first, so that one that cannot be
//! read to its end changes nothing; then its rows go to the installation, some hundred at a time.

mod columns;
mod tally;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::columns::Columns;
use self::tally::Tally;
use super::Shell;
use crate::cli::{Import, Layout};
use crate::control::Reply;
use crate::control::import::{Imported, Row as Message, Rows, Taken};
use crate::control::request::Request;
use crate::control::socket::Client;
use crate::failure::Failure;
use crate::table::{Bad, Lines, Table};
use crate::text::count;

/// Rows that are handed over at once: the answer of so many comes long before anybody gives up waiting.
const BATCH: usize = 256;
/// Bytes that are handed over at once.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Most rows of a file.
const MOST_ROWS: u64 = 10_000_000;
/// So long nothing may be taken before the import gives up, s.
const PATIENCE: u32 = 600;

/// Imports.
pub fn run(shell: &Shell, args: &Import) -> Result<(), Failure> {
    let file = Source::of(args)?;
    let seen = file.look_through()?;
    let mut tally = Tally::new(args, seen.rows);
    let done = shell.with_client(async |shell, client| {
        let look = Request::ImportLook {
            endpoint: args.to.clone(),
        };
        let taken = match client.ask(shell.envelope(look)).await? {
            Reply::Taken(taken) => taken,
            _ => return Err(Failure::usage("another answer was expected")),
        };
        let reader = file.reader(args, &taken)?;
        if let Reader::Table(_, columns) = &reader {
            tally.unread.clone_from(&columns.unread);
        }
        let way = Way {
            shell,
            args,
            begins: format!("{} sha256:{}", count(seen.rows, "row"), seen.digest),
        };
        way.go(client, reader, &mut tally).await
    });
    if let Err(mut failure) = done {
        if tally.dealt > 0 && !args.dry_run {
            failure.message.push_str(&format!(
                ". {} of {} were dealt with; the same command goes on where this one ended",
                tally.dealt,
                count(seen.rows, "row")
            ));
        }
        return Err(failure);
    }
    tally.print(shell.json);
    match tally.refused() {
        0 => Ok(()),
        n => Err(Failure::refused(format!(
            "{} of {} {} not taken: mend {} in the file and run the same command again; what was taken is recognised",
            n,
            count(seen.rows, "row"),
            if args.dry_run { "would be" } else { "were" },
            if n == 1 { "it" } else { "them" }
        ))),
    }
}

/// What was found when the file was looked through.
struct Seen {
    rows: u64,
    digest: String,
}

/// A file of rows.
struct Source<'a> {
    path: &'a Path,
    layout: Layout,
}

/// Rows, as they are read.
enum Reader {
    Table(Box<Table<BufReader<File>>>, Columns),
    Lines(Lines<BufReader<File>>, Option<String>),
}

/// The next row: a message, or why it is none.
type Next = (u64, Result<(String, Option<String>), String>);

impl<'a> Source<'a> {
    fn of(args: &'a Import) -> Result<Source<'a>, Failure> {
        let end = args.file.extension().and_then(|e| e.to_str());
        let layout = match (args.format, end.map(str::to_lowercase).as_deref()) {
            (Some(layout), _) => layout,
            (None, Some("csv" | "tsv")) => Layout::Csv,
            (None, Some("jsonl" | "ndjson")) => Layout::Jsonl,
            (None, _) => {
                return Err(Failure::usage(format!(
                    "how is {} laid out? Pass --format csv or --format jsonl",
                    args.file.display()
                )));
            }
        };
        if layout == Layout::Jsonl && !args.column.is_empty() {
            return Err(Failure::usage(
                "--column is for CSV: the lines of a JSON Lines file are the messages themselves",
            ));
        }
        Ok(Source {
            path: &args.file,
            layout,
        })
    }

    fn open(&self) -> Result<File, Failure> {
        super::send::open(self.path)
    }

    fn bad(&self, bad: &Bad) -> Failure {
        let shown = self.path.display();
        match bad {
            Bad::Read(e) => Failure::unreachable(format!("TL0620 cannot read {shown}: {e}")),
            other => Failure::refused(format!("{shown} {other}. Nothing was imported")),
        }
    }

    /// Reads to the end: how many rows there are, and the digest of the bytes.
    fn look_through(&self) -> Result<Seen, Failure> {
        let mut file = self.open()?;
        let digest = digest(&mut file).map_err(|e| self.bad(&Bad::Read(e)))?;
        let input = BufReader::new(self.open()?);
        let mut rows: u64 = 0;
        match self.layout {
            Layout::Csv => {
                for row in Table::new(input) {
                    row.map_err(|bad| self.bad(&bad))?;
                    rows += 1;
                }
                // The first one names the columns.
                rows = rows.saturating_sub(1);
            }
            Layout::Jsonl => {
                for line in Lines::new(input) {
                    line.map_err(|bad| self.bad(&bad))?;
                    rows += 1;
                }
            }
        }
        if rows == 0 || rows > MOST_ROWS {
            return Err(Failure::refused(format!(
                "{} has {}; an import takes from 1 to {MOST_ROWS}",
                self.path.display(),
                count(rows, "row")
            )));
        }
        Ok(Seen { rows, digest })
    }

    /// The rows, fitted to what the endpoint reads.
    fn reader(&self, args: &Import, taken: &Taken) -> Result<Reader, Failure> {
        let input = BufReader::new(self.open()?);
        if self.layout == Layout::Jsonl {
            return Ok(Reader::Lines(Lines::new(input), args.key.clone()));
        }
        let mut table = Table::new(input);
        let head = table.next().transpose().map_err(|bad| self.bad(&bad))?;
        let head = head.map(|row| row.cells).unwrap_or_default();
        let columns = Columns::fit(&head, taken, &args.column, args.key.as_deref())?;
        Ok(Reader::Table(Box::new(table), columns))
    }
}

fn digest(file: &mut File) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hex::encode(context.finish()));
        }
        context.update(&buffer[..n]);
    }
}

impl Reader {
    fn next(&mut self) -> Result<Option<Next>, Bad> {
        Ok(match self {
            Reader::Table(table, columns) => table
                .next()
                .transpose()?
                .map(|row| (row.line, columns.message(&row.cells))),
            Reader::Lines(lines, key) => lines.next().transpose()?.map(|(line, text)| {
                let key = key.as_deref().map(|path| key_of(&text, path)).transpose();
                (line, key.map(|key| (text, key)))
            }),
        })
    }
}

/// The key of a line: the part of its object under a path with dots.
fn key_of(text: &str, path: &str) -> Result<String, String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|e| format!("is no JSON: {e}"))?;
    let part = path.split('.').try_fold(&value, |v, name| v.get(name));
    match part {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(serde_json::Value::Number(number)) => Ok(number.to_string()),
        _ => Err(format!(
            "has no text or number in `{path}`, which --key names"
        )),
    }
}

/// From the file to the installation.
struct Way<'a> {
    shell: &'a Shell,
    args: &'a Import,
    begins: String,
}

impl Way<'_> {
    async fn go(
        &self,
        client: &mut Client,
        mut reader: Reader,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let bar = progress(tally.rows, self.shell.json);
        let mut begins = (!self.args.dry_run).then(|| self.begins.clone());
        loop {
            let (batch, end) = self.batch(&mut reader, tally)?;
            if !batch.is_empty() {
                self.hand_over(client, (batch, begins.take()), (tally, &bar))
                    .await?;
            }
            bar.set_position(tally.dealt);
            if self.shell.json {
                let told = serde_json::json!({ "dealt": tally.dealt, "of": tally.rows });
                eprintln!("{told}");
            }
            if end {
                bar.finish_and_clear();
                return Ok(());
            }
        }
    }

    /// The next rows, and whether they are the last. A row that is no message is told at once.
    fn batch(
        &self,
        reader: &mut Reader,
        tally: &mut Tally,
    ) -> Result<(Vec<Message>, bool), Failure> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let next = reader.next();
            let next = next
                .map_err(|bad| Failure::refused(format!("{} {bad}", self.args.file.display())))?;
            match next {
                None => return Ok((batch, true)),
                Some((line, Err(why))) => tally.no_message(line, why),
                Some((line, Ok((body, key)))) => {
                    bytes += body.len();
                    batch.push(Message { line, key, body });
                }
            }
        }
        Ok((batch, false))
    }

    /// Hands rows over until all are dealt with; where there is no room, waits for it.
    async fn hand_over(
        &self,
        client: &mut Client,
        (mut rows, begins): (Vec<Message>, Option<String>),
        (tally, bar): (&mut Tally, &ProgressBar),
    ) -> Result<(), Failure> {
        let mut waited = 0;
        while !rows.is_empty() {
            let asked = Request::ImportRows(Rows {
                endpoint: self.args.to.clone(),
                dry_run: self.args.dry_run,
                begins: begins.clone(),
                rows: rows.clone(),
            });
            let Imported { rows: done, wait } = match client.ask(self.shell.envelope(asked)).await?
            {
                Reply::Imported(imported) => imported,
                _ => return Err(Failure::usage("another answer was expected")),
            };
            rows.drain(..done.len().min(rows.len()));
            done.into_iter().for_each(|row| tally.take(row));
            let Some((why, seconds)) = wait else {
                continue;
            };
            if waited >= PATIENCE {
                return Err(Failure::conflict(format!(
                    "nothing could be taken for {waited} s: {why}"
                )));
            }
            bar.set_message(why);
            tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
            waited += seconds;
        }
        bar.set_message("");
        Ok(())
    }
}

fn progress(len: u64, json: bool) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} rows  {eta}  {msg}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_line_is_text_or_a_number() {
        let table = [
            (r#"{"id":"a"}"#, "id", Ok("a")),
            (r#"{"contact":{"nr":7}}"#, "contact.nr", Ok("7")),
            (r#"{"id":null}"#, "id", Err("has no text or number in `id`")),
            (r#"{"id":"a"}"#, "key", Err("`key`")),
            (r#"{"id":"#, "id", Err("is no JSON")),
        ];
        for (text, path, want) in table {
            match (key_of(text, path), want) {
                (Ok(key), Ok(want)) => assert_eq!(key, want, "{text}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }
}
