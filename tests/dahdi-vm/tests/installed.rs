//! `make install` on Debian with systemd and udev: who may what, what starts when, and what is left
//! when it is taken away.

use std::process::Command;
use tipring_dahdi_vm::installed::{APID, ENGINE, HTTP_PORT, UNIT_PATIENCE, release};
use tipring_dahdi_vm::{Card, Installed, Machine, story};
use tipring_tests::process::Folder;
use tipring_tests::system::repository;
use tipring_tests::wait::{GENEROUS, until_true};

#[test]
fn installed_used_and_taken_away() {
    let machine = Machine::boot_with(&[HTTP_PORT]);
    // The driver is there first, then the card, as in a machine that is running.
    let card = Card::away(&machine, 2);
    let before = machine.run(EVERYTHING);
    let installed = Installed::on(&machine);
    story("a card that appears is configured and starts the engine", || {
        appears(&machine, &card, &installed);
    });
    story("apid may speak but not touch a device", || only_speaks(&machine));
    without_driver(&machine, &card);
    story("both processes run with nothing they do not need", || confined(&machine, &installed));
    story("an engine that root starts by hand has no capability", || as_root(&machine));
    story("an engine that dies or stands still is started again", || {
        restarted(&machine, &installed);
    });
    story("uninstalling leaves nothing behind", || {
        nothing_is_left(&machine, installed, &before);
    });
}

/// `make install DESTDIR=`, for packagers: all of it is under one folder, and nothing knows that folder.
#[test]
fn packaged() {
    let folder = Folder::new("packaged");
    let root = folder.file("root");
    let make = |target: &str| {
        let mut make = Command::new("make");
        make.arg("-C").arg(repository()).arg(target).env("TIPRING_BIN_DIR", release());
        let output = make.env("DESTDIR", &root).env("PREFIX", "/usr").output().expect("make");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let files = || {
        let found =
            Command::new("find").arg(&root).args(["-type", "f", "-printf", "%P %m\n"]).output();
        String::from_utf8_lossy(&found.expect("find").stdout).into_owned()
    };
    make("install");
    let installed = files();
    for wanted in [
        "usr/bin/tipring-engine 755",
        "usr/bin/tipring-apid 755",
        "usr/bin/tipring 755",
        "usr/lib/systemd/system/tipring-engine.service 644",
        "usr/lib/udev/rules.d/70-tipring.rules 644",
        "etc/tipring/apid.yml 640",
    ] {
        assert!(installed.lines().any(|line| line == wanted), "no {wanted} in\n{installed}");
    }
    let unit = root.join("usr/lib/systemd/system/tipring-engine.service");
    let unit = std::fs::read_to_string(unit).expect("a unit");
    assert!(unit.contains("ExecStart=/usr/bin/tipring-engine "), "{unit}");
    assert!(!unit.contains(&root.display().to_string()), "{unit}");
    make("uninstall");
    assert_eq!(files(), "", "left behind");
}

/// A card's driver comes later: what the engine may open is settled when it starts.
fn without_driver(machine: &Machine, card: &Card) {
    card.command("unplug");
    machine.run(&format!("systemctl stop {ENGINE} telephone modprobe@dahdi"));
    machine.wait_for("no driver", UNIT_PATIENCE, "modprobe -r fakefxs dahdi");
    machine.run("! test -e /dev/dahdi/ctl");
}

/// The exposure that `systemd-analyze security` finds, 0 to 10.
fn exposure(machine: &Machine, unit: &str) -> f64 {
    let report = machine.run(&format!("systemd-analyze security --no-pager {unit} | tail -n 1"));
    let number = report.split_whitespace().find_map(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no figure in: {report}"))
}

/// A field of `/proc/PID/status`.
fn status_of(machine: &Machine, pid: u32, field: &str) -> String {
    machine.run(&format!("awk '/^{field}:/ {{ $1 = \"\"; print }}' /proc/{pid}/status"))
}

fn confined(machine: &Machine, installed: &Installed) {
    installed.start(ENGINE);
    let rest = installed.api("").rest;

    for unit in [ENGINE, APID] {
        let exposure = exposure(machine, unit);
        println!("{unit}: exposure {exposure}");
        assert!(exposure <= 2.0, "{unit}: {exposure}");
        let pid = installed.pid(unit);
        for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"] {
            assert_eq!(status_of(machine, pid, set).trim(), "0000000000000000", "{unit} {set}");
        }
        assert_eq!(status_of(machine, pid, "NoNewPrivs").trim(), "1", "{unit}");
        let user = machine.run(&format!("ps -o user:32= -p {pid}"));
        assert_eq!(user.trim(), unit.trim_end_matches(".service"));
    }

    // Every thread of the engine is behind the filters, frame loops behind one more; they are
    // SCHED_FIFO and memory is locked, without any capability.
    let engine = installed.pid(ENGINE);
    let threads = machine.run(&format!(
        "for t in /proc/{engine}/task/*; do \
         echo \"$(cat $t/comm) $(awk '/^Seccomp:/ {{ a = $2 }} /^Seccomp_filters:/ {{ b = $2 }} \
         END {{ print a, b }}' $t/status) $(ps -L -p {engine} -o lwp=,cls= | \
         awk -v t=${{t##*/}} '$1 == t {{ print $2 }}')\"; done"
    ));
    let filters = |name: &str| -> Vec<u32> {
        let of = threads.lines().filter(|line| line.starts_with(name));
        of.map(|line| line.split_whitespace().nth(2).and_then(|n| n.parse().ok()).expect("a count"))
            .collect()
    };
    let (supervisor, loops) = (filters("tipring-engine"), filters("frames-"));
    assert!(!loops.is_empty() && supervisor.len() == 1, "{threads}");
    assert!(loops.iter().all(|&count| count == supervisor[0] + 1), "{threads}");
    for line in threads.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], "2", "not filtered: {line}");
        assert_eq!(words[3] == "FF", words[0].starts_with("frames-"), "{threads}");
    }
    let locked = status_of(machine, engine, "VmLck");
    let locked: u64 = locked.trim_end_matches("kB").trim().parse().expect("a size");
    assert!(locked > 1000, "memory is not locked: {locked} kB");
    let journal = machine.journal(ENGINE);
    for shortfall in ["grant", "not confined", "not bound"] {
        assert!(!journal.contains(shortfall), "{journal}");
    }

    // apid is attached, and there is no line that nobody asked for.
    until_true("apid", GENEROUS, || rest.try_get("/readyz").is_some_and(|a| a.status == 200));
    let answer = rest.get("/v1/lines").expect_json(200);
    let lines = answer["lines"].as_array().expect("a list");
    assert!(lines.iter().all(|line| line["kind"] != "sim"), "{answer}");
}

