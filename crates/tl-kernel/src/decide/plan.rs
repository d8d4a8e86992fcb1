//! Planning effects and asks: arguments, digests, the policy's ruling, and the state a row is born in.

use std::collections::{BTreeMap, BTreeSet};

use super::Deciding;
use crate::case::CaseEffect;
use crate::connector::{CallArgument, ConnectorCall, Control, path_segment};
use crate::digest::{Digest, keyed};
use crate::effect::{Class, EffectState};
use crate::expr::{EvalError, Expr, Piece, Template};
use crate::follow_up::{self, LINK_VALID, Link};
use crate::gate::{GateVerdict, Intent, Known, gate, is_dry_run};
use crate::journal::{Entry, Fact, Planned};
use crate::limits::{ATTEMPT_DEADLINE, DEFAULT_VALID_FOR};
use crate::policy::{Ruling, Verdict};
use crate::program::{
    Action, ActionIx, ActionKind, BaseVersion, Channel, Emit, Endpoint, FieldDef, Lock, Message,
    RecipientCheck, RestWrite,
};
use crate::slot::is_bounded;
use crate::turn::{Born, EffectKind, EffectPlan, EffectWrite};
use crate::value::{Label, Source, Type, Value};

/// What replaces an effect after a conflict.
pub(super) struct Replacement {
    /// The effect whose write was refused.
    pub(super) n: u32,
    /// Version to write on.
    pub(super) base: String,
    /// Properties kept as the other side has them, with its values: a replacing write must repeat them.
    pub(super) keep: BTreeMap<String, Value>,
}

/// The arguments of an effect.
pub(super) struct Made {
    pub(super) args: Value,
    /// As they are stored.
    pub(super) bytes: Vec<u8>,
    /// Of what an approver sees.
    pub(super) digest: Digest,
}

