-- What has been counted, by affiliate, campaign and quarter-hour.
--
-- Clicks are counted where the currency is empty. An affiliate's total, over all campaigns and all times, is where the
-- campaign is 0 and the quarter-hour is '1000-01-01', which is before anything that can be recorded: it is in the same
-- table so that one statement changes both.
--
-- Each process that writes has a slot of its own, so that none waits for the rows that another has changed and not
-- committed yet: a count is the sum over all slots.

CREATE TABLE {prefix}counters (
    affiliate_id INT NOT NULL,
    quarter_hour DATETIME NOT NULL,
    campaign_id INT NOT NULL,
    currency VARCHAR(10) {bytewise} NOT NULL,
    slot TINYINT NOT NULL,
    clicks BIGINT NOT NULL,
    conversions BIGINT NOT NULL,
    amount DECIMAL(38, 6) NOT NULL,
    PRIMARY KEY (affiliate_id, quarter_hour, campaign_id, currency, slot)
) ENGINE = InnoDB;

INSERT INTO {prefix}counters
    (affiliate_id, quarter_hour, campaign_id, currency, slot, clicks, conversions, amount)
SELECT
    affiliate_id,
    DATE_FORMAT(timestamp, '%Y-%m-%d %H:00:00') + INTERVAL 15 * (MINUTE(timestamp) DIV 15) MINUTE AS quarter_hour,
    campaign_id, '', 0, COUNT(*), 0, 0
FROM {prefix}clicks
GROUP BY affiliate_id, quarter_hour, campaign_id;

INSERT INTO {prefix}counters
    (affiliate_id, quarter_hour, campaign_id, currency, slot, clicks, conversions, amount)
SELECT
    affiliate_id,
    DATE_FORMAT(timestamp, '%Y-%m-%d %H:00:00') + INTERVAL 15 * (MINUTE(timestamp) DIV 15) MINUTE AS quarter_hour,
    campaign_id, currency, 0, 0, COUNT(*), SUM(amount)
FROM {prefix}conversions
GROUP BY affiliate_id, quarter_hour, campaign_id, currency;

INSERT INTO {prefix}counters
    (affiliate_id, quarter_hour, campaign_id, currency, slot, clicks, conversions, amount)
SELECT affiliate_id, '1000-01-01', 0, '', 0, COUNT(*), 0, 0 FROM {prefix}clicks GROUP BY affiliate_id;

INSERT INTO {prefix}counters
    (affiliate_id, quarter_hour, campaign_id, currency, slot, clicks, conversions, amount)
SELECT affiliate_id, '1000-01-01', 0, currency, 0, 0, COUNT(*), SUM(amount) FROM {prefix}conversions
GROUP BY affiliate_id, currency;
