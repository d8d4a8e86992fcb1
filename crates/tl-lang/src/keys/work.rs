//! Keys of `worker`, `decision`, `policy` and `tasks`.

use super::Shape::{Bool, Constant, Duration, Expr, List, Map, Names, Number, Of, Text, Word};
use super::{Key, Section};

/// `worker`.
pub static WORKER: Section = Section {
    path: "worker",
    keys: &[
        key!("rules_engine", [Bool], "whether rules and tables run"),
        key!("feature_flags", [Word(FLAGS)], "whose flags are read"),
        key!("rules", [List(&Of(&RULE))], "conditions and what they set"),
        key!("tables", [List(&Of(&TABLE))], "decision tables"),
        key!(
            "ai_step",
            [Word(&["none"]), Of(&AI_STEP)],
            "what a model is asked"
        ),
    ],
    later: &[],
};

/// Words of `worker.feature_flags`.
pub const FLAGS: &[&str] = &["tenant_scoped", "installation"];

/// `worker.rules.*`.
pub static RULE: Section = Section {
    path: "worker.rules.*",
    keys: &[
        key!("when", [Expr], "the condition"),
        key!("set", [Map(&Constant)], "fields and their values"),
        key!("route", [Text], "person or team who becomes the owner"),
        key!(
            "then",
            [Word(&["close", "needs_human"])],
            "where the case goes at once"
        ),
        key!("reason", [Text], "reason code of `then`"),
    ],
    later: &[],
};

/// Words of `worker.tables.*.hit`.
pub const HIT: &[&str] = &["first", "unique", "collect"];

/// `worker.tables.*`.
pub static TABLE: Section = Section {
    path: "worker.tables.*",
    keys: &[
        key!("file", [Text], "the CSV file"),
        key!("hit", [Word(HIT)], "how many rows may match"),
        key!("inputs", [Names], "columns that are tested"),
        key!("outputs", [Names], "columns that are set"),
    ],
    later: &[],
};

/// Words of `worker.ai_step.modes`.
pub const MODES: &[&str] = &["classify", "extract", "summarize", "draft"];
/// Words of `worker.ai_step.output`.
pub const OUTPUT: &[&str] = &["confidence", "structured_fields"];

/// `worker.ai_step`.
pub static AI_STEP: Section = Section {
    path: "worker.ai_step",
    keys: &[
        key!(
            "optional",
            [Bool],
            "the path also works with AI off; always true"
        ),
        key!(
            "when_state",
            [Text],
            "the only state in which a model is asked"
        ),
        key!("modes", [Names], "what is asked"),
        key!("output", [Names], "what is taken from the answer"),
        key!("model", [Text], "`local`, or a model connection"),
        key!("timeout", [Duration], "how long a model may take"),
        key!("classify", [Of(&CLASSIFY)], "one label"),
        key!("extract", [Names], "fields read from the text"),
        key!("draft", [Of(&DRAFT)], "a reply"),
        key!("summarize", [Of(&SUMMARIZE)], "a short text"),
    ],
    later: &[],
};

/// `worker.ai_step.classify`.
pub static CLASSIFY: Section = Section {
    path: "worker.ai_step.classify",
    keys: &[
        key!("field", [Text], "the enum field it sets"),
        key!("model", [Text], "`local`, or a model connection"),
        key!("prompt", [Text], "prompt file"),
        key!("examples", [Text], "examples file"),
    ],
    later: &[],
};

/// `worker.ai_step.draft`.
pub static DRAFT: Section = Section {
    path: "worker.ai_step.draft",
    keys: &[
        key!("effect", [Text], "the message whose text is drafted"),
        key!("prompt", [Text], "prompt file"),
        key!("max_chars", [Number], "greatest length in characters"),
    ],
    later: &[],
};

/// `worker.ai_step.summarize`.
pub static SUMMARIZE: Section = Section {
    path: "worker.ai_step.summarize",
    keys: &[
        key!("field", [Text], "the field that takes the summary"),
        key!("max_chars", [Number], "greatest length in characters"),
    ],
    later: &[],
};

/// `decision`.
pub static DECISION: Section = Section {
    path: "decision",
    keys: &[
        key!(
            "threshold",
            [Number, Of(&THRESHOLD)],
            "the number `threshold` stands for"
        ),
        key!(
            "branches",
            [List(&Of(&BRANCH))],
            "first match wins; the last is the default"
        ),
    ],
    later: &[],
};

const NOT_CHOSEN: &str = "no threshold is chosen from reviewed outcomes yet, so the number of `until_known` is always in force: write that, or `threshold: 0.85`; `throughline eval` says which number keeps the error below a rate";

/// `decision.threshold`.
pub static THRESHOLD: Section = Section {
    path: "decision.threshold",
    keys: &[key!(
        "until_known",
        [Text, Number],
        "value in force until there is evidence"
    )],
    later: &[("max_error", NOT_CHOSEN), ("confidence_level", NOT_CHOSEN)],
};

/// Actions every workflow has.
pub const BUILT_IN: &[&str] = &[
    "human_queue",
    "close",
    "deny",
    "hand_off",
    "ask_missing",
    "crm_upsert",
];
/// Words of a branch's `default`.
pub const DEFAULTS: &[&str] = &["deny", "human_queue", "close"];

/// `decision.branches.*`.
pub static BRANCH: Section = Section {
    path: "decision.branches.*",
    keys: &[
        key!("condition", [Expr], "when the branch is taken"),
        key!("action", [Text, Names], "what is done"),
        key!(
            "default",
            [Word(DEFAULTS)],
            "what is done when no branch was taken"
        ),
        key!("reason", [Text], "reason code"),
        key!(
            "to",
            [Text],
            "where the case goes instead of the action's usual state"
        ),
    ],
    later: &[],
};

/// `policy.*`.
pub static POLICY_LINE: Section = Section {
    path: "policy.*",
    keys: &[
        key!(
            "auto",
            [Bool, Expr],
            "it may happen by itself, or where this holds"
        ),
        key!("approve", [Text], "the team that approves it"),
        key!("never", [Bool, Expr], "it is refused, or where this holds"),
        key!("limit", [Text], "such as `3 per contact per day`"),
        key!("quiet_hours", [Text], "such as `20:00-08:00 Europe/Berlin`"),
    ],
    later: &[],
};

/// Keys of `policy` whose feature comes later.
pub const POLICY_LATER: &[(&str, &str)] = &[(
    "sampling",
    "no share of automated cases is reviewed yet; leave it out, or give the action to `approve`",
)];

/// Kinds of tasks.
pub const TASKS: &[&str] = &["review", "approve", "ask_missing", "hand_off", "exception"];

/// `tasks.*`.
pub static TASK: Section = Section {
    path: "tasks.*",
    keys: &[
        key!(
            "message",
            [Text],
            "for `ask_missing`: the message that asks"
        ),
        key!(
            "unanswered",
            [List(&Of(&UNANSWERED))],
            "for `ask_missing`: what is done while nobody answers"
        ),
        key!("owner", [Text], "who gets tasks of the kind"),
        key!("sla", [Duration], "how long a task may stay open"),
    ],
    later: &[],
};

/// `tasks.*.unanswered`: each step does one thing.
pub static UNANSWERED: Section = Section {
    path: "tasks.*.unanswered",
    keys: &[
        key!("after", [Duration], "time after the question"),
        key!("message", [Text], "the message that reminds"),
        key!("to", [Text], "person or team who gets the case"),
        key!("close", [Text], "the reason for which the case is closed"),
    ],
    later: &[],
};
