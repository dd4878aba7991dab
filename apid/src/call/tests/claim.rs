//! Numbers that programs answer while they are connected.

use super::*;

fn claimable(patterns: &[&str]) -> Story {
    let mut story = Story::new();
    story.switch.config.claimable = patterns.iter().map(|p| p.parse().unwrap()).collect();
    story.switch.config.max_claims = 2;
    story
}

#[test]
fn a_claimed_number_reaches_its_program_until_that_is_gone() {
    let mut story = claimable(&["_7XX"]);
    let now = story.moment();
    assert_eq!(story.switch.claim("700", 10, now), Ok(Vec::new()));
    story.lift("1");
    story.dial("1", "700");
    let call = story.only_call();
    assert_eq!((call.ends.to.as_str(), call.stage), ("app:700", Stage::Application));
    story.drain();
    let actions = story.switch.give_up_claim("700", story.moment());
    story.take(actions);
    assert_eq!(dropped(&story.drain(), "1"), Some(Cause::TemporaryFailure));
    assert_eq!(story.switch.active().count(), 0);
    story.down("1");
    story.lift("1");
    story.dial("1", "700");
    assert!(story.drain().contains(&tone("1", ProgressTone::SpecialInformation)));
    assert!(story.switch.give_up_claim("700", story.moment()).is_empty());
}

#[test]
fn what_is_taken_or_not_allowed_is_refused() {
    let mut story = claimable(&["_7XX", "_600", "_101"]);
    let now = story.moment();
    let mut claim = |number: &str| story.switch.claim(number, 10, now).err();
    assert_eq!(claim("800"), Some(ClaimRefused::NotClaimable));
    assert_eq!(claim("nothing"), Some(ClaimRefused::NotClaimable));
    assert_eq!(claim("600"), Some(ClaimRefused::Taken), "the echo");
    assert_eq!(claim("101"), Some(ClaimRefused::Taken), "a line");
    assert_eq!(claim("700"), None);
    assert_eq!(claim("700"), Some(ClaimRefused::Taken));
    assert_eq!(claim("701"), None);
    assert_eq!(claim("702"), Some(ClaimRefused::Full));
    story.switch.give_up_claim("701", now);
    assert_eq!(story.switch.claim("702", 10, now).err(), None);
}

#[test]
fn one_more_caller_than_it_takes_hears_that_it_is_busy() {
    let mut story = claimable(&["_7XX"]);
    let now = story.moment();
    story.switch.claim("700", 1, now).unwrap();
    story.lift("1");
    story.dial("1", "700");
    story.drain();
    story.lift("2");
    story.dial("2", "700");
    assert!(story.drain().contains(&tone("2", ProgressTone::Busy)));
    story.down("1");
    story.down("2");
    story.drain();
    story.lift("2");
    story.dial("2", "700");
    let stages: Vec<Stage> = story.switch.active().map(|call| call.stage).collect();
    assert_eq!(stages, [Stage::Application]);
}

#[test]
fn what_a_program_handed_on_goes_on_without_it() {
    let mut story = claimable(&["_7XX"]);
    let now = story.moment();
    story.switch.claim("700", 10, now).unwrap();
    story.lift("1");
    story.dial("1", "700");
    let call = story.only_call().number;
    let moment = story.moment();
    let actions = story.switch.hand_on(call, Target::Line("2".to_owned()), moment).unwrap();
    story.take(actions);
    let actions = story.switch.give_up_claim("700", story.moment());
    story.take(actions);
    story.answered("2");
    assert_eq!(story.only_call().stage, Stage::Talking);
}

#[test]
fn what_an_earlier_program_left_behind_ends_when_the_number_is_claimed_anew() {
    let mut story = claimable(&["_7XX"]);
    let lifted = Lifted::Hotline(Target::Application("700".to_owned()));
    let plan = LinePlan { lifted, ..LinePlan::default() };
    let plans = std::collections::BTreeMap::from([("1".to_owned(), plan)]);
    story.switch.set_line_plans(plans, DialPlan::default());
    story.lift("1");
    assert_eq!(story.only_call().stage, Stage::Application);
    let actions = story.switch.claim("700", 10, story.moment()).unwrap();
    story.take(actions);
    assert_eq!(story.switch.active().count(), 0);
}
