//! Answers as the bytes that are sent. They are encoded once, and kept with the answer in the cache.
//!
//! The JSON has a part that stays as long as the answer does, and an end that says how far the view is
//! folded. With each commit of the workspace the end is made again and the part that stays is copied. A
//! repeated request in between gets the same bytes, and reads nothing.
//!
//! Bytes are kept under the version of the progress that was read before the progress itself and before the
//! lookup. So they state no less than that version, and a client that has waited for a token never gets bytes
//! from before it.
//!
//! An answer with sealed texts is never kept: a person may be erased at any time.

use std::{borrow::Cow, sync::Arc};

use cache::{CacheEntry, CacheKey, CachedRow, EncodedAnswer, Form, PageKey, Topic, VisibleRows};
use domain::{access::Actor, id::WorkspaceId, view::AnyView, wire::Row};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    ListingGroup, ListingRequest, PageDirection, QueryApi, QueryError, VisibleAnswer, Wait, limit_of,
};

/// The beginning of a sealed text in JSON; see [`domain::event::personal::MARKER`].
const SEALED: &str = "\"sealed:";

/// The part of a page that stays: the fields of `ListingAnswer` before `as_of`, in their order.
#[derive(Serialize)]
struct StablePage<'a> {
    data: Vec<Row<Cow<'a, RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
}

impl QueryApi {
    /// The JSON of [`document`](Self::document).
    #[tracing::instrument(name = "Query API", level = "debug", skip_all, fields(view, key))]
    pub async fn encoded_document(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        view: &str,
        key: &str,
        wait: Option<Wait>,
    ) -> Result<Arc<EncodedAnswer>, QueryError> {
        let view = self.find(workspace, view)?;
        self.wait(workspace, view, wait).await?;
        let version = self.progress_of(workspace, view)?.version();
        let found = self.find_document(workspace, actor, view, key).await?;
        let Some(row) = found.row() else {
            return Err(QueryError::NotFound);
        };
        let form = found.form(false);
        if let Some(kept) = found.kept(form, version) {
            return Ok(kept);
        }
        let data = self.opened(workspace, row).await?;
        let stable = ["{\"data\":", data.get()].concat();
        let is_open = matches!(data, Cow::Borrowed(_));
        Ok(found.encode(stable.as_bytes(), form.filter(|_| is_open), version))
    }

    /// The JSON of [`listing`](Self::listing).
    #[tracing::instrument(name = "Query API", level = "debug", skip_all, fields(view = request.view))]
    pub async fn encoded_listing(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        request: ListingRequest,
        wait: Option<Wait>,
    ) -> Result<Arc<EncodedAnswer>, QueryError> {
        let view = self.find(workspace, &request.view)?;
        let group = ListingGroup::new(workspace, view, actor, request.names())?;
        let (seek_key, direction) = group.seek(&request)?;
        self.wait(workspace, view, wait).await?;
        let version = self.progress_of(workspace, view)?.version();
        let read_order = direction.unwrap_or_default().read_order(request.order);
        let limit = limit_of(request.limit);
        let found = self
            .find_page(workspace, actor, &group, read_order, limit, seek_key)
            .await?;
        let backwards = direction == Some(PageDirection::Previous);
        let form = found.form(backwards);
        if let Some(kept) = found.kept(form, version) {
            return Ok(kept);
        }
        let mut data = Vec::new();
        for row in found.rows() {
            data.push(Row {
                key: row.key.clone(),
                sort: row.sort.clone(),
                data: self.opened(workspace, row).await?,
            });
        }
        if backwards {
            data.reverse();
        }
        let is_open = data.iter().all(|row| matches!(row.data, Cow::Borrowed(_)));
        let (previous, next) = found.cursors(&group, request.order, direction);
        let page = StablePage { data, next, previous };
        let mut stable = serde_json::to_vec(&page).map_err(|error| {
            tracing::error!(%error, "a page could not be encoded");
            QueryError::Unavailable
        })?;
        // Without the closing brace, which belongs to the end.
        stable.pop();
        Ok(found.encode(&stable, form.filter(|_| is_open), version))
    }

