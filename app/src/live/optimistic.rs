//! Optimistic updates: the server's documents with the predicted effect of pending commands.

use domain::token::ConsistencyToken;
use leptos::prelude::*;
use serde::de::DeserializeOwned;

use super::{
    command_queue::Pending,
    overlay::Overlay,
    prediction::Predict,
    progress::Progress,
    store::{LiveDocument, LiveListing, Revision, typed},
};
use crate::{commands::use_commands, person::use_person};

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveListing<D> {
    /// The document of a row with the predicted effect of pending commands.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the view of a row has its key to give away"
    )]
    pub fn predicted(self, key: String) -> Memo<Revision<D>>
    where
        D: Predict,
    {
        let row = self.row(key.clone());
        let fold = self.fold;
        predicted(row, &key, move |look| fold.with(|fold| look(&fold.progress)))
    }
}

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveDocument<D> {
    /// The document with the predicted effect of pending commands. `key` is its key.
    pub fn predicted(self, key: &str) -> Memo<Revision<D>>
    where
        D: Predict,
    {
        let fold = self.fold;
        predicted(self.shown(), key, move |look| {
            fold.with(|fold| look(&fold.progress));
        })
    }
}

/// Overlays a document with its pending commands. On the server there are none.
fn predicted<D>(
    server: Memo<Revision<D>>,
    key: &str,
    progress: impl Fn(&mut dyn FnMut(&Progress)) + Send + Sync + 'static,
) -> Memo<Revision<D>>
where
    D: Predict + DeserializeOwned + PartialEq + Send + Sync + 'static,
{
    let Some(commands) = use_commands() else {
        return server;
    };
    let person = use_person();
    let stream = D::stream(key);
    let overlay = StoredValue::new(Overlay::<D>::default());
    let preview = |pending: &Pending| typed(pending.preview.as_ref()?);
    Memo::new(move |_| {
        let mut as_of = ConsistencyToken::default();
        progress(&mut |progress| as_of = progress.as_of().clone());
        server.with(|server| {
            let revision = server.as_ref().map_or(0, |(_, revision)| *revision);
            let document = server.as_ref().map(|(document, _)| document);
            let shown = commands.with(|queue| {
                let pending = queue.of(&stream);
                overlay.try_update_value(|overlay| {
                    overlay.show(document, &as_of, pending, person.as_ref(), preview)
                })
            });
            Some((shown??, revision))
        })
    })
}
