//! Hand-written kernels: functions on slices, without a graph. And the other calls of the system that need `unsafe`.

pub mod cpu;
pub mod cuda;
pub mod ladder;
#[cfg(feature = "map")]
pub mod map;
pub mod ptx;
pub mod signals;

/// Makes the `Debug` of an error say what its `Display` says: `fn main() -> Result<..>` and `expect` print that one.
#[macro_export]
macro_rules! debug_as_display {
    ($error:ty) => {
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }
    };
}