impl Deciding<'_> {
    /// The stricter of what the pinned and the current policy say about an action, for this case.
    /// A recipient from outside without a declared check needs a person, whatever the policy says.
    pub(super) fn ruling(&self, ix: ActionIx) -> Result<Ruling, EvalError> {
        let Some(action) = self.world.action(ix) else {
            return Ok(Ruling {
                verdict: Verdict::Never,
                line: 0,
                unvouched: false,
            });
        };
        let scope = self.scope();
        let pinned = self.world.policy.rule(&action.name, &scope)?;
        let current = self.facts.policy.rule(&action.name, &scope)?;
        let mut ruling = if current.verdict < pinned.verdict {
            current
        } else {
            pinned
        };
        let vouched = match &action.kind {
            ActionKind::Message(m) => self.recipient_is_checked(m)?,
            _ => true,
        };
        let ours = |call| self.sensitive_is_ours(call);
        let vouched = vouched && action.call().map_or(Ok(true), ours)?;
        if !vouched && ruling.verdict == Verdict::Auto {
            (ruling.verdict, ruling.unvouched) = (Verdict::Approve, true);
        }
        Ok(ruling)
    }

    /// An address is trusted when its label is, or when the file declares a check and the check holds: a
    /// typed address taken by mapping from a message whose sender has proven who it is. What somebody typed into a
    /// public form is not.
    fn recipient_is_checked(&self, message: &Message) -> Result<bool, EvalError> {
        let to = message.to.eval(&self.scope())?;
        if to.label < Label::Untrusted {
            return Ok(true);
        }
        let from_verified_message = || {
            message.to.reads().iter().all(|path| {
                let [root, name] = path.as_slice() else {
                    return false;
                };
                let typed = |d: &FieldDef| matches!(d.ty, Type::Email | Type::Phone);
                root == "record"
                    && self.world.record.field(name).is_some_and(typed)
                    && match self.case.record.get(name).map(|f| &f.source) {
                        Some(Source::Event(n)) => self.sender_is_proven(*n),
                        _ => false,
                    }
            })
        };
        Ok(message.check == Some(RecipientCheck::VerifiedSender) && from_verified_message())
    }

    /// Whether the sender of a message of the case, by its number, has proven who it is.
    pub(super) fn sender_is_proven(&self, n: u32) -> bool {
        let at = usize::try_from(n).ok().and_then(|n| n.checked_sub(1));
        let endpoint = at
            .and_then(|at| self.case.events.get(at))
            .and_then(|event| self.world.endpoint(&event.endpoint));
        endpoint.is_some_and(Endpoint::proves_sender)
    }

    /// Nothing that comes from outside says to whom a message or money goes, or how much.
    fn sensitive_is_ours(&self, call: &ConnectorCall) -> Result<bool, EvalError> {
        let scope = self.scope();
        for argument in &call.with {
            if argument.control == Control::Sensitive
                && argument.value.eval(&scope)?.label >= Label::Untrusted
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Plans an action. Returns the state it was born in: `Planned` waits for an approval (its task is open),
    /// `Cancelled` was refused by the policy and is only recorded, `Succeeded` is a message that was sent before
    /// and is not said twice. `None`: its arguments cannot be made.
    pub(super) fn plan_effect(
        &mut self,
        ix: ActionIx,
        replaces: Option<Replacement>,
    ) -> Option<EffectState> {
        let world = self.world;
        let action = world.action(ix)?;
        let ruling = self.ruling(ix).ok()?;
        let keep = replaces.as_ref().map(|r| &r.keep);
        let n = self.case.next_effect();
        let (made, said) = self.made((ix, n), keep, ruling.verdict)?;
        let base = self.base(replaces.as_ref(), action, &made.args);
        let state = match said {
            Some(_) => EffectState::Cancelled,
            None => self.birth(action, ruling.verdict, base.is_some()),
        };
        self.entry(Entry::Planned(Planned {
            n,
            action: ix,
            name: action.name.clone(),
            class: action.class,
            verdict: ruling.verdict,
            line: ruling.line,
            digest: made.digest,
            state: settle_for_case(state),
            replaces: said.or(replaces.map(|r| r.n)),
            unvouched: ruling.unvouched,
        }));
        if state == EffectState::Cancelled {
            return Some(said.map_or(state, |_| EffectState::Succeeded));
        }
        self.plan((n, state), action, made, base);
        if state == EffectState::Planned {
            self.open_task("approve", "policy", Some(n));
        }
        Some(state)
    }

    /// Writes the row of an effect.
    pub(super) fn plan(
        &mut self,
        (n, state): (u32, EffectState),
        action: &Action,
        made: Made,
        base_version: Option<String>,
    ) {
        let plan = EffectPlan {
            n,
            kind: EffectKind::Effect,
            action: action.name.clone(),
            connection: action.connection().to_owned(),
            class: action.class,
            state,
            due: self.now,
            valid_until: self.now.saturating_add(action.valid_for),
            args: made.bytes,
            digest: made.digest,
            key: self.vendor_key(&action.name, n),
            base_version,
            serial_key: self.serial_key(action, &made.args),
            born: (state == EffectState::Dispatching)
                .then(|| self.born())
                .flatten(),
        };
        self.fact(Fact::Args(n, made.args));
        self.effects.push(EffectWrite::Plan(Box::new(plan)));
    }

    /// The arguments of an effect that is planned with a number, and the effect by which the case has said the same
    /// before. A question is not asked again for the sake of a new link while the one counts that it was asked with.
    fn made(
        &self,
        (ix, n): (ActionIx, u32),
        keep: Option<&BTreeMap<String, Value>>,
        verdict: Verdict,
    ) -> Option<(Made, Option<u32>)> {
        let action = self.world.action(ix)?;
        let with = |link: Option<String>| {
            let args = self.arguments(action, (keep, link.as_deref()), verdict);
            let args = args.ok().flatten()?;
            let bytes = to_cbor(&args);
            let digest = self.args_digest(action, &bytes);
            Some(Made {
                args,
                bytes,
                digest,
            })
        };
        if self.reminds {
            return Some((with(self.link(ix, n, self.now))?, None));
        }
        let allowed = verdict != Verdict::Never;
        let said = |made: &Made| {
            let said = self.said_before(action, &made.args, made.digest);
            said.filter(|_| allowed)
        };
        if let Some(asked) = self.earlier_link(ix).and_then(|link| with(Some(link)))
            && let Some(said) = said(&asked)
        {
            return Some((asked, Some(said)));
        }
        let made = with(self.link(ix, n, self.now))?;
        let said = said(&made);
        Some((made, said))
    }

    /// The link of the message that asked last for missing fields, while it counts and these fields are missing.
    fn earlier_link(&self, ix: ActionIx) -> Option<String> {
        let (n, at) = follow_up::linked(self.world, &self.case)?;
        let counts = self.now <= at.saturating_add(LINK_VALID);
        let link = self.link(ix, n, at);
        link.filter(|_| counts)
    }

    /// The one-time link that an effect may show: where it is the message that asks for missing fields, planned with a
    /// number at an instant, µs.
    fn link(&self, ix: ActionIx, n: u32, at: i64) -> Option<String> {
        follow_up::endpoint(self.world)?;
        let base = self.facts.links.filter(|_| self.world.tasks.asks(ix))?;
        let link = Link::new(self.world, &self.case, n, at);
        let token = link.token(self.facts.tenant_key, self.case.id);
        (!link.fields.is_empty()).then(|| format!("{base}/{}/{token}", self.case.id))
    }

    /// The version to write on: the one that a conflict showed, else as the action says.
    fn base(
        &self,
        replaces: Option<&Replacement>,
        action: &Action,
        args: &Value,
    ) -> Option<String> {
        match replaces {
            Some(r) => Some(r.base.clone()),
            None => self.base_version(action, args),
        }
    }

    /// Digest of everything an approver sees: action, connection, arguments.
    pub(super) fn args_digest(&self, action: &Action, bytes: &[u8]) -> Digest {
        let name = action.name.as_bytes();
        let parts: [&[u8]; 4] = [b"args", name, action.connection().as_bytes(), bytes];
        keyed(&self.case.seed, &parts)
    }

    /// The effect by which this case has said the same already, or perhaps has, or is about to: a decision made again does not
    /// repeat a message. A draft is not made again with the decision, so a drafted message counts as the same to
    /// the same address.
    fn said_before(&self, action: &Action, args: &Value, digest: Digest) -> Option<u32> {
        if !matches!(action.kind, ActionKind::Message(_)) {
            return None;
        }
        let draft_is_gone = self.draft.is_none() && self.drafts(action);
        let same = |e: &CaseEffect| {
            let to = || e.args.as_ref().and_then(|a| a.at(&["to"]));
            e.digest == digest || (draft_is_gone && to() == args.at(&["to"]))
        };
        let said = |e: &CaseEffect| match e.state {
            EffectState::Succeeded => !is_dry_run(&e.code),
            // What is on its way will be said, or a person hears of it.
            EffectState::Uncertain | EffectState::Ready => true,
            _ => false,
        };
        // What a person has put into other words was said with these.
        let shown = |e: &CaseEffect| self.case.reworded(e).is_some_and(|(_, old)| same(old));
        let mut earlier = self.case.effects.iter().rev();
        let found =
            earlier.find(|(_, e)| e.name == action.name && said(e) && (same(e) || shown(e)));
        found.map(|(n, _)| *n)
    }

    /// Plans the question to the model that the AI step names.
    pub(super) fn plan_ask(&mut self) {
        let Some(ai) = &self.world.ai else { return };
        let n = self.case.next_effect();
        let text = match self.ask_text() {
            Ok(text) => text,
            Err((line, e)) => {
                self.not_evaluated("text".into(), line, e.to_string());
                return self.show("evaluation_error");
            }
        };
        let mut args = BTreeMap::from([("text".to_owned(), Value::text(text))]);
        if let Some(country) = self.case.record.get("country") {
            args.insert("country".into(), country.value.clone());
        }
        if let Some(event) = self.facts.event.or(self.case.message.as_ref()) {
            for name in ["from_name", "from", "received_at", "channel"] {
                if let Some(v) = event.at(&[name]) {
                    args.insert(name.into(), v.clone());
                }
            }
        }
        let args = Value::Record(args);
        let bytes = to_cbor(&args);
        let digest = keyed(&self.case.seed, &[b"ask", ai.model.as_bytes(), &bytes]);
        self.entry(Entry::Asked {
            n,
            model: ai.model.clone(),
        });
        let intent = Intent {
            workflow: &self.world.id,
            action: &ai.model,
            connection: "",
            is_ask: true,
            verdict: Verdict::Auto,
            approved: false,
            valid_until: i64::MAX,
        };
        let born = (gate(&intent, &self.known(None)) == GateVerdict::Send)
            .then(|| self.born())
            .flatten();
        let plan = EffectPlan {
            n,
            kind: EffectKind::Ask,
            action: ai.model.clone(),
            connection: if ai.model == "local" {
                String::new()
            } else {
                ai.model.clone()
            },
            class: Class::E5,
            state: if born.is_some() {
                EffectState::Dispatching
            } else {
                EffectState::Ready
            },
            due: self.now,
            valid_until: self.now.saturating_add(DEFAULT_VALID_FOR),
            args: bytes,
            digest,
            key: self.vendor_key(&ai.model, n),
            base_version: None,
            serial_key: None,
            born,
        };
        self.effects.push(EffectWrite::Plan(Box::new(plan)));
    }

    /// The text the model reads: what the door's `text` says, joined messages included.
    fn ask_text(&self) -> Result<String, (u32, EvalError)> {
        let endpoint = self.case.events.last().map_or("", |e| e.endpoint.as_str());
        let Some(endpoint) = self.world.endpoint(endpoint) else {
            return Ok(String::new());
        };
        let text = endpoint.text.as_ref().map(|e| e.eval(&self.scope()));
        let text = text.transpose().map_err(|e| (endpoint.line, e))?;
        let value = text.and_then(|got| got.value);
        Ok(value.map_or_else(String::new, |v| v.to_string()))
    }

    /// The state an effect is born in. Born dispatching are only classes whose crash can be resolved without
    /// a person, only as many as slots were reserved, and only when nothing must be read first.
    fn birth(&self, action: &Action, verdict: Verdict, has_base: bool) -> EffectState {
        match verdict {
            Verdict::Never => return EffectState::Cancelled,
            Verdict::Approve => return EffectState::Planned,
            Verdict::Auto => {}
        }
        let intent = Intent {
            workflow: &self.world.id,
            action: &action.name,
            connection: action.connection(),
            is_ask: false,
            verdict,
            approved: false,
            valid_until: i64::MAX,
        };
        let line = self.facts.policy.line(&action.name);
        let resolvable = match action.class {
            Class::E1 | Class::E5 => true,
            Class::E2 => has_base,
            Class::E0 | Class::E3 | Class::E4 => false,
        };
        let unlimited = line.is_none_or(|l| l.limit.is_none());
        let goes = gate(
            &intent,
            &self.known(line.and_then(|l| l.quiet_hours.as_ref())),
        ) == GateVerdict::Send;
        let calls = action.call().is_some();
        let sender = self.facts.sender.filter(|s| !(calls && s.suppresses));
        let slot = sender.is_some_and(|s| self.born < s.slots);
        if resolvable && unlimited && goes && slot {
            EffectState::Dispatching
        } else {
            EffectState::Ready
        }
    }

    fn known<'k>(&'k self, quiet_hours: Option<&'k crate::policy::QuietHours>) -> Known<'k> {
        Known {
            now: self.now,
            switches: self.facts.switches,
            quiet_hours,
            // What may go to a suppressed address is not born dispatching.
            suppressed: false,
            limit: None,
        }
    }

    fn born(&mut self) -> Option<Born> {
        let sender = self.facts.sender.filter(|s| self.born < s.slots)?;
        self.born += 1;
        Some(Born {
            node: sender.node,
            epoch: sender.epoch,
            deadline: self.now.saturating_add(ATTEMPT_DEADLINE),
        })
    }

    /// What the vendor sees as idempotency key: the same message asks for the same thing with the same key,
    /// even after a restore.
    fn vendor_key(&self, action: &str, n: u32) -> Digest {
        let endpoint = self.case.events.first().map_or("", |e| e.endpoint.as_str());
        keyed(
            self.facts.tenant_key,
            &[
                b"vendor",
                endpoint.as_bytes(),
                &self.case.origin,
                action.as_bytes(),
                &n.to_be_bytes(),
            ],
        )
    }

    fn serial_key(&self, action: &Action, args: &Value) -> Option<Digest> {
        let target = match &action.kind {
            // What is added to a collection changes no record that another one changes.
            ActionKind::Rest(w) if w.method == "POST" && w.lock == Lock::LastWriterWins => {
                return None;
            }
            ActionKind::Rest(_) => args.at(&["path"])?.to_string(),
            ActionKind::RecordStore { .. } => args.at(&["key"])?.to_string(),
            ActionKind::Call(call) => called_one_by_one(action, call, args)?,
            // A lost one is looked up by what it said.
            ActionKind::Message(_) if action.class == Class::E3 => args.to_string(),
            ActionKind::Message(_) | ActionKind::DomainEvent => return None,
        };
        let parts: [&[u8]; 3] = [b"serial", action.connection().as_bytes(), target.as_bytes()];
        Some(keyed(self.facts.tenant_key, &parts))
    }

    /// The base version that is known before a read: from the last answer, or declared by the workflow.
    fn base_version(&self, action: &Action, args: &Value) -> Option<String> {
        let declared = match &action.kind {
            ActionKind::Rest(rest) if rest.lock == Lock::LastWriterWins => return None,
            ActionKind::Rest(rest) => match &rest.base {
                BaseVersion::Declared(v) => Some(v),
                BaseVersion::Read => None,
            },
            ActionKind::Call(call) if call.is_conditional => call.base_version.as_ref(),
            _ => return None,
        };
        // A version belongs to an address: what was seen elsewhere says nothing here.
        let last = self
            .case
            .effects
            .values()
            .rev()
            .find(|e| e.name == action.name && !e.is_open());
        let place = |args: &Value| [args.at(&["path"]).cloned(), args.at(&["with"]).cloned()];
        let same_place = last.and_then(|e| e.args.as_ref().map(place)) == Some(place(args));
        let seen = self.case.seen.get(&action.name).filter(|_| same_place);
        let carried = seen.map(|s| s.version.clone());
        carried.or_else(|| declared.cloned())
    }

    /// The arguments of an action. `Ok(None)`: something that must be there is absent.
    fn arguments(
        &self,
        action: &Action,
        (keep, link): (Option<&BTreeMap<String, Value>>, Option<&str>),
        verdict: Verdict,
    ) -> Result<Option<Value>, EvalError> {
        fn text(t: impl Into<String>) -> Value {
            Value::text(t)
        }
        let mut args: Vec<(&str, Value)> = Vec::new();
        match &action.kind {
            ActionKind::RecordStore { key, map } => {
                let Some(key) = self.path(key, false)? else {
                    return Ok(None);
                };
                args.push(("key", text(key)));
                args.push(("kind", text(&self.world.record.name)));
                args.push(("body", self.properties(map, keep)?));
            }
            ActionKind::Rest(RestWrite {
                method, path, map, ..
            }) => {
                let Some(path) = self.path(path, true)? else {
                    return Ok(None);
                };
                args.push(("method", text(method)));
                args.push(("path", text(path)));
                args.push(("body", self.properties(map, keep)?));
            }
            ActionKind::Call(call) => {
                let Some(with) = self.called_with(&call.with)? else {
                    return Ok(None);
                };
                args.push(("use", text(call.full_name())));
                args.push(("with", with));
                args.push(("body", self.properties(&call.map, keep)?));
            }
            ActionKind::Message(m) => {
                let Some(said) = self.said((action, m), (verdict, link))? else {
                    return Ok(None);
                };
                args.extend(said);
            }
            ActionKind::DomainEvent => {
                let state = self.world.state_name(self.case.state);
                let kind = format!("{}.{state}", self.world.record.name);
                args.push(("type", text(kind)));
                args.push(("case", text(self.case.id.to_string())));
                args.push(("state", text(state)));
            }
        }
        let args = args.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        Ok(Some(Value::Record(args)))
    }

    /// The parts of a message, and what its connection's action takes beside them.
    fn said(
        &self,
        (action, m): (&Action, &Message),
        (verdict, link): (Verdict, Option<&str>),
    ) -> Result<Option<Vec<(&'static str, Value)>>, EvalError> {
        fn text(t: impl Into<String>) -> Value {
            Value::text(t)
        }
        let mut args = Vec::new();
        let Some(to) = m.to.eval(&self.scope())?.value.filter(|v| !v.is_blank()) else {
            return Ok(None);
        };
        args.push(("channel", text(m.channel.word())));
        args.push(("to", text(to.to_string())));
        args.push(("via", text(action.connection())));
        if let Some(call) = &m.via {
            let Some(with) = self.called_with(&call.with)? else {
                return Ok(None);
            };
            args.push(("use", text(call.full_name())));
            args.push(("with", with));
        }
        if let Some(subject) = m.subject.as_ref().filter(|_| m.channel == Channel::Email) {
            let subject = self.rendered(subject, m, (verdict, link))?;
            if m.via.is_some() && subject.trim().is_empty() {
                return Ok(None);
            }
            args.push(("subject", text(subject)));
        }
        let body = match (&self.draft, self.drafts(action)) {
            (Some(draft), true) => draft.clone(),
            _ => self.rendered(&m.body, m, (verdict, link))?,
        };
        if body.trim().is_empty() {
            return Ok(None);
        }
        // A text message is looked up by what it says: its end is nothing that a provider could take off.
        let body = match m.channel {
            Channel::Sms => body.trim_end().to_owned(),
            _ => body,
        };
        args.push(("text", text(body)));
        Ok(Some(args))
    }

    /// The arguments of a call; `None` where one that has to be given has no value.
    fn called_with(&self, with: &[CallArgument]) -> Result<Option<Value>, EvalError> {
        let scope = self.scope();
        let mut out = BTreeMap::new();
        for argument in with {
            match argument.value.eval(&scope)?.value {
                Some(v) if !v.is_blank() => out.insert(argument.name.clone(), v),
                _ if argument.required => return Ok(None),
                _ => None,
            };
        }
        Ok(Some(Value::Record(out)))
    }

    fn drafts(&self, action: &Action) -> bool {
        let drafted = self.world.ai.as_ref().and_then(|ai| ai.draft.as_ref());
        drafted.is_some_and(|d| {
            self.world
                .action(d.action)
                .is_some_and(|a| a.name == action.name)
        })
    }

    /// A message's text. One that goes out by itself to an address from outside repeats nothing of a stranger's
    /// but what a greeting needs; where a person approves it, that person reads it first.
    fn rendered(
        &self,
        template: &Template,
        message: &Message,
        (verdict, link): (Verdict, Option<&str>),
    ) -> Result<String, EvalError> {
        let scope = match link {
            Some(_) => self.scope().with_link(link),
            None => self.scope(),
        };
        if message.check.is_none() || verdict != Verdict::Auto {
            return Ok(template.render(&scope)?.text);
        }
        let record = &self.world.record;
        template.render_bounded(&scope, &|path| is_bounded(record, &message.to, path))
    }

    /// A path or key: each value is percent-encoded where it goes into an address. `None` when one is absent.
    fn path(&self, template: &Template, encode: bool) -> Result<Option<String>, EvalError> {
        let scope = self.scope();
        let mut out = String::new();
        for piece in &template.parts {
            match piece {
                Piece::Text(t) => out.push_str(t),
                Piece::Expr(e) => {
                    let Some(v) = e.eval(&scope)?.value.filter(|v| !v.is_blank()) else {
                        return Ok(None);
                    };
                    let v = v.to_string();
                    out.push_str(&if encode { path_segment(&v) } else { v });
                }
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }

    fn properties(
        &self,
        map: &[(String, Expr)],
        keep: Option<&BTreeMap<String, Value>>,
    ) -> Result<Value, EvalError> {
        let scope = self.scope();
        let mut body = BTreeMap::new();
        for (name, expr) in map {
            if let Some(theirs) = keep.and_then(|k| k.get(name)) {
                body.insert(name.clone(), theirs.clone());
            } else if let Some(v) = expr.eval(&scope)?.value {
                body.insert(name.clone(), v);
            }
        }
        Ok(Value::Record(body))
    }

    /// What an edge emits beside the move.
    pub(super) fn emit(&mut self, emit: &BTreeSet<Emit>) {
        for e in emit {
            match e {
                Emit::CrmSync => self.sync_crm(),
                Emit::DomainEvent => {
                    if let Some(ix) = self.world.action_ix("domain_event") {
                        self.plan_emitted(ix);
                    }
                }
                Emit::SlaTimer | Emit::AuditLog => {}
            }
        }
    }

    /// Plans the write to the system of record, once per turn.
    fn sync_crm(&mut self) {
        let planned_now =
            |w: &EffectWrite| matches!(w, EffectWrite::Plan(p) if p.action == "crm_upsert");
        if !self.effects.iter().any(planned_now)
            && let Some(ix) = self.world.action_ix("crm_upsert")
        {
            self.plan_emitted(ix);
        }
    }

    /// Plans what an edge emits; what cannot be planned is seen by a person instead of being dropped.
    pub(super) fn plan_emitted(&mut self, ix: ActionIx) {
        match self.plan_effect(ix, None) {
            None => self.open_task_once("exception", "arguments"),
            Some(EffectState::Cancelled) => self.open_task_once("exception", "policy_never"),
            Some(_) => {}
        }
    }

    /// The record changed after it was written: it is written again.
    pub(super) fn rewrite_changed(&mut self) {
        if self.case.effects.values().any(|e| e.name == "crm_upsert") {
            self.sync_crm();
        }
    }

    /// Withdraws what may still be withdrawn when a case closes.
    pub(super) fn withdraw_effects(&mut self) {
        let open: Vec<(u32, EffectState)> = self
            .case
            .open_effects()
            .map(|(n, e)| (n, e.state))
            .collect();
        for (n, state) in open {
            if state == EffectState::Planned {
                self.cancel_planned(n, "closed");
            } else {
                self.effects.push(EffectWrite::Withdraw { n });
            }
        }
    }

    /// What waits for an approval was decided on what was known then: a new decision asks anew, so that nothing can be
    /// approved twice.
    pub(super) fn withdraw_unapproved(&mut self) {
        let waits = |(n, e): (u32, &CaseEffect)| (e.state == EffectState::Planned).then_some(n);
        let waiting: Vec<u32> = self.case.open_effects().filter_map(waits).collect();
        for n in waiting {
            self.cancel_planned(n, "decided_anew");
            self.withdraw_approval(n);
        }
    }

    /// Cancels an effect that waits for an approval: only its case can move it, so no race is lost.
    pub(super) fn cancel_planned(&mut self, n: u32, code: &str) {
        self.entry(Entry::Settled {
            n,
            state: EffectState::Cancelled,
            attempts: 0,
            code: code.to_owned(),
            evidence: "gate".into(),
        });
        self.effects.push(EffectWrite::Change {
            n,
            from: EffectState::Planned,
            to: EffectState::Cancelled,
            due: self.now,
            code: code.to_owned(),
        });
    }
}

/// The case sees an effect on its way as `Ready` until it is settled: attempts are the ledger's.
fn settle_for_case(state: EffectState) -> EffectState {
    match state {
        EffectState::Dispatching => EffectState::Ready,
        other => other,
    }
}

/// What tells apart the calls that may not be under way together: the record where one is changed, everything where
/// a lost one is looked up by what it said.
fn called_one_by_one(action: &Action, call: &ConnectorCall, args: &Value) -> Option<String> {
    let with = args.at(&["with"])?;
    let place = match action.class {
        Class::E1 | Class::E2 => {
            let mut place = Vec::new();
            let records = call.with.iter().filter(|a| a.control == Control::Record);
            for argument in records {
                place.push(with.at(&[argument.name.as_str()])?.to_string());
            }
            place
        }
        Class::E3 => vec![with.to_string(), args.at(&["body"])?.to_string()],
        Class::E0 | Class::E4 | Class::E5 => return None,
    };
    (!place.is_empty()).then(|| format!("{}\0{}", call.connector, place.join("\0")))
}

pub(super) fn to_cbor(value: &Value) -> Vec<u8> {
    minicbor::to_vec(value).unwrap_or_default()
}
