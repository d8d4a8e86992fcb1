//! What expressions come to. One line per case: the expression, changes to the usual values, the result.

use super::*;
use crate::cel::compile_template;

#[rustfmt::skip]
const CASES: &[(&str, &str, &str)] = &[
    // Constants.
    ("true", "", "true"),
    ("false", "", "false"),
    ("null", "", "null"),
    ("0", "", "0"),
    ("42", "", "42"),
    ("-42", "", "-42"),
    ("0x1F", "", "31"),
    ("-0x10", "", "-16"),
    ("9223372036854775807", "", "9223372036854775807"),
    ("-9223372036854775808", "", "-9223372036854775808"),
    ("9223372036854775808", "", "?literal"),
    ("1.5", "", "1.5d"),
    ("-1.50", "", "-1.50d"),
    (".5", "", "0.5d"),
    ("1e3", "", "1000d"),
    ("2.5e-3", "", "0.0025d"),
    ("-2.5E2", "", "-250d"),
    ("0.1", "", "0.1d"),
    ("0.1234567890123456789012345678", "", "0.1234567890123456789012345678d"),
    ("'text'", "", "'text'"),
    ("\"text\"", "", "'text'"),
    ("''", "", "''"),
    (r"'it\'s'", "", "'it's'"),
    (r"'a\nb'", "", "'a\nb'"),
    (r"'\u00e9'", "", "'é'"),
    (r"r'a\d'", "", r"'a\d'"),
    ("'''it's'''", "", "'it's'"),
    ("'grün ≥ 1'", "", "'grün ≥ 1'"),
    ("[]", "", "[]"),
    ("[1, 2, 3]", "", "[1, 2, 3]"),
    ("[1, 'a', true]", "", "[1, 'a', true]"),
    ("[1, 2,]", "", "[1, 2]"),
    ("{}", "", "{}"),
    ("{'b': 1, 'a': 2}", "", "{a: 2, b: 1}"),
    ("{'a': {'b': [1]}}", "", "{a: {b: [1]}}"),
    ("1 // a comment", "", "1"),
    ("  \n 1 \n ", "", "1"),
    // Names.
    ("record.count", "", "3"),
    ("record.address", "", "{city: 'Berlin', zip: '10115'}"),
    ("record.address.city", "", "'Berlin'"),
    ("record['count']", "", "3"),
    ("record.note", "", "absent"),
    ("record.nothing", "", "null"),
    ("event.headers['auto-submitted']", "", "'auto-replied'"),
    ("event.headers['x-none']", "", "absent"),
    ("event.body.age", "", "42"),
    ("event.body.none.deeper", "", "absent"),
    ("event.body.age.deeper", "", "absent"),
    ("event.body['items'][0].sku", "", "'a'"),
    ("event.body.items[1].qty", "", "5"),
    ("event.body.items[7].qty", "", "absent"),
    ("event.body.items[-1]", "", "absent"),
    ("confidence", "", "0.9f"),
    ("confidence", "confidence=absent", "absent"),
    ("flags.beta", "", "true"),
    ("(record.address).city", "", "'Berlin'"),
    ("(record.vip ? record.address : record.address).zip", "", "'10115'"),
    ("{'a': 1}.a", "", "1"),
    ("{'a': 1}['a']", "", "1"),
    ("[10, 20, 30][1]", "", "20"),
    ("[10, 20, 30][record.count]", "", "absent"),
    ("record.tags[0]", "", "'vip'"),
    ("record.tags[record.count - 1]", "", "'new'"),
    ("record[record.country]", "", "absent"),
    ("record.address[record.name]", "record.name='zip'", "'10115'"),
    ("event.body[record.note]", "", "absent"),
    ("event.body['on']", "", "true"),
    ("event.body[1]", "", "!type"),
    // Equality.
    ("1 == 1", "", "true"),
    ("1 == 2", "", "false"),
    ("1 != 2", "", "true"),
    ("1 == 1.0", "", "true"),
    ("1.50 == 1.5", "", "true"),
    ("1.5 != 1.50", "", "false"),
    ("'a' == 'a'", "", "true"),
    ("'a' == 'A'", "", "false"),
    ("true == true", "", "true"),
    ("true != false", "", "true"),
    ("[1, 2] == [1, 2]", "", "true"),
    ("[1, 2] == [2, 1]", "", "false"),
    ("[1] == [1.0]", "", "true"),
    ("[1] != [1, 2]", "", "true"),
    ("{'a': 1} == {'a': 1.0}", "", "true"),
    ("{'a': 1} == {'b': 1}", "", "false"),
    ("null == null", "", "true"),
    ("record.intent == 'bug'", "", "true"),
    ("record.intent != 'bug'", "", "false"),
    ("'bug' == record.intent", "", "true"),
    ("record.email == 'ada@example.org'", "", "true"),
    ("record.wait == duration('120m')", "", "true"),
    ("record.due == timestamp('2026-11-22T17:40:00+01:00')", "", "true"),
    ("event.body.age == 'old'", "", "false"),
    ("event.body.age != 'old'", "", "true"),
    ("event.body.age == 42.0", "", "true"),
    ("event.body.name == record.note", "", "false"),
    ("confidence == 0.9", "", "true"),
    ("confidence == 0.90", "", "true"),
    ("0.9 == confidence", "", "true"),
    ("confidence != 0.9", "", "false"),
    ("confidence == record.amount", "record.amount=0.9", "true"),
    // Order.
    ("1 < 2", "", "true"),
    ("2 < 1", "", "false"),
    ("2 <= 2", "", "true"),
    ("3 > 2", "", "true"),
    ("2 >= 3", "", "false"),
    ("1 < 1.5", "", "true"),
    ("2.5 > 2", "", "true"),
    ("1 >= 0.8", "", "true"),
    ("0.1 + 0.2 == 0.3", "", "true"),
    ("'a' < 'b'", "", "true"),
    ("'b' <= 'a'", "", "false"),
    ("'Z' < 'a'", "", "true"),
    ("false < true", "", "true"),
    ("record.since < record.due", "", "true"),
    ("record.wait > duration('1h59m')", "", "true"),
    ("record.due > timestamp('2026-11-22T16:40:00.000001Z')", "", "false"),
    ("record.amount >= 120.5", "", "true"),
    ("record.amount > 120", "", "true"),
    ("confidence >= threshold", "", "true"),
    ("confidence >= threshold", "confidence=double('0.79')", "false"),
    // An absent confidence is below every threshold.
    ("confidence < threshold", "confidence=absent", "true"),
    ("confidence <= 0.5", "confidence=absent", "true"),
    ("threshold > confidence", "confidence=absent", "true"),
    ("confidence >= threshold", "confidence=absent", "false"),
    ("confidence > 0.5", "confidence=absent", "false"),
    ("confidence < threshold", "confidence=double('0.79')", "true"),
    ("confidence < threshold", "", "false"),
    ("confidence < record.amount", "confidence=absent", "false"),
    ("confidence >= 0.9", "", "true"),
    ("confidence > 0.9", "", "false"),
    ("confidence >= 0.7", "confidence=double('0.7')", "true"),
    ("confidence <= 1", "", "true"),
    ("1 > confidence", "", "true"),
    ("0.95 > confidence", "", "true"),
    ("record.amount > confidence", "", "true"),
    ("event.body.big > 9.2e18", "", "true"),
    ("event.body.big < double('9223372036854775807')", "", "true"),
    ("event.body.age > 18", "", "true"),
    ("event.body.text > 18", "", "!type"),
    ("event.body.items > 18", "", "!type"),
    ("event.body.nil > 18", "", "false"),
    ("event.body.ratio < confidence", "", "true"),
    // Membership.
    ("1 in [1, 2]", "", "true"),
    ("3 in [1, 2]", "", "false"),
    ("2.0 in [1, 2]", "", "true"),
    ("1 in []", "", "false"),
    ("record.country in ['DE', 'AT', 'CH']", "", "true"),
    ("record.country in ['FR']", "", "false"),
    ("record.intent in ['bug', 'outage']", "", "true"),
    ("'vip' in record.tags", "", "true"),
    ("'a' in {'a': 1}", "", "true"),
    ("'b' in {'a': 1}", "", "false"),
    ("'x-spam' in event.headers", "", "true"),
    ("'x' in event.body.age", "", "!type"),
    ("'x' in event.body.none", "", "false"),
    ("record.note in ['a']", "", "false"),
    ("!(record.note in ['a'])", "", "true"),
    ("confidence in [0.8, 0.9]", "", "true"),
    ("'note' in missing", "missing=['note']", "true"),
    ("'a' in event.body.nil", "", "false"),
    // Logic.
    ("true && true", "", "true"),
    ("true && false", "", "false"),
    ("false || true", "", "true"),
    ("false || false", "", "false"),
    ("!true", "", "false"),
    ("!!true", "", "true"),
    ("!!!true", "", "false"),
    ("true && true && true && false", "", "false"),
    ("false || false || true", "", "true"),
    ("true || false && false", "", "true"),
    ("(true || false) && false", "", "false"),
    ("!record.vip && policy_allows", "", "false"),
    ("!needs_human", "", "true"),
    ("confidence >= threshold && policy_allows", "", "true"),
    ("confidence >= threshold && policy_allows", "policy_allows=false", "false"),
    ("confidence >= threshold && policy_allows", "confidence=absent", "false"),
    ("event.body.text > 1 || true", "", "true"),
    ("true || event.body.text > 1", "", "true"),
    ("event.body.text > 1 && false", "", "false"),
    ("false && event.body.text > 1", "", "false"),
    ("event.body.text > 1 || false", "", "!type"),
    ("event.body.text > 1 && true", "", "!type"),
    ("1 / record.count > 0 || record.vip", "record.count=0", "true"),
    ("event.body.age && true", "", "!type"),
    ("event.body.on && true", "", "true"),
    ("!event.body.age", "", "!type"),
    // Choice.
    ("true ? 1 : 2", "", "1"),
    ("false ? 1 : 2", "", "2"),
    ("record.vip ? 'gold' : 'plain'", "", "'gold'"),
    ("record.optional ? 'yes' : 'no'", "", "'no'"),
    ("false ? 1 : true ? 2 : 3", "", "2"),
    ("true ? 1 : 1 / record.count", "record.count=0", "1"),
    ("event.body.age ? 1 : 2", "", "!type"),
    ("event.body.text > 1 ? 1 : 2", "", "!type"),
    ("(record.vip ? 1 : 2) + 1", "", "2"),
    // Whole numbers.
    ("1 + 2", "", "3"),
    ("1 - 2", "", "-1"),
    ("2 * 3", "", "6"),
    ("7 / 2", "", "3"),
    ("-7 / 2", "", "-3"),
    ("7 % 3", "", "1"),
    ("-7 % 3", "", "-1"),
    ("1 + 2 * 3", "", "7"),
    ("(1 + 2) * 3", "", "9"),
    ("10 - 2 - 3", "", "5"),
    ("-record.count", "", "-3"),
    ("-(1 + 2)", "", "-3"),
    ("9223372036854775807 + 1", "", "!overflow"),
    ("-9223372036854775808 - 1", "", "!overflow"),
    ("9223372036854775807 * 2", "", "!overflow"),
    ("-9223372036854775808 / -1", "", "!overflow"),
    ("-(-9223372036854775807 - 1)", "", "!overflow"),
    ("1 / record.count", "record.count=0", "!zero"),
    ("1 % record.count", "record.count=0", "!zero"),
    ("1 / 0", "", "?literal"),
    // Decimals.
    ("1.5 + 1", "", "2.5d"),
    ("1 + 1.5", "", "2.5d"),
    ("1.10 + 2.20", "", "3.30d"),
    ("10 - 0.01", "", "9.99d"),
    ("1.5 * 2", "", "3.0d"),
    ("1.0 / 4", "", "0.25d"),
    ("1 / 4.0", "", "0.25d"),
    ("5.5 % 2", "", "1.5d"),
    ("-record.amount", "", "-120.50d"),
    ("record.amount * 0.19", "", "22.8950d"),
    ("record.amount / record.discount", "record.discount=0.00", "!zero"),
    ("7.9228162514264337593543950335e28 * 10", "", "!overflow"),
    ("7.9228162514264337593543950335e28 + 1.0", "", "!overflow"),
    ("1.0 / 0.0", "", "?literal"),
    // Floats.
    ("confidence + 1", "", "1.9f"),
    ("confidence - threshold > 0.05", "", "true"),
    ("confidence * 2", "", "1.8f"),
    ("1 - confidence < 0.2", "", "true"),
    ("confidence / 2", "", "0.45f"),
    ("confidence * 0.5", "", "0.45f"),
    ("confidence / (threshold - threshold)", "", "!zero"),
    ("-confidence", "", "-0.9f"),
    ("double('1e308') * 10", "", "!overflow"),
    ("confidence + event.body.ratio", "", "!type"),
    // Times and durations.
    ("record.due - record.since", "", "2h40m"),
    ("record.due - record.since > record.wait", "", "true"),
    ("record.since + record.wait", "", "2026-11-22T16:00:00.000000Z"),
    ("record.wait + record.since", "", "2026-11-22T16:00:00.000000Z"),
    ("record.due - duration('40m')", "", "2026-11-22T16:00:00.000000Z"),
    ("record.wait + duration('30m')", "", "2h30m"),
    ("record.wait - duration('30m')", "", "1h30m"),
    ("-record.wait < duration('1s')", "", "true"),
    ("duration('1h30m')", "", "1h30m"),
    ("duration('1w') == duration('7d')", "", "true"),
    ("duration(event.body.text)", "", "!conversion"),
    ("duration(record.name)", "record.name='15m'", "15m"),
    ("duration(record.wait)", "", "2h"),
    ("timestamp('2026-11-22T16:40:00Z') == record.due", "", "true"),
    ("timestamp(0)", "", "1970-01-01T00:00:00.000000Z"),
    ("timestamp(record.name)", "", "!conversion"),
    ("timestamp(event.body.big)", "", "!overflow"),
    ("int(record.due)", "", "1795365600"),
    // Text.
    ("'a' + 'b'", "", "'ab'"),
    ("record.name + '!'", "", "'Ada Lovelace!'"),
    ("record.intent + '/' + record.urgency", "", "'bug/high'"),
    ("size('grün')", "", "4"),
    ("'abc'.size()", "", "3"),
    ("size(record.tags)", "", "3"),
    ("record.tags.size()", "", "3"),
    ("size({'a': 1})", "", "1"),
    ("size([])", "", "0"),
    ("size(event.body.age)", "", "!type"),
    ("size(event.body.items)", "", "2"),
    ("record.body.contains('refund')", "", "true"),
    ("record.body.contains('Refund')", "", "false"),
    ("record.body.contains('')", "", "true"),
    ("record.name.startsWith('Ada')", "", "true"),
    ("record.name.startsWith('ada')", "", "false"),
    ("record.email.endsWith('@example.org')", "", "true"),
    ("record.email.endsWith('@example.com')", "", "false"),
    ("record.name.lower()", "", "'ada lovelace'"),
    ("record.name.upper()", "", "'ADA LOVELACE'"),
    ("'ÄÖ'.lower()", "", "'äö'"),
    ("'  a b  '.trim()", "", "'a b'"),
    ("record.name.lower().contains('love')", "", "true"),
    ("event.body.name.upper()", "", "'ADA'"),
    ("event.body.age.upper()", "", "!type"),
    ("event.body.age.contains('4')", "", "!type"),
    ("record.body.matches('[0-9]{4}')", "", "true"),
    ("record.body.matches('^[0-9]{4}$')", "", "false"),
    (r"record.email.matches('^[a-z]+@example\\.org$')", "", "true"),
    (r"record.body.matches(r'order \d+')", "", "true"),
    ("record.body.matches('(?i)REFUND')", "", "true"),
    ("matches(record.body, 'refund')", "", "true"),
    (r"record.email.matches(r'^[\w.+-]+@[\w-]+\.[\w.]+$')", "", "true"),
    ("record.note.matches('a')", "", "absent"),
    ("event.body.age.matches('4')", "", "!type"),
    // Conversions.
    ("int('42')", "", "42"),
    ("int('-42')", "", "-42"),
    ("int(3.9)", "", "3"),
    ("int(-3.9)", "", "-3"),
    ("int(confidence)", "", "0"),
    ("int(record.count)", "", "3"),
    ("int('4x')", "", "!conversion"),
    ("int('')", "", "!conversion"),
    ("int(event.body.digits) + 1", "", "18"),
    ("int(event.body.text)", "", "!conversion"),
    ("int(double('1e30'))", "", "!overflow"),
    ("int(7.9228162514264337593543950335e28)", "", "!overflow"),
    ("int(event.body.items)", "", "!type"),
    ("decimal('1.50')", "", "1.50d"),
    ("decimal(3)", "", "3d"),
    ("decimal(confidence)", "", "0.9d"),
    ("decimal('1_000')", "", "!conversion"),
    ("decimal('1e3')", "", "!conversion"),
    ("decimal('x')", "", "!conversion"),
    ("decimal(record.amount)", "", "120.50d"),
    ("double('0.25')", "", "0.25f"),
    ("double(1)", "", "1f"),
    ("double(record.amount)", "", "120.5f"),
    ("double('inf')", "", "!conversion"),
    ("double('NaN')", "", "!conversion"),
    ("string(42)", "", "'42'"),
    ("string(1.50)", "", "'1.50'"),
    ("string(true)", "", "'true'"),
    ("string(confidence)", "", "'0.9'"),
    ("string('a')", "", "'a'"),
    ("string(record.wait)", "", "'2h'"),
    ("string(record.due)", "", "'2026-11-22T16:40:00.000000Z'"),
    ("string(event.body.items)", "", "!type"),
    ("'n' + string(record.count)", "", "'n3'"),
    // Lists.
    ("[1] + [2, 3]", "", "[1, 2, 3]"),
    ("record.tags + ['x']", "", "['vip', 'berlin', 'new', 'x']"),
    ("record.tags.exists(t, t == 'vip')", "", "true"),
    ("record.tags.exists(t, t == 'none')", "", "false"),
    ("[].exists(t, t == 'none')", "", "false"),
    ("record.tags.all(t, t.size() > 2)", "", "true"),
    ("record.tags.all(t, t.size() > 3)", "", "false"),
    ("[].all(t, false)", "", "true"),
    ("record.counts.exists_one(c, c > 3)", "", "true"),
    ("record.counts.exists_one(c, c > 2)", "", "false"),
    ("record.counts.existsOne(c, c > 3)", "", "true"),
    ("record.counts.filter(c, c % 2 == 0)", "", "[2, 4]"),
    ("record.counts.map(c, c * c)", "", "[1, 4, 9, 16]"),
    ("record.counts.map(c, c * c).filter(d, d > 4)", "", "[9, 16]"),
    ("record.counts.filter(c, c > 1).size()", "", "3"),
    ("record.amounts.map(a, a * 2)", "", "[3.0d, 4.50d, 20.0d]"),
    ("event.body.items.map(i, i.sku)", "", "['a', 'b']"),
    ("event.body.items.exists(i, i.qty > 4)", "", "true"),
    ("event.body.items.all(i, has(i.sku))", "", "true"),
    ("event.body.items.map(i, i.none)", "", "[]"),
    ("event.body.items.filter(i, i.none)", "", "[]"),
    ("event.body.items.filter(i, i['sku'] == 'b').map(i, i.qty)[0]", "", "5"),
    ("record.counts.exists(c, c > record.count)", "", "true"),
    ("[0, 1].exists(c, 1 / c == 1)", "", "true"),
    ("[0, 2].exists(c, 1 / c == 1)", "", "!zero"),
    ("[0, 1].all(c, 1 / c == 2)", "", "false"),
    ("[0, 1].filter(c, 1 / c == 1)", "", "!zero"),
    ("{'b': 1, 'a': 2}.map(k, k)", "", "['a', 'b']"),
    ("{'b': 1, 'a': 2}.exists(k, k == 'b')", "", "true"),
    ("event.headers.filter(k, k.startsWith('x-'))", "", "['x-spam']"),
    ("event.body.age.exists(x, x)", "", "!type"),
    ("event.body.items.exists(i, i)", "", "!type"),
    // Absent and null.
    ("record.note == 'a'", "", "false"),
    ("record.note != 'a'", "", "false"),
    ("'a' == record.note", "", "false"),
    ("record.note == record.note", "", "false"),
    ("record.discount < 5", "", "false"),
    ("record.discount >= 5", "", "false"),
    ("!(record.discount < 5)", "", "true"),
    ("record.optional", "", "absent"),
    ("!record.optional", "", "true"),
    ("record.optional && true", "", "false"),
    ("record.optional || true", "", "true"),
    ("record.optional || false", "", "false"),
    ("has(record.note)", "", "false"),
    ("has(record.name)", "", "true"),
    ("has(record.nothing)", "", "true"),
    ("has(confidence)", "", "true"),
    ("has(confidence)", "confidence=absent", "false"),
    ("has(event.headers['x-spam'])", "", "true"),
    ("has(event.headers['x-ham'])", "", "false"),
    ("has(event.body.items[0].sku)", "", "true"),
    ("has(event.body.items[0])", "", "true"),
    ("has(event.body.items[9])", "", "false"),
    ("!has(record.note)", "", "true"),
    ("record.note == null", "", "true"),
    ("record.note != null", "", "false"),
    ("record.nothing == null", "", "true"),
    ("record.nothing != null", "", "false"),
    ("null == record.note", "", "true"),
    ("record.name == null", "", "false"),
    ("record.name != null", "", "true"),
    ("record.nothing == 'a'", "", "false"),
    ("record.nothing != 'a'", "", "true"),
    ("record.nothing.size() > 0", "", "false"),
    ("record.note.size()", "", "absent"),
    ("record.nothing.lower()", "", "absent"),
    ("record.note + 'x'", "", "absent"),
    ("record.discount + 1", "", "absent"),
    ("-record.discount", "", "absent"),
    ("record.note.contains('x')", "", "absent"),
    ("record.note.contains('x') || record.vip", "", "true"),
    ("record.name.contains(record.note)", "", "absent"),
    ("string(record.note)", "", "absent"),
    ("[record.note, 'a']", "", "['a']"),
    ("[record.nothing, 'a']", "", "[null, 'a']"),
    ("{'n': record.note, 'c': record.count}", "", "{c: 3}"),
    ("event.body.none.exists(x, true)", "", "absent"),
    ("event.body.none.all(x, true)", "", "absent"),
    ("event.body.nil.exists(x, true)", "", "absent"),
    ("event.body.none.all(x, true) || false", "", "false"),
    ("has(record.note) ? record.note : 'none'", "", "'none'"),
    ("event.body.nil.part", "", "absent"),
    ("record.note < 'a' || record.note >= 'a'", "", "false"),
];

