//! A campaign as an HTML form has it: each thing as a text that people write.

use std::collections::BTreeMap;
use std::time::Duration;

use tracking_core::{Amount, Campaign, EventName, EventRule, ParameterError, Parameters, PayoutRule, Timestamp};

use super::{CampaignChange, MAX_SECONDS, NewEventRule, NewPayoutRule, PostbackAuth, RulesChange, parse};
use crate::pages::span;
use crate::refusal::Refusal;
use crate::wire::read::{ExactNumber, Object};

/// What the form says with which a campaign is changed, be it right or wrong. Its fields have the names that they have in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CampaignForm {
    /// Which version of the campaign it was filled in for.
    pub(crate) version: String,
    pub(crate) name: String,
    pub(crate) destination_url: String,
    /// `12.5%` or `5 EUR`.
    pub(crate) payout: String,
    /// A line for each: `lead, 5 EUR, 25`.
    pub(crate) events: String,
    /// `30 days`.
    pub(crate) attribution_window_seconds: String,
    pub(crate) min_seconds_to_convert: String,
    pub(crate) currency: String,
    pub(crate) default_status: String,
    pub(crate) repeats: String,
    pub(crate) daily_cap: String,
    pub(crate) while_paused: String,
    pub(crate) postback_auth: String,
    /// A line for each.
    pub(crate) networks: String,
}

/// What the form says with which a campaign is created, be it right or wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NewCampaignForm<'a> {
    pub(crate) name: &'a str,
    pub(crate) destination_url: &'a str,
    /// `12.5%` or `5 EUR`.
    pub(crate) payout: &'a str,
}

