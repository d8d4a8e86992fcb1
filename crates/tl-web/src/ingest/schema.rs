//! Step 7, second half: the declared shape. The answer names every field that fails and what was expected;
//! it never repeats a value.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value as Json;
use tl_kernel::id::TenantId;
use tl_kernel::payload::to_json;
use tl_kernel::value::Value;

use super::Found;
use crate::limits::{MAX_FIELD_PROBLEMS, MAX_PATTERN, MAX_POINTER, MAX_SCHEMAS};
use crate::problem::{FieldProblem, Problem, SCHEMA, UNWRITABLE};
use crate::state::Web;

/// Compiled schemas by tenant, door and number of the definition.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    compiled: Mutex<BTreeMap<(TenantId, String, u32), Arc<Validator>>>,
}

impl Schemas {
    fn get(&self, found: &Found, text: &str) -> Result<Arc<Validator>, String> {
        let key = (found.view.id, found.name.clone(), found.door().definition);
        let lock = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        // Compiled outside the lock; two requests may do it at once after a deployment, which costs little.
        let validator = Arc::new(compile(text)?);
        let mut all = lock();
        all.retain(|(tenant, door, _), _| (*tenant, door) != (key.0, &key.1));
        if all.len() >= MAX_SCHEMAS {
            all.pop_first();
        }
        all.insert(key, Arc::clone(&validator));
        Ok(validator)
    }
}

/// Patterns take time in proportion to the text, never more; nothing outside the document is read.
pub(super) fn compile(text: &str) -> Result<Validator, String> {
    let schema: Json = serde_json::from_str(text).map_err(|e| e.to_string())?;
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN))
        .should_validate_formats(true)
        .offline()
        .build(&schema)
        .map_err(|e| e.to_string())
}

/// Checks a body against the schema of its door.
pub(crate) fn check(web: &Web, found: &Found, body: &Value) -> Result<(), Problem> {
    let Some(schema) = &found.endpoint().schema else {
        return Ok(());
    };
    let validator = web.schemas.get(found, &schema.json).map_err(|why| {
        let error = web.error_id();
        tracing::error!(
            error,
            door = found.name,
            "the schema does not compile: {why}"
        );
        Problem::internal(error)
    })?;
    let problems = against(&validator, body).map_err(|_| {
        let error = web.error_id();
        tracing::error!(error, "a parsed body could not be written as JSON");
        Problem::internal(error).class(UNWRITABLE)
    })?;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(shape(problems))
    }
}

/// The fields of a body that fail.
pub(super) fn against(
    validator: &Validator,
    body: &Value,
) -> Result<Vec<FieldProblem>, serde_json::Error> {
    let instance: Json = serde_json::from_str(&to_json(body))?;
    Ok(problems(validator, &instance))
}

/// 422 with the fields that fail: all of them, unless there are so many that nobody would read them.
pub(crate) fn shape(mut problems: Vec<FieldProblem>) -> Problem {
    problems.truncate(MAX_FIELD_PROBLEMS);
    for problem in &mut problems {
        cut(&mut problem.pointer);
    }
    Problem::new(
        SCHEMA,
        "The body has not the declared shape; `errors` names each field that fails.",
    )
    .with_errors(problems)
}

fn problems(validator: &Validator, instance: &Json) -> Vec<FieldProblem> {
    let mut out = Vec::new();
    for error in validator.iter_errors(instance) {
        describe(&error, &mut out);
        if out.len() >= MAX_FIELD_PROBLEMS {
            break;
        }
    }
    out.sort_by(|a, b| (&a.pointer, &a.expected).cmp(&(&b.pointer, &b.expected)));
    out.dedup();
    out
}

fn describe(error: &ValidationError<'_>, out: &mut Vec<FieldProblem>) {
    let at = error.instance_path().to_string();
    let mut push = |pointer: String, expected: String| out.push(FieldProblem { pointer, expected });
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            push(child(&at, name), "is required".into());
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected {
                push(child(&at, name), "is not declared".into());
            }
        }
        ValidationErrorKind::PropertyNames { .. } => push(at, "has a name of another form".into()),
        kind => push(at, expected(kind)),
    }
}

/// What was expected: words of the schema only, nothing of the body.
fn expected(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as K;
    match kind {
        K::Type {
            kind: TypeKind::Single(one),
        } => format!("must be of type {one}"),
        K::Type {
            kind: TypeKind::Multiple(several),
        } => {
            let names: Vec<String> = several.iter().map(|t| t.to_string()).collect();
            format!("must be of type {}", names.join(" or "))
        }
        K::Enum { options } => format!("must be one of {options}"),
        K::Constant { expected_value } => format!("must be {expected_value}"),
        K::Format { format } => format!("must have the form {format}"),
        K::Pattern { pattern } => format!("must match {pattern}"),
        K::MinLength { limit } => format!("must have at least {limit} characters"),
        K::MaxLength { limit } => format!("must have at most {limit} characters"),
        K::Minimum { limit } => format!("must be at least {limit}"),
        K::Maximum { limit } => format!("must be at most {limit}"),
        K::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        K::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        K::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        K::MinItems { limit } => format!("must have at least {limit} items"),
        K::MaxItems { limit } => format!("must have at most {limit} items"),
        K::AdditionalItems { limit } => format!("must have at most {limit} items"),
        K::MinProperties { limit } => format!("must have at least {limit} members"),
        K::MaxProperties { limit } => format!("must have at most {limit} members"),
        K::UniqueItems => "must have items that all differ".into(),
        K::FalseSchema => "is not allowed".into(),
        other => format!("does not satisfy `{}`", other.keyword()),
    }
}

/// The pointer of a member.
pub(crate) fn child(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A pointer holds member names, which the sender chooses: long ones are cut.
fn cut(pointer: &mut String) {
    if pointer.len() > MAX_POINTER {
        pointer.truncate(pointer.floor_char_boundary(MAX_POINTER));
        pointer.push('…');
    }
}
