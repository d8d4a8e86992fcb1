//! The words dates are written with, in English, German, French and Spanish.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a single word means in a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// 1 to 12.
    Month(i8),
    /// 0 is Monday.
    Weekday(i8),
    /// A short form of a weekday; means one only in front of a full date.
    ShortWeekday(i8),
    /// Days from today.
    Shift(i32),
    /// The weekday that follows belongs to this week (0), the next (1), or the last one gone (-1).
    Which(i8),
}

use Meaning::{Month, Shift, ShortWeekday, Weekday, Which};

static MEANINGS: LazyLock<BTreeMap<&'static str, Meaning>> = LazyLock::new(|| {
    let mut map = BTreeMap::new();
    let mut add = |words: &'static str, meaning: Meaning| {
        for word in words.split(' ') {
            map.insert(word, meaning);
        }
    };
    for (i, words) in MONTHS.iter().enumerate() {
        add(words, Month(i as i8 + 1));
    }
    for (i, words) in WEEKDAYS.iter().enumerate() {
        add(words, Weekday(i as i8));
    }
    for (i, words) in SHORT_WEEKDAYS.iter().enumerate() {
        add(words, ShortWeekday(i as i8));
    }
    add("today heute hoy", Shift(0));
    add("tomorrow tmrw morgen demain mañana", Shift(1));
    add("yesterday gestern ayer", Shift(-1));
    add("übermorgen uebermorgen overmorrow", Shift(2));
    add("vorgestern anteayer", Shift(-2));
    add(
        "next nächsten nächster nächste nächstem naechsten próximo proximo",
        Which(1),
    );
    add(
        "this diesen dieser diesem este ce coming kommenden kommender",
        Which(0),
    );
    add(
        "last past letzten letzter vergangenen vergangener pasado",
        Which(-1),
    );
    map
});

const MONTHS: [&str; 12] = [
    "january jan januar jänner janvier janv enero ene",
    "february feb februar feber février fevrier févr fevr febrero",
    "march mar märz maerz mär mrz mars marzo",
    "april apr avril avr abril abr",
    "may mai mayo",
    "june jun juni juin junio",
    "july jul juli juillet juil julio",
    "august aug août aout agosto",
    "september sept sep septembre septiembre setiembre",
    "october oct oktober okt octobre octubre",
    "november nov novembre noviembre",
    "december dec dezember dez décembre decembre déc diciembre dic",
];

const WEEKDAYS: [&str; 7] = [
    "monday montag lundi lunes",
    "tuesday dienstag mardi martes",
    "wednesday mittwoch mercredi miércoles miercoles",
    "thursday donnerstag jeudi jueves",
    "friday freitag vendredi viernes",
    "saturday samstag sonnabend samedi sábado sabado",
    "sunday sonntag dimanche domingo",
];

const SHORT_WEEKDAYS: [&str; 7] = [
    "mon mo lun",
    "tue tues di",
    "wed mi mer",
    "thu thur thurs do jeu jue",
    "fri fr ven vie",
    "sat sa sam",
    "sun so dim dom",
];

/// The meaning of a word in lower case.
pub(crate) fn meaning(word: &str) -> Option<Meaning> {
    MEANINGS.get(word).copied()
}

/// Days, weeks, months or years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Day,
    Week,
    Month,
    Year,
}

/// The stretch of time a word in lower case names.
pub(crate) fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "day" | "days" | "tag" | "tage" | "tagen" | "jour" | "jours" | "día" | "días" | "dia"
        | "dias" => Unit::Day,
        "week" | "weeks" | "woche" | "wochen" | "semaine" | "semaines" | "semana" | "semanas" => {
            Unit::Week
        }
        "month" | "months" | "monat" | "monate" | "monaten" | "mois" | "mes" | "meses" => {
            Unit::Month
        }
        "year" | "years" | "jahr" | "jahre" | "jahren" | "an" | "ans" | "année" | "années"
        | "año" | "años" => Unit::Year,
        _ => return None,
    })
}

/// The number a word in lower case stands for.
pub(crate) fn number_word(word: &str) -> Option<i32> {
    Some(match word {
        "a" | "an" | "one" | "ein" | "eine" | "einem" | "einer" | "einen" | "un" | "une"
        | "una" | "uno" => 1,
        "two" | "zwei" | "deux" | "dos" => 2,
        "three" | "drei" | "trois" | "tres" => 3,
        "four" | "vier" | "quatre" | "cuatro" => 4,
        "five" | "fünf" | "fuenf" | "cinq" | "cinco" => 5,
        "six" | "sechs" | "seis" => 6,
        "seven" | "sieben" | "sept" | "siete" => 7,
        "eight" | "acht" | "huit" | "ocho" => 8,
        "nine" | "neun" | "neuf" | "nueve" => 9,
        "ten" | "zehn" | "dix" | "diez" => 10,
        "eleven" | "elf" | "onze" | "once" => 11,
        "twelve" | "zwölf" | "douze" | "doce" => 12,
        "fourteen" | "vierzehn" | "quatorze" | "catorce" => 14,
        "fifteen" | "fünfzehn" | "quinze" | "quince" => 15,
        "twenty" | "zwanzig" | "vingt" | "veinte" => 20,
        "thirty" | "dreißig" | "trente" | "treinta" => 30,
        "forty" | "vierzig" | "quarante" | "cuarenta" => 40,
        "fifty" | "fünfzig" | "cinquante" | "cincuenta" => 50,
        "hundred" | "hundert" | "cent" | "cien" => 100,
        _ => return None,
    })
}

/// The number an ordinal word in lower case stands for, as far as a month has weekdays.
pub(crate) fn ordinal_word(word: &str) -> Option<i8> {
    Some(match word {
        "first" => 1,
        "second" => 2,
        "third" => 3,
        "fourth" => 4,
        "fifth" => 5,
        _ => return None,
    })
}
