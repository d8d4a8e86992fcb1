//! Bounds from reviewed cases: agreement with an independent implementation, and what each rule promises, checked on
//! populations made to break it.

use tl_learn::trust::{
    DriftLevel, DriftWatch, Evidence, Judgement, Ladder, Target, certify_batch, evidence_against,
    fewest_cases, lower_limit, share_at_most, upper_limit,
};

use crate::random::Sequence;

const FIGURES: &str = include_str!("../data/trust.txt");

/// The figures of one kind, as their fields.
fn figures(kind: &str) -> Vec<Vec<&'static str>> {
    FIGURES
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields[0] == kind)
        .map(|fields| fields[1..].to_vec())
        .collect()
}

fn number(field: &str) -> f64 {
    field.parse().unwrap()
}

fn close(found: f64, expected: f64, context: &[&str]) {
    let apart = (found - expected).abs() / expected.abs().max(1e-300);
    assert!(apart < 1e-11, "{context:?}: {found} {expected} ({apart:e})");
}

#[test]
fn limits_and_chances_agree_with_another_implementation() {
    let (upper, share, fewest) = (figures("upper"), figures("share"), figures("fewest"));
    assert!(upper.len() > 150 && share.len() > 200 && fewest.len() == 16);
    for row in &upper {
        let [errors, cases] = [0, 1].map(|i| row[i].parse().unwrap());
        close(
            upper_limit(errors, cases, 1.0 - number(row[2])),
            number(row[3]),
            row,
        );
    }
    for row in &share {
        let [errors, cases] = [0, 1].map(|i| row[i].parse().unwrap());
        close(
            share_at_most(errors, cases, number(row[2])),
            number(row[3]),
            row,
        );
    }
    for row in &fewest {
        for (errors, expected) in row[2..].iter().enumerate() {
            let found = fewest_cases(errors as u64, number(row[1]), 1.0 - number(row[0]));
            assert_eq!(found, expected.parse().ok(), "{row:?} {errors}");
        }
    }
}

#[test]
fn the_drift_watch_agrees_with_another_implementation() {
    let drift = &figures("drift")[0];
    let mut watch = DriftWatch::new(number(drift[0]));
    let mut at = std::collections::BTreeMap::new();
    let mut alarm = None;
    for (i, c) in drift[1].chars().enumerate() {
        watch.see(c == '1');
        at.insert(i + 1, watch.evidence());
        if watch.level() == DriftLevel::Alarm {
            alarm.get_or_insert(i + 1);
        }
    }
    for row in figures("evidence") {
        close(at[&row[0].parse().unwrap()], number(row[1]), &row);
    }
    assert_eq!(alarm, figures("alarm")[0][0].parse().ok());
}

#[test]
fn limits_at_their_ends() {
    assert_eq!(upper_limit(0, 0, 0.95), 1.0);
    assert_eq!(upper_limit(5, 5, 0.95), 1.0);
    assert_eq!(lower_limit(0, 10, 0.95), 0.0);
    assert!((lower_limit(10, 10, 0.95) - 0.05f64.powf(0.1)).abs() < 1e-12);
    assert_eq!(share_at_most(0, 10, 0.0), 1.0);
    assert_eq!(share_at_most(3, 10, 1.0), 0.0);
    assert_eq!(fewest_cases(0, 0.0, 0.95), None);
    assert_eq!(fewest_cases(0, 0.02, 1.0), None);
    assert!(share_at_most(900, 1_000_000, 0.001) < 0.001);
}

const TARGET: Target = Target {
    max_error: 0.05,
    level: 0.95,
};

fn faultless(count: usize) -> Vec<Judgement> {
    (0..count)
        .map(|i| Judgement {
            confidence: 1.0 - i as f64 / 10_000.0,
            wrong: false,
        })
        .collect()
}

#[test]
fn below_the_fewest_cases_nothing_goes_through_and_the_missing_number_is_said() {
    let rows = [(0, 60), (1, 59), (30, 30), (59, 1)];
    for (cases, more) in rows {
        assert_eq!(
            certify_batch(&faultless(cases), TARGET),
            Evidence::Missing { more: Some(more) },
            "{cases}"
        );
    }
    let Evidence::Enough {
        threshold,
        cases,
        errors,
        limit,
    } = certify_batch(&faultless(60), TARGET)
    else {
        panic!("sixty faultless cases are enough for 5 %");
    };
    assert_eq!((cases, errors), (59, 0));
    assert!(limit <= 0.05 && threshold > 0.994 && threshold < 0.995);
    let wrong: Vec<Judgement> = faultless(500)
        .into_iter()
        .map(|c| Judgement { wrong: true, ..c })
        .collect();
    assert_eq!(
        certify_batch(&wrong, TARGET),
        Evidence::Missing { more: None }
    );
}

