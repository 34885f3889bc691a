//! Which application permissions an account needs, and for what: from the feeds and the actions there are, so that a new
//! one cannot be forgotten here.

use std::collections::BTreeSet;

use crate::feeds::FEEDS;
use crate::microsoft::cloud::{Api, Resource};
use crate::microsoft::query::{Access, permission};
use crate::mode::Action;

/// One permission and what needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// What is read or changed with it.
    pub resource: Resource,
    /// Whether it is changed.
    pub access: Access,
    /// `feed <name>` and `action <name>`.
    pub needed_by: Vec<String>,
}

impl Need {
    /// The permission as the Entra portal spells it.
    pub fn permission(&self) -> &'static str {
        permission(self.resource, self.access)
    }

    /// Whether one of these permissions suffices: one to change includes the one to read.
    pub fn is_met_by(&self, roles: &BTreeSet<String>) -> bool {
        roles.contains(self.permission()) || roles.contains(permission(self.resource, Access::Write))
    }
}

/// Everything the feeds and actions need of an API: first what they read, then what they change.
pub fn needs(api: Api) -> Vec<Need> {
    let resources = || Resource::ALL.into_iter().filter(move |resource| resource.api() == api);
    let reading = resources().map(|resource| {
        let feeds = FEEDS.iter().filter(|feed| feed.what == resource.what());
        Need { resource, access: Access::Read, needed_by: feeds.map(|feed| format!("feed {}", feed.name)).collect() }
    });
    let changing = resources().map(|resource| {
        let actions = Action::ALL.into_iter().filter(|action| action.what() == resource.what());
        Need { resource, access: Access::Write, needed_by: actions.map(|action| format!("action {}", action.name())).collect() }
    });
    reading.chain(changing).filter(|need| !need.needed_by.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feed_and_every_action_needs_one_permission_of_each_of_its_apis() {
        let all: Vec<Need> = Api::ALL.into_iter().flat_map(needs).collect();
        for (user, what) in FEEDS
            .iter()
            .map(|feed| (format!("feed {}", feed.name), feed.what))
            .chain(Action::ALL.map(|action| (format!("action {}", action.name()), action.what())))
        {
            let found: Vec<&Need> = all.iter().filter(|need| need.needed_by.contains(&user)).collect();
            // Incidents and alerts are each to be had from Graph and from one of the Defender APIs.
            assert_eq!(found.len(), 2, "{user}");
            assert!(found.iter().all(|need| need.resource.what() == what), "{user}");
        }
        let names: BTreeSet<&str> = all.iter().map(Need::permission).collect();
        assert_eq!(names.len(), all.len(), "no permission stands twice");
    }

    #[test]
    fn a_permission_to_change_includes_the_one_to_read() {
        let roles = |name: &str| BTreeSet::from([name.to_owned()]);
        for need in Api::ALL.into_iter().flat_map(needs) {
            let (read, write) = (permission(need.resource, Access::Read), permission(need.resource, Access::Write));
            assert_eq!(need.is_met_by(&roles(read)), need.access == Access::Read);
            assert!(need.is_met_by(&roles(write)));
            assert!(!need.is_met_by(&roles("Other.ReadWrite.All")));
        }
    }
}
