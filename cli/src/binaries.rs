//! Binaries that the user names with `--binary`: one of another build gives no names, or wrong
//! ones, and is refused.

use std::path::{Path, PathBuf};

use mapgrow_format::reader::Recording;
use mapgrow_report::symbols::Module;

use crate::failure::{Failure, plain};
use crate::symbols::{Files, OpenObject, RECORDED_BUILD_ID_BYTES, hex};
use crate::{dumps, load, recordings, saved, source};

/// Refuses a binary that was not part of any of the recorded programs. Where there is a profile of
/// another tool among them, which cannot tell, nothing is refused.
pub fn check<'a>(
    binaries: &[PathBuf],
    sources: impl Iterator<Item = Option<&'a Path>>,
) -> Result<(), Failure> {
    if binaries.is_empty() {
        return Ok(());
    }
    let (mut modules, mut recordings) = (Vec::new(), 0);
    for source in sources {
        match recorded_modules(source) {
            Some(more) => {
                modules.extend(more);
                recordings += 1;
            }
            // A saved report has all the names that it will ever have.
            None if source.is_some_and(saved::is_json) => {}
            None => return Ok(()),
        }
    }
    if recordings == 0 {
        return Ok(());
    }
    let files = Files::new();
    for path in binaries {
        let binary = OpenObject::open(&files, path).map_err(|error| {
            Failure::new(format!(
                "--binary {}: it cannot be read: {}",
                path.display(),
                plain(&error)
            ))
        })?;
        if !modules.iter().any(|module| belongs(&binary, module)) {
            return Err(stranger(&binary, &modules));
        }
    }
    Ok(())
}

/// The objects that a recorded process had loaded; `None` for what is no recording.
fn recorded_modules(named: Option<&Path>) -> Option<Vec<Module>> {
    // Whoever reads it next says what is wrong with it.
    let recording = match named.and_then(source::pid) {
        Some(pid) => {
            let live = recordings::of_process(pid, false).ok()?;
            load::recording(&live.file, &live.path)
        }
        None => {
            let newest = || dumps::newest(None);
            let path = named.map(Path::to_owned).or_else(newest)?;
            let file = load::open(&path, false, true).ok()?;
            load::Header::read(&file).ok()??;
            load::recording(&file, &path)
        }
    };
    recording.ok().map(|recording| modules(&recording))
}

fn modules(recording: &Recording) -> Vec<Module> {
    recording.modules().flatten().collect()
}

/// Whether this file is what was loaded: by its build id, or where there is none, by its name.
fn belongs(binary: &OpenObject<'_>, module: &Module) -> bool {
    let own = binary.build_id();
    let own = &own[..own.len().min(RECORDED_BUILD_ID_BYTES)];
    if module.build_id.is_empty() || own.is_empty() {
        let unseen = own.is_empty() || !binary.build_id_is_loaded();
        let same_name = binary.path.file_name() == Path::new(&module.path).file_name();
        return unseen && module.build_id.is_empty() && same_name;
    }
    own == module.build_id
}

fn stranger(binary: &OpenObject<'_>, modules: &[Module]) -> Failure {
    let id = |id: &[u8]| match id {
        [] => "none".to_owned(),
        id => hex(id),
    };
    let path = binary.path.display();
    let own = id(binary.build_id());
    let name = binary.path.file_name();
    let namesake = modules
        .iter()
        .find(|module| Path::new(&module.path).file_name() == name);
    Failure::new(match namesake {
        Some(module) => format!(
            "--binary {path} is another build than {} that was recorded: its build id is {own}, \
             that of the recorded one {}; name the file that ran",
            module.path,
            id(&module.build_id)
        ),
        None => format!(
            "--binary {path} was not part of the recorded program: no object in it has the build \
             id {own}; name the file that ran"
        ),
    })
}
