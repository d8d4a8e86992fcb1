//! Proof 5: what is used exists and is typed, and nothing that may not be repeated is.

use tl_kernel::effect::Class;
use tl_kernel::program::{
    Action, ActionIx, ActionKind, Channel, Emit, Lock, Message, OnUnknown, Program, RestWrite,
    StateIx, Step, Unanswered, WhenUnanswered, canonical,
};
use tl_kernel::value::Type;

use super::Finding;
use super::fix::Fix;

/// Everything a program points at exists. The loader sees to it; a program from elsewhere is checked too.
pub(super) fn exists(program: &Program, out: &mut Vec<Finding>) {
    let missing = |line: u32, what: String| {
        Finding::new("TL0519", line, format!("{what} does not exist")).mend("name one that exists")
    };
    let state = |ix: StateIx| usize::from(ix) < program.states.len();
    let action = |ix: ActionIx| usize::from(ix) < program.actions.len();
    for b in &program.decision.branches {
        for step in &b.actions {
            if matches!(step, Step::Effect(ix) if !action(*ix)) {
                out.push(missing(b.line, "the action of this branch".into()));
            }
        }
        if b.to.is_some_and(|to| !state(to)) {
            out.push(missing(b.line, "the state this branch leads to".into()));
        }
    }
    let of_ai = program
        .ai
        .as_ref()
        .and_then(|ai| ai.draft.as_ref())
        .map(|d| d.action);
    for (ix, what) in [
        (of_ai, "the message that is drafted"),
        (
            program.tasks.ask_missing,
            "the message that asks for missing fields",
        ),
    ] {
        if ix.is_some_and(|ix| !action(ix)) {
            out.push(missing(0, what.into()));
        }
    }
    for e in program
        .edges
        .iter()
        .filter(|e| !state(e.from) || !state(e.to))
    {
        out.push(missing(e.line, "a state of this transition".into()));
    }
    for s in program
        .states
        .iter()
        .filter(|s| s.on_breach.is_some_and(|to| !state(to)))
    {
        out.push(missing(
            s.line,
            format!("the state that a breach of `{}` leads to", s.name),
        ));
    }
    if program.states.len() < 5 || program.ai.as_ref().is_some_and(|ai| !state(ai.when_state)) {
        out.push(missing(0, "a state that the engine needs".into()));
    }
    let last = program.decision.branches.last();
    if last.is_none_or(|b| b.condition.is_some()) {
        out.push(
            Finding::new(
                "TL0516",
                last.map_or(0, |b| b.line),
                "the decision does not end in a default".into(),
            )
            .why("a case that no branch takes would have no way to go")
            .mend("add `- default: deny` as the last branch")
            .key("decision"),
        );
    }
}

/// Proof 5.
pub(super) fn prove(program: &Program, out: &mut Vec<Finding>) {
    for e in &program.edges {
        for (emit, name) in [
            (Emit::CrmSync, "crm_upsert"),
            (Emit::DomainEvent, "domain_event"),
        ] {
            if e.emit.contains(&emit) && program.action_ix(name).is_none() {
                out.push(
                    Finding::new(
                        "TL0519",
                        e.line,
                        format!("this transition emits `{name}`, which is not set up"),
                    )
                    .mend("set it up under `side_effects`, or take it out of `emit`"),
                );
            }
        }
    }
    for action in &program.actions {
        resent(program, action, out);
        match &action.kind {
            ActionKind::Rest(r) => rest(program, action, r, out),
            ActionKind::Message(m) => recipient(program, action, m, out),
            // The loader takes the class of a call from its connector, whose file was checked.
            ActionKind::Call(_) | ActionKind::RecordStore { .. } | ActionKind::DomainEvent => {}
        }
    }
}

/// A case is closed along a declared edge, also by a question that nobody answers.
pub(super) fn closes(program: &Program, out: &mut Vec<Finding>) {
    let closes = |s: &Unanswered| matches!(s.then, WhenUnanswered::Close(_));
    let may = program.edge(canonical::NEEDS_HUMAN, canonical::CLOSED);
    if program.tasks.unanswered.iter().any(closes) && may.is_none() {
        out.push(
            Finding::new(
                "TL0519",
                0,
                "an unanswered question closes its case, and no transition leads from `needs_human` to `closed`".into(),
            )
            .mend("declare the transition, or take the step `close` out of `unanswered`"),
        );
    }
}

fn resent(program: &Program, action: &Action, out: &mut Vec<Finding>) {
    if action.on_unknown == OnUnknown::Resend && matches!(action.class, Class::E3 | Class::E4) {
        out.push(
            Finding::new("TL0505", action.line, format!("`{}` may be sent twice", action.name))
                .warning()
                .why(format!(
                    "its class is {}: the other side does not recognise a repetition, and `on_unknown: resend` repeats it \
                     when nobody knows whether it arrived",
                    action.class.word()
                ))
                .about(program, action)
                .fix(Fix::Value("on_unknown", "hold"))
                .mend("write `on_unknown: hold`, unless twice is better than never"),
        );
    }
}

/// The class of a write is what its interface can keep.
fn rest(program: &Program, action: &Action, r: &RestWrite, out: &mut Vec<Finding>) {
    let locked = r.lock != Lock::LastWriterWins;
    let why = match action.class {
        Class::E1 if r.idempotency_header.is_none() => {
            "no `idempotency_header` is named by which a repetition would be recognised"
        }
        Class::E2 if !locked => "nothing is compared: `optimistic_lock` is `last_writer_wins`",
        Class::E0 | Class::E5 => "it changes something in another system",
        _ => return,
    };
    out.push(
        Finding::new(
            "TL0505",
            action.line,
            format!("`{}` would be repeated although it may not be", action.name),
        )
        .why(format!("its class is {}, but {why}", action.class.word()))
        .about(program, action)
        .mend("set `optimistic_lock` or `idempotency_header`")
        .key("crm"),
    );
}

/// A recipient is typed for its channel.
fn recipient(program: &Program, action: &Action, m: &Message, out: &mut Vec<Finding>) {
    let (wanted, word) = match m.channel {
        Channel::Sms => (Type::Phone, "phone"),
        _ => (Type::Email, "email"),
    };
    for path in m.to.reads() {
        let ty = match path.as_slice() {
            [root, name] if root == "record" => program.record.field(name).map(|f| &f.ty),
            [root, ..] if root == "event" || root == "ai" || root == "record" => None,
            _ => continue,
        };
        // Conditions inside the expression may ask about other things.
        if ty.is_some_and(|t| *t == wanted || matches!(t, Type::Bool | Type::Enum(_))) {
            continue;
        }
        out.push(
            Finding::new(
                "TL0519",
                action.line,
                format!("the recipient of `{}` is not typed: `{}`", action.name, path.join(".")),
            )
            .why(format!("a message by {} goes to a field of type {word}, so that what is no address is found before", m.channel.word()))
            .mend(format!("map it to a field of type {word} and write `to: record.FIELD`"))
            .key("messaging"),
        );
    }
}
