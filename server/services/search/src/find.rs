//! Runs a search: from a text and an actor to a query, hits, facets and highlights.
//!
//! Rights are clauses of the query: always the workspace, and the owner for kinds that the actor may not
//! list. So neither a hit nor a count reveals anything else.

use std::sync::Arc;

use domain::{
    access::Actor,
    id::WorkspaceId,
    wire::{Facet, Highlight, SearchFacets, SearchHit, SearchKind},
};
use serde_json::value::RawValue;
use tantivy::{
    Searcher, TantivyDocument, Term,
    collector::TopDocs,
    query::{BooleanQuery, BoostQuery, ConstScoreQuery, FuzzyTermQuery, Occur, Query, TermQuery},
    schema::{Field, IndexRecordOption, Value as _},
};

use super::{
    entry::IndexedDocument,
    facets::{Facets, most_frequent},
    index::{Fields, Files, KIND, STATUS, SearchError, TAG, owner_term},
    words::{Word, highlighted, words},
};

/// The most values of a facet.
const FACETS: usize = 50;

/// A search request.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// The entered text.
    pub text: String,
    /// The kinds to search.
    pub kinds: Vec<SearchKind>,
    /// Only documents with this tag.
    pub tag: Option<String>,
    /// The most hits.
    pub limit: usize,
}

/// The result of a search, with personal fields as they are stored.
#[derive(Debug, Default)]
pub struct SearchResult {
    /// The hits, best first.
    pub hits: Vec<SearchHit<Box<RawValue>>>,
    /// The counts of values.
    pub facets: SearchFacets,
}

type Clause = (Occur, Box<dyn Query>);

/// Finds documents that the actor may see. Blocks: it reads files and computes.
pub(super) fn find(
    files: &Arc<Files>,
    workspace: WorkspaceId,
    actor: &Actor,
    request: &SearchRequest,
) -> Result<SearchResult, SearchError> {
    let words = words(&request.text);
    if words.is_empty() || request.kinds.is_empty() {
        return Ok(SearchResult::default());
    }
    let searcher = files.searcher();
    let query = query(files.fields, workspace, actor, request, &words);
    let top = TopDocs::with_limit(request.limit).order_by_score();
    let (hits, (kinds, tags, statuses)) =
        searcher.search(&query, &(top, (Facets(KIND), Facets(TAG), Facets(STATUS))))?;
    let mut found = SearchResult {
        hits: Vec::with_capacity(hits.len()),
        facets: SearchFacets {
            kinds: facets(kinds),
            tags: facets(tags),
            statuses: facets(statuses),
        },
    };
    for (score, address) in hits {
        found
            .hits
            .extend(hit(&searcher, files.fields, address, score, &words)?);
    }
    // The index orders equal scores by its files, which change with every merge.
    found.hits.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| (a.kind, &a.key).cmp(&(b.kind, &b.key)))
    });
    Ok(found)
}

fn facets(counts: std::collections::HashMap<String, u64>) -> Vec<Facet> {
    most_frequent(counts, FACETS)
}

fn hit(
    searcher: &Searcher,
    fields: Fields,
    address: tantivy::DocAddress,
    score: f32,
    words: &[Word],
) -> Result<Option<SearchHit<Box<RawValue>>>, SearchError> {
    let document: TantivyDocument = searcher.doc(address)?;
    let text = |field| {
        let value = document.get_first(field).and_then(|value| value.as_str());
        value.unwrap_or_default().to_owned()
    };
    let indexed: IndexedDocument = serde_json::from_str(&text(fields.document))?;
    let Some(data) = indexed.data else { return Ok(None) };
    let title = text(fields.title);
    let highlight = |field: &str, text: &str| {
        highlighted(text, words).map(|parts| Highlight {
            field: field.to_owned(),
            parts,
        })
    };
    let highlights = [("title", title.as_str()), ("text", &text(fields.text))];
    Ok(Some(SearchHit {
        kind: indexed.kind,
        key: indexed.key,
        score,
        highlights: highlights
            .into_iter()
            .filter_map(|(field, text)| highlight(field, text))
            .collect(),
        title,
        data,
    }))
}

fn query(
    fields: Fields,
    workspace: WorkspaceId,
    actor: &Actor,
    request: &SearchRequest,
    words: &[Word],
) -> BooleanQuery {
    let mut clauses: Vec<Clause> = vec![
        (Occur::Must, term_filter(fields.workspace, &workspace.to_string())),
        (
            Occur::Must,
            visibility_filter(fields, workspace, actor, &request.kinds),
        ),
    ];
    if let Some(tag) = &request.tag {
        clauses.push((Occur::Must, term_filter(fields.tag, tag)));
    }
    clauses.extend(words.iter().map(|word| (Occur::Must, word_query(fields, word))));
    BooleanQuery::new(clauses)
}

/// The requested kinds; of those that the actor may not list, only the actor's own documents.
fn visibility_filter(
    fields: Fields,
    workspace: WorkspaceId,
    actor: &Actor,
    kinds: &[SearchKind],
) -> Box<dyn Query> {
    let kinds = kinds.iter().map(|kind| {
        let of_kind = term_filter(fields.kind, kind.as_str());
        if actor.may_read_listing(kind.as_str(), "all", "") {
            return (Occur::Should, of_kind);
        }
        let own = term_filter(fields.owner, &owner_term(workspace, actor.id));
        let both: Box<dyn Query> = Box::new(BooleanQuery::intersection(vec![of_kind, own]));
        (Occur::Should, both)
    });
    let any: Box<dyn Query> = Box::new(BooleanQuery::new(kinds.collect()));
    Box::new(ConstScoreQuery::new(any, 0.0))
}

/// A condition that does not affect the score.
fn term_filter(field: Field, value: &str) -> Box<dyn Query> {
    let term = TermQuery::new(Term::from_field_text(field, value), IndexRecordOption::Basic);
    Box::new(ConstScoreQuery::new(Box::new(term), 0.0))
}

/// A word or a similar one. A match in the title scores higher than one in the text, and an exact match
/// higher than a similar one.
fn word_query(fields: Fields, word: &Word) -> Box<dyn Query> {
    let mut alternatives: Vec<Clause> = Vec::new();
    let mut add = |query: Box<dyn Query>, boost: f32| {
        let boosted: Box<dyn Query> = Box::new(BoostQuery::new(query, boost));
        alternatives.push((Occur::Should, boosted));
    };
    for (field, boost) in [(fields.title, 4.0), (fields.text, 1.0)] {
        let term = || Term::from_field_text(field, &word.text);
        add(
            Box::new(TermQuery::new(term(), IndexRecordOption::WithFreqs)),
            2.0 * boost,
        );
        if word.distance > 0 {
            add(
                Box::new(FuzzyTermQuery::new(term(), word.distance, true)),
                0.5 * boost,
            );
        }
        if word.is_prefix {
            add(Box::new(FuzzyTermQuery::new_prefix(term(), 0, true)), boost);
            if word.distance > 0 {
                add(
                    Box::new(FuzzyTermQuery::new_prefix(term(), word.distance, true)),
                    0.25 * boost,
                );
            }
        }
    }
    add(
        Box::new(TermQuery::new(
            Term::from_field_text(fields.tag_words, &word.text),
            IndexRecordOption::Basic,
        )),
        2.0,
    );
    Box::new(BooleanQuery::new(alternatives))
}
