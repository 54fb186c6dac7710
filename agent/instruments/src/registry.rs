//! The registry: all instruments of a program, to be read together.
//!
//! Handles don't go through it: its lock is never taken while something is recorded. It starts no thread and reads no
//! clock; whoever owns it ticks it every five seconds and says at each reading how much time has passed.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::declaration::{Declaration, InstrumentDeclaration};
use crate::instrument::{Instrument, Live};
use crate::reading::Reading;

/// Holds instruments and reads them. Clones share them.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Arc<Mutex<Vec<Arc<Entry>>>>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes one instrument, or finds the one that was made from the same declaration; for programs that can't use
    /// [`instruments!`](crate::instruments!).
    ///
    /// # Errors
    /// If the namespace has an instrument of this name already that was declared otherwise.
    pub fn instrument<I: Instrument>(
        &self,
        namespace: &'static str,
        declaration: InstrumentDeclaration,
    ) -> Result<I, RegisterError> {
        let mut registration = self.registration();
        let instrument = registration.instrument(namespace, declaration)?;
        registration.commit();
        Ok(instrument)
    }

    /// Reads all instruments, in the order they were registered, and empties histograms and timers.
    ///
    /// `elapsed` is the time since the registry was made or last reset, for mean rates. A gauge whose closure panics is
    /// left out.
    #[must_use]
    pub fn read(&self, elapsed: Duration) -> Vec<Reading> {
        self.snapshot().iter().flat_map(|entry| entry.read(elapsed)).collect()
    }

    /// Moves the averages of all meters and timers; to be called every five seconds.
    pub fn tick(&self) {
        self.snapshot().iter().for_each(|entry| entry.instrument.tick());
    }

    /// Lets everything that has a memory start anew: counts and averages at zero, histograms empty. Gauges keep their
    /// value, which is of the present. Handles stay valid.
    pub fn reset(&self) {
        self.snapshot().iter().for_each(|entry| entry.instrument.reset());
    }

    /// Begins to register several instruments, all or none. Holds the registry until its end.
    #[doc(hidden)]
    #[must_use]
    pub fn registration(&self) -> Registration<'_> {
        Registration { entries: self.entries(), added: Vec::new() }
    }

    /// The instruments there are now, so that the lock isn't held while they are read: a gauge's closure may register.
    fn snapshot(&self) -> Vec<Arc<Entry>> {
        self.entries().clone()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}

/// What [`instruments!`](crate::instruments!) registers through.
#[doc(hidden)]
pub struct Registration<'a> {
    entries: MutexGuard<'a, Vec<Arc<Entry>>>,
    added: Vec<Arc<Entry>>,
}

impl Registration<'_> {
    /// The instrument of this name in a declaration.
    #[doc(hidden)]
    pub fn declared<I: Instrument>(
        &mut self,
        declaration: &Declaration,
        name: &'static str,
    ) -> Result<I, RegisterError> {
        let namespace = declaration.namespace;
        let instrument = declaration.instruments.iter().find(|instrument| instrument.name == name);
        self.instrument(namespace, *instrument.ok_or(RegisterError { namespace, name })?)
    }

    #[doc(hidden)]
    pub fn instrument<I: Instrument>(
        &mut self,
        namespace: &'static str,
        declaration: InstrumentDeclaration,
    ) -> Result<I, RegisterError> {
        let conflict = RegisterError { namespace, name: declaration.name };
        // What the declaration says and what the type is are the same, unless it was made by hand.
        if (declaration.kind, declaration.label) != (I::KIND, I::LABEL) {
            return Err(conflict);
        }
        let known = self.entries.iter().chain(&self.added);
        let mut same_name = known.filter(|entry| {
            (entry.namespace, entry.declaration.name) == (namespace, declaration.name)
        });
        if let Some(entry) = same_name.next() {
            let instrument = entry.instrument.as_any().downcast_ref::<I>();
            return instrument
                .filter(|_| entry.declaration == declaration)
                .cloned()
                .ok_or(conflict);
        }
        let instrument = I::default();
        self.added.push(Arc::new(Entry {
            namespace,
            declaration,
            instrument: Box::new(instrument.clone()),
        }));
        Ok(instrument)
    }

    #[doc(hidden)]
    pub fn commit(mut self) {
        self.entries.append(&mut self.added);
    }
}

/// An instrument's name is taken in its namespace by one that was declared otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisterError {
    /// The namespace.
    pub namespace: &'static str,
    /// The instrument's name.
    pub name: &'static str,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the instrument {}.{} was declared before in another way",
            self.namespace, self.name
        )
    }
}

impl std::error::Error for RegisterError {}

struct Entry {
    namespace: &'static str,
    declaration: InstrumentDeclaration,
    instrument: Box<dyn Registered>,
}

impl Entry {
    fn read(&self, elapsed: Duration) -> Vec<Reading> {
        let InstrumentDeclaration { name, kind, label, .. } = self.declaration;
        let values = self.instrument.values(elapsed).into_iter().enumerate();
        let reading = |(position, value): (usize, Option<_>)| {
            let label = label.and_then(|label| Some((label.key, *label.values.get(position)?)));
            Some(Reading { namespace: self.namespace, name, kind, label, value: value? })
        };
        values.filter_map(reading).collect()
    }
}

/// Any instrument.
trait Registered: Live + Any + Send + Sync {
    fn as_any(&self) -> &dyn Any;
}

impl<I: Instrument> Registered for I {
    fn as_any(&self) -> &dyn Any {
        self
    }
}
