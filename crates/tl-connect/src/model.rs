//! Asking a model: one request type, one answer type, two kinds of model.
//!
//! A model has no tools and no credentials; what it says is a proposal made of data. Its input is marked as data,
//! its output is checked against the shape that was asked for, and what does not fit goes to a person.

mod local;
mod openai;
mod parts;
mod prompt;
mod shape;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tl_kernel::digest::{Digest, hex, sha256};
use tl_kernel::program::Mode;

use crate::client::Client;

pub use local::LocalModel;
pub use openai::{OpenAi, OpenAiOptions};

/// A model that can be asked.
#[derive(Debug)]
pub enum ModelConnection {
    /// The one inside.
    Local(LocalModel),
    /// A server that speaks the chat completions protocol.
    OpenAi(OpenAi),
}

impl ModelConnection {
    /// Asks once. Takes no longer than the request's timeout.
    pub async fn ask(
        &self,
        client: &Client,
        request: &ModelRequest,
    ) -> Result<ModelAnswer, ModelFailure> {
        match self {
            ModelConnection::Local(model) => model.ask(request).await,
            ModelConnection::OpenAi(model) => model.ask(client, request).await,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// The message: untrusted.
    pub text: String,
    /// What is wanted.
    pub modes: BTreeSet<Mode>,
    /// `classify`: the field it is for, its values, and the workflow's words about them.
    pub classify: Option<Arc<ClassifySpec>>,
    /// `extract`: the fields.
    pub extract: Vec<FieldSpec>,
    /// `draft`: the reply.
    pub draft: Option<DraftSpec>,
    /// `summarize`: greatest length in characters.
    pub summarize: Option<u32>,
    /// Name and address from the message's verified envelope, where known.
    pub sender: Sender,
    /// Country whose habits apply to numbers and dates (ISO 3166 alpha-2), where known.
    pub country: Option<String>,
    /// The case's time, µs since the Unix epoch: "tomorrow" counts from here.
    pub now: i64,
    /// Time for everything, repairs included.
    pub timeout: Duration,
    /// Travels as `x-correlation-id`; empty where nothing outside is asked.
    pub correlation_id: String,
    /// Travels as `traceparent`.
    pub trace: Option<String>,
}

/// Who sent the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// Display name.
    pub name: Option<String>,
    /// Address.
    pub email: Option<String>,
}

/// `classify`. Made once per workflow version and shared by its requests: it knows its own digest, by which a trained
/// classifier is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifySpec {
    field: String,
    labels: Vec<String>,
    prompt: String,
    examples: Vec<(String, String)>,
    digest: Digest,
}

impl ClassifySpec {
    /// The field that takes the label, its values, the workflow's words about them, and examples: text and label.
    pub fn new(
        field: impl Into<String>,
        labels: Vec<String>,
        prompt: impl Into<String>,
        examples: Vec<(String, String)>,
    ) -> ClassifySpec {
        let (field, prompt) = (field.into(), prompt.into());
        let digest = sha256(&[json!([field, labels, prompt, examples])
            .to_string()
            .as_bytes()]);
        ClassifySpec {
            field,
            labels,
            prompt,
            examples,
            digest,
        }
    }

    /// Digest of all of it.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// A field to be read from the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its name.
    pub name: String,
    /// The word of its type: `string`, `email`, `phone`, `url`, `int`, `decimal`, `time`, `bool`, `enum(a, b)`.
    pub kind: String,
}

/// `draft`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftSpec {
    /// The workflow's instructions.
    pub instructions: String,
    /// Greatest length in characters.
    pub max_chars: u32,
}

impl ModelRequest {
    /// Digest of everything but the message: which prompt, examples and options produced an answer.
    pub fn prompt_digest(&self) -> Digest {
        let modes: Vec<&str> = self.modes.iter().map(|m| m.word()).collect();
        let classify = self.classify.as_ref().map(|spec| hex(spec.digest()));
        let extract: Vec<_> = self.extract.iter().map(|f| (&f.name, &f.kind)).collect();
        let draft = self.draft.as_ref().map(|d| (&d.instructions, d.max_chars));
        let asked = json!([modes, classify, extract, draft, self.summarize]);
        sha256(&[asked.to_string().as_bytes()])
    }

    fn wants(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }
}

/// What a model answered. Every part of it is untrusted.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAnswer {
    /// The label, one of those asked for; `None` where the model has no opinion.
    pub label: Option<String>,
    /// How sure it is, between 0 and 1. What a language model says of itself is cut to [`MOST_STATED`].
    pub confidence: Option<f64>,
    /// Whether the confidence was fitted to judged examples; else it is only what the model says.
    pub calibrated: bool,
    /// Fields found.
    pub fields: Vec<ExtractedField>,
    /// The summary.
    pub summary: Option<String>,
    /// The drafted reply.
    pub draft: Option<String>,
    /// Words that spoke for or against the label, strongest first, where the model can name them.
    pub reasons: Vec<(String, f64)>,
    /// Name and revision, as the provider says.
    pub model: String,
    /// Tokens in and out; 0 where none are counted.
    pub tokens: (u32, u32),
    /// How long it took.
    pub took: Duration,
    /// Rounds of repair before the answer fitted.
    pub repairs: u8,
    /// The answer's bytes, for the digest in the journal.
    pub output: Vec<u8>,
}

/// The most that counts of what a language model says about its own confidence.
pub const MOST_STATED: f64 = 0.95;

/// A field found in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtractedField {
    /// The field.
    pub name: String,
    /// Its value as text, in the form its type is written in.
    pub value: String,
    /// Where it stands in the message: first byte, and the byte after the last. It always lies in the message, on
    /// character boundaries.
    pub span: Option<(u32, u32)>,
    /// How sure the model is, between 0 and 1.
    pub confidence: f64,
}

/// Why there is no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TL0821 the model gave no usable answer: {detail}")]
pub struct ModelFailure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// Whether asking again later can help.
    pub retryable: bool,
    /// The wait the provider asked for, µs.
    pub retry_after: Option<i64>,
    /// More about it, without any content of message or answer.
    pub detail: String,
    /// What the model said, where it said something that could not be used.
    pub said: Option<Box<Said>>,
}

/// What a model said and what that cost, however little of it could be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Name and revision, as the provider says.
    pub model: String,
    /// Tokens in and out of all rounds; 0 where none are counted.
    pub tokens: (u32, u32),
    /// How long it took.
    pub took: Duration,
    /// Rounds of repair.
    pub repairs: u8,
    /// The bytes of its last answer, for the digest in the journal.
    pub output: Vec<u8>,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The model declined.
    Refused,
    /// The answer did not have the shape asked for, twice.
    Invalid,
    /// No answer in time.
    Timeout,
    /// Too many requests.
    Throttled,
    /// The message is longer than the model reads.
    TooLong,
    /// The credential is not accepted, or not paid for.
    Credential,
    /// The server failed or could not be reached.
    Failed,
}

impl FailureKind {
    /// The reason code.
    pub fn code(self) -> &'static str {
        match self {
            FailureKind::Refused => "model_refused",
            FailureKind::Invalid => "model_invalid",
            FailureKind::Timeout => "model_timeout",
            FailureKind::Throttled => "model_throttled",
            FailureKind::TooLong => "model_too_long",
            FailureKind::Credential => "model_credential",
            FailureKind::Failed => "model_failed",
        }
    }
}
