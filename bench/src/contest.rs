//! A case: contenders that do the same thing, and take turns at it. In each run every contender is measured once, one
//! after the other, so that whatever the machine does besides falls on all of them; then the next run begins.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use serde::Serialize;

use crate::{
    figures::{Figures, Sample, Spread},
    report,
};

/// What holds for all cases.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How often each contender is measured.
    pub(crate) runs: u32,
    /// How long, each time.
    pub(crate) time: Duration,
    /// What a case's title contains, or it is left out.
    pub(crate) case: String,
    /// What a contender's name contains, or it is left out.
    pub(crate) contender: String,
}

/// Somebody who is measured. Dropped after the case, with everything it keeps.
#[async_trait(?Send)]
pub(crate) trait Contender {
    /// Who it is.
    fn name(&self) -> String;

    /// Does it for about so long.
    async fn run(&mut self, time: Duration) -> Result<Sample>;

    /// How often the disk was flushed for one call, where that was counted.
    fn flushes(&self) -> Option<f64> {
        None
    }

    /// Ends what runs by itself.
    async fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// How many in a second.
    PerSecond,
    /// The median latency.
    P50,
}

/// What a comparison should come to.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
    /// Nobody has said.
    None,
}

impl Aim {
    /// Whether it is met; `None` where there is none.
    pub(crate) fn is_met_by(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(figure >= least),
            Self::AtMost(most) => Some(figure <= most),
            Self::None => None,
        }
    }
}

/// One contender beside another, or by itself.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) of: String,
    /// Absent: the figure itself is held to the aim.
    pub(crate) to: Option<String>,
    pub(crate) measure: Measure,
    pub(crate) aim: Aim,
}

impl Comparison {
    /// How many times as much as another does in a second.
    pub(crate) fn rate(of: impl Into<String>, to: impl Into<String>, aim: Aim) -> Self {
        Self {
            of: of.into(),
            to: Some(to.into()),
            measure: Measure::PerSecond,
            aim,
        }
    }

    /// How many times as long as another takes, in the middle.
    pub(crate) fn latency(of: impl Into<String>, to: impl Into<String>, aim: Aim) -> Self {
        Self {
            of: of.into(),
            to: Some(to.into()),
            measure: Measure::P50,
            aim,
        }
    }

    /// How much it does in a second.
    pub(crate) fn absolute(of: impl Into<String>, aim: Aim) -> Self {
        Self {
            of: of.into(),
            to: None,
            measure: Measure::PerSecond,
            aim,
        }
    }
}

/// What is done, by whom, and what of it is compared.
pub(crate) struct Case<'a> {
    /// As in `PostgreSQL, 64 callers`.
    pub(crate) title: String,
    /// What is counted: `events`, `commands`.
    pub(crate) unit: &'static str,
    pub(crate) contenders: Vec<Box<dyn Contender + 'a>>,
    pub(crate) comparisons: Vec<Comparison>,
}

/// What came of a contender.
#[derive(Debug, Serialize)]
pub(crate) struct Placed {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// Flushes of the disk for one call of one caller; absent where the disk does not tell.
    pub(crate) flushes: Option<f64>,
}

/// What came of a comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) of: String,
    pub(crate) to: Option<String>,
    pub(crate) measure: Measure,
    /// The ratio; the figure itself where nobody is beside it.
    pub(crate) figure: Spread,
    pub(crate) aim: Aim,
    pub(crate) met: Option<bool>,
}

/// What came of a case.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) contenders: Vec<Placed>,
    pub(crate) comparisons: Vec<Compared>,
}

impl Rules {
    /// Whether a case of this title is wanted: asked before it is prepared, which may take longer than the case.
    pub(crate) fn want(&self, title: &str) -> bool {
        title.contains(&self.case)
    }
}

impl Case<'_> {
    /// Lets the contenders take turns.
    pub(crate) async fn run(mut self, rules: &Rules) -> Result<Option<Found>> {
        self.contenders
            .retain(|contender| contender.name().contains(&rules.contender));
        if self.contenders.is_empty() {
            return Ok(None);
        }
        let mut samples: Vec<Vec<Sample>> = self.contenders.iter().map(|_| Vec::new()).collect();
        // A tenth of the time to begin with: plans, pages and pools are warm then, and nothing of it counts.
        for run in 0..=rules.runs {
            for (contender, samples) in self.contenders.iter_mut().zip(&mut samples) {
                let name = contender.name();
                let (time, what) = if run == 0 {
                    (rules.time / 10, "warms up".to_owned())
                } else {
                    (rules.time, format!("run {run} of {}", rules.runs))
                };
                report::step(&format!("{}: {name}, {what}", self.title));
                let sample = contender
                    .run(time)
                    .await
                    .with_context(|| format!("{}: {name}", self.title))?;
                if run > 0 {
                    samples.push(sample);
                }
            }
        }
        let mut placed = Vec::with_capacity(samples.len());
        for (contender, samples) in self.contenders.iter().zip(&samples) {
            placed.push(Placed {
                name: contender.name(),
                figures: Figures::of(samples)?,
                flushes: contender.flushes(),
            });
        }
        for contender in self.contenders {
            contender.close().await?;
        }
        let comparisons = compare(&placed, self.comparisons)?;
        report::progress(&summary(&self.title, self.unit, &placed));
        Ok(Some(Found {
            title: self.title,
            unit: self.unit,
            contenders: placed,
            comparisons,
        }))
    }
}

