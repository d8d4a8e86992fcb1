//! What an operator sees: series that move, lines with the right ids, one trace per case, and nobody's data in any of
//! them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::Value as Json;
use tl_connect::client::{Auth, Client, Connection, Options};
use tl_connect::fake::crm::{Fault, On};
use tl_connect::fake::http::{Answer, Handler, Reply, Server};
use tl_engine::telemetry::{ExportError, Exporter};
use tl_kernel::decide::{Command, CommandKind, Input};
use tl_kernel::id::CaseId;
use tl_kernel::journal::Actor;
use tl_kernel::time::{DAY, HOUR};
use tl_store::contract::{Row, Unit};

use crate::crash::{EXAMPLES, WITH_AI};
use crate::flows::TO_CRM;
use crate::world::{START, TENANT, World};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const LEAD: &str =
    r#"{"email":"ada@canary.example","name":"Canary","size":12,"text":"Canary asks for a demo"}"#;
const ACK: (&str, &str) = ("templates/ack.md", "Hello ${record.email}");

/// The workflow to the CRM, with a change.
fn crm(from: &str, to: &str) -> String {
    let text = TO_CRM.replace(from, to);
    assert_ne!(text, TO_CRM, "`{from}` is not in the workflow");
    text
}

pub fn scrape(w: &World) -> String {
    let mut registry = Registry::with_prefix("throughline");
    w.desk.telemetry().register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).expect("the series are written");
    text
}

async fn command(w: &World, case: CaseId, what: CommandKind) {
    let by = Actor::Person("ben".into());
    let command = Command {
        by,
        reason: "test".into(),
        what,
    };
    let input = Input::Command(command);
    w.desk
        .advance((TENANT, case), input, Vec::new(), None)
        .await
        .expect("the command is taken");
}

/// What happens in a row of the table below.
enum Do {
    Nothing,
    /// The CRM fails so many times.
    Fail(u32),
    /// A switch is set, and the clock moves past the effect's life.
    Hold,
    /// The case waits in the hands of a person for so long.
    Wait(i64),
    /// A person closes the case twice: the second time is refused.
    CloseTwice,
}

