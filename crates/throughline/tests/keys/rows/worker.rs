//! Rows of `worker`.

use super::{Row, SAY};
use crate::acts::{Act, LEAD};

const WITH_FLAG: &[Act] = &[Act::Flag("vip"), Act::Say(LEAD)];
/// The model does not answer.
const SILENCE: &[Act] = &[Act::Say(r#"{"name":"Ada","message":"silence"}"#)];

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    ("worker", "", "worker: { ai_step: none, rules: [{ when: 'true', then: close }] }", SAY, "case in needs_human", "case in closed"),
    ("worker.rules_engine", "worker: { ai_step: none, rules: [{ when: 'true', then: close }] }", "worker: { ai_step: none, rules_engine: false, rules: [{ when: 'true', then: close }] }", SAY, "case in closed", "case in needs_human"),
    ("worker.feature_flags", "worker: { ai_step: none, rules: [{ when: flags.vip, then: close }] }", "worker: { ai_step: none, feature_flags: installation, rules: [{ when: flags.vip, then: close }] }", WITH_FLAG, "case in closed", "case in needs_human"),
    ("worker.rules", "worker: { ai_step: none }", "worker: { ai_step: none, rules: [{ when: 'true', then: close }] }", SAY, "case in needs_human", "case in closed"),
    ("worker.rules.*.when", "worker: { ai_step: none, rules: [{ when: \"record.name == 'Ada'\", then: close }] }", "worker: { ai_step: none, rules: [{ when: \"record.name == 'Eve'\", then: close }] }", SAY, "case in closed", "case in needs_human"),
    ("worker.rules.*.set", "worker: { ai_step: none, rules: [{ when: 'true', set: { territory: north } }] }", "worker: { ai_step: none, rules: [{ when: 'true', set: { territory: south } }] }", SAY, "field territory = Text(\"north\")", "field territory = Text(\"south\")"),
    ("worker.rules.*.route", "worker: { ai_step: none, rules: [{ when: 'true', set: { territory: north } }] }", "worker: { ai_step: none, rules: [{ when: 'true', route: anna }] }", SAY, "task review for operators", "task review for anna"),
    ("worker.rules.*.then", "worker: { ai_step: none, rules: [{ when: 'true', then: close }] }", "worker: { ai_step: none, rules: [{ when: 'true', then: needs_human }] }", SAY, "case in closed", "needs_human: [\"rule\"]"),
    ("worker.rules.*.reason", "worker: { ai_step: none, rules: [{ when: 'true', then: close }] }", "worker: { ai_step: none, rules: [{ when: 'true', then: close, reason: spam }] }", SAY, "reason rule,", "reason spam,"),
    ("worker.tables", "", "worker: { ai_step: none, tables: [{ file: tables/t.csv, outputs: [owner] }] }", SAY, "", "field owner = Text(\"anna\")"),
    ("worker.tables.*.file", "worker: { ai_step: none, tables: [{ file: tables/t.csv, outputs: [owner] }] }", "worker: { ai_step: none, tables: [{ file: tables/u.csv, inputs: [name], outputs: [owner] }] }", SAY, "field owner = Text(\"anna\")", "field owner = Text(\"ben\")"),
    ("worker.tables.*.hit", "worker: { ai_step: none, tables: [{ file: tables/t.csv, outputs: [owner] }] }", "worker: { ai_step: none, tables: [{ file: tables/t.csv, hit: unique, outputs: [owner] }] }", SAY, "field owner = Text(\"anna\")", "TL0409"),
    ("worker.tables.*.inputs", "worker: { ai_step: none, tables: [{ file: tables/u.csv, outputs: [owner] }] }", "worker: { ai_step: none, tables: [{ file: tables/u.csv, inputs: [name], outputs: [owner] }] }", SAY, "TableMiss", "field owner = Text(\"ben\")"),
    ("worker.tables.*.outputs", "worker: { ai_step: none, tables: [{ file: tables/u.csv, inputs: [name], outputs: [owner] }] }", "worker: { ai_step: none, tables: [{ file: tables/u.csv, inputs: [name], outputs: [owner, territory] }] }", SAY, "", "field territory = Text(\"uki\")"),
    ("worker.ai_step", "worker: { ai_step: none }", "worker: {}", SAY, "", "Asked { n: 1, model: \"local\" }"),
    ("worker.ai_step.optional", "worker: { ai_step: { optional: true } }", "worker: { ai_step: { optional: false } }", SAY, "door 202", "TL0204 the AI step is always optional"),
    ("worker.ai_step.when_state", "worker: { ai_step: { when_state: triaged } }", "worker: { ai_step: { when_state: pending } }", SAY, "Asked { n: 1", "TL0520"),
    ("worker.ai_step.modes", "worker: { ai_step: { model: gpt, modes: [classify] } }", "worker: { ai_step: { model: gpt, modes: [classify, extract], extract: [company] } }", SAY, "", "field company = Text(\"Acme\")"),
    ("worker.ai_step.output", "worker: { ai_step: { model: gpt, output: { confidence, structured_fields } } }", "worker: { ai_step: { model: gpt, output: { confidence } } }", SAY, "field intent = Text(\"demo\")", ""),
    ("worker.ai_step.model", "worker: { ai_step: { model: local } }", "worker: { ai_step: { model: gpt } }", SAY, "model: \"local\"", "model: \"gpt\""),
    ("worker.ai_step.timeout", "worker: { ai_step: { model: gpt, timeout: 2s } }", "worker: { ai_step: { model: gpt, timeout: 1s } }", SILENCE, "code=\"model_timeout\" took_ms=2", "code=\"model_timeout\" took_ms=1"),
    ("worker.ai_step.classify", "worker: { ai_step: { model: gpt } }", "worker: { ai_step: { model: gpt, classify: { field: urgency } } }", SAY, "field intent = Text(\"demo\")", "field urgency = Text(\"low\")"),
    ("worker.ai_step.classify.field", "worker: { ai_step: { model: gpt, classify: { field: intent } } }", "worker: { ai_step: { model: gpt, classify: { field: urgency } } }", SAY, "field intent = Text(\"demo\")", "field urgency = Text(\"low\")"),
    ("worker.ai_step.classify.model", "worker: { ai_step: { classify: { field: intent } } }", "worker: { ai_step: { classify: { field: intent, model: gpt } } }", SAY, "model: \"local\"", "model: \"gpt\""),
    ("worker.ai_step.classify.prompt", "worker: { ai_step: { model: gpt, classify: { field: intent } } }", "worker: { ai_step: { model: gpt, classify: { field: intent, prompt: prompts/p.md } } }", SAY, "", "Be brief."),
    ("worker.ai_step.classify.examples", "worker: { ai_step: { classify: { field: intent } } }", "worker: { ai_step: { classify: { field: intent, examples: examples/e.csv } } }", SAY, "", "field intent = Text(\"demo\")"),
    ("worker.ai_step.extract", "worker: { ai_step: { model: gpt, modes: [extract] } }", "worker: { ai_step: { model: gpt, modes: [extract], extract: [company] } }", SAY, "", "field company = Text(\"Acme\")"),
    ("worker.ai_step.draft", "worker: { ai_step: { model: gpt } }\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }\n%MAIL%", "worker: { ai_step: { model: gpt, draft: { effect: m } } }\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }\n%MAIL%", SAY, "text: Hello", "text: Dear Ada, gladly."),
    ("worker.ai_step.draft.effect", "worker: { ai_step: { model: gpt, draft: { effect: o } } }\nside_effects: { messaging: { m: { to: record.email, text: Hello }, o: { to: record.email, text: Hello } } }\n%MAIL%", "worker: { ai_step: { model: gpt, draft: { effect: m } } }\nside_effects: { messaging: { m: { to: record.email, text: Hello }, o: { to: record.email, text: Hello } } }\n%MAIL%", SAY, "text: Hello", "text: Dear Ada, gladly."),
    ("worker.ai_step.draft.prompt", "worker: { ai_step: { model: gpt, draft: { effect: m } } }\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }\n%MAIL%", "worker: { ai_step: { model: gpt, draft: { effect: m, prompt: prompts/p.md } } }\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }\n%MAIL%", SAY, "", "Be brief."),
    ("worker.ai_step.draft.max_chars", "worker: { ai_step: { model: gpt, draft: { effect: m } } }\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }\n%MAIL%", "worker: { ai_step: { model: gpt, draft: { effect: m, max_chars: 9 } } }\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }\n%MAIL%", SAY, "text: Dear Ada, gladly.", "reason: \"model_invalid\""),
    ("worker.ai_step.summarize", "worker: { ai_step: { model: gpt } }", "worker: { ai_step: { model: gpt, summarize: { field: company } } }", SAY, "", "field company = Text(\"wants to see it\")"),
    ("worker.ai_step.summarize.field", "worker: { ai_step: { model: gpt, summarize: { field: external_id } } }", "worker: { ai_step: { model: gpt, summarize: { field: company } } }", SAY, "field external_id = Text(\"wants to see it\")", "field company = Text(\"wants to see it\")"),
    ("worker.ai_step.summarize.max_chars", "worker: { ai_step: { model: gpt, summarize: { field: company } } }", "worker: { ai_step: { model: gpt, summarize: { field: company, max_chars: 9 } } }", SAY, "field company = Text(\"wants to see it\")", "reason: \"model_invalid\""),
    ("worker.tables.*.hit", "record: { type: d, fields: { name: { type: string }, tags: { type: list of string, from: rules } } }\nworker: { ai_step: none, tables: [{ file: tables/tags.csv, hit: collect, outputs: [tags] }] }", "record: { type: d, fields: { name: { type: string }, tags: { type: list of string, from: rules } } }\nworker: { ai_step: none, tables: [{ file: tables/tags.csv, hit: first, outputs: [tags] }] }", SAY, "[Text(\"a\"), Text(\"b\")]", ""),
];
