//! What each answer of a system leads to, and what stands before a connection: retry budget, breaker, refusals that
//! concern everything on it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tl_connect::client::{Auth, Client, Connection, Exchange, Options, Request, Secret};
use tl_connect::fake::Crm;
use tl_connect::fake::crm::{Fault, On};
use tl_connect::knowledge::{Knowledge, NotSent, Sent};
use tl_engine::clock::{Clock as _, ManualClock};
use tl_engine::desk::DeskError;
use tl_engine::outward::{Connections, Outward};
use tl_engine::tap::{Point, Stopped, Tap};
use tl_engine::tenant::Tenant;
use tl_engine::worker::Worker;
use tl_kernel::decide::{Command, CommandKind, Input, Resolve};
use tl_kernel::effect::EffectState;
use tl_kernel::id::CaseId;
use tl_kernel::journal::Actor;
use tl_kernel::time::{HOUR, MINUTE, SECOND};
use tl_store::contract::EffectRow;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::flows::TO_CRM;
use crate::world::{Plan, START, TENANT, World, client};

const BIG: &str = r#"{"email":"ada@example.com","name":"Ada","size":12}"#;
const PATH: &str = "/leads/ada%40example.com";

/// Conditional writes: E2.
fn versioned() -> String {
    TO_CRM.replace("    idempotency_header: idempotency-key\n", "")
}

/// The vendor honours our key: E1.
pub fn keyed() -> String {
    TO_CRM.replace(
        "optimistic_lock: If-Match",
        "optimistic_lock: last_writer_wins",
    )
}

/// The vendor offers nothing: E4.
pub fn blind(on_unknown: &str) -> String {
    let unknown = format!("on_unknown: {on_unknown}\n");
    keyed().replace("idempotency_header: idempotency-key\n", &unknown)
}

/// The version is in the file: effects are born dispatching.
fn declared() -> String {
    TO_CRM.replace("valid_for: 1d", "base_version: '\"1\"'")
}

fn status(status: u16, retry_after: &str) -> Fault {
    let retry_after = (!retry_after.is_empty()).then(|| retry_after.to_owned());
    Fault::Status {
        status,
        retry_after,
    }
}

/// State, hold and code of the first effect of a case.
async fn stands(w: &World, case: CaseId) -> (EffectState, String, String) {
    let row = first(w, case).await;
    (row.state, row.hold, row.code)
}

async fn first(w: &World, case: CaseId) -> EffectRow {
    let mut rows = w.effects(case).await;
    rows.sort_by_key(|r| r.effect);
    rows.remove(0)
}

