//! The transitions that are drawn, and no others.

use super::*;
use crate::config::Defaults;
use crate::recording::Origin;

/// A life of its own, and a way to make recordings.
fn life() -> Life {
    Life::new(Box::leak(Box::new(Word::new(UNBORN))))
}

fn made() -> *mut Recording {
    let settings = Settings::resolve(&Defaults::new());
    let origin = Origin {
        began: Moment::now(),
        parent_id: 0,
        backend: header::BACKEND_CUSTOM,
        signal: 0,
        forks_seen: true,
    };
    Recording::create(&settings, &origin).expect("a recording")
}

fn name(life: &Life) -> &'static str {
    match life.phase() {
        Phase::Unborn => "unborn",
        Phase::Ready => "ready",
        Phase::Recording(_) => "recording",
        Phase::Forked => "forked",
        Phase::Beginning => "beginning",
        Phase::Off => "off",
    }
}

/// What `fork` does to the word in the child.
fn fork(life: &Life) {
    assert!(
        !ptr::eq(life.word(), life.first),
        "the word lies in a page of its own"
    );
    life.word().at.store(FORKED, Ordering::Release);
}

fn publish(life: &Life) -> bool {
    let made = made();
    // SAFETY: it stays.
    let won = unsafe { life.publish(made) };
    if !won {
        // SAFETY: nobody has seen it.
        unsafe { Recording::discard(made) };
    }
    won
}

#[test]
fn a_process_records_and_so_does_its_child() {
    let life = life();
    assert_eq!(name(&life), "unborn");
    assert!(!publish(&life), "settings first");
    life.settings_are_read(false);
    assert_eq!(name(&life), "ready");
    assert_eq!(life.notice_forks(), Some(true));
    assert_eq!(name(&life), "ready");
    assert_eq!(life.parent_id(), 0);
    assert!(publish(&life));
    assert!(!publish(&life), "the first wins");
    let id = life.recording().expect("it records").id();
    life.give_up();
    assert_eq!(name(&life), "recording", "another thread was luckier");

    fork(&life);
    assert_eq!(name(&life), "forked");
    assert!(life.recording().is_none(), "its parent's is not its own");
    assert!(!publish(&life));
    assert!(life.begin_child());
    assert!(!life.begin_child(), "one thread is enough");
    assert_eq!(name(&life), "beginning");
    assert!(!publish(&life));
    life.child_has_begun(false);
    assert_eq!(name(&life), "ready");
    assert_eq!(life.parent_id(), id);
    assert!(publish(&life));
    assert_ne!(life.parent_id(), id);
}

#[test]
fn what_is_off_stays_off() {
    let life = life();
    life.settings_are_read(true);
    assert_eq!(name(&life), "off");
    life.settings_are_read(false);
    assert!(!publish(&life));
    assert_eq!(name(&life), "off");
}

#[test]
fn a_child_that_is_not_followed_records_nothing() {
    let life = life();
    life.settings_are_read(false);
    life.notice_forks();
    assert!(publish(&life));
    for _ in 0..2 {
        fork(&life);
        assert!(life.begin_child());
        life.child_has_begun(true);
        assert_eq!(name(&life), "off");
        assert!(!publish(&life));
    }
}

#[test]
fn where_there_was_no_room_children_do_not_try_again() {
    let life = life();
    life.settings_are_read(false);
    life.notice_forks();
    life.give_up();
    assert_eq!(name(&life), "off");
    assert!(!publish(&life), "one that comes too late");
    fork(&life);
    assert!(life.begin_child());
    life.child_has_begun(false);
    assert_eq!(name(&life), "off");
}

/// A real fork: the child finds the word wiped, the parent does not.
#[test]
fn the_kernel_tells_a_child() {
    let life = life();
    life.settings_are_read(false);
    assert_eq!(life.notice_forks(), Some(true));
    assert!(publish(&life));
    // SAFETY: the child makes no call but `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = i32::from(!matches!(life.phase(), Phase::Forked));
        // SAFETY: ends the child.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
    let mut status = 0;
    // SAFETY: waits for the child that was just made.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "in the child");
    assert_eq!(name(&life), "recording");
}
