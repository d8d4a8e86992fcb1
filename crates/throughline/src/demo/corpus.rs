//! The demo's messages: what each one is, and what is expected of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::scene::Scene;

/// One message.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Unique over all files.
    pub id: String,
    /// The endpoint, by its name.
    pub door: String,
    /// JSON body or form fields.
    pub body: Option<Map<String, Json>>,
    /// A raw mail with `\n` line ends.
    pub mail: Option<String>,
    /// A file sent as it is, by its name.
    pub file: Option<String>,
    /// Bytes sent as they are.
    pub raw: Option<String>,
    /// How to encode `mail`.
    pub charset: Option<String>,
    /// Idempotency key or delivery id.
    pub key: Option<String>,
    /// `multipart` for the contact form.
    pub encoding: Option<String>,
    /// A re-send of that message.
    pub repeats: Option<String>,
    /// Sent only after that message was answered.
    pub after: Option<String>,
    /// How the sender spoils the request.
    pub attack: Option<String>,
    /// How the surroundings misbehave.
    pub incident: Option<String>,
    /// What is expected.
    pub expect: Expect,
}

/// What is expected of a message.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// HTTP status.
    pub status: u16,
    /// Where the case comes to rest.
    pub outcome: Outcome,
    /// The message whose case it joins.
    pub same_case_as: Option<String>,
    /// Which natural key joins it, for the reader.
    #[serde(rename = "joined_by")]
    pub _joined_by: Option<String>,
    /// The reason of the task that waits for a person.
    pub reason: Option<String>,
    /// Fields that must match.
    #[serde(default)]
    pub record: BTreeMap<String, Json>,
}

/// Where a case comes to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Written, acknowledged, handed to its owner.
    Hot,
    /// Written and answered, no person needed.
    Answered,
    /// Written and handed to its owner.
    Valid,
    /// Written, no person needed.
    Automated,
    /// Asked for what is missing.
    FollowUp,
    /// With a person, because the model is unsure or something does not hold.
    Review,
    /// Closed: spam, an application, an automatic reply.
    ClosedSpam,
    /// Nothing new was stored.
    Duplicate,
    /// Refused at the door.
    Refused,
    /// Attached to a case that was there.
    Joined,
}

impl Outcome {
    /// The word shown in the report.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Hot => "hot",
            Outcome::Answered => "answered",
            Outcome::Valid => "valid",
            Outcome::Automated => "automated",
            Outcome::FollowUp => "follow-up",
            Outcome::Review => "review",
            Outcome::ClosedSpam => "closed",
            Outcome::Duplicate => "duplicate",
            Outcome::Refused => "refused",
            Outcome::Joined => "joined",
        }
    }
}

/// All messages of a scene, each after the ones it depends on.
pub fn corpus(scene: &Scene) -> anyhow::Result<Vec<Entry>> {
    let mut all = Vec::new();
    for (name, text) in scene.corpus {
        let entries: Vec<Entry> = serde_saphyr::from_str(text)
            .map_err(|e| anyhow::anyhow!("the demo's {name} cannot be read: {e}"))?;
        all.extend(entries);
    }
    Ok(in_order(all))
}

/// The delivery key: the message's own, or for a re-send the key of the message it repeats.
pub fn key_of<'a>(entry: &'a Entry, all: &'a BTreeMap<&str, &Entry>) -> &'a str {
    if let Some(key) = &entry.key {
        return key;
    }
    match entry.repeats.as_deref().and_then(|r| all.get(r)) {
        Some(first) => first.key.as_deref().unwrap_or(&first.id),
        None => &entry.id,
    }
}

