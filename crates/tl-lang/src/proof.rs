//! The proofs: what a workflow can never do, shown before it runs.
//!
//! 1. every state is reachable and has an exit, an owner and an SLA, every SLA a breach edge, and no case
//!    ends silently;
//! 2. an action whose policy is `never` is not reachable (that one which needs an approval waits for it, bound
//!    to its arguments, is the kernel's doing and is tested against it);
//! 3. the decision ends in a default, no branch is dead, every value of an AI enum has a branch;
//! 4. nothing from outside becomes a control argument without a declared check;
//! 5. nothing that may not be repeated is; every action exists and its arguments are typed;
//! 6. the AI step runs only where it may, and without it every case still reaches a person or an end.
//!
//! Proofs about ways through the workflow explore a finite model of it breadth-first, so what is printed is
//! the shortest way. The model forgets values between turns and takes what it does not know for possible:
//! what it shows to be impossible is impossible; what it shows to be possible is possible unless a condition
//! that it does not understand (named beside the step) stands against it.

mod ai;
mod choice;
mod choose;
mod fix;
mod formula;
mod guide;
#[cfg(test)]
mod mirror;
mod model;
mod permission;
mod react;
mod repeat;
mod replay;
mod results;
mod search;
mod space;
mod spot;
mod states;
mod tell;
mod trust;
mod verdict;
mod walk;
mod ways;
mod words;

use tl_kernel::program::{Action, ActionIx, Program, StateIx};
use tl_kernel::value::Value;

use crate::diag::{Diag, Edit, Mend, Problem, Severity, Span, sort};
use fix::{Fix, Place};
use search::Witness;
use space::{Name, OTHER};

pub use ways::{Claim, Happening, unborn};

/// The files that a program's line numbers point into.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Path of the workflow file within the project.
    pub workflow: &'a str,
    /// Its text.
    pub workflow_text: &'a str,
    /// Path of the file that holds the policy: `policy.yaml`, or the workflow file itself.
    pub policy: &'a str,
    /// Its text.
    pub policy_text: &'a str,
}

/// The file that a line number points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// The workflow file.
    Workflow,
    /// The file with the policy.
    Policy,
}

/// What a proof found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// `TL05nn`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The file it is about.
    pub file: File,
    /// Line in that file, from 1; 0 where nobody wrote what it is about.
    pub line: u32,
    /// What is wrong.
    pub message: String,
    /// Why.
    pub why: String,
    /// What to do, in words.
    pub mend: String,
    /// How it comes about.
    pub path: Option<CounterExample>,
    /// Key of the file to point at where no line is known.
    key: &'static str,
    /// The action it is about, where the way to its plan shows it.
    action: Option<ActionIx>,
    /// A place in another file.
    place: Option<Place>,
    /// The edit that mends it.
    fix: Option<Fix>,
}

impl Finding {
    fn new(code: &'static str, line: u32, message: String) -> Finding {
        Finding {
            code,
            severity: Severity::Error,
            file: File::Workflow,
            line,
            message,
            why: String::new(),
            mend: String::new(),
            path: None,
            key: "",
            action: None,
            place: None,
            fix: None,
        }
    }

    /// It is about an action of the program.
    fn about(mut self, program: &Program, action: &Action) -> Finding {
        self.action = program.action_ix(&action.name);
        self
    }

    fn place(mut self, place: Place) -> Finding {
        self.place = Some(place);
        self
    }

    fn fix(mut self, fix: Fix) -> Finding {
        self.fix = Some(fix);
        self
    }

    fn key(mut self, key: &'static str) -> Finding {
        self.key = key;
        self
    }

    fn warning(mut self) -> Finding {
        self.severity = Severity::Warning;
        self
    }

    fn in_policy(mut self) -> Finding {
        self.file = File::Policy;
        self
    }

    fn why(mut self, why: impl Into<String>) -> Finding {
        self.why = why.into();
        self
    }

    fn mend(mut self, mend: impl Into<String>) -> Finding {
        self.mend = mend.into();
        self
    }

    fn path(mut self, path: CounterExample) -> Finding {
        self.path = Some(path);
        self
    }

    /// Where in the file what it is about begins.
    fn start(&self, text: &str) -> usize {
        match self.line {
            0 => fix::value_of(text, 0, self.key).map_or(0, |s| s.start),
            line => fix::start_of(text, line),
        }
    }

    /// What is underlined: a line, or without one the value that is to be another.
    fn span(&self, text: &str) -> Span {
        let value = match (self.line, &self.fix) {
            (0, Some(Fix::Value(key, _))) => fix::value_of(text, self.start(text), key),
            _ => None,
        };
        value.unwrap_or_else(|| line_span(text, self.line, self.key))
    }

