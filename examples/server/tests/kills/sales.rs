//! Sales whose postbacks name statuses, and what their answers have to be.

use serde_json::Value;

use crate::check::{Conversion, Findings, Payout, STATUSES, rank};
use crate::http::{Answer, Request};
use crate::load::{Load, millionths, text};

pub(crate) const CURRENCY: &str = "EUR";

/// A click that was bought by.
#[derive(Debug)]
pub(crate) struct Sale {
    pub(crate) click_id: String,
    /// What was sent of it, and answered.
    pub(crate) told: Vec<Told>,
}

/// A postback of a sale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// The number of the sale.
    pub(crate) sale: usize,
    /// In millionths.
    pub(crate) amount: i64,
    /// Without one, a new conversion is approved, and one that is recorded stays as it is.
    pub(crate) status: Option<&'static str>,
}

/// A postback with its answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) message: Message,
    pub(crate) status: u16,
    pub(crate) answer: Value,
}

/// What all of them are sales of: a campaign that is open, and pays an eighth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) affiliate: i64,
    pub(crate) campaign: i64,
}

impl Place {
    pub(crate) fn of(load: &Load) -> Self {
        Self { affiliate: load.places().affiliates[0], campaign: load.places().campaigns()[0] }
    }

    pub(crate) fn click(self, click_id: &str) -> Request {
        let Self { affiliate, campaign } = self;
        Request::get(&format!("/click?affiliate_id={affiliate}&campaign_id={campaign}&click_id={click_id}"))
    }

    pub(crate) fn postback(self, click_id: &str, message: Message) -> Request {
        let Message { amount, status, .. } = message;
        let status = status.map(|status| format!("&status={status}")).unwrap_or_default();
        Request::get(&format!(
            "/postback?affiliate_id={}&click_id={click_id}&transaction_id=order-1&currency={CURRENCY}&amount={}.{:06}{status}",
            self.affiliate,
            amount / 1_000_000,
            amount % 1_000_000
        ))
    }
}

/// A postback was taken, or refused for what is recorded.
pub(crate) fn is_answer(answer: &Answer) -> bool {
    matches!(answer.status, 200 | 409)
}

/// Whether each answer has arrived. If a server was killed, some have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    All,
    NotAll,
}

impl Sale {
    /// Compares the answers with what is recorded.
    pub(crate) fn check(&self, recorded: &[&Conversion], arrived: Arrived, findings: &mut Findings) {
        let Some(first) = recorded.first() else {
            findings.note(|found| &mut found.lost, 1, || format!("lost: {self:?}"));
            return;
        };
        let new = self.told.iter().filter(|told| told.kind() == "accepted").count();
        let extra = recorded.len() - 1 + new.saturating_sub(1);
        findings.note(|found| &mut found.twice, extra, || format!("twice: {self:?}, {recorded:?}"));
        let unheard = arrived == Arrived::All && new == 0;
        let untrue = self.told.iter().filter(|told| !told.is_true(first)).count() + usize::from(unheard);
        findings.note(|found| &mut found.untrue, untrue, || format!("untrue: {self:?}, {first:?}"));
        let changes = self.check_changes(first, arrived);
        findings.note(|found| &mut found.untrue, changes, || format!("changes: {self:?}, {first:?}"));
        let is_right = self.final_status(first) == first.status && first.payout == Some(eighth_of(first.amount));
        findings.note(|found| &mut found.untrue, usize::from(!is_right), || format!("{self:?} became {first:?}"));
    }

    /// How many changes were told not just once.
    fn check_changes(&self, recorded: &Conversion, arrived: Arrived) -> usize {
        let times =
            |change: &[String; 2]| self.told.iter().filter(|told| told.change().as_ref() == Some(change)).count();
        let is_right = |change: &&[String; 2]| match arrived {
            Arrived::All => times(change) == 1,
            Arrived::NotAll => times(change) <= 1,
        };
        recorded.history.iter().filter(|change| !is_right(change)).count()
    }

    /// The last of the statuses that were sent with the amount that is recorded: there is a way to it from all others. A
    /// postback without one leaves the status as it is.
    fn final_status(&self, recorded: &Conversion) -> &'static str {
        let sent = self.told.iter().map(|told| told.message).filter(|message| message.amount == recorded.amount);
        let last = sent.filter_map(|message| message.status).map(rank).max();
        STATUSES[last.unwrap_or(0).max(rank(recorded.first_status()))]
    }
}

impl Told {
    fn kind(&self) -> &str {
        match self.status {
            200 if self.answer["duplicate"] == true => "duplicate",
            200 if self.answer["previous_status"].is_string() => "status_changed",
            200 => "accepted",
            _ => self.answer["error"]["code"].as_str().unwrap_or_default(),
        }
    }

    /// From one status to another, if that is what it tells of.
    fn change(&self) -> Option<[String; 2]> {
        let is_change = self.kind() == "status_changed";
        is_change.then(|| [text(&self.answer["previous_status"]), text(&self.answer["data"]["status"])])
    }

