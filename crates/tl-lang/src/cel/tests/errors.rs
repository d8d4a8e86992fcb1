//! What is said about expressions that are wrong. One line per case.

use super::*;
use crate::cel::{ErrorKind as K, ExprError, compile_template};

/// The expression, the text the error underlines, its kind, and the text after the mend (empty: no mend).
type Case = (&'static str, &'static str, K, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Syntax.
    ("", "", K::Syntax, ""),
    ("   ", "   ", K::Syntax, ""),
    ("record.vip &&", "&&", K::Syntax, ""),
    ("&& record.vip", "&&", K::Syntax, ""),
    ("record.vip record.vip", "record", K::Syntax, ""),
    ("record.count +", "+", K::Syntax, ""),
    ("1 2", "2", K::Syntax, ""),
    ("record.", ".", K::Syntax, ""),
    ("(record.vip", "(record.vip", K::Syntax, "(record.vip)"),
    ("record.vip)", ")", K::Syntax, "record.vip"),
    ("record.country in ['DE'", "['DE'", K::Syntax, "record.country in ['DE']"),
    ("record.country in ['DE')", ")", K::Syntax, "record.country in ['DE']"),
    ("record.name == 'Ada", "'Ada", K::Syntax, "record.name == 'Ada'"),
    ("record.name == \"Ada", "\"Ada", K::Syntax, "record.name == \"Ada\""),
    ("record.name == “Ada”", "“Ada”", K::Syntax, "record.name == 'Ada'"),
    ("record.name == ‘it’", "‘it’", K::Syntax, "record.name == 'it'"),
    ("record.count = 3", "=", K::Syntax, "record.count == 3"),
    ("record.count === 3", "===", K::Syntax, "record.count == 3"),
    ("record.count !== 3", "!==", K::Syntax, "record.count != 3"),
    ("record.count => 3", "=>", K::Syntax, "record.count >= 3"),
    ("record.count =< 3", "=<", K::Syntax, "record.count <= 3"),
    ("record.count <> 3", "<>", K::Syntax, "record.count != 3"),
    ("record.count ≥ 3", "≥", K::Syntax, "record.count >= 3"),
    ("record.count ≤ 3", "≤", K::Syntax, "record.count <= 3"),
    ("record.count ≠ 3", "≠", K::Syntax, "record.count != 3"),
    ("record.vip & needs_human", "&", K::Syntax, "record.vip && needs_human"),
    ("record.vip | needs_human", "|", K::Syntax, "record.vip || needs_human"),
    ("record.vip and needs_human", "and", K::Syntax, "record.vip && needs_human"),
    ("record.vip OR needs_human", "OR", K::Syntax, "record.vip || needs_human"),
    ("not record.vip", "not ", K::Syntax, "!record.vip"),
    ("record.vip; needs_human", ";", K::Syntax, ""),
    ("record.vip # why", "#", K::Syntax, ""),
    ("record.vip\u{a0}&& needs_human", "\u{a0}", K::Syntax, "record.vip && needs_human"),
    ("${record.vip}", "${record.vip}", K::Syntax, "record.vip"),
    ("record.vip && ${needs_human}", "${", K::Syntax, ""),
    ("record.vip ? 1", "1", K::Syntax, ""),
    ("record.vip && ()", ")", K::Syntax, ""),
    ("record.count in [1,,2]", ",", K::Syntax, ""),
    (r"record.name == 'a\q'", r"'a\q'", K::Syntax, ""),
    ("if (record.vip)", "if", K::Syntax, ""),
    ("record.name == 'a' 'b'", "'b'", K::Syntax, ""),
    // Parts of CEL that do not exist here.
    ("record.count == 1u", "1u", K::Unsupported, "record.count == 1"),
    ("record.name == b'a'", "b'a'", K::Unsupported, "record.name == 'a'"),
    ("Thing{a: 1} == null", "{", K::Unsupported, ""),
    ("{1: 'a'} == {}", "1", K::Unsupported, ""),
    // Names.
    ("record.contry == 'DE'", "contry", K::Undeclared, "record.country == 'DE'"),
    ("recrd.country == 'DE'", "recrd", K::Undeclared, "record.country == 'DE'"),
    ("country == 'DE'", "country", K::Undeclared, "record.country == 'DE'"),
    ("contry == 'DE'", "contry", K::Undeclared, "record.country == 'DE'"),
    ("confidense >= threshold", "confidense", K::Undeclared, "confidence >= threshold"),
    ("record.intent == bug", "bug", K::Undeclared, "record.intent == 'bug'"),
    ("record.intent == bugg", "bugg", K::Undeclared, "record.intent == 'bug'"),
    ("record.intent in [bug, 'outage']", "bug", K::Undeclared, "record.intent in ['bug', 'outage']"),
    ("record.country == ZZTOP", "ZZTOP", K::Undeclared, "record.country == 'ZZTOP'"),
    ("record.vip == True", "True", K::Undeclared, "record.vip == true"),
    ("record.note == None", "None", K::Undeclared, "record.note == null"),
    ("record.address.cty == 'x'", "cty", K::Undeclared, "record.address.city == 'x'"),
    ("record['contry'] == 'DE'", "'contry'", K::Undeclared, "record['country'] == 'DE'"),
    ("has(record.contry)", "contry", K::Undeclared, "has(record.country)"),
    ("zzz", "zzz", K::Undeclared, ""),
    ("record.zzz == 1", "zzz", K::Undeclared, ""),
    ("record.tags.exists(tag, tg == 'x')", "tg", K::Undeclared, "record.tags.exists(tag, tag == 'x')"),
    // Types.
    ("record.name == 5", "5", K::Type, "record.name == '5'"),
    ("record.count == '5'", "'5'", K::Type, "record.count == 5"),
    ("record.amount >= '5.50'", "'5.50'", K::Type, "record.amount >= 5.50"),
    ("record.amount >= 'much'", "record.amount >= 'much'", K::Type, ""),
    ("record.vip == 'true'", "'true'", K::Type, "record.vip == true"),
    ("event.headers['x-n'] == 3", "3", K::Type, "event.headers['x-n'] == '3'"),
    ("event.headers.n > 3", "3", K::Type, "event.headers.n > '3'"),
    ("3 < event.headers['x-n']", "3", K::Type, "'3' < event.headers['x-n']"),
    ("event.headers[record.name] == 3", "3", K::Type, "event.headers[record.name] == '3'"),
    ("event.headers.n in ['1', 2]", "2", K::Type, "event.headers.n in ['1', '2']"),
    ("event.headers.n && record.vip", "event.headers.n", K::Type, "has(event.headers.n) && record.vip"),
    ("event.headers.n.m == 'a'", "m", K::Type, ""),
    ("flags.beta == 3", "flags.beta == 3", K::Type, ""),
    ("flags.beta == 1", "1", K::Type, "flags.beta == true"),
    ("flags['beta'] == 'true'", "'true'", K::Type, "flags['beta'] == true"),
    ("flags.beta.x", "x", K::Type, ""),
    ("record.vip == 1", "1", K::Type, "record.vip == true"),
    ("record.wait > '4h'", "'4h'", K::Type, "record.wait > duration('4h')"),
    ("record.due > '2026-11-22T16:40:00Z'", "'2026-11-22T16:40:00Z'", K::Type, "record.due > timestamp('2026-11-22T16:40:00Z')"),
    ("record.due > record.wait", "record.due > record.wait", K::Type, ""),
    ("record.tags == 'vip'", "record.tags == 'vip'", K::Type, "'vip' in record.tags"),
    ("record.name == record.count", "record.name == record.count", K::Type, ""),
    ("record.country in ['DE', 5]", "5", K::Type, "record.country in ['DE', '5']"),
    ("record.count in record.tags", "record.count in record.tags", K::Type, ""),
    ("'refund' in record.body", "'refund' in record.body", K::Type, "record.body.contains('refund')"),
    ("0.5 <= confidence <= 0.9", "0.5 <= confidence <= 0.9", K::Type, "0.5 <= confidence && confidence <= 0.9"),
    ("1 < record.count < record.count", "1 < record.count < record.count", K::Type, "1 < record.count && record.count < record.count"),
    ("record.vip in record.count", "record.count", K::Type, ""),
    ("record.urgency >= 'normal'", "record.urgency >= 'normal'", K::Type, "record.urgency in ['normal', 'high']"),
    ("record.urgency < 'high'", "record.urgency < 'high'", K::Type, "record.urgency in ['low', 'normal']"),
    ("record.color == record.urgency", "record.color == record.urgency", K::Type, ""),
    ("record.tags > 3", "record.tags", K::Type, ""),
    ("record.amount > null", "null", K::Type, ""),
    ("record.name && record.vip", "record.name", K::Type, "has(record.name) && record.vip"),
    ("!record.count", "record.count", K::Type, "!has(record.count)"),
    ("record.count + 1", "record.count + 1", K::Type, ""),
    ("record.count ? record.vip : false", "record.count", K::Type, "has(record.count) ? record.vip : false"),
    ("'no ' + record.count == 'no 3'", "record.count", K::Type, "'no ' + string(record.count) == 'no 3'"),
    ("record.name - 'a' == 'b'", "record.name - 'a'", K::Type, ""),
    ("confidence * record.amount > 1", "record.amount", K::Type, "confidence * double(record.amount) > 1"),
    ("-record.name == 'a'", "-record.name", K::Type, ""),
    ("record.tags.size > 3", "size", K::Type, "record.tags.size() > 3"),
    ("record.name.first == 'a'", "first", K::Type, ""),
    ("record.tags['a'] == 'b'", "'a'", K::Type, ""),
    ("record.tags[1.5] == 'b'", "record.tags[1.5]", K::Type, ""),
    ("has(1)", "1", K::Type, ""),
    ("has(record.count + 1)", "record.count + 1", K::Type, ""),
    ("record.count.exists(x, true)", "record.count", K::Type, ""),
    ("record.tags.exists(t, t)", "t", K::Type, "record.tags.exists(t, has(t))"),
    ("1 / 0 == 1", "0", K::Literal, ""),
    // Enum values.
    ("record.intent == 'bugg'", "'bugg'", K::EnumValue, "record.intent == 'bug'"),
    ("record.intent == 'Bug'", "'Bug'", K::EnumValue, "record.intent == 'bug'"),
    ("'outtage' != record.intent", "'outtage'", K::EnumValue, "'outage' != record.intent"),
    ("record.intent == 'unrelated'", "'unrelated'", K::EnumValue, ""),
    ("record.intent in ['bug', 'outge']", "'outge'", K::EnumValue, "record.intent in ['bug', 'outage']"),
    // Functions.
    ("record.name.contain('a')", "contain", K::Function, "record.name.contains('a')"),
    ("record.name.startswith('a')", "startswith", K::Function, "record.name.startsWith('a')"),
    ("record.name.toLowerCase() == 'a'", "toLowerCase", K::Function, "record.name.lower() == 'a'"),
    ("record.name.length() > 1", "length", K::Function, "record.name.size() > 1"),
    ("len(record.name) > 1", "len", K::Function, "size(record.name) > 1"),
    ("frobnicate(record.name)", "frobnicate", K::Function, ""),
    ("lower(record.name) == 'a'", "lower(record.name)", K::Function, "record.name.lower() == 'a'"),
    ("contains(record.name, 'a')", "contains(record.name, 'a')", K::Function, "record.name.contains('a')"),
    ("record.amount.int() == 1", "record.amount.int()", K::Function, "int(record.amount) == 1"),
    ("record.tags.any(t, t == 'x')", "any", K::Function, "record.tags.exists(t, t == 'x')"),
    ("record.tags.contains('x')", "record.tags.contains('x')", K::Type, "'x' in record.tags"),
    ("record.count.lower() == '3'", "record.count", K::Type, "string(record.count).lower() == '3'"),
    ("record.name.contains(3)", "3", K::Type, "record.name.contains(string(3))"),
    ("size(record.count) > 1", "record.count", K::Type, ""),
    ("record.name.contains()", "record.name.contains()", K::Arity, ""),
    ("record.name.contains('a', 'b')", "record.name.contains('a', 'b')", K::Arity, ""),
    ("size() > 1", "size()", K::Arity, ""),
    ("has()", "has()", K::Arity, ""),
    ("has(record.name, record.vip)", "has(record.name, record.vip)", K::Arity, ""),
    ("record.tags.exists(t)", "record.tags.exists(t)", K::Arity, ""),
    ("record.name.matches()", "record.name.matches()", K::Arity, ""),
    // Constants that do not read as what they are for.
    ("record.count == 99999999999999999999", "99999999999999999999", K::Literal, ""),
    ("record.amount == 0.12345678901234567890123456789012", "0.12345678901234567890123456789012", K::Literal, ""),
    ("record.wait > duration('90')", "'90'", K::Literal, ""),
    ("record.wait > duration('4 hours')", "'4 hours'", K::Literal, ""),
    ("record.due > timestamp('yesterday')", "'yesterday'", K::Literal, ""),
    ("{'a': 1, 'a': 2} == {}", "'a'", K::Literal, ""),
    // Patterns.
    ("record.name.matches('[a')", "'[a'", K::Pattern, ""),
    ("record.name.matches('(?=a)')", "'(?=a)'", K::Pattern, ""),
    (r"record.name.matches(r'\w{1000}')", r"r'\w{1000}'", K::Pattern, ""),
    ("record.name.matches(record.country)", "record.country", K::Pattern, ""),
    // Loops.
    ("record.tags.exists(t, record.counts.exists(c, c == 1))", "record.counts.exists(c, c == 1)", K::NestedLoop, ""),
    ("record.tags.exists(1, true)", "1", K::Syntax, ""),
];

