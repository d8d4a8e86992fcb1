//! Numbers with the thing they count: "40 trucks", "12,5 kg", "three pallets".

use rust_decimal::Decimal;

use crate::lists::has_word;

use super::date_words::number_word;
use super::lex::{Gap, Kind, Tokens};
use super::number::{Mark, Reading, factor, mark_of, read_number, scaled};
use super::{Context, Found, Span, dates, money, phones};

/// How many of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// Exact amount.
    pub amount: Decimal,
    /// The unit or thing in lower case, as it is written in the text.
    pub unit: String,
}

/// Units of measure, and things that are nearly always counted rather than named by a number.
const UNITS: &str = "kg g mg t lb lbs oz km m cm mm mi ft sqm qm m2 m3 l ml kw kwh mw mwh gb mb tb hours hour hrs hr \
    h min minutes minute seconds days day weeks week months month years year stunden stunde minuten \
    tage tagen tag wochen woche monate monaten monat jahre jahren jahr heures jours semaines mois \
    ans horas días semanas meses años people persons personen personnes personas users nutzer \
    benutzer utilisateurs usuarios employees mitarbeiter mitarbeitende employés empleados seats \
    licenses licences lizenzen licencias units stück stueck pcs pieces pièces piezas trucks lkw \
    camions camiones vehicles fahrzeuge véhicules vehículos pallets paletten palettes palés \
    containers container conteneurs contenedores boxes kartons cartons cajas liter litres liters \
    litros tonnes tons tonnen toneladas kilos meter metres meters mètres metros kilometer \
    kilometers square percent prozent";

/// Words after a number that it does not count.
const NOT_COUNTED: &str = "a am pm and or of at on in to the is are was for from by with per x o th st nd rd uhr und oder \
    von bis im der die das ist sind mit für auf et ou de du des à le la les est pour y el los las \
    del en es con para if as but it we you i not more less than street road avenue strasse straße \
    rue calle ext clock has have will would please thanks bitte danke merci gracias when because \
    since until after before again today tomorrow still k mio mrd tsd";

/// Words between a number and the thing it counts.
const DESCRIBING: &str = "new more additional extra used full other different neue neuen weitere weiteren zusätzliche \
    zusätzlichen gebrauchte nouveaux nouvelles nuevos nuevas refrigerated electric active named \
    concurrent working business electrical small large big";

/// Words before a number that make it a name: "order 4711", "room 12".
const NAMING: &str = "order invoice room page version v nr no number ticket case ref reference id rechnung bestellung \
    auftrag zimmer seite nummer commande facture chambre pedido factura número código section \
    chapter step line gate level figure row floor suite unit apt box kapitel schritt zeile route \
    flight iso windows";

/// Every number with a unit or a counted thing in a text. Dates, amounts of money and telephone numbers are no
/// quantities. A unit of measure gives a high confidence, any other word after the number a lower one.
pub fn quantities(text: &str, context: &Context) -> Vec<Found<Quantity>> {
    let tokens = Tokens::new(text);
    let mut taken: Vec<Span> = Vec::new();
    taken.extend(dates(text, context).iter().map(|f| f.span));
    taken.extend(money(text, context).iter().map(|f| f.span));
    taken.extend(phones(text, context).iter().map(|f| f.span));
    taken.sort_by_key(|span| span.start);
    let mark = mark_of(&context.country_code());
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.list.len() {
        match quantity_at(&tokens, at, mark) {
            Some((found, next)) => {
                if !overlaps(&taken, found.span) {
                    out.push(found);
                }
                at = next;
            }
            None => at += 1,
        }
    }
    out
}

fn overlaps(taken: &[Span], span: Span) -> bool {
    let at = taken.partition_point(|t| t.end <= span.start);
    taken.get(at).is_some_and(|t| t.start < span.end)
}

