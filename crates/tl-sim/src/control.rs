//! Turns of the control stream, as the program seals them for switches and deployments.

use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Actor, Body, Entry, HEAD_VERSION, Head, Sealed, seal};

/// A change that belongs to no case: its name, what it was made on, and its detail.
pub fn control_turn(
    tenant: TenantId,
    at: i64,
    (action, object, detail): (&str, &str, &str),
) -> Sealed {
    let head = Head {
        v: HEAD_VERSION,
        tenant: tenant.0,
        case: CaseId::CONTROL,
        seq: 0,
        prev: [0; 32],
        at,
        actor: Actor::Operator("simulation".into()),
        correlation: String::new(),
        definition: 0,
        policy: 0,
        entries: vec![Entry::Control {
            action: action.to_owned(),
            object: object.to_owned(),
            detail: detail.to_owned(),
        }],
        body: [0; 32],
    };
    seal(head, &Body::default(), &[0; 16])
}
