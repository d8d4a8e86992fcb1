//! A server that speaks the chat completions protocol, whatever it is made of.
//!
//! Servers differ in what they answer, and many answer 200 to nonsense. Everything is read with suspicion: what is
//! not an answer of the right shape is asked for once more, and then it is a person's turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Map, Value as Json, json};

use super::{FailureKind, ModelAnswer, ModelFailure, ModelRequest, Said, prompt, shape};
use crate::client::{Client, Connection, Request};
use crate::exchange::retry_after_of;
use crate::knowledge::{Answer, Knowledge, NotSent, Unknown};

/// How much of an unfit answer is shown to the model again, in characters.
const SHOWN_AGAIN: usize = 8_000;

/// What a request says beside its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAiOptions {
    /// Path below the connection's base address.
    pub path: String,
    /// Most tokens of an answer.
    pub max_tokens: u32,
    /// Name of that property: newer models want `max_completion_tokens`.
    pub max_tokens_property: String,
    /// Temperature; `None` for models that accept none.
    pub temperature: Option<f64>,
    /// Properties added as they are.
    pub extra: Map<String, Json>,
}

impl Default for OpenAiOptions {
    fn default() -> Self {
        OpenAiOptions {
            path: "/chat/completions".into(),
            max_tokens: 1024,
            max_tokens_property: "max_tokens".into(),
            temperature: Some(0.0),
            extra: Map::new(),
        }
    }
}

/// A model behind a connection.
#[derive(Debug)]
pub struct OpenAi {
    connection: Connection,
    model: String,
    options: OpenAiOptions,
    /// The server has refused `json_schema` once; it is not asked again.
    no_schema: AtomicBool,
}

/// Text of an answer, and what the server says about it.
struct Reply {
    text: String,
    model: Option<String>,
    tokens: (u32, u32),
}

/// Why a reply has no text that could be checked.
enum Bad {
    /// Worth a repair: what to tell the model, and what it said.
    Unfit(Vec<String>, Reply),
    /// Not worth one; with what it said, where it said anything.
    Failure(ModelFailure, Option<Reply>),
}

/// What was heard of a model in all rounds of an ask.
#[derive(Default)]
struct Heard {
    replies: u8,
    model: Option<String>,
    tokens: (u32, u32),
    text: String,
}

impl Heard {
    fn hear(&mut self, reply: Reply) {
        self.replies += 1;
        self.model = reply.model;
        self.tokens.0 = self.tokens.0.saturating_add(reply.tokens.0);
        self.tokens.1 = self.tokens.1.saturating_add(reply.tokens.1);
        self.text = reply.text;
    }

    /// As the journal keeps it; `None` where nothing was heard. `name`: of a model that does not say its own.
    fn said(self, name: &str, took: Duration) -> Option<Box<Said>> {
        (self.replies > 0).then(|| {
            Box::new(Said {
                model: self.model.unwrap_or_else(|| name.to_owned()),
                tokens: self.tokens,
                took,
                repairs: self.replies - 1,
                output: self.text.into_bytes(),
            })
        })
    }
}

impl OpenAi {
    /// A model by its name at a server.
    pub fn new(connection: Connection, model: impl Into<String>, options: OpenAiOptions) -> OpenAi {
        OpenAi {
            connection,
            model: model.into(),
            options,
            no_schema: AtomicBool::new(false),
        }
    }

    /// Whether it is this model behind this connection.
    pub fn is(&self, connection: &Connection, model: &str) -> bool {
        self.model == model && self.connection.is_same(connection)
    }

    pub(super) async fn ask(
        &self,
        client: &Client,
        request: &ModelRequest,
    ) -> Result<ModelAnswer, ModelFailure> {
        let begun = Instant::now();
        let mut heard = Heard::default();
        let answer = self.converse(client, request, &mut heard).await;
        let said = heard.said(&self.model, begun.elapsed());
        match (answer, said) {
            (Ok(shaped), Some(said)) => Ok(ModelAnswer {
                confidence: shaped.confidence.or_else(|| least(&shaped)),
                label: shaped.label,
                calibrated: false,
                fields: shaped.fields,
                summary: shaped.summary,
                draft: shaped.draft,
                reasons: Vec::new(),
                model: said.model,
                tokens: said.tokens,
                took: said.took,
                repairs: said.repairs,
                output: said.output,
            }),
            (Ok(_), None) => Err(failure(FailureKind::Failed, true, "no answer".into())),
            (Err(failure), said) => Err(ModelFailure { said, ..failure }),
        }
    }

