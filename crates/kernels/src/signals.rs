//! Signals: those ignored when the program was started, and the one raised when an allocation fails.

use std::cell::Cell;
#[cfg(unix)]
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

/// Runs `install`, which sets handlers for SIGINT, SIGTERM or SIGHUP, then ignores again those that were ignored before:
/// a program started by `nohup`, or in the background of a script, must not be ended by them.
#[cfg(unix)]
pub fn keep_ignored<T>(install: impl FnOnce() -> T) -> T {
    let mut ignored = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].to_vec();
    ignored.retain(|signal| is_ignored(*signal));
    let installed = install();
    for signal in ignored {
        // SAFETY: SIG_IGN is no function that could run at a bad moment, and the signal's number is a valid one.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    installed
}

/// On this platform there are no signals to ignore.
#[cfg(not(unix))]
pub fn keep_ignored<T>(install: impl FnOnce() -> T) -> T {
    install()
}

/// Sends SIGTERM to a process of this machine, which a well-behaved one answers by ending soon; one that is gone does not mind.
#[cfg(unix)]
pub fn terminate(pid: u32) {
    if let Ok(pid @ 1..) = libc::pid_t::try_from(pid) {
        // SAFETY: no memory is touched, and a number above 0 names one process, not a group or all.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

/// On this platform there is no signal to send.
#[cfg(not(unix))]
pub fn terminate(_: u32) {}

#[cfg(unix)]
fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: all zero bytes are a valid `sigaction`: numbers, an empty set and no function.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed where the new action is null, and `now` has room for the old one.
    let answer = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    answer == 0 && now.sa_sigaction == libc::SIG_IGN
}

/// The message at an abort, and the exit code.
static AT_ABORT: OnceLock<(&str, i32)> = OnceLock::new();

thread_local! {
    /// Whether this thread has panicked. Constant at first and without a destructor, so that a signal's handler may read it.
    static HAS_PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Makes the process end with `message` on stderr and the exit code `code` instead of aborting. Rust aborts when an allocation
/// fails, after printing a line about it; it panics where a new thread's stack for signals cannot be had, which ends the process
/// in the same way. An abort due to a panic within a panic remains an abort.
///
/// Whether there was a panic is noted by a hook around the one that is there: `std::thread::panicking` also says so where the
/// line about a failed allocation cannot be printed, because that allocates, too.
pub fn end_at_abort(message: &'static str, code: i32) {
    let _ = AT_ABORT.set((message, code));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        #[cfg(unix)]
        if is_without_stack(panic) {
            end(message, code);
        }
        HAS_PANICKED.set(true);
        hook(panic);
    }));
    #[cfg(unix)]
    {
        let handler = at_abort as extern "C" fn(libc::c_int);
        // SAFETY: the handler does only what a handler may, and the signal's number is a valid one.
        unsafe { libc::signal(libc::SIGABRT, handler as libc::sighandler_t) };
    }
}

/// Whether it is the standard library's panic for want of memory in a thread that begins.
#[cfg(unix)]
fn is_without_stack(panic: &PanicHookInfo) -> bool {
    let said = panic.payload_as_str();
    said.is_some_and(|s| s.starts_with("failed to allocate an alternative stack"))
}

/// Reads values that were set once, writes, and exits, which is all that a signal handler may do. If it returns, the abort
/// proceeds.
#[cfg(unix)]
extern "C" fn at_abort(_: libc::c_int) {
    let Some((message, code)) = AT_ABORT.get() else {
        return;
    };
    if !HAS_PANICKED.get() {
        end(message, *code);
    }
}

/// Ends the process with a message on stderr, without an allocation.
#[cfg(unix)]
fn end(message: &'static str, code: i32) -> ! {
    // SAFETY: `write` reads the message, which lives as long as the process, and `_exit` does not return.
    unsafe {
        libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len());
        libc::_exit(code)
    }
}