    /// The finding with its place in the files.
    fn diag(&self, sources: &Sources<'_>) -> Diag {
        let (file, text) = match self.file {
            File::Workflow => (sources.workflow, sources.workflow_text),
            File::Policy => (sources.policy, sources.policy_text),
        };
        let (file, text, span) = match &self.place {
            Some(p) => (p.file.as_str(), p.text.as_str(), p.span),
            None => (file, text, self.span(text)),
        };
        let mut why = self.why.clone();
        if let Some(path) = &self.path {
            if !why.is_empty() {
                why.push('\n');
            }
            why.push_str(&path.to_string());
        }
        let mut problem = Problem::new(self.code, span, self.message.clone()).why(why);
        if self.severity == Severity::Warning {
            problem = problem.warning();
        }
        if !self.mend.is_empty() {
            let whole = file == sources.policy && sources.policy != sources.workflow;
            let edits = self.fix.as_ref().map(|f| match f {
                Fix::Slot => vec![Edit {
                    start: span.start,
                    end: span.end,
                    text: String::new(),
                }],
                fix => fix.edits(text, self.start(text), whole),
            });
            problem = problem.mend(Mend {
                edits: edits.unwrap_or_default(),
                say: self.mend.clone(),
            });
        }
        problem.in_file(file, text)
    }
}

/// The text of a line without the blanks around it. For what stands in no line: the line that begins with a
/// key, else what is written under the key somewhere in a line, else the first line.
fn line_span(text: &str, line: u32, key: &str) -> Span {
    let begins = |l: &str| {
        !key.is_empty()
            && l.trim_start()
                .strip_prefix(key)
                .is_some_and(|r| r.starts_with(':'))
    };
    let (mut start, mut first, mut named) = (0, None, None);
    for (i, l) in text.split_inclusive('\n').enumerate() {
        let left = start + l.len() - l.trim_start().len();
        let end = start + l.trim_end().len();
        let span = Span::new(left.min(end), end);
        if i + 1 == line as usize {
            return span;
        }
        first = first.or(Some(span));
        named = named.or(begins(l).then_some(span));
        start += l.len();
    }
    let within = || match key {
        "" => None,
        key => fix::value_of(text, 0, key),
    };
    named.or_else(within).or(first).unwrap_or_default()
}

/// A way through the workflow that shows what a proof found.
#[derive(Debug, Clone)]
pub struct CounterExample {
    /// The way as people read it, one step per turn.
    pub steps: Vec<String>,
    /// What the end of the way shows.
    pub claim: Claim,
    /// The same as it was gone in the kernel. Empty: the way is possible, and no values were found for it.
    pub turns: Vec<Happening>,
    /// Where the way leads around for ever: after so many turns it does.
    pub again: Option<usize>,
    /// What the model's way rests on.
    inputs: Vec<Given>,
}

impl CounterExample {
    fn new(claim: Claim) -> CounterExample {
        CounterExample {
            steps: Vec::new(),
            claim,
            turns: Vec::new(),
            again: None,
            inputs: Vec::new(),
        }
    }

    /// One more step, with the values that the model found for it and the file's threshold.
    fn push(&mut self, (head, tail): (&str, &str), witness: Witness, threshold: f64) {
        self.steps
            .push(format!("{head}{}{tail}", say_witness(&witness, threshold)));
        let depends = witness.iter().any(|(n, _)| matches!(n, Name::Free(_)));
        self.inputs.push(Given { witness, depends });
    }
}

impl std::fmt::Display for CounterExample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unless = self.inputs.iter().any(|g| g.depends);
        f.write_str(match (self.turns.is_empty(), unless) {
            (false, _) => "this can happen:",
            (true, true) => "this is possible, unless what a step names stands against it:",
            (true, false) => "this is possible, unless no values lead there together:",
        })?;
        for (i, step) in self.steps.iter().enumerate() {
            write!(f, "\n  {}. {step}", i + 1)?;
        }
        if let Some(again) = self.again {
            write!(f, "\n  and so on, from step {} again and again", again + 1)?;
        }
        Ok(())
    }
}

/// One step of a way in the model, and the values under which its decision goes that way.
#[derive(Debug, Clone)]
struct Given {
    witness: Witness,
    /// It rests on a part of a condition that the model does not understand.
    depends: bool,
}

/// Something that happens to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cue {
    /// A message opens the case or joins it.
    Message,
    /// The model answers.
    Answered,
    /// The model gives no usable answer.
    NoAnswer,
    /// A person decides a task.
    Decided {
        /// Which of the model's kinds of tasks.
        bit: u8,
        /// Kind of the task.
        kind: &'static str,
        /// What is decided.
        decision: &'static str,
    },
    /// An effect succeeds.
    Succeeded,
    /// An effect fails for good.
    Trouble,
    /// Nobody knows whether an effect happened.
    Uncertain,
    /// Somebody else changed the target first.
    Conflict,
    /// The SLA of the stay is missed.
    Breach,
    /// Nobody has answered the question for missing fields.
    Unanswered,
    /// A person moves the case.
    Move(StateIx),
    /// A person opens the case again.
    Reopen,
    /// A person sends an effect again.
    SendAgain,
    /// A person says whether an effect happened.
    Resolved,
}