#[tokio::test]
async fn series_move_as_cases_do() {
    let own = |name: &str, labels: &str| format!("throughline_{name}{{workflow=\"w\",{labels}}}");
    let attempts = |outcome: &str| {
        own(
            "effect_attempts_total",
            &format!("action=\"crm_upsert\",connection=\"crm\",outcome=\"{outcome}\""),
        )
    };
    let settled = |outcome: &str| {
        own(
            "effects_settled_total",
            &format!("action=\"crm_upsert\",class=\"E2\",outcome=\"{outcome}\""),
        )
    };
    let gate = |verdict: &str| {
        own(
            "gate_answers_total",
            &format!("action=\"crm_upsert\",verdict=\"{verdict}\""),
        )
    };
    let steps = |step: &str, outcome: &str| {
        own(
            "steps_total",
            &format!("queue=\"inbound\",step=\"{step}\",outcome=\"{outcome}\""),
        )
    };
    let stays = |state: &str, outcome: &str| {
        own(
            "sla_stays_total",
            &format!("state=\"{state}\",outcome=\"{outcome}\""),
        )
    };
    let with_queue = crm("decision:", "queue: { name: inbound }\ndecision:");
    let review = with_queue
        .replace("crm_upsert: auto", "crm_upsert: approve")
        .replace(" && policy_allows", "");
    let unsure = r#"{"email":"ada@canary.example","size":7}"#;
    let with_goal = with_queue.replace("id: w,", "id: w, goal: { sla: 1h },");
    let table = [
        (
            "goal met",
            with_goal.clone(),
            LEAD,
            Do::Nothing,
            vec![(stays("(goal)", "met"), 1)],
        ),
        (
            "goal breached",
            with_goal,
            unsure,
            Do::Wait(2 * HOUR),
            vec![(stays("(goal)", "breached"), 1)],
        ),
        (
            "success",
            with_queue.clone(),
            LEAD,
            Do::Nothing,
            vec![
                (attempts("succeeded"), 1),
                (settled("succeeded"), 1),
                (gate("send"), 1),
                (steps("message", "done"), 1),
                (steps("effect", "done"), 1),
                (stays("automated", "met"), 1),
            ],
        ),
        (
            "retry",
            with_queue.clone(),
            LEAD,
            Do::Fail(2),
            vec![
                (attempts("retry"), 2),
                (attempts("succeeded"), 1),
                (settled("succeeded"), 1),
            ],
        ),
        (
            "hold",
            with_queue.clone(),
            LEAD,
            Do::Hold,
            vec![
                (gate("hold"), 1),
                (gate("refuse"), 1),
                (settled("expired"), 1),
            ],
        ),
        (
            "approval",
            review,
            LEAD,
            Do::Nothing,
            vec![(gate("needs_approval"), 1)],
        ),
        (
            "breach",
            with_queue.clone(),
            unsure,
            Do::Wait(9 * DAY),
            vec![
                (stays("needs_human", "breached"), 1),
                (steps("timer", "done"), 1),
            ],
        ),
        (
            "refusal",
            with_queue,
            unsure,
            Do::CloseTwice,
            vec![
                (steps("person", "done"), 1),
                (steps("person", "refused"), 1),
            ],
        ),
    ];
    for (name, yaml, message, what, want) in table {
        let dir = tempfile::tempdir().unwrap();
        let mut w = World::new(dir.path(), &yaml).await;
        if let Do::Fail(n) = what {
            w.crm.script(
                On::All,
                Fault::Status {
                    status: 503,
                    retry_after: None,
                },
                n,
            );
        }
        if let Do::Hold = what {
            w.switch("everything", Some("hold")).await;
        }
        let case = w.case_of("a", message).await;
        w.settle().await.unwrap();
        match what {
            Do::Nothing => {}
            Do::Fail(_) => w.settle_for(30).await.unwrap(),
            Do::Hold => {
                w.clock.advance(2 * DAY);
                w.settle().await.unwrap();
            }
            Do::Wait(time) => {
                w.clock.advance(time);
                w.settle().await.unwrap();
            }
            Do::CloseTwice => {
                command(&w, case, CommandKind::Close).await;
                let by = Actor::Person("ben".into());
                let again = Command {
                    by,
                    reason: "test".into(),
                    what: CommandKind::Close,
                };
                let again = w
                    .desk
                    .advance((TENANT, case), Input::Command(again), Vec::new(), None);
                again.await.expect_err("a closed case cannot be closed");
            }
        }
        let text = scrape(&w);
        for (series, at_least) in want {
            let count = text
                .lines()
                .find_map(|l| l.strip_prefix(&series)?.trim().parse::<u64>().ok());
            assert!(
                count >= Some(at_least),
                "{name}: {series} is {count:?}\n{text}"
            );
        }
        assert!(!text.to_lowercase().contains("canary"), "{name}: {text}");
    }
}

