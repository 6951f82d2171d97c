//! The whole interface, from the router down, as the server renders it inside [`shell()`](crate::shell()).

use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::{
    components::{FlatRoutes, Route, Router},
    path,
};

use crate::{
    api,
    erase::Erase,
    layout::Frame,
    pages::{
        AccountPage, BasketPage, ClassPage, ConfirmEmailPage, ForgotPasswordPage, InboxPage, InfographicPage,
        JoinPage, LabClassCodePage, LabClassPage, LabDeadLettersPage, LabDialsPage, LabEventPage,
        LabGlossaryPage, LabHandlersPage, LabLessonPage, LabLessonsPage, LabMapPage, LabPresentPage,
        LabRecordingPage, LabRecordingsPage, LabSplitPage, LabStreamPage, LabStreamsPage, LabViewsPage,
        LandingPage, MailboxPage, NotFoundPage, OfficeActivityPage, OfficeCustomersPage, OfficeOrdersPage,
        OfficePaymentsPage, OfficePeoplePage, OfficeProductsPage, OfficeSalesPage, OfficeStockPage, OpenPage,
        OrderPage, OrdersPage, ProductPage, RegisterPage, ResetPasswordPage, ShopPage, SignInPage,
    },
};

/// The application: which path is which page.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_context(api::Session(api::session()));
    view! {
        <Router>
            <Frame>
                <FlatRoutes fallback=|| view! { <NotFoundPage /> }>
                    <Route path=path!("/") view=LandingPage />
                    <Route path=path!("/infographic") view=InfographicPage />
                    <Route path=path!("/open") view=OpenPage />
                    <Route path=path!("/join") view=JoinPage />
                    <Route path=path!("/join/:code") view=JoinPage />
                    <Route path=path!("/register") view=RegisterPage />
                    <Route path=path!("/sign-in") view=SignInPage />
                    <Route path=path!("/forgot-password") view=ForgotPasswordPage />
                    <Route path=path!("/reset-password") view=ResetPasswordPage />
                    <Route path=path!("/confirm-email") view=ConfirmEmailPage />
                    <Route path=path!("/account") view=AccountPage />
                    <Route path=path!("/shop") view=ShopPage />
                    <Route path=path!("/shop/:sku") view=ProductPage />
                    <Route path=path!("/basket") view=BasketPage />
                    <Route path=path!("/class") view=ClassPage />
                    <Route path=path!("/inbox") view=InboxPage />
                    <Route path=path!("/mailbox") view=MailboxPage />
                    <Route path=path!("/orders") view=OrdersPage />
                    <Route path=path!("/orders/:id") view=OrderPage />
                    <Route path=path!("/office") view=OfficeOrdersPage />
                    <Route path=path!("/office/orders") view=OfficeOrdersPage />
                    <Route path=path!("/office/products") view=OfficeProductsPage />
                    <Route path=path!("/office/payments") view=OfficePaymentsPage />
                    <Route path=path!("/office/customers") view=OfficeCustomersPage />
                    <Route path=path!("/office/sales") view=OfficeSalesPage />
                    <Route path=path!("/office/activity") view=OfficeActivityPage />
                    <Route path=path!("/office/people") view=OfficePeoplePage />
                    <Route path=path!("/office/stock") view=OfficeStockPage />
                    <Route path=path!("/lab") view=LabMapPage />
                    <Route path=path!("/lab/class") view=LabClassPage />
                    <Route path=path!("/lab/class/code") view=LabClassCodePage />
                    <Route path=path!("/lab/class/present") view=LabPresentPage />
                    <Route path=path!("/lab/lessons") view=LabLessonsPage />
                    <Route path=path!("/lab/lessons/:lesson") view=LabLessonPage />
                    <Route path=path!("/lab/glossary") view=LabGlossaryPage />
                    <Route path=path!("/lab/dials") view=LabDialsPage />
                    <Route path=path!("/lab/streams") view=LabStreamsPage />
                    <Route path=path!("/lab/streams/:stream") view=LabStreamPage />
                    <Route path=path!("/lab/events/:id") view=LabEventPage />
                    <Route path=path!("/lab/projections") view=LabHandlersPage />
                    <Route path=path!("/lab/views") view=LabViewsPage />
                    <Route path=path!("/lab/dead-letters") view=LabDeadLettersPage />
                    <Route path=path!("/lab/split") view=LabSplitPage />
                    <Route path=path!("/lab/recording") view=LabRecordingsPage />
                    <Route path=path!("/lab/recording/:id") view=LabRecordingPage />
                </FlatRoutes>
            </Frame>
        </Router>
    }
    .erase()
}
