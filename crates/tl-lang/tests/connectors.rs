//! Connector files and their use in workflows: what is found wrong, where, and with which mend.

use std::collections::BTreeMap;

use tl_kernel::effect::Class;
use tl_kernel::program::ActionKind;
use tl_lang::connector::read;
use tl_lang::{Project, connections, load};

const HEAD: &str = "connector: crm\ntitle: CRM\n";

fn findings(yaml: &str) -> Vec<(String, u32, String)> {
    let found = read("connectors/crm.yaml", yaml);
    let diags = found.diags.iter();
    diags
        .map(|d| (d.code.to_owned(), d.line, d.message.clone()))
        .collect()
}

const MAIL: &str = "to: { type: email, control: sensitive }, subject: {}, text: {}";
const SMS: &str = "to: { type: phone, control: sensitive }, text: {}";

/// A file whose one action sends a message, with these arguments.
fn says(message: &str, arguments: &[&str]) -> String {
    let arguments = arguments.join(", ");
    format!(
        "{HEAD}actions:\n  a:\n    class: E4\n    message: {message}\n    request: {{ path: /x }}\n    arguments: {{ {arguments} }}\n"
    )
}

/// A file, the code of its one finding (none: it is right), its line, and a part of what is said.
#[test]
fn a_wrong_file_is_refused_with_its_place() {
    let action = |rest: &str| {
        format!("{HEAD}actions:\n  a:\n    request: {{ path: /x, json: {{}} }}\n{rest}")
    };
    let table: &[(String, &str, u32, &str)] = &[
        (action(""), "TL0202", 5, "`class`"),
        (action("    class: E9\n"), "TL0204", 6, "E9"),
        (action("    class: E1\n"), "TL0417", 6, "E1"),
        (action("    class: E2\n"), "TL0417", 6, "E2"),
        (action("    class: E3\n"), "TL0417", 6, "E3"),
        (action("    class: E5\n"), "TL0417", 6, "E5"),
        (
            action("    class: E2\n    lock: placed\n"),
            "TL0417",
            6,
            "E2",
        ),
        (action("    class: E4\n    clas: x\n"), "TL0201", 7, "clas"),
        (says("email", &[MAIL]), "", 0, ""),
        (says("sms", &[SMS]), "", 0, ""),
        (
            says("{ channel: sms, text: body }", &[SMS, "body: {}"]),
            "",
            0,
            "",
        ),
        (says("post", &[MAIL]), "TL0204", 6, "post"),
        (says("{ to: to }", &[MAIL]), "TL0202", 6, "`channel`"),
        (
            says("{ channel: email, body: x }", &[MAIL]),
            "TL0201",
            6,
            "body",
        ),
        (
            says("email", &["subject: {}", "text: {}"]),
            "TL0416",
            6,
            "no `to`",
        ),
        (says("email", &[SMS]), "TL0416", 6, "no `subject`"),
        (
            says("{ channel: sms, text: txt }", &[SMS]),
            "TL0416",
            6,
            "no `txt`",
        ),
        (says("sms", &[MAIL]), "TL0416", 6, "does not say so"),
        (
            says("email", &["to: { type: email }", "subject: {}", "text: {}"]),
            "TL0416",
            6,
            "does not say so",
        ),
        (
            format!("{}    fields: {{}}\n", says("email", &[MAIL])),
            "TL0209",
            9,
            "`fields`",
        ),
        (
            format!(
                "{}  b:\n    class: E4\n    message: sms\n    request: {{ path: /x }}\n    arguments: {{ {SMS} }}\n",
                says("sms", &[SMS])
            ),
            "TL0209",
            9,
            "`a` and `b`",
        ),
        (
            action("    class: E4\n    meanings: [{ status: 999, means: done }]\n"),
            "TL0206",
            7,
            "999",
        ),
        (
            action("    class: E4\n    meanings: [{ status: 409 }]\n"),
            "TL0202",
            7,
            "`means`",
        ),
        (
            action("    class: E4\n    meanings: [{ when: answer.stats == 1, means: done }]\n"),
            "TL0303",
            7,
            "stats",
        ),
        (
            action("    class: E4\n    answer: { id: arg.id }\n"),
            "TL0303",
            7,
            "arg",
        ),
        (
            format!(
                "{HEAD}actions:\n  a: {{ class: E4, request: {{ path: \"/x/${{args.idd}}\" }}, arguments: {{ id: {{}} }} }}\n"
            ),
            "TL0303",
            4,
            "idd",
        ),
        (
            format!("{HEAD}actions:\n  a: {{ class: E4, request: {{ path: x }} }}\n"),
            "TL0203",
            4,
            "starts with `/`",
        ),
        (
            format!(
                "{HEAD}actions:\n  a: {{ class: E4, request: {{ path: /x, json: {{}}, form: {{}} }} }}\n"
            ),
            "TL0209",
            4,
            "exclude",
        ),
        (
            format!(
                "{HEAD}actions:\n  a: {{ class: E4, request: {{ path: /x, json: \"${{fields}}\" , method: FETCH }} }}\n"
            ),
            "TL0204",
            4,
            "FETCH",
        ),
        (
            format!("{HEAD}base_url: http://x.example\nactions: {{}}\n"),
            "TL0203",
            3,
            "https",
        ),
        (
            format!("{HEAD}auth: {{ a: {{ kind: magic }} }}\nactions: {{}}\n"),
            "TL0204",
            3,
            "magic",
        ),
        (
            format!("{HEAD}auth: {{ a: {{ kind: session }} }}\nactions: {{}}\n"),
            "TL0202",
            3,
            "`request`",
        ),
        (
            format!("{HEAD}rate: {{ per_second: 0 }}\nactions: {{}}\n"),
            "TL0206",
            3,
            "rate",
        ),
        (
            "connector: other\ntitle: x\nactions: {}\n".into(),
            "TL0207",
            1,
            "name of the file",
        ),
    ];
    for (yaml, code, line, part) in table {
        let found = findings(yaml);
        if code.is_empty() {
            assert!(found.is_empty(), "{found:?}\n{yaml}");
            continue;
        }
        let one = found
            .iter()
            .find(|(c, l, m)| c == code && l == line && m.contains(part));
        assert!(
            one.is_some(),
            "{code} at {line} `{part}`: {found:?}\n{yaml}"
        );
    }
}

