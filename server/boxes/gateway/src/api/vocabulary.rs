//! Words of the interface that have no type of their own, for the description: it lists the values that
//! exist, for readers and for programs that generate requests from it.

use std::borrow::Cow;

use domain::view;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

/// The name of a view.
pub(super) struct ViewName;

impl PartialSchema for ViewName {
    fn schema() -> RefOr<Schema> {
        one_of(view::all().iter().map(|view| view.name()))
    }
}

impl ToSchema for ViewName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ViewName")
    }
}

fn one_of(words: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words.collect::<Vec<_>>()))
        .into()
}
