//! Asking a model: the question from the case's definition, the answer as a typed proposal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tl_connect::client::Connection;
use tl_connect::guard::Seen;
use tl_connect::model::{
    ClassifySpec, DraftSpec, FailureKind, FieldSpec, LocalModel, ModelAnswer as Answer,
    ModelConnection, ModelFailure, ModelRequest, OpenAi, OpenAiOptions, Said, Sender,
};
use tl_kernel::decide::{ModelAnswer, ProposedField};
use tl_kernel::digest::{Digest, keyed};
use tl_kernel::id::TenantId;
use tl_kernel::journal::Answered;
use tl_kernel::program::{AiStep, Mode, Program};
use tl_kernel::value::{Type, Value};
use tl_store::contract::{Attempt, EffectRow};

use crate::again::Again;
use crate::deliver::{Finished, Outcome, arguments};
use crate::desk::DeskError;
use crate::lanes::Pass;
use crate::tap::Point;
use crate::telemetry::{Observed, traceparent};
use crate::tenant::Bundle;
use crate::worker::Worker;

/// The name of the model inside.
const LOCAL: &str = "local";
/// Attempts before a model that does not answer is given up and a person gets the case.
const MAX_TRIES: u32 = 3;

/// The models of a node: the one inside, with what it has trained, and those behind connections, with what they have
/// shown not to know.
#[derive(Debug)]
pub struct Models {
    local: ModelConnection,
    servers: Mutex<BTreeMap<(TenantId, String, String), Arc<ModelConnection>>>,
}

impl Default for Models {
    fn default() -> Self {
        Models {
            local: ModelConnection::Local(LocalModel::default()),
            servers: Mutex::default(),
        }
    }
}

impl Models {
    /// Trains the local classifier of a program ahead of its first message.
    pub async fn prepare(&self, bundle: &Bundle) {
        let local = bundle
            .program
            .ai
            .as_ref()
            .is_some_and(|ai| ai.model == LOCAL);
        if let (ModelConnection::Local(model), Some(spec), true) =
            (&self.local, &bundle.classify, local)
        {
            model.prepare(spec).await;
        }
    }

    /// A model of a tenant by the names of its connection and its own; the one of before as long as nothing about the
    /// connection has changed.
    fn server(
        &self,
        tenant: TenantId,
        name: &str,
        (connection, model): (&Connection, String),
    ) -> Arc<ModelConnection> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant, name.to_owned(), model);
        if let Some(known) = servers.get(&key)
            && matches!(&**known, ModelConnection::OpenAi(m) if m.is(connection, &key.2))
        {
            return Arc::clone(known);
        }
        let options = OpenAiOptions::default();
        let made = OpenAi::new(connection.clone(), key.2.clone(), options);
        let made = Arc::new(ModelConnection::OpenAi(made));
        servers.insert(key, Arc::clone(&made));
        made
    }

    /// Asks the local model without any ledger: for `try`, which stores nothing.
    pub async fn consult(
        &self,
        client: &tl_connect::client::Client,
        request: &ModelRequest,
    ) -> Result<Answer, ModelFailure> {
        self.local.ask(client, request).await
    }
}

/// The question that a bundle's AI step asks about a message.
pub fn question(bundle: &Bundle, ai: &AiStep, args: &Value) -> ModelRequest {
    let program = &bundle.program;
    let text = |name: &str| args.at(&[name]).map(Value::to_string);
    let received = match args.at(&["received_at"]) {
        Some(Value::Time(t)) => *t,
        _ => 0,
    };
    let extract = ai.extract.iter().filter_map(|name| {
        let def = program.record.field(name)?;
        Some(FieldSpec {
            name: name.clone(),
            kind: def.ty.word(),
        })
    });
    ModelRequest {
        text: text("text").unwrap_or_default(),
        modes: ai.modes.clone(),
        classify: bundle.classify.clone(),
        extract: extract.collect(),
        draft: ai.draft.as_ref().map(|d| DraftSpec {
            instructions: d.prompt_text.clone().unwrap_or_default(),
            max_chars: d.max_chars,
        }),
        summarize: ai.summarize.as_ref().map(|(_, chars)| *chars),
        sender: Sender {
            name: text("from_name"),
            email: text("from"),
        },
        country: text("country"),
        now: received,
        timeout: Duration::from_micros(ai.timeout.max(0) as u64),
        correlation_id: String::new(),
        trace: None,
    }
}

