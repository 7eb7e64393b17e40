//! The GPU kernels' files: sources `kernels/<family>.cu`, what ships `kernels/ptx/<family>.ptx`.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

#[path = "../../kernels/src/ptx/waits.rs"]
mod waits;

/// Results whose errors are messages for people.
pub type Result<T> = std::result::Result<T, String>;

/// The repository's root.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("crates/xtask lies two below the root")
        .to_path_buf()
}

/// A source of kernels.
pub struct Family {
    /// Its name, such as `matmul`.
    pub name: String,
    /// The source with the files that it includes put in their places.
    pub source: String,
}

/// Every `kernels/*.cu`, by name.
///
/// # Errors
/// A file that cannot be read.
pub fn families() -> Result<Vec<Family>> {
    let folder = root().join("kernels");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "cu"));
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            Ok(Family {
                name: name.to_string(),
                source: expanded(path, &mut Vec::new())?,
            })
        })
        .collect()
}

/// A file with each `#include "name"` replaced by that file, once.
fn expanded(path: &Path, seen: &mut Vec<PathBuf>) -> Result<String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut out = String::new();
    for (i, line) in text.lines().enumerate() {
        let included = line
            .strip_prefix("#include \"")
            .and_then(|l| l.strip_suffix('"'));
        match included.map(|file| path.with_file_name(file)) {
            Some(file) if seen.contains(&file) => out.push('\n'),
            Some(file) => {
                seen.push(file.clone());
                let inner = expanded(&file, seen)?;
                let file = file.file_name().unwrap_or_default().to_string_lossy();
                let next = i + 2;
                let _ = writeln!(out, "#line 1 \"{file}\"\n{inner}#line {next} \"{name}\"");
            }
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    Ok(out)
}

impl Family {
    /// What its PTX is compiled for: `sm_80` and `sm_90a` at the end of its name say so, else compute capability 7.0.
    pub fn arch(&self) -> &'static str {
        if self.name.ends_with("_sm90a") {
            "90a"
        } else if self.name.ends_with("_sm80") {
            "80"
        } else {
            "70"
        }
    }

    /// The devices that its PTX is assembled for as a check.
    pub fn devices(&self) -> &'static [&'static str] {
        match self.arch() {
            "90a" => &["90a"],
            "80" => &["80", "86", "89", "90", "120"],
            _ => &["70", "80", "86", "89", "90", "120"],
        }
    }

    /// Its PTX as a driver of such a device compiles it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn ptx_for(&self, device: &str) -> Result<String> {
        let path = self.ptx();
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let number = device.trim_end_matches(char::is_alphabetic);
        match number.parse::<u32>().is_ok_and(|n| n >= 90) {
            true => Ok(waits::with_waits(&text)),
            false => Ok(text),
        }
    }

    /// Where its PTX lies.
    pub fn ptx(&self) -> PathBuf {
        root()
            .join("kernels/ptx")
            .join(format!("{}.ptx", self.name))
    }

    /// The first line of its PTX, which ties it to its source.
    pub fn first_line(&self) -> String {
        let hash = Sha256::digest(self.source.as_bytes());
        let hash: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        format!(
            "// kernels/{}.cu with its includes, SHA-256 {hash}",
            self.name
        )
    }
}

/// The table of what every kernel takes, for people and for `ganforge kernels`.
pub fn resource_table() -> PathBuf {
    root().join("kernels/ptx/resources.txt")
}

/// The first lines of that table, which tie it to the sources.
pub fn table_head(families: &[Family]) -> String {
    let mut head =
        String::from("# What ptxas makes of the kernels, written by `cargo xtask ptx` from:\n");
    for family in families {
        let line = family.first_line();
        let _ = writeln!(head, "# {}", line.trim_start_matches("// "));
    }
    head
}

/// What `ptxas -v` says of one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Its name.
    pub kernel: String,
    /// Registers per thread.
    pub registers: u32,
    /// Shared memory per block in bytes, beside what a launch gives.
    pub shared: u32,
    /// Stack per thread in bytes: arrays that are not in registers.
    pub stack: u32,
    /// Bytes of registers stored to and loaded from the stack.
    pub spills: u32,
}