    fn is_true(&self, recorded: &Conversion) -> bool {
        let had =
            |status: &str| recorded.first_status() == status || recorded.history.iter().any(|[_, to]| to == status);
        let Message { amount, status, .. } = self.message;
        let is_amount_right = amount == recorded.amount;
        let (kind, data) = (self.kind(), &self.answer["data"]);
        if self.status == 200 {
            let is_same = data["conversion_id"].as_i64() == Some(recorded.id)
                && millionths(&data["amount"]) == recorded.amount
                && data["currency"] == *recorded.currency
                && Payout::of_json(&data["payout"]) == recorded.payout
                && had(data["status"].as_str().unwrap_or_default());
            return is_same
                && is_amount_right
                && match kind {
                    "accepted" => {
                        data["status"] == *recorded.first_status()
                            && status.unwrap_or("approved") == recorded.first_status()
                    }
                    "status_changed" => {
                        data["status"] == *status.unwrap_or_default()
                            && self.change().is_some_and(|change| recorded.history.contains(&change))
                    }
                    // Who says that it is pending says no more than that there is one.
                    _ => status.is_none_or(|status| status == "pending" || had(status)),
                };
        }
        let is_same = self.answer["error"]["recorded"]["conversion_id"].as_i64() == Some(recorded.id);
        is_same
            && match kind {
                "conflict" => !is_amount_right,
                "status_conflict" => {
                    let is_behind =
                        |status: &str| status != "pending" && !had(status) && rank(status) < rank(&recorded.status);
                    is_amount_right && status.is_some_and(is_behind)
                }
                _ => false,
            }
    }
}

/// An eighth of so many millionths.
fn eighth_of(amount: i64) -> Payout {
    Payout { amount: i128::from(amount) * 125_000, currency: CURRENCY.to_owned() }
}

/// What is wrong does not go unnoticed.
#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A sale that was pending, and was approved, with all there is to be told of it.
    fn sound() -> (Conversion, Sale) {
        let recorded = Conversion {
            id: 6,
            click_id: "abc123".to_owned(),
            amount: 8_000_000,
            currency: CURRENCY.to_owned(),
            status: "approved".to_owned(),
            payout: Some(eighth_of(8_000_000)),
            history: vec![["pending".to_owned(), "approved".to_owned()]],
            ..Conversion::default()
        };
        let data = |status: &str| {
            let payout = json!({"amount": 1, "currency": CURRENCY});
            json!({"conversion_id": 6, "amount": 8, "currency": CURRENCY, "payout": payout, "status": status})
        };
        let message = |status| Message { sale: 0, amount: 8_000_000, status };
        let told = |message, status, answer| Told { message, status, answer };
        let recorded_is = |code: &str| json!({"error": {"code": code, "recorded": {"conversion_id": 6}}});
        let told = vec![
            told(message(Some("pending")), 200, json!({"data": data("pending")})),
            told(message(Some("approved")), 200, json!({"previous_status": "pending", "data": data("approved")})),
            told(message(None), 200, json!({"duplicate": true, "data": data("approved")})),
            told(message(Some("pending")), 200, json!({"duplicate": true, "data": data("approved")})),
            told(Message { amount: 9_000_000, ..message(None) }, 409, recorded_is("conflict")),
        ];
        (recorded, Sale { click_id: "abc123".to_owned(), told })
    }

    /// How much is lost, twice and untrue after something has gone wrong.
    fn found(spoil: impl FnOnce(&mut Conversion, &mut Sale)) -> (usize, usize, usize) {
        let (mut recorded, mut sale) = sound();
        spoil(&mut recorded, &mut sale);
        let mut findings = Findings::default();
        sale.check(&[&recorded], Arrived::All, &mut findings);
        (findings.lost, findings.twice, findings.untrue)
    }

    #[test]
    fn a_sound_sale_passes() {
        assert_eq!(found(|_, _| {}), (0, 0, 0));
    }

    #[test]
    fn what_is_lost_or_there_twice_is_found() {
        let (recorded, sale) = sound();
        for (rows, expected) in [(vec![], (1, 0)), (vec![&recorded, &recorded], (0, 1))] {
            let mut findings = Findings::default();
            sale.check(&rows, Arrived::All, &mut findings);
            assert_eq!((findings.lost, findings.twice), expected);
        }
        let new_again = |_: &mut Conversion, sale: &mut Sale| {
            let (_, again) = sound();
            sale.told.extend(again.told.into_iter().take(1));
        };
        assert_eq!(found(new_again), (0, 1, 0));
    }

    #[test]
    fn untrue_answers_are_found() {
        assert_eq!(found(|_, sale| _ = sale.told.remove(0)), (0, 0, 1), "nobody was told that it is new");
        assert_eq!(found(|_, sale| _ = sale.told.remove(1)), (0, 0, 2), "nobody has changed it");
        assert_eq!(found(|_, sale| sale.told[2].answer["data"]["conversion_id"] = json!(7)), (0, 0, 1));
        assert_eq!(found(|_, sale| sale.told[2].answer["data"]["payout"]["amount"] = json!(2)), (0, 0, 1));
        assert_eq!(found(|_, sale| sale.told[2].answer["data"]["status"] = json!("rejected")), (0, 0, 1));
        assert_eq!(found(|_, sale| sale.told[4].message.amount = 8_000_000), (0, 0, 1), "no conflict");
        assert_eq!(found(|_, sale| sale.told[2].message.amount = 9_000_000), (0, 0, 1), "a conflict");
        assert_eq!(found(|_, sale| sale.told[4].answer["error"]["code"] = json!("status_conflict")), (0, 0, 1));
        assert_eq!(found(|_, sale| sale.told[2].message.status = Some("rejected")), (0, 0, 2), "not rejected");
        assert_eq!(found(|recorded, _| recorded.payout = None), (0, 0, 5));
    }
}
