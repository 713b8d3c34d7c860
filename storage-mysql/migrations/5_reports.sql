-- What reports, lists of everything, and logins need.

-- Passes of an affiliate that were issued until then are void.
ALTER TABLE {prefix}affiliates
    ADD COLUMN revoked_at DATETIME(3) NULL;

-- What has been counted. A row is of a series, and counts what was recorded from its start on, which is in quarters of an
-- hour since 1970, and for as long as the series says. Currencies have a row each, and clicks one where the currency is
-- empty; what a row is not about is NULL, which takes no space.
--
-- The first digit of a series says what is counted, and the last one for how long:
--
--    what                       series              owner      part
--    affiliate and campaign     11                  affiliate  campaign
--                               14, 15, 16          campaign   affiliate
--    affiliate                  22, 23, 24, 25, 26  affiliate  0
--    campaign                   31 to 36            campaign   0
--    everything                 41 to 46            0          0
--
--    1  a quarter of an hour
--    2  an hour
--    3  six hours
--    4  a day
--    5  a third of a month, from its 1st, 11th or 21st on
--    6  a year
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

-- All columns, so that a day is read from one place, and not each row from another.
ALTER TABLE {prefix}counters
    ADD KEY by_time (quarter_hour, affiliate_id, campaign_id, currency, status, slot, clicks, human_clicks, unique_clicks,
        conversions, amount, payout);

-- The shortest times of affiliates and campaigns are the counters of before, and all others are sums of shorter ones. Each of these
-- statements takes the next day of which there are any, or in the end the next month and the next year, until there are no
-- more; the last of what it has made tells how far it has come, whatever is counted in other slots meanwhile. Their limit is
-- none, and says that they go in steps. Each variable is set before the statement that it bounds: one that its own statement sets is
-- no constant, and keys would be read from their beginning.
SET @tracking_after = (
    SELECT COALESCE('1970-01-01 00:00:00' + INTERVAL d.start DIV 96 + 1 DAY, '9999-12-31 23:59:59')
    FROM {prefix}figures d WHERE d.series = 11 AND d.slot = -1 ORDER BY d.start DESC LIMIT 1); SET @tracking_since = (
    SELECT DATE(n.quarter_hour) FROM {prefix}counters n
    WHERE n.campaign_id > 0 AND n.quarter_hour >= CAST(COALESCE(@tracking_after, '1970-01-01 00:00:00') AS DATETIME)
    ORDER BY n.quarter_hour LIMIT 1); INSERT INTO {prefix}figures
    (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks,
    pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount, approved_payout,
    rejected_conversions, rejected_amount, rejected_payout)
SELECT 11, TIMESTAMPDIFF(MINUTE, '1970-01-01 00:00:00', c.quarter_hour) DIV 15 AS of_start,
    c.affiliate_id, c.campaign_id, c.currency, -1,
    SUM(CASE WHEN c.currency = '' THEN c.clicks END),
    SUM(CASE WHEN c.currency = '' THEN c.human_clicks END),
    SUM(CASE WHEN c.currency = '' THEN c.unique_clicks END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'pending' THEN c.conversions END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'pending' THEN c.amount END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'pending' THEN c.payout END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'approved' THEN c.conversions END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'approved' THEN c.amount END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'approved' THEN c.payout END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'rejected' THEN c.conversions END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'rejected' THEN c.amount END),
    SUM(CASE WHEN c.currency <> '' AND c.status = 'rejected' THEN c.payout END)
FROM {prefix}counters c FORCE INDEX (by_time)
WHERE c.quarter_hour >= CAST(@tracking_since AS DATETIME)
    AND c.quarter_hour <= CAST(@tracking_since AS DATETIME) + INTERVAL 1439 MINUTE AND c.campaign_id > 0
GROUP BY of_start, c.affiliate_id, c.campaign_id, c.currency
LIMIT 1000000000;

SET @tracking_after = (
    SELECT d.start - d.start % 96 + 96
    FROM {prefix}figures d WHERE d.series = 31 AND d.slot = -1 ORDER BY d.start DESC LIMIT 1); SET @tracking_since = (
    SELECT n.start - n.start % 96
    FROM {prefix}figures n WHERE n.series = 11 AND n.slot = -1 AND n.start >= COALESCE(@tracking_after, 0)
    ORDER BY n.start LIMIT 1); SET @tracking_until =
    @tracking_since + 96; INSERT INTO {prefix}figures
    (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks,
    pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount, approved_payout,
    rejected_conversions, rejected_amount, rejected_payout)
