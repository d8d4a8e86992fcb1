//! The bytes of a head, read by the published rules (RFC 8949, and the field numbers of a turn), and what they say
//! spelled out: so that nobody reads in an export what the signed bytes do not hold.

use serde_json::{Map, Value, json};

/// How deep items may be nested: a head needs seven.
const DEEPEST: usize = 16;
/// Fields of a head.
const FIELDS: usize = 12;

/// Every kind of entry by its number: its word, and the names of its fields in the order of their numbers. After a
/// colon stands how a field is written where that is not as it is; `-` is left out of the export.
const ENTRIES: &[(&str, &str)] = &[
    ("opened", ""),
    (
        "event",
        "n id:event endpoint key_source matched_key correlation",
    ),
    ("fields_set", "count"),
    ("rule", "rule line"),
    ("table_row", "table line"),
    ("table_miss", "table"),
    ("moved", "from to reason owner due:time"),
    ("assigned", "owner reason"),
    ("asked", "effect model"),
    ("answered", "said"),
    ("ask_failed", "effect reason said"),
    ("decided", "decided"),
    ("planned", "planned"),
    ("approved", "effect digest:hex"),
    ("settled", "effect state:state attempts code evidence"),
    ("task_opened", "task kind owner reason due:time effect"),
    ("task_closed", "task decision reason"),
    ("timer_set", "timer kind:timer due:time"),
    ("timer_ended", "timer fired"),
    ("sla", "state met due:time"),
    ("refused", "action code"),
    ("control", "action object detail"),
    ("conflict", "effect round kept"),
    ("goal", "met due:time"),
    ("left_out", "part why"),
    ("not_evaluated", "part line why"),
];
/// Fields that hold an array of further fields: those, in order.
const NESTED: &[(&str, &str)] = &[
    (
        "said",
        "effect model prompt:hex input:hex output:hex confidence_thousandths tokens took_us repairs",
    ),
    (
        "decided",
        "branch line confidence_thousandths threshold_thousandths policy_allows needs_human - error",
    ),
    (
        "planned",
        "effect - action class:class verdict:verdict policy_line digest:hex state:state replaces unvouched:flag",
    ),
];
/// Words that stand as numbers in a head.
const WORDS: &[(&str, &str)] = &[
    ("class", "E0 E1 E2 E3 E4 E5"),
    ("verdict", "never approve auto"),
    (
        "state",
        "planned ready dispatching awaiting_callback uncertain succeeded failed superseded cancelled expired dead",
    ),
];
/// Kinds of who, and how their parts are called.
const ACTORS: &[(&str, &str)] = &[
    ("engine", ""),
    ("endpoint", "id key"),
    ("api_key", "id"),
    ("user", "id"),
    ("model", "id"),
    ("operator_cli", "id"),
];
const TIMERS: [&str; 5] = ["warn", "breach", "escalate", "goal", "unanswered"];

/// An item of CBOR, as far as heads hold them.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Number(i64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Item>),
    Truth(bool),
    Nothing,
}

impl Item {
    /// The bytes of a head, whole.
    pub fn head(bytes: &[u8]) -> Option<Vec<Item>> {
        let mut rest = bytes;
        match Item::read(&mut rest, DEEPEST)? {
            Item::List(fields) if rest.is_empty() && fields.len() >= FIELDS => Some(fields),
            _ => None,
        }
    }

    fn read(rest: &mut &[u8], depth: usize) -> Option<Item> {
        let (first, after) = rest.split_first()?;
        *rest = after;
        let (major, low) = (first >> 5, first & 31);
        if major == 7 {
            return match low {
                20 | 21 => Some(Item::Truth(low == 21)),
                22 => Some(Item::Nothing),
                _ => None,
            };
        }
        let argument = match low {
            0..=23 => u64::from(low),
            24..=27 => take(rest, 1 << (low - 24))?
                .iter()
                .fold(0, |n, b| n << 8 | u64::from(*b)),
            _ => return None,
        };
        let length = usize::try_from(argument).ok()?;
        Some(match major {
            0 => Item::Number(i64::try_from(argument).ok()?),
            1 => Item::Number(-1 - i64::try_from(argument).ok()?),
            2 => Item::Bytes(take(rest, length)?.to_vec()),
            3 => Item::Text(String::from_utf8(take(rest, length)?.to_vec()).ok()?),
            4 => {
                let depth = depth.checked_sub(1)?;
                let items: Option<_> = (0..length).map(|_| Item::read(rest, depth)).collect();
                Item::List(items?)
            }
            _ => return None,
        })
    }