#[test]
fn expressions_come_to_what_the_table_says() {
    assert!(CASES.len() >= 300, "{} cases", CASES.len());
    let mut wrong = Vec::new();
    for (source, changes, want) in CASES {
        let got = outcome(source, &Names::with(changes));
        if got != *want {
            wrong.push(format!(
                "{source}  [{changes}]\n    want {want}\n    got  {got}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_scope_gives_the_same_result() {
    for (source, changes, _) in CASES {
        let names = Names::with(changes);
        assert_eq!(
            outcome(source, &names),
            outcome(source, &names.clone()),
            "{source}"
        );
    }
}

#[test]
fn every_span_fits_the_source() {
    for (source, _, _) in CASES {
        let Ok(expr) = compile(source, &schema(), &Type::Any) else {
            continue;
        };
        expr.root.walk(&mut |node| {
            let at = node.at();
            assert!(at.start < at.end, "{source}: {node:?}");
            assert!(!at.text(source).is_empty(), "{source}: {node:?}");
        });
    }
}

#[test]
fn a_condition_tells_its_parts() {
    let table: &[(&str, &str, bool, &str)] = &[
        (
            "confidence >= threshold && policy_allows",
            "",
            true,
            "confidence >= threshold: true (confidence 0.9, threshold 0.8) | policy_allows: true (policy_allows true)",
        ),
        (
            "confidence >= threshold && policy_allows",
            "confidence=double('0.71'); policy_allows=false",
            false,
            "confidence >= threshold: false (confidence 0.71, threshold 0.8) | policy_allows: false (policy_allows false)",
        ),
        (
            "confidence >= threshold && policy_allows",
            "confidence=absent",
            false,
            "confidence >= threshold: absent (confidence absent, threshold 0.8) | policy_allows: true (policy_allows true)",
        ),
        (
            "needs_human",
            "",
            false,
            "needs_human: false (needs_human false)",
        ),
        ("record.optional", "", false, "record.optional: absent"),
        (
            "record.name == 'Ada'",
            "",
            false,
            "record.name == 'Ada': false",
        ),
        (
            "(record.vip || needs_human) && (record.count > 2) && flags.beta",
            "",
            true,
            "record.vip || needs_human: true (needs_human false) | record.count > 2: true | flags.beta: true (flags.beta true)",
        ),
        (
            "record.vip || event.body.text > 1",
            "",
            true,
            "record.vip: true | event.body.text > 1: absent (`>` does not work on text and int)",
        ),
        (
            "missing == [] || record.vip",
            "",
            true,
            "missing == []: true (missing ) | record.vip: true",
        ),
    ];
    for (source, changes, holds, want) in table {
        let expr = compile(source, &schema(), &Type::Bool).expect(source);
        let truth = expr.truth(&Names::with(changes)).expect(source);
        let parts: Vec<String> = truth
            .parts
            .iter()
            .map(|p| {
                let holds = p.holds.map_or("absent".into(), |h| h.to_string());
                let seen = p.seen.as_ref().map_or(String::new(), |s| format!(" ({s})"));
                format!("{}: {holds}{seen}", p.text)
            })
            .collect();
        assert_eq!(parts.join(" | "), *want);
        assert_eq!(truth.holds, *holds, "{source}");
    }
}

#[test]
fn a_condition_and_its_value_agree() {
    for (source, changes, want) in CASES {
        let Ok(expr) = compile(source, &schema(), &Type::Bool) else {
            continue;
        };
        let names = Names::with(changes);
        match (expr.truth(&names), expr.eval(&names)) {
            (Ok(truth), Ok(got)) => {
                assert_eq!(
                    truth.holds,
                    got.value == Some(Value::Bool(true)),
                    "{source}"
                );
                assert_eq!(truth.label, got.label, "{source}");
            }
            (Err(_), Err(_)) => {}
            // A value that is no condition is an error only where a condition is wanted.
            (
                Err(EvalError::Type {
                    op: "a condition", ..
                }),
                Ok(_),
            ) => {}
            (truth, got) => panic!("{source}: {truth:?} {got:?} {want}"),
        }
    }
}

#[test]
fn templates_render() {
    let table: &[(&str, &str, &str)] = &[
        ("plain", "plain", ""),
        ("", "", ""),
        ("${record.name}", "Ada Lovelace", ""),
        (
            "Dear ${record.name}, about ${record.intent}.",
            "Dear Ada Lovelace, about bug.",
            "",
        ),
        ("${ record.count + 1 } cases", "4 cases", ""),
        ("${record.amount} EUR", "120.50 EUR", ""),
        ("note: ${record.note}!", "note: !", "record.note"),
        (
            "${record.note}${ record.nothing }",
            "",
            "record.note,record.nothing",
        ),
        ("${record.tags}", "vip, berlin, new", ""),
        (
            "$5 and ${'}'} and $${literal}",
            "$5 and } and ${literal}",
            "",
        ),
        ("${ {'a': 'x'}.a }", "x", ""),
        ("${event.source}/${event.correlation_id}", "web/c-1", ""),
        ("{no hole} $ {}", "{no hole} $ {}", ""),
        ("grün ${record.country} ≥", "grün DE ≥", ""),
    ];
    for (source, want, absent) in table {
        let template = compile_template(source, &schema()).expect(source);
        let got = template.render(&Names::with("")).expect(source);
        assert_eq!(got.text, *want, "{source}");
        assert_eq!(got.absent.join(","), *absent, "{source}");
        let reads_input = source.contains("record.") || source.contains("event.");
        assert_eq!(got.label == Label::Untrusted, reads_input, "{source}");
    }
}

#[test]
fn a_lone_hole_keeps_its_type() {
    let template = compile_template("${record.count}", &schema()).unwrap();
    let single = template.single().expect("one hole");
    let got = single.eval(&Names::with("")).unwrap();
    assert_eq!(got.value, Some(Value::Int(3)));
    assert!(
        compile_template("${record.count} ", &schema())
            .unwrap()
            .single()
            .is_none()
    );
}

#[test]
fn what_is_read_is_known() {
    let source = "record.vip && event.headers['x-spam'] == 'no' || record.tags.exists(t, t == record.name) || record.vip";
    let expr = compile(source, &schema(), &Type::Bool).unwrap();
    let reads: Vec<String> = expr.reads().iter().map(|names| names.join("/")).collect();
    assert_eq!(
        reads,
        [
            "event/headers/x-spam",
            "record/name",
            "record/tags",
            "record/vip"
        ]
    );
    let template =
        compile_template("${record.name} ${record.body + record.name}", &schema()).unwrap();
    assert_eq!(template.reads().len(), 2);
}

#[test]
fn types_are_inferred() {
    let table = [
        ("record.count + 1", Type::Int),
        ("record.count + 1.5", Type::Dec),
        ("confidence + 1", Type::Float),
        ("record.due - record.since", Type::Dur),
        ("record.since + record.wait", Type::Time),
        ("record.name + 'x'", Type::Text),
        ("record.tags", Type::List(Box::new(Type::Text))),
        (
            "record.counts.map(c, c * 1.5)",
            Type::List(Box::new(Type::Dec)),
        ),
        (
            "record.tags.filter(t, t == 'a')",
            Type::List(Box::new(Type::Text)),
        ),
        ("event.body.x", Type::Any),
        ("record.vip ? 1 : 2.5", Type::Dec),
        ("size(record.tags)", Type::Int),
        ("record.vip && true", Type::Bool),
    ];
    for (source, want) in table {
        assert_eq!(
            crate::cel::infer(source, &schema()).expect(source).1,
            want,
            "{source}"
        );
    }
}
