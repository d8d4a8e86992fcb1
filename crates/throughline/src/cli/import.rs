//! What is typed about imports.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::pair;

/// `import`.
#[derive(Debug, ClapArgs)]
pub struct Import {
    /// The rows: CSV whose first line names the columns, or a JSON object a line (.jsonl, .ndjson)
    pub file: PathBuf,
    /// The endpoint whose messages the rows are
    #[arg(long, value_name = "ENDPOINT")]
    pub to: String,
    /// The column that names a row; without it a row is known by its whole content
    #[arg(long, value_name = "COLUMN")]
    pub key: Option<String>,
    /// Say what would happen, row by row; nothing is stored
    #[arg(long)]
    pub dry_run: bool,
    /// Read a column as this part of the message, or with - leave it out; may be given several times
    #[arg(long, value_name = "NAME=PART", value_parser = pair)]
    pub column: Vec<(String, String)>,
    /// How the file is laid out; from its name when left out
    #[arg(long, value_name = "LAYOUT")]
    pub format: Option<Layout>,
    /// Print at most so many rows that were not taken
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub errors: usize,
}

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// Cells with commas, semicolons or tabs between them
    Csv,
    /// A JSON object a line
    Jsonl,
}
