//! The gate: the one place where an effect is authorised.
//!
//! A pure function of the intended effect and of what is known. Whoever acts on its answer carries the epochs
//! of what was read as guards of the dispatching unit, so that a switch that was set meanwhile refuses it.

use crate::policy::{QuietHours, Verdict};

/// The name of the connection of actions that use none: record store and domain events.
pub const BUILT_IN: &str = "built_in";
/// In front of a switch's scope: the code of what a dry run settled without sending it.
pub const DRY_RUN: &str = "dry_run:";

/// Whether a code is that of a dry run: `dry_run:SCOPE`, or `dry_run` alone as earlier journals have it.
pub fn is_dry_run(code: &str) -> bool {
    code.strip_prefix("dry_run")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// What a switch does to the effects in its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchMode {
    /// They wait.
    Hold,
    /// They are cancelled.
    Cancel,
    /// They are settled without being sent, marked as a dry run.
    DryRun,
}

impl SwitchMode {
    /// Reads the word; an unreadable mode holds, because unreadable state counts as closed.
    pub fn parse(word: &str) -> SwitchMode {
        match word {
            "cancel" => SwitchMode::Cancel,
            "dry-run" => SwitchMode::DryRun,
            _ => SwitchMode::Hold,
        }
    }
}

/// A kill switch in force for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// `everything`, `tenant`, `workflow:ID`, `action:NAME`, `connection:NAME`, `model:NAME`.
    pub scope: String,
    /// What it does.
    pub mode: SwitchMode,
}

/// What is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// Workflow id of the case.
    pub workflow: &'a str,
    /// Action name, or the model's for an ask.
    pub action: &'a str,
    /// Connection name, empty for built-in ones; a switch calls those `built_in`.
    pub connection: &'a str,
    /// It asks a model.
    pub is_ask: bool,
    /// The stricter of the pinned and the current policy's verdict.
    pub verdict: Verdict,
    /// A person approved exactly this.
    pub approved: bool,
    /// Not after, µs.
    pub valid_until: i64,
}

/// What is known when it is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Engine time, µs.
    pub now: i64,
    /// Switches in force for the tenant, the installation's included.
    pub switches: &'a [Switch],
    /// Quiet hours of the action's policy line.
    pub quiet_hours: Option<&'a QuietHours>,
    /// The recipient wants nothing more.
    pub suppressed: bool,
    /// Uses of the action's limit that are taken in the present window, and the limit.
    pub limit: Option<(u64, u32)>,
}

/// The gate's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateVerdict {
    /// It may go.
    Send,
    /// It waits: until an instant, or until somebody changes something. `why` is `kill:SCOPE` or `quiet_hours`.
    Hold {
        /// Not before, µs.
        until: Option<i64>,
        /// Why.
        why: String,
    },
    /// A person must approve it first.
    NeedsApproval,
    /// It is settled without being sent, as if the vendor had accepted it.
    DryRun {
        /// The switch's scope.
        scope: String,
    },
    /// It never goes: `expired`, `policy`, `suppressed`, `limit`, `kill:SCOPE`.
    Refuse {
        /// Why.
        why: String,
    },
}

/// Authorises an effect, or says why not. Default deny: every way out but the last names a reason.
pub fn gate(intent: &Intent<'_>, known: &Known<'_>) -> GateVerdict {
    let refuse = |why: &str| GateVerdict::Refuse { why: why.into() };
    if known.now > intent.valid_until {
        return refuse("expired");
    }
    if let Some(switch) = in_force(intent, known.switches) {
        return match switch.mode {
            SwitchMode::Hold => GateVerdict::Hold {
                until: None,
                why: format!("kill:{}", switch.scope),
            },
            SwitchMode::Cancel => refuse(&format!("kill:{}", switch.scope)),
            SwitchMode::DryRun => GateVerdict::DryRun {
                scope: switch.scope.clone(),
            },
        };
    }
    match intent.verdict {
        Verdict::Never => return refuse("policy"),
        Verdict::Approve if !intent.approved => return GateVerdict::NeedsApproval,
        Verdict::Approve | Verdict::Auto => {}
    }
    if known.suppressed {
        return refuse("suppressed");
    }
    if let Some(until) = known.quiet_hours.and_then(|q| q.until(known.now)) {
        return GateVerdict::Hold {
            until: Some(until),
            why: "quiet_hours".into(),
        };
    }
    match known.limit {
        Some((taken, count)) if taken >= u64::from(count) => refuse("limit"),
        _ => GateVerdict::Send,
    }
}

/// The strictest switch whose scope covers the intent: cancel before hold before dry-run.
fn in_force<'s>(intent: &Intent<'_>, switches: &'s [Switch]) -> Option<&'s Switch> {
    switches
        .iter()
        .filter(|s| covers(&s.scope, intent))
        .min_by_key(|s| match s.mode {
            SwitchMode::Cancel => 0,
            SwitchMode::Hold => 1,
            SwitchMode::DryRun => 2,
        })
}

