//! The pages, of the routes in the application's source.

use super::{COLUMNS, Findings, MARKER, Row, World, is_outside, outcome, same_names};

/// The source of the routes.
const ROUTES: &str = include_str!("../../../../app/src/routes.rs");

/// For everyone; without a session a page says how to get one.
const ALL: Row = [200; 7];
/// Of the back office: for all but customers.
const OFFICE: Row = [200, 403, 403, 200, 200, 200, 200];
/// Of the log: for students and educators.
const LOG: Row = [200, 403, 403, 403, 200, 200, 200];
/// For those who lead a class.
const EDUCATORS: Row = [200, 403, 403, 403, 403, 200, 200];

const RULES: &[(&str, Row)] = &[
    ("/", ALL),
    ("/infographic", ALL),
    ("/open", ALL),
    ("/join", ALL),
    ("/join/:code", ALL),
    ("/register", ALL),
    ("/sign-in", ALL),
    // a link without its token, as by hand
    ("/forgot-password", ALL),
    ("/reset-password", ALL),
    ("/confirm-email", ALL),
    ("/account", ALL),
    ("/shop", ALL),
    ("/shop/:sku", [200, 200, 200, 200, 200, 200, 404]),
    ("/basket", ALL),
    ("/inbox", ALL),
    ("/mailbox", ALL),
    ("/orders", ALL),
    ("/orders/:id", [200, 404, 200, 200, 200, 200, 404]),
    ("/office", OFFICE),
    ("/office/orders", OFFICE),
    ("/office/products", OFFICE),
    ("/office/payments", OFFICE),
    ("/office/customers", OFFICE),
    ("/office/sales", OFFICE),
    ("/office/activity", OFFICE),
    ("/office/people", OFFICE),
    ("/office/stock", OFFICE),
    ("/lab", LOG),
    ("/lab/lessons", LOG),
    ("/lab/lessons/:lesson", LOG),
    ("/lab/glossary", LOG),
    // every person of the class has their own page, and an educator those of the class
    ("/class", ALL),
    ("/lab/class", EDUCATORS),
    ("/lab/class/code", EDUCATORS),
    ("/lab/class/present", EDUCATORS),
    ("/lab/dials", LOG),
    ("/lab/streams", LOG),
    ("/lab/streams/:stream", [200, 403, 403, 403, 200, 200, 404]),
    // no event has the id of an order
    ("/lab/events/:id", [200, 403, 403, 403, 404, 404, 404]),
    ("/lab/projections", LOG),
    ("/lab/views", LOG),
    ("/lab/dead-letters", LOG),
    ("/lab/split", LOG),
    ("/lab/recording", LOG),
    // no recording has the id of an order
    ("/lab/recording/:id", [200, 403, 403, 403, 404, 404, 404]),
];

/// The paths of the routes.
pub(crate) fn routes() -> Vec<String> {
    let after = ROUTES.split("path!(\"").skip(1);
    after
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_page_is_shown_to_its_roles_and_no_others() {
    let table = RULES.iter().map(|(path, _)| (*path).to_owned());
    same_names("page", routes(), table);
    let world = World::new().await;
    let mut findings = Findings::default();
    for (route, expected) in RULES {
        let path = route
            .replace(":code", &world.educator.join_code)
            .replace(":sku", "teapot-01")
            .replace(":lesson", "happy_path")
            .replace(":id", &world.order.to_string())
            .replace(":stream", "product-teapot-01");
        for (column, expected) in COLUMNS.into_iter().zip(*expected) {
            let mut request = world.app.get(&path);
            if let Some(person) = world.person(column) {
                request = request.header("cookie", format!("foldline_session={}", person.token));
            }
            let (status, body) = outcome(request.send().await.unwrap()).await;
            findings.check(route, column, expected, status, &body);
            if is_outside(column) && body.contains(MARKER) {
                findings.note(format!("{route} shows {column:?} another workspace"));
            }
        }
    }
    findings.finish();
}

#[test]
fn the_routes_are_found_in_their_source() {
    let routes = routes();
    assert!(
        routes.contains(&"/".to_owned()) && routes.contains(&"/shop/:sku".to_owned()),
        "{routes:?}"
    );
}
