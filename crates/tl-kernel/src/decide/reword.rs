//! A message that a person approves in other words: what was shown is cancelled, and another effect says these.

use super::plan::{Made, to_cbor};
use super::{Deciding, No};
use crate::case::CaseEffect;
use crate::effect::EffectState;
use crate::journal::{Entry, Planned};
use crate::limits::{MAX_LINE, MAX_TEXT};
use crate::program::{ActionKind, Channel};
use crate::value::Value;

impl Deciding<'_> {
    /// A message that waits for an approval, in a person's words: its subject, its text, or both. `None` where these are
    /// its words already. To whom it goes and by what stays as it was decided.
    pub(super) fn reworded(
        &self,
        effect: &CaseEffect,
        edits: &[(String, Value)],
    ) -> Result<Option<Made>, No> {
        let Some(Value::Record(shown)) = effect.args.as_ref().filter(|_| !edits.is_empty()) else {
            return Ok(None);
        };
        let refused = |why| No::new("TL0727", "edit", why);
        let action = self.world.action(effect.action);
        let Some((action, ActionKind::Message(message))) = action.map(|a| (a, &a.kind)) else {
            return Err(refused(format!(
                "`{}` is no message: approve what is shown, or reject it",
                effect.name
            )));
        };
        let mut args = shown.clone();
        for (part, value) in edits {
            let words = worded(part, &value.to_string(), message.channel).map_err(refused)?;
            match args.get_mut(part) {
                Some(was) => *was = Value::Text(words),
                None => return Err(refused(format!("the message has no {part}"))),
            }
        }
        if args == *shown {
            return Ok(None);
        }
        let args = Value::Record(args);
        let bytes = to_cbor(&args);
        let digest = self.args_digest(action, &bytes);
        Ok(Some(Made {
            args,
            bytes,
            digest,
        }))
    }

    /// Plans what a person has worded and approved with it, in place of the effect that was shown: an effect says the same
    /// at each attempt, so other words are another one.
    pub(super) fn plan_approved(&mut self, made: Made, (shown, effect): (u32, &CaseEffect)) {
        let world = self.world;
        let Some(action) = world.action(effect.action) else {
            return;
        };
        let n = self.case.next_effect();
        self.entry(Entry::Planned(Planned {
            n,
            action: effect.action,
            name: effect.name.clone(),
            class: action.class,
            verdict: effect.verdict,
            line: effect.line,
            digest: made.digest,
            state: EffectState::Planned,
            replaces: Some(shown),
            unvouched: false,
        }));
        let digest = made.digest;
        self.plan((n, EffectState::Ready), action, made, None);
        self.entry(Entry::Approved { n, digest });
    }
}

/// A part of a message as it may stand in it; else why it may not.
fn worded(part: &str, words: &str, channel: Channel) -> Result<String, String> {
    let (words, most, lines) = match (part, channel) {
        // A text message is looked up by what it says: its end is nothing that a provider could take off.
        ("text", Channel::Sms) => (words.trim_end(), MAX_TEXT, true),
        ("text", _) => (words, MAX_TEXT, true),
        ("subject", _) => (words.trim(), MAX_LINE, false),
        _ => {
            return Err(format!(
                "`{part}` of a message cannot be reworded; its subject and its text can"
            ));
        }
    };
    let odd = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\t'));
    if words.trim().is_empty() || words.len() > most {
        return Err(format!("the {part} has 1 to {most} bytes"));
    }
    match words.contains(odd) {
        true if lines => Err("the text has control characters".into()),
        true => Err("the subject is one line".into()),
        false => Ok(words.to_owned()),
    }
}