/// Carries out those comparisons whose contenders were measured.
fn compare(placed: &[Placed], comparisons: Vec<Comparison>) -> Result<Vec<Compared>> {
    let figure = |name: &str, measure| {
        let figures = &placed.iter().find(|placed| placed.name == name)?.figures;
        match measure {
            Measure::PerSecond => Some(&figures.per_second),
            Measure::P50 => figures.p50_ms.as_ref(),
        }
    };
    let mut compared = Vec::with_capacity(comparisons.len());
    for Comparison { of, to, measure, aim } in comparisons {
        let Some(ours) = figure(&of, measure) else {
            continue;
        };
        let ratio = match &to {
            None => ours.clone(),
            Some(other) => match figure(other, measure) {
                Some(theirs) => ours.over(theirs)?,
                None => continue,
            },
        };
        compared.push(Compared {
            of,
            to,
            measure,
            met: aim.is_met_by(ratio.median),
            figure: ratio,
            aim,
        });
    }
    Ok(compared)
}

fn summary(title: &str, unit: &str, placed: &[Placed]) -> String {
    let mut line = format!("{title}, {unit} a second:");
    for (n, placed) in placed.iter().enumerate() {
        let separator = if n == 0 { "" } else { "," };
        let figure = report::number(placed.figures.per_second.median);
        let _ = write!(line, "{separator} {} {figure}", placed.name);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::figures::Latencies;

    /// Does as much as it is told, and writes down when it was asked.
    struct Puppet {
        name: &'static str,
        done: u64,
        diary: Arc<Mutex<Vec<&'static str>>>,
    }

    #[async_trait(?Send)]
    impl Contender for Puppet {
        fn name(&self) -> String {
            self.name.to_owned()
        }

        async fn run(&mut self, time: Duration) -> Result<Sample> {
            self.diary.lock().unwrap().push(self.name);
            let mut latencies = Latencies::new()?;
            latencies.note(Duration::from_millis(10));
            Ok(Sample {
                done: self.done,
                time,
                latencies,
            })
        }
    }

    fn case(diary: &Arc<Mutex<Vec<&'static str>>>, comparisons: Vec<Comparison>) -> Case<'static> {
        let puppet = |name, done| -> Box<dyn Contender> {
            Box::new(Puppet {
                name,
                done,
                diary: diary.clone(),
            })
        };
        Case {
            title: "a case".to_owned(),
            unit: "events",
            contenders: vec![puppet("ours", 700), puppet("the peer", 100)],
            comparisons,
        }
    }

    fn rules(contender: &str) -> Rules {
        Rules {
            runs: 2,
            time: Duration::from_secs(1),
            case: String::new(),
            contender: contender.to_owned(),
        }
    }

    #[tokio::test]
    async fn contenders_take_turns_and_the_first_turn_does_not_count() {
        let diary = Arc::default();
        let found = case(&diary, Vec::new()).run(&rules("")).await.unwrap().unwrap();
        assert_eq!(*diary.lock().unwrap(), ["ours", "the peer"].repeat(3));
        assert_eq!(found.contenders[0].figures.per_second.runs, [700.0, 700.0]);
    }

    #[tokio::test]
    async fn an_aim_is_held_to_the_ratio_and_a_limit_to_the_figure() {
        let comparisons = vec![
            Comparison::rate("ours", "the peer", Aim::AtLeast(7.0)),
            Comparison::rate("ours", "the peer", Aim::AtLeast(7.1)),
            Comparison::latency("ours", "the peer", Aim::AtMost(1.5)),
            Comparison::absolute("ours", Aim::AtLeast(1_000.0)),
            Comparison::rate("ours", "the peer", Aim::None),
        ];
        let found = case(&Arc::default(), comparisons)
            .run(&rules(""))
            .await
            .unwrap()
            .unwrap();
        let met: Vec<_> = found.comparisons.iter().map(|compared| compared.met).collect();
        assert_eq!(met, [Some(true), Some(false), Some(true), Some(false), None]);
    }

    #[tokio::test]
    async fn who_is_left_out_is_compared_with_nobody() {
        let comparisons = vec![Comparison::rate("ours", "the peer", Aim::None)];
        let found = case(&Arc::default(), comparisons)
            .run(&rules("ours"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.contenders.len(), 1);
        assert!(found.comparisons.is_empty());
    }
}
