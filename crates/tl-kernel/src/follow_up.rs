//! The structured follow-up: a one-time link in the message that asks for missing fields. Nothing of it is stored: the
//! link proves itself with the tenant's key, and whether it still counts is read from its case.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::case::{Case, CaseEffect};
use crate::decide::missing;
use crate::digest::{Digest, hex, keyed};
use crate::effect::EffectState;
use crate::id::CaseId;
use crate::program::{Auth, Endpoint, FieldFrom, Program, canonical};
use crate::time::{DAY, SECOND};

/// How long a link counts, µs.
pub const LINK_VALID: i64 = 7 * DAY;
/// The code of the refusal of a message by a link that does not count.
pub const OVER: &str = "TL0718";
/// Bytes of the proof in a link: 128 bits cannot be guessed, and a mail program does not break the line.
const PROOF: usize = 16;

/// What a link says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The message of the case that it stood in, by its number among the effects.
    pub ask: u32,
    /// Last second at which it counts, since the epoch.
    pub until: i64,
    /// The fields it asks for, by their position in the record.
    pub fields: Vec<usize>,
}

impl Link {
    /// A link for a message that is planned now.
    pub fn new(world: &Program, case: &Case, ask: u32, now: i64) -> Link {
        let asked = askable(world, case);
        let positions = world.record.fields.iter().enumerate();
        let fields = positions.filter(|(_, f)| asked.contains(&f.name));
        Link {
            ask,
            until: now.saturating_add(LINK_VALID) / SECOND,
            fields: fields.map(|(at, _)| at).collect(),
        }
    }

    /// The last part of the link's address.
    pub fn token(&self, tenant_key: &[u8], case: CaseId) -> String {
        let said = self.said();
        let proof = proof(tenant_key, case, &said);
        format!("{said}.{}", hex(&proof[..PROOF]))
    }

    /// What a token says, where this tenant has issued it for this case.
    pub fn read(tenant_key: &[u8], case: CaseId, token: &str) -> Option<Link> {
        let (said, given) = token.rsplit_once('.')?;
        let right = hex(&proof(tenant_key, case, said)[..PROOF]);
        verify_slices_are_equal(right.as_bytes(), given.as_bytes()).ok()?;
        let mut parts = said.split('.');
        let (ask, until, fields) = (parts.next()?, parts.next()?, parts.next()?);
        let fields = fields.split('-').map(|at| at.parse().ok());
        Some(Link {
            ask: ask.parse().ok()?,
            until: until.parse().ok()?,
            fields: fields.collect::<Option<Vec<usize>>>()?,
        })
    }

    fn said(&self) -> String {
        let fields: Vec<String> = self.fields.iter().map(usize::to_string).collect();
        format!("{}.{}.{}", self.ask, self.until, fields.join("-"))
    }
}

fn proof(tenant_key: &[u8], case: CaseId, said: &str) -> Digest {
    keyed(tenant_key, &[b"follow-up", &case.0, said.as_bytes()])
}

/// The door that the links of a workflow lead to.
pub fn endpoint(world: &Program) -> Option<&Endpoint> {
    world
        .endpoints
        .iter()
        .find(|e| e.auth.contains(&Auth::Link))
}

/// The message that asked last for missing fields, by its number, and the fields that a sender may still give; `None`
/// where the case waits for none.
pub fn waits_for(world: &Program, case: &Case) -> Option<(u32, Vec<String>)> {
    let waits =
        case.state == canonical::NEEDS_HUMAN && case.open_tasks().any(|(_, t)| t.kind == "missing");
    let (ask, _) = linked(world, case)?;
    let fields = askable(world, case);
    (waits && !fields.is_empty()).then_some((ask, fields))
}

/// The message that asked last for missing fields. One that was cancelled has asked nobody, and neither has a reminder
/// that waits for an approval.
pub(crate) fn asked<'c>(world: &Program, case: &'c Case) -> Option<(u32, &'c CaseEffect)> {
    let first = world.tasks.ask_missing?;
    let mut all = case.effects.iter().rev();
    let asks = |e: &CaseEffect| match e.state {
        EffectState::Cancelled => false,
        EffectState::Planned => e.action == first,
        _ => world.tasks.asks(e.action),
    };
    let (n, effect) = all.find(|(_, e)| asks(e))?;
    Some((*n, effect))
}

/// The number that the link of that message bears, and when the link was made, µs: a person who put the message into
/// other words has left it in.
pub(crate) fn linked(world: &Program, case: &Case) -> Option<(u32, i64)> {
    let (mut n, mut effect) = asked(world, case)?;
    while let Some((shown, old)) = case.reworded(effect) {
        (n, effect) = (shown, old);
    }
    Some((n, effect.planned_at))
}

/// Missing fields that a message may fill.
fn askable(world: &Program, case: &Case) -> Vec<String> {
    let mut fields = missing(world, &case.record);
    fields.retain(|name| {
        let def = world.record.field(name);
        def.is_some_and(|d| d.from == FieldFrom::Event)
    });
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_its_case_and_tenant_alone() {
        let link = Link {
            ask: 3,
            until: 1_794_477_600,
            fields: vec![0, 12],
        };
        let (key, case) = ([1; 32], CaseId([2; 16]));
        let token = link.token(&key, case);
        assert!(token.starts_with("3.1794477600.0-12."), "{token}");
        assert_eq!(Link::read(&key, case, &token), Some(link));
        assert_eq!(Link::read(&[2; 32], case, &token), None);
        assert_eq!(Link::read(&key, CaseId([3; 16]), &token), None);
        let changes = [
            token.replacen("3.", "4.", 1),
            token.replacen("1794477600", "1994477600", 1),
            token.replacen("0-12", "0-13", 1),
            token[..token.len() - 1].to_owned(),
            format!("{token}0"),
            token.to_uppercase() + "X",
            String::new(),
            ".".into(),
        ];
        for changed in changes {
            assert_eq!(Link::read(&key, case, &changed), None, "{changed}");
        }
    }
}
