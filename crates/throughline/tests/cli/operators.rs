//! What operators are told: where a project lacks, where a key goes, which flag nobody reads.

use super::bench::{Bench, WORKFLOW};

#[test]
fn a_server_without_anything_to_serve_says_so_and_makes_nothing() {
    let bench = Bench::empty();
    bench
        .run(&["serve"])
        .expect(3, &["TL0109", "throughline init"]);
    assert!(!bench.path().join("data").exists(), "nothing was made");
    // A deployed workflow is enough.
    let deployed = Bench::project();
    deployed.run(&["versions"]).expect(0, &["lead"]);
    std::fs::remove_dir_all(deployed.path().join("workflows")).unwrap();
    assert_eq!(deployed.serve().stop(), 0);
}

#[test]
fn a_refused_deployment_names_no_version_and_is_in_the_audit() {
    let bench = Bench::project();
    bench.run(&["versions"]).expect(0, &["lead"]);
    let broken = WORKFLOW.replace(
        "action: [crm_upsert, reply]",
        "action: [crm_upsert, replay]",
    );
    bench.write("workflows/lead/workflow.yaml", &broken);
    let answer = bench.run(&["deploy", "--yes"]);
    answer.expect(
        1,
        &[
            "does not pass its check",
            "nothing was deployed",
            "number 1",
        ],
    );
    assert!(!answer.out.contains("bundle"), "{}", answer.out);
    let code = answer.out.split("error[").nth(1).unwrap()[..6].to_owned();
    let audit = bench.run(&["audit", "export"]).out;
    let leaf = audit
        .lines()
        .find(|l| l.contains("\"deploy:lead\""))
        .expect("a refused leaf");
    assert!(
        leaf.contains("\"refused\"") && leaf.contains(&code),
        "{leaf}"
    );
}

#[test]
fn a_key_is_rotated_with_an_overlap() {
    let bench = Bench::project();
    let first = bench.json(&["key", "create", "--scope", "cases:read", "--expires", "90d"]);
    let kid = first["kid"].as_str().unwrap();
    let second = bench.json(&["key", "rotate", kid, "--overlap", "0s"]);
    assert_eq!(second["scopes"], first["scopes"]);
    assert_eq!(second["expires"], first["expires"], "it lives no longer");
    assert_eq!(second["replaces"][0], kid);
    let keys = bench.json(&["key", "list"]);
    let active = |kid: &str| {
        let mut all = keys.as_array().unwrap().iter();
        all.find(|k| k["kid"] == kid).unwrap()["active"].clone()
    };
    assert_eq!(active(kid), false);
    let kid2 = second["kid"].as_str().unwrap();
    assert_eq!(active(kid2), true);
    let table: [(&[&str], i32, &str); 3] = [
        (&["key", "rotate", "none"], 3, "throughline key list"),
        (&["key", "rotate", kid], 5, "has ended"),
        (&["key", "rotate", kid2, "--overlap", "8d"], 2, "7d"),
    ];
    for (args, code, part) in table {
        bench.run(args).expect(code, &[part]);
    }
    bench
        .run(&["key", "rotate", kid2])
        .expect(0, &["only time the key is shown", "ends at"]);
}

#[test]
fn a_flag_that_nobody_reads_is_set_with_a_warning() {
    let bench = Bench::project();
    let reads = WORKFLOW.replace("== 'please write'", "== 'please write' && flags.beta");
    bench.write("workflows/lead/workflow.yaml", &reads);
    let beta = bench.run(&["flag", "set", "beta", "on"]);
    beta.expect(0, &["`beta` is true"]);
    assert!(!beta.out.contains("warning"), "{}", beta.out);
    bench.run(&["flag", "set", "bete", "on"]).expect(
        0,
        &["no deployed workflow reads it", "Did you mean `beta`?"],
    );
}

#[test]
fn a_refusal_without_a_code_has_none_in_its_json() {
    let bench = Bench::project();
    let answer = bench.run(&["key", "rotate", "none", "--json"]);
    assert!(!answer.err.contains("\"code\""), "{}", answer.err);
    let answer = bench.run(&["case", "show", "case_00000000000000000000000001", "--json"]);
    assert!(answer.err.contains("\"code\":\"TL0703\""), "{}", answer.err);
}

#[test]
fn a_place_where_nothing_can_be_made_says_what_to_do() {
    let bench = Bench::project();
    bench.write("throughline.toml", "data_dir = \"/proc/nope\"\n");
    bench
        .run(&["status"])
        .expect(4, &["TL0610", "/proc/nope", "data_dir in throughline.toml"]);
}