fn lead(n: usize) -> String {
    format!(r#"{{"email":"lead{n}@x.example","size":12}}"#)
}

async fn leads(w: &World, numbers: std::ops::Range<usize>) -> Vec<CaseId> {
    let mut cases = Vec::new();
    for n in numbers {
        cases.push(w.case_of(&format!("lead {n}"), &lead(n)).await);
    }
    cases
}

/// One answer to the first write, for each class: where the effect stands then, and where it comes to when the
/// system works again.
#[tokio::test]
async fn each_answer_leads_where_the_table_says() {
    use EffectState::{AwaitingCallback, Failed, Ready, Succeeded, Uncertain};
    let e2 = versioned;
    let e1 = keyed;
    let held = || blind("hold");
    type Row = (
        String,
        Fault,
        (EffectState, &'static str, &'static str),
        EffectState,
    );
    let mut table: Vec<Row> = vec![
        (
            e2(),
            status(401, ""),
            (Ready, "credential", "credential_refused"),
            Succeeded,
        ),
        (
            e1(),
            status(401, ""),
            (Ready, "credential", "credential_refused"),
            Succeeded,
        ),
        (
            held(),
            status(401, ""),
            (Ready, "credential", "credential_refused"),
            Succeeded,
        ),
        (
            e2(),
            status(402, ""),
            (Ready, "permission", "not_permitted"),
            Succeeded,
        ),
        (
            e2(),
            status(403, ""),
            (Ready, "permission", "not_permitted"),
            Succeeded,
        ),
        (
            held(),
            status(403, ""),
            (Ready, "permission", "not_permitted"),
            Succeeded,
        ),
        (
            e2(),
            status(404, ""),
            (Failed, "", "target_missing"),
            Failed,
        ),
        (
            e1(),
            status(404, ""),
            (Failed, "", "target_missing"),
            Failed,
        ),
        (
            e2(),
            status(408, ""),
            (Ready, "retry", "http_408"),
            Succeeded,
        ),
        (
            e1(),
            status(408, ""),
            (Ready, "retry", "http_408"),
            Succeeded,
        ),
        (
            held(),
            status(408, ""),
            (Uncertain, "", "http_408"),
            Uncertain,
        ),
        (
            e2(),
            status(409, ""),
            (Ready, "retry", "not_applied"),
            Succeeded,
        ),
        (held(), status(409, ""), (Failed, "", "conflict"), Failed),
        (
            e2(),
            status(412, ""),
            (Ready, "retry", "not_applied"),
            Succeeded,
        ),
        (e2(), status(413, ""), (Failed, "", "too_large"), Failed),
        (
            e2(),
            status(413, "5"),
            (Ready, "retry", "http_413"),
            Succeeded,
        ),
        (
            held(),
            status(413, "5"),
            (Ready, "retry", "http_413"),
            Succeeded,
        ),
        (
            held(),
            status(423, ""),
            (Ready, "retry", "http_423"),
            Succeeded,
        ),
        (
            held(),
            status(425, ""),
            (Ready, "retry", "http_425"),
            Succeeded,
        ),
        (
            held(),
            status(429, ""),
            (Ready, "retry", "http_429"),
            Succeeded,
        ),
        (
            e2(),
            status(429, "7"),
            (Ready, "retry", "http_429"),
            Succeeded,
        ),
        (
            e2(),
            status(429, "172800"),
            (Ready, "vendor_pause", "retry_after_too_long"),
            EffectState::Expired,
        ),
        (
            e2(),
            status(500, ""),
            (Ready, "retry", "http_500"),
            Succeeded,
        ),
        (
            e1(),
            status(500, ""),
            (Ready, "retry", "http_500"),
            Succeeded,
        ),
        (
            held(),
            status(500, ""),
            (Uncertain, "", "http_500"),
            Uncertain,
        ),
        (
            blind("assume_sent"),
            status(500, ""),
            (Succeeded, "", ""),
            Succeeded,
        ),
        (
            blind("resend"),
            status(500, ""),
            (Ready, "retry", "http_500"),
            Succeeded,
        ),
        (
            e2(),
            status(503, ""),
            (Ready, "retry", "not_seen"),
            Succeeded,
        ),
        (
            e1(),
            status(503, "5"),
            (Ready, "retry", "http_503"),
            Succeeded,
        ),
        (
            held(),
            status(503, "5"),
            (Uncertain, "", "http_503"),
            Uncertain,
        ),
        (
            e2(),
            Fault::StatusAfterApplying(504),
            (Succeeded, "", ""),
            Succeeded,
        ),
        (
            e2(),
            Fault::ResetAfterApplying,
            (Succeeded, "", ""),
            Succeeded,
        ),
        (
            e2(),
            Fault::ResetBeforeApplying,
            (Ready, "retry", "not_seen"),
            Succeeded,
        ),
        (
            e1(),
            Fault::ResetAfterApplying,
            (Ready, "retry", "connection_reset"),
            Succeeded,
        ),
        (
            held(),
            Fault::ResetAfterApplying,
            (Uncertain, "", "connection_reset"),
            Uncertain,
        ),
        (e2(), Fault::HalfAnswer, (Succeeded, "", ""), Succeeded),
        (
            e2(),
            Fault::ErrorIn200,
            (Ready, "retry", "not_seen"),
            Succeeded,
        ),
        (e2(), status(202, ""), (AwaitingCallback, "", ""), Succeeded),
        (
            e2(),
            Fault::StatusAfterApplying(202),
            (AwaitingCallback, "", ""),
            Succeeded,
        ),
        (
            held(),
            status(202, ""),
            (AwaitingCallback, "", ""),
            Uncertain,
        ),
    ];
    for refused in [400, 405, 406, 410, 411, 414, 415, 422, 501] {
        table.push((e2(), status(refused, ""), (Failed, "", "refused"), Failed));
        table.push((e1(), status(refused, ""), (Failed, "", "refused"), Failed));
    }
    for moved in [301, 307, 308] {
        table.push((e2(), status(moved, ""), (Failed, "", "redirected"), Failed));
    }
    for (yaml, fault, stood, came) in table {
        let name = format!(
            "{fault:?} for {}",
            if yaml.contains("If-Match") {
                "E2"
            } else {
                "E1 or E4"
            }
        );
        let dir = tempfile::tempdir().unwrap();
        let mut w = World::new(dir.path(), &yaml).await;
        w.crm.script(On::Writes, fault, 1);
        let case = w.case_of("a", BIG).await;
        w.settle().await.unwrap();
        let (state, hold, code) = stands(&w, case).await;
        assert_eq!((state, &*hold, &*code), stood, "{name}");
        w.settle_for(30).await.unwrap();
        assert_eq!(first(&w, case).await.state, came, "{name}");
        if came == Succeeded {
            assert_eq!(w.state(case).await, "closed", "{name}");
        } else {
            assert!(
                !w.open_tasks(case).await.is_empty(),
                "{name}: a person is asked"
            );
        }
    }
}

/// The read that comes before a write fares like any read: what it says of the connection holds for it too.
#[tokio::test]
async fn the_first_read_follows_the_table() {
    use EffectState::{Failed, Ready};
    let table = [
        (status(401, ""), (Ready, "credential", "credential_refused")),
        (status(403, ""), (Ready, "permission", "not_permitted")),
        (status(405, ""), (Failed, "", "refused")),
        (status(302, ""), (Failed, "", "redirected")),
        (
            status(429, "172800"),
            (Ready, "vendor_pause", "retry_after_too_long"),
        ),
        (status(503, ""), (Ready, "retry", "http_503")),
        (
            Fault::ResetBeforeApplying,
            (Ready, "retry", "connection_reset"),
        ),
        (Fault::NoVersion, (Failed, "", "TL0801")),
    ];
    for (fault, stood) in table {
        let dir = tempfile::tempdir().unwrap();
        let mut w = World::new(dir.path(), &versioned()).await;
        w.crm.edit(PATH, serde_json::Map::new());
        let name = format!("{fault:?}");
        w.crm.script(On::Reads, fault, 1);
        let case = w.case_of("a", BIG).await;
        w.settle().await.unwrap();
        let (state, hold, code) = stands(&w, case).await;
        assert_eq!((state, &*hold, &*code), stood, "{name}");
        assert!(w.crm.ledger().is_empty(), "{name}");
    }
}

/// 404 for a record that was there a moment ago, and other refusals of a write: the record is looked at once more.
#[tokio::test]
async fn a_target_that_is_gone_is_looked_for_once_more() {
    use EffectState::{Failed, Ready, Uncertain};
    let lost = Fault::ResetBeforeApplying;
    let gone = || Some(status(404, ""));
    let bare = || Some(Fault::NoVersion);
    // What the write meets, what the second read meets, whether the vendor knows our key.
    let table = [
        (status(404, ""), None, false, (Ready, "not_applied")),
        (status(404, ""), gone(), false, (Failed, "target_missing")),
        (status(404, ""), gone(), true, (Failed, "target_missing")),
        (status(412, ""), gone(), false, (Failed, "target_missing")),
        (status(412, ""), bare(), false, (Failed, "TL0801")),
        (status(412, ""), bare(), true, (Failed, "TL0801")),
        (lost.clone(), gone(), false, (Uncertain, "conflict")),
        (lost.clone(), bare(), false, (Uncertain, "unclear")),
        (lost, gone(), true, (Ready, "unclear")),
    ];
    for (fault, read, key, stood) in table {
        let dir = tempfile::tempdir().unwrap();
        let yaml = if key { TO_CRM.to_owned() } else { versioned() };
        let mut w = World::new(dir.path(), &yaml).await;
        w.crm.edit(PATH, serde_json::Map::new());
        let name = format!("{fault:?}, then {read:?}, key: {key}");
        w.crm.script(On::Writes, fault, 1);
        if let Some(read) = read {
            w.crm.script(On::Reads, Fault::Delay(Duration::ZERO), 1);
            w.crm.script(On::Reads, read, 1);
        }
        let case = w.case_of("a", BIG).await;
        w.settle().await.unwrap();
        let (state, _, code) = stands(&w, case).await;
        assert_eq!((state, &*code), stood, "{name}");
    }
}

/// The same rule after a crash as after a lost answer.
#[tokio::test]
async fn a_crash_is_resolved_as_the_class_says() {
    use EffectState::{Ready, Succeeded, Uncertain};
    // Where the process dies; what became of the write; where the effect comes to at once, and in the end.
    let table = [
        (versioned(), Point::AfterSend, Succeeded, Succeeded),
        (versioned(), Point::BeforeSend, Succeeded, Succeeded),
        (keyed(), Point::AfterSend, Succeeded, Succeeded),
        (declared(), Point::AfterSend, Succeeded, Succeeded),
        (blind("hold"), Point::AfterSend, Uncertain, Uncertain),
        (blind("assume_sent"), Point::AfterSend, Succeeded, Succeeded),
        (blind("resend"), Point::AfterSend, Ready, Succeeded),
    ];
    for (yaml, point, stood, came) in table {
        let dir = tempfile::tempdir().unwrap();
        let (mut w, case) = crashed(dir.path(), &yaml, point).await;
        w.settle().await.unwrap();
        let name = format!("{point:?} of {yaml}");
        assert_eq!(first(&w, case).await.state, stood, "{name}");
        w.settle_for(6).await.unwrap();
        assert_eq!(first(&w, case).await.state, came, "{name}");
        let writes = 1 + usize::from(yaml.contains("resend"));
        assert_eq!(w.crm.ledger().len(), writes, "{name}");
    }
}

/// Dies at every pass of a port.
struct DiesAt(Point);

impl Tap for DiesAt {
    fn at(&self, point: Point) -> Result<(), Stopped> {
        if point == self.0 {
            Err(Stopped)
        } else {
            Ok(())
        }
    }
}

/// Dies at the port of a number, and at all after it.
struct DiesAfter(AtomicUsize);

impl Tap for DiesAfter {
    fn at(&self, _: Point) -> Result<(), Stopped> {
        let left = self.0.load(Ordering::SeqCst);
        self.0.store(left.saturating_sub(1), Ordering::SeqCst);
        if left == 0 { Err(Stopped) } else { Ok(()) }
    }
}

struct Ground {
    clock: Arc<ManualClock>,
    crm: Arc<Crm>,
}

impl Ground {
    async fn new() -> Ground {
        Ground {
            clock: Arc::new(ManualClock::at(START)),
            crm: Arc::new(Crm::start(([127, 0, 0, 1], 0).into()).await.unwrap()),
        }
    }

    fn open(&self, dir: &std::path::Path, tap: Option<Arc<dyn Tap>>) -> World {
        World::open(Plan {
            dir,
            clock: Arc::clone(&self.clock),
            crm: Arc::clone(&self.crm),
            client: client(),
            tap,
            slots: 8,
            inline: false,
        })
    }
}

/// A world whose process died while the first attempt was at a port, opened again.
async fn crashed(dir: &std::path::Path, yaml: &str, point: Point) -> (World, CaseId) {
    let ground = Ground::new().await;
    if yaml.contains("base_version") {
        ground.crm.edit(PATH, serde_json::Map::new());
    }
    let mut w = ground.open(dir, Some(Arc::new(DiesAt(point))));
    w.deploy(yaml).await;
    let case = w.case_of("a", BIG).await;
    assert!(matches!(w.settle().await, Err(DeskError::Stopped(_))));
    drop(w);
    (ground.open(dir, None), case)
}

#[tokio::test]
async fn what_kills_the_process_three_times_is_dead() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new().await;
    let mut case = None;
    for crash in 1..=3 {
        let mut w = ground.open(dir.path(), Some(Arc::new(DiesAt(Point::BeforeSend))));
        if crash == 1 {
            w.deploy(TO_CRM).await;
            case = Some(w.case_of("a", BIG).await);
        }
        assert!(
            matches!(w.settle().await, Err(DeskError::Stopped(_))),
            "crash {crash}"
        );
    }
    let mut w = ground.open(dir.path(), None);
    w.settle_for(3).await.unwrap();
    let (state, _, code) = stands(&w, case.unwrap()).await;
    assert_eq!((state, &*code), (EffectState::Dead, "poison"));
    assert!(
        ground.crm.requests().is_empty(),
        "it was not tried a fourth time"
    );
    assert_eq!(w.open_tasks(case.unwrap()).await.len(), 1);
}

