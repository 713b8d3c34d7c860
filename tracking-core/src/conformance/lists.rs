use std::sync::Arc;

use super::given::*;
use crate::{
    AffiliateId, Campaign, Click, Conversion, Cursor, Limit, NewAffiliate, NewCampaign, Page, PageRequest, Postback,
    PostbackFilter, Store, StoreError, Timestamp,
};

/// One of the five lists, seen as the places of its records. What holds for one must hold for all.
#[derive(Clone)]
enum List {
    Affiliates,
    Campaigns,
    Clicks(Click),
    Conversions(Click),
    Postbacks,
}

/// Each of the lists, with as many records as its own preparation put there.
async fn each_list(store: &Arc<dyn Store>) -> [(List, Vec<Cursor>); 5] {
    let click = one_click(store).await;
    let (clicks, conversions) = (List::Clicks(click.clone()), List::Conversions(click));
    let lists = [List::Affiliates, List::Campaigns, clicks, conversions, List::Postbacks];
    let mut lists = lists.map(|list| (list, Vec::new()));
    for (list, places) in &mut lists {
        *places = list.read(store, 1000).await;
    }
    lists
}

impl List {
    async fn page(&self, store: &Arc<dyn Store>, request: PageRequest) -> Result<Page<Cursor>, StoreError> {
        fn places<T>(page: Page<T>, place: impl Fn(&T) -> Cursor) -> Page<Cursor> {
            Page { items: page.items.iter().map(place).collect(), next: page.next }
        }
        Ok(match self {
            Self::Affiliates => places(store.affiliates(request).await?, |row| Cursor::after(row.created_at, row.id)),
            Self::Campaigns => places(store.campaigns(request).await?, |row| Cursor::after(row.created_at, row.id)),
            Self::Clicks(of) => {
                places(store.clicks(&of.affiliate_id.into(), request).await?, |row| Cursor::after(row.created_at, row.id))
            }
            Self::Conversions(of) => {
                places(store.conversions(&of.affiliate_id.into(), request).await?, |row| Cursor::after(row.created_at, row.id))
            }
            Self::Postbacks => places(store.postbacks(&PostbackFilter::default(), request).await?, Postback::cursor),
        })
    }

    /// The whole list, in pages of this size.
    async fn read(&self, store: &Arc<dyn Store>, limit: u64) -> Vec<Cursor> {
        read_all(limit, |place| *place, |request| self.page(store, request)).await
    }

    /// Adds a record, with a text that no other has.
    async fn add(&self, store: &Arc<dyn Store>, created_at: Timestamp, text: &str) -> Cursor {
        match self {
            Self::Affiliates => {
                let new = NewAffiliate { created_at, ..new_affiliate(None) };
                let row = expect_new(ok(store.insert_affiliate(new).await, "insert_affiliate"));
                Cursor::after(row.created_at, row.id)
            }
            Self::Campaigns => {
                let new = NewCampaign { created_at, ..new_campaign(None) };
                let row = expect_new(ok(store.insert_campaign(new).await, "insert_campaign"));
                Cursor::after(row.created_at, row.id)
            }
            Self::Clicks(of) => {
                let row = a_click(store, (of.affiliate_id, of.campaign_id), text, created_at).await;
                Cursor::after(row.created_at, row.id)
            }
            Self::Conversions(of) => {
                let row = a_conversion(store, with_transaction(new_conversion(of, created_at), text)).await;
                Cursor::after(row.created_at, row.id)
            }
            Self::Postbacks => {
                // Their ids come from outside, in no order: here by FNV-1a.
                let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                let row = postback(text.bytes().fold(0xcbf2_9ce4_8422_2325, hash) >> 1, created_at);
                ok(store.log_postbacks(vec![row.clone()]).await, "log_postbacks");
                row.cursor()
            }
        }
    }
}

fn newest_first(mut places: Vec<Cursor>) -> Vec<Cursor> {
    places.sort_by(|one, other| other.cmp(one));
    places
}

