//! `policy`: what may happen by itself, what needs a person, what never happens; one line per action.

use tl_kernel::policy::{Limit, LimitScope, Policy, PolicyLine, QuietHours, When};
use tl_kernel::program::{Action, ActionKind, Program};
use tl_kernel::time::{DAY, HOUR, MINUTE, duration_text, minute_of_day, parse_duration};
use tl_kernel::value::Type;

use crate::cx::{Cx, Keys};
use crate::diag::{Mend, Problem};
use crate::keys::{POLICY_LATER, POLICY_LINE};
use crate::load::{Lower, Names};
use crate::project::OPERATORS;
use crate::suggest::{listed, nearest};
use crate::tree::{self, Entry, Kind, Node};

/// The policy, from the workflow file or from `policy.yaml` beside it, with a line for every action.
pub(crate) fn policy(l: &mut Lower<'_>, top: Keys<'_>) -> Policy {
    let own = top.get("policy");
    let path = format!("{}policy.yaml", l.dir);
    let project = l.project;
    let mut out = Policy::default();
    match (own, project.text(&path)) {
        (Some(n), Some(_)) => {
            let span = top.key_span("policy");
            let p = Problem::new("TL0209", span, "the policy stands here and in policy.yaml");
            l.cx.push(p.mend(n.removal("take this one out")));
        }
        (Some(n), None) => out.lines = lines(l, n),
        (None, Some(text)) => {
            let (tree, diags) = tree::parse(&path, text);
            // The readers look at one file at a time: the policy's takes the workflow's place.
            let workflow = std::mem::replace(&mut l.cx, Cx::new(path, text));
            l.cx.diags = diags;
            if let Some(t) = tree.filter(|t| t.kind != Kind::Null) {
                out.lines = lines(l, &t);
            }
            let done = std::mem::replace(&mut l.cx, workflow);
            l.others.extend(done.diags);
        }
        (None, None) => {}
    }
    let missing = l.actions.iter().filter(|a| out.line(&a.name).is_none());
    let filled: Vec<PolicyLine> = missing.map(usual).collect();
    out.lines.extend(filled);
    out
}

/// The line of an action nobody wrote one for: what stays in our own store is `auto`, all else `approve`.
fn usual(action: &Action) -> PolicyLine {
    let inside = matches!(
        action.kind,
        ActionKind::RecordStore { .. } | ActionKind::DomainEvent
    );
    PolicyLine {
        auto: if inside { When::Always } else { When::Unstated },
        approve: (!inside).then(|| OPERATORS.to_owned()),
        ..empty(&action.name, 0)
    }
}

fn empty(action: &str, line: u32) -> PolicyLine {
    PolicyLine {
        action: action.to_owned(),
        auto: When::Unstated,
        approve: None,
        never: When::Unstated,
        limit: None,
        quiet_hours: None,
        line,
    }
}

fn lines(l: &mut Lower<'_>, node: &Node) -> Vec<PolicyLine> {
    let Some(keys) = l.cx.mapping(node) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for e in &keys.map.entries {
        if let Some((_, until_then)) = POLICY_LATER.iter().find(|(k, _)| *k == e.key) {
            l.cx.later(&e.key, e.key_span, &e.value, until_then);
            continue;
        }
        if known_action(l, e) {
            out.extend(line(l, e));
        }
    }
    out
}

/// A line about an action that does not exist is a slip, unless it forbids it: then it may stand there for
/// the day somebody adds the action.
fn known_action(l: &mut Lower<'_>, e: &Entry) -> bool {
    if l.actions.iter().any(|a| a.name == e.key) {
        return true;
    }
    let known: Vec<String> = l.actions.iter().map(|a| a.name.clone()).collect();
    let near = nearest(&e.key, known.iter().map(String::as_str));
    if near.is_none() && e.value.text() == Some("never") {
        l.notes.push(format!(
            "the policy forbids `{}`; no action has that name",
            e.key
        ));
        return true;
    }
    let p = Problem::new(
        "TL0403",
        e.key_span,
        format!("the action `{}` does not exist", e.key),
    )
    .why(format!(
        "there are {}",
        listed(known.iter().map(String::as_str))
    ));
    l.cx.push(match near {
        Some(k) => p.mend(Mend::replace(e.key_span, k, format!("did you mean `{k}`?"))),
        None => p.mend(e.value.removal("take the line out")),
    });
    false
}

fn line(l: &mut Lower<'_>, e: &Entry) -> Option<PolicyLine> {
    let mut out = empty(&e.key, l.cx.line(e.key_span));
    if e.value.text().is_some() {
        match l.cx.word(&e.value, &["auto", "approve", "never"])? {
            "auto" => out.auto = When::Always,
            "never" => out.never = When::Always,
            _ => out.approve = Some(OPERATORS.to_owned()),
        }
        return Some(out);
    }
    let keys = l.cx.section(&e.value, &POLICY_LINE)?;
    out.auto = when(l, keys.get("auto"));
    out.never = when(l, keys.get("never"));
    out.approve = match keys.get("approve") {
        Some(n) => l.owner(n),
        None if matches!(out.auto, When::Always) => None,
        None => Some(OPERATORS.to_owned()),
    };
    out.limit = keys.get("limit").and_then(|n| limit(l, n));
    out.quiet_hours = keys.get("quiet_hours").and_then(|n| quiet_hours(l, n));
    Some(out)
}

