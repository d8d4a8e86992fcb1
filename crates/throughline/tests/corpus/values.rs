//! Synthetic personal values from a seed, and the one pass that looks for all of them at once.

use std::collections::HashMap;

/// xorshift64*: a seed gives the same values everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn digits(&mut self, n: usize) -> String {
        (0..n)
            .map(|_| char::from(b'0' + self.below(10) as u8))
            .collect()
    }

    /// A word that stands in no text of ours.
    fn word(&mut self, syllables: usize) -> String {
        const FIRST: [&str; 16] = [
            "zy", "qua", "vre", "xio", "kje", "wru", "płu", "ßa", "ño", "øy", "tzi", "ghe", "vlö",
            "çe", "dhá", "yü",
        ];
        const LAST: [&str; 8] = ["rq", "nz", "lk", "vt", "xs", "mb", "gd", "hf"];
        (0..syllables)
            .map(|_| format!("{}{}", self.pick(&FIRST), self.pick(&LAST)))
            .collect()
    }

    fn name(&mut self) -> String {
        let mut capital = |n| {
            let word = self.word(n);
            let mut chars = word.chars();
            let first: String = chars
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .collect();
            format!("{first}{}", chars.as_str())
        };
        format!("{} {}", capital(2), capital(3))
    }

    fn email(&mut self) -> String {
        const LETTERS: &[u8] = b"qxzjvkwybp";
        let mut part = |n: usize| -> String {
            (0..n)
                .map(|_| char::from(LETTERS[self.below(LETTERS.len())]))
                .collect()
        };
        let (a, b, host) = (part(5), part(6), part(9));
        let form = self.below(4);
        let end = self.pick(&["example.com", "example.org", "example.net", "co.example"]);
        match form {
            0 => format!("{a}.{b}@{host}.{end}"),
            1 => format!("{a}{b}@{host}.{end}"),
            2 => format!("{a}+{b}@{host}.{end}"),
            _ => format!("{}_{b}{}@{host}.{end}", a.to_uppercase(), self.digits(3)),
        }
    }

    /// A number to call as people write it: ten ways in each of three countries.
    fn phone(&mut self, form: usize) -> String {
        let (code, trunk, area, rest) = match form % 3 {
            0 => ("49", "0", format!("15{}", self.digits(1)), self.digits(8)),
            1 => ("44", "0", format!("77{}", self.digits(2)), self.digits(6)),
            _ => ("33", "0", format!("6{}", self.digits(1)), self.digits(7)),
        };
        let (head, tail) = rest.split_at(rest.len() / 2);
        match form / 3 % 10 {
            0 => format!("+{code}{area}{rest}"),
            1 => format!("+{code} {area} {rest}"),
            2 => format!("+{code} ({trunk}){area} {head} {tail}"),
            3 => format!("00{code} {area} {rest}"),
            4 => format!("+{code}-{area}-{head}-{tail}"),
            5 => format!("+{code}.{area}.{rest}"),
            6 => format!("{trunk}{area}/{rest}"),
            7 => format!("({trunk}{area}) {head}-{tail}"),
            8 => format!("tel:+{code}-{area}-{rest}"),
            _ => format!("+{code} {area}\u{a0}{head}\u{a0}{tail}"),
        }
    }

    /// An account number whose check digits are right.
    fn iban(&mut self, spaced: bool) -> String {
        let (country, length) = self.pick(&[("DE", 18), ("FR", 23), ("ES", 20), ("AT", 16)]);
        let account = self.digits(length);
        let moved = format!("{account}{country}00");
        let rest = moved.bytes().fold(0u64, |rest, b| match b {
            b'A'..=b'Z' => (rest * 100 + u64::from(b - b'A' + 10)) % 97,
            _ => (rest * 10 + u64::from(b - b'0')) % 97,
        });
        grouped(&format!("{country}{:02}{account}", 98 - rest), spaced)
    }

    /// A card number whose check digit is right.
    fn card(&mut self, spaced: bool) -> String {
        let (prefix, length) = self.pick(&[("4", 16), ("52", 16), ("34", 15), ("6011", 16)]);
        let body = format!("{prefix}{}", self.digits(length - prefix.len() - 1));
        let sum: u32 = body
            .bytes()
            .rev()
            .enumerate()
            .map(|(i, b)| match u32::from(b - b'0') * (2 - i as u32 % 2) {
                double @ 10.. => double - 9,
                single => single,
            })
            .sum();
        grouped(&format!("{body}{}", (10 - sum % 10) % 10), spaced)
    }

    fn address(&mut self) -> String {
        let street = self.word(2);
        let (number, code, town) = (1 + self.below(199), self.digits(5), self.word(3));
        match self.below(3) {
            0 => format!("{street}straße {number}, {code} {town}"),
            1 => format!("{number} {street} Road\n{town}\n{code}"),
            _ => format!("{number}, rue {street}, {code} {town}"),
        }
    }
}

fn grouped(text: &str, spaced: bool) -> String {
    if !spaced {
        return text.to_owned();
    }
    let parts: Vec<&[u8]> = text.as_bytes().chunks(4).collect();
    let parts: Vec<_> = parts.iter().map(|p| String::from_utf8_lossy(p)).collect();
    parts.join(" ")
}

