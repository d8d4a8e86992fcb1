//! What a node is for. With one node it is everything; with several, doors, engine and console may stand apart.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use clap::ValueEnum;
use tl_web::problem::Problem;

/// Paths that every node answers: a load balancer and a metrics collector ask them.
const PROBES: &[&str] = &["/healthz", "/readyz", "/metrics"];
/// Where messages come in.
const DOORS: &[&str] = &["/hooks", "/forms", "/follow-up", "/v1/events"];
/// What programs read and write of cases and records.
const API: &[&str] = &["/v1"];

/// The part of the product that a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Role {
    /// Everything
    #[default]
    All,
    /// Take messages and answer the API; send nothing
    Ingress,
    /// Move cases on and send effects; take no messages
    Worker,
    /// Show the console and answer the API; take no messages, send nothing
    Console,
}

impl Role {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Ingress => "ingress",
            Role::Worker => "worker",
            Role::Console => "console",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Role> {
        let all = Role::value_variants().iter().copied();
        all.into_iter().find(|r| r.word() == word)
    }

    /// Whether the node runs the engine: worker, timers, audit.
    pub fn works(self) -> bool {
        matches!(self, Role::All | Role::Worker)
    }

    /// Whether the node answers at a path.
    pub fn serves(self, path: &str) -> bool {
        let within = |roots: &[&str]| {
            roots.iter().any(|root| {
                path.strip_prefix(root)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        within(PROBES)
            || match self {
                Role::All => true,
                Role::Worker => false,
                Role::Ingress => within(DOORS) || within(API),
                Role::Console => !within(DOORS),
            }
    }

    /// The router without what belongs to other roles.
    pub fn only(self, router: Router) -> Router {
        if self == Role::All {
            return router;
        }
        router.layer(from_fn(move |request: Request, next: Next| async move {
            if self.serves(request.uri().path()) {
                next.run(request).await
            } else {
                Problem::not_found().into_response()
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_answers_what_is_its_own() {
        use Role::{All, Console, Ingress, Worker};
        let table: [(&str, &[Role]); 10] = [
            ("/readyz", &[All, Ingress, Worker, Console]),
            ("/metrics", &[All, Ingress, Worker, Console]),
            ("/hooks/default/web", &[All, Ingress]),
            ("/forms/default/web", &[All, Ingress]),
            ("/follow-up/default/case_1/t", &[All, Ingress]),
            ("/v1/events", &[All, Ingress]),
            ("/v1/cases/case_1", &[All, Ingress, Console]),
            ("/v1/records/lead/1", &[All, Ingress, Console]),
            ("/", &[All, Console]),
            ("/hooksandmore", &[All, Console]),
        ];
        for (path, roles) in table {
            for role in [All, Ingress, Worker, Console] {
                assert_eq!(role.serves(path), roles.contains(&role), "{role:?} {path}");
            }
        }
        for role in [All, Ingress, Worker, Console] {
            assert_eq!(Role::parse(role.word()), Some(role));
        }
        assert_eq!(Role::parse("al"), None);
    }
}
