//! Signals: those that a program was started with the order to ignore, and the one by which an allocation fails.

use std::sync::OnceLock;

/// Runs `install`, which sets handlers for SIGINT, SIGTERM or SIGHUP, and lets those of them be ignored again that were so
/// before: whoever starts a program with `nohup`, or behind a script, has said that they shall not end it.
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

/// There are no signals to ignore here.
#[cfg(not(unix))]
pub fn keep_ignored<T>(install: impl FnOnce() -> T) -> T {
    install()
}

#[cfg(unix)]
fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: all zero bytes are a valid `sigaction`: numbers, an empty set and no function.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed where the new action is null, and `now` has room for the old one.
    let answer = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    answer == 0 && now.sa_sigaction == libc::SIG_IGN
}

/// What is said at an abort, and the exit code.
static AT_ABORT: OnceLock<(&str, i32)> = OnceLock::new();

/// Lets the process end with `message` on stderr and the exit code `code` where it would abort. Rust aborts where there is
/// no memory for an allocation, after a line about it. An abort by a panic within a panic stays one.
pub fn end_at_abort(message: &'static str, code: i32) {
    let _ = AT_ABORT.set((message, code));
    #[cfg(unix)]
    {
        let handler = at_abort as extern "C" fn(libc::c_int);
        // SAFETY: the handler does only what a handler may, and the signal's number is a valid one.
        unsafe { libc::signal(libc::SIGABRT, handler as libc::sighandler_t) };
    }
}

/// Reads a value that was set once, writes, and ends: all that is allowed here. Where it returns, the abort goes on.
#[cfg(unix)]
extern "C" fn at_abort(_: libc::c_int) {
    let Some((message, code)) = AT_ABORT.get() else {
        return;
    };
    if std::thread::panicking() {
        return;
    }
    // SAFETY: `write` reads the message, which lives as long as the process, and `_exit` does not return.
    unsafe {
        libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len());
        libc::_exit(*code);
    }
}
