//! Lines, shares and turns, with effects that take as long as a test says.

use tl_kernel::effect::Class;
use tl_kernel::id::{CaseId, EffectId};
use tl_kernel::turn::EffectKind;

use super::*;

/// Rows of effects that wait at most, where no more lines than these do.
const BATCH: u32 = 512;

fn row((tenant, connection): (u32, &str), n: u32, due: i64) -> EffectRow {
    EffectRow {
        tenant: TenantId(tenant),
        effect: EffectId {
            case: CaseId([0; 16]),
            n,
        },
        kind: EffectKind::Effect,
        workflow: String::new(),
        definition: 1,
        correlation: String::new(),
        action: String::new(),
        connection: connection.to_owned(),
        class: Class::E1,
        state: EffectState::Ready,
        due,
        valid_until: i64::MAX,
        hold: String::new(),
        args: Vec::new(),
        digest: [0; 32],
        key: [0; 32],
        base_version: None,
        attempt: 0,
        claim: None,
        first_send: None,
        planned_at: due,
        updated_at: due,
        code: String::new(),
        vendor_ref: None,
        crashes: 0,
    }
}

/// Numbers that look as if drawn, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// What is ready in the store, and who is asked for it as the worker asks.
#[derive(Default)]
struct Ready {
    lines: BTreeMap<Line, VecDeque<EffectRow>>,
    planned: u32,
}

impl Ready {
    fn plan(&mut self, (tenant, connection): (u32, &str), due: i64) {
        self.planned += 1;
        let line = (TenantId(tenant), connection.to_owned());
        let rows = self.lines.entry(line).or_default();
        rows.push_back(row((tenant, connection), self.planned, due));
    }

    fn find(&mut self, slots: &Slots) {
        let but = slots.waiting();
        let mut open: Vec<_> = self.lines.iter_mut().collect();
        open.retain(|(line, rows)| !rows.is_empty() && !but.contains(line));
        let each = (slots.room(BATCH) as usize / open.len().max(1)).max(1);
        let take = |rows: &mut VecDeque<EffectRow>| rows.drain(..each.min(rows.len())).collect();
        let rows: Vec<Vec<EffectRow>> = open.into_iter().map(|(_, rows)| take(rows)).collect();
        slots.add(rows.concat(), Share::ALONE);
    }
}

/// Begins what may be begun of lines that grow together, one of each tenant, and says how many slots each holds.
fn fill(slots: &Arc<Slots>, lines: std::ops::Range<u32>, flights: &mut Vec<Next>) -> Vec<usize> {
    let first = flights.len();
    let rows = (0..100).flat_map(|n| lines.clone().map(move |t| row((t, "hangs"), n, 0)));
    slots.add(rows.collect(), Share::ALONE);
    while let Some(next) = slots.next() {
        flights.push(next);
    }
    let begun = &flights[first..];
    let held = |t| begun.iter().filter(|f| f.row.tenant.0 == t).count();
    lines.map(held).collect()
}

#[test]
fn a_line_holds_no_more_than_it_leaves() {
    // Slots, and what each of so many lines holds of them that hang together.
    let together = [
        (64, vec![32]),
        (64, vec![22, 21]),
        (64, vec![8; 7]),
        (64, vec![1; 63]),
        (8, vec![4]),
        (3, vec![1, 1]),
        (2, vec![1]),
        (1, vec![1]),
    ];
    for (count, want) in together {
        let (slots, mut flights) = (Slots::new(count), Vec::new());
        let lines = u32::try_from(want.len()).unwrap();
        assert_eq!(fill(&slots, 0..lines, &mut flights), want, "{count}");
        if count == 1 {
            continue;
        }
        // What comes later to a line that holds none is begun at once, and so is what is born there.
        slots.add(vec![row_of_another()], Share::ALONE);
        let next = slots.next().expect("a slot is left");
        assert_eq!(next.row.connection, "works", "{want:?} of {count}");
        drop(next);
        let mut born = slots
            .spare(TenantId(99))
            .expect("those who wait may not take it");
        assert!(!born.claim(TenantId(0), "hangs"), "{want:?} of {count}");
        assert!(born.claim(TenantId(99), "works"), "{want:?} of {count}");
    }
    // And those that hang one after the other.
    for (count, want) in [(64, vec![32, 16, 8, 4, 2, 1, 1]), (8, vec![4, 2, 1, 1])] {
        let (slots, mut flights) = (Slots::new(count), Vec::new());
        let lines = 0..u32::try_from(want.len()).unwrap();
        let held = lines.flat_map(|t| fill(&slots, t..t + 1, &mut flights));
        assert_eq!(held.collect::<Vec<_>>(), want, "{count}");
    }
}

