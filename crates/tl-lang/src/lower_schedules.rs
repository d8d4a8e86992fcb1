//! `schedules`: timetables, each with the endpoint through which its messages come.

use std::collections::BTreeMap;

use tl_kernel::limits::MAX_SCHEDULES;
use tl_kernel::program::{CatchUp, Endpoint, SAID, Schedule};
use tl_kernel::timetable::{is_zone, zones};
use tl_kernel::value::{Type, Value};

use crate::cron;
use crate::cx::Keys;
use crate::diag::{Mend, Problem, Span};
use crate::keys::{CATCH_UP, SCHEDULE};
use crate::load::{Lower, constant};
use crate::lower_ingress::timetable_endpoint;
use crate::lower_rest::setting;
use crate::quote::scalar;
use crate::suggest::nearest;
use crate::tree::{Entry, Kind, Node};

/// The zone of a timetable that names none.
const USUAL_ZONE: &str = "UTC";

/// The timetables of the file; their endpoints go to the others.
pub(crate) fn schedules(
    l: &mut Lower<'_>,
    node: Option<&Node>,
    endpoints: &mut Vec<Endpoint>,
) -> Vec<Schedule> {
    let mut out = Vec::new();
    let Some(keys) = node.and_then(|n| l.cx.mapping(n)) else {
        return out;
    };
    for (n, e) in keys.map.entries.iter().enumerate() {
        if n == MAX_SCHEDULES {
            l.cx.push(
                Problem::new(
                    "TL0206",
                    e.key_span,
                    format!("more than {MAX_SCHEDULES} timetables in one workflow"),
                )
                .why("each is looked at by every node; one timetable can have lists and steps")
                .mend(Mend::words("put several into one, or take them out")),
            );
            break;
        }
        if !l.cx.check_name(&e.key, e.key_span) {
            continue;
        }
        if endpoints.iter().any(|door| door.name == e.key) {
            let p = Problem::new(
                "TL0211",
                e.key_span,
                format!("the endpoint `{}` stands here twice", e.key),
            );
            let p = p.why("a timetable brings its messages through an endpoint of its own name");
            l.cx.push(
                p.mend(
                    e.value
                        .removal("take the timetable out, or give it another name"),
                ),
            );
            continue;
        }
        if let Some(schedule) = l.cx.section(&e.value, &SCHEDULE).and_then(|k| one(l, e, k)) {
            endpoints.push(endpoint(l, e, &schedule));
            out.push(schedule);
        }
    }
    out
}

fn one(l: &mut Lower<'_>, e: &Entry, keys: Keys<'_>) -> Option<Schedule> {
    let zone = match keys.get("timezone") {
        None => Some(USUAL_ZONE.to_owned()),
        Some(n) => zone(l, n),
    };
    let catch_up = match keys.get("catch_up").and_then(|n| l.cx.word(n, CATCH_UP)) {
        Some("none") => CatchUp::None,
        Some("all") => CatchUp::All,
        _ => CatchUp::Latest,
    };
    let data = keys.get("data").map_or_else(BTreeMap::new, |n| data(l, n));
    let Some(cron) = keys.get("cron") else {
        l.cx.missing(keys, "cron", "\"0 6 * * *\"");
        return None;
    };
    let text = l.cx.text(cron)?;
    // A wrong zone does not hide what is wrong with the fields.
    let table = match cron::parse(&text, zone.as_deref().unwrap_or(USUAL_ZONE)) {
        Ok(table) => table,
        Err(bad) => {
            wrong(l, cron, bad);
            return None;
        }
    };
    zone?;
    Some(Schedule {
        name: e.key.clone(),
        cron: text,
        table,
        catch_up,
        data,
    })
}

/// Underlines the part of a timetable that does not read.
fn wrong(l: &mut Lower<'_>, node: &Node, bad: cron::Bad) {
    let (start, end) = bad.at;
    let span = match &node.kind {
        Kind::Scalar(s) if start < end => s
            .verbatim
            .map_or(node.span, |at| Span::new(at + start, at + end)),
        _ => node.span,
    };
    let mend = match bad.instead {
        Some(text) => Mend::replace(node.span, scalar(&text), format!("write `{text}`")),
        None => Mend::words("write the five fields, such as `0 6 * * mon-fri`"),
    };
    l.cx.push(
        Problem::new("TL0218", span, bad.message)
            .why(bad.why)
            .mend(mend),
    );
}

fn zone(l: &mut Lower<'_>, node: &Node) -> Option<String> {
    let text = l.cx.text(node)?;
    if is_zone(&text) {
        return Some(text);
    }
    let all = zones();
    let p = Problem::new(
        "TL0218",
        node.span,
        format!("there is no time zone `{text}`"),
    )
    .why("zones have the names of the IANA data base, such as Europe/Berlin");
    // The name of a city is enough to find its zone.
    let city = text.to_lowercase().replace(' ', "_");
    let ends = |z: &&String| {
        z.rsplit_once('/')
            .is_some_and(|(_, c)| c.to_lowercase() == city)
    };
    let near = all
        .iter()
        .find(ends)
        .map(String::as_str)
        .or_else(|| nearest(&text, all.iter().map(String::as_str)));
    l.cx.push(p.mend(match near {
        Some(z) => Mend::replace(node.span, z, format!("did you mean `{z}`?")),
        None => node.removal(format!(
            "leave it out: the clock of {USUAL_ZONE} is meant then"
        )),
    }));
    None
}

/// What the messages say: constants, each of which fits the field of its name.
fn data(l: &mut Lower<'_>, node: &Node) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    let Some(keys) = l.cx.mapping(node) else {
        return out;
    };
    for e in &keys.map.entries {
        if SAID.contains(&e.key.as_str()) {
            let p = Problem::new(
                "TL0211",
                e.key_span,
                format!("a timetable's message says `{}` by itself", e.key),
            );
            l.cx.push(p.mend(e.value.removal("take it out")));
            continue;
        }
        if let Some(text) = e.value.text().filter(|t| t.contains("${")) {
            let p = Problem::new("TL0212", e.value.span, format!("`{text}` is no constant"))
                .why("nothing is known when a timetable's message begins; a rule can work it out");
            l.cx.push(p.mend(e.value.removal("leave it out")));
            continue;
        }
        let field = l.record.field(&e.key).map(|f| f.ty.clone());
        let field = field.filter(|ty| *ty != Type::Any);
        if field.is_some_and(|ty| constant(l, &e.value, &ty).is_none()) {
            continue;
        }
        out.extend(setting(l, &e.value).map(|(value, _)| (e.key.clone(), value)));
    }
    out
}

/// The endpoint of a timetable: of the record it fills what its messages hold.
fn endpoint(l: &mut Lower<'_>, e: &Entry, schedule: &Schedule) -> Endpoint {
    let at = Node {
        span: e.key_span,
        ..e.value.clone()
    };
    let mut out = timetable_endpoint(l, &schedule.name, at);
    out.map.retain(|(field, _)| {
        field == "source" || SAID.contains(&field.as_str()) || schedule.data.contains_key(field)
    });
    out
}
