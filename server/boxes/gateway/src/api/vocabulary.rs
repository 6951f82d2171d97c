//! Words of the interface that have no type of their own, for the description: it lists values that exist,
//! for readers and for programs that generate requests from it.

use std::borrow::Cow;

use domain::{
    view,
    wire::{HandlerKind, dials::bendable_handlers},
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

/// The name of a view: one of the program, or one that people of the workspace have defined.
pub(super) struct ViewName;

impl PartialSchema for ViewName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A view of the program, as listed, or one of the workspace's own",
            ))
            .pattern(Some("^[a-z][a-z0-9_]{0,39}$"))
            .examples(view::NAMES)
            .into()
    }
}

impl ToSchema for ViewName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ViewName")
    }
}

/// The name of a view, a process manager or a consumer.
pub(super) struct HandlerName;

impl PartialSchema for HandlerName {
    fn schema() -> RefOr<Schema> {
        let names = HandlerKind::ALL.into_iter().flat_map(HandlerKind::names);
        one_of(names.copied())
    }
}

impl ToSchema for HandlerName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("HandlerName")
    }
}

/// The name of an event handler whose lanes have dials.
pub(super) struct BendableHandlerName;

impl PartialSchema for BendableHandlerName {
    fn schema() -> RefOr<Schema> {
        one_of(bendable_handlers())
    }
}

impl ToSchema for BendableHandlerName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("BendableHandlerName")
    }
}

fn one_of(words: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words.collect::<Vec<_>>()))
        .into()
}
