-- What reports, lists of everything, and logins need.

-- Passes of an affiliate that were issued until then are void.
ALTER TABLE {prefix}affiliates
    ADD COLUMN revoked_at DATETIME(3) NULL;

-- What has been counted. A row is of a series, and counts what was recorded from its start on, which is in quarters of an
-- hour since 1970, and for as long as the series says. Currencies have a row each, and clicks one where the currency is
-- empty; what a row is not about is NULL, which takes no space.
--
--    series                                         owner      part
--     1  quarter-hour   affiliate and campaign      affiliate  campaign
--     2  day            affiliate and campaign      affiliate  campaign
--     3  eight days     affiliate and campaign      campaign   affiliate
--     4  hour           affiliate                   affiliate  0
--     5  eight days     affiliate                   affiliate  0
--     6  quarter-hour   campaign                    campaign   0
--     7  hour           campaign                    campaign   0
--     8  day            campaign                    campaign   0
--     9  quarter-hour   everything                  0          0
--    10  hour           everything                  0          0
--    11  day            everything                  0          0
--    12  eight days     everything                  0          0
--
-- The time comes before the owner, so that what is written now is on a few pages, and what a report groups lies together.
--
-- Each process that writes has a slot of its own, so that none waits for the rows that another has changed and not
-- committed yet: a count is the sum over all slots. In slot -1 is what the counters before this version had.
CREATE TABLE {prefix}figures (
    series TINYINT NOT NULL,
    start INT NOT NULL,
    owner INT NOT NULL,
    part INT NOT NULL,
    currency VARCHAR(10) {bytewise} NOT NULL,
    slot TINYINT NOT NULL,
    clicks BIGINT NULL,
    human_clicks BIGINT NULL,
    unique_clicks BIGINT NULL,
    pending_conversions BIGINT NULL,
    pending_amount DECIMAL(38, 6) NULL,
    pending_payout DECIMAL(38, 12) NULL,
    approved_conversions BIGINT NULL,
    approved_amount DECIMAL(38, 6) NULL,
    approved_payout DECIMAL(38, 12) NULL,
    rejected_conversions BIGINT NULL,
    rejected_amount DECIMAL(38, 6) NULL,
    rejected_payout DECIMAL(38, 12) NULL,
    PRIMARY KEY (series, start, owner, part, currency, slot)
) ENGINE = InnoDB;

ALTER TABLE {prefix}counters
    ADD KEY by_time (quarter_hour);

-- The new ones are sums of the old ones: of the next eight days of which there are any, in each step, until there are no
-- more. The last series tells how far it has come, whatever is counted in other slots meanwhile. The limit is none, and says that it goes in steps.
INSERT INTO {prefix}figures
    (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks,
    pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount, approved_payout,
    rejected_conversions, rejected_amount, rejected_payout)
SELECT
    s.series,
    q.quarter - q.quarter % s.width AS start,
    CASE WHEN s.series IN (1, 2, 4, 5) THEN q.affiliate_id WHEN s.series IN (3, 6, 7, 8) THEN q.campaign_id ELSE 0 END
        AS owner,
    CASE WHEN s.series IN (1, 2) THEN q.campaign_id WHEN s.series = 3 THEN q.affiliate_id ELSE 0 END AS part,
    q.currency,
    -1,
    SUM(CASE WHEN q.currency = '' THEN q.clicks END),
    SUM(CASE WHEN q.currency = '' THEN q.human_clicks END),
    SUM(CASE WHEN q.currency = '' THEN q.unique_clicks END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'pending' THEN q.conversions END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'pending' THEN q.amount END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'pending' THEN q.payout END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'approved' THEN q.conversions END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'approved' THEN q.amount END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'approved' THEN q.payout END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'rejected' THEN q.conversions END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'rejected' THEN q.amount END),
    SUM(CASE WHEN q.currency <> '' AND q.status = 'rejected' THEN q.payout END)
FROM (
    SELECT TIMESTAMPDIFF(MINUTE, '1970-01-01 00:00:00', c.quarter_hour) DIV 15 AS quarter, c.*
    FROM (
        SELECT '1970-01-01 00:00:00' + INTERVAL 8 * (TIMESTAMPDIFF(DAY, '1970-01-01 00:00:00', n.quarter_hour) DIV 8) DAY
            AS since
        FROM {prefix}counters n
        WHERE n.campaign_id > 0
            AND n.quarter_hour >= COALESCE((SELECT '1970-01-01 00:00:00' + INTERVAL 15 * (MAX(f.start) + 768) MINUTE
                FROM {prefix}figures f WHERE f.series = 12 AND f.slot = -1), '1970-01-01 00:00:00')
        ORDER BY n.quarter_hour
        LIMIT 1
    ) p
    JOIN {prefix}counters c ON c.quarter_hour >= p.since AND c.quarter_hour < p.since + INTERVAL 8 DAY
    WHERE c.campaign_id > 0
) q
JOIN (
    SELECT 1 AS series, 1 AS width UNION ALL SELECT 2, 96 UNION ALL SELECT 3, 768
    UNION ALL SELECT 4, 4 UNION ALL SELECT 5, 768
    UNION ALL SELECT 6, 1 UNION ALL SELECT 7, 4 UNION ALL SELECT 8, 96
    UNION ALL SELECT 9, 1 UNION ALL SELECT 10, 4 UNION ALL SELECT 11, 96 UNION ALL SELECT 12, 768
) s
GROUP BY s.series, start, owner, part, q.currency
LIMIT 1000000000;

DROP TABLE IF EXISTS {prefix}counters;

-- A page of everybody's records, of an affiliate's, of a campaign's, or of those of one status, newest first. After the id is
-- what else they may be picked by: what is passed is passed in the key, and is not looked up. The foreign keys are content
-- with those that are there then.
ALTER TABLE {prefix}clicks
    ADD KEY recent (timestamp, id),
    DROP KEY newest,
    ADD KEY newest (affiliate_id, timestamp, id, campaign_id),
    ADD KEY by_campaign (campaign_id, timestamp, id, affiliate_id),
    DROP KEY campaign;

ALTER TABLE {prefix}conversions
    ADD KEY recent (timestamp, id),
    DROP KEY newest,
    ADD KEY newest (affiliate_id, timestamp, id, status, campaign_id),
    DROP KEY daily,
    ADD KEY daily (campaign_id, timestamp, id, status, affiliate_id),
    ADD KEY by_status (status, timestamp, id, affiliate_id, campaign_id);
