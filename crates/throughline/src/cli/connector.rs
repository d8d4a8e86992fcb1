//! `connector`: what can be typed.

use std::path::PathBuf;

use clap::Subcommand;

/// What can be done with connectors.
#[derive(Debug, Subcommand)]
pub enum Connector {
    /// Every connector that this project can use, and how far each is known to be right
    List,
    /// What a connector can do: its actions with class, arguments and request, its ways to log in, its limits
    Show {
        /// The connector, or one of its actions: `hubspot`, `hubspot.contact.upsert`
        name: String,
    },
    /// Check connector files as a compiler would
    Check {
        /// Files; all of the project's own when left out
        files: Vec<PathBuf>,
    },
    /// Write a connector file to begin with: connectors/NAME.yaml
    New {
        /// Its name
        name: String,
        /// Begin with the file of a connector that comes with the product
        #[arg(long, value_name = "NAME")]
        from: Option<String>,
    },
    /// Print the JSON Schema of the connector file, for editors
    Schema,
}
