//! The class of a workspace: what the educator shows, who is there, and which dials are handed out. The
//! answers to questions are events and a view ([`crate::view::predictions`]); this is what is not history.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    access::Role,
    id::WorkspaceId,
    lesson,
    rejection::{Rejection, Violations},
};

/// The most dials that are handed out at a time.
pub const MAX_HANDED: usize = 100;

/// The most calls to place an order.
const MAX_CALLS: u32 = 1_000_000;

/// The most rows of a roster; a class has fewer people.
pub const MAX_ROSTER: usize = 1_000;

/// What the class is shown: the body of `PUT /api/v1/lab/class`, whole. What is absent is at rest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "lesson": "last_item", "step": "race", "locked": true,
    "question": "0198c1a2-0000-7000-8000-000000000000",
})))]
pub struct ClassStage {
    /// The lesson that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// Its step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Whether everyone stays on this step.
    pub locked: bool,
    /// The question that the class answers: the id part of its stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Uuid>,
    /// How often everyone was called to place an order; a higher number is a new call. 0: never.
    #[cfg_attr(feature = "openapi", schema(maximum = 1_000_000))]
    pub order_call: u32,
}

impl ClassStage {
    /// Checks the fields, or names those that are wrong.
    pub fn check(&self) -> Result<(), Rejection> {
        let mut violations = Violations::default();
        if let Some(name) = &self.lesson {
            let lesson = lesson::find(name);
            violations.require(lesson.is_some(), "lesson", "is the name of no lesson");
            if let (Some(lesson), Some(step)) = (lesson, &self.step) {
                let is_known = lesson.steps.iter().any(|known| known.name == step);
                violations.require(
                    is_known,
                    "step",
                    format!("is no step of the lesson {}", lesson.name),
                );
            }
        }
        violations.require(
            self.step.is_none() || self.lesson.is_some(),
            "lesson",
            "is needed with a step",
        );
        violations.require(
            !self.locked || self.step.is_some(),
            "locked",
            "needs the lesson and the step on which the class stays",
        );
        violations.require(
            self.order_call <= MAX_CALLS,
            "order_call",
            format!("is at most {MAX_CALLS}"),
        );
        violations.finish()
    }
}

/// A person by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClassPerson {
    /// The person.
    pub id: Uuid,
    /// The name shown to others.
    pub name: String,
}

/// A dial in the hands of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandedDial {
    /// The path of the dial, as in `broker.delay_ms`.
    pub dial: String,
    /// The person who may turn it.
    pub to: ClassPerson,
}

/// A person's own copy of the class's workspace: a sandbox to try things in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClassCopy {
    /// The workspace of the copy.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// Its join code.
    pub join_code: String,
}

/// A row of the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClassMember {
    /// The person.
    pub person: Uuid,
    /// The name shown to others.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Whether a page of theirs is open: a live socket on any server.
    pub present: bool,
    /// The number of orders that they placed.
    pub orders: u32,
    /// The newest of these: the id part of its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_order: Option<String>,
    /// Their own copy of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<ClassCopy>,
}

/// The bots of a class: simulated shoppers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClassBots {
    /// How many there are.
    pub count: u32,
    /// How many orders they place in a minute, all together.
    pub orders_per_minute: u32,
}

/// The answer to `GET /api/v1/lab/class`, and the data of a `class` frame.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClassAnswer {
    /// Counts the changes of what is shown and handed out; the `ETag` is this in quotation marks.
    pub version: u64,
    /// The lesson that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// Its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Whether everyone stays on this step.
    pub locked: bool,
    /// The question that the class answers: the id part of its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Uuid>,
    /// How often everyone was called to place an order.
    pub order_call: u32,
    /// Whether an educator is there.
    pub presenting: bool,
    /// How many people have a page open, on all servers.
    pub present: u32,
    /// The dials that are handed out: all of them to an educator, and to others their own.
    pub handed: Vec<HandedDial>,
    /// Everyone in the workspace, by name; to an educator alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roster: Option<Vec<ClassMember>>,
    /// The caller's own copy of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<ClassCopy>,
    /// The bots, while there are any; to an educator alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bots: Option<ClassBots>,
}

impl ClassAnswer {
    /// What the class is shown, as an educator puts it.
    pub fn stage(&self) -> ClassStage {
        ClassStage {
            lesson: self.lesson.clone(),
            step: self.step.clone(),
            locked: self.locked,
            question: self.question,
            order_call: self.order_call,
        }
    }

    /// The answer with another stage.
    #[must_use]
    pub fn with_stage(mut self, stage: ClassStage) -> Self {
        let ClassStage {
            lesson,
            step,
            locked,
            question,
            order_call,
        } = stage;
        (self.lesson, self.step) = (lesson, step);
        (self.locked, self.question, self.order_call) = (locked, question, order_call);
        self
    }
}

/// `PUT /api/v1/lab/class/dials/{dial}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandDial {
    /// The person who may turn it.
    pub person: Uuid,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(stage: serde_json::Value) -> Vec<String> {
        let stage: ClassStage = serde_json::from_value(stage).unwrap();
        match stage.check() {
            Ok(()) => Vec::new(),
            Err(refused) => refused.violations.into_iter().map(|found| found.field).collect(),
        }
    }

    #[test]
    fn what_is_shown_names_its_wrong_fields() {
        assert_eq!(fields(json!({})), [""; 0]);
        assert_eq!(
            fields(json!({"lesson": "last_item", "step": "race", "locked": true})),
            [""; 0]
        );
        assert_eq!(fields(json!({"step": "race"})), ["lesson"]);
        assert_eq!(fields(json!({"locked": true})), ["locked"]);
        assert_eq!(fields(json!({"lesson": "Last item"})), ["lesson"]);
        assert_eq!(
            fields(json!({"lesson": "last_item", "step": "x".repeat(61)})),
            ["step"]
        );
        assert_eq!(fields(json!({"lesson": "no_such"})), ["lesson"]);
        assert_eq!(fields(json!({"order_call": 1_000_001})), ["order_call"]);
    }

    #[test]
    fn an_answer_has_what_is_shown_beside_its_other_members() {
        let stage = ClassStage {
            lesson: Some("last_item".into()),
            order_call: 2,
            ..ClassStage::default()
        };
        let answer = ClassAnswer::default().with_stage(stage.clone());
        assert_eq!(answer.stage(), stage);
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json["lesson"], "last_item");
        assert_eq!((&json["locked"], &json["order_call"]), (&json!(false), &json!(2)));
        assert!(json.get("roster").is_none(), "for an educator alone");
        assert_eq!(serde_json::from_value::<ClassAnswer>(json).unwrap(), answer);
    }
}