#[tokio::test]
async fn models_and_our_own_database_have_series() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::bare(dir.path()).await;
    w.deploy_files(WITH_AI, &[EXAMPLES, ACK]).await;
    w.case_of("a", LEAD).await;
    w.settle_for(2).await.unwrap();
    let text = scrape(&w);
    let want = [
        "throughline_model_calls_total{workflow=\"w\",model=\"local\",outcome=\"answered\"} 1",
        "throughline_model_call_duration_seconds_count{workflow=\"w\",model=\"local\"} 1",
        "throughline_model_tokens_total{workflow=\"w\",model=\"local\",direction=\"in\"}",
        "throughline_effect_attempts_total{workflow=\"w\",action=\"crm_upsert\",connection=\"built_in\",outcome=\"succeeded\"} 1",
        "throughline_effect_attempts_total{workflow=\"w\",action=\"ack\",connection=\"outbox\",outcome=\"succeeded\"} 1",
        "throughline_effects_settled_total{workflow=\"w\",action=\"ack\",class=\"E0\",outcome=\"succeeded\"} 1",
        "throughline_steps_total{workflow=\"w\",queue=\"workflow_jobs\",step=\"model\",outcome=\"done\"} 1",
        "throughline_queue_wait_seconds_count{workflow=\"w\",queue=\"workflow_jobs\"} 3",
    ];
    for line in want {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_workflow_may_have_no_series_of_its_own() {
    for (metrics, has) in [("none", false), ("red_metrics", true)] {
        let dir = tempfile::tempdir().unwrap();
        let observed = format!("observability: {{ metrics: {metrics} }}\ndecision:");
        let mut w = World::new(dir.path(), &crm("decision:", &observed)).await;
        w.crm.script(
            On::All,
            Fault::Status {
                status: 503,
                retry_after: None,
            },
            1,
        );
        w.case_of("a", LEAD).await;
        w.settle_for(5).await.unwrap();
        assert_eq!(
            scrape(&w).contains("workflow=\"w\""),
            has,
            "{metrics}: {}",
            scrape(&w)
        );
    }
}

/// The page that lists every series.
const PAGE: &str = include_str!("../../../../docs/reference/metrics.md");

/// Rows `| `name` | type | labels | meaning |` below a heading: name → labels.
fn documented(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let part = PAGE
        .split(heading)
        .nth(1)
        .expect("the heading")
        .split("\n## ")
        .next();
    let words = |cell: &str| {
        let between = cell.split('`').skip(1).step_by(2);
        between.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let rows = part.unwrap_or_default().lines().filter_map(|l| {
        let cells: Vec<&str> = l.split('|').collect();
        let name = words(cells.get(1)?).into_iter().next()?;
        Some((name, words(cells.get(3)?)))
    });
    rows.collect()
}

/// Family → labels of its series, as the text has them.
fn scraped(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap_or_default().to_owned();
            if rest.ends_with("counter") {
                family.push_str("_total");
            }
            continue;
        }
        let Some((_, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let labels = rest.split('}').next().unwrap_or_default().split(',');
        let names = labels
            .filter_map(|l| Some(l.split_once('=')?.0.to_owned()))
            .filter(|n| n != "le");
        found.insert(family.clone(), names.collect());
    }
    found
}

#[tokio::test]
async fn every_series_is_documented_with_its_labels() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::bare(dir.path()).await;
    w.deploy_files(WITH_AI, &[EXAMPLES, ACK]).await;
    w.case_of("a", LEAD).await;
    w.settle_for(2).await.unwrap();
    // Only a system that is reached over a connection has series of one.
    w.deploy(&format!(
        "{TO_CRM}schedules: {{ tick: {{ cron: '0 * * * *' }} }}\n"
    ))
    .await;
    w.case_of("b", r#"{"email":"bob@canary.example","size":12}"#)
        .await;
    w.settle_for(2).await.unwrap();
    let receiver = Receiver::start(&[]).await;
    receiver.exporter(&w).catch_up().await.unwrap();
    let mut found = scraped(&scrape(&w));
    // The one series without labels.
    found.insert(
        "throughline_trace_export_failures_total".into(),
        BTreeSet::new(),
    );
    let registered = include_str!("../../src/telemetry/series.rs")
        .matches(concat!("r.reg", "ister("))
        .count();
    assert_eq!(
        found.len(),
        registered,
        "every registered family has a series here: {found:?}"
    );
    assert_eq!(
        found,
        documented("## Engine"),
        "left: the registry; right: docs/reference/metrics.md"
    );
}

thread_local! {
    /// Log lines of this thread, as JSON; `None` where nobody reads them.
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes to the lines of the thread that logs: the log is one for the process, and tests run side by side.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|l| l.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn lines_carry_the_ids_that_the_workflow_names() {
    let log = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter("tl_engine=debug");
    log.with_writer(|| Lines).init();
    let table = [
        (
            "[event_id, correlation_id, tenant_id]",
            vec!["event_id", "correlation_id", "tenant_id"],
        ),
        ("[case_id]", vec!["case_id"]),
    ];
    for (payload, ids) in table {
        LINES.set(Some(Vec::new()));
        let dir = tempfile::tempdir().unwrap();
        let queue = format!("queue: {{ name: inbound, payload: {payload} }}\ndecision:");
        let mut w = World::new(dir.path(), &crm("decision:", &queue)).await;
        let case = w.case_of("a", LEAD).await;
        w.settle().await.unwrap();
        let (text, lines) = logged();
        let of = |message: &'static str| lines.iter().filter(move |l| l["message"] == message);
        assert_eq!(
            of("turn").count() as u32,
            w.case(case).await.seq,
            "one line per turn: {text}"
        );
        for line in of("turn") {
            let has: Vec<&str> = ["event_id", "correlation_id", "tenant_id", "case_id"]
                .into_iter()
                .filter(|id| !line[*id].is_null())
                .collect();
            assert_eq!(has, ids, "{line}");
            assert_eq!(
                (&line["queue"], &line["workflow"]),
                (&"inbound".into(), &"w".into())
            );
        }
        let effect = w.effects(case).await[0].clone();
        for line in of("attempt") {
            assert_eq!(line["effect_id"], effect.effect.to_string(), "{line}");
            assert_eq!(line["correlation_id"], effect.correlation, "{line}");
        }
        assert_eq!(of("attempt").count(), 1, "{text}");
    }
    what_goes_wrong_names_the_case().await;
}

/// What this thread has logged, as text and line by line; nothing of anybody is in it.
fn logged() -> (String, Vec<Json>) {
    let text = String::from_utf8(LINES.take().expect("lines")).unwrap();
    assert!(!text.to_lowercase().contains("canary"), "{text}");
    let lines = text.lines().map(|l| serde_json::from_str(l).unwrap());
    let lines = lines.collect();
    (text, lines)
}

/// The one line with this message.
fn only<'l>((text, lines): &'l (String, Vec<Json>), message: &str) -> &'l Json {
    let mut of = lines.iter().filter(|l| l["message"] == message);
    let first = of.next().unwrap_or_else(|| panic!("{message}: {text}"));
    assert!(of.next().is_none(), "{message}: {text}");
    first
}

/// A timer whose case cannot go on: a version that this build cannot read has come in between.
async fn what_goes_wrong_names_the_case() {
    LINES.set(Some(Vec::new()));
    let dir = tempfile::tempdir().unwrap();
    let text = crm("automated: { sla: 3d }", "needs_human: { sla: 1h }");
    let w = World::new(dir.path(), &text).await;
    let unsure = r#"{"email":"ada@canary.example","size":7}"#;
    let case = w.case_of("a", unsure).await;
    let mut unit = Unit::new(TENANT);
    unit.rows.push(Row::Deploy {
        number: 2,
        workflow: "w".into(),
        version: "2".into(),
        digest: [2; 32],
        files: vec![0xff],
        at: START,
    });
    w.desk.store().commit(unit).await.expect("deployed");
    w.desk.forget_views();
    w.clock.advance(2 * HOUR);
    w.worker.round().await.expect("the others go on");
    let logged_now = logged();
    let line = only(&logged_now, "timer");
    assert_eq!(line["case_id"], case.to_string(), "{line}");
}

/// A receiver of traces on loopback that answers with given statuses first, then with 200.
struct Receiver {
    server: Server,
    bodies: Arc<Mutex<Vec<(u16, Json)>>>,
}

impl Receiver {
    async fn start(first: &[u16]) -> Receiver {
        let bodies: Arc<Mutex<Vec<(u16, Json)>>> = Arc::default();
        let (kept, first) = (Arc::clone(&bodies), first.to_vec());
        let handler: Handler = Arc::new(move |request| {
            assert_eq!(
                (request.method.as_str(), request.path()),
                ("POST", "/v1/traces")
            );
            assert_eq!(request.header("content-type"), Some("application/json"));
            let mut kept = kept.lock().unwrap();
            let status = first.get(kept.len()).copied().unwrap_or(200);
            kept.push((status, serde_json::from_slice(&request.body).expect("JSON")));
            let answer = Answer::json(status, &serde_json::json!({}));
            Box::pin(async move { Reply::Answer(answer) })
        });
        let server = Server::start(([127, 0, 0, 1], 0).into(), handler)
            .await
            .expect("it listens");
        Receiver { server, bodies }
    }

    fn exporter(&self, w: &World) -> Exporter {
        let address = format!("http://{}", self.server.addr());
        let connection = Connection::new("otlp", &address, &Auth::None, true).expect("an address");
        let client = Client::new(&Options::default()).expect("a client");
        Exporter::new(w.desk.clone(), client, connection)
    }

    /// Spans that were taken, in their order.
    fn spans(&self) -> Vec<Json> {
        let bodies = self.bodies.lock().unwrap();
        let taken = bodies.iter().filter(|(status, _)| *status == 200);
        let spans = taken.map(|(_, b)| {
            b["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .expect("spans")
        });
        let spans: Vec<Vec<Json>> = spans.cloned().collect();
        assert!(spans.iter().all(|s| s.len() <= 512), "too large a batch");
        spans.concat()
    }
}

/// Spans by name, with the trace checked: one trace, one root, every parent there, children within the case's time.
fn tree(spans: &[Json]) -> Vec<(String, String)> {
    let traces: BTreeSet<&str> = spans.iter().filter_map(|s| s["traceId"].as_str()).collect();
    assert_eq!(traces.len(), 1, "{traces:?}");
    let by_id: BTreeMap<&str, &Json> = spans
        .iter()
        .map(|s| (s["spanId"].as_str().expect("an id"), s))
        .collect();
    assert_eq!(by_id.len(), spans.len(), "span ids are unique");
    let roots: Vec<&Json> = spans
        .iter()
        .filter(|s| s["parentSpanId"].is_null())
        .collect();
    assert_eq!(roots.len(), 1, "{roots:?}");
    let hex = |s: &Json, n: usize| {
        s.as_str()
            .is_some_and(|s| s.len() == n && s.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let name = |s: &Json| s["name"].as_str().expect("a name").to_owned();
    let instant = |s: &Json, key: &str| {
        s[key]
            .as_str()
            .expect("text")
            .parse::<u64>()
            .expect("nanoseconds")
    };
    spans
        .iter()
        .map(|s| {
            assert!(hex(&s["traceId"], 32) && hex(&s["spanId"], 16), "{s}");
            assert!(
                instant(s, "startTimeUnixNano") <= instant(s, "endTimeUnixNano"),
                "{s}"
            );
            let parent = s["parentSpanId"]
                .as_str()
                .map(|p| by_id.get(p).unwrap_or_else(|| panic!("no parent: {s}")));
            (name(s), parent.map_or_else(String::new, |p| name(p)))
        })
        .collect()
}

fn attribute(span: &Json, key: &str) -> Option<String> {
    let all = span["attributes"].as_array()?;
    let value = &all.iter().find(|a| a["key"] == key)?["value"];
    let text = ["stringValue", "intValue"]
        .iter()
        .find_map(|k| value[*k].as_str());
    text.map(str::to_owned)
}

fn pair(name: &str, parent: &str) -> (String, String) {
    (name.to_owned(), parent.to_owned())
}

#[tokio::test]
async fn each_case_is_one_trace() {
    let dir = tempfile::tempdir().unwrap();
    let correlated = crm(
        "version: \"1\"",
        "version: \"1\", correlation_id: \"${event.body.trace}\"",
    );
    let mut w = World::new(dir.path(), &correlated).await;
    w.crm.script(
        On::All,
        Fault::Status {
            status: 503,
            retry_after: None,
        },
        2,
    );
    let receiver = Receiver::start(&[503]).await;
    let lead = LEAD.replace('{', &format!("{{\"trace\":\"{TRACE}\","));
    let case = w.case_of("a", &lead).await;
    w.settle_for(30).await.unwrap();
    assert_eq!(w.state(case).await, "closed");

    let exporter = receiver.exporter(&w);
    let refused = exporter
        .catch_up()
        .await
        .expect_err("the receiver is not ready");
    assert!(
        matches!(refused, ExportError::NotTaken { ref why, .. } if why == "http_503"),
        "{refused}"
    );
    let sent = exporter.catch_up().await.unwrap();
    let spans = receiver.spans();
    assert_eq!(spans.len(), sent, "what was refused is sent again, once");
    assert_eq!(
        exporter.catch_up().await.unwrap(),
        0,
        "the cursor has moved"
    );

    let tree = tree(&spans);
    let attempt = pair("attempt crm_upsert", "turn message");
    let want = [
        pair("turn message", "case w"),
        attempt.clone(),
        attempt.clone(),
        attempt,
        pair("turn effect", "case w"),
        pair("case w", ""),
    ];
    let (mut left, mut right) = (tree.clone(), want.to_vec());
    left.sort();
    right.sort();
    assert_eq!(left, right);
    assert_eq!(spans[0]["traceId"], TRACE);
    let errors = spans.iter().filter(|s| s["status"]["code"] == 2);
    assert_eq!(
        errors
            .map(|s| attribute(s, "http.response.status_code"))
            .collect::<Vec<_>>(),
        [Some("503".into()), Some("503".into())]
    );
    let last = spans
        .iter()
        .find(|s| attribute(s, "throughline.attempt").as_deref() == Some("3"))
        .unwrap();
    let sent = format!("00-{TRACE}-{}-01", last["spanId"].as_str().unwrap());
    assert_eq!(
        w.crm.ledger()[0].traceparent,
        Some(sent),
        "the CRM's spans belong below the attempt"
    );
    let root = spans.iter().find(|s| s["parentSpanId"].is_null()).unwrap();
    assert_eq!(
        attribute(root, "throughline.state").as_deref(),
        Some("closed")
    );
    let said = serde_json::to_string(&receiver.bodies.lock().unwrap()[1].1)
        .unwrap()
        .to_lowercase();
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn traces_go_on_after_a_restart_and_a_second_opening() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let receiver = Receiver::start(&[]).await;
    w.case_of("a", LEAD).await;
    receiver.exporter(&w).catch_up().await.unwrap();
    assert_eq!(
        tree_names(&receiver.spans()),
        ["turn message"],
        "the rest is to come"
    );
    w.settle().await.unwrap();
    let case = w.case_of("b", &LEAD.replace("12", "20")).await;
    w.settle().await.unwrap();
    command(&w, case, CommandKind::Reopen).await;
    command(&w, case, CommandKind::Close).await;
    // Another exporter: only the cursor in the store knows what was sent.
    receiver.exporter(&w).catch_up().await.unwrap();
    let spans = receiver.spans();
    let tree = tree(&spans);
    assert!(tree.contains(&pair("case again w", "case w")), "{tree:?}");
    assert!(
        tree.contains(&pair("turn message", "case again w")),
        "{tree:?}"
    );
    assert!(
        tree.contains(&pair("turn person", "case again w")),
        "{tree:?}"
    );
    let turns = tree
        .iter()
        .filter(|(name, _)| name.starts_with("turn "))
        .count();
    assert_eq!(turns as u32, w.case(case).await.seq, "a span per turn");
    assert_eq!(
        tree.iter().filter(|(_, parent)| parent.is_empty()).count(),
        1,
        "{tree:?}"
    );
    // The steps are called alike in traces and series.
    let text = scrape(&w);
    for step in ["message", "effect", "person"] {
        let count = tree
            .iter()
            .filter(|(name, _)| *name == format!("turn {step}"))
            .count();
        let line = format!("step=\"{step}\",outcome=\"done\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

fn tree_names(spans: &[Json]) -> Vec<&str> {
    spans.iter().filter_map(|s| s["name"].as_str()).collect()
}

#[tokio::test]
async fn models_and_our_own_database_have_spans() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::bare(dir.path()).await;
    w.deploy_files(WITH_AI, &[EXAMPLES, ACK]).await;
    let case = w.case_of("a", LEAD).await;
    w.settle_for(2).await.unwrap();
    assert_eq!(w.state(case).await, "closed");
    let receiver = Receiver::start(&[]).await;
    receiver.exporter(&w).catch_up().await.unwrap();
    let spans = receiver.spans();
    let tree = tree(&spans);
    for want in [
        pair("attempt local", "turn message"),
        pair("attempt crm_upsert", "turn model"),
        pair("attempt ack", "turn model"),
        pair("case w", ""),
    ] {
        assert_eq!(
            tree.iter().filter(|t| **t == want).count(),
            1,
            "{want:?} in {tree:?}"
        );
    }
    let said = serde_json::to_string(&spans).unwrap().to_lowercase();
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn a_batch_that_is_never_taken_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let receiver = Receiver::start(&[400]).await;
    w.case_of("a", LEAD).await;
    w.settle().await.unwrap();
    let exporter = receiver.exporter(&w);
    exporter.catch_up().await.unwrap();
    w.case_of("b", &LEAD.replace("ada", "bob")).await;
    w.settle().await.unwrap();
    exporter.catch_up().await.unwrap();
    assert_eq!(tree(&receiver.spans()).len(), 4, "the second case's");
    let text = scrape(&w);
    assert!(
        text.contains("throughline_trace_spans_total{outcome=\"rejected\"} 4"),
        "{text}"
    );
    assert!(
        text.contains("throughline_trace_spans_total{outcome=\"sent\"} 4"),
        "{text}"
    );
}
