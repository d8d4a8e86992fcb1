//! Connector files: how another system is spoken to, as data that a person can write.
//!
//! A connector lies at `connectors/NAME.yaml` of a project, or is one of those that come with the product. A file of
//! the project takes the place of one of the same name.

mod auth;
mod call;
mod connection;
mod evidence;
mod keys;
mod message;
mod read;
mod request;
mod schema;
mod shipped;

use tl_kernel::connector::Connector;

use crate::diag::Diag;
use crate::project::Project;

pub(crate) use call::{actions, crm, sender};
pub(crate) use connection::connection;
pub use schema::connector_schema;
pub use shipped::SHIPPED;

/// The folder of a project's own connectors.
pub const FOLDER: &str = "connectors/";

/// A connector file that was read.
#[derive(Debug)]
pub struct Read {
    /// The connector; there is one exactly when no finding is an error.
    pub connector: Option<Connector>,
    /// What is wrong, in order of the places.
    pub diags: Vec<Diag>,
}

/// Reads a connector file. `file` is its path within the project; its name is the connector's.
pub fn read(file: &str, source: &str) -> Read {
    read::file(file, source)
}

/// The path of a connector's file within a project.
pub fn path(name: &str) -> String {
    format!("{FOLDER}{name}.yaml")
}

/// The text of a connector: the project's own, or the one that comes with the product.
pub fn source<'a>(project: &'a Project, name: &str) -> Option<&'a str> {
    project.text(&path(name)).or_else(|| shipped(name))
}

/// The text of a connector that comes with the product.
pub fn shipped(name: &str) -> Option<&'static str> {
    let found = SHIPPED.binary_search_by(|(n, _)| (*n).cmp(name));
    found.ok().map(|i| SHIPPED[i].1)
}

/// The names of all connectors that a project can use, sorted, each once.
pub fn names(project: &Project) -> Vec<String> {
    let own = project.files.keys().filter_map(|p| {
        let name = p.strip_prefix(FOLDER)?.strip_suffix(".yaml")?;
        (!name.contains('/')).then(|| name.to_owned())
    });
    let mut all: Vec<String> = own
        .chain(SHIPPED.iter().map(|(n, _)| (*n).to_owned()))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The connector of a name, where it exists and its file is right.
pub fn find(project: &Project, name: &str) -> Option<Connector> {
    let source = source(project, name)?;
    read(&path(name), source).connector
}
