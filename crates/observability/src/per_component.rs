//! One value per component of each app, found without a lock and without an allocation.
//!
//! In: the names of an app and a component. Out: their value, made at first sight. Names beyond the cap share one value, so
//! that nobody's names can fill the memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

/// The name under which everything beyond the cap is counted. No app can have it: it is no valid name.
pub(crate) const OTHER: &str = "(other)";

type Components<T> = HashMap<Arc<str>, Arc<T>>;
type Apps<T> = HashMap<Arc<str>, Arc<Components<T>>>;

pub(crate) struct PerComponent<T> {
    apps: ArcSwap<Apps<T>>,
    /// Held while a name is added; how many there are.
    added: Mutex<usize>,
    cap: usize,
    other: Arc<T>,
    make: fn() -> T,
}

impl<T> PerComponent<T> {
    pub(crate) fn new(cap: usize, make: fn() -> T) -> Self {
        Self {
            apps: ArcSwap::default(),
            added: Mutex::new(0),
            cap,
            other: Arc::new(make()),
            make,
        }
    }

    /// Gives the value of this component to `visit`.
    pub(crate) fn with<R>(&self, app: &str, component: &str, visit: impl FnOnce(&T) -> R) -> R {
        if let Some(value) = self
            .apps
            .load()
            .get(app)
            .and_then(|components| components.get(component))
        {
            return visit(value);
        }
        visit(&self.add(app, component))
    }

    /// Every app, component and value, in the order of their names; the shared one last.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Arc<str>, Arc<T>)> {
        let apps = self.apps.load();
        let mut all: Vec<_> = apps
            .iter()
            .flat_map(|(app, components)| {
                components.iter().map(|(component, value)| {
                    (Arc::clone(app), Arc::clone(component), Arc::clone(value))
                })
            })
            .collect();
        all.sort_unstable_by(|(left_app, left, _), (right_app, right, _)| {
            (left_app, left).cmp(&(right_app, right))
        });
        if all.len() >= self.cap {
            all.push((OTHER.into(), OTHER.into(), Arc::clone(&self.other)));
        }
        all
    }

    /// Copy on write: names are added a few times in the life of a node and looked up by every request.
    #[cold]
    fn add(&self, app: &str, component: &str) -> Arc<T> {
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        let mut apps = Apps::clone(&self.apps.load());
        if let Some(value) = apps
            .get(app)
            .and_then(|components| components.get(component))
        {
            return Arc::clone(value);
        }
        if *added >= self.cap {
            return Arc::clone(&self.other);
        }
        *added += 1;
        let value = Arc::new((self.make)());
        let components = apps.entry(app.into()).or_default();
        let mut grown = Components::clone(components);
        grown.insert(component.into(), Arc::clone(&value));
        *components = Arc::new(grown);
        self.apps.store(Arc::new(apps));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn keeps_one_value_per_component_and_one_for_all_beyond_the_cap() {
        let counts = PerComponent::new(2, AtomicU64::default);
        for (app, component) in [
            ("a", "x"),
            ("a", "x"),
            ("b", "x"),
            ("c", "x"),
            ("d", "x"),
            ("a", "x"),
        ] {
            counts.with(app, component, |count| count.fetch_add(1, Relaxed));
        }
        let all: Vec<_> = counts
            .all()
            .iter()
            .map(|(app, _, count)| (app.to_string(), count.load(Relaxed)))
            .collect();
        assert_eq!(all, [("a".into(), 3), ("b".into(), 1), (OTHER.into(), 2)]);
    }

    #[test]
    fn loses_no_count_when_threads_meet_a_name_at_once() {
        let counts = PerComponent::new(100, AtomicU64::default);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for name in 0..50 {
                        counts.with("app", &name.to_string(), |count| {
                            count.fetch_add(1, Relaxed)
                        });
                    }
                });
            }
        });
        assert!(
            counts
                .all()
                .iter()
                .all(|(_, _, count)| count.load(Relaxed) == 4)
        );
        assert_eq!(counts.all().len(), 50);
    }
}
