//! Values to try in a real message, answer or correction: those under which the model finds that a branch is taken
//! or a rule applies, whole, and then combinations of single ones.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::case::Case;
use tl_kernel::expr::{Expr, Node};
use tl_kernel::program::{ActionKind, Endpoint, FieldFrom, Program};
use tl_kernel::value::{Type, Value};

use super::Given;
use super::formula;
use super::search::Witness;
use super::space::{Name, OTHER, Space, literals, required};
use super::verdict::needed;
use super::words::{MINDS, Words, conditions};

/// Combinations of values that are tried for one message or one answer.
const MAX_COMBINED: usize = 192;
/// Sets of values that are tried as a whole.
const MAX_SETS: usize = 48;

/// The longest text that is made up.
const MAX_LENGTH: i64 = 2_000;

/// Dotted names and what they are; `None` is absent.
pub(super) type Set = BTreeMap<String, Option<Value>>;

/// What a name may be set to, the likeliest value first.
struct Choice {
    name: String,
    values: Vec<Option<Value>>,
}

/// The values that are worth trying for one way through one program.
pub(super) struct Choices<'p> {
    program: &'p Program,
    space: &'p Space,
    /// Values that go together, those that the steps of the way name first.
    pub(super) sets: Vec<Set>,
    /// Names that anything reads.
    read: BTreeSet<String>,
}

impl<'p> Choices<'p> {
    pub(super) fn new(words: &'p Words<'p>, way: &[Given]) -> Choices<'p> {
        let mut sets: Vec<Set> = Vec::new();
        let mut add = |set: Set| {
            if !set.is_empty() && sets.len() < MAX_SETS && !sets.contains(&set) {
                sets.push(set);
            }
        };
        let mut all = Set::new();
        let steps: Vec<Set> = way.iter().map(|g| set(&words.space, &g.witness)).collect();
        for (name, value) in steps.iter().flatten() {
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        add(all);
        steps.into_iter().rev().for_each(&mut add);
        for choice in words.all() {
            let fates = choice.fates.iter();
            fates.for_each(|(_, witness)| add(set(&words.space, witness)));
        }
        for mind in MINDS {
            for when in &words.rules {
                for holds in [false, true] {
                    let witness = words.ask(mind, vec![(when, holds)], &[]);
                    add(set(&words.space, &witness.unwrap_or_default()));
                }
            }
        }
        let read = reads(words.program);
        Choices {
            program: words.program,
            space: &words.space,
            sets,
            read,
        }
    }

    /// Messages through a door.
    pub(super) fn messages(&self, door: &Endpoint) -> Vec<Value> {
        let needed = required(self.program);
        let (mut places, mut choices) = (BTreeMap::new(), Vec::new());
        for (field, expr) in &door.map {
            let Node::Path { names, .. } = &expr.root else {
                continue;
            };
            let ty = self.program.record.field(field).map(|f| &f.ty);
            let name = format!("record.{field}");
            let mut values: Vec<_> = ty.map(|t| Some(plausible(t))).into_iter().collect();
            if self.read.contains(&name) || needed.contains(field) {
                values.extend(self.tried(&name).into_iter().map(|v| fitting(v, ty)));
                values.push(None);
            }
            places.insert(name.clone(), (names[1..].to_vec(), ty));
            choices.push(Choice { name, values });
        }
        for var in &self.space.vars {
            let Name::Path(names) = &var.name else {
                continue;
            };
            if names[0] == "event" && names.len() > 1 {
                let (name, values) = (names.join("."), var.values.clone());
                places.insert(name.clone(), (names[1..].to_vec(), None));
                choices.push(Choice { name, values });
            }
        }
        let message = |set: &Set| {
            let mut root = BTreeMap::new();
            for (name, value) in set {
                if let Some((path, ty)) = places.get(name) {
                    put(&mut root, path, fitting(value.clone(), *ty));
                }
            }
            Value::Record(root)
        };
        self.whole(choices).iter().map(message).collect()
    }

    /// What a model may answer: values of its fields, and its confidence.
    pub(super) fn answers(&self) -> Vec<Set> {
        let fields = self.program.record.fields.iter();
        let mut choices: Vec<Choice> = fields
            .filter(|f| f.from == FieldFrom::Ai)
            .map(|f| {
                let name = format!("record.{}", f.name);
                let mut values = vec![Some(plausible(&f.ty))];
                if self.read.contains(&name) {
                    values.extend(self.tried(&name));
                    values.push(None);
                }
                Choice { name, values }
            })
            .collect();
        let name = "confidence".to_owned();
        let share = |x| Some(Value::Float(x));
        let mut values = vec![share(1.0), share(0.0), None];
        values.extend(self.tried(&name));
        choices.push(Choice { name, values });
        self.whole(choices)
    }

