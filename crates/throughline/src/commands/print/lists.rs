//! Lists of rows.

use std::fmt::Write as _;

use crate::control::views::{
    CaseLine, ConnectionLine, EffectLine, EndpointLine, FlagLine, GroupLine, KeyLine, OutboxLine,
    SuppressionLine, SwitchLine, TaskLine, TenantLine, VersionLine,
};
use crate::page::Page;
use crate::text::{At, count, due_text, one_line, safe};

pub fn cases(cases: &[CaseLine], now: i64, page: Page) -> String {
    let rows: Vec<Vec<String>> = cases
        .iter()
        .map(|c| {
            vec![
                c.case.clone(),
                c.workflow.clone(),
                c.state.clone(),
                one_line(&c.owner, 24),
                if c.closed {
                    "-".into()
                } else {
                    due_text(c.due, now)
                },
                c.opened_at.from(now),
                one_line(&c.reason, 32),
            ]
        })
        .collect();
    page.table(
        &[
            "case", "workflow", "state", "owner", "due", "opened", "reason",
        ],
        &rows,
        "no case",
    )
}

pub fn tasks(tasks: &[TaskLine], now: i64, page: Page) -> String {
    let rows: Vec<Vec<String>> = tasks
        .iter()
        .map(|t| {
            let due = match &t.closed {
                Some(how) => format!("closed: {how}"),
                None => due_text(t.due, now),
            };
            vec![
                t.task.clone(),
                t.kind.clone(),
                one_line(&t.owner, 24),
                due,
                one_line(&t.reason, 40),
                one_line(&t.correlation, 40),
            ]
        })
        .collect();
    page.table(
        &["task", "kind", "owner", "due", "reason", "correlation"],
        &rows,
        "no task",
    )
}

pub fn effects(effects: &[EffectLine], now: i64, page: Page) -> String {
    let rows: Vec<Vec<String>> = effects
        .iter()
        .map(|e| {
            let state = if tl_kernel::gate::is_dry_run(&e.code) {
                format!("{} (not sent)", e.state)
            } else if e.hold.is_empty() {
                e.state.clone()
            } else {
                format!("{} ({})", e.state, e.hold)
            };
            vec![
                e.effect.clone(),
                // A question to a model bears the model's name.
                match e.sort.as_str() {
                    "ask" => format!("ask {}", e.action),
                    _ => e.action.clone(),
                },
                e.class.clone(),
                state,
                e.attempts.to_string(),
                e.code.clone(),
                e.updated_at.from(now),
            ]
        })
        .collect();
    page.table(
        &[
            "effect", "action", "class", "state", "attempts", "code", "changed",
        ],
        &rows,
        "no effect",
    )
}

pub fn connections(all: &[ConnectionLine]) -> String {
    if all.is_empty() {
        return "no connection: connections.yaml of the version in force has none\n".into();
    }
    let mut out = String::new();
    for c in all {
        let secrets = match c.secrets.is_empty() {
            true => "none".into(),
            false => c.secrets.join(", "),
        };
        let uses = match c.used_by.is_empty() {
            true => "nothing".into(),
            false => c.used_by.join(", "),
        };
        let _ = writeln!(out, "{} ({}) {}", c.connection, c.kind, safe(&c.address));
        let _ = writeln!(out, "  owner    {}", c.owner);
        let _ = writeln!(out, "  secret   {secrets}");
        let _ = writeln!(out, "  used by  {uses}");
        match (&c.checked, &c.fault) {
            (Some(checked), _) => {
                let word = match checked.fine {
                    Some(true) => "ok",
                    Some(false) => "fault",
                    None => "unclear",
                };
                let took = match checked.took_ms {
                    0 => String::new(),
                    ms => format!(", in {ms} ms"),
                };
                let _ = writeln!(out, "  {word:<8} {}{took}", checked.said);
            }
            (None, Some(fault)) => {
                let _ = writeln!(out, "  fault    {fault}");
            }
            (None, None) => {}
        }
    }
    out
}

pub fn groups(groups: &[GroupLine], now: i64, page: Page) -> String {
    let row = |g: &GroupLine| {
        let at = match g.connection.as_str() {
            "" => g.action.clone(),
            connection => format!("{} at {connection}", g.action),
        };
        let late = match g.late {
            0 => String::new(),
            n => format!(" ({n} too late)"),
        };
        vec![
            g.group.clone(),
            format!("{}{late}", g.effects),
            g.workflow.clone(),
            at,
            match g.uncertain {
                true => "may have happened".into(),
                false => "did not happen".into(),
            },
            one_line(&g.words, 60),
            g.oldest.from(now),
        ]
    };
    let rows: Vec<Vec<String>> = groups.iter().map(row).collect();
    page.table(
        &[
            "group", "effects", "workflow", "action", "state", "because", "oldest",
        ],
        &rows,
        "nothing has failed, and nothing is uncertain",
    )
}

