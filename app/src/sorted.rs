//! A map and an order for small bundles. The standard library's compile to much code for each type, and a
//! page of the lab has dozens of types; these are a few lines for each.

use std::{borrow::Borrow, mem};

/// A map as a sorted list. Keys mostly come in their order, as ids and positions do, and are then appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        match self.0.last() {
            Some((last, _)) if last.borrow() < key => Err(self.0.len()),
            _ => self.0.binary_search_by(|(of, _)| of.borrow().cmp(key)),
        }
    }

    /// The value of a key.
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| &self.0[place].1)
    }

    /// The value of a key, to be changed.
    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| &mut self.0[place].1)
    }

    /// Whether the map has a key.
    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Sets the value of a key, and returns the one before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => Some(mem::replace(&mut self.0[place].1, value)),
            Err(place) => {
                self.0.insert(place, (key, value));
                None
            }
        }
    }

    /// The value of a key, which is made if there is none.
    pub(crate) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let place = match self.place(&key) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (key, V::default()));
                place
            }
        };
        &mut self.0[place].1
    }

    /// Removes a key.
    #[cfg_attr(
        all(feature = "ssr", not(test)),
        expect(dead_code, reason = "only browsers forget what they show")
    )]
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        Some(self.0.remove(place).1)
    }
}

impl<K, V> SortedMap<K, V> {
    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keys and values, by key.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Keys and values, which can be changed, by key.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// The values, by key.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The keys, sorted.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// Keeps what `keep` says.
    #[cfg_attr(
        all(feature = "ssr", not(test)),
        expect(dead_code, reason = "only browsers forget what they show")
    )]
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    /// Removes all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The values, by key.
    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().map(|(_, value)| value)
    }
}

/// What elements are sorted by.
pub(crate) type SortKey = (i64, i64, u64);

/// Sorts by a key; elements with equal keys keep their order. Keys are sorted in place of elements, so that
/// all types share the code that sorts.
pub(crate) fn sort_by_key<T>(items: &mut [T], key: impl Fn(&T) -> SortKey) {
    fn places(mut keys: Vec<(SortKey, usize)>) -> Vec<usize> {
        keys.sort_unstable();
        let mut places = vec![0; keys.len()];
        for (place, (_, from)) in keys.into_iter().enumerate() {
            places[from] = place;
        }
        places
    }
    let keys = items.iter().enumerate().map(|(from, item)| (key(item), from));
    let mut places = places(keys.collect());
    for from in 0..items.len() {
        while places[from] != from {
            let place = places[from];
            items.swap(from, place);
            places.swap(from, place);
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_map_is_sorted_whatever_the_order_of_its_keys() {
        let mut map = SortedMap::default();
        for key in [5, 1, 9, 3] {
            assert_eq!(map.insert(key, key * 10), None);
        }
        assert_eq!(map.insert(3, 31), Some(30));
        *map.or_default(7) += 1;
        *map.or_default(1) += 1;
        assert_eq!(map.keys().copied().collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
        assert_eq!(map.values().copied().collect::<Vec<_>>(), [11, 31, 50, 1, 90]);
        assert_eq!((map.get(&4), map.get(&9)), (None, Some(&90)));
        assert_eq!((map.remove(&9), map.remove(&9)), (Some(90), None));
        map.retain(|key, _| *key > 1);
        if let Some(value) = map.get_mut(&5) {
            *value = 0;
        }
        assert_eq!(
            map.iter().map(|(key, value)| (*key, *value)).next_back(),
            Some((7, 1))
        );
        assert!(map.contains_key(&5) && !map.contains_key(&1));
        assert_eq!((map.len(), map.into_values().sum::<i32>()), (3, 32));
    }

    #[test]
    fn sorting_keeps_the_order_of_equal_keys() {
        let mut items: Vec<(i64, i64)> = (0..1_000).map(|n| (n * 7_919 % 13, n)).collect();
        let mut expected = items.clone();
        expected.sort_by_key(|item| item.0);
        sort_by_key(&mut items, |item| (item.0, 0, 0));
        assert_eq!(items, expected);
    }
}
