//! How types go together.

use tl_kernel::value::Type;

/// True for whole numbers, decimals and floats.
pub(super) fn is_number(t: &Type) -> bool {
    matches!(t, Type::Int | Type::Dec | Type::Float)
}

/// A type in the words of a message.
pub(super) fn word(t: &Type) -> String {
    match t {
        Type::Text => "text".into(),
        Type::Null => "null".into(),
        Type::Any => "an undeclared value".into(),
        other => other.word(),
    }
}

/// True where a value of one type can equal a value of the other.
pub(super) fn comparable(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Any | Type::Null, _) | (_, Type::Any | Type::Null) => true,
        (Type::List(a), Type::List(b)) => comparable(a, b),
        (Type::Record(_), Type::Record(_)) => true,
        _ => (is_number(a) && is_number(b)) || (a.is_textual() && b.is_textual()) || a == b,
    }
}

/// The type of a value that is of one type or the other: the two branches of `? :`, the elements of a list.
pub(super) fn either(a: Type, b: Type) -> Type {
    match (a, b) {
        (a, b) if a == b => a,
        (Type::Null, t) | (t, Type::Null) => t,
        (Type::Int, Type::Dec) | (Type::Dec, Type::Int) => Type::Dec,
        (Type::Int, Type::Float) | (Type::Float, Type::Int) => Type::Float,
        (Type::Enum(mut a), Type::Enum(b)) => {
            a.extend(b);
            a.sort();
            a.dedup();
            Type::Enum(a)
        }
        (Type::List(a), Type::List(b)) => Type::List(Box::new(either(*a, *b))),
        (a, b) if a.is_textual() && b.is_textual() => Type::Text,
        _ => Type::Any,
    }
}

/// True where a value of type `have` may stand for a value of type `want`. Addresses and phone numbers take
/// any text: whether it reads as one is known only when it is there.
pub(super) fn fits(have: &Type, want: &Type) -> bool {
    match (have, want) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::Null, want) => *want != Type::Bool,
        (Type::Int, Type::Dec | Type::Float) => true,
        (Type::Enum(have), Type::Enum(want)) => have.iter().all(|v| want.contains(v)),
        (_, Type::Enum(_)) => false,
        (Type::List(have), Type::List(want)) => fits(have, want),
        (Type::Record(have), Type::Record(want)) => want
            .iter()
            .all(|(name, t)| have.get(name).is_none_or(|h| fits(h, t))),
        _ => have == want || (have.is_textual() && want.is_textual()),
    }
}
