//! Judging a classifier on cases with a known answer.

use tl_learn::eval::{Answer, Share, compare, reliability_svg, report};

use crate::random::Sequence;

fn answer(truth: &str, said: &str, confidence: f64) -> Answer {
    Answer {
        truth: truth.into(),
        said: (!said.is_empty()).then(|| said.into()),
        confidence,
    }
}

#[test]
fn a_small_report_by_hand() {
    let answers = [
        answer("a", "a", 0.9),
        answer("a", "a", 0.8),
        answer("a", "b", 0.7),
        answer("b", "b", 0.6),
        answer("b", "a", 0.5),
        answer("c", "", 0.0),
    ];
    let found = report(&answers);
    assert_eq!((found.cases, found.silent), (6, 1));
    assert!((found.accuracy.value - 0.5).abs() < 1e-12);
    let rows: Vec<(&str, usize, usize, usize)> = found
        .labels
        .iter()
        .map(|l| (l.label.as_str(), l.cases, l.said, l.right))
        .collect();
    assert_eq!(rows, [("a", 3, 3, 2), ("b", 2, 2, 1), ("c", 1, 0, 0)]);
    // F1: 2*2/6, 2*1/4, 0.
    assert!((found.macro_f1 - (2.0 / 3.0 + 0.5) / 3.0).abs() < 1e-12);
    let mistakes: Vec<(&str, &str, usize)> = found
        .confusions
        .iter()
        .map(|c| (c.truth.as_str(), c.said.as_str(), c.cases))
        .collect();
    assert_eq!(mistakes, [("a", "b", 1), ("b", "a", 1), ("c", "", 1)]);
    let wished: Vec<f64> = found.coverage.iter().map(|c| c.wished.value).collect();
    assert_eq!(wished, [2.0 / 6.0; 3]);
    assert!(
        found
            .coverage
            .iter()
            .all(|c| c.threshold.is_none() && c.more_cases.is_none_or(|n| n > 50))
    );
}

#[test]
fn nothing_to_judge_is_no_mishap() {
    let found = report(&[]);
    assert_eq!(
        (found.cases, found.accuracy.value, found.ece, found.macro_f1),
        (0, 0.0, 0.0, 0.0)
    );
    assert!(reliability_svg(&found).ends_with("</svg>\n"));
    let paired = compare(&[], &[]);
    assert_eq!((paired.p_value, paired.interval), (1.0, (0.0, 0.0)));
}

/// Answers that are right with exactly the probability they state.
fn honest(count: usize) -> Vec<Answer> {
    let mut random = Sequence::new(4);
    (0..count)
        .map(|_| {
            let confidence = 1.0 - 0.5 * random.next() * random.next();
            let right = random.next() < confidence;
            answer("a", if right { "a" } else { "b" }, confidence)
        })
        .collect()
}

#[test]
fn an_honest_model_is_called_honest_and_its_bars_hold_the_diagonal() {
    let found = report(&honest(4_000));
    assert!(found.ece < 0.02, "{}", found.ece);
    let away = found
        .reliability
        .iter()
        .filter(|b| b.cases > 0 && !(b.right.low..=b.right.high).contains(&b.confidence))
        .count();
    assert!(away <= 1, "{away} bars miss the diagonal");
    for pair in found.coverage.windows(2) {
        assert!(pair[0].wished.value <= pair[1].wished.value);
    }
    for row in &found.coverage {
        assert!(row.certified.value <= row.wished.value, "{row:?}");
        assert!(
            row.error_limit.is_none_or(|limit| limit <= row.max_error),
            "{row:?}"
        );
    }
    let five = found.coverage[2];
    assert!(
        five.threshold.is_some() && five.certified.value > 0.5 * five.wished.value,
        "{five:?}"
    );
}

#[test]
fn shares_carry_exact_intervals() {
    let half = Share::of(50, 100);
    assert!(
        (half.low - 0.398_321).abs() < 1e-5 && (half.high - 0.601_679).abs() < 1e-5,
        "{half:?}"
    );
    assert_eq!((Share::of(0, 20).low, Share::of(20, 20).high), (0.0, 1.0));
    let none = Share::of(0, 0);
    assert_eq!((none.value, none.low, none.high), (0.0, 0.0, 1.0));
}

#[test]
fn only_cases_that_differ_decide_between_two_versions() {
    let version = |right: &dyn Fn(usize) -> bool| -> Vec<Answer> {
        (0..200)
            .map(|i| answer("a", if right(i) { "a" } else { "b" }, 0.9))
            .collect()
    };
    let first = version(&|i| i < 150);
    let second = version(&|i| i < 140 || (150..180).contains(&i));
    let found = compare(&first, &second);
    assert_eq!(
        (
            found.both,
            found.only_first,
            found.only_second,
            found.neither
        ),
        (140, 10, 30, 20)
    );
    assert!((found.difference - 0.1).abs() < 1e-12);
    // 2 * P(at most 10 of 40 at one half).
    assert!(
        (found.p_value - 0.002_221).abs() < 1e-5,
        "{}",
        found.p_value
    );
    assert!(
        found.interval.0 > 0.0 && found.interval.1 < 0.2,
        "{:?}",
        found.interval
    );
    let same = compare(&first, &first);
    assert_eq!((same.p_value, same.difference), (1.0, 0.0));
}

#[test]
fn the_picture_has_a_bar_for_every_filled_bin_and_no_script() {
    let found = report(&honest(500));
    let svg = reliability_svg(&found);
    let filled = found.reliability.iter().filter(|b| b.cases > 0).count();
    assert_eq!(svg.matches("<g><title>").count(), filled);
    assert!(!svg.contains("script") && !svg.contains("NaN"));
    assert_eq!(svg, reliability_svg(&found));
}