/// Panics before every send.
struct Panics;

impl Tap for Panics {
    fn at(&self, point: Point) -> Result<(), Stopped> {
        assert_ne!(point, Point::BeforeSend, "a planted panic");
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_counts_like_the_death_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new().await;
    let w = ground.open(dir.path(), Some(Arc::new(Panics)));
    w.deploy(TO_CRM).await;
    let case = w.case_of("a", BIG).await;
    let stop = CancellationToken::new();
    let (_handoff, queue) = mpsc::unbounded_channel();
    let run = tokio::spawn(w.worker.clone().run(queue, stop.clone()));
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let row = first(&w, case).await;
        if row.state == EffectState::Dead {
            assert_eq!(row.code, "poison");
            break;
        }
        let stands = (row.state.word(), row.crashes);
        assert!(Instant::now() < end, "{stands:?}");
        if row.state == EffectState::Dispatching {
            ground.clock.advance(31 * SECOND);
        }
        w.desk.nudge();
        tokio::task::yield_now().await;
    }
    stop.cancel();
    run.await.unwrap();
}

#[tokio::test]
async fn a_backlog_grows_older_while_its_effects_wait_for_a_slot() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new().await;
    ground
        .crm
        .script(On::All, Fault::Delay(Duration::from_secs(600)), u32::MAX);
    let w = World::open(Plan {
        dir: dir.path(),
        clock: Arc::clone(&ground.clock),
        crm: Arc::clone(&ground.crm),
        client: client(),
        tap: None,
        slots: 1,
        inline: false,
    });
    w.deploy(TO_CRM).await;
    leads(&w, 0..4).await;
    let stop = CancellationToken::new();
    let (_handoff, queue) = mpsc::unbounded_channel();
    let run = tokio::spawn(w.worker.clone().run(queue, stop));
    let end = Instant::now() + Duration::from_secs(60);
    // Each look finds the same effects waiting; only the first asks the store for them.
    for passed in [0, 11, 30] {
        ground.clock.advance(passed * SECOND);
        let age = ground.clock.now() - START;
        while w.desk.backlog_age(TENANT) != age || ground.crm.requests().is_empty() {
            assert!(
                Instant::now() < end,
                "{} of {age}",
                w.desk.backlog_age(TENANT)
            );
            w.desk.nudge();
            tokio::task::yield_now().await;
        }
    }
    run.abort();
}

