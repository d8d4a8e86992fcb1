//! The bytes of a body: written fact by fact, and searched without being decoded.

use minicbor::Encode;

use super::Fact;

/// Room for the body of a first turn, so that it seldom moves while it grows, bytes.
const USUAL: usize = 1024;

/// A body in the making, encoded fact by fact, so that nobody holds the facts twice.
#[derive(Debug, Default)]
pub struct BodyWriter {
    cbor: Vec<u8>,
    facts: u64,
}

impl BodyWriter {
    /// Adds a fact at the end.
    pub fn push(&mut self, fact: &Fact) {
        if self.facts == 0 {
            self.cbor.reserve(USUAL);
        }
        encode_to(&mut self.cbor, fact);
        self.facts += 1;
    }

    /// The bytes of the body, with these facts before all others.
    pub fn finish(self, first: &[Fact]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.cbor.len() + 64);
        // Codec; one field, the list of facts.
        out.extend([0, 0x81]);
        let facts = self.facts + first.len() as u64;
        encode_to(&mut out, &Length(facts));
        for fact in first {
            encode_to(&mut out, fact);
        }
        out.extend(self.cbor);
        out
    }
}

/// How a list of so many begins.
struct Length(u64);

impl<C> Encode<C> for Length {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(self.0)?.ok()
    }
}

/// Adds the CBOR of a value.
pub(super) fn encode_to<T: Encode<()>>(out: &mut Vec<u8>, value: &T) {
    if let Err(e) = minicbor::encode(value, Bytes(out)) {
        // Writing to a Vec cannot fail and the derived encoders return no error of their own.
        unreachable!("encoding to memory failed: {e}");
    }
}

/// Most of what an encoder writes is one byte, which needs no copy of a slice.
struct Bytes<'a>(&'a mut Vec<u8>);

impl minicbor::encode::Write for Bytes<'_> {
    type Error = std::convert::Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        match bytes {
            [one] => self.0.push(*one),
            more => self.0.extend_from_slice(more),
        }
        Ok(())
    }
}

/// The CBOR of an effect's arguments (`Fact::Args`) within the bytes of a body, found without decoding the rest.
/// `None` when the body does not hold them or cannot be read.
pub fn args_in(body: &[u8], effect: u32) -> Option<&[u8]> {
    /// Field number of `Fact::Args`.
    const ARGS: u64 = 2;
    let (&0, cbor) = body.split_first()? else {
        return None;
    };
    let mut skim = Skim { cbor, at: 0 };
    skim.list()?;
    for _ in 0..skim.list()? {
        let (2, kind) = (skim.list()?, skim.number()?) else {
            return None;
        };
        if kind != ARGS {
            skim.skip()?;
            continue;
        }
        skim.list()?;
        let n = skim.number()?;
        let from = skim.at;
        skim.skip()?;
        if n == u64::from(effect) {
            return cbor.get(from..skim.at);
        }
    }
    None
}

/// Goes over CBOR without decoding it, as our encoders write it: every length stands before what it counts.
struct Skim<'a> {
    cbor: &'a [u8],
    at: usize,
}

impl Skim<'_> {
    /// Major type and argument of what begins here.
    fn begin(&mut self) -> Option<(u8, u64)> {
        let first = *self.cbor.get(self.at)?;
        self.at += 1;
        let width = match first & 31 {
            small @ 0..=23 => return Some((first >> 5, u64::from(small))),
            wide @ 24..=27 => 1 << (wide - 24),
            _ => return None,
        };
        let bytes = self.cbor.get(self.at..self.at + width)?;
        self.at += width;
        let argument = bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        Some((first >> 5, argument))
    }

    fn number(&mut self) -> Option<u64> {
        self.begin().filter(|b| b.0 == 0).map(|b| b.1)
    }

    fn list(&mut self) -> Option<u64> {
        self.begin().filter(|b| b.0 == 4).map(|b| b.1)
    }

    /// Passes one value with everything in it.
    fn skip(&mut self) -> Option<()> {
        let mut left: u64 = 1;
        while left > 0 {
            left -= 1;
            match self.begin()? {
                (2 | 3, length) => {
                    let end = self.at.checked_add(usize::try_from(length).ok()?)?;
                    self.at = Some(end).filter(|end| *end <= self.cbor.len())?;
                }
                (4, items) => left = left.checked_add(items)?,
                (5, pairs) => left = left.checked_add(pairs.checked_mul(2)?)?,
                (6, _) => left = left.checked_add(1)?,
                _ => {}
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Body;
    use crate::value::{Field, Label, Source, Value};

    fn facts() -> Vec<Fact> {
        let long = "ä".repeat(40_000);
        let parts = [
            ("a", Value::text(&long)),
            ("b", Value::Dec("-2.50".parse().unwrap())),
            (
                "c",
                Value::List(vec![Value::Null, Value::Float(0.5), Value::Time(-1)]),
            ),
        ];
        let parts = parts.map(|(name, value)| (name.to_owned(), value));
        let field = |value| Field {
            value,
            label: Label::Untrusted,
            source: Source::Event(300),
        };
        let mut facts = vec![
            Fact::Seed([7; 16]),
            Fact::Set("budget".into(), field(Value::Int(70_000))),
            Fact::Args(1, Value::Record(parts.into())),
        ];
        facts.extend((2..40).map(|n| Fact::Args(n, Value::Int(i64::from(n) << 30))));
        facts.push(Fact::Note("words".into()));
        facts
    }

    #[test]
    fn a_body_written_fact_by_fact_is_the_body() {
        let facts = facts();
        for (first, count) in [(0, 0), (0, 1), (2, 5), (1, facts.len())] {
            let all = Body {
                facts: facts[..count].to_vec(),
            };
            let mut writer = BodyWriter::default();
            let rest = &facts[first.min(count)..count];
            rest.iter().for_each(|fact| writer.push(fact));
            let written = writer.finish(&facts[..first.min(count)]);
            assert_eq!(
                written[1..],
                minicbor::to_vec(&all).unwrap(),
                "{count} facts"
            );
        }
    }

    #[test]
    fn arguments_are_found_in_a_body() {
        let facts = facts();
        let mut writer = BodyWriter::default();
        facts.iter().for_each(|fact| writer.push(fact));
        let body = writer.finish(&[]);
        for fact in &facts {
            if let Fact::Args(n, args) = fact {
                let want = minicbor::to_vec(args).unwrap();
                assert_eq!(args_in(&body, *n), Some(&want[..]), "effect {n}");
            }
        }
        assert_eq!(args_in(&body, 99), None);
        for end in 0..body.len().min(2_000) {
            // Whatever is cut off: nothing is found, or what is found is whole.
            let _ = args_in(&body[..end], 1);
            assert_eq!(args_in(&body[..end], 39), None, "cut at {end}");
        }
    }
}
