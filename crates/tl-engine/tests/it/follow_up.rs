//! The structured follow-up with the real store: the message that asks for missing fields brings a one-time link, and
//! what comes by it joins the case that waits. And public forms: what was typed there is no verified contact.

use std::collections::BTreeMap;

use tl_engine::admit::{Admitted, Message};
use tl_engine::desk::DeskError;
use tl_kernel::decide::{Command, CommandKind, Input, TaskDecision, link_kid};
use tl_kernel::effect::EffectState;
use tl_kernel::follow_up::{Link, waits_for};
use tl_kernel::id::CaseId;
use tl_kernel::journal::Actor;
use tl_kernel::payload::parse_json;
use tl_kernel::time::HOUR;
use tl_kernel::value::Value;

use crate::world::{START, TENANT, World};

const ASKS: &str = r#"
workflow: { id: w, version: "1" }
record:
  type: lead
  natural_key: "${record.email}"
  on_match: update
  fields:
    name: { type: string, required: true }
    email: { type: email, use: control }
    company: { type: string, required: true }
    score: { type: int, required: true, from: rules }
ingress:
  gateway: { auth: api_key }
  channels:
    api: { channel: api }
    web: { channel: form, auth: public }
worker: { ai_step: none, rules: [{ when: 'true', set: { score: '5' } }] }
decision:
  branches:
    - { condition: "size(missing) > 0", action: ask_missing }
    - default: human_queue
policy:
  ask: { auto: "true", limit: 9 per contact per day }
tasks: { ask_missing: { message: ask } }
side_effects:
  messaging:
    ask: { channel: email, via: outbox, to: record.email, subject: A detail, text: "Here: ${follow_up.link}", check: verified_sender }
"#;

