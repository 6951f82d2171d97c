//! Facets: how many hits have each value of a field, counted on the field's column, segment by segment.

use std::collections::HashMap;

use domain::wire::Facet;
use tantivy::{
    DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::StrColumn,
};

/// Counts the values of a text column among the hits.
#[derive(Debug)]
pub(super) struct Facets(pub(super) &'static str);

/// The counts of one segment, by the values' ordinals.
pub(super) struct SegmentColumns {
    column: Option<StrColumn>,
    counts: HashMap<u64, u64>,
}

impl Collector for Facets {
    type Fruit = HashMap<String, u64>;
    type Child = SegmentColumns;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentColumns> {
        Ok(SegmentColumns {
            column: segment.fast_fields().str(self.0)?,
            counts: HashMap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Self::Fruit>) -> tantivy::Result<Self::Fruit> {
        let mut merged = HashMap::new();
        for (value, count) in segments.into_iter().flatten() {
            *merged.entry(value).or_insert(0) += count;
        }
        Ok(merged)
    }
}

impl SegmentCollector for SegmentColumns {
    type Fruit = HashMap<String, u64>;

    fn collect(&mut self, doc: DocId, _: Score) {
        if let Some(column) = &self.column {
            for value in column.term_ords(doc) {
                *self.counts.entry(value).or_insert(0) += 1;
            }
        }
    }

    fn harvest(self) -> Self::Fruit {
        let Some(column) = self.column else {
            return HashMap::new();
        };
        let mut values = HashMap::with_capacity(self.counts.len());
        for (number, count) in self.counts {
            let mut value = String::new();
            // The column gives only ordinals of its dictionary.
            if column.ord_to_str(number, &mut value).unwrap_or(false) {
                values.insert(value, count);
            }
        }
        values
    }
}

/// The most frequent values, descending; equal ones in alphabetical order.
pub(super) fn most_frequent(counts: HashMap<String, u64>, limit: usize) -> Vec<Facet> {
    let mut facets: Vec<_> = counts
        .into_iter()
        .map(|(value, count)| Facet { value, count })
        .collect();
    facets.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    facets.truncate(limit);
    facets
}
