//! The arrangement of a listing's rows while a person is at them. The rows that are shown stay where they
//! are: one that left the listing becomes a gap of its height, and a new one waits, unless it follows all
//! others.

/// Begins the key of a gap; no key of a document has it.
const GAP: char = '\n';

/// The keys to show in place of `shown`, where the listing now has the rows `current`. `height` gives the
/// height of a shown row in pixels.
pub fn arranged(shown: &[String], current: &[String], height: impl Fn(usize) -> i32) -> Vec<String> {
    let following = current
        .iter()
        .rev()
        .take_while(|key| !shown.contains(key))
        .count();
    let kept = shown.iter().enumerate().map(|(index, key)| {
        if key.starts_with(GAP) || current.contains(key) {
            key.clone()
        } else {
            format!("{GAP}{}{GAP}{key}", height(index))
        }
    });
    kept.chain(current.iter().skip(current.len() - following).cloned())
        .collect()
}

/// The height of the gap with this key, in pixels; `None` for the key of a row.
pub fn gap_height(key: &str) -> Option<&str> {
    Some(key.strip_prefix(GAP)?.split(GAP).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn keys(keys: &str) -> Vec<String> {
        keys.chars().map(String::from).collect()
    }

    /// The arrangement, with an underscore for each gap.
    fn arrangement(shown: &str, current: &str) -> String {
        let arranged = arranged(&keys(shown), &keys(current), |_| 40);
        let letter = |key: &String| gap_height(key).map_or_else(|| key.clone(), |_| "_".to_owned());
        arranged.iter().map(letter).collect()
    }

    #[test]
    fn a_shown_row_never_moves() {
        assert_eq!(arrangement("abc", "cab"), "abc");
        assert_eq!(arrangement("abc", "xabyc"), "abc", "new rows between others wait");
    }

    #[test]
    fn a_row_that_left_leaves_a_gap_of_its_height() {
        assert_eq!(arrangement("abc", "ac"), "a_c");
        let arranged = arranged(&keys("abc"), &keys("ac"), |index| if index == 1 { 57 } else { 0 });
        assert_eq!(gap_height(&arranged[1]), Some("57"));
        assert_eq!(gap_height(&arranged[0]), None);
    }

    #[test]
    fn a_gap_stays_and_its_row_waits_if_it_comes_back() {
        let once = arranged(&keys("abc"), &keys("ac"), |_| 57);
        let again = arranged(&once, &keys("abc"), |_| 0);
        assert_eq!(again, once);
    }

    #[test]
    fn rows_behind_all_others_are_shown_at_once() {
        assert_eq!(arrangement("ab", "xabyz"), "abyz");
        assert_eq!(arrangement("ab", "z"), "__z");
    }
}
