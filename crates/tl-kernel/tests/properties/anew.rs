//! A case that is decided anew while something waits for an approval: only what is decided now can be approved.

use tl_kernel::decide::{Command, CommandKind, Input};
use tl_kernel::effect::EffectState;
use tl_kernel::policy::When;
use tl_kernel::program::Step;
use tl_kernel::time::HOUR;
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use crate::drive::{Life, Now, admitted, person};
use crate::world::{branch, line, ticket};

#[test]
fn the_same_message_cannot_be_approved_twice() {
    let mut p = ticket();
    p.rules = Vec::new();
    p.decision.branches = vec![branch(None, vec![Step::Effect(1)])];
    // No line says `auto`: it waits for an approval.
    p.policy.lines = vec![line("reply", When::Unstated, When::Unstated)];
    let mut life = Life::new();
    let reopen = Input::Command(Command {
        by: person(),
        reason: "checked".into(),
        what: CommandKind::Reopen,
    });
    for input in [admitted(&life.case), reopen.clone(), reopen] {
        let mut now = Now::plain(&p, life.case.updated_at.max(HOUR));
        now.policy = p.policy.clone();
        let event = [("email", "ada@example.com"), ("name", "Ada")];
        let event = event.map(|(n, v)| (n.to_owned(), Value::text(v)));
        now.event = Some(Value::Record(event.into()));
        life.step(&p, &input, &now, &mut |h| {
            if let Decision::Refused(r) = h.decision {
                panic!("{input:?}: {}", r.message);
            }
        });
        let waiting = life.case.effects.values();
        let waiting = waiting.filter(|e| e.state == EffectState::Planned).count();
        let tasks = life.case.open_tasks().filter(|(_, t)| t.kind == "approve");
        assert_eq!((waiting, tasks.count()), (1, 1), "{input:?}");
    }
}