pub(super) async fn empty_list_is_one_empty_page(store: Arc<dyn Store>) {
    for list in [List::Affiliates, List::Campaigns, List::Postbacks] {
        let page = ok(list.page(&store, PageRequest::default()).await, "a list");
        assert_eq!(page, Page { items: Vec::new(), next: None }, "nothing was added");
    }
    let click = one_click(&store).await;
    let affiliate_id = an_affiliate(&store).await;
    let click = Click { affiliate_id, ..click };
    for list in [List::Clicks(click.clone()), List::Conversions(click)] {
        let page = ok(list.page(&store, PageRequest::default()).await, "a list");
        assert_eq!(page, Page { items: Vec::new(), next: None }, "the records are of another affiliate");
    }
}

pub(super) async fn list_is_newest_first(store: Arc<dyn Store>) {
    for (list, mut places) in each_list(&store).await {
        for (index, millis) in [500, 100, 900, 300, 901, 899, 1].into_iter().enumerate() {
            places.push(list.add(&store, time(millis), &format!("add-{index}")).await);
        }
        let read = list.read(&store, 1000).await;
        assert_eq!(read, newest_first(places), "a list must be sorted by time, newest first, whatever the order of inserts");
    }
}

pub(super) async fn simultaneous_records_have_a_total_order(store: Arc<dyn Store>) {
    for (list, mut places) in each_list(&store).await {
        for index in 0..12 {
            places.push(list.add(&store, time(index % 2), &format!("add-{index}")).await);
        }
        for limit in [1, 4, 1000] {
            let read = list.read(&store, limit).await;
            assert_eq!(read, newest_first(places.clone()), "records of one time must be sorted by number, descending");
        }
    }
}

pub(super) async fn paging_visits_each_record_once(store: Arc<dyn Store>) {
    for (list, mut places) in each_list(&store).await {
        for index in 0..23 {
            places.push(list.add(&store, time(index / 3 * 10), &format!("add-{index}")).await);
        }
        let places = newest_first(places);
        for limit in [1, 2, 3, 7, 23, 24, 25, 1000] {
            assert_eq!(list.read(&store, limit).await, places, "pages of {limit} must hold each record exactly once");
        }
    }
}

pub(super) async fn full_last_page_has_no_next(store: Arc<dyn Store>) {
    for (list, mut places) in each_list(&store).await {
        while places.len() < 6 {
            places.push(list.add(&store, time(5), &format!("add-{}", places.len())).await);
        }
        let limit = Limit::new(3).expect("a valid limit");
        let first = ok(list.page(&store, PageRequest { limit, after: None }).await, "a list");
        assert_eq!(first.items.len(), 3, "three of six records are the first page");
        assert!(first.next.is_some(), "three more records follow, so the page must tell where");
        let last = ok(list.page(&store, PageRequest { limit, after: first.next }).await, "a list");
        assert_eq!(last.items.len(), 3, "three of six records are the last page");
        assert_eq!(last.next, None, "no more records follow, so there must be no next page");
    }
}

pub(super) async fn inserts_between_pages_disturb_nothing(store: Arc<dyn Store>) {
    for (list, mut places) in each_list(&store).await {
        for index in 0..10 {
            places.push(list.add(&store, time(100), &format!("there-{index}")).await);
        }
        let limit = Limit::new(2).expect("a valid limit");
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let page = ok(list.page(&store, PageRequest { limit, after }).await, "a list");
            read.extend(page.items);
            after = page.next;
            if after.is_none() || read.len() > 100 {
                break;
            }
            // Newer than all, of the same time as those being read, and (a few of them) older than all.
            let round = read.len();
            list.add(&store, time(200), &format!("newer-{round}")).await;
            list.add(&store, time(100), &format!("same-{round}")).await;
            if round < 6 {
                list.add(&store, time(-100), &format!("older-{round}")).await;
            }
        }
        assert_distinct(read.iter().copied());
        assert_eq!(read, newest_first(read.clone()), "pages must stay in order while records are added");
        for place in places {
            assert!(read.contains(&place), "a record that was there from the beginning is hidden by later ones");
        }
    }
}

