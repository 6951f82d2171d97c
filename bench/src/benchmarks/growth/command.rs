//! A command to a server whose log is filled already.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use async_trait::async_trait;

use super::super::http::commands::ReceivingCaller;
use crate::{
    callers::{Caller, Target},
    outside::{ServerProcess, Storefront},
};

pub(super) struct Command {
    name: String,
    server: Arc<ServerProcess>,
    shop: Storefront,
}

impl Command {
    pub(super) fn new(name: &str, server: &Arc<ServerProcess>, shop: &Storefront) -> Self {
        Self {
            name: name.to_owned(),
            server: server.clone(),
            shop: shop.clone(),
        }
    }
}

#[async_trait]
impl Target for Command {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(ReceivingCaller::new(self.shop.connect().await?, number)))
    }

    fn cpu(&self) -> Result<Option<Duration>> {
        Ok(Some(self.server.cpu()?))
    }
}
