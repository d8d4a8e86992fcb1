//! From the journal of a case to the spans of its trace.
//!
//! The root span is the case from its opening to its first close. Each turn is a span below it, each attempt and
//! each question to a model a span below the turn that planned it. A case that is opened again gets a further span
//! below the root, from there to its next close, with the later turns below it: a span that has been sent does not
//! change any more.

use std::collections::BTreeMap;

use tl_kernel::effect::EffectState;
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::{CaseId, EffectId};
use tl_kernel::journal::{Actor, Answered, Entry, Head};
use tl_kernel::program::{Program, StateIx, canonical};
use tl_store::contract::{Attempt, EffectRow};

use super::span::{Attrs, Kind, Span, SpanId, attempt_id, code, span_id, trace_id};
use super::step_of;

/// Ledger rows and finished attempts by number within the case.
pub(super) type Ledger = BTreeMap<u32, (EffectRow, Vec<Attempt>)>;

/// Where the story of a case stands.
#[derive(Debug)]
pub(super) struct Story {
    case: CaseId,
    tenant: String,
    /// Turn and instant (µs) at which the present stretch began: the opening, or the last opening again.
    stretch: (u32, i64),
    closed: bool,
    state: StateIx,
    reason: String,
    /// Effect or ask → the turn that planned it.
    planned: BTreeMap<u32, u32>,
    /// Effect → attempts that have their spans.
    told: BTreeMap<u32, u32>,
}

/// Whether a state ends a case.
fn ends(program: Option<&Program>, state: StateIx) -> bool {
    let known = program.and_then(|p| p.states.get(usize::from(state)));
    known.map_or(state == canonical::CLOSED, |s| s.terminal)
}

