//! The templates: complete projects that `init` writes, `demo` plays, and the examples are.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::embedded::{DOCUMENT, LEAD, TICKET};

/// A complete project that comes with the program.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// Inbound lead to qualified opportunity
    #[default]
    Lead,
    /// Support ticket to first response
    Ticket,
    /// Document text to validated record
    Document,
}

/// The files of a template: path and bytes.
pub type Files = &'static [(&'static str, &'static [u8])];

impl Template {
    /// All of them, the first the one that is meant where none is named.
    pub const ALL: [Template; 3] = [Template::Lead, Template::Ticket, Template::Document];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Template::Lead => "lead",
            Template::Ticket => "ticket",
            Template::Document => "document",
        }
    }

    /// What it does, in a line.
    pub fn what(self) -> &'static str {
        match self {
            Template::Lead => "inbound lead to qualified opportunity",
            Template::Ticket => "support ticket to first response",
            Template::Document => "document text to validated record",
        }
    }

    /// Its files, the message to try it with among them, without the settings.
    pub fn files(self) -> Files {
        match self {
            Template::Lead => LEAD,
            Template::Ticket => TICKET,
            Template::Document => DOCUMENT,
        }
    }

    /// A message to try it with, as a file of the project, and the endpoint that takes it.
    pub fn message(self) -> (&'static str, &'static str) {
        match self {
            Template::Lead => ("lead.json", "leads"),
            Template::Ticket => ("ticket.json", "desk"),
            Template::Document => ("invoice.json", "scanner"),
        }
    }

    /// The workflow's id.
    pub fn workflow(self) -> &'static str {
        match self {
            Template::Lead => "inbound_lead",
            Template::Ticket => "tickets",
            Template::Document => "invoices",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_workflow_and_its_message() {
        for template in Template::ALL {
            let workflow = format!("workflows/{}/workflow.yaml", template.workflow());
            let has = |path: &str| template.files().iter().any(|(p, _)| *p == path);
            assert!(has(&workflow), "{}", template.name());
            assert!(has(template.message().0), "{}", template.name());
            assert!(!has("throughline.toml"), "{}", template.name());
        }
    }
}
