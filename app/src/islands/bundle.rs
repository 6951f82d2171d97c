//! The islands that are in each bundle. An island that is not listed for a bundle is left out by the linker.
//!
//! Every bundle contains the islands of the frame, so a page loads one of them and never two.

use domain::wire::ServerFrame;

use super::{
    BasketContents, BasketCount, Catalogue, ClassBanner, ClassPhone, ConnectionBadge, CopyButton,
    DialsBanner, Inbox, InboxCount, LabClass, LabDeadLetters, LabDials, LabHandlers, LabHandling, LabLesson,
    LabMap, LabPresent, LabRecording, LabSplit, LabTail, LabTimeLine, LabViews, OfficeActivity,
    OfficeCustomers, OfficeOrders, OfficePayments, OfficePeople, OfficeProducts, OfficeSales, OfficeStock,
    OrderDetails, OrderList, ProductDetails, Verify,
    hydrate::{IslandHydrator, Needs, hydrate_page, hydrator, provide_commands},
    inbox_count::PolledInboxCount,
};
use crate::text;

/// Hydrates the islands of a page of the shop or the back office as soon as its texts are there.
pub fn hydrate_workspace() {
    const HYDRATORS: &[IslandHydrator] = &[
        // the frame
        hydrator::<BasketCount>(),
        hydrator::<ClassBanner>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<InboxCount>(),
        // the shop
        hydrator::<BasketContents>(),
        hydrator::<Catalogue>(),
        hydrator::<ClassPhone>(),
        hydrator::<Inbox>(),
        hydrator::<OrderList>(),
        hydrator::<OrderDetails>(),
        hydrator::<ProductDetails>(),
        // the back office
        hydrator::<OfficeActivity>(),
        hydrator::<OfficeCustomers>(),
        hydrator::<OfficeOrders>(),
        hydrator::<OfficePayments>(),
        hydrator::<OfficePeople>(),
        hydrator::<OfficeProducts>(),
        hydrator::<OfficeSales>(),
        hydrator::<OfficeStock>(),
    ];
    hydrate_with_texts(HYDRATORS, &ALL);
}

/// Hydrates the islands of the page of the map as soon as its texts are there.
pub fn hydrate_lab_map() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<PolledInboxCount>(),
        hydrator::<LabMap>(),
    ];
    hydrate_with_texts(HYDRATORS, &OF_THE_LAB);
}

/// Hydrates the islands of the page of the split view as soon as its texts are there.
pub fn hydrate_lab_split() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<InboxCount>(),
        hydrator::<LabSplit>(),
    ];
    hydrate_with_texts(HYDRATORS, &ALL);
}

/// Hydrates the islands of a page of recordings as soon as its texts are there.
pub fn hydrate_lab_recording() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ClassBanner>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<PolledInboxCount>(),
        hydrator::<LabRecording>(),
    ];
    hydrate_with_texts(HYDRATORS, &OF_THE_LAB);
}

/// Hydrates the islands of the page of the dials as soon as its texts are there.
pub fn hydrate_lab_dials() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ClassBanner>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<PolledInboxCount>(),
        hydrator::<LabDials>(),
    ];
    hydrate_with_texts(HYDRATORS, &OF_THE_LAB);
}

/// Hydrates the islands of the pages of event handlers and of dead letters as soon as their texts are there.
pub fn hydrate_lab_handlers() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ClassBanner>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<PolledInboxCount>(),
        hydrator::<LabHandlers>(),
        hydrator::<LabDeadLetters>(),
    ];
    hydrate_with_texts(HYDRATORS, &OF_THE_LAB);
}

/// Hydrates the islands of the page of views of one's own as soon as its texts are there.
pub fn hydrate_lab_views() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ClassBanner>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<PolledInboxCount>(),
        hydrator::<LabViews>(),
    ];
    hydrate_with_texts(HYDRATORS, &THAT_FOLLOW_VIEWS);
}

/// Hydrates the islands of an educator's pages of the class as soon as their texts are there.
pub fn hydrate_lab_class() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ClassBanner>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<PolledInboxCount>(),
        hydrator::<LabClass>(),
        hydrator::<LabPresent>(),
    ];
    hydrate_with_texts(HYDRATORS, &THAT_FOLLOW_VIEWS);
}

/// Hydrates the islands of the pages of lessons as soon as their texts are there.
pub fn hydrate_lab_lessons() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ClassBanner>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<PolledInboxCount>(),
        hydrator::<LabLesson>(),
    ];
    hydrate_with_texts(HYDRATORS, &OF_THE_LAB);
}

/// Hydrates the islands of the pages of streams and events as soon as their texts are there.
pub fn hydrate_lab_log() {
    const HYDRATORS: &[IslandHydrator] = &[
        hydrator::<BasketCount>(),
        hydrator::<ClassBanner>(),
        hydrator::<ConnectionBadge>(),
        hydrator::<CopyButton>(),
        hydrator::<DialsBanner>(),
        hydrator::<PolledInboxCount>(),
        hydrator::<LabHandling>(),
        hydrator::<LabTail>(),
        hydrator::<LabTimeLine>(),
        hydrator::<Verify>(),
    ];
    hydrate_with_texts(HYDRATORS, &OF_THE_LAB);
}

/// What islands need that follow views and send commands.
const ALL: Needs = Needs {
    provide_commands: Some(provide_commands),
    read_frame: ServerFrame::read,
};

/// What islands need that follow views, and send no commands.
const THAT_FOLLOW_VIEWS: Needs = Needs {
    provide_commands: None,
    read_frame: ServerFrame::read,
};

/// What islands need that follow the pipeline at most: its hops, its dials and its lights.
const OF_THE_LAB: Needs = Needs {
    provide_commands: None,
    read_frame: ServerFrame::read_of_lab,
};

fn hydrate_with_texts(hydrators: &'static [IslandHydrator], needs: &'static Needs) {
    wasm_bindgen_futures::spawn_local(async move {
        match text::browser::load().await {
            Ok(()) => hydrate_page(hydrators, needs),
            // The page stays as the server has rendered it.
            Err(error) => leptos::logging::error!("the texts of the page cannot be loaded: {error}"),
        }
    });
}