/// What the classifier of a program is asked, with its examples; made once per bundle.
pub(crate) fn classify_spec(program: &Program) -> Option<Arc<ClassifySpec>> {
    let ai = program
        .ai
        .as_ref()
        .filter(|ai| ai.modes.contains(&Mode::Classify))?;
    let classify = ai.classify.as_ref()?;
    let labels = match &program.record.field(&classify.field)?.ty {
        Type::Enum(values) => values.clone(),
        _ => return None,
    };
    let prompt = classify.prompt_text.clone().unwrap_or_default();
    let spec = ClassifySpec::new(&*classify.field, labels, prompt, classify.examples.clone());
    Some(Arc::new(spec))
}

/// The model's answer as the kernel takes it.
pub fn proposal(ai: &AiStep, n: u32, request: &ModelRequest, answer: Answer) -> ModelAnswer {
    let confidence = answer.confidence.map(thousandths);
    let mut fields: Vec<ProposedField> = answer
        .fields
        .iter()
        .map(|f| ProposedField {
            name: f.name.clone(),
            value: Value::text(&*f.value),
            confidence: Some(thousandths(f.confidence)),
            span: f.span,
        })
        .collect();
    if let (Some(classify), Some(label)) = (&ai.classify, &answer.label) {
        fields.push(field(&classify.field, label, confidence));
    }
    if let (Some((name, _)), Some(summary)) = (&ai.summarize, &answer.summary) {
        fields.push(field(name, summary, None));
    }
    if !ai.output_fields {
        fields.clear();
    }
    let mut parts: Vec<(String, Value)> = Vec::new();
    if let Some(label) = &answer.label {
        parts.push(("label".into(), Value::text(&**label)));
    }
    if let Some(summary) = &answer.summary {
        parts.push(("summary".into(), Value::text(&**summary)));
    }
    let reasons: Vec<Value> = answer
        .reasons
        .iter()
        .take(5)
        .map(|(word, _)| Value::text(&**word))
        .collect();
    if !reasons.is_empty() {
        parts.push(("reasons".into(), Value::List(reasons)));
    }
    parts.push(("calibrated".into(), Value::Bool(answer.calibrated)));
    let said = Said {
        model: answer.model,
        tokens: answer.tokens,
        took: answer.took,
        repairs: answer.repairs,
        output: answer.output,
    };
    ModelAnswer {
        answered: Answered {
            confidence: confidence.filter(|_| ai.output_confidence),
            ..answered(n, request, said)
        },
        fields,
        proposal: Value::Record(parts.into_iter().collect()),
        draft: answer.draft,
    }
}

/// What a model said as the journal records it.
fn answered(n: u32, request: &ModelRequest, said: Said) -> Answered {
    let prompt = request.prompt_digest();
    // Keyed by the prompt's digest: neither input nor output can be guessed from the head alone.
    let digest = |what: &[u8], bytes: &[u8]| -> Digest { keyed(&prompt, &[what, bytes]) };
    Answered {
        n,
        prompt,
        input: digest(b"input", request.text.as_bytes()),
        output: digest(b"output", &said.output),
        confidence: None,
        model: said.model,
        tokens: said.tokens,
        took: said.took.as_micros() as i64,
        repairs: said.repairs,
    }
}

fn field(name: &str, value: &str, confidence: Option<u16>) -> ProposedField {
    ProposedField {
        name: name.to_owned(),
        value: Value::text(value),
        confidence,
        span: None,
    }
}

fn thousandths(x: f64) -> u16 {
    (x.clamp(0.0, 1.0) * 1000.0).round() as u16
}

