//! Turns of the control stream, as the program seals them for what operators change.

use tl_kernel::journal::{Actor, Entry, Sealed, seal_control};
use tl_store::contract::{Row, Unit};

use crate::world::{TENANT, World};

/// A change that belongs to no case: its name and what it was made on.
pub fn control_turn(at: i64, action: &str, object: &str) -> Sealed {
    let entry = Entry::Control {
        action: action.to_owned(),
        object: object.to_owned(),
        detail: "test".into(),
    };
    seal_control(TENANT, at, Actor::Operator("test".into()), vec![entry])
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
