//! Faults of several servers, drawn from a seed: they are killed, suspended and cut off, from the database
//! and from their clients; the clock is put forward, payments are declined or silent, views are paused,
//! crashed and rebuilt, mails are slow, refused or impossible, dead letters are released, people register in
//! bursts and are erased. Meanwhile clients work at all servers, and change the server when one does not
//! answer.
//!
//! The schedule is a pure function of the seed; what the machine makes of it is not. A failure prints the
//! seed and the history of what it found. `cargo xtask history --servers 3 --faults 200 --seed 7` runs it
//! longer.

mod driver;
mod effects;
mod mail_server;
mod people;
mod schedule;

use std::{path::Path, sync::Arc, time::Duration};

use domain::{aggregate::payment::METHODS, view};
use server::settings::StoreUrl;
use test_postgres::{Cluster, Database};

use super::{
    Clients,
    check::{NewerDocuments, check},
    clients::Access,
    number,
    record::{History, Observation, ObservedState},
    servers::Servers,
};
use driver::Driver;
use mail_server::MailServer;
use schedule::{Conditions, schedule};

/// How many faults are drawn, for how many servers on PostgreSQL, and from which seed.
const FAULTS: &str = "FOLDLINE_TEST_FAULTS";
const SERVERS: &str = "FOLDLINE_TEST_SERVERS";
const SEED: &str = "FOLDLINE_TEST_SEED";

/// About one of each kind.
const DEFAULT_FAULTS: usize = 15;
const DEFAULT_SERVERS: usize = 2;
const DEFAULT_SEED: u64 = 14;

/// How long a client waits for an answer at first: less than a suspension, so that it asks another server
/// while the first one may still do what it was asked for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of each product, at first: more than is sold.
const STOCK: u32 = 5_000;

/// The commands that are acknowledged after the last fault.
const AFTERWARDS: u64 = 40;

/// The listings that are compared at every server at the end; each has every document of its view.
const AT_THE_END: [&str; 4] = ["customers", "inventory", "orders", "products"];

/// Several processes cannot own a file, so that SQLite has one server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_from_a_seed_leave_nothing_lost_doubled_or_out_of_order_at_a_server_with_sqlite() {
    run(1, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_from_a_seed_leave_nothing_lost_doubled_or_out_of_order_at_servers_with_postgresql() {
    let servers = number(SERVERS, DEFAULT_SERVERS);
    // Its own, because the servers take many connections.
    let cluster = Cluster::start(false);
    let database = Database::on(&cluster).await;
    run(servers, Some(&database.url)).await;
}

async fn run(servers: usize, database: Option<&str>) {
    let (seed, faults) = (number(SEED, DEFAULT_SEED), number(FAULTS, DEFAULT_FAULTS));
    let kind = database.map_or("sqlite", |_| "postgresql");
    let name = format!(
        "a run of cargo xtask history --servers {servers} --faults {faults} --seed {seed} --database {kind}"
    );
    println!("{name}");
    let history = Arc::new(History::default());
    let mail = MailServer::start(servers, &history).await;
    let warehouse = tempfile::tempdir().unwrap();
    let arguments = (0..servers).map(|server| arguments(&mail.url(server), warehouse.path()));
    let servers = Servers::new(arguments.collect(), database, PATIENCE);
    servers.start().await;
    let opened = Access::open(&servers).await;
    let access = opened.0.clone();
    access.list_products(&history, STOCK).await;
    let mut driver = Driver::new(opened, &history, mail);
    let mut clients = Clients::start(&access, &history, &METHODS);

    let conditions = Conditions {
        servers: servers.count(),
        has_database_server: database.is_some(),
    };
    for (number, step) in schedule(seed, faults, conditions).into_iter().enumerate() {
        driver.carry_out(step).await;
        if (number + 1) % 25 == 0 {
            println!(
                "{} steps, {} commands acknowledged",
                number + 1,
                history.acknowledged()
            );
        }
    }
    driver.recover().await;
    history.allow(u64::MAX);
    history
        .until_acknowledged(history.acknowledged() + AFTERWARDS)
        .await;
    clients.stop_writing(&history).await;
    driver.settle().await;
    let mut witnesses = clients.see_the_end(&access, &history).await;
    witnesses.extend(see_the_end_at_every_server(&driver).await);

    let log = access.log().await;
    let head = access.head().await;
    effects::check_orders(&history, &log);
    effects::check_clocks(&driver).await;
    let people = driver.people.all();
    people::check(&people, &access, driver.opened.workspace, &history).await;
    let repeated_mails = effects::check_mails(&driver, &people, &log);
    effects::check_warehouse(&driver, &access, &head, warehouse.path()).await;
    // A suspended or killed server is another's equal afterwards: every one stops in order.
    servers.stop().await;
    let charges = effects::check_books(&books(&servers, database), &driver, &log).await;
    let report = check(&history, &log, &witnesses, NewerDocuments::Counted);
    history.require_no_findings(&name, &log);
    println!(
        "{faults} faults, {} people, {charges} charges; counted: {} events of answers that came later, \
         {repeated_mails} mails again, newer documents {:?}, given up {:?}",
        people.len(),
        report.late,
        report.newer,
        driver.given_up
    );
    println!("{report}");
}

/// The arguments of a server with its mail server, in a warehouse that it shares.
fn arguments(mail_server: &str, warehouse: &Path) -> Vec<String> {
    let warehouse = warehouse.to_str().expect("a temporary folder is text");
    let arguments = [
        ["--smtp-url", mail_server],
        ["--mail-from", "The shop <shop@shop.test>"],
        ["--public-url", "https://shop.test/"],
        ["--mails-per-hour", "0"],
        ["--sign-ins-per-minute", "0"],
        ["--warehouse", warehouse],
    ];
    arguments.into_iter().flatten().map(str::to_owned).collect()
}

/// The database of the payment provider's books.
fn books(servers: &Servers, database: Option<&str>) -> StoreUrl {
    match database {
        Some(url) => url.parse().unwrap(),
        None => servers.node(0).server.folder().join("consumers.db").into(),
    }
}

/// Reads every document at every server, and lets each verify the log and its views. Returns the names of the
/// observers.
async fn see_the_end_at_every_server(driver: &Driver) -> Vec<String> {
    let head = driver.access.head().await;
    let mut names = Vec::new();
    for server in 0..driver.servers.count() {
        let (access, name) = (driver.access.at(server), format!("server {server} at the end"));
        for view in view::all().iter().map(|view| view.name()) {
            if !AT_THE_END.contains(&view) {
                continue;
            }
            let listing = access.listing(view, "all", &head).await;
            driver.history.require(listing.as_of.covers(&head), &name, || {
                format!("{name}: {view} as of {} does not reach {head}", listing.as_of)
            });
            let rows = listing.data.into_iter().map(|row| (row.key, row.data)).collect();
            driver.history.observe(Observation {
                by: name.clone(),
                view,
                as_of: listing.as_of,
                what: ObservedState::Listing {
                    listing: "all",
                    group: "",
                    rows,
                },
            });
        }
        for finding in access.verify().await.findings {
            driver
                .history
                .find(name.as_str(), format!("{name}: verify found: {finding}"));
        }
        names.push(name);
    }
    names
}