pub fn outbox(messages: &[OutboxLine], now: i64, page: Page) -> String {
    let row = |m: &OutboxLine| {
        vec![
            m.effect.clone(),
            m.channel.clone(),
            one_line(&m.to, 40),
            one_line(&m.subject, 40),
            m.at.from(now),
        ]
    };
    let rows: Vec<Vec<String>> = messages.iter().map(row).collect();
    page.table(
        &["effect", "channel", "to", "subject", "written"],
        &rows,
        "no message",
    )
}

/// How a sender shows who it is, and lines of a shell that do it.
pub fn how_to_sign(signing: &[String], example: &[String]) -> String {
    let mut out = String::new();
    for (i, way) in signing.iter().enumerate() {
        let label = if i == 0 { "  sends" } else { "       " };
        let _ = writeln!(out, "{label} {}", safe(way));
    }
    for line in example {
        let _ = writeln!(out, "    {}", safe(line));
    }
    out
}

pub fn endpoints(endpoints: &[EndpointLine], now: i64) -> String {
    if endpoints.is_empty() {
        return "no workflow is deployed: throughline deploy\n".into();
    }
    let mut out = String::new();
    for e in endpoints {
        // The command stands on a line of its own, so that it can be copied.
        let (why, command) = match e.closed_because.split_once(": throughline ") {
            Some((why, command)) => (why, Some(command)),
            None => (e.closed_because.as_str(), None),
        };
        let state = if e.open {
            "open".to_owned()
        } else {
            format!("closed: {why}")
        };
        let _ = writeln!(
            out,
            "{}  ({} of {}, {})",
            e.endpoint, e.channel, e.workflow, e.auth
        );
        let _ = writeln!(out, "  {}", e.address);
        out.push_str(&how_to_sign(&e.signing, &e.example));
        let _ = writeln!(out, "  {state}");
        if let Some(command) = command {
            let _ = writeln!(out, "    throughline {command}");
        }
        for s in &e.secrets {
            let ends = s
                .not_after
                .map_or_else(|| "no end".into(), |a| format!("ends {}", a.from(now)));
            let used = match s.matched_at {
                Some(last) => format!(
                    ", verified {}, the last {}",
                    count(s.matched, "message"),
                    last.from(now)
                ),
                None => String::new(),
            };
            let _ = writeln!(
                out,
                "  secret {}: {}, {ends}{used}",
                s.kid,
                if s.active { "active" } else { "not active" }
            );
        }
    }
    out
}

pub fn switches(switches: &[SwitchLine], page: Page) -> String {
    let row = |s: &SwitchLine| {
        let reason = one_line(&s.reason, 60);
        vec![
            s.scope.clone(),
            s.mode.clone(),
            s.by.clone(),
            s.at.clock(),
            reason,
        ]
    };
    let rows: Vec<Vec<String>> = switches.iter().map(row).collect();
    page.table(
        &["scope", "mode", "by", "since", "reason"],
        &rows,
        "no switch is set",
    )
}

pub fn suppressions(all: &[SuppressionLine], now: i64, page: Page) -> String {
    let row = |s: &SuppressionLine| {
        vec![
            one_line(&s.address, 60),
            s.channel.clone(),
            s.reason.clone(),
            s.by.clone(),
            s.since.from(now),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    page.table(
        &["address", "channel", "reason", "by", "since"],
        &rows,
        "no address is suppressed",
    )
}

pub fn versions(versions: &[VersionLine], page: Page) -> String {
    let row = |v: &VersionLine| {
        let current = if v.current { "current" } else { "" };
        let digest = v.digest.chars().take(12).collect();
        let (number, at) = (v.number.to_string(), v.at.clock());
        vec![
            number,
            v.workflow.clone(),
            v.version.clone(),
            digest,
            at,
            current.into(),
        ]
    };
    let rows: Vec<Vec<String>> = versions.iter().map(row).collect();
    let head = ["number", "workflow", "version", "digest", "deployed", ""];
    page.table(&head, &rows, "nothing is deployed")
}

pub fn tenants(tenants: &[TenantLine], page: Page) -> String {
    let row = |t: &TenantLine| {
        let word = if t.disabled { "disabled" } else { "" };
        vec![
            t.name.clone(),
            t.number.to_string(),
            t.workflows.join(", "),
            word.into(),
        ]
    };
    let rows: Vec<Vec<String>> = tenants.iter().map(row).collect();
    page.table(
        &["tenant", "number", "workflows", ""],
        &rows,
        "there is no tenant",
    )
}

pub fn keys(keys: &[KeyLine], page: Page) -> String {
    let row = |k: &KeyLine| {
        let ends = k.expires.map_or_else(|| "never".into(), At::clock);
        let word = if k.active { "active" } else { "ended" };
        vec![k.kid.clone(), k.scopes.clone(), ends, word.into()]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    page.table(&["key", "scopes", "ends", ""], &rows, "there is no API key")
}

pub fn flags(flags: &[FlagLine], page: Page) -> String {
    let row = |f: &FlagLine| {
        let word = if f.value { "on" } else { "off" };
        vec![f.flag.clone(), word.into(), f.of.clone()]
    };
    let rows: Vec<Vec<String>> = flags.iter().map(row).collect();
    page.table(&["flag", "value", "of"], &rows, "no flag is set")
}