    /// What a person may correct in a record.
    pub(super) fn edits(&self, case: &Case) -> Vec<Vec<(String, Value)>> {
        let field = |name: &str| self.program.record.field(name.strip_prefix("record.")?);
        let differs = |name: &str, value: &Value| {
            let old = case.record.get(name).map(|f| &f.value);
            old.is_none_or(|old| old != value)
        };
        let edit = |set: &Set| -> BTreeMap<String, Value> {
            let fields = set.iter().filter_map(|(name, value)| {
                let def = field(name)?;
                let value = fitting(value.clone(), Some(&def.ty))?;
                Some((def.name.clone(), value)).filter(|(n, v)| differs(n, v))
            });
            fields.collect()
        };
        // What is absent and matters, and an address that a person vouches for.
        let mut filled = BTreeMap::new();
        for f in &self.program.record.fields {
            let name = format!("record.{}", f.name);
            let absent = case.record.get(&f.name).is_none_or(|f| f.value.is_blank());
            if absent && (f.required || self.read.contains(&name)) {
                filled.insert(f.name.clone(), plausible(&f.ty));
            }
        }
        let mut vouched = filled.clone();
        for name in self.addresses() {
            let ty = self.program.record.field(&name).map(|f| &f.ty);
            let value = match ty {
                Some(Type::Email) => "eve@example.com",
                Some(Type::Phone) => "+4930901830",
                _ => continue,
            };
            if differs(&name, &Value::text(value)) {
                vouched.insert(name, Value::text(value));
            }
        }
        let mut out: Vec<BTreeMap<String, Value>> = Vec::new();
        let none = [Set::new()];
        for set in self.sets.iter().chain(&none) {
            for more in [BTreeMap::new(), filled.clone(), vouched.clone()] {
                let mut all = more;
                all.extend(edit(set));
                if !all.is_empty() && !out.contains(&all) {
                    out.push(all);
                }
            }
        }
        out.into_iter().map(|e| e.into_iter().collect()).collect()
    }

    /// Flags that conditions ask about, as they may be set.
    pub(super) fn flags(&self) -> Vec<BTreeMap<String, bool>> {
        let asked = |v: &super::space::Var| match &v.name {
            Name::Path(names) if names[0] == "flags" => names.get(1).cloned(),
            _ => None,
        };
        let names: Vec<String> = self.space.vars.iter().filter_map(asked).collect();
        let on = |set: &Set, name: &String| {
            let value = set.get(&format!("flags.{name}"));
            value == Some(&Some(Value::Bool(true)))
        };
        let all = |set: &Set| names.iter().map(|n| (n.clone(), on(set, n))).collect();
        let mut out: Vec<BTreeMap<String, bool>> = vec![all(&Set::new())];
        for set in &self.sets {
            let flags = all(set);
            if !out.contains(&flags) {
                out.push(flags);
            }
        }
        out
    }

    /// Fields that messages go to.
    fn addresses(&self) -> BTreeSet<String> {
        let actions = self.program.actions.iter();
        let to = actions.filter_map(|a| match &a.kind {
            ActionKind::Message(m) => Some(m.to.reads()),
            _ => None,
        });
        let field = |p: Vec<String>| match p.as_slice() {
            [root, name] if root == "record" => Some(name.clone()),
            _ => None,
        };
        to.flatten().filter_map(field).collect()
    }

    /// The sets as a whole, the rest of each as it is likeliest; then every combination of single values.
    fn whole(&self, choices: Vec<Choice>) -> Vec<Set> {
        let mut out: Vec<Set> = Vec::new();
        for set in &self.sets {
            let value = |c: &Choice| match set.get(&c.name) {
                Some(v) => v.clone(),
                None => c.values.first().cloned().flatten(),
            };
            let one = choices.iter().map(|c| (c.name.clone(), value(c)));
            out.push(one.collect());
        }
        out.extend(combined(choices));
        let mut once = BTreeSet::new();
        out.retain(|set| once.insert(format!("{set:?}")));
        out
    }

    /// Values that conditions tell apart, and the constants that they look for in another way.
    fn tried(&self, name: &str) -> Vec<Option<Value>> {
        let names: Vec<String> = name.split('.').map(str::to_owned).collect();
        let var = self.space.find(&Name::Path(names.clone()));
        let mut out = var.map_or_else(Vec::new, |v| self.space.vars[v].values.clone());
        for part in self.space.parts.values() {
            if part.reads().contains(&names) {
                out.extend(constants(part).into_iter().map(Some));
            }
        }
        out
    }
}

/// Names that conditions, the policy, or the arguments of an action read.
fn reads(program: &Program) -> BTreeSet<String> {
    let mut all: Vec<Vec<String>> = conditions(program).flat_map(Expr::reads).collect();
    for action in &program.actions {
        all.extend(needed(action).into_iter().flat_map(Expr::reads));
    }
    all.into_iter().map(|p| p.join(".")).collect()
}

