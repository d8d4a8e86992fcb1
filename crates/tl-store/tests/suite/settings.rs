//! Tenants, switches, flags, bundles, secrets and keys, and the epoch that they raise.

use tl_kernel::id::TenantId;
use tl_store::{
    ApiKeyRow, BundleRow, GateRows, Query, Refused, Row, SecretRow, Suppression, SwitchRow, Unit,
};

use super::build::*;
use super::{Check, World};
use crate::ask;

pub const CHECKS: &[Check] = &[
    (
        "each row that changes the gate raises its epoch",
        epochs_raised,
    ),
    ("other rows leave the epoch alone", epochs_left),
    ("a switch of the installation comes first", switches),
    ("a switch is replaced and cleared", switch_cleared),
    ("flags of installation and tenant are told apart", flags),
    ("tenants take the next number and a new name", tenants),
    ("bundles take the next number and become current", bundles),
    ("two deployments in one group have one winner", deploy_group),
    ("a rollback makes an earlier bundle current", rollback),
    ("a secret is added once and shortened", secrets),
    ("an api key is added once and ended", api_keys),
    ("an endpoint is closed and opened", endpoints),
    (
        "an address is suppressed, replaced and let go",
        suppressions,
    ),
    ("settings of one tenant are not seen by another", isolation),
];

fn row(row: Row) -> Unit {
    Unit {
        rows: vec![row],
        ..unit()
    }
}

fn gate(w: &dyn World) -> GateRows {
    *ask!(w, Query::Gate(T1), Gate)
}

fn switch(scope: &str, mode: Option<&str>) -> Row {
    Row::Switch {
        scope: scope.into(),
        mode: mode.map(str::to_owned),
        by: "ops".into(),
        reason: "why\u{0}".into(),
        at: 4,
    }
}

fn flag(name: &str, value: Option<bool>) -> Row {
    Row::Flag {
        name: name.into(),
        value,
    }
}

fn deploy(number: u32, workflow: &str) -> Row {
    Row::Deploy {
        number,
        workflow: workflow.into(),
        version: format!("1.{number}"),
        digest: digest(workflow),
        files: format!("files {number}").into_bytes(),
        at: 10 + i64::from(number),
    }
}

fn secret(kid: &str) -> Row {
    Row::Secret {
        endpoint: "leads".into(),
        kid: kid.into(),
        sealed: b"sealed".to_vec(),
        not_before: 1,
        not_after: None,
        by: "ops".into(),
    }
}

fn secret_ends(kid: &str, not_after: i64) -> Row {
    Row::SecretEnds {
        endpoint: "leads".into(),
        kid: kid.into(),
        not_after,
    }
}

fn api_key(kid: &str) -> Row {
    Row::ApiKey {
        kid: kid.into(),
        hash: digest(kid),
        scopes: "cases:read tasks".into(),
        expires: None,
        by: "ops".into(),
        at: 1,
    }
}

fn disabled(disabled: bool) -> Row {
    Row::EndpointDisabled {
        endpoint: "leads".into(),
        disabled,
    }
}

fn suppression(who: &str, reason: &str) -> Suppression {
    Suppression {
        subject: digest(who),
        by_owner: reason == "stop",
        channel: "email".into(),
        address: format!("{who}@example.com\u{0}"),
        by: "ops".into(),
        reason: reason.into(),
        at: 7,
    }
}

fn suppressed(who: &str, reason: &str) -> Row {
    Row::Suppressed(suppression(who, reason))
}

fn unsuppressed(who: &str) -> Row {
    Row::Unsuppressed {
        subject: digest(who),
        by_owner: false,
    }
}

fn suppressions(w: &mut dyn World) {
    let of = |w: &dyn World, tenant, who: &str| {
        let mut all = ask!(w, Query::Suppressions(tenant, 9), Suppressions);
        all.retain(|s| s.subject == digest(who));
        all
    };
    let all = |w: &dyn World, limit| ask!(w, Query::Suppressions(T1, limit), Suppressions).len();
    assert!(!gate(w).suppresses);
    w.ok(row(suppressed("ada", "asked")));
    w.ok(row(suppressed("zoe", "asked")));
    w.ok(row(suppressed("ada", "bounced")));
    w.crash();
    assert!(gate(w).suppresses);
    assert_eq!(of(w, T1, "ada"), [suppression("ada", "bounced")]);
    assert_eq!(of(w, T1, "eve"), []);
    assert_eq!(of(w, T2, "ada"), []);
    assert_eq!((all(w, 9), all(w, 1)), (2, 1));
    // What its owner has said stands beside it, and each goes by itself.
    w.ok(row(suppressed("ada", "stop")));
    assert_eq!(of(w, T1, "ada").len(), 2);
    // What follows in one unit counts.
    w.ok(Unit {
        rows: vec![suppressed("ada", "again"), unsuppressed("ada")],
        ..unit()
    });
    assert_eq!(of(w, T1, "ada"), [suppression("ada", "stop")]);
    let started = Row::Unsuppressed {
        subject: digest("ada"),
        by_owner: true,
    };
    w.ok(row(started));
    w.ok(row(unsuppressed("zoe")));
    w.ok(row(unsuppressed("nobody")));
    assert_eq!(all(w, 9), 0);
    assert!(!gate(w).suppresses);
}