#[test]
fn the_said_number_of_missing_cases_is_about_right() {
    // Errors at 2 % everywhere; how many cases does the rule take, and what did it say half way there?
    let mut random = Sequence::new(11);
    let all: Vec<Judgement> = (0..5_000)
        .map(|i| Judgement {
            confidence: random.next(),
            wrong: i % 50 == 7,
        })
        .collect();
    let needed = (1..5_000)
        .find(|n| matches!(certify_batch(&all[..*n], TARGET), Evidence::Enough { .. }))
        .unwrap();
    let Evidence::Missing { more: Some(more) } = certify_batch(&all[..needed / 2], TARGET) else {
        panic!("half is not enough");
    };
    let said = needed / 2 + more as usize;
    assert!(
        said * 2 > needed && said < needed * 2,
        "said {said}, took {needed}"
    );
}

#[test]
fn equal_confidences_are_accepted_together_or_not_at_all() {
    let case = |confidence: f64, wrong: bool| Judgement { confidence, wrong };
    let mut cases = vec![case(0.99, false); 200];
    cases.extend(vec![case(0.80, false); 100]);
    cases.extend(vec![case(0.60, true); 100]);
    let Evidence::Enough {
        threshold,
        cases: above,
        ..
    } = certify_batch(&cases, TARGET)
    else {
        panic!("two hundred faultless cases are enough");
    };
    assert!(threshold > 0.6 && threshold <= 0.80, "{threshold}");
    assert_eq!(above, 300);
    assert_eq!(
        certify_batch(&[case(f64::NAN, false); 100], TARGET),
        Evidence::Missing { more: Some(60) }
    );
}

/// A ladder that has seen these cases.
fn ladder(cases: &[(u16, bool)]) -> Ladder {
    let mut out = Ladder::default();
    for (confidence, wrong) in cases {
        out.see(*confidence, *wrong);
    }
    out
}

/// A population in which the error rate above every threshold is known.
struct Population {
    name: &'static str,
    /// Probability that a case is wrong, by its confidence.
    wrong: fn(f64, f64) -> f64,
    /// Share of wrong cases above a confidence.
    risk: fn(f64, f64) -> f64,
}

/// Confidences are uniform in 0 to 1; `max` is the target.
const WORST: [Population; 3] = [
    Population {
        name: "flat, just above the target",
        wrong: |_, max| max * 1.02,
        risk: |_, max| max * 1.02,
    },
    Population {
        name: "step",
        wrong: |c, max| max * if c > 0.4 { 1.01 } else { 1.5 },
        risk: |t, max| {
            if t > 0.4 {
                max * 1.01
            } else {
                max * (0.6 * 1.01 + (0.4 - t) * 1.5) / (1.0 - t)
            }
        },
    },
    Population {
        name: "the most confident are wrong",
        wrong: |c, max| {
            if c > 0.97 {
                1.0
            } else if c > 0.5 {
                0.0
            } else {
                max * 1.2
            }
        },
        risk: |t, max| {
            let tail = (0.5 - t).max(0.0) * max * 1.2;
            ((1.0 - t).min(0.03) + tail) / (1.0 - t)
        },
    },
];

fn draw(population: &Population, max: f64, count: usize, random: &mut Sequence) -> Vec<Judgement> {
    (0..count)
        .map(|_| {
            let confidence = random.next();
            Judgement {
                confidence,
                wrong: random.next() < (population.wrong)(confidence, max),
            }
        })
        .collect()
}

#[test]
fn the_bound_is_broken_no_more_often_than_stated() {
    const RUNS: usize = 120;
    let mut random = Sequence::new(5);
    for population in &WORST {
        for max_error in [0.05, 0.02] {
            for count in [200, 500] {
                let target = Target {
                    max_error,
                    level: 0.95,
                };
                let broken = (0..RUNS)
                    .filter(|_| {
                        let cases = draw(population, max_error, count, &mut random);
                        match certify_batch(&cases, target) {
                            Evidence::Enough { threshold, .. } => {
                                (population.risk)(threshold, max_error) > max_error
                            }
                            Evidence::Missing { .. } => false,
                        }
                    })
                    .count();
                // Five in a hundred, and three standard deviations of the count.
                assert!(
                    broken <= 13,
                    "{} {max_error} {count}: {broken} of {RUNS}",
                    population.name
                );
            }
        }
    }
}

