//! The dials of the mail server: it is away, or refuses a mail for now. The folder in place of a mail server
//! has the same.
//!
//! What it does not take it has never had: the consumer of mails sends it again, as to a mail server that is
//! really away, and each mail goes out once when the dials are at rest. A refused mail of a folder lets those
//! before it pass, and is counted once for each attempt; a mail that the folder has is not counted again.

use std::{io, sync::Arc};

use async_trait::async_trait;
use domain::{id::WorkspaceId, wire::MailDials};
use mail::{MailFolder, MailServer, Message, Transport, mailbox::Mail, smtp::SendError};
use tokio_util::sync::CancellationToken;

use super::board::{Bent, DialBoard};

/// Wraps where mails go.
pub fn bend(transport: Transport, board: Arc<DialBoard>) -> Transport {
    match transport {
        Transport::Mailbox(inner) => Transport::Mailbox(Arc::new(BentFolder { inner, board })),
        Transport::Smtp(inner) => Transport::Smtp(Arc::new(BentServer { inner, board })),
    }
}

/// Why a mail is not taken, if it is not.
fn refusal(bent: &Bent) -> Option<&'static str> {
    let dials = bent.dials.mail;
    if dials.away {
        Some("the mail server is away")
    } else if bent.strikes("mail.fail", "", dials.failures()) {
        Some("the mail server cannot take mails now")
    } else {
        None
    }
}

/// A mail server that the dials bend.
#[derive(Debug)]
struct BentServer {
    inner: Arc<dyn MailServer>,
    board: Arc<DialBoard>,
}

#[async_trait]
impl MailServer for BentServer {
    async fn send(
        &self,
        workspace: WorkspaceId,
        mail: Message,
        stopping: &CancellationToken,
    ) -> Result<(), SendError> {
        if let Some(bent) = self.board.of(workspace)
            && let Some(reason) = refusal(&bent)
        {
            return Err(SendError::NotAccepted(reason.to_owned()));
        }
        self.inner.send(workspace, mail, stopping).await
    }
}

/// A folder of mails that the dials bend.
#[derive(Debug)]
struct BentFolder {
    inner: Arc<dyn MailFolder>,
    board: Arc<DialBoard>,
}

#[async_trait]
impl MailFolder for BentFolder {
    async fn has(&self, workspace: WorkspaceId, mail: &Mail) -> io::Result<bool> {
        self.inner.has(workspace, mail).await
    }