/// The values of one person.
pub struct Person {
    pub name: String,
    pub email: String,
    pub phone: String,
    pub iban: String,
    pub card: String,
    pub address: String,
}

impl Person {
    pub fn draw(dice: &mut Dice, nth: usize) -> Person {
        Person {
            name: dice.name(),
            email: dice.email(),
            phone: dice.phone(nth),
            iban: dice.iban(nth.is_multiple_of(2)),
            card: dice.card(nth.is_multiple_of(3)),
            address: dice.address(),
        }
    }

    pub fn values(&self) -> [(&'static str, &str); 6] {
        [
            ("name", &self.name),
            ("email", &self.email),
            ("phone", &self.phone),
            ("iban", &self.iban),
            ("card", &self.card),
            ("address", &self.address),
        ]
    }
}

/// Bytes of a needle that it is found by.
const HOOK: usize = 8;

/// All values, in each form that they could appear in, found in one pass over a text: the first bytes of each stand in
/// a table, and only where the table knows the place is the rest compared.
#[derive(Default)]
pub struct Finder {
    needles: Vec<(&'static str, Vec<u8>)>,
    hooks: HashMap<[u8; HOOK], Vec<usize>>,
    pub values: usize,
}

impl Finder {
    pub fn plant(&mut self, person: &Person) {
        for (kind, value) in person.values() {
            self.values += 1;
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            let escaped = serde_json::Value::from(value).to_string();
            let mut forms = vec![
                value.to_owned(),
                escaped.trim_matches('"').to_owned(),
                value.replace('@', "%40"),
                format!("{value:?}").trim_matches('"').to_owned(),
                hex::encode(value),
            ];
            if matches!(kind, "phone" | "iban" | "card") {
                // The national digits are what every written form has in common.
                let common = digits.trim_start_matches('0');
                let common = ["49", "44", "33"]
                    .iter()
                    .find_map(|code| common.strip_prefix(code).filter(|_| kind == "phone"))
                    .unwrap_or(common);
                forms.push(common.trim_start_matches('0').to_owned());
            }
            if kind == "name" || kind == "address" {
                // The words that make it what it is.
                let words = value
                    .split([' ', ',', '\n'])
                    .filter(|w| w.chars().count() > 9);
                forms.extend(words.map(str::to_owned));
            }
            for form in forms {
                self.add(kind, &form);
            }
        }
    }

    fn add(&mut self, kind: &'static str, form: &str) {
        let bytes = form.to_ascii_lowercase().into_bytes();
        let Some(hook) = bytes.first_chunk::<HOOK>() else {
            return;
        };
        self.hooks
            .entry(*hook)
            .or_default()
            .push(self.needles.len());
        self.needles.push((kind, bytes));
    }

    /// The kinds and values that stand in some bytes, the first few.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let text = bytes.to_ascii_lowercase();
        let mut out = Vec::new();
        for (at, window) in text.windows(HOOK).enumerate() {
            let Some(known) = <&[u8; HOOK]>::try_from(window)
                .ok()
                .and_then(|w| self.hooks.get(w))
            else {
                continue;
            };
            for (kind, needle) in known.iter().map(|n| &self.needles[*n]) {
                if text[at..].starts_with(needle) {
                    let around = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
                    out.push(format!("{kind}: …{}…", String::from_utf8_lossy(around)));
                }
            }
            if out.len() > 20 {
                break;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A finder that finds nothing proves nothing.
    #[test]
    fn every_value_is_found_in_each_of_its_forms() {
        let mut dice = Dice(5);
        for nth in 0..60 {
            let person = Person::draw(&mut dice, nth);
            let mut finder = Finder::default();
            finder.plant(&person);
            for (kind, value) in person.values() {
                let forms = [
                    value.to_owned(),
                    value.to_uppercase(),
                    format!("{value:?}"),
                    serde_json::json!({ "x": value }).to_string(),
                    hex::encode(value),
                ];
                for form in &forms {
                    let upper = !value.is_ascii() && *form == forms[1];
                    let text = format!("a line with {form} in it");
                    let found = finder.found_in(text.as_bytes());
                    assert!(
                        upper || found.iter().any(|f| f.starts_with(kind)),
                        "{kind} {form}"
                    );
                }
            }
            assert!(
                finder
                    .found_in(b"nothing of a person, 1795000000000000")
                    .is_empty()
            );
        }
    }

    #[test]
    fn check_digits_are_right() {
        let mut dice = Dice(9);
        for _ in 0..200 {
            let iban = dice.iban(true).replace(' ', "");
            let moved = format!("{}{}", &iban[4..], &iban[..4]);
            let rest = moved.bytes().fold(0u64, |r, b| match b {
                b'A'..=b'Z' => (r * 100 + u64::from(b - b'A' + 10)) % 97,
                _ => (r * 10 + u64::from(b - b'0')) % 97,
            });
            assert_eq!(rest, 1, "{iban}");
            let card = dice.card(false);
            let sum: u32 = card
                .bytes()
                .rev()
                .enumerate()
                .map(|(i, b)| match u32::from(b - b'0') * (1 + i as u32 % 2) {
                    double @ 10.. => double - 9,
                    single => single,
                })
                .sum();
            assert_eq!(sum % 10, 0, "{card}");
        }
    }
}
