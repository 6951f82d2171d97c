//! Converts columns into the types of the trait: numbers, tokens, documents, parked events.

use domain::{
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    DeadLetter, DocumentStoreError, Moment, ParkedCount, ParkedEvent, ParkedState, StoredCheckpoint,
    StoredDocument, StoredGeneration,
};

/// A position, generation or partition as it is stored.
pub(super) fn stored(number: u64) -> Result<i64, DocumentStoreError> {
    i64::try_from(number).map_err(|_| DocumentStoreError::Corrupt(format!("{number} does not fit a column")))
}

/// A column that is never negative.
pub(super) fn loaded<T: TryFrom<i64>>(column: i64) -> Result<T, DocumentStoreError> {
    T::try_from(column).map_err(|_| DocumentStoreError::Corrupt(format!("{column} is out of range")))
}

/// The token of checkpoints that a statement joined with commas; `None`: the view has folded nothing.
pub(super) fn token(text: Option<&str>) -> Result<ConsistencyToken, DocumentStoreError> {
    text.map_or_else(|| Ok(ConsistencyToken::default()), str::parse)
        .map_err(|_| DocumentStoreError::Corrupt("the checkpoints of a view are not a token".to_owned()))
}

/// A value that was read, with the generation and the joined checkpoints of its snapshot.
pub(super) fn moment<T>(
    generation: i64,
    as_of: Option<&str>,
    value: T,
) -> Result<Moment<T>, DocumentStoreError> {
    Ok(Moment {
        value,
        as_of: token(as_of)?,
        generation: loaded(generation)?,
    })
}

/// A document.
pub(super) fn document(
    key: String,
    data: String,
    owner: Option<Uuid>,
) -> Result<StoredDocument, DocumentStoreError> {
    let data = RawValue::from_string(data)
        .map_err(|error| DocumentStoreError::Corrupt(format!("document {key} is not JSON: {error}")))?;
    Ok(StoredDocument { key, data, owner })
}

/// A row of `generations`, with one of its generations.
#[derive(sqlx::FromRow)]
pub(super) struct GenerationRow {
    workspace: Uuid,
    view: String,
    generation: i64,
}

impl TryFrom<GenerationRow> for StoredGeneration {
    type Error = DocumentStoreError;

    fn try_from(row: GenerationRow) -> Result<Self, DocumentStoreError> {
        Ok(Self {
            workspace: WorkspaceId(row.workspace),
            view: row.view,
            generation: loaded(row.generation)?,
        })
    }
}

/// A row of `checkpoints`.
#[derive(sqlx::FromRow)]
pub(super) struct CheckpointRow {
    workspace: Uuid,
    view: String,
    generation: i64,
    partition: i64,
    position: i64,
    hash: Option<String>,
    released_at: i64,
}

impl TryFrom<CheckpointRow> for StoredCheckpoint {
    type Error = DocumentStoreError;

    fn try_from(row: CheckpointRow) -> Result<Self, DocumentStoreError> {
        Ok(Self {
            workspace: WorkspaceId(row.workspace),
            view: row.view,
            generation: loaded(row.generation)?,
            partition: loaded(row.partition)?,
            position: loaded(row.position)?,
            hash: row.hash,
            released_at: loaded(row.released_at)?,
        })
    }
}

/// A row of `parked`, without its lane.
#[derive(sqlx::FromRow)]
pub(super) struct ParkedRow {
    position: i64,
    id: Uuid,
    stream: String,
    version: i64,
    event_id: Uuid,
    event_type: String,
    correlation_id: Uuid,
    state: String,
    reason: String,
    attempts: i64,
    parked_at: i64,
}

impl TryFrom<ParkedRow> for ParkedEvent {
    type Error = DocumentStoreError;

    fn try_from(row: ParkedRow) -> Result<Self, DocumentStoreError> {
        let (stream, reason, attempts) = (row.stream, row.reason, loaded(row.attempts)?);
        Ok(Self {
            position: loaded(row.position)?,
            id: row.id,
            stream: stream
                .parse::<StreamName>()
                .map_err(|error| DocumentStoreError::Corrupt(format!("{stream} is not a stream: {error}")))?,
            version: loaded(row.version)?,
            event_id: row.event_id,
            event_type: row.event_type,
            correlation_id: row.correlation_id,
            state: match row.state.as_str() {
                "dead" => ParkedState::Dead { reason, attempts },
                "discarded" => ParkedState::Discarded { reason, attempts },
                _ => ParkedState::Waiting,
            },
            parked_at: Timestamp::from_micros(row.parked_at),
        })
    }
}

/// State, reason and attempts of a parked event, as they are stored.
pub(super) fn state(event: &ParkedEvent) -> (&'static str, &str, u32) {
    match &event.state {
        ParkedState::Dead { reason, attempts } => ("dead", reason.as_str(), *attempts),
        ParkedState::Waiting => ("waiting", "", 0),
        ParkedState::Discarded { reason, attempts } => ("discarded", reason.as_str(), *attempts),
    }
}

/// A dead letter.
#[derive(sqlx::FromRow)]
pub(super) struct DeadLetterRow {
    view: String,
    generation: i64,
    partition: i64,
    waiting: i64,
    #[sqlx(flatten)]
    event: ParkedRow,
}

impl TryFrom<DeadLetterRow> for DeadLetter {
    type Error = DocumentStoreError;

    fn try_from(row: DeadLetterRow) -> Result<Self, DocumentStoreError> {
        Ok(Self {
            view: row.view,
            generation: loaded(row.generation)?,
            partition: loaded(row.partition)?,
            waiting: loaded(row.waiting)?,
            event: row.event.try_into()?,
        })
    }
}

/// The counts of a view's parked events.
#[derive(sqlx::FromRow)]
pub(super) struct CountRow {
    view: String,
    dead: i64,
    waiting: i64,
}

impl TryFrom<CountRow> for ParkedCount {
    type Error = DocumentStoreError;

    fn try_from(row: CountRow) -> Result<Self, DocumentStoreError> {
        Ok(Self {
            view: row.view,
            dead: loaded(row.dead)?,
            waiting: loaded(row.waiting)?,
        })
    }
}

/// Converts rows into values.
pub(super) fn all<R, T: TryFrom<R, Error = DocumentStoreError>>(
    rows: Vec<R>,
) -> Result<Vec<T>, DocumentStoreError> {
    rows.into_iter().map(T::try_from).collect()
}
