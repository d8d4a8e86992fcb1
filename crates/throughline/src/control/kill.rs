//! Kill switches and flags: set with a reason, cleared with a reason, both recorded.

use std::collections::BTreeSet;

use tl_engine::tenant::INGEST_SCOPE;
use tl_kernel::digest::Digest;
use tl_kernel::gate::BUILT_IN;
use tl_kernel::id::TenantId;
use tl_store::contract::{Row, SwitchRow};

use super::Ctx;
use super::lists::switch_line;
use super::request::SwitchMode;
use super::views::{Done, FlagLine, Reply};
use crate::app::Change;
use crate::failure::Failure;
use crate::text::nearest;

/// In whose name the store remembers which switches were written.
const ONCE: &str = "switch";
/// How long it does, µs: longer than a server can stand still and go on, for all that is known.
const ONCE_KEPT: i64 = 7 * 24 * 3600 * 1_000_000;
/// Kinds of scope that name something.
const NAMED: [&str; 4] = ["workflow", "action", "connection", "model"];
/// Scopes that name nothing.
const WHOLE: [&str; 3] = ["everything", "tenant", INGEST_SCOPE];

impl Ctx<'_> {
    pub(super) async fn kill_list(&self) -> Result<Reply, Failure> {
        let view = self.view().await?;
        // Another process may have set one: the rows are read, not the cached view.
        let gate = self.app.desk.store().gate(view.id).await?;
        Ok(Reply::Switches(
            gate.switches.iter().map(switch_line).collect(),
        ))
    }

    pub(super) async fn kill_set(
        &self,
        scope: &str,
        mode: SwitchMode,
        reason: &str,
    ) -> Result<Reply, Failure> {
        let tenant = self.scope_tenant(scope).await?;
        let reason = self.reason(reason)?;
        if scope == INGEST_SCOPE && mode != SwitchMode::Hold {
            return Err(Failure::usage(
                "the switch `ingest` knows only --mode hold: messages are refused until it is cleared",
            ));
        }
        let row = Row::Switch {
            scope: scope.to_owned(),
            mode: Some(mode.word().to_owned()),
            by: self.by.text(),
            reason: reason.clone(),
            at: self.now(),
        };
        let detail = format!("{}: {reason}", mode.word());
        let change = Change {
            action: "kill.set",
            object: scope.to_owned(),
            detail,
        };
        self.switch(tenant, row, change).await?;
        let said = match (scope, mode) {
            (INGEST_SCOPE, _) => {
                "no message is taken any more: senders get 503 and come again".to_owned()
            }
            (_, SwitchMode::Hold) => {
                format!("what `{scope}` covers waits from now on; nothing is lost")
            }
            (_, SwitchMode::Cancel) => format!("what `{scope}` covers is cancelled from now on"),
            (_, SwitchMode::DryRun) => format!(
                "what `{scope}` covers is settled without being sent from now on; the ledger says `dry_run:{scope}`"
            ),
        };
        Ok(Reply::Done(
            Done::new(said)
                .then(
                    "what is on its way cannot be called back; see it",
                    "throughline effect list --state dispatching",
                )
                .then(
                    "take the switch back",
                    format!("throughline kill clear {scope} --reason CODE"),
                ),
        ))
    }

    pub(super) async fn kill_clear(&self, scope: &str, reason: &str) -> Result<Reply, Failure> {
        let tenant = self.scope_tenant(scope).await?;
        let reason = self.reason(reason)?;
        let gate = self.app.desk.store().gate(tenant).await?;
        let is_set = |s: &SwitchRow| s.scope == scope && s.tenant == tenant;
        if !gate.switches.iter().any(is_set) && !self.is_done(tenant).await? {
            let set: Vec<&str> = gate.switches.iter().map(|s| s.scope.as_str()).collect();
            let hint = match nearest(scope, set.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if set.is_empty() => "no switch is set".into(),
                None => format!("these are set: {}", set.join(", ")),
            };
            return Err(Failure::not_found(format!(
                "the switch `{scope}` is not set; {hint}"
            )));
        }
        let row = Row::Switch {
            scope: scope.to_owned(),
            mode: None,
            by: self.by.text(),
            reason: reason.clone(),
            at: self.now(),
        };
        let change = Change {
            action: "kill.clear",
            object: scope.to_owned(),
            detail: reason,
        };
        self.switch(tenant, row, change).await?;
        self.app.desk.nudge();
        Ok(Reply::Done(Done::new(format!(
            "the switch `{scope}` is cleared; what it held goes on within seconds"
        ))))
    }

    /// Writes a switch once: a command that found the server hanging writes it directly, and the line that it left
    /// there must not be carried out when the server comes to itself, because by then the switch may stand otherwise.
    async fn switch(&self, tenant: TenantId, row: Row, change: Change) -> Result<(), Failure> {
        let name = self.once.as_ref().map(|name| Row::Idempotent {
            principal: ONCE.into(),
            key: name.clone(),
            fingerprint: Digest::default(),
            status: 0,
            body: Vec::new(),
            expires: self.now().saturating_add(ONCE_KEPT),
        });
        let rows = name.into_iter().chain([row]).collect();
        match self.app.change(tenant, &self.by, rows, vec![change]).await {
            Err(_) if self.is_done(tenant).await? => Ok(()),
            other => other,
        }
    }

    /// Whether this very change was made already, on the other way.
    async fn is_done(&self, tenant: TenantId) -> Result<bool, Failure> {
        let Some(name) = &self.once else {
            return Ok(false);
        };
        let store = self.app.desk.store();
        let known = store.idempotent(tenant, ONCE.into(), name.clone()).await?;
        Ok(known.is_some())
    }

    /// `everything` belongs to the installation, every other scope to the tenant.
    async fn scope_tenant(&self, scope: &str) -> Result<TenantId, Failure> {
        if scope == "everything" {
            return Ok(TenantId::SYSTEM);
        }
        let view = self.view().await?;
        match scope.split_once(':') {
            None if WHOLE.contains(&scope) => return Ok(view.id),
            Some((kind, name)) if NAMED.contains(&kind) && !name.is_empty() => {
                self.known_name(&view, kind, name)?;
                return Ok(view.id);
            }
            _ => {}
        }
        let all = NAMED
            .iter()
            .map(|k| format!("{k}:NAME"))
            .chain(WHOLE.map(str::to_owned));
        let all: Vec<String> = all.collect();
        let near = match scope.split_once(':') {
            Some((kind, name)) => nearest(kind, NAMED).map(|k| format!("{k}:{name}")),
            None => nearest(scope, WHOLE).map(str::to_owned),
        };
        let hint = near.map_or(String::new(), |n| format!(" Did you mean `{n}`?"));
        Err(Failure::usage(format!(
            "`{scope}` is no scope.{hint} A scope is one of {}",
            all.join(", ")
        )))
    }

    /// A misspelt name would hold nothing, and the operator would believe it did.
    fn known_name(
        &self,
        view: &tl_engine::tenant::Tenant,
        kind: &str,
        name: &str,
    ) -> Result<(), Failure> {
        let mut known: Vec<String> = Vec::new();
        for (_, bundle) in view.current.values() {
            let program = &bundle.program;
            match kind {
                "workflow" => known.push(program.id.clone()),
                "action" => known.extend(program.actions.iter().map(|a| a.name.clone())),
                "model" => known.extend(program.ai.iter().map(|a| a.model.clone())),
                _ => known.extend(
                    tl_lang::connections(&bundle.project)
                        .0
                        .into_iter()
                        .map(|c| c.name),
                ),
            }
            if kind == "connection" {
                known.extend(["outbox".to_owned(), BUILT_IN.to_owned()]);
            }
        }
        // Without a deployed workflow there is nothing to compare with.
        if known.is_empty() || known.iter().any(|k| k == name) {
            return Ok(());
        }
        known.sort();
        known.dedup();
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{kind}:{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        Err(Failure::not_found(format!(
            "there is no {kind} `{name}`; {hint}"
        )))
    }

    pub(super) async fn flag_list(&self) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let lines = view
            .rows
            .flags
            .iter()
            .map(|(name, value, installation)| FlagLine {
                flag: name.clone(),
                value: *value,
                of: if *installation {
                    "installation".into()
                } else {
                    view.name.clone()
                },
            });
        Ok(Reply::Flags(lines.collect()))
    }

    /// The flags that the current workflows read: the tenant's, or every tenant's.
    async fn flags_read(&self, installation: bool) -> Result<BTreeSet<String>, Failure> {
        let own = self.view().await?;
        let mut views = vec![own];
        if installation {
            views.clear();
            for (id, _) in self.app.desk.store().tenants().await? {
                views.push(self.app.desk.tenant(id).await?);
            }
        }
        let bundles = views.iter().flat_map(|v| v.current.values());
        let files = bundles.flat_map(|(_, bundle)| bundle.project.files.values());
        let texts = files.filter_map(|bytes| std::str::from_utf8(bytes).ok());
        Ok(texts.flat_map(flag_names).collect())
    }

    pub(super) async fn flag_set(
        &self,
        name: &str,
        value: Option<bool>,
        installation: bool,
    ) -> Result<Reply, Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(Failure::usage(format!(
                "`{name}` is no name of a flag: letters, digits, `_`, `-`, `.`"
            )));
        }
        let read = self.flags_read(installation).await?;
        let tenant = if installation {
            TenantId::SYSTEM
        } else {
            self.view().await?.id
        };
        let word = value.map_or("removed".to_owned(), |v| v.to_string());
        let change = Change {
            action: "flag.set",
            object: name.to_owned(),
            detail: word.clone(),
        };
        let row = Row::Flag {
            name: name.to_owned(),
            value,
        };
        self.app
            .change(tenant, &self.by, vec![row], vec![change])
            .await?;
        let mut said = format!("the flag `{name}` is {word}");
        if value.is_some() && !read.contains(name) {
            said.push_str("; warning: no deployed workflow reads it");
            match nearest(name, read.iter().map(String::as_str)) {
                Some(near) => said.push_str(&format!(". Did you mean `{near}`?")),
                None if read.is_empty() => {}
                None => {
                    let all: Vec<&str> = read.iter().map(String::as_str).collect();
                    said.push_str(&format!(". They read {}", all.join(", ")));
                }
            }
        }
        Ok(Reply::Done(Done::new(said)))
    }
}

/// The names behind `flags.` in a file of a workflow.
fn flag_names(text: &str) -> impl Iterator<Item = String> + '_ {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices("flags.").filter_map(move |(at, word)| {
        let begins = !text[..at].ends_with(|c: char| part(c) || c == '.');
        let rest = &text[at + word.len()..];
        let end = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
        (begins && end > 0).then(|| rest[..end].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_where_they_are_read() {
        let table: [(&str, &[&str]); 5] = [
            ("when: flags.beta", &["beta"]),
            ("\"flags.a_1 && !flags.b\"", &["a_1", "b"]),
            ("record.flags.beta", &[]),
            ("myflags.beta", &[]),
            ("flags. beta", &[]),
        ];
        for (text, want) in table {
            assert_eq!(flag_names(text).collect::<Vec<_>>(), want, "{text}");
        }
    }
}