fn when(l: &mut Lower<'_>, node: Option<&Node>) -> When {
    let Some(node) = node else {
        return When::Unstated;
    };
    match node.text() {
        Some("true") => When::Always,
        Some("false") => When::Unstated,
        _ => {
            let schema = l.schema(Names::Policy);
            l.cx.expr(node, &schema, &Type::Bool)
                .map_or(When::Unstated, When::If)
        }
    }
}

/// `3 per contact per day`.
fn limit(l: &mut Lower<'_>, node: &Node) -> Option<Limit> {
    let text = l.cx.text(node)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let read = match words.as_slice() {
        [count, "per", scope, "per", window] => read_limit(count, scope, window),
        _ => None,
    };
    if read.is_none() {
        let count = words
            .first()
            .and_then(|w| w.parse::<u32>().ok())
            .filter(|n| *n > 0)
            .unwrap_or(3);
        let scope = ["case", "tenant"]
            .into_iter()
            .find(|s| words.contains(s))
            .unwrap_or("contact");
        let window = ["minute", "hour", "week"]
            .into_iter()
            .find(|s| words.contains(s))
            .unwrap_or("day");
        let guess = format!("{count} per {scope} per {window}");
        l.cx.push(
            Problem::new("TL0213", node.span, format!("`{text}` is not a limit"))
                .why("a limit reads `3 per contact per day`: per contact, case or tenant, per minute, hour, day or week")
                .mend(Mend::replace(node.span, &guess, format!("write `{guess}`"))),
        );
    }
    read
}

fn read_limit(count: &str, scope: &str, window: &str) -> Option<Limit> {
    Some(Limit {
        count: count.parse().ok().filter(|n| *n > 0)?,
        per: match scope {
            "contact" => LimitScope::Contact,
            "case" => LimitScope::Case,
            "tenant" => LimitScope::Tenant,
            _ => return None,
        },
        window: match window {
            "minute" => MINUTE,
            "hour" => HOUR,
            "day" => DAY,
            "week" => 7 * DAY,
            other => parse_duration(other)?,
        },
    })
}

/// `20:00-08:00`, with a zone where it is not UTC.
fn quiet_hours(l: &mut Lower<'_>, node: &Node) -> Option<QuietHours> {
    let text = l.cx.text(node)?;
    let (hours, zone) = text
        .split_once(' ')
        .map_or((text.as_str(), "UTC"), |(h, z)| (h, z.trim()));
    let read = hours
        .split_once('-')
        .and_then(|(a, b)| Some((minutes(a)?, minutes(b)?)));
    if minute_of_day(0, zone).is_none() {
        l.cx.push(
            Problem::new(
                "TL0214",
                node.span,
                format!("there is no time zone `{zone}`"),
            )
            .why("zones have the names of the IANA data base, such as Europe/Berlin")
            .mend(Mend::replace(
                node.span,
                hours,
                format!("write `{hours}`, which is in UTC"),
            )),
        );
        return None;
    }
    let Some((from, to)) = read.filter(|(a, b)| a != b) else {
        let guess = if zone == "UTC" {
            "20:00-08:00".to_owned()
        } else {
            format!("20:00-08:00 {zone}")
        };
        l.cx.push(
            Problem::new("TL0214", node.span, format!("`{text}` are not quiet hours"))
                .why("quiet hours read `20:00-08:00`, with a zone such as Europe/Berlin after them")
                .mend(Mend::replace(node.span, &guess, format!("write `{guess}`"))),
        );
        return None;
    };
    Some(QuietHours {
        from,
        to,
        zone: zone.to_owned(),
    })
}

fn minutes(text: &str) -> Option<i32> {
    let (h, m) = text.trim().split_once(':')?;
    if h.len() > 2 || m.len() != 2 {
        return None;
    }
    let (h, m): (i32, i32) = (h.parse().ok()?, m.parse().ok()?);
    ((0..24).contains(&h) && (0..60).contains(&m)).then_some(h * 60 + m)
}

/// The policy in force, one line per action, as `check` prints it.
pub fn effective_policy_text(program: &Program) -> String {
    let mut out = String::new();
    let width = program
        .policy
        .lines
        .iter()
        .map(|p| p.action.len())
        .max()
        .unwrap_or(0);
    for p in &program.policy.lines {
        let mut parts = Vec::new();
        match &p.never {
            When::Always => parts.push("never".to_owned()),
            When::If(e) => parts.push(format!("never when {e}")),
            When::Unstated => {}
        }
        match &p.auto {
            When::Always => parts.push("auto".to_owned()),
            When::If(e) => parts.push(format!("auto when {e}")),
            When::Unstated => {}
        }
        let team = p.approve.as_deref().unwrap_or(OPERATORS);
        if !matches!(p.auto, When::Always) && !matches!(p.never, When::Always) {
            parts.push(format!("approve by {team}"));
        }
        if let Some(limit) = p.limit {
            let per = match limit.per {
                LimitScope::Contact => "contact",
                LimitScope::Case => "case",
                LimitScope::Tenant => "tenant",
            };
            parts.push(format!(
                "at most {} per {per} in {}",
                limit.count,
                duration_text(limit.window)
            ));
        }
        if let Some(q) = &p.quiet_hours {
            let clock = |m: i32| format!("{:02}:{:02}", m / 60, m % 60);
            parts.push(format!(
                "quiet {}-{} {}",
                clock(q.from),
                clock(q.to),
                q.zone
            ));
        }
        let origin = if p.line == 0 { "  (default)" } else { "" };
        out.push_str(&format!(
            "{:width$}  {}{origin}\n",
            p.action,
            parts.join(", ")
        ));
    }
    out
}
