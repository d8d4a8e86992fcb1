//! What is done to the base, a case per row, and what is found then.

use tl_kernel::effect::Class;
use tl_kernel::policy::LimitScope;
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN, TRIAGED};
use tl_kernel::program::{Auth, Emit, Goal, Lock, OnUnknown, Program, RuleEffect, Step};

use crate::change::{
    CRM, REPLY, TRANSFER, asks_before_hand_off, crm, never_for_vip, own_state, reply, says,
    unseen_unless_it_fails, without,
};
use crate::world::{Say, branch, edge, expr, line, message, rest, rule, template};

/// What is done to the base, and the codes that are found then.
pub type Row = (&'static str, fn(&mut Program), &'static [&'static str]);

pub const ROWS: &[Row] = &[
    ("nothing", |_| {}, &[]),
    // 1
    (
        "a state without a way in",
        |p| _ = own_state(p),
        &["TL0501"],
    ),
    (
        "a state without a way out",
        |p| {
            let s = own_state(p);
            p.edges.push(edge(NEEDS_HUMAN, s));
        },
        &["TL0511", "TL0513", "TL0514"],
    ),
    (
        "a way out of an own state",
        |p| {
            let s = own_state(p);
            p.edges
                .extend([edge(NEEDS_HUMAN, s), edge(s, NEEDS_HUMAN), edge(s, CLOSED)]);
        },
        &[],
    ),
    (
        "nobody owns a state",
        |p| p.states[1].owner = " ".into(),
        &["TL0512"],
    ),
    (
        "a state without an SLA",
        |p| p.states[2].sla = None,
        &["TL0512", "TL0514"],
    ),
    (
        "a breach that leads nowhere",
        |p| p.states[2].on_breach = None,
        &["TL0513", "TL0514"],
    ),
    (
        "a breach along no transition",
        |p| without(p, AUTOMATED, NEEDS_HUMAN),
        &["TL0513", "TL0514"],
    ),
    (
        "a breach in a circle",
        |p| {
            p.states[2].on_breach = Some(TRIAGED);
            p.states[1].on_breach = Some(AUTOMATED);
            p.edges.push(edge(AUTOMATED, TRIAGED));
            p.ai = None;
            p.decision.branches = vec![branch(None, vec![Step::Effect(CRM)])];
            p.decision.branches[0].to = Some(TRIAGED);
        },
        &["TL0514"],
    ),
    (
        "a branch that stays, with no clock",
        |p| {
            p.ai = None;
            p.edges[0].emit.remove(&Emit::SlaTimer);
            p.decision.branches[2].to = Some(TRIAGED);
        },
        &["TL0514"],
    ),
    (
        "no way to close after a review",
        |p| without(p, NEEDS_HUMAN, CLOSED),
        &["TL0515"],
    ),
    (
        "no way on after a review",
        |p| {
            without(p, NEEDS_HUMAN, CLOSED);
            without(p, NEEDS_HUMAN, TRIAGED);
            p.decision.branches = vec![branch(None, vec![Step::HumanQueue])];
        },
        &["TL0515"],
    ),
    // 2
    (
        "never in a branch",
        |p| {
            p.policy.lines[0] = line("crm_upsert", Say::Never);
            p.decision.branches[0] =
                branch(Some("confidence >= threshold"), vec![Step::Effect(CRM)]);
        },
        &["TL0502"],
    ),
    (
        "never in a branch that is never taken",
        |p| {
            p.policy.lines[2] = line("transfer", Say::Never);
            p.decision.branches[0] = branch(Some("policy_allows"), vec![Step::Effect(TRANSFER)]);
        },
        &["TL0517"],
    ),
    (
        "never on a transition",
        |p| {
            p.policy.lines[3] = line("domain_event", Say::Never);
            p.edges[3].emit.insert(Emit::DomainEvent);
        },
        &["TL0502"],
    ),
    (
        "never in what a hand-off asks for first",
        |p| asks_before_hand_off(p, branch(None, vec![Step::HandOff])),
        &["TL0502"],
    ),
    (
        "never in what the write that completes the goal asks for first",
        |p| {
            asks_before_hand_off(p, branch(None, vec![Step::Effect(CRM)]));
            p.goal = Some(Goal {
                start: TRIAGED,
                end: CLOSED,
                sla: 1,
                owner: "ops".into(),
            });
        },
        &["TL0502"],
    ),
    (
        "a write that completes no goal asks for nothing",
        |p| {
            asks_before_hand_off(p, branch(None, vec![Step::Effect(CRM)]));
            p.goal = Some(Goal {
                start: TRIAGED,
                end: NEEDS_HUMAN,
                sla: 1,
                owner: "ops".into(),
            });
        },
        &[],
    ),
    (
        "a hand-off of what lacks nothing asks for nothing",
        |p| {
            let first = branch(Some("size(missing) == 0"), vec![Step::HandOff]);
            asks_before_hand_off(p, first);
            p.decision
                .branches
                .push(branch(None, vec![Step::HumanQueue]));
        },
        &[],
    ),
    (
        "never where what it needs is missing",
        |p| {
            p.policy.lines[0] = line("crm_upsert", Say::Never);
            p.decision.branches[0] = branch(Some("size(missing) > 0"), vec![Step::Effect(CRM)]);
        },
        &[],
    ),
    (
        "never where a rule closes the case first",
        |p| {
            never_for_vip(p);
            p.rules
                .push(rule("record.vip", RuleEffect::Close("x".into())));
        },
        &[],
    ),
    (
        "never where a rule would close the case, but no transition does",
        |p| {
            never_for_vip(p);
            p.rules
                .push(rule("record.vip", RuleEffect::Close("x".into())));
            without(p, TRIAGED, CLOSED);
        },
        &["TL0502"],
    ),
    (
        "never where a rule asks for a person",
        |p| {
            never_for_vip(p);
            p.decision.branches[0] = branch(
                Some("record.vip && !needs_human && confidence < 1.0"),
                vec![Step::Effect(TRANSFER)],
            );
            p.rules
                .push(rule("record.vip", RuleEffect::NeedsHuman("x".into())));
        },
        &["TL0517"],
    ),
    (
        "never where the policy of another action does not allow it",
        |p| {
            p.policy.lines[0] = line("crm_upsert", Say::AutoIfVip);
            p.decision.branches[0] = branch(
                Some("!record.vip && policy_allows"),
                vec![Step::Effect(CRM)],
            );
        },
        &["TL0517"],
    ),
    (
        "never, for what only a person sets, where no person ever sees a case",
        |p| unseen_unless_it_fails(p, "record.note.contains('now') && record.note.size() > 5"),
        &[],
    ),
    (
        "the same, where a condition may fail and a person sees it then",
        |p| unseen_unless_it_fails(p, "event.seats > 100"),
        &["TL0502"],
    ),
    (
        "never under a condition",
        |p| p.policy.lines[0] = line("crm_upsert", Say::NeverIfC),
        &[],
    ),
    (
        "no line in the policy",
        |p| p.policy.lines.retain(|l| l.action != "crm_upsert"),
        &["TL0517"],
    ),
    (
        "closed in the same turn",
        |p| p.decision.branches[0].to = Some(CLOSED),
        &["TL0521"],
    ),
    // 3
    ("no default", |p| _ = p.decision.branches.pop(), &["TL0516"]),
    (
        "a condition against itself",
        |p| p.decision.branches[0] = branch(Some("record.vip && !record.vip"), vec![Step::Close]),
        &["TL0517"],
    ),
    (
        "an earlier branch takes all",
        |p| {
            p.decision.branches[1] = branch(
                Some("record.budget > 200 && confidence >= threshold && policy_allows"),
                vec![Step::Effect(CRM)],
            )
        },
        &["TL0517"],
    ),
    (
        "numbers apart",
        |p| {
            p.decision.branches[1] = branch(
                Some("record.budget > 200 && record.budget < 100"),
                vec![Step::Close],
            )
        },
        &["TL0517"],
    ),
    (
        "numbers that meet",
        |p| {
            p.decision.branches[1] = branch(
                Some("record.budget > 100 && record.budget < 200"),
                vec![Step::Close],
            )
        },
        &[],
    ),
    (
        "a missing field that is there",
        |p| {
            p.decision.branches[1] = branch(
                Some("size(missing) > 0 && has(record.email)"),
                vec![Step::Close],
            )
        },
        &["TL0517"],
    ),
    (
        "a rule against itself",
        |p| {
            p.rules.push(rule(
                "record.intent == 'a' && record.intent == 'b'",
                RuleEffect::Close("x".into()),
            ))
        },
        &["TL0517"],
    ),
    (
        "intents that only the default takes",
        |p| {
            p.decision.branches = vec![
                branch(Some("record.intent == 'a'"), vec![Step::Effect(CRM)]),
                branch(None, vec![Step::Deny]),
            ]
        },
        &["TL0503"],
    ),
    (
        "the same, meant",
        |p| {
            p.decision.branches = vec![
                branch(Some("record.intent == 'a'"), vec![Step::Effect(CRM)]),
                branch(None, vec![Step::Deny]),
            ];
            p.decision.branches[1].reason = Some("other_intents".into());
        },
        &[],
    ),
    (
        "the same, by rules",
        |p| {
            p.decision.branches = vec![
                branch(Some("record.intent == 'a'"), vec![Step::Effect(CRM)]),
                branch(None, vec![Step::Deny]),
            ];
            p.rules.push(rule(
                "record.intent in ['b', 'c']",
                RuleEffect::Close("x".into()),
            ));
        },
        &[],
    ),
    // 4
    (
        "an automatic message with the whole check",
        |p| p.policy.lines[1] = line("reply", Say::Auto),
        &[],
    ),
    (
        "without the check",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            reply(p).check = None;
        },
        &["TL0504"],
    ),
    (
        "an address that only a public form gives",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            p.endpoints[0].auth = vec![Auth::Public {
                origins: Vec::new(),
            }];
        },
        &["TL0504"],
    ),
    (
        "an address that a person of ours notes",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            p.endpoints[0].auth = vec![Auth::SignIn];
        },
        &[],
    ),
    (
        "without a template file",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            reply(p).template_file = None;
            reply(p).body = template("Hello ${record.name}");
        },
        &["TL0504"],
    ),
    (
        "a text of the workflow file that nothing fills in",
        |p| reply(p).template_file = None,
        &[],
    ),
    (
        "without a limit",
        |p| {
            p.policy.lines[1] = line("reply", Say::AutoIfVip);
            p.policy.lines[1].limit = None;
        },
        &["TL0504"],
    ),
    (
        "with a limit per tenant",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            p.policy.lines[1].limit.as_mut().unwrap().per = LimitScope::Tenant;
        },
        &["TL0504"],
    ),
    (
        "a name in the text",
        |p| says(p, "Hello ${record.name}"),
        &[],
    ),
    (
        "the own address in the text",
        |p| says(p, "Hello ${record.email}, ${record.vip}"),
        &[],
    ),
    (
        "a message in the text",
        |p| says(p, "You wrote: ${record.note}"),
        &["TL0504"],
    ),
    (
        "the event in the text",
        |p| says(p, "Hello ${event.name}"),
        &["TL0504"],
    ),
    (
        "a message in the subject",
        |p| {
            says(p, "Hello");
            reply(p).subject = Some(template("${record.note}"));
        },
        &["TL0504"],
    ),
    (
        "a message in the text, approved",
        |p| reply(p).body = template("You wrote: ${record.note}"),
        &[],
    ),
    (
        "a text as recipient",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            *reply(p) = message("record.note", true);
        },
        &["TL0504", "TL0519"],
    ),
    (
        "a text as recipient, approved",
        |p| *reply(p) = message("record.note", false),
        &["TL0519"],
    ),
    (
        "a fixed recipient",
        |p| p.policy.lines[2] = line("transfer", Say::Auto),
        &[],
    ),
    (
        "free text in a path",
        |p| *crm(p) = rest("/leads/${record.note}"),
        &["TL0504"],
    ),
    (
        "free text in a path, approved",
        |p| {
            *crm(p) = rest("/leads/${record.note}");
            p.policy.lines[0] = line("crm_upsert", Say::Approve);
            p.decision.branches.remove(0);
        },
        &[],
    ),
    (
        "the natural key in a path",
        |p| {
            *crm(p) = rest("/leads/${record.note}");
            p.record.natural_keys.push(template("${record.note}"));
        },
        &[],
    ),
    (
        "a rule's text in a path",
        |p| {
            *crm(p) = rest("/leads/${record.tier}");
            p.rules.push(rule(
                "record.vip",
                RuleEffect::Set(vec![("tier".into(), expr("'gold'"))]),
            ));
        },
        &[],
    ),
    (
        "a rule that copies text into a path",
        |p| {
            *crm(p) = rest("/leads/${record.tier}");
            p.rules.push(rule(
                "record.vip",
                RuleEffect::Set(vec![("tier".into(), expr("record.note"))]),
            ));
        },
        &["TL0504"],
    ),
    (
        "a typed control field",
        |p| p.record.fields[0].control = true,
        &[],
    ),
    (
        "a control field of free text",
        |p| p.record.fields[4].control = true,
        &["TL0518"],
    ),
    // 5
    (
        "a resent message",
        |p| p.actions[usize::from(REPLY)].on_unknown = OnUnknown::Resend,
        &["TL0505"],
    ),
    (
        "E1 without a key",
        |p| p.actions[usize::from(CRM)].class = Class::E1,
        &["TL0505"],
    ),
    (
        "E2 without a lock",
        |p| crm(p).lock = Lock::LastWriterWins,
        &["TL0505"],
    ),
    (
        "an action that does not exist",
        |p| p.decision.branches[0].actions.push(Step::Effect(9)),
        &["TL0519"],
    ),
    (
        "an emitted action that does not exist",
        |p| {
            p.actions.truncate(3);
            p.edges[3].emit.insert(Emit::DomainEvent);
        },
        &["TL0519"],
    ),
    // 6
    (
        "AI that must not be left out",
        |p| p.ai.as_mut().unwrap().optional = false,
        &["TL0520"],
    ),
    (
        "AI in another state",
        |p| p.ai.as_mut().unwrap().when_state = AUTOMATED,
        &["TL0520"],
    ),
    (
        "without AI nobody is asked",
        |p| {
            let s = own_state(p);
            p.edges
                .extend([edge(TRIAGED, s), edge(s, TRIAGED), edge(s, CLOSED)]);
            p.states[1].on_breach = Some(s);
            p.states[usize::from(s)].on_breach = Some(TRIAGED);
            p.decision.branches = vec![
                branch(Some("has(confidence)"), vec![Step::HumanQueue]),
                branch(None, vec![Step::Close]),
            ];
            p.decision.branches[1].to = Some(s);
        },
        &["TL0506"],
    ),
];