#[test]
fn looking_after_every_review_breaks_the_bound_no_more_often_than_stated() {
    const RUNS: usize = 60;
    let mut random = Sequence::new(9);
    for population in &WORST {
        let mut broken = 0;
        for _ in 0..RUNS {
            let drawn = draw(population, TARGET.max_error, 600, &mut random);
            let cases: Vec<(u16, bool)> = drawn
                .iter()
                .map(|c| ((c.confidence * 1000.0) as u16, c.wrong))
                .collect();
            let mut ladder = Ladder::default();
            let mut ever = false;
            for (confidence, wrong) in cases {
                ladder.see(confidence, wrong);
                if let Evidence::Enough { threshold, .. } = ladder.evidence(600, TARGET) {
                    let risk = (population.risk)(threshold, TARGET.max_error);
                    ever |= risk > TARGET.max_error;
                }
            }
            broken += usize::from(ever);
        }
        // Five in a hundred of sixty runs, and three standard deviations.
        assert!(broken <= 8, "{}: {broken} of {RUNS}", population.name);
    }
}

#[test]
fn a_model_that_always_claims_certainty_earns_nothing_it_does_not_deserve() {
    let mut random = Sequence::new(21);
    let lies: Vec<(u16, bool)> = (0..2_000).map(|_| (990, random.next() < 0.08)).collect();
    assert!(matches!(
        ladder(&lies).evidence(900, TARGET),
        Evidence::Missing { more: None }
    ));
    let judged: Vec<Judgement> = lies
        .iter()
        .map(|(c, wrong)| Judgement {
            confidence: f64::from(*c) / 1000.0,
            wrong: *wrong,
        })
        .collect();
    assert!(matches!(
        certify_batch(&judged, TARGET),
        Evidence::Missing { .. }
    ));
}

#[test]
fn the_ladder_walks_down_as_far_as_the_evidence_reaches() {
    // Right down to 0.7, wrong below.
    let cases: Vec<(u16, bool)> = (0..1_000).rev().map(|i| (i as u16, i < 700)).collect();
    let target = Target {
        max_error: 0.05,
        level: 0.95,
    };
    let ladder_now = ladder(&cases);
    let found = ladder_now.evidence(900, target);
    let Evidence::Enough {
        threshold,
        cases: above,
        errors,
        limit,
    } = found
    else {
        panic!("{found:?}");
    };
    assert_eq!((threshold, above, errors), (0.72, 280, 0));
    assert!(limit < 0.05);
    assert_eq!(ladder_now.reviewed(), 1_000);
    let thresholds: Vec<u16> = ladder_now.rungs().iter().map(|r| r.threshold).collect();
    assert!(thresholds.is_sorted_by(|a, b| a > b));
    let few = ladder(&cases[..10]).evidence(900, target);
    let Evidence::Missing { more: Some(more) } = few else {
        panic!("{few:?}");
    };
    assert!((60..200).contains(&more), "{more}");
}

#[test]
fn evidence_grows_with_right_answers_and_falls_with_wrong_ones() {
    assert!((evidence_against(0, 0, 0.05) - 1.0).abs() < 1e-12);
    assert!(evidence_against(0, 100, 0.05) > 20.0);
    assert!(evidence_against(1, 100, 0.05) < evidence_against(0, 99, 0.05));
    assert!(evidence_against(10, 100, 0.05) < 1.0);
    assert!(evidence_against(0, 1_000_000, 0.5).is_finite());
}

#[test]
fn reviewers_who_miss_errors_are_made_up_for() {
    let strict = TARGET.for_missed(0.2);
    assert!((strict.max_error - 0.04).abs() < 1e-12);
    assert_eq!(strict.level, TARGET.level);
    assert_eq!(TARGET.for_missed(2.0).max_error, 0.0);
    assert_eq!(
        certify_batch(&faultless(60), strict),
        Evidence::Missing { more: Some(15) }
    );
}

#[test]
fn drift_is_seen_and_a_good_rate_is_not_taken_for_it() {
    let mut random = Sequence::new(2);
    let mut delays: Vec<usize> = (0..60)
        .map(|_| {
            let mut watch = DriftWatch::new(0.02);
            for _ in 0..500 {
                watch.see(random.next() < 0.012);
            }
            (1..2_000)
                .find(|_| {
                    watch.see(random.next() < 0.08);
                    watch.level() == DriftLevel::Alarm
                })
                .unwrap_or(2_000)
        })
        .collect();
    delays.sort_unstable();
    assert!((50..130).contains(&delays[30]), "median {}", delays[30]);
    let alarms = (0..100)
        .filter(|_| {
            let mut watch = DriftWatch::new(0.02);
            (0..2_000).any(|_| {
                watch.see(random.next() < 0.01);
                watch.level() == DriftLevel::Alarm
            })
        })
        .count();
    assert!(alarms <= 3, "{alarms} false alarms in 100 runs");
}

#[test]
fn a_watch_with_an_odd_limit_stays_finite() {
    for limit in [-1.0, 0.0, 0.3, 0.9, 1.0, 5.0] {
        let mut watch = DriftWatch::new(limit);
        for i in 0..5_000 {
            watch.see(i % 2 == 0);
        }
        assert!(watch.evidence().is_finite(), "{limit}");
    }
}
