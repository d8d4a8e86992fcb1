//! Calibration and its measures.

use tl_learn::calibrate::{
    Correction, Isotonic, Judged, Platt, Scored, apply_temperature, brier, ece, fit_temperature,
    reliability,
};

use crate::random::Sequence;

/// Cases whose true probabilities are `softmax(scores / temperature)`.
fn cases(count: usize, labels: usize, temperature: f64) -> Vec<Scored> {
    let mut random = Sequence::new(7);
    (0..count)
        .map(|_| {
            let scores: Vec<f64> = (0..labels).map(|_| 8.0 * random.next()).collect();
            let mut rest = random.next();
            let mut label = 0;
            for (i, p) in apply_temperature(&scores, temperature).iter().enumerate() {
                label = i;
                rest -= p;
                if rest < 0.0 {
                    break;
                }
            }
            Scored { scores, label }
        })
        .collect()
}

fn judged(cases: &[Scored], temperature: f64) -> Vec<Judged> {
    cases
        .iter()
        .map(|case| {
            let p = apply_temperature(&case.scores, temperature);
            let best = (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
            Judged {
                confidence: p[best],
                right: best == case.label,
            }
        })
        .collect()
}

#[test]
fn the_temperature_is_found_again() {
    for truth in [0.3, 1.0, 2.5, 6.0] {
        let found = fit_temperature(&cases(4_000, 5, truth));
        assert!((found / truth - 1.0).abs() < 0.1, "{truth}: {found}");
    }
}

#[test]
fn temperature_lowers_the_calibration_error_on_other_cases() {
    let all = cases(6_000, 6, 2.5);
    let (fit, score) = all.split_at(1_000);
    let (before, after) = (judged(score, 1.0), judged(score, fit_temperature(fit)));
    assert!(
        ece(&after) < 0.03 && ece(&before) > 0.1,
        "{} {}",
        ece(&before),
        ece(&after)
    );
    assert!(brier(&after) < brier(&before));
}

#[test]
fn faultless_cases_give_confidence_that_grows_with_their_number() {
    let confidence = |count: usize| {
        let case = Scored {
            scores: vec![2.0, 0.0, 0.0],
            label: 0,
        };
        let cases = vec![case; count];
        apply_temperature(&[2.0, 0.0, 0.0], fit_temperature(&cases))[0]
    };
    // (n + 1) / (n + 2): the rule of succession.
    assert!(
        (confidence(10) - 11.0 / 12.0).abs() < 1e-3,
        "{}",
        confidence(10)
    );
    assert!((confidence(98) - 0.99).abs() < 1e-3, "{}", confidence(98));
}

#[test]
fn nothing_to_fit_leaves_scores_alone() {
    assert_eq!(fit_temperature(&[]), 1.0);
    assert!(apply_temperature(&[], 1.0).is_empty());
    assert_eq!(Isotonic::fit(&[]).apply(0.3), 0.3);
    let identity = Platt::fit(&[]);
    assert!((identity.apply(0.3) - 0.3).abs() < 1e-9);
    assert_eq!((ece(&[]), brier(&[])), (0.0, 0.0));
}

/// A model whose log-odds are twice the true ones and half a unit too high.
fn overconfident(count: usize) -> Vec<Judged> {
    let mut random = Sequence::new(3);
    (0..count)
        .map(|_| {
            let truth = 0.3 + 0.6 * random.next();
            let odds = 2.0 * (truth / (1.0 - truth)).ln() + 0.5;
            Judged {
                confidence: 1.0 / (1.0 + (-odds).exp()),
                right: random.next() < truth,
            }
        })
        .collect()
}

#[test]
fn platt_and_isotonic_lower_the_calibration_error() {
    let all = overconfident(12_000);
    let (fit, score) = all.split_at(8_000);
    let platt = Platt::fit(fit);
    let isotonic = Isotonic::fit(fit);
    let mapped = |f: &dyn Fn(f64) -> f64| -> Vec<Judged> {
        score
            .iter()
            .map(|j| Judged {
                confidence: f(j.confidence),
                ..*j
            })
            .collect()
    };
    let with_platt = mapped(&|p| platt.apply(p));
    let with_isotonic = mapped(&|p| isotonic.apply(p));
    assert!(
        (platt.slope - 0.5).abs() < 0.1 && (platt.offset + 0.25).abs() < 0.1,
        "{platt:?}"
    );
    assert!(ece(score) > 0.1, "{}", ece(score));
    assert!(ece(&with_platt) < 0.03, "{}", ece(&with_platt));
    assert!(ece(&with_isotonic) < 0.04, "{}", ece(&with_isotonic));
    assert!(brier(&with_platt) < brier(score) && brier(&with_isotonic) < brier(score));
}

#[test]
fn isotonic_pools_neighbours_that_are_out_of_order() {
    let case = |confidence: f64, right: bool| Judged { confidence, right };
    let fitted = Isotonic::fit(&[
        case(0.1, false),
        case(0.2, true),
        case(0.3, false),
        case(0.5, true),
        case(0.5, false),
        case(0.9, true),
    ]);
    let expected = [(0.1, 0.0), ((0.2 + 0.3 + 0.5 + 0.5) / 4.0, 0.5), (0.9, 1.0)];
    assert_eq!(fitted.steps.len(), expected.len(), "{:?}", fitted.steps);
    for (got, want) in fitted.steps.iter().zip(expected) {
        assert!(
            (got.0 - want.0).abs() < 1e-12 && (got.1 - want.1).abs() < 1e-12,
            "{:?}",
            fitted.steps
        );
    }
    assert_eq!((fitted.apply(0.0), fitted.apply(1.0)), (0.0, 1.0));
    let rising: Vec<f64> = (0..=100)
        .map(|i| fitted.apply(f64::from(i) / 100.0))
        .collect();
    assert!(rising.is_sorted());
}

#[test]
fn measures_by_hand() {
    let case = |confidence: f64, right: bool| Judged { confidence, right };
    let cases = [
        case(0.9, true),
        case(0.9, false),
        case(0.2, false),
        case(1.0, true),
    ];
    assert!((ece(&cases) - (2.0 * 0.4 + 0.2 + 0.0) / 4.0).abs() < 1e-12);
    assert!((brier(&cases) - (0.01 + 0.81 + 0.04) / 4.0).abs() < 1e-12);
    let table = reliability(&cases);
    assert_eq!((table[13].cases, table[13].right), (2, 0.5));
    assert_eq!((table[14].cases, table[3].cases), (1, 1));
}

#[test]
fn odd_confidences_do_no_harm() {
    let odd = [f64::NAN, -1.0, 0.0, 1.0, 2.0, f64::INFINITY].map(|confidence| Judged {
        confidence,
        right: true,
    });
    assert!(Platt::fit(&odd).apply(f64::NAN).is_finite());
    assert!(Isotonic::fit(&odd).apply(0.5).is_finite());
    assert!(ece(&odd).is_finite());
    let scores = Scored {
        scores: vec![1e300, -1e300],
        label: 1,
    };
    assert!(fit_temperature(&[scores]).is_finite());
}

#[test]
fn the_number_of_reviewed_cases_decides_what_is_fitted() {
    let all = overconfident(4_000);
    let (fit, score) = all.split_at(2_000);
    let error = |count: usize| {
        let correction = Correction::fit(&fit[..count]);
        let corrected: Vec<Judged> = score
            .iter()
            .map(|j| Judged {
                confidence: correction.apply(j.confidence),
                ..*j
            })
            .collect();
        (correction, ece(&corrected))
    };
    let (few, stated) = error(29);
    assert_eq!((few, stated), (Correction::AsStated, ece(score)));
    let (some, platt) = error(200);
    assert!(
        matches!(some, Correction::Platt(_)) && platt < 0.5 * stated,
        "{platt}"
    );
    let (many, isotonic) = error(2_000);
    assert!(
        matches!(many, Correction::Isotonic(_)) && isotonic < 0.5 * stated,
        "{isotonic}"
    );
}
