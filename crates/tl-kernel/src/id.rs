//! Typed ids. Each shows itself with a prefix and parses only its own kind.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

/// The isolation boundary, a small number that the store gives to a tenant's name. 0 is the installation itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub u32);

impl TenantId {
    /// The reserved tenant that holds installation-wide rows.
    pub const SYSTEM: TenantId = TenantId(0);
}

/// One accepted inbound message: a UUIDv7 drawn at the edge from engine time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct EventId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

/// One record travelling through one workflow: the id of the event that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct CaseId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl CaseId {
    /// The stream of turns that belong to no case of a tenant: switches, deployments, keys, log-ins.
    pub const CONTROL: CaseId = CaseId([0; 16]);
}

/// One intended change in the outside world: the n-th of its case, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId {
    /// The case that planned it.
    pub case: CaseId,
    /// Its number within the case, from 1. Effects and asks share the count.
    pub n: u32,
}

/// Work for a person: the n-th of its case, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The case it belongs to.
    pub case: CaseId,
    /// Its number within the case, from 1.
    pub n: u32,
}

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind} id: it looks like {kind}_…")]
pub struct IdError {
    /// What was given.
    pub text: String,
    /// The kind that was asked for.
    pub kind: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 16 bytes as 26 characters of Crockford base 32, in an order that sorts as the bytes do.
struct Base32([u8; 26]);

impl fmt::Display for Base32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.0).map_err(|_| fmt::Error)?)
    }
}

fn base32(bytes: &[u8; 16]) -> Base32 {
    let mut n = u128::from_be_bytes(*bytes);
    let mut out = [0u8; 26];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(n & 31) as usize];
        n >>= 5;
    }
    Base32(out)
}

fn unbase32(text: &str) -> Option<[u8; 16]> {
    if text.len() != 26 {
        return None;
    }
    let mut n: u128 = 0;
    for (i, b) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|a| *a == b)? as u128;
        if i == 0 && digit > 7 {
            return None;
        }
        n = (n << 5) | digit;
    }
    Some(n.to_be_bytes())
}

macro_rules! whole_id {
    ($ty:ident, $prefix:literal) => {
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), base32(&self.0))
            }
        }
        impl FromStr for $ty {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                s.strip_prefix(concat!($prefix, "_"))
                    .and_then(unbase32)
                    .map($ty)
                    .ok_or_else(|| IdError {
                        text: s.to_owned(),
                        kind: $prefix,
                    })
            }
        }
    };
}

macro_rules! part_id {
    ($ty:ident, $prefix:literal) => {
        impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}-{}"), base32(&self.case.0), self.n)
            }
        }
        impl FromStr for $ty {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                let parse = || {
                    let (case, n) = s.strip_prefix(concat!($prefix, "_"))?.split_once('-')?;
                    let n = n.parse().ok().filter(|n| *n > 0)?;
                    Some($ty {
                        case: CaseId(unbase32(case)?),
                        n,
                    })
                };
                parse().ok_or_else(|| IdError {
                    text: s.to_owned(),
                    kind: $prefix,
                })
            }
        }
    };
}

whole_id!(EventId, "evt");
whole_id!(CaseId, "case");
part_id!(EffectId, "eff");
part_id!(TaskId, "task");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_refuse_other_kinds() {
        let case = CaseId([0xab; 16]);
        assert_eq!(case.to_string().parse(), Ok(case));
        let effect = EffectId { case, n: 3 };
        assert_eq!(effect.to_string().parse(), Ok(effect));
        assert!(effect.to_string().ends_with("-3"));
        assert!(case.to_string().parse::<EventId>().is_err());
        for bad in [
            "case_",
            "case_0",
            "eff_x-1",
            "case_zzzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert!(bad.parse::<CaseId>().is_err(), "{bad}");
        }
        assert!(CaseId([0; 16]) < CaseId([1; 16]));
        assert!(CaseId([0; 16]).to_string() < CaseId([1; 16]).to_string());
    }
}
