//! Ours: the read side as the server starts it, with only this view. It catches up over an existing log, or
//! rebuilds the view beside the live one; each time in a new read model.

use std::{sync::OnceLock, time::Instant};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use domain::{
    id::StreamName,
    token::ConsistencyToken,
    view::{self, AnyView},
};
use event_store::{Expected, StreamAppend};

use server::read_side::{Dependencies, ReadSide, ReadSideBuilder};

use super::{History, sample};
use crate::{
    case::Contender,
    databases::{BenchDatabases, Database},
    figures::Sample,
    ours::{Shop, clock, event, short_pause},
};

const VIEW: &str = "orders";

/// The measured task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    CatchUp,
    Rebuild,
}

impl Task {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CatchUp => "ours, catch-up",
            Self::Rebuild => "ours, rebuild",
        }
    }
}

pub(super) struct Ours<'a> {
    task: Task,
    database: Database,
    bench_databases: &'a BenchDatabases,
    shop: Shop,
    events: usize,
}

impl<'a> Ours<'a> {
    pub(super) async fn new(
        database: Database,
        bench_databases: &'a BenchDatabases,
        history: &History,
        task: Task,
    ) -> Result<Self> {
        let shop = Shop::open(&bench_databases.store_url(database, "ours").await?, None).await?;
        for part in history.parts() {
            let mut streams = Vec::new();
            for happened in part? {
                let event_type = happened.event_type();
                streams.push(StreamAppend {
                    stream: StreamName::new("order", &happened.order)?,
                    expected: Expected::Exact(happened.version - 1),
                    events: vec![event(event_type.name, happened.payload()?)],
                });
            }
            let mut append = shop.append("order-0".parse()?, Expected::Any, Vec::new());
            append.streams = streams;
            shop.store.append(append).await?;
        }
        Ok(Self {
            task,
            database,
            bench_databases,
            shop,
            events: history.len(),
        })
    }

    async fn start(&self) -> Result<(ReadSide, Instant)> {
        static VIEWS: OnceLock<Vec<&'static dyn AnyView>> = OnceLock::new();
        let orders = view::find(VIEW).context("there is no such view")?;
        let builder = ReadSideBuilder::with_views(VIEWS.get_or_init(|| vec![orders]));
        let url = self.bench_databases.store_url(self.database, "views").await?;
        let read_model = read_model::open(&url).await?;
        let begun = Instant::now();
        let read_side = builder
            .start(Dependencies::in_process(
                self.shop.store.clone(),
                read_model,
                clock(),
            ))
            .await?;
        Ok((read_side, begun))
    }

    async fn catch_up(&self, read_side: &ReadSide) -> Result<()> {
        let head: ConsistencyToken = self.shop.store.head(self.shop.workspace).await?;
        let progress = read_side.progress.of(self.shop.workspace, VIEW);
        progress.context("there is no such view")?.reaches(&head).await;
        Ok(())
    }

    async fn rebuild(&self, read_side: &ReadSide) -> Result<()> {
        let (rebuilds, workspace) = (&read_side.projections.rebuilds, self.shop.workspace);
        rebuilds.rebuild(workspace, VIEW).await?;
        rebuilds.finished(workspace, VIEW).await;
        let live = read_side.read_model().live_generation(workspace, VIEW).await?;
        ensure!(live == 2, "the rebuild has not led to a switch");
        Ok(())
    }
}

#[async_trait(?Send)]
impl Contender for Ours<'_> {
    fn name(&self) -> String {
        self.task.name().to_owned()
    }

    async fn run(&mut self, _time: std::time::Duration) -> Result<Sample> {
        let (read_side, mut begun) = self.start().await?;
        self.catch_up(&read_side).await?;
        if self.task == Task::Rebuild {
            begun = Instant::now();
            self.rebuild(&read_side).await?;
        }
        let time = begun.elapsed();
        // The replaced generation must not be removed while others are measured.
        while !read_side.read_model().leftovers().await?.is_empty() {
            short_pause().await;
        }
        read_side.shutdown().await;
        sample(self.events, time)
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.shop.store.close().await;
        Ok(())
    }
}
