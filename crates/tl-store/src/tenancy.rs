//! Every statement names its tenant. A debug build reads each text before it is prepared and stops where a table is
//! read or written without one; what goes across tenants stands in one list, `read::across`.
//!
//! A table is named when its tenant is compared with a value that is bound, or with the tenant of a table that is; in
//! an insert, when the tenant is among its columns. On PostgreSQL row-level security holds beside this, on SQLite
//! nothing does.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::read::across;
use crate::schema::{TABLES, Table};

/// Stops a debug build at a statement that may see more than one tenant and is not listed.
pub(crate) fn watch(sql: &str) {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if !cfg!(debug_assertions) {
        return;
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.contains(sql) {
        return;
    }
    let judged = judge(sql);
    if judged.is_ok() {
        seen.insert(sql.to_owned());
    }
    drop(seen);
    assert_eq!(
        judged,
        Ok(()),
        "name it, or list the statement in read::across: {sql}"
    );
}

/// Whether a statement keeps to a tenant, or is known not to. A plan reads nothing.
fn judge(sql: &str) -> Result<(), String> {
    if across::lists(sql) || sql.starts_with("EXPLAIN ") {
        return Ok(());
    }
    match unnamed(sql).first() {
        None => Ok(()),
        Some(table) => Err(format!("`{table}` is used without a tenant")),
    }
}

/// A table at a place where a statement reads or writes it.
struct Mention<'s> {
    table: &'static Table,
    alias: &'s str,
    scope: usize,
    named: bool,
}

/// A statement in words: enough of SQL for the texts of this crate, whose keywords are upper case.
struct Text<'s> {
    words: Vec<&'s str>,
    /// The `SELECT` that each word belongs to.
    scopes: Vec<usize>,
    /// The one around each `SELECT`.
    around: Vec<usize>,
}

/// The tables that a statement uses, and how often.
#[cfg(test)]
pub(crate) fn tables(sql: &str) -> Vec<&'static str> {
    let text = Text::read(sql);
    text.mentions().iter().map(|m| m.table.name).collect()
}

/// The tables that it uses without naming a tenant.
pub(crate) fn unnamed(sql: &str) -> Vec<&'static str> {
    let text = Text::read(sql);
    let mut mentions = text.mentions();
    let same = text.compare(&mut mentions);
    // Whoever has the tenant of a table that is named is named too.
    let mut more = true;
    while more {
        more = false;
        for (a, b) in &same {
            if mentions[*a].named != mentions[*b].named {
                (mentions[*a].named, mentions[*b].named) = (true, true);
                more = true;
            }
        }
    }
    let unnamed = mentions.iter().filter(|m| !m.named);
    unnamed.map(|m| m.table.name).collect()
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_?$".contains(c)
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
}

/// A parameter or a number.
fn is_value(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit() || "?$".contains(c))
}