pub(super) async fn parallel_inserts_between_pages_disturb_nothing(store: Arc<dyn Store>) {
    for (list, mut places) in each_list(&store).await {
        for index in 0..20 {
            places.push(list.add(&store, time(100), &format!("there-{index}")).await);
        }
        let writer = tokio::spawn({
            let (store, list) = (Arc::clone(&store), list.clone());
            async move {
                for index in 0..40 {
                    list.add(&store, time(90 + index % 20), &format!("meanwhile-{index}")).await;
                }
            }
        });
        let read = list.read(&store, 2).await;
        writer.await.expect("inserts must not panic");
        assert_distinct(read.iter().copied());
        for place in places {
            assert!(read.contains(&place), "a record that was there from the beginning is hidden by parallel inserts");
        }
    }
}

pub(super) async fn list_starts_at_any_place(store: Arc<dyn Store>) {
    for (list, mut places) in each_list(&store).await {
        for index in 0..6 {
            places.push(list.add(&store, time(index * 10), &format!("add-{index}")).await);
        }
        // A cursor comes from outside: it need not name a record, nor a number that any record could have.
        let starts = [
            Cursor::after(Timestamp::MAX, u64::MAX),
            Cursor::after(time(30), u64::MAX),
            Cursor::after(time(30), 0u64),
            Cursor::after(time(25), 1u64),
            Cursor::after(Timestamp::MIN, 0u64),
        ];
        for start in starts {
            let request = PageRequest { limit: Limit::default(), after: Some(start) };
            let page = ok(list.page(&store, request).await, "a list");
            let expected = newest_first(places.iter().copied().filter(|place| *place < start).collect());
            assert_eq!(page.items, expected, "a page must hold what comes after {start:?}");
            assert_eq!(page.next, None);
        }
    }
}

pub(super) async fn lists_show_what_was_recorded(store: Arc<dyn Store>) {
    let affiliate = expect_new(ok(store.insert_affiliate(new_affiliate(None)).await, "insert_affiliate"));
    let campaign: Campaign = expect_new(ok(store.insert_campaign(new_campaign(None)).await, "insert_campaign"));
    let click = a_click(&store, (affiliate.id, campaign.id), "abc123", time(1)).await;
    let conversion: Conversion = a_conversion(&store, with_transaction(new_conversion(&click, time(2)), "order-1")).await;
    let request = PageRequest::default();
    assert_eq!(ok(store.campaigns(request).await, "campaigns").items, [campaign]);
    assert_eq!(ok(store.clicks(&affiliate.id.into(), request).await, "clicks").items, [click]);
    assert_eq!(ok(store.conversions(&affiliate.id.into(), request).await, "conversions").items, [conversion]);
    assert_eq!(ok(store.affiliates(request).await, "affiliates").items, [affiliate]);
}

pub(super) async fn lists_are_of_one_affiliate(store: Arc<dyn Store>) {
    let campaign = a_campaign(&store).await;
    let mut affiliates: Vec<AffiliateId> = Vec::new();
    for _ in 0..3 {
        affiliates.push(an_affiliate(&store).await);
    }
    for index in 0..5 {
        for &affiliate in &affiliates {
            let click = a_click(&store, (affiliate, campaign), &format!("click-{index}"), time(index)).await;
            a_conversion(&store, new_conversion(&click, time(index))).await;
        }
    }
    for affiliate in affiliates {
        let of = Click { affiliate_id: affiliate, ..any_click(&store, affiliate).await };
        for list in [List::Clicks(of.clone()), List::Conversions(of)] {
            assert_eq!(list.read(&store, 2).await.len(), 5, "a list must hold the affiliate's own records only");
        }
        assert!(all_clicks(&store, affiliate).await.iter().all(|row| row.affiliate_id == affiliate));
        assert!(all_conversions(&store, affiliate).await.iter().all(|row| row.affiliate_id == affiliate));
    }
}

async fn any_click(store: &Arc<dyn Store>, affiliate: AffiliateId) -> Click {
    find_click(store, affiliate, None, "click-0").await.expect("what was recorded is found")
}