/// The text an error underlines.
fn underlined<'a>(source: &'a str, e: &ExprError) -> &'a str {
    &source[e.start..e.end]
}

fn mended(source: &str, e: &ExprError) -> String {
    let Some(mend) = &e.mend else {
        return String::new();
    };
    format!("{}{}{}", &source[..e.start], mend.text, &source[e.end..])
}

#[test]
fn errors_say_where_what_and_how_to_mend_it() {
    assert!(CASES.len() >= 60, "{} cases", CASES.len());
    let mut wrong = Vec::new();
    for (source, under, kind, after) in CASES {
        let errors = match compile(source, &schema(), &Type::Bool) {
            Ok(expr) => {
                wrong.push(format!("{source}: no error, {:?}", expr.root));
                continue;
            }
            Err(errors) => errors,
        };
        let e = &errors[0];
        let got = (underlined(source, e), e.code, mended(source, e));
        if got != (*under, *kind, after.to_string()) || errors.len() != 1 {
            wrong.push(format!(
                "{source}\n    want {:?}\n    got  {got:?}\n    {errors:?}",
                (under, kind, after)
            ));
        }
        if !after.is_empty()
            && let Err(again) = compile(after, &schema(), &Type::Bool)
        {
            wrong.push(format!("{after}: the mend does not compile: {again:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn several_errors_are_told_at_once() {
    let source = "record.contry == 'DE' && record.intent == 'bugg' && record.count == 'x' && lower(record.name) == 'a'";
    let errors = compile(source, &schema(), &Type::Bool).unwrap_err();
    let kinds: Vec<K> = errors.iter().map(|e| e.code).collect();
    assert_eq!(kinds, [K::Undeclared, K::EnumValue, K::Type, K::Function]);
}

#[test]
fn a_value_fits_what_is_wanted() {
    let urgency = Type::Enum(texts(&["low", "normal", "high"]));
    let table: &[(&str, &Type, Option<K>)] = &[
        ("'low'", &urgency, None),
        ("'lwo'", &urgency, Some(K::EnumValue)),
        ("record.vip ? 'high' : 'low'", &urgency, None),
        (
            "record.vip ? 'high' : 'lower'",
            &urgency,
            Some(K::EnumValue),
        ),
        ("record.urgency", &urgency, None),
        ("record.intent", &urgency, Some(K::Type)),
        ("record.name", &urgency, Some(K::Type)),
        ("low", &urgency, Some(K::Undeclared)),
        ("event.body.x", &urgency, None),
        ("record.count", &Type::Dec, None),
        ("record.amount", &Type::Int, Some(K::Type)),
        ("0.9", &Type::Float, None),
        ("record.amount", &Type::Float, Some(K::Type)),
        ("record.name", &Type::Email, None),
        ("record.count", &Type::Text, Some(K::Type)),
        ("null", &Type::Text, None),
        ("null", &Type::Bool, Some(K::Type)),
        ("record.tags", &Type::List(Box::new(Type::Text)), None),
        ("[1]", &Type::List(Box::new(Type::Text)), Some(K::Type)),
        ("record.vip", &Type::Any, None),
        ("event.body.x", &Type::Bool, None),
    ];
    for (source, want, kind) in table {
        let got = compile(source, &schema(), want).err().map(|e| e[0].code);
        assert_eq!(got, *kind, "{source} as {want:?}");
    }
}

#[test]
fn errors_in_templates_point_into_the_template() {
    let table: &[Case] = &[
        (
            "Dear ${record.nam}",
            "nam",
            K::Undeclared,
            "Dear ${record.name}",
        ),
        (
            "ü ${ record.nam } x",
            "nam",
            K::Undeclared,
            "ü ${ record.name } x",
        ),
        (
            "a ${record.name",
            "${record.name",
            K::Syntax,
            "a ${record.name}",
        ),
        ("a ${}", "", K::Syntax, ""),
        ("a ${'x}", "'x}", K::Syntax, ""),
        (
            "a ${record.count = 1} b",
            "=",
            K::Syntax,
            "a ${record.count == 1} b",
        ),
        ("${record.vip ? ${record.name} : 'x'}", "${", K::Syntax, ""),
    ];
    for (source, under, kind, after) in table {
        let errors = compile_template(source, &schema()).unwrap_err();
        let e = &errors[0];
        assert_eq!((underlined(source, e), e.code), (*under, *kind), "{source}");
        if !after.is_empty() {
            assert_eq!(mended(source, e), *after);
            assert!(compile_template(after, &schema()).is_ok(), "{after}");
        }
    }
    let both = compile_template("${record.nam} ${recrd.name}", &schema()).unwrap_err();
    assert_eq!(both.len(), 2);
}