impl<'s> Text<'s> {
    fn read(sql: &'s str) -> Text<'s> {
        let mut words = Vec::new();
        let mut rest = sql.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
                c if is_part(c) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
                c => c.len_utf8(),
            };
            let (word, tail) = rest.split_at(length);
            words.push(word);
            rest = tail.trim_start();
        }
        let mut text = Text {
            words,
            scopes: Vec::new(),
            around: vec![0],
        };
        text.nest();
        text
    }

    fn word(&self, at: usize) -> &'s str {
        self.words.get(at).copied().unwrap_or_default()
    }

    /// Finds which `SELECT` each word belongs to.
    fn nest(&mut self) {
        let mut open = vec![0];
        for at in 0..self.words.len() {
            let now = open.last().copied().unwrap_or(0);
            match self.word(at) {
                "(" if self.word(at + 1) == "SELECT" => {
                    open.push(self.around.len());
                    self.around.push(now);
                }
                "(" => open.push(now),
                ")" => {
                    open.pop();
                }
                "UNION" => {
                    open.pop();
                    open.push(self.around.len());
                    self.around.push(self.around[now]);
                }
                _ => {}
            }
            self.scopes.push(open.last().copied().unwrap_or(0));
        }
    }

    /// The tables that hold rows of tenants.
    fn mentions(&self) -> Vec<Mention<'s>> {
        let mut found = Vec::new();
        for at in 0..self.words.len() {
            let verb = self.word(at);
            if !["FROM", "JOIN", "INTO", "UPDATE"].contains(&verb) {
                continue;
            }
            let name = self.word(at + 1);
            let of_tenants = |t: &&Table| t.columns.iter().any(|c| c.name == "tenant");
            let mut tables = TABLES.iter().filter(of_tenants);
            let Some(table) = tables.find(|t| t.name == name) else {
                continue;
            };
            let alias = match self.word(at + 2) {
                "AS" => self.word(at + 3),
                word if is_name(word) => word,
                _ => name,
            };
            let columns = || self.words[at..].iter().take_while(|w| **w != ")");
            found.push(Mention {
                table,
                alias,
                scope: self.scopes[at],
                named: verb == "INTO" && columns().any(|w| *w == "tenant"),
            });
        }
        found
    }

    /// Notes the mentions whose tenant is a value; returns those whose tenant is the same.
    fn compare(&self, mentions: &mut [Mention<'_>]) -> Vec<(usize, usize)> {
        let mut same = Vec::new();
        for at in 0..self.words.len() {
            if self.word(at) != "tenant" {
                continue;
            }
            // No index on the tenant is wanted where `+ 0` stands.
            let end = match (self.word(at + 1), self.word(at + 2)) {
                ("+", "0") => at + 3,
                _ => at + 1,
            };
            let qualified = at >= 2 && self.word(at - 1) == ".";
            let alias = qualified.then(|| self.word(at.saturating_sub(2)));
            let Some(left) = self.find(mentions, alias, at) else {
                continue;
            };
            if self.word(end) != "=" {
                continue;
            }
            let (value, column) = (self.word(end + 1), self.word(end + 3));
            let of_another = self.word(end + 2) == ".";
            // Rows that travel as arrays are called `v`, with the columns `c1`, `c2`, …
            let travels = value == "v" && column.starts_with('c');
            if is_value(value) || of_another && travels {
                mentions[left].named = true;
            } else if of_another
                && column == "tenant"
                && let Some(right) = self.find(mentions, Some(value), at)
            {
                same.push((left, right));
            }
        }
        same
    }

    /// The table that a column at a place belongs to: of this alias, or the only one there is.
    fn find(&self, mentions: &[Mention<'_>], alias: Option<&str>, at: usize) -> Option<usize> {
        let mut scope = self.scopes[at];
        loop {
            let fits = |m: &Mention<'_>| m.scope == scope && alias.is_none_or(|a| a == m.alias);
            let mut found = (0..mentions.len()).filter(|i| fits(&mentions[*i]));
            match (found.next(), found.next()) {
                (Some(one), None) => return Some(one),
                (None, _) if scope > 0 => scope = self.around[scope],
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::looks::LOOKS;
    use crate::schema::Dialect;
    use crate::writes::WRITES;

    #[test]
    fn a_statement_without_a_tenant_is_seen() {
        for (sql, want) in [
            (
                "SELECT body FROM turn_body WHERE ord = ?1",
                vec!["turn_body"],
            ),
            (
                "SELECT body FROM turn_body WHERE ord = ?1 AND tenant = ?2",
                vec![],
            ),
            // To read a tenant is not to ask for one.
            ("SELECT tenant, head FROM turn WHERE ord > ?1", vec!["turn"]),
            (
                "SELECT t.tenant FROM turn t ORDER BY t.tenant",
                vec!["turn"],
            ),
            ("SELECT 1 FROM turn WHERE tenant > ?1", vec!["turn"]),
            ("SELECT 1 FROM turn AS t WHERE t.tenant + 0 = $1", vec![]),
            // Each table of a join, and each SELECT.
            (
                "SELECT 1 FROM event e JOIN event_body b ON b.ord = e.ord WHERE e.tenant = ?1",
                vec!["event_body"],
            ),
            (
                "SELECT 1 FROM event e JOIN event_body b ON b.ord = e.ord AND b.tenant = e.tenant WHERE e.tenant = ?1",
                vec![],
            ),
            (
                "SELECT 1 FROM event e JOIN event_body b ON b.tenant = e.tenant WHERE e.ord = ?1",
                vec!["event", "event_body"],
            ),
            (
                "SELECT args FROM effect_body WHERE tenant = ?1 UNION ALL SELECT body FROM turn_body WHERE ord = ?2",
                vec!["turn_body"],
            ),
            (
                "SELECT (SELECT c.seq FROM case_head c WHERE c.tenant = task.tenant) FROM task WHERE tenant = ?1",
                vec![],
            ),
            (
                "SELECT (SELECT c.seq FROM case_head c WHERE c.case_id = ?2) FROM task WHERE tenant = ?1",
                vec!["case_head"],
            ),
            // Of two tables, one that is not said is none.
            (
                "SELECT 1 FROM task t JOIN timer r ON r.n = t.n WHERE tenant = ?1",
                vec!["task", "timer"],
            ),
            ("DELETE FROM slot WHERE begins < ?1", vec!["slot"]),
            (
                "UPDATE effect SET due = ?2 WHERE effect.ord = ?1",
                vec!["effect"],
            ),
            (
                "UPDATE effect SET due = v.c3 FROM UNNEST($1::bigint[]) AS v(c1, c2, c3) \
                 WHERE effect.ord = v.c1 AND effect.tenant = v.c2",
                vec![],
            ),
            (
                "INSERT INTO flag (name, value) VALUES (?1, ?2)",
                vec!["flag"],
            ),
            (
                "INSERT INTO flag (tenant, name) SELECT * FROM UNNEST($1::bigint[])",
                vec![],
            ),
            // A node belongs to the installation.
            ("SELECT epoch FROM node WHERE id = ?1", vec![]),
        ] {
            assert_eq!(unnamed(sql), want, "{sql}");
            assert_eq!(judge(sql).is_ok(), want.is_empty(), "{sql}");
        }
    }

    /// Every look-up and every write of a group, in the words of both engines, whether or not a test runs it.
    #[test]
    fn look_ups_and_writes_name_their_tenant() {
        let mut read = 0;
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let looks = LOOKS.iter().map(|(_, look)| look.sql(dialect));
            for sql in looks.chain(WRITES.iter().map(|w| w.sql(dialect))) {
                assert_eq!(judge(&sql), Ok(()), "{sql}");
                assert!(!tables(&sql).is_empty() || sql.contains("node"), "{sql}");
                read += 1;
            }
        }
        println!("{read} statements name their tenant");
    }
}
