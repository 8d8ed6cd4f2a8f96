//! A map that one function fills, and that goes on growing in a thread that it was moved into.

use std::collections::HashMap;
use std::io::{Read, Write};

type Model = HashMap<u64, [u32; 10]>;

#[inline(never)]
fn load(model: &mut Model) {
    for word in 0..40_000_u64 {
        model.insert(word, [1; 10]); // HERE
    }
}

#[inline(never)]
fn learn(mut model: Model) -> Model {
    for word in 40_000..1_240_000_u64 {
        model.insert(word, [2; 10]);
    }
    model
}

fn main() {
    let cured = std::env::args().nth(1).as_deref() == Some("cured");
    let mut model = Model::with_capacity(if cured { 1_240_000 } else { 0 });
    load(&mut model);
    let model = std::thread::spawn(move || learn(model)).join().unwrap();
    let buckets = (model.capacity() as u64 * 8).div_ceil(7).next_power_of_two();
    println!("entries {}", model.len());
    println!("bytes {}", buckets * size_of::<(u64, [u32; 10])>() as u64 + buckets + 16);
    println!("ready {}", std::process::id());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    drop(model);
}
