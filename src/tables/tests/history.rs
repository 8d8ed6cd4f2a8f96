use super::super::history::Earlier;
use super::Capacity;
use mapgrow_format::layout::header;

fn earlier(previous: u32, bytes: u64) -> Earlier {
    Earlier {
        previous,
        edge: bytes as u32 + 1000,
        bytes,
        serial: bytes + 1,
        ticks: bytes + 2,
    }
}

#[test]
fn chain_reads_back_newest_first() {
    let memory = Capacity::default().memory();
    let history = memory.tables().history;
    let mut chain = 0;
    for bytes in [10, 20, 30] {
        chain = history.push(&earlier(chain, bytes)).unwrap();
    }
    let mut seen = Vec::new();
    while let Some(node) = history.read(chain) {
        assert_eq!(node, earlier(node.previous, node.bytes));
        seen.push(node.bytes);
        chain = node.previous;
    }
    assert_eq!(seen, [30, 20, 10]);
}

#[test]
fn released_chains_are_used_before_fresh_nodes() {
    let memory = Capacity {
        nodes: 10,
        ..Capacity::default()
    }
    .memory();
    let history = memory.tables().history;
    let chain_of =
        |nodes: u64| (0..nodes).fold(0, |chain, at| history.push(&earlier(chain, at)).unwrap());
    let (long, short) = (chain_of(6), chain_of(3));
    history.release_chain(long);
    history.release_chain(short);
    history.release_chain(0);
    let mut nodes: Vec<u32> = (0..10)
        .map(|at| history.push(&earlier(0, at)).unwrap())
        .collect();
    assert_eq!(history.push(&earlier(0, 0)), None, "ten nodes and no more");
    assert_eq!(memory.header(header::HISTORY_USED), 10);
    nodes.sort_unstable();
    assert_eq!(nodes, (1..=10).collect::<Vec<_>>());
}

#[test]
fn nonsense_links_are_refused() {
    let memory = Capacity::default().memory();
    let history = memory.tables().history;
    assert_eq!(history.read(0), None);
    assert_eq!(history.read(1), None, "not taken yet");
    history.release_chain(u32::MAX);
    assert_eq!(history.push(&earlier(0, 1)), Some(1));
}
