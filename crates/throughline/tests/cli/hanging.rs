//! A server that stands still for a while and goes on: what was acknowledged meanwhile stays, and what nobody waits
//! for any more does not happen.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::bench::Bench;

/// The switch commands given while the server stands still, each of them acknowledged, and whether the switch is set
/// at the end.
const ACKNOWLEDGED: [(&[&str], bool); 2] =
    [(&["set", "clear"], false), (&["set", "clear", "set"], true)];

#[test]
fn what_was_acknowledged_beside_a_hanging_server_stays_when_it_goes_on() {
    for (commands, set) in ACKNOWLEDGED {
        let bench = Bench::project();
        let server = bench.serve();
        server.signal("STOP");
        for command in commands {
            bench
                .run(&["kill", command, "everything", "--reason", "drill"])
                .expect(0, &[]);
        }
        server.signal("CONT");
        // It answers again, so the lines that lay in its socket before this one have been taken up.
        bench.run(&["status"]).expect(0, &["runs since"]);
        assert_eq!(server.stop(), 0);
        let switches = bench.json(&["kill", "list"]);
        let there = !switches.as_array().unwrap().is_empty();
        assert_eq!(there, set, "{commands:?}: {switches}");
        assert_eq!(recorded(&bench), commands, "each once, in order");
    }
}

/// What the audit says about switches on everything.
fn recorded(bench: &Bench) -> Vec<String> {
    let answer = bench.run(&["--tenant", "system", "audit", "export"]);
    answer.expect(0, &[]);
    let lines = answer.out.lines().map(serde_json::from_str::<Value>);
    lines
        .filter_map(|line| {
            let text = line.unwrap()["entries"].to_string();
            let (_, rest) = text.split_once("\"kill.")?;
            rest.split('"').next().map(str::to_owned)
        })
        .collect()
}

/// A line that lies in the socket when the server goes on; whether it is carried out.
#[test]
fn a_command_that_nobody_waits_for_any_more_is_left_undone() {
    let change = json!({ "do": "tenant_create", "name": "late" });
    let ask = |more: Value| {
        let mut line = json!({ "tenant": "default", "by": "tester", "request": change });
        line.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        format!("{line}\n")
    };
    let table = [
        ("waits", json!({}), true, true),
        (
            "waits for an hour",
            json!({ "until": u64::MAX }),
            true,
            true,
        ),
        ("has waited long enough", json!({ "until": 1 }), true, false),
        ("has hung up", json!({ "until": u64::MAX }), false, false),
    ];
    for (what, more, stays, happens) in table {
        let bench = Bench::project();
        let server = bench.serve();
        server.signal("STOP");
        let mut line = UnixStream::connect(bench.path().join("data/control.sock")).unwrap();
        line.write_all(ask(more).as_bytes()).unwrap();
        let line = stays.then_some(line);
        server.signal("CONT");
        if let Some(line) = &line {
            let mut answer = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(line), &mut answer).unwrap();
            assert_eq!(answer.contains("TL0640"), !happens, "{what}: {answer}");
        }
        bench.run(&["status"]).expect(0, &["runs since"]);
        assert_eq!(server.stop(), 0);
        let tenants = bench.json(&["tenant", "list"]).to_string();
        assert_eq!(tenants.contains("late"), happens, "{what}: {tenants}");
    }
}
