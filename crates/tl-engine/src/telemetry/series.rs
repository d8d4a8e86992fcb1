//! The engine's series: counters and histograms by workflow, and what moves them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tl_connect::guard::Why;
use tl_kernel::case::Case;
use tl_kernel::effect::EffectState;
use tl_kernel::gate::{BUILT_IN, GateVerdict, is_dry_run};
use tl_kernel::id::TenantId;
use tl_kernel::journal::{Entry, Planned};
use tl_kernel::program::Program;
use tl_kernel::turn::{EffectKind, EffectWrite, Turn};
use tl_store::contract::{EffectRow, Line};

use super::{Observed, Step, log};
use crate::desk::is_born;

/// Upper bounds of the buckets for our own steps, seconds.
const STEP_BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Upper bounds of the buckets for what others take to answer, seconds.
const CALL_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];
/// Upper bounds of the buckets for waiting, seconds.
const WAIT_BUCKETS: [f64; 9] = [0.01, 0.1, 1.0, 5.0, 30.0, 300.0, 1_800.0, 7_200.0, 86_400.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepOutcome {
    workflow: String,
    queue: String,
    step: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStep {
    workflow: String,
    queue: String,
    step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptOutcome {
    workflow: String,
    action: String,
    connection: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAction {
    workflow: String,
    action: String,
    connection: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByQueue {
    workflow: String,
    queue: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SettledAs {
    workflow: String,
    action: String,
    class: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelOutcome {
    workflow: String,
    model: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByModel {
    workflow: String,
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tokens {
    workflow: String,
    model: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GateAnswer {
    workflow: String,
    action: String,
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stay {
    workflow: String,
    state: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpanOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionWhy {
    tenant: u32,
    connection: String,
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScheduleOutcome {
    workflow: String,
    schedule: String,
    outcome: &'static str,
}

/// How a tenant's connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionNow {
    /// Why nothing goes, or only an attempt now and then.
    pub(crate) stopped: Option<Why>,
    /// The load comes back after it was stopped.
    pub(crate) ramps: bool,
    /// Effects that wait, by reason.
    pub(crate) waiting: [i64; Why::ALL.len()],
}

/// Stands for the whole path of `workflow.goal` where the SLA of a state is counted; no state is called so.
const GOAL: &str = "(goal)";

type Timings<L> = Family<L, Histogram, fn() -> Histogram>;

/// The engine's series. Clones share their counts.
#[derive(Debug, Clone)]
pub struct Telemetry {
    steps: Family<StepOutcome, Counter>,
    step_time: Timings<ByStep>,
    attempts: Family<AttemptOutcome, Counter>,
    attempt_time: Timings<ByAction>,
    wait: Timings<ByQueue>,
    settled: Family<SettledAs, Counter>,
    model_calls: Family<ModelOutcome, Counter>,
    model_time: Timings<ByModel>,
    model_tokens: Family<Tokens, Counter>,
    gate_answers: Family<GateAnswer, Counter>,
    stays: Family<Stay, Counter>,
    instants: Family<ScheduleOutcome, Counter>,
    stopped: Family<ConnectionWhy, Gauge>,
    held: Family<ConnectionWhy, Gauge>,
    spans: Family<SpanOutcome, Counter>,
    export_failures: Counter,
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry {
            steps: Family::default(),
            step_time: Family::new_with_constructor(|| Histogram::new(STEP_BUCKETS)),
            attempts: Family::default(),
            attempt_time: Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS)),
            wait: Family::new_with_constructor(|| Histogram::new(WAIT_BUCKETS)),
            settled: Family::default(),
            model_calls: Family::default(),
            model_time: Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS)),
            model_tokens: Family::default(),
            gate_answers: Family::default(),
            stays: Family::default(),
            instants: Family::default(),
            stopped: Family::default(),
            held: Family::default(),
            spans: Family::default(),
            export_failures: Counter::default(),
        }
    }
}

impl Telemetry {
    /// Registers every series of the engine.
    pub fn register(&self, r: &mut Registry) {
        r.register(
            "steps",
            "Steps of cases by what began them, and outcome",
            self.steps.clone(),
        );
        r.register(
            "step_duration_seconds",
            "Time from an input to its durable turn",
            self.step_time.clone(),
        );
        r.register(
            "effect_attempts",
            "Attempts of effects by outcome",
            self.attempts.clone(),
        );
        r.register(
            "effect_attempt_duration_seconds",
            "Time that an attempt took",
            self.attempt_time.clone(),
        );
        r.register(
            "queue_wait_seconds",
            "Time from when an effect or a question to a model could go to its attempt",
            self.wait.clone(),
        );
        r.register(
            "effects_settled",
            "Effects that came to an end or need a person, by class and outcome",
            self.settled.clone(),
        );
        r.register(
            "model_calls",
            "Questions to models by outcome",
            self.model_calls.clone(),
        );
        r.register(
            "model_call_duration_seconds",
            "Time that a model took",
            self.model_time.clone(),
        );
        r.register(
            "model_tokens",
            "Tokens by direction",
            self.model_tokens.clone(),
        );
        r.register(
            "gate_answers",
            "Answers of the gate by verdict",
            self.gate_answers.clone(),
        );
        r.register(
            "sla_stays",
            "SLAs of stays in a state and of goals, met or breached",
            self.stays.clone(),
        );
        r.register(
            "schedule_instants",
            "Instants of timetables, by what became of them",
            self.instants.clone(),
        );
        r.register(
            "connection_stopped",
            "Whether a connection is stopped, and why",
            self.stopped.clone(),
        );
        r.register(
            "connection_waiting",
            "Effects and questions to models that wait before a connection, and why",
            self.held.clone(),
        );
        r.register(
            "trace_spans",
            "Spans by what became of them",
            self.spans.clone(),
        );
        r.register(
            "trace_export_failures",
            "Batches of spans that have to be sent again",
            self.export_failures.clone(),
        );
    }

    /// A turn is durable: counts it and what it decided, and writes its log line.
    pub(crate) fn turned(&self, step: &Step, turn: &Turn, after: (&Case, &Program)) {
        let (case, program) = after;
        log::turn(step.kind, turn, after);
        if !program.observability.metrics {
            return;
        }
        self.stepped(step, program, "done");
        for write in turn.effects.iter().filter(|w| is_born(w)) {
            if let EffectWrite::Plan(p) = write {
                self.gate_answered(program, &p.action, "send");
            }
        }
        for entry in turn.entries.iter() {
            match entry {
                Entry::Settled { n, state, code, .. } if *state != EffectState::Ready => {
                    let Some(effect) = case.effects.get(n) else {
                        continue;
                    };
                    let labels = SettledAs {
                        workflow: program.id.clone(),
                        action: effect.name.clone(),
                        class: effect.class.word(),
                        // Settled as if it had happened, and nothing was sent.
                        outcome: if is_dry_run(code) {
                            "dry_run"
                        } else {
                            state.word()
                        },
                    };
                    self.settled.get_or_create(&labels).inc();
                }
                Entry::Sla { state, met, .. } => {
                    self.stayed(program, program.state_name(*state), *met);
                }
                Entry::Goal { met, .. } => self.stayed(program, GOAL, *met),
                Entry::Planned(Planned {
                    name,
                    state,
                    replaces,
                    ..
                }) => match state {
                    EffectState::Planned => self.gate_answered(program, name, "needs_approval"),
                    EffectState::Cancelled if replaces.is_none() => {
                        self.gate_answered(program, name, "refuse");
                    }
                    // The worker asks the gate before it sends.
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// An SLA was met or missed.
    fn stayed(&self, program: &Program, state: &str, met: bool) {
        let labels = Stay {
            workflow: program.id.clone(),
            state: state.to_owned(),
            outcome: if met { "met" } else { "breached" },
        };
        self.stays.get_or_create(&labels).inc();
    }

    /// This node has dealt with an instant of a timetable.
    pub(crate) fn brought(&self, program: &Program, schedule: &str, outcome: &'static str) {
        if program.observability.metrics {
            let labels = ScheduleOutcome {
                workflow: program.id.clone(),
                schedule: schedule.to_owned(),
                outcome,
            };
            self.instants.get_or_create(&labels).inc();
        }
    }

    /// An input was refused.
    pub(crate) fn refused(&self, step: &Step, program: &Program) {
        if program.observability.metrics {
            self.stepped(step, program, "refused");
        }
    }

    fn stepped(&self, step: &Step, program: &Program, outcome: &'static str) {
        let labels = StepOutcome {
            workflow: program.id.clone(),
            queue: program.queue.name.clone(),
            step: step.kind,
            outcome,
        };
        self.steps.get_or_create(&labels).inc();
        let labels = ByStep {
            workflow: labels.workflow,
            queue: labels.queue,
            step: step.kind,
        };
        self.step_time
            .get_or_create(&labels)
            .observe(step.begun.elapsed().as_secs_f64());
    }

    fn gate_answered(&self, program: &Program, action: &str, verdict: &'static str) {
        let labels = GateAnswer {
            workflow: program.id.clone(),
            action: action.to_owned(),
            verdict,
        };
        self.gate_answers.get_or_create(&labels).inc();
    }

    /// Counts and logs what was observed of a ledger row. `now` is engine time, µs.
    pub(super) fn observed(
        &self,
        row: &EffectRow,
        program: &Program,
        what: &Observed<'_>,
        now: i64,
    ) {
        if let Observed::Ended(outcome, code, took) = what {
            log::attempt(row, &program.queue.name, (outcome, code, *took));
        }
        if !program.observability.metrics {
            return;
        }
        match what {
            Observed::Gate(answer) => {
                let verdict = match answer {
                    GateVerdict::Send => "send",
                    GateVerdict::Hold { .. } => "hold",
                    GateVerdict::NeedsApproval => "needs_approval",
                    GateVerdict::DryRun { .. } => "dry_run",
                    GateVerdict::Refuse { .. } => "refuse",
                };
                self.gate_answered(program, &row.action, verdict);
            }
            Observed::Begun => {
                let labels = ByQueue {
                    workflow: program.id.clone(),
                    queue: program.queue.name.clone(),
                };
                let waited = now.saturating_sub(row.due).max(0);
                self.wait
                    .get_or_create(&labels)
                    .observe(waited as f64 / 1e6);
            }
            Observed::Ended(outcome, _, took) if row.kind == EffectKind::Ask => {
                let (workflow, model) = (program.id.clone(), row.action.clone());
                let labels = ModelOutcome {
                    workflow,
                    model,
                    outcome: (*outcome).to_owned(),
                };
                self.model_calls.get_or_create(&labels).inc();
                let labels = ByModel {
                    workflow: labels.workflow,
                    model: labels.model,
                };
                self.model_time
                    .get_or_create(&labels)
                    .observe(took.as_secs_f64());
            }
            Observed::Ended(outcome, _, took) => {
                let connection = if row.connection.is_empty() {
                    BUILT_IN
                } else {
                    &row.connection
                };
                let labels = AttemptOutcome {
                    workflow: program.id.clone(),
                    action: row.action.clone(),
                    connection: connection.to_owned(),
                    outcome: (*outcome).to_owned(),
                };
                self.attempts.get_or_create(&labels).inc();
                let AttemptOutcome {
                    workflow,
                    action,
                    connection,
                    ..
                } = labels;
                let labels = ByAction {
                    workflow,
                    action,
                    connection,
                };
                self.attempt_time
                    .get_or_create(&labels)
                    .observe(took.as_secs_f64());
            }
            Observed::Tokens(read, written) => {
                for (direction, count) in [("in", *read), ("out", *written)] {
                    let labels = Tokens {
                        workflow: program.id.clone(),
                        model: row.action.clone(),
                        direction,
                    };
                    self.model_tokens
                        .get_or_create(&labels)
                        .inc_by(u64::from(count));
                }
            }
        }
    }

    /// Shows how a connection is.
    pub(crate) fn connection(&self, tenant: TenantId, connection: &str, now: &ConnectionNow) {
        let labels = |why| ConnectionWhy {
            tenant: tenant.0,
            connection: connection.to_owned(),
            why,
        };
        for (why, waiting) in Why::ALL.into_iter().zip(now.waiting) {
            self.held.get_or_create(&labels(why.word())).set(waiting);
            // An exhausted budget holds retries up, and nothing else.
            if why != Why::RetryBudget {
                let stopped = i64::from(now.stopped == Some(why));
                self.stopped.get_or_create(&labels(why.word())).set(stopped);
            }
        }
        let ramps = i64::from(now.ramps);
        self.stopped.get_or_create(&labels("ramp")).set(ramps);
    }

    /// So many effects of a line wait for a slot.
    pub(crate) fn waits_for_a_slot(&self, (tenant, connection): &Line, count: usize) {
        let connection = match connection.as_str() {
            "" => BUILT_IN,
            named => named,
        };
        let labels = ConnectionWhy {
            tenant: tenant.0,
            connection: connection.to_owned(),
            why: "slot",
        };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.held.get_or_create(&labels).set(count);
    }

    /// Spans were taken by the receiver, or will never be.
    pub(super) fn exported(&self, outcome: &'static str, count: u64) {
        self.spans
            .get_or_create(&SpanOutcome { outcome })
            .inc_by(count);
    }

    /// A batch has to be sent again.
    pub(super) fn export_failed(&self) {
        self.export_failures.inc();
    }
}
