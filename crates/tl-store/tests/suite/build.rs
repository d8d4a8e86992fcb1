//! Short ways to say what a unit holds.

use tl_kernel::digest::{Digest, sha256};
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, EffectId, EventId, TenantId};
use tl_kernel::journal::{Sealed, TimerKind, leaf_hash};
use tl_kernel::turn::{
    Born, CaseHead, EffectKind, EffectPlan, EffectWrite, StoredEvent, TaskWrite, TimerWrite, Turn,
};
use tl_store::{EffectChange, Guard, Row, Unit};

pub const T1: TenantId = TenantId(1);
pub const T2: TenantId = TenantId(2);

/// 16 bytes that sort by number.
fn id(n: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    bytes
}

pub fn event_id(n: u64) -> EventId {
    EventId(id(n))
}

pub fn case_id(n: u64) -> CaseId {
    CaseId(id(n))
}

pub fn effect_id(case: u64, n: u32) -> EffectId {
    EffectId {
        case: case_id(case),
        n,
    }
}

pub fn digest(text: &str) -> Digest {
    sha256(&[text.as_bytes()])
}

pub fn digests(texts: &[&str]) -> Vec<Digest> {
    texts.iter().map(|t| digest(t)).collect()
}

pub fn sealed(seq: u32, text: &str) -> Sealed {
    let head = format!("head {seq} {text}").into_bytes();
    Sealed {
        seq,
        leaf: leaf_hash(&head),
        head,
        body: Some(format!("body {seq} {text}").into_bytes()),
    }
}

pub fn unit() -> Unit {
    Unit::new(T1)
}

pub fn event(n: u64) -> StoredEvent {
    StoredEvent {
        id: event_id(n),
        endpoint: "leads".into(),
        received_at: 1_000 + n as i64,
        kid: "k1".into(),
        key_source: "header".into(),
        case: Some(case_id(n)),
        content_type: "application/json".into(),
        payload: format!("payload {n}").into_bytes(),
    }
}

pub fn keys_free(keys: &[&str]) -> Guard {
    Guard::KeysFree {
        endpoint: "leads".into(),
        keys: digests(keys),
    }
}

pub fn event_row(event: StoredEvent, keys: &[&str]) -> Row {
    Row::Event {
        event,
        keys: digests(keys),
        expires: i64::MAX,
    }
}

/// A turn of a case of tenant 1 in state 0.
pub fn turn(case: u64, seq: u32) -> Turn {
    Turn {
        tenant: T1,
        case: case_id(case),
        sealed: sealed(seq, &format!("of {case}")),
        entries: [].into(),
        head: CaseHead {
            state: 0,
            owner: "sales".into(),
            definition: 3,
            opened_at: 1_000,
            updated_at: 1_000 + i64::from(seq),
            due: None,
            closed: false,
            open_tasks: 0,
            open_effects: 0,
            reason: String::new(),
            correlation: format!("corr-{case}"),
            workflow: "lead".into(),
        },
        effects: vec![],
        tasks: vec![],
        timers: vec![],
        timers_cancelled: vec![],
        natural_keys: vec![],
    }
}

/// A unit with one turn.
pub fn turn_unit(turn: Turn) -> Unit {
    Unit {
        tenant: turn.tenant,
        turns: vec![turn],
        ..unit()
    }
}

/// What ingress commits: event `n` with its dedupe keys opens case `n`.
pub fn admission(n: u64, keys: &[&str]) -> Unit {
    Unit {
        guards: vec![keys_free(keys)],
        turns: vec![turn(n, 1)],
        rows: vec![event_row(event(n), keys)],
        ..unit()
    }
}

/// Small changes of a turn, to be chained.
pub trait TurnExt {
    fn with(self, write: EffectWrite) -> Self;
    fn plan(self, n: u32, state: EffectState, due: i64) -> Self;
    fn plan_serial(self, n: u32, state: EffectState, serial: &str) -> Self;
    fn task(self, n: u32, owner: &str, due: Option<i64>) -> Self;
    fn timer(self, n: u32, due: i64) -> Self;
    fn state(self, state: u16, closed: bool) -> Self;
}

impl TurnExt for Turn {
    fn with(mut self, write: EffectWrite) -> Turn {
        self.effects.push(write);
        self
    }

    fn plan(self, n: u32, state: EffectState, due: i64) -> Turn {
        self.with(EffectWrite::Plan(Box::new(EffectPlan {
            due,
            ..plan(n, state)
        })))
    }

    fn plan_serial(self, n: u32, state: EffectState, serial: &str) -> Turn {
        let serial_key = Some(digest(serial));
        let plan = EffectPlan {
            serial_key,
            due: i64::from(n),
            ..plan(n, state)
        };
        self.with(EffectWrite::Plan(Box::new(plan)))
    }

    fn task(mut self, n: u32, owner: &str, due: Option<i64>) -> Turn {
        self.tasks.push(TaskWrite::Open {
            n,
            kind: "review".into(),
            owner: owner.into(),
            reason: "unsure".into(),
            due,
            effect: None,
        });
        self
    }

    fn timer(mut self, n: u32, due: i64) -> Turn {
        self.timers.push(TimerWrite {
            n,
            kind: TimerKind::Breach,
            due,
        });
        self
    }

    fn state(mut self, state: u16, closed: bool) -> Turn {
        self.head.state = state;
        self.head.closed = closed;
        self
    }
}

/// An effect in a state; one born dispatching is claimed by node 1 in its first epoch until instant 500.
pub fn plan(n: u32, state: EffectState) -> EffectPlan {
    let born = Born {
        node: 1,
        epoch: 1,
        deadline: 500,
    };
    EffectPlan {
        n,
        kind: EffectKind::Effect,
        action: "crm_upsert".into(),
        connection: "crm".into(),
        class: Class::E2,
        state,
        due: 0,
        valid_until: i64::MAX,
        args: b"args".to_vec(),
        digest: digest("shown"),
        key: digest("vendor"),
        base_version: None,
        serial_key: None,
        born: (state == EffectState::Dispatching).then_some(born),
    }
}

/// A change that leaves everything else as an attempt leaves it.
pub fn change(effect: EffectId, from: (EffectState, u32), to: EffectState) -> EffectChange {
    let starts = to == EffectState::Dispatching;
    EffectChange {
        effect,
        from,
        to,
        attempt: from.1 + u32::from(starts),
        due: 0,
        hold: String::new(),
        claim: starts.then_some((1, 1, 500)),
        first_send: None,
        base_version: None,
        code: String::new(),
        vendor_ref: None,
        crashes: 0,
        at: 2_000,
    }
}

/// A unit that changes one ledger row.
pub fn change_unit(change: EffectChange) -> Unit {
    Unit {
        rows: vec![Row::Effect(change)],
        ..unit()
    }
}