fn row_of_another() -> EffectRow {
    row((99, "works"), 1, 99)
}

#[test]
fn what_waits_here_is_bounded_whenever_it_comes() {
    for lines in [1, 2, 40, 600_u32] {
        let slots = Slots::new(0);
        let mut ready = Ready::default();
        for line in 0..lines {
            for n in 0..1_000 {
                ready.plan((line, "crm"), n);
            }
            ready.find(&slots);
        }
        let waiting: usize = slots.depths().values().sum();
        assert_eq!(slots.waiting().len(), lines as usize, "each line is seen");
        assert!(
            waiting < (BATCH + lines) as usize,
            "{waiting} of {lines} lines"
        );
    }
}

#[test]
fn nobody_is_born_before_who_waits() {
    let slots = Slots::new(2);
    slots.add(vec![row_of_another()], Share::ALONE);
    assert!(slots.spare(TenantId(1)).is_none());
    let next = slots.next().unwrap();
    assert!(next.was_last);
    assert!(slots.spare(TenantId(99)).is_none(), "its line is full");
    let spare = slots.spare(TenantId(1)).unwrap();
    assert!(slots.spare(TenantId(1)).is_none(), "both are taken");
    drop((next, spare));
    assert!(slots.lock().lines.is_empty());
    assert_eq!(slots.lock().free, 2);
}

#[test]
fn a_line_is_begun_somewhere_else_by_each_node() {
    for (before, want) in [(0, 0), (1, 2), (2, 4)] {
        let slots = Slots::new(64);
        let rows: Vec<_> = (0..6).map(|n| row((n, "crm"), n, 0)).collect();
        slots.add(rows, Share { before, all: 3 });
        assert_eq!(slots.next().unwrap().row.tenant.0, want, "{before}");
    }
}

/// One of a hundred tenants has sent a hundred times as much as any other, and before them.
#[test]
fn a_noisy_tenant_takes_its_turns_and_no_more() {
    let slots = Slots::new(8);
    let mut ready = Ready::default();
    for n in 0..1_000 {
        ready.plan((50, "crm"), n);
    }
    for tenant in (0..100).filter(|t| *t != 50) {
        for n in 0..10 {
            ready.plan((tenant, "crm"), 2_000 + n);
        }
    }
    let mut done = BTreeMap::new();
    for _ in 0..1_000 {
        ready.find(&slots);
        let next = slots.next().expect("there is more");
        *done.entry(next.row.tenant.0).or_insert(0_u32) += 1;
    }
    let noisy = done.remove(&50).unwrap();
    let others = done.values().map(|n| f64::from(*n));
    let (sum, squares) = others.fold((0.0, 0.0), |(s, q), n| (s + n, q + n * n));
    let jain = sum * sum / (99.0 * squares);
    println!("Jain index {jain:.3}; of 1000 turns the noisy one took {noisy}");
    assert!(jain >= 0.95, "{jain}: {done:?}");
    assert!(noisy <= 11, "{noisy} of 1000");
}

