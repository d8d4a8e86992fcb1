//! What is PostgreSQL's own: several nodes, lost connections, row-level security.

use std::thread;

use tl_kernel::effect::EffectState::{Dispatching, Ready};
use tl_store::{
    Backend, Guard, Location, OpenError, Options, Query, Refused, Reply, Row, Store, Unit,
};

use super::build::*;
use super::postgres::{Database, Sql};

macro_rules! database {
    () => {
        match Database::fresh() {
            Some(database) => database,
            None => return,
        }
    };
}

fn passed(backend: &mut Backend, units: Vec<Unit>) -> Vec<bool> {
    backend.commit(units).iter().map(Result::is_ok).collect()
}

fn one(backend: &mut Backend, unit: Unit) -> Result<(), Refused> {
    backend.commit(vec![unit]).remove(0).map(|_| ())
}

/// Waits until so many sessions of the database wait for a lock.
fn until_waiting(sql: &Sql, wanted: i64) {
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database()";
    while sql.number(waiting) < wanted {
        thread::yield_now();
    }
}

#[test]
fn a_text_that_the_database_refuses_harms_its_unit_alone() {
    let database = database!();
    let mut backend = database.node(1);
    for bad in [0, 4, 7] {
        let group = (0..8)
            .map(|i| {
                let mut turn = turn(100 * (bad + 1) + i, 1);
                if i == bad {
                    turn.head.owner = "sa\0les".into();
                }
                turn_unit(turn)
            })
            .collect();
        let wanted: Vec<bool> = (0..8).map(|i| i != bad).collect();
        assert_eq!(passed(&mut backend, group), wanted);
    }
    assert_eq!(backend.integrity().unwrap(), "ok");
}