SELECT s.series AS of_series, f.start - f.start % s.width AS of_start,
    CASE s.series WHEN 22 THEN f.owner ELSE f.part END AS of_owner,
    CASE s.series WHEN 14 THEN f.owner ELSE 0 END AS of_part, f.currency, -1,
    SUM(f.clicks), SUM(f.human_clicks), SUM(f.unique_clicks),
    SUM(f.pending_conversions), SUM(f.pending_amount), SUM(f.pending_payout),
    SUM(f.approved_conversions), SUM(f.approved_amount), SUM(f.approved_payout),
    SUM(f.rejected_conversions), SUM(f.rejected_amount), SUM(f.rejected_payout)
FROM {prefix}figures f FORCE INDEX (PRIMARY)
STRAIGHT_JOIN (SELECT 14 AS series, 96 AS width UNION ALL SELECT 22, 4 UNION ALL SELECT 31, 1) s
WHERE f.series = 11 AND f.start >= @tracking_since AND f.start < @tracking_until AND f.slot = -1
GROUP BY of_series, of_start, of_owner, of_part, f.currency
LIMIT 1000000000;

SET @tracking_after = (
    SELECT d.start - d.start % 96 + 96
    FROM {prefix}figures d WHERE d.series = 41 AND d.slot = -1 ORDER BY d.start DESC LIMIT 1); SET @tracking_since = (
    SELECT n.start - n.start % 96
    FROM {prefix}figures n WHERE n.series = 31 AND n.slot = -1 AND n.start >= COALESCE(@tracking_after, 0)
    ORDER BY n.start LIMIT 1); SET @tracking_until =
    @tracking_since + 96; INSERT INTO {prefix}figures
    (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks,
    pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount, approved_payout,
    rejected_conversions, rejected_amount, rejected_payout)
SELECT s.series AS of_series, f.start - f.start % s.width AS of_start,
    CASE s.series WHEN 32 THEN f.owner ELSE 0 END AS of_owner, 0 AS of_part, f.currency, -1,
    SUM(f.clicks), SUM(f.human_clicks), SUM(f.unique_clicks),
    SUM(f.pending_conversions), SUM(f.pending_amount), SUM(f.pending_payout),
    SUM(f.approved_conversions), SUM(f.approved_amount), SUM(f.approved_payout),
    SUM(f.rejected_conversions), SUM(f.rejected_amount), SUM(f.rejected_payout)
FROM {prefix}figures f FORCE INDEX (PRIMARY)
STRAIGHT_JOIN (SELECT 32 AS series, 4 AS width UNION ALL SELECT 41, 1 UNION ALL SELECT 42, 4) s
WHERE f.series = 31 AND f.start >= @tracking_since AND f.start < @tracking_until AND f.slot = -1
GROUP BY of_series, of_start, of_owner, of_part, f.currency
LIMIT 1000000000;

SET @tracking_after = (
    SELECT d.start - d.start % 96 + 96
    FROM {prefix}figures d WHERE d.series = 44 AND d.slot = -1 ORDER BY d.start DESC LIMIT 1); SET @tracking_since = (
    SELECT n.start - n.start % 96
    FROM {prefix}figures n WHERE n.series = 42 AND n.slot = -1 AND n.start >= COALESCE(@tracking_after, 0)
    ORDER BY n.start LIMIT 1); SET @tracking_until =
    @tracking_since + 96; INSERT INTO {prefix}figures
    (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks,
    pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount, approved_payout,
    rejected_conversions, rejected_amount, rejected_payout)
SELECT f.series + s.longer AS of_series, f.start - f.start % s.width AS of_start,
    f.owner AS of_owner, f.part AS of_part, f.currency, -1,
    SUM(f.clicks), SUM(f.human_clicks), SUM(f.unique_clicks),
    SUM(f.pending_conversions), SUM(f.pending_amount), SUM(f.pending_payout),
    SUM(f.approved_conversions), SUM(f.approved_amount), SUM(f.approved_payout),
    SUM(f.rejected_conversions), SUM(f.rejected_amount), SUM(f.rejected_payout)
FROM {prefix}figures f FORCE INDEX (PRIMARY)
STRAIGHT_JOIN (SELECT 1 AS longer, 24 AS width UNION ALL SELECT 2, 96) s
WHERE f.series IN (22, 32, 42) AND f.start >= @tracking_since AND f.start < @tracking_until AND f.slot = -1
GROUP BY of_series, of_start, of_owner, of_part, f.currency
LIMIT 1000000000;