/// Every combination, those with the first values of each first; not more than a bound.
fn combined(mut choices: Vec<Choice>) -> Vec<Set> {
    for c in &mut choices {
        let mut once: Vec<Option<Value>> = Vec::new();
        for v in c.values.drain(..) {
            if !once.contains(&v) {
                once.push(v);
            }
        }
        c.values = once;
    }
    choices.retain(|c| !c.values.is_empty());
    let sizes = choices.iter().map(|c| c.values.len());
    let all = sizes.fold(1usize, |a, n| a.saturating_mul(n));
    let picked = (0..all.min(MAX_COMBINED)).map(|i| {
        let mut rest = i;
        let pick = |c: &Choice| {
            let value = c.values[rest % c.values.len()].clone();
            rest /= c.values.len();
            (c.name.clone(), value)
        };
        choices.iter().map(pick).collect()
    });
    picked.collect()
}

/// The constants that a part of a condition looks for, and a text of each length that it names.
fn constants(part: &Expr) -> Vec<Value> {
    let mut out = Vec::new();
    part.root.walk(&mut |n| {
        for value in literals(n) {
            match value {
                Value::Int(n) => {
                    out.extend([-1, 0, 1].map(|d| Value::Int(n.saturating_add(d))));
                    let lengths = [*n, n.saturating_add(1)].into_iter();
                    let fit = lengths.filter(|n| (1..=MAX_LENGTH).contains(n));
                    out.extend(fit.map(|n| Value::text("x".repeat(n as usize))));
                }
                value => out.push(value.clone()),
            }
        }
    });
    out
}

/// The values of a witness by name; for a part that is not told apart further, values that make it so.
fn set(space: &Space, witness: &Witness) -> Set {
    let mut out = Set::new();
    let named = |(n, v): &(Name, Option<Value>)| match n {
        Name::Path(names) => Some((names.join("."), v.clone())),
        _ => None,
    };
    out.extend(witness.iter().filter_map(named));
    for (name, value) in witness {
        if let Name::Free(text) = name
            && let Some(part) = space.parts.get(text)
        {
            let wanted = *value == Some(Value::Bool(true));
            for (name, value) in solved(part, wanted).into_iter().flatten() {
                out.entry(name).or_insert(value);
            }
        }
    }
    out
}

/// Values under which a part of a condition holds or does not, where its constants are enough to find some.
fn solved(part: &Expr, wanted: bool) -> Option<Set> {
    let paths = part.reads();
    let mut values: Vec<Option<Value>> = constants(part).into_iter().map(Some).collect();
    values.extend([Some(Value::text("something")), Some(Value::Int(7)), None]);
    let all = values.len().checked_pow(paths.len() as u32)?;
    (0..all.min(MAX_COMBINED)).find_map(|i| {
        let mut rest = i;
        let pick = |p: &Vec<String>| {
            let value = values[rest % values.len()].clone();
            rest /= values.len();
            (p.clone(), value)
        };
        let picked: Vec<_> = paths.iter().map(pick).collect();
        let scope = picked.iter().map(|(p, v)| (p.as_slice(), v.as_ref()));
        let got = part.eval(&formula::Given(scope.collect())).ok()?.value;
        let holds = got == Some(Value::Bool(true));
        let named = picked.iter().map(|(p, v)| (p.join("."), v.clone()));
        (holds == wanted).then(|| named.collect())
    })
}

fn put(root: &mut BTreeMap<String, Value>, names: &[String], value: Option<Value>) {
    let (Some((name, rest)), Some(v)) = (names.split_first(), value) else {
        return;
    };
    if rest.is_empty() {
        root.insert(name.clone(), v);
        return;
    }
    let inner = root
        .entry(name.clone())
        .or_insert_with(|| Value::Record(BTreeMap::new()));
    if let Value::Record(inner) = inner {
        put(inner, rest, Some(v));
    }
}

/// A value that stands for all others is no address, number or time; one that is takes its place.
fn fitting(value: Option<Value>, ty: Option<&Type>) -> Option<Value> {
    match (value, ty) {
        (Some(Value::Text(t)), Some(ty)) if t == OTHER => Some(plausible(ty)),
        (value, _) => value,
    }
}

/// A value that a field of a type takes.
fn plausible(ty: &Type) -> Value {
    match ty {
        Type::Bool => Value::Bool(true),
        Type::Int => Value::Int(7),
        Type::Dec | Type::Float => Value::text("7.5"),
        Type::Enum(values) => Value::text(values.first().map_or("", String::as_str)),
        Type::Email => Value::text("ada@example.com"),
        Type::Phone => Value::text("+4930901820"),
        Type::Url => Value::text("https://example.com/a"),
        Type::Time => Value::text("2026-01-02T03:04:05Z"),
        Type::Dur => Value::text("1h"),
        _ => Value::text("something"),
    }
}
