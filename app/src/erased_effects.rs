//! Leptos's effects and tasks with erased types, so that the bundle has the code that drives them once.

use leptos::prelude::Effect;

/// Runs `run` after the view is mounted, and again whenever a signal that it has read changes. Never on the
/// server.
pub(crate) fn effect(run: impl FnMut() + 'static) {
    fn erased(run: Box<dyn FnMut()>) {
        Effect::new(run);
    }
    erased(Box::new(run));
}

/// Spawns a task in the browser.
#[cfg(not(feature = "ssr"))]
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    fn erased(task: std::pin::Pin<Box<dyn Future<Output = ()>>>) {
        leptos::task::spawn_local(task);
    }
    erased(Box::pin(task));
}
