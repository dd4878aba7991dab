//! The virtual machine itself: a card in it, and telephones on the card, without Tipring.

use std::process::Command;
use std::time::Duration;
use tipring_dahdi_vm::machine::image;
use tipring_dahdi_vm::telephone::Noticed;
use tipring_dahdi_vm::{Card, Machine, Telephone, story};
use tipring_engine::device::dahdi::ioctl::{REQUESTS, SIGNALLING_FXOKS};
use tipring_tests::process::Folder;
use tipring_tests::system::program;
use tipring_tests::wait::{GENEROUS, until_true};

#[test]
fn a_machine_has_a_card_and_telephones() {
    let machine = Machine::boot();
    let card = Card::plug(&machine, 4);
    story("a card is plugged and its channels are there", || channels(&machine, &card));
    story("a telephone is lifted, hears in real time, and loses its battery", || {
        battery(&machine, &card);
    });
    story("the engine's back end keeps its promises, without an allocation", || {
        machine.lend(&program("on-card"), "on-card");
        println!("{}", machine.run("dahdi_cfg && RUST_BACKTRACE=1 /host/on-card 1 5"));
    });
}

/// Numbers and sizes are those of Debian's headers, as a C compiler understands them.
#[test]
fn requests_are_those_of_the_header() {
    let folder = Folder::new("header");
    let (source, program) = (folder.file("requests.c"), folder.file("requests"));
    let lines: Vec<String> = REQUESTS.iter().map(|(name, _)| format!("P({name})")).collect();
    let lines = lines.join("\n");
    let text = format!(
        "#include <stdio.h>\n#include <sys/ioctl.h>\n#include <dahdi/user.h>\n\
         #include <dahdi/wctdm_user.h>\n#define P(r) printf(#r \" %x\\n\", (unsigned)r);\n\
         int main(void) {{\n{lines}\nreturn DAHDI_SIG_FXOKS != {SIGNALLING_FXOKS};\n}}\n"
    );
    std::fs::write(&source, text).expect("a file");
    let headers = image().join("dahdi/source/include");
    let mut compiler = Command::new("cc");
    compiler.arg("-I").arg(headers).arg("-o").args([&program, &source]);
    assert!(compiler.status().expect("a C compiler").success(), "it does not compile");
    let ran = Command::new(&program).output().expect("it runs");
    let theirs = String::from_utf8_lossy(&ran.stdout).into_owned();
    let ours: Vec<String> =
        REQUESTS.iter().map(|(name, code)| format!("{name} {code:x}")).collect();
    assert_eq!(theirs.lines().collect::<Vec<_>>(), ours);
    assert!(ran.status.success(), "DAHDI_SIG_FXOKS");
}

fn channels(machine: &Machine, card: &Card) {
    assert_eq!(machine.run("cat /proc/1/comm"), "systemd");
    let (status, output) = machine.try_run("echo out; echo err >&2; exit 3");
    assert_eq!((status, output.as_str()), (3, "out\nerr"));

    let span = machine.run("cat /proc/dahdi/1");
    assert_eq!(span.matches("FXOKS").count(), 4, "{span}");
    assert_eq!(card.line(4), "idle");

    // What a pulled card leaves: telephones without battery, and no channel.
    card.command("unplug");
    let nodes = machine.run("ls /dev/dahdi/chan");
    assert_eq!(nodes, "002", "the telephones' own span only");
    card.command("plug");
    machine.wait_for("the card's span", GENEROUS, "grep -q FAKEFXS /proc/dahdi/1");
}

fn battery(machine: &Machine, card: &Card) {
    let mut phone = Telephone::on(machine, card, 1);
    assert!(card.state().contains("port 1 line idle loop onhook"), "{}", card.state());
    phone.lift();
    machine.wait_for("the loop", GENEROUS, "grep -q 'port 1 line .* loop offhook' /dev/fakefxs");
    // Nobody plays into the other end. Within 2 s of a battery's return the kernel does not tell of
    // its loss. The kernel's clock and the emulator's agree: what takes 2.5 s takes 2.5 s; what comes at
    // once after the machine stood still is measured again.
    until_true("2.5 s of audio that take 2.5 s", GENEROUS, || {
        let begin = std::time::Instant::now();
        let heard = phone.listen(2500);
        assert!(heard.iter().all(|sample| sample.abs() < 16), "the line is not silent");
        begin.elapsed() > Duration::from_millis(2200)
    });
    // A card that is pulled in the middle of it is noticed: its battery is gone.
    card.command("unplug");
    phone.expect(Noticed::NoBattery);
    card.command("plug");
    phone.put_down();
    machine.wait_for("the loop", GENEROUS, "grep -q 'port 1 line .* loop onhook' /dev/fakefxs");
}