fn epochs_raised(w: &mut dyn World) {
    let rows = [
        switch("tenant", Some("hold")),
        switch("tenant", None),
        flag("f", Some(true)),
        flag("f", None),
        deploy(1, "lead"),
        deploy(2, "lead"),
        Row::Rollback {
            workflow: "lead".into(),
            number: 1,
        },
        secret("k1"),
        secret_ends("k1", 9),
        api_key("a1"),
        Row::ApiKeyEnds {
            kid: "a1".into(),
            at: 9,
        },
        disabled(true),
        disabled(false),
        suppressed("ada", "asked"),
        unsuppressed("ada"),
    ];
    for (epoch, change) in (1..).zip(rows) {
        let name = format!("{change:?}");
        w.ok(row(change));
        assert_eq!(gate(w).tenant_epoch, epoch, "{name}");
    }
    assert_eq!(gate(w).installation_epoch, 0);
    w.crash();
    assert_eq!(gate(w).tenant_epoch, 15);
    w.ok(row(flag("g", Some(false))));
    assert_eq!(gate(w).tenant_epoch, 16);
}

fn epochs_left(w: &mut dyn World) {
    w.ok(admission(1, &["a"]));
    w.ok(turn_unit(turn(1, 2)));
    w.ok(row(Row::Variant {
        event: event_id(1),
        body: None,
        at: 1,
    }));
    assert_eq!(w.refused(row(secret_ends("none", 1))), faulty("secret"));
    assert_eq!(gate(w).tenant_epoch, 0);
}

fn faulty(what: &str) -> Refused {
    // The first fault of the first epoch.
    Refused::Faulty {
        id: 1_000_001,
        why: format!("the {what} does not exist"),
    }
}

fn switches(w: &mut dyn World) {
    w.ok(row(switch("action:reply", Some("cancel"))));
    w.ok(Unit {
        rows: vec![switch("everything", Some("hold"))],
        ..Unit::new(TenantId::SYSTEM)
    });
    let expected = |tenant, scope: &str, mode: &str| SwitchRow {
        tenant,
        scope: scope.into(),
        mode: mode.into(),
        by: "ops".into(),
        reason: "why\u{0}".into(),
        at: 4,
    };
    let of_installation = expected(TenantId::SYSTEM, "everything", "hold");
    assert_eq!(
        gate(w).switches,
        [
            of_installation.clone(),
            expected(T1, "action:reply", "cancel")
        ]
    );
    assert_eq!(
        ask!(w, Query::Gate(TenantId::SYSTEM), Gate).switches,
        [of_installation]
    );
}

fn switch_cleared(w: &mut dyn World) {
    w.ok(row(switch("tenant", Some("hold"))));
    w.ok(row(switch("tenant", Some("dry-run"))));
    let modes: Vec<_> = gate(w).switches.into_iter().map(|s| s.mode).collect();
    assert_eq!(modes, ["dry-run"]);
    w.ok(row(switch("tenant", None)));
    assert!(gate(w).switches.is_empty());
}

fn flags(w: &mut dyn World) {
    w.ok(Unit {
        rows: vec![flag("ai", Some(true))],
        ..Unit::new(TenantId::SYSTEM)
    });
    w.ok(row(flag("ai", Some(false))));
    assert_eq!(
        gate(w).flags,
        [("ai".into(), true, true), ("ai".into(), false, false)]
    );
    w.ok(row(flag("ai", None)));
    assert_eq!(gate(w).flags, [("ai".into(), true, true)]);
}

fn tenant(number: u32, name: &str) -> Unit {
    Unit {
        rows: vec![Row::Tenant {
            name: name.into(),
            at: 1,
        }],
        ..Unit::new(TenantId(number))
    }
}

fn tenants(w: &mut dyn World) {
    assert!(ask!(w, Query::Tenants, Tenants).is_empty());
    w.ok(tenant(1, "acme"));
    assert_eq!(
        w.refused(tenant(1, "other")),
        Refused::NumberTaken { next: 2 }
    );
    assert_eq!(
        w.refused(tenant(3, "other")),
        Refused::NumberTaken { next: 2 }
    );
    for name in ["acme", "system"] {
        assert_eq!(w.refused(tenant(2, name)), Refused::NameTaken);
    }
    w.ok(tenant(2, "other"));
    assert_eq!(
        ask!(w, Query::Tenants, Tenants),
        [(T1, "acme".into()), (T2, "other".into())]
    );
}

