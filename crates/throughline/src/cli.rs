//! The command line: what can be typed, and the help that a person reads.

mod admin;
mod connector;
mod import;
mod work;

use std::path::PathBuf;

use clap::{Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::role::Role;
use crate::templates::Template;
pub use admin::{Audit, Clock, Connection, Endpoint, Flag, Key, Tenant};
pub use connector::Connector;
pub use import::{Import, Layout};
pub use work::{
    Case, Dead, Decision, Effect, How, Kill, Outbox, Record, Redrive, Suppression, Task,
};

/// Over the options that every command has.
const EVERYWHERE: &str = "Everywhere";

/// Carries one business process from the first inbound message to a validated record, and shows for every case
/// what came in, what was decided and what was done.
#[derive(Debug, Parser)]
#[command(
    name = "throughline",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 refused or a check found something, 2 usage, 3 not found,\n            \
                  4 cannot reach, open or write, 5 conflict or busy.\n\n\
                  See it at work: throughline demo\n\
                  Start your own: throughline init lead my-leads; cd my-leads; throughline check; throughline serve"
)]
pub struct Args {
    /// The project directory: where throughline.toml and workflows/ lie
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = "THROUGHLINE_DIR",
        default_value = ".",
        value_name = "DIR"
    )]
    pub dir: PathBuf,
    /// The tenant that the command is about
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = "THROUGHLINE_TENANT",
        default_value = "default",
        value_name = "NAME"
    )]
    pub tenant: String,
    /// Print JSON for scripts instead of text for people
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// What was typed; where it cannot be read, or help was asked for, that is printed and the process ends.
    pub fn read() -> Args {
        Args::from_arg_matches(&grammar().get_matches()).unwrap_or_else(|e| e.exit())
    }
}

/// Commands that are not about the project directory or about one tenant: their help does not speak of what they do not
/// use. For a command with others below it, all of these.
const NOT_ABOUT: &[(&str, &[&str])] = &[
    ("serve", &["tenant"]),
    ("demo", &["dir", "tenant"]),
    ("bench", &["dir", "tenant"]),
    ("init", &["dir", "tenant"]),
    ("schema", &["dir", "tenant"]),
    ("connector", &["tenant"]),
    ("graph", &["tenant"]),
    ("send", &["dir", "tenant"]),
    ("eval", &["tenant"]),
    ("migrate", &["tenant"]),
    ("config", &["tenant"]),
    ("clock", &["tenant"]),
    ("tenant", &["tenant"]),
];

/// What can be typed.
pub fn grammar() -> clap::Command {
    let mut all = Args::command();
    all.build();
    for (name, options) in NOT_ABOUT {
        all = all.mut_subcommand(name, |command| hide(command, options));
    }
    all
}

