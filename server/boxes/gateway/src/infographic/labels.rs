//! The body with labels: its form in the description, and the problems of its labels.

use std::{borrow::Cow, collections::BTreeMap};

use domain::rejection::Violation;
use drawing::{LabelError, Sheet, label_limit};
use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type},
    },
};

/// The labels of a sheet by id.
#[derive(Debug, Deserialize)]
pub(super) struct LabelTable(pub(super) BTreeMap<String, String>);

impl PartialSchema for LabelTable {
    fn schema() -> RefOr<Schema> {
        let table = |sheet: Sheet| {
            let label = |id| {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .max_length(Some(label_limit(id)))
            };
            drawing::label_ids(sheet).fold(
                ObjectBuilder::new()
                    .title(Some(sheet.as_str()))
                    .additional_properties(Some(AdditionalProperties::FreeForm(false))),
                |table, id| table.property(id, label(id)).required(id),
            )
        };
        OneOfBuilder::new()
            .item(table(Sheet::Pattern))
            .item(table(Sheet::Business))
            .into()
    }
}

impl ToSchema for LabelTable {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Labels")
    }
}

/// What is wrong with a label, by its id.
pub(super) fn violation(error: &LabelError) -> Violation {
    let message = match error {
        LabelError::Missing { .. } => "is missing".to_owned(),
        LabelError::Unknown { .. } => "is not a label of this sheet".to_owned(),
        LabelError::Empty { .. } => "is empty".to_owned(),
        LabelError::TooLong { limit, .. } => format!("has at most {limit} characters"),
        LabelError::StackedMarks { .. } => "has too many marks on one letter".to_owned(),
        LabelError::ControlCharacter { .. } => "has a control character".to_owned(),
    };
    Violation {
        field: error.label().to_owned(),
        message,
    }
}
