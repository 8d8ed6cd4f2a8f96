//! `mapgrow top` in a real terminal: tmux presses the keys and tells what is on the screen.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::{Place, told};
use crate::recorded::Victim;

/// How long a screen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal of tmux's, on a server of its own.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn start(place: &Place, command: &str) -> Terminal {
        let terminal = Terminal {
            socket: place.path("tmux").display().to_string(),
        };
        let (run, state, rec) = (place.path("run"), place.path("state"), place.path("rec"));
        let command = format!(
            "env XDG_RUNTIME_DIR={} XDG_STATE_HOME={} MAPGROW_DIR={} {command}; echo left $?; sleep 600",
            run.display(),
            state.display(),
            rec.display()
        );
        let started = terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "30",
            &command,
        ]);
        assert!(started.0, "{}", started.1);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .args(arguments)
            .output();
        let output = output.expect("tmux runs");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    fn keys(&self, keys: &[&str]) {
        let arguments = [&["send-keys"], keys].concat();
        assert!(self.tmux(&arguments).0);
    }

    /// Waits until the screen is as wanted; the screen.
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let (_, screen) = self.tmux(&["capture-pane", "-p"]);
            if wanted(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "no {what} on:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}

#[test]
fn keys_do_what_the_help_says() {
    if Command::new("tmux").arg("-V").output().is_err() {
        eprintln!("skipped: tmux is missing; sh tests/setup.sh installs it");
        return;
    }
    let place = Place::new();
    let mut victim = Victim::start(&place);
    let command = format!(
        "{} top {} --every 0.2",
        env!("CARGO_BIN_EXE_mapgrow"),
        victim.pid()
    );
    let terminal = Terminal::start(&place, &command);
    // The map of sessions is the larger; both are listed with their figures.
    let screen = terminal.shows("victim.rs:26 HashMap<u64, S");
    for text in [
        "cli_victim (",
        "running for",
        "LIVE",
        "NEXT RESIZE",
        "last stalls: ",
        "by live",
    ] {
        assert!(screen.contains(text), "no {text:?} on:\n{screen}");
    }
    assert!(screen.contains("6.1 MiB"), "{screen}");

    terminal.keys(&["s"]);
    terminal.shows("by peak");
    terminal.keys(&["S"]);
    terminal.shows("by live");
    terminal.keys(&["?"]);
    terminal.shows("q, Ctrl-C");
    terminal.keys(&["?"]);
    terminal.shows("by live");
    terminal.keys(&["Enter"]);
    let screen = terminal.shows("Stack, innermost first");
    assert!(screen.contains("tables"), "{screen}");
    terminal.keys(&["PageDown", "PageDown", "PageDown"]);
    terminal.until("scrolled stack", |screen| {
        !screen.contains("Stack, innermost first")
    });
    terminal.keys(&["Escape"]);
    terminal.shows("by live");

    terminal.keys(&["/"]);
    terminal.keys(&["-l", "nowhere"]);
    terminal.shows("No place has that text");
    terminal.keys(&["Escape"]);
    terminal.shows("victim.rs:26 HashMap<u64, S");
    terminal.keys(&["/"]);
    terminal.keys(&["-l", "VICTIM::FILL"]);
    terminal.keys(&["Enter"]);
    let screen = terminal.shows("only \"VICTIM::FILL\"  1 shown");
    assert!(screen.contains("victim.rs:26 HashMap<u64, S"), "{screen}");
    terminal.keys(&["Escape"]);

    // What happens during a pause is seen after it.
    terminal.keys(&["p"]);
    terminal.shows("[paused]");
    victim.grow(2);
    std::thread::sleep(Duration::from_millis(600));
    assert!(
        !terminal
            .shows("[paused]")
            .contains("containers hold 12 MiB")
    );
    terminal.keys(&["p"]);
    terminal.shows("containers hold 12 MiB");

    // The maps got nothing since the last reading: no time is told.
    let screen = terminal.shows("steady, 12 MiB");
    assert!(screen.contains(" at 1 place, "), "{screen}");

    // A small terminal shows less, a large one everything again.
    assert!(terminal.tmux(&["resize-window", "-x", "50", "-y", "8"]).0);
    let screen = terminal.until("narrow view", |screen| {
        let small = !screen.contains("NEXT RESIZE");
        small && screen.contains("LIVE") && screen.contains("PLACE")
    });
    assert!(
        screen.lines().all(|line| line.chars().count() <= 50),
        "{screen}"
    );
    assert!(terminal.tmux(&["resize-window", "-x", "140", "-y", "30"]).0);
    terminal.shows("NEXT RESIZE");

    // The process does not notice, and the view outlives it.
    victim.grow(3);
    victim.finish();
    let screen = terminal.shows("has ended");
    assert!(screen.contains("victim.rs:26 HashMap<u64, S"), "{screen}");
    terminal.keys(&["q"]);
    terminal.shows("left 0");
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let place = Place::new();
    let text = told(&place.run(&["top", "1"]));
    assert!(text.contains("mapgrow report"), "{text}");
}