#[tokio::test]
async fn a_look_up_that_kills_the_process_three_times_is_left_to_a_person() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new().await;
    let mut w = ground.open(dir.path(), Some(Arc::new(DiesAt(Point::AfterSend))));
    w.deploy(TO_CRM).await;
    let case = w.case_of("a", BIG).await;
    assert!(w.settle().await.is_err());
    let mut looks = 0;
    loop {
        ground.clock.advance(MINUTE);
        // The look-up is counted (two ports), then the process dies before what it found is kept.
        let recovers = usize::from(looks == 0) * 2;
        let tap = DiesAfter(AtomicUsize::new(recovers + 2));
        let mut w = ground.open(dir.path(), Some(Arc::new(tap)));
        let before = ground.crm.requests().len();
        let _ = w.settle().await;
        if ground.crm.requests().len() == before {
            break;
        }
        looks += 1;
        assert!(looks < 5, "it would go on for ever");
    }
    assert_eq!(looks, 2, "a crash of the attempt and two of the look-up");
    let mut w = ground.open(dir.path(), None);
    w.settle().await.unwrap();
    let (state, _, code) = stands(&w, case).await;
    assert_eq!((state, &*code), (EffectState::Uncertain, "poison"));
    assert_eq!(w.open_tasks(case).await.len(), 1);
}

