//! Reason and error codes in words.

/// A reason or error code as a person says it; the code itself where nothing more is to say.
pub fn code_words(code: &str) -> String {
    let words = match code {
        "" => return String::new(),
        "precondition_failed" | "conflict" => "the system of record had changed in between",
        "expired" => "its time had passed before it could be sent",
        "policy" => "the current policy does not allow it",
        "limit" => "the limit of the policy was reached",
        "dry_run" => "a dry-run switch was set: nothing was sent",
        "quiet_hours" => "quiet hours",
        "retry" => "waiting for the next attempt",
        "crashed" | "poison" => "the process died while it was on its way, too often",
        "attempts" | "exhausted" => "given up after the last attempt",
        "rejected" => "a person rejected it",
        "closed" => "the case was closed before it was sent",
        "credential" => "the credential was not accepted",
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
        "model_refused" | "refused" => "the model declined",
        "model_throttled" => "the model's provider asks for fewer requests",
        "model_credential" => "the model's credential is not accepted",
        "missing" => "required fields are missing",
        "ai_off" => "AI is switched off",
        "ai_failed" => "the model gave no usable answer",
        "unsure" => "the model is not sure enough",
        "rule" => "a rule asks for a person",
        "sla_breach" => "the time for this state has passed",
        "deny" | "denied" => "denied by default: no branch of the decision took it",
        other => match other.strip_prefix("kill:") {
            Some(scope) => return format!("held by the switch `{scope}`"),
            None => return other.to_owned(),
        },
    };
    format!("{words} ({code})")
}
