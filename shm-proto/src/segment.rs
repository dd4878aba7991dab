//! Memory files: made, sealed and mapped.
//!
//! Sealing is what lets either side trust a mapping: a file sealed against shrinking cannot take
//! pages away (SIGBUS), and one sealed FUTURE_WRITE cannot be mapped writable any more, nor
//! written, except through mappings that exist already (memfd_create(2), fcntl(2)). Holes punched
//! by a peer that may write read as zeros.
#![allow(unsafe_code, reason = "a mapping is a raw pointer")]

use crate::sync::AtomicU64;
use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// Seals of a segment that its receiver may write.
pub(crate) fn fixed_size() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

/// Seals of a segment that its receiver may only read.
pub(crate) fn fixed_size_read_only() -> SealFlag {
    fixed_size() | SealFlag::F_SEAL_FUTURE_WRITE
}

/// A new memory file of `size` zeros, not sealed yet.
pub(crate) fn create(name: &str, size: usize) -> io::Result<File> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let file = File::from(fd);
    file.set_len(size as u64)?;
    Ok(file)
}

/// Seals for good.
pub(crate) fn seal(file: &File, seals: SealFlag) -> io::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// Whether at least `seals` are set.
pub(crate) fn is_sealed(file: &File, seals: SealFlag) -> io::Result<bool> {
    let bits = fcntl(file.as_fd(), FcntlArg::F_GET_SEALS)?;
    Ok(SealFlag::from_bits_retain(bits).contains(seals))
}

/// A whole segment, mapped shared. Unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
    writable: bool,
}

impl Mapping {
    /// Maps `size` bytes (a multiple of 8) for reading and writing, pages in place already if
    /// `populate`.
    pub(crate) fn writable(file: &File, size: usize, populate: bool) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        options.len(size);
        if populate {
            options.populate();
        }
        let map = options.map_raw(file)?;
        Ok(Self { map, writable: true })
    }

    /// Maps `size` bytes (a multiple of 8) for reading.
    pub(crate) fn read_only(file: &File, size: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(size).map_raw_read_only(file)?;
        Ok(Self { map, writable: false })
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// All of it. Whoever stores must know it to be writable: only `WriteWords` does.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins at a page, so it is aligned; it is `len` bytes long and
        // lives as long as `self`; the segment is sealed against shrinking (by `Uplink` and
        // `Downlink`, who made it, or checked by `EngineMap::attach`), so every page stays
        // there. All access, ours and the peer's, is atomic or a system call's; any bit pattern
        // is an `AtomicU64`. Loads from a read-only mapping are relaxed 64-bit ones, which
        // std::sync::atomic defines; stores go through `WriteWords`, which checks `writable`.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.map.len() / 8) }
    }
}
