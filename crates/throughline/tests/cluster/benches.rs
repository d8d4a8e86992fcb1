//! `throughline bench` as a person runs it, in small: it measures what it says, and what must not happen does not.

use std::process::Command;

use serde_json::Value as Json;

use super::postgres::Database;

/// Runs phases in a directory of their own, and gives the figures by name.
fn bench(args: &[&str]) -> Vec<Json> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    command.args(["bench", "--json"]).args(args);
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {words}");
    let told: Json = serde_json::from_slice(&output.stdout).unwrap();
    told["figures"].as_array().unwrap().clone()
}

/// The figure whose name begins so.
fn figure<'f>(figures: &'f [Json], begins: &str) -> &'f Json {
    let of = |f: &&Json| f["name"].as_str().is_some_and(|n| n.starts_with(begins));
    let found = figures.iter().find(of);
    found.unwrap_or_else(|| panic!("{begins} in {figures:#?}"))
}

/// Fails unless none of so many is told, with what that says.
fn none_of(figures: &[Json], begins: &str, least: u64) {
    let told = figure(figures, begins);
    assert_eq!(told["value"], 0, "{told:#}");
    assert!(told["of"].as_u64().unwrap() >= least, "{told:#}");
    assert!(told["upper_bound_95"].as_f64().unwrap() > 0.0, "{told:#}");
}

#[test]
fn a_noisy_tenant_is_measured_beside_quiet_ones() {
    let sizes = ["--tenants", "4", "--rate", "6", "--seconds", "3"];
    let figures = bench(&[&["noisy"], sizes.as_slice()].concat());
    for (begins, least) in [
        ("acknowledged and lost", 40),
        ("written again with another key", 40),
        ("refused of 3 tenants", 18),
        // More is offered than a door takes.
        ("refused without Retry-After", 1),
    ] {
        none_of(&figures, begins, least);
    }
    let value = |begins| figure(&figures, begins)["value"].as_f64().unwrap();
    assert!(value("Jain's index") > 0.9, "{figures:#?}");
    assert!(value("answers 429, noisy one") > 0.0, "{figures:#?}");
    assert!(value("reply p99 of 3 tenants, ratio") > 0.0);
    assert!(value("end to end p99 of 3 tenants, ratio") > 0.0);
}

#[test]
fn a_vendor_that_hangs_is_measured_beside_others() {
    let figures = bench(&["brownout", "--rate", "6", "--seconds", "3"]);
    for begins in ["acknowledged and lost", "written again with another key"] {
        none_of(&figures, begins, 40);
    }
    let value = |begins| figure(&figures, begins)["value"].as_f64().unwrap();
    assert!(value("reply p99 beside a CRM that hangs, ratio") > 0.0);
    // Nobody waits for it: what takes half a minute there takes a moment here.
    assert!(value("end to end p99, another tenant's CRM hangs") < 10_000.0);
}

/// Many clocks through the whole program: none early, none twice, none lost.
fn clocks(store: &[&str]) {
    let clocks = tl_trial::size(300_u64, 100_000);
    let churn = tl_trial::size("20", "200");
    let count = clocks.to_string();
    let of = ["timers", "--timers", &count, "--churn", churn];
    let figures = bench(&[&of, store].concat());
    for begins in [
        "clocks that ran out early",
        "clocks that never ran out",
        "clocks that ran out twice",
        "clocks that ran out although",
    ] {
        none_of(&figures, begins, clocks.min(100));
    }
    for begins in [
        "lateness p50",
        "lateness p99",
        "lateness most",
        "memory of a clock",
    ] {
        let told = figure(&figures, begins);
        println!("{}: {} {}", told["name"], told["value"], told["unit"]);
    }
}

#[test]
fn many_clocks_run_out_once_and_in_time_in_a_file() {
    clocks(&[]);
}

#[test]
fn many_clocks_run_out_once_and_in_time_on_a_server() {
    let Some(database) = Database::fresh() else {
        return;
    };
    clocks(&["--store", &database.url()]);
}