#[test]
fn two_nodes_race_for_the_same_keys_and_one_wins_each() {
    const RACES: u64 = 300;
    let database = database!();
    let run = |node: u32| {
        let mut backend = database.node(node);
        move || {
            let mut won = Vec::new();
            for slice in 0..RACES / 10 {
                let races: Vec<u64> = (slice * 10..(slice + 1) * 10).collect();
                let units = races.iter().map(|race| {
                    let keys = [format!("race {race}"), format!("hash {race}")];
                    admission(race * 2 + u64::from(node), &[&keys[0], &keys[1]])
                });
                for (race, answer) in races.iter().zip(backend.commit(units.collect())) {
                    match answer {
                        Ok(_) => won.push(*race),
                        Err(Refused::Duplicate { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            won
        }
    };
    let (mut first, second) = (run(1), run(2));
    let second = thread::spawn(second);
    let mut won = first();
    won.extend(second.join().unwrap());
    won.sort_unstable();
    assert_eq!(won, (0..RACES).collect::<Vec<_>>());
    let backend = database.node(3);
    let stats = backend.reader().stats(0).unwrap();
    assert_eq!((stats.events, stats.turns), (RACES, RACES));
    assert_eq!(
        backend
            .reader()
            .turns((0, 1_000), None, true)
            .unwrap()
            .len(),
        300
    );
}

#[test]
fn a_session_that_is_killed_before_its_commit_is_run_again() {
    let database = database!();
    let (blocker, admin) = (database.sql(), database.sql());
    let mut backend = database.node(1);
    one(&mut backend, turn_unit(turn(1, 1))).unwrap();
    blocker
        .run("BEGIN; LOCK TABLE turn_body IN EXCLUSIVE MODE")
        .unwrap();
    let group = thread::spawn(move || {
        let answer = one(&mut backend, turn_unit(turn(1, 2)));
        (backend, answer)
    });
    until_waiting(&admin, 1);
    let kill = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                AND datname = current_database()";
    assert_eq!(admin.number(kill), 1);
    blocker.run("COMMIT").unwrap();
    let (mut backend, answer) = group.join().unwrap();
    assert_eq!(answer, Ok(()));
    one(&mut backend, turn_unit(turn(1, 3))).unwrap();
    assert_eq!(admin.number("SELECT COUNT(*) FROM turn"), 3);
}

/// Between two groups and between two questions a lost connection is replaced without anybody noticing.
#[test]
fn a_session_that_is_killed_while_idle_is_replaced() {
    let database = database!();
    let admin = database.sql();
    let mut backend = database.node(1);
    let kill = "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
                WHERE pid <> pg_backend_pid() AND datname = current_database()";
    for seq in 1..4 {
        one(&mut backend, turn_unit(turn(1, seq))).unwrap();
        assert_eq!(admin.number(kill), 1);
    }
    assert!(backend.heartbeat().unwrap().held);
    assert_eq!(admin.number(kill), 1);
    let journal = backend.reader().journal(T1, case_id(1)).unwrap();
    assert_eq!(journal.len(), 3);
    assert_eq!(admin.number(kill), 1);
    assert_eq!(backend.reader().gate(T1).unwrap().tenant_epoch, 0);
}

#[test]
fn a_dispatch_waits_for_a_switch_and_sees_it() {
    let database = database!();
    let (operator, admin) = (database.sql(), database.sql());
    let mut backend = database.node(1);
    one(&mut backend, turn_unit(turn(1, 1).plan(1, Ready, 0))).unwrap();
    let dispatch = || Unit {
        guards: vec![Guard::GateAt {
            tenant: 0,
            installation: 0,
        }],
        ..change_unit(change(effect_id(1, 1), (Ready, 0), Dispatching))
    };
    // A gate row that nobody has written yet is locked all the same.
    operator
        .run("INSERT INTO gate VALUES (1, 0) ON CONFLICT DO NOTHING; BEGIN; UPDATE gate SET epoch = 1 WHERE tenant = 1")
        .unwrap();
    let group = thread::spawn(move || {
        let answer = one(&mut backend, dispatch());
        (backend, answer)
    });
    until_waiting(&admin, 1);
    operator.run("COMMIT").unwrap();
    let (backend, answer) = group.join().unwrap();
    assert_eq!(answer, Err(Refused::GateMoved));
    let effect = backend.reader().effect(T1, effect_id(1, 1)).unwrap();
    assert_eq!(effect.unwrap().state, Ready);
}

#[test]
fn a_switch_waits_for_dispatches_in_flight() {
    let database = database!();
    let (blocker, admin) = (database.sql(), database.sql());
    let mut backend = database.node(1);
    let mut guest = database.open(&Options {
        node: None,
        ..Options::default()
    });
    blocker
        .run("BEGIN; LOCK TABLE turn_body IN EXCLUSIVE MODE")
        .unwrap();
    let dispatch = thread::spawn(move || {
        let mut unit = turn_unit(turn(1, 1).plan(1, Dispatching, 0));
        unit.guards = vec![Guard::GateAt {
            tenant: 0,
            installation: 0,
        }];
        one(&mut backend, unit)
    });
    until_waiting(&admin, 1);
    let flag = Row::Flag {
        name: "ai".into(),
        value: Some(false),
    };
    let switch = thread::spawn(move || {
        let rows = vec![flag];
        one(&mut guest, Unit { rows, ..unit() })
    });
    until_waiting(&admin, 2);
    blocker.run("COMMIT").unwrap();
    assert_eq!(dispatch.join().unwrap(), Ok(()));
    assert_eq!(switch.join().unwrap(), Ok(()));
}

#[test]
fn payload_shows_to_its_tenant_alone() {
    let database = database!();
    let mut backend = database.node(1);
    one(&mut backend, admission(1, &["a"])).unwrap();
    let sql = database.sql();
    sql.run("SET ROLE throughline").unwrap();
    for (tenants, bodies) in [("", 0), ("2", 0), ("1", 1), ("2,1", 1)] {
        sql.run(&format!("SET tl.tenants = '{tenants}'")).unwrap();
        for table in ["event_body", "turn_body"] {
            let seen = sql.number(&format!("SELECT COUNT(*) FROM {table}"));
            assert_eq!(seen, bodies, "{table} to {tenants}");
        }
    }
    for forbidden in [
        "UPDATE turn SET head = ''",
        "DELETE FROM turn",
        "UPDATE turn_body SET body = ''",
        "INSERT INTO event_body (ord, tenant, content_type, payload) VALUES (9, 3, '', '')",
        "ALTER TABLE event_body DISABLE ROW LEVEL SECURITY",
    ] {
        assert!(sql.run(forbidden).is_err(), "{forbidden}");
    }
    let owner = database.sql();
    assert!(owner.run("DELETE FROM turn").is_err());
    // Whoever switches it off is noticed when the next process starts.
    owner
        .run("ALTER TABLE effect_body DISABLE ROW LEVEL SECURITY")
        .unwrap();
    let refused = Backend::open_at(&database.location(), &Options::default()).unwrap_err();
    assert!(matches!(refused, OpenError::Exposed { .. }), "{refused}");
    assert!(!format!("{refused}").contains("postgres://"));
}

#[test]
fn positions_go_on_in_a_restored_copy() {
    let database = database!();
    let mut backend = database.node(1);
    one(&mut backend, turn_unit(turn(1, 1))).unwrap();
    // As if the copy's transaction ids had begun long before those of the original.
    let sql = database.sql();
    sql.run(
        "ALTER TABLE turn DISABLE TRIGGER ALL; UPDATE turn SET ord = ord + (1::bigint << 40); \
         ALTER TABLE turn ENABLE TRIGGER ALL",
    )
    .unwrap();
    let mut backend = database.node(1);
    one(&mut backend, turn_unit(turn(1, 2))).unwrap();
    let turns = backend.reader().turns((0, 9), None, false).unwrap();
    assert_eq!(turns.iter().map(|t| t.3.seq).collect::<Vec<_>>(), [1, 2]);
    assert!(turns[0].0 > 1 << 40);
}

#[test]
fn the_facade_hears_of_other_nodes() {
    let database = database!();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(two_facades(&database));
}

async fn two_facades(database: &Database) {
    let open = |node| {
        let options = Options {
            node: Some(node),
            ..Options::default()
        };
        Store::open_at(&database.location(), &options).unwrap()
    };
    let (one, two) = (open(1), open(2));
    assert_eq!((one.node(), two.node()), (1, 2));
    let mut woken = two.groups();
    woken.mark_unchanged();
    // A notification that comes before the other side listens is lost: that is what looking again is for.
    let mut n = 0;
    loop {
        n += 1;
        one.commit(admission(n, &[])).await.unwrap();
        let waited = std::time::Duration::from_millis(500);
        if tokio::time::timeout(waited, woken.changed()).await.is_ok() {
            break;
        }
        assert!(n < 60, "nobody was woken");
    }
    assert_eq!(two.committed_group(), 0);
    assert_eq!(two.case(T1, case_id(n)).await.unwrap().unwrap().seq, 1);
    assert!(two.heartbeat().await.unwrap().held);
    assert!(two.lapse_others().await.unwrap().is_empty());
    one.close().await.unwrap();
    two.close().await.unwrap();
    assert_eq!(one.lapse_others().await, Err(tl_store::StoreError::Closed));
}

#[test]
fn an_address_is_told_from_a_path_and_hides_its_password() {
    for (text, server) in [
        ("postgres://tl:secret@db/tl", true),
        ("postgresql://db/tl", true),
        ("/var/lib/throughline/tl.db", false),
        ("tl.db", false),
    ] {
        let location: Location = text.parse().unwrap();
        assert_eq!(matches!(location, Location::Postgres(_)), server, "{text}");
        assert!(!format!("{location:?}").contains("secret"));
    }
    let nowhere: Location = "postgres://tl@/tl?host=/nowhere".parse().unwrap();
    let refused = Backend::open_at(&nowhere, &Options::default()).unwrap_err();
    assert!(refused.to_string().starts_with("TL0618"), "{refused}");
}

/// Two nodes on one file, each without threads: what one commits the other sees, and epochs are their own.
#[test]
fn two_inline_stores_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::File(dir.path().join("tl.db"));
    let open = |node| {
        let options = Options {
            node: Some(node),
            ..Options::default()
        };
        Store::inline(&location, &options).unwrap()
    };
    let (one, two) = (open(1), open(0));
    assert_eq!((two.node(), two.epoch()), (2, 1));
    for n in 1..=20 {
        one.commit_blocking(admission(2 * n, &[&format!("k{n}")]))
            .unwrap();
        let twin = two.commit_blocking(admission(2 * n + 1, &[&format!("k{n}")]));
        assert!(matches!(twin, Err(Refused::Duplicate { .. })), "{twin:?}");
        let Ok(Reply::Case(Some(_))) = two.query_blocking(Query::Case(T1, case_id(2 * n))) else {
            panic!("not seen");
        };
    }
    assert_eq!((one.committed_group(), two.committed_group()), (20, 20));
    let again = open(1);
    assert_eq!((again.epoch(), two.epoch()), (2, 1));
    let lease = futures_now(two.heartbeat()).unwrap();
    assert!(lease.held);
    futures_now(two.close()).unwrap();
    assert!(two.commit_blocking(unit()).is_err());
}

/// A future that is ready at once.
fn futures_now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("an inline store made somebody wait"),
    }
}

/// What is counted must be exact: the uses of a limit are rows, and two nodes that reach for the same one meet in it.
#[test]
fn nodes_that_race_for_a_limit_together_keep_to_it() {
    const CONTACTS: u32 = 40;
    const USES: u32 = 3;
    let database = database!();
    let run = |node: u32| {
        let mut backend = database.node(node);
        move || {
            let mut won = 0;
            for contact in 0..CONTACTS {
                // Each node tries as often as the limit allows altogether.
                for case in 0..USES {
                    let case = u64::from((contact * USES + case) * 2 + node);
                    let taken = (1..=USES).any(|n| {
                        let slot = Guard::Slot {
                            action: "ack".into(),
                            subject: digest(&format!("contact {contact}")),
                            window: 0,
                            n,
                        };
                        let unit = Unit {
                            guards: vec![slot],
                            ..turn_unit(turn(case, 1))
                        };
                        match one(&mut backend, unit) {
                            Ok(()) => true,
                            Err(Refused::SlotTaken) => false,
                            Err(other) => panic!("{other}"),
                        }
                    });
                    won += u32::from(taken);
                }
            }
            won
        }
    };
    let (mut first, second) = (run(1), run(2));
    let second = thread::spawn(second);
    let won = first() + second.join().unwrap();
    assert_eq!(won, CONTACTS * USES);
    let turns = database.sql().number("SELECT COUNT(*) FROM turn");
    assert_eq!(turns, i64::from(won));
}

/// What the server cannot do now is nobody's fault and may be sent again; what it refuses is the unit's own.
#[test]
fn a_server_that_cannot_write_is_told_from_a_unit_that_cannot_be_written() {
    let table = [
        ("53100", "its disk is full", false),
        ("53200", "it has no memory", false),
        ("58030", "its disk fails", false),
        ("XX001", "a page is damaged", false),
        ("55P03", "a lock is not had", false),
        ("22003", "a number is too large", true),
        ("23514", "a check fails", true),
    ];
    let database = database!();
    let sql = database.sql();
    let mut backend = database.node(1);
    let trouble = |code: &str| {
        format!(
            "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.owner = 'trouble' THEN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER trouble BEFORE INSERT ON case_head FOR EACH ROW EXECUTE FUNCTION trouble()"
        )
    };
    for (n, (code, why, units_own)) in (0..).zip(table) {
        let [met, beside] = [2 * n + 1, 2 * n + 2].map(|case| {
            let mut turn = turn(case, 1);
            turn.head.owner = ["trouble", "sales"][usize::from(case % 2 == 0)].into();
            turn_unit(turn)
        });
        sql.run(&trouble(code)).unwrap();
        let answers = backend.commit(vec![met.clone(), beside.clone()]);
        sql.run("DROP FUNCTION trouble CASCADE").unwrap();
        match (&answers[..], units_own) {
            ([Err(Refused::Faulty { .. }), Ok(_)], true) => {}
            (
                [
                    Err(Refused::Unavailable { why }),
                    Err(Refused::Unavailable { .. }),
                ],
                false,
            ) => {
                assert!(why.contains(code), "{why}");
                // Once it can again, both are taken.
                assert_eq!(
                    passed(&mut backend, vec![met, beside]),
                    [true, true],
                    "{why}"
                );
            }
            (answers, _) => panic!("{code}, {why}: {answers:?}"),
        }
    }
    assert_eq!(backend.integrity().unwrap(), "ok");
}

/// Candidates are read without locks, and the guard of each dispatch decides. Nodes that begin elsewhere in the list
/// that all of them read, as the engine does, and nodes that begin alike: each effect is taken once, and what it cost
/// is printed.
#[test]
fn three_nodes_that_take_up_one_queue_take_each_effect_once() {
    const EFFECTS: u64 = 1_500;
    const NODES: u32 = 3;
    const BATCH: u32 = 512;
    const AT_ONCE: usize = 16;
    for apart in [true, false] {
        let database = database!();
        let mut nodes: Vec<Backend> = (1..=NODES).map(|n| database.node(n)).collect();
        for from in (1..=EFFECTS).step_by(250) {
            let planned = (from..from + 250).map(|case| turn_unit(turn(case, 1).plan(1, Ready, 0)));
            let all = passed(&mut nodes[0], planned.collect());
            assert_eq!(all, [true; 250]);
        }
        let begun = std::time::Instant::now();
        let work = |(place, mut backend): (usize, Backend)| {
            move || {
                let (mut taken, mut refused) = (Vec::new(), 0);
                loop {
                    let wanted = Query::Candidates {
                        now: 9,
                        limit: BATCH,
                    };
                    let Reply::Effects(mut list) = backend.query(wanted).unwrap() else {
                        panic!("other rows");
                    };
                    if list.is_empty() {
                        return (taken, refused);
                    }
                    let start = list.len() * place / NODES as usize;
                    list.rotate_left(if apart { start } else { 0 });
                    for some in list.chunks(AT_ONCE) {
                        let dispatch = |e: &tl_store::EffectRow| {
                            change_unit(change(e.effect, (Ready, 0), Dispatching))
                        };
                        let answers = backend.commit(some.iter().map(dispatch).collect());
                        for (effect, answer) in some.iter().zip(answers) {
                            match answer {
                                Ok(_) => taken.push(effect.effect),
                                Err(Refused::EffectMoved { .. }) => refused += 1,
                                Err(other) => panic!("{other}"),
                            }
                        }
                    }
                }
            }
        };
        let threads = nodes.into_iter().enumerate().map(work).map(thread::spawn);
        let threads: Vec<_> = threads.collect();
        let (mut taken, mut refused) = (Vec::new(), 0);
        for thread in threads {
            let (its, not) = thread.join().unwrap();
            taken.extend(its);
            refused += not;
        }
        let took = begun.elapsed();
        taken.sort_unstable();
        let all: Vec<_> = (1..=EFFECTS).map(|case| effect_id(case, 1)).collect();
        assert_eq!(taken, all);
        let tries = refused + taken.len();
        println!(
            "beginning apart: {apart}; {refused} of {tries} dispatches refused, {took:?} for {EFFECTS}"
        );
    }
}
