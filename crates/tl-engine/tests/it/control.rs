//! Turns of the control stream, as the program seals them for what operators change.

use tl_kernel::id::CaseId;
use tl_kernel::journal::{Actor, Body, Entry, HEAD_VERSION, Head, Sealed, seal};
use tl_store::contract::{Row, Unit};

use crate::world::{TENANT, World};

/// A change that belongs to no case: its name and what it was made on.
pub fn control_turn(at: i64, action: &str, object: &str) -> Sealed {
    let head = Head {
        v: HEAD_VERSION,
        tenant: TENANT.0,
        case: CaseId::CONTROL,
        seq: 0,
        prev: [0; 32],
        at,
        actor: Actor::Operator("test".into()),
        correlation: String::new(),
        definition: 0,
        policy: 0,
        entries: vec![Entry::Control {
            action: action.to_owned(),
            object: object.to_owned(),
            detail: "test".into(),
        }],
        body: [0; 32],
    };
    seal(head, &Body::default(), &[0; 16])
}

/// A switch set or cleared, with the turn that records it.
pub fn switch(w: &World, scope: &str, mode: Option<&str>) -> Unit {
    let at = w.desk.now();
    let mut unit = Unit::new(TENANT);
    unit.rows.push(Row::Switch {
        scope: scope.into(),
        mode: mode.map(str::to_owned),
        by: "test".into(),
        reason: "test".into(),
        at,
    });
    unit.control.push(control_turn(at, "kill", scope));
    unit
}
