//! The text classifier.

use tl_learn::classify::{Classifier, Example, TrainError, TrainOptions};

/// Openings, per label cores, and endings, mixed into as many different texts as are asked for.
const OPENINGS: [&str; 6] = [
    "Hello,",
    "Dear team,",
    "Hi there,",
    "Good morning,",
    "To whom it may concern,",
    "",
];
const ENDINGS: [&str; 5] = [
    "Please reply soon.",
    "Thanks for your help!",
    "We are a customer since 2019.",
    "Order 48213.",
    "",
];
const CORES: [(&str, [&str; 6]); 4] = [
    (
        "refund",
        [
            "I want my money back for the broken chair.",
            "please refund the amount you charged twice",
            "the invoice was paid two times, return the payment",
            "send the money for the cancelled order back to my card",
            "you charged me wrongly, I expect a refund",
            "when will the reimbursement arrive on my account?",
        ],
    ),
    (
        "outage",
        [
            "the portal is down since this morning",
            "nobody can log in, the server gives error 500",
            "your website does not load for any of our users",
            "the whole system is unreachable and we lose orders",
            "all API calls time out since an hour",
            "the service crashed again and does not come back",
        ],
    ),
    (
        "question",
        [
            "how do I change the language of my profile?",
            "is there a way to export the list to a spreadsheet?",
            "where can I find the manual for the scanner?",
            "which plan includes single sign-on?",
            "can I add a second user to our account?",
            "what are your opening hours on Saturday?",
        ],
    ),
    (
        "legal",
        [
            "our lawyer will contact you about the breach of contract",
            "delete all personal data you hold about me under the regulation",
            "we terminate the contract with notice to the end of the quarter",
            "send me the signed data processing agreement",
            "this is a formal complaint and we reserve legal action",
            "you violate our trademark, cease and desist",
        ],
    ),
];

fn corpus(count: usize) -> Vec<Example> {
    (0..count)
        .map(|i| {
            let (label, cores) = &CORES[i % CORES.len()];
            let core = cores[(i / 4) % cores.len()];
            let (opening, ending) = (OPENINGS[(i / 24) % 6], ENDINGS[(i / 3) % 5]);
            Example {
                text: format!("{opening} {core} {ending} {i}"),
                label: (*label).to_owned(),
            }
        })
        .collect()
}

fn model() -> Classifier {
    Classifier::train(&corpus(96), &TrainOptions::default()).unwrap()
}

#[test]
fn unseen_texts_get_the_right_label_with_some_confidence() {
    let rows = [
        ("My card was charged twice, I would like a refund", "refund"),
        ("server error, website down for all users", "outage"),
        ("How can I export my profile?", "question"),
        ("Our lawyer says this is a breach of the agreement", "legal"),
    ];
    let model = model();
    for (text, label) in rows {
        let said = model.predict(text);
        assert_eq!(said.label, label, "{text}: {:?}", said.scores);
        assert!(said.confidence > 0.5, "{text}: {}", said.confidence);
        assert_eq!(said.scores[0], (said.label.clone(), said.confidence));
        let total: f64 = said.scores.iter().map(|s| s.1).sum();
        assert!((total - 1.0).abs() < 1e-12);
        assert!(
            said.scores
                .is_sorted_by(|a, b| a.1 > b.1 || a.1 == b.1 && a.0 < b.0)
        );
    }
}

#[test]
fn the_words_that_decided_are_named_as_they_stand_in_the_text() {
    let said = model().predict("Hello, please REFUND the broken chair");
    assert!(said.top_features.len() <= 8);
    let (word, part) = &said.top_features[0];
    assert_eq!(
        (word.as_str(), *part > 0.0),
        ("refund", true),
        "{:?}",
        said.top_features
    );
}

#[test]
fn a_text_of_which_nothing_is_known_is_undecided() {
    let model = model();
    for text in ["", "   ", "漢字漢字", "\0\u{1}\u{2}", "🦀🦀", "ŧŧŧ ŋŋŋ"] {
        let said = model.predict(text);
        assert!(said.confidence <= 0.25, "{text:?}: {}", said.confidence);
        assert_eq!(
            said.label, "legal",
            "the first of equals in alphabetical order"
        );
        assert!(said.top_features.is_empty());
    }
    // The more of a text is foreign, the less sure the answer.
    let known = model.predict("please refund the payment").confidence;
    let mixed = model
        .predict("please refund the ŧŧŧŧŧ ŋŋŋŋŋŋ đđđđđđ ħħħħħħħ")
        .confidence;
    assert!(mixed < known, "{mixed} {known}");
}

#[test]
fn training_twice_gives_the_same_bytes() {
    let bytes = model().to_bytes();
    assert_eq!(bytes, model().to_bytes());
    let other = TrainOptions {
        strength: 5.0,
        ..TrainOptions::default()
    };
    assert_ne!(
        bytes,
        Classifier::train(&corpus(96), &other).unwrap().to_bytes()
    );
}

