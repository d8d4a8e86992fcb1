//! Forms of people, in a real browser: a public form without a script, a one-time link, a phone note.

use std::time::Instant;

use crate::bench::{Bench, PATIENCE};
use crate::browser::Browser;
use crate::world::World;

const WORKFLOW: &str = r#"
workflow: { id: lead, version: "1" }
record:
  type: lead
  natural_key: "${record.email}"
  fields:
    name:    { type: string, required: true }
    email:   { type: email, required: true, use: control }
    company: { type: string }
    phone:   { type: phone }
    size:    { type: enum, values: [small, medium, large] }
    vehicles: { type: int }
    news:    { type: bool }
    message: { type: text, untrusted: true }
ingress:
  channels:
    web: { channel: webhook }
    contact: { channel: form, auth: public, validate: schemas/contact.json }
    phone_note: { channel: form, auth: sign_in }
worker: { ai_step: none }
decision:
  branches:
    - { condition: "size(missing) > 0", action: ask_missing }
    - default: human_queue
tasks: { ask_missing: { message: follow_up } }
policy:
  follow_up: { auto: "true", limit: 3 per contact per day }
side_effects:
  messaging:
    follow_up: { channel: email, via: outbox, to: record.email, subject: "One detail is missing", template: templates/follow_up.md, check: verified_sender }
"#;

const SCHEMA: &str = r#"{
  "title": "Talk to Kestrel Freight Software",
  "description": "Tell us what you move and how. A person answers within a working day.",
  "properties": {
    "name": { "type": "string", "title": "Your name" },
    "email": { "type": "string", "title": "E-mail", "description": "We answer to this address." },
    "size": { "enum": ["small", "medium", "large"], "title": "Size of your fleet" },
    "vehicles": { "type": "integer", "minimum": 1, "title": "Number of vehicles" },
    "news": { "type": "boolean", "title": "Send me news about the product" },
    "message": { "type": "string", "title": "What can we do for you?" }
  }
}"#;

/// A server with a form of each kind.
pub fn world() -> World {
    let bench = Bench::empty();
    bench.write("workflows/lead/workflow.yaml", WORKFLOW);
    bench.write("workflows/lead/schemas/contact.json", SCHEMA);
    bench.write(
        "workflows/lead/templates/follow_up.md",
        "One detail is missing. Please fill it in here:\n${follow_up.link}\n",
    );
    World::over(bench, "default/web")
}

/// Presses Send until the page shows a text: within two seconds of being shown it is taken for a program's.
fn send_until(b: &Browser, text: &str) {
    let begun = Instant::now();
    loop {
        b.click("button[type=submit]");
        b.shows("Kestrel");
        let shown = b.glance();
        if shown.contains(text) {
            return b.until("document.readyState === 'complete'");
        }
        assert!(begun.elapsed() < PATIENCE, "{shown}");
    }
}

/// The public form with answers that have to be mended.
pub fn mistaken(b: &Browser, world: &World) {
    b.open(&world.at("/forms/default/contact"));
    b.fill("[name=email]", "ada at example");
    b.fill("[name=vehicles]", "a dozen");
    b.fill("[name=message]", "Do you plan routes across borders?");
    send_until(b, "things to mend");
}

/// The link that a case without a name was sent.
pub fn link(world: &World) -> String {
    world.send("ada@acme.example", "hello");
    let there = |all: &serde_json::Value| all.as_array().is_some_and(|a| !a.is_empty());
    let sent = world
        .bench
        .until(&["outbox", "list"], "the question", there);
    let effect = sent[0]["effect"].as_str().unwrap();
    let sheet = world.bench.json(&["outbox", "show", effect]);
    let text = sheet["text"].as_str().unwrap();
    let link = text.lines().nth(1).unwrap().to_owned();
    assert!(
        link.starts_with(&world.at("/follow-up/default/case_")),
        "{link}"
    );
    link
}