fn bundle(number: u32, workflow: &str, current: bool) -> BundleRow {
    BundleRow {
        number,
        workflow: workflow.into(),
        version: format!("1.{number}"),
        digest: digest(workflow),
        files: vec![],
        at: 10 + i64::from(number),
        current,
    }
}

fn bundles(w: &mut dyn World) {
    assert_eq!(
        w.refused(row(deploy(2, "lead"))),
        Refused::NumberTaken { next: 1 }
    );
    for (number, workflow) in [(1, "lead"), (2, "ticket"), (3, "lead")] {
        w.ok(row(deploy(number, workflow)));
    }
    assert_eq!(gate(w).current, [("lead".into(), 3), ("ticket".into(), 2)]);
    let list = ask!(w, Query::Bundles(T1), Bundles);
    assert_eq!(
        list,
        [
            bundle(3, "lead", true),
            bundle(2, "ticket", true),
            bundle(1, "lead", false)
        ]
    );
    let one = ask!(w, Query::Bundle(T1, 1), Bundle);
    assert_eq!(
        one,
        Some(BundleRow {
            files: b"files 1".to_vec(),
            ..bundle(1, "lead", false)
        })
    );
    assert_eq!(ask!(w, Query::Bundle(T1, 4), Bundle), None);
}

fn deploy_group(w: &mut dyn World) {
    let group = vec![
        row(deploy(1, "a")),
        row(deploy(1, "b")),
        row(deploy(2, "b")),
    ];
    assert_eq!(w.passed(group), [true, false, true]);
}

fn rollback(w: &mut dyn World) {
    w.ok(row(deploy(1, "lead")));
    w.ok(row(deploy(2, "lead")));
    let back = |workflow: &str, number| {
        row(Row::Rollback {
            workflow: workflow.into(),
            number,
        })
    };
    assert_eq!(w.refused(back("lead", 3)), faulty("bundle"));
    assert!(matches!(
        w.refused(back("ticket", 1)),
        Refused::Faulty { .. }
    ));
    w.ok(back("lead", 1));
    assert_eq!(gate(w).current, [("lead".into(), 1)]);
}

fn secrets(w: &mut dyn World) {
    w.ok(row(secret("k1")));
    assert_eq!(w.refused(row(secret("k1"))), Refused::NameTaken);
    w.ok(row(secret("k2")));
    for (not_after, expected) in [(50, 50), (90, 50), (20, 20)] {
        w.ok(row(secret_ends("k1", not_after)));
        let secrets = gate(w).secrets;
        assert_eq!(
            (secrets[0].not_after, secrets[1].not_after),
            (Some(expected), None)
        );
    }
    let first = SecretRow {
        endpoint: "leads".into(),
        kid: "k1".into(),
        sealed: b"sealed".to_vec(),
        not_before: 1,
        not_after: Some(20),
    };
    assert_eq!(gate(w).secrets[0], first);
}

fn api_keys(w: &mut dyn World) {
    w.ok(row(api_key("a1")));
    assert_eq!(w.refused(row(api_key("a1"))), Refused::NameTaken);
    assert_eq!(
        w.refused(row(Row::ApiKeyEnds {
            kid: "a2".into(),
            at: 9
        })),
        faulty("api key")
    );
    w.ok(row(Row::ApiKeyEnds {
        kid: "a1".into(),
        at: 9,
    }));
    let key = ApiKeyRow {
        kid: "a1".into(),
        hash: digest("a1"),
        scopes: "cases:read tasks".into(),
        expires: Some(9),
    };
    assert_eq!(gate(w).api_keys, [key]);
}

fn endpoints(w: &mut dyn World) {
    for (close, expected) in [(true, 1), (true, 1), (false, 0), (false, 0)] {
        w.ok(row(disabled(close)));
        assert_eq!(gate(w).disabled.len(), expected);
    }
}

fn isolation(w: &mut dyn World) {
    for change in [
        switch("tenant", Some("hold")),
        flag("f", Some(true)),
        deploy(1, "lead"),
        secret("k"),
        api_key("a"),
        disabled(true),
    ] {
        w.ok(row(change));
    }
    let other = ask!(w, Query::Gate(T2), Gate);
    assert_eq!(other.tenant_epoch, 0);
    assert!(other.switches.is_empty() && other.flags.is_empty() && other.secrets.is_empty());
    assert!(other.api_keys.is_empty() && other.disabled.is_empty() && other.current.is_empty());
    assert!(ask!(w, Query::Bundles(T2), Bundles).is_empty());
}