/// The file order, with every message moved behind the ones it names.
fn in_order(all: Vec<Entry>) -> Vec<Entry> {
    let mut done: Vec<Entry> = Vec::with_capacity(all.len());
    let mut waiting = all;
    while !waiting.is_empty() {
        let before = done.len();
        let (ready, later): (Vec<Entry>, Vec<Entry>) = waiting.into_iter().partition(|e| {
            let named = [&e.after, &e.repeats, &e.expect.same_case_as];
            named
                .into_iter()
                .flatten()
                .all(|n| done.iter().any(|d| d.id == *n) || *n == e.id)
        });
        done.extend(ready);
        waiting = later;
        if done.len() == before {
            // A circle: keep the file's order rather than stop.
            done.append(&mut waiting);
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::super::scene::scene;
    use super::*;
    use crate::templates::Template;

    #[test]
    fn each_corpus_reads_and_is_in_order() {
        let least = [
            (Template::Lead, 200),
            (Template::Ticket, 40),
            (Template::Document, 40),
        ];
        for (template, least) in least {
            in_its_order(&corpus(scene(template)).unwrap(), least);
        }
    }

    fn in_its_order(all: &[Entry], least: usize) {
        assert!(all.len() >= least, "{} messages", all.len());
        for (i, e) in all.iter().enumerate() {
            let twice = all[..i].iter().any(|o| o.id == e.id);
            assert!(!twice, "{} is there twice", e.id);
            for named in [&e.after, &e.repeats, &e.expect.same_case_as]
                .into_iter()
                .flatten()
            {
                let at = all.iter().position(|o| o.id == *named);
                assert!(at.is_some_and(|at| at < i), "{} names {named}", e.id);
            }
        }
    }

    /// The words of a text, so that case, blanks and punctuation make no other message of it.
    fn words(text: &str) -> String {
        let lower = text.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric());
        words
            .filter(|w| !w.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn texts(value: &Json, out: &mut Vec<String>) {
        match value {
            Json::String(text) => out.push(text.clone()),
            Json::Array(all) => all.iter().for_each(|v| texts(v, out)),
            Json::Object(all) => all.values().for_each(|v| texts(v, out)),
            _ => {}
        }
    }

    /// Whether a message is one that the classifier learns from, or holds one.
    fn learnt<'a>(entry: &Entry, examples: &'a [String]) -> Option<&'a String> {
        let mut said: Vec<String> = entry.mail.iter().chain(&entry.raw).cloned().collect();
        if let Some(body) = &entry.body {
            texts(&Json::Object(body.clone()), &mut said);
        }
        let said: Vec<String> = said.iter().map(|t| format!(" {} ", words(t))).collect();
        let holds = |example: &&String| said.iter().any(|t| t.contains(&format!(" {example} ")));
        examples.iter().find(holds)
    }

    #[test]
    fn no_message_is_one_that_a_classifier_learns_from() {
        let table = [
            (
                Template::Lead,
                include_str!("../../demo/project/workflows/inbound_lead/examples/intent.csv"),
                100,
            ),
            (
                Template::Ticket,
                include_str!(
                    "../../../../examples/support_tickets/workflows/tickets/examples/topic.csv"
                ),
                40,
            ),
        ];
        for (template, csv, least) in table {
            nothing_is_learnt(corpus(scene(template)).unwrap(), csv, least);
        }
    }

    fn nothing_is_learnt(mut all: Vec<Entry>, csv: &str, least: usize) {
        // A text in quotation marks or without, a comma, the label.
        let rows = csv.lines().skip(1).filter_map(|l| l.rsplit_once(','));
        let examples: Vec<String> = rows.map(|(text, _)| words(text)).collect();
        assert!(examples.len() > least, "only {} examples", examples.len());
        for entry in &all {
            assert_eq!(learnt(entry, &examples), None, "{}", entry.id);
        }
        // One that is taken over is seen, whatever its case and punctuation are.
        let first = all.iter_mut().find(|e| e.mail.is_some()).unwrap();
        let shouted = examples[0].to_uppercase();
        first.mail = first.mail.take().map(|m| format!("{m}\n  {shouted}!\n"));
        assert_eq!(learnt(first, &examples), Some(&examples[0]));
    }
}
