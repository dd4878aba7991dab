//! Forbidden calls, tried in a forked child that has confined itself.

#![allow(unsafe_code, reason = "fork, and calls that are refused")]

use libc::c_long;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use tipring_engine::confinement::{confine_frame_loop, confine_process};
use tipring_engine::privileges::drop_capabilities;
use tipring_engine::realtime::{lock_memory, schedule_fifo};

/// How a child ends that runs `deed`; its exit code is what the deed returned.
fn child(deed: impl FnOnce() -> i32) -> WaitStatus {
    // SAFETY: the child makes system calls and ends; it allocates with glibc's malloc, which is
    // usable after a fork.
    match unsafe { fork() }.expect("a child") {
        ForkResult::Child => {
            let code = deed();
            // SAFETY: ends the child without the parent's exit handlers.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => waitpid(child, None).expect("its end"),
    }
}

/// The error of a call without arguments, 0 if there was none.
fn errno_of(call: c_long) -> i32 {
    // SAFETY: null arguments; none of the calls tried here touches memory with them.
    if unsafe { libc::syscall(call, 0, 0, 0, 0, 0, 0) } == -1 {
        std::io::Error::last_os_error().raw_os_error().unwrap_or(-1)
    } else {
        0
    }
}

fn ended_by_the_kernel(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _))
}

#[test]
fn another_program_a_mount_or_a_module_ends_the_process() {
    let forbidden = [
        ("execve", libc::SYS_execve),
        ("execveat", libc::SYS_execveat),
        ("ptrace", libc::SYS_ptrace),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("mount", libc::SYS_mount),
        ("pivot_root", libc::SYS_pivot_root),
        ("unshare", libc::SYS_unshare),
        ("init_module", libc::SYS_init_module),
        ("finit_module", libc::SYS_finit_module),
        ("bpf", libc::SYS_bpf),
        ("keyctl", libc::SYS_keyctl),
        ("setuid", libc::SYS_setuid),
        ("clock_settime", libc::SYS_clock_settime),
    ];
    for (name, call) in forbidden {
        let status = child(|| {
            if confine_process().is_err() {
                return 99;
            }
            errno_of(call)
        });
        assert!(ended_by_the_kernel(status), "{name}: {status:?}");
        // And it is the filter that did it.
        let free = child(|| 0);
        assert!(matches!(free, WaitStatus::Exited(_, 0)), "{free:?}");
    }
}

#[test]
fn what_the_supervisor_does_goes_on() {
    let status = child(|| {
        if confine_process().is_err() {
            return 99;
        }
        let folder = std::env::temp_dir().join(format!("tipring-confined-{}", std::process::id()));
        let deeds = || -> std::io::Result<()> {
            std::net::UdpSocket::bind(("127.0.0.1", 0))?;
            std::fs::create_dir(&folder)?;
            std::os::unix::net::UnixListener::bind(folder.join("socket"))?;
            std::fs::remove_dir_all(&folder)?;
            std::thread::spawn(|| ()).join().map_err(|_| std::io::ErrorKind::Other)?;
            std::fs::File::open("/dev/null")?;
            Ok(())
        };
        i32::from(deeds().is_err())
    });
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
}

#[test]
fn threads_that_run_already_are_confined_too() {
    let status = child(|| {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let elder = std::thread::spawn(move || {
            let _ = wait.recv();
            errno_of(libc::SYS_ptrace)
        });
        if confine_process().is_err() {
            return 99;
        }
        let _ = go.send(());
        elder.join().unwrap_or(98)
    });
    assert!(ended_by_the_kernel(status), "{status:?}");
}

/// Tries something; the error number, or 0.
type Deed = fn() -> i32;

#[test]
fn a_frame_loop_keeps_devices_sockets_and_time_only() {
    // Opening is the supervisor's work; so are sockets, and terminals are nobody's.
    let narrower: [(&str, Deed); 3] = [
        ("openat", || errno_of(libc::SYS_openat)),
        ("socket", || errno_of(libc::SYS_socket)),
        ("an ioctl that is not DAHDI's", || {
            let mut settings = [0_u8; 256];
            // SAFETY: standard input is a descriptor, and TCGETS would write into what is passed.
            let result = unsafe { libc::ioctl(0, libc::TCGETS, settings.as_mut_ptr()) };
            if result == -1 {
                std::io::Error::last_os_error().raw_os_error().unwrap_or(-1)
            } else {
                0
            }
        }),
    ];
    for (name, deed) in narrower {
        let status = child(|| {
            if confine_process().is_err() || confine_frame_loop().is_err() {
                return 99;
            }
            deed()
        });
        let refused = ended_by_the_kernel(status)
            || matches!(status, WaitStatus::Exited(_, code) if code == libc::EPERM);
        assert!(refused, "{name}: {status:?}");
    }

    let status = child(|| {
        let Ok(socket) = std::net::UdpSocket::bind(("127.0.0.1", 0)) else { return 98 };
        let Ok(own) = socket.local_addr() else { return 98 };
        if confine_process().is_err() || confine_frame_loop().is_err() {
            return 99;
        }
        let deeds = || -> std::io::Result<()> {
            socket.send_to(b"frame", own)?;
            socket.recv_from(&mut [0; 16])?;
            tipring_engine::realtime::sleep_until(tipring_engine::realtime::now());
            Ok(())
        };
        let mut event = 0;
        // DAHDI_GETEVENT on what is no DAHDI node: asked, and ENOTTY.
        // SAFETY: the request writes an int at most.
        let asked = unsafe { libc::ioctl(0, 0x8004_da08, &raw mut event) };
        let error = std::io::Error::last_os_error().raw_os_error();
        i32::from(deeds().is_err() || (asked == -1 && error == Some(libc::EPERM)))
    });
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
}

/// A line of `/proc/self/status`, a set of capabilities.
fn capabilities(set: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it");
    let line = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(':'));
    u64::from_str_radix(line.expect("a set").trim(), 16).expect("a number")
}

/// Whoever is not root has nothing to give up, and loses nothing.
#[test]
fn a_start_as_root_gives_up_what_root_may() {
    let status = child(|| {
        let is_root = nix::unistd::geteuid().is_root();
        let folder = std::env::temp_dir().join(format!("tipring-root-{}", std::process::id()));
        let secret = folder.join("secret");
        let prepared = std::fs::create_dir(&folder)
            .and_then(|()| std::fs::write(&secret, "somebody else's"))
            .and_then(|()| std::os::unix::fs::chown(&secret, Some(65_534), None).or(Ok(())))
            .and_then(|()| {
                let nobody = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(&secret, nobody)
            });
        let could = schedule_fifo(1).is_ok();
        if prepared.is_err() || drop_capabilities().is_err() {
            return 99;
        }
        // Where limits cannot be raised, two are kept: CAP_IPC_LOCK (14) and CAP_SYS_NICE (23).
        let kept = 1 << 14 | 1 << 23;
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            if capabilities(set) & !kept != 0 {
                return 98;
            }
        }
        if is_root && (capabilities("CapBnd") != 0 || std::fs::read(&secret).is_ok()) {
            return 97;
        }
        // What a frame loop needs is still to be had.
        if could && schedule_fifo(2).is_err() || is_root && lock_memory().is_err() {
            return 96;
        }
        // Twice does no harm.
        let again = drop_capabilities().is_err();
        let _ = std::fs::remove_dir_all(&folder);
        i32::from(again)
    });
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
}
