//! Looks at what must fit together about zones and WANs.

use super::error::ConfigError;
use super::kind::Kind;
use super::problem::Problem;
use super::schema::{lan, wan_filter, zone};
use super::suggest::nearest;
use super::view::{View, Views};
use super::zone::{INTERNAL, ISOLATED, Reach, WAN, WanInput, zone_name};

/// Notes zones that are not there or cannot be, and openings in what is not closed.
pub(super) fn check(views: &Views<'_>, errors: &mut Vec<ConfigError>) {
    let mut names = vec![INTERNAL.to_owned(), ISOLATED.to_owned()];
    for view in &views.zones {
        let name = view.name();
        if let Some(reason) = misnamed(view, &name) {
            errors.push(view.section_error(Problem::ZoneSection { name: name.clone(), reason }));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if views.is_readable {
        check_named(views, &names, errors);
    }
    for view in &views.wans {
        if view.value(&wan_filter::INPUT) == Some(WanInput::Leave) {
            let options = [&wan_filter::SSH.schema, &wan_filter::OPEN.schema];
            let written = options.iter().filter_map(|option| view.entry(option.name));
            errors.extend(written.map(|entry| view.error_at(entry.line, &entry.name, Problem::OpensNothing)));
        }
    }
}

fn misnamed(view: &View<'_>, name: &str) -> Option<&'static str> {
    if view.section.name.is_none() {
        return Some("a zone is called by its section, as in config zone 'cameras'");
    }
    match name {
        INTERNAL => {
            Some("the zone internal reaches everything, and cannot be narrowed: put a LAN into another")
        }
        WAN => Some("wan stands for the internet by this router's WANs"),
        _ if zone_name(name, Kind::Zone).is_err() => {
            Some("it has at most 15 small letters, digits and '_', beginning with a letter")
        }
        _ => None,
    }
}

/// Notes what names a zone that is not there.
fn check_named(views: &Views<'_>, names: &[String], errors: &mut Vec<ConfigError>) {
    let missing = |zone: String| {
        let suggestion = nearest(&zone, names.iter().map(String::as_str));
        Problem::NoSuchZone { zone, zones: names.join(", "), suggestion }
    };
    for view in &views.lans {
        let named = view.written(&lan::ZONE).filter(|zone| !names.contains(zone));
        errors.extend(named.map(|zone| view.error(&lan::ZONE, missing(zone))));
    }
    for view in &views.zones {
        for entry in view.entries(zone::REACH.schema.name) {
            if let Ok(Reach::Zone(zone)) = zone::REACH.decode(&entry.value)
                && !names.contains(&zone)
            {
                errors.push(view.error_at(entry.line, &entry.name, missing(zone)));
            }
        }
    }
}