/// Whether a switch's scope covers an intent. A scope nobody understands covers everything.
fn covers(scope: &str, intent: &Intent<'_>) -> bool {
    match scope.split_once(':') {
        None => true,
        Some(("workflow", id)) => id == intent.workflow,
        Some(("action", name)) => !intent.is_ask && name == intent.action,
        Some(("connection", name)) => !intent.is_ask && name == named(intent.connection),
        Some(("model", name)) => intent.is_ask && name == intent.action,
        Some(_) => true,
    }
}

fn named(connection: &str) -> &str {
    match connection {
        "" => BUILT_IN,
        own => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTENT: Intent<'_> = Intent {
        workflow: "lead",
        action: "ack",
        connection: "outbox",
        is_ask: false,
        verdict: Verdict::Auto,
        approved: false,
        valid_until: 100,
    };

    fn known(switches: &[Switch]) -> Known<'_> {
        Known {
            now: 50,
            switches,
            quiet_hours: None,
            suppressed: false,
            limit: None,
        }
    }

    #[test]
    fn switches_cover_their_scope_and_nothing_else() {
        let table = [
            ("everything", true),
            ("tenant", true),
            ("workflow:lead", true),
            ("workflow:ticket", false),
            ("action:ack", true),
            ("action:reply", false),
            ("connection:outbox", true),
            ("connection:crm", false),
            ("connection:built_in", false),
            ("model:ack", false),
            ("garbage:ack", true),
        ];
        for (scope, held) in table {
            let switches = [Switch {
                scope: scope.into(),
                mode: SwitchMode::Hold,
            }];
            let got = gate(&INTENT, &known(&switches));
            assert_eq!(got != GateVerdict::Send, held, "{scope}: {got:?}");
        }
        let inside = Intent {
            connection: "",
            ..INTENT
        };
        let ask = Intent {
            is_ask: true,
            action: "local",
            ..inside
        };
        let built_in = [Switch {
            scope: "connection:built_in".into(),
            mode: SwitchMode::Hold,
        }];
        assert_ne!(gate(&inside, &known(&built_in)), GateVerdict::Send);
        assert_eq!(gate(&ask, &known(&built_in)), GateVerdict::Send);
        let off = [Switch {
            scope: "model:local".into(),
            mode: SwitchMode::Cancel,
        }];
        assert!(matches!(
            gate(&ask, &known(&off)),
            GateVerdict::Refuse { .. }
        ));
    }

    #[test]
    fn every_other_reason_stops_it() {
        let with = |f: fn(&mut Intent<'static>, &mut Known<'static>)| {
            let (mut i, mut k) = (INTENT, known(&[]));
            f(&mut i, &mut k);
            gate(&i, &k)
        };
        let refused = |why: &str| GateVerdict::Refuse { why: why.into() };
        assert_eq!(with(|_, _| ()), GateVerdict::Send);
        assert_eq!(with(|i, _| i.valid_until = 49), refused("expired"));
        assert_eq!(with(|i, _| i.verdict = Verdict::Never), refused("policy"));
        assert_eq!(
            with(|i, _| (i.verdict, i.approved) = (Verdict::Never, true)),
            refused("policy"),
            "an approval does not outrank never"
        );
        assert_eq!(
            with(|i, _| i.verdict = Verdict::Approve),
            GateVerdict::NeedsApproval
        );
        assert_eq!(
            with(|i, _| (i.verdict, i.approved) = (Verdict::Approve, true)),
            GateVerdict::Send
        );
        assert_eq!(
            with(|i, k| {
                (i.verdict, i.approved) = (Verdict::Approve, true);
                k.suppressed = true;
            }),
            refused("suppressed"),
            "an approval does not outrank the recipient"
        );
        assert_eq!(with(|_, k| k.limit = Some((3, 3))), refused("limit"));
        assert_eq!(with(|_, k| k.limit = Some((2, 3))), GateVerdict::Send);
    }

    #[test]
    fn codes_of_dry_runs_are_known() {
        let table = [
            ("dry_run", true),
            ("dry_run:tenant", true),
            ("dry_runs", false),
            ("kill:tenant", false),
        ];
        for (code, want) in table {
            assert_eq!(is_dry_run(code), want, "{code}");
        }
    }

    #[test]
    fn the_strictest_switch_wins() {
        let s = |mode| Switch {
            scope: "everything".into(),
            mode,
        };
        let switches = [
            s(SwitchMode::DryRun),
            s(SwitchMode::Hold),
            s(SwitchMode::Cancel),
        ];
        assert!(matches!(
            gate(&INTENT, &known(&switches)),
            GateVerdict::Refuse { .. }
        ));
        assert!(matches!(
            gate(&INTENT, &known(&switches[..2])),
            GateVerdict::Hold { until: None, .. }
        ));
    }
}
