//! Why a command has recorded nothing.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::session::{Session, Told};

/// Everything that tells why.
#[derive(Debug)]
pub struct Facts {
    /// How the command ended.
    pub status: ExitStatus,
    /// What the recorder in it has told.
    pub told: Told,
    /// Whether other processes of the run go on.
    pub others_run: bool,
    /// Where recordings are kept.
    pub place: String,
    /// `MAPGROW`, as it was set.
    pub mode: Option<String>,
    /// `MAPGROW_FLOOR`, as it was set.
    pub floor: Option<String>,
}

impl Facts {
    /// What is known of a command that has ended.
    pub fn of(session: &Session, status: ExitStatus) -> Facts {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Facts {
            status,
            told: session.told(),
            others_run: !session.running().is_empty(),
            place: session.place().display().to_string(),
            mode: variable("MAPGROW"),
            floor: variable("MAPGROW_FLOOR"),
        }
    }

    /// The reason in a sentence, and one that says what to do.
    pub fn reason(&self, command: &str) -> String {
        let floor = match &self.floor {
            Some(floor) => format!("MAPGROW_FLOOR={floor}"),
            None => "MAPGROW_FLOOR, 1024 bytes".to_owned(),
        };
        let killed = self.status.signal().map(signal);
        let place = &self.place;
        if matches!(self.mode.as_deref(), Some("off" | "0")) {
            return format!("{command} recorded nothing: MAPGROW=off is set.");
        }
        if self.told.unrecorded {
            return format!(
                "{command} recorded nothing: there was no memory for a recording. Give it more \
                 (`ulimit -v`), or bound the recording with MAPGROW_MAX_MEMORY=4M."
            );
        }
        match (self.told.private, &killed) {
            (true, Some(killed)) => {
                return format!(
                    "{command} was killed by {killed}, and its recording with it: no file could \
                     be made in {place}, so it was in the process's own memory. Make room there, \
                     or name another directory with MAPGROW_DIR."
                );
            }
            (true, None) => {
                return format!(
                    "The recording of {command} is lost: no file could be made for it in {place}, \
                     and no dump could be written at the end. Make room there and in the \
                     directory for temporary files (TMPDIR), or let the program keep the rights \
                     that it has at its start."
                );
            }
            (false, _) => {}
        }
        if self.others_run {
            return format!("{command} has ended and left its work to others.");
        }
        match (self.told.started, killed) {
            (true, Some(killed)) => format!(
                "{command} was killed by {killed} before it had allocated a block of the floor's \
                 size ({floor}): nothing was recorded."
            ),
            (false, Some(killed)) => format!(
                "{command} was killed by {killed} before the library was at work in it: nothing \
                 was recorded."
            ),
            (true, None) => format!(
                "{command} recorded nothing: no block of the floor's size ({floor}) was allocated \
                 through malloc. `mapgrow run --exact` records smaller ones too."
            ),
            (false, None) => format!(
                "{command} recorded nothing: the library was not loaded into it, or it allocated \
                 nothing at all. If the loader could not load it, it has said so above."
            ),
        }
    }
}

/// A signal by its name and number.
pub fn signal(number: i32) -> String {
    let name = match number {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return format!("signal {number}"),
    };
    format!("{name} (signal {number})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(raw_status: i32) -> Facts {
        Facts {
            status: ExitStatus::from_raw(raw_status),
            told: Told {
                started: true,
                private: false,
                unrecorded: false,
            },
            others_run: false,
            place: "/dev/shm/x".to_owned(),
            mode: None,
            floor: None,
        }
    }

    #[test]
    fn each_reason_is_one_of_its_own() {
        let mut all = Vec::new();
        for (private, unrecorded, started, status, others) in [
            (false, false, true, 0, false),
            (false, false, false, 0, false),
            (false, false, true, libc::SIGKILL, false),
            (false, false, false, libc::SIGKILL, false),
            (true, false, true, libc::SIGKILL, false),
            (true, false, true, 0, false),
            (false, true, true, 0, false),
            (false, false, true, 0, true),
        ] {
            let told = Told {
                started,
                private,
                unrecorded,
            };
            let facts = Facts {
                told,
                others_run: others,
                ..facts(status)
            };
            all.push(facts.reason("prog"));
        }
        let off = Facts {
            mode: Some("off".to_owned()),
            ..facts(0)
        };
        all.push(off.reason("prog"));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{all:#?}");
        let of_the_floor = |text: &&String| text.contains("no block of the floor's size");
        assert_eq!(all.iter().filter(of_the_floor).count(), 1);
    }
}
