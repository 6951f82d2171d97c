//! Mails go to a real mail server (aiosmtpd, in Python), with STARTTLS and a password, while we and it are killed again and again
//! (`kill -9`), and while it refuses for now: every mail that follows from the log arrives, and no other.
//!
//! SMTP knows no repetition, so a mail whose answer is lost comes again: with the same Message-ID, and the same to the byte
//! (record 91). The answer of no other mail can be lost than of the last that a lane handed over in a life of ours or of the
//! mail server's; and none comes again but those. `check` holds every single mail to that.

mod check;
pub(crate) mod peer;
mod shop;

use check::check;
use shop::Shop;
use testing_postgres::Database;

/// What goes wrong while mails are on their way.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// We are killed when some of them have arrived.
    Kill,
    /// The mail server has a mail, and we are killed before it says so.
    KillBeforeTheAnswer,
    /// The mail server refuses for now, and we are killed over it.
    Refusals,
    /// The mail server is killed and away for a while, and we are killed meanwhile.
    Away,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mail_arrives_once_however_a_server_with_sqlite_and_the_mail_server_are_killed() {
    use Trouble::{Away, Kill, KillBeforeTheAnswer, Refusals};
    let troubles = [
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
    run(Vec::new(), &troubles).await;
}

/// Of several servers on one database, one writes a mail at a time: whoever is killed over it keeps it from the others for
/// 40 seconds. So one trouble is enough here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mail_arrives_once_though_a_server_with_postgresql_is_killed_over_one() {
    let database = Database::new().await;
    let url = database.url.clone();
    let stores = vec!["--event-store".into(), url.clone(), "--read-model".into(), url];
    run(stores, &[Trouble::KillBeforeTheAnswer]).await;
}

async fn run(settings: Vec<String>, troubles: &[Trouble]) {
    let mut shop = Shop::open(settings).await;
    shop.unsubscribe().await;
    for _ in 0..2 {
        shop.order().await;
    }
    for trouble in troubles {
        shop.suffer(*trouble).await;
    }
    shop.staff.settled().await;
    shop.tell_all_the_rest().await;
    shop.staff.settled().await;

    shop.peer.order("take").await;
    let report = check(&shop.peer.mails(), &shop.staff.log().await, &shop.people);
    println!("{troubles:?}: {report:?}");
    let held = troubles
        .iter()
        .filter(|trouble| matches!(trouble, Trouble::KillBeforeTheAnswer));
    assert!(report.again >= held.count(), "{report:?}");
    // Three of those who order have an address and want mails; four have got the first.
    assert!(report.mails >= 4 + 3 * (2 + troubles.len()), "{report:?}");
    assert_eq!(report.subjects.len(), 7, "every kind of mail: {report:?}");
    shop.server.stop().await;
}

impl Shop {
    async fn order_until_mails_arrive(&mut self) {
        // Everybody but two gets one.
        let some = self.peer.count() + rand::random_range(0..=2);
        self.order().await;
        self.peer
            .until("some mails", |heard| heard.mails.len() > some)
            .await;
    }

    async fn suffer(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Kill => {
                self.order_until_mails_arrive().await;
                self.server.kill();
                self.next_life();
            }
            Trouble::KillBeforeTheAnswer => {
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
                self.next_life();
            }
            Trouble::Refusals => {
                self.peer.order("refuse").await;
                self.order().await;
                self.until_refused(3).await;
                self.server.kill();
                self.next_life();
                self.until_refused(2).await;
                self.peer.order("take").await;
            }
            Trouble::Away => {
                self.order_until_mails_arrive().await;
                self.peer.kill();
                let before = self.tried().await;
                self.order().await;
                self.until_tried(before + 2).await;
                self.server.kill();
                self.next_life();
                self.until_tried(2).await;
                self.peer.start().await;
            }
        }
    }

    /// Waits until the mail server has refused so many mails.
    async fn until_refused(&self, times: usize) {
        let wanted = self.peer.refused() + times;
        self.peer.until("refusals", |heard| heard.refused >= wanted).await;
    }

    async fn until_tried(&self, times: u64) {
        while self.tried().await < times {
            // It cannot settle before the mail server is back; that it is asked lets it go on for a while.
            assert!(self.staff.is_settled(200).await.is_err(), "nobody writes mails");
        }
    }
}