/// Its frame loops are SCHED_FIFO and its memory is locked all the same, by limits.
fn as_root(machine: &Machine) {
    machine.run(
        "systemd-run -q --unit by-hand /usr/local/bin/tipring-engine --socket /run/by-hand.sock",
    );
    machine.wait_for("an engine", UNIT_PATIENCE, "test -S /run/by-hand.sock");
    let pid = machine.run("systemctl show -P MainPID by-hand").parse().expect("a number");
    machine.wait_for(
        "a frame loop",
        UNIT_PATIENCE,
        &format!("ps -L -p {pid} -o cls= | grep -q FF"),
    );
    let sets = machine.run(&format!("cat /proc/{pid}/task/*/status | grep -E '^Cap' | sort -u"));
    assert!(sets.lines().all(|set| set.ends_with("0000000000000000")), "{sets}");
    assert_eq!(status_of(machine, pid, "Uid").split_whitespace().next(), Some("0"));
    assert_ne!(status_of(machine, pid, "VmLck").trim(), "0 kB");
    let journal = machine.journal("by-hand");
    assert!(journal.contains("its capabilities are given up"), "{journal}");
    assert!(!journal.contains("grant"), "{journal}");
    machine.run("systemctl stop by-hand");
}

/// What apid is to do is possible in its confinement, and what it is not to do is not.
fn only_speaks(machine: &Machine) {
    const WANTED: [&str; 2] =
        ["espeak-ng --stdout hello >/var/lib/tipring/hello.wav", "test -r /etc/tipring/apid.yml"];
    const FORBIDDEN: [&str; 6] = [
        ": </dev/dahdi/channel",
        ": >/etc/tipring/apid.yml",
        ": >/usr/local/bin/tipring-engine",
        "mount -t tmpfs none /tmp",
        "chrt -f 1 true",
        "unshare -U true",
    ];
    // In place of apid, in a unit like its own, once for all of them: it says what it could do.
    let all = WANTED.iter().chain(&FORBIDDEN).enumerate();
    let tries: Vec<String> =
        all.map(|(n, command)| format!("if ( {command} ); then echo could {n}.; fi")).collect();
    machine.write("/run/try", &tries.join("\n"));
    machine.run(&format!(
        "sed -e 's/^Type=.*/Type=oneshot/; s/^Restart=.*/Restart=no/' \
         -e 's#^ExecStart=.*#ExecStart=/bin/sh /run/try#' /usr/local/lib/systemd/system/{APID} \
         >/run/systemd/system/try.service && systemctl start try"
    ));
    let said = machine.journal("try");
    let could = |n: usize| said.contains(&format!("could {n}."));
    for (n, wanted) in WANTED.iter().enumerate() {
        assert!(could(n), "apid cannot: {wanted}\n{said}");
    }
    for (n, forbidden) in FORBIDDEN.iter().enumerate() {
        assert!(!could(WANTED.len() + n), "apid may: {forbidden}\n{said}");
    }
    let size = machine.run("stat -c %s /var/lib/tipring/hello.wav");
    assert!(size.parse::<u64>().expect("a size") > 4000, "{size} octets of speech");
    machine.run("rm /run/try /run/systemd/system/try.service /var/lib/tipring/hello.wav");
}

