//! Many runs as one report: what was done, what went wrong on purpose, and what did not hold.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::faults::{KINDS, NODE_KINDS};
use crate::run::Outcome;
use crate::world::POINTS;

/// A run with fewer cases proves too little.
pub const CASES_PER_SEED: u64 = 50;
/// How often each port must have been crashed at, over all runs.
pub const CRASHES_PER_POINT: u64 = 20;
/// How often each kind of fault must have fired, over all runs.
pub const FAULTS_PER_KIND: u64 = 100;
/// These floors are asked of this many seeds and more; of fewer it is asked that everything happened.
pub const SEEDS_FOR_FLOORS: u64 = 500;

/// The sum of many runs.
#[derive(Debug, Default)]
pub struct Sum {
    /// Runs.
    pub runs: u64,
    /// Runs by the number of their nodes.
    pub by_nodes: BTreeMap<u32, u64>,
    /// Cases.
    pub cases: u64,
    /// Messages acknowledged.
    pub acked: u64,
    /// Units committed.
    pub commits: u64,
    /// Simulated time, µs.
    pub simulated: i64,
    /// Effects by class.
    pub effects: BTreeMap<&'static str, u64>,
    /// Faults by kind.
    pub fired: BTreeMap<&'static str, u64>,
    /// Crashes by port.
    pub crashes: BTreeMap<&'static str, u64>,
    /// Seeds with too few cases, and how many they had.
    pub thin: Vec<(u64, u64)>,
    /// Seeds with violations.
    pub violations: Vec<(u64, Vec<String>)>,
    /// Runs that could not be made.
    pub errors: Vec<(u64, String)>,
}

impl Sum {
    /// Adds a run.
    pub fn add(&mut self, o: &Outcome) {
        self.runs += 1;
        *self.by_nodes.entry(o.nodes).or_default() += 1;
        self.cases += o.cases;
        self.acked += o.acked;
        self.commits += o.commits;
        self.simulated += o.simulated;
        for (into, from) in [
            (&mut self.effects, &o.effects),
            (&mut self.fired, &o.fired),
            (&mut self.crashes, &o.crashes),
        ] {
            for (name, n) in from {
                *into.entry(name).or_default() += n;
            }
        }
        if o.cases < CASES_PER_SEED {
            self.thin.push((o.seed, o.cases));
        }
        if !o.violations.is_empty() {
            self.violations.push((o.seed, o.violations.clone()));
        }
    }

    /// Floors that are missed: a run that does too little proves too little.
    pub fn missed(&self) -> Vec<String> {
        let mut out: Vec<String> = self
            .thin
            .iter()
            .map(|(seed, cases)| {
                format!("seed {seed} had {cases} cases, {CASES_PER_SEED} are wanted")
            })
            .collect();
        let (points, kinds) = match self.runs {
            0..50 => return out,
            50..SEEDS_FOR_FLOORS => (1, 1),
            _ => (CRASHES_PER_POINT, FAULTS_PER_KIND),
        };
        let of = |map: &BTreeMap<&'static str, u64>, name| map.get(name).copied().unwrap_or(0);
        for point in POINTS {
            let hit = of(&self.crashes, point);
            if hit < points {
                out.push(format!("{hit} crashes at {point}, {points} are wanted"));
            }
        }
        for kind in KINDS.iter().chain(NODE_KINDS) {
            let fired = of(&self.fired, kind);
            if fired < kinds {
                out.push(format!("{kind} fired {fired} times, {kinds} are wanted"));
            }
        }
        for class in ["E0", "E1", "E2", "E4", "E5"] {
            if of(&self.effects, class) < self.runs {
                out.push(format!("class {class} had fewer than one effect a seed"));
            }
        }
        out
    }

    /// Runs with two nodes or more.
    pub fn with_several_nodes(&self) -> u64 {
        self.by_nodes.range(2..).map(|(_, runs)| runs).sum()
    }

    /// With 95 % confidence, fewer runs than this share violate anything.
    pub fn upper_bound(&self) -> f64 {
        1.0 - 0.05f64.powf(1.0 / self.runs.max(1) as f64)
    }

    /// The report's row.
    pub fn row(&self, commit: &str, seeds: (u64, u64), wall: Duration) -> Json {
        json!({
            "test": "A-01 simulation",
            "commit": commit,
            "seeds": format!("{}..{}", seeds.0, seeds.1),
            "runs": self.runs,
            "runs_with_several_nodes": self.with_several_nodes(),
            "runs_by_nodes": self.by_nodes,
            "cases": self.cases,
            "acks": self.acked,
            "commits": self.commits,
            "simulated_hours": self.simulated as f64 / 3.6e9,
            "effects": self.effects,
            "faults": self.fired,
            "crash_points": self.crashes,
            "violations": self.violations.len(),
            "errors": self.errors.len(),
            "wall_seconds": wall.as_secs_f64(),
            "upper_bound_95": self.upper_bound(),
            "floors_missed": self.missed(),
            "violating_seeds": self.violations.iter().map(|(seed, v)| json!({
                "seed": seed, "violations": v, "replay": replay(*seed),
            })).collect::<Vec<_>>(),
        })
    }
}

/// The command that runs a seed again.
pub fn replay(seed: u64) -> String {
    format!("cargo run -p tl-sim --bin sim -- --seed {seed} --trace")
}
