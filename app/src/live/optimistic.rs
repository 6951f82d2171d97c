//! Optimistic updates: documents as they are with the commands that are on their way, over what the server has told.

use domain::token::ConsistencyToken;
use leptos::prelude::*;
use serde::de::DeserializeOwned;

use super::{
    foresee::Foreseen,
    outbox::Pending,
    overlay::Overlay,
    progress::Progress,
    store::{LiveDocument, LiveListing, Shown, typed},
};
use crate::{commands::use_commands, person::use_person};

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveListing<D> {
    /// The document of a row, as it is with the commands that are on their way.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the view of a row has its key to give away"
    )]
    pub fn foreseen(self, key: String) -> Memo<Shown<D>>
    where
        D: Foreseen,
    {
        let row = self.row(key.clone());
        let fold = self.fold;
        foreseen(row, &key, move |look| fold.with(|fold| look(&fold.progress)))
    }
}

impl<D: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static> LiveDocument<D> {
    /// The document as it is with the commands that are on their way. `key` is its key.
    pub fn foreseen(self, key: &str) -> Memo<Shown<D>>
    where
        D: Foreseen,
    {
        let fold = self.fold;
        foreseen(self.shown(), key, move |look| {
            fold.with(|fold| look(&fold.progress));
        })
    }
}

/// Shows pending commands over a document. On the server there are none.
fn foreseen<D>(
    server: Memo<Shown<D>>,
    key: &str,
    progress: impl Fn(&mut dyn FnMut(&Progress)) + Send + Sync + 'static,
) -> Memo<Shown<D>>
where
    D: Foreseen + DeserializeOwned + PartialEq + Send + Sync + 'static,
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
            let shown = commands.with(|outbox| {
                let pending = outbox.of(&stream);
                overlay.try_update_value(|overlay| {
                    overlay.show(document, &as_of, pending, person.as_ref(), preview)
                })
            });
            Some((shown??, revision))
        })
    })
}
