//! Telephones on a card, from REST on the host: the installed system on the real driver.

mod bad_input;
mod calls;
mod port;
mod script;

use tipring_dahdi_vm::installed::HTTP_PORT;
use tipring_dahdi_vm::system::ENGINE_YML;
use tipring_dahdi_vm::{Lan, Machine, System, story};

/// Of the SIP phone on the host.
const PASSWORD: &str = "a-long-one-of-its-own";

#[test]
fn telephones_on_a_card() {
    let lan = Lan::new();
    let machine = Machine::boot_on_lan(&[HTTP_PORT], &lan.tap);
    lan.join(&machine);
    let sip = format!(
        "sip: {{host: {}, accounts: [{{user: phone1, password: {PASSWORD}, algorithms: [md5], \
         extension: \"201\"}}]}}\n{}",
        lan.guest,
        script::APID_YML
    );
    script::plan(&machine);
    let system = System::plugged(&machine, 3, ENGINE_YML, &sip);
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
    story("the kernel's gains", || port::gains(&system));
    story("a line tests itself", || port::self_tests(&system));
    story("a phone that bounces", || bad_input::bouncing(&system));
    story("a flood of events", || bad_input::flooded(&system));
    story("a card that stalls in a call", || bad_input::stalled(&system));
    story("a channel that does not exist, and one that another program holds", || {
        bad_input::missing_and_held(&system);
    });
    story("channels that are not set up as they must be", || bad_input::not_set_up(&system));
    story("a telephone is answered by a script", || script::answers(&system));
    story("a card's phone and a SIP phone hear each other", || {
        calls::with_a_sip_phone(&system, &lan);
    });
}
