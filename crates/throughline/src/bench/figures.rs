//! What was measured, in the order of measuring.

use serde_json::{Value as Json, json};
use tl_bench::{out_of, upper_bound};

use crate::page::Page;

/// The figures of a run.
#[derive(Debug, Default)]
pub struct Figures {
    rows: Vec<Row>,
    /// What must be zero, added up over the phases.
    zeros: Vec<Zero>,
    broken: Vec<String>,
}

#[derive(Debug)]
struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    goal: Option<Goal>,
    /// Of how many, where it is a count.
    of: Option<u64>,
}

/// What a figure should be. Whether it is depends on the machine as well, so that a miss is said and no more.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// Not less than this.
    Least(f64),
    /// Less than this.
    Below(f64),
    /// Not more than this.
    Most(f64),
}

impl Goal {
    fn holds(self, value: f64) -> bool {
        match self {
            Goal::Least(least) => value >= least,
            Goal::Below(most) => value < most,
            Goal::Most(most) => value <= most,
        }
    }

    /// In words, with the unit of its figure.
    fn words(self, unit: &str) -> String {
        let (sign, bound) = match self {
            Goal::Least(least) => ("≥", least),
            Goal::Below(most) => ("<", most),
            Goal::Most(most) => ("≤", most),
        };
        format!("{sign} {} {unit}", shown(bound)).trim().to_owned()
    }
}

/// What must not happen, and how often it could have.
#[derive(Debug)]
struct Zero {
    name: String,
    count: u64,
    of: u64,
}

impl Figures {
    /// Adds a figure.
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.rows.push(Row {
            name: name.into(),
            value,
            unit,
            goal: None,
            of: None,
        });
    }

    /// Adds a count, and how often it could have been: none of ten and none of ten thousand say different things.
    pub fn count(&mut self, name: impl Into<String>, (count, of): (u64, u64)) {
        self.rows.push(Row {
            name: name.into(),
            value: count as f64,
            unit: "",
            goal: None,
            of: Some(of),
        });
    }

    /// Adds a figure that should be so.
    pub fn aim(&mut self, name: &str, (value, unit): (f64, &'static str), goal: Goal) {
        self.rows.push(Row {
            name: name.to_owned(),
            value,
            unit,
            goal: Some(goal),
            of: None,
        });
    }

    /// Counts what must be zero in every phase, and how often it could have happened: what is not zero is a promise
    /// broken, whatever the speed.
    pub fn must_be_zero(&mut self, name: &str, phase: &str, (count, of): (u64, u64)) {
        if count > 0 {
            self.broken
                .push(format!("{name} ({phase}): {}", out_of(count, of)));
        }
        match self.zeros.iter_mut().find(|z| z.name == name) {
            Some(zero) => {
                zero.count += count;
                zero.of += of;
            }
            None => self.zeros.push(Zero {
                name: name.to_owned(),
                count,
                of,
            }),
        }
    }

    /// Promises that did not hold.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// A table for people.
    pub fn text(&self, page: Page) -> String {
        let rows = self.rows.iter().map(|r| {
            let goal = r.goal.map_or_else(String::new, |goal| {
                let verdict = match goal.holds(r.value) {
                    true => "holds",
                    false => "missed",
                };
                format!("{}: {verdict}", goal.words(r.unit))
            });
            let value = match r.of {
                Some(of) => out_of(r.value as u64, of),
                None => format!("{} {}", shown(r.value), r.unit),
            };
            vec![r.name.clone(), value, goal]
        });
        let zeros = self.zeros.iter();
        let zeros = zeros.map(|z| vec![z.name.clone(), out_of(z.count, z.of), String::new()]);
        let rows: Vec<Vec<String>> = rows.chain(zeros).collect();
        page.table(&["figure", "value", "goal"], &rows, "nothing was measured")
    }

    /// A list for programs.
    pub fn json(&self) -> Json {
        let rows = self.rows.iter().map(|r| {
            if let Some(of) = r.of {
                return counted(&r.name, r.value as u64, of);
            }
            let mut row = json!({ "name": r.name, "value": r.value, "unit": r.unit });
            if let Some(goal) = r.goal {
                row["goal"] = goal.words(r.unit).into();
                row["holds"] = goal.holds(r.value).into();
            }
            row
        });
        let zeros = self.zeros.iter().map(|z| counted(&z.name, z.count, z.of));
        rows.chain(zeros).collect()
    }
}

/// A count for programs; where there are none, with what that says.
fn counted(name: &str, count: u64, of: u64) -> Json {
    let mut row = json!({ "name": name, "value": count, "unit": "", "of": of });
    if count == 0 {
        row["upper_bound_95"] = upper_bound(of).into();
    }
    row
}

/// Large values without digits behind the point, small ones with enough of them to compare.
fn shown(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 || v.fract() == 0.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_with_as_many_digits_as_they_deserve() {
        let table = [
            (0.0, "0"),
            (0.2814, "0.281"),
            (3.0, "3"),
            (3.25, "3.2"),
            (5377.4, "5377"),
        ];
        for (value, want) in table {
            assert_eq!(shown(value), want);
        }
    }

    #[test]
    fn what_must_be_zero_and_is_not_is_broken() {
        let mut figures = Figures::default();
        figures.must_be_zero("lost", "open", (0, 100));
        assert!(figures.broken().is_empty());
        assert_eq!(figures.json()[0]["upper_bound_95"], upper_bound(100));
        figures.must_be_zero("lost", "kill", (2, 50));
        assert_eq!(figures.broken(), ["lost (kill): 2 of 50"]);
        let all = figures.json();
        let (count, of) = (all[0]["value"].as_u64(), all[0]["of"].as_u64());
        assert_eq!((count, of), (Some(2), Some(150)));
        assert!(all[0].get("upper_bound_95").is_none());
    }

    #[test]
    fn no_count_is_told_alone() {
        let mut figures = Figures::default();
        figures.count("refused", (0, 200));
        figures.count("sent again", (3, 200));
        let text = figures.text(Page::of_stdout());
        for words in ["0 of 200 (≤ 1.5 % at 95 %)", "3 of 200"] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        assert_eq!(figures.json()[0]["upper_bound_95"], upper_bound(200));
        assert_eq!(figures.json()[1]["of"], 200);
    }

    #[test]
    fn a_goal_holds_or_is_missed() {
        let table = [
            (Goal::Least(90.0), 90.0, "≥ 90 %", true),
            (Goal::Least(90.0), 89.9, "≥ 90 %", false),
            (Goal::Below(500.0), 499.9, "< 500 %", true),
            (Goal::Below(500.0), 500.0, "< 500 %", false),
            (Goal::Most(1.5), 1.5, "≤ 1.5 %", true),
            (Goal::Most(1.5), 1.51, "≤ 1.5 %", false),
        ];
        for (goal, value, words, holds) in table {
            assert_eq!(
                (goal.words("%").as_str(), goal.holds(value)),
                (words, holds)
            );
        }
        assert_eq!(Goal::Least(90.0).words(""), "≥ 90");
    }
}
