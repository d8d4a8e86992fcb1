//! What is typed about the audit, the clock, tenants, doors, keys and flags.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{duration, overlap};

/// `audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Verify an export: every leaf, every chain, every signed checkpoint. Needs no installation
    Verify {
        /// The export
        file: PathBuf,
        /// The installation's public key (64 hexadecimal digits), as you know it
        #[arg(long)]
        key: Option<String>,
        /// The checkpoint file that was kept outside the database
        #[arg(long, value_name = "FILE")]
        checkpoints: Option<PathBuf>,
    },
    /// Write the audit of the tenant as JSON lines, without personal data
    Export {
        /// The file; standard output when left out
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// `connection`.
#[derive(Debug, Subcommand)]
pub enum Connection {
    /// List the connections of the versions in force: where they lead, who answers for them, what uses them
    List,
    /// Ask one, or each, whether it is there and takes its credential. Nothing changes at the other side
    Check {
        /// The connection
        name: Option<String>,
    },
}

/// `clock`.
#[derive(Debug, Subcommand)]
pub enum Clock {
    /// Believe a machine's clock that has jumped ahead: engine time moves on to it, and what is due by it happens
    Accept {
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
}

/// `tenant`.
#[derive(Debug, Subcommand)]
pub enum Tenant {
    /// Create a tenant
    Create {
        /// Its name: lower-case letters, digits and -
        name: String,
    },
    /// Not a command: says what to type instead
    #[command(hide = true)]
    Rotate {
        /// Whatever was typed
        #[arg(num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// List tenants
    List,
    /// Take no messages for a tenant and send nothing; its data stays readable
    Disable {
        /// Its name
        name: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Undo disable
    Enable {
        /// Its name
        name: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
}

/// `endpoint`.
#[derive(Debug, Subcommand)]
pub enum Endpoint {
    /// Not a command: says what to type instead
    #[command(hide = true)]
    Create {
        /// Whatever was typed
        #[arg(num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// List endpoints: address, how senders identify themselves, whether open and why not
    List,
    /// Make a secret and print it once, or take a vendor's; earlier ones count for the overlap
    Rotate {
        /// ENDPOINT or TENANT/ENDPOINT
        endpoint: String,
        /// How long earlier secrets still count, such as 24h; at most 7d
        #[arg(long, default_value = "24h", value_parser = overlap)]
        overlap: i64,
        /// A file with the secret that the vendor made, instead of a new one; - for standard input
        #[arg(long, value_name = "FILE")]
        secret_file: Option<std::path::PathBuf>,
    },
    /// Close an endpoint
    Disable {
        /// ENDPOINT or TENANT/ENDPOINT
        endpoint: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Open a closed endpoint
    Enable {
        /// ENDPOINT or TENANT/ENDPOINT
        endpoint: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make an API key and print it, once
    Create {
        /// What it is for: events, records:read, records:write, cases:read; may be given several times
        #[arg(long, required = true)]
        scope: Vec<String>,
        /// How long it lives, such as 90d; for ever when left out
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<i64>,
    },
    /// Make a key that takes another's place, with the same scopes, and print it, once
    Rotate {
        /// The id of the key that it replaces
        key: String,
        /// How long the earlier key still counts, such as 24h; at most 7d
        #[arg(long, default_value = "24h", value_parser = overlap)]
        overlap: i64,
        /// How long the new one lives, such as 90d; until the earlier one would have ended when left out
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<i64>,
    },
    /// List API keys
    List,
    /// End an API key
    Disable {
        /// Its id
        key: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
}

/// `flag`.
#[derive(Debug, Subcommand)]
pub enum Flag {
    /// Set a flag, or remove it
    ///
    /// Workflows read flags as flags.NAME in conditions and mappings; a flag that is not set is off. One that no
    /// deployed workflow reads is set with a warning.
    Set {
        /// Its name
        name: String,
        /// on, off, or remove
        value: OnOff,
        /// For the whole installation instead of the tenant
        #[arg(long)]
        installation: bool,
    },
    /// List flags
    List,
}

/// The value of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// True
    On,
    /// False
    Off,
    /// Not set any more
    Remove,
}

impl OnOff {
    /// As it is stored.
    pub fn value(self) -> Option<bool> {
        match self {
            OnOff::On => Some(true),
            OnOff::Off => Some(false),
            OnOff::Remove => None,
        }
    }
}
