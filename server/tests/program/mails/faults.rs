//! Faults of one email: an address that the mail server cannot express, and a connection that is lost once
//! the mail server has the email.

use serde_json::{Value, json};

use super::{check::check, shop::Shop};

/// How many customers register after the one out of reach: with three lanes, some share that one's lane.
const OTHERS: usize = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_the_mail_server_cannot_express_is_a_dead_letter_and_others_get_their_mails() {
    let mut shop = Shop::open(Vec::new()).await;
    shop.peer.order("take").await;
    let before = shop.peer.count();
    shop.add_customer_out_of_reach().await;
    for n in 0..OTHERS {
        shop.add_customer(&format!("Ada {n}")).await;
    }
    shop.peer
        .until("the mails of the others", |heard| {
            heard.mails.len() == before + OTHERS
        })
        .await;
    loop {
        let left = shop.staff.is_settled(200).await;
        let left = left.expect_err("one mail was not sent");
        if left.contains("notification: 1 dead letters") {
            break;
        }
    }
    let letters: Value = shop.staff.get("/api/v1/dead-letters?view=notification").await;
    let [letter] = letters["data"].as_array().unwrap().as_slice() else {
        panic!("{letters}");
    };
    assert!(letter.to_string().contains("SMTPUTF8"), "{letter}");
    check(&shop.peer.mails(), &shop.staff.log().await, &shop.people);
    shop.server.stop().await;
}

/// The mail server may have an email whose connection was lost. It is sent again after a pause, not with each
/// attempt of its lane, and every copy is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_whose_connection_is_lost_is_sent_again_with_pauses() {
    let mut shop = Shop::open(Vec::new()).await;
    shop.peer.order("drop").await;
    let (mails, tried) = (shop.peer.count(), shop.tried().await);
    shop.add_customer("Ada").await;
    shop.peer
        .until("a mail whose connection is lost", |heard| {
            heard.mails.len() > mails
        })
        .await;
    shop.until_tried(tried + 6).await;
    let copies = shop.peer.count() - mails;
    assert!((1..6).contains(&copies), "{copies}");
    shop.peer.order("take").await;
    shop.staff.settled().await;
    let report = check(&shop.peer.mails(), &shop.staff.log().await, &shop.people);
    assert!(report.repeated >= copies, "{report:?}");
    shop.server.stop().await;
}

/// The dials of the lab keep mails from a mail server that takes them, and lose and repeat none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_that_the_dials_hold_back_arrive_once_when_the_dials_are_at_rest() {
    let mut shop = Shop::open(Vec::new()).await;
    for dials in [
        json!({"mail": {"away": true}}),
        json!({"mail": {"fail_every": 1}}),
    ] {
        let (mails, tried) = (shop.peer.count(), shop.tried().await);
        shop.staff.bend(&dials).await;
        shop.add_customer("Ada").await;
        shop.until_tried(tried + 3).await;
        assert_eq!(shop.peer.count(), mails, "{dials}");
        shop.staff.bend(&json!({})).await;
        shop.staff.settled().await;
        assert_eq!(shop.peer.count(), mails + 1, "{dials}");
    }
    let report = check(&shop.peer.mails(), &shop.staff.log().await, &shop.people);
    assert_eq!(report.repeated, 0, "{report:?}");
    shop.server.stop().await;
}
