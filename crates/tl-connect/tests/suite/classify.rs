//! C.3 as tables: every row against every class.

use std::collections::BTreeMap;

use tl_connect::classify::{Action, BodySays, Ground, Meaning, Observation, Overrides, classify};
use tl_connect::knowledge::{NotSent, Unknown};
use tl_kernel::effect::Class;
use tl_kernel::program::OnUnknown;

const SECOND: i64 = 1_000_000;

/// The columns: a class, and for E4 what the action does when nothing is known.
const COLUMNS: [(Class, OnUnknown); 7] = [
    (Class::E1, OnUnknown::Hold),
    (Class::E2, OnUnknown::Hold),
    (Class::E3, OnUnknown::Hold),
    (Class::E4, OnUnknown::Hold),
    (Class::E4, OnUnknown::AssumeSent),
    (Class::E4, OnUnknown::Resend),
    (Class::E5, OnUnknown::Hold),
];

/// The words of the tables. A row with one word means the same in every column.
fn word(action: Action) -> &'static str {
    match action {
        Action::Succeed => "done",
        Action::AssumeSent => "assume",
        Action::AwaitCallback => "wait",
        Action::Reread => "reread",
        Action::Uncertain => "uncertain",
        Action::Conflict => "conflict",
        Action::Failed { .. } => "failed",
        Action::Hold { .. } => "hold",
        Action::Retry { ground, .. } => match ground {
            Ground::NotApplied => "retry",
            Ground::SameKey => "same-key",
            Ground::SameVersion => "same-version",
            Ground::Harmless => "harmless",
            Ground::DuplicatePossible => "duplicate",
        },
    }
}

const UNKNOWN: &str = "same-key reread uncertain uncertain assume duplicate harmless";

fn check(name: &str, observation: Observation, vendor: &Overrides, row: &str) {
    let words: Vec<&str> = row.split(' ').collect();
    for (i, (class, on_unknown)) in COLUMNS.into_iter().enumerate() {
        let expected = if words.len() == 1 { words[0] } else { words[i] };
        let action = classify(class, on_unknown, &observation, vendor);
        assert_eq!(
            word(action),
            expected,
            "{name}, {} {on_unknown:?}: {action:?}",
            class.word()
        );
    }
}

fn status(status: u16, retry_after: Option<i64>, body: BodySays) -> Observation {
    Observation::Answered {
        status,
        retry_after,
        body,
    }
}

#[test]
fn transport() {
    let table = [
        (Observation::NotSent(NotSent::Dns), "retry"),
        (Observation::NotSent(NotSent::Refused), "retry"),
        (Observation::NotSent(NotSent::ConnectTimeout), "retry"),
        (Observation::NotSent(NotSent::Unreachable), "retry"),
        (Observation::NotSent(NotSent::Tls), "retry"),
        (Observation::NotSent(NotSent::Certificate), "retry"),
        (Observation::NotSent(NotSent::Target), "failed"),
        (Observation::NotSent(NotSent::Request), "failed"),
        (Observation::NotProcessed, "retry"),
        (Observation::Unknown(Unknown::Deadline), UNKNOWN),
        (Observation::Unknown(Unknown::Reset), UNKNOWN),
        (Observation::Unknown(Unknown::Closed), UNKNOWN),
        (Observation::Unknown(Unknown::Garbled), UNKNOWN),
        (Observation::Unknown(Unknown::Broken), UNKNOWN),
    ];
    for (observation, row) in table {
        check(
            &format!("{observation:?}"),
            observation,
            &Overrides::default(),
            row,
        );
    }
}

#[test]
fn statuses() {
    const MAY: &str = "same-key same-version uncertain uncertain assume duplicate harmless";
    const CHANGED: &str = "conflict conflict failed failed failed failed failed";
    let mut rows: BTreeMap<u16, &str> = BTreeMap::new();
    let mut put = |range: std::ops::RangeInclusive<u16>, row| {
        for status in range {
            rows.insert(status, row);
        }
    };
    put(100..=199, UNKNOWN);
    put(200..=299, "done");
    put(202..=202, "wait");
    put(300..=399, "failed");
    put(400..=499, "failed");
    put(401..=403, "hold");
    put(408..=408, MAY);
    put(409..=409, CHANGED);
    put(412..=412, CHANGED);
    put(428..=428, CHANGED);
    put(423..=423, "retry");
    put(425..=425, "retry");
    put(429..=429, "retry");
    put(500..=599, UNKNOWN);
    put(500..=500, MAY);
    put(501..=501, "failed");
    put(600..=999, UNKNOWN);
    put(0..=99, UNKNOWN);
    for (code, row) in rows {
        let observation = status(code, None, BodySays::Agrees);
        check(
            &format!("status {code}"),
            observation,
            &Overrides::default(),
            row,
        );
    }
}

