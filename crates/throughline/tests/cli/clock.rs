//! What an operator sees of a clock that is wrong. The machine's clock stays as it is: the database is made to hold
//! what it would hold if the clock had jumped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use super::bench::Bench;

const HOUR: i64 = 3_600_000_000;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// A project whose database was last written at an instant, with engine time held or not.
fn written_at(last: i64, held: bool) -> Bench {
    let bench = Bench::project();
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let db = rusqlite::Connection::open(bench.path().join("data/throughline.db")).unwrap();
    db.execute_batch(
        "DROP TRIGGER turn_no_update; DROP TRIGGER turn_no_delete; DELETE FROM turn; DELETE FROM turn_body;",
    )
    .unwrap();
    let event = "INSERT INTO event VALUES (1, 1, x'01020304050607080910111213141516', 'web', ?1, 'k', 'header', 1, \
                 NULL, 0)";
    db.execute(event, [last]).unwrap();
    if held {
        let note = "INSERT INTO cursor VALUES (0, 'clock-held', ?1)";
        db.execute(note, [last]).unwrap();
    }
    bench
}

/// The value of the series, in seconds.
fn series(url: &str) -> f64 {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let value = lines.find_map(|l| l.strip_prefix("throughline_clock_ahead_seconds "));
    value.expect("the series").parse().unwrap()
}

#[test]
fn a_jump_is_held_through_restarts_until_somebody_accepts_it() {
    let bench = written_at(now() - HOUR, true);
    let said = ["held back since", "throughline clock accept --reason CODE"];
    bench.run(&["clock"]).expect(0, &said);
    let server = bench.serve();
    let sheet = bench.json(&["clock"]);
    assert_eq!(
        (&sheet["alarm"], &sheet["of"]),
        (&"ahead".into(), &"machine".into())
    );
    let ahead = sheet["ahead_s"].as_i64().unwrap();
    assert!((3_600..=3_660).contains(&ahead), "{sheet:#}");
    let seen = series(&server.url);
    assert!((3_600.0..=3_660.0).contains(&seen), "{seen}");
    bench.run(&["status"]).expect(0, &["TL0634", said[1]]);
    bench.run(&["clock", "accept"]).expect(2, &["--reason"]);
    bench
        .run(&["clock", "accept", "--reason", "REASON"])
        .expect(2, &["TL0721"]);
    bench
        .run(&["clock", "accept", "--reason", "time_server_was_down"])
        .expect(0, &["engine time has moved on by"]);
    bench
        .run(&["clock", "accept", "--reason", "again"])
        .expect(1, &["TL0636", "engine time follows the clock"]);
    bench.run(&["clock"]).expect(0, &["follows the machine"]);
    assert_eq!(series(&server.url), 0.0);
    assert_eq!(server.stop(), 0);
    let server = bench.serve();
    assert_eq!(bench.json(&["clock"])["alarm"], "none");
    assert_eq!(server.stop(), 0);
    let audit = bench.run(&["audit", "export", "--tenant", "system"]);
    audit.expect(0, &["clock.accept", "time_server_was_down"]);
}

#[test]
fn a_clock_that_is_behind_is_waited_for() {
    let bench = written_at(now() + 2 * HOUR, false);
    let server = bench.serve();
    let sheet = bench.json(&["clock"]);
    assert_eq!(sheet["alarm"], "behind", "{sheet:#}");
    let seen = series(&server.url);
    assert!((-7_200.0..=-7_150.0).contains(&seen), "{seen}");
    bench
        .run(&["status"])
        .expect(0, &["TL0635", "throughline clock"]);
    bench
        .run(&["clock", "accept", "--reason", "drill"])
        .expect(1, &["TL0636", "behind engine time"]);
    assert_eq!(server.stop(), 0);
}

/// Downtime is not a jump.
#[test]
fn a_database_that_was_not_written_for_long_is_followed() {
    let bench = written_at(now() - 24 * HOUR, false);
    let server = bench.serve();
    bench.run(&["clock"]).expect(0, &["follows the machine"]);
    assert_eq!(series(&server.url), 0.0);
    assert_eq!(server.stop(), 0);
}
