//! No function loses a label.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;

/// A scope that remembers the worst label it gave out.
struct Watched {
    names: Names,
    worst: Cell<Label>,
}

impl Scope for Watched {
    fn lookup<'a>(&'a self, names: &[String]) -> Found<'a> {
        let found = self.names.lookup(names);
        self.worst.set(self.worst.get().join(found.label));
        found
    }
}

/// Random sources of a type, over names of both labels.
fn number() -> BoxedStrategy<String> {
    let leaf = proptest::sample::select(
        &[
            "record.count",
            "1",
            "2.5",
            "record.amount",
            "event.body.age",
            "7",
        ][..],
    )
    .prop_map(String::from);
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (
                inner.clone(),
                proptest::sample::select(&["+", "-", "*", "/", "%"][..]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} > {b} ? {a} : {b})")),
            inner.clone().prop_map(|a| format!("int({a})")),
            text_leaf().prop_map(|t| format!("size({t})")),
            inner.prop_map(|a| format!("[{a}, 1].filter(x, x != 1).size()")),
        ]
    })
    .boxed()
}

fn text_leaf() -> BoxedStrategy<String> {
    proptest::sample::select(
        &[
            "record.name",
            "'config'",
            "event.source",
            "record.note",
            "event.headers['x-spam']",
            "record.tags[0]",
        ][..],
    )
    .prop_map(String::from)
    .boxed()
}

fn text() -> BoxedStrategy<String> {
    text_leaf()
        .prop_recursive(3, 12, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
                inner.clone().prop_map(|a| format!("{a}.upper()")),
                inner.clone().prop_map(|a| format!("{a}.trim()")),
                number().prop_map(|n| format!("string({n})")),
                (inner.clone(), inner.clone())
                    .prop_map(|(a, b)| format!("{{'a': {a}, 'b': {b}}}.a")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}][0]")),
                inner
                    .clone()
                    .prop_map(|a| format!("['x'].map(e, e + {a})[0]")),
                (inner.clone(), inner).prop_map(|(a, b)| format!("({a} == 'z' ? 'y' : {b})")),
            ]
        })
        .boxed()
}

fn condition() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("policy_allows".to_string()),
        Just("record.vip".to_string()),
        Just("has(record.note)".to_string()),
        Just("confidence >= threshold".to_string()),
        (number(), number()).prop_map(|(a, b)| format!("{a} <= {b}")),
        (text(), text()).prop_map(|(a, b)| format!("{a} == {b}")),
        (text(), text()).prop_map(|(a, b)| format!("{a}.contains({b})")),
        text().prop_map(|a| format!("{a}.matches('^[a-z]*$')")),
        text().prop_map(|a| format!("{a} in ['a', 'config']")),
        text().prop_map(|a| format!("record.tags.exists(t, t == {a})")),
        text().prop_map(|a| format!("['a'].all(t, t != {a})")),
        text().prop_map(|a| format!("{a} == null")),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn what_was_looked_up_labels_the_result(source in prop_oneof![number(), text(), condition()]) {
        let Ok(expr) = compile(&source, &schema(), &Type::Any) else {
            // Too deep, or never equal: the generator does not know every rule.
            return Ok(());
        };
        let scope = Watched { names: Names::with(""), worst: Cell::new(Label::Config) };
        if let Ok(got) = expr.eval(&scope) {
            prop_assert_eq!(got.label, scope.worst.get(), "{}", source);
            let untrusted = expr.reads().iter().any(|n| n[0] == "record" || n[0] == "event");
            prop_assert!(untrusted || got.label == Label::Config, "{}", source);
        }
    }
}

#[test]
fn labels_reach_the_result() {
    let table = [
        ("'a'", Label::Config),
        ("policy_allows", Label::Config),
        ("record.name", Label::Untrusted),
        ("record.note", Label::Untrusted),
        ("has(record.note)", Label::Untrusted),
        ("record.vip ? 'a' : 'b'", Label::Untrusted),
        ("policy_allows ? 'a' : record.name", Label::Config),
        ("policy_allows || record.vip", Label::Config),
        ("record.vip || policy_allows", Label::Untrusted),
        ("event.body.text > 1 || policy_allows", Label::Untrusted),
        ("['a'].map(x, record.name).size()", Label::Untrusted),
        ("[record.name, 'a'][1]", Label::Untrusted),
        ("{'a': 'x', 'b': record.name}.a", Label::Untrusted),
        ("record.tags.filter(t, false)", Label::Untrusted),
        ("size(record.name)", Label::Untrusted),
    ];
    for (source, want) in table {
        let expr = compile(source, &schema(), &Type::Any).expect(source);
        assert_eq!(expr.eval(&Names::with("")).unwrap().label, want, "{source}");
        if let Ok(truth) = expr.truth(&Names::with("")) {
            assert_eq!(truth.label, want, "{source} as a condition");
        }
    }
}
