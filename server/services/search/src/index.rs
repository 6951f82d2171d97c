//! The index's files and fields. An index that cannot be opened is created again, because everything in it
//! follows from the log.

use std::{
    collections::HashSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use domain::id::WorkspaceId;
use serde::{Deserialize, Serialize};
use tantivy::{
    DocAddress, DocSet as _, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TERMINATED,
    TantivyDocument, Term,
    collector::DocSetCollector,
    query::TermQuery,
    schema::{
        FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _,
    },
};
use uuid::Uuid;

use super::{
    entry::{IndexedDocument, document_id},
    index_writer, tokens,
};
use documents::SealError;
use projection::effect::ProcessedPositions;

/// Raised with every change of fields, stored documents or [`tokens`]: an index of another
/// format is created again.
const FORMAT: u32 = 3;

/// The name of the tokenizer.
const WORDS: &str = "words";

/// The columns that hits are counted by.
pub(super) const KIND: &str = "kind";
pub(super) const TAG: &str = "tag";
pub(super) const STATUS: &str = "status";

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A file could not be read or written.
    #[error("the search index in {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The index failed.
    #[error("the search index: {0}")]
    Index(#[from] tantivy::TantivyError),
    /// A stored document cannot be parsed.
    #[error("the search index holds something unreadable: {0}")]
    Document(#[from] serde_json::Error),
    /// A personal field could not be unsealed.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The writer has stopped.
    #[error("the search index has stopped")]
    Stopped,
}

/// The fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// The document's id, which is unique.
    pub(super) document_id: Field,
    pub(super) workspace: Field,
    pub(super) kind: Field,
    pub(super) owner: Field,
    pub(super) title: Field,
    pub(super) text: Field,
    /// Tags as they are, to filter by and to count.
    pub(super) tag: Field,
    /// The words of tags, to find.
    pub(super) tag_words: Field,
    pub(super) status: Field,
    /// The stored document, as JSON.
    pub(super) document: Field,
}

/// The identity of an index.
#[derive(Debug, Serialize, Deserialize)]
struct Label {
    format: u32,
    id: Uuid,
}

/// An open index.
pub(super) struct Files {
    pub(super) index: Index,
    pub(super) reader: IndexReader,
    pub(super) fields: Fields,
    pub(super) id: Uuid,
    /// The folder of the segments.
    folder: PathBuf,
}

impl Files {
    /// Opens the index in a folder, or creates it.
    pub(super) fn open(folder: &Path, new_id: Uuid) -> Result<(Self, IndexWriter), SearchError> {
        match Self::open_existing(folder) {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "the search index cannot be opened and is created again");
            }
        }
        Self::make(folder, new_id)
    }

    fn open_existing(folder: &Path) -> Result<Option<(Self, IndexWriter)>, SearchError> {
        let label = match fs::read(folder.join("label.json")) {
            Ok(label) => label,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(at(folder)(source)),
        };
        let Label { format, id } = serde_json::from_slice(&label)?;
        if format != FORMAT {
            return Ok(None);
        }
        let segments = folder.join("index");
        Self::over(Index::open_in_dir(&segments)?, id, segments).map(Some)
    }

    fn make(folder: &Path, id: Uuid) -> Result<(Self, IndexWriter), SearchError> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(at(folder))?;
        }
        let segments = folder.join("index");
        fs::create_dir_all(&segments).map_err(at(folder))?;
        let opened = Self::over(Index::create_in_dir(&segments, schema())?, id, segments)?;
        // Last: an index without a label is not valid.
        let label = serde_json::to_vec(&Label { format: FORMAT, id })?;
        fs::write(folder.join("label.json"), label).map_err(at(folder))?;
        Ok(opened)
    }

    fn over(index: Index, id: Uuid, folder: PathBuf) -> Result<(Self, IndexWriter), SearchError> {
        index.tokenizers().register(WORDS, tokens::of_texts());
        let schema = index.schema();
        let field = |name| schema.get_field(name);
        let fields = Fields {
            document_id: field("place")?,
            workspace: field("workspace")?,
            kind: field(KIND)?,
            owner: field("owner")?,
            title: field("title")?,
            text: field("text")?,
            tag: field(TAG)?,
            tag_words: field("tag_words")?,
            status: field(STATUS)?,
            document: field("kept")?,
        };
        let writer = index_writer::open(&index)?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        let files = Self {
            index,
            reader,
            fields,
            id,
            folder,
        };
        Ok((files, writer))
    }

    /// Whether no file has a deleted document: the committed segments have none, and there is no file of
    /// another segment. A file that the index does not know of is removed.
    pub(super) fn are_clean(&self) -> Result<bool, SearchError> {
        let metas = self.index.searchable_segment_metas()?;
        if metas.iter().any(|meta| meta.num_deleted_docs() > 0) {
            return Ok(false);
        }
        let (known, unknown) = self.other_files()?;
        for file in unknown {
            let file = self.folder.join(file);
            match fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&file)(error)),
                _ => {}
            }
        }
        Ok(known.is_empty())
    }

    /// Whether a segment is being made by a merge: its files are there, and it is not committed yet.
    pub(super) fn is_merging(&self) -> Result<bool, SearchError> {
        let (known, _) = self.other_files()?;
        Ok(!known.is_empty())
    }

    /// The files of segments that are not committed: those that the index knows of, and the others.
    fn other_files(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), SearchError> {
        let metas = self.index.searchable_segment_metas()?;
        let committed: HashSet<String> = metas.iter().map(|meta| meta.id().uuid_string()).collect();
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let name = entry.map_err(at(&self.folder))?.file_name();
            let segment = name.to_str().and_then(segment_of);
            if segment.is_some_and(|segment| !committed.contains(segment)) {
                others.push(PathBuf::from(name));
            }
        }
        // After the names: a file is known before it is created.
        let known = self.index.directory().list_managed_files();
        Ok(others.into_iter().partition(|file| known.contains(file)))
    }

    /// A searcher over the committed documents.
    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// The document of an id.
    pub(super) fn document(&self, document_id: &str) -> Result<Option<IndexedDocument>, SearchError> {
        let json = self.json(document_id)?;
        Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
    }

    /// The processed positions of a partition.
    pub(super) fn processed_positions(&self, document_id: &str) -> Result<ProcessedPositions, SearchError> {
        let json = self.json(document_id)?;
        Ok(json
            .map(|json| serde_json::from_str(&json))
            .transpose()?
            .unwrap_or_default())
    }

    fn json(&self, document_id: &str) -> Result<Option<String>, SearchError> {
        let searcher = self.searcher();
        let Some(address) = self.address(&searcher, document_id)? else {
            return Ok(None);
        };
        self.stored(&searcher, address)
    }

    /// The address of the document of an id. No query, because that would compute scores.
    fn address(&self, searcher: &Searcher, document_id: &str) -> Result<Option<DocAddress>, SearchError> {
        let term = Term::from_field_text(self.fields.document_id, document_id);
        for (segment_number, segment) in (0..).zip(searcher.segment_readers()) {
            let inverted = segment.inverted_index(self.fields.document_id)?;
            let postings = inverted
                .read_postings(&term, IndexRecordOption::Basic)
                .map_err(tantivy::TantivyError::from)?;
            let Some(mut postings) = postings else { continue };
            while postings.doc() != TERMINATED {
                if !segment.is_deleted(postings.doc()) {
                    return Ok(Some(DocAddress::new(segment_number, postings.doc())));
                }
                postings.advance();
            }
        }
        Ok(None)
    }

    /// All documents of an owner.
    pub(super) fn documents_of(
        &self,
        workspace: WorkspaceId,
        owner: Uuid,
    ) -> Result<Vec<IndexedDocument>, SearchError> {
        let searcher = self.searcher();
        let query = TermQuery::new(
            Term::from_field_text(self.fields.owner, &owner_term(workspace, owner)),
            IndexRecordOption::Basic,
        );
        let mut documents = Vec::new();
        for address in searcher.search(&query, &DocSetCollector)? {
            if let Some(json) = self.stored(&searcher, address)? {
                documents.push(serde_json::from_str(&json)?);
            }
        }
        Ok(documents)
    }

    fn stored(&self, searcher: &Searcher, address: DocAddress) -> Result<Option<String>, SearchError> {
        let document: TantivyDocument = searcher.doc(address)?;
        let document = document.get_first(self.fields.document);
        Ok(document.and_then(|document| document.as_str()).map(str::to_owned))
    }

    /// The workspaces with documents in it.
    pub(super) fn workspaces(&self) -> Result<Vec<WorkspaceId>, SearchError> {
        let mut workspaces = Vec::new();
        for segment in self.searcher().segment_readers() {
            let inverted = segment.inverted_index(self.fields.workspace)?;
            let mut terms = inverted.terms().stream().map_err(tantivy::TantivyError::from)?;
            while terms.advance() {
                let id: Option<WorkspaceId> = std::str::from_utf8(terms.key())
                    .ok()
                    .and_then(|text| text.parse().ok());
                workspaces.extend(id);
            }
        }
        workspaces.sort_unstable();
        workspaces.dedup();
        Ok(workspaces)
    }
}

