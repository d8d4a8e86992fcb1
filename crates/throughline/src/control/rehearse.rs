//! What would happen to a message: it goes through the real doors and is decided with the current facts and the
//! local model, but nothing is stored and nothing is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use http::{Method, Request, StatusCode};
use tl_connect::client::{Client, Options};
use tl_engine::ask::{Models, proposal, question};
use tl_engine::tenant::{Bundle, Tenant};
use tl_kernel::case::{Case, fold_one};
use tl_kernel::decide::{self, Facts, Input, decide, map_event, natural_key_digests};
use tl_kernel::id::CaseId;
use tl_kernel::journal::{Body as TurnBody, Head, open};
use tl_kernel::program::{Auth, Channel, Format, OnMatch};
use tl_kernel::turn::{Decision, EffectKind, EffectPlan, EffectWrite, Turn};
use tl_kernel::value::Value;
use tl_web::intake::{Admission, AdmitError, Admitted, Answer, Door, Intake, TenantView};
use tl_web::{AppState, WebConfig, router};
use tl_wire::signature::{HmacScheme, Scheme, Secret, Stamp, sign};
use tower::ServiceExt;

use super::Ctx;
use super::doors::unbase64;
use super::request::Message;
use super::views::{Reply, Tried};
use crate::explain::{Material, build};
use crate::failure::Failure;
use crate::keys::random;

/// Largest answer of a door that is read, bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// Name of the tenant under which the rehearsed door is found.
const STAGE: &str = "stage";

/// A way in that keeps the message for us and stores nothing.
struct Rehearsal {
    view: Arc<TenantView>,
    now: i64,
    kept: Mutex<Option<Admission>>,
}

impl Intake for Rehearsal {
    fn tenant<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async { Some(Arc::clone(&self.view)) })
    }

    fn tenant_of_key<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async { None })
    }

    fn admit(&self, admission: Admission) -> Answer<'_, Result<Admitted, AdmitError>> {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(admission);
        Box::pin(async {
            Ok(Admitted::Accepted {
                case: None,
                joined: None,
            })
        })
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn overloaded(&self) -> Option<(&'static str, u32)> {
        None
    }
}

/// The turns decided so far.
struct Rehearsed {
    case: Case,
    turns: Vec<(Head, Option<TurnBody>)>,
    plans: Vec<EffectPlan>,
    notes: Vec<String>,
}

