//! A person decides about a task as the table of its kind says, and in no other way.

use tl_kernel::case::CaseTask;
use tl_kernel::decide::{Input, TaskDecision, decide};
use tl_kernel::task::{TaskEnd, TaskKind};
use tl_kernel::time::HOUR;
use tl_kernel::turn::Decision;

use crate::drive::{Life, Now, admitted, message, person};
use crate::rng::Rng;
use crate::world::programs;

/// A task that the case has not opened itself.
const N: u32 = 99;

#[test]
fn each_kind_takes_its_own_decisions() {
    for program in programs() {
        let mut now = Now::plain(&program, HOUR);
        now.event = Some(message(&mut Rng(7)));
        let mut life = Life::new();
        life.step(&program, &admitted(&life.case.clone()), &now, &mut |_| ());
        for kind in TaskKind::ALL {
            let mut case = life.case.clone();
            let task = CaseTask {
                kind: kind.word().into(),
                owner: "desk".into(),
                reason: "policy".into(),
                due: None,
                effect: None,
                closed: None,
                opened_at: HOUR,
            };
            case.tasks.insert(N, task);
            let words = TaskEnd::ALL.map(TaskEnd::word).into_iter();
            for word in words.chain(["bless", ""]) {
                let input = Input::TaskDecided(TaskDecision {
                    n: N,
                    by: person(),
                    decision: word.into(),
                    reason: "checked".into(),
                    note: None,
                    edits: Vec::new(),
                    digest: None,
                });
                let decision = decide(&program, &case, input, &now.facts());
                let refused = matches!(&decision, Decision::Refused(r) if r.code == "TL0722");
                let end = TaskEnd::parse(word);
                let may = end.is_some_and(|end| kind.decisions().contains(&end));
                assert_eq!(refused, !may, "{kind:?}, `{word}`: {decision:?}");
                assert!(!may || end.is_some_and(|end| kind.may_end(end)));
            }
        }
    }
}
