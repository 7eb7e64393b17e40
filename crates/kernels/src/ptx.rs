//! The GPU kernels as shipped: PTX, which the driver compiles for its device. Sources: `kernels/*.cu`.

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
