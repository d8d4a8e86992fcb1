//! `eval`: how well a workflow's classifier does on messages whose label is known, and whether another version of it
//! does better. Nothing is stored and nothing is sent.

mod data;
mod page;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tl_connect::client::{Client, Options};
use tl_connect::model::{ClassifySpec, LocalModel, ModelConnection, ModelRequest, Sender};
use tl_kernel::program::{Classify, Mode, Program};
use tl_kernel::value::Type;
use tl_learn::eval::{Answer, Coverage, Paired, Report, Share, compare, report};

use super::Shell;
use crate::checked::check;
use crate::cli::Eval;
use crate::failure::Failure;
use crate::page::Page;
use crate::project::find;
use crate::text::count;

/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Mistakes that are printed.
const MISTAKES: usize = 12;
/// Labels that are printed; all are in the JSON and in the report.
const LABELS: usize = 40;

/// One version's classifier.
struct Version {
    name: String,
    labels: Vec<String>,
    examples: Vec<(String, String)>,
    spec: Arc<ClassifySpec>,
}

/// What a version did with the messages.
struct Judged {
    name: String,
    answers: Vec<Answer>,
    report: Report,
    trained: Duration,
    /// Time of one message, ascending.
    times: Vec<Duration>,
}

/// Everything that is reported.
struct Outcome {
    workflow: String,
    /// Messages that were left out because they stand among the examples.
    known: usize,
    version: Judged,
    against: Option<(Judged, Paired)>,
}

/// Judges.
pub fn run(shell: &Shell, args: &Eval) -> Result<(), Failure> {
    let version = load(&shell.dir, &args.workflow)?;
    let other = match &args.against {
        Some(dir) => Some(load(dir, &args.workflow)?),
        None => None,
    };
    let cases = data::read(&args.data)?;
    if let Some(case) = cases.iter().find(|c| !version.labels.contains(&c.label)) {
        return Err(Failure::refused(format!(
            "{} line {}: the label `{}` is none of the values of the field; they are {}",
            args.data.display(),
            case.line,
            case.label,
            version.labels.join(", ")
        )));
    }
    let taught: BTreeSet<&str> = std::iter::once(&version)
        .chain(&other)
        .flat_map(|v| v.examples.iter().map(|(text, _)| text.trim()))
        .collect();
    let total = cases.len();
    let cases: Vec<_> = cases
        .iter()
        .filter(|c| !taught.contains(c.text.trim()))
        .collect();
    if cases.is_empty() {
        return Err(Failure::refused(format!(
            "{} has no message that is not among the examples already; give messages that the model has not learnt from",
            args.data.display()
        )));
    }
    let judge = |version: &Version| shell.runtime.block_on(judged(version, &cases));
    let first = judge(&version)?;
    let against = match &other {
        Some(other) => {
            let other = judge(other)?;
            let paired = compare(&other.answers, &first.answers);
            Some((other, paired))
        }
        None => None,
    };
    let outcome = Outcome {
        workflow: args.workflow.clone(),
        known: total - cases.len(),
        version: first,
        against,
    };
    if let Some(path) = &args.html {
        std::fs::write(path, page::html(&outcome))
            .map_err(|e| Failure::unreachable(format!("cannot write {}: {e}", path.display())))?;
    }
    if shell.json {
        let text = serde_json::to_string_pretty(&as_json(&outcome)).unwrap_or_default();
        println!("{text}");
    } else {
        print!("{}", Page::of_stdout().fit(&as_text(&outcome)));
        if let Some(path) = &args.html {
            println!("\nreport: {}", path.display());
        }
    }
    Ok(())
}

