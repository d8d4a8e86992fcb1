//! A message joins a case whose effects are under way: what it changed is written again, unless a rule closes the case.

use tl_kernel::journal::{Entry, open};
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NAMES};
use tl_kernel::program::{Program, Step};
use tl_kernel::time::HOUR;
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use crate::drive::{Life, Now, admitted};
use crate::world::{branch, ticket};

/// A ticket that is written to the CRM and handed off; whoever is called `noreply` is a machine, and its case closes.
fn program() -> Program {
    let mut p = ticket();
    p.decision.branches = vec![branch(None, vec![Step::Effect(0), Step::HandOff])];
    p
}

fn says(life: &mut Life, p: &Program, name: &str) {
    let mut now = Now::plain(p, life.case.updated_at.max(HOUR));
    let fields = [("email", "ada@example.com"), ("name", name)];
    let fields = fields.map(|(n, v)| (n.to_owned(), Value::text(v)));
    now.event = Some(Value::Record(fields.into()));
    let input = admitted(&life.case);
    life.step(p, &input, &now, &mut |h| {
        if let Decision::Refused(r) = h.decision {
            panic!("{name}: {}", r.message);
        }
    });
}

/// Where the case is after its last turn, and what that turn planned.
fn last(life: &Life) -> (&'static str, Vec<String>) {
    let (head, _) = open(life.journal.last().expect("a turn")).expect("it opens");
    let planned = head.entries.into_iter().filter_map(|e| match e {
        Entry::Planned(p) => Some(life.case.effects[&p.n].name.clone()),
        _ => None,
    });
    (NAMES[usize::from(life.case.state)], planned.collect())
}

#[test]
fn what_a_rule_closes_in_automated_is_not_written_again() {
    type Change = fn(&mut Program);
    // What is changed, who the second message is from, where the case is then, and what is planned.
    type Row = (
        &'static str,
        Change,
        &'static str,
        &'static str,
        &'static [&'static str],
    );
    let without_edge: Change = |p| p.edges.retain(|e| (e.from, e.to) != (AUTOMATED, CLOSED));
    #[rustfmt::skip]
    let table: [Row; 5] = [
        ("no rule applies", |_| (), "Bob", "automated", &["crm_upsert"]),
        ("nothing changed", |_| (), "Ada", "automated", &[]),
        ("a rule closes", |_| (), "noreply", "closed", &[]),
        ("a rule would close, and no transition does", without_edge, "noreply", "automated", &["crm_upsert"]),
        ("no rules run", |p| p.rules_engine = false, "noreply", "automated", &["crm_upsert"]),
    ];
    for (what, change, name, state, planned) in table {
        let mut p = program();
        change(&mut p);
        let mut life = Life::new();
        says(&mut life, &p, "Ada");
        let written = vec!["crm_upsert".to_owned()];
        assert_eq!(last(&life), ("automated", written), "{what}: the first");
        says(&mut life, &p, name);
        let planned: Vec<String> = planned.iter().map(|n| (*n).to_owned()).collect();
        assert_eq!(last(&life), (state, planned), "{what}");
    }
}
