//! cuBLAS, loaded if it is installed, and used only for comparison.

use cudarc::cublas::result::{self, CublasError};
use cudarc::cublas::sys::{self, cublasOperation_t};
use cudarc::driver::sys::CUstream;

use super::{Error, Product, Result};

/// The library at work on a stream.
pub(super) struct Cublas(sys::cublasHandle_t);

// SAFETY: a handle may be used from any thread while the context is current there, by one at a time: `&mut self`.
unsafe impl Send for Cublas {}

fn error(e: CublasError) -> Error {
    Error::Driver {
        call: "cuBLAS",
        reason: e.to_string(),
    }
}

impl Cublas {
    /// The library on `stream`, whose context is current; `None` where this machine has none.
    pub(super) fn load(stream: CUstream) -> Result<Option<Cublas>> {
        // SAFETY: loads the library, whose initialisers are trusted as every CUDA program trusts them.
        if !unsafe { sys::is_culib_present() } {
            return Ok(None);
        }
        let cublas = Cublas(result::create_handle().map_err(error)?);
        // SAFETY: the handle was just made, and the stream lives as long as the driver that keeps both. The two types
        // are names of the same C struct, as CUDA documents.
        unsafe { result::set_stream(cublas.0, stream.cast()) }.map_err(error)?;
        Ok(Some(cublas))
    }

    /// C = op(A) · op(B), row-major, f32 throughout (the library's default mode uses no TF32).
    ///
    /// The library's matrices lie column by column: what it takes for Aᵀ is our A, so it is asked for Cᵀ = op(B)ᵀ · op(A)ᵀ.
    pub(super) fn product(&mut self, p: Product) -> Result<()> {
        let Product { ta, tb, dims, .. } = p;
        let op = |t: bool| match t {
            true => cublasOperation_t::CUBLAS_OP_T,
            false => cublasOperation_t::CUBLAS_OP_N,
        };
        let size = |n: usize| i32::try_from(n).expect("checked: arrays have below 2^31 elements");
        let [m, k, n] = [dims.m, dims.k, dims.n].map(size);
        let (lda, ldb) = (if ta { m } else { k }, if tb { k } else { n });
        let (one, zero) = (1.0f32, 0.0f32);
        let [a, b] = [p.a, p.b].map(|address| address as *const f32);
        // SAFETY: the addresses are of device arrays of these sizes, checked where `Product` is made; the factors are on
        // the host, the mode of a new handle, and are read before the call returns.
        let done = unsafe {
            result::sgemm(
                self.0,
                op(tb),
                op(ta),
                n,
                m,
                k,
                &one,
                b,
                ldb,
                a,
                lda,
                &zero,
                p.c as *mut f32,
                n,
            )
        };
        done.map_err(error)
    }
}

impl Drop for Cublas {
    fn drop(&mut self) {
        // SAFETY: the handle is used by nobody else. There is nobody to tell of a failure.
        let _ = unsafe { result::destroy_handle(self.0) };
    }
}
