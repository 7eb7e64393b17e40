//! The signals that a program was started with the order to ignore.

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