#[test]
fn bodies() {
    use BodySays::{Broken, Contradicts, OurKey};
    let table = [
        (200, Contradicts, UNKNOWN),
        (201, Contradicts, UNKNOWN),
        (202, Contradicts, UNKNOWN),
        (200, Broken, UNKNOWN),
        (202, Broken, UNKNOWN),
        (204, Broken, UNKNOWN),
        (422, Broken, "failed"),
        (429, Broken, "retry"),
        (401, Broken, "hold"),
        (422, Contradicts, "failed"),
        (
            409,
            OurKey,
            "done conflict failed failed failed failed failed",
        ),
        (
            409,
            Contradicts,
            "conflict conflict failed failed failed failed failed",
        ),
        (
            412,
            Broken,
            "conflict conflict failed failed failed failed failed",
        ),
    ];
    for (code, body, row) in table {
        check(
            &format!("{code} {body:?}"),
            status(code, None, body),
            &Overrides::default(),
            row,
        );
    }
}

#[test]
fn waits() {
    let day = 86_400 * SECOND;
    let table = [
        (429, Some(5 * SECOND), "retry"),
        (429, Some(day), "retry"),
        (429, Some(day + 1), "hold"),
        (429, Some(i64::MAX), "hold"),
        (503, Some(5 * SECOND), UNKNOWN),
        (
            503,
            Some(day + 1),
            "hold reread uncertain uncertain assume hold hold",
        ),
        (413, None, "failed"),
        (413, Some(0), "retry"),
        (413, Some(day + 1), "hold"),
        (301, Some(5 * SECOND), "failed"),
        (200, Some(day + 1), "done"),
    ];
    for (code, wait, row) in table {
        let observation = status(code, wait, BodySays::Agrees);
        check(
            &format!("{code} after {wait:?}"),
            observation,
            &Overrides::default(),
            row,
        );
    }
    let action = classify(
        Class::E3,
        OnUnknown::Hold,
        &status(429, Some(7 * SECOND), BodySays::Agrees),
        &Overrides::default(),
    );
    assert!(matches!(action, Action::Retry { retry_after: Some(wait), .. } if wait == 7 * SECOND));
}

#[test]
fn vendors_differ() {
    let vendor = |code, meaning| Overrides {
        meanings: BTreeMap::from([(code, meaning)]),
        ..Overrides::default()
    };
    let wait = Some(SECOND);
    let table = [
        // A mail provider's 202 is final.
        (202, None, vendor(202, Meaning::Done), "done"),
        // A one-time create link answers 400 when it was used before.
        (400, None, vendor(400, Meaning::Done), "done"),
        (503, None, vendor(503, Meaning::NotProcessed), "retry"),
        (
            503,
            None,
            vendor(503, Meaning::NotProcessedIfRetryAfter),
            UNKNOWN,
        ),
        (
            503,
            wait,
            vendor(503, Meaning::NotProcessedIfRetryAfter),
            "retry",
        ),
        (404, None, vendor(404, Meaning::Unknown), UNKNOWN),
        (
            400,
            None,
            vendor(400, Meaning::ConditionFailed),
            "conflict conflict failed failed failed failed failed",
        ),
        (200, None, vendor(202, Meaning::Done), "done"),
    ];
    for (code, wait, vendor, row) in table {
        check(
            &format!("{code} {vendor:?}"),
            status(code, wait, BodySays::Agrees),
            &vendor,
            row,
        );
    }
    let decides = Overrides {
        status_decides: true,
        ..Overrides::default()
    };
    check(
        "2xx without its body",
        status(201, None, BodySays::Broken),
        &decides,
        "done",
    );
    check(
        "2xx with an error",
        status(201, None, BodySays::Contradicts),
        &decides,
        UNKNOWN,
    );
}

/// The rule behind the tables: where nothing is known, only harmless repeats happen by themselves.
#[test]
fn nothing_unknown_is_blindly_repeated() {
    for code in 0..=999 {
        for body in [BodySays::Agrees, BodySays::Broken, BodySays::Contradicts] {
            for class in [Class::E0, Class::E3, Class::E4] {
                let observation = status(code, None, body);
                let action = classify(class, OnUnknown::Hold, &observation, &Overrides::default());
                let repeats = matches!(action, Action::Retry { .. });
                let documented = [423, 425, 429].contains(&code);
                assert_eq!(repeats, documented, "{code} {body:?} {}", class.word());
            }
        }
    }
}
