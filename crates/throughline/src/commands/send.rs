//! `send`: sign a message as its sender would, and post it. `try`: the same message, but nothing happens.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use tl_connect::client::{
    Auth, Client, Connection, Options, Request as Outgoing, Secret as Hidden,
};
use tl_connect::knowledge::Knowledge;
use tl_wire::signature::{
    HmacScheme, PRESETS, Preset, Scheme as Signing, Sending, Stamp, preset, sign_for,
};

use super::{Shell, print};
use crate::cli::{Scheme, Send, Try};
use crate::control::Reply;
use crate::control::request::{Message, Request};
use crate::explain::code_words;
use crate::failure::Failure;
use crate::keys::{random, signing_key};
use crate::text::nearest;

/// Time for the whole exchange.
const DEADLINE: Duration = Duration::from_secs(30);

/// Signs and posts.
pub fn run(shell: &Shell, args: &Send) -> Result<(), Failure> {
    let body = read(&args.file)?;
    let secret = secret(args)?;
    let scheme = args.scheme.unwrap_or_else(|| scheme_of(&secret));
    let vendor = args.preset.as_deref().map(vendor).transpose()?;
    let key = match &args.key {
        Some(key) => key.clone(),
        None => format!("send-{}", hex::encode(random::<12>()?)),
    };
    let mut headers = vec![
        (
            "content-type".to_owned(),
            args.content_type
                .clone()
                .unwrap_or_else(|| content_type(&args.file)),
        ),
        ("idempotency-key".to_owned(), key.clone()),
    ];
    let signing = match scheme {
        _ if vendor.is_some() => vendor.map(Signing::Preset),
        Scheme::Hmac => Some(Signing::Hmac(HmacScheme {
            header: args.header.clone(),
            ..HmacScheme::default()
        })),
        Scheme::StandardWebhooks => Some(Signing::StandardWebhooks),
        Scheme::Bearer => None,
    };
    if let Some(signing) = signing {
        let span = (0, None);
        let read = match vendor {
            Some(row) => row.secret("send", &secret, span),
            None => signing_key(&secret, "send", span),
        };
        let secret = read.map_err(|e| Failure::usage(e.to_string()))?;
        let sending = Sending {
            stamp: Stamp {
                delivery_id: Some(&key),
                timestamp_s: now_s(),
            },
            method: "POST",
            url: Some(&args.to),
            body: &body,
        };
        let signed = sign_for(&signing, &secret, &sending)
            .map_err(|e| Failure::usage(format!("cannot sign: {e}")))?;
        headers.extend(signed);
    }
    let auth = if vendor.is_none() && scheme == Scheme::Bearer {
        Auth::Bearer(Hidden::new(secret))
    } else {
        Auth::None
    };
    let answer = shell.block_on(post(&args.to, &auth, headers, body))?;
    let (status, text) = answer;
    if shell.json {
        let body: serde_json::Value =
            serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text.clone()));
        println!(
            "{}",
            serde_json::json!({ "status": status, "answer": body, "key": key })
        );
    } else {
        println!("{status} {}", crate::text::safe(&text));
    }
    match status {
        200..300 => Ok(()),
        404 => Err(Failure::refused(
            "the endpoint does not exist, is closed, or has no secret: `throughline endpoint list` says which",
        )),
        401 => Err(Failure::refused(
            "the signature was not accepted: is this the endpoint's newest secret?",
        )),
        _ => Err(Failure::refused(format!("the endpoint answered {status}"))),
    }
}

async fn post(
    url: &str,
    auth: &Auth,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
) -> Result<(u16, String), Failure> {
    let host = url.find("://").map_or(0, |at| at + 3);
    let (base, path) = match url[host..].find('/') {
        Some(at) => url.split_at(host + at),
        None => (url, "/"),
    };
    let connection = Connection::new("send", base, auth, true)
        .map_err(|e| Failure::usage(format!("--to {url}: {e}")))?;
    let client =
        Client::new(&Options::default()).map_err(|e| Failure::unreachable(e.to_string()))?;
    let request = Outgoing {
        method: Method::POST,
        path_and_query: path.to_owned(),
        headers,
        body: Some(body),
        mail: None,
        deadline: DEADLINE,
    };
    match client.send(&connection, request).await.knowledge {
        Knowledge::Answered(answer) => {
            let body = answer.body.unwrap_or_default();
            Ok((answer.status, String::from_utf8_lossy(&body).into_owned()))
        }
        Knowledge::NotSent(why) => Err(Failure::unreachable(format!(
            "nothing was sent to {url}: {}. Does a server run there?",
            code_words(why.code())
        ))),
        Knowledge::NotProcessed => Err(Failure::unreachable(format!(
            "{url} did not take the message; send it again"
        ))),
        Knowledge::Unknown(why) => Err(Failure::unreachable(format!(
            "{url}: {}. Send it again with the same --key: it is taken once",
            code_words(why.code())
        ))),
    }
}

