//! The widest vectors that this processor has.
//!
//! The programs run on every x86-64, whose vectors hold four floats; nearly all of them hold eight,
//! but that shows at run time only. What is worth it is compiled for both. No result depends on it:
//! without fused multiplications each lane does what a single number does.

#![allow(unsafe_code, reason = "what is compiled for AVX2 may be called where AVX2 is")]

/// Does `work` with the widest vectors there are. Only what is inlined gains: `work` and what it
/// calls want `#[inline(always)]`.
#[inline]
pub fn widest<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { with_avx2(work) };
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<T>(work: impl FnOnce() -> T) -> T {
    work()
}