/// The segment of a file: its name begins with the segment's id, of 32 hexadecimal digits.
fn segment_of(file: &str) -> Option<&str> {
    file.get(..32)
        .filter(|id| id.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// The id of a partition's processed positions.
pub(super) fn positions_id(workspace: WorkspaceId, partition: u32) -> String {
    format!("{workspace}/inbox/{partition}")
}

/// The term of an owner, whose user id belongs to one workspace only.
pub(super) fn owner_term(workspace: WorkspaceId, owner: Uuid) -> String {
    format!("{workspace}/{owner}")
}

impl IndexedDocument {
    /// Its id in the index.
    pub(super) fn document_id(&self, workspace: WorkspaceId) -> String {
        document_id(workspace, self.kind, &self.key)
    }
}

fn schema() -> Schema {
    let words = TextOptions::default()
        .set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(WORDS)
                .set_index_option(IndexRecordOption::WithFreqs),
        )
        .set_stored();
    let tag_words = TextFieldIndexing::default()
        .set_tokenizer(WORDS)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    let mut schema = Schema::builder();
    schema.add_text_field("place", STRING);
    schema.add_text_field("workspace", STRING);
    schema.add_text_field(KIND, STRING | FAST);
    schema.add_text_field("owner", STRING);
    schema.add_text_field("title", words.clone());
    schema.add_text_field("text", words);
    schema.add_text_field(TAG, STRING | FAST);
    schema.add_text_field(
        "tag_words",
        TextOptions::default().set_indexing_options(tag_words),
    );
    schema.add_text_field(STATUS, STRING | FAST);
    schema.add_text_field("kept", STORED);
    schema.build()
}

fn at(folder: &Path) -> impl Fn(std::io::Error) -> SearchError {
    let path = folder.to_owned();
    move |source| SearchError::File {
        path: path.clone(),
        source,
    }
}
