//! Style sheet and script, inside the binary, with their digest in the name: a browser keeps them for ever, and a
//! new build has new names.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use tl_kernel::digest::{hex, sha256};

const STYLE: &str = concat!(
    include_str!("../assets/tokens.css"),
    include_str!("../assets/console.css")
);
const SCRIPT: &str = include_str!("../assets/console.js");
const ICON: &str = include_str!("../assets/icon.svg");

/// One file.
struct Asset {
    name: String,
    media: &'static str,
    body: &'static str,
}

fn named(stem: &str, ending: &str, media: &'static str, body: &'static str) -> Asset {
    let digest = hex(&sha256(&[body.as_bytes()]));
    Asset {
        name: format!("{stem}-{}.{ending}", &digest[..12]),
        media,
        body,
    }
}

static ALL: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        named("console", "css", "text/css; charset=utf-8", STYLE),
        named("console", "js", "text/javascript; charset=utf-8", SCRIPT),
        named("icon", "svg", "image/svg+xml", ICON),
    ]
});

fn address(of: usize) -> String {
    format!("/assets/{}", ALL[of].name)
}

/// Address of the style sheet.
pub(crate) fn style() -> String {
    address(0)
}

/// Address of the script.
pub(crate) fn script() -> String {
    address(1)
}

/// Address of the icon.
pub(crate) fn icon() -> String {
    address(2)
}

/// `GET /assets/{name}`.
pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    let mut response = Response::new(Body::empty());
    let Some(asset) = ALL.iter().find(|a| a.name == name) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    *response.body_mut() = Body::from(asset.body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media));
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a first visit loads stays small.
    #[test]
    fn the_assets_are_light() {
        assert!(SCRIPT.len() < 9 * 1024, "script: {} bytes", SCRIPT.len());
        assert!(STYLE.len() < 32 * 1024, "style: {} bytes", STYLE.len());
        for foreign in ["@import", "url(", "http:", "https:"] {
            assert!(!STYLE.contains(foreign), "{foreign} in the style sheet");
        }
    }
}
