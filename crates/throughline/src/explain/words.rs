//! Reason and error codes in words.

use tl_kernel::gate::DRY_RUN;

/// A reason or error code as a person says it; the code itself where nothing more is to say.
pub fn code_words(code: &str) -> String {
    let words = match code {
        "" => return String::new(),
        "moved" | "conflict" | "http_412" => "the system of record had changed in between",
        "expired" => "its time had passed before it could be sent",
        "policy" => "the policy does not allow it",
        "needs_human" => "a person is asked",
        "limit" => "the limit of the policy was reached",
        "dry_run" => "a dry-run switch was set: nothing was sent",
        "quiet_hours" => "quiet hours",
        "retry" => "waiting for the next attempt",
        "crashed" => "the process died while it was on its way",
        "poison" => "the process died too often while it was on its way",
        "uncertain" => "nobody knows whether it happened",
        "unclear" => "the other system's answer does not say what became of it",
        "attempts" | "exhausted" => "given up after the last attempt",
        "connection" => "its connection is not usable",
        "breaker" => {
            "the other system fails too often; one attempt a second looks whether it is back"
        }
        "retry_budget" => {
            "too many attempts on this connection are repeated; this one waits for its turn"
        }
        "throttled" | "http_429" => "the other system asks for fewer requests",
        "vendor_pause" | "retry_after_too_long" => {
            "the other system asks for a pause of more than a day"
        }
        "credential" | "credential_refused" | "http_401" => {
            "the other system does not accept the credential"
        }
        "permission" | "not_permitted" | "http_402" | "http_403" => {
            "the other system does not permit it, or is not paid for"
        }
        "not_applied" => "the last attempt did not come about",
        "not_seen" => "a look just after the last attempt did not show it; it may still arrive",
        "in_doubt" => "an earlier attempt may have happened, and no further one may be made",
        "key_window" => {
            "it is too long ago for a repeat with the same key to be harmless, and it may have happened"
        }
        "rejected" => "a person rejected it",
        "decided_anew" => "the case was decided anew before anybody approved it",
        "closed" => "the case was closed before it was sent",
        "connect_refused" => "nobody listens at the address",
        "connect_timeout" => "no connection came about in time",
        "dns_failed" => "the name could not be resolved",
        "tls_certificate" => "the certificate is not valid for the name",
        "target_refused" => "the address is not allowed for this connection",
        "no_answer_in_time" => "no answer came in time: it may or may not have happened",
        "connection_reset" | "connection_closed" | "connection_broken" => {
            "the connection broke: it may or may not have happened"
        }
        "no_connection" => "the connection is not set up",
        "off" => "AI is switched off, or the model cannot be reached",
        "failed" | "model_failed" => "the model failed",
        "model_timeout" | "timeout" => "the model took too long",
        "model_invalid" | "invalid" => "the model's answer did not have the shape asked for",
        "model_refused" => "the model declined",
        "refused" => "the other side refused it",
        "redirected" => "the address leads elsewhere; writes are not redirected",
        "target_missing" => "the other system does not have what was to be changed",
        "too_large" => "the other system says it is too large",
        "condition_failed" => "the other system says that its condition failed",
        "model_throttled" => "the model's provider asks for fewer requests",
        "model_credential" => "the model's credential is not accepted",
        "missing" => "required fields are missing",
        "ai_off" => "AI is switched off",
        "no_confidence" => "the model answered without a confidence",
        "ai_failed" => "the model gave no usable answer",
        "unsure" => "the model is not sure enough",
        "rule" => "a rule asks for a person",
        "rules_done" => "the rules have run",
        "reply" => "the sender wrote again",
        "answered" => "the sender gave what was missing",
        "decision" => "no branch of the decision does it without a person",
        "approval" => "the policy asks for an approval",
        "done" => "everything that was planned is done",
        "closed_by_rule" => "a rule closed it",
        "policy_never" => "the policy never allows what the decision asks for",
        "arguments" => "the arguments of an action cannot be made",
        "evaluation_error" => "an expression of the file could not be evaluated",
        "no_edge" => "the workflow declares no transition for this move",
        "no_branch" => "no branch of the decision took it",
        "sla_breach" => "the time for this state has passed",
        "goal" | "goal_missed" => "the time of the goal has passed",
        "deny" | "denied" => "the decision denies it, so nothing is sent",
        other => {
            return match (other.strip_prefix("kill:"), dry_run(other)) {
                (Some(scope), _) => format!("held by the switch `{scope}`"),
                (_, Some(scope)) => format!("not sent: dry run by the switch `{scope}`"),
                _ => other.to_owned(),
            };
        }
    };
    format!("{words} ({code})")
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
