//! Conditional requests on records: `If-Match: "v3"`, `If-None-Match: *`. A write says which version it
//! changes; "whatever is there" is not a version.

use http::{HeaderMap, HeaderValue, header};

use crate::problem::{MALFORMED, Problem, VERSION, VERSION_REQUIRED};

/// Which version a write expects; 0 = none yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing was said: allowed only where there is no record.
    Unsaid,
    /// `If-None-Match: *`.
    Absent,
    /// One of these.
    OneOf(Vec<u64>),
}

/// Reads the conditions of a request.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let text = |name: header::HeaderName| {
        let values: Vec<&str> = headers
            .get_all(&name)
            .iter()
            .map(|v| v.to_str().unwrap_or("?"))
            .collect();
        (!values.is_empty()).then(|| values.join(","))
    };
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, None) => Ok(Expected::Unsaid),
        (None, Some(t)) if t.trim() == "*" => Ok(Expected::Absent),
        (Some(t), None) if t.trim() == "*" => Err(Problem::new(
            VERSION_REQUIRED,
            "`If-Match: *` matches every version and would lose somebody's change. Name the version you read.",
        )),
        (Some(t), None) => Ok(Expected::OneOf(t.split(',').filter_map(version).collect())),
        _ => Err(Problem::new(
            MALFORMED,
            "A write has either If-Match or `If-None-Match: *`.",
        )),
    }
}

/// The number in `"v3"`; bare as some clients send it. A weak tag never matches a write.
fn version(tag: &str) -> Option<u64> {
    let tag = tag.trim();
    let bare = tag
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .unwrap_or(tag);
    let digits = bare.strip_prefix('v')?;
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain)
}

impl Expected {
    /// Whether a write to a record that has this version may go on.
    pub(crate) fn admits(&self, current: u64) -> Result<(), Problem> {
        let fits = match self {
            Expected::Unsaid if current == 0 => true,
            Expected::Unsaid => {
                let detail = "Send If-Match with the version you read.";
                return Err(Problem::new(VERSION_REQUIRED, detail));
            }
            Expected::Absent => current == 0,
            Expected::OneOf(versions) => versions.contains(&current),
        };
        if fits { Ok(()) } else { Err(moved(current)) }
    }
}

/// 412 with the version that is there.
pub(crate) fn moved(current: u64) -> Problem {
    let detail = match current {
        0 => "There is no such record.".to_owned(),
        v => format!("The record has version v{v}. Read it, decide again, and send its version."),
    };
    let problem = Problem::new(VERSION, detail);
    match current {
        0 => problem,
        v => problem.header(header::ETAG, tag(v)),
    }
}

/// The entity tag of a version.
pub(crate) fn tag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"v{version}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"v0\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_judged() {
        let read = |name: header::HeaderName, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            expected(&headers)
        };
        // header, value, status against no record, status against version 3; 0 = goes on
        let table = [
            (header::IF_MATCH, "\"v3\"", 412, 0),
            (header::IF_MATCH, "v3", 412, 0),
            (header::IF_MATCH, "\"v2\", \"v3\"", 412, 0),
            (header::IF_MATCH, "\"v0\"", 0, 412),
            (header::IF_MATCH, "W/\"v3\"", 412, 412),
            (header::IF_MATCH, "\"v03\"", 412, 412),
            (header::IF_MATCH, "\"abc\"", 412, 412),
            (header::IF_MATCH, "*", 428, 428),
            (header::IF_NONE_MATCH, "*", 0, 412),
            (header::IF_NONE_MATCH, "\"v3\"", 400, 400),
        ];
        for (name, value, absent, third) in table {
            for (current, want) in [(0, absent), (3, third)] {
                let got = read(name.clone(), value).and_then(|e| e.admits(current));
                let status = got.map_or_else(|p| p.kind.status, |()| 0);
                assert_eq!(status, want, "{name}: {value} against {current}");
            }
        }
        assert!(Expected::Unsaid.admits(0).is_ok());
        assert_eq!(
            Expected::Unsaid.admits(1).unwrap_err().kind,
            VERSION_REQUIRED
        );
    }
}