fn hide(command: clap::Command, options: &[&str]) -> clap::Command {
    let hidden = |arg: clap::Arg| {
        let elsewhere = options.iter().any(|o| arg.get_id() == *o);
        let hide = arg.is_hide_set() || elsewhere;
        arg.hide(hide)
    };
    command
        .mut_args(hidden)
        .mut_subcommands(|below| hide(below, options))
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: take messages, move cases on, send effects
    ///
    /// The first line that it prints is its address. ctrl-c or SIGTERM ends it: what is on its way is finished first,
    /// which takes 25 s at most.
    #[command(after_help = "Examples:\n  \
        throughline serve\n  \
        throughline serve --listen 127.0.0.1:0 --json")]
    Serve {
        /// Address and port of the doors; port 0 takes any free one
        #[arg(long, value_name = "ADDR")]
        listen: Option<String>,
        /// The database: a file, or postgres://USER@HOST/NAME for several nodes. Other commands take it from
        /// throughline.toml or THROUGHLINE_STORE
        #[arg(long, value_name = "FILE or URL")]
        store: Option<String>,
        /// What this node is for; other than `all` needs PostgreSQL
        #[arg(long)]
        role: Option<Role>,
    },
    /// Play a made-up company's leads, tickets or invoices through a real server on this machine, and judge what came out
    ///
    /// It needs no account, no key and no network, and touches no project. Some three hundred messages (of leads; fewer
    /// than a hundred of the others), with duplicates, forged signatures and an outage among them, take some seconds.
    #[command(after_help = "Examples:\n  \
        throughline demo\n  \
        throughline demo ticket --once\n  \
        throughline demo document --once --json")]
    Demo {
        /// What is played; the projects are the templates of `init`
        #[arg(value_enum, default_value = "lead")]
        template: Template,
        /// End when everything is judged, instead of staying up to be looked at
        #[arg(long)]
        once: bool,
        /// Keep the project and its database here; a run that was stopped goes on from there
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// Measure this build on this machine: throughput, latency, memory, bytes; nothing of the project is touched
    #[command(after_help = "Examples:\n  \
        throughline bench\n  \
        throughline bench growth --cases 1000000\n  \
        throughline bench closed open --store postgres://bench@127.0.0.1/empty")]
    Bench(crate::bench::Options),
    /// Make a project from a template
    ///
    /// The directory must be new or empty. It gets a workflow with its examples, tables and templates, a schema for
    /// editors, and a message to try it with.
    #[command(after_help = "Templates:\n  \
        lead      inbound lead to qualified opportunity\n  \
        ticket    support ticket to first response\n  \
        document  document text to validated record\n\n\
        Examples:\n  \
        throughline init lead my-leads\n  \
        throughline init ticket my-tickets")]
    Init {
        /// The template (`lead`, `ticket` or `document`; `lead` when left out), then the directory
        #[arg(required = true, num_args = 1..=2, value_name = "[TEMPLATE] DIR")]
        target: Vec<String>,
    },
    /// Check workflow files as a compiler would, and prove what they can never do
    Check {
        /// A project directory or one workflow file; the project directory when left out
        path: Option<PathBuf>,
        /// Treat warnings as errors
        #[arg(long)]
        strict: bool,
    },
    /// Print the JSON Schema of the workflow file, for editors that complete and check while one types
    Schema,
    /// Systems that can be spoken to: list them, show one, check a file of your own, begin one
    #[command(subcommand)]
    Connector(Connector),
    /// Draw the states and transitions of a workflow
    Graph {
        /// Which workflow; needed where the project has several
        workflow: Option<String>,
        /// As an SVG image
        #[arg(long, conflicts_with = "mermaid")]
        svg: bool,
        /// As Mermaid text
        #[arg(long)]
        mermaid: bool,
    },
    /// Sign a message and post it to an endpoint
    #[command(after_help = "Example:\n  \
        throughline send lead.json --to http://127.0.0.1:8480/hooks/default/leads --secret-file secret.txt")]
    Send(Send),
    /// Say what would happen to a message: nothing is stored, nothing is sent
    #[command(after_help = "Examples:\n  \
        throughline try lead.json\n  \
        throughline try lead.json --endpoint leads --header idempotency-key=web-1")]
    Try(Try),
    /// Take the rows of a CSV or JSON Lines file as messages of an endpoint
    ///
    /// Each row becomes an ordinary message: checked, recognised where it comes again, decided. Beside a running server or
    /// without one. What was taken stays taken: after a stop the same command goes on.
    #[command(after_help = "Examples:\n  \
        throughline import leads.csv --to leads --dry-run\n  \
        throughline import leads.csv --to leads --key external_id\n  \
        throughline import list.csv --to contact --column \"E-Mail=email\" --column \"Remarks=-\"")]
    Import(Import),
    /// Judge a workflow's classifier on messages whose label is known: nothing is stored, nothing is sent
    Eval(Eval),
    /// Look at cases and move them
    #[command(subcommand)]
    Case(Case),
    /// Explain a case (everything that happened, and what to do next), an error code, or a word of a decision
    #[command(after_help = "Examples:\n  \
        throughline explain case_…\n  \
        throughline explain TL0701\n  \
        throughline explain needs_human")]
    Explain {
        /// A case_…, task_…, eff_… or evt_… id, a code such as TL0701, or a word such as policy_allows or unsure
        #[arg(value_name = "ID, CODE or WORD")]
        id: String,
    },
    /// Look at tasks and decide them
    #[command(subcommand)]
    Task(Task),
    /// Look at effects, and say what became of uncertain ones
    #[command(subcommand)]
    Effect(Effect),
    /// Messages that wait in the outbox for a system that takes them
    ///
    /// Actions with `via: outbox` write there, in one transaction with their outcome. Nothing leaves it by itself.
    #[command(
        subcommand,
        after_help = "Example:\n  throughline outbox list\n  throughline outbox show eff_…"
    )]
    Outbox(Outbox),
    /// Records of the built-in record store
    #[command(
        subcommand,
        after_help = "Example:\n  throughline record show lead case_…"
    )]
    Record(Record),
    /// Effects that failed or were given up: look at them, send them again
    ///
    /// Mend the cause first: `dead show` names it. What is sent again bears the same id and the same key.
    #[command(
        subcommand,
        after_help = "Examples:\n  \
            throughline dead list\n  \
            throughline dead redrive eff_… --reason mended\n  \
            throughline dead redrive --group 3a91c2d4 --reason mended"
    )]
    Dead(Dead),
    /// Connections: what they are, and whether they work
    ///
    /// `connection check` sends what the connector's file names for it, a read that needs the credential; to a mail server it
    /// logs in and says goodbye. A switch on the connection holds it too.
    #[command(
        subcommand,
        after_help = "Examples:\n  \
            throughline connection list\n  \
            throughline connection check crm"
    )]
    Connection(Connection),
    /// Kill switches: stop effects or ingest at once, with or without a running server
    #[command(subcommand)]
    Kill(Kill),
    /// Addresses to which nothing is sent, because their owners or you said so
    ///
    /// A text message that says STOP puts its sender's number here, one that says START takes it away again. What was
    /// planned for such an address is cancelled when it would be sent, whoever has approved it.
    #[command(
        subcommand,
        after_help = "Examples:\n  \
            throughline suppression list\n  \
            throughline suppression add ada@example.com --reason asked_by_phone"
    )]
    Suppression(Suppression),
    /// The append-only audit: export it, verify an export
    #[command(subcommand)]
    Audit(Audit),
    /// Bring the database up to date with this release
    ///
    /// With the server stopped. A server that starts does it by itself, so beside one that runs nothing is left
    /// to do.
    Migrate,
    /// Show the effective settings and where each came from
    Config,
    /// Check the project, show what would change, and make it the current version
    ///
    /// Beside a running server, which takes it over at once, or without one. Open cases stay with their version; a
    /// stricter policy counts for them too.
    #[command(after_help = "Examples:\n  \
        throughline deploy\n  \
        throughline --json deploy          what would change, and nothing is done\n  \
        throughline --json deploy --yes")]
    Deploy {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List the deployed versions
    Versions,
    /// Make an earlier version current again; open cases stay with theirs
    ///
    /// The files of the project stay as they are: the next `deploy` brings the newer version back, unless they are
    /// changed first.
    #[command(after_help = "Example:\n  \
        throughline versions\n  \
        throughline rollback inbound_lead 3 --reason wrong_route")]
    Rollback {
        /// Workflow id
        workflow: String,
        /// Number, as `throughline versions` shows it
        number: u32,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Tenants: each with its own workflows, cases, endpoints, keys and audit
    ///
    /// Every other command is about the tenant `default`, unless --tenant or THROUGHLINE_TENANT names another.
    #[command(
        subcommand,
        after_help = "Example:\n  \
            throughline tenant create acme\n  \
            throughline --tenant acme deploy\n  \
            throughline --tenant acme endpoint rotate leads"
    )]
    Tenant(Tenant),
    /// Endpoints and their secrets. Endpoints come from the workflow file: `deploy` makes and removes them
    #[command(subcommand)]
    Endpoint(Endpoint),
    /// API keys: what programs show as bearer token to /v1/events, /v1/records and /v1/cases
    #[command(
        subcommand,
        after_help = "Examples:\n  \
            throughline key create --scope events\n  \
            throughline key create --scope records:read --scope cases:read --expires 90d"
    )]
    Key(Key),
    /// Feature flags: workflows read them as flags.NAME; one that is not set is off
    #[command(
        subcommand,
        after_help = "Examples:\n  \
            throughline flag set beta on\n  \
            throughline flag set beta remove"
    )]
    Flag(Flag),
    /// The installation at a glance
    Status,
    /// What time it is for the engine and for the machine, and whether the two agree
    Clock {
        /// What to do about it
        #[command(subcommand)]
        what: Option<Clock>,
    },
}

