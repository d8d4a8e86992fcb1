//! A case that is decided again: what it writes is written again, what it has said is not said twice.

use tl_kernel::decide::{Command, CommandKind, Input, Settlement};
use tl_kernel::effect::EffectState;
use tl_kernel::effect::EffectState::{Cancelled, Ready, Succeeded, Uncertain};
use tl_kernel::program::Program;
use tl_kernel::program::canonical::CLOSED;
use tl_kernel::time::HOUR;
use tl_kernel::turn::Decision;
use tl_kernel::value::{Field, Label, Source, Value};

use crate::drive::{Life, Now, admitted, person};
use crate::world::ticket;

/// An address, and a wish that lets the reply go by itself.
const WISH: [(&str, &str); 2] = [("email", "ada@example.com"), ("name", "Ada")];

fn step(life: &mut Life, p: &Program, input: &Input) {
    let mut now = Now::plain(p, life.case.updated_at.max(HOUR));
    let mut fields = vec![("vip".to_owned(), Value::Bool(true))];
    fields.extend(WISH.map(|(n, v)| (n.to_owned(), Value::text(v))));
    now.event = Some(Value::Record(fields.into_iter().collect()));
    life.step(p, input, &now, &mut |h| {
        if let Decision::Refused(r) = h.decision {
            panic!("{input:?}: {}", r.message);
        }
    });
}

fn command(life: &mut Life, p: &Program, what: CommandKind) {
    let input = Input::Command(Command {
        by: person(),
        reason: "checked".into(),
        what,
    });
    step(life, p, &input);
}

/// Settles the open effects of an action.
fn settle(life: &mut Life, p: &Program, action: &str, (state, code): (EffectState, &str)) {
    let open: Vec<u32> = life.case.open_effects().map(|(n, _)| n).collect();
    for n in open {
        if life.case.effects[&n].name == action {
            let settled = Settlement {
                n,
                state,
                attempts: 1,
                code: code.into(),
                evidence: "answer".into(),
                vendor_ref: None,
                seen: None,
            };
            step(life, p, &Input::EffectSettled(settled));
        }
    }
}

fn states(life: &Life, action: &str) -> Vec<EffectState> {
    let own = life.case.effects.values().filter(|e| e.name == action);
    own.map(|e| e.state).collect()
}

#[test]
fn a_message_that_was_sent_is_not_sent_again() {
    let p = ticket();
    // What became of the first reply, the name that the case has when it is decided again; the replies then.
    let table = [
        ((Succeeded, ""), "Ada", vec![Succeeded, Cancelled]),
        ((Succeeded, ""), "Countess", vec![Succeeded, Ready]),
        ((Succeeded, "dry_run:tenant"), "Ada", vec![Succeeded, Ready]),
        ((Uncertain, "in_doubt"), "Ada", vec![Uncertain, Cancelled]),
        ((Cancelled, "kill:tenant"), "Ada", vec![Cancelled, Ready]),
    ];
    for (first, name, want) in table {
        let mut life = Life::new();
        let message = admitted(&life.case);
        step(&mut life, &p, &message);
        settle(&mut life, &p, "reply", first);
        settle(&mut life, &p, "crm_upsert", (Succeeded, ""));
        if life.case.state != CLOSED {
            command(&mut life, &p, CommandKind::Close);
        }
        let field = Field {
            value: Value::text(name),
            label: Label::Operator,
            source: Source::Person,
        };
        life.case.record.insert("name".into(), field);
        command(&mut life, &p, CommandKind::Reopen);
        assert_eq!(states(&life, "reply"), want, "{first:?} {name}");
        let writes = states(&life, "crm_upsert");
        assert_eq!(writes, [Succeeded, Ready], "{first:?} {name}");
        // What is not said again is nothing to wait for.
        settle(&mut life, &p, "crm_upsert", (Succeeded, ""));
        let waits = life.case.open_effects().next().is_some();
        assert_eq!(life.case.state == CLOSED, !waits, "{first:?} {name}");
    }
}