impl Story {
    /// The story of a case before its first turn.
    pub(super) fn new(tenant: &str, case: CaseId) -> Story {
        Story {
            case,
            tenant: tenant.to_owned(),
            stretch: (1, 0),
            closed: false,
            state: 0,
            reason: String::new(),
            planned: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Effects and asks whose attempts a turn ends.
    pub(super) fn ended(head: &Head) -> impl Iterator<Item = u32> + '_ {
        head.entries.iter().filter_map(|e| match e {
            Entry::Settled { n, .. } | Entry::AskFailed { n, .. } => Some(*n),
            Entry::Answered(a) => Some(a.n),
            _ => None,
        })
    }

    /// Takes in a turn whose spans have been sent.
    pub(super) fn pass(&mut self, head: &Head, program: Option<&Program>) {
        let was_closed = self.closed;
        if head.seq == 1 {
            self.stretch = (1, head.at);
        }
        for entry in &head.entries {
            match entry {
                Entry::Moved { to, reason, .. } => {
                    self.closed = ends(program, *to);
                    self.state = *to;
                    self.reason.clone_from(reason);
                }
                Entry::Planned(p) => drop(self.planned.insert(p.n, head.seq)),
                Entry::Asked { n, .. } => drop(self.planned.insert(*n, head.seq)),
                Entry::Settled { n, attempts, .. } => {
                    let told = self.told.entry(*n).or_default();
                    *told = (*told).max(*attempts);
                }
                _ => {}
            }
        }
        if was_closed && !self.closed {
            self.stretch = (head.seq, head.at);
        }
    }

    /// Takes in the next turn and returns its spans.
    pub(super) fn tell(
        &mut self,
        head: &Head,
        program: Option<&Program>,
        ledger: &Ledger,
    ) -> Vec<Span> {
        let was_closed = self.closed;
        let told = self.told.clone();
        self.pass(head, program);
        let mut spans = vec![self.turn(head, program)];
        for entry in &head.entries {
            match entry {
                Entry::Settled {
                    n,
                    state,
                    attempts,
                    evidence,
                    ..
                } if *state != EffectState::Ready => {
                    let range = (told.get(n).copied().unwrap_or(0), *attempts);
                    let before = spans.len();
                    spans.extend(self.attempts(head, ledger, (*n, range)));
                    // What happened in our own database happened in this turn's unit.
                    if spans.len() == before && evidence == "transaction" {
                        spans.extend(self.inside(head, ledger, (*n, *attempts)));
                    }
                }
                Entry::AskFailed { n, .. } => {
                    spans.extend(self.attempts(head, ledger, (*n, (0, u32::MAX))));
                }
                Entry::Answered(a) => {
                    spans.extend(self.attempts(head, ledger, (a.n, (0, u32::MAX))));
                    spans.push(self.answer(head, ledger, a));
                }
                _ => {}
            }
        }
        if self.closed && (!was_closed) {
            spans.push(self.whole(head, program));
        }
        spans
    }

    fn span(&self, head: &Head, id: SpanId, name: String) -> Span {
        Span {
            trace: trace_id(&head.correlation, self.case),
            id,
            parent: None,
            name,
            kind: Kind::Internal,
            start: head.at,
            end: head.at,
            attrs: vec![
                ("throughline.tenant", self.tenant.as_str().into()),
                ("throughline.case_id", self.case.to_string().into()),
            ],
            events: Vec::new(),
            error: None,
        }
    }

    /// The span of a stretch; the first one is the root.
    fn stretch_id(&self, seq: u32) -> SpanId {
        span_id(self.case, "case", (seq, 0))
    }

    fn turn_id(&self, seq: u32) -> SpanId {
        span_id(self.case, "turn", (seq, 0))
    }

    /// The case from the beginning of the present stretch to this turn.
    fn whole(&self, head: &Head, program: Option<&Program>) -> Span {
        let (seq, since) = self.stretch;
        let workflow = program.map_or("?", |p| &p.id);
        let name = if seq == 1 { "case" } else { "case again" };
        let mut span = self.span(head, self.stretch_id(seq), format!("{name} {workflow}"));
        span.parent = (seq != 1).then(|| self.stretch_id(1));
        span.start = since;
        span.attrs.extend([
            ("throughline.workflow", workflow.into()),
            (
                "throughline.workflow_version",
                program.map_or("?", |p| &p.version).into(),
            ),
            (
                "throughline.correlation_id",
                head.correlation.as_str().into(),
            ),
            ("throughline.state", state_name(program, self.state).into()),
            ("throughline.reason", code(&self.reason).into()),
            ("throughline.turns", i64::from(head.seq).into()),
        ]);
        span
    }

    fn turn(&self, head: &Head, program: Option<&Program>) -> Span {
        let step = step_of(head);
        let mut span = self.span(head, self.turn_id(head.seq), format!("turn {step}"));
        span.parent = Some(self.stretch_id(self.stretch.0));
        span.attrs.extend([
            (
                "throughline.workflow",
                program.map_or("?", |p| &p.id).into(),
            ),
            ("throughline.seq", i64::from(head.seq).into()),
            ("throughline.step", step.into()),
            ("throughline.actor", actor(&head.actor).into()),
            ("throughline.state", state_name(program, self.state).into()),
        ]);
        span.events = head
            .entries
            .iter()
            .filter_map(|e| event(e, program))
            .collect();
        span
    }

    /// The span of one attempt, below the turn that planned what it attempted.
    fn attempt(&self, head: &Head, row: Option<&EffectRow>, at: (u32, u32)) -> Span {
        let (n, number) = at;
        let effect = EffectId { case: self.case, n };
        let action = row.map_or("?", |r| &r.action);
        let mut span = self.span(
            head,
            attempt_id(effect, number),
            format!("attempt {action}"),
        );
        span.parent = Some(self.turn_id(self.planned.get(&n).copied().unwrap_or(head.seq)));
        span.attrs.extend([
            ("throughline.effect_id", effect.to_string().into()),
            ("throughline.action", action.into()),
            (
                "throughline.class",
                row.map_or("?", |r| r.class.word()).into(),
            ),
            ("throughline.attempt", i64::from(number).into()),
        ]);
        if let Some(connection) = row.map(|r| &r.connection).filter(|c| !c.is_empty()) {
            span.attrs
                .push(("throughline.connection", connection.as_str().into()));
            span.kind = Kind::Client;
        }
        span
    }

    /// Finished attempts of an effect after the first of a range, up to the second.
    fn attempts<'a>(
        &'a self,
        head: &'a Head,
        ledger: &'a Ledger,
        of: (u32, (u32, u32)),
    ) -> impl Iterator<Item = Span> + 'a {
        let (n, (after, upto)) = of;
        let (row, done) = ledger
            .get(&n)
            .map_or((None, &[][..]), |(r, a)| (Some(r), a));
        done.iter()
            .filter(move |a| after < a.n && a.n <= upto)
            .map(move |a| {
                let mut span = self.attempt(head, row, (n, a.n));
                (span.start, span.end) = (a.at, a.at.saturating_add(a.took));
                span.attrs
                    .push(("throughline.knowledge", code(&a.knowledge).into()));
                if a.status != 0 {
                    span.attrs
                        .push(("http.response.status_code", i64::from(a.status).into()));
                }
                span.error = (!a.code.is_empty()).then(|| code(&a.code));
                span
            })
    }

    /// An effect in our own database, which leaves no evidence of attempts.
    fn inside(&self, head: &Head, ledger: &Ledger, at: (u32, u32)) -> Option<Span> {
        let (row, _) = ledger.get(&at.0)?;
        Some(self.attempt(head, Some(row), at))
    }

    /// The question to a model that was answered.
    fn answer(&self, head: &Head, ledger: &Ledger, answered: &Answered) -> Span {
        let row = ledger.get(&answered.n).map(|(r, _)| r);
        let number = row.map_or(0, |r| r.attempt);
        let mut span = self.attempt(head, row, (answered.n, number));
        span.start = head.at.saturating_sub(answered.took);
        let (read, written) = answered.tokens;
        span.attrs.extend([
            ("gen_ai.response.model", code(&answered.model).into()),
            ("gen_ai.usage.input_tokens", i64::from(read).into()),
            ("gen_ai.usage.output_tokens", i64::from(written).into()),
            ("throughline.repairs", i64::from(answered.repairs).into()),
        ]);
        if let Some(confidence) = answered.confidence {
            span.attrs.push((
                "throughline.confidence_thousandths",
                i64::from(confidence).into(),
            ));
        }
        span
    }
}

