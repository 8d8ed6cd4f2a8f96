//! Which objects lay where when their code was met.

use core::sync::atomic::Ordering;

use super::Recording;
use crate::sandbox;
use crate::stack;
use crate::sync::AtomicU64;
use mapgrow_format::layout::{header, module, region, script};
use mapgrow_system::sys::{self, Text};

impl Recording {
    /// Makes sure that the objects in which these addresses lie are on record; the number of
    /// modules known then.
    ///
    /// # Safety
    /// The calling thread's stack leads through these addresses.
    pub(crate) unsafe fn register_modules(&self, addresses: impl Iterator<Item = u64>) -> u64 {
        self.note_clocks();
        let mut last = 0..0;
        for address in addresses {
            if last.contains(&address) || address & script::MARK != 0 {
                continue;
            }
            // SAFETY: this thread's stack leads into the object (this contract): it stays loaded.
            if let Some(object) = unsafe { stack::find_object(address) } {
                last = object.map_start..object.map_end;
                // SAFETY: as above.
                unsafe { self.register(&object) };
            }
        }
        self.load(header::MODULE_COUNT)
    }

    /// Apart from its caller: what it keeps on the stack is not on that of every record.
    ///
    /// # Safety
    /// The object is loaded until this returns.
    #[cold]
    #[inline(never)]
    unsafe fn register(&self, object: &stack::Object) {
        let mut id = [0u8; 32];
        // SAFETY: the object is loaded until this returns (this contract).
        let id_length = unsafe { stack::build_id(object, &mut id) };
        let id = id.get(..id_length).unwrap_or(&[]);
        let modules = self.arena.region(region::MODULES);
        let count = self.load(header::MODULE_COUNT) as usize;
        let known = modules
            .chunks_exact(module::WORDS)
            .take(count)
            .rev()
            .find(|words| {
                let get = |at: usize| words.get(at).map_or(0, |word| word.load(Ordering::Relaxed));
                get(module::START) < object.map_end && object.map_start < get(module::END)
            });
        if known.is_some_and(|words| is_same(words, object, id)) {
            return;
        }
        let Some(total) = self.word(header::MODULE_COUNT) else {
            return;
        };
        // A number is only counted once its record is complete, so that a site never refers to
        // one that is not: two threads may both write, each its own record.
        let place = total.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            let upto = (used as usize + 1) * module::WORDS;
            (upto <= modules.len() && self.arena.commit(region::MODULES, upto)).then_some(used + 1)
        });
        let Ok(place) = place else {
            self.count(header::MODULES_DROPPED, 1);
            return;
        };
        let start = place as usize * module::WORDS;
        let Some(words) = modules.get(start..start + module::WORDS) else {
            return;
        };
        let set = |at: usize, value: u64| {
            if let Some(word) = words.get(at) {
                word.store(value, Ordering::Relaxed);
            }
        };
        set(module::START, object.map_start);
        set(module::END, object.map_end);
        set(module::BIAS, object.bias);
        store_text(words.iter().skip(module::BUILD_ID), id);
        // SAFETY: the object is still loaded (this contract); the loader keeps its name as long.
        let path = unsafe { object.path() }.to_bytes();
        let place = words.iter().skip(module::PATH).take(module::PATH_WORDS);
        if path.is_empty() {
            let exe = self.arena.header().iter().skip(header::EXE);
            for (word, exe) in place.zip(exe) {
                word.store(exe.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        } else if is_relative(path) && !sandbox::entered() {
            store_absolute(place, path);
        } else {
            store_text(place, path);
        }
        if let Some(word) = words.get(module::BUILD_ID_LEN) {
            word.store(id_length as u64 | 1 << 63, Ordering::Release);
        }
    }
}

/// Whether a path starts from the current directory (`./plugin.so`). Names without a directory are
/// no files: the kernel's own object has one.
fn is_relative(path: &[u8]) -> bool {
    !path.starts_with(b"/") && path.contains(&b'/')
}

/// Stores the whole path of an object that was loaded by a relative one, cut at the bound, if the
/// directory has not been left meanwhile.
#[cold]
#[inline(never)]
fn store_absolute<'a>(words: impl Iterator<Item = &'a AtomicU64>, path: &[u8]) {
    let mut whole = Text::<{ module::PATH_WORDS * 8 }>::new();
    let mut directory = [0; module::PATH_WORDS * 8];
    let known = sys::current_directory(&mut directory);
    if let Some(directory) = known.and_then(|length| directory.get(..length)) {
        whole.push(directory).push(b"/");
    }
    whole.push(path);
    store_text(words, whole.as_bytes());
}

/// Whether a module's record describes this object.
fn is_same(words: &[AtomicU64], object: &stack::Object, id: &[u8]) -> bool {
    let get = |at: usize| words.get(at).map_or(0, |word| word.load(Ordering::Relaxed));
    let same_id = id.chunks(8).enumerate().all(|(at, bytes)| {
        let mut padded = [0u8; 8];
        padded
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        get(module::BUILD_ID + at) == u64::from_le_bytes(padded)
    });
    get(module::START) == object.map_start
        && get(module::END) == object.map_end
        && get(module::BIAS) == object.bias
        && get(module::BUILD_ID_LEN) & 0xFF == id.len() as u64
        && same_id
}

/// Stores bytes in words, zero-padded to a whole word.
pub(super) fn store_text<'a>(words: impl Iterator<Item = &'a AtomicU64>, bytes: &[u8]) {
    for (word, chunk) in words.zip(bytes.chunks(8)) {
        let mut padded = [0u8; 8];
        padded
            .iter_mut()
            .zip(chunk)
            .for_each(|(to, from)| *to = *from);
        word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
    }
}
