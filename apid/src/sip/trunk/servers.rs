//! In which order the servers of a domain are tried (RFC 2782, RFC 3263 §4.2).

/// Servers kept of one answer.
const MOST: usize = 16;

/// What an SRV record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sip) struct Service {
    pub(in crate::sip) priority: u16,
    pub(in crate::sip) weight: u16,
    pub(in crate::sip) port: u16,
    pub(in crate::sip) target: String,
}

/// The order in which to try them: by priority; those of the same one by chance, each as likely
/// first as its share of their weights.
pub(in crate::sip) fn in_order(
    mut services: Vec<Service>,
    mut chance: impl FnMut() -> u64,
) -> Vec<Service> {
    // RFC 2782: `.` says that there is no such service.
    services.retain(|service| !service.target.trim_end_matches('.').is_empty());
    // Those without weight first, so that they are seldom chosen, but are.
    services.sort_by_key(|service| (service.priority, service.weight));
    let mut ordered = Vec::new();
    while let Some(first) = services.first().filter(|_| ordered.len() < MOST) {
        let equal = services.iter().take_while(|s| s.priority == first.priority).count();
        let sum: u64 = services[..equal].iter().map(|s| u64::from(s.weight)).sum();
        let mut left = chance() % (sum + 1);
        let chosen = services[..equal].iter().position(|service| {
            let weight = u64::from(service.weight);
            let here = left <= weight;
            left = left.saturating_sub(weight);
            here
        });
        ordered.push(services.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(priority: u16, weight: u16, target: &str) -> Service {
        Service { priority, weight, port: 5060, target: target.to_owned() }
    }

    fn order(services: &[Service], chance: u64) -> String {
        let ordered = in_order(services.to_vec(), || chance);
        ordered.iter().map(|s| s.target.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn priority_before_weight() {
        let all = [service(20, 90, "c"), service(10, 0, "b"), service(10, 0, "a")];
        assert_eq!(order(&all, 0), "b a c");
        assert_eq!(order(&[service(0, 0, ".")], 0), "", "no such service");
        let many: Vec<_> = (0..40).map(|n| service(n, 0, "x")).collect();
        assert_eq!(in_order(many, || 0).len(), MOST);
    }

    #[test]
    fn weight_is_the_share_of_being_first() {
        let all = [service(1, 70, "big"), service(1, 30, "small"), service(1, 0, "none")];
        let first = |chance| order(&all, chance).split(' ').next().unwrap().to_owned();
        let firsts: Vec<String> = (0..=100).map(first).collect();
        let count = |name| firsts.iter().filter(|first| *first == name).count();
        assert_eq!((count("big"), count("small"), count("none")), (70, 30, 1));
    }
}
