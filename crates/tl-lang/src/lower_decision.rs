//! `decision`: the threshold and the branches, of which the last is the default.

use tl_kernel::expr::Expr;
use tl_kernel::program::{ActionKind, Branch, DecisionDef, StateIx, Step, Threshold, canonical};
use tl_kernel::reason::is_of_the_engine;
use tl_kernel::value::Type;

use crate::cx::Keys;
use crate::diag::{Mend, Problem, Span, position};
use crate::keys::{BRANCH, BUILT_IN, DECISION, DEFAULTS, THRESHOLD};
use crate::load::{Lower, Names};
use crate::suggest::{listed, nearest};
use crate::tree::{List, Node};

/// The threshold where the file names none.
const DEFAULT_THRESHOLD: f64 = 0.80;

/// The threshold until there is evidence, where the file names none.
const UNTIL_KNOWN: f64 = 0.90;

/// Branches of one decision; what needs more is a decision table. The proofs compare each with those before it.
const MAX_BRANCHES: usize = 200;

/// The decision of the file.
pub(crate) fn decision(l: &mut Lower<'_>, node: Option<&Node>) -> Option<DecisionDef> {
    let keys = l.cx.section(node?, &DECISION)?;
    let threshold = match keys.get("threshold") {
        None => Threshold::Fixed(DEFAULT_THRESHOLD),
        Some(n) => threshold(l, n),
    };
    let Some(node) = keys.get("branches") else {
        l.cx.missing(keys, "branches", "[{ default: human_queue }]");
        return None;
    };
    let Some(list) = node.list() else {
        l.cx.wrong_kind(node, "a list of branches");
        return None;
    };
    if list.items.len() > MAX_BRANCHES {
        l.cx.push(
            Problem::new(
                "TL0106",
                node.span,
                format!("the decision has {} branches", list.items.len()),
            )
            .why(format!(
                "a decision has at most {MAX_BRANCHES}; a decision table holds more cases"
            )),
        );
        return None;
    }
    let mut branches: Vec<Branch> = Vec::new();
    let mut default: Option<&Node> = None;
    for n in &list.items {
        let Some(keys) = l.cx.section(n, &BRANCH) else {
            continue;
        };
        if let Some(default) = default {
            let p = Problem::new("TL0210", n.span, "this branch stands after the default")
                .why("the first match wins, so it would never be taken");
            let mend = match keys.get("default") {
                Some(_) => n.removal("take the second default out"),
                None => exchanged(l.cx.source, default, n),
            };
            l.cx.push(p.mend(mend));
            continue;
        }
        default = keys.get("default").map(|_| n);
        branches.extend(branch(l, keys, n));
    }
    if default.is_none() {
        no_default(l, node, list);
    }
    Some(DecisionDef {
        threshold,
        branches,
    })
}

/// The mend that lets a branch and the default before it change places.
fn exchanged(source: &str, default: &Node, branch: &Node) -> Mend {
    let (first, second) = (default.span, branch.span);
    let [default, between, branch] = [
        (first.start, first.end),
        (first.end, second.start),
        (second.start, second.end),
    ]
    .map(|(from, to)| &source[from..to]);
    Mend::replace(
        Span::new(first.start, second.end),
        format!("{branch}{between}{default}"),
        "move the default behind it",
    )
}

fn no_default(l: &mut Lower<'_>, node: &Node, list: &List) {
    let p = Problem::new(
        "TL0210",
        node.span,
        "the decision does not end in a default",
    )
    .why("every case needs an answer: `deny` sends nothing, `human_queue` asks a person");
    let mend = match list.items.last() {
        None => Mend::replace(node.span, "[{ default: human_queue }]", "add a default"),
        Some(last) if list.flow => {
            Mend::insert(last.span.end, ", { default: human_queue }", "add a default")
        }
        Some(last) => {
            let dash = l.cx.source[..last.span.start]
                .rfind('-')
                .unwrap_or(last.span.start);
            let (_, column) = position(l.cx.source, dash);
            let indent = " ".repeat(column as usize - 1);
            Mend::insert(
                last.span.end,
                format!("\n{indent}- default: human_queue"),
                "add a default",
            )
        }
    };
    l.cx.push(p.mend(mend));
}

fn threshold(l: &mut Lower<'_>, node: &Node) -> Threshold {
    if node.text().is_some() {
        return Threshold::Fixed(l.cx.share(node).unwrap_or(DEFAULT_THRESHOLD));
    }
    let Some(keys) = l.cx.section(node, &THRESHOLD) else {
        return Threshold::Fixed(DEFAULT_THRESHOLD);
    };
    let stated = keys.get("until_known").and_then(|n| l.cx.share(n));
    Threshold::UntilKnown(stated.unwrap_or(UNTIL_KNOWN))
}

fn branch(l: &mut Lower<'_>, keys: Keys<'_>, node: &Node) -> Option<Branch> {
    l.cx.exclusive(keys, "condition", "default");
    l.cx.exclusive(keys, "action", "default");
    let condition = branch_condition(l, keys);
    let actions = match (keys.get("action"), keys.get("default")) {
        (_, Some(n)) => {
            let word = l.cx.word(n, DEFAULTS);
            word.and_then(built_in).map(|s| vec![s])
        }
        (Some(n), None) => {
            let nodes = l.cx.name_nodes(n);
            let alone = nodes.len() == 1;
            let steps: Vec<Step> = nodes.iter().filter_map(|n| step(l, n, alone)).collect();
            if nodes.is_empty() {
                l.cx.push(
                    Problem::new("TL0216", n.span, "a branch that does nothing")
                        .why("the case would stand still, and nobody would see it")
                        .mend(Mend::replace(n.span, "human_queue", "ask a person")),
                );
            } else if steps.len() == nodes.len() {
                agree(l, &steps, &nodes, n);
            }
            Some(steps)
        }
        (None, None) => {
            l.cx.missing(keys, "action", "human_queue");
            None
        }
    };
    let reason = keys.get("reason").and_then(|n| reason(l, n, "branch"));
    let to: Option<StateIx> = keys.get("to").and_then(|n| l.state(n));
    if let (Some(steps), Some(to), Some(n)) = (&actions, to, keys.get("to")) {
        fits(l, steps, to, n);
    }
    Some(Branch {
        condition: condition?,
        actions: actions?,
        reason,
        to,
        line: l.cx.line(node.span),
    })
}

