//! Counts words, pairs of words and character n-grams over the text that a machine has.
//!
//! ```text
//! MAPGROW_AT_EXIT=report cargo run --release --example corpus [DIR...]
//! ```
//!
//! Without arguments it reads the Rust sources in the cargo registry, else `/usr/share`. Its
//! maps reach millions of entries, none of them presized: a good first thing to point the
//! report at. Results depend on the text alone, never on the recorder.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

#[global_allocator]
static ALLOC: mapgrow::MapGrow = mapgrow::MapGrow::new();

/// Enough text for maps of millions of entries, and no more than a minute's work.
const MOST_BYTES: u64 = 96 << 20;

/// Words are numbered as they appear.
#[derive(Default)]
struct Corpus {
    numbers: HashMap<String, u32>,
    words: Vec<Word>,
    pairs: HashMap<(u32, u32), u32>,
    triples: HashMap<[u32; 3], u32>,
    /// Runs of six characters.
    grams: HashMap<[u8; 6], u32>,
    /// Which files hold which word.
    postings: HashMap<u32, HashSet<u32>>,
    files: u32,
    bytes: u64,
}

struct Word {
    text: String,
    count: u64,
}

impl Corpus {
    fn read(&mut self, text: &str) {
        let mut before: [Option<u32>; 2] = [None, None];
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if word.is_empty() || word.len() > 64 {
                continue;
            }
            let number = self.number_of(word);
            self.words[number as usize].count += 1;
            self.postings.entry(number).or_default().insert(self.files);
            if let Some(last) = before[1] {
                *self.pairs.entry((last, number)).or_default() += 1;
            }
            if let [Some(first), Some(second)] = before {
                let triple = [first, second, number];
                *self.triples.entry(triple).or_default() += 1;
            }
            before = [before[1], Some(number)];
        }
        for gram in text.as_bytes().as_chunks::<6>().0 {
            *self.grams.entry(*gram).or_default() += 1;
        }
        self.files += 1;
        self.bytes += text.len() as u64;
    }

    fn number_of(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.words.len() as u32;
        self.numbers.insert(word.to_owned(), number);
        self.words.push(Word {
            text: word.to_owned(),
            count: 0,
        });
        number
    }

    /// The most frequent words, by a tree from count to words.
    fn frequent(&self) -> Vec<(u64, &str)> {
        let mut by_count: BTreeMap<(u64, &str), ()> = BTreeMap::new();
        for word in &self.words {
            by_count.insert((word.count, &word.text), ());
        }
        by_count.into_keys().rev().take(5).collect()
    }

    fn print(&self) {
        println!("{} files, {} bytes", self.files, self.bytes);
        println!("{} different words", self.words.len());
        println!("{} pairs, {} triples", self.pairs.len(), self.triples.len());
        println!("{} runs of six characters", self.grams.len());
        let widest = self.postings.values().map(HashSet::len).max().unwrap_or(0);
        println!("the most widespread word is in {widest} files");
        for (count, word) in self.frequent() {
            println!("{count:>9}  {word}");
        }
    }
}

/// Files with text in them, in a fixed order.
fn collect_files(dir: &Path, found: &mut Vec<PathBuf>) {
    const TEXT: [&str; 8] = ["rs", "md", "txt", "toml", "py", "c", "h", "html"];
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(kind) = path.symlink_metadata() else {
            continue;
        };
        if kind.is_dir() {
            collect_files(&path, found);
        } else if kind.is_file()
            && path
                .extension()
                .is_some_and(|e| TEXT.iter().any(|t| e == *t))
        {
            found.push(path);
        }
    }
}

fn default_dirs() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let registry = home.map(|home| home.join("registry/src"));
    match registry {
        Some(dir) if dir.is_dir() => vec![dir],
        _ => vec![PathBuf::from("/usr/share")],
    }
}

fn main() {
    let given: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let dirs = if given.is_empty() {
        default_dirs()
    } else {
        given
    };
    let mut files = Vec::new();
    for dir in &dirs {
        collect_files(dir, &mut files);
    }
    let mut corpus = Corpus::default();
    for path in &files {
        if let Ok(text) = fs::read_to_string(path) {
            corpus.read(&text);
            if corpus.files % 2000 == 0 {
                eprintln!("{} files, {} MiB", corpus.files, corpus.bytes >> 20);
            }
        }
        if corpus.bytes >= MOST_BYTES {
            break;
        }
    }
    corpus.print();
}