const CRM: &str = "connector: crm
title: CRM
base_url: https://${connection.site}.crm.example
hosts: [\"*.crm.example\"]
settings: { site: the site }
auth: { key: { kind: bearer }, basic: { kind: basic, user: x } }
actions:
  contact.save:
    class: E2
    arguments: { id: { required: true, control: record }, seats: { type: int } }
    fields: {}
    request: { method: PUT, path: \"/contacts/${args.id}\", json: \"${fields}\" }
    lock: if_match
    when_absent: if_none_match
  sms.send:
    class: E4
    on_unknown: assume_sent
    arguments: { to: { type: phone, required: true, control: sensitive } }
    request: { path: /sms, form: { to: \"${args.to}\" } }
";

fn project(side_effects: &str, policy: &str, connections: &str) -> Project {
    let workflow = format!(
        "workflow: {{ id: lead, version: \"1\" }}
ingress: {{ channels: [form] }}
decision: {{ branches: [{{ condition: 'size(record.name) > 1', action: crm_upsert }}, {{ default: human_queue }}] }}
side_effects:
{side_effects}{policy}"
    );
    let mut files = BTreeMap::new();
    for (path, text) in [
        ("workflows/lead/workflow.yaml", workflow.as_str()),
        ("connectors/crm.yaml", CRM),
        ("connections.yaml", connections),
    ] {
        files.insert(path.to_owned(), text.as_bytes().to_vec());
    }
    Project { files }
}

const CONNECTION: &str =
    "connections:\n  crm: { kind: crm, settings: { site: acme }, secret: env:CRM_SECRET }\n";
const USE: &str = "  crm:
    use: crm.contact.save
    with: { id: record.external_id }
    map: { email: record.email }
";

#[test]
fn a_workflow_uses_an_own_connector() {
    let loaded = load(&project(USE, "", CONNECTION), "lead");
    let program = loaded
        .program
        .unwrap_or_else(|| panic!("{:?}", loaded.diags));
    let action = &program.actions[0];
    let ActionKind::Call(call) = &action.kind else {
        panic!("{:?}", action.kind);
    };
    assert_eq!(call.full_name(), "crm.contact.save");
    assert_eq!((action.class, call.is_conditional), (Class::E2, true));
    assert_eq!(call.connection, "crm");
    let (found, diags) = connections(&project(USE, "", CONNECTION));
    assert!(diags.is_empty(), "{diags:?}");
    assert_eq!(found[0].base_url, "https://acme.crm.example");
    assert_eq!(found[0].connector.as_deref(), Some("crm"));
}

/// What stands under `side_effects`, what the connections are, and the finding.
#[test]
fn a_use_is_checked_against_the_connectors_file() {
    let with = |old: &str, new: &str| USE.replace(old, new);
    let table: &[(String, &str, &str, &str)] = &[
        (
            with("crm.contact.save", "cmr.contact.save"),
            CONNECTION,
            "TL0415",
            "cmr",
        ),
        (
            with("crm.contact.save", "crm.contact.safe"),
            CONNECTION,
            "TL0415",
            "crm.contact.safe",
        ),
        (
            with("id: record.external_id", "idd: record.external_id"),
            CONNECTION,
            "TL0416",
            "idd",
        ),
        (
            with("with: { id: record.external_id }", "with: {}"),
            CONNECTION,
            "TL0202",
            "`id`",
        ),
        (
            with("    with: { id: record.external_id }\n", ""),
            CONNECTION,
            "TL0202",
            "`with`",
        ),
        (
            with("    map: { email: record.email }\n", ""),
            CONNECTION,
            "TL0202",
            "`map`",
        ),
        (
            with("external_id }", "external_id, seats: \"'x'\" }"),
            CONNECTION,
            "TL0304",
            "",
        ),
        (
            with("use:", "api: rest\n    use:"),
            CONNECTION,
            "TL0209",
            "`api`",
        ),
        (
            format!(
                "{USE}  actions:\n    note: {{ use: crm.sms.send, with: {{ to: record.phone }}, map: {{ a: record.name }} }}\n"
            ),
            CONNECTION,
            "TL0416",
            "no properties",
        ),
        (
            format!(
                "{USE}  actions:\n    close: {{ use: crm.sms.send, with: {{ to: record.phone }} }}\n"
            ),
            CONNECTION,
            "TL0211",
            "close",
        ),
        (
            USE.to_owned(),
            "connections:\n  crm: { kind: rest, base_url: https://x.example }\n",
            "TL0406",
            "kind `crm`",
        ),
        (
            USE.to_owned(),
            "connections:\n  crm: { kind: cmr }\n",
            "TL0415",
            "cmr",
        ),
        (
            USE.to_owned(),
            "connections:\n  crm: { kind: crm, secret: env:X }\n",
            "TL0202",
            "`settings`",
        ),
        (
            USE.to_owned(),
            "connections:\n  crm: { kind: crm, settings: { site: a, sight: b }, secret: env:X }\n",
            "TL0201",
            "sight",
        ),
        (
            USE.to_owned(),
            "connections:\n  crm: { kind: crm, base_url: https://evil.example, secret: env:X }\n",
            "TL0418",
            "evil.example",
        ),
        (
            USE.to_owned(),
            "connections:\n  crm: { kind: crm, settings: { site: a }, auth: baisc, secret: env:X }\n",
            "TL0418",
            "baisc",
        ),
        (
            USE.to_owned(),
            "connections:\n  crm: { kind: crm, settings: { site: a } }\n",
            "TL0202",
            "`secret`",
        ),
        (
            USE.to_owned(),
            "connections:\n  crm: { kind: crm, settings: { site: a }, secret: hunter2 }\n",
            "TL0412",
            "secret",
        ),
    ];
    let message = |rest: &str| {
        format!("{USE}  messaging:\n    m: {{ to: record.email, text: Hello, {rest} }}\n")
    };
    let from = "with: { from: \"'us@x.example'\" }";
    let messages = [
        (message("via: crm"), "TL0415", "sends no messages by email"),
        (message("via: erp"), "TL0406", "of no connector"),
        (message("via: cmr"), "TL0406", "cmr"),
        (message("via: resend, subject: Hi"), "TL0202", "`with`"),
        (
            message(&format!("via: resend, {from}")),
            "TL0202",
            "`subject`",
        ),
        (message(from), "TL0209", "`with`"),
        (message("on_unknown: resend"), "TL0209", "`on_unknown`"),
    ];
    let two = format!("{CONNECTION}  erp: {{ kind: rest, base_url: https://e.example }}\n");
    let messages = messages.map(|(yaml, code, part)| (yaml, two.as_str(), code, part));
    for (side_effects, connections, code, part) in table.iter().chain(&messages) {
        let loaded = load(&project(side_effects, "", connections), "lead");
        let found: Vec<String> = loaded
            .diags
            .iter()
            .map(|d| format!("{} {}", d.code, d.message))
            .collect();
        let one = found
            .iter()
            .any(|f| f.starts_with(code) && f.contains(part));
        assert!(one, "{code} `{part}`: {found:?}\n{side_effects}");
        assert!(loaded.program.is_none(), "{side_effects}");
    }
}

/// A message to somebody a stranger names is never sent by itself.
#[test]
fn who_is_reached_is_a_persons_decision() {
    let side_effects = format!(
        "{USE}  actions:\n    text: {{ use: crm.sms.send, with: {{ to: record.phone }} }}\n"
    );
    for (policy, refused) in [
        ("policy: { text: auto }\n", true),
        ("policy: { text: approve }\n", false),
    ] {
        let project = project(&side_effects, policy, CONNECTION);
        let loaded = load(&project, "lead");
        let program = loaded
            .program
            .unwrap_or_else(|| panic!("{:?}", loaded.diags));
        let text = project
            .text("workflows/lead/workflow.yaml")
            .expect("a file");
        let sources = tl_lang::proof::Sources {
            workflow: "workflows/lead/workflow.yaml",
            workflow_text: text,
            policy: "workflows/lead/workflow.yaml",
            policy_text: text,
        };
        let found = tl_lang::proof::prove(&program, &sources);
        let told = found
            .iter()
            .any(|d| d.code == "TL0504" && d.message.contains("`text`"));
        assert_eq!(told, refused, "{found:?}");
    }
}
