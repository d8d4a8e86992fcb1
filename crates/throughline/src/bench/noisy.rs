//! A noisy neighbour: of many tenants one sends a hundred times as much as each of the others. All of them write to the
//! same CRM, and there are only twice as many send slots as the others need, so that they must be shared. A door takes
//! half of what the noisy one offers. Measured is what the others notice of it.

use std::time::Duration;

use serde_json::Value as Json;
use tl_bench::load::{Load, Tenant, measure, measure_together};
use tl_bench::{jain, rounded};

use super::figures::{Figures, Goal};
use super::phases::{Run, answers, count, honest, number, promises, steady};
use super::tenants;

/// How much more the noisy one sends than each of the others.
const TIMES: f64 = 100.0;
/// How long the CRM takes over a write.
const WRITE: Duration = Duration::from_millis(50);
/// Send slots at least.
const SLOTS: u64 = 8;
/// How long the quiet ones send before anything is measured, seconds.
const WARM: f64 = 2.0;
/// How many times as long as without the noisy one the others may wait.
const WORSE: f64 = 1.5;
/// How evenly the work of the others is done.
const EVEN: f64 = 0.95;

/// Measures.
pub fn run(run: Run<'_>) -> anyhow::Result<()> {
    let rate = run.options.rate as f64;
    let offered = rate / (run.options.tenants - 1) as f64 * TIMES;
    let mut doors = tenants::open(run.house, run.options.tenants, None)?;
    let noisy_door = doors.split_off(doors.len() - 1);
    run.house.delay_crm(WRITE)?;
    let slots = (2.0 * rate * WRITE.as_secs_f64()).ceil() as u64;
    run.house.restart_with(&[
        ("THROUGHLINE_SLOTS", slots.max(SLOTS)),
        ("THROUGHLINE_RATE", (offered / 2.0).ceil() as u64),
    ])?;
    let quiet = load(&run, &doors, rate)?;
    let noisy = load(&run, &noisy_door, offered)?;
    let mut warm = quiet.clone();
    warm.seconds = WARM;
    measure(warm)?;
    // Before and after, so that a machine that becomes slower or faster meanwhile counts half.
    let before = measure(quiet.clone())?;
    let seen = measure_together(vec![quiet.clone(), noisy])?;
    let after = measure(quiet)?;
    run.house.delay_crm(Duration::ZERO)?;
    run.house.restart_with(&[])?;
    let [beside, loud] = seen.as_slice() else {
        anyhow::bail!("two loads were sent, and {} are told of", seen.len());
    };
    tell(run.figures, doors.len(), &[&before, &after], beside)?;
    let f = run.figures;
    f.add("offered by the noisy one", offered, "/s");
    f.add(
        "taken from the noisy one",
        number(loud, "/accepted_per_s")?,
        "/s",
    );
    let done = number(loud, "/cases_in_time_per_s")?;
    f.add("cases of the noisy one meanwhile", done, "/s");
    answers(f, loud, "noisy one");
    for part in [&before, beside, &after, loud] {
        honest(f, part, "noisy")?;
        promises(f, part, "noisy")?;
    }
    Ok(())
}

/// What the quiet ones met beside the noisy one, against what they meet alone.
fn tell(f: &mut Figures, quiet: usize, alone: &[&Json], beside: &Json) -> anyhow::Result<()> {
    for (what, at) in [("reply", "/reply_ms/p99"), ("end to end", "/e2e_ms/p99")] {
        compare(
            f,
            &format!("{what} p99 of {quiet} tenants"),
            at,
            (alone, beside),
        )?;
    }
    let shares: Vec<u64> = beside["cases_by_tenant"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_u64)
        .collect();
    let even = (jain(&shares), "");
    let name = format!("Jain's index of the cases of {quiet} tenants beside a noisy one");
    f.aim(&name, even, Goal::Least(EVEN));
    let (refused, taken) = count(beside, ("/refused", "/accepted"))?;
    let all = (refused, refused + taken);
    f.count(
        format!("refused of {quiet} tenants beside a noisy one"),
        all,
    );
    Ok(())
}

fn compare(
    f: &mut Figures,
    name: &str,
    at: &str,
    (alone, beside): (&[&Json], &Json),
) -> anyhow::Result<()> {
    let mut sum = 0.0;
    for seen in alone {
        sum += number(seen, at)?;
    }
    let (alone, beside) = (sum / alone.len() as f64, number(beside, at)?);
    f.add(format!("{name}, alone"), alone, "ms");
    f.add(format!("{name}, beside a noisy one"), beside, "ms");
    let ratio = (rounded(beside / alone), "");
    f.aim(&format!("{name}, ratio"), ratio, Goal::Most(WORSE));
    Ok(())
}

/// Messages of these tenants by turns.
fn load(run: &Run<'_>, doors: &[Tenant], rate: f64) -> anyhow::Result<Load> {
    run.load("leads", |l| {
        steady(l, rate);
        l.tenants = doors.to_vec();
    })
}