/// What the actions of one branch say about the case must not contradict each other.
fn agree(l: &mut Lower<'_>, steps: &[Step], nodes: &[Node], list: &Node) {
    let has = |s: Step| steps.contains(&s);
    let waits = [Step::HumanQueue, Step::AskMissing, Step::HandOff];
    let why = if has(Step::Deny) && steps.len() > 1 {
        "`deny` sends nothing and does nothing else"
    } else if has(Step::Close) && waits.into_iter().any(has) {
        "`close` ends the case, and the other leaves it to a person"
    } else {
        return;
    };
    let ends = |s: &Step| matches!(s, Step::Deny | Step::Close);
    let kept = nodes.iter().zip(steps).find(|(_, s)| ends(s));
    let Some(word) = kept.and_then(|(n, _)| n.text()) else {
        return;
    };
    l.cx.push(
        Problem::new("TL0216", list.span, "actions that exclude each other")
            .why(why)
            .mend(Mend::replace(
                list.span,
                word,
                format!("write `{word}` alone"),
            )),
    );
}

/// Where the branch sends the case must leave what its actions say standing.
fn fits(l: &mut Lower<'_>, steps: &[Step], to: StateIx, node: &Node) {
    let under_way = [canonical::PENDING, canonical::TRIAGED, canonical::AUTOMATED];
    let why = |step: &Step| match step {
        Step::Deny if under_way.contains(&to) => Some(
            "a case that is denied does not go on: its end is `closed`, `needs_human` or a state of your own",
        ),
        Step::Close if under_way.contains(&to) || to == canonical::NEEDS_HUMAN => {
            Some("`close` ends the case: in `closed`, or in a state of your own")
        }
        Step::HumanQueue | Step::AskMissing | Step::HandOff if to == canonical::CLOSED => {
            Some("a person is asked, and nobody decides about a case that is closed")
        }
        _ => None,
    };
    let Some(why) = steps.iter().find_map(why) else {
        return;
    };
    let text = node.text().unwrap_or_default();
    l.cx.push(
        Problem::new(
            "TL0216",
            node.span,
            format!("`to: {text}` contradicts the action"),
        )
        .why(why)
        .mend(node.removal("leave it out: the action knows where the case goes")),
    );
}

/// The condition of a branch; the inner `None` is the default's.
fn branch_condition(l: &mut Lower<'_>, keys: Keys<'_>) -> Option<Option<Expr>> {
    match keys.get("condition") {
        Some(n) => {
            let schema = l.schema(Names::Decision);
            l.cx.required_expr(n, &schema, &Type::Bool).map(Some)
        }
        None if keys.get("default").is_some() => Some(None),
        None => {
            l.cx.missing(keys, "condition", "needs_human");
            None
        }
    }
}

fn built_in(word: &str) -> Option<Step> {
    Some(match word {
        "human_queue" => Step::HumanQueue,
        "close" => Step::Close,
        "deny" => Step::Deny,
        "hand_off" => Step::HandOff,
        "ask_missing" => Step::AskMissing,
        _ => return None,
    })
}

/// A step of a branch; `alone`: the branch has no other.
fn step(l: &mut Lower<'_>, node: &Node, alone: bool) -> Option<Step> {
    let text = l.cx.text(node)?;
    if let Some(s) = built_in(&text) {
        return Some(s);
    }
    let found = l.actions.iter().position(|a| a.name == text);
    if let Some(i) = found {
        return Some(Step::Effect(i as u16));
    }
    let mut known: Vec<String> = BUILT_IN.iter().map(|s| (*s).to_owned()).collect();
    let messages = l
        .actions
        .iter()
        .filter(|a| matches!(a.kind, ActionKind::Message(_)));
    known.extend(messages.map(|a| a.name.clone()));
    let known = known.iter().map(String::as_str);
    if !alone || nearest(&text, known.clone()).is_some() {
        l.cx.unknown("TL0403", node, "the action", known);
        return None;
    }
    // Without it the branch would do nothing.
    let message = format!("the action `{text}` does not exist");
    let p = Problem::new("TL0403", node.span, message).why(format!("there are {}", listed(known)));
    l.cx.push(p.mend(Mend::replace(node.span, "human_queue", "ask a person")));
    None
}

/// A reason that the file gives, of a rule or a branch. A word of the engine's own would be explained as what the engine
/// means by it, and some of them decide how a task goes on.
pub(crate) fn reason(l: &mut Lower<'_>, node: &Node, of: &str) -> Option<String> {
    let word = l.cx.name(node)?;
    if !is_of_the_engine(&word) {
        return Some(word);
    }
    let own = format!("{of}_{word}");
    l.cx.push(
        Problem::new(
            "TL0217",
            node.span,
            format!("`{word}` is a reason that the engine gives itself"),
        )
        .why("a case with it would be explained by what the engine means by the word")
        .mend(Mend::replace(
            node.span,
            own.clone(),
            format!("write a word of your own, such as `{own}`"),
        )),
    );
    None
}
