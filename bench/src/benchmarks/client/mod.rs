//! The product in a real browser, from outside: headless Chromium, as the browser tests find it, driven by
//! `bench/client/measure.mjs`. For the landing page, the shop, the order list and the office, cold (with an
//! empty cache) and warm: the bytes on the wire, as compressed as the browser accepts them, the requests,
//! the first contentful paint, the time until the islands take clicks, the largest layout shift, and the
//! memory of scripts. Then an order, from the click until another tab has painted it as confirmed, and the
//! memory of an order list over 2,000 changes. Then the live map of the lab while 1,000 events a second are
//! stored: the time between its frames, the bytes of its socket and the memory of its scripts, beside the
//! same map at rest.
//!
//! The floor is bare axum in the same browser: a page of text with as much HTML as ours, and a page that
//! shows broadcast frames as rows. What a bare Leptos counter weighs is a fixed figure of the design.
//!
//! A browser does the same on both databases, so it is measured on SQLite only.

mod browser;
mod measured;

use anyhow::{Context as _, Result};
use domain::wire::Template;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::{browser::Browser, measured::Measured};
use crate::{
    case::{Case, CaseResult, Comparison, Contender, Measure, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
    outside::{FloorServer, Foldline, Storage, Storefront},
    report,
};

/// The thresholds of the design, in thousands of bytes: the first page, and everything but the lab.
const FIRST_PAGE_KB: f64 = 60.0;
const EVERYTHING_KB: f64 = 400.0;

/// The changes of an order list.
const CHANGES: u32 = 2_000;

/// The events of a second while the live map is open.
const EVENTS_A_SECOND: u32 = 1_000;

/// The products of the workspace whose map is open.
const MAP_PRODUCTS: usize = 20;

/// A page, and whether the person is signed in.
struct Page {
    name: &'static str,
    path: &'static str,
    signed_in: bool,
}

const PAGES: [Page; 4] = [
    Page {
        name: "the landing page",
        path: "/",
        signed_in: false,
    },
    Page {
        name: "the shop",
        path: "/shop",
        signed_in: true,
    },
    Page {
        name: "the order list",
        path: "/orders",
        signed_in: true,
    },
    Page {
        name: "the office",
        path: "/office",
        signed_in: true,
    },
];

const OURS: &str = "ours";
const BARE_PAGE: &str = "bare page of as much HTML";
const BARE_ROWS: &str = "bare axum and broadcast";
const AT_REST: &str = "the same map at rest";

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let Some(folder) = settings.client.as_deref() else {
        report::progress("the client is not measured: its program or a browser is missing");
        return Ok(Vec::new());
    };
    if database != Database::Sqlite {
        report::progress("the client is measured on SQLite only");
        return Ok(Vec::new());
    }
    let storage = Storage::new(database, bench_databases, OURS).await?;
    let foldline = Foldline::start(settings.foldline()?, &storage, &[]).await?;
    let address = foldline.process.address;
    // The pages of a full shop, and another workspace whose list grows.
    let full = Storefront::open(address, Template::Shop).await?;
    let own = Storefront::open(address, Template::Empty).await?;
    own.list_products(1).await?;
    let mapped = Storefront::open(address, Template::Empty).await?;
    mapped.list_products(MAP_PRODUCTS).await?;
    full.settled().await?;
    own.settled().await?;
    mapped.settled().await?;
    let floor = FloorServer::start().await?;
    let bench = Bench {
        database,
        settings,
        browser: Mutex::new(Browser::start(folder).await?),
        ours: format!("http://{address}"),
        floor: format!("http://{}", floor.0.address),
    };
    let mut found = Vec::new();
    for page in &PAGES {
        found.extend(bench.page(page, &full.token).await?);
    }
    found.extend(bench.visit(&full.token).await?);
    found.extend(bench.order(&own.token).await?);
    found.extend(bench.growth(&own.token).await?);
    found.extend(bench.map(&mapped.token).await?);
    drop(bench);
    foldline.process.stop().await?;
    bench_databases.clear().await?;
    Ok(found)
}

/// The servers and the browser.
struct Bench<'a> {
    database: Database,
    settings: &'a RunSettings,
    browser: Mutex<Browser>,
    ours: String,
    floor: String,
}

