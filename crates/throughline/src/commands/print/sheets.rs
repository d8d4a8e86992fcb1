//! One thing by itself.

use std::fmt::Write as _;

use super::lists::{effects, tasks};
use crate::control::views::{
    CaseSheet, EffectSheet, FreshKey, FreshSecret, Sends, StatusSheet, TaskSheet, Tried,
    WorkflowPlan,
};
use crate::explain::{fields_text, next_text, render};
use crate::text::{At, due_text, one_line, safe, table};

pub fn case(s: &CaseSheet, now: i64) -> String {
    let c = &s.case;
    let mut out = String::new();
    let digest: String = s.bundle.chars().take(12).collect();
    let _ = writeln!(out, "case         {}", c.case);
    let _ = writeln!(
        out,
        "workflow     {}@{} (number {}, bundle {digest})",
        c.workflow, s.version, s.number
    );
    let _ = writeln!(out, "state        {} ({})", c.state, safe(&c.reason));
    let _ = writeln!(out, "owner        {}", safe(&c.owner));
    let _ = writeln!(out, "due          {}", due_text(c.due, now));
    let _ = writeln!(out, "opened       {}", c.opened_at.clock());
    let _ = writeln!(out, "correlation  {}", safe(&c.correlation));
    out.push_str(&fields_text(&s.record, &[]));
    let _ = write!(out, "\ntasks\n{}", tasks(&s.tasks, now));
    let _ = write!(out, "\neffects\n{}", effects(&s.effects, now));
    let _ = writeln!(out, "\nwhy all this: throughline explain {}", c.case);
    out
}

pub fn task(s: &TaskSheet, now: i64) -> String {
    let t = &s.task;
    let mut out = String::new();
    let _ = writeln!(out, "task         {}", t.task);
    let _ = writeln!(out, "kind         {}, because {}", t.kind, safe(&t.reason));
    let _ = writeln!(out, "owner        {}", safe(&t.owner));
    let _ = writeln!(out, "due          {}", due_text(t.due, now));
    let _ = writeln!(
        out,
        "case         {} of {}, in `{}`",
        t.case, s.workflow, s.state
    );
    if let Some(how) = &t.closed {
        let _ = writeln!(out, "closed       {how}");
    }
    if let Some(message) = &s.message {
        out.push_str("\nwhat arrived (from outside; not checked)\n");
        out.push_str(&boxed(message));
    }
    out.push_str(&fields_text(&s.record, &s.missing));
    if let Some(sends) = &s.sends {
        out.push_str(&what_is_sent(sends));
    }
    out.push('\n');
    out.push_str(&next_text(&s.next));
    out
}

/// What an approval sends, in full.
pub fn what_is_sent(s: &Sends) -> String {
    let mut out = format!(
        "\nwhat will be sent: {} `{}` ({}); policy says {}\n",
        s.effect, s.action, s.class, s.policy
    );
    for (name, value) in &s.arguments {
        out.push_str(&pair(name, value));
    }
    if !s.before.is_empty() {
        out.push_str("  the system of record held\n");
        for (name, value) in &s.before {
            out.push_str(&pair(&format!("  {name}"), value));
        }
    }
    let _ = writeln!(out, "  digest  {}", s.digest);
    out
}

fn pair(name: &str, value: &str) -> String {
    if value.contains('\n') {
        return format!("  {name}\n{}", boxed(value));
    }
    format!("  {name}  {}\n", safe(value))
}

fn boxed(text: &str) -> String {
    safe(text).lines().map(|l| format!("  | {l}\n")).collect()
}