    /// The question, and the one repair of an answer that does not fit.
    async fn converse(
        &self,
        client: &Client,
        request: &ModelRequest,
        heard: &mut Heard,
    ) -> Result<shape::Shaped, ModelFailure> {
        let begun = Instant::now();
        let schema = shape::schema(request);
        let mut repair: Option<(Vec<String>, String)> = None;
        for _ in 0..=1 {
            let left = request.timeout.saturating_sub(begun.elapsed());
            let answer = self
                .call(client, request, (&schema, repair.as_ref()), left)
                .await?;
            let checked = match read(&answer, request.now) {
                Err(Bad::Failure(failure, reply)) => {
                    reply.into_iter().for_each(|r| heard.hear(r));
                    return Err(failure);
                }
                Err(Bad::Unfit(errors, reply)) => {
                    heard.hear(reply);
                    Err(errors)
                }
                Ok(reply) => {
                    heard.hear(reply);
                    json_of(&heard.text).and_then(|json| shape::check(&json, request))
                }
            };
            match checked {
                Err(errors) => repair = Some((errors, heard.text.clone())),
                Ok(shaped) => return Ok(shaped),
            }
        }
        let errors = repair
            .map(|(errors, _)| errors.join("; "))
            .unwrap_or_default();
        Err(failure(FailureKind::Invalid, false, errors))
    }

    /// One exchange; a second one where the server does not know `json_schema`.
    async fn call(
        &self,
        client: &Client,
        request: &ModelRequest,
        (schema, repair): (&Json, Option<&(Vec<String>, String)>),
        left: Duration,
    ) -> Result<Answer, ModelFailure> {
        let begun = Instant::now();
        let with_schema = !self.no_schema.load(Ordering::Relaxed);
        let body = self.body(request, schema, (with_schema, repair));
        let answer = self.exchange(client, (request, body), left).await?;
        if !with_schema || !complains_about_schema(&answer) {
            return Ok(answer);
        }
        let body = self.body(request, schema, (false, repair));
        let second = self
            .exchange(
                client,
                (request, body),
                left.saturating_sub(begun.elapsed()),
            )
            .await?;
        if second.status == 200 {
            self.no_schema.store(true, Ordering::Relaxed);
        }
        Ok(second)
    }

    async fn exchange(
        &self,
        client: &Client,
        (asked, body): (&ModelRequest, Json),
        deadline: Duration,
    ) -> Result<Answer, ModelFailure> {
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-correlation-id".to_owned(), asked.correlation_id.clone()),
        ];
        headers.extend(asked.trace.clone().map(|t| ("traceparent".to_owned(), t)));
        let request = Request {
            method: Method::POST,
            path_and_query: self.options.path.clone(),
            headers,
            body: Some(body.to_string().into_bytes()),
            mail: None,
            deadline,
        };
        let lost = |kind, code: &str| Err(failure(kind, true, code.to_owned()));
        match client.send(&self.connection, request).await.knowledge {
            Knowledge::Answered(answer) => Ok(answer),
            Knowledge::NotSent(why @ (NotSent::Target | NotSent::Request)) => {
                Err(failure(FailureKind::Failed, false, why.code().to_owned()))
            }
            Knowledge::NotSent(NotSent::ConnectTimeout) => {
                lost(FailureKind::Timeout, "connect_timeout")
            }
            Knowledge::NotSent(why) => lost(FailureKind::Failed, why.code()),
            Knowledge::NotProcessed => lost(FailureKind::Failed, "not_processed"),
            Knowledge::Unknown(Unknown::Deadline) => {
                lost(FailureKind::Timeout, Unknown::Deadline.code())
            }
            Knowledge::Unknown(why) => lost(FailureKind::Failed, why.code()),
        }
    }

    fn body(
        &self,
        request: &ModelRequest,
        schema: &Json,
        (with_schema, repair): (bool, Option<&(Vec<String>, String)>),
    ) -> Json {
        let told = prompt::instructions(request, (!with_schema).then_some(schema));
        let mut messages = vec![
            json!({"role": "system", "content": told}),
            json!({"role": "user", "content": prompt::fenced(&request.text)}),
        ];
        if let Some((errors, text)) = repair {
            let text: String = text.chars().take(SHOWN_AGAIN).collect();
            messages.push(json!({"role": "assistant", "content": text}));
            messages.push(json!({"role": "user", "content": prompt::repair(errors)}));
        }
        let format = if with_schema {
            json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}})
        } else {
            json!({"type": "json_object"})
        };
        let mut body = self.options.extra.clone();
        body.insert("model".into(), Json::from(self.model.as_str()));
        body.insert("messages".into(), Json::from(messages));
        body.insert("response_format".into(), format);
        body.insert("stream".into(), Json::from(false));
        body.insert(
            self.options.max_tokens_property.clone(),
            Json::from(self.options.max_tokens),
        );
        if let Some(temperature) = self.options.temperature {
            body.insert("temperature".into(), Json::from(temperature));
        }
        Json::Object(body)
    }
}

/// Without a label the least sure field speaks for the answer.
fn least(shaped: &shape::Shaped) -> Option<f64> {
    shaped
        .fields
        .iter()
        .map(|f| f.confidence)
        .min_by(f64::total_cmp)
}