impl Bench<'_> {
    fn title(&self, what: &str) -> Option<String> {
        let title = format!("{}, {what}", self.database.name());
        self.settings.includes(&title).then_some(title)
    }

    /// One page, cold and warm.
    async fn page(&self, page: &Page, token: &str) -> Result<Vec<CaseResult>> {
        let mut found = Vec::new();
        for (state, warm) in [("cold", false), ("warm", true)] {
            let Some(title) = self.title(&format!("{}, {state}", page.name)) else {
                continue;
            };
            let task = json!({
                "task": "load", "url": format!("{}{}", self.ours, page.path),
                "token": page.signed_in.then_some(token), "warm": warm,
            });
            let html = self.html(&task).await?;
            let bare = json!({
                "task": "load", "url": format!("{}/page/{html}", self.floor), "warm": warm,
            });
            let mut comparisons = vec![Comparison::latency(OURS, BARE_PAGE, Threshold::None)];
            if page.path == "/" && !warm {
                let aim = Threshold::AtMost(FIRST_PAGE_KB);
                comparisons.push(Comparison::alone(Measure::Named(measured::WIRE), OURS, aim));
            }
            let contenders: Vec<Box<dyn Contender + '_>> = vec![
                Box::new(Measured::page(OURS, &self.browser, task)),
                Box::new(Measured::page(BARE_PAGE, &self.browser, bare)),
            ];
            let case = Case {
                title,
                unit: "pages",
                contenders,
                comparisons,
            };
            found.extend(case.run(self.settings).await?);
        }
        Ok(found)
    }

    /// The bytes of HTML of a page.
    async fn html(&self, task: &Value) -> Result<u64> {
        let mut once = task.clone();
        once["milliseconds"] = 0.into();
        let answer = self.browser.lock().await.ask(&once).await?;
        let html = answer.found.first().and_then(|page| *page.get("html")?);
        html.map(measured::whole).context("the page has no HTML")
    }

    /// All pages one after the other, with the files that they share loaded once: everything but the lab.
    async fn visit(&self, token: &str) -> Result<Option<CaseResult>> {
        let Some(title) = self.title("all four pages, one after the other") else {
            return Ok(None);
        };
        let urls = PAGES.each_ref().map(|page| format!("{}{}", self.ours, page.path));
        let task = json!({"task": "visit", "urls": urls, "token": token});
        let case = Case {
            title,
            unit: "visits",
            contenders: vec![Box::new(Measured::page(OURS, &self.browser, task))],
            comparisons: vec![Comparison::alone(
                Measure::Named(measured::WIRE),
                OURS,
                Threshold::AtMost(EVERYTHING_KB),
            )],
        };
        case.run(self.settings).await
    }

    /// From a click until another tab has painted its row.
    async fn order(&self, token: &str) -> Result<Option<CaseResult>> {
        let what = "from the click on Place order to the confirmed row in another tab";
        let Some(title) = self.title(what) else {
            return Ok(None);
        };
        let task = |url: String, token: Option<&str>| {
            json!({
                "task": "order", "url": url, "token": token, "bare": token.is_none(),
            })
        };
        let ours = task(format!("{}/orders", self.ours), Some(token));
        let bare = task(format!("{}/rows", self.floor), None);
        let case = Case {
            title,
            unit: "orders",
            contenders: vec![
                Box::new(Measured::order(OURS, &self.browser, ours)),
                Box::new(Measured::order(BARE_ROWS, &self.browser, bare)),
            ],
            comparisons: vec![Comparison::latency(OURS, BARE_ROWS, Threshold::None)],
        };
        case.run(self.settings).await
    }

    /// The memory of an order list over many changes, once it has as many rows as it gets. Its ratio to the
    /// floor's is not shown: that may be 0.
    async fn growth(&self, token: &str) -> Result<Option<CaseResult>> {
        let Some(title) = self.title(&format!("an order list over {CHANGES} changes")) else {
            return Ok(None);
        };
        let task = |url: String, token: Option<&str>| {
            json!({
                "task": "grow", "url": url, "token": token, "bare": token.is_none(), "changes": CHANGES,
            })
        };
        let ours = task(format!("{}/orders", self.ours), Some(token));
        let bare = task(format!("{}/rows", self.floor), None);
        let case = Case {
            title,
            unit: "changes",
            contenders: vec![
                Box::new(Measured::growth(OURS, &self.browser, ours)),
                Box::new(Measured::growth(BARE_ROWS, &self.browser, bare)),
            ],
            comparisons: vec![Comparison::alone(
                Measure::Named(measured::GROWN),
                OURS,
                Threshold::None,
            )],
        };
        // Once: a list of a thousand rows takes minutes to fill.
        let once = RunSettings {
            runs: 1,
            ..self.settings.clone()
        };
        case.run(&once).await
    }

    /// The live map while events are stored at a rate, beside the same map at rest.
    async fn map(&self, token: &str) -> Result<Option<CaseResult>> {
        let what = format!("the live map at {EVENTS_A_SECOND} events a second");
        let Some(title) = self.title(&what) else {
            return Ok(None);
        };
        let url = format!("{}/lab", self.ours);
        let task = |rate: u32| json!({"task": "map", "url": url, "token": token, "rate": rate});
        let contenders: Vec<Box<dyn Contender + '_>> = vec![
            Box::new(Measured::map(OURS, &self.browser, task(EVENTS_A_SECOND))),
            Box::new(Measured::map(AT_REST, &self.browser, task(0))),
        ];
        let case = Case {
            title,
            unit: "events",
            contenders,
            comparisons: vec![
                Comparison::latency(OURS, AT_REST, Threshold::None),
                Comparison::alone(Measure::Named(measured::LONGEST), OURS, Threshold::None),
                Comparison::alone(Measure::Named(measured::GROWN), OURS, Threshold::None),
            ],
        };
        case.run(self.settings).await
    }
}
