//! Reason and error codes in words.

use tl_kernel::gate::DRY_RUN;

/// Reason and error codes, and what a person says for them.
pub const CODES: &[(&[&str], &str)] = &[
    (
        &["moved", "conflict", "http_412"],
        "the system of record had changed in between",
    ),
    (&["expired"], "its time had passed before it could be sent"),
    (&["policy"], "the policy does not allow it"),
    (&["needs_human"], "a person is asked"),
    (&["suppressed"], "its recipient wants nothing more"),
    (&["limit"], "the limit of the policy was reached"),
    (&["dry_run"], "a dry-run switch was set: nothing was sent"),
    (&["quiet_hours"], "quiet hours"),
    (&["retry"], "waiting for the next attempt"),
    (&["crashed"], "the process died while it was on its way"),
    (
        &["poison"],
        "the process died too often while it was on its way",
    ),
    (&["uncertain"], "nobody knows whether it happened"),
    (
        &["unclear"],
        "the other system's answer does not say what became of it",
    ),
    (
        &["attempts", "exhausted"],
        "given up after the last attempt",
    ),
    (&["connection"], "its connection is not usable"),
    (
        &["breaker"],
        "the other system fails too often; one attempt a second looks whether it is back",
    ),
    (
        &["retry_budget"],
        "too many attempts on this connection are repeated; this one waits for its turn",
    ),
    (
        &["throttled", "http_429"],
        "the other system asks for fewer requests",
    ),
    (
        &["vendor_pause", "retry_after_too_long"],
        "the other system asks for a pause of more than a day",
    ),
    (
        &["credential", "credential_refused", "http_401"],
        "the other system does not accept the credential",
    ),
    (
        &["permission", "not_permitted", "http_402", "http_403"],
        "the other system does not permit it, or is not paid for",
    ),
    (&["not_applied"], "the last attempt did not come about"),
    (
        &["not_seen"],
        "a look just after the last attempt did not show it; it may still arrive",
    ),
    (
        &["in_doubt"],
        "an earlier attempt may have happened, and no further one may be made",
    ),
    (
        &["key_window"],
        "it is too long ago for a repeat with the same key to be harmless, and it may have happened",
    ),
    (&["rejected"], "a person rejected it"),
    (
        &["decided_anew"],
        "the case was decided again before anybody approved it",
    ),
    (
        &["reworded"],
        "a person approved it in other words, which another effect says",
    ),
    (&["closed"], "the case was closed before it was sent"),
    (&["connect_refused"], "nobody listens at the address"),
    (&["connect_timeout"], "no connection came about in time"),
    (&["dns_failed"], "the name could not be resolved"),
    (
        &["tls_certificate"],
        "the certificate is not valid for the name",
    ),
    (
        &["target_refused"],
        "the address is not allowed for this connection",
    ),
    (&["no_answer_in_time"], "no answer came in time"),
    (
        &["connection_reset", "connection_closed", "connection_broken"],
        "the connection broke before the answer came",
    ),
    (&["no_connection"], "the connection is not set up"),
    (
        &["off"],
        "AI is switched off, or the model cannot be reached",
    ),
    (&["failed", "model_failed"], "the model failed"),
    (&["model_timeout", "timeout"], "the model took too long"),
    (
        &["model_invalid", "invalid"],
        "the model's answer did not have the shape asked for",
    ),
    (&["model_refused"], "the model declined"),
    (&["refused"], "the other system rejected it"),
    (
        &["redirected"],
        "the address leads elsewhere; writes are not redirected",
    ),
    (
        &["target_missing"],
        "the other system does not have what was to be changed",
    ),
    (&["too_large"], "the other system says it is too large"),
    (
        &["condition_failed"],
        "the other system says that its condition failed",
    ),
    (
        &["model_throttled"],
        "the model's provider asks for fewer requests",
    ),
    (
        &["model_credential"],
        "the model's credential is not accepted",
    ),
    (&["missing"], "required fields are missing"),
    (&["ai_off"], "AI is switched off"),
    (
        &["no_confidence"],
        "the model answered without a confidence",
    ),
    (&["ai_failed"], "the model gave no usable answer"),
    (&["unsure"], "the model is not sure enough"),
    (&["rule"], "a rule asks for a person"),
    (&["rules_done"], "the rules have run"),
    (&["reply"], "the sender wrote again"),
    (&["answered"], "the sender gave what was missing"),
    (&["decision"], "the workflow file asks a person here"),
    (&["approval"], "the policy asks for an approval"),
    (&["done"], "everything that was planned is done"),
    (&["closed_by_rule"], "a rule closed it"),
    (
        &["policy_never"],
        "the policy never allows what the decision asks for",
    ),
    (&["arguments"], "the arguments of an action cannot be made"),
    (
        &["evaluation_error"],
        "an expression of the file could not be evaluated",
    ),
    (&["cancelled"], "it was called off before it was sent"),
    (&["dead"], "nothing more is tried"),
    (&["decided"], "the decision was carried out"),
    (
        &["escalation"],
        "it was not done in time, so somebody else has it now",
    ),
    (&["handed_off"], "somebody is asked to take it over"),
    (&["settled"], "what was asked has come to an end by itself"),
    (
        &["no_edge"],
        "the workflow declares no transition for this move",
    ),
    (&["no_branch"], "no branch of the decision took it"),
    (&["sla_breach"], "the time for this state has passed"),
    (&["goal", "goal_missed"], "the time of the goal has passed"),
    (
        &["deny", "denied"],
        "the decision denies it, so nothing is sent",
    ),
];

