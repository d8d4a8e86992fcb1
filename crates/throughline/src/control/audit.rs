//! The audit as others read it: one JSON object per turn, in commit order, with the bytes that its leaf is the
//! hash of. Bodies, which hold personal data, stay here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tl_engine::follower::signer;
use tl_kernel::digest::hex;
use tl_kernel::id::CaseId;
use tl_kernel::journal::{Actor, Answered, Entry, Head, open};
use tl_kernel::time::rfc3339;

use super::Ctx;
use super::views::{AuditHead, AuditPage, CheckpointLine, Reply};
use crate::failure::Failure;
use crate::text::At;

/// Turns of one page at most.
const PAGE: u32 = 1_000;

impl Ctx<'_> {
    pub(super) async fn audit_page(&self, after: u64, limit: u32) -> Result<Reply, Failure> {
        let tenant = self.audit_tenant().await?.0;
        let limit = limit.clamp(1, PAGE);
        let rows = self
            .app
            .desk
            .store()
            .turns(after, limit, Some(tenant), false)
            .await?;
        let last = rows
            .last()
            .map(|(pos, ..)| *pos)
            .filter(|_| rows.len() as u32 == limit);
        let mut turns = Vec::new();
        for (_, _, _, sealed) in rows {
            let (head, _) = open(&sealed).map_err(|e| Failure::refused(e.to_string()))?;
            turns.push(turn_json(&head, &sealed.head, &sealed.leaf));
        }
        Ok(Reply::AuditPage(AuditPage { turns, after: last }))
    }

    pub(super) async fn audit_head(&self) -> Result<Reply, Failure> {
        let (tenant, name) = self.audit_tenant().await?;
        let signer = signer(self.app.desk.key())
            .ok_or_else(|| Failure::unreachable("the signing key cannot be derived"))?;
        let mut checkpoints = self.app.desk.store().checkpoints(tenant, 1_000_000).await?;
        checkpoints.reverse();
        let lines = checkpoints.iter().map(|c| CheckpointLine {
            size: c.size,
            root: hex(&c.root),
            signature: hex(&c.sig),
            at: At(c.at),
        });
        use aws_lc_rs::signature::KeyPair as _;
        Ok(Reply::AuditHead(AuditHead {
            tenant: name,
            public_key: hex(signer.public_key().as_ref()),
            checkpoints: lines.collect(),
        }))
    }

    /// The tenant whose audit is asked for; `system` is the installation's own.
    async fn audit_tenant(&self) -> Result<(tl_kernel::id::TenantId, String), Failure> {
        if self.tenant == "system" {
            return Ok((tl_kernel::id::TenantId::SYSTEM, self.tenant.clone()));
        }
        let view = self.view().await?;
        Ok((view.id, view.name.clone()))
    }
}

/// A turn as the export shows it. `head` is what the leaf is the hash of; everything else is for reading.
pub(crate) fn turn_json(head: &Head, bytes: &[u8], leaf: &[u8]) -> Value {
    let case = if head.case == CaseId::CONTROL {
        Value::Null
    } else {
        json!(head.case.to_string())
    };
    json!({
        "leaf": hex(leaf),
        "head": STANDARD.encode(bytes),
        "at": rfc3339(head.at),
        "case": case,
        "turn": head.seq,
        "actor": actor_json(&head.actor),
        "correlation": head.correlation,
        "definition": head.definition,
        "policy": head.policy,
        "entries": head.entries.iter().map(entry_json).collect::<Vec<_>>(),
    })
}

fn actor_json(actor: &Actor) -> Value {
    match actor {
        Actor::Engine => json!({ "kind": "engine" }),
        Actor::Endpoint { name, kid } => json!({ "kind": "endpoint", "id": name, "key": kid }),
        Actor::ApiKey(kid) => json!({ "kind": "api_key", "id": kid }),
        Actor::Person(name) => json!({ "kind": "user", "id": name }),
        Actor::Model(name) => json!({ "kind": "model", "id": name }),
        Actor::Operator(name) => json!({ "kind": "operator_cli", "id": name }),
    }
}

fn entry_json(entry: &Entry) -> Value {
    effect_json(entry)
        .or_else(|| work_json(entry))
        .unwrap_or_else(|| other_json(entry))
}

/// What a model said, whether it could be used or not.
fn answer_json(what: &str, a: &Answered) -> Value {
    json!({
        "what": what, "effect": a.n, "model": a.model, "prompt": hex(&a.prompt),
        "input": hex(&a.input), "output": hex(&a.output), "confidence_thousandths": a.confidence,
        "tokens": a.tokens, "took_us": a.took, "repairs": a.repairs,
    })
}

