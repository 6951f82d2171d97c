//! Every lesson is as outlined, and every file that it names exists.

use std::path::Path;

use domain::lesson::LESSONS;

use super::*;

#[test]
fn each_lesson_has_the_steps_and_the_questions_of_its_outline() {
    let names: Vec<_> = ALL.iter().map(|lesson| lesson.name).collect();
    let outlined: Vec<_> = LESSONS.iter().map(|outline| outline.name).collect();
    assert_eq!(names, outlined, "a lesson has its line in both registries");
    for (lesson, outline) in ALL.iter().zip(LESSONS) {
        assert_eq!(lesson.difference(outline), None);
        assert_eq!(find(lesson.name).map(|found| found.name), Some(lesson.name));
    }
}

#[test]
fn each_file_that_a_lesson_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    for lesson in LESSONS {
        for step in lesson.steps {
            if let Some(source) = step.source {
                assert!(
                    root.join(source).is_file(),
                    "{} {}: {source}",
                    lesson.name,
                    step.name
                );
            }
        }
    }
}
