//! The ways in which vendors sign, as a table. A new vendor is one more row; the check is the same for all.

mod table;

pub use table::PRESETS;
pub(super) use table::STANDARD_WEBHOOKS;

use std::fmt::Write as _;

use super::challenge::Challenge;
use super::recipe::{Algorithm, Encoding, Part, Place, Recipe};
use super::secret::{Secret, SecretError, SecretForm};

/// One vendor's way to sign.
#[derive(Debug)]
pub struct Preset {
    /// The word of the workflow file.
    pub name: &'static str,
    /// The vendor and, where it has several, the version.
    pub title: &'static str,
    /// How a message is signed.
    pub recipe: Recipe<'static>,
    /// In which notation the vendor hands out the key.
    pub secret: SecretForm,
    /// Who makes up the key.
    pub maker: Maker,
    /// What names a delivery beside the id of the recipe.
    pub delivery: Delivery,
    /// The question that the vendor asks before it sends anything.
    pub challenge: Option<Challenge>,
    /// Against what the row was checked.
    pub checked: Checked,
}

impl PartialEq for Preset {
    fn eq(&self, other: &Preset) -> bool {
        self.name == other.name
    }
}

impl Eq for Preset {}

/// Who makes up the key of a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// The vendor shows it and it is entered here.
    Vendor,
    /// It is drawn here and entered at the vendor.
    Owner,
}

/// What names a delivery, beside a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Nothing in the body.
    Header,
    /// The first alternative whose first path is there: its paths together. Of a body that is a list, those of every
    /// element.
    Fields(&'static [&'static [&'static [&'static str]]]),
    /// The body as a whole: it holds the ids and times of its events, so an identical one is the same delivery.
    Body,
}

/// Against what a row was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The vendor's own library, by name.
    Library(&'static str),
    /// The vendor's documentation, with an implementation of our own in another language beside it.
    Documented,
}

/// The row of a name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

impl Preset {
    /// A key as the vendor wrote it, active in the given span (UTC microseconds).
    pub fn secret(
        &self,
        kid: &str,
        text: &str,
        span: (i64, Option<i64>),
    ) -> Result<Secret, SecretError> {
        Secret::read(self.secret, kid, text, span)
    }

    /// Whether the key is a secret that both sides have and the signature stands beside the body: then messages can be
    /// signed here as the vendor signs them.
    pub fn is_shared(&self) -> bool {
        let shared = matches!(self.secret, SecretForm::Text | SecretForm::Whsec);
        shared && self.recipe.signature.header().is_some()
    }

    /// Header, form and signed parts in words.
    pub fn words(&self) -> String {
        let recipe = &self.recipe;
        let encoding = match recipe.encoding {
            Encoding::Hex => "hexadecimal digits",
            Encoding::Base64 => "base 64",
        };
        let tag = format!("<{} in {encoding}>", recipe.algorithm.title());
        let mut out = match recipe.signature {
            Place::Header(name) => format!("{name}: {}{tag}", recipe.prefix),
            Place::Pairs(name, key) => format!("{name}: t=<seconds>,{key}={tag}"),
            Place::Versions(name, version) => format!("{name}: {version},{tag}"),
            Place::Field(path) => format!("the field {} of the body: {tag}", path.join(".")),
        };
        out.push_str(", over ");
        if recipe.algorithm == Algorithm::Sha256 {
            out.push_str("{secret}");
        }
        for part in recipe.signed {
            out.push_str(match part {
                Part::Text(text) => text,
                Part::Id => "{id}",
                Part::Timestamp => "{timestamp}",
                Part::Method => "{method}",
                Part::Url(_) => "{public address}",
                Part::Body => "{body}",
                Part::Fields => "{sorted fields, or the body's digest in the address}",
            });
        }
        let beside = [
            ("timestamp", recipe.timestamp.map(|t| t.place)),
            ("id", recipe.id.map(|i| i.place)),
        ];
        for (what, place) in beside {
            match place {
                Some(Place::Header(name)) => {
                    let _ = write!(out, "; {{{what}}} is the header {name}");
                }
                Some(Place::Field(path)) => {
                    let _ = write!(out, "; {{{what}}} is {} of the body", path.join("."));
                }
                _ => {}
            }
        }
        out
    }
}