impl NewCampaignForm<'_> {
    /// The names of its fields.
    pub(crate) const FIELDS: [&'static str; 3] = ["name", "destination_url", "payout"];

    /// What people read beside the field with this name. A name that it does not know stands for itself.
    pub(crate) fn label(name: &'static str) -> &'static str {
        match name {
            "name" => "Name of a new campaign",
            "destination_url" => "Destination URL",
            "payout" => "Payout, if any",
            name => name,
        }
    }

    /// A refusal that calls fields as the form does, and not as JSON does.
    pub(crate) fn in_words(refusal: Refusal) -> Refusal {
        in_words(refusal, &Self::FIELDS, Self::label)
    }
}

fn in_words(refusal: Refusal, fields: &[&'static str], label: fn(&'static str) -> &'static str) -> Refusal {
    let Some(name) = refusal.parameter else { return refusal };
    let quoted = |name| format!("“{}”", label(name));
    let mut message = refusal.message.replacen(&format!("{name} is "), &format!("{} is ", quoted(name)), 1);
    // Names of one word mean in a sentence what they mean anywhere.
    for name in fields.iter().filter(|name| name.contains('_')) {
        message = message.replace(name, &quoted(name));
    }
    Refusal { message, ..refusal }
}

impl CampaignForm {
    /// The names of its fields.
    pub(crate) const FIELDS: [&'static str; 13] = [
        "name",
        "destination_url",
        "payout",
        "events",
        "attribution_window_seconds",
        "min_seconds_to_convert",
        "currency",
        "default_status",
        "repeats",
        "daily_cap",
        "while_paused",
        "postback_auth",
        "networks",
    ];

    /// What people read beside the field with this name. A name that it does not know stands for itself.
    pub(crate) fn label(name: &'static str) -> &'static str {
        match name {
            "name" => "Name",
            "destination_url" => "Destination URL",
            "payout" => "Payout",
            "events" => "Events that are taken",
            "attribution_window_seconds" => "Attribution window",
            "min_seconds_to_convert" => "Time to convert, at least",
            "currency" => "Currency",
            "default_status" => "Status, if the postback has none",
            "repeats" => "Conversions of a click",
            "daily_cap" => "Daily cap",
            "while_paused" => "While paused",
            "postback_auth" => "Postbacks are taken",
            "networks" => "Networks that they come from",
            name => name,
        }
    }

    /// Changes a campaign to what the form says. What it says as the campaign has it already is left as it is: of what only an
    /// application sets, such as a part of a second, the form shows no more than it can.
    pub(crate) fn apply(form: &Parameters<'_>, campaign: &mut Campaign, now: Timestamp) -> Result<(), Refusal> {
        let changed = Self::filled_in(form, campaign).differences(&Self::of(campaign));
        // What is said twice is no text, and is refused below.
        let is_same = |name: &&'static str| !changed.contains(name) && form.text(name).is_ok();
        let same: Vec<&str> = Self::FIELDS.into_iter().filter(is_same).collect();
        let meant = form.iter().filter(|(name, _)| !same.contains(name));
        let meant: Parameters<'_> = meant.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let change = CampaignChange::from_form(&meant).and_then(|change| change.apply(campaign, now));
        change.map_err(Self::in_words)
    }

    /// A refusal that calls fields as the form does, and not as JSON does.
    fn in_words(refusal: Refusal) -> Refusal {
        in_words(refusal, &Self::FIELDS, Self::label)
    }

    /// As a campaign is.
    pub(crate) fn of(campaign: &Campaign) -> Self {
        let (rules, access) = (&campaign.rules, &campaign.access);
        let lines = |lines: Vec<String>| lines.join("\n");
        Self {
            version: campaign.version.to_string(),
            name: campaign.name.to_string(),
            destination_url: campaign.destination.to_string(),
            payout: rules.payout.map(|payout| payout.to_string()).unwrap_or_default(),
            events: lines(rules.events.iter().map(event_line).collect()),
            attribution_window_seconds: rules.attribution_window.map(span).unwrap_or_default(),
            min_seconds_to_convert: rules.min_time_to_convert.map(span).unwrap_or_default(),
            currency: rules.currency.map(|currency| currency.code().to_owned()).unwrap_or_default(),
            default_status: rules.default_status.as_str().to_owned(),
            repeats: rules.repeats.as_str().to_owned(),
            daily_cap: rules.daily_cap.map(|cap| cap.to_string()).unwrap_or_default(),
            while_paused: rules.while_paused.as_str().to_owned(),
            postback_auth: PostbackAuth::from(access.auth).as_str().to_owned(),
            networks: lines(access.networks.iter().map(ToString::to_string).collect()),
        }
    }

    /// As it was filled in; as the campaign is where it says nothing.
    pub(crate) fn filled_in(form: &Parameters<'_>, campaign: &Campaign) -> Self {
        let mut filled = Self::of(campaign);
        if let Ok(Some(version)) = form.text("version") {
            version.clone_into(&mut filled.version);
        }
        for (name, field) in filled.fields_mut() {
            if let Ok(Some(text)) = form.text(name) {
                text.clone_into(field);
            }
        }
        filled
    }

    /// Those that say something else than another one does.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let (mut ours, mut others) = (self.clone(), other.clone());
        let pairs = ours.fields_mut().into_iter().zip(others.fields_mut());
        pairs.filter(|((_, one), (_, other))| lines(one) != lines(other)).map(|((name, _), _)| name).collect()
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut String); 13] {
        [
            ("name", &mut self.name),
            ("destination_url", &mut self.destination_url),
            ("payout", &mut self.payout),
            ("events", &mut self.events),
            ("attribution_window_seconds", &mut self.attribution_window_seconds),
            ("min_seconds_to_convert", &mut self.min_seconds_to_convert),
            ("currency", &mut self.currency),
            ("default_status", &mut self.default_status),
            ("repeats", &mut self.repeats),
            ("daily_cap", &mut self.daily_cap),
            ("while_paused", &mut self.while_paused),
            ("postback_auth", &mut self.postback_auth),
            ("networks", &mut self.networks),
        ]
    }
}

/// What matters of a text: browsers end lines in another way.
fn lines(text: &str) -> Vec<&str> {
    text.trim().lines().map(str::trim_end).collect()
}

/// `lead, 5 EUR, 25`, without what there is none of at its end.
fn event_line((name, rule): (&EventName, &EventRule)) -> String {
    let payout = rule.payout.map(|payout| payout.to_string()).unwrap_or_default();
    let amount = rule.amount.map(|amount| amount.to_string()).unwrap_or_default();
    format!("{name}, {payout}, {amount}").trim_end_matches([',', ' ']).to_owned()
}

