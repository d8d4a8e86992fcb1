//! `eval`: a classifier judged on messages whose label is known.

use super::bench::Bench;

/// A project whose classifier learns from `examples`.
fn project(bench: &Bench, dir: &str, examples: &str) {
    let workflow = "\
workflow: { id: sorting, version: \"1\" }
record:
  type: message
  natural_key: \"${event.external_id}\"
  fields:
    text: { type: text, untrusted: true }
    intent: { type: enum, values: [refund, outage, question], from: ai }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels:
    web: { channel: webhook, map: { text: event.body.text }, text: event.body.text }
worker:
  ai_step:
    optional: true
    when_state: triaged
    modes: [classify]
    classify: { field: intent, model: local, examples: examples/intent.csv }
decision:
  branches:
    - default: human_queue
";
    bench.write(&format!("{dir}/workflows/sorting/workflow.yaml"), workflow);
    bench.write(
        &format!("{dir}/workflows/sorting/examples/intent.csv"),
        examples,
    );
}

const EXAMPLES: &str = "\
text,label
I want my money back for the broken chair,refund
please refund the amount you charged twice,refund
send the money for the cancelled order back,refund
the portal is down since this morning,outage
nobody can log in because of a server error,outage
your website does not load for any of our users,outage
how do I change the language of my profile,question
where can I find the manual for the scanner,question
which plan includes single sign-on,question
";

/// The last is one of the examples, word for word.
const DATA: &str = "\
text,label
\"my card was charged twice, please give a refund\",refund
\"return the money\nfor the chair\",refund
the server is down for all users,outage
the website shows an error and nobody gets in,outage
how can I find my profile,question
which manual is the right one,question
the chair arrived and the portal works,question
please refund the amount you charged twice,refund
";

#[test]
fn a_classifier_is_judged_and_what_it_knows_by_heart_is_left_out() {
    let bench = Bench::empty();
    project(&bench, "p", EXAMPLES);
    bench.write("data.csv", DATA);
    let run = |more: &[&str]| {
        let args = [
            &["--dir", "p", "eval", "sorting", "--data", "data.csv"],
            more,
        ]
        .concat();
        bench.run(&args)
    };
    run(&[]).expect(
        0,
        &[
            "7 messages, 1 more left out",
            "macro F1",
            "not enough evidence",
            "question",
        ],
    );
    let json = bench.json(&["--dir", "p", "eval", "sorting", "--data", "data.csv"]);
    assert_eq!(json["left_out_as_known"], 1);
    let report = &json["result"]["report"];
    assert_eq!(report["cases"], 7);
    assert!(
        report["accuracy"]["value"].as_f64().unwrap() >= 5.0 / 7.0,
        "{report:#}"
    );
    assert_eq!(report["labels"].as_array().unwrap().len(), 3);
    assert_eq!(report["reliability"].as_array().unwrap().len(), 15);
    assert!(json["result"]["message_ms"]["p50"].as_f64().unwrap() > 0.0);

    run(&["--html", "report.html"]).expect(0, &["report: report.html"]);
    let page = std::fs::read_to_string(bench.path().join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.ends_with("</body></html>\n"));
    assert!(
        !page.contains("<script") && !page.contains("http-equiv"),
        "the page runs nothing"
    );
}

#[test]
fn two_versions_are_compared_on_the_same_messages() {
    let bench = Bench::empty();
    project(&bench, "new", EXAMPLES);
    // The other version has learnt the labels the wrong way round.
    let turned = EXAMPLES
        .replace(",refund\n", ",x\n")
        .replace(",outage\n", ",refund\n")
        .replace(",x\n", ",outage\n");
    project(&bench, "old", &turned);
    let lines: String = DATA
        .lines()
        .filter(|l| l.ends_with("outage") || l.ends_with("question"))
        .filter_map(|l| l.rsplit_once(','))
        .filter(|(text, _)| *text != "text")
        .map(|(text, label)| format!("{{\"text\":\"{text}\",\"label\":\"{label}\"}}\n"))
        .collect();
    bench.write("data.jsonl", &lines);
    let args = [
        "--dir",
        "new",
        "eval",
        "sorting",
        "--data",
        "data.jsonl",
        "--against",
        "old",
    ];
    bench
        .run(&args)
        .expect(0, &["against version", "difference"]);
    let json = bench.json(&args);
    let compared = &json["comparison"];
    assert!(compared["only_second"].as_u64() >= Some(2), "{json:#}");
    assert!(compared["difference"].as_f64().unwrap() > 0.0);
    assert!(compared["p_value"].as_f64().unwrap() <= 1.0);
}

#[test]
fn what_cannot_be_judged_is_refused_with_the_reason() {
    let bench = Bench::project();
    project(&bench, "p", EXAMPLES);
    bench.write("wrong.csv", "text,label\nhello there,greeting\n");
    bench.write(
        "known.csv",
        "text,label\nwhich plan includes single sign-on,question\n",
    );
    bench.write("head.csv", "message,label\nhello,refund\n");
    bench.write("empty.csv", "text,label\n");
    let table: [(&str, &str, &str, i32, &str); 7] = [
        (
            "p",
            "sorting",
            "wrong.csv",
            1,
            "line 2: the label `greeting`",
        ),
        (
            "p",
            "sorting",
            "known.csv",
            1,
            "no message that is not among the examples",
        ),
        ("p", "sorting", "head.csv", 1, "no column `text`"),
        ("p", "sorting", "empty.csv", 1, "has no messages"),
        ("p", "sorting", "missing.csv", 3, "there is no missing.csv"),
        ("p", "other", "wrong.csv", 3, "there is no workflow `other`"),
        (".", "lead", "wrong.csv", 1, "no classifier inside"),
    ];
    for (dir, workflow, data, code, part) in table {
        bench
            .run(&["--dir", dir, "eval", workflow, "--data", data])
            .expect(code, &[part]);
    }
}