#[tokio::test]
async fn a_system_that_fails_is_left_alone_and_comes_back_slowly() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.crm.script(On::All, status(503, ""), u32::MAX);
    let cases = leads(&w, 0..40).await;
    w.settle().await.unwrap();
    assert_eq!(
        w.crm.requests().len(),
        20,
        "the twentieth failure opens the breaker"
    );
    let mut held = 0;
    for case in &cases {
        let row = first(&w, *case).await;
        match row.hold.as_str() {
            "breaker" => {
                held += 1;
                assert_eq!(
                    (row.state, row.attempt),
                    (EffectState::Ready, 0),
                    "no attempt is used up"
                );
            }
            "retry" => assert_eq!(row.attempt, 1),
            other => panic!("{other}"),
        }
    }
    assert_eq!(held, 20);
    for _ in 0..30 {
        w.clock.advance(SECOND);
        w.settle().await.unwrap();
    }
    let probes = w.crm.requests().len() - 20;
    assert!((25..=30).contains(&probes), "one a second: {probes}");
    w.crm.heal();
    let mut seconds = 0;
    while w.crm.ledger().len() < cases.len() {
        w.clock.advance(SECOND);
        w.settle().await.unwrap();
        seconds += 1;
        assert!(seconds < 300, "{} of {}", w.crm.ledger().len(), cases.len());
    }
    for case in cases {
        assert_eq!(w.state(case).await, "closed");
    }
}

/// An attempt reads, writes, and reads again: it counts once, as what its write came to.
#[tokio::test]
async fn a_system_that_reads_and_does_not_write_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.crm.script(On::Writes, status(503, ""), u32::MAX);
    leads(&w, 0..30).await;
    w.settle().await.unwrap();
    assert_eq!(w.crm.requests().len(), 3 * 20);
}

#[tokio::test]
async fn retries_wait_for_their_budget() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.crm.script(On::Writes, status(423, ""), 100);
    let cases = leads(&w, 0..100).await;
    w.settle().await.unwrap();
    w.clock.advance(3 * SECOND);
    w.settle().await.unwrap();
    assert_eq!(w.crm.ledger().len(), 60, "a minute's worth of one a second");
    let (mut waiting, mut one) = (0, None);
    for case in &cases {
        let row = first(&w, *case).await;
        if row.hold == "retry_budget" {
            waiting += 1;
            one = Some(row.clone());
            assert_eq!((row.attempt, row.code.as_str()), (1, "http_423"));
        }
    }
    assert_eq!(waiting, 40);
    assert!(one.unwrap().due > w.desk.now());
    // First attempts go as before.
    let fresh = w.case_of("fresh", BIG).await;
    w.settle().await.unwrap();
    assert_eq!(w.state(fresh).await, "closed");
    for _ in 0..150 {
        w.clock.advance(SECOND);
        w.settle().await.unwrap();
    }
    assert_eq!(w.crm.ledger().len(), 101);
}

/// A process that dies with much on its way is no vendor that fails.
#[tokio::test]
async fn what_a_crash_left_behind_needs_no_budget() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new().await;
    let mut w = ground.open(dir.path(), Some(Arc::new(DiesAt(Point::BeforeSend))));
    w.deploy(TO_CRM).await;
    leads(&w, 0..100).await;
    while w.settle().await.is_err() {}
    drop(w);
    assert_eq!(ground.crm.ledger().len(), 0);
    let mut w = ground.open(dir.path(), None);
    w.settle().await.unwrap();
    assert_eq!(ground.crm.ledger().len(), 100);
}

