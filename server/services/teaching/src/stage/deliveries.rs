//! What the lessons about deliveries have in common: stock that arrives, a view of the sandbox's own that may
//! count what comes twice, and the certainty that the broker has delivered everything, repetitions too.

use domain::{token::ConsistencyToken, wire::CommandAnswer};
use serde_json::{Value, json};

use super::Stage;
use crate::{
    api::{Call, Method},
    lesson::Failure,
};

/// A product that no lesson counts.
const OTHER_SKU: &str = "map-01";

impl Stage {
    /// Units of a product arrive: one event.
    pub async fn receive(&self, sku: &str, units: u64) -> Result<CommandAnswer, Failure> {
        let data = json!({"quantity": units});
        self.send("ReceiveStock", &format!("inventory-{sku}"), data).await
    }

    /// One more event, of a product that no lesson counts. Of a partition the broker delivers one thing after
    /// the other, so a view that has folded this event was delivered all that it has folded before as often
    /// as it ever will be.
    pub async fn one_more_delivery(&self) -> Result<ConsistencyToken, Failure> {
        Ok(self.receive(OTHER_SKU, 1).await?.token)
    }

    /// Creates a view of the sandbox's own, in place of one of this name that a try before has left.
    pub async fn create_view(&self, name: &str, definition: &Value) -> Result<(), Failure> {
        self.delete_view(name).await?;
        let mut definition = definition.clone();
        definition["name"] = json!(name);
        let call = Call::post(self.educator(), "/api/v1/lab/views", definition);
        self.done("the view of one's own", call).await
    }

    /// Deletes a view of the sandbox's own, if there is one of this name.
    pub async fn delete_view(&self, name: &str) -> Result<(), Failure> {
        let path = format!("/api/v1/lab/views/{name}");
        let call = Call::new(self.educator(), Method::Delete, path);
        let answer = self.call(call).await;
        if answer.is_success() || answer.status == 404 {
            return Ok(());
        }
        Err(Failure::Refused {
            what: "deleting the view".to_owned(),
            problem: Box::new(answer.problem()),
        })
    }

    /// A number in a document of a view, once the view has folded up to a token; 0 where there is none yet.
    pub async fn number_in(
        &self,
        (view, key): (&str, &str),
        field: &str,
        after: &ConsistencyToken,
    ) -> Result<u64, Failure> {
        let document = self.view(view, key, Some(after)).await?;
        let number = document.and_then(|document| document.data[field].as_u64());
        Ok(number.unwrap_or_default())
    }
}