#[test]
fn a_model_survives_its_bytes_and_damage_is_refused() {
    let model = model();
    let bytes = model.to_bytes();
    assert_eq!(Classifier::from_bytes(&bytes).unwrap(), model);
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Classifier::from_bytes(&longer).is_err());
    for cut in (0..bytes.len()).step_by(997).chain([0, 1, 30, 60]) {
        assert!(
            Classifier::from_bytes(&bytes[..cut]).is_err(),
            "cut at {cut}"
        );
    }
    for at in 0..60 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        // Whatever is accepted must at least work.
        if let Ok(model) = Classifier::from_bytes(&damaged) {
            model.predict("please refund");
        }
    }
}

#[test]
fn the_order_of_examples_hardly_matters() {
    let mut backwards = corpus(96);
    backwards.reverse();
    let (a, b) = (
        model(),
        Classifier::train(&backwards, &TrainOptions::default()).unwrap(),
    );
    for example in corpus(40) {
        let (a, b) = (a.predict(&example.text), b.predict(&example.text));
        assert_eq!(a.label, b.label);
        assert!(
            (a.confidence - b.confidence).abs() < 0.1,
            "{} {}",
            a.confidence,
            b.confidence
        );
    }
}

#[test]
fn held_back_examples_are_reported() {
    let held = model().held_back();
    assert_eq!(held.examples, 96);
    assert!(held.accuracy > 0.9, "{held:?}");
    assert!(held.ece_after < held.ece_before, "{held:?}");
}

#[test]
fn few_faultless_examples_do_not_make_the_model_certain() {
    let model = Classifier::train(&corpus(16), &TrainOptions::default()).unwrap();
    // Wording that is not among the sixteen.
    let said = model.predict(&corpus(24)[20].text);
    assert!(said.confidence < 0.97, "{}", said.confidence);
}

#[test]
fn label_names_help_where_examples_are_few() {
    let text = "outage outage";
    let score = |label_names: bool| {
        let options = TrainOptions {
            label_names,
            ..TrainOptions::default()
        };
        let model = Classifier::train(&corpus(16), &options).unwrap();
        model
            .predict(text)
            .scores
            .iter()
            .find(|s| s.0 == "outage")
            .unwrap()
            .1
    };
    assert!(score(true) > score(false));
}

#[test]
fn examples_that_cannot_be_learnt_from_are_refused() {
    let example = |text: &str, label: &str| Example {
        text: text.into(),
        label: label.into(),
    };
    let two = |label: &str| vec![example("first text", label), example("second text", label)];
    let with = |extra: Example| {
        let mut all = [two("a"), two("b")].concat();
        all.push(extra);
        all
    };
    let too_few = |label: &str| TrainError::TooFewExamples {
        label: label.into(),
    };
    let rows: Vec<(Vec<Example>, TrainError)> = vec![
        (vec![], TrainError::TooFewLabels(0)),
        (two("a"), TrainError::TooFewLabels(1)),
        (with(example("third", "c")), too_few("c")),
        (with(example(" ., ", "a")), TrainError::EmptyText(4)),
        (with(example("text", " ")), TrainError::EmptyLabel(4)),
    ];
    for (examples, expected) in rows {
        let error = Classifier::train(&examples, &TrainOptions::default()).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn contradicting_and_repeated_examples_are_learnt_without_certainty() {
    let examples: Vec<Example> = (0..40)
        .map(|i| Example {
            text: "the very same text".into(),
            label: ["yes", "no"][i % 2].into(),
        })
        .collect();
    let model = Classifier::train(&examples, &TrainOptions::default()).unwrap();
    let said = model.predict("the very same text");
    assert!(said.confidence < 0.6, "{}", said.confidence);
}

#[test]
fn a_text_about_something_else_is_strange_and_one_like_the_examples_is_not() {
    let model = model();
    for example in corpus(40) {
        assert!(!model.predict(&example.text).strange, "{}", example.text);
    }
    for text in [
        "",
        "\u{1f980}",
        "xylophones zigzag quickly",
        "grillt man Fisch am Strand?",
    ] {
        let said = model.predict(text);
        assert!(
            said.strange,
            "{text}: {} {}",
            said.familiarity,
            model.least_familiar()
        );
    }
}

#[test]
fn words_that_no_example_has_are_known_by_their_meaning() {
    let options = TrainOptions {
        meaning: Some(0.0),
        ..TrainOptions::default()
    };
    let without = Classifier::train(&corpus(96), &options).unwrap();
    let with = TrainOptions {
        meaning: Some(1.5),
        ..TrainOptions::default()
    };
    let with = Classifier::train(&corpus(96), &with).unwrap();
    for (text, label) in [
        ("attorney", "legal"),
        ("give me the cash", "refund"),
        ("the network is offline", "outage"),
    ] {
        assert_eq!(with.predict(text).label, label, "{text}");
        let gain = |model: &Classifier| {
            let said = model.predict(text);
            said.scores.iter().find(|s| s.0 == label).unwrap().1
        };
        assert!(gain(&with) > gain(&without), "{text}");
    }
    let (word, part) = &with.predict("our attorney waits").top_features[0];
    assert_eq!((word.as_str(), *part > 0.0), ("attorney", true));
}
