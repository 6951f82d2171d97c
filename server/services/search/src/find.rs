//! Finding: from what was typed, and who asks, to a query, hits, facets and highlights.
//!
//! Rights are clauses of the query: the workspace always, and of what is not for everybody only what is one's own. So neither
//! a hit nor a count tells of anything else.

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
    entry::Kept,
    facets::{Facets, most},
    index::{Fields, Files, KIND, STATUS, SearchError, TAG, owner_term},
    words::{Word, highlighted, words},
};

/// The most values of a facet.
const FACETS: usize = 50;

/// What somebody looks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What was typed.
    pub typed: String,
    /// Of which kinds.
    pub kinds: Vec<SearchKind>,
    /// Only what has this tag.
    pub tag: Option<String>,
    /// The most hits.
    pub limit: usize,
}

/// What was found, with personal fields as they are kept.
#[derive(Debug, Default)]
pub struct Found {
    /// The best first.
    pub hits: Vec<SearchHit<Box<RawValue>>>,
    /// How many of what.
    pub facets: SearchFacets,
}

type Clause = (Occur, Box<dyn Query>);

/// Finds what somebody may see. Blocks: it reads files, and computes.
pub(super) fn find(
    files: &Arc<Files>,
    workspace: WorkspaceId,
    actor: &Actor,
    wanted: &Wanted,
) -> Result<Found, SearchError> {
    let words = words(&wanted.typed);
    if words.is_empty() || wanted.kinds.is_empty() {
        return Ok(Found::default());
    }
    let searcher = files.searcher();
    let query = query(files.fields, workspace, actor, wanted, &words);
    let top = TopDocs::with_limit(wanted.limit).order_by_score();
    let (hits, (kinds, tags, statuses)) =
        searcher.search(&query, &(top, (Facets(KIND), Facets(TAG), Facets(STATUS))))?;
    let mut found = Found {
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
    // The index gives equals in the order of its files, which changes with every merge.
    found.hits.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| (a.kind, &a.key).cmp(&(b.kind, &b.key)))
    });
    Ok(found)
}

fn facets(counts: std::collections::HashMap<String, u64>) -> Vec<Facet> {
    most(counts, FACETS)
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
    let kept: Kept = serde_json::from_str(&text(fields.kept))?;
    let Some(data) = kept.data else { return Ok(None) };
    let title = text(fields.title);
    let highlight = |field: &str, text: &str| {
        highlighted(text, words).map(|parts| Highlight {
            field: field.to_owned(),
            parts,
        })
    };
    let highlights = [("title", title.as_str()), ("text", &text(fields.text))];
    Ok(Some(SearchHit {
        kind: kept.kind,
        key: kept.key,
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
    wanted: &Wanted,
    words: &[Word],
) -> BooleanQuery {
    let mut clauses: Vec<Clause> = vec![
        (Occur::Must, exactly(fields.workspace, &workspace.to_string())),
        (Occur::Must, may_see(fields, workspace, actor, &wanted.kinds)),
    ];
    if let Some(tag) = &wanted.tag {
        clauses.push((Occur::Must, exactly(fields.tag, tag)));
    }
    clauses.extend(words.iter().map(|word| (Occur::Must, like(fields, word))));
    BooleanQuery::new(clauses)
}

/// The kinds that were asked for; of those that are not for everybody to list, what is the actor's own.
fn may_see(fields: Fields, workspace: WorkspaceId, actor: &Actor, kinds: &[SearchKind]) -> Box<dyn Query> {
    let kinds = kinds.iter().map(|kind| {
        let of_kind = exactly(fields.kind, kind.as_str());
        if actor.may_read_listing(kind.as_str(), "all", "") {
            return (Occur::Should, of_kind);
        }
        let own = exactly(fields.owner, &owner_term(workspace, actor.id));
        let both: Box<dyn Query> = Box::new(BooleanQuery::intersection(vec![of_kind, own]));
        (Occur::Should, both)
    });
    let any: Box<dyn Query> = Box::new(BooleanQuery::new(kinds.collect()));
    Box::new(ConstScoreQuery::new(any, 0.0))
}

/// A condition that says nothing about how well something fits.
fn exactly(field: Field, value: &str) -> Box<dyn Query> {
    let term = TermQuery::new(Term::from_field_text(field, value), IndexRecordOption::Basic);
    Box::new(ConstScoreQuery::new(Box::new(term), 0.0))
}

/// A word, or one near it: in the title it counts more than in the text, and written right more than nearly right.
fn like(fields: Fields, word: &Word) -> Box<dyn Query> {
    let mut ways: Vec<Clause> = Vec::new();
    let mut way = |query: Box<dyn Query>, boost: f32| {
        let boosted: Box<dyn Query> = Box::new(BoostQuery::new(query, boost));
        ways.push((Occur::Should, boosted));
    };
    for (field, boost) in [(fields.title, 4.0), (fields.text, 1.0)] {
        let term = || Term::from_field_text(field, &word.text);
        way(
            Box::new(TermQuery::new(term(), IndexRecordOption::WithFreqs)),
            2.0 * boost,
        );
        if word.distance > 0 {
            way(
                Box::new(FuzzyTermQuery::new(term(), word.distance, true)),
                0.5 * boost,
            );
        }
        if word.goes_on {
            way(Box::new(FuzzyTermQuery::new_prefix(term(), 0, true)), boost);
            if word.distance > 0 {
                way(
                    Box::new(FuzzyTermQuery::new_prefix(term(), word.distance, true)),
                    0.25 * boost,
                );
            }
        }
    }
    way(
        Box::new(TermQuery::new(
            Term::from_field_text(fields.tag, &word.text),
            IndexRecordOption::Basic,
        )),
        2.0,
    );
    Box::new(BooleanQuery::new(ways))
}
