//! The task: its kinds, how each may end, and by whose word.
//!
//! ```text
//! open ─► closed by a person:   approve, edit, accept, reject, close   (as the table of the kind says)
//!    └──► closed by the engine: answered, withdrawn
//! ```
//!
//! A closed task stays closed; what comes up again is a new task. Journals hold kinds and ends as words.

/// What a task asks of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKind {
    /// Look at the record and say what it is.
    Review,
    /// Let one effect be sent, exactly as it is shown, or not.
    Approve,
    /// Find out what a required field holds.
    Missing,
    /// Take the case on.
    HandOff,
    /// Look at something that went wrong.
    Exception,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskEnd {
    /// A person agreed.
    Approve,
    /// A person agreed after correcting fields, or the words of a message.
    Edit,
    /// A person took it on, or took note.
    Accept,
    /// A person refused.
    Reject,
    /// A person ended the case with it.
    Close,
    /// The sender gave what was asked for.
    Answered,
    /// What it asked was settled in another way.
    Withdrawn,
}

impl TaskKind {
    /// Every kind.
    pub const ALL: [TaskKind; 5] = [
        TaskKind::Review,
        TaskKind::Approve,
        TaskKind::Missing,
        TaskKind::HandOff,
        TaskKind::Exception,
    ];

    /// The word used everywhere.
    pub fn word(self) -> &'static str {
        match self {
            TaskKind::Review => "review",
            TaskKind::Approve => "approve",
            TaskKind::Missing => "missing",
            TaskKind::HandOff => "hand_off",
            TaskKind::Exception => "exception",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<TaskKind> {
        TaskKind::ALL.into_iter().find(|k| k.word() == word)
    }

    /// The decisions that a person may make about it, in the order in which they are offered.
    pub fn decisions(self) -> &'static [TaskEnd] {
        use TaskEnd::{Accept, Approve, Close, Edit, Reject};
        match self {
            // An approval is of one digest and changes nothing of it; a message may go in other words of that person's.
            TaskKind::Approve => &[Approve, Edit, Reject],
            TaskKind::Review | TaskKind::Missing => &[Approve, Edit, Reject, Close],
            TaskKind::HandOff => &[Accept, Reject, Close],
            // What has happened cannot be refused.
            TaskKind::Exception => &[Accept, Close],
        }
    }

    /// Whether a task of the kind may end so.
    pub fn may_end(self, end: TaskEnd) -> bool {
        match end {
            // The sender can give what is missing, and nothing else that a task asks for.
            TaskEnd::Answered => self == TaskKind::Missing,
            TaskEnd::Withdrawn => true,
            by_person => self.decisions().contains(&by_person),
        }
    }
}

impl TaskEnd {
    /// Every end.
    pub const ALL: [TaskEnd; 7] = [
        TaskEnd::Approve,
        TaskEnd::Edit,
        TaskEnd::Accept,
        TaskEnd::Reject,
        TaskEnd::Close,
        TaskEnd::Answered,
        TaskEnd::Withdrawn,
    ];

    /// The word used everywhere.
    pub fn word(self) -> &'static str {
        match self {
            TaskEnd::Approve => "approve",
            TaskEnd::Edit => "edit",
            TaskEnd::Accept => "accept",
            TaskEnd::Reject => "reject",
            TaskEnd::Close => "close",
            TaskEnd::Answered => "answered",
            TaskEnd::Withdrawn => "withdrawn",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<TaskEnd> {
        TaskEnd::ALL.into_iter().find(|e| e.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_ends_as_its_row_says_and_in_no_other_way() {
        // Ends: approve edit accept reject close answered withdrawn.
        let table = [
            ("review", "x x . x x . x"),
            ("approve", "x x . x . . x"),
            ("missing", "x x . x x x x"),
            ("hand_off", ". . x x x . x"),
            ("exception", ". . x . x . x"),
        ];
        assert_eq!(table.len(), TaskKind::ALL.len());
        for (kind, row) in table {
            let kind = TaskKind::parse(kind).expect("a kind");
            let row = row.split(' ').map(|mark| mark == "x");
            let real = TaskEnd::ALL.map(|end| kind.may_end(end));
            assert!(row.eq(real), "{kind:?} may end so: {real:?}");
        }
    }

    #[test]
    fn words_read_back() {
        for kind in TaskKind::ALL {
            assert_eq!(TaskKind::parse(kind.word()), Some(kind));
        }
        for end in TaskEnd::ALL {
            assert_eq!(TaskEnd::parse(end.word()), Some(end));
        }
        assert_eq!(
            (TaskKind::parse("bless"), TaskEnd::parse("bless")),
            (None, None)
        );
    }
}
