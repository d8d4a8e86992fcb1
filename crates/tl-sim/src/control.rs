//! Turns of the control stream, as the program seals them for switches and deployments.

use tl_kernel::id::TenantId;
use tl_kernel::journal::{Actor, Entry, Sealed, seal_control};

/// A change that belongs to no case: its name, what it was made on, and its detail.
pub fn control_turn(
    tenant: TenantId,
    at: i64,
    (action, object, detail): (&str, &str, &str),
) -> Sealed {
    let entry = Entry::Control {
        action: action.to_owned(),
        object: object.to_owned(),
        detail: detail.to_owned(),
    };
    seal_control(
        tenant,
        at,
        Actor::Operator("simulation".into()),
        vec![entry],
    )
}
