//! What would happen to a message: it goes through the real doors and is decided with the current facts and the
//! local model, but nothing is stored and nothing is sent.

mod door;
mod known;

use std::collections::BTreeMap;
use std::sync::Arc;

use tl_connect::client::{Client, Options};
use tl_engine::ask::{Models, proposal, question};
use tl_engine::desk::Desk;
use tl_engine::tenant::{Bundle, Tenant};
use tl_kernel::case::Case;
use tl_kernel::contact::Wish;
use tl_kernel::decide::{self, Facts, Input, decide};
use tl_kernel::effect::EffectState;
use tl_kernel::gate::{GateVerdict, Intent, Known, gate};
use tl_kernel::id::CaseId;
use tl_kernel::journal::{Body as TurnBody, Head, open};
use tl_kernel::policy::Verdict;
use tl_kernel::turn::{Decision, EffectKind, EffectPlan, EffectWrite};
use tl_kernel::value::Value;
use tl_web::intake::Admission;

use self::known::repeat_note;
use super::Ctx;
use super::request::Message;
use super::views::{Reply, Tried};
use crate::explain::{Material, build};
use crate::failure::Failure;
use crate::keys::random;
use crate::text::{At, nearest};

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
            let hint = match nearest(&message.endpoint, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            };
            return Err(Failure::not_found(format!(
                "no current workflow has an endpoint `{}`; {hint}",
                message.endpoint
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
        done.notes.extend(self.heeded(&view, &admission).await?);
        let duplicate = self.repeats(&view, &admission).await?;
        done.notes.push(repeat_note(
            duplicate.as_ref(),
            (bundle, &admission),
            self.now(),
        ));
        let mut pinned = Arc::clone(bundle);
        let matched = self.joins(&view, bundle, &admission).await?;
        let joins = matched.as_ref().map(|(case, _)| case.id.to_string());
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
        stage
            .say_what_would_be_sent(&self.app.desk, &mut done)
            .await?;
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
            history: Vec::new(),
            also_held: 0,
            now: self.now(),
        };
        let mut explanation = build(&material);
        explanation.next.clear();
        Ok(Reply::Tried(Box::new(Tried {
            notes: done.notes,
            duplicate,
            joins,
            explanation,
        })))
    }

    /// What a message does to the list of addresses to which nothing is sent.
    async fn heeded(
        &self,
        view: &Tenant,
        admission: &Admission,
    ) -> Result<Option<String>, Failure> {
        let Some(consent) = &admission.consent else {
            return Ok(None);
        };
        if !self.app.desk.heeds(view, consent).await? {
            return Ok(None);
        }
        let does = match consent.wish {
            Wish::Stop => "puts its number on",
            Wish::Start => "takes its number off",
        };
        Ok(Some(format!(
            "at the door this {does} the list of `throughline suppression` and opens no case; what follows would become of \
             another text from there"
        )))
    }
}

/// What a message would say, to whom and by what: its subject, or the beginning of its text.
fn said(args: &Value) -> Option<String> {
    let text = |name: &str| args.at(&[name]).map(Value::to_string);
    let (channel, to, via) = (text("channel")?, text("to")?, text("via")?);
    let subject = text("subject").filter(|s| !s.trim().is_empty());
    let begins = subject.or_else(|| text("text"))?;
    let line = begins.lines().find(|l| !l.trim().is_empty())?;
    let short: String = line.chars().take(SHOWN).collect();
    let more = if short.len() < line.len() { "…" } else { "" };
    Some(format!("{channel} to {to} by `{via}`, “{short}{more}”"))
}

/// So much of a message is shown, characters.
const SHOWN: usize = 60;

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
            links: None,
            sender: None,
        };
        let turn = match decide(program, &done.case, input, &facts) {
            Decision::Turn(turn, after) => {
                done.case = *after;
                turn
            }
            Decision::Refused(r) => {
                return Err(Failure::refused(format!("{} {}", r.code, r.message)));
            }
        };
        let unreadable = |e: tl_kernel::journal::JournalError| Failure::refused(e.to_string());
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
                said: None,
            },
        };
        self.turn(done, input)
    }

    async fn say_what_would_be_sent(
        &self,
        desk: &Desk,
        done: &mut Rehearsed,
    ) -> Result<(), Failure> {
        for p in done.plans.iter().filter(|p| p.kind == EffectKind::Effect) {
            let planned = done.case.effects.get(&p.n);
            let args = minicbor::decode(&p.args).unwrap_or(Value::Null);
            let what = match planned.map(|e| e.state) {
                Some(EffectState::Planned) => "would wait for an approval".into(),
                Some(s) if s.is_settled() => "would be stopped at once".into(),
                _ => {
                    let at = (self.view, self.bundle);
                    let suppressed = desk.is_suppressed(at, &p.action, &args).await?;
                    self.at_the_gate(p, suppressed)
                }
            };
            let said = said(&args).map(|said| format!(": {said}"));
            let said = said.unwrap_or_default();
            done.notes.push(format!("`{}` {what}{said}", p.action));
        }
        if done.plans.iter().all(|p| p.kind == EffectKind::Ask) {
            done.notes.push("nothing would be sent".into());
        }
        Ok(())
    }

    /// What the gate would say of it now. Uses of a limit are not counted: nothing is used up here.
    fn at_the_gate(&self, plan: &EffectPlan, suppressed: bool) -> String {
        let workflow = &self.bundle.program.id;
        let current = self.view.current.get(workflow);
        let line = current.and_then(|(_, b)| b.program.policy.line(&plan.action));
        let intent = Intent {
            workflow,
            action: &plan.action,
            connection: &plan.connection,
            is_ask: false,
            verdict: Verdict::Auto,
            approved: false,
            valid_until: plan.valid_until,
        };
        let known = Known {
            now: self.now,
            switches: &self.view.switches,
            quiet_hours: line.and_then(|l| l.quiet_hours.as_ref()),
            suppressed,
            limit: None,
        };
        match gate(&intent, &known) {
            GateVerdict::Send => "would be sent by itself".into(),
            GateVerdict::Hold {
                until: Some(until), ..
            } => format!(
                "would be sent by itself {}, when its quiet hours are over",
                At(until).from(self.now)
            ),
            GateVerdict::Hold { why, .. } => format!("would be held ({why})"),
            GateVerdict::DryRun { scope } => {
                format!("would not be sent: the switch `{scope}` makes it a dry run")
            }
            GateVerdict::NeedsApproval => "would wait for an approval".into(),
            GateVerdict::Refuse { why } => format!("would be stopped at once ({why})"),
        }
    }
}
