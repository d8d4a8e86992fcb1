//! `connector`: what a person meets who looks for a system or writes a file of their own.

use serde_json::Value;

use super::bench::Bench;

#[test]
fn connectors_are_listed_and_shown() {
    let bench = Bench::empty();
    let all = bench.json(&["connector", "list"]);
    let names: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["connector"].as_str())
        .collect();
    assert!(
        names.contains(&"hubspot") && names.contains(&"http"),
        "{names:?}"
    );
    bench.run(&["connector", "show", "hubspot"]).expect(
        0,
        &[
            "HubSpot CRM",
            "hubspot.contact.upsert",
            "library: @hubspot/api-client",
        ],
    );
    let one = bench.json(&["connector", "show", "stripe.refund.create"]);
    assert_eq!(one["actions"][0]["class"], "E1");
    assert_eq!(one["actions"][0]["key_lifetime"], "1d");
    let wrong = [
        ("hubspott", "did you mean hubspot?"),
        (
            "hubspot.contact.upsrt",
            "did you mean hubspot.contact.upsert?",
        ),
    ];
    for (name, said) in wrong {
        bench.run(&["connector", "show", name]).expect(3, &[said]);
    }
}

#[test]
fn a_file_of_ones_own_is_begun_checked_and_listed() {
    let bench = Bench::empty();
    bench
        .run(&["connector", "check"])
        .expect(0, &["no connectors of its own"]);
    bench
        .run(&["connector", "new", "our_crm"])
        .expect(0, &["connectors/our_crm.yaml"]);
    bench
        .run(&["connector", "new", "our_crm"])
        .expect(5, &["is there already"]);
    bench
        .run(&["connector", "new", "Our CRM"])
        .expect(2, &["is not a name"]);
    bench
        .run(&["connector", "new", "x", "--from", "nothing"])
        .expect(3, &["there is no connector nothing"]);
    bench
        .run(&["connector", "new", "pipes", "--from", "pipedrive"])
        .expect(0, &["connectors/pipes.yaml"]);
    bench
        .run(&["connector", "check"])
        .expect(0, &["our_crm.yaml: right, 2 actions", "pipes.yaml: right"]);
    bench
        .run(&["connector", "list"])
        .expect(0, &["our_crm", "this project"]);

    let file = bench.path().join("connectors/our_crm.yaml");
    let broken = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, broken.replace("class: E1", "class: E7")).unwrap();
    bench
        .run(&["connector", "check"])
        .expect(1, &["TL0204", "connectors/our_crm.yaml:", "E7"]);
    bench
        .run(&["connector", "check", "nothing.yaml"])
        .expect(3, &["there is no nothing.yaml"]);
}

#[test]
fn the_schema_takes_the_shipped_files_and_refuses_others() {
    let bench = Bench::empty();
    let printed = bench.run(&["connector", "schema"]);
    let schema: Value = serde_json::from_str(&printed.out).unwrap();
    let schema = jsonschema::draft202012::new(&schema).unwrap();
    let read = |text: &str| -> Value { serde_saphyr::from_str(text).unwrap() };
    for (name, text) in tl_lang::connector::SHIPPED {
        if let Err(e) = schema.validate(&read(text)) {
            panic!("{name}: {}: {e}", e.instance_path());
        }
    }
    let (_, good) = tl_lang::connector::SHIPPED[0];
    for (old, new) in [
        ("actions:", "action:"),
        ("class: E1", "class: E9"),
        ("kind: bearer", "kind: magic"),
    ] {
        assert!(!schema.is_valid(&read(&good.replace(old, new))), "{new}");
    }
}
