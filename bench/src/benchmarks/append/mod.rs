//! Storing events, one for each append, by 1 to 512 callers that each write to streams of their own and wait
//! for the commit. The peers are Emmett, on both databases, and UmaDB, which has a file of its own and so is
//! measured beside SQLite.
//!
//! Beyond the floor, ours also checks expected versions, stores a repeatable answer for every command, a hash
//! chain and positions without gaps, and updates the head of every partition, in the same commit.

mod emmett;
mod ours;
#[cfg(feature = "umadb")]
mod umadb;

use anyhow::Result;

#[cfg(feature = "umadb")]
pub(crate) use self::umadb::serve as serve_umadb;
use self::{emmett::Emmett, ours::Ours};
use crate::{
    callers::ConcurrentCallers,
    case::{Case, CaseResult, Comparison, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
    floors::{GroupCommit, OneRow},
};

/// The thresholds of the design, against the floors, for one caller and for many.
const ONE_CALLER: f64 = 0.6;
const MANY_CALLERS: f64 = 0.7;

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let mut found = Vec::new();
    for callers in [1, 8, 64, 512] {
        let title = format!("{}, {}", database.name(), super::callers(callers));
        if !settings.includes(&title) {
            continue;
        }
        let disk = &bench_databases.disk;
        let mut case = Case {
            title,
            unit: "events",
            contenders: vec![
                ConcurrentCallers::gather(Ours::new(database, bench_databases).await?, callers, disk).await?,
                ConcurrentCallers::gather(GroupCommit::new(database, bench_databases).await?, callers, disk)
                    .await?,
                ConcurrentCallers::gather(
                    OneRow::new(database, bench_databases, callers).await?,
                    callers,
                    disk,
                )
                .await?,
            ],
            comparisons: comparisons(callers),
        };
        let emmett = settings.emmett.as_deref();
        if let Some(emmett) = Emmett::start(emmett, database, bench_databases, callers).await? {
            case.contenders.push(Box::new(emmett));
            case.comparisons
                .push(Comparison::rate("ours", Emmett::NAME, Threshold::None));
        }
        #[cfg(feature = "umadb")]
        if database == Database::Sqlite {
            let target = umadb::UmaDb::start(bench_databases).await?;
            case.contenders
                .push(ConcurrentCallers::gather(target, callers, disk).await?);
            case.comparisons
                .push(Comparison::rate("ours", umadb::UmaDb::NAME, Threshold::None));
        }
        found.extend(case.run(settings).await?);
        bench_databases.clear().await?;
    }
    Ok(found)
}

fn comparisons(callers: usize) -> Vec<Comparison> {
    let (alone, together) = match callers {
        1 => (Threshold::AtLeast(ONE_CALLER), Threshold::None),
        64 => (Threshold::None, Threshold::AtLeast(MANY_CALLERS)),
        _ => (Threshold::None, Threshold::None),
    };
    vec![
        Comparison::rate("ours", GroupCommit::NAME, together),
        Comparison::rate("ours", OneRow::NAME, alone),
    ]
}
