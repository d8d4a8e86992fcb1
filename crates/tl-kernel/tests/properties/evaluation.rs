//! An expression without a result: it is recorded, nothing is decided and nothing closes the case before a person has
//! looked, and what they then say counts.

use tl_kernel::decide::{Input, TaskDecision};
use tl_kernel::expr::Op;
use tl_kernel::journal::{Entry, open};
use tl_kernel::program::canonical::{NAMES, NEEDS_HUMAN};
use tl_kernel::program::{Program, Rule, RuleEffect, Step};
use tl_kernel::time::HOUR;
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use crate::drive::{Life, Now, admitted, person};
use crate::world::{branch, call, expr, path, text, ticket};

/// A division by zero.
fn broken() -> tl_kernel::expr::Expr {
    let at = path("record.note").at();
    let number = |n| tl_kernel::expr::Node::Literal(Value::Int(n), at);
    expr(call(Op::Div, vec![number(1), number(0)]))
}

fn rule(effect: RuleEffect) -> Rule {
    Rule {
        when: expr(path("record.vip")),
        effect,
        line: 7,
    }
}

/// A ticket that every message writes to the CRM, with one thing changed.
fn program(change: fn(&mut Program)) -> Program {
    let mut p = ticket();
    p.rules = Vec::new();
    p.decision.branches = vec![branch(None, vec![Step::Effect(0)])];
    change(&mut p);
    p
}

fn step(life: &mut Life, p: &Program, input: &Input) {
    let mut now = Now::plain(p, life.case.updated_at.max(HOUR));
    let fields = [
        ("email", Value::text("ada@example.com")),
        ("name", Value::text("Ada")),
        ("vip", Value::Bool(true)),
    ];
    let fields = fields.map(|(n, v)| (n.to_owned(), v));
    now.event = Some(Value::Record(fields.into()));
    life.step(p, input, &now, &mut |h| {
        if let Decision::Refused(r) = h.decision {
            panic!("{input:?}: {}", r.message);
        }
    });
}

fn recorded(life: &Life) -> Vec<String> {
    let heads = life.journal.iter().map(|sealed| open(sealed).unwrap());
    let entries = heads.flat_map(|(head, _)| head.entries);
    let parts = entries.filter_map(|e| match e {
        Entry::NotEvaluated { part, line, why } => Some(format!("{line} {part}: {why}")),
        _ => None,
    });
    parts.collect()
}

#[test]
fn a_person_looks_before_anything_is_decided() {
    type Row = (&'static str, fn(&mut Program));
    let table: &[Row] = &[
        ("7 when", |p| {
            p.rules = vec![Rule {
                when: broken(),
                ..rule(RuleEffect::NeedsHuman("x".into()))
            }];
        }),
        ("7 set tier", |p| {
            p.rules = vec![rule(RuleEffect::Set(vec![("tier".into(), broken())]))];
        }),
        ("7 route", |p| {
            p.rules = vec![rule(RuleEffect::Route(broken()))];
        }),
        ("1 map note", |p| {
            let map = &mut p.endpoints[0].map;
            map.retain(|(name, _)| name != "note");
            map.push(("note".into(), broken()));
        }),
        // What closes a case does not, where something else had no result.
        ("7 set tier", |p| {
            let set = rule(RuleEffect::Set(vec![("tier".into(), broken())]));
            p.rules = vec![set, rule(RuleEffect::Close("machine".into()))];
        }),
    ];
    for (want, change) in table {
        let p = program(*change);
        let mut life = Life::new();
        let message = admitted(&life.case);
        step(&mut life, &p, &message);
        let said = recorded(&life);
        assert_eq!(said, [format!("{want}: division by zero")]);
        let state = NAMES[usize::from(life.case.state)];
        assert_eq!(state, NAMES[usize::from(NEEDS_HUMAN)], "{want}");
        assert!(life.case.effects.is_empty(), "{want}");
        let tasks: Vec<_> = life.case.open_tasks().collect();
        let [(n, task)] = tasks[..] else {
            panic!("{want}: one task, not {tasks:?}");
        };
        assert_eq!(
            (task.kind.as_str(), task.reason.as_str()),
            ("review", "evaluation_error")
        );
        // On their word the case is decided, whatever the rule says again.
        let approve = Input::TaskDecided(TaskDecision {
            n,
            by: person(),
            decision: "approve".into(),
            reason: "checked".into(),
            note: None,
            edits: Vec::new(),
            digest: None,
        });
        step(&mut life, &p, &approve);
        let closes = p
            .rules
            .iter()
            .any(|r| matches!(r.effect, RuleEffect::Close(_)));
        assert_eq!(life.case.effects.is_empty(), closes, "{want}");
    }
}

/// An owner who is nobody is not taken.
#[test]
fn a_route_to_nobody_is_left_out() {
    let mut p = program(|p| {
        p.rules = vec![rule(RuleEffect::Route(expr(text("ghost"))))];
    });
    let owner = |p: &Program| {
        let mut life = Life::new();
        let message = admitted(&life.case);
        step(&mut life, p, &message);
        life.case.routed.clone()
    };
    assert_eq!(owner(&p), None);
    p.owners.insert("ghost".into());
    assert_eq!(owner(&p), Some("ghost".into()));
}