impl Ctx<'_> {
    pub(super) async fn rehearse(&self, message: Message) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let found = view
            .current
            .values()
            .find(|(_, b)| b.program.endpoint(&message.endpoint).is_some());
        let Some((number, bundle)) = found else {
            let names: Vec<&str> = view
                .current
                .values()
                .flat_map(|(_, b)| b.program.endpoints.iter().map(|e| e.name.as_str()))
                .collect();
            return Err(Failure::not_found(format!(
                "no current workflow has an endpoint `{}`; there are {}",
                message.endpoint,
                names.join(", ")
            )));
        };
        let admission = self
            .through_the_door(&view, (*number, bundle), &message)
            .await?;
        let mut done = Rehearsed {
            case: Case::new(view.id, CaseId(admission.id.0), *number),
            turns: Vec::new(),
            plans: Vec::new(),
            notes: Vec::new(),
        };
        let mut pinned = Arc::clone(bundle);
        let matched = self.join(&view, bundle, &admission).await?;
        if let Some((case, key)) = &matched {
            let source = bundle
                .program
                .record
                .natural_keys
                .get(usize::from(*key))
                .map_or("", |t| &t.source);
            done.notes.push(format!(
                "it would join {}: the natural key `{source}` is the same",
                case.id
            ));
            pinned = self.app.desk.bundle(view.id, case.definition).await?;
            done.case = case.clone();
        }
        let input = Input::EventAdmitted(decide::Admitted {
            id: admission.id,
            endpoint: admission.endpoint.clone(),
            kid: "try".into(),
            key_source: admission.key_source.clone(),
            origin: admission.keys.first().copied().unwrap_or_default(),
            seed: random()?,
            matched_key: matched.map(|(_, key)| key),
        });
        let stage = Stage {
            view: &view,
            bundle: &pinned,
            event: &admission.event,
            now: self.now(),
        };
        stage.turn(&mut done, input)?;
        stage.answer_asks(&mut done).await?;
        stage.say_what_would_be_sent(&mut done);
        let material = Material {
            tenant: view.name.clone(),
            case: done.case,
            turns: done.turns,
            bundle: pinned,
            effects: Vec::new(),
            attempts: BTreeMap::new(),
            duplicates: BTreeMap::new(),
            connections: BTreeMap::new(),
            switches: Vec::new(),
            now: self.now(),
        };
        let mut explanation = build(&material);
        explanation.next.clear();
        Ok(Reply::Tried(Box::new(Tried {
            notes: done.notes,
            explanation,
        })))
    }

    /// The message as the doors hand it over. The door is opened with a key of the moment, so that everything
    /// but the sender's signature is checked as it would be.
    async fn through_the_door(
        &self,
        view: &Tenant,
        (number, bundle): (u32, &Bundle),
        message: &Message,
    ) -> Result<Admission, Failure> {
        let mut program = bundle.program.clone();
        let Some(i) = program
            .endpoints
            .iter()
            .position(|e| e.name == message.endpoint)
        else {
            return Err(Failure::not_found("the endpoint is gone"));
        };
        let scheme = HmacScheme::default();
        let endpoint = &mut program.endpoints[i];
        endpoint.auth = vec![Auth::Hmac {
            header: scheme.header.clone(),
            prefix: scheme.prefix.clone(),
            base64: false,
            signed: "{body}".into(),
            timestamp_header: None,
            id_header: None,
        }];
        if endpoint.channel == Channel::Api {
            endpoint.channel = Channel::Webhook;
        }
        let way = if endpoint.format == Format::Form {
            "forms"
        } else {
            "hooks"
        };
        let now = self.now();
        let unusable = |_| Failure::unreachable("the message cannot be signed");
        let secret = Secret::new("try", random::<32>()?, 0, None).map_err(unusable)?;
        let door = Door {
            program: Arc::new(program),
            definition: number,
            endpoint: i,
            secrets: vec![secret.clone()],
            key_sets: BTreeMap::new(),
            disabled: false,
        };
        let intake = Arc::new(Rehearsal {
            view: Arc::new(TenantView {
                id: view.id,
                key: view.key,
                doors: BTreeMap::from([(message.endpoint.clone(), door)]),
                api_keys: BTreeMap::new(),
                ingest_killed: false,
            }),
            now,
            kept: Mutex::new(None),
        });
        let body = unbase64(&message.body)?;
        let stamp = Stamp {
            delivery_id: None,
            timestamp_s: now / 1_000_000,
        };
        let signed = sign(&Scheme::Hmac(scheme), &secret, stamp, &body)
            .map_err(|_| Failure::unreachable("the message cannot be signed"))?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("/{way}/{STAGE}/{}", message.endpoint))
            .header("content-type", &message.content_type)
            .header("content-length", body.len());
        for (name, value) in signed.iter().chain(&message.headers) {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body));
        let request =
            request.map_err(|e| Failure::usage(format!("a header cannot be sent: {e}")))?;
        let state = AppState {
            intake: Arc::clone(&intake) as Arc<dyn Intake>,
            store: self.app.desk.store().clone(),
            config: WebConfig::default(),
            metrics: Arc::default(),
        };
        let Ok(response) = router(state).oneshot(request).await;
        let status = response.status();
        let answer = to_bytes(response.into_body(), MAX_ANSWER)
            .await
            .unwrap_or_default();
        if status != StatusCode::ACCEPTED {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            return Err(Failure::refused(format!(
                "the door would answer {status}: {answer}"
            )));
        }
        let kept = intake
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        kept.ok_or_else(|| Failure::refused("the door took the message but handed nothing over"))
    }

    /// The case that the message would join.
    async fn join(
        &self,
        view: &Tenant,
        bundle: &Bundle,
        a: &Admission,
    ) -> Result<Option<(Case, u8)>, Failure> {
        let program = &bundle.program;
        let Some(endpoint) = program
            .endpoint(&a.endpoint)
            .filter(|_| program.record.on_match != OnMatch::Open)
        else {
            return Ok(None);
        };
        let (record, _) = map_event(program, endpoint, &a.event, 1);
        let keys = natural_key_digests(program, &record, &a.event, &view.key);
        if keys.is_empty() {
            return Ok(None);
        }
        let digests = keys.iter().map(|(_, d)| *d).collect();
        let found = self
            .app
            .desk
            .store()
            .natural_key(view.id, program.id.clone(), digests)
            .await?;
        let Some((case, position)) = found else {
            return Ok(None);
        };
        let key = keys.get(position as usize).map_or(0, |(i, _)| *i);
        Ok(Some((self.app.desk.load(view.id, case).await?, key)))
    }
}

