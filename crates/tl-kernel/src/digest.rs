//! Hashes: plain ones for public bytes, keyed ones for anything a person could guess.

use aws_lc_rs::{digest, hmac};

/// 32 bytes of SHA-256 or HMAC-SHA-256.
pub type Digest = [u8; 32];

/// SHA-256 of the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut ctx = digest::Context::new(&digest::SHA256);
    for p in parts {
        ctx.update(p);
    }
    to_array(ctx.finish().as_ref())
}

/// HMAC-SHA-256 of the parts, each preceded by its length so that no two lists of parts collide.
pub fn keyed(key: &[u8], parts: &[&[u8]]) -> Digest {
    let mut ctx = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for p in parts {
        ctx.update(&(p.len() as u64).to_be_bytes());
        ctx.update(p);
    }
    to_array(ctx.sign().as_ref())
}

fn to_array(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(bytes);
    out
}

/// Lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(char::from_digit(u32::from(b >> 4), 16).unwrap_or('0'));
        out.push(char::from_digit(u32::from(b & 15), 16).unwrap_or('0'));
    }
    out
}

/// The first 12 hexadecimal digits: enough to tell two digests apart on a screen.
pub fn short(bytes: &Digest) -> String {
    hex(&bytes[..6])
}