#[tokio::test]
async fn what_people_send_again_in_bulk_is_rationed() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.crm.script(On::Writes, status(400, ""), 80);
    let cases = leads(&w, 0..80).await;
    w.settle().await.unwrap();
    for case in &cases {
        let n = first(&w, *case).await.effect.n;
        let again = Command {
            by: Actor::Person("anna".into()),
            reason: "vendor_fixed".into(),
            what: CommandKind::Resolve {
                n,
                how: Resolve::SendAgain,
            },
        };
        let done = w
            .desk
            .advance((TENANT, *case), Input::Command(again), Vec::new(), None);
        done.await.unwrap();
    }
    w.clock.advance(SECOND);
    w.settle().await.unwrap();
    assert_eq!(w.crm.ledger().len(), 60);
    w.settle_for(2).await.unwrap();
    assert_eq!(w.crm.ledger().len(), 80);
}

#[tokio::test]
async fn too_many_requests_holds_everybody_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    w.crm.script(On::Writes, status(429, "30"), 1);
    let cases = leads(&w, 0..5).await;
    w.settle().await.unwrap();
    assert_eq!(
        w.crm.requests().len(),
        2,
        "the first read and the write that was too many"
    );
    for case in &cases[1..] {
        let row = first(&w, *case).await;
        assert_eq!((row.hold.as_str(), row.attempt), ("throttled", 0));
    }
    w.clock.advance(29 * SECOND);
    w.settle().await.unwrap();
    assert_eq!(w.crm.requests().len(), 2);
    w.clock.advance(MINUTE);
    w.settle().await.unwrap();
    assert_eq!(w.crm.ledger().len(), 5);
}

#[tokio::test]
async fn what_is_not_permitted_stops_its_connection() {
    for (yaml, attempt) in [(TO_CRM.to_owned(), 0), (declared(), 0)] {
        let dir = tempfile::tempdir().unwrap();
        let mut w = World::new(dir.path(), &yaml).await;
        for n in 0..5 {
            w.crm.edit(
                &format!("/leads/lead{n}%40x.example"),
                serde_json::Map::new(),
            );
        }
        w.crm.script(On::Writes, status(403, ""), 2);
        let one = w.case_of("lead 0", &lead(0)).await;
        w.settle().await.unwrap();
        assert_eq!(stands(&w, one).await.1, "permission");
        let asked = w.crm.requests().len();
        let others = leads(&w, 1..5).await;
        w.settle().await.unwrap();
        assert_eq!(w.crm.requests().len(), asked, "nothing goes");
        for case in &others {
            let row = first(&w, *case).await;
            let stood = (row.state, row.hold.as_str(), row.attempt);
            assert_eq!(stood, (EffectState::Ready, "permission", attempt));
        }
        // The first look is refused too; the second finds that it is mended.
        for _ in 0..10 {
            w.clock.advance(MINUTE);
            w.settle().await.unwrap();
        }
        assert_eq!(w.crm.ledger().len(), 5);
        let writes = w
            .crm
            .requests()
            .iter()
            .filter(|r| r.method != "GET")
            .count();
        assert_eq!(writes, 7, "two were refused");
    }
}

#[tokio::test]
async fn refusals_of_the_credential_never_use_an_effect_up() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = TO_CRM.replace("valid_for: 1d", "valid_for: 30d");
    let mut w = World::new(dir.path(), &yaml).await;
    w.crm.script(On::All, status(401, ""), 40);
    let case = w.case_of("a", BIG).await;
    w.settle_for(39).await.unwrap();
    assert_eq!(stands(&w, case).await.0, EffectState::Ready);
    assert!(first(&w, case).await.attempt > 16);
    w.settle_for(5).await.unwrap();
    assert_eq!(w.state(case).await, "closed");
}

#[tokio::test]
async fn an_effect_is_given_up_after_its_last_attempt() {
    // With an outcome that is known, it is dead; else a person is asked what became of it.
    let table = [
        (blind("resend"), status(423, ""), EffectState::Dead),
        (versioned(), Fault::ResetBeforeApplying, EffectState::Dead),
        (keyed(), status(500, ""), EffectState::Uncertain),
    ];
    for (yaml, fault, came) in table {
        let dir = tempfile::tempdir().unwrap();
        let yaml = yaml.replace("valid_for: 1d", "valid_for: 30d");
        let mut w = World::new(dir.path(), &yaml).await;
        let name = format!("{fault:?}");
        w.crm.script(On::Writes, fault, u32::MAX);
        let case = w.case_of("a", BIG).await;
        w.settle_for(18).await.unwrap();
        let row = first(&w, case).await;
        assert_eq!((row.state, row.attempt), (came, 16), "{name}");
        assert_eq!(w.open_tasks(case).await.len(), 1, "{name}");
    }
}

