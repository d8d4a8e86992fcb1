//! The way to PostgreSQL, encrypted: a server with a certificate made here, and what is accepted of it.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tl_store::{Location, OpenError, Options, Refused, Store};
use tl_trial::postgres::{Own, Server};

use super::build::*;

/// Everybody on this machine may connect; over the network with a password alone.
const DOORS: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// Certificates: of an authority, of the server by that authority, and of another authority.
struct Papers {
    dir: TempDir,
    server: String,
    key: String,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Papers {
    /// For `localhost` and no other name.
    fn made() -> Papers {
        let dir = tempfile::tempdir().unwrap();
        let (ours, other) = (authority("ours"), authority("another"));
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let server = server.signed_by(&key, &ours).unwrap().pem();
        for (name, text) in [("ours", ours.pem()), ("other", other.pem())] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        fs::write(dir.path().join("empty"), "").unwrap();
        Papers {
            dir,
            server,
            key: key.serialize_pem(),
        }
    }

    fn path(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        path.to_str().unwrap().replace('/', "%2F")
    }
}

fn server(settings: &[&str], papers: &Papers) -> Option<Server> {
    let files = [
        ("server.crt", papers.server.as_str()),
        ("server.key", &papers.key),
        ("pg_hba.conf", DOORS),
    ];
    let server = Server::of_one_test(&Own {
        settings,
        files: &files,
    })?;
    let account = "ALTER ROLE tl PASSWORD 'sesame'";
    server.sql("postgres", account).unwrap();
    server.sql("postgres", "CREATE DATABASE tl").unwrap();
    Some(server)
}

fn open(url: &str) -> Result<Store, OpenError> {
    let location: Location = url.parse().unwrap();
    Store::open_at(&location, &Options::default())
}

/// Whether all connections of the product to the server are encrypted; an error where some are and some are not.
fn encrypted(server: &Server) -> bool {
    let sql = "SELECT string_agg(DISTINCT CAST(s.ssl AS TEXT), ' ') FROM pg_stat_ssl s \
               JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'throughline'";
    match server.sql("postgres", sql).unwrap().as_str() {
        "true" => true,
        "false" => false,
        mixed => panic!("{mixed:?}"),
    }
}

#[test]
fn what_a_certificate_must_be_follows_from_the_address() {
    let papers = Papers::made();
    let Some(server) = server(&["ssl=on"], &papers) else {
        return;
    };
    let (ours, other, empty) = (
        papers.path("ours"),
        papers.path("other"),
        papers.path("empty"),
    );
    let table = [
        ("localhost", String::new(), Ok(true)),
        ("localhost", "sslmode=disable".into(), Ok(false)),
        ("localhost", "sslmode=prefer".into(), Ok(true)),
        ("localhost", "sslmode=require".into(), Ok(true)),
        ("127.0.0.1", "sslmode=require".into(), Ok(true)),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={ours}"),
            Ok(true),
        ),
        ("localhost", format!("sslrootcert={ours}"), Ok(true)),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={ours}"),
            Ok(true),
        ),
        (
            "127.0.0.1",
            format!("sslmode=require&sslrootcert={ours}"),
            Ok(true),
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={ours}"),
            Err("not valid for name"),
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={other}"),
            Err("UnknownIssuer"),
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&sslrootcert={other}"),
            Err("UnknownIssuer"),
        ),
        (
            "localhost",
            format!("sslmode=require&sslrootcert={other}"),
            Err("UnknownIssuer"),
        ),
        // The authorities of this machine know nothing of ours.
        ("localhost", "sslmode=verify-full".into(), Err("TL0608")),
        (
            "localhost",
            "sslrootcert=/nowhere".into(),
            Err("/nowhere cannot be read"),
        ),
        (
            "localhost",
            format!("sslrootcert={empty}"),
            Err("holds no certificate"),
        ),
        (
            "localhost",
            "sslmode=sometimes".into(),
            Err("one of disable"),
        ),
    ];
    let port = server.port();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (host, parameters, want) in table {
        let url = format!("postgres://tl:sesame@{host}:{port}/tl?{parameters}");
        match (open(&url), want) {
            (Ok(store), Ok(want)) => {
                assert_eq!(encrypted(&server), want, "{parameters}");
                runtime.block_on(store.close()).unwrap();
            }
            (Err(error), Err(part)) => {
                let error = error.to_string();
                assert!(error.starts_with("TL0608"), "{parameters}: {error}");
                assert!(error.contains(part), "{parameters}: {error}");
                assert!(!error.contains("sesame"), "{error}");
            }
            (got, want) => panic!("{host} {parameters}: {got:?}, not {want:?}"),
        }
    }
}

#[test]
fn a_server_without_encryption_is_told_so() {
    let papers = Papers::made();
    let Some(server) = server(&["ssl=off"], &papers) else {
        return;
    };
    let url = format!("postgres://tl:sesame@localhost:{}/tl", server.port());
    drop(open(&url).unwrap());
    for parameters in [
        "sslmode=require",
        "sslmode=verify-full",
        "sslmode=verify-ca",
    ] {
        let ours = papers.path("ours");
        let refused = open(&format!("{url}?{parameters}&sslrootcert={ours}")).unwrap_err();
        let words = refused.to_string();
        assert!(matches!(refused, OpenError::Encryption { .. }), "{words}");
        assert!(words.contains("offers none"), "{words}");
        assert!(words.contains("sslmode=disable"), "{words}");
    }
}

/// Work over an encrypted connection: bodies of many packets, notifications, the lease, a server that goes and comes.
#[tokio::test(flavor = "multi_thread")]
async fn everything_travels_encrypted() {
    let papers = Papers::made();
    let Some(server) = server(&["ssl=on"], &papers) else {
        return;
    };
    let url = format!(
        "postgres://tl:sesame@localhost:{}/tl?sslmode=verify-full&sslrootcert={}",
        server.port(),
        papers.path("ours")
    );
    let (one, two) = (open(&url).unwrap(), open_as(&url, 2));
    let mut woken = two.elsewhere();
    for n in 1..=20 {
        let mut unit = admission(n, &[]);
        let mut large = event(n);
        large.payload = vec![n as u8; 400_000];
        unit.rows = vec![event_row(large, &[])];
        one.commit(unit).await.unwrap();
        let events = two.events(T1, case_id(n)).await.unwrap();
        assert_eq!(events[0].1.payload.len(), 400_000);
    }
    woken.changed().await.unwrap();
    assert!(one.heartbeat().await.unwrap().held);
    assert!(encrypted(&server));
    server.crash();
    // Whoever meets the broken connection may learn nothing; the next one is encrypted again.
    while let Err(Refused::Unavailable { .. }) = one.commit(admission(21, &["21"])).await {}
    assert!(encrypted(&server));
    for store in [one, two] {
        store.close().await.unwrap();
    }
}

fn open_as(url: &str, node: u32) -> Store {
    let location: Location = url.parse().unwrap();
    let options = Options {
        node: Some(node),
        ..Options::default()
    };
    Store::open_at(&location, &options).unwrap()
}
