//! Doors of vendors whose way to sign is known: what names a delivery, and the question before the first one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{Method, Uri, header};
use tl_kernel::digest::{hex, sha256};
use tl_kernel::id::EventId;
use tl_kernel::program::Endpoint;
use tl_kernel::value::Value;
use tl_wire::signature::{Delivery, Preset, Reply};

use super::{Found, Names, Way, enter, find};
use crate::answer;
use crate::guard::RequestId;
use crate::problem::{METHOD, Problem};
use crate::state::Web;

/// The row of a door's vendor; a door has one at most.
pub(crate) fn preset_of(endpoint: &Endpoint) -> Option<&'static Preset> {
    let named = endpoint.auth.iter().find_map(|auth| auth.preset())?;
    tl_wire::signature::preset(named.word)
}

/// What names a delivery in the body of a vendor's message.
pub(crate) fn delivery_id(preset: &Preset, body: &Value, raw: &[u8]) -> Option<String> {
    let alternatives = match preset.delivery {
        Delivery::Header => return None,
        Delivery::Body => return Some(hex(&sha256(&[raw]))),
        Delivery::Fields(alternatives) => alternatives,
    };
    let one = |event: &Value| alternatives.iter().find_map(|paths| joined(event, paths));
    match body {
        // A delivery of several events is the same one when it brings the same events.
        Value::List(events) if !events.is_empty() => {
            let ids: Option<Vec<String>> = events.iter().map(one).collect();
            ids.map(|ids| ids.join("\n"))
        }
        event => one(event),
    }
}

/// The values at several paths, of which the first has to be there.
fn joined(event: &Value, paths: &[&[&str]]) -> Option<String> {
    let text = |path: &&[&str]| match event.at(path) {
        Some(Value::Text(text)) if !text.trim().is_empty() => Some(text.clone()),
        Some(Value::Int(number)) => Some(number.to_string()),
        _ => None,
    };
    let first = text(paths.first()?)?;
    let rest = paths[1..].iter().map(|path| text(path).unwrap_or_default());
    let all: Vec<String> = std::iter::once(first).chain(rest).collect();
    Some(all.join("\t"))
}

/// The public address of a request, under which a vendor knows it: the host is what the installation is set to,
/// never what the request says.
pub(crate) fn public_address(web: &Web, uri: &Uri) -> Option<String> {
    let base = web.config.public_url.as_ref()?;
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    Some(format!("{}{path}", base.trim_end_matches('/')))
}

/// Anything but a post at `/hooks/{tenant}/{endpoint}`: a vendor's question, or a method that is not taken.
pub(crate) async fn question(
    State(web): State<Arc<Web>>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: Names,
    request: Request,
) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let asked = match *request.method() == Method::GET && !query.is_empty() {
        true => asked(&web, path, id, &query).await,
        false => None,
    };
    match asked {
        Some((found, reply)) => {
            web.metrics.ingested(Some(&found), "challenge");
            answer::challenge(reply)
        }
        None => {
            let problem = Problem::new(METHOD, "The Allow header names the methods.");
            ([(header::ALLOW, "POST")], problem).into_response()
        }
    }
}

/// The answer to a question, where this is one and the door's vendor asks that way. Nothing is stored.
async fn asked(web: &Arc<Web>, path: Names, id: EventId, query: &str) -> Option<(Found, Reply)> {
    let axum::extract::Path((tenant, endpoint)) = path.ok()?;
    let found = find(web, Way::Hooks, &tenant, &endpoint).await.ok()?;
    let _place = enter(web, &found, id).ok()?;
    let preset = preset_of(found.endpoint())?;
    let reply = preset.answer_get(query, &found.door().secrets, web.intake.now())?;
    Some((found, reply))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::payload::parse_json;
    use tl_kernel::program::PRESETS;
    use tl_wire::signature::preset;

    #[test]
    fn both_tables_of_vendors_agree() {
        for known in PRESETS {
            let row = preset(known.word).unwrap_or_else(|| panic!("{} has no row", known.word));
            assert_eq!(known.signs_url, row.recipe.signs_url(), "{}", known.word);
            let header = row.delivery == Delivery::Header && row.recipe.id.is_some();
            let covered = row
                .recipe
                .id
                .is_some_and(|_| row.recipe.covers(&tl_wire::signature::Part::Id));
            assert_eq!(known.covers_id, covered || !header, "{}", known.word);
        }
        let rows = tl_wire::signature::PRESETS.iter().map(|p| p.name);
        let words: Vec<&str> = rows.filter(|name| *name != "standard_webhooks").collect();
        let known: Vec<&str> = PRESETS.iter().map(|p| p.word).collect();
        assert_eq!(words, known);
    }

    #[test]
    fn what_names_a_delivery() {
        let table = [
            ("stripe", r#"{"id":"evt_1"}"#, Some("evt_1")),
            ("stripe", r#"{"id":""}"#, None),
            ("stripe", r#"{"data":{"id":"evt_1"}}"#, None),
            ("github", r#"{"id":"evt_1"}"#, None),
            (
                "slack",
                r#"{"event_id":"Ev1","trigger_id":"t"}"#,
                Some("Ev1"),
            ),
            ("slack", r#"{"trigger_id":"t"}"#, Some("t")),
            ("typeform", r#"{"event_id":"a"}"#, Some("a")),
            ("intercom", r#"{"id":"notif_1"}"#, Some("notif_1")),
            (
                "calendly",
                r#"{"event":"invitee.created","created_at":"t","payload":{"uri":"u"}}"#,
                Some("invitee.created\tu\tt"),
            ),
            ("mailgun", r#"{"event-data":{"id":"m"}}"#, Some("m")),
            (
                "sendgrid",
                r#"[{"sg_event_id":"a"},{"sg_event_id":"b"}]"#,
                Some("a\nb"),
            ),
            ("sendgrid", r#"[{"sg_event_id":"a"},{"x":1}]"#, None),
            ("sendgrid", "[]", None),
            // The number of the attempt is in the body, and no part of what names it.
            (
                "hubspot",
                r#"[{"eventId":1,"subscriptionId":2,"occurredAt":3,"objectId":4,"attemptNumber":0}]"#,
                Some("1\t2\t3\t4"),
            ),
            (
                "hubspot",
                r#"[{"eventId":1,"subscriptionId":2,"occurredAt":3,"objectId":4,"attemptNumber":1}]"#,
                Some("1\t2\t3\t4"),
            ),
            (
                "meta",
                "{}",
                Some("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
            ),
        ];
        for (name, body, want) in table {
            let value = parse_json(body.as_bytes()).expect(body);
            let id = delivery_id(preset(name).expect(name), &value, body.as_bytes());
            assert_eq!(id.as_deref(), want, "{name} {body}");
        }
    }
}
