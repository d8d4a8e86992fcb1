//! Many runs as one report: what was done, what went wrong on purpose, and what did not hold.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::crashes::PLACES;
use crate::faults::{KINDS, NODE_KINDS};
use crate::run::{CLOCKS, Outcome};

/// The ordinary runs, as the report names them.
pub const SIMULATION: &str = "A-01 simulation";
/// The runs in which clocks are set all the time.
pub const CLOCKS_SET: &str = "T-04 clocks";
/// A run with fewer cases proves too little.
pub const CASES_PER_SEED: u64 = 50;
/// So many lines of the log are read, on average.
pub const LINES_PER_SEED: u64 = 100;
/// So many checkpoints stand beside the database in the end, on average.
pub const OUTSIDE_PER_SEED: u64 = 5;
/// Of so many outages and more, a tenth must have reached the retry budget.
pub const OUTAGES_FOR_FLOOR: u64 = 20;
/// Repetitions within the checker's span that show the retry budget at its limit, which is 60 in a minute.
pub const AT_THE_BUDGET: usize = 55;
/// Each place must have been crashed at once in so many runs: 20 times in the ordinary run.
pub const RUNS_PER_CRASH: u64 = 100;
/// How often each kind of fault must have fired, over all runs.
pub const FAULTS_PER_KIND: u64 = 100;
/// These floors are asked of this many seeds and more; of fewer that every kind of fault has fired.
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
    /// Lines of logs that were read.
    pub lines: u64,
    /// Checkpoints that were found in the files beside the database.
    pub outside: u64,
    /// Runs in which a vendor was down.
    pub outages: u64,
    /// Those of them in which as much was repeated as may be.
    pub at_the_budget: u64,
    /// Simulated time, µs.
    pub simulated: i64,
    /// Processor time of the threads that made the runs; nothing where the system does not say.
    pub processor: Duration,
    /// Effects by class.
    pub effects: BTreeMap<&'static str, u64>,
    /// Faults by kind.
    pub fired: BTreeMap<&'static str, u64>,
    /// Crashes by place.
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
        self.lines += o.lines;
        self.outside += o.outside;
        self.outages += u64::from(o.retries.is_some());
        self.at_the_budget += u64::from(o.retries.is_some_and(|n| n >= AT_THE_BUDGET));
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
        let (places, kinds) = match self.runs {
            0..50 => return out,
            50..SEEDS_FOR_FLOORS => (0, 1),
            runs => (runs / RUNS_PER_CRASH, FAULTS_PER_KIND),
        };
        let of = |map: &BTreeMap<&'static str, u64>, name| map.get(name).copied().unwrap_or(0);
        for place in PLACES {
            let hit = of(&self.crashes, place);
            if hit < places {
                out.push(format!("{hit} crashes {place}, {places} are wanted"));
            }
        }
        for kind in KINDS.iter().chain(NODE_KINDS) {
            let fired = of(&self.fired, kind);
            if fired < kinds {
                out.push(format!("{kind} fired {fired} times, {kinds} are wanted"));
            }
        }
        for class in ["E0", "E1", "E2", "E3", "E4", "E5"] {
            if of(&self.effects, class) < self.runs {
                out.push(format!("class {class} had fewer than one effect a seed"));
            }
        }
        if self.lines < self.runs * LINES_PER_SEED {
            out.push(format!("{} lines of logs were read", self.lines));
        }
        if self.outside < self.runs * OUTSIDE_PER_SEED {
            out.push(format!("{} checkpoints stand in files", self.outside));
        }
        if self.outages >= OUTAGES_FOR_FLOOR && self.at_the_budget * 10 < self.outages {
            let (reached, of) = (self.at_the_budget, self.outages);
            out.push(format!(
                "the retry budget was reached in {reached} of {of} outages"
            ));
        }
        out
    }

    /// How often the clock of a node jumped.
    pub fn clock_jumps(&self) -> u64 {
        CLOCKS.iter().filter_map(|kind| self.fired.get(kind)).sum()
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
    pub fn row(&self, (test, commit): (&str, &str), seeds: (u64, u64), wall: Duration) -> Json {
        json!({
            "test": test,
            "commit": commit,
            "seeds": format!("{}..{}", seeds.0, seeds.1),
            "runs": self.runs,
            "runs_with_several_nodes": self.with_several_nodes(),
            "runs_by_nodes": self.by_nodes,
            "cases": self.cases,
            "acks": self.acked,
            "commits": self.commits,
            "log_lines": self.lines,
            "checkpoints_outside": self.outside,
            "outages": self.outages,
            "outages_at_the_retry_budget": self.at_the_budget,
            "simulated_hours": self.simulated as f64 / 3.6e9,
            "effects": self.effects,
            "faults": self.fired,
            "crash_points": self.crashes,
            "violations": self.violations.len(),
            "errors": self.errors.len(),
            "wall_seconds": wall.as_secs_f64(),
            "processor_seconds": self.processor.as_secs_f64(),
            "upper_bound_95": self.upper_bound(),
            "floors_missed": self.missed(),
            "violating_seeds": self.violations.iter().map(|(seed, v)| json!({
                "seed": seed, "violations": v, "replay": replay(*seed, test != SIMULATION),
            })).collect::<Vec<_>>(),
        })
    }
}

/// The command that runs a seed again, with clocks that are set all the time or not.
pub fn replay(seed: u64, clocks: bool) -> String {
    let clocks = if clocks { " --jumps 1" } else { "" };
    format!("cargo run -p tl-sim --bin sim -- --seed {seed} --trace{clocks}")
}
