//! One path of a server, requested again and again.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use async_trait::async_trait;

use crate::{
    callers::{Caller, Target},
    outside::{Connection, ServerProcess},
};

pub(crate) struct Get {
    name: String,
    server: Arc<ServerProcess>,
    path: String,
    token: Option<String>,
}

impl Get {
    pub(crate) fn new(
        name: impl Into<String>,
        server: Arc<ServerProcess>,
        path: &str,
        token: Option<String>,
    ) -> Self {
        Self {
            name: name.into(),
            server,
            path: path.to_owned(),
            token,
        }
    }
}

#[async_trait]
impl Target for Get {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn caller(&self, _number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(GetCaller {
            connection: Connection::open(self.server.address, self.token.as_deref()).await?,
            path: self.path.clone(),
        }))
    }

    fn cpu(&self) -> Result<Option<Duration>> {
        Ok(Some(self.server.cpu()?))
    }
}

struct GetCaller {
    connection: Connection,
    path: String,
}

#[async_trait]
impl Caller for GetCaller {
    async fn call(&mut self) -> Result<()> {
        self.connection.get(&self.path).await?;
        Ok(())
    }
}
