//! The queue of updates, and the caller's side of a group.
//!
//! A caller that finds no group under way leads one: it takes the requests that wait, its own among them, and
//! carries out their transaction. The others wait for the input of their folds, fold in their own tasks, and
//! wait for the commit. A caller may go away at any time: one that waits is left out, one that does not
//! answer leaves the group, and the group of one that leads is led on by a task.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use sqlx::Pool;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};

use super::{Database, group::Request, write};
use crate::{DocumentStoreError, Fold, FoldInput, FoldOutput, UpdateOutcome};

/// The most requests of a group.
const GROUP_REQUESTS: usize = 16;

/// The most documents that a group reads, if it has several requests: the batches of a rebuild do not delay
/// those of live lanes more than by their own transactions.
const GROUP_KEYS: usize = 256;

/// The next step of a caller.
pub(super) enum Step {
    /// It folds this input and answers. If it does not answer, it leaves the group.
    Fold(FoldInput, oneshot::Sender<Folded>),
    /// Its request is done.
    Done(Result<UpdateOutcome, DocumentStoreError>),
}

/// A caller's answer.
pub(super) struct Folded {
    /// What its fold has returned.
    pub(super) output: FoldOutput,
    /// Where it waits for the next step.
    pub(super) next: oneshot::Sender<Step>,
}

/// A request, and where its caller waits for the next step.
pub(super) struct Member {
    pub(super) request: Request,
    pub(super) caller: oneshot::Sender<Step>,
}

impl Member {
    /// Gives the caller its result.
    pub(super) fn finish(self, result: Result<UpdateOutcome, DocumentStoreError>) {
        // the caller may have gone away
        let _ = self.caller.send(Step::Done(result));
    }
}

/// The requests that wait for a group.
pub(crate) struct Queue {
    waiting: Mutex<VecDeque<Member>>,
    /// One permit for each group that may be under way.
    groups: Arc<Semaphore>,
}

impl Queue {
    /// An empty queue, for at most so many groups at the same time.
    pub(super) fn new(groups: usize) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            groups: Arc::new(Semaphore::new(groups)),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Member>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no request waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Takes the next group: the request that has waited longest, and those after it that fit. Each writes a
    /// generation of a view of its own, because two of the same could write the same document.
    pub(super) fn take_group(&self) -> Vec<Member> {
        let mut waiting = self.waiting();
        let (mut group, mut later) = (Vec::new(), Vec::new());
        let (mut scopes, mut keys) = (HashSet::new(), 0);
        while group.len() < GROUP_REQUESTS
            && let Some(member) = waiting.pop_front()
        {
            if member.caller.is_closed() {
                continue;
            }
            // noted also if it does not fit, so that no later one of its view overtakes it
            let is_first = scopes.insert(member.request.scope);
            let with_it = keys + member.request.keys.len();
            if is_first && (group.is_empty() || with_it <= GROUP_KEYS) {
                keys = with_it;
                group.push(member);
            } else {
                later.push(member);
            }
        }
        for member in later.into_iter().rev() {
            waiting.push_front(member);
        }
        group
    }
}

/// The group that a caller leads. If the caller goes away, a task leads it on.
struct LedGroup(Option<BoxFuture<'static, ()>>);

impl LedGroup {
    /// Completes when the group is done; never, if there is none.
    async fn done(&mut self) {
        match &mut self.0 {
            Some(group) => group.await,
            None => std::future::pending().await,
        }
        self.0 = None;
    }
}

impl Drop for LedGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(group);
        }
    }
}

