//! Models of the tables for loom, which tries the interleavings and the stale reads that the
//! memory model allows. The last step of `.ci/run` runs them.

mod live;

use super::edges::{EDGE_OVERFLOW, EdgeKey, EdgeTable};
use super::history::{Earlier, HistoryPool};
use super::index::{Index, Indexed};
use crate::pool::Commit;
use crate::sync::{AtomicU64, Ordering};
use loom::thread;
use mapgrow_format::layout::{edge, header, history};
use std::sync::Arc;

/// Everything is usable from the start.
pub(crate) struct Unbounded;

impl Commit for Unbounded {
    fn commit(&self, _: usize, _: usize) -> bool {
        true
    }
}

pub(crate) static COMMIT: Unbounded = Unbounded;

/// Runs a model; at most `preemptions` times a thread is stopped where it could have gone on.
pub(crate) fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Words that all threads of a model share.
#[derive(Clone)]
pub(crate) struct Words(Arc<Vec<AtomicU64>>);

impl Words {
    pub(crate) fn new(words: usize) -> Self {
        Self(Arc::new((0..words).map(|_| AtomicU64::new(0)).collect()))
    }

    pub(crate) fn all(&self) -> &[AtomicU64] {
        &self.0
    }
}

#[test]
fn index_gives_one_number_to_a_key_that_two_insert() {
    check(3, || {
        // Word 0: records made; then one word for each record; then the index.
        let words = Words::new(12);
        let insert = |words: Words, key: u64| {
            let (pool, index) = words.all().split_at(4);
            let index = Index::new(index, 0, &COMMIT);
            index.find_or_insert(
                0,
                |id| pool[1 + id as usize].load(Ordering::Relaxed) == key,
                || {
                    let id = pool[0].fetch_add(1, Ordering::Relaxed);
                    pool[1 + id as usize].store(key, Ordering::Relaxed);
                    Some(id as u32)
                },
            )
        };
        let (first, second) = (words.clone(), words.clone());
        let threads = [
            thread::spawn(move || insert(first, 7)),
            thread::spawn(move || insert(second, 8)),
        ];
        let mine = insert(words.clone(), 7);
        let [same, other] = threads.map(|thread| thread.join().unwrap());
        match (mine, same) {
            (Indexed::Created(a), Indexed::Found(b)) | (Indexed::Found(a), Indexed::Created(b)) => {
                assert_eq!(a, b);
            }
            _ => panic!("one of them made it: {mine:?} {same:?}"),
        }
        assert!(matches!(other, Indexed::Created(_)), "{other:?}");
        let taken = words.all()[4..].iter();
        assert_eq!(
            taken
                .filter(|word| word.load(Ordering::Relaxed) != 0)
                .count(),
            2
        );
    });
}

#[test]
fn edge_that_says_complete_is() {
    check(2, || {
        let header = Words::new(header::EDGES_FOLDED + 1);
        let (records, index) = (Words::new(3 * edge::WORDS), Words::new(4));
        let make = |header: &Words, records: &Words, index: &Words| {
            EdgeTable::new(header.all(), records.all(), index.all(), &COMMIT)
                .unwrap()
                .find_or_create(
                    &EdgeKey {
                        new_site: 5,
                        old_site: 6,
                        join: 7,
                        kind: 1,
                        free_pc: 8,
                    },
                    9,
                )
        };
        // The overflow edge is there.
        header.all()[header::EDGE_COUNT].store(1, Ordering::Relaxed);
        let (a, b, c) = (header.clone(), records.clone(), index.clone());
        let thread = thread::spawn(move || make(&a, &b, &c));
        // Looks at the records as an outside reader does.
        let complete = || {
            let records = records.all().chunks(edge::WORDS).skip(1);
            let complete = records.filter(|record| {
                let complete = record[edge::JOIN].load(Ordering::Acquire) >> 63 == 1;
                if complete {
                    assert_eq!(record[edge::SITES].load(Ordering::Relaxed), 5 | 6 << 32);
                    assert_eq!(record[edge::FREE_PC].load(Ordering::Relaxed), 8);
                    assert_eq!(record[edge::FREE_CALLEE_PC].load(Ordering::Relaxed), 9);
                }
                complete
            });
            complete.count()
        };
        assert!(complete() <= 1);
        let mine = make(&header, &records, &index);
        assert_eq!(complete(), 1, "who loses the race leaves an incomplete one");
        assert_eq!(thread.join().unwrap(), mine);
        assert_eq!(complete(), 1);
        assert_ne!(mine, EDGE_OVERFLOW);
    });
}

#[derive(Clone)]
struct Nodes {
    header: Words,
    nodes: Words,
}

impl Nodes {
    fn new(nodes: usize) -> Self {
        Self {
            header: Words::new(header::HISTORY_FREE + 1),
            nodes: Words::new(nodes * history::WORDS),
        }
    }

    fn pool(&self) -> HistoryPool<'_, Unbounded> {
        HistoryPool::new(self.header.all(), self.nodes.all(), &COMMIT).unwrap()
    }

    /// A chain on the free list for each length given, the last on top.
    fn release(&self, lengths: &[u64]) {
        let pool = self.pool();
        let chains: Vec<u32> = lengths
            .iter()
            .map(|&length| (0..length).fold(0, |chain, _| push(&pool, chain, 0).unwrap()))
            .collect();
        for chain in chains {
            pool.release_chain(chain);
        }
    }
}

fn push(pool: &HistoryPool<'_, Unbounded>, previous: u32, bytes: u64) -> Option<u32> {
    pool.push(&Earlier {
        previous,
        edge: 0,
        bytes,
        serial: 0,
        ticks: 0,
    })
}

/// Takes every node that is left and checks that there are `total` in all.
fn count_nodes(nodes: &Nodes, mut owned: Vec<u32>, total: u32) {
    let pool = nodes.pool();
    while let Some(node) = push(&pool, 0, 0) {
        owned.push(node);
    }
    owned.sort_unstable();
    assert_eq!(owned, (1..=total).collect::<Vec<_>>());
}

#[test]
fn history_node_that_comes_back_on_top_is_not_mistaken() {
    check(3, || {
        let nodes = Nodes::new(3);
        nodes.release(&[1, 1, 1]);
        let theirs = nodes.clone();
        let thread = thread::spawn(move || {
            // Top, then the next; the first goes back on top: what ABA needs.
            let pool = theirs.pool();
            let (first, second) = (push(&pool, 0, 1).unwrap(), push(&pool, 0, 2));
            pool.release_chain(first);
            second
        });
        let mine = push(&nodes.pool(), 0, 3).expect("three nodes for at most three");
        assert_eq!(nodes.pool().read(mine).map(|node| node.bytes), Some(3));
        let mut owned = vec![mine];
        owned.extend(thread.join().unwrap());
        assert_eq!(nodes.pool().read(mine).map(|node| node.bytes), Some(3));
        count_nodes(&nodes, owned, 3);
    });
}

#[test]
fn history_chains_are_taken_apart_without_loss() {
    check(3, || {
        let nodes = Nodes::new(4);
        nodes.release(&[1, 2]);
        let theirs = nodes.clone();
        let thread = thread::spawn(move || {
            let pool = theirs.pool();
            let chain = push(&pool, 0, 1).unwrap();
            let longer = push(&pool, chain, 2).unwrap_or(chain);
            pool.release_chain(longer);
        });
        let mine = push(&nodes.pool(), 0, 3).expect("four nodes for at most three");
        thread.join().unwrap();
        assert_eq!(nodes.pool().read(mine).map(|node| node.bytes), Some(3));
        count_nodes(&nodes, vec![mine], 4);
    });
}
