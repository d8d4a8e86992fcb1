//! The model: a chat completions server that mostly reads its message right, and has the moods of real ones.

use serde_json::{Value as Json, json};
use tl_connect::knowledge::Answer;

use crate::dice::Dice;
use crate::faults::Faults;
use crate::vendor::plain;

/// Name of its connection.
pub const CONNECTION: &str = "gpt";

/// Labels that it knows.
pub const LABELS: [&str; 3] = ["demo", "pricing", "other"];

/// Answers one request.
pub fn answer(body: &str, faults: &Faults, dice: &mut Dice) -> Answer {
    let label = LABELS
        .into_iter()
        .find(|l| body.contains(&format!("about {l}")))
        .unwrap_or("other");
    let confidence = if faults.fires("model_unsure") {
        0.2
    } else {
        0.9 + dice.below(10) as f64 / 100.0
    };
    let good = json!({"label": label, "confidence": confidence});
    match faults.one_of(&[
        "model_garbage",
        "model_refusal",
        "model_wrong_shape",
        "model_throttled",
    ]) {
        // Models repeat what they were asked.
        Some("model_garbage") => said(
            &Json::from(format!("certainly! here is what you asked for: {{ {body}")),
            None,
        ),
        Some("model_refusal") => said(
            &Json::Null,
            Some(&format!("I cannot help with that: {body}")),
        ),
        Some("model_wrong_shape") => {
            said(&Json::from(json!({"label": "refund"}).to_string()), None)
        }
        Some(_) => {
            let mut answer = plain(429, json!({"error": {"type": "rate_limit_exceeded"}}));
            answer.headers.insert("retry-after".into(), "3".into());
            answer
        }
        None => said(&Json::from(good.to_string()), None),
    }
}

fn said(content: &Json, refusal: Option<&str>) -> Answer {
    let message = json!({"role": "assistant", "content": content, "refusal": refusal});
    plain(
        200,
        json!({
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "simulated-1",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 90, "completion_tokens": 12, "total_tokens": 102},
        }),
    )
}
