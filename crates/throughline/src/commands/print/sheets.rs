//! One thing by itself.

use std::fmt::Write as _;

use tl_kernel::time::duration_text;

use super::lists::{effects, tasks};
use crate::control::views::{
    CaseSheet, ClockSheet, EffectSheet, FreshKey, FreshSecret, GroupSheet, OutboxSheet,
    RecordSheet, Sends, StatusSheet, TaskSheet, Tried, WorkflowPlan,
};
use crate::explain::{fields_text, goal_text, next_text, render};
use crate::page::Page;
use crate::text::{At, count, due_text, one_line, safe};

pub fn case(s: &CaseSheet, now: i64, page: Page) -> String {
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
    if let Some(goal) = &s.goal {
        let _ = writeln!(out, "goal         {}", safe(&goal_text(goal, now)));
    }
    let _ = writeln!(out, "opened       {}", c.opened_at.clock());
    let _ = writeln!(out, "correlation  {}", safe(&c.correlation));
    out.push_str(&fields_text(&s.record, &[]));
    let _ = write!(out, "\ntasks\n{}", tasks(&s.tasks, now, page));
    let _ = write!(out, "\neffects\n{}", effects(&s.effects, now, page));
    let _ = writeln!(out, "\nwhy all this: throughline explain {}", c.case);
    out
}

pub fn task(s: &TaskSheet, now: i64) -> String {
    let t = &s.task;
    let mut out = String::new();
    let _ = writeln!(out, "task         {}", t.task);
    let because = match s.because.as_str() {
        "" => safe(&t.reason),
        words => safe(words),
    };
    let _ = writeln!(out, "kind         {}, because {because}", t.kind);
    let _ = writeln!(out, "owner        {}", safe(&t.owner));
    let _ = writeln!(out, "due          {}", due_text(t.due, now));
    let _ = writeln!(
        out,
        "case         {} of {}, in `{}`",
        t.case, s.workflow, s.state
    );
    let _ = writeln!(out, "correlation  {}", safe(&t.correlation));
    if let Some(how) = &t.closed {
        let _ = writeln!(out, "closed       {how}");
    }
    if let Some(message) = &s.message {
        out.push_str("\nwhat arrived (from outside; not checked)\n");
        out.push_str(&boxed("  ", message));
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
    out.push_str(&pairs("  ", &s.arguments));
    if !s.before.is_empty() {
        out.push_str("  the system of record held\n");
        out.push_str(&pairs("    ", &s.before));
    }
    let _ = writeln!(out, "  digest  {}", s.digest);
    out
}

/// Names and values below each other; a value of several lines stands below its name.
fn pairs(indent: &str, all: &[(String, String)]) -> String {
    let width = all.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    let one = |(name, value): &(String, String)| {
        if value.contains('\n') {
            return format!("{indent}{name}\n{}", boxed(&format!("{indent}  "), value));
        }
        let line = format!("{indent}{name:width$}  {}", safe(value));
        line.trim_end().to_owned() + "\n"
    };
    all.iter().map(one).collect()
}

fn boxed(indent: &str, text: &str) -> String {
    let line = |l: &str| format!("{}\n", format!("{indent}| {l}").trim_end());
    safe(text).lines().map(line).collect()
}

/// What sending a group again would do.
pub fn group(s: &GroupSheet, now: i64) -> String {
    let g = &s.group;
    let mut out = String::new();
    let at = match g.connection.as_str() {
        "" => String::new(),
        connection => format!(" at `{connection}`"),
    };
    let _ = writeln!(out, "group        {}", g.group);
    let _ = writeln!(
        out,
        "action       {} ({}){at} of `{}`",
        g.action, g.class, g.workflow
    );
    let _ = writeln!(out, "because      {}", g.words);
    let _ = writeln!(
        out,
        "effects      {}, the oldest planned {}, the last changed {}",
        g.effects,
        g.oldest.from(now),
        g.newest.from(now)
    );
    if g.uncertain {
        let _ = writeln!(
            out,
            "             they may have happened: look at the other system first"
        );
    }
    if g.late > 0 {
        let _ = writeln!(out, "too late     {}: they are not sent any more", g.late);
    }
    if let Some(why) = &s.connection_fault {
        let _ = writeln!(out, "not possible {why}");
    }
    if let Some(scope) = &s.switch {
        let _ = writeln!(
            out,
            "held         by the switch `{scope}`: they would wait until it is cleared"
        );
    }
    let cases = count(u64::from(s.looked_into), "case");
    let _ = match s.done.is_empty() {
        true => writeln!(out, "happened     nothing else in their {cases}"),
        false => writeln!(out, "happened     in their {cases} already:"),
    };
    for (action, state, n) in &s.done {
        let perhaps = if state == "uncertain" {
            ", perhaps"
        } else {
            ""
        };
        let _ = writeln!(out, "             {n} × `{action}`{perhaps}");
    }
    let _ = writeln!(
        out,
        "would go     {}, with their ids and keys:",
        count(s.sends.len() as u64, "effect")
    );
    for id in s.sends.iter().take(SHOWN_IDS) {
        let _ = writeln!(out, "             {id}");
    }
    if s.sends.len() > SHOWN_IDS {
        let _ = writeln!(out, "             and {} more", s.sends.len() - SHOWN_IDS);
    }
    let _ = writeln!(out, "nothing was sent");
    out
}

/// Ids of a group that are listed.
const SHOWN_IDS: usize = 10;

pub fn effect(s: &EffectSheet, now: i64, page: Page) -> String {
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
    out.push_str(&pairs("  ", &s.arguments));
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
    out.push_str(&page.table(
        &["n", "at", "took", "knowledge", "status", "code", "detail"],
        &rows,
        // What is done in our own database is one transaction with its outcome: there is nothing to see in between.
        match s.effect.attempts {
            0 => "none",
            _ => "in one transaction with the outcome: nothing was sent",
        },
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
    let to = match p.ok {
        true => format!(" => version {}, bundle {}", p.version, p.digest),
        false => "; this version does not pass its check".into(),
    };
    let _ = writeln!(out, "{}: {from}{to}", p.workflow);
    out.push_str(&p.findings);
    for c in &p.changes {
        let _ = writeln!(out, "  {}", safe(c));
    }
    if p.changes.is_empty() && p.ok {
        out.push_str("  nothing changes\n");
    }
    out
}

pub fn outbox_message(s: &OutboxSheet) -> String {
    let m = &s.line;
    let mut out = String::new();
    let _ = writeln!(out, "effect       {}", m.effect);
    let _ = writeln!(out, "channel      {}", m.channel);
    let _ = writeln!(out, "to           {}", safe(&m.to));
    if !m.subject.is_empty() {
        let _ = writeln!(out, "subject      {}", safe(&m.subject));
    }
    let _ = writeln!(out, "written      {}\n", m.at.clock());
    out.push_str(&boxed("  ", &s.text));
    out
}

pub fn record(s: &RecordSheet) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "record       {} {}", s.record_type, safe(&s.id));
    let _ = writeln!(
        out,
        "version      {}, written {} by {}\n",
        s.version,
        s.at.clock(),
        safe(&s.by)
    );
    let text = |v: &serde_json::Value| match v {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let fields = s.record.as_object().into_iter().flatten();
    let fields: Vec<(String, String)> = fields.map(|(k, v)| (k.clone(), text(v))).collect();
    out.push_str(&pairs("  ", &fields));
    out
}

pub fn fresh_secret(s: &FreshSecret, now: i64) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "endpoint  {}", s.endpoint);
    let _ = writeln!(out, "address   {}", s.address);
    let _ = writeln!(out, "key id    {}", s.kid);
    if s.secret.is_empty() {
        out.push_str(
            "The secret is the one that was given; it is kept sealed and not shown again.\n",
        );
    } else {
        let _ = writeln!(out, "secret    {}", s.secret);
        out.push_str("This is the only time the secret is shown: give it to the sender now.\n");
    }
    out.push_str(&super::lists::how_to_sign(&s.signing, &s.example));
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
    let replaces = k.replaces.as_ref().map_or_else(String::new, |(kid, at)| {
        format!("The key {kid} ends at {}.\n", at.clock())
    });
    format!(
        "key id  {}\nkey     {}\nscopes  {}\nends    {ends}\nThis is the only time the key is shown.\n{replaces}",
        k.kid, k.key, k.scopes
    )
}