impl CampaignChange {
    /// The change that a form asks for. A field that is empty is a null in JSON, and one that is left out is left out there.
    pub(crate) fn from_form(form: &Parameters<'_>) -> Result<Self, Refusal> {
        let text = |name| -> Result<Option<&str>, ParameterError> { Ok(form.text(name)?.map(str::trim)) };
        let owned = |name| -> Result<Option<Option<String>>, ParameterError> { Ok(text(name)?.map(filled)) };
        let rules = RulesChange {
            attribution_window_seconds: seconds(text("attribution_window_seconds")?, "attribution_window_seconds", 1)?,
            min_seconds_to_convert: seconds(text("min_seconds_to_convert")?, "min_seconds_to_convert", 0)?,
            currency: owned("currency")?,
            payout: text("payout")?.map(|text| payout("payout", text)).transpose()?,
            // As it is, for the numbers of its lines.
            events: form.text("events")?.map(|text| events(text).map(Some)).transpose()?,
            default_status: owned("default_status")?,
            repeats: owned("repeats")?,
            daily_cap: text("daily_cap")?.map(daily_cap).transpose()?,
            while_paused: owned("while_paused")?,
        };
        let postback_auth = match text("postback_auth")? {
            None => None,
            Some("key") => Some(PostbackAuth::Key),
            Some("open") => Some(PostbackAuth::Open),
            Some(_) => return Err(Refusal::malformed("postback_auth", "it must be key or open")),
        };
        let networks = |text: &str| {
            Some(text.split([',', ' ', '\r', '\n']).filter(|text| !text.is_empty()).map(str::to_owned).collect())
        };
        Ok(Self {
            name: text("name")?.map(str::to_owned),
            destination_url: text("destination_url")?.map(str::to_owned),
            paused: None,
            postback_auth,
            networks: text("networks")?.map(networks),
            rules: Some(Object(rules)),
        })
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn payout(name: &'static str, text: &str) -> Result<Option<Object<NewPayoutRule>>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let nothing = NewPayoutRule { percent: None, amount: None, currency: None };
    Ok(Some(Object(match parse(name, text)? {
        PayoutRule::Percent(percent) => NewPayoutRule { percent: Some(ExactNumber(percent.to_string())), ..nothing },
        PayoutRule::Fixed { amount, currency } => NewPayoutRule {
            amount: Some(ExactNumber(amount.to_string())),
            currency: Some(currency.code().to_owned()),
            ..nothing
        },
    })))
}

/// A line for each event; empty lines don't count.
fn events(text: &str) -> Result<BTreeMap<String, Object<NewEventRule>>, Refusal> {
    let mut events = BTreeMap::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (name, rule) = event(line).map_err(|refusal| in_line(refusal, index + 1))?;
        if events.insert(name, Object(rule)).is_some() {
            return Err(in_line(Refusal::malformed("events", "this event has a line above"), index + 1));
        }
    }
    Ok(events)
}

fn event(line: &str) -> Result<(String, NewEventRule), Refusal> {
    let parts: Vec<&str> = line.split(',').map(str::trim).collect();
    let (name, pays, worth) = match parts[..] {
        [name] => (name, "", ""),
        [name, pays] => (name, pays, ""),
        [name, pays, worth] => (name, pays, worth),
        _ => return Err(Refusal::malformed("events", "a line has a name, a payout and an amount, and no more")),
    };
    let name: EventName = parse("events", name)?;
    let amount = match worth {
        "" => None,
        worth => Some(ExactNumber(parse::<Amount>("events", worth)?.to_string())),
    };
    Ok((name.as_str().to_owned(), NewEventRule { payout: payout("events", pays)?, amount }))
}

fn in_line(refusal: Refusal, line: usize) -> Refusal {
    Refusal { message: format!("Line {line}: {}", refusal.message), ..refusal }
}

fn daily_cap(text: &str) -> Result<Option<u64>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = digits(text).ok_or_else(|| Refusal::malformed("daily_cap", "it must be a whole number"))?;
    // What is too much for a number is out of range all the same.
    Ok(Some(digits.parse().unwrap_or(u64::MAX)))
}

