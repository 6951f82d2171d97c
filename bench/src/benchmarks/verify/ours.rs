//! Ours: `GET /api/v1/verify`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use async_trait::async_trait;
use domain::wire::VerifyReport;

use crate::{
    case::Contender,
    figures::{Cost, Latencies, Sample},
    outside::{Foldline, Storefront},
};

pub(super) struct Ours {
    pub(super) foldline: Foldline,
    pub(super) shop: Storefront,
}

impl Ours {
    pub(super) const NAME: &'static str = "ours";
}

#[async_trait(?Send)]
impl Contender for Ours {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn run(&mut self, _time: Duration) -> Result<Sample> {
        let server = &self.foldline.process;
        let mut educator = self.shop.connect().await?;
        server.forget_peak()?;
        let (cpu_before, memory_before) = (server.cpu()?, server.memory()?);
        let begun = Instant::now();
        let report: VerifyReport = educator.get_json("/api/v1/verify").await?;
        let time = begun.elapsed();
        ensure!(
            report.findings.is_empty(),
            "the verifier found {:?}",
            report.findings
        );
        let mut latencies = Latencies::new()?;
        latencies.note(time);
        Ok(Sample {
            done: report.events,
            time,
            latencies,
            cost: Cost {
                cpu: Some(server.cpu()?.saturating_sub(cpu_before)),
                bytes: Some(server.peak_memory()?.saturating_sub(memory_before)),
            },
        })
    }
}
