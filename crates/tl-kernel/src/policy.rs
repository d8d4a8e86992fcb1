//! Policy: what may happen by itself, what needs a person, what may never happen.

use minicbor::{Decode, Encode};

use crate::expr::{EvalError, Expr, Scope, Truth};

/// What the policy says about one action. The order is the order of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Verdict {
    /// Refused.
    #[n(0)]
    Never,
    /// Only after a person approved exactly this.
    #[n(1)]
    Approve,
    /// May happen by itself.
    #[n(2)]
    Auto,
}

impl Verdict {
    /// The word used in files and explanations.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Never => "never",
            Verdict::Approve => "approve",
            Verdict::Auto => "auto",
        }
    }
}

/// When a verdict applies.
#[derive(Debug, Clone)]
pub enum When {
    /// Not stated.
    Unstated,
    /// Without a condition.
    Always,
    /// Where the condition holds.
    If(Expr),
}

/// A limit such as `3 per contact per day`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub count: u32,
    /// Counted per recipient, per case, or over the tenant.
    pub per: LimitScope,
    /// Length of the counting window, µs. Windows are aligned to the epoch.
    pub window: i64,
}

/// What a limit counts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// One recipient.
    Contact,
    /// One case.
    Case,
    /// The whole tenant.
    Tenant,
}

/// Hours in which nothing is sent: from and to in minutes since midnight in a zone; may wrap over midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    /// First quiet minute.
    pub from: i32,
    /// First minute that is not quiet any more.
    pub to: i32,
    /// IANA zone name; `UTC` where the file names none.
    pub zone: String,
}

impl QuietHours {
    /// `None` when the instant is not quiet, else the first instant (µs) after it that is not.
    /// Resolution: one minute; a change of the zone's offset in between moves it by the change.
    pub fn until(&self, now: i64) -> Option<i64> {
        let minute = crate::time::minute_of_day(now, &self.zone)?;
        let quiet = if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        };
        let wait = i64::from((self.to - minute).rem_euclid(24 * 60));
        quiet.then(|| now - now.rem_euclid(crate::time::MINUTE) + wait * crate::time::MINUTE)
    }
}

/// What the policy says about one action.
#[derive(Debug, Clone)]
pub struct PolicyLine {
    /// The action's name.
    pub action: String,
    /// `auto`.
    pub auto: When,
    /// `approve`; the team that approves.
    pub approve: Option<String>,
    /// `never`.
    pub never: When,
    /// `limit`.
    pub limit: Option<Limit>,
    /// `quiet_hours`.
    pub quiet_hours: Option<QuietHours>,
    /// Line in the policy's file, 0 for a line nobody wrote: the effective default.
    pub line: u32,
}

/// The policy of one workflow version: one line per action.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The lines, by action name in file order.
    pub lines: Vec<PolicyLine>,
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Verdict,
    /// The line that gave it, 0 = the effective default.
    pub line: u32,
    /// The policy says `auto`, and what came from outside and nothing vouches for made it `approve`.
    pub unvouched: bool,
}

impl Policy {
    /// The line about an action.
    pub fn line(&self, action: &str) -> Option<&PolicyLine> {
        self.lines.iter().find(|l| l.action == action)
    }

    /// The verdict on an action for the values in scope. An action without a line is `never`: the loader
    /// writes a line for every action, so this is met only by an action that the current policy dropped.
    pub fn rule(&self, action: &str, scope: &dyn Scope) -> Result<Ruling, EvalError> {
        let Some(line) = self.line(action) else {
            return Ok(Ruling {
                verdict: Verdict::Never,
                line: 0,
                unvouched: false,
            });
        };
        let verdict = if line.never.applies(scope)? {
            Verdict::Never
        } else if line.auto.applies(scope)? {
            Verdict::Auto
        } else {
            Verdict::Approve
        };
        Ok(Ruling {
            verdict,
            line: line.line,
            unvouched: false,
        })
    }
}

impl When {
    /// Whether it applies to the values in scope.
    pub fn applies(&self, scope: &dyn Scope) -> Result<bool, EvalError> {
        match self {
            When::Unstated => Ok(false),
            When::Always => Ok(true),
            When::If(e) => e.truth(scope).map(|t: Truth| t.holds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{HOUR, parse_rfc3339};

    #[test]
    fn quiet_hours_wrap_over_midnight() {
        let q = QuietHours {
            from: 20 * 60,
            to: 8 * 60,
            zone: "Europe/Berlin".into(),
        };
        let table = [
            ("2026-11-22T18:59:00Z", None),
            ("2026-11-22T19:00:30Z", Some("2026-11-23T07:00:00Z")),
            ("2026-11-23T06:59:59Z", Some("2026-11-23T07:00:00Z")),
            ("2026-11-23T07:00:00Z", None),
        ];
        for (at, want) in table {
            let got = q.until(parse_rfc3339(at).unwrap());
            assert_eq!(got, want.map(|w| parse_rfc3339(w).unwrap()), "{at}");
        }
        let day = QuietHours {
            from: 60,
            to: 120,
            zone: "UTC".into(),
        };
        assert_eq!(day.until(HOUR), Some(2 * HOUR));
        assert_eq!(day.until(2 * HOUR), None);
    }
}