impl Cue {
    /// In words.
    fn say(self, program: &Program) -> String {
        match self {
            Cue::Message => "a message arrives".into(),
            Cue::Answered => "the model answers".into(),
            Cue::NoAnswer => "the model gives no answer".into(),
            Cue::Decided { kind, decision, .. } => {
                format!("a person decides a task `{kind}` with `{decision}`")
            }
            Cue::Succeeded => "an effect succeeds".into(),
            Cue::Trouble => "an effect fails".into(),
            Cue::Uncertain => "nobody knows whether an effect happened".into(),
            Cue::Conflict => "somebody else changed the record first".into(),
            Cue::Breach => "the SLA is missed".into(),
            Cue::Unanswered => "nobody answers the question for what is missing".into(),
            Cue::Move(to) => format!("a person moves the case to `{}`", program.state_name(to)),
            Cue::Reopen => "a person opens the case again".into(),
            Cue::SendAgain => "a person sends an effect again".into(),
            Cue::Resolved => "a person says what became of an effect".into(),
        }
    }
}

/// A value in words.
fn say_value(value: &Value) -> String {
    match value {
        Value::Text(t) => format!("'{t}'"),
        Value::List(_) => format!("[{value}]"),
        v => v.to_string(),
    }
}

/// The values that a step rests on, and what may stand against it.
fn say_witness(witness: &Witness, threshold: f64) -> String {
    let mut with = Vec::new();
    let mut unless = Vec::new();
    for (name, value) in witness {
        let truth = *value == Some(Value::Bool(true));
        match name {
            Name::Path(names) => {
                let name = names.join(".");
                with.push(match value {
                    Some(v @ Value::Float(x)) if name == "threshold" && *x != threshold => {
                        format!("threshold = {v} (the file says {threshold})")
                    }
                    Some(Value::Text(t)) if t == OTHER => format!("{name} given"),
                    Some(v) => format!("{name} = {}", say_value(v)),
                    None => format!("{name} absent"),
                });
            }
            Name::Free(text) => unless.push(format!("`{text}` can never be {truth} then")),
            Name::Allowed(_) => with.push(format!("policy_allows = {truth}")),
            Name::RuleAsked => with.push(if truth {
                "a rule asks for a person".into()
            } else {
                "no rule asks for a person".into()
            }),
        }
    }
    let mut out = String::new();
    if !with.is_empty() {
        out.push_str(&format!(", with {}", with.join(", ")));
    }
    if !unless.is_empty() {
        out.push_str(&format!(" (possible, unless {})", unless.join(" or ")));
    }
    out
}

/// Proves what can be proven of a program; what cannot comes back with its place, its reason and a way that
/// shows it.
pub fn prove(program: &Program, sources: &Sources<'_>) -> Vec<Diag> {
    let all = shown(program);
    let mut out: Vec<Diag> = all.iter().map(|f| f.diag(sources)).collect();
    sort(&mut out);
    out
}

/// The same without the files: every finding, its way gone in the kernel where it can be gone.
pub fn shown(program: &Program) -> Vec<Finding> {
    found(program, true)
}

/// Every finding, with the ways as the model finds them.
pub fn findings(program: &Program) -> Vec<Finding> {
    found(program, false)
}

fn found(program: &Program, gone: bool) -> Vec<Finding> {
    let mut out = Vec::new();
    repeat::exists(program, &mut out);
    repeat::closes(program, &mut out);
    if !out.is_empty() {
        // What follows looks actions and states up; nothing sensible can be said without them.
        return out;
    }
    let words = words::Words::new(program);
    let (model, walk) = states::explored(program, &words);
    states::prove(program, &mut out);
    // One way to get lost is enough; where AI plays no part in it, the general proof says so.
    if !states::ends(&words, &model, &walk, &mut out) && !ai::lost(program, &words, gone, &mut out)
    {
        states::circles(&words, &model, &walk, &mut out);
    }
    states::handed_off(program, &mut out);
    permission::prove(&words, &model, &walk, &mut out);
    choice::prove(program, &words, &mut out);
    let first = out.len();
    trust::prove(program, &mut out);
    repeat::prove(program, &mut out);
    for finding in &mut out[first..] {
        // Proofs 4 and 5 are about actions: the way is the one on which the action is planned first.
        let planned = |ix| Some((ix, model.planned.get(&ix)?.first()?));
        if let Some((ix, here)) = finding.action.and_then(planned) {
            let path = walk.path_to(&words, &model, *here, Claim::Plans(ix, false));
            finding.path = Some(path);
        }
    }
    ai::prove(program, &mut out);
    if gone {
        let map = guide::Map {
            words: &words,
            model: &model,
            walk: &walk,
        };
        let ways = out.iter_mut().filter_map(|f| f.path.as_mut());
        ways.filter(|p| p.turns.is_empty())
            .for_each(|path| guide::go(map, path));
    }
    out
}
