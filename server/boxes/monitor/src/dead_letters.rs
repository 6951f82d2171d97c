//! `foldline dead-letters list|retry|discard`: the events that views and policies could not apply, on a
//! running server or in the files of a data folder.
//!
//! A server that has the same files open does not notice changes in them until the view's next event; if a
//! server is running, use its API instead.

use std::{io::Write, sync::Arc};

use domain::{
    id::WorkspaceId,
    wire::{DeadLetterInfo, DeadLetterOutcome, Page},
};
use reqwest::Method;
use uuid::Uuid;

use super::{
    remote::request_json,
    tail::Remote,
    terminal::{Format, MonitorError, find},
};
use clock::SharedClock;
use documents::DocumentStore;
use event_store::EventStore;
use projection::{
    Context,
    dead_letters::{DeadLetterError, DeadLetters, Remedy},
    handler::EventHandler,
    progress::Progress,
};

/// Dead letters that are read at a time.
const PAGE: u32 = 200;

/// What the subcommand does.
#[derive(Debug, Clone, Copy)]
pub enum DeadLetterRequest<'a> {
    /// Lists the dead letters of one view or policy, or of all.
    List(Option<&'a str>),
    /// Retries or discards one.
    Remedy(Uuid, Remedy),
}

/// The dead letters of a workspace in the files of a data folder: those of its views and of its policies.
#[derive(Debug)]
pub struct FileDeadLetters {
    workspace: WorkspaceId,
    /// Those of views, then those of policies.
    dead_letters: [DeadLetters; 2],
}

impl FileDeadLetters {
    /// Opens the dead letters of these views and of these process managers in these stores.
    pub async fn open(
        store: Arc<dyn EventStore>,
        (read_model, views): (Arc<dyn DocumentStore>, Progress),
        (process_store, managers): (Arc<dyn DocumentStore>, Vec<Arc<dyn EventHandler>>),
        clock: SharedClock,
        workspace: WorkspaceId,
    ) -> Result<Self, MonitorError> {
        let workspace = find(&*store, workspace).await?.id;
        let managers = Progress::new(managers);
        let of_views = Context::without_server(Arc::clone(&store), read_model, views, clock.clone());
        let of_policies = Context::without_server(store, process_store, managers, clock);
        Ok(Self {
            workspace,
            dead_letters: [of_views, of_policies].map(|context| DeadLetters::new(Arc::new(context))),
        })
    }

    /// Runs the subcommand and writes its result.
    pub async fn run(
        &self,
        request: DeadLetterRequest<'_>,
        format: Format,
        out: &mut (dyn Write + Send),
    ) -> Result<(), MonitorError> {
        match request {
            DeadLetterRequest::List(view) => {
                for of in &self.dead_letters {
                    let mut after = None;
                    loop {
                        let page = of.list(self.workspace, view, after.as_ref(), PAGE).await?;
                        let Some(last) = page.last() else { break };
                        after = Some(last.key());
                        for letter in page {
                            write_letter(&letter.into(), format, out)?;
                        }
                    }
                }
                Ok(out.flush()?)
            }
            DeadLetterRequest::Remedy(id, remedy) => {
                for of in &self.dead_letters {
                    match of.remedy(self.workspace, id, remedy).await {
                        Err(DeadLetterError::Unknown) => {}
                        released => return write_outcome(&released?.into(), format, out),
                    }
                }
                Err(DeadLetterError::Unknown.into())
            }
        }
    }
}

/// Runs the subcommand on a running server and writes its result.
pub async fn on_server(
    remote: &Remote,
    request: DeadLetterRequest<'_>,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let client = reqwest::Client::new();
    match request {
        DeadLetterRequest::List(view) => {
            let mut cursor = None;
            loop {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("limit", &PAGE.to_string());
                query.extend_pairs(view.iter().map(|view| ("view", *view)));
                query.extend_pairs(cursor.iter().map(|cursor: &String| ("cursor", cursor)));
                let path = format!("/api/v1/dead-letters?{}", query.finish());
                let page: Page<DeadLetterInfo> = request_json(&client, remote, Method::GET, &path).await?;
                for letter in &page.data {
                    write_letter(letter, format, out)?;
                }
                cursor = page.next;
                if cursor.is_none() {
                    return Ok(out.flush()?);
                }
            }
        }
        DeadLetterRequest::Remedy(id, remedy) => {
            let remedy = match remedy {
                Remedy::Retry => "retry",
                Remedy::Discard => "discard",
            };
            let path = format!("/api/v1/dead-letters/{id}/{remedy}");
            let outcome: DeadLetterOutcome = request_json(&client, remote, Method::POST, &path).await?;
            write_outcome(&outcome, format, out)
        }
    }
}

fn write_letter(
    letter: &DeadLetterInfo,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    if format == Format::Json {
        return write_json(letter, out);
    }
    let DeadLetterInfo {
        id,
        view,
        stream,
        version,
        event_type,
        reason,
        attempts,
        waiting,
        parked_at,
        ..
    } = letter;
    writeln!(
        out,
        "{id}  {parked_at}  {view}  {event_type}  {stream} v{version}  \
         {attempts} attempts, {waiting} waiting  {reason}"
    )?;
    Ok(())
}

fn write_outcome(
    outcome: &DeadLetterOutcome,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    if format == Format::Json {
        return write_json(outcome, out);
    }
    writeln!(out, "{} events were applied", outcome.applied)?;
    if let Some(letter) = &outcome.dead_letter {
        write!(out, "the stream waits behind  ")?;
        write_letter(letter, format, out)?;
    }
    Ok(out.flush()?)
}

fn write_json(answer: &impl serde::Serialize, out: &mut (dyn Write + Send)) -> Result<(), MonitorError> {
    let line = serde_json::to_string(answer).map_err(std::io::Error::from)?;
    Ok(writeln!(out, "{line}")?)
}
