//! The leads of a run, joined with what the stub of the CRM saw.

use super::{Met, Run};
use crate::lead;

/// What the join of leads and CRM says.
#[derive(Debug, Default)]
pub struct Joined {
    pub cases: u64,
    /// Acknowledged, and never written.
    pub lost: u64,
    /// Written again with another key.
    pub extra: u64,
    /// Sent again with the same key.
    pub repeats: u64,
    /// Written, but never sent.
    pub strange: u64,
    pub last_ns: u64,
    /// Written before the first stage was over.
    pub in_time: u64,
    /// By stage, sorted.
    pub e2e_us: [Vec<u64>; 2],
    /// Cases of each tenant that messages go to by turns.
    pub by_tenant: Vec<u64>,
}

impl Joined {
    /// Joins the leads of a run with the stub's list, in which those of the other runs stand, too.
    pub fn of(run: &Run, names: &[&str], dump: &str) -> Joined {
        let tally = run.tally.borrow();
        let mut joined = Joined {
            by_tenant: vec![0; run.senders.len()],
            ..Joined::default()
        };
        let ends_ns = run.start_ns + (run.load.seconds * 1e9) as u64;
        let mut arrived = vec![false; tally.leads.len()];
        for line in dump.lines() {
            let mut words = line.split(' ');
            let id = words.next().unwrap_or_default();
            let mut count = || {
                words
                    .next()
                    .and_then(|w| w.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            let (first_ns, writes, repeats) = (count(), count(), count());
            let Some(n) = lead::number(&run.name, id).filter(|n| *n < arrived.len()) else {
                let others = names.iter().filter(|name| **name != run.name);
                let is_theirs = { others }.any(|name| lead::number(name, id).is_some());
                joined.strange += u64::from(!is_theirs);
                continue;
            };
            arrived[n] = true;
            joined.cases += 1;
            joined.by_tenant[n % run.senders.len()] += 1;
            joined.extra += writes.saturating_sub(1);
            joined.repeats += repeats;
            joined.in_time += u64::from(first_ns <= ends_ns);
            joined.last_ns = joined.last_ns.max(first_ns);
            let Met { sent_ns, stage, .. } = tally.leads[n];
            joined.e2e_us[stage].push(first_ns.saturating_sub(sent_ns) / 1000);
        }
        let leads = tally.leads.iter().zip(&arrived);
        joined.lost = leads.filter(|(l, a)| l.acknowledged && !**a).count() as u64;
        joined.e2e_us.iter_mut().for_each(|l| l.sort_unstable());
        joined
    }
}
