//! The browser's erased view.

use leptos::tachys::{
    html::attribute::{Attribute, any_attribute::AnyAttribute},
    hydration::Cursor,
    renderer::types::{Element, Node},
    view::{Mountable, Position, PositionState, Render, RenderHtml, add_attr::AddAnyAttr},
};

/// A view that can be built or hydrated, as a trait object.
trait DynView: Send {
    fn build(self: Box<Self>) -> Box<dyn Mountable>;
    #[cfg(not(feature = "anew"))]
    fn hydrate(self: Box<Self>, cursor: &Cursor, position: &PositionState) -> Box<dyn Mountable>;
}

impl<T: RenderHtml + 'static> DynView for T {
    fn build(self: Box<Self>) -> Box<dyn Mountable> {
        Box::new(Render::build(*self))
    }

    #[cfg(not(feature = "anew"))]
    fn hydrate(self: Box<Self>, cursor: &Cursor, position: &PositionState) -> Box<dyn Mountable> {
        Box::new(RenderHtml::hydrate::<true>(*self, cursor, position))
    }
}

/// A view without its type.
pub(crate) struct Erased(Box<dyn DynView>);

impl Erased {
    pub(super) fn new(view: impl RenderHtml + 'static) -> Self {
        Self(Box::new(view))
    }
}

/// An erased view after it has been mounted.
pub(crate) struct MountedView(Box<dyn Mountable>);

impl Mountable for MountedView {
    fn unmount(&mut self) {
        self.0.unmount();
    }

    fn mount(&mut self, parent: &Element, marker: Option<&Node>) {
        self.0.mount(parent, marker);
    }

    fn insert_before_this(&self, child: &mut dyn Mountable) -> bool {
        self.0.insert_before_this(child)
    }

    fn elements(&self) -> Vec<Element> {
        self.0.elements()
    }
}

impl Render for Erased {
    type State = MountedView;

    fn build(self) -> Self::State {
        MountedView(self.0.build())
    }

    fn rebuild(self, state: &mut Self::State) {
        let mut new = self.build();
        state.insert_before_this(&mut new);
        state.unmount();
        *state = new;
    }
}

impl AddAnyAttr for Erased {
    type Output<A: Attribute> = Self;

    fn add_any_attr<A: Attribute>(self, _attribute: A) -> Self {
        // This application adds attributes to elements only, never to components.
        self
    }
}

impl RenderHtml for Erased {
    type AsyncOutput = Self;
    type Owned = Self;

    const MIN_LENGTH: usize = 0;

    fn dry_resolve(&mut self) {}

    async fn resolve(self) -> Self {
        self
    }

    fn to_html_with_buf(
        self,
        _buffer: &mut String,
        _position: &mut Position,
        _escape: bool,
        _mark_branches: bool,
        _extra_attributes: Vec<AnyAttribute>,
    ) {
        // Only the server writes HTML.
    }

    #[cfg(not(feature = "anew"))]
    fn hydrate<const FROM_SERVER: bool>(self, cursor: &Cursor, position: &PositionState) -> Self::State {
        MountedView(self.0.hydrate(cursor, position))
    }

    #[cfg(feature = "anew")]
    fn hydrate<const FROM_SERVER: bool>(self, _cursor: &Cursor, _position: &PositionState) -> Self::State {
        // Islands are built.
        self.build()
    }

    fn into_owned(self) -> Self {
        self
    }
}
