//! Who may do what: one table, asked by every route and by every page that offers a button.

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers for the tenant: everything, people included.
    Owner,
    /// Writes workflows: sees everything, decides no task.
    Builder,
    /// Keeps it running: switches, failures, hand-overs.
    Operator,
    /// Decides tasks.
    Reviewer,
    /// Sees figures and where cases stand, nothing that a customer wrote.
    Viewer,
    /// Sees everything, changes nothing.
    Auditor,
}

impl Role {
    /// All roles, the most powerful first.
    pub const ALL: [Role; 6] = [
        Role::Owner,
        Role::Builder,
        Role::Operator,
        Role::Reviewer,
        Role::Viewer,
        Role::Auditor,
    ];

    /// The word that is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Builder => "builder",
            Role::Operator => "operator",
            Role::Reviewer => "reviewer",
            Role::Viewer => "viewer",
            Role::Auditor => "auditor",
        }
    }

    /// What it is for, in a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Role::Owner => "everything, people included",
            Role::Builder => "sees everything, decides no task",
            Role::Operator => "switches, failures, hand-overs",
            Role::Reviewer => "decides tasks",
            Role::Viewer => "figures and states, no contents",
            Role::Auditor => "sees everything, changes nothing",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|r| r.word() == word)
    }

    /// Whether it may.
    pub fn may(self, action: Action) -> bool {
        let row = TABLE.iter().find(|(a, _)| *a == action);
        row.is_some_and(|(_, roles)| roles[self as usize])
    }
}

/// What can be done in the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// See figures, workflows, switches, and where each case stands.
    SeeStates,
    /// See what cases hold: messages, records, texts that go out.
    SeeContents,
    /// Decide tasks.
    Decide,
    /// Take tasks over and give them back.
    Claim,
    /// Write down what somebody said.
    Note,
    /// Send failed effects again, or say what became of uncertain ones.
    Redrive,
    /// Set and clear kill switches.
    Switch,
    /// Invite people and change what they may do.
    People,
}

impl Action {
    /// The action in words, as a refusal says it.
    pub fn words(self) -> &'static str {
        match self {
            Action::SeeStates => "see where cases stand",
            Action::SeeContents => "see what cases hold",
            Action::Decide => "decide tasks",
            Action::Claim => "take tasks over",
            Action::Note => "write notes",
            Action::Redrive => "send failed effects again",
            Action::Switch => "set and clear kill switches",
            Action::People => "invite people",
        }
    }
}

const YES: bool = true;
const NO: bool = false;

/// In the order of `Role::ALL`: owner, builder, operator, reviewer, viewer, auditor.
const TABLE: [(Action, [bool; 6]); 8] = [
    (Action::SeeStates, [YES, YES, YES, YES, YES, YES]),
    (Action::SeeContents, [YES, YES, YES, YES, NO, YES]),
    (Action::Decide, [YES, NO, NO, YES, NO, NO]),
    (Action::Claim, [YES, NO, YES, YES, NO, NO]),
    (Action::Note, [YES, NO, YES, YES, NO, NO]),
    (Action::Redrive, [YES, NO, YES, NO, NO, NO]),
    (Action::Switch, [YES, NO, YES, NO, NO, NO]),
    (Action::People, [YES, NO, NO, NO, NO, NO]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_what_the_roles_promise() {
        let actions = TABLE.map(|(a, _)| a);
        let of =
            |role: Role| -> Vec<Action> { actions.into_iter().filter(|a| role.may(*a)).collect() };
        assert_eq!(of(Role::Owner), actions);
        assert_eq!(of(Role::Viewer), [Action::SeeStates]);
        for reader in [Role::Auditor, Role::Builder] {
            assert_eq!(of(reader), [Action::SeeStates, Action::SeeContents]);
        }
        let deciders: Vec<Role> = Role::ALL
            .into_iter()
            .filter(|r| r.may(Action::Decide))
            .collect();
        assert_eq!(deciders, [Role::Owner, Role::Reviewer]);
        for role in Role::ALL {
            assert_eq!(Role::parse(role.word()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
    }
}