/// `send`.
#[derive(Debug, ClapArgs)]
pub struct Send {
    /// The message: .json, .eml, or form fields in .form or .txt
    pub file: PathBuf,
    /// Address of the endpoint
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// The endpoint's secret, as `throughline endpoint rotate` printed it
    #[arg(
        long,
        env = "THROUGHLINE_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub secret: Option<String>,
    /// A file that holds the secret
    #[arg(long, conflicts_with = "secret", value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// How to sign; `standard-webhooks` for a secret that begins with whsec_, else `hmac`
    #[arg(long)]
    pub scheme: Option<Scheme>,
    /// Sign as this vendor does, such as github
    #[arg(long, value_name = "NAME", conflicts_with = "scheme")]
    pub preset: Option<String>,
    /// Header of an hmac signature
    #[arg(long, default_value = "x-signature")]
    pub header: String,
    /// Idempotency-Key; a fresh one when left out
    #[arg(long)]
    pub key: Option<String>,
    /// Content type; from the file's name when left out
    #[arg(long = "type", value_name = "TYPE")]
    pub content_type: Option<String>,
}

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheme {
    /// HMAC-SHA-256 of the body, in hexadecimal digits
    Hmac,
    /// Standard Webhooks v1
    StandardWebhooks,
    /// An API key as bearer token
    Bearer,
}

/// `try`.
#[derive(Debug, ClapArgs)]
pub struct Try {
    /// The message: .json, .eml, or form fields in .form or .txt
    pub file: PathBuf,
    /// The endpoint it would come through; may be left out where only one takes such a file
    #[arg(long, value_name = "NAME")]
    pub endpoint: Option<String>,
    /// Content type; from the file's name when left out
    #[arg(long = "type", value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A further header, NAME=VALUE; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair)]
    pub headers: Vec<(String, String)>,
}

/// `eval`.
#[derive(Debug, ClapArgs)]
pub struct Eval {
    /// Workflow id
    pub workflow: String,
    /// Messages with their right labels: CSV with the columns text and label, or a JSON object a line (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// A project directory with another version of the workflow, judged on the same messages
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,
    /// Write the report as a page for a browser
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE".into()),
    }
}

fn duration(text: &str) -> Result<i64, String> {
    tl_kernel::time::parse_duration(text)
        .ok_or_else(|| "write a duration such as 30m, 24h or 7d".into())
}

fn overlap(text: &str) -> Result<i64, String> {
    if text == "0s" || text == "0" {
        Ok(0)
    } else {
        duration(text)
    }
}

#[cfg(test)]
mod tests;