/// Carries out a request in a transaction that it may share; `fold` is called here, in the caller's task.
pub(super) async fn submit<D: Database>(
    queue: &Arc<Queue>,
    writers: &Pool<D>,
    request: Request,
    fold: &mut Fold<'_>,
) -> Result<UpdateOutcome, DocumentStoreError> {
    let (caller, mut steps) = oneshot::channel();
    queue.waiting().push_back(Member { request, caller });
    let mut led = LedGroup(None);
    let mut is_taken = false;
    loop {
        let may_lead = !is_taken && led.0.is_none();
        let step = tokio::select! {
            biased;
            () = led.done() => continue,
            step = &mut steps => step,
            permit = Arc::clone(&queue.groups).acquire_owned(), if may_lead => {
                let permit = permit.map_err(|_| interrupted())?;
                led.0 = Some(Box::pin(write::lead(writers.clone(), Arc::clone(queue), permit)));
                continue;
            }
        };
        match step.map_err(|_| interrupted())? {
            Step::Fold(input, answer) => {
                is_taken = true;
                // a fault or a panic drops `answer`
                let output = fold(input)?;
                let (next, following) = oneshot::channel();
                steps = following;
                // without a receiver the group has gone on, and the next step is an error
                let _ = answer.send(Folded { output, next });
            }
            Step::Done(result) => return result,
        }
    }
}

fn interrupted() -> DocumentStoreError {
    DocumentStoreError::Unavailable("the update was interrupted".to_owned())
}

#[cfg(test)]
mod tests {
    use domain::id::WorkspaceId;
    use uuid::Uuid;

    use super::*;
    use crate::Scope;

    const VIEWS: [&str; 20] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t",
    ];

    /// Adds a request, whose number of keys names it; its caller waits as long as the receiver exists.
    fn push(queue: &Queue, view: &'static str, keys: usize) -> oneshot::Receiver<Step> {
        let (caller, steps) = oneshot::channel();
        let request = Request {
            scope: Scope {
                workspace: WorkspaceId(Uuid::nil()),
                view,
                generation: 1,
            },
            advance: None,
            keys: vec![String::new(); keys],
        };
        queue.waiting().push_back(Member { request, caller });
        steps
    }

    /// View and number of keys of each request of the next group.
    fn next(queue: &Queue) -> Vec<(&'static str, usize)> {
        queue
            .take_group()
            .iter()
            .map(|member| (member.request.scope.view, member.request.keys.len()))
            .collect()
    }

    #[test]
    fn a_group_has_one_request_of_a_view() {
        let queue = Queue::new(1);
        let _callers =
            [("a", 1), ("b", 2), ("a", 3), ("a", 4), ("c", 5)].map(|(view, keys)| push(&queue, view, keys));
        assert_eq!(next(&queue), [("a", 1), ("b", 2), ("c", 5)]);
        assert_eq!(next(&queue), [("a", 3)]);
        assert_eq!(next(&queue), [("a", 4)]);
        assert!(next(&queue).is_empty() && queue.is_empty());
    }

    #[test]
    fn a_large_batch_is_alone_and_is_not_overtaken_forever() {
        let queue = Queue::new(1);
        let _callers = [
            ("a", 1),
            ("b", GROUP_KEYS),
            ("b", 2),
            ("c", GROUP_KEYS * 4),
            ("d", 0),
        ]
        .map(|(view, keys)| push(&queue, view, keys));
        assert_eq!(next(&queue), [("a", 1), ("d", 0)]);
        assert_eq!(next(&queue), [("b", GROUP_KEYS)]);
        assert_eq!(next(&queue), [("b", 2)]);
        assert_eq!(next(&queue), [("c", GROUP_KEYS * 4)]);
    }

    #[test]
    fn a_group_is_bounded_and_leaves_out_callers_that_have_gone_away() {
        let queue = Queue::new(1);
        let mut callers: Vec<_> = VIEWS.iter().map(|view| push(&queue, view, 1)).collect();
        drop(callers.remove(0));
        assert_eq!(next(&queue).len(), GROUP_REQUESTS);
        assert_eq!(next(&queue).len(), VIEWS.len() - 1 - GROUP_REQUESTS);
        assert!(queue.is_empty());
    }
}
