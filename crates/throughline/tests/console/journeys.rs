//! What people do at the console, in a real browser, with the keyboard.

use tl_connect::fake::Crm;
use tl_connect::fake::crm::{Fault, On};

use crate::bench::Bench;
use crate::browser::Browser;
use crate::world::{PASSWORD, World};

#[test]
fn the_first_person_makes_the_account_and_signs_in_again() {
    let Some(b) = Browser::start() else { return };
    let world = World::new();
    b.open(&world.at("/"));
    b.until("location.pathname === '/sign-in'");
    assert!(b.text().contains("Nobody can sign in yet"), "{}", b.text());
    // A short password is told; the link stays good.
    b.open(&world.link);
    b.fill("[name=shown]", "Ana Horvat");
    b.fill("[name=name]", "ana");
    b.fill("[name=password]", "anaanaanaana");
    b.key("Enter");
    b.until("document.querySelector('.fault')");
    world.sign_up(&b);
    assert!(b.text().contains("Ana Horvat"));
    // The link works once.
    b.open(&world.link);
    assert!(b.text().contains("This link is over"), "{}", b.text());

    b.open(&world.at("/inbox"));
    b.eval("document.querySelector('.account').open = true");
    b.eval("document.querySelector('.account form').requestSubmit()");
    b.until("location.pathname === '/sign-in'");
    b.open(&world.at("/cases?state=closed"));
    b.until("location.pathname === '/sign-in'");
    b.fill("[name=name]", "ana");
    b.fill("[name=password]", "not the password");
    b.key("Enter");
    b.until("document.querySelector('.fault')");
    b.fill("[name=password]", PASSWORD);
    b.key("Enter");
    // Back to where they wanted to go.
    b.until("location.pathname + location.search === '/cases?state=closed'");
}

#[test]
fn the_queue_is_emptied_by_keyboard_alone() {
    let Some(b) = Browser::start() else { return };
    let world = World::new();
    for name in ["dana", "eli", "finn"] {
        world.send(&format!("{name}@acme.example"), "please write");
    }
    world.tasks(3);
    world.sign_up(&b);
    b.key("g");
    b.key("i");
    b.until(
        "location.pathname === '/inbox' && document.querySelectorAll('[data-item]').length === 3",
    );
    b.key("j");
    b.until("document.querySelectorAll('[data-item]')[1].hasAttribute('data-at')");
    b.key("Enter");
    b.until("location.pathname.startsWith('/tasks/')");
    assert!(b.text().contains("You wrote: please write"), "{}", b.text());
    // Two go out, the third is sent back.
    for left in [2, 1] {
        b.awake();
        b.eval("delete document.body.dataset.awake; document.body.dataset.before = '1'");
        b.key("a");
        b.until("!('before' in document.body.dataset) && document.querySelector('.said')");
        world.tasks(left);
    }
    b.awake();
    b.key("r");
    b.until("document.querySelector('#act-reject').open");
    b.ctrl_enter();
    b.until("location.pathname === '/inbox'");
    assert!(
        b.text().contains("Nothing waits for a person"),
        "{}",
        b.text()
    );
    let sent = |o: &serde_json::Value| {
        let succeeded =
            |e: &&serde_json::Value| e["action"] == "reply" && e["state"] == "succeeded";
        o.as_array().unwrap().iter().filter(succeeded).count() == 2
    };
    world.bench.until(&["effect", "list"], "two replies", sent);
    let explained = world.bench.run(&["case", "list", "--json"]);
    assert!(explained.out.contains("wrong_text"), "{}", explained.out);
}

#[test]
fn a_record_is_corrected_and_then_approved() {
    let Some(b) = Browser::start() else { return };
    let world = World::new();
    let case = world.send("dana@acme.example", "hello");
    world.tasks(1);
    world.sign_up(&b);
    b.open(&world.at("/inbox"));
    b.key("e");
    b.until("location.hash === '#act-edit' && document.querySelector('#act-edit').open");
    b.awake();
    b.eval("document.querySelector('[name=\"set.message\"]').value = ''");
    b.fill("[name=\"set.message\"]", "please write");
    b.ctrl_enter();
    // The same case needs an approval now, and is shown next.
    b.until("document.querySelector('.outgoing')");
    assert!(b.text().contains("You wrote: please write"), "{}", b.text());
    b.awake();
    b.key("a");
    b.until("location.pathname === '/inbox'");
    let closed = |c: &serde_json::Value| c[0]["state"] == "closed";
    world.bench.until(&["case", "list"], "the end", closed);
    world
        .bench
        .run(&["explain", &case])
        .expect(0, &["a person", "ana"]);
    b.open(&world.at(&format!("/cases/{case}")));
    assert!(b.text().contains("ana"), "{}", b.text());
}