pub fn clock(c: &ClockSheet) -> String {
    let apart = match c.ahead_s {
        0 => "the same".to_owned(),
        s => {
            let far = duration_text(s.saturating_abs().saturating_mul(1_000_000));
            format!("{far} {}", if s > 0 { "ahead" } else { "behind" })
        }
    };
    let engine = match (c.alarm.as_str(), c.since) {
        ("ahead", Some(at)) => format!("held back since {}", at.clock()),
        ("behind", Some(at)) => format!("waits for the {} since {}", c.of, at.clock()),
        _ => format!("follows the {}", c.of),
    };
    format!(
        "engine time  {}, {engine}\n{:<13}{}, {apart}\n{}",
        c.engine.clock(),
        c.of,
        c.clock.clock(),
        next_text(&c.next)
    )
}

pub fn status(s: &StatusSheet, now: i64) -> String {
    let mut out = String::new();
    let server = match s.serving_since {
        Some(at) => format!("runs since {} at {}", at.clock(), s.listen),
        None => "does not run".into(),
    };
    let _ = writeln!(out, "server       {server} (release {})", s.version);
    if s.store.0 == "postgres" {
        let all: Vec<String> = s.nodes.iter().map(u32::to_string).collect();
        let _ = writeln!(
            out,
            "node         {} ({}), of those that live: {}",
            s.node,
            s.role,
            all.join(", ")
        );
    }
    for w in &s.workflows {
        let _ = writeln!(
            out,
            "workflow     {}@{} (number {})",
            w.workflow, w.version, w.number
        );
    }
    for (workflow, goal) in &s.goals {
        let _ = writeln!(out, "goal         {workflow}: {}", safe(goal));
    }
    let _ = writeln!(
        out,
        "messages     {} taken, {}",
        s.events,
        count(s.duplicates, "duplicate")
    );
    for t in &s.schedules {
        let last = t.last.map_or_else(|| "never".into(), |at| at.from(now));
        let next = match (t.closed, t.next) {
            (true, _) => "closed".to_owned(),
            (_, None) => "no next one".to_owned(),
            (_, Some(at)) => format!("next {} ({})", t.next_local, at.from(now)),
        };
        let (name, workflow, cron) = (&t.schedule, &t.workflow, safe(&t.cron));
        let zone = &t.timezone;
        let _ = writeln!(
            out,
            "schedule     {name} of {workflow}: {next}, last {last}  [{cron} {zone}]"
        );
    }
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
    let late = match s.timers_late_s {
        0 => "none overdue".to_owned(),
        late => format!("the most overdue by {late} s"),
    };
    let _ = writeln!(out, "timers       {} set, {late}", s.timers);
    let _ = writeln!(
        out,
        "audit        {}, of which {} placed in the tree",
        count(s.turns, "turn"),
        s.leaves
    );
    let _ = writeln!(
        out,
        "database     {:.1} MiB, {}",
        s.database_bytes as f64 / 1_048_576.0,
        s.store.1
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
