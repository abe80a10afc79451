//! One row a rule and way: who asks what, and what must come of it.

mod changes;
pub(crate) mod enforced;
mod guarded;
mod own;
mod people;
mod spaces;

use serde_json::Value;

pub(crate) struct Row {
    pub(crate) policy: &'static str,
    pub(crate) name: String,
    pub(crate) user: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) ask: Ask,
    pub(crate) expect: Expect,
}

/// What is asked of the API server.
pub(crate) enum Ask {
    Create(Value),
    Kubectl(Vec<String>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    Accepted,
    /// Admission has nothing against it.
    Passed,
    /// With a word of the rule.
    Refused(&'static str),
}

pub(crate) fn all() -> Vec<Row> {
    let mut rows = guarded::guarded_pods();
    rows.extend(changes::changes());
    rows.extend(enforced::enforced_pods());
    rows.extend(people::connect());
    rows.extend(people::tokens());
    rows.extend(own::own_objects());
    rows.extend(spaces::namespaces());
    rows
}

fn create(
    policy: &'static str,
    name: &str,
    user: &'static str,
    namespace: &'static str,
    object: Value,
    expect: Expect,
) -> Row {
    Row {
        policy,
        name: name.to_owned(),
        user,
        namespace,
        ask: Ask::Create(object),
        expect,
    }
}

fn run(
    policy: &'static str,
    name: &str,
    user: &'static str,
    namespace: &'static str,
    words: &[&str],
    expect: Expect,
) -> Row {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Row {
        policy,
        name: name.to_owned(),
        user,
        namespace,
        ask: Ask::Kubectl(words),
        expect,
    }
}

/// Sets what is there, adds what is not; `-` adds to a list; nothing is a removal.
fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = pod
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        other if value.is_null() => drop(other.as_object_mut().unwrap().remove(key)),
        other => drop(other.as_object_mut().unwrap().insert(key.to_owned(), value)),
    }
    pod
}
