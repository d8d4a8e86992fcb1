//! What passes the proofs holds when it runs: thousands of random definitions, each driven through `decide` by
//! every small input it accepts, breadth-first. Nothing that passes can be made to send without its gate, its
//! approval or against its policy, nor to end silently.
//!
//! The verdict that is expected is worked out here from what the generator wrote, not by the kernel's policy.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::case::{Case, fold_one};
use tl_kernel::decide::{
    Admitted, Command, CommandKind, Facts, Input, ModelAnswer, ProposedField, Resolve, Settlement,
    TaskDecision, decide,
};
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::journal::{Actor, Answered, Entry, TimerKind, open};
use tl_kernel::policy::{Policy, When};
use tl_kernel::program::canonical::{AUTOMATED, CLOSED};
use tl_kernel::program::{ActionKind, OnMatch, Program};
use tl_kernel::turn::{Decision, EffectKind, EffectWrite, Turn};
use tl_kernel::value::{Source, Value};
use tl_lang::Severity;
use tl_lang::proof::{findings, shown, unborn};
use world::{INTENTS, Parts, Rng, Say};

const DEFINITIONS: usize = 10_000;
/// Definitions whose printed ways are gone.
const WAYS: usize = 300;
const SEED: u64 = 0x7468_726f_7567_6821;
/// One of so many sound definitions is driven by every input, breadth-first; the others by random histories.
const EVERY: usize = 32;
/// Inputs tried breadth-first; a definition that has more is cut off.
const MAX_INPUTS: usize = 2_000;
/// Random histories per definition, and their greatest length.
const WALKS: (usize, usize) = (4, 12);

/// Fewest definitions that must have been driven by everything there is.
const MIN_DRIVEN: usize = 1;

/// What a trial did.
struct Driven {
    inputs: usize,
    /// There was more.
    cut: bool,
}

/// How the current policy differs from the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Current {
    Same,
    AllApprove,
    AllNever,
}

struct Trial<'p> {
    program: &'p Program,
    says: [Say; 4],
    policies: [Policy; 3],
    flags: BTreeMap<String, bool>,
}

/// A case and how it came there.
#[derive(Clone)]
struct At {
    case: Case,
    parked: bool,
    way: Vec<String>,
}

#[test]
fn what_passes_the_proofs_holds_when_it_runs() {
    println!("seed {SEED:#x}, {DEFINITIONS} definitions");
    let (mut passed, mut inputs) = (0, 0);
    let (mut driven, mut cut, mut by_all) = (0usize, 0usize, 0usize);
    each_definition(DEFINITIONS, |i, program, says, rng| {
        if !is_proven(program) {
            return;
        }
        passed += 1;
        let trial = Trial::new(program, says);
        let outcome = if passed % EVERY == 0 {
            trial.every(rng)
        } else {
            let walked = trial.walks(rng);
            walked.map(|inputs| Driven { inputs, cut: true })
        };
        match outcome {
            Ok(d) => {
                inputs += d.inputs;
                if passed % EVERY == 0 {
                    *(if d.cut { &mut cut } else { &mut driven }) += 1;
                    by_all += d.inputs;
                }
            }
            Err(why) => panic!(
                "definition {i} (seed {SEED:#x}): {why}\n{says:?}\n{}",
                show(program)
            ),
        }
    });
    println!(
        "{passed} passed the proofs; {inputs} inputs decided, {by_all} of them breadth-first; {driven} definitions \
         driven to the end, {cut} cut off at {MAX_INPUTS} inputs"
    );
    assert!(
        driven >= MIN_DRIVEN,
        "only {driven} definitions were driven to the end"
    );
    assert!(
        passed > DEFINITIONS / 20,
        "the generator makes too few sound definitions: {passed}"
    );
    assert!(
        passed < DEFINITIONS * 9 / 10,
        "the generator makes too few unsound definitions: {passed}"
    );
}

