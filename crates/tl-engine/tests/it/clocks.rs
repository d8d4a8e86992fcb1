//! Very many open clocks of cases in a real database, while the machine's calendar jumps again and again: none runs out
//! before its time has really passed, and none runs out twice.

use std::collections::BTreeMap;

use tl_kernel::journal::{Entry, open};
use tl_kernel::time::{DAY, HOUR, MINUTE, SECOND};

use crate::clock::{Hands, world};
use crate::crash::directory;
use crate::world::{START, TENANT, World};

/// Every case waits for two clocks: a warning in half a month, and a breach in a month.
const MONTH: &str = r#"
workflow: { id: w, version: "1" }
record:
  type: lead
  fields:
    email: { type: email, required: true, use: control }
ingress:
  gateway: { auth: api_key }
  channels: { api: { channel: api } }
states:
  needs_human: { sla: 30d, warn_at: 50% }
worker: { ai_step: none }
decision:
  branches:
    - { condition: "record.email == ''", action: deny }
    - default: human_queue
"#;

/// By how much somebody sets the calendar, µs: a summer time, a wrong day, a dead battery.
const SET: [i64; 6] = [-HOUR, HOUR, -2 * DAY, 11 * MINUTE, 36 * HOUR, 3_650 * DAY];
/// Jumps around the warnings, and as many around the breaches.
const JUMPS: usize = 50;
/// The clocks of all cases run out within this, µs.
const SPREAD: i64 = DAY;

/// What became of the clocks of all cases.
#[derive(Debug, Default)]
struct Count {
    timers: u64,
    early: u64,
    twice: u64,
    never: u64,
}

impl Count {
    async fn of(w: &World) -> Count {
        let mut out = Count::default();
        let (mut after, mut due) = (0, BTreeMap::new());
        let mut fired: BTreeMap<_, u64> = BTreeMap::new();
        loop {
            let turns = w.desk.store().turns(after, 1_000, Some(TENANT), false);
            let turns = turns.await.expect("turns");
            let Some(last) = turns.last() else { break };
            after = last.0;
            for (_, _, case, turn) in &turns {
                let head = open(turn).expect("a turn").0;
                for entry in &head.entries {
                    match entry {
                        Entry::TimerSet { n, due: at, .. } => {
                            due.insert((*case, *n), *at);
                        }
                        // The clock of a state that the case only passed through.
                        Entry::TimerEnded { n, fired: false } => {
                            due.remove(&(*case, *n));
                        }
                        Entry::TimerEnded { n, fired: true } => {
                            let of = (*case, *n);
                            *fired.entry(of).or_default() += 1;
                            out.early += u64::from(head.at < due[&of]);
                        }
                        _ => {}
                    }
                }
            }
        }
        out.timers = due.len() as u64;
        out.twice = fired.values().filter(|n| **n > 1).count() as u64;
        out.never = out.timers - fired.len() as u64;
        out
    }
}

#[tokio::test]
async fn a_hundred_jumps_run_no_clock_of_a_hundred_thousand_out_early_or_twice() {
    let cases: i64 = tl_trial::size(250, 50_000);
    let dir = directory();
    let hands = Hands::new();
    let mut w = world(dir.path(), &hands).await;
    w.deploy(MONTH).await;
    // What has really passed since the beginning, µs.
    let mut passed = 0;
    let mut pass = |time: i64| {
        hands.pass(time);
        passed += time;
        START + passed
    };
    for n in 0..cases {
        w.case_of(&format!("m{n}"), r#"{"email":"ada@example.com"}"#)
            .await;
        pass(SPREAD / cases);
    }
    let (mut held, mut done) = (0, 0);
    for _ in 0..2 {
        pass(14 * DAY - HOUR);
        for n in 0..JUMPS {
            let by = SET[n % SET.len()];
            // After the jump, a while later, and when somebody has mended it.
            hands.set(by);
            held += usize::from(w.desk.now() < hands.read().wall - 10 * MINUTE);
            let mut now = pass(SECOND);
            for mended in [false, false, true] {
                if mended {
                    hands.set(-by);
                }
                w.settle().await.expect("it goes on");
                let engine = w.desk.now();
                assert!(engine <= now, "set by {by} µs: {} µs early", engine - now);
                if !mended {
                    now = pass((SPREAD + 2 * HOUR) / JUMPS as i64 / 2);
                }
            }
            done += 1;
            // A process that ends between two jumps goes on with the same clocks.
            if n % 10 == 9 && w.desk.clock().alarm().is_none() {
                drop(w);
                hands.restart(0);
                w = world(dir.path(), &hands).await;
            }
        }
    }
    // What was waited for is over.
    pass(3 * DAY);
    w.settle().await.expect("it goes on");
    let count = Count::of(&w).await;
    println!(
        "{done} jumps over {} open clocks: {} early, {} twice, at most {:.4} % with 95 % confidence",
        count.timers,
        count.early,
        count.twice,
        300.0 / count.timers as f64
    );
    assert_eq!(count.timers, 2 * cases as u64);
    assert_eq!(
        (count.early, count.twice, count.never),
        (0, 0, 0),
        "{count:?}"
    );
    assert!(held >= JUMPS, "time was held back only {held} times");
}
