//! The metric that counts dead letters.

use super::Context;

/// Publishes how many dead letters each view has.
pub(super) async fn report(context: &Context) {
    let counts = match context.documents.parked_counts(None, None).await {
        Ok(counts) => counts,
        Err(error) => {
            tracing::warn!(%error, "the dead letters could not be counted");
            return;
        }
    };
    for view in context.progress.handlers() {
        let count = counts.iter().find(|count| count.view == view.name());
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; there are far fewer than 2^53 dead letters"
        )]
        metrics::gauge!("foldline_dead_letters", "view" => view.name())
            .set(count.map_or(0, |count| count.dead) as f64);
    }
}