/// The same trials find each fault that is planted: a policy that is not obeyed, a proof that is not heeded.
#[test]
fn planted_faults_are_found() {
    type Fault = (&'static str, fn(&mut Program), fn(&mut Trial<'_>));
    let faults: [Fault; 3] = [
        // `approve` is treated as `auto`.
        (
            "leaves although the policy says Approve",
            |p| {
                let lines = p.policy.lines.iter_mut();
                lines.for_each(|l| l.auto = When::Always);
            },
            |_| (),
        ),
        // A policy that was tightened does not reach open cases.
        (
            "leaves although the policy says Never",
            |_| (),
            |t| t.policies[Current::AllNever as usize] = t.program.policy.clone(),
        ),
        // No clock runs and nothing closes a case that is done; no proof looked.
        (
            "ends silently",
            |p| {
                p.edges.retain(|e| (e.from, e.to) != (AUTOMATED, CLOSED));
                p.edges.iter_mut().for_each(|e| e.emit.clear());
            },
            |_| (),
        ),
    ];
    for (what, plant, plant_trial) in faults {
        let mut found = 0;
        each_definition(200, |_, program, says, rng| {
            if is_proven(program) {
                let mut faulty = program.clone();
                plant(&mut faulty);
                let mut trial = Trial::new(&faulty, says);
                plant_trial(&mut trial);
                let outcome = trial.every(rng);
                found += usize::from(outcome.is_err_and(|why| why.contains(what)));
            }
        });
        assert!(found > 5, "the fault `{what}` was found {found} times");
    }
}

/// What the proofs refuse is not refused for nothing: every way that they print and do not call possible is gone
/// in the kernel and leads where it says.
#[test]
fn printed_ways_lead_where_they_say() {
    let (mut gone, mut possible) = (BTreeMap::new(), 0);
    each_definition(WAYS, |i, program, _, _| {
        for finding in shown(program) {
            let Some(path) = finding.path else { continue };
            if path.turns.is_empty() {
                possible += 1;
                continue;
            }
            let (mut case, mut entries) = (unborn(), Vec::new());
            for turn in &path.turns {
                let facts = turn.facts(&case);
                let input = turn.input.clone();
                let Decision::Turn(turn, after) = decide(program, &case, input, &facts) else {
                    panic!("definition {i}: a step is refused\n{path}");
                };
                case = *after;
                entries = open(&turn.sealed).expect("the head opens").0.entries;
            }
            assert!(
                world::shows(program, &path.claim, &case, &entries),
                "definition {i}: {}\n{path}",
                finding.message
            );
            *gone.entry(finding.code).or_insert(0) += 1;
        }
    });
    let all = gone.values().sum::<usize>() + possible;
    println!("of {all} printed ways {possible} are only possible; gone: {gone:?}");
    assert!(
        possible * 5 <= all * 2,
        "{possible} of {all} are only possible"
    );
}

fn each_definition(n: usize, mut run: impl FnMut(usize, &Program, [Say; 4], &mut Rng)) {
    let parts = Parts::new();
    let mut rng = Rng(SEED);
    for i in 0..n {
        let (program, says) = parts.program(&mut rng);
        run(i, &program, says, &mut rng);
    }
}

fn is_proven(program: &Program) -> bool {
    findings(program)
        .iter()
        .all(|f| f.severity != Severity::Error)
}

fn show(p: &Program) -> String {
    let mut out = String::new();
    for s in &p.states {
        out.push_str(&format!(
            "state {} terminal {} pause {} on_breach {:?}\n",
            s.name, s.terminal, s.pause, s.on_breach
        ));
    }
    for e in &p.edges {
        out.push_str(&format!("edge {} {} {:?}\n", e.from, e.to, e.emit));
    }
    for b in &p.decision.branches {
        let text = b
            .condition
            .as_ref()
            .map_or("default", |c| c.source.as_str());
        out.push_str(&format!("branch `{text}` {:?} to {:?}\n", b.actions, b.to));
    }
    for r in &p.rules {
        out.push_str(&format!("rule `{}` {:?}\n", r.when, r.effect));
    }
    out.push_str(&format!(
        "ai {}, ask_missing {:?}, {:?}",
        p.ai.is_some(),
        p.tasks.ask_missing,
        p.record.on_match
    ));
    out
}