impl Worker {
    /// One attempt of an ask.
    pub(crate) async fn ask(&self, row: &EffectRow, mut pass: Pass) -> Result<Finished, DeskError> {
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let Some(ai) = &bundle.program.ai else {
            return Ok(no_answer("off"));
        };
        let mut request = question(&bundle, ai, &arguments(row));
        request.correlation_id.clone_from(&row.correlation);
        request.trace = Some(traceparent(row));
        self.desk.at(Point::BeforeSend)?;
        let begun = self.desk.now();
        let answer = match self.model(row, ai).await? {
            Ok(Some(model)) => model.ask(&self.outward.client, &request).await,
            Ok(None) => self.models.local.ask(&self.outward.client, &request).await,
            Err(why) => {
                tracing::warn!(model = ai.model, why, "no model connection");
                return Ok(no_answer("off"));
            }
        };
        pass.seen(self.desk.now(), seen(&answer));
        self.desk.at(Point::AfterSend)?;
        let took = self.desk.now() - begun;
        let attempt = |code: &str, status: &str| Attempt {
            effect: row.effect,
            n: row.attempt,
            at: begun,
            took,
            knowledge: "answered".into(),
            status: 0,
            code: code.to_owned(),
            detail: status.to_owned(),
        };
        if let Some((read, written)) = tokens(&answer) {
            self.observe(row, Observed::Tokens(read, written)).await;
        }
        let failed = |f: &ModelFailure| Some(attempt(f.kind.code(), &f.detail));
        let (attempt, outcome) = match answer {
            Ok(answer) => {
                let mut proposal = proposal(ai, row.effect.n, &request, answer);
                // The journal knows one time: the engine's.
                proposal.answered.took = took;
                (None, Outcome::Answer(Box::new(proposal)))
            }
            Err(f) if f.retryable && row.attempt < MAX_TRIES => {
                let again = Again::new(f.kind.code(), f.retry_after);
                (failed(&f), Outcome::Retry(again))
            }
            Err(mut f) => {
                let said = f.said.take();
                let said = said.map(|said| Answered {
                    took,
                    ..answered(row.effect.n, &request, *said)
                });
                let reason = f.kind.code().to_owned();
                (failed(&f), Outcome::NoAnswer(reason, said.map(Box::new)))
            }
        };
        Ok(Finished {
            outcome,
            attempt,
            rows: Vec::new(),
        })
    }

    /// The model connection to ask; `None` for the model inside.
    async fn model(
        &self,
        row: &EffectRow,
        ai: &AiStep,
    ) -> Result<Result<Option<Arc<ModelConnection>>, String>, DeskError> {
        if ai.model == LOCAL {
            return Ok(Ok(None));
        }
        let view = self.desk.tenant(row.tenant).await?;
        let found = self
            .outward
            .connections
            .find(&view, &row.workflow, &ai.model);
        Ok(found.map(|connection| {
            let model = self
                .outward
                .connections
                .model(&view, &row.workflow, &ai.model);
            let model = model.unwrap_or_else(|| ai.model.clone());
            let at = (&*connection, model);
            Some(self.models.server(row.tenant, &ai.model, at))
        }))
    }
}

/// Tokens that the model read and wrote, however little of its answer could be used.
fn tokens(answer: &Result<Answer, ModelFailure>) -> Option<(u32, u32)> {
    match answer {
        Ok(answer) => Some(answer.tokens),
        Err(failure) => failure.said.as_ref().map(|said| said.tokens),
    }
}

/// What an answer, or its absence, says about the model's connection. A credential that is not accepted ends the
/// question at once; it holds nobody up.
fn seen(answer: &Result<Answer, ModelFailure>) -> Seen {
    let Err(failure) = answer else {
        return Seen::Well;
    };
    match failure.kind {
        FailureKind::Throttled => Seen::Throttled(failure.retry_after),
        FailureKind::Timeout => Seen::Badly,
        FailureKind::Failed if failure.retryable => Seen::Badly,
        FailureKind::Failed => Seen::Nothing,
        FailureKind::Refused
        | FailureKind::Invalid
        | FailureKind::TooLong
        | FailureKind::Credential => Seen::Well,
    }
}

fn no_answer(reason: &str) -> Finished {
    Finished {
        outcome: Outcome::NoAnswer(reason.to_owned(), None),
        attempt: None,
        rows: Vec::new(),
    }
}
