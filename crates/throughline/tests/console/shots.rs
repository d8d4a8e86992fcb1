//! Pictures of every page for people to look at: `cargo test -p throughline --test console -- --ignored pictures`.
//! They land in the directory `THROUGHLINE_SHOTS`, else in `target/console`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench::Bench;
use crate::browser::Browser;
use crate::world::World;

const SIZES: [(u32, u32); 2] = [(1440, 900), (390, 844)];
const TALLEST: u64 = 2400;

#[test]
#[ignore = "makes pictures for people to look at"]
fn pictures() {
    let Some(b) = Browser::start() else { return };
    let to = place();

    let calm = World::new();
    take(&b, &to, &[("begin", &calm.link)]);
    take(&b, &to, &[("no-account", &calm.at("/sign-in"))]);
    calm.sign_up(&b);
    let empty = [
        "inbox", "cases", "health", "failures", "outbox", "switches", "people",
    ];
    for name in empty {
        let page = (format!("empty-{name}"), calm.at(&format!("/{name}")));
        take(&b, &to, &[(&page.0, &page.1)]);
    }
    take(
        &b,
        &to,
        &[(
            "missing",
            &calm.at("/cases/case_00000000000000000000000000"),
        )],
    );
    b.eval("document.querySelector('.account form').requestSubmit()");
    b.until("location.pathname === '/sign-in'");
    take(&b, &to, &[("sign-in", &calm.at("/sign-in"))]);

    letters(&b, &to);
    let bench = Bench::empty();
    let played = Command::new(env!("CARGO_BIN_EXE_throughline"))
        .args(["demo", "--once", "--json", "--keep"])
        .arg(bench.path())
        .output()
        .unwrap();
    assert!(
        played.status.success(),
        "{}",
        String::from_utf8_lossy(&played.stderr)
    );
    let full = World::over(bench, "");
    full.sign_up(&b);
    let pages: Vec<(String, String)> = [
        "inbox",
        "cases",
        "health",
        "workflows",
        "failures",
        "outbox",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), full.at(&format!("/{name}"))))
    .chain(tasks(&full))
    .collect();
    for (name, url) in &pages {
        take(&b, &to, &[(name, url)]);
    }
    for (scope, mode) in [
        ("everything", "hold"),
        ("tenant", "dry-run"),
        ("ingest", "hold"),
        ("workflow:inbound_lead", "cancel"),
        ("action:crm_upsert", "hold"),
    ] {
        full.bench
            .run(&[
                "kill",
                "set",
                scope,
                "--mode",
                mode,
                "--reason",
                "wrong_price_list_in_the_template",
            ])
            .expect(0, &[]);
    }
    take(
        &b,
        &to,
        &[
            ("held-health", &full.at("/health")),
            ("held-switches", &full.at("/switches")),
        ],
    );
}

/// A workflow whose answers wait for an approval: what people look at most.
const LETTERS: &str = r#"
workflow: { id: inbound_lead, version: "2.1.0", goal: { start: pending, end: closed, sla: 15m, owner: revenue-ops } }
record:
  type: lead
  natural_key: "${record.email}"
  fields:
    name:    { type: string, required: true }
    company: { type: string }
    email:   { type: email, required: true, use: control }
    message: { type: text, untrusted: true }
    first_touched_at: { type: time, from: engine }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels:
    web:
      channel: webhook
      map: { name: event.body.name, company: event.body.company, email: event.body.email, message: event.body.message }
      text: event.body.message
states:
  needs_human: { owner: tier-1, sla: 30m }
decision:
  branches:
    - { condition: "size(missing) > 0", action: ask_missing }
    - condition: record.message.contains('price')
      action: [crm_upsert, reply]
    - default: human_queue
side_effects:
  messaging:
    reply: { channel: email, via: outbox, to: record.email, subject: "Your question to Kestrel", template: templates/reply.md }
policy:
  crm_upsert: auto
  reply: { approve: tier-1 }
"#;

const REPLY: &str = "Dear ${record.name},

thank you for writing to us. Our prices depend on the number of vehicles and on the modules: dispatch from 29 euros,
warehouse from 49 euros per vehicle and month, both with a free trial of thirty days.

Would Thursday at ten suit you for a short call? I will show you the planner with your own routes.

Kind regards
Nora Lindqvist, Kestrel Freight Software
";