/// A fixed text sends nothing by itself that a stranger could fill; a template file is what `check` asks for.
fn in_a_file() -> (String, [(&'static str, &'static str); 1]) {
    let text = ASKS.replace(r#"text: "Here: ${follow_up.link}""#, "template: t.md");
    (text, [("t.md", "Here: ${follow_up.link}\n")])
}

async fn world(dir: &std::path::Path) -> World {
    let w = World::bare(dir).await;
    w.desk.is_reached_at("https://forms.example.com/");
    let (text, files) = in_a_file();
    w.deploy_files(&text, &files).await;
    w
}

/// The links that were sent, oldest first.
async fn links(w: &World, case: CaseId) -> Vec<String> {
    let sent = w.desk.store().outbox(TENANT, Some(case), 10).await;
    let mut sent = sent.expect("the outbox");
    sent.reverse();
    let link = |text: &str| text.trim().trim_start_matches("Here: ").to_owned();
    sent.iter().map(|m| link(&m.text)).collect()
}

/// What a link says of itself.
async fn read(w: &World, case: CaseId, link: &str) -> Link {
    let start = format!("https://forms.example.com/follow-up/default/{case}/");
    let token = link
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{link}"));
    let view = w.desk.tenant(TENANT).await.expect("the tenant");
    Link::read(&view.key, case, token).expect("it is ours")
}

/// Answers by the link of a message.
async fn answer(w: &World, case: CaseId, ask: u32, json: &str) -> Result<Admitted, DeskError> {
    let mut message = at(w, "w_follow_up", &format!("link {ask}"), json);
    message.kid = link_kid(ask);
    w.desk.admit_follow_up(message, case).await
}

fn at(w: &World, endpoint: &str, key: &str, json: &str) -> Message {
    let mut message = w.message(key, json);
    endpoint.clone_into(&mut message.endpoint);
    let body = parse_json(json.as_bytes()).expect("good JSON");
    message.event = Value::Record(BTreeMap::from([
        ("endpoint".to_owned(), Value::text(endpoint)),
        ("body".to_owned(), body),
    ]));
    message
}

#[tokio::test]
async fn a_link_asks_for_what_is_missing_and_its_answers_join_the_case() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = world(dir.path()).await;
    let case = w.case_of("a", r#"{"email":"ada@example.com"}"#).await;
    w.settle().await.unwrap();
    assert_eq!(w.state(case).await, "needs_human");
    let sent = links(&w, case).await;
    assert_eq!(sent.len(), 1);
    let link = read(&w, case, &sent[0]).await;
    let week = START / 1_000_000 + 7 * 86_400;
    assert_eq!((link.fields.clone(), link.until), (vec![0, 2], week));

    // A mail brings one of the two; the link stays good for the other.
    w.send("b", r#"{"email":"ada@example.com","name":"Ada"}"#)
        .await
        .unwrap();
    let bundle = w.desk.bundle(TENANT, 1).await.unwrap();
    let waits = waits_for(&bundle.program, &w.case(case).await);
    assert_eq!(waits, Some((link.ask, vec!["company".to_owned()])));

    let stranger = answer(&w, case, link.ask + 1, r#"{"company":"Evil"}"#).await;
    assert!(
        matches!(&stranger, Err(DeskError::Refused(r)) if r.code == "TL0718"),
        "{stranger:?}"
    );
    let done = answer(&w, case, link.ask, r#"{"company":"Acme","name":"Eve"}"#).await;
    let joined = Admitted::Accepted {
        case: Some(case),
        joined: None,
    };
    assert_eq!(done.unwrap(), joined);
    w.settle().await.unwrap();
    let after = w.case(case).await;
    let text = |name: &str| after.record[name].value.to_string();
    assert_eq!(
        (text("company"), text("name")),
        ("Acme".into(), "Ada".into()),
        "it fills what is missing and changes nothing"
    );
    assert!(!after.open_tasks().any(|(_, t)| t.kind == "missing"));
    assert_eq!(after.events.len(), 3);
    // The link is used.
    let again = answer(&w, case, link.ask, r#"{"company":"Acme"}"#).await;
    assert!(matches!(&again, Err(DeskError::Refused(r)) if r.code == "TL0718"));
    assert_eq!(w.case(case).await.events.len(), 3);
    // It never opens a case of its own.
    let own = w
        .desk
        .admit(at(&w, "w_follow_up", "c", r#"{"company":"B"}"#))
        .await;
    assert!(matches!(&own, Err(DeskError::Refused(r)) if r.code == "TL0718"));
}

/// Decided again, the case asks the same of the same person only once the link has run out that it has sent.
#[tokio::test]
async fn a_question_is_not_asked_again_for_the_sake_of_a_new_link() {
    // Hours until the case is decided again; what is typed in meanwhile; how many links were sent then.
    let same = "{}";
    let table = [
        (1, same, 1),
        (7 * 24, same, 1),
        (7 * 24 + 1, same, 2),
        (1, r#"{"company":"Acme"}"#, 2),
    ];
    for (hours, json, want) in table {
        let dir = tempfile::tempdir().unwrap();
        let mut w = world(dir.path()).await;
        let case = w.case_of("a", r#"{"email":"ada@example.com"}"#).await;
        w.settle().await.unwrap();
        let json = json
            .replacen('{', r#"{"email":"ada@example.com","#, 1)
            .replace(",}", "}");
        w.send("b", &json).await.unwrap();
        w.clock.advance(hours * HOUR);
        for what in [CommandKind::Close, CommandKind::Reopen] {
            let command = Input::Command(Command {
                by: Actor::Person("op".into()),
                reason: "checked".into(),
                what,
            });
            let done = w.desk.advance((TENANT, case), command, Vec::new(), None);
            done.await.unwrap();
        }
        w.settle().await.unwrap();
        let sent = links(&w, case).await;
        assert_eq!(sent.len(), want, "after {hours} hours: {sent:?}");
        // The last link that was sent is the one that counts.
        let last = read(&w, case, &sent[want - 1]).await;
        let bundle = w.desk.bundle(TENANT, 1).await.unwrap();
        let waits = waits_for(&bundle.program, &w.case(case).await);
        assert_eq!(waits.map(|(ask, _)| ask), Some(last.ask), "{hours} hours");
        let done = answer(&w, case, last.ask, r#"{"company":"Acme","name":"Ada"}"#).await;
        assert!(done.is_ok(), "{hours} hours: {done:?}");
    }
}

/// A person who puts the question into other words leaves its link in: an answer by it counts, and the question is not
/// asked once more when the case is decided anew.
#[tokio::test]
async fn a_question_in_other_words_keeps_its_link() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::bare(dir.path()).await;
    w.desk.is_reached_at("https://forms.example.com/");
    let (text, files) = in_a_file();
    let text = text.replace("ask: { auto: \"true\", ", "ask: { approve: operators, ");
    w.deploy_files(&text, &files).await;
    let case = w.case_of("a", r#"{"email":"ada@example.com"}"#).await;
    w.settle().await.unwrap();
    let open = w.open_tasks(case).await;
    let task = open
        .iter()
        .find(|t| t.kind == "approve")
        .expect("an approval");
    let effect = w.case(case).await.effects[&task.effect.expect("an effect")].clone();
    let shown = effect
        .args
        .as_ref()
        .and_then(|a| a.at(&["text"]))
        .expect("a text");
    let shown = shown.to_string();
    let link = shown.trim().trim_start_matches("Here: ").to_owned();
    let decision = Input::TaskDecided(TaskDecision {
        n: task.task.n,
        by: Actor::Person("op".into()),
        decision: "edit".into(),
        reason: "reworded".into(),
        note: None,
        edits: vec![(
            "text".into(),
            Value::text(format!("Dear Ada, please: {link}")),
        )],
        digest: Some(effect.digest),
    });
    w.desk
        .advance((TENANT, case), decision, Vec::new(), None)
        .await
        .unwrap();
    w.settle().await.unwrap();
    let sent = w.desk.store().outbox(TENANT, Some(case), 10).await.unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].text, format!("Dear Ada, please: {link}"));
    for what in [CommandKind::Close, CommandKind::Reopen] {
        let command = Input::Command(Command {
            by: Actor::Person("op".into()),
            reason: "checked".into(),
            what,
        });
        let done = w.desk.advance((TENANT, case), command, Vec::new(), None);
        done.await.unwrap();
    }
    w.settle().await.unwrap();
    let waits: Vec<String> = w
        .open_tasks(case)
        .await
        .into_iter()
        .map(|t| t.kind)
        .collect();
    assert_eq!(waits, ["missing"], "it was asked already");
    let ask = read(&w, case, &link).await.ask;
    let done = answer(&w, case, ask, r#"{"company":"Acme","name":"Ada"}"#).await;
    assert!(done.is_ok(), "{done:?}");
}

/// What is done while nobody answers.
const UNANSWERED: &str = "unanswered: [
  { after: 2d, message: again }, { after: 4d, message: again }, { after: 5d, to: boss }, { after: 9d, close: no_answer }
]";

async fn patient(dir: &std::path::Path) -> World {
    let w = World::bare(dir).await;
    w.desk.is_reached_at("https://forms.example.com/");
    let (text, files) = in_a_file();
    let text = text
        .replace("message: ask }", &format!("message: ask, {UNANSWERED} }}"))
        .replace("policy:\n", "policy:\n  again: { auto: \"true\", limit: 9 per contact per day }\n")
        .replace(
            "  messaging:\n",
            "  messaging:\n    again: { channel: email, to: record.email, template: t.md, check: verified_sender }\n",
        );
    let files = [files[0], ("/teams.yaml", "teams: { boss: [berta] }\n")];
    w.deploy_files(&text, &files).await;
    w
}

/// Who left no address was never asked: nobody is reminded, and the case is not closed for want of an answer. Somebody is told
/// all the same.
#[tokio::test]
async fn who_could_not_be_asked_is_not_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = patient(dir.path()).await;
    let case = w.case_of("a", r#"{"company":"Acme"}"#).await;
    w.settle().await.unwrap();
    for hours in [48, 48, 24, 96, 48] {
        w.clock.advance(hours * HOUR);
        w.settle().await.unwrap();
    }
    assert!(links(&w, case).await.is_empty());
    let open = w.open_tasks(case).await;
    let kinds: Vec<(&str, &str)> = open
        .iter()
        .map(|t| (t.kind.as_str(), t.owner.as_str()))
        .collect();
    assert!(kinds.contains(&("missing", "boss")), "{kinds:?}");
    assert!(
        !kinds.iter().any(|(kind, _)| *kind == "exception"),
        "{kinds:?}"
    );
    assert_eq!(w.state(case).await, "needs_human");
}

/// Whoever does not answer is reminded, then somebody is told, then the case is closed; an answer ends that.
#[tokio::test]
async fn an_unanswered_question_reminds_escalates_and_closes() {
    // Hours after the question: links that were sent, the owner of the task, the state and why.
    let table = [
        (47, 1, "operators", ("needs_human", "missing")),
        (48, 2, "operators", ("needs_human", "missing")),
        (96, 3, "operators", ("needs_human", "missing")),
        (120, 3, "boss", ("needs_human", "missing")),
        (215, 3, "boss", ("needs_human", "missing")),
        (216, 3, "operators", ("closed", "no_answer")),
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut w = patient(dir.path()).await;
    let case = w.case_of("a", r#"{"email":"ada@example.com"}"#).await;
    w.settle().await.unwrap();
    let mut passed = 0;
    for (hours, sent, owner, (state, reason)) in table {
        w.clock.advance((hours - passed) * HOUR);
        passed = hours;
        w.settle().await.unwrap();
        assert_eq!(links(&w, case).await.len(), sent, "after {hours} hours");
        assert_eq!(w.state(case).await, state, "after {hours} hours");
        let now = w.case(case).await;
        assert_eq!(
            (&*now.owner, &*now.reason),
            (owner, reason),
            "after {hours} hours"
        );
    }
    // The newest link was the one that counted; now none does.
    let last = read(&w, case, &links(&w, case).await[2]).await;
    let late = answer(&w, case, last.ask, r#"{"company":"Acme","name":"Ada"}"#).await;
    assert!(matches!(&late, Err(DeskError::Refused(r)) if r.code == "TL0718"));
    assert!(w.case(case).await.timers.is_empty());
}

#[tokio::test]
async fn an_answer_ends_the_reminders_and_half_of_one_begins_them_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = patient(dir.path()).await;
    let case = w.case_of("a", r#"{"email":"ada@example.com"}"#).await;
    w.settle().await.unwrap();
    w.clock.advance(48 * HOUR);
    w.settle().await.unwrap();
    let sent = links(&w, case).await;
    assert_eq!(sent.len(), 2);
    let newest = read(&w, case, &sent[1]).await;
    // Half of what is missing, a day after the reminder: two days from now on.
    w.clock.advance(24 * HOUR);
    answer(&w, case, newest.ask, r#"{"name":"Ada"}"#)
        .await
        .unwrap();
    w.settle().await.unwrap();
    let asked = links(&w, case).await.len();
    w.clock.advance(47 * HOUR);
    w.settle().await.unwrap();
    assert_eq!(links(&w, case).await.len(), asked, "47 hours");
    w.clock.advance(HOUR);
    w.settle().await.unwrap();
    let sent = links(&w, case).await;
    assert_eq!(sent.len(), asked + 1, "48 hours");
    let newest = read(&w, case, &sent[asked]).await;
    answer(&w, case, newest.ask, r#"{"company":"Acme"}"#)
        .await
        .unwrap();
    w.settle().await.unwrap();
    w.clock.advance(30 * 24 * HOUR);
    w.settle().await.unwrap();
    assert_eq!(links(&w, case).await.len(), asked + 1, "nobody is reminded");
    assert_ne!(w.case(case).await.reason, "no_answer");
}

#[tokio::test]
async fn without_an_address_of_ours_there_is_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::bare(dir.path()).await;
    let (text, files) = in_a_file();
    w.deploy_files(&text, &files).await;
    let case = w.case_of("a", r#"{"email":"ada@example.com"}"#).await;
    w.settle().await.unwrap();
    assert_eq!(links(&w, case).await, ["Here:"]);
}

/// An address that somebody typed into a public form gets nothing by itself, and replaces no verified one.
#[tokio::test]
async fn what_was_typed_into_a_public_form_is_no_verified_contact() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = world(dir.path()).await;
    let opened = |done: Result<Admitted, DeskError>| match done.expect("admitted") {
        Admitted::Accepted {
            case: Some(case), ..
        } => case,
        other => panic!("{other:?}"),
    };
    let states = async |w: &World, case| -> Vec<EffectState> {
        let rows = w.effects(case).await;
        rows.iter().map(|r| r.state).collect()
    };
    let typed = at(&w, "web", "a", r#"{"email":"victim@example.com"}"#);
    let case = opened(w.desk.admit(typed).await);
    w.settle().await.unwrap();
    assert_eq!(
        states(&w, case).await,
        [EffectState::Planned],
        "a person approves it"
    );
    assert!(links(&w, case).await.is_empty());

    let signed = w
        .case_of("b", r#"{"email":"ada@example.com","name":"Ada"}"#)
        .await;
    w.settle().await.unwrap();
    assert_eq!(states(&w, signed).await, [EffectState::Succeeded]);
    let forged = r#"{"email":"ada@example.com","name":"Eve","company":"Evil"}"#;
    let joined = opened(w.desk.admit(at(&w, "web", "c", forged)).await);
    assert_eq!(joined, signed);
    let text = async |w: &World, name: &str| w.case(signed).await.record[name].value.to_string();
    assert_eq!(text(&w, "name").await, "Ada", "what was verified stays");
    assert_eq!(
        text(&w, "company").await,
        "Evil",
        "what was absent is filled"
    );
    let mended = r#"{"email":"ada@example.com","company":"Acme"}"#;
    w.send("d", mended).await.unwrap();
    assert_eq!(
        text(&w, "company").await,
        "Acme",
        "and replaced by who is verified"
    );
}
