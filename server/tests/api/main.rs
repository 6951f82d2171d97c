//! Tests of the HTTP interface: a real server on a loopback port, a real client, real databases.
//!
//! The modules mirror the routes. No test sleeps: it waits for a frame or a consistency token, up to the one
//! deadline in `app`, which only ends a test that hangs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot continue fails"
)]

mod account_forms;
mod account_links;
mod app;
mod backup;
mod bots;
mod checkpoints;
mod class;
mod class_pages;
mod commands;
mod connections;
mod control_characters;
mod copies;
mod credentials;
mod database;
mod dead_letters;
mod dials;
mod erasure;
mod expiry;
mod fair_use;
mod fulfilment;
mod guests;
mod handlers;
mod hops;
mod hostile;
mod https;
mod lab;
mod lesson_pages;
mod lessons;
mod limits;
mod live;
mod live_limits;
mod log;
mod mailbox;
mod markup;
mod notifications;
mod operations;
mod own_views;
mod pages;
mod payments;
mod people;
mod projections;
mod purge;
mod recordings;
mod reset;
mod restored;
mod rights;
mod sandboxes;
mod schemas;
mod search;
mod security_document;
mod servers;
mod settled;
mod sign_out;
mod streams;
mod template;
mod transfer;
mod unsubscribe;
mod views;
mod web_forms;
mod workspaces;
