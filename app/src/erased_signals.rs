//! Signals and memos over values without their types, so that a bundle has the code that drives them once,
//! and not once for every type of value.

use std::{any::Any, fmt, marker::PhantomData, sync::Arc};

use leptos::prelude::*;

/// A value of a memo.
trait Computed: Any + Send + Sync {
    fn equals(&self, other: &dyn Any) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<T: PartialEq + Send + Sync + 'static> Computed for T {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref().is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[derive(Clone)]
struct Content(Arc<dyn Computed>);

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        (*self.0).equals((*other.0).as_any())
    }
}

/// A memo, as Leptos has it.
pub(crate) struct Memo<T> {
    content: leptos::prelude::Memo<Content>,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Memo<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Memo<T> {}

impl<T> fmt::Debug for Memo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

impl<T: PartialEq + Send + Sync + 'static> Memo<T> {
    /// A memo of what `compute` returns.
    pub(crate) fn new(compute: impl Fn(Option<&T>) -> T + Send + Sync + 'static) -> Self {
        fn erased(compute: Box<dyn Fn() -> Content + Send + Sync>) -> leptos::prelude::Memo<Content> {
            leptos::prelude::Memo::new(move |_| compute())
        }
        Self {
            content: erased(Box::new(move || Content(Arc::new(compute(None))))),
            value: PhantomData,
        }
    }

    /// Reads the value, tracked.
    pub(crate) fn with<R>(self, read: impl FnOnce(&T) -> R) -> R {
        read_content(&self.content.get(), read)
    }

    /// The value, tracked.
    pub(crate) fn get(self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// The value, untracked.
    pub(crate) fn get_untracked(self) -> T
    where
        T: Clone,
    {
        read_content(&self.content.get_untracked(), T::clone)
    }
}

fn read_content<T: 'static, R>(content: &Content, read: impl FnOnce(&T) -> R) -> R {
    match (*content.0).as_any().downcast_ref() {
        Some(value) => read(value),
        // The constructor is the only place that makes contents, and makes them of `T`.
        None => unreachable!("a memo has another type"),
    }
}

type Boxed = Box<dyn Any + Send + Sync>;

/// A signal that can be read and written, as Leptos has it.
pub(crate) struct RwSignal<T> {
    content: leptos::prelude::RwSignal<Boxed>,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for RwSignal<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RwSignal<T> {}

impl<T> fmt::Debug for RwSignal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RwSignal")
    }
}

fn read_erased(
    signal: leptos::prelude::RwSignal<Boxed>,
    is_tracked: bool,
    read: &mut dyn FnMut(&dyn Any),
) -> Option<()> {
    if is_tracked {
        signal.track();
    }
    signal.try_with_untracked(|boxed| read(&**boxed))
}

fn write_erased(signal: leptos::prelude::RwSignal<Boxed>, write: &mut dyn FnMut(&mut dyn Any)) -> Option<()> {
    signal.try_update(|boxed| write(&mut **boxed))
}

impl<T: Send + Sync + 'static> RwSignal<T> {
    /// A signal with a first value.
    pub(crate) fn new(value: T) -> Self {
        fn erased(value: Boxed) -> leptos::prelude::RwSignal<Boxed> {
            leptos::prelude::RwSignal::new(value)
        }
        Self {
            content: erased(Box::new(value)),
            value: PhantomData,
        }
    }

    fn read<R>(self, is_tracked: bool, read: impl FnOnce(&T) -> R) -> Option<R> {
        let (mut read, mut result) = (Some(read), None);
        read_erased(self.content, is_tracked, &mut |value| {
            result = value
                .downcast_ref()
                .zip(read.take())
                .map(|(value, read)| read(value));
        })?;
        result
    }

    fn write<R>(self, write: impl FnOnce(&mut T) -> R) -> Option<R> {
        let (mut write, mut result) = (Some(write), None);
        write_erased(self.content, &mut |value| {
            result = value
                .downcast_mut()
                .zip(write.take())
                .map(|(value, write)| write(value));
        })?;
        result
    }

    /// Reads the value, tracked.
    pub(crate) fn with<R>(self, read: impl FnOnce(&T) -> R) -> R {
        self.read(true, read).unwrap_or_else(|| gone())
    }

    /// Reads the value, untracked.
    pub(crate) fn with_untracked<R>(self, read: impl FnOnce(&T) -> R) -> R {
        self.read(false, read).unwrap_or_else(|| gone())
    }

    /// The value, tracked.
    pub(crate) fn get(self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// The value, untracked.
    pub(crate) fn get_untracked(self) -> T
    where
        T: Clone,
    {
        self.with_untracked(T::clone)
    }

    /// The value, untracked; `None` if the signal is gone.
    pub(crate) fn try_get_untracked(self) -> Option<T>
    where
        T: Clone,
    {
        self.read(false, T::clone)
    }

    /// Tracks changes.
    pub(crate) fn track(self) {
        self.content.track();
    }

    /// Sets the value. A signal that is gone ignores it.
    pub(crate) fn set(self, value: T) {
        self.write(|content| *content = value);
    }

    /// Sets the value; returns it if the signal is gone.
    #[cfg_attr(
        feature = "ssr",
        expect(dead_code, reason = "only browsers set signals later")
    )]
    pub(crate) fn try_set(self, value: T) -> Option<T> {
        let mut value = Some(value);
        self.write(|content| {
            if let Some(value) = value.take() {
                *content = value;
            }
        });
        value
    }

    /// Changes the value. A signal that is gone ignores it.
    pub(crate) fn update(self, change: impl FnOnce(&mut T)) {
        self.write(change);
    }
}

/// A page reads no signal whose owner is gone.
fn gone() -> ! {
    unreachable!("a signal is read after its owner is gone")
}