/// The classifier of a workflow in a directory.
fn load(dir: &Path, workflow: &str) -> Result<Version, Failure> {
    let target = find(dir)?;
    if !target.workflows.iter().any(|w| w == workflow) {
        return Err(Failure::not_found(format!(
            "there is no workflow `{workflow}` in {}; there are {}",
            dir.display(),
            target.workflows.join(", ")
        )));
    }
    let checked = check(&target.project, workflow);
    let Some(program) = &checked.program else {
        eprint!("{}", checked.findings(&target.project, false));
        return Err(Failure::refused(format!(
            "`{workflow}` in {} does not load",
            dir.display()
        )));
    };
    let (classify, labels) = classifier(program).ok_or_else(|| {
        Failure::refused(format!(
            "`{workflow}` has no classifier inside: its AI step does not classify with `model: local`"
        ))
    })?;
    let prompt = classify.prompt_text.clone().unwrap_or_default();
    let examples = classify.examples.clone();
    let spec = ClassifySpec::new(&*classify.field, labels.clone(), prompt, examples.clone());
    Ok(Version {
        name: format!("{} ({})", program.version, dir.display()),
        labels,
        examples,
        spec: Arc::new(spec),
    })
}

fn classifier(program: &Program) -> Option<(&Classify, Vec<String>)> {
    let ai = program.ai.as_ref()?;
    let classify = ai.classify.as_ref().filter(|_| ai.model == "local")?;
    match &program.record.field(&classify.field)?.ty {
        Type::Enum(values) => Some((classify, values.clone())),
        _ => None,
    }
}

/// Asks about every message, the way a case does.
async fn judged(version: &Version, cases: &[&data::Case]) -> Result<Judged, Failure> {
    let client =
        Client::new(&Options::default()).map_err(|e| Failure::unreachable(e.to_string()))?;
    let local = LocalModel::default();
    let begun = Instant::now();
    local.prepare(&version.spec).await;
    let trained = begun.elapsed();
    let model = ModelConnection::Local(local);
    let mut answers = Vec::with_capacity(cases.len());
    let mut times = Vec::with_capacity(cases.len());
    for case in cases {
        let request = ModelRequest {
            text: case.text.clone(),
            modes: BTreeSet::from([Mode::Classify]),
            classify: Some(version.spec.clone()),
            extract: Vec::new(),
            draft: None,
            summarize: None,
            sender: Sender::default(),
            country: None,
            now: 0,
            timeout: PATIENCE,
            correlation_id: String::new(),
            trace: None,
        };
        let begun = Instant::now();
        let answer = model.ask(&client, &request).await;
        times.push(begun.elapsed());
        let answer =
            answer.map_err(|e| Failure::refused(format!("line {}: {}", case.line, e.detail)))?;
        answers.push(Answer {
            truth: case.label.clone(),
            said: answer.label,
            confidence: answer.confidence.unwrap_or(0.0),
        });
    }
    times.sort_unstable();
    Ok(Judged {
        name: version.name.clone(),
        report: report(&answers),
        answers,
        trained,
        times,
    })
}

impl Judged {
    /// The time that this share of the messages took no longer than.
    fn time(&self, share: f64) -> Duration {
        let at = ((self.times.len() as f64 * share).ceil() as usize).max(1) - 1;
        self.times.get(at).copied().unwrap_or_default()
    }
}

fn as_json(outcome: &Outcome) -> serde_json::Value {
    let one = |judged: &Judged| {
        json!({
            "version": judged.name,
            "report": judged.report,
            "trained_ms": judged.trained.as_secs_f64() * 1e3,
            "message_ms": { "p50": judged.time(0.5).as_secs_f64() * 1e3, "p99": judged.time(0.99).as_secs_f64() * 1e3 },
        })
    };
    json!({
        "workflow": outcome.workflow,
        "left_out_as_known": outcome.known,
        "result": one(&outcome.version),
        "against": outcome.against.as_ref().map(|(other, _)| one(other)),
        "comparison": outcome.against.as_ref().map(|(_, paired)| paired),
    })
}

fn as_text(outcome: &Outcome) -> String {
    let mut out = String::new();
    text_of(&mut out, outcome);
    if let Some((other, paired)) = &outcome.against {
        let _ = writeln!(out, "\nagainst version {}", other.name);
        for line in summary(other) {
            let _ = writeln!(out, "  {line}");
        }
        let _ = writeln!(out, "  {}", comparison(paired));
    }
    out
}

