//! `message`: that an action sends a message to a person, and which of its arguments are the message's parts.

use std::collections::BTreeMap;

use tl_kernel::connector::{Argument, Control, MessageArguments, Operation};
use tl_kernel::program::Channel;
use tl_kernel::value::Type;

use super::keys::{CHANNELS, SAYS};
use crate::cx::{Cx, Keys};
use crate::diag::{Mend, Problem};
use crate::suggest::{listed, nearest};
use crate::tree::Node;

/// Reads it; the arguments that it names are there, and the recipient is marked as one.
pub(super) fn of(
    cx: &mut Cx<'_>,
    action: Keys<'_>,
    arguments: &[Argument],
) -> Option<MessageArguments> {
    let node = action.get("message")?;
    let part = match node.text() {
        Some(_) => None,
        None => Some(cx.section(node, &SAYS)?),
    };
    let word = match part {
        None => cx.word(node, CHANNELS),
        Some(keys) => match keys.get("channel") {
            Some(n) => cx.word(n, CHANNELS),
            None => {
                cx.missing(keys, "channel", "email");
                None
            }
        },
    };
    let channel = match word? {
        "sms" => Channel::Sms,
        _ => Channel::Email,
    };
    for key in ["lock", "fields"] {
        if let Some(n) = action.get(key) {
            let what = format!("`{key}` and `message` exclude each other");
            let p = Problem::new("TL0209", action.key_span(key), what).why(
                "a message is said, and changes no record that somebody else may have changed",
            );
            cx.push(p.mend(n.removal(format!("take `{key}` out"))));
        }
    }
    let mut named = |key: &str| {
        let own = part.and_then(|p| p.get(key));
        let name = own.map_or(Some(key.to_owned()), |n| cx.text(n))?;
        let known = arguments.iter().any(|a| a.name == name);
        if !known {
            no_argument(cx, own.unwrap_or(node), (key, &name), arguments);
        }
        known.then_some(name)
    };
    let (to, text) = (named("to"), named("text"));
    let subject = match channel {
        Channel::Email => Some(named("subject")?),
        _ => None,
    };
    let (to, text) = (to?, text?);
    recipient(cx, node, (channel, &to), arguments);
    Some(MessageArguments {
        channel,
        to,
        subject,
        text,
    })
}

fn no_argument(cx: &mut Cx<'_>, node: &Node, (part, name): (&str, &str), arguments: &[Argument]) {
    let known = || arguments.iter().map(|a| a.name.as_str());
    let what = format!("the {part} of the message goes to no argument: there is no `{name}`");
    let p = Problem::new("TL0416", node.span, what).why(match arguments.is_empty() {
        true => "the action has no arguments".to_owned(),
        false => format!("the arguments are {}", listed(known())),
    });
    let guess = nearest(name, known()).map(str::to_owned);
    cx.push(match guess {
        Some(k) if node.text() == Some(name) => {
            p.mend(Mend::replace(node.span, k.as_str(), format!("did you mean `{k}`?")))
        }
        _ => p.mend(Mend {
            edits: Vec::new(),
            say: format!("declare the argument, or say which one it is: `message: {{ channel: email, {part}: NAME }}`"),
        }),
    });
}

/// What a message goes to is held back where a stranger gave it, and where its owner has said STOP: only if the file says
/// that it is an address.
fn recipient(cx: &mut Cx<'_>, node: &Node, (channel, to): (Channel, &str), arguments: &[Argument]) {
    let (ty, word) = match channel {
        Channel::Sms => (Type::Phone, "phone"),
        _ => (Type::Email, "email"),
    };
    let found = arguments.iter().find(|a| a.name == to);
    if found.is_some_and(|a| a.ty == ty && a.control == Control::Sensitive) {
        return;
    }
    let p = Problem::new(
        "TL0416",
        node.span,
        format!("`{to}` takes the recipient and does not say so"),
    )
    .why("an address that came from outside needs a check or a person, and one whose owner said STOP gets nothing");
    cx.push(p.mend(Mend {
        edits: Vec::new(),
        say: format!("write `{to}: {{ type: {word}, required: true, control: sensitive }}`"),
    }));
}

/// `via` names a connection and a channel: that means one action.
pub(super) fn one_a_channel(
    cx: &mut Cx<'_>,
    actions: Keys<'_>,
    operations: &BTreeMap<String, Operation>,
) {
    for channel in [Channel::Email, Channel::Sms] {
        let sends = operations.values().filter(|o| says(o, channel));
        let names: Vec<&str> = sends.map(|o| o.name.as_str()).collect();
        let [first, second, ..] = names.as_slice() else {
            continue;
        };
        let p = Problem::new(
            "TL0209",
            actions.key_span(second),
            format!("`{first}` and `{second}` both send messages by {}", channel.word()),
        )
        .why("a workflow's message names the connection and the channel, and one action has to be meant");
        cx.push(p.mend(Mend {
            edits: Vec::new(),
            say: "leave `message` out of one of them; it can still be called with `use`".into(),
        }));
    }
}

/// Whether an operation sends messages of a channel.
pub(crate) fn says(operation: &Operation, channel: Channel) -> bool {
    operation
        .message
        .as_ref()
        .is_some_and(|m| m.channel == channel)
}