/// What was asked of models and planned for the outside world.
fn effect_json(entry: &Entry) -> Option<Value> {
    Some(match entry {
        Entry::Asked { n, model } => json!({ "what": "asked", "effect": n, "model": model }),
        Entry::Answered(a) => answer_json("answered", a),
        Entry::AskFailed { n, reason, said } => {
            let what = "ask_failed";
            let mut failed = json!({ "what": what, "effect": n });
            if let Some(said) = said {
                failed = answer_json(what, said);
            }
            failed["reason"] = json!(reason);
            failed
        }
        Entry::Planned(p) => json!({
            "what": "planned", "effect": p.n, "action": p.name, "class": p.class.word(),
            "verdict": p.verdict.word(), "policy_line": p.line, "digest": hex(&p.digest),
            "state": p.state.word(), "replaces": p.replaces,
            "unvouched": p.unvouched,
        }),
        Entry::Approved { n, digest } => {
            json!({ "what": "approved", "effect": n, "digest": hex(digest) })
        }
        Entry::Settled {
            n,
            state,
            attempts,
            code,
            evidence,
        } => json!({
            "what": "settled", "effect": n, "state": state.word(), "attempts": attempts,
            "code": code, "evidence": evidence,
        }),
        Entry::Conflict { n, round, kept } => {
            json!({ "what": "conflict", "effect": n, "round": round, "kept": kept })
        }
        _ => return None,
    })
}

/// Tasks, timers and moves.
fn work_json(entry: &Entry) -> Option<Value> {
    Some(match entry {
        Entry::Moved {
            from,
            to,
            reason,
            owner,
            due,
        } => json!({
            "what": "moved", "from": from, "to": to, "reason": reason, "owner": owner,
            "due": due.map(rfc3339),
        }),
        Entry::Assigned { owner, reason } => {
            json!({ "what": "assigned", "owner": owner, "reason": reason })
        }
        Entry::TaskOpened {
            n,
            kind,
            owner,
            reason,
            due,
            effect,
        } => json!({
            "what": "task_opened", "task": n, "kind": kind, "owner": owner, "reason": reason,
            "due": due.map(rfc3339), "effect": effect,
        }),
        Entry::TaskClosed {
            n,
            decision,
            reason,
        } => {
            json!({ "what": "task_closed", "task": n, "decision": decision, "reason": reason })
        }
        Entry::TimerSet { n, kind, due } => {
            let kind = format!("{kind:?}").to_lowercase();
            json!({ "what": "timer_set", "timer": n, "kind": kind, "due": rfc3339(*due) })
        }
        Entry::TimerEnded { n, fired } => {
            json!({ "what": "timer_ended", "timer": n, "fired": fired })
        }
        Entry::Sla { state, met, due } => {
            json!({ "what": "sla", "state": state, "met": met, "due": rfc3339(*due) })
        }
        Entry::Goal { met, due } => {
            json!({ "what": "goal", "met": met, "due": rfc3339(*due) })
        }
        _ => return None,
    })
}

/// Messages, rules, decisions, and what belongs to no case.
fn other_json(entry: &Entry) -> Value {
    match entry {
        Entry::Opened => json!({ "what": "opened" }),
        Entry::Event {
            n,
            id,
            endpoint,
            key_source,
            matched_key,
            correlation,
        } => json!({
            "what": "event", "n": n, "id": id.to_string(), "endpoint": endpoint,
            "key_source": key_source, "matched_key": matched_key, "correlation": correlation,
        }),
        Entry::FieldsSet { count } => json!({ "what": "fields_set", "count": count }),
        Entry::Rule { rule, line } => json!({ "what": "rule", "rule": rule, "line": line }),
        Entry::TableRow { table, line } => {
            json!({ "what": "table_row", "table": table, "line": line })
        }
        Entry::TableMiss { table } => json!({ "what": "table_miss", "table": table }),
        Entry::LeftOut { part, why } => json!({ "what": "left_out", "part": part, "why": why }),
        Entry::NotEvaluated { part, line, why } => {
            json!({ "what": "not_evaluated", "part": part, "line": line, "why": why })
        }
        Entry::Decided(d) => json!({
            "what": "decided", "branch": d.branch, "line": d.line,
            "confidence_thousandths": d.confidence, "threshold_thousandths": d.threshold,
            "policy_allows": d.policy_allows, "needs_human": d.needs_human, "error": d.error,
        }),
        Entry::Refused { action, code } => {
            json!({ "what": "refused", "action": action, "code": code })
        }
        Entry::Control {
            action,
            object,
            detail,
        } => {
            json!({ "what": "control", "action": action, "object": object, "detail": detail })
        }
        // Everything else has its words above; a new entry shows at least that it is there.
        _ => json!({ "what": "other" }),
    }
}
