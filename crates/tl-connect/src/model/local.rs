//! The model inside: a classifier trained on the workflow's examples, recognisers for fields, and an extract as the
//! summary. A draft is the message's own text, which the kernel fills in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;
use tl_kernel::digest::{Digest, short};
use tl_kernel::program::Mode;
use tl_learn::classify::{Classifier, Example, TrainOptions};
use tokio::sync::OnceCell;

use super::parts::Parts;
use super::{ClassifySpec, FailureKind, ModelAnswer, ModelFailure, ModelRequest};

/// Trained classifiers kept. Each is some megabytes; a workflow version needs one.
const MOST_KEPT: usize = 64;

type Trained = Arc<OnceCell<Option<Arc<Classifier>>>>;

/// The model inside, with the classifiers it has trained.
#[derive(Debug, Default)]
pub struct LocalModel {
    trained: Mutex<BTreeMap<Digest, Trained>>,
}

impl LocalModel {
    /// Trains the classifier of a step ahead of its first use. `false` where its examples teach nothing: fewer than two
    /// labels with two examples each. The classifier then has no opinion, and cases go to people.
    pub async fn prepare(&self, spec: &Arc<ClassifySpec>) -> bool {
        self.classifier(spec).await.is_some()
    }

    pub(super) async fn ask(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelFailure> {
        match tokio::time::timeout(request.timeout, self.answer(request)).await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(ModelFailure {
                said: None,
                kind: FailureKind::Timeout,
                retryable: true,
                retry_after: None,
                detail: "training takes longer than the step may".into(),
            }),
        }
    }

    async fn answer(&self, request: &ModelRequest) -> ModelAnswer {
        let begun = Instant::now();
        let parts = Parts::new(request);
        let mut out = ModelAnswer {
            label: None,
            confidence: None,
            calibrated: false,
            fields: Vec::new(),
            summary: None,
            draft: None,
            reasons: Vec::new(),
            model: "local".into(),
            tokens: (0, 0),
            took: begun.elapsed(),
            repairs: 0,
            output: Vec::new(),
        };
        if request.wants(Mode::Extract) {
            out.fields = request
                .extract
                .iter()
                .filter_map(|f| parts.field(f, request))
                .collect();
            out.confidence = out
                .fields
                .iter()
                .map(|f| f.confidence)
                .min_by(f64::total_cmp);
        }
        if let Some(spec) = request
            .classify
            .as_ref()
            .filter(|_| request.wants(Mode::Classify))
        {
            out.confidence = None;
            if let Some(classifier) = self.classifier(spec).await {
                let prediction = classifier.predict(parts.newest());
                out.model = format!("local-{}", short(spec.digest()));
                out.label = Some(prediction.label);
                out.confidence = Some(prediction.confidence);
                out.calibrated = true;
                out.reasons = prediction.top_features;
            }
        }
        if let Some(longest) = request.summarize.filter(|_| request.wants(Mode::Summarize)) {
            out.summary = summary(parts.newest(), longest as usize);
        }
        let fields: Vec<_> = out
            .fields
            .iter()
            .map(|f| (&f.name, &f.value, f.confidence))
            .collect();
        let said = json!([out.label, out.confidence, fields, out.summary]);
        out.output = said.to_string().into_bytes();
        out.took = begun.elapsed();
        out
    }

    /// The classifier for a set of examples, trained at most once while it is kept.
    async fn classifier(&self, spec: &Arc<ClassifySpec>) -> Option<Arc<Classifier>> {
        let cell = {
            let mut trained = self.trained.lock().unwrap_or_else(PoisonError::into_inner);
            if trained.len() >= MOST_KEPT && !trained.contains_key(spec.digest()) {
                trained.clear();
            }
            trained.entry(*spec.digest()).or_default().clone()
        };
        let train = || async {
            let spec = spec.clone();
            let trained =
                tokio::task::spawn_blocking(move || train(&spec.labels, &spec.examples)).await;
            trained.ok().flatten().map(Arc::new)
        };
        cell.get_or_init(train).await.clone()
    }
}

/// Labels the examples do not teach are left to people.
fn train(labels: &[String], examples: &[(String, String)]) -> Option<Classifier> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, label) in examples.iter().filter(|(_, l)| labels.contains(l)) {
        *count.entry(label).or_default() += 1;
    }
    let taught = |label: &str| count.get(label).is_some_and(|n| *n >= 2);
    let examples: Vec<Example> = examples
        .iter()
        .filter(|(text, label)| taught(label) && text.chars().any(char::is_alphanumeric))
        .map(|(text, label)| Example {
            text: text.clone(),
            label: label.clone(),
        })
        .collect();
    Classifier::train(&examples, &TrainOptions::default()).ok()
}

/// The first sentences that fit; a single sentence that does not is cut at a word.
fn summary(text: &str, longest: usize) -> Option<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || longest == 0 {
        return None;
    }
    let mut kept = 0;
    let mut chars = 0;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        let ends = c == ' ' && matches!(previous, '.' | '!' | '?');
        if ends && chars <= longest {
            kept = at;
        }
        chars += 1;
        previous = c;
    }
    if chars <= longest {
        return Some(text);
    }
    if kept > 0 {
        return Some(text[..kept].to_owned());
    }
    let cut: String = text.chars().take(longest.saturating_sub(1)).collect();
    let cut = cut.rsplit_once(' ').map_or(cut.as_str(), |(head, _)| head);
    Some(format!("{cut}…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_whole_sentences_within_the_length() {
        let table = [
            ("One. Two. Three.", 100, Some("One. Two. Three.")),
            ("One. Two. Three.", 9, Some("One. Two.")),
            ("One. Two. Three.", 8, Some("One.")),
            ("One\n\n  two.", 9, Some("One two.")),
            ("Averylongword and more", 10, Some("Averylong…")),
            ("some words that go on", 12, Some("some words…")),
            ("äöü äöü äöü", 8, Some("äöü…")),
            ("  \n ", 10, None),
            ("text", 0, None),
        ];
        for (text, longest, expected) in table {
            let found = summary(text, longest);
            assert_eq!(found.as_deref(), expected, "{text:?} in {longest}");
            assert!(found.is_none_or(|s| s.chars().count() <= longest));
        }
    }
}