fn restarted(machine: &Machine, installed: &Installed) {
    let restarts = || -> u32 {
        machine.run(&format!("systemctl show -P NRestarts {ENGINE}")).parse().expect("a number")
    };
    let at_first = restarts();
    for round in 1..=7 {
        let pid = installed.pid(ENGINE);
        machine.run(&format!("kill -9 {pid}"));
        // More often than systemd's own limit of starts would take.
        until_true("the next engine", UNIT_PATIENCE, || restarts() >= at_first + round);
        installed.becomes_active(ENGINE);
    }
    let pid = installed.pid(ENGINE);
    let before = restarts();
    machine.run(&format!("kill -STOP {pid}"));
    until_true("the watchdog", UNIT_PATIENCE, || restarts() > before);
    installed.becomes_active(ENGINE);
    assert!(machine.journal(ENGINE).contains("atchdog"), "{}", machine.journal(ENGINE));

    // What is wrong in the settings is said once, not ten times a second.
    installed.configure("engine.yml", "rtp_linez: 3\n");
    machine.run(&format!("systemctl restart {ENGINE} || true"));
    machine.wait_for("its end", UNIT_PATIENCE, &format!("systemctl is-failed {ENGINE}"));
    assert_eq!(restarts(), 0, "a new count since the restart that was asked for");
    assert!(machine.journal(ENGINE).contains("rtp_lines"), "{}", machine.journal(ENGINE));
}

fn appears(machine: &Machine, card: &Card, installed: &Installed) {
    assert_ne!(machine.try_run(&format!("systemctl is-active {ENGINE}")).0, 0, "nobody asked yet");

    card.command("plug");
    installed.becomes_active(ENGINE);
    machine.wait_for("its channels", UNIT_PATIENCE, "test $(grep -c FXOKS /proc/dahdi/1) = 2");
    // The nodes are the group's, and the links outlast `bind`.
    machine.run("udevadm settle");
    let nodes = machine.run("stat -c '%G %a' /dev/dahdi/chan/001/* /dev/dahdi/channel");
    for node in nodes.lines() {
        assert_eq!(node, "tipring-dahdi 660", "{nodes}");
    }
    assert_eq!(machine.run("readlink /dev/dahdi/1"), "chan/001/001");

    // Pulled, and plugged again: the engine stays who it is.
    let engine = installed.pid(ENGINE);
    card.command("unplug");
    assert_eq!(installed.pid(ENGINE), engine, "an engine outlives its card");
    card.command("plug");
    machine.wait_for("its channels", UNIT_PATIENCE, "test $(grep -c FXOKS /proc/dahdi/1) = 2");
    assert_eq!(installed.pid(ENGINE), engine, "{}", machine.journal(ENGINE));
}

/// Files, users, groups and units, but not what the kernel, the journal and caches do.
const EVERYTHING: &str = "{ find / -xdev \\( -path /proc -o -path /sys -o -path /host -o \
    -path /run/log -o -path /run/udev -o -path '/var/log/*' -o -path '/tmp/*' -o \
    -path '/var/tmp/*' -o -path '/run/systemd/*' -o -path /rw \\) -prune -o -print; \
    cut -d: -f1 /etc/passwd /etc/group; ls /run; systemctl list-unit-files --no-legend | tr -s ' '; } | \
    grep -vE '^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|^/etc/.*\\.lock$' | sort";

fn nothing_is_left(machine: &Machine, installed: Installed, before: &str) {
    installed.configure("engine.yml", "");
    machine.run(&format!("systemctl enable --now {APID} {ENGINE}"));
    installed.uninstall();
    let after = machine.run(EVERYTHING);
    let before: std::collections::HashSet<&str> = before.lines().collect();
    let left: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
    assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    let processes = machine.run("ps -eo args");
    assert!(!processes.contains("tipring-"), "{processes}");
}
