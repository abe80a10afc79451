//! Who owns which task: a task's answers belong to the caller that began it, and keep its tool's masks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sallyport_policy::principal::CallerKey;

/// Most tasks remembered; the oldest are forgotten, and then belong to nobody.
const MOST: usize = 16_384;

/// The tasks that this process saw begin.
#[derive(Debug, Default)]
pub struct Tasks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tasks: HashMap<String, Task>,
    order: VecDeque<String>,
}

/// One task.
#[derive(Clone, Debug)]
pub struct Task {
    pub owner: CallerKey,
    /// The tool whose call it is.
    pub tool: Option<String>,
}

impl Tasks {
    /// Remembers a task that the server made for a call. An id that is known keeps its first owner.
    pub fn begin(&self, id: &str, task: Task) {
        let mut state = self.lock();
        if state.tasks.contains_key(id) {
            return;
        }
        if state.order.len() >= MOST
            && let Some(oldest) = state.order.pop_front()
        {
            state.tasks.remove(&oldest);
        }
        state.order.push_back(id.to_owned());
        state.tasks.insert(id.to_owned(), task);
    }

    /// Whether `caller` began this task.
    pub fn owned_by(&self, id: &str, caller: &CallerKey) -> bool {
        self.lock()
            .tasks
            .get(id)
            .is_some_and(|task| task.owner == *caller)
    }

    /// The tool whose call the task is.
    pub fn tool(&self, id: &str) -> Option<String> {
        self.lock().tasks.get(id)?.tool.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sallyport_policy::name::{Issuer, Subject};

    use super::*;

    fn caller(subject: &str) -> CallerKey {
        CallerKey {
            issuer: Issuer::new("i"),
            subject: Subject::new(subject),
            client: None,
            actor: None,
        }
    }

    #[test]
    fn a_task_belongs_to_the_caller_that_began_it_and_to_nobody_else() {
        let tasks = Tasks::default();
        tasks.begin(
            "t1",
            Task {
                owner: caller("ada"),
                tool: Some("export".into()),
            },
        );
        tasks.begin(
            "t1",
            Task {
                owner: caller("eve"),
                tool: None,
            },
        );
        assert!(tasks.owned_by("t1", &caller("ada")));
        assert!(!tasks.owned_by("t1", &caller("eve")));
        assert!(!tasks.owned_by("t2", &caller("ada")));
        assert_eq!(tasks.tool("t1").as_deref(), Some("export"));
    }
}
