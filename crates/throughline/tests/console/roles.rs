//! What each role may do, and what nobody may: asked over HTTP, without a browser.

use crate::http::Visitor;
use crate::world::{PASSWORD, World};

/// Invites somebody and lets them choose their password.
fn invited(world: &World, owner: &mut Visitor, role: &str) -> Visitor {
    let form = [("name", role), ("shown", role), ("role", role)];
    let page = owner.post(&world.at("/people/invite"), &form);
    let from = page.expect(200, &["/begin/"]).body.find("/begin/").unwrap();
    let path: String = page.body[from..]
        .chars()
        .take_while(|c| *c != '<')
        .collect();
    let mut visitor = Visitor::new();
    visitor
        .get(&world.at(&path))
        .expect(200, &["Choose your password"]);
    let begun = visitor.post(&world.at(&path), &[("password", PASSWORD)]);
    assert_eq!(begun.to(), "/");
    visitor
        .post(&world.at(&path), &[("password", PASSWORD)])
        .expect(410, &[]);
    visitor
}

#[test]
fn each_role_reaches_what_is_its_own() {
    let world = World::new();
    world.send("dana@acme.example", "please write");
    let task = world.tasks(1)[0]["task"].as_str().unwrap().to_owned();
    let mut owner = world.owner();
    let seen = format!("/tasks/{task}");
    let decide = format!("/tasks/{task}/decide");
    let set: &[(&str, &str)] = &[("scope", "tenant"), ("mode", "hold"), ("reason", "drill")];
    // (role, sees contents, may decide (a wrong digest is refused later), may switch, may invite)
    let table = [
        ("viewer", 403, 403, 403, 403),
        ("auditor", 200, 403, 403, 403),
        ("builder", 200, 403, 403, 403),
        ("operator", 200, 403, 303, 403),
        ("reviewer", 200, 409, 403, 403),
        ("owner", 200, 409, 303, 200),
    ];
    for (role, contents, decides, switches, people) in table {
        let mut v = match role {
            "owner" => std::mem::take(&mut owner),
            role => invited(&world, &mut owner, role),
        };
        v.site = "same-origin";
        v.get(&world.at("/health"))
            .expect(200, &["Closed without a person"]);
        v.get(&world.at("/cases")).expect(200, &["automated"]);
        assert_eq!(v.get(&world.at(&seen)).status, contents, "{role} sees");
        assert_eq!(v.get(&world.at("/inbox")).status, contents, "{role} inbox");
        assert_eq!(
            v.get(&world.at("/outbox")).status,
            contents,
            "{role} outbox"
        );
        let digest = "ab".repeat(32);
        let form = [
            ("decision", "approve"),
            ("reason", "checked"),
            ("digest", digest.as_str()),
        ];
        let decided = v.post(&world.at(&decide), &form).status;
        assert_eq!(decided, decides, "{role} decides");
        let switched = v.post(&world.at("/switches/set"), set).status;
        assert_eq!(switched, switches, "{role} switches");
        assert_eq!(v.get(&world.at("/people")).status, people, "{role} people");
        let case = v.get(&world.at(&format!("/cases/{}", task_case(&task))));
        let shows = case.expect(200, &[]).body.contains("dana@acme.example");
        assert_eq!(shows, contents == 200, "{role} sees the record");
    }
    // The switch is on every page now.
    let mut ana = Visitor::new();
    let form = [("name", "ana"), ("password", PASSWORD)];
    assert_eq!(ana.post(&world.at("/sign-in"), &form).to(), "/");
    ana.get(&world.at("/inbox"))
        .expect(200, &["Holding", "drill"]);
    // What was done stands in the audit, in their names.
    let audit = world.bench.run(&["audit", "export"]);
    for part in ["account.set", "session.begin", "kill.set", "operator"] {
        assert!(
            audit.out.contains(part),
            "{part}: {}{}",
            audit.out,
            audit.err
        );
    }
}

fn task_case(task: &str) -> String {
    let id = task.trim_start_matches("task_");
    let id = id.split(['.', '-', '_', '/']).next().unwrap_or(id);
    format!("case_{id}")
}

#[test]
fn strangers_get_nothing() {
    let world = World::new();
    let mut nobody = Visitor::new();
    nobody
        .get(&world.at("/sign-in"))
        .expect(200, &["Nobody can sign in yet"]);
    let mut owner = world.owner();
    for path in [
        "/",
        "/inbox",
        "/health",
        "/cases/case_1",
        "/people",
        "/live",
    ] {
        assert!(
            nobody.get(&world.at(path)).to().starts_with("/sign-in"),
            "{path}"
        );
    }
    nobody.post(&world.at("/switches/set"), &[]).to();
    // Another site's page cannot post in the name of somebody who is signed in.
    owner.site = "cross-site";
    let set: &[(&str, &str)] = &[("scope", "tenant"), ("mode", "hold"), ("reason", "x")];
    owner
        .post(&world.at("/switches/set"), set)
        .expect(403, &["does not come from a page of this console"]);
    owner.site = "same-origin";
    owner
        .get(&world.at("/switches"))
        .expect(200, &["No switch is set"]);

    let page = owner.get(&world.at("/health"));
    let policy = &page.headers["content-security-policy"];
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(
        !page.body.contains(" style=") && !page.body.contains("<style"),
        "no style in the page"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.headers[name], value);
    }
    let from = page.body.find("/assets/").unwrap();
    let asset: String = page.body[from..]
        .chars()
        .take_while(|c| *c != '"')
        .collect();
    let style = nobody.get(&world.at(&asset));
    assert!(style.headers["cache-control"].contains("immutable"));
    owner
        .get(&world.at("/cases/case_zzz"))
        .expect(400, &["Ana Horvat"]);
    // The machine's addresses are where they were.
    nobody.get(&world.at("/healthz")).expect(200, &[]);
    nobody.get(&world.at("/nowhere")).expect(404, &["TL1001"]);

    // Whoever guesses waits.
    let guess = [("name", "ana"), ("password", "wrong wrong wrong")];
    for _ in 0..5 {
        nobody
            .post(&world.at("/sign-in"), &guess)
            .expect(401, &["Name or password is wrong"]);
    }
    let right = [("name", "ana"), ("password", PASSWORD)];
    nobody
        .post(&world.at("/sign-in"), &right)
        .expect(429, &["Too many attempts"]);
    let nobody_here = [("name", "bo"), ("password", PASSWORD)];
    nobody
        .post(&world.at("/sign-in"), &nobody_here)
        .expect(401, &["Name or password is wrong"]);

    assert_eq!(owner.post(&world.at("/sign-out"), &[]).to(), "/sign-in");
    assert!(owner.get(&world.at("/inbox")).to().starts_with("/sign-in"));
}