/// Reads the messages of `ptxas -v`.
///
/// # Errors
/// A kernel without its figures.
pub fn resources(log: &str) -> Result<Vec<Resources>> {
    let mut found = Vec::new();
    let mut current: Option<Resources> = None;
    for line in log.lines() {
        if let Some(rest) = line.split("Compiling entry function '").nth(1) {
            current = Some(Resources {
                kernel: rest.split('\'').next().unwrap_or_default().to_string(),
                registers: 0,
                shared: 0,
                stack: 0,
                spills: 0,
            });
        }
        let Some(r) = &mut current else { continue };
        if line.contains("bytes stack frame") {
            r.stack = before(line, "bytes stack frame")?;
            r.spills = before(line, "bytes spill stores")? + before(line, "bytes spill loads")?;
        }
        if line.contains("Used ") {
            r.registers = before(line, "registers")?;
            r.shared = before(line, "bytes smem").unwrap_or(0);
            found.extend(current.take());
        }
    }
    match current {
        None => Ok(found),
        Some(r) => Err(format!("ptxas says nothing of {}:\n{log}", r.kernel)),
    }
}

/// The number before `words`.
fn before(line: &str, words: &str) -> Result<u32> {
    let head = line
        .split(words)
        .next()
        .filter(|head| head.len() < line.len());
    let number = head.and_then(|h| h.trim_end().rsplit([' ', ',']).next());
    let number = number.and_then(|n| n.parse().ok());
    number.ok_or_else(|| format!("no number of {words} in {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ptx_is_of_its_source() {
        let families = families().expect("the sources are there");
        assert!(!families.is_empty());
        for family in &families {
            let path = family.ptx();
            let text =
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let line = text.lines().next().unwrap_or_default();
            let name = &family.name;
            assert_eq!(
                line,
                family.first_line(),
                "{name}.cu has changed: run `cargo xtask ptx`"
            );
            let target = format!(".target sm_{}", family.arch());
            assert!(
                text.lines().any(|l| l == target),
                "{name}.ptx is not for {target}"
            );
            assert!(
                text.contains(".version 8.4"),
                "{name}.ptx: a newer version shuts out older drivers"
            );
        }
        let shipped = fs::read_dir(root().join("kernels/ptx"))
            .expect("a folder")
            .count();
        assert_eq!(
            shipped,
            families.len() + 1, // the table of resources
            "kernels/ptx has a file without a source"
        );
        let table = fs::read_to_string(resource_table()).expect("a table of resources");
        let current = table.starts_with(&table_head(&families));
        assert!(
            current,
            "the table of resources is old: run `cargo xtask ptx`"
        );
    }

    /// The README promises that the engine is light to embed.
    #[test]
    fn a_user_of_the_engine_builds_few_crates() {
        let arguments = "tree --package ganforge-tensor --edges normal,build --prefix none --locked \
                         --target x86_64-unknown-linux-gnu --format {lib}";
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(arguments.split_whitespace()).current_dir(root());
        let output = cargo.output().expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let expected = "autocfg bytemuck crossbeam_deque crossbeam_epoch crossbeam_utils either \
                        ganforge_comm ganforge_kernels ganforge_tensor libc matrixmultiply proc_macro2 quote \
                        rawpointer rayon rayon_core syn thiserror thiserror_impl unicode_ident";
        let expected: Vec<&str> = expected.split_whitespace().collect();
        let tree = String::from_utf8_lossy(&output.stdout);
        let words = tree.split_whitespace().filter(|word| *word != "(*)");
        for name in words {
            assert!(expected.contains(&name), "{name} is new in\n{tree}");
        }
    }

    #[test]
    fn the_assemblers_messages_are_read() {
        let log = "ptxas info    : 0 bytes gmem\n\
            ptxas info    : Compiling entry function 'a_f32' for 'sm_70'\n\
            ptxas info    : Function properties for a_f32\n\
            \x20   8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n\
            ptxas info    : Used 31 registers, 1024 bytes smem, 392 bytes cmem[0]\n\
            ptxas info    : Compiling entry function 'b' for 'sm_70'\n\
            ptxas info    : Used 9 registers, 392 bytes cmem[0]\n";
        let found = resources(log).expect("well formed");
        let figures = |r: &Resources| (r.kernel.clone(), r.registers, r.shared, r.stack, r.spills);
        let found: Vec<_> = found.iter().map(figures).collect();
        let expected = [
            ("a_f32".to_string(), 31, 1024, 8, 16),
            ("b".to_string(), 9, 0, 0, 0),
        ];
        assert_eq!(found, expected);
        assert!(resources("ptxas info : Compiling entry function 'c' for 'sm_70'").is_err());
    }
}
