//! Models behind a connection: what a question carries, what is kept of an answer that cannot be used, and what a node
//! remembers of a server.

use std::sync::Arc;

use serde_json::json;
use tl_connect::client::{Auth, Client, Connection, Options};
use tl_connect::fake::Model;
use tl_connect::fake::model::Say;
use tl_engine::outward::{Connections, Outward};
use tl_engine::tenant::Tenant;
use tl_engine::worker::Worker;
use tl_kernel::id::CaseId;
use tl_kernel::journal::{Answered, Entry, open};

use crate::crash::{EXAMPLES, WITH_AI};
use crate::telemetry::scrape;
use crate::world::{TENANT, World};

const ACK: (&str, &str) = ("templates/ack.md", "Hello ${record.email}");
const GPT: (&str, &str) = (
    "/connections.yaml",
    "connections: { gpt: { kind: openai, base_url: 'https://gpt.example/v1', model: m } }",
);

/// Every connection leads to the model.
struct ToModel(Arc<Connection>);

impl Connections for ToModel {
    fn find(&self, _: &Tenant, _: &str, _: &str) -> Result<Arc<Connection>, String> {
        Ok(Arc::clone(&self.0))
    }

    fn model(&self, _: &Tenant, _: &str, _: &str) -> Option<String> {
        Some("m".into())
    }
}

/// A world whose model says this.
async fn world(dir: &std::path::Path, script: Vec<Say>) -> (World, Model) {
    let model = Model::start(([127, 0, 0, 1], 0).into(), script)
        .await
        .unwrap();
    let mut w = World::bare(dir).await;
    let connection = Connection::new("gpt", &model.base_url(), &Auth::None, true).unwrap();
    let outward = Outward {
        client: Client::new(&Options::default()).unwrap(),
        connections: Arc::new(ToModel(Arc::new(connection))),
    };
    w.worker = Worker::new(w.desk.clone(), outward);
    let yaml = WITH_AI.replace("model: local", "model: gpt");
    w.deploy_files(&yaml, &[EXAMPLES, ACK, GPT]).await;
    (w, model)
}

async fn lead(w: &mut World, n: u32) -> CaseId {
    let json = format!(r#"{{"email":"a{n}@example.com","text":"show me a demo"}}"#);
    let case = w.case_of(&format!("lead {n}"), &json).await;
    w.settle_for(2).await.unwrap();
    case
}

async fn entries(w: &World, case: CaseId) -> Vec<Entry> {
    let journal = w.desk.store().journal(TENANT, case).await.unwrap();
    let heads = journal.iter().map(|turn| open(turn).unwrap().0);
    heads.flat_map(|head| head.entries).collect()
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_recorded_with_what_it_cost() {
    let dir = tempfile::tempdir().unwrap();
    let prose = Say::Text("It looks like a demo.".into());
    let (mut w, model) = world(dir.path(), vec![prose]).await;
    let case = lead(&mut w, 1).await;
    assert_eq!(w.state(case).await, "needs_human");
    let failed = entries(&w, case).await.into_iter().find_map(|e| match e {
        Entry::AskFailed { reason, said, .. } => Some((reason, said)),
        _ => None,
    });
    let (reason, said) = failed.unwrap();
    assert_eq!(reason, "model_invalid");
    let said: Answered = *said.unwrap();
    assert_eq!(
        (said.model.as_str(), said.tokens, said.repairs),
        ("scripted-1", (200, 40), 1)
    );
    assert_eq!(said.confidence, None);
    for digest in [said.prompt, said.input, said.output] {
        assert_ne!(digest, [0; 32]);
    }
    let text = scrape(&w);
    for (direction, n) in [("in", 200), ("out", 40)] {
        let line = format!(
            "throughline_model_tokens_total{{workflow=\"w\",model=\"gpt\",direction=\"{direction}\"}} {n}"
        );
        assert!(text.contains(&line), "{line}\n{text}");
    }
    // Question and repair are found by the ids of the case.
    let correlation = w.case(case).await.correlation;
    let headers = model.headers();
    assert_eq!(headers.len(), 2);
    for sent in headers {
        assert_eq!(sent.get("x-correlation-id"), Some(&correlation));
        assert!(sent.contains_key("traceparent"));
    }
}

#[tokio::test]
async fn a_server_without_schemas_is_known_for_all_cases() {
    let dir = tempfile::tempdir().unwrap();
    let answer = json!({"label": "demo", "confidence": 0.9});
    let (mut w, model) = world(dir.path(), vec![Say::NoSchema(answer)]).await;
    for n in 1..=3 {
        let case = lead(&mut w, n).await;
        let all = entries(&w, case).await;
        assert!(all.iter().any(|e| matches!(e, Entry::Answered(_))), "{n}");
    }
    let asked = model.requests();
    let with_schema = asked
        .iter()
        .filter(|r| r["response_format"]["type"] == "json_schema");
    assert_eq!((asked.len(), with_schema.count()), (4, 1));
}
