//! Finds the file that a module of a recording was mapped from, and says what it found instead
//! when it is not the same any more.

use std::io;
use std::path::{Path, PathBuf};

use mapgrow_report::symbols::Module;

use super::files::{Files, OpenObject, hex};

/// Build ids are recorded up to this length.
pub const RECORDED_BUILD_ID_BYTES: usize = 32;

/// Where to look besides the path that the recording names.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The process, while it lives: it still holds binaries that were deleted or replaced, and
    /// knows its own root directory.
    pub pid: Option<u32>,
    /// Path of the program, as the recording has it.
    pub program: Option<String>,
    /// Files that the user named; used when their build id is the recorded one.
    pub binaries: Vec<PathBuf>,
}

impl Places {
    /// Whether the module is the program itself, not one of its libraries.
    pub fn is_program(&self, module: &Module) -> bool {
        self.program.as_deref() == Some(module.path.as_str())
    }

    /// Paths at which the module's file may lie, best first.
    fn candidates(&self, module: &Module) -> Vec<PathBuf> {
        let path = module
            .path
            .strip_suffix(" (deleted)")
            .unwrap_or(&module.path);
        let mut candidates = Vec::new();
        if let Some(pid) = self.pid {
            candidates.push(PathBuf::from(format!("/proc/{pid}/root{path}")));
            candidates.push(PathBuf::from(path));
            candidates.push(PathBuf::from(format!(
                "/proc/{pid}/map_files/{:x}-{:x}",
                module.start, module.end
            )));
            if self.is_program(module) {
                candidates.push(PathBuf::from(format!("/proc/{pid}/exe")));
            }
        } else {
            candidates.push(PathBuf::from(path));
        }
        candidates.extend(self.binaries.iter().cloned());
        candidates
    }
}

/// What became of a module's file.
pub enum Located<'a> {
    /// The file that was mapped.
    Found(Box<OpenObject<'a>>),
    /// It cannot be used, for the reason in this sentence.
    Unusable(String),
    /// It never had a file.
    NoFile,
}

/// Finds the file of a module.
pub fn locate<'a>(files: &'a Files, places: &Places, module: &Module) -> Located<'a> {
    if !module.path.starts_with('/') {
        // The vdso, JIT code, and what the loader has no name for.
        return Located::NoFile;
    }
    let recorded = &module.build_id[..];
    let mut rebuilt = None;
    let mut unreadable: Option<(PathBuf, io::Error)> = None;
    for path in places.candidates(module) {
        let opened = match OpenObject::open(files, &path) {
            Ok(opened) => opened,
            Err(error) => {
                let absent = error.kind() == io::ErrorKind::NotFound;
                if path == Path::new(&module.path) && !absent {
                    unreadable = Some((path, error));
                }
                continue;
            }
        };
        let now = opened.build_id();
        let now_recorded = &now[..now.len().min(RECORDED_BUILD_ID_BYTES)];
        let unseen = recorded.is_empty() && !opened.build_id_is_loaded();
        if now_recorded == recorded || unseen {
            let same_name = || path.file_name() == Path::new(&module.path).file_name();
            if !recorded.is_empty() || !places.binaries.contains(&path) || same_name() {
                return Located::Found(Box::new(opened));
            }
        } else if !places.binaries.contains(&path) {
            rebuilt.get_or_insert_with(|| now_recorded.to_vec());
        }
    }
    let path = &module.path;
    Located::Unusable(if let Some(now) = rebuilt {
        format!(
            "{path} was rebuilt since the recording (build id {} there, {} now): its functions \
             are shown as addresses. Run `mapgrow report` where the original file is, or name it \
             with `--binary FILE`.",
            brief(recorded),
            brief(&now)
        )
    } else if let Some((_, error)) = unreadable {
        format!("{path} cannot be read ({error}): its functions are shown as addresses.")
    } else {
        format!(
            "{path} is not there any more: its functions are shown as addresses. Name a copy of \
             it with `--binary FILE`."
        )
    })
}

/// The first digits of a build id, enough to tell two apart.
fn brief(build_id: &[u8]) -> String {
    match build_id {
        [] => "none".to_owned(),
        [..] if build_id.len() <= 6 => hex(build_id),
        [..] => format!("{}..", hex(&build_id[..6])),
    }
}