/// A time such as `30 days`, in seconds, of which there are so many at least.
fn seconds(text: Option<&str>, name: &'static str, min: u64) -> Result<Option<Option<u64>>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    if text.is_empty() {
        return Ok(Some(None));
    }
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => 0,
    };
    let Some(number) = digits(number.trim_end()).filter(|_| unit > 0) else {
        let problem = "it must be a whole number of days, hours, minutes or seconds, such as 30 days";
        return Err(Refusal::malformed(name, problem));
    };
    let seconds = number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit);
    if !(min..=MAX_SECONDS).contains(&seconds) {
        let [min, max] = [min, MAX_SECONDS].map(|seconds| span(Duration::from_secs(seconds)));
        return Err(Refusal::unfit(name, format_args!("it must be from {min} to {max}")));
    }
    Ok(Some(Some(seconds)))
}

/// The digits of a whole number, which may have commas between its thousands, as numbers are shown; `None` if it is something else.
fn digits(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split(',').collect();
    let (first, others) = groups.split_first()?;
    let is_grouped = others.is_empty() || (1..=3).contains(&first.len()) && others.iter().all(|group| group.len() == 3);
    let digits = groups.concat();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_grouped && is_number).then_some(digits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use tracking_core::{CampaignId, CampaignRules, PostbackAccess};

    use super::*;

    fn campaign(rules: CampaignRules) -> Campaign {
        let mut access = PostbackAccess::open();
        access.networks = vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        Campaign {
            id: CampaignId::new(10).unwrap(),
            name: "Shop <b> & co".parse().unwrap(),
            destination: "https://shop.example/?ref={click_id}&a=b+c".parse().unwrap(),
            rules,
            access,
            paused_at: None,
            created_at: Timestamp::MIN,
            version: 7,
        }
    }

    fn parameters(form: &CampaignForm) -> Parameters<'static> {
        let mut form = form.clone();
        // As browsers send lines.
        let pairs = form.fields_mut().map(|(name, text)| (name.to_owned(), text.replace('\n', "\r\n")));
        pairs.into_iter().collect()
    }

    fn payouts() -> impl Strategy<Value = PayoutRule> {
        let text = prop_oneof![
            (0..=100u32, 0..10_000u32).prop_map(|(whole, part)| match whole {
                100 => "100%".to_owned(),
                whole => format!("{whole}.{part:04}%"),
            }),
            (0..1_000_000u64, 0..1_000_000u32).prop_map(|(whole, part)| format!("{whole}.{part:06} EUR")),
        ];
        text.prop_map(|text| text.parse().unwrap())
    }

    fn events() -> impl Strategy<Value = (EventName, EventRule)> {
        let amount = (0..1_000u32, 0..100u32).prop_map(|(whole, part)| format!("{whole}.{part:02}").parse().unwrap());
        ("[A-Za-z0-9_.-]{1,64}", prop::option::of(payouts()), prop::option::of(amount)).prop_map(
            |(name, payout, amount)| {
                let mut rule = EventRule::default();
                (rule.payout, rule.amount) = (payout, amount);
                (name.parse().unwrap(), rule)
            },
        )
    }

    prop_compose! {
        fn rules()(
            window in prop::option::of(1_000_000..3_153_600_000u64),
            least in prop::option::of(0..1_000_000u64),
            currency in prop::option::of(prop::sample::select(&["EUR", "JPY"])),
            payout in prop::option::of(payouts()),
            events in prop::collection::vec(events(), 0..5),
            choices in (0..3usize, 0..2usize, 0..2usize),
            daily_cap in prop::option::of(1..=u32::MAX),
        ) -> CampaignRules {
            let mut rules = CampaignRules::default();
            rules.attribution_window = window.map(Duration::from_secs);
            rules.min_time_to_convert = least.map(Duration::from_secs);
            rules.currency = currency.map(|currency| currency.parse().unwrap());
            rules.payout = payout;
            rules.events = events.into_iter().collect();
            rules.default_status = ["pending", "approved", "rejected"][choices.0].parse().unwrap();
            rules.repeats = ["by_transaction", "once"][choices.1].parse().unwrap();
            rules.while_paused = ["earlier_clicks", "nothing"][choices.2].parse().unwrap();
            rules.daily_cap = daily_cap;
            rules
        }
    }

    proptest! {
        #[test]
        fn a_form_that_is_sent_as_it_came_changes_nothing(rules in rules()) {
            let before = campaign(rules);
            let form = CampaignForm::of(&before);
            let mut after = before.clone();
            CampaignChange::from_form(&parameters(&form)).unwrap().apply(&mut after, Timestamp::MIN).unwrap();
            prop_assert_eq!(&after, &before);
            // And all of it is there.
            let mut made = campaign(CampaignRules::default());
            CampaignChange::from_form(&parameters(&form)).unwrap().apply(&mut made, Timestamp::MIN).unwrap();
            prop_assert_eq!(made, before);
            // A form that comes back says what was sent.
            let other = campaign(CampaignRules::default());
            let filled = CampaignForm::filled_in(&parameters(&form), &other);
            prop_assert!(filled.differences(&form).is_empty());
            prop_assert_eq!(CampaignForm::filled_in(&Parameters::default(), &after), CampaignForm { ..form });
        }
    }

    fn changed(name: &'static str, text: &str) -> Result<Campaign, Refusal> {
        let mut campaign = campaign(CampaignRules::default());
        let form: Parameters<'_> = [(name, text)].into_iter().collect();
        CampaignForm::apply(&form, &mut campaign, Timestamp::MIN)?;
        Ok(campaign)
    }

    #[test]
    fn what_a_form_does_not_show_stays() {
        let mut before = campaign(CampaignRules::default());
        before.rules.attribution_window = Some(Duration::from_secs(MAX_SECONDS * 2));
        before.rules.min_time_to_convert = Some(Duration::from_millis(1500));
        before.rules.daily_cap = Some(0);
        let mut form = CampaignForm::of(&before);
        form.name = "Another".into();
        let mut after = before.clone();
        CampaignForm::apply(&parameters(&form), &mut after, Timestamp::MIN).unwrap();
        assert_eq!(after, Campaign { name: "Another".parse().unwrap(), ..before.clone() });

        form.min_seconds_to_convert = "2 seconds".into();
        CampaignForm::apply(&parameters(&form), &mut after, Timestamp::MIN).unwrap();
        assert_eq!(after.rules.min_time_to_convert, Some(Duration::from_secs(2)));
        assert_eq!(after.rules.attribution_window, before.rules.attribution_window);
        // What is said twice is none of what the campaign has.
        let twice: Parameters<'_> = [("name", "Another"), ("name", "Another")].into_iter().collect();
        let refusal = CampaignForm::apply(&twice, &mut after, Timestamp::MIN).unwrap_err();
        assert_eq!(refusal.parameter, Some("name"), "{}", refusal.message);
    }

    #[test]
    fn every_field_has_a_label() {
        let edit = include_str!("../../../templates/campaign.html");
        let create = include_str!("../../../templates/campaigns.html");
        has_labels("CampaignForm::label(\"", edit, &CampaignForm::FIELDS, CampaignForm::label);
        has_labels("NewCampaignForm::label(\"", create, &NewCampaignForm::FIELDS, NewCampaignForm::label);
        assert_eq!(
            CampaignForm::of(&campaign(CampaignRules::default())).fields_mut().map(|(name, _)| name),
            CampaignForm::FIELDS
        );
    }

    /// Each field has a label of its own, and these are what the template calls for.
    fn has_labels(call: &str, template: &str, fields: &[&'static str], label: fn(&'static str) -> &'static str) {
        let labels: BTreeSet<&str> = fields.iter().map(|name| label(name)).collect();
        assert_eq!(labels.len(), fields.len(), "{labels:?}");
        assert!(fields.iter().all(|name| !labels.contains(name)), "{labels:?}");
        let mut called: Vec<&str> = template.split(call).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut fields = fields.to_vec();
        called.sort_unstable();
        fields.sort_unstable();
        assert_eq!(called, fields);
    }

    #[test]
    fn people_write_as_they_like() {
        for (text, seconds) in [
            ("30 days", 2_592_000),
            (" 1 day ", 86_400),
            ("36hours", 129_600),
            ("1 minute", 60),
            ("100,000 seconds", 100_000),
        ] {
            let window = changed("attribution_window_seconds", text).unwrap().rules.attribution_window;
            assert_eq!(window, Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(changed("daily_cap", " 1,000 ").unwrap().rules.daily_cap, Some(1000));
        assert_eq!(changed("networks", "198.51.100.7, 10.0.0.1/8").unwrap().access.networks.len(), 2);
        assert!(changed("networks", " ").unwrap().access.networks.is_empty());
        let events = changed("events", "sale,10%\n\n lead , 5 EUR , 25 \nview").unwrap().rules.events;
        let lines: Vec<String> = events.iter().map(event_line).collect();
        assert_eq!(lines, ["lead, 5 EUR, 25", "sale, 10%", "view"]);
        assert_eq!(
            changed("events", "trial, , 25").unwrap().rules.events.iter().map(event_line).next().unwrap(),
            "trial, , 25"
        );
        // What is left out stays.
        assert_eq!(changed("unknown", "x").unwrap(), campaign(CampaignRules::default()));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_field() {
        for (name, text, message) in [
            ("name", "", "“Name” is not valid"),
            ("destination_url", "shop", "“Destination URL” is not valid"),
            ("payout", "5", "“Payout” is not valid"),
            ("payout", "101%", "“Payout” is not valid"),
            ("events", "sale\nlead, much", "Line 2: “Events that are taken” is not valid"),
            ("events", "a b", "Line 1: “Events that are taken” is not valid"),
            ("events", "\n\na b", "Line 3: “Events that are taken” is not valid"),
            ("events", "sale, 5 EUR, -1", "Line 1: “Events that are taken” is not valid"),
            ("events", "sale, 1,000 EUR, 5", "Line 1: “Events that are taken” is not valid: a line has"),
            (
                "events",
                "sale\n\nsale, 5 EUR",
                "Line 3: “Events that are taken” is not valid: this event has a line above",
            ),
            ("attribution_window_seconds", "30", "whole number of days"),
            ("attribution_window_seconds", "1.5 days", "whole number of days"),
            ("attribution_window_seconds", "1,5 days", "whole number of days"),
            ("attribution_window_seconds", ",500 days", "whole number of days"),
            ("attribution_window_seconds", "-1 days", "whole number of days"),
            ("attribution_window_seconds", "2 fortnights", "whole number of days"),
            ("attribution_window_seconds", "days", "whole number of days"),
            (
                "attribution_window_seconds",
                "0 days",
                "“Attribution window” is not valid: it must be from 1 second to 36,500 days.",
            ),
            ("attribution_window_seconds", "99999999999999999999 days", "from 1 second to"),
            ("min_seconds_to_convert", "101,000 years", "whole number of days"),
            ("min_seconds_to_convert", "36,501 days", "from 0 seconds to 36,500 days."),
            ("currency", "XXX", "“Currency” is not valid"),
            ("default_status", "fine", "“Status, if the postback has none” is not valid"),
            ("repeats", "twice", "“Conversions of a click” is not valid"),
            ("daily_cap", "0", "from 1 to"),
            ("daily_cap", "many", "whole number"),
            ("daily_cap", "1,00", "whole number"),
            ("daily_cap", "1000,000", "whole number"),
            ("daily_cap", "99999999999999999999", "from 1 to"),
            ("while_paused", "no", "“While paused” is not valid"),
            ("postback_auth", "no", "“Postbacks are taken” is not valid"),
            ("networks", "here", "“Networks that they come from” is not valid"),
        ] {
            let refusal = changed(name, text).unwrap_err();
            assert_eq!(refusal.parameter, Some(name), "{text}: {}", refusal.message);
            let has_name = CampaignForm::FIELDS.iter().any(|name| name.contains('_') && refusal.message.contains(name));
            assert!(!has_name, "no name of JSON: {}", refusal.message);
            assert!(refusal.message.contains(message), "{name} {text}: {}", refusal.message);
            assert!(refusal.status.is_client_error() && CampaignForm::FIELDS.contains(&name));
        }
    }
}
