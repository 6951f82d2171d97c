//! Emails go to a real mail server (aiosmtpd, in Python), with STARTTLS and a password, while both servers
//! are killed again and again (`kill -9`), and while the mail server refuses temporarily: every email that
//! follows from the log arrives, and no other.
//!
//! SMTP has no idempotency, so an email whose answer is lost comes again: with the same Message-ID, and the
//! same to the byte (record 91). Only the answer to the last email of a lane in an incarnation of either
//! server can be lost, so only those come again. `check` verifies that for every single email.
//!
//! `faults` has the faults of single emails.

mod check;
mod faults;
pub(crate) mod peer;
mod shop;

pub(crate) use check::SUBJECTS;
use check::check;
use shop::Shop;
use test_postgres::Database;

/// A disruption during the delivery of emails.
#[derive(Debug, Clone, Copy)]
enum Disruption {
    /// Our server is killed when some have arrived.
    Kill,
    /// The mail server has an email, and our server is killed before the answer.
    KillBeforeTheAnswer,
    /// The mail server refuses temporarily, and our server is killed meanwhile.
    Refusals,
    /// The mail server is killed and down for a while, and our server is killed meanwhile.
    Away,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mail_arrives_once_however_a_server_with_sqlite_and_the_mail_server_are_killed() {
    use Disruption::{Away, Kill, KillBeforeTheAnswer, Refusals};
    let disruptions = [
        Kill,
        KillBeforeTheAnswer,
        Refusals,
        Kill,
        Away,
        KillBeforeTheAnswer,
        Kill,
        Away,
        Refusals,
        Kill,
    ];
    run(Vec::new(), &disruptions).await;
}

/// Of several servers on one database, only one sends a given email: a killed server's claim keeps it from
/// the others for some seconds. So one disruption is enough here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mail_arrives_once_though_a_server_with_postgresql_is_killed_over_one() {
    let database = Database::new().await;
    let url = database.url.clone();
    let stores = vec!["--event-store".into(), url.clone(), "--read-model".into(), url];
    run(stores, &[Disruption::KillBeforeTheAnswer]).await;
}

async fn run(settings: Vec<String>, disruptions: &[Disruption]) {
    let mut shop = Shop::open(settings).await;
    shop.unsubscribe().await;
    shop.request_links().await;
    for _ in 0..2 {
        shop.order().await;
    }
    for disruption in disruptions {
        shop.disrupt(*disruption).await;
    }
    shop.staff.settled().await;
    shop.ship_and_cancel_orders().await;
    shop.staff.settled().await;

    shop.peer.order("take").await;
    let report = check(&shop.peer.mails(), &shop.staff.log().await, &shop.people);
    println!("{disruptions:?}: {report:?}");
    let held = disruptions
        .iter()
        .filter(|disruption| matches!(disruption, Disruption::KillBeforeTheAnswer));
    assert!(report.repeated >= held.count(), "{report:?}");
    // Three customers have an address and want emails; four have got the first email.
    assert!(report.mails >= 4 + 3 * (2 + disruptions.len()), "{report:?}");
    assert_eq!(report.subjects.len(), 9, "every kind of mail: {report:?}");
    shop.server.stop().await;
}

impl Shop {
    async fn order_until_mails_arrive(&mut self) {
        // All customers but two get one.
        let some = self.peer.count() + rand::random_range(0..=2);
        self.order().await;
        self.peer
            .until("some mails", |heard| heard.mails.len() > some)
            .await;
    }

    async fn disrupt(&mut self, disruption: Disruption) {
        match disruption {
            Disruption::Kill => {
                self.order_until_mails_arrive().await;
                self.server.kill();
                self.note_restart();
            }
            Disruption::KillBeforeTheAnswer => {
                self.staff.settled().await;
                self.peer.order("hold").await;
                self.order().await;
                self.peer
                    .until("a mail without an answer", |heard| {
                        heard.mails.last().is_some_and(|mail| !mail.answered)
                    })
                    .await;
                self.server.kill();
                self.peer.order("take").await;
                self.note_restart();
            }
            Disruption::Refusals => {
                self.peer.order("refuse").await;
                self.order().await;
                self.until_refused(3).await;
                self.server.kill();
                self.note_restart();
                self.until_refused(2).await;
                self.peer.order("take").await;
            }
            Disruption::Away => {
                self.order_until_mails_arrive().await;
                self.peer.kill();
                let before = self.tried().await;
                self.order().await;
                self.until_tried(before + 2).await;
                self.server.kill();
                self.note_restart();
                self.until_tried(2).await;
                self.peer.start().await;
            }
        }
    }

    /// Waits until the mail server has refused this many emails.
    async fn until_refused(&self, times: usize) {
        let wanted = self.peer.refused() + times;
        self.peer.until("refusals", |heard| heard.refused >= wanted).await;
    }

    async fn until_tried(&self, times: u64) {
        while self.tried().await < times {
            // It cannot settle before the mail server is back; the request only lets time pass.
            assert!(self.staff.is_settled(200).await.is_err(), "no mails are sent");
        }
    }
}