SET @tracking_after = (
    SELECT (TIMESTAMPDIFF(DAY, '1970-01-01', LAST_DAY('1970-01-01' + INTERVAL d.start DIV 96 DAY)) + 1) * 96
    FROM {prefix}figures d WHERE d.series = 45 AND d.slot = -1 ORDER BY d.start DESC LIMIT 1); SET @tracking_since = (
    SELECT (n.start DIV 96 - DAY('1970-01-01' + INTERVAL n.start DIV 96 DAY) + 1) * 96
    FROM {prefix}figures n WHERE n.series = 44 AND n.slot = -1 AND n.start >= COALESCE(@tracking_after, 0)
    ORDER BY n.start LIMIT 1); SET @tracking_until =
    (TIMESTAMPDIFF(DAY, '1970-01-01', LAST_DAY('1970-01-01' + INTERVAL @tracking_since DIV 96 DAY)) + 1) * 96; INSERT INTO {prefix}figures
    (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks,
    pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount, approved_payout,
    rejected_conversions, rejected_amount, rejected_payout)
SELECT f.series + 1 AS of_series, @tracking_since + 960 * LEAST((f.start - @tracking_since) DIV 960, 2) AS of_start,
    f.owner AS of_owner, f.part AS of_part, f.currency, -1,
    SUM(f.clicks), SUM(f.human_clicks), SUM(f.unique_clicks),
    SUM(f.pending_conversions), SUM(f.pending_amount), SUM(f.pending_payout),
    SUM(f.approved_conversions), SUM(f.approved_amount), SUM(f.approved_payout),
    SUM(f.rejected_conversions), SUM(f.rejected_amount), SUM(f.rejected_payout)
FROM {prefix}figures f FORCE INDEX (PRIMARY)
WHERE f.series IN (14, 24, 34, 44) AND f.start >= @tracking_since AND f.start < @tracking_until AND f.slot = -1
GROUP BY of_series, of_start, of_owner, of_part, f.currency
LIMIT 1000000000;

SET @tracking_after = (
    SELECT (d.start DIV 96 - DAYOFYEAR('1970-01-01' + INTERVAL d.start DIV 96 DAY) + 1 + DAYOFYEAR(CONCAT(YEAR('1970-01-01' + INTERVAL d.start DIV 96 DAY), '-12-31'))) * 96
    FROM {prefix}figures d WHERE d.series = 46 AND d.slot = -1 ORDER BY d.start DESC LIMIT 1); SET @tracking_since = (
    SELECT (n.start DIV 96 - DAYOFYEAR('1970-01-01' + INTERVAL n.start DIV 96 DAY) + 1) * 96
    FROM {prefix}figures n WHERE n.series = 45 AND n.slot = -1 AND n.start >= COALESCE(@tracking_after, 0)
    ORDER BY n.start LIMIT 1); SET @tracking_until =
    (@tracking_since DIV 96 - DAYOFYEAR('1970-01-01' + INTERVAL @tracking_since DIV 96 DAY) + 1 + DAYOFYEAR(CONCAT(YEAR('1970-01-01' + INTERVAL @tracking_since DIV 96 DAY), '-12-31'))) * 96; INSERT INTO {prefix}figures
    (series, start, owner, part, currency, slot, clicks, human_clicks, unique_clicks,
    pending_conversions, pending_amount, pending_payout, approved_conversions, approved_amount, approved_payout,
    rejected_conversions, rejected_amount, rejected_payout)
SELECT f.series + 1 AS of_series, @tracking_since AS of_start,
    f.owner AS of_owner, f.part AS of_part, f.currency, -1,
    SUM(f.clicks), SUM(f.human_clicks), SUM(f.unique_clicks),
    SUM(f.pending_conversions), SUM(f.pending_amount), SUM(f.pending_payout),
    SUM(f.approved_conversions), SUM(f.approved_amount), SUM(f.approved_payout),
    SUM(f.rejected_conversions), SUM(f.rejected_amount), SUM(f.rejected_payout)
FROM {prefix}figures f FORCE INDEX (PRIMARY)
WHERE f.series IN (15, 25, 35, 45) AND f.start >= @tracking_since AND f.start < @tracking_until AND f.slot = -1
GROUP BY of_series, of_start, of_owner, of_part, f.currency
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