/// A reason or error code as a person says it; the code itself where nothing more is to say.
pub fn code_words(code: &str) -> String {
    if let Some(words) = meaning(code) {
        return format!("{words} ({code})");
    }
    match (code.strip_prefix("kill:"), dry_run(code)) {
        (Some(scope), _) => format!("held by the switch `{scope}`"),
        (_, Some(scope)) => format!("not sent: dry run by the switch `{scope}`"),
        _ => code.to_owned(),
    }
}

/// What a code means, without the code; `None` where it says no more than its letters.
pub fn meaning(code: &str) -> Option<&'static str> {
    let row = CODES.iter().find(|(codes, _)| codes.contains(&code));
    row.map(|(_, words)| *words).or_else(|| status_words(code))
}

/// What a status means that has no words of its own.
fn status_words(code: &str) -> Option<&'static str> {
    match code.strip_prefix("http_")?.parse::<u16>().ok()? {
        503 => Some("the other system says that it is not available"),
        500..=599 => Some("the other system had a fault of its own"),
        400..=499 => Some("the other system rejected it"),
        _ => None,
    }
}

/// The scope of the switch that made a dry run of something.
pub fn dry_run(code: &str) -> Option<&str> {
    code.strip_prefix(DRY_RUN)
}

/// As `code_words`, for what has ended: a switch that ended it holds it no more.
pub fn stop_words(code: &str) -> String {
    match code.strip_prefix("kill:") {
        Some(scope) => format!("stopped by the switch `{scope}`"),
        None => code_words(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tl_kernel::reason::{OF_THE_ENGINE, is_of_the_engine};

    /// What a decision weighs: a file may give these as reasons too, and says the same by them.
    const SHARED: [&str; 6] = [
        "missing",
        "unsure",
        "ai_off",
        "ai_failed",
        "no_confidence",
        "rule",
    ];

    #[test]
    fn what_is_translated_is_what_the_engine_says() {
        let known: Vec<&str> = CODES
            .iter()
            .flat_map(|(codes, _)| *codes)
            .copied()
            .collect();
        let distinct: BTreeSet<&str> = known.iter().copied().collect();
        assert_eq!(distinct.len(), known.len(), "a code stands twice");
        for code in &known {
            assert!(
                is_of_the_engine(code) != SHARED.contains(code),
                "`{code}`: a file may give it as a reason of its own, and would be misunderstood"
            );
        }
        for code in OF_THE_ENGINE {
            assert!(distinct.contains(code), "`{code}` has no words");
        }
        for code in SHARED {
            assert!(distinct.contains(code), "`{code}` has no words");
        }
    }

    #[test]
    fn codes_are_said_in_words() {
        let table = [
            ("", ""),
            ("unsure", "the model is not sure enough (unsure)"),
            (
                "http_503",
                "the other system says that it is not available (http_503)",
            ),
            ("kill:tenant", "held by the switch `tenant`"),
            ("too_small_for_us", "too_small_for_us"),
        ];
        for (code, words) in table {
            assert_eq!(code_words(code), words);
        }
    }
}
