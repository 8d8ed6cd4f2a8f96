//! Cores that were packed with zstd, as systemd keeps them: unpacked into a file that has no name
//! and goes with the command.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, statvfs};
use ruzstd::decoding::StreamingDecoder;

use crate::failure::{Failure, plain};

const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Bytes at once.
const PIECE: usize = 1 << 20;

/// Whether a file that begins so is packed.
pub fn is_packed(magic: [u8; 4]) -> bool {
    magic == MAGIC
}

/// Unpacks `file`. One that is cut off is unpacked as far as it goes.
pub fn unpack(path: &Path, file: File) -> Result<File, Failure> {
    let cannot = |what: &str| {
        Failure::new(format!(
            "cannot unpack {}: {what}; unpack it yourself with `zstd -d` where there is room",
            path.display()
        ))
    };
    let folder = folder();
    let mut into = nameless(&folder).map_err(|error| cannot(&plain(&error)))?;
    // Half of what is free is left to others.
    let room = statvfs(&folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) / 2);
    let mut from = StreamingDecoder::new(BufReader::new(file))
        .map_err(|_| cannot("its first bytes make no sense"))?;
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        length += read as u64;
        if length > room {
            return Err(cannot(&format!("{} has no room for it", folder.display())));
        }
        let bytes = &piece[..read];
        let written = if bytes.iter().all(|&byte| byte == 0) {
            // Most of a core may be zeros: they take no room.
            into.seek(SeekFrom::Current(read as i64)).map(|_| ())
        } else {
            into.write_all(bytes)
        };
        written.map_err(|error| cannot(&plain(&error)))?;
    }
    into.set_len(length)
        .map_err(|error| cannot(&plain(&error)))?;
    Ok(into)
}

/// Where large files that nobody keeps may lie: `/tmp` is often memory.
fn folder() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from)
}

fn nameless(folder: &Path) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(folder, flags, mode) {
        return Ok(file.into());
    }
    // Some file systems know no files without a name.
    let path = folder.join(format!(".mapgrow-core-{}", std::process::id()));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::open(&path, flags, mode)?;
    std::fs::remove_file(&path)?;
    Ok(file.into())
}
