//! Triage: rules, decision tables, and the question to the model.

use rust_decimal::Decimal;

use super::{Deciding, ModelAnswer, No};
use crate::coerce::coerce;
use crate::expr::Expr;
use crate::journal::{Actor, Answered, Entry, Fact, TimerKind};
use crate::limits::MAX_ASKS;
use crate::program::{CellTest, FieldFrom, HitPolicy, RuleEffect, Table, TableRow, canonical};
use crate::value::{Label, Source, Value};

impl Deciding<'_> {
    /// A fresh case: rules, then `triaged`, then the model or the decision.
    pub(super) fn triage_from_pending(&mut self) {
        if self.run_rules() {
            return;
        }
        if self.move_to(canonical::TRIAGED, "rules_done") {
            self.ask_or_decide();
        } else {
            self.stuck("no_edge");
        }
    }

    /// In `triaged`: asks the model where the file has an AI step, else decides.
    pub(super) fn ask_or_decide(&mut self) {
        let Some(ai) = &self.world.ai else {
            return self.run_decision();
        };
        // The engine refuses AI in any other state: the plan itself is only reached here.
        if self.case.state != ai.when_state || self.case.vouched {
            return self.run_decision();
        }
        if self.case.asks.len() >= MAX_ASKS {
            let n = self.case.next_effect();
            self.entry(Entry::AskFailed {
                n,
                reason: "limit".into(),
                said: None,
            });
            return self.run_decision();
        }
        self.plan_ask();
    }

    /// A joined message: fills a waiting case, re-opens a closed one, or is only attached.
    pub(super) fn after_join(&mut self, changed: bool) {
        match self.case.state {
            canonical::CLOSED => {
                // A new message is new text: it is read anew.
                let reopened = self.move_to(canonical::TRIAGED, "reply");
                if reopened && !self.run_rules() {
                    self.ask_or_decide();
                }
            }
            canonical::NEEDS_HUMAN => {
                let waits_for_sender = self.case.open_tasks().any(|(_, t)| t.kind == "missing");
                let goes_on = self
                    .world
                    .edge(canonical::NEEDS_HUMAN, canonical::TRIAGED)
                    .is_some();
                if waits_for_sender && goes_on && self.missing().is_empty() {
                    self.withdraw_kind("missing", "answered");
                    if self.move_to(canonical::TRIAGED, "answered") {
                        self.redecide();
                    }
                } else if waits_for_sender && changed {
                    // Somebody answers, and has not come to the end of it.
                    self.wait_for_answer();
                }
            }
            canonical::AUTOMATED if changed => {
                // What a rule closes is not written again.
                if self.run_rules() {
                    return;
                }
                match self.asks_first_look() {
                    true => self.show("evaluation_error"),
                    false => self.rewrite_changed(),
                }
            }
            _ => {}
        }
    }

    /// Rules again, then the model if it has not answered yet, else the decision.
    pub(super) fn redecide(&mut self) {
        if self.run_rules() {
            return;
        }
        match self.case.ai {
            crate::case::Ai::NotAsked | crate::case::Ai::Failed(_) => self.ask_or_decide(),
            crate::case::Ai::Asked => {}
            crate::case::Ai::Answered { .. } => self.run_decision(),
        }
    }

    /// Runs rules and tables over what the record holds. True when a rule closed the case.
    pub(super) fn run_rules(&mut self) -> bool {
        if !self.world.rules_engine {
            return false;
        }
        let world = self.world;
        self.rule_asked = None;
        for (i, rule) in world.rules.iter().enumerate() {
            let held = match rule.when.holds(&self.scope()) {
                Ok(held) => held,
                Err(e) => {
                    self.not_evaluated("when".into(), rule.line, e.to_string());
                    continue;
                }
            };
            if held && self.apply_rule(i as u32, rule.line, &rule.effect) {
                return true;
            }
        }
        for (i, table) in world.tables.iter().enumerate() {
            self.run_table(i as u32, table);
        }
        false
    }

    /// Applies a rule that matched. True when it closed the case.
    fn apply_rule(&mut self, rule: u32, line: u32, effect: &RuleEffect) -> bool {
        match effect {
            RuleEffect::Set(fields) => {
                let mut changed = false;
                for (name, expr) in fields {
                    let got = match expr.eval(&self.scope()) {
                        Ok(got) => got,
                        Err(e) => {
                            self.not_evaluated(format!("set {name}"), line, e.to_string());
                            continue;
                        }
                    };
                    let (Some(value), Some(def)) = (got.value, self.world.record.field(name))
                    else {
                        // It held and set nothing: that it held is worth an entry all the same.
                        changed |= !self.case.record.contains_key(name);
                        continue;
                    };
                    if let Ok(Some(value)) = coerce(&value, &def.ty, None) {
                        changed |= self.set_field(name, value, got.label, Source::Rule(rule));
                    }
                }
                if changed {
                    self.entry(Entry::Rule { rule, line });
                }
                false
            }
            RuleEffect::Route(to) => {
                self.route(to, (rule, line));
                false
            }
            RuleEffect::NeedsHuman(reason) => {
                self.entry(Entry::Rule { rule, line });
                self.rule_asked = Some(reason.clone());
                false
            }
            RuleEffect::Close(_) if self.asks_first_look() => false,
            RuleEffect::Close(reason) => {
                self.entry(Entry::Rule { rule, line });
                self.move_to(canonical::CLOSED, reason)
            }
        }
    }

    /// Gives the case to whom a rule names, if there is such a person or team.
    fn route(&mut self, to: &Expr, (rule, line): (u32, u32)) {
        let owner = match to.eval(&self.scope()) {
            Ok(got) => got.value,
            Err(e) => return self.not_evaluated("route".into(), line, e.to_string()),
        };
        let Some(owner) = owner.as_ref().and_then(Value::as_text) else {
            return;
        };
        if !self.world.owners.contains(owner) {
            return self.nobody("route".into());
        }
        if owner != self.case.owner {
            self.entry(Entry::Rule { rule, line });
            self.entry(Entry::Assigned {
                owner: owner.to_owned(),
                reason: "rule".into(),
            });
        }
    }

    /// An owner that was read from somewhere is no person and no team.
    pub(super) fn nobody(&mut self, part: String) {
        let why = "is no person and no team of teams.yaml".to_owned();
        self.entry(Entry::LeftOut { part, why });
    }

    /// An expression had no result: that is recorded, and a person looks before anything is decided.
    pub(super) fn not_evaluated(&mut self, part: String, line: u32, why: String) {
        self.entry(Entry::NotEvaluated { part, line, why });
    }

    /// Whether a person has to look before anything is decided, because an expression had no result.
    pub(super) fn asks_first_look(&self) -> bool {
        self.case.unevaluated && !self.case.vouched
    }

    fn run_table(&mut self, t: u32, table: &Table) {
        let matches: Vec<usize> = table
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| self.row_matches(table, row))
            .map(|(i, _)| i)
            .collect();
        let Some(&first) = matches.first() else {
            self.entry(Entry::TableMiss { table: t });
            return;
        };
        let mut changed = false;
        for (col, field) in table.outputs.iter().enumerate() {
            let value = match table.hit {
                HitPolicy::First | HitPolicy::Unique => table.rows[first].values[col].clone(),
                HitPolicy::Collect => Value::List(
                    matches
                        .iter()
                        .map(|i| table.rows[*i].values[col].clone())
                        .collect(),
                ),
            };
            // An empty output cell leaves the field as it is.
            if value != Value::Null {
                changed |=
                    self.set_field(field, value, Label::Config, Source::Table(t, first as u32));
            }
        }
        if changed {
            let line = table.rows[first].line;
            self.entry(Entry::TableRow { table: t, line });
        }
    }

    fn row_matches(&self, table: &Table, row: &TableRow) -> bool {
        table
            .inputs
            .iter()
            .zip(&row.tests)
            .all(|((field, _), test)| {
                let value = self.case.record.get(field).map(|f| &f.value);
                match (test, value) {
                    (CellTest::Any, _) => true,
                    (_, None) => false,
                    (CellTest::OneOf(values), Some(v)) => values.contains(v),
                    (CellTest::Range(from, to), Some(v)) => number(v)
                        .is_some_and(|n| from.is_none_or(|f| n >= f) && to.is_none_or(|t| n < t)),
                }
            })
    }

    pub(super) fn on_answer(&mut self, a: ModelAnswer) -> Result<(), No> {
        let n = a.answered.n;
        self.expect_ask(n)?;
        self.actor = Actor::Model(a.answered.model.clone());
        self.entry(Entry::Answered(a.answered));
        // It answers a question that a newer one has replaced: that it came is recorded, and that is all.
        if self.case.asked_since(n) {
            return Ok(());
        }
        self.fact(Fact::Proposal(a.proposal));
        self.draft = a.draft;
        for f in a.fields {
            let Some(def) = self.world.record.field(&f.name) else {
                continue;
            };
            // What a person, a rule or the sender said stands; a proposal fills gaps and the AI's own fields.
            let free = match self.case.record.get(&f.name) {
                None => true,
                Some(old) => matches!(old.source, Source::Model { .. }),
            };
            if !free
                || matches!(
                    def.from,
                    FieldFrom::Rules | FieldFrom::Engine | FieldFrom::Crm
                )
            {
                continue;
            }
            if let Ok(Some(value)) = coerce(&f.value, &def.ty, self.country().as_deref()) {
                let source = Source::Model {
                    ask: n,
                    confidence: f.confidence,
                    span: f.span,
                };
                self.set_field(&f.name, value, Label::Untrusted, source);
            }
        }
        if let Some(event) = self.case.message.clone() {
            self.take_natural_keys(&event);
        }
        self.after_ask();
        Ok(())
    }

    pub(super) fn on_no_answer(
        &mut self,
        n: u32,
        reason: String,
        said: Option<Box<Answered>>,
    ) -> Result<(), No> {
        self.expect_ask(n)?;
        self.entry(Entry::AskFailed { n, reason, said });
        if !self.case.asked_since(n) {
            self.after_ask();
        }
        Ok(())
    }

    /// After the model's turn the case may have moved on (a person closed it meanwhile): then nothing follows.
    fn after_ask(&mut self) {
        if self
            .world
            .ai
            .as_ref()
            .is_some_and(|ai| ai.when_state == self.case.state)
            && !self.run_rules()
        {
            self.run_decision();
        }
    }

    fn expect_ask(&self, n: u32) -> Result<(), No> {
        match self.case.asks.get(&n) {
            Some((_, true)) => Ok(()),
            _ => Err(No::new(
                "TL0713",
                "model_answer",
                format!("ask {n} is not open any more"),
            )),
        }
    }

    fn country(&self) -> Option<String> {
        let field = self.case.record.get("country")?;
        field.value.as_text().map(str::to_owned)
    }

    /// A person looks at the case before it goes on.
    pub(super) fn show(&mut self, reason: &str) {
        let at = self.case.state;
        if at != canonical::NEEDS_HUMAN && self.world.edge(at, canonical::NEEDS_HUMAN).is_none() {
            return self.stuck(reason);
        }
        self.open_task_once("review", reason);
        if at != canonical::NEEDS_HUMAN {
            self.move_to(canonical::NEEDS_HUMAN, reason);
        }
    }

    /// No declared edge leads on: a person is asked where the case stands, so that it does not end silently.
    pub(super) fn stuck(&mut self, reason: &str) {
        self.open_task("exception", reason, None);
        if self.case.state != canonical::NEEDS_HUMAN {
            self.move_to(canonical::NEEDS_HUMAN, reason);
        }
    }

    pub(super) fn on_timer(&mut self, n: u32) -> Result<(), No> {
        let Some((kind, due)) = self.case.timers.get(&n).copied() else {
            return Err(No::new(
                "TL0714",
                "timer",
                format!("timer {n} is not set any more"),
            ));
        };
        self.entry(Entry::TimerEnded { n, fired: true });
        self.cancelled.push(n);
        match kind {
            TimerKind::Warn => {}
            TimerKind::Breach => self.breach(due),
            TimerKind::Escalate(step) => self.escalate(step),
            TimerKind::Goal => self.miss_goal(due),
            TimerKind::Unanswered(step) => self.unanswered(step, due),
        }
        Ok(())
    }
}

fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(i) => Some(Decimal::from(*i)),
        Value::Dec(d) => Some(*d),
        _ => None,
    }
}