fn text_of(out: &mut String, outcome: &Outcome) {
    let judged = &outcome.version;
    let cases = count(judged.report.cases as u64, "message");
    let known = match outcome.known {
        0 => String::new(),
        n => format!(", {n} more left out: they stand among the examples"),
    };
    let _ = writeln!(
        out,
        "{} version {}: {cases}{known}",
        outcome.workflow, judged.name
    );
    for line in summary(judged) {
        let _ = writeln!(out, "  {line}");
    }
    out.push_str("\nwhat could go through unattended\n");
    for row in &judged.report.coverage {
        let _ = writeln!(out, "  {}", coverage(row));
    }
    let page = Page::of_stdout();
    let rows: Vec<Vec<String>> = judged
        .report
        .labels
        .iter()
        .take(LABELS)
        .map(|l| {
            let shares = [l.precision, l.recall, l.f1].map(|x| format!("{x:.3}"));
            let counts = [l.cases, l.said, l.right].map(|n| n.to_string());
            [vec![l.label.clone()], counts.to_vec(), shares.to_vec()].concat()
        })
        .collect();
    let head = [
        "label",
        "messages",
        "said",
        "right",
        "precision",
        "recall",
        "F1",
    ];
    let _ = write!(out, "\n{}", page.table(&head, &rows, "no labels"));
    if !judged.report.confusions.is_empty() {
        out.push_str("\nmost frequent mistakes\n");
    }
    for c in judged.report.confusions.iter().take(MISTAKES) {
        let said = if c.said.is_empty() {
            "no opinion"
        } else {
            &c.said
        };
        let _ = writeln!(out, "  {} taken for {said}: {}", c.truth, c.cases);
    }
}

/// The figures of a version, a line each.
fn summary(judged: &Judged) -> Vec<String> {
    let report = &judged.report;
    let mut out = vec![
        format!("right          {}", share(report.accuracy)),
        format!("macro F1       {:.3}", report.macro_f1),
        format!(
            "calibration    ECE {:.3}, Brier {:.3} over {}",
            report.ece,
            report.brier,
            count((report.cases - report.silent) as u64, "opinion")
        ),
        format!(
            "time           trained in {:.2} s; a message {:.2} ms (p50), {:.2} ms (p99)",
            judged.trained.as_secs_f64(),
            judged.time(0.5).as_secs_f64() * 1e3,
            judged.time(0.99).as_secs_f64() * 1e3
        ),
    ];
    if report.silent > 0 {
        out.push(format!(
            "no opinion     {}",
            count(report.silent as u64, "message")
        ));
    }
    out
}

fn share(share: Share) -> String {
    format!(
        "{:.1} % (95 %: {:.1} to {:.1})",
        100.0 * share.value,
        100.0 * share.low,
        100.0 * share.high
    )
}

/// One row of what could go through.
fn coverage(row: &Coverage) -> String {
    let rate = 100.0 * row.max_error;
    let wished = share(row.wished);
    let promise = match (row.threshold, row.error_limit, row.more_cases) {
        (Some(threshold), Some(limit), _) => format!(
            "promised at 95 %: threshold {threshold:.3} lets through {}, errors at most {:.1} %",
            share(row.certified),
            100.0 * limit
        ),
        (_, _, Some(more)) => format!("not enough evidence: {more} more messages"),
        _ => "too many errors for any number of messages".into(),
    };
    format!("at {rate} % errors: at best {wished}; {promise}")
}

fn comparison(paired: &Paired) -> String {
    let verdict = match paired {
        p if p.p_value >= 0.05 => "no difference is shown",
        p if p.difference > 0.0 => "this version is better",
        _ => "the other version is better",
    };
    format!(
        "difference     {:+.1} points (95 %: {:+.1} to {:+.1}); only this one right {}, only the other {}; p {:.4}: {verdict}",
        100.0 * paired.difference,
        100.0 * paired.interval.0,
        100.0 * paired.interval.1,
        paired.only_second,
        paired.only_first,
        paired.p_value
    )
}
