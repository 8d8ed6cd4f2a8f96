//! The connections that are open, and which of them goes when there are too many.
//!
//! A client that sends its request slowly, or takes its answer slowly, or keeps a connection open
//! between two requests, holds a seat and gives nothing for it. Where all are taken, the one that
//! has waited longest leaves for one that comes: a client that asks at once is never kept waiting
//! by those that do not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// All seats.
#[derive(Default)]
pub struct Seats {
    taken: Mutex<Taken>,
    /// Told when one becomes free, or whoever has one begins to wait.
    changed: Notify,
}

#[derive(Default)]
struct Taken {
    /// By a number that grows.
    connections: BTreeMap<u64, Connection>,
    /// Those that wait for their client, by when they began to, which is a number that grows too.
    waiting: BTreeMap<u64, u64>,
    next: u64,
}

struct Connection {
    /// Its place among those that wait; `None` while its answer is made.
    waits: Option<u64>,
    task: Option<AbortHandle>,
}

/// A seat that is taken; free again when it is dropped.
pub struct Seat {
    number: u64,
    seats: Arc<Seats>,
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// Takes a seat when fewer than `most` are taken, or when one that waits can be sent away.
    pub async fn take(self: &Arc<Seats>, most: usize) -> Seat {
        loop {
            // Before the look, so that nothing is missed between it and the wait.
            let changed = self.changed.notified();
            if let Some(number) = self.lock().take(most) {
                let seats = Arc::clone(self);
                return Seat { number, seats };
            }
            changed.await;
        }
    }
}

impl Taken {
    fn take(&mut self, most: usize) -> Option<u64> {
        if self.connections.len() >= most {
            let (_, longest) = self.waiting.pop_first()?;
            let sent_away = self.connections.remove(&longest)?;
            if let Some(task) = sent_away.task {
                task.abort();
            }
        }
        self.next += 1;
        let number = self.next;
        let waits = Some(number);
        self.connections
            .insert(number, Connection { waits, task: None });
        self.waiting.insert(number, number);
        Some(number)
    }

    fn set_waiting(&mut self, number: u64, waits: bool) {
        self.next += 1;
        let since = self.next;
        // One that was sent away has no place any more.
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        if let Some(before) = connection.waits.take() {
            self.waiting.remove(&before);
        }
        if waits {
            connection.waits = Some(since);
            self.waiting.insert(since, number);
        }
    }
}

impl Seat {
    /// Names the task that serves the connection.
    pub fn served_by(seats: &Seats, number: u64, task: AbortHandle) {
        if let Some(connection) = seats.lock().connections.get_mut(&number) {
            connection.task = Some(task);
        }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its request has come whole: an answer is being made.
    pub fn works(&self) {
        self.seats.lock().set_waiting(self.number, false);
    }

    /// It waits for its client, to take the answer or to ask again.
    pub fn waits(&self) {
        self.seats.lock().set_waiting(self.number, true);
        self.seats.changed.notify_one();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().set_waiting(self.number, false);
        self.seats.lock().connections.remove(&self.number);
        self.seats.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap()
    }

    #[test]
    fn who_has_waited_longest_leaves() {
        runtime().block_on(async {
            let seats = Arc::new(Seats::default());
            let mut all = Vec::new();
            for _ in 0..3 {
                all.push(seats.take(3).await);
            }
            all[0].works();
            all[1].works();
            all[1].waits();
            // The first works, the second began to wait after the third.
            let fourth = seats.take(3).await;
            let left: Vec<u64> = seats.lock().connections.keys().copied().collect();
            assert_eq!(left, [all[0].number(), all[1].number(), fourth.number()]);
            drop(all.remove(2));
            assert_eq!(seats.lock().connections.len(), 3, "it had left before");
            drop(all);
            drop(fourth);
            let taken = seats.lock();
            assert!(taken.connections.is_empty() && taken.waiting.is_empty());
        });
    }

    #[test]
    fn where_all_work_one_is_waited_for() {
        runtime().block_on(async {
            let seats = Arc::new(Seats::default());
            let first = seats.take(1).await;
            first.works();
            let other = Arc::clone(&seats);
            let comes = tokio::spawn(async move { other.take(1).await.number() });
            tokio::task::yield_now().await;
            assert!(!comes.is_finished());
            drop(first);
            assert!(comes.await.unwrap() > 1);
        });
    }
}
