//! Kernels that may be launched before those that they follow have ended.

/// PTX for devices of compute capability 9.0 and above, where a launch of a graph may begin while the launches that it follows
/// still run: each kernel waits for them before all else, and then lets those that follow it begin.
///
/// In this order a launch begins only when what comes two before it has ended, so that what it may use follows from what it
/// waits for alone, and blocks that wait take the place of few that work.
pub fn with_waits(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8192);
    let mut is_entry = false;
    for line in text.lines() {
        match line {
            _ if line.starts_with(".target sm_") => out.push_str(".target sm_90"),
            _ => out.push_str(line),
        }
        out.push('\n');
        is_entry |= line.starts_with(".visible .entry ");
        if is_entry && line == "{" {
            out.push_str("\tgriddepcontrol.wait;\n\tgriddepcontrol.launch_dependents;\n");
            is_entry = false;
        }
    }
    out
}