fn failure(kind: FailureKind, retryable: bool, detail: String) -> ModelFailure {
    ModelFailure {
        kind,
        retryable,
        retry_after: None,
        detail,
        said: None,
    }
}

/// Servers that do not know `json_schema` name it in their refusal. One that only fails is asked again by the engine,
/// which spaces its attempts.
fn complains_about_schema(answer: &Answer) -> bool {
    let named = || {
        let body = answer.body.as_deref().unwrap_or_default();
        let text = String::from_utf8_lossy(body).to_ascii_lowercase();
        text.contains("json_schema")
            || text.contains("response_format")
            || text.contains("json_object")
    };
    matches!(answer.status, 400 | 404 | 422 | 500 | 501) && named()
}

fn read(answer: &Answer, now: i64) -> Result<Reply, Bad> {
    let json: Option<Json> = answer
        .body
        .as_ref()
        .ok()
        .and_then(|b| serde_json::from_slice(b).ok());
    let error = json
        .as_ref()
        .and_then(|j| j.get("error"))
        .filter(|e| !e.is_null());
    if answer.status != 200 || error.is_some() {
        return Err(Bad::Failure(refusal(answer, error, now), None));
    }
    let Some(json) = json else {
        let detail = "the server's answer is no JSON".to_owned();
        let failure = failure(FailureKind::Failed, true, detail);
        return Err(Bad::Failure(failure, None));
    };
    let choice = &json["choices"][0];
    let message = &choice["message"];
    let reply = Reply {
        text: text_of(&message["content"]),
        model: json["model"]
            .as_str()
            .filter(|m| !m.is_empty())
            .map(|m| m.chars().take(200).collect()),
        tokens: (
            count(&json["usage"]["prompt_tokens"]),
            count(&json["usage"]["completion_tokens"]),
        ),
    };
    let unfit = |why: &str, reply| Err(Bad::Unfit(vec![format!("/: {why}")], reply));
    let declined = message["refusal"].as_str().is_some_and(|r| !r.is_empty());
    match choice["finish_reason"].as_str() {
        _ if declined => Err(refused("refusal", reply)),
        Some("content_filter") => Err(refused("content_filter", reply)),
        Some("length") => unfit("the answer was cut off; it must be shorter", reply),
        _ if reply.text.trim().is_empty() => unfit("no answer was given", reply),
        _ => Ok(reply),
    }
}

fn refused(detail: &str, reply: Reply) -> Bad {
    let failure = failure(FailureKind::Refused, false, detail.to_owned());
    Bad::Failure(failure, Some(reply))
}

fn count(value: &Json) -> u32 {
    value
        .as_u64()
        .map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// Content is text, a list of parts with text, or absent.
fn text_of(content: &Json) -> String {
    match content {
        Json::String(text) => text.clone(),
        Json::Array(parts) => parts.iter().filter_map(|p| p["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// The JSON in a text: models put their thoughts before it and a code fence around it.
fn json_of(text: &str) -> Result<Json, Vec<String>> {
    let mut text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with("<think>") {
        text = text
            .split_once("</think>")
            .map_or(text, |(_, rest)| rest)
            .trim();
    }
    if let Some(inner) = text.strip_prefix("```").and_then(|t| t.strip_suffix("```")) {
        text = inner.strip_prefix("json").unwrap_or(inner);
    }
    serde_json::from_str(text).map_err(|_| vec!["/: is not JSON".to_owned()])
}

/// A status or an error body as a failure. Of the server's words only its codes are kept: its message may repeat what
/// was sent.
fn refusal(answer: &Answer, error: Option<&Json>, now: i64) -> ModelFailure {
    let words: Vec<String> = ["type", "code"]
        .iter()
        .filter_map(|name| error.and_then(|e| e.get(name)).and_then(code_word))
        .collect();
    let too_long = words.iter().any(|w| w.contains("context"));
    let (kind, retryable) = match answer.status {
        _ if too_long => (FailureKind::TooLong, false),
        401..=403 => (FailureKind::Credential, false),
        429 => (FailureKind::Throttled, true),
        408 => (FailureKind::Timeout, true),
        409 | 425 | 500..=599 => (FailureKind::Failed, true),
        413 => (FailureKind::TooLong, false),
        200 => (FailureKind::Failed, true),
        _ => (FailureKind::Failed, false),
    };
    ModelFailure {
        kind,
        retryable,
        retry_after: retry_after_of(answer, now),
        detail: format!("status {} {}", answer.status, words.join(" "))
            .trim()
            .to_owned(),
        said: None,
    }
}

fn code_word(value: &Json) -> Option<String> {
    let word = crate::json::scalar_text(value)?;
    let plain = word.len() <= 64
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    plain.then_some(word)
}
