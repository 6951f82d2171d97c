//! Leptos's effects and tasks with their types erased: what drives them is in the client once, and not once for each.

use leptos::prelude::Effect;

/// Runs `run` after the view is there, and again whenever a signal that it has read changes. Never on the server.
pub(crate) fn effect(run: impl FnMut() + 'static) {
    fn erased(run: Box<dyn FnMut()>) {
        Effect::new(run);
    }
    erased(Box::new(run));
}

/// Runs a task in the browser.
#[cfg(not(feature = "ssr"))]
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    fn erased(task: std::pin::Pin<Box<dyn Future<Output = ()>>>) {
        leptos::task::spawn_local(task);
    }
    erased(Box::pin(task));
}
