//! What the engine can no longer do once it runs: seccomp filters (seccomp(2)), which nothing takes
//! back. Whoever gets hold of the process through a packet finds no way to another program.
//!
//! Two lists. [`confine_process`] holds for every thread and names what an engine never does; such a
//! call ends the process, since it is not our code that makes it. [`confine_frame_loop`] comes last
//! on each frame loop's thread and names what a tick needs: what is not on it fails with EPERM, and
//! ends the process in builds with debug assertions, where a test is to notice.
//!
//! The kernel remembers what a list always allows (since Linux 5.11), so that a tick's system calls
//! do not pay for it.

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, apply_filter_all_threads,
};
use std::collections::BTreeMap;

/// Never done by an engine.
const FORBIDDEN: &[c_long] = &[
    // Another program, or into another one's memory.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_userfaultfd,
    // Another view of the file system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_mknodat,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_personality,
    // Secrets kept in the kernel.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine's time and name.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Another user.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
];

/// What a frame loop needs, besides ioctls of DAHDI.
const NEEDED_BY_A_TICK: &[c_long] = &[
    // Audio and events of devices and sockets.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Waiting for them, and for the time.
    libc::SYS_ppoll,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_epoll_ctl,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    // The doorbell.
    libc::SYS_futex,
    // The end of the thread, by being asked or by a panic: its message, its stack, its memory.
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
];

/// `dahdi/user.h`: the type of every ioctl of DAHDI, in bits 8 to 15.
const DAHDI_CODE: u64 = 0xda << 8;
const CODE_MASK: u64 = 0xff << 8;

/// The kernel takes no filters, or not this one; the text says what that costs.
#[derive(Debug)]
pub struct Unconfined(seccompiler::Error);

impl std::fmt::Display for Unconfined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not confined by seccomp ({}): a hole in the engine reaches further", self.0)
    }
}

/// For all threads of the process, those that run and those that come.
///
/// # Errors
/// A kernel without seccomp, or a thread that has a filter of its own already.
pub fn confine_process() -> Result<(), Unconfined> {
    let rules = FORBIDDEN.iter().map(|&call| (call, vec![])).collect();
    let program = compile(rules, SeccompAction::Allow, SeccompAction::KillProcess);
    program.and_then(|program| apply_filter_all_threads(&program)).map_err(Unconfined)
}

/// For the calling thread, when everything that a start needs is done. Allocates.
///
/// # Errors
/// A kernel without seccomp.
pub fn confine_frame_loop() -> Result<(), Unconfined> {
    let refused = if cfg!(debug_assertions) {
        SeccompAction::KillProcess
    } else {
        SeccompAction::Errno(libc::EPERM as u32)
    };
    let mut rules: BTreeMap<_, _> = NEEDED_BY_A_TICK.iter().map(|&call| (call, vec![])).collect();
    let of_dahdi = SeccompCmpOp::MaskedEq(CODE_MASK);
    rules.insert(libc::SYS_ioctl, vec![second_argument(of_dahdi, DAHDI_CODE)]);
    // Rust's library asks whether a descriptor is open before it closes it.
    let whether_open = libc::F_GETFD as u64;
    rules.insert(libc::SYS_fcntl, vec![second_argument(SeccompCmpOp::Eq, whether_open)]);
    let program = compile(rules, refused, SeccompAction::Allow);
    program.and_then(|program| apply_filter(&program)).map_err(Unconfined)
}

fn second_argument(compared: SeccompCmpOp, with: u64) -> SeccompRule {
    SeccompCondition::new(1, SeccompCmpArgLen::Dword, compared, with)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .expect("a constant rule")
}

fn compile(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    named: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, otherwise, named, arch)?;
    Ok(BpfProgram::try_from(filter)?)
}
