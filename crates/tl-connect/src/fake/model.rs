//! A chat completions server that says what a script tells it, odd answers of real servers included.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::http::{Answer, Received, Reply, Server};

/// What the server does with one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Say {
    /// A well-formed completion with this text.
    Text(String),
    /// A well-formed completion whose text is this JSON.
    Json(Json),
    /// A status with a JSON body.
    Status(u16, Json),
    /// 429 with `Retry-After`.
    Throttled(String),
    /// 200 with these bytes.
    Bytes(Vec<u8>),
    /// No answer for this long.
    Silence(Duration),
    /// The connection is reset.
    Reset,
    /// 500 that names `json_schema` where that is asked for, else a completion with this JSON: what a server without schemas does.
    NoSchema(Json),
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Say>,
    requests: Vec<Json>,
    headers: Vec<BTreeMap<String, String>>,
}

/// The running server. The last line of its script is repeated.
#[derive(Debug)]
pub struct Model {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Model {
    /// Starts it. Port 0 picks a free one.
    pub async fn start(
        bind: SocketAddr,
        script: impl IntoIterator<Item = Say>,
    ) -> io::Result<Model> {
        let state = Arc::new(Mutex::new(State {
            script: script.into_iter().collect(),
            requests: Vec::new(),
            headers: Vec::new(),
        }));
        let shared = state.clone();
        let handler = move |request: Received| {
            let state = shared.clone();
            Box::pin(async move { answer(&state, &request).await }) as _
        };
        let server = Server::start(bind, Arc::new(handler)).await?;
        Ok(Model { server, state })
    }

    /// Base address, as a connection needs it.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.server.addr())
    }

    /// The bodies of the requests, in order.
    pub fn requests(&self) -> Vec<Json> {
        lock(&self.state).requests.clone()
    }

    /// The headers of the requests by lower-case name, in order.
    pub fn headers(&self) -> Vec<BTreeMap<String, String>> {
        lock(&self.state).headers.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(state: &Mutex<State>, request: &Received) -> Reply {
    let body: Json = serde_json::from_slice(&request.body).unwrap_or(Json::Null);
    if request.path() != "/v1/chat/completions" {
        return Reply::Answer(Answer::json(
            404,
            &json!({"error": {"message": "unknown path", "code": 404}}),
        ));
    }
    let with_schema = body["response_format"]["type"] == "json_schema";
    let say = {
        let mut state = lock(state);
        state.requests.push(body);
        state.headers.push(request.headers.clone());
        if state.script.len() > 1 {
            state.script.pop_front()
        } else {
            state.script.front().cloned()
        }
    };
    let text = |text: &str| Reply::Answer(Answer::json(200, &completion(text)));
    match say {
        None => text("{}"),
        Some(Say::Text(content)) => text(&content),
        Some(Say::Json(content)) => text(&content.to_string()),
        Some(Say::Status(status, body)) => Reply::Answer(Answer::json(status, &body)),
        Some(Say::Throttled(wait)) => {
            let body = json!({"error": {"type": "rate_limit_exceeded"}});
            Reply::Answer(Answer::json(429, &body).with("retry-after", wait))
        }
        Some(Say::Bytes(body)) => Reply::Answer(Answer {
            status: 200,
            headers: vec![("content-type".into(), "application/json".into())],
            body,
        }),
        Some(Say::Silence(time)) => {
            tokio::time::sleep(time).await;
            Reply::Close
        }
        Some(Say::Reset) => Reply::Reset,
        Some(Say::NoSchema(_)) if with_schema => {
            let body =
                json!({"error": {"message": "json_schema is unsupported", "type": "server_error"}});
            Reply::Answer(Answer::json(500, &body))
        }
        Some(Say::NoSchema(content)) => text(&content.to_string()),
    }
}

/// A completion as servers send it, with the extra properties some add.
pub fn completion(text: &str) -> Json {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted-1",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        "timings": {"prompt_ms": 1.5},
    })
}