/// The text of a file, or of standard input.
pub fn text_of(path: &Path) -> Result<String, Failure> {
    let bytes = match path.as_os_str() == "-" {
        true => {
            let mut all = Vec::new();
            let read = std::io::stdin().read_to_end(&mut all);
            read.map_err(|e| Failure::unreachable(format!("TL0620 cannot read the input: {e}")))?;
            all
        }
        false => read(path)?,
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{} is no text", path.display())))?;
    Ok(text.trim().to_owned())
}

/// The vendor of a name.
fn vendor(name: &str) -> Result<&'static Preset, Failure> {
    preset(name).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|p| p.name).collect();
        let near = nearest(name, names.iter().copied())
            .map_or_else(String::new, |n| format!("; did you mean {n}?"));
        Failure::usage(format!(
            "there is no preset `{name}`{near} There are {}",
            names.join(", ")
        ))
    })
}

fn secret(args: &Send) -> Result<String, Failure> {
    let text = match (&args.secret, &args.secret_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => String::from_utf8_lossy(&read(path)?).into_owned(),
        (None, None) => {
            return Err(Failure::usage(
                "pass --secret, --secret-file, or set THROUGHLINE_SECRET; `throughline endpoint rotate` makes one",
            ));
        }
    };
    Ok(text.trim().to_owned())
}

fn scheme_of(secret: &str) -> Scheme {
    if secret.starts_with("whsec_") {
        Scheme::StandardWebhooks
    } else if secret.starts_with("tl_") {
        Scheme::Bearer
    } else {
        Scheme::Hmac
    }
}

/// Tries.
pub fn rehearse(shell: &Shell, args: &Try) -> Result<(), Failure> {
    let body = read(&args.file)?;
    let content_type = args
        .content_type
        .clone()
        .unwrap_or_else(|| content_type(&args.file));
    let endpoint = match &args.endpoint {
        Some(name) => name.clone(),
        None => only_door(shell, &content_type)?,
    };
    let message = Message {
        endpoint,
        content_type,
        headers: args.headers.clone(),
        body: STANDARD.encode(body),
    };
    let reply = shell.ask(Request::Try(message))?;
    print::reply(&reply, shell.json);
    Ok(())
}

/// The door that a message comes through when none is named: the only one, or the only one that takes such bodies.
fn only_door(shell: &Shell, content_type: &str) -> Result<String, Failure> {
    let Reply::Endpoints(doors) = shell.ask(Request::EndpointList)? else {
        return Err(Failure::usage("pass --endpoint"));
    };
    let takes = |channel: &str| match content_type.split(';').next().unwrap_or_default() {
        "message/rfc822" => channel == "email",
        "application/x-www-form-urlencoded" => channel == "form" || channel == "sms",
        "multipart/form-data" => channel == "form",
        _ => !["email", "sms", "schedule"].contains(&channel),
    };
    let fitting: Vec<&str> = doors
        .iter()
        .filter(|d| takes(&d.channel) || doors.len() == 1)
        .map(|d| d.endpoint.as_str())
        .collect();
    match fitting.as_slice() {
        [one] => {
            eprintln!("through the endpoint `{one}`, the only one that takes {content_type}");
            Ok((*one).to_owned())
        }
        [] => {
            let all: Vec<String> = doors
                .iter()
                .map(|d| format!("{} ({})", d.endpoint, d.channel))
                .collect();
            Err(Failure::usage(format!(
                "no endpoint takes {content_type}; pass --endpoint NAME, or --type for what the file is. There are {}",
                all.join(", ")
            )))
        }
        several => Err(Failure::usage(format!(
            "through which endpoint? Pass --endpoint with one of {}",
            several.join(", ")
        ))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| unreadable(path, &e))
}

/// Opens a file; where there is none, the one with the nearest name is named.
pub fn open(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::File::open(path).map_err(|e| unreadable(path, &e))
}

fn unreadable(path: &Path, e: &std::io::Error) -> Failure {
    match e.kind() {
        std::io::ErrorKind::NotFound => {
            let hint = beside(path).map_or_else(String::new, |n| format!("; did you mean {n}?"));
            Failure::not_found(format!("there is no file {}{hint}", path.display()))
        }
        _ => Failure::unreachable(format!("TL0620 cannot read {}: {e}", path.display())),
    }
}

/// The file of the same directory with the nearest name.
fn beside(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    let entries = std::fs::read_dir(parent.unwrap_or(Path::new("."))).ok()?;
    let mut names: Vec<String> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let near = nearest(name, names.iter().map(String::as_str))?;
    Some(path.with_file_name(near).display().to_string())
}

fn content_type(path: &Path) -> String {
    match path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
    {
        "eml" => "message/rfc822",
        "pdf" => "application/pdf",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "csv" => "text/csv",
        "form" | "txt" => "application/x-www-form-urlencoded",
        _ => "application/json",
    }
    .to_owned()
}

fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_secs() as i64)
}