    /// The bytes of a document, if they were sent before and are as true as a new answer: no more than a
    /// lookup. `None`: ask for [the answer](Self::encoded_document).
    pub async fn hot_document(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        view: &str,
        key: &str,
    ) -> Option<Arc<EncodedAnswer>> {
        let view = self.progress.view_in(workspace, view)?;
        let topic = Topic::Document {
            workspace,
            view: view.name(),
            key: key.to_owned(),
        };
        self.hot(workspace, actor, view, CacheKey { topic, page: None })
            .await
    }

    /// The bytes of the first page of a listing, likewise. `None`: ask for
    /// [the answer](Self::encoded_listing).
    pub async fn hot_listing(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        request: &ListingRequest,
    ) -> Option<Arc<EncodedAnswer>> {
        if request.cursor.is_some() {
            return None;
        }
        let view = self.progress.view_in(workspace, &request.view)?;
        let group = ListingGroup::new(workspace, view, actor, request.names()).ok()?;
        let topic = Topic::Group {
            workspace,
            view: view.name(),
            listing: group.listing,
            group: group.group,
        };
        let page = PageKey::new(request.order, limit_of(request.limit), None);
        let page = Some(page);
        self.hot(workspace, actor, view, CacheKey { topic, page }).await
    }

    async fn hot(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        view: &'static dyn AnyView,
        key: CacheKey,
    ) -> Option<Arc<EncodedAnswer>> {
        let view = view.name();
        // Before the lookup: see the module.
        let version = self.progress.of(workspace, view)?.version();
        let choose = |entry: &CacheEntry| entry.sent(form_of(entry, actor, view, false)?, version);
        self.cache.sent(key, &choose).await
    }

    /// The document of a row; borrowed where nothing in it had to be unsealed.
    async fn opened<'r>(
        &self,
        workspace: WorkspaceId,
        row: &'r CachedRow,
    ) -> Result<Cow<'r, RawValue>, QueryError> {
        if self.opener.is_none() || !row.data.get().contains(SEALED) {
            return Ok(Cow::Borrowed(&*row.data));
        }
        Ok(Cow::Owned(self.open(workspace, row.data.clone()).await?))
    }
}

/// What the JSON of an answer depends on besides the answer and the progress; `None`: it has too many rows.
fn form_of(entry: &CacheEntry, actor: &Actor, view: &str, backwards: bool) -> Option<Form> {
    let rows = entry.rows.iter();
    let visible = rows.map(|row| actor.may_read_document(view, row.owner));
    Some(Form {
        visible: VisibleRows::of(visible)?,
        backwards,
    })
}

impl VisibleAnswer<'_> {
    fn form(&self, backwards: bool) -> Option<Form> {
        form_of(&self.answer, self.actor, self.view, backwards)
    }

    /// What was sent before in this form, with an end of this version or a newer one.
    fn kept(&self, form: Option<Form>, version: u64) -> Option<Arc<EncodedAnswer>> {
        let form = form?;
        if let Some(sent) = self.answer.sent(form, version) {
            return Some(sent);
        }
        let earlier = self.answer.sent_earlier(form)?;
        let encoded = Arc::new(earlier.with_end(self.end().as_bytes()));
        self.answer.keep(form, version, &encoded);
        Some(encoded)
    }

    /// The whole JSON, which is kept if it has a form.
    fn encode(&self, stable: &[u8], form: Option<Form>, version: u64) -> Arc<EncodedAnswer> {
        let encoded = Arc::new(EncodedAnswer::new(stable, self.end().as_bytes()));
        if let Some(form) = form {
            self.answer.keep(form, version, &encoded);
        }
        encoded
    }

    /// The end of the JSON: the last fields of `DocumentAnswer` and `ListingAnswer`. The text of a token
    /// needs no escapes.
    fn end(&self) -> String {
        let (as_of, behind, generation) = (&self.as_of, self.behind(), self.answer.generation);
        format!(",\"as_of\":\"{as_of}\",\"behind\":{behind},\"generation\":{generation}}}")
    }
}

#[cfg(test)]
mod tests {
    use domain::event::personal::MARKER;

    use super::*;

    #[test]
    fn a_sealed_text_is_found_by_its_marker() {
        assert_eq!(SEALED, format!("\"{MARKER}"));
    }
}