impl<'p> Trial<'p> {
    fn new(program: &'p Program, says: [Say; 4]) -> Trial<'p> {
        let mut policies = [
            program.policy.clone(),
            program.policy.clone(),
            program.policy.clone(),
        ];
        policies[1]
            .lines
            .iter_mut()
            .for_each(|l| l.auto = When::Unstated);
        policies[2]
            .lines
            .iter_mut()
            .for_each(|l| l.never = When::Always);
        Trial {
            program,
            says,
            policies,
            flags: BTreeMap::new(),
        }
    }

    fn facts<'a>(
        &'a self,
        at: &At,
        policy: &'a Policy,
        threshold: f64,
        event: Option<&'a Value>,
    ) -> Facts<'a> {
        Facts {
            now: at.case.updated_at + 1,
            tenant: TenantId(1),
            tenant_key: b"key",
            definition: 1,
            policy_number: 1,
            policy,
            threshold,
            flags: &self.flags,
            switches: &[],
            event,
            sender: None,
        }
    }

    fn start(&self) -> At {
        At {
            case: Case::new(TenantId(1), CaseId([1; 16]), 1),
            parked: false,
            way: Vec::new(),
        }
    }

    /// Every history, breadth-first: how many inputs were decided and whether that was all, or what went wrong
    /// and how.
    fn every(&self, rng: &mut Rng) -> Result<Driven, String> {
        let mut seen = BTreeMap::from([(String::new(), 0)]);
        let mut queue = vec![self.start()];
        let mut leads: Vec<Vec<usize>> = Vec::new();
        let (mut at, mut inputs) = (0, 0);
        while at < queue.len() {
            let here = queue[at].clone();
            leads.push(Vec::new());
            for (input, event) in self.inputs(&here) {
                if inputs >= MAX_INPUTS {
                    return Ok(Driven { inputs, cut: true });
                }
                inputs += 1;
                let Some(next) = self.one(&here, input, event.as_ref(), current(rng))? else {
                    continue;
                };
                let to = *seen.entry(signature(&next)).or_insert(queue.len());
                if to == queue.len() {
                    queue.push(next);
                }
                leads[at].push(to);
            }
            at += 1;
        }
        match self.dead_end(&queue, &leads) {
            Some(at) => Err(format!(
                "no way leads on to an end, a task or a clock from {}\n{}",
                self.program.state_name(queue[at].case.state),
                queue[at].way.join("\n")
            )),
            None => Ok(Driven { inputs, cut: false }),
        }
    }

    /// A case from which nothing leads to a terminal state, an open task or a running clock.
    fn dead_end(&self, cases: &[At], leads: &[Vec<usize>]) -> Option<usize> {
        let is_good = |at: &At| {
            let ended = self.program.states[usize::from(at.case.state)].terminal;
            let clock = |(kind, _): &(TimerKind, i64)| *kind != TimerKind::Goal;
            ended
                || at.parked
                || at.case.open_tasks().next().is_some()
                || at.case.timers.values().any(clock)
        };
        let mut good: Vec<bool> = cases.iter().map(is_good).collect();
        loop {
            let more: Vec<usize> = (0..cases.len())
                .filter(|i| !good[*i] && leads[*i].iter().any(|to| good[*to]))
                .collect();
            if more.is_empty() {
                return good.iter().position(|g| !g);
            }
            more.iter().for_each(|i| good[*i] = true);
        }
    }

    /// Random histories.
    fn walks(&self, rng: &mut Rng) -> Result<usize, String> {
        let mut count = 0;
        for _ in 0..WALKS.0 {
            let mut at = self.start();
            for _ in 0..WALKS.1 {
                let mut inputs = self.inputs(&at);
                if inputs.is_empty() {
                    break;
                }
                let (input, event) = inputs.swap_remove(rng.below(inputs.len()));
                count += 1;
                if let Some(next) = self.one(&at, input, event.as_ref(), current(rng))? {
                    at = next;
                }
            }
        }
        Ok(count)
    }

    fn one(
        &self,
        here: &At,
        input: Input,
        event: Option<&Value>,
        current: Current,
    ) -> Result<Option<At>, String> {
        let facts = self.facts(here, &self.policies[current as usize], 0.8, event);
        let mut next = here.clone();
        next.way.push(format!("{} [{current:?}]", say(&input)));
        let Decision::Turn(turn, _) = decide(self.program, &here.case, input.clone(), &facts)
        else {
            return Ok(None);
        };
        let fail = |why: String| Err(format!("{why}\n{}", next.way.join("\n")));
        if let Err(e) = fold_one(&mut next.case, &turn.sealed) {
            return fail(format!("the turn does not fold: {e}"));
        }
        let (head, _) = open(&turn.sealed).map_err(|e| e.to_string())?;
        let moved = head
            .entries
            .iter()
            .any(|e| matches!(e, Entry::Moved { .. }));
        let by_command =
            matches!(&input, Input::Command(c) if matches!(c.what, CommandKind::Move(_)));
        next.parked = if moved { by_command } else { here.parked };
        for entry in &head.entries {
            if let Entry::Planned(p) = entry
                && self.says[usize::from(p.action)] == Say::Never
            {
                return fail(format!("`{}` is never and was planned", p.name));
            }
        }
        if let Err(why) = self.permitted(here, &next.case, &turn, (&input, current)) {
            return fail(why);
        }
        if self.is_silent(&next) {
            return fail(format!(
                "the case ends silently in {}",
                self.program.state_name(next.case.state)
            ));
        }
        Ok(Some(next))
    }

    /// Every change of the ledger that lets something leave is one that the policy or a person allowed.
    fn permitted(
        &self,
        before: &At,
        after: &Case,
        turn: &Turn,
        (input, current): (&Input, Current),
    ) -> Result<(), String> {
        let approval = match input {
            Input::TaskDecided(t) if t.decision == "approve" => {
                let effect = before.case.tasks.get(&t.n).and_then(|k| k.effect);
                effect.filter(|n| {
                    before
                        .case
                        .effects
                        .get(n)
                        .is_some_and(|e| t.digest == Some(e.digest))
                })
            }
            _ => None,
        };
        for write in &turn.effects {
            match write {
                EffectWrite::Plan(p) if p.kind == EffectKind::Effect => {
                    let ix = self.program.action_ix(&p.action).expect("a known action");
                    let verdict = self.verdict(usize::from(ix), after, current);
                    let leaves = matches!(p.state, EffectState::Ready | EffectState::Dispatching);
                    if leaves && verdict != Say::Auto {
                        return Err(format!(
                            "`{}` leaves although the policy says {verdict:?}",
                            p.action
                        ));
                    }
                    if verdict == Say::Never {
                        return Err(format!(
                            "`{}` is planned although the policy says never",
                            p.action
                        ));
                    }
                }
                EffectWrite::Change {
                    n,
                    from: EffectState::Planned,
                    to: EffectState::Ready,
                    ..
                } if approval != Some(*n) => {
                    return Err(format!(
                        "effect {n} is released without an approval of its digest"
                    ));
                }
                EffectWrite::Change {
                    n,
                    to: EffectState::Ready,
                    from,
                    ..
                } if *from != EffectState::Planned => {
                    let again = matches!(input, Input::Command(c) if matches!(&c.what, CommandKind::Resolve { n: m, how: Resolve::SendAgain } if m == n));
                    if !again {
                        return Err(format!("effect {n} is sent again and nobody asked for it"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the generated policy says: `Auto`, `Approve` or `Never`.
    fn verdict(&self, ix: usize, case: &Case, current: Current) -> Say {
        let is = |name: &str, value: Value| case.record.get(name).is_some_and(|f| f.value == value);
        let pinned = match self.says[ix] {
            Say::AutoIfVip if is("vip", Value::Bool(true)) => Say::Auto,
            Say::AutoIfVip => Say::Approve,
            Say::NeverIfC if is("intent", Value::text("c")) => Say::Never,
            Say::NeverIfC => Say::Auto,
            plain => plain,
        };
        let checked = match &self.program.actions[ix].kind {
            ActionKind::Message(m) if !m.to.reads().is_empty() => {
                let sender = case.record.get("email").map(|f| &f.source);
                let ours = matches!(sender, Some(Source::Person));
                ours || (m.check.is_some() && matches!(sender, Some(Source::Event { .. })))
            }
            _ => true,
        };
        match (pinned, current) {
            (Say::Never, _) | (_, Current::AllNever) => Say::Never,
            (Say::Auto, Current::Same) if checked => Say::Auto,
            _ => Say::Approve,
        }
    }

    /// Nothing is left that would take the case on. Where a person moved it by command, that person knows.
    fn is_silent(&self, at: &At) -> bool {
        let c = &at.case;
        let ended = self.program.states[usize::from(c.state)].terminal;
        let asked = c.asks.values().any(|(_, open)| *open);
        let left = c.open_tasks().next().is_some() || c.open_effects().next().is_some();
        // The goal's clock is no way out: a workflow need not have a goal.
        let mut timers = c.timers.values();
        let clock = timers.any(|(kind, _)| *kind != TimerKind::Goal);
        !ended && !at.parked && !asked && !left && !clock
    }

    fn inputs(&self, at: &At) -> Vec<(Input, Option<Value>)> {
        let c = &at.case;
        if c.seq == 0 {
            return messages()
                .into_iter()
                .map(|e| (admitted(1), Some(e)))
                .collect();
        }
        let mut out: Vec<Input> = Vec::new();
        for n in c
            .asks
            .iter()
            .filter(|(_, (_, open))| *open)
            .map(|(n, _)| *n)
        {
            out.extend(answers(n));
        }
        for (n, t) in c.open_tasks() {
            let digest = t.effect.and_then(|e| c.effects.get(&e)).map(|e| e.digest);
            out.extend(["approve", "reject", "accept", "close"].map(|d| decided(n, d, digest)));
            out.push(decided(n, "approve", Some([0; 32])));
        }
        for (n, e) in c.effects.iter() {
            if e.state == EffectState::Ready {
                out.extend(settlements(*n));
            }
            if matches!(e.state, EffectState::Uncertain | EffectState::Failed) {
                out.push(command(CommandKind::Resolve {
                    n: *n,
                    how: Resolve::SendAgain,
                }));
                out.push(command(CommandKind::Resolve {
                    n: *n,
                    how: Resolve::Drop,
                }));
                out.push(command(CommandKind::Resolve {
                    n: *n,
                    how: Resolve::Happened(None),
                }));
            }
        }
        out.extend(c.timers.keys().map(|n| Input::TimerFired { n: *n }));
        let edges = self.program.edges.iter().filter(|e| e.from == c.state);
        out.extend(edges.map(|e| command(CommandKind::Move(self.program.state_name(e.to).into()))));
        out.push(command(CommandKind::Reopen));
        let mut out: Vec<_> = out.into_iter().map(|i| (i, None)).collect();
        if self.program.record.on_match != OnMatch::Open && c.events.len() < 3 {
            let reply = admitted(c.events.len() as u8 + 1);
            out.push((reply, messages().pop()));
        }
        out
    }
}

/// Two histories that lead to the same of these go on in the same way, as far as this test can tell.
fn signature(at: &At) -> String {
    let c = &at.case;
    let tasks: BTreeSet<_> = c
        .open_tasks()
        .map(|(_, t)| (&t.kind, t.reason == "sla_breach"))
        .collect();
    let effects: Vec<_> = c
        .effects
        .values()
        .map(|e| (e.action, e.state, e.approved))
        .collect();
    let timers: Vec<_> = c.timers.values().map(|(k, _)| k).collect();
    let record: Vec<_> = ["email", "vip", "budget", "intent"]
        .iter()
        .map(|f| c.record.get(*f).map(|v| &v.value))
        .collect();
    let (state, ai, vouched, parked) = (c.state, &c.ai, c.vouched, at.parked);
    format!("{state} {ai:?} {vouched} {tasks:?} {effects:?} {timers:?} {parked} {record:?}")
}

fn current(rng: &mut Rng) -> Current {
    *rng.pick(&[
        Current::Same,
        Current::Same,
        Current::Same,
        Current::AllApprove,
        Current::AllNever,
    ])
}

/// Messages with every combination of what conditions ask about.
fn messages() -> Vec<Value> {
    let mut out = Vec::new();
    for email in [false, true] {
        for vip in [None, Some(false), Some(true)] {
            for budget in [None, Some(100), Some(101)] {
                let mut m = BTreeMap::from([("note".to_owned(), Value::text("now"))]);
                if email {
                    m.insert("email".into(), Value::text("ada@example.com"));
                }
                if let Some(v) = vip {
                    m.insert("vip".into(), Value::Bool(v));
                }
                if let Some(b) = budget {
                    m.insert("budget".into(), Value::Int(b));
                }
                out.push(Value::Record(m));
            }
        }
    }
    out
}

fn admitted(n: u8) -> Input {
    Input::EventAdmitted(Admitted {
        id: EventId([n; 16]),
        endpoint: "in".into(),
        kid: "k".into(),
        key_source: "header".into(),
        origin: [n; 32],
        seed: [5; 16],
        matched_key: None,
    })
}

fn answers(n: u32) -> Vec<Input> {
    let mut out: Vec<Input> = ["off", "failed"]
        .map(|r| Input::ModelFailed {
            n,
            reason: r.into(),
        })
        .into();
    for confidence in [None, Some(500), Some(799), Some(800), Some(1000)] {
        for intent in INTENTS {
            out.push(Input::ModelAnswered(ModelAnswer {
                answered: Answered {
                    n,
                    model: "local".into(),
                    prompt: [1; 32],
                    input: [2; 32],
                    output: [3; 32],
                    confidence,
                    tokens: (0, 0),
                    took: 1,
                    repairs: 0,
                },
                fields: vec![ProposedField {
                    name: "intent".into(),
                    value: Value::text(intent),
                    confidence,
                    span: None,
                }],
                proposal: Value::Null,
                draft: None,
            }));
        }
    }
    out
}

fn decided(n: u32, decision: &str, digest: Option<[u8; 32]>) -> Input {
    Input::TaskDecided(TaskDecision {
        n,
        by: Actor::Person("ada".into()),
        decision: decision.into(),
        reason: "checked".into(),
        note: None,
        edits: Vec::new(),
        digest,
    })
}

fn settlements(n: u32) -> Vec<Input> {
    use EffectState::{Cancelled, Expired, Failed, Succeeded, Superseded, Uncertain};
    [
        (Succeeded, ""),
        (Failed, "refused"),
        (Uncertain, "timeout"),
        (Superseded, ""),
        (Cancelled, "limit"),
        (Expired, "expired"),
    ]
    .map(|(state, code)| {
        Input::EffectSettled(Settlement {
            n,
            state,
            attempts: 1,
            code: code.into(),
            evidence: "answer".into(),
            vendor_ref: None,
            seen: (state == Superseded).then(|| ("v2".into(), None)),
        })
    })
    .into()
}

fn command(what: CommandKind) -> Input {
    Input::Command(Command {
        by: Actor::Person("ada".into()),
        reason: "asked".into(),
        what,
    })
}

fn say(input: &Input) -> String {
    match input {
        Input::EventAdmitted(_) => "message".into(),
        Input::ModelAnswered(a) => {
            format!("answer {:?} {}", a.answered.confidence, a.fields[0].value)
        }
        Input::ModelFailed { reason, .. } => format!("no answer: {reason}"),
        Input::TaskDecided(t) => format!("task {} {}", t.n, t.decision),
        Input::EffectSettled(s) => format!("effect {} {}", s.n, s.state.word()),
        Input::TimerFired { n } => format!("timer {n}"),
        Input::Command(c) => format!("{:?}", c.what),
    }
}
