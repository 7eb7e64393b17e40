//! The GPU kernels as shipped: PTX, which the driver compiles for its device. Sources: `kernels/*.cu`.

mod waits;

pub use waits::with_waits;

/// A file of kernels.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name: `kernels/<name>.cu`.
    pub name: &'static str,
    /// Its PTX.
    pub ptx: &'static str,
}

/// The resources of every kernel on each device generation, in columns: kernel, device, registers, bytes of shared memory, of
/// stack, of spills. Lines that start with `#` are comments.
pub const RESOURCES: &str = include_str!("../../../kernels/ptx/resources.txt");

/// The PTX version of all files.
pub const VERSION: &str = "8.4";
/// The CUDA version that a driver must support to compile them.
pub const CUDA: (i32, i32) = (12, 4);
/// The first driver that does.
pub const DRIVER: u32 = 550;

/// The family of that name.
pub fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.name == name)
}

impl Family {
    /// One kernel's text as a module by itself, so that a driver compiles what is used and nothing else.
    pub fn kernel(&self, name: &str) -> Option<String> {
        let (mut text, mut inside, mut is_there) = (String::new(), None, false);
        for line in self.ptx.lines() {
            let entry = line.strip_prefix(".visible .entry ");
            if let Some(entry) = entry.and_then(|e| e.split('(').next()) {
                inside = Some(entry == name);
                is_there |= entry == name;
            }
            if inside != Some(false) {
                text.push_str(line);
                text.push('\n');
            }
            if line == "}" {
                inside = None;
            }
        }
        is_there.then_some(text)
    }
}

macro_rules! families {
    ($($name:literal),*) => {
        /// Every family, by name. Those that end in `_sm80` need compute capability 8.0, all others 7.0.
        pub const FAMILIES: &[Family] = &[$(Family {
            name: $name,
            ptx: include_str!(concat!("../../../kernels/ptx/", $name, ".ptx")),
        }),*];
    };
}

families!(
    "control",
    "conv",
    "conv_bf16_sm80",
    "conv_tf32_sm80",
    "elementwise",
    "layout",
    "matmul",
    "matmul_sm80",
    "matvec",
    "maxout",
    "moments",
    "parzen",
    "peak",
    "pool",
    "random",
    "reduce",
    "rows"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_of_the_version_that_is_said() {
        for family in FAMILIES {
            let line = format!(".version {VERSION}");
            assert!(family.ptx.lines().any(|l| l == line), "{}", family.name);
        }
    }

    /// Drivers compile some ten thousand lines a second.
    const MOST_LINES: usize = 8_000;

    #[test]
    fn a_kernel_s_text_is_its_own_alone_and_soon_compiled() {
        let entries = |text: &str| text.matches(".visible .entry ").count();
        for family in FAMILIES {
            let names = family
                .ptx
                .lines()
                .filter_map(|l| l.strip_prefix(".visible .entry "));
            let names: Vec<&str> = names.filter_map(|l| l.split('(').next()).collect();
            assert_eq!(names.len(), entries(family.ptx));
            for name in names {
                let text = family.kernel(name).expect("it is there");
                assert_eq!(entries(&text), 1, "{name}");
                assert!(text.contains(&format!("{name}(")) && text.contains(".target sm_"));
                let lines = text.lines().count();
                // The first rung on tensor cores is there to be read, and run by `bench kernels` alone.
                assert!(
                    lines <= MOST_LINES || name.contains("_v1_mma_"),
                    "{name}: {lines} lines"
                );
            }
            assert_eq!(family.kernel("none"), None);
        }
    }

    #[test]
    fn with_waits_every_kernel_begins_with_one() {
        for family in FAMILIES {
            let text = with_waits(family.ptx);
            let begins = "\n{\n\tgriddepcontrol.wait;\n\tgriddepcontrol.launch_dependents;\n";
            let entries = text.matches(".visible .entry ").count();
            assert_eq!(text.matches(begins).count(), entries, "{}", family.name);
            assert_eq!(text.matches("griddepcontrol").count(), 2 * entries);
            assert_eq!(text.matches(".target sm_90\n").count(), 1);
        }
    }

    #[test]
    fn every_family_of_the_folder_is_here() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../kernels");
        let entries = std::fs::read_dir(folder).expect("the folder of kernels");
        let names = entries.map(|e| e.expect("an entry").path());
        let sources = names.filter(|p| p.extension().is_some_and(|e| e == "cu"));
        let stem = |p: std::path::PathBuf| p.file_stem().map(|s| s.to_string_lossy().to_string());
        let mut sources: Vec<String> = sources.filter_map(stem).collect();
        sources.sort();
        let here: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
        assert_eq!(here, sources);
    }
}