fn quantity_at(tokens: &Tokens<'_>, at: usize, mark: Mark) -> Option<(Found<Quantity>, usize)> {
    let (amount, after, sure) = amount_at(tokens, at, mark)?;
    let token = tokens.get(after)?;
    if token.is_symbol("%") && token.gap <= Gap::Space {
        return Some(found(
            tokens,
            (at, after),
            amount,
            ("%".into(), 0.95 * sure),
        ));
    }
    let mut unit = after;
    // "3 x 40 ft" counts nothing by itself; "40 new trucks" counts trucks.
    if has_word(DESCRIBING, tokens.word(unit))
        && tokens.get(unit + 1).is_some_and(|t| t.gap <= Gap::Line)
    {
        let next_counts = is_counted(tokens, unit + 1);
        unit += usize::from(next_counts);
    }
    let near = tokens
        .get(unit)
        .is_some_and(|t| t.gap <= Gap::Space || unit > after);
    if !near || !is_counted(tokens, unit) {
        return None;
    }
    let word = tokens.word(unit);
    let prior = if has_word(UNITS, word) {
        0.93
    } else if tokens.touches(after) {
        // "4th", "3D", "A4b": glued to the number, and no unit.
        return None;
    } else if word.len() > 3 && word.ends_with('s') {
        0.75
    } else {
        0.5
    };
    Some(found(
        tokens,
        (at, unit),
        amount,
        (word.to_owned(), prior * sure),
    ))
}

fn is_counted(tokens: &Tokens<'_>, at: usize) -> bool {
    let word = tokens.word(at);
    let measured = has_word(UNITS, word);
    (measured || word.chars().count() >= 2) && !has_word(NOT_COUNTED, word)
}

/// An amount in digits or as a word, the token after it, and how sure its reading is.
fn amount_at(tokens: &Tokens<'_>, at: usize, mark: Mark) -> Option<(Decimal, usize, f64)> {
    let token = tokens.get(at)?;
    if token.kind == Kind::Word {
        let value = number_word(tokens.word(at)).filter(|n| *n > 1)?;
        let beside = tokens.get(at + 1).is_some_and(|t| t.gap == Gap::Space);
        return beside.then(|| (Decimal::from(value), at + 1, 0.85));
    }
    tokens.digits(at)?;
    let joined = at > 0
        && tokens.touches(at)
        && (tokens.get(at - 1).is_some_and(|t| t.kind != Kind::Symbol)
            || tokens.is_symbol(at - 1, ".,'/:_#@-–"));
    let before = if tokens.is_symbol(at.wrapping_sub(1), ".:#") {
        tokens.word_before(at - 1)
    } else {
        tokens.word_before(at)
    };
    if joined || has_word(NAMING, before) {
        return None;
    }
    let number = read_number(tokens, at, mark)?;
    let (power, next) = factor(tokens, number.next).unwrap_or((0, number.next));
    // "5m" is a length here, "20 mil" and "2 Mio." are factors.
    let metres = power == 6 && tokens.word(number.next) == "m";
    let (power, next) = if metres {
        (0, number.next)
    } else {
        (power, next)
    };
    let value = scaled(number.value, power as i32)?;
    match number.reading {
        Reading::Clear => Some((value, next, 1.0)),
        Reading::Thousands => Some((value, next, 0.9)),
        // Unlike money, a measure may well have three decimals: the country's habit decides.
        Reading::ThousandsAgainstHabit => Some((value / Decimal::from(1000), next, 0.85)),
    }
}

fn found(
    tokens: &Tokens<'_>,
    place: (usize, usize),
    amount: Decimal,
    unit: (String, f64),
) -> (Found<Quantity>, usize) {
    let (first, last) = place;
    let found = Found {
        value: Quantity {
            amount,
            unit: unit.0,
        },
        span: Span {
            start: tokens.list[first].start,
            end: tokens.list[last].end,
        },
        confidence: unit.1,
    };
    (found, last + 1)
}