/// Time from ready to done, in ticks, that 99 of 100 effects of the connections that work stay under.
fn p99(one_hangs: bool) -> u64 {
    const WORK: u64 = 10;
    const HANGS: u64 = 30_000;
    let slots = Slots::new(64);
    let mut ready = Ready::default();
    let mut dice = Dice(7);
    let mut flights: Vec<(u64, Next)> = Vec::new();
    let mut took = Vec::new();
    for tick in 0..6_000 {
        flights.retain(|(ends, _)| *ends > tick);
        let now = i64::try_from(tick).unwrap();
        for line in 0..8 {
            if dice.below(4) == 0 {
                ready.plan((line % 3, &format!("works {line}")), now);
            }
        }
        if one_hangs {
            ready.plan((1, "hangs"), now);
        }
        ready.find(&slots);
        while let Some(next) = slots.next() {
            let hangs = next.row.connection == "hangs";
            if !hangs {
                took.push(tick - next.row.due.unsigned_abs() + WORK);
            }
            flights.push((tick + if hangs { HANGS } else { WORK }, next));
        }
    }
    assert!(took.len() > 10_000, "{} were done", took.len());
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

#[test]
fn a_vendor_that_hangs_delays_no_other() {
    let (usual, beside) = (p99(false), p99(true));
    println!("p99 of the others: {usual} ticks, beside a vendor that hangs {beside}");
    assert!(beside * 5 <= usual * 6, "{usual} became {beside}");
}

/// Whose fronts may take a slot now, and the earliest of them by tenant.
fn may(slots: &Slots) -> BTreeMap<TenantId, i64> {
    let inner = slots.lock();
    let mut may = BTreeMap::new();
    for (tenant, _, place) in inner.waiting().filter(|(_, _, p)| p.held < inner.free) {
        let due = place.waiting[0].due;
        let known = may.entry(tenant).or_insert(due);
        *known = due.min(*known);
    }
    may
}

/// Whatever comes, goes and hangs: who may take a slot gets one after each other tenant had one turn at most, with the
/// effect that was due first; nothing is lost and nothing is begun twice.
#[test]
fn what_may_go_goes_in_bounded_turns() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let count = 1 + dice.below(9) as usize;
        let tenants = 1 + dice.below(5);
        let slots = Slots::new(count);
        let mut ready = Ready::default();
        let mut flights: Vec<Next> = Vec::new();
        let mut born = Vec::new();
        let mut passed: BTreeMap<TenantId, u64> = BTreeMap::new();
        let mut begun = BTreeSet::new();
        for step in 0..400 {
            match dice.below(8) {
                0..3 => {
                    let connection = ["hangs", "", "crm"][dice.below(3) as usize];
                    ready.plan((dice.below(tenants) as u32, connection), step);
                }
                3 => ready.find(&slots),
                4 => {
                    let tenant = TenantId(dice.below(tenants) as u32);
                    let mut spare = slots.spare(tenant);
                    if spare.as_mut().is_some_and(|s| s.claim(tenant, "crm")) {
                        born.extend(spare);
                    }
                }
                5 => {
                    born.pop();
                    flights.retain(|f| f.row.connection == "hangs" || dice.below(2) == 0);
                }
                _ => {
                    let may = may(&slots);
                    passed.retain(|tenant, _| may.contains_key(tenant));
                    let Some(next) = slots.next() else {
                        assert!(may.is_empty(), "seed {seed}: {may:?} may go");
                        continue;
                    };
                    let tenant = next.row.tenant;
                    assert_eq!(may.get(&tenant), Some(&next.row.due), "seed {seed}");
                    assert!(begun.insert(next.row.effect), "seed {seed}: twice");
                    for other in may.keys().filter(|t| **t != tenant) {
                        let turns = passed.entry(*other).or_default();
                        *turns += 1;
                        assert!(*turns < tenants, "seed {seed}: {other:?} waits for ever");
                    }
                    passed.remove(&tenant);
                    flights.push(next);
                }
            }
        }
        drop((flights, born));
        while begun.len() < ready.planned as usize {
            ready.find(&slots);
            let next = slots.next().expect("what is planned goes");
            assert!(begun.insert(next.row.effect), "seed {seed}: twice");
        }
        let inner = slots.lock();
        assert_eq!(inner.free, count, "seed {seed}");
        assert!(inner.lines.is_empty(), "seed {seed}: {:?}", inner.lines);
    }
}
