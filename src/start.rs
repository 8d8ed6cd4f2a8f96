//! What is done at the turns of a recorder's [life](crate::life): settings are read at the first
//! allocation, a recording is made with the first block worth it, and once more in a child of
//! `fork`.

pub(crate) mod early_frees;

use crate::calibration;
use crate::config::{AtExit, Defaults, Mode, Settings};
use crate::dumps;
use crate::life::{LIFE, Phase, State, existing_recording};
use crate::own_stack::with_own_stack;
use crate::recording::{Origin, Recording, private_pages};
use crate::run;
use crate::sandbox;
use crate::stack::EntryFrames;
use mapgrow_format::layout::header;
use mapgrow_system::clock::Moment;
use mapgrow_system::sys::{self, ErrnoGuard};

/// The state, set up on first use. `None` when there is no memory for it.
#[inline]
pub(crate) fn state(defaults: &Defaults, backend: u64) -> Option<&'static State> {
    match State::get() {
        Some(state) => Some(state),
        None => first_allocation(defaults, backend),
    }
}

#[cold]
#[inline(never)]
fn first_allocation(defaults: &Defaults, backend: u64) -> Option<&'static State> {
    let _errno = ErrnoGuard::save();
    with_own_stack(|| set_up(defaults, backend)).flatten()
}

fn set_up(defaults: &Defaults, backend: u64) -> Option<&'static State> {
    sys::remember_stderr();
    let began = Moment::now();
    let settings = Settings::resolve(defaults);
    let off = settings.mode == Mode::Off;
    let entry_frames = match off {
        true => EntryFrames::new(),
        false if settings.sizes_known => calibration::calibrate(),
        false => calibration::own_object(),
    };
    let signal = if off {
        0
    } else {
        if settings.at_term && settings.at_exit == AtExit::Dump {
            dumps::take_term();
        }
        dumps::take_signal(settings.signal)
    };
    LIFE.settings_are_read(off);
    run::tell(&settings, run::STARTED);
    let place = private_pages(core::mem::size_of::<State>())?.cast::<State>();
    // SAFETY: fresh pages of sufficient size, page aligned, known to nobody else.
    let state: &'static State = unsafe {
        place.write(State {
            settings,
            entry_frames,
            backend,
            signal,
            began,
            pid: std::process::id(),
        });
        &*place
    };
    State::set(state);
    State::get()
}

/// The recording, created if there is none yet. `None` when nothing is to be recorded.
#[inline]
pub(crate) fn recording(state: &State) -> Option<&'static Recording> {
    match existing_recording() {
        Some(recording) => Some(recording),
        None => first_block(state),
    }
}

#[cold]
#[inline(never)]
fn first_block(state: &State) -> Option<&'static Recording> {
    if sandbox::entered() {
        return None;
    }
    let _errno = ErrnoGuard::save();
    match LIFE.phase() {
        Phase::Recording(recording) => Some(recording),
        Phase::Ready => make_recording(state),
        Phase::Forked => {
            after_fork(state);
            match LIFE.phase() {
                Phase::Ready => make_recording(state),
                _ => existing_recording(),
            }
        }
        // While another thread of the child resets the recorder, this one records nothing.
        Phase::Unborn | Phase::Beginning | Phase::Off => None,
    }
}

fn make_recording(state: &State) -> Option<&'static Recording> {
    let parent_id = LIFE.parent_id();
    // A child of `fork` may have its parent's id, in another namespace.
    let began = if parent_id == 0 && state.pid == std::process::id() {
        state.began
    } else {
        Moment::now()
    };
    let make = || {
        let forks_seen = LIFE.notice_forks()?;
        let origin = Origin {
            began,
            parent_id,
            backend: state.backend,
            signal: state.signal,
            forks_seen,
        };
        Recording::create(&state.settings, &origin)
    };
    let Some(made) = with_own_stack(make).flatten() else {
        LIFE.give_up();
        // Another thread may have been luckier.
        let made = existing_recording();
        if made.is_none() {
            run::tell(&state.settings, run::UNRECORDED);
        }
        return made;
    };
    // SAFETY: it is discarded below if this is false, and else never.
    if !unsafe { LIFE.publish(made) } {
        // SAFETY: `made` was created above and never shown to anybody.
        unsafe { Recording::discard(made) };
    }
    let recording = existing_recording()?;
    recording.count(header::FREES_UNKNOWN, early_frees::take());
    if recording.load(header::STATE) & header::STATE_PRIVATE != 0 {
        run::tell(&state.settings, run::PRIVATE);
    }
    Some(recording)
}

/// Resets the recorder in a child of `fork`, where the parent's recording is not mapped, so that
/// the child can have its own. The child may have several threads by now: all but the first one
/// here do nothing.
fn after_fork(state: &State) {
    if !LIFE.begin_child() {
        return;
    }
    // The filter stays: by it the frees of inherited blocks are noticed.
    dumps::reset_after_fork();
    LIFE.child_has_begun(!state.settings.follow_fork);
}