/// Where the pictures land.
fn place() -> PathBuf {
    let to = std::env::var("THROUGHLINE_SHOTS").map_or_else(
        |_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/console"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&to).unwrap();
    to
}

/// Forms as they are shown first and with mistakes, and what a person of ours notes.
#[test]
#[ignore = "makes pictures for people to look at"]
fn pictures_of_forms() {
    let Some(b) = Browser::start() else { return };
    let (b, to) = (&b, &place());
    let world = crate::forms::world();
    let form = world.at("/forms/default/contact");
    take(
        b,
        to,
        &[
            ("form", &form),
            ("form-sent", &world.at("/forms/default/contact/sent")),
        ],
    );
    take(b, to, &[("form-none", &world.at("/forms/default/nothing"))]);
    for (width, height) in SIZES {
        b.size(width, height);
        for scheme in ["light", "dark"] {
            b.scheme(scheme);
            crate::forms::mistaken(b, &world);
            b.picture(
                &to.join(format!("form-wrong-{width}-{scheme}.png")),
                TALLEST,
            );
        }
    }
    b.size(1440, 900);
    let link = crate::forms::link(&world);
    take(
        b,
        to,
        &[
            ("follow-up", &link),
            ("follow-up-over", &format!("{link}0")),
        ],
    );
    world.sign_up(b);
    take(b, to, &[("note", &world.at("/notes/phone_note"))]);
}

fn letters(b: &Browser, to: &Path) {
    let bench = Bench::empty();
    bench.write("workflows/inbound_lead/workflow.yaml", LETTERS);
    bench.write("workflows/inbound_lead/templates/reply.md", REPLY);
    bench.write(
        "teams.yaml",
        "teams:\n  tier-1: [ana, jo]\n  revenue-ops: [sam]\n",
    );
    let world = World::over(bench, "default/web");
    world.sign_up(b);
    let long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft";
    let messages = [
        (
            "Dana Weiss",
            "Acme Logistics GmbH",
            "dana@acme.example",
            "Hello, what is the price for 14 trucks? We plan by hand today and lose an hour every morning.",
        ),
        (
            "Hans",
            long,
            "hans@long.example",
            "Please send the price list.",
        ),
        (
            "ليلى حداد",
            "شركة النقل السريع",
            "layla@fast.example",
            "مرحبا، ما هو price لعشر شاحنات؟ نحتاج إلى عرض قبل نهاية الأسبوع.",
        ),
        (
            "",
            "Tamar Haulage",
            "ops@tamar.example",
            "price for 16 lorries?",
        ),
        (
            "Mia Berg",
            "Nordfrakt AB",
            "mia@nordfrakt.example",
            "Do you integrate with our scales?",
        ),
    ];
    for (name, company, email, message) in messages {
        world.send_lead(&[
            ("name", name),
            ("company", company),
            ("email", email),
            ("message", message),
        ]);
    }
    let tasks = world.tasks(messages.len());
    take(
        b,
        to,
        &[
            ("letters-inbox", &world.at("/inbox")),
            ("letters-health", &world.at("/health")),
        ],
    );
    for (n, task) in tasks.as_array().unwrap().iter().enumerate() {
        let word = |name: &str| task[name].as_str().unwrap().to_owned();
        let name = format!("letters-task-{n}-{}", word("kind"));
        take(
            b,
            to,
            &[(&name, &world.at(&format!("/tasks/{}", word("task"))))],
        );
    }
    let first = tasks
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["kind"] == "approve")
        .unwrap();
    b.open(&world.at(&format!("/tasks/{}", first["task"].as_str().unwrap())));
    b.awake();
    b.key("r");
    b.until("document.querySelector('#act-reject').open");
    b.picture(&to.join("letters-send-back.png"), TALLEST);
    b.eval("document.querySelector('[name=digest]').value = 'ab'.repeat(32)");
    b.key("Escape");
    b.key("a");
    b.until("document.querySelector('.problem')");
    b.picture(&to.join("letters-stale.png"), TALLEST);
    b.key("?");
    b.picture(&to.join("letters-keys.png"), TALLEST);
}

/// A task of each kind, the longest messages, and their cases.
fn tasks(world: &World) -> Vec<(String, String)> {
    let all = world.bench.json(&["task", "list", "--limit", "200"]);
    let mut out: Vec<(String, String)> = Vec::new();
    for task in all.as_array().unwrap() {
        let word = |name: &str| task[name].as_str().unwrap().to_owned();
        let name = format!("task-{}", word("kind"));
        if !out.iter().any(|(n, _)| *n == name) {
            out.push((name, world.at(&format!("/tasks/{}", word("task")))));
            let case = format!("case-{}", word("kind"));
            out.push((case, world.at(&format!("/cases/{}", word("case")))));
        }
    }
    let closed: Value = world.bench.json(&["case", "list", "--state", "closed"]);
    let case = closed[0]["case"].as_str().unwrap();
    out.push(("case-closed".into(), world.at(&format!("/cases/{case}"))));
    out
}

fn take(b: &Browser, to: &Path, pages: &[(&str, &str)]) {
    for (name, url) in pages {
        for (width, height) in SIZES {
            b.size(width, height);
            for scheme in ["light", "dark"] {
                b.scheme(scheme);
                b.open(url);
                // Nothing is wider than the window.
                let wide = b.eval("document.documentElement.scrollWidth <= innerWidth");
                assert_eq!(wide, true, "{name} at {width} is wider than its window");
                b.picture(&to.join(format!("{name}-{width}-{scheme}.png")), TALLEST);
            }
        }
        b.size(1440, 900);
        b.scheme("light");
    }
}
