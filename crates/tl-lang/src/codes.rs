//! Every code of a finding about a project's files, with its title. Each has a page in `docs/errors`.

/// Code and title.
pub const CODES: &[(&str, &str)] = &[
    ("TL0101", "a character that no text file holds"),
    ("TL0102", "the file is not YAML"),
    ("TL0103", "a YAML tag where an expression was meant"),
    (
        "TL0104",
        "a YAML anchor or alias where an expression was meant",
    ),
    ("TL0105", "a word that older YAML reads as true or false"),
    ("TL0106", "the file is too large"),
    ("TL0107", "a key stands twice"),
    ("TL0108", "a second document in the file"),
    ("TL0109", "the workflow has no file"),
    ("TL0201", "unknown key"),
    ("TL0202", "a key is missing"),
    ("TL0203", "a value of the wrong kind"),
    ("TL0204", "a word that is none of the known ones"),
    ("TL0205", "not a duration"),
    ("TL0206", "a number out of its range"),
    ("TL0207", "not a name"),
    ("TL0208", "a feature that comes later"),
    ("TL0209", "two keys that exclude each other"),
    ("TL0210", "the decision does not end in its default"),
    ("TL0211", "declared twice"),
    ("TL0212", "the value does not fit the field's type"),
    ("TL0213", "not a limit"),
    ("TL0214", "not quiet hours"),
    (
        "TL0215",
        "a version of the format that this build does not know",
    ),
    ("TL0301", "not an expression"),
    ("TL0302", "a part of CEL that workflow files do not have"),
    ("TL0303", "a name nobody declared"),
    ("TL0304", "types that do not go together"),
    ("TL0305", "a text that is none of the enum's values"),
    ("TL0306", "a function nobody declared"),
    ("TL0307", "a wrong number of arguments"),
    ("TL0308", "a constant that does not read"),
    ("TL0309", "a pattern that does not compile"),
    ("TL0310", "a loop inside a loop"),
    ("TL0311", "an expression that is too large"),
    ("TL0401", "an owner who does not exist"),
    ("TL0402", "a state that does not exist"),
    ("TL0403", "an action that does not exist"),
    ("TL0404", "a field that does not exist or does not fit"),
    ("TL0405", "a file that does not exist"),
    ("TL0406", "a connection that does not exist"),
    ("TL0407", "the head of a decision table"),
    ("TL0408", "a cell of a decision table"),
    ("TL0409", "two rows of a unique table match the same case"),
    ("TL0410", "no row of a decision table matches a case"),
    ("TL0411", "a decision table that is too large"),
    ("TL0412", "a secret in a file"),
    ("TL0413", "a file whose content does not read"),
];

/// The title of a code.
pub fn title(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(c, _)| *c == code).map(|(_, t)| *t)
}