#[test]
fn a_form_is_filled_in_without_a_script() {
    let Some(b) = Browser::start() else { return };
    let world = world();
    b.open(&world.at("/forms/default/contact"));
    // The page brings no script, and its policy lets none run.
    assert_eq!(b.eval("document.scripts.length"), 0);
    let run = "{ const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); s.remove(); 'ran' in window }";
    assert_eq!(b.eval(run), false);
    mistaken(&b, &world);
    // The list of mistakes has the focus and is first; each leads to its question.
    let focus = "document.activeElement.matches('.summary[role=alert]')";
    assert_eq!(b.eval(focus), true);
    b.key("Tab");
    b.key("Enter");
    assert_eq!(b.eval("document.querySelector(':target').name"), "name");
    assert_eq!(b.eval("document.activeElement.name"), "name");
    b.type_text("Ada");
    assert_eq!(
        b.eval("document.querySelector('[name=email]').value"),
        "ada at example"
    );
    let invalid = "[...document.querySelectorAll('[aria-invalid=true]')].map(e => e.name).join()";
    assert_eq!(b.eval(invalid), "name,email,vehicles");
    let told = "[...document.querySelectorAll('[aria-describedby]')].every(e => \
                e.getAttribute('aria-describedby').split(' ').every(id => document.getElementById(id)))";
    assert_eq!(b.eval(told), true, "what describes a question is there");
    for field in ["email", "vehicles"] {
        b.eval(&format!(
            "document.querySelector('[name={field}]').select()"
        ));
        b.type_text(if field == "email" {
            "ada@acme.example"
        } else {
            "12"
        });
    }
    b.key("Enter");
    b.shows("We have your message");
    // Loading the page again sends nothing; one case came of it.
    let at = b.eval("location.href").as_str().unwrap().to_owned();
    b.open(&at);
    b.shows("We have your message");
    let cases = world.bench.json(&["case", "list"]);
    assert_eq!(cases.as_array().unwrap().len(), 1, "{cases:#}");
}

#[test]
fn a_link_brings_what_is_missing() {
    let Some(b) = Browser::start() else { return };
    let world = world();
    let link = link(&world);
    b.open(&link);
    b.shows("One detail is missing");
    assert_eq!(b.eval("document.querySelectorAll('input').length"), 1);
    b.fill("[name=name]", "Ada Lovelace");
    b.key("Enter");
    b.shows("We have your message");
    let task = world
        .bench
        .until(&["task", "list"], "the next task", |all| {
            all.as_array()
                .is_some_and(|a| a.len() == 1 && a[0]["kind"] == "review")
        });
    let case = task[0]["case"].as_str().unwrap();
    let said = world.bench.run(&["explain", case]);
    said.expect(0, &["lead_follow_up", "Ada Lovelace"]);
    b.open(&link);
    b.shows("This link has been used already");
}

/// Sent, looked over, corrected and sent again from the same page: the correction is neither lost nor kept unasked.
#[test]
fn a_corrected_note_is_kept_when_it_is_sent_once_more() {
    let world = world();
    let mut ana = world.owner();
    let at = world.at("/notes/phone_note");
    let key = |page: &str| {
        let (_, rest) = page.split_once("name=\"key\" value=\"").expect("a key");
        rest.split('"').next().unwrap().to_owned()
    };
    let first = key(&ana.get(&at).expect(200, &["Keep this note"]).body);
    let note = |key: &str, name: &str| {
        let pairs = [
            ("key", key),
            ("set.name", name),
            ("set.email", "grace@navy.example"),
        ];
        pairs.map(|(n, v)| (n, v.to_owned()))
    };
    let mut send = |key: &str, name: &str| {
        let pairs = note(key, name);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (*n, v.as_str())).collect();
        ana.post(&at, &pairs)
    };
    assert_eq!(send(&first, "Grace").to(), "/notes/phone_note");
    let again = send(&first, "Grace Hopper");
    again.expect(
        422,
        &[
            "Not kept yet",
            "An earlier version of this note was kept, and this one is not yet",
            "value=\"Grace Hopper\"",
            "value=\"grace@navy.example\"",
        ],
    );
    let fresh = key(&again.body);
    assert_ne!(fresh, first);
    assert_eq!(send(&fresh, "Grace Hopper").to(), "/notes/phone_note");
}

#[test]
fn a_person_notes_a_call() {
    let Some(b) = Browser::start() else { return };
    let world = world();
    world.sign_up(&b);
    b.key("g");
    b.key("n");
    b.until("location.pathname === '/notes/phone_note'");
    b.fill("#q0", "Grace Hopper");
    b.key("Enter");
    b.until("document.querySelector('.faults')");
    assert!(b.text().contains("Enter e-mail."), "{}", b.text());
    assert_eq!(
        b.eval("document.querySelector('#q0').value"),
        "Grace Hopper"
    );
    b.fill("#q1", "grace@navy.example");
    b.key("Enter");
    b.until("document.querySelector('.said')");
    assert_eq!(b.eval("document.querySelector('#q0').value"), "");
    let task = world.tasks(1);
    let case = task[0]["case"].as_str().unwrap();
    b.open(&world.at(&format!("/cases/{case}")));
    assert!(b.text().contains("Grace Hopper"), "{}", b.text());
}