fn state_name(program: Option<&Program>, state: StateIx) -> &str {
    program.map_or("?", |p| p.state_name(state))
}

/// The kind of actor; who it was is in the audit.
fn actor(actor: &Actor) -> &'static str {
    match actor {
        Actor::Engine => "engine",
        Actor::Endpoint { .. } => "endpoint",
        Actor::ApiKey(_) => "api_key",
        Actor::Person(_) => "person",
        Actor::Model(_) => "model",
        Actor::Operator(_) => "operator",
    }
}

/// What a decided entry adds to the span of its turn.
fn event(entry: &Entry, program: Option<&Program>) -> Option<(&'static str, Attrs)> {
    let number = |n: u32| i64::from(n).into();
    Some(match entry {
        Entry::Moved {
            from, to, reason, ..
        } => (
            "moved",
            vec![
                ("from", state_name(program, *from).into()),
                ("to", state_name(program, *to).into()),
                ("reason", code(reason).into()),
            ],
        ),
        Entry::Decided(d) => (
            "decided",
            vec![
                ("branch", number(d.branch)),
                ("line", number(d.line)),
                (
                    "confidence_thousandths",
                    i64::from(d.confidence.unwrap_or(0)).into(),
                ),
                ("threshold_thousandths", i64::from(d.threshold).into()),
                ("policy_allows", d.policy_allows.into()),
                ("needs_human", d.needs_human.join(",").into()),
            ],
        ),
        Entry::Planned(p) => (
            "planned",
            vec![
                ("effect", number(p.n)),
                ("action", p.name.as_str().into()),
                ("class", p.class.word().into()),
                ("verdict", p.verdict.word().into()),
            ],
        ),
        Entry::Settled {
            n,
            state,
            attempts,
            code: why,
            evidence,
        } => (
            "settled",
            vec![
                ("effect", number(*n)),
                (
                    "outcome",
                    if is_dry_run(why) {
                        "dry_run"
                    } else {
                        state.word()
                    }
                    .into(),
                ),
                ("attempts", number(*attempts)),
                ("code", code(why).into()),
                ("evidence", code(evidence).into()),
            ],
        ),
        Entry::AskFailed { reason, .. } => ("model_failed", vec![("reason", code(reason).into())]),
        Entry::TaskOpened { kind, reason, .. } => (
            "task_opened",
            vec![("kind", code(kind).into()), ("reason", code(reason).into())],
        ),
        Entry::TaskClosed {
            decision, reason, ..
        } => (
            "task_closed",
            vec![
                ("decision", code(decision).into()),
                ("reason", code(reason).into()),
            ],
        ),
        Entry::Sla { state, met, .. } => (
            "sla",
            vec![
                ("state", state_name(program, *state).into()),
                ("met", (*met).into()),
            ],
        ),
        Entry::Goal { met, .. } => ("goal", vec![("met", (*met).into())]),
        Entry::Conflict { n, round, .. } => (
            "conflict",
            vec![("effect", number(*n)), ("round", number(*round))],
        ),
        _ => return None,
    })
}
