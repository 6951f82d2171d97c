//! A workspace of a running server, through its API: products, customers, orders.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use clock::{Clock as _, SystemClock};
use domain::wire::{SessionInfo, Template, WorkspaceAccess};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::Connection;

/// How often the workspace may be not settled, each time for a minute.
const SETTLE_ATTEMPTS: u32 = 120;

/// The most that one command receives.
const STOCK: u32 = 1_000_000;

/// A workspace, with its educator's token.
#[derive(Debug, Clone)]
pub(crate) struct Storefront {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    join_code: String,
}

/// A person with an account, and so with emails.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    pub(crate) token: String,
}

impl Storefront {
    /// Opens a new workspace.
    pub(crate) async fn open(address: SocketAddr, template: Template) -> Result<Self> {
        let mut anonymous = Connection::open(address, None).await?;
        let wanted = json!({"template": template, "name": "Bench"});
        let access: WorkspaceAccess = serde_json::from_slice(
            &anonymous
                .post("/api/v1/workspaces", wanted.to_string(), None)
                .await?,
        )?;
        Ok(Self {
            address,
            token: access.token,
            join_code: access.join_code,
        })
    }

    /// A workspace that is in the storage already. No customer joins it.
    pub(crate) fn existing(address: SocketAddr, token: String) -> Self {
        Self {
            address,
            token,
            join_code: String::new(),
        }
    }

    /// A connection of the educator.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address, Some(&self.token)).await
    }

    /// Lists products with plenty of stock: `mug-0`, `mug-1` and so on.
    pub(crate) async fn list_products(&self, count: usize) -> Result<()> {
        let mut educator = self.connect().await?;
        for number in 0..count {
            let sku = sku(number);
            let list = json!({
                "sku": sku, "name": format!("Mug {number}"), "description": "For tea and for coffee.",
                "price": {"amount": 1290, "currency": "EUR"}, "tags": ["kitchen"],
            });
            send(&mut educator, "ListProduct", &format!("product-{sku}"), &list).await?;
            let receive = json!({"quantity": STOCK});
            send(
                &mut educator,
                "ReceiveStock",
                &format!("inventory-{sku}"),
                &receive,
            )
            .await?;
        }
        Ok(())
    }

    /// A new customer, who joins and registers.
    pub(crate) async fn customer(&self, number: usize) -> Result<Customer> {
        let mut anonymous = Connection::open(self.address, None).await?;
        let name = format!("Customer {number}");
        let wanted = json!({"code": self.join_code, "display_name": name});
        let joined: WorkspaceAccess = serde_json::from_slice(
            &anonymous
                .post("/api/v1/workspaces/join", wanted.to_string(), None)
                .await?,
        )?;
        let mut guest = Connection::open(self.address, Some(&joined.token)).await?;
        let session: SessionInfo = guest.get_json("/api/v1/session").await?;
        let register = json!({
            "email": format!("customer-{number}@post.test"), "display_name": name,
            "password": "correct horse battery",
        });
        let stream = format!("user-{}", session.actor_id);
        send(&mut guest, "RegisterUser", &stream, &register).await?;
        Ok(Customer { token: joined.token })
    }

    /// Waits until every event is in every view, and every process manager and consumer is done with it.
    pub(crate) async fn settled(&self) -> Result<()> {
        let mut educator = self.connect().await?;
        for _ in 0..SETTLE_ATTEMPTS {
            let (status, body) = educator.try_get("/api/v1/settled?timeout_ms=60000").await?;
            match status {
                StatusCode::OK => return Ok(()),
                StatusCode::GATEWAY_TIMEOUT => {}
                _ => bail!("{status} instead of settled: {}", String::from_utf8_lossy(&body)),
            }
        }
        bail!("the workspace is not settled after two hours")
    }
}

/// The SKU of a product.
pub(crate) fn sku(number: usize) -> String {
    format!("mug-{number}")
}

/// Sends a command with a new Idempotency-Key, as the web client does.
pub(crate) async fn send(
    connection: &mut Connection,
    command: &str,
    stream: &str,
    data: &Value,
) -> Result<()> {
    let body = json!({"type": command, "stream": stream, "data": data}).to_string();
    let key = SystemClock.new_id().to_string();
    connection.post("/api/v1/commands", body, Some(&key)).await?;
    Ok(())
}