/// The facts of a rehearsal.
struct Stage<'a> {
    view: &'a Tenant,
    bundle: &'a Bundle,
    event: &'a Value,
    now: i64,
}

impl Stage<'_> {
    fn turn(&self, done: &mut Rehearsed, input: Input) -> Result<(), Failure> {
        let program = &self.bundle.program;
        let current = self.view.current.get(&program.id);
        let (policy_number, current) =
            current.map_or((done.case.definition, program), |(n, b)| (*n, &b.program));
        let facts = Facts {
            now: self.now,
            tenant: self.view.id,
            tenant_key: &self.view.key,
            definition: done.case.definition,
            policy_number,
            policy: &current.policy,
            threshold: current.decision.threshold.value(),
            flags: self.view.flags_for(program),
            switches: &self.view.switches,
            event: Some(self.event),
            sender: None,
        };
        let turn: Turn = match decide(program, &done.case, input, &facts) {
            Decision::Turn(turn) => *turn,
            Decision::Refused(r) => {
                return Err(Failure::refused(format!("{} {}", r.code, r.message)));
            }
        };
        let unreadable = |e: tl_kernel::journal::JournalError| Failure::refused(e.to_string());
        fold_one(&mut done.case, &turn.sealed).map_err(unreadable)?;
        done.turns.push(open(&turn.sealed).map_err(unreadable)?);
        done.plans
            .extend(turn.effects.into_iter().filter_map(|e| match e {
                EffectWrite::Plan(p) => Some(*p),
                _ => None,
            }));
        Ok(())
    }

    /// Asks the model inside; another model is only named, because asking it costs.
    async fn answer_asks(&self, done: &mut Rehearsed) -> Result<(), Failure> {
        let Some(ai) = &self.bundle.program.ai else {
            return Ok(());
        };
        let open = done
            .plans
            .iter()
            .find(|p| p.kind == EffectKind::Ask)
            .cloned();
        let Some(ask) = open else { return Ok(()) };
        if ai.model != "local" {
            done.notes.push(format!(
                "the model `{}` would be asked; it was not, so the way ends here",
                ai.model
            ));
            return Ok(());
        }
        let args = minicbor::decode::<Value>(&ask.args).unwrap_or(Value::Null);
        let request = question(self.bundle, ai, &args);
        let client =
            Client::new(&Options::default()).map_err(|e| Failure::unreachable(e.to_string()))?;
        let input = match Models::default().consult(&client, &request).await {
            Ok(answer) => Input::ModelAnswered(proposal(ai, ask.n, &request, answer)),
            Err(f) => Input::ModelFailed {
                n: ask.n,
                reason: f.kind.code().to_owned(),
            },
        };
        self.turn(done, input)
    }

    fn say_what_would_be_sent(&self, done: &mut Rehearsed) {
        for p in done.plans.iter().filter(|p| p.kind == EffectKind::Effect) {
            let planned = done.case.effects.get(&p.n);
            let what = match planned.map(|e| e.state) {
                Some(tl_kernel::effect::EffectState::Planned) => "would wait for an approval",
                Some(s) if s.is_settled() => "would be stopped at once",
                _ => "would be sent by itself",
            };
            done.notes.push(format!("`{}` {what}", p.action));
        }
        if done.plans.iter().all(|p| p.kind == EffectKind::Ask) {
            done.notes.push("nothing would be sent".into());
        }
    }
}