pub fn effect(s: &EffectSheet, now: i64) -> String {
    let e = &s.effect;
    let mut out = String::new();
    let _ = writeln!(out, "effect       {} ({})", e.effect, e.sort);
    let _ = writeln!(
        out,
        "action       {} ({}){}",
        e.action,
        e.class,
        if s.connection.is_empty() {
            String::new()
        } else {
            format!(" at `{}`", s.connection)
        }
    );
    let hold = if e.hold.is_empty() {
        String::new()
    } else {
        format!(", waits: {}", e.hold)
    };
    let code = if e.code.is_empty() {
        String::new()
    } else {
        format!(", {}", e.code)
    };
    let _ = writeln!(out, "state        {}{hold}{code}", e.state);
    if e.state == "ready" || e.state == "planned" {
        let _ = writeln!(
            out,
            "due          {}, not after {}",
            e.due.from(now),
            s.valid_until.clock()
        );
    }
    if !s.policy.is_empty() {
        let _ = writeln!(
            out,
            "policy       {}{}",
            s.policy,
            if s.approved {
                ", approved by a person"
            } else {
                ""
            }
        );
    }
    if let Some(v) = &s.base_version {
        let _ = writeln!(out, "base version {}", safe(v));
    }
    if let Some(r) = &s.vendor_ref {
        let _ = writeln!(out, "known there  as {}", safe(r));
    }
    let _ = writeln!(out, "digest       {}", s.digest);
    let _ = writeln!(out, "case         {}", e.case);
    out.push_str("\narguments\n");
    for (name, value) in &s.arguments {
        out.push_str(&pair(name, value));
    }
    out.push_str("\nattempts\n");
    let rows: Vec<Vec<String>> = s
        .tries
        .iter()
        .map(|a| {
            let status = if a.status == 0 {
                "-".into()
            } else {
                a.status.to_string()
            };
            vec![
                a.n.to_string(),
                a.at.clock(),
                format!("{} ms", a.took_ms),
                a.knowledge.clone(),
                status,
                a.code.clone(),
                one_line(&a.detail, 80),
            ]
        })
        .collect();
    out.push_str(&table(
        &["n", "at", "took", "knowledge", "status", "code", "detail"],
        &rows,
        "none recorded",
    ));
    out.push('\n');
    out.push_str(&next_text(&s.next));
    out
}

pub fn plan(p: &WorkflowPlan) -> String {
    let mut out = String::new();
    let from = p.from.as_ref().map_or_else(
        || "not deployed".into(),
        |(n, v)| format!("number {n}, version {v}"),
    );
    let _ = writeln!(
        out,
        "{}: {from} => version {}, bundle {}",
        p.workflow, p.version, p.digest
    );
    out.push_str(&p.findings);
    for c in &p.changes {
        let _ = writeln!(out, "  {}", safe(c));
    }
    if p.changes.is_empty() && p.ok {
        out.push_str("  nothing changes\n");
    }
    out
}

pub fn fresh_secret(s: &FreshSecret, now: i64) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "endpoint  {}", s.endpoint);
    let _ = writeln!(out, "address   {}", s.address);
    let _ = writeln!(out, "key id    {}", s.kid);
    let _ = writeln!(out, "secret    {}", s.secret);
    out.push_str("This is the only time the secret is shown: give it to the sender now.\n");
    if let Some(until) = s.earlier_until {
        let _ = writeln!(
            out,
            "Earlier secrets end {} ({}).",
            until.from(now),
            until.clock()
        );
    }
    out
}

pub fn fresh_key(k: &FreshKey) -> String {
    let ends = k.expires.map_or_else(|| "never".into(), At::clock);
    format!(
        "key id  {}\nkey     {}\nscopes  {}\nends    {ends}\nThis is the only time the key is shown.\n",
        k.kid, k.key, k.scopes
    )
}

pub fn status(s: &StatusSheet, now: i64) -> String {
    let mut out = String::new();
    let server = match s.serving_since {
        Some(at) => format!("runs since {} at {}", at.clock(), s.listen),
        None => "does not run".into(),
    };
    let _ = writeln!(out, "server       {server} (release {})", s.version);
    for w in &s.workflows {
        let _ = writeln!(
            out,
            "workflow     {}@{} (number {})",
            w.workflow, w.version, w.number
        );
    }
    let _ = writeln!(
        out,
        "messages     {} taken, {} duplicates",
        s.events, s.duplicates
    );
    for (workflow, state, n) in &s.cases {
        let _ = writeln!(out, "cases        {n} in `{state}` of {workflow}");
    }
    for (kind, n, age) in &s.tasks {
        let _ = writeln!(
            out,
            "tasks        {n} of kind `{kind}`, the oldest {}",
            At(now - age * 1_000_000).from(now)
        );
    }
    for (action, state, n, age) in &s.effects {
        let _ = writeln!(
            out,
            "effects      {n} of `{action}` {state}, the oldest {}",
            At(now - age * 1_000_000).from(now)
        );
    }
    let _ = writeln!(
        out,
        "timers       {} set, the most overdue by {} s",
        s.timers, s.timers_late_s
    );
    let _ = writeln!(
        out,
        "audit        {} turns, {} leaves placed",
        s.turns, s.leaves
    );
    let _ = writeln!(
        out,
        "database     {:.1} MiB",
        s.database_bytes as f64 / 1_048_576.0
    );
    out.push_str(&next_text(&s.next));
    out
}

pub fn tried(tried: &Tried) -> String {
    let mut out = String::from("nothing was stored and nothing was sent\n\nwhat would happen\n");
    for note in &tried.notes {
        let _ = writeln!(out, "  - {}", safe(note));
    }
    out.push('\n');
    out + &render(&tried.explanation)
}