    pub fn number(&self) -> Option<i64> {
        match self {
            Item::Number(n) => Some(*n),
            _ => None,
        }
    }

    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Item::Bytes(b) => Some(b),
            _ => None,
        }
    }

    fn list(&self) -> Option<&[Item]> {
        match self {
            Item::List(l) => Some(l),
            _ => None,
        }
    }

    /// As it is.
    fn json(&self) -> Value {
        match self {
            Item::Number(n) => json!(n),
            Item::Bytes(b) => json!(hex::encode(b)),
            Item::Text(t) => json!(t),
            Item::List(l) => l.iter().map(Item::json).collect(),
            Item::Truth(t) => json!(t),
            Item::Nothing => Value::Null,
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

/// What a head says, under the names of the export; the error says what this release cannot read.
pub fn of(head: &[Item]) -> Result<Map<String, Value>, String> {
    let unreadable = || "the head cannot be read".to_owned();
    let case = head[2].bytes().ok_or_else(unreadable)?;
    let case = match case.iter().any(|b| *b != 0) {
        true => json!(id("case", case)),
        false => Value::Null,
    };
    let entries = head[10].list().ok_or_else(unreadable)?;
    let entries: Result<Vec<Value>, String> = entries.iter().map(entry).collect();
    let mut out = Map::new();
    for (name, value) in [
        ("at", written(&head[5], "time").ok_or_else(unreadable)?),
        ("case", case),
        ("turn", head[3].json()),
        ("actor", actor(&head[6]).ok_or_else(unreadable)?),
        ("correlation", head[7].json()),
        ("definition", head[8].json()),
        ("policy", head[9].json()),
        ("entries", Value::Array(entries?)),
    ] {
        out.insert(name.into(), value);
    }
    Ok(out)
}

/// The names in which a line says something else than its head, or nothing of what the head says.
pub fn differs(head: &[Item], line: &Value) -> Result<Vec<String>, String> {
    let says = of(head)?;
    let line = line.as_object().ok_or("the line is no object")?;
    let known = ["kind", "leaf", "head"];
    let added = line
        .keys()
        .filter(|k| !known.contains(&k.as_str()) && !says.contains_key(*k));
    let other = says
        .iter()
        .filter(|(k, v)| line.get(*k) != Some(v))
        .map(|(k, _)| k);
    Ok(other.chain(added).cloned().collect())
}

/// A number and a list: how CBOR writes one of several kinds.
fn kind(item: &Item) -> Option<(usize, &[Item])> {
    match item.list()? {
        [number, fields] => Some((usize::try_from(number.number()?).ok()?, fields.list()?)),
        _ => None,
    }
}

fn actor(item: &Item) -> Option<Value> {
    let (number, parts) = kind(item)?;
    let (word, names) = ACTORS.get(number)?;
    let mut out = Map::from_iter([("kind".to_owned(), json!(word))]);
    for (name, part) in names.split_whitespace().zip(parts) {
        out.insert(name.into(), part.json());
    }
    Some(out.into())
}

fn entry(item: &Item) -> Result<Value, String> {
    let (number, fields) = kind(item).ok_or("an entry of the head cannot be read")?;
    let (word, names) = ENTRIES.get(number).ok_or_else(|| {
        format!("it holds an entry of kind {number}, which this release does not know: verify it with a newer one")
    })?;
    let mut out = Map::from_iter([("what".to_owned(), json!(word))]);
    spell(names, fields, &mut out)
        .ok_or_else(|| format!("its entry `{word}` has a field that cannot be read"))?;
    Ok(out.into())
}

/// Fields under their names; a field that is not there is null, but one that holds fields adds none.
fn spell(names: &str, fields: &[Item], out: &mut Map<String, Value>) -> Option<()> {
    for (i, name) in names.split_whitespace().enumerate() {
        let field = fields.get(i).unwrap_or(&Item::Nothing);
        let (name, how) = name.split_once(':').unwrap_or((name, ""));
        if let Some((_, inner)) = NESTED.iter().find(|(n, _)| *n == name) {
            if *field != Item::Nothing {
                spell(inner, field.list()?, out)?;
            }
        } else if name != "-" {
            out.insert(name.into(), written(field, how)?);
        }
    }
    Some(())
}

/// A field as the export writes it.
fn written(field: &Item, how: &str) -> Option<Value> {
    if *field == Item::Nothing || how.is_empty() {
        // A flag is younger than the entry that it stands in.
        let unset = *field == Item::Nothing && how == "flag";
        return Some(if unset { json!(false) } else { field.json() });
    }
    Some(match how {
        "flag" => field.json(),
        "time" => json!(time(field.number()?)),
        "hex" => json!(hex::encode(field.bytes()?)),
        "event" => json!(id("evt", field.bytes()?)),
        "timer" => {
            let (number, step) = kind(field)?;
            let word = TIMERS.get(number)?;
            match step.first().and_then(Item::number) {
                Some(step) => json!(format!("{word}({step})")),
                None => json!(word),
            }
        }
        _ => {
            let (_, words) = WORDS.iter().find(|(w, _)| *w == how)?;
            let position = usize::try_from(field.number()?).ok()?;
            json!(words.split_whitespace().nth(position)?)
        }
    })
}

/// 16 bytes as 26 digits of Crockford's base 32.
fn id(prefix: &str, bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let number = bytes.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
    let digits = (0..26)
        .rev()
        .map(|i| char::from(DIGITS[(number >> (5 * i) & 31) as usize]));
    format!("{prefix}_{}", digits.collect::<String>())
}

/// µs since 1970 as RFC 3339 in UTC; the number itself before the year 0 and in the last hours of the year 9999.
fn time(us: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    const LAST: i64 = 253_402_207_200_000_000;
    let (days, us) = (us.div_euclid(DAY), us.rem_euclid(DAY));
    // Days are counted from 1 March of the year 0, in eras of 400 years: then the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (era * 400 + year, month + 3),
        _ => (era * 400 + year + 1, month - 9),
    };
    if year < 0 || days * DAY + us > LAST {
        return (days * DAY + us).to_string();
    }
    let (seconds, us) = (us / 1_000_000, us % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{date:02}T{hours:02}:{minutes:02}:{seconds:02}.{us:06}Z")
}

#[cfg(test)]
mod tests;