/// What was perhaps sent is never said not to have been: nobody would plan it a second time then.
#[tokio::test]
async fn what_may_have_happened_does_not_end_as_if_it_had_not() {
    use EffectState::{Cancelled, Expired, Uncertain};
    let lost = || Fault::ResetAfterApplying;
    // What the first attempt met, and the switch that stands until its time has passed or that ends it.
    let table = [
        (keyed(), lost(), "hold", (Uncertain, "in_doubt")),
        (keyed(), lost(), "cancel", (Uncertain, "in_doubt")),
        (blind("resend"), lost(), "hold", (Uncertain, "in_doubt")),
        (keyed(), status(429, ""), "hold", (Expired, "expired")),
        (
            keyed(),
            status(423, ""),
            "cancel",
            (Cancelled, "kill:everything"),
        ),
        (
            versioned(),
            Fault::ResetBeforeApplying,
            "hold",
            (Expired, "expired"),
        ),
    ];
    for (yaml, fault, mode, came) in table {
        let dir = tempfile::tempdir().unwrap();
        let mut w = World::new(dir.path(), &yaml).await;
        let name = format!("{fault:?}, {mode}");
        w.crm.script(On::Writes, fault, 1);
        let case = w.case_of("a", BIG).await;
        w.settle().await.unwrap();
        w.switch("everything", Some(mode)).await;
        w.settle_for(30).await.unwrap();
        let (state, _, code) = stands(&w, case).await;
        assert_eq!((state, &*code), came, "{name}");
        assert!(!w.open_tasks(case).await.is_empty(), "{name}");
    }
}

/// A vendor forgets keys: what may have happened is not repeated after that.
#[tokio::test]
async fn a_key_is_trusted_for_its_time_alone() {
    for (hours, came, writes) in [
        (19, EffectState::Succeeded, 1),
        (20, EffectState::Uncertain, 1),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut w = World::new(dir.path(), &keyed()).await;
        w.crm.script(On::Writes, Fault::ResetAfterApplying, 1);
        let case = w.case_of("a", BIG).await;
        w.settle().await.unwrap();
        assert_eq!(stands(&w, case).await.2, "connection_reset");
        w.switch("everything", Some("hold")).await;
        w.clock.advance(hours * HOUR);
        w.settle().await.unwrap();
        w.switch("everything", None).await;
        w.clock.advance(10 * SECOND);
        w.settle().await.unwrap();
        assert_eq!(first(&w, case).await.state, came, "after {hours} hours");
        assert_eq!(w.crm.ledger().len(), writes, "after {hours} hours");
    }
}

/// Nothing ever connects.
#[derive(Debug)]
struct Closed(NotSent);

impl Exchange for Closed {
    fn exchange(
        &self,
        _: &Connection,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Sent> + Send>> {
        let sent = Sent {
            knowledge: Knowledge::NotSent(self.0),
            took: Duration::ZERO,
            body_bytes: request.body.map_or(0, |b| b.len()),
        };
        Box::pin(async move { sent })
    }
}

#[tokio::test]
async fn what_never_connects_is_tried_as_often_as_it_is_worth() {
    use EffectState::{Failed, Ready};
    let table = [
        (NotSent::Certificate, (Failed, 3, "tls_certificate")),
        (NotSent::Target, (Failed, 1, "target_refused")),
        (NotSent::Request, (Failed, 1, "request_invalid")),
        (NotSent::Dns, (Ready, 8, "dns_failed")),
        (NotSent::Refused, (Ready, 8, "connect_refused")),
        (NotSent::Tls, (Ready, 8, "tls_failed")),
    ];
    for (why, stood) in table {
        for yaml in [versioned(), keyed()] {
            let dir = tempfile::tempdir().unwrap();
            let mut w = World::new(dir.path(), &yaml).await;
            let outward = Outward {
                client: Client::over(Arc::new(Closed(why))),
                connections: Switchable::new(&w.crm.base_url(), ""),
            };
            w.worker = Worker::new(w.desk.clone(), outward);
            let case = w.case_of("a", BIG).await;
            w.settle_for(7).await.unwrap();
            let row = first(&w, case).await;
            let stands = (row.state, row.attempt, row.code.as_str());
            assert_eq!(stands, stood, "{why:?}");
        }
    }
}

/// A connection whose secret and address a test can change.
struct Switchable {
    base_url: Mutex<String>,
    known: Mutex<Arc<Connection>>,
    stored: Mutex<String>,
}

impl Switchable {
    fn new(base_url: &str, secret: &str) -> Arc<Switchable> {
        Arc::new(Switchable {
            base_url: Mutex::new(base_url.into()),
            known: Mutex::new(Switchable::connection(base_url, secret)),
            stored: Mutex::new(secret.into()),
        })
    }