#[test]
fn a_message_is_put_into_other_words_and_sent() {
    let Some(b) = Browser::start() else { return };
    let world = World::new();
    let case = world.send("dana@acme.example", "please write");
    world.tasks(1);
    world.sign_up(&b);
    b.open(&world.at("/inbox"));
    b.key("e");
    b.until("location.hash === '#act-edit' && document.querySelector('#act-edit').open");
    b.awake();
    // Sent as it stands, nothing is reworded: the browser's own line ends are not new words.
    let words = b.eval("document.querySelector('[name=\"set.text\"]').value");
    assert_eq!(words, "You wrote: please write\n");
    b.eval("document.querySelector('[name=\"set.text\"]').value = ''");
    b.fill("[name=\"set.text\"]", "Dear Dana, we call you today.");
    b.ctrl_enter();
    b.until("location.pathname === '/inbox'");
    assert!(b.text().contains("Approved in your words"), "{}", b.text());
    let closed = |c: &serde_json::Value| c[0]["state"] == "closed";
    world.bench.until(&["case", "list"], "the end", closed);
    let sent = world.bench.json(&["outbox", "list"]);
    let id = sent[0]["effect"].as_str().unwrap();
    let shown = world.bench.run(&["outbox", "show", id]);
    shown.expect(0, &["Dear Dana, we call you today.", "dana@acme.example"]);
    b.open(&world.at(&format!("/cases/{case}")));
    let text = b.text();
    assert!(
        text.contains("in place of “You wrote: please write”"),
        "{text}"
    );
}

#[test]
fn a_stale_approval_is_refused() {
    let Some(b) = Browser::start() else { return };
    let world = World::new();
    let case = world.send("dana@acme.example", "please write");
    world.tasks(1);
    world.sign_up(&b);
    b.open(&world.at("/inbox"));
    b.key("Enter");
    b.until("location.pathname.startsWith('/tasks/')");
    b.awake();
    // What would go out becomes something else while the page is open.
    b.eval("document.querySelector('[name=digest]').value = 'ab'.repeat(32)");
    b.key("a");
    b.until("document.querySelector('.problem')");
    let text = b.text();
    assert!(text.contains("not what would go out now"), "{text}");
    assert!(text.contains("Nothing was approved"), "{text}");
    let effects = world.bench.json(&["effect", "list", "--case", &case]);
    let reply = effects
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["action"] == "reply");
    assert_eq!(reply.unwrap()["state"], "planned");
    b.awake();
    b.key("Enter");
    b.until("location.pathname.startsWith('/tasks/') && document.querySelector('.outgoing')");
}

const TO_A_CRM: &str = "\
workflow: { id: lead, version: \"1\" }
record:
  type: lead
  fields: { email: { type: email, required: true, use: control } }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels: { web: { channel: webhook, map: { email: event.body.email } } }
worker: { ai_step: none }
decision: { branches: [ { condition: has(record.email), action: crm_upsert }, { default: human_queue } ] }
policy: { crm_upsert: auto }
side_effects:
  crm:
    api: rest
    connection: crm
    method: PUT
    path: \"/leads/${record.email}\"
    optimistic_lock: If-Match
    map: { email: record.email }
";

#[test]
fn what_failed_for_one_cause_is_sent_again() {
    let Some(b) = Browser::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let crm = runtime.block_on(Crm::start(([127, 0, 0, 1], 0).into()));
    let crm = crm.unwrap();
    let refused = Fault::Status {
        status: 400,
        retry_after: None,
    };
    crm.script(On::Writes, refused, 100);
    let bench = Bench::empty();
    bench.write("workflows/lead/workflow.yaml", TO_A_CRM);
    let connection = format!(
        "connections: {{ crm: {{ kind: rest, base_url: '{}', auth: none }} }}\n",
        crm.base_url()
    );
    bench.write("connections.yaml", &connection);
    bench.write(
        "throughline.toml",
        "allow_private_connections = [\"crm\"]\n",
    );
    let world = World::over(bench, "default/web");
    for name in ["dana", "eli", "finn"] {
        world.send_lead(&[("email", &format!("{name}@acme.example"))]);
    }
    let all = |state: &'static str| {
        move |list: &serde_json::Value| {
            let list = list.as_array().unwrap();
            list.len() == 3 && list.iter().all(|e| e["state"] == state)
        }
    };
    world
        .bench
        .until(&["effect", "list"], "three refusals", all("failed"));
    world.sign_up(&b);
    b.open(&world.at("/failures"));
    let text = b.text();
    for part in ["crm_upsert in lead at crm", "Send 3 effects again"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    crm.heal();
    b.fill("[name=reason]", "cause_mended");
    b.key("Enter");
    b.until("document.querySelector('.said')");
    assert!(
        b.text().contains("3 of 3 are ready to be sent again"),
        "{}",
        b.text()
    );
    world
        .bench
        .until(&["effect", "list"], "three writes", all("succeeded"));
    assert_eq!(crm.ledger().len(), 3, "each once");
    b.open(&world.at("/failures"));
    assert!(b.text().contains("Nothing has failed"), "{}", b.text());
}
