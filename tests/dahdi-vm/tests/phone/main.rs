//! Telephones on a card, from REST on the host: the installed system on the real driver.

mod bad_input;
mod calls;
mod country;
mod port;
mod script;

use tipring_dahdi_vm::installed::{GUEST, HTTP_PORT};
use tipring_dahdi_vm::system::ENGINE_YML;
use tipring_dahdi_vm::{Lan, Machine, System, story};

/// Of the SIP phone on the host, and of the manager.
const PASSWORD: &str = "a-long-one-of-its-own";
/// apid's manager interface.
const AMI_PORT: u16 = 5038;

#[test]
fn telephones_on_a_card() {
    let lan = Lan::new();
    let machine = Machine::boot_on_lan(&[HTTP_PORT, AMI_PORT], &lan.tap);
    lan.join(&machine);
    let apid = format!(
        "sip: {{host: {}, accounts: [{{user: phone1, password: {PASSWORD}, algorithms: [md5], \
         extension: \"201\"}}]}}\n\
         ami: {{host: {GUEST}, port: {AMI_PORT}, users: [{{user: manager, secret: {PASSWORD}, \
         read: [all], write: [all]}}]}}\n{}{}",
        lan.guest,
        port::APID_YML,
        script::APID_YML
    );
    script::plan(&machine);
    let system = System::plugged(&machine, 3, ENGINE_YML, &apid);
    story("a telephone is rung, lifted, spoken to, heard and put down", || {
        calls::a_whole_life(&system);
    });
    story("a line that is hung up loses its battery and then hears congestion", || {
        calls::hung_up(&system);
    });
    story("a telephone is told who calls", || calls::caller_id(&system));
    story("voltages and alarms of the card are told", || port::voltages_and_alarms(&system));
    story("polarity and message lamp", || port::polarity_and_lamp(&system));
    story("a line is reset while another one is in a call", || port::reset(&system));
    story("as in Britain, with gains of the kernel", || country::in_britain(&system));
    story("a line tests itself", || port::self_tests(&system));
    story("a phone that bounces", || bad_input::bouncing(&system));
    story("a flood of events", || bad_input::flooded(&system));
    story("a card that stalls in a call", || bad_input::stalled(&system));
    story("a channel that does not exist, and one that another program holds", || {
        bad_input::missing_and_held(&system);
    });
    story("channels that are not set up as they must be", || bad_input::not_set_up(&system));
    story("a telephone is answered by a script", || script::answers(&system));
    story("a telephone that is not to be disturbed", || calls::not_disturbed(&system));
    story("a card's phone and a SIP phone hear each other", || {
        calls::with_a_sip_phone(&system, &lan);
    });
}