    fn connection(base_url: &str, secret: &str) -> Arc<Connection> {
        let auth = match secret {
            "" => Auth::None,
            secret => Auth::Bearer(Secret::new(secret)),
        };
        Arc::new(Connection::new("crm", base_url, &auth, true).unwrap())
    }
}

impl Connections for Switchable {
    fn find(&self, _: &Tenant, _: &str, _: &str) -> Result<Arc<Connection>, String> {
        Ok(Arc::clone(&self.known.lock().unwrap()))
    }

    fn renew(&self, _: &Tenant, _: &str, _: &str) -> Result<Arc<Connection>, String> {
        let fresh =
            Switchable::connection(&self.base_url.lock().unwrap(), &self.stored.lock().unwrap());
        *self.known.lock().unwrap() = Arc::clone(&fresh);
        Ok(fresh)
    }

    fn model(&self, _: &Tenant, _: &str, _: &str) -> Option<String> {
        None
    }
}

fn worker(w: &World, to: &Arc<Switchable>) -> Worker {
    let connections: Arc<dyn Connections> = Arc::clone(to) as _;
    let outward = Outward {
        client: Client::new(&Options::default()).unwrap(),
        connections,
    };
    Worker::new(w.desk.clone(), outward)
}

#[tokio::test]
async fn a_rotated_credential_is_read_again_and_tried_at_once() {
    // Whether a newer credential lies there; requests of the attempt; whether it stops the connection.
    for (newer, requests, hold) in [("second", 3, ""), ("first", 1, "credential")] {
        let dir = tempfile::tempdir().unwrap();
        let mut w = World::new(dir.path(), TO_CRM).await;
        let to = Switchable::new(&w.crm.base_url(), "first");
        *to.stored.lock().unwrap() = newer.into();
        w.worker = worker(&w, &to);
        w.crm.script(On::All, status(401, ""), 1);
        let case = w.case_of("a", BIG).await;
        w.settle().await.unwrap();
        assert_eq!(w.crm.requests().len(), requests, "{newer}");
        assert_eq!(stands(&w, case).await.1, hold, "{newer}");
        let last = w.crm.requests().pop().unwrap();
        assert_eq!(
            last.header("authorization"),
            Some(&*format!("Bearer {newer}"))
        );
    }
}

#[tokio::test]
async fn a_credential_that_was_mended_goes_with_the_next_look_of_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let to = Switchable::new(&w.crm.base_url(), "first");
    w.worker = worker(&w, &to);
    w.crm.script(On::All, status(401, ""), 3);
    let one = w.case_of("a", BIG).await;
    w.settle().await.unwrap();
    // Refused again and again: the next look is minutes away.
    for _ in 0..5 {
        w.clock.advance(MINUTE);
        w.settle().await.unwrap();
    }
    assert_eq!(stands(&w, one).await.1, "credential");
    let asked = w.crm.requests().len();
    assert_eq!(asked, 3);
    *to.known.lock().unwrap() = Switchable::connection(&w.crm.base_url(), "second");
    w.clock.advance(MINUTE);
    w.settle().await.unwrap();
    assert_eq!(w.state(one).await, "closed");
}

#[tokio::test]
async fn the_series_show_how_a_connection_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(dir.path(), TO_CRM).await;
    let mut registry = prometheus_client::registry::Registry::with_prefix("throughline");
    w.desk.telemetry().register(&mut registry);
    let shows = |line: &str| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains(line), "{line} in\n{text}");
    };
    let stopped = |why: &str, is: u8| {
        format!(
            "throughline_connection_stopped{{tenant=\"1\",connection=\"crm\",why=\"{why}\"}} {is}\n"
        )
    };
    let waiting = |why: &str, n: u8| {
        format!(
            "throughline_connection_waiting{{tenant=\"1\",connection=\"crm\",why=\"{why}\"}} {n}\n"
        )
    };
    w.crm.script(On::All, status(403, ""), 1);
    let cases = leads(&w, 0..4).await;
    w.settle().await.unwrap();
    shows(&stopped("permission", 1));
    shows(&stopped("breaker", 0));
    shows(&waiting("permission", 3));
    // A case that is closed by a person waits no more, though nobody asks about its effect again.
    let close = Command {
        by: Actor::Person("anna".into()),
        reason: "done_by_hand".into(),
        what: CommandKind::Close,
    };
    let closed = w
        .desk
        .advance((TENANT, cases[3]), Input::Command(close), Vec::new(), None);
    closed.await.unwrap();
    for _ in 0..8 {
        w.clock.advance(MINUTE);
        w.settle().await.unwrap();
    }
    assert_eq!(w.crm.ledger().len(), 3);
    shows(&stopped("permission", 0));
    shows(&waiting("permission", 0));
}