    async fn put(&self, workspace: WorkspaceId, mails: Vec<Mail>) -> io::Result<()> {
        let bent = self.board.of(workspace);
        let Some(bent) = bent.filter(|bent| bent.dials.mail != MailDials::default()) else {
            return self.inner.put(workspace, mails).await;
        };
        let mut taken = Vec::with_capacity(mails.len());
        let mut refused = None;
        for mail in mails {
            if self.inner.has(workspace, &mail).await? {
                continue;
            }
            refused = refusal(&bent);
            if refused.is_some() {
                break;
            }
            taken.push(mail);
        }
        self.inner.put(workspace, taken).await?;
        refused.map_or(Ok(()), |reason| Err(io::Error::other(reason)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use domain::wire::Dials;
    use mail::mailbox::{Mailbox, Page};
    use uuid::Uuid;

    use super::*;

    const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const OTHER: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    fn dials(mail: MailDials) -> Dials {
        Dials {
            mail,
            ..Dials::default()
        }
    }

    fn away() -> Dials {
        dials(MailDials {
            away: true,
            ..MailDials::default()
        })
    }

    fn mails(numbers: std::ops::Range<u128>) -> Vec<Mail> {
        let mail = |number| Mail {
            event: Uuid::from_u128(number),
            user: Uuid::from_u128(7),
            bytes: b"Subject: Welcome\r\nDate: Sun, 29 Nov 2026 12:00:00 +0000\r\n\r\nHello".to_vec(),
        };
        numbers.map(mail).collect()
    }

    async fn count(mailbox: &Mailbox, workspace: WorkspaceId) -> usize {
        let page = Page {
            user: None,
            before: None,
            limit: 100,
        };
        mailbox.list(workspace, page).await.unwrap().0.len()
    }

    #[tokio::test]
    async fn a_folder_that_is_away_takes_no_mail_of_its_workspace_until_the_dial_is_at_rest() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new(folder.path().to_owned());
        let board = Arc::new(DialBoard::default());
        let Transport::Mailbox(bent) =
            bend(Transport::Mailbox(Arc::new(mailbox.clone())), Arc::clone(&board))
        else {
            panic!("it stays a folder");
        };
        board.show(CLASS, 1, away());
        let refused = bent.put(CLASS, mails(0..3)).await.unwrap_err();
        assert!(refused.to_string().contains("away"), "{refused}");
        bent.put(OTHER, mails(0..3)).await.unwrap();
        assert_eq!(
            (count(&mailbox, CLASS).await, count(&mailbox, OTHER).await),
            (0, 3)
        );
        board.show(CLASS, 2, Dials::default());
        for _ in 0..2 {
            bent.put(CLASS, mails(0..3)).await.unwrap();
        }
        assert_eq!(count(&mailbox, CLASS).await, 3);
    }

    #[tokio::test]
    async fn a_folder_that_refuses_each_second_mail_has_all_of_them_after_some_attempts() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new(folder.path().to_owned());
        let board = Arc::new(DialBoard::default());
        let bent = BentFolder {
            inner: Arc::new(mailbox.clone()),
            board: Arc::clone(&board),
        };
        let each_second = MailDials {
            fail_every: 2,
            ..MailDials::default()
        };
        board.show(CLASS, 1, dials(each_second));
        bent.put(CLASS, mails(0..5)).await.unwrap_err();
        assert_eq!(
            count(&mailbox, CLASS).await,
            1,
            "those before the refused one are stored"
        );
        let mut attempts = 1;
        while bent.put(CLASS, mails(0..5)).await.is_err() {
            attempts += 1;
        }
        assert_eq!((count(&mailbox, CLASS).await, attempts), (5, 4));
    }

    /// A mail server that notes whose mails it takes.
    #[derive(Debug, Default)]
    struct AcceptingServer {
        taken: Mutex<Vec<WorkspaceId>>,
    }

    #[async_trait]
    impl MailServer for AcceptingServer {
        async fn send(
            &self,
            workspace: WorkspaceId,
            _: Message,
            _: &CancellationToken,
        ) -> Result<(), SendError> {
            self.taken.lock().unwrap().push(workspace);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_mail_server_that_fails_for_the_next_mails_has_not_had_them_and_takes_the_one_after() {
        let (server, board) = (
            Arc::new(AcceptingServer::default()),
            Arc::new(DialBoard::default()),
        );
        let bent = BentServer {
            inner: Arc::clone(&server) as _,
            board: Arc::clone(&board),
        };
        let next = MailDials {
            fail_next: 2,
            ..MailDials::default()
        };
        board.show(CLASS, 1, dials(next));
        let mail = || {
            let mail = Message::builder().from("Shop <shop@shop.test>".parse().unwrap());
            let mail = mail.to("ada@post.test".parse().unwrap());
            mail.body("Hello".to_owned()).unwrap()
        };
        let stopping = CancellationToken::new();
        for _ in 0..2 {
            let refused = bent.send(CLASS, mail(), &stopping).await;
            assert!(matches!(refused, Err(SendError::NotAccepted(_))), "{refused:?}");
        }
        bent.send(OTHER, mail(), &stopping).await.unwrap();
        bent.send(CLASS, mail(), &stopping).await.unwrap();
        assert_eq!(*server.taken.lock().unwrap(), [OTHER, CLASS]);
    }
}
